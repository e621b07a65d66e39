//! Tokens from a provider of OpenID Connect, by the grant `client_credentials` (RFC 6749,
//! section 4.4), with the name and the secret in the header, as Kafka's own clients send
//! them.
//!
//! Not librdkafka's own: that needs libcurl, and asks once for each client.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use super::{Token, TokenSource, jwt, now_millis, percent_encoded, renew_after};
use crate::config::{Secret, TokenSpec};

/// For a whole answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A longer answer is none.
const LONGEST: u64 = 1 << 16;
/// For so long a token is taken to be good of which nobody says.
const UNSAID: i64 = 300_000;
/// No token is taken to be good for longer: a day.
const LONGEST_LIFE: i64 = 86_400_000;
/// What is repeated of an answer, in characters.
const REPEATED: usize = 300;

pub(super) struct Provider {
    agent: Agent,
    url: String,
    client_id: String,
    client_secret: Secret,
    form: String,
    extensions: Vec<(String, String)>,
}

impl Provider {
    pub(super) fn new(spec: &TokenSpec) -> Result<Provider, String> {
        let TokenSpec::ClientCredentials {
            token_url,
            client_id,
            client_secret,
            scope,
            ca,
            extensions,
        } = spec
        else {
            return Err("no provider is declared".to_owned());
        };
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = scope {
            form.push_str("&scope=");
            form.push_str(&percent_encoded(scope));
        }
        Ok(Provider {
            agent: agent(ca.as_deref(), token_url)?,
            url: token_url.clone(),
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            form,
            extensions: extensions.clone(),
        })
    }

    /// What the provider said of why it gives none, in one line, without the secret; `None`
    /// where it did not say it as RFC 6749, section 5.2, wants.
    fn repeated(&self, answer: &str) -> Option<String> {
        let said: Option<Value> = serde_json::from_str(answer).ok();
        let text = |key: &str| said.as_ref()?.get(key)?.as_str().map(str::to_owned);
        let said = match (text("error"), text("error_description")) {
            (Some(error), Some(description)) => format!("{error}: {description}"),
            (Some(error), None) => error,
            // Anything else may hold what was sent, in whatever form.
            _ => return None,
        };
        let secret = self.client_secret.expose();
        let forms = [
            STANDARD.encode(format!("{}:{secret}", self.client_id)),
            STANDARD.encode(secret),
            percent_encoded(secret),
            secret.to_owned(),
        ];
        let said = forms.iter().fold(said, |said, form| said.replace(form.as_str(), "***"));
        Some(said.chars().take(REPEATED).flat_map(char::escape_debug).collect())
    }
}

fn agent(ca: Option<&str>, url: &str) -> Result<Agent, String> {
    let roots = match ca {
        None => RootCerts::PlatformVerifier,
        Some(path) => {
            let pem = fs::read(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
            let certificates = parse_pem(&pem).filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            });
            RootCerts::from(certificates.collect::<Vec<Certificate<'static>>>())
        }
    };
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    // What is not encrypted is for this machine alone, and no proxy's.
    let proxy = if url.starts_with("https:") { Proxy::try_from_env() } else { None };
    let config = Agent::config_builder()
        .proxy(proxy)
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        // The secret goes nowhere but to the address that is declared.
        .max_redirects(0)
        .user_agent(concat!("tidegauge/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(config.into())
}

/// When a token ends of which a provider says how many seconds it lasts.
fn expires_in(seconds: f64) -> i64 {
    // A cast saturates, and takes what is no number for 0.
    let lasts = (seconds * 1_000.0) as i64;
    now_millis() + lasts.clamp(0, LONGEST_LIFE)
}

impl TokenSource for Provider {
    fn fetch(&mut self) -> Result<(Token, Duration), String> {
        let url = &self.url;
        let credentials = format!("{}:{}", self.client_id, self.client_secret.expose());
        let answer = self
            .agent
            .post(url)
            .header("Authorization", format!("Basic {}", STANDARD.encode(credentials)))
            .header("Accept", "application/json")
            .content_type("application/x-www-form-urlencoded")
            .send(&self.form);
        let mut answer = answer.map_err(|error| format!("{url} does not answer: {error}"))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(LONGEST).read_to_string();
        let body = body.map_err(|error| format!("{url} answers {status}, and then: {error}"))?;
        if !status.is_success() {
            let remedy = match status.as_u16() {
                400 | 401 | 403 => {
                    "look at `client_id`, `client_secret` and `scope` in [kafka.sign_in]"
                }
                300..=499 => "look at `token_url` in [kafka.sign_in]",
                _ => "look at the provider",
            };
            let said = self.repeated(&body).map(|said| format!(" ({said})")).unwrap_or_default();
            return Err(format!("{url} answers {status}{said}: {remedy}"));
        }
        let said: Option<Value> = serde_json::from_str(&body).ok();
        let field = |key: &str| said.as_ref().and_then(|said| said.get(key));
        let value = field("access_token").and_then(Value::as_str);
        let Some(value) = value.filter(|value| !value.trim().is_empty()) else {
            // An answer without a token may hold other secrets.
            return Err(format!(
                "{url} answers {status} without an `access_token`: look at `token_url` in \
                 [kafka.sign_in]"
            ));
        };
        let claims = jwt::claims(value);
        // Some write the number as a text.
        let lasts = field("expires_in")
            .and_then(|said| said.as_f64().or_else(|| said.as_str()?.parse().ok()))
            .map(expires_in);
        let expires = match (lasts, claims.expires) {
            (Some(lasts), Some(expires)) => lasts.min(expires),
            (lasts, expires) => lasts.or(expires).unwrap_or_else(|| now_millis() + UNSAID),
        };
        let token = Token {
            value: value.to_owned(),
            principal: claims.subject.unwrap_or_else(|| self.client_id.clone()),
            expires,
            extensions: self.extensions.clone(),
        };
        Ok((token, renew_after(expires)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(url: &str) -> Provider {
        let spec = TokenSpec::ClientCredentials {
            token_url: url.to_owned(),
            client_id: "gauge".to_owned(),
            client_secret: Secret::new("never/shown"),
            scope: None,
            ca: None,
            extensions: Vec::new(),
        };
        Provider::new(&spec).expect("a provider")
    }

    #[test]
    fn a_life_without_end_is_a_day() {
        for (seconds, lasts) in [(60.0, 60_000), (1e300, LONGEST_LIFE), (-1e300, 0), (f64::NAN, 0)]
        {
            let left = expires_in(seconds) - now_millis();
            assert!((lasts - 1_000..=lasts).contains(&left), "{seconds}: {left}");
        }
    }

    #[test]
    fn an_answer_is_repeated_without_the_secret_in_any_form() {
        let provider = provider("https://login.example.com/token");
        let (pair, alone) = (STANDARD.encode("gauge:never/shown"), STANDARD.encode("never/shown"));
        let answer = format!(
            r#"{{"error":"invalid","error_description":"{pair}, {alone}, never%2Fshown,\nnever/shown"}}"#
        );
        let said = provider.repeated(&answer).expect("what is said");
        assert_eq!(said, "invalid: ***, ***, ***,\\n***");
        let header = format!("Authorization: Basic {pair}");
        assert_eq!(provider.repeated(&header), None, "another form may hold it anyhow");
    }
}
