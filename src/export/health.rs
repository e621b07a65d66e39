//! Asking an instance on the same machine how it is, as health checks of containers do.
//!
//! In: where it listens, and whether it has a web configuration. Out: status and text of
//! its answer. What the web configuration says is not read: an instance lives on with what
//! it took up last, also while the files on the disk are broken, and a health check that
//! failed for that would have it ended by whoever looks after it. So TLS is tried where
//! there may be some, with whatever certificate is shown: the question holds no secret, and
//! goes to this machine alone.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    SignatureScheme, StreamOwned,
};

use crate::config::seen_at;
use crate::socket::{Timed, left};

/// No answer to a probe is longer.
const LONGEST: u64 = 64 * 1024;

/// A question to an instance on this machine.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Where it listens; every address of the machine stands for the loopback.
    pub listen: SocketAddr,
    /// Whether it has a web configuration, and so may speak TLS.
    pub may_speak_tls: bool,
    /// `/healthz` or `/readyz`.
    pub path: &'static str,
    /// How long all of it may take.
    pub limit: Duration,
    /// A certificate to show and its key, in PEM files.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// What an instance answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// The text, on one line.
    pub text: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The certificate to show cannot be read.
    #[error("`{}` cannot be used: {why}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It listens on a port that the system has chosen.
    #[error("`[export] listen` leaves the port to the system, so that nobody knows where to ask")]
    NoPort,
    /// It is not there, or says nothing that is understood.
    #[error("no answer from {address}: {why}")]
    NoAnswer {
        /// Where it was asked.
        address: SocketAddr,
        /// What is known of the reason.
        why: String,
    },
}

impl Probe {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// There is none in time, or it cannot be asked.
    pub fn ask(&self) -> Result<ProbeAnswer, ProbeError> {
        if self.listen.port() == 0 {
            return Err(ProbeError::NoPort);
        }
        let deadline = Instant::now() + self.limit;
        let address = seen_at(self.listen);
        let plainly = || exchange(address, None, self.path, deadline);
        let answer = match self.may_speak_tls {
            false => plainly(),
            true => match exchange(address, Some(self.tls()?), self.path, deadline) {
                Err(error) if is_no_tls(&error) => plainly(),
                answer => answer,
            },
        };
        answer.map_err(|error| ProbeError::NoAnswer { address, why: cause(&error) })
    }

    fn tls(&self) -> Result<ClientConfig, ProbeError> {
        let provider = Arc::new(ring::default_provider());
        let broken =
            |error: Error| ProbeError::NoAnswer { address: self.listen, why: error.to_string() };
        let verifier = Any { provider: Arc::clone(&provider) };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(broken)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let Some((certificate, key)) = &self.certificate else {
            return Ok(builder.with_no_client_auth());
        };
        let unusable = |path: &Path, why: &str| ProbeError::Certificate {
            path: path.to_owned(),
            why: why.to_owned(),
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(|chain| chain.collect::<Result<Vec<_>, _>>())
            .map_err(|_| {
                unusable(certificate, "there is no certificate in it, or it cannot be read")
            })?;
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|_| unusable(key, "there is no private key in it, or it cannot be read"))?;
        builder
            .with_client_auth_cert(chain, private)
            .map_err(|error| unusable(key, &error.to_string()))
    }
}

fn exchange(
    address: SocketAddr,
    tls: Option<ClientConfig>,
    path: &str,
    deadline: Instant,
) -> io::Result<ProbeAnswer> {
    let stream = TcpStream::connect_timeout(&address, left(deadline)?)?;
    let mut stream = Timed { stream, deadline };
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = match tls {
        None => ask_over(&mut stream, &head)?,
        Some(config) => {
            let name = ServerName::IpAddress(address.ip().into());
            let connection =
                ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
            ask_over(&mut StreamOwned::new(connection, stream), &head)?
        }
    };
    parse(&answer).ok_or_else(|| io::Error::other("what came is no answer of HTTP"))
}

fn ask_over(stream: &mut (impl Read + Write), head: &str) -> io::Result<Vec<u8>> {
    stream.write_all(head.as_bytes())?;
    stream.flush()?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    Ok(answer)
}

fn parse(answer: &[u8]) -> Option<ProbeAnswer> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    let lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
    Some(ProbeAnswer { status, text: lines.collect::<Vec<_>>().join("; ") })
}

fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Whether the other side speaks something else than TLS.
fn is_no_tls(error: &io::Error) -> bool {
    matches!(of_tls(error), Some(Error::InvalidMessage(_)))
}

/// What is wrong, as far as it can be told, in words for an operator.
fn cause(error: &io::Error) -> String {
    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
        return "it took too long".to_owned();
    }
    match of_tls(error) {
        Some(Error::AlertReceived(AlertDescription::CertificateRequired)) => {
            "it demands a certificate of every client: name one with --client-cert and --client-key"
                .to_owned()
        }
        Some(Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied,
        )) => {
            "it does not accept the certificate that was shown; its log has the reason".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Takes every certificate; that its key is there is proved as ever.
#[derive(Debug)]
struct Any {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
