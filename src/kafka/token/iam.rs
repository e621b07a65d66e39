//! Tokens for Amazon MSK: a request that is signed and never sent, in base64. The broker
//! sends it, and so learns whose it is.
//!
//! The credentials are those that Amazon's own tools would use here: of the environment,
//! a profile, a web identity, a container or the machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::tls;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::runtime::Runtime;

use super::{Token, TokenSource, percent_encoded, renew_after};

/// How long a token is good, as Amazon's own signers have it.
const LIFE: Duration = Duration::from_secs(900);
/// For credentials, which may come over the network.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the signature is for.
const SERVICE: &str = "kafka-cluster";
const ACTION: (&str, &str) = ("Action", "kafka-cluster%3AConnect");

pub(super) struct Signer {
    region: String,
    runtime: Runtime,
    /// Made with the first token: it may ask the network.
    config: Option<SdkConfig>,
}

impl Signer {
    pub(super) fn new(region: &str) -> Result<Signer, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("the system gives no runtime: {error}"))?;
        Ok(Signer { region: region.to_owned(), runtime, config: None })
    }

    fn credentials(&mut self) -> Result<Credentials, String> {
        let region = self.region.clone();
        let config = self.config.get_or_insert_with(|| {
            let crypto = tls::rustls_provider::CryptoMode::Ring;
            let client = aws_smithy_http_client::Builder::new()
                .tls_provider(tls::Provider::Rustls(crypto))
                .build_https();
            let load = aws_config::defaults(BehaviorVersion::latest())
                .region(Region::new(region))
                .http_client(client)
                .load();
            self.runtime.block_on(load)
        });
        let Some(provider) = config.credentials_provider() else {
            return Err("there are no credentials of Amazon's cloud".to_owned());
        };
        let asked = async { tokio::time::timeout(PATIENCE, provider.provide_credentials()).await };
        match self.runtime.block_on(asked) {
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(error)) => Err(format!(
                "there are no credentials of Amazon's cloud ({}): give this machine, pod or \
                 profile a role",
                chain(&error)
            )),
            Err(_) => Err("whoever has the credentials of Amazon's cloud does not answer".into()),
        }
    }
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl TokenSource for Signer {
    fn fetch(&mut self) -> Result<(Token, Duration), String> {
        let credentials = self.credentials()?;
        let now = SystemTime::now();
        let agent = concat!("tidegauge%2F", env!("CARGO_PKG_VERSION"));
        let value = signed(&credentials, &self.region, now, agent)?;
        let end = now + LIFE;
        let end = credentials.expiry().map_or(end, |expiry| expiry.min(end));
        let expires = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let expires = i64::try_from(expires).unwrap_or(i64::MAX);
        let principal = credentials.access_key_id().to_owned();
        let token = Token { value, principal, expires, extensions: Vec::new() };
        Ok((token, renew_after(expires)))
    }
}

/// The token; `agent` is who asks, as it stands in an address.
fn signed(
    credentials: &Credentials,
    region: &str,
    at: SystemTime,
    agent: &str,
) -> Result<String, String> {
    let says = |error: &dyn std::error::Error| format!("the token cannot be signed: {error}");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFE);
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(at)
        .settings(settings)
        .build()
        .map_err(|error| says(&error))?
        .into();
    let mut url = format!("https://kafka.{region}.amazonaws.com/?{}={}", ACTION.0, ACTION.1);
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| says(&error))?;
    let (instructions, _) = sign(request, &params).map_err(|error| says(&error))?.into_parts();
    let (_, mut query) = instructions.into_parts();
    // What is signed does not depend on the order; Amazon's own signers put it last.
    query.sort_by_key(|(name, _)| *name == "X-Amz-Signature");
    for (name, value) in query {
        url.push_str(&format!("&{name}={}", percent_encoded(&value)));
    }
    url.push_str(&format!("&User-Agent={agent}"));
    Ok(URL_SAFE_NO_PAD.encode(url))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    const AT: u64 = 1_796_069_707;
    const REGION: &str = "eu-west-1";
    const KEY: (&str, &str) = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    const SESSION: &str = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJ+a/b==";

    /// What Amazon's signer for Python, version 1.0.2, gives for these at this time.
    const OF_A_USER: &str = "\
        aHR0cHM6Ly9rYWZrYS5ldS13ZXN0LTEuYW1hem9uYXdzLmNvbS8_QWN0aW9uPWthZmthLWNsdXN0ZXIlM0FD\
        b25uZWN0JlgtQW16LUFsZ29yaXRobT1BV1M0LUhNQUMtU0hBMjU2JlgtQW16LUNyZWRlbnRpYWw9QUtJREVY\
        QU1QTEUlMkYyMDI2MTEzMCUyRmV1LXdlc3QtMSUyRmthZmthLWNsdXN0ZXIlMkZhd3M0X3JlcXVlc3QmWC1B\
        bXotRGF0ZT0yMDI2MTEzMFQyMDE1MDdaJlgtQW16LUV4cGlyZXM9OTAwJlgtQW16LVNpZ25lZEhlYWRlcnM9\
        aG9zdCZYLUFtei1TaWduYXR1cmU9OTU2NDMwOWMxNmEyOGIyYWEwYTQ1ODYxYWIxNzY3OGM0MmU3MTkwYmNi\
        NzZlZDI2ZTAzOTYzMGRlZTJjYTQyOSZVc2VyLUFnZW50PWF3cy1tc2staWFtLXNhc2wtc2lnbmVyLXB5dGhv\
        biUyRjEuMC4y";
    const OF_A_ROLE: &str = "\
        aHR0cHM6Ly9rYWZrYS5ldS13ZXN0LTEuYW1hem9uYXdzLmNvbS8_QWN0aW9uPWthZmthLWNsdXN0ZXIlM0FD\
        b25uZWN0JlgtQW16LUFsZ29yaXRobT1BV1M0LUhNQUMtU0hBMjU2JlgtQW16LUNyZWRlbnRpYWw9QUtJREVY\
        QU1QTEUlMkYyMDI2MTEzMCUyRmV1LXdlc3QtMSUyRmthZmthLWNsdXN0ZXIlMkZhd3M0X3JlcXVlc3QmWC1B\
        bXotRGF0ZT0yMDI2MTEzMFQyMDE1MDdaJlgtQW16LUV4cGlyZXM9OTAwJlgtQW16LVNpZ25lZEhlYWRlcnM9\
        aG9zdCZYLUFtei1TZWN1cml0eS1Ub2tlbj1JUW9KYjNKcFoybHVYMlZqRVhBTVBMRSUyRiUyRiUyRiUyRiUy\
        RiUyRiUyRiUyRiUyRiUyRndFYUNYVnpMV1ZoYzNRdE1TSiUyQmElMkZiJTNEJTNEJlgtQW16LVNpZ25hdHVy\
        ZT01ZmE4MmU0NGZhMGVlMjM1ZjQ4ODY2YzRlYzY0YzJjNzcwYjMyZDIyZmJjNjNjMTFmNzk3NDA2NDFjZTc3\
        ZTljJlVzZXItQWdlbnQ9YXdzLW1zay1pYW0tc2FzbC1zaWduZXItcHl0aG9uJTJGMS4wLjI";

    fn token(session: Option<&str>, agent: &str) -> String {
        let session = session.map(str::to_owned);
        let credentials = Credentials::new(KEY.0, KEY.1, session, None, "test");
        let at = UNIX_EPOCH + Duration::from_secs(AT);
        signed(&credentials, REGION, at, agent).expect("a token")
    }

    #[test]
    fn tokens_are_those_of_amazons_own_signer() {
        let agent = "aws-msk-iam-sasl-signer-python%2F1.0.2";
        assert_eq!(token(None, agent), OF_A_USER);
        assert_eq!(token(Some(SESSION), agent), OF_A_ROLE);
    }

    /// The signer itself, with its clock held still; the version is that which is there.
    const SIGNER: &str = r#"
import datetime, sys
sys.path.insert(0, sys.argv[1])
import botocore.auth
at = datetime.datetime.fromtimestamp(int(sys.argv[2]), datetime.timezone.utc)
botocore.auth.get_current_datetime = lambda *_, **__: at.replace(tzinfo=None)
from botocore.credentials import CredentialProvider, Credentials
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider as signer
class Fixed(CredentialProvider):
    def load(self):
        return Credentials(sys.argv[4], sys.argv[5], sys.argv[6] or None)
token, _ = signer.generate_auth_token_from_credentials_provider(sys.argv[3], Fixed())
print(token, signer.__get_user_agent__().replace("/", "%2F"))
"#;

    #[test]
    fn the_signer_that_is_installed_gives_the_same() {
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python");
        assert!(
            packages.join("aws_msk_iam_sasl_signer").is_dir(),
            "tests/run installs aws-msk-iam-sasl-signer-python to {}",
            packages.display()
        );
        for session in [None, Some(SESSION)] {
            let output = Command::new("python3")
                .args(["-c", SIGNER])
                .arg(&packages)
                .args([&AT.to_string(), REGION, KEY.0, KEY.1, session.unwrap_or_default()])
                .output()
                .expect("python3 runs");
            let text = String::from_utf8_lossy(&output.stdout);
            let said = String::from_utf8_lossy(&output.stderr);
            let (expected, agent) = text.trim().split_once(' ').unwrap_or_else(|| panic!("{said}"));
            assert_eq!(token(session, agent), expected);
        }
    }
}
