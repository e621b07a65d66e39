//! What lets a client in: TLS and sign-in as librdkafka's settings, and the tokens that
//! all clients of an instance share.
//!
//! This is the one place that turns what is declared into settings, so that no client
//! goes another way than the others.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rdkafka::bindings::rd_kafka_t;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, KafkaResult};

use super::token::{Admitted, Tokens};
use crate::config::{KafkaSpec, SignInSpec, TlsSpec};

/// What lets clients in; clones share their tokens. The default is what a plain listener
/// needs: nothing.
#[derive(Clone, Default)]
pub struct Access(Arc<Inner>);

#[derive(Default)]
struct Inner {
    tls: Option<TlsSpec>,
    sign_in: Option<SignInSpec>,
    /// Fetched from the first client on.
    tokens: OnceLock<Tokens>,
}

/// Secrets do not show themselves.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("tls", &self.0.tls)
            .field("sign_in", &self.0.sign_in)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// As declared. Nothing is fetched before there is a client.
    pub fn new(spec: &KafkaSpec) -> Access {
        let (tls, sign_in) = (spec.tls.clone(), spec.sign_in.clone());
        Access(Arc::new(Inner { tls, sign_in, tokens: OnceLock::new() }))
    }

    /// How connections are encrypted, if that is declared.
    pub(super) fn tls(&self) -> Option<&TlsSpec> {
        self.0.tls.as_ref()
    }

    /// Who signs in, if that is declared.
    pub(super) fn sign_in(&self) -> Option<&SignInSpec> {
        self.0.sign_in.as_ref()
    }

    /// Why clients have no token to sign in with; `None` where they have, or need none.
    pub(super) fn trouble(&self) -> Option<String> {
        self.0.tokens.get().and_then(Tokens::trouble)
    }

    /// Whether the token of the clients has ended, or will any moment.
    pub(super) fn is_between_tokens(&self) -> bool {
        self.0.tokens.get().is_some_and(Tokens::is_ending)
    }

    pub(super) fn tokens(&self) -> Option<&Tokens> {
        match &self.0.sign_in {
            Some(SignInSpec::Token(spec)) => {
                Some(self.0.tokens.get_or_init(|| Tokens::start(spec)))
            }
            _ => None,
        }
    }

    /// A client that signs in so. `native` gives its pointer.
    pub(super) fn create<T, C>(
        &self,
        config: &ClientConfig,
        context: C,
        native: impl FnOnce(&T) -> *mut rd_kafka_t,
    ) -> KafkaResult<Admitted<T>>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        let client = config.create_with_context(context).map_err(without_value)?;
        Ok(Admitted::new(self, client, native))
    }

    /// Sets what is declared; where nothing is, the properties count.
    pub(super) fn apply(&self, config: &mut ClientConfig) {
        let (tls, sign_in) = (&self.0.tls, &self.0.sign_in);
        if tls.is_none() && sign_in.is_none() {
            return;
        }
        // Of what is declared by half, the other half may be among the properties.
        let is_ssl = |protocol: &str| protocol.to_ascii_lowercase().ends_with("ssl");
        let encrypted = tls.is_some() || config.get("security.protocol").is_some_and(is_ssl);
        let mechanism = config.get("sasl.mechanism").or(config.get("sasl.mechanisms"));
        let protocol = match (encrypted, sign_in.is_some() || mechanism.is_some()) {
            (true, false) => "ssl",
            (true, true) => "sasl_ssl",
            (false, _) => "sasl_plaintext",
        };
        config.set("security.protocol", protocol);
        if let Some(tls) = tls {
            apply_tls(tls, config);
        }
        match sign_in {
            Some(SignInSpec::Password { mechanism, username, password }) => {
                config
                    .set("sasl.mechanism", mechanism.name())
                    .set("sasl.username", username)
                    .set("sasl.password", password.expose());
            }
            Some(sign_in @ SignInSpec::Token(_)) => {
                config.set("sasl.mechanism", sign_in.mechanism());
            }
            None => {}
        }
    }
}

/// The same error without the value of the setting, which may be a password under a
/// misspelt name: librdkafka's own is shown with it.
pub(super) fn without_value(error: KafkaError) -> KafkaError {
    match error {
        KafkaError::ClientConfig(_, reason, name, value) => {
            let reason = reason_without(&reason, &value);
            KafkaError::ClientCreation(match name.is_empty() {
                true => reason,
                false => format!("librdkafka refuses `{name}`: {reason}"),
            })
        }
        other => other,
    }
}

/// What librdkafka says against a value, without the value.
pub(super) fn reason_without(reason: &str, value: &str) -> String {
    /// A shorter text would be found in numbers and names as well.
    const TELLING: usize = 4;
    if reason.starts_with("Invalid value \"") {
        // What follows may be a part of it only.
        return "it cannot have this value".to_owned();
    }
    match value.len() < TELLING {
        true => reason.to_owned(),
        false => reason.replace(value, "***"),
    }
}

/// Which setting a client could not be made with, and why, for a sentence.
pub(super) fn unusable(error: KafkaError) -> String {
    match without_value(error) {
        KafkaError::ClientCreation(text) => text,
        other => other.to_string(),
    }
}

fn apply_tls(tls: &TlsSpec, config: &mut ClientConfig) {
    // `probe` looks for the bundle of the system at the usual places: the OpenSSL that is
    // linked in knows only where it would be if it had been installed here.
    config.set("ssl.ca.location", tls.ca.as_deref().unwrap_or("probe"));
    if let Some(identity) = &tls.identity {
        config
            .set("ssl.certificate.location", &identity.certificate)
            .set("ssl.key.location", &identity.key);
        if let Some(password) = &identity.key_password {
            config.set("ssl.key.password", password.expose());
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};

    use super::*;
    use crate::config::{PasswordMechanism, Secret};

    #[test]
    fn a_setting_that_is_refused_is_told_without_its_value() {
        let check = |name: &str, expected: &str| {
            let mut config = ClientConfig::new();
            config.set(name, "hunter2secret");
            let native =
                |client: &BaseConsumer<DefaultConsumerContext>| client.client().native_ptr();
            let made = Access::default().create(&config, DefaultConsumerContext, native);
            let error = made.err().expect("it is refused");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && shown.contains(name), "{shown}");
            assert_eq!(unusable(error), expected);
        };
        check(
            "sasl.passwrd",
            "librdkafka refuses `sasl.passwrd`: No such configuration property: \"sasl.passwrd\"",
        );
        check(
            "security.protocol",
            "librdkafka refuses `security.protocol`: it cannot have this value",
        );
    }

    #[test]
    fn the_protocol_follows_from_what_is_declared_and_the_properties() {
        let password = || SignInSpec::Password {
            mechanism: PasswordMechanism::Plain,
            username: "gauge".to_owned(),
            password: Secret::new("secret"),
        };
        let check = |tls: bool, sign_in: bool, property: Option<(&str, &str)>, expected| {
            let mut config = ClientConfig::new();
            if let Some((name, value)) = property {
                config.set(name, value);
            }
            let tls = tls.then(TlsSpec::default);
            let sign_in = sign_in.then(password);
            Access(Arc::new(Inner { tls, sign_in, tokens: OnceLock::new() })).apply(&mut config);
            assert_eq!(config.get("security.protocol"), expected, "{property:?}");
        };
        check(false, false, None, None);
        check(false, false, Some(("security.protocol", "ssl")), Some("ssl"));
        check(true, false, None, Some("ssl"));
        check(true, false, Some(("sasl.mechanism", "GSSAPI")), Some("sasl_ssl"));
        check(true, true, None, Some("sasl_ssl"));
        check(false, true, None, Some("sasl_plaintext"));
        check(false, true, Some(("security.protocol", "SASL_SSL")), Some("sasl_ssl"));
    }
}
