//! A provider of tokens: it signs JSON Web Tokens by ES256, and gives them out as OpenID
//! Connect says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::filed::Issued;

pub(crate) const AUDIENCE: &str = "kafka";
pub(crate) const ISSUER: &str = "https://login.example.com";
pub(crate) const CLIENT: (&str, &str) = ("gauge", "never-shown-secret");

/// The key with which tokens are signed.
pub(crate) struct Signer(KeyPair);

impl Signer {
    pub(crate) fn new() -> Signer {
        Signer(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key"))
    }

    /// What a broker has to know to verify tokens (RFC 7517).
    pub(crate) fn key_set(&self) -> String {
        // 4, and then both coordinates.
        let (x, y) = self.0.public_key_raw()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"test","use":"sig","alg":"ES256","x":"{x}","y":"{y}"}}]}}"#
        )
    }

    /// A token for a user that is good for so long.
    pub(crate) fn token(&self, user: &str, audience: &str, good_for: Duration) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let end = now + good_for.as_secs();
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"test","typ":"JWT"}"#);
        let claims = URL_SAFE_NO_PAD.encode(format!(
            r#"{{"sub":"{user}","aud":"{audience}","iss":"{ISSUER}","iat":{now},"exp":{end}}}"#
        ));
        let signed = format!("{head}.{claims}");
        let signature = self.0.sign(signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(fixed(&signature)))
    }
}

/// Two numbers in ASN.1 as two numbers of 32 bytes.
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut fixed = Vec::with_capacity(64);
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(usize::from(rest[1]));
        rest = after;
        let number = &number[number.len().saturating_sub(32)..];
        fixed.resize(fixed.len() + 32 - number.len(), 0);
        fixed.extend_from_slice(number);
    }
    fixed
}

/// Gives tokens to [`CLIENT`], over TLS if it has a certificate.
pub(crate) struct Provider {
    address: SocketAddr,
    given: Arc<AtomicU64>,
    trouble: Arc<Mutex<Option<(u16, String)>>>,
    scheme: &'static str,
}

impl Provider {
    /// Listens on the loopback from now until the process ends. Tokens are good for so
    /// long.
    pub(crate) fn start(
        signer: Arc<Signer>,
        good_for: Duration,
        certificate: Option<&Issued>,
    ) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let given = Arc::new(AtomicU64::new(0));
        let trouble: Arc<Mutex<Option<(u16, String)>>> = Arc::default();
        let tls = certificate.map(|issued| Arc::new(server(issued)));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (counted, wanted) = (Arc::clone(&given), Arc::clone(&trouble));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let answer = |form: &str, authorization: &str| {
                    if let Some(trouble) = wanted.lock().expect("the trouble").clone() {
                        return trouble;
                    }
                    let expected = STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1));
                    if authorization != format!("Basic {expected}") {
                        let said =
                            r#"{"error":"invalid_client","error_description":"no such client"}"#;
                        return (401, said.to_owned());
                    }
                    assert_eq!(form, "grant_type=client_credentials&scope=kafka%20read");
                    counted.fetch_add(1, Ordering::SeqCst);
                    let token = signer.token(CLIENT.0, AUDIENCE, good_for);
                    let lasts = good_for.as_secs();
                    let said = format!(
                        r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{lasts}}}"#
                    );
                    (200, said)
                };
                // A caller that goes away in the midst is no concern of the test.
                let _ = match &tls {
                    None => serve(stream, answer),
                    Some(config) => ServerConnection::new(Arc::clone(config))
                        .map_err(std::io::Error::other)
                        .and_then(|tls| serve(StreamOwned::new(tls, stream), answer)),
                };
            }
        });
        Provider { address, given, trouble, scheme }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}/oauth2/token", self.scheme, self.address.port())
    }

    /// Tokens given so far.
    pub(crate) fn given(&self) -> u64 {
        self.given.load(Ordering::SeqCst)
    }

    /// Answers so from now on; `None` gives tokens again.
    pub(crate) fn answer(&self, trouble: Option<(u16, &str)>) {
        let trouble = trouble.map(|(status, text)| (status, text.to_owned()));
        *self.trouble.lock().expect("the trouble") = trouble;
    }
}

fn server(issued: &Issued) -> ServerConfig {
    let read = |path| std::fs::read(path).expect("a file");
    let certificate = CertificateDer::from_pem_slice(&read(&issued.certificate)).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(&read(&issued.key)).expect("PEM");
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate with its key")
}

fn serve(
    mut stream: impl Read + Write,
    answer: impl Fn(&str, &str) -> (u16, String),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(&mut stream);
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "authorization" => value.trim().clone_into(&mut authorization),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, text) = answer(&String::from_utf8_lossy(&body), &authorization);
    write!(
        stream,
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    )?;
    stream.flush()
}
