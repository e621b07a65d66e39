//! A look at how a broker speaks TLS, when librdkafka cannot connect: it tells that a
//! certificate does not verify, and not why.
//!
//! The connection is closed after the handshake, nothing is sent over it, and nothing
//! else rests on what is seen here.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, RootCertStore, SignatureScheme, StreamOwned,
};

use crate::config::{Identity, TlsSpec};
use crate::socket::{Timed, left};

/// For the whole look, but for finding the address of a name.
const PATIENCE: Duration = Duration::from_secs(3);
/// A broker that does not like our certificate says so after the handshake; one that does
/// says nothing before it is asked.
const A_WORD: Duration = Duration::from_millis(500);

/// Where librdkafka's `probe` looks for the authorities of the system, in the same order.
const BUNDLES: &[&str] = &[
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.trust.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/cacert.pem",
    "/etc/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-certificates.crt",
];

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// There is no connection, or no answer.
    Nothing,
    /// Whoever listens there speaks no TLS.
    NoTls,
    /// Nothing is wrong with it.
    Sound,
    /// What is wrong, and what to do.
    Wrong(String),
}

/// Looks at `host:port`; takes some seconds at most.
pub(super) fn look(address: &str, tls: &TlsSpec) -> Seen {
    let Some(name) = host(address).and_then(|host| ServerName::try_from(host.to_owned()).ok())
    else {
        return Seen::Nothing;
    };
    let Ok(mut addresses) = address.to_socket_addrs() else { return Seen::Nothing };
    let deadline = Instant::now() + PATIENCE;
    let stream =
        addresses.find_map(|at| TcpStream::connect_timeout(&at, left(deadline).ok()?).ok());
    let Some(stream) = stream else { return Seen::Nothing };
    let stream = Timed { stream, deadline };
    let roots = match roots(tls.ca.as_deref()) {
        Ok(roots) => roots,
        Err(why) => return Seen::Wrong(why),
    };
    let shown = Arc::new(Shown::new(tls.identity.as_ref()));
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|config| config.with_root_certificates(roots))
        .map(|config| config.with_client_cert_resolver(Arc::clone(&shown) as Arc<_>));
    let connection = config.and_then(|config| ClientConnection::new(Arc::new(config), name));
    let Ok(connection) = connection else { return Seen::Nothing };
    let asked = || shown.asked.load(Ordering::Relaxed);
    match shake_hands(StreamOwned::new(connection, stream)) {
        Ok(()) => Seen::Sound,
        Err(error) => seen(&error, tls, asked()),
    }
}

fn shake_hands(mut stream: StreamOwned<ClientConnection, Timed>) -> io::Result<()> {
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    stream.sock.deadline = stream.sock.deadline.min(Instant::now() + A_WORD);
    match stream.read(&mut [0]) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

/// The part before the port, without the brackets of an address.
fn host(address: &str) -> Option<&str> {
    let (host, _) = address.rsplit_once(':')?;
    Some(host.trim_start_matches('[').trim_end_matches(']'))
}

fn seen(error: &io::Error, tls: &TlsSpec, asked: bool) -> Seen {
    use rustls::Error as Tls;
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Tls>());
    let refused = |what: &str| {
        Seen::Wrong(match (&tls.identity, asked) {
            (None, true) => "the broker asks for a certificate, and none is declared: write \
                             `certificate` and `key` in [kafka.tls]"
                .to_owned(),
            (Some(identity), true) => format!(
                "the broker does not accept the certificate in `{}` ({what}): it has to be of an \
                 authority that the broker trusts, and not expired",
                identity.certificate
            ),
            (_, false) => format!("the broker refuses the connection ({what})"),
        })
    };
    match cause {
        Some(Tls::InvalidCertificate(error)) => Seen::Wrong(certificate(error, tls)),
        Some(Tls::AlertReceived(alert)) => refused(&format!("it says {alert:?}")),
        Some(Tls::InvalidMessage(_) | Tls::InappropriateMessage { .. }) => Seen::NoTls,
        Some(other) => Seen::Wrong(other.to_string()),
        None if matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ) =>
        {
            if asked {
                refused("it closes the connection")
            } else {
                Seen::NoTls
            }
        }
        None => Seen::Nothing,
    }
}

/// What is wrong with a broker's certificate.
fn certificate(error: &CertificateError, tls: &TlsSpec) -> String {
    let at = |time: rustls::pki_types::UnixTime| {
        let secs = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(secs).map(|at| at.to_string()).unwrap_or_default()
    };
    match error {
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "the broker's certificate has expired: it was valid until {}; it has to be renewed \
             there (or the clock here is wrong)",
            at(*not_after)
        ),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "the broker's certificate is not valid yet, but from {} on: look at the clocks here \
             and there",
            at(*not_before)
        ),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => match &tls.ca {
            Some(ca) => format!(
                "the broker's certificate is not from an authority in `{ca}`: put that of the \
                 brokers there (`ca` in [kafka.tls])"
            ),
            None => "the broker's certificate is not from an authority that this system trusts: \
                     name a file with that of the brokers as `ca` in [kafka.tls]"
                .to_owned(),
        },
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the broker's certificate is not for `{}`, but for {}: write in `brokers`, and let \
             the brokers advertise, a name for which it is",
            expected.to_str(),
            if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") }
        ),
        other => format!("the broker's certificate is not accepted: {other}"),
    }
}

fn roots(ca: Option<&str>) -> Result<RootCertStore, String> {
    let found = BUNDLES.iter().find(|path| Path::new(path).is_file()).copied();
    let Some(path) = ca.or(found) else {
        return Err("this system has no list of authorities (the package is mostly called \
                    `ca-certificates`): install it, or name a file as `ca` in [kafka.tls]"
            .to_owned());
    };
    let pem = fs::read(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() {
        return Err(format!("there is no certificate of an authority in `{path}`"));
    }
    Ok(roots)
}

/// What is shown to a broker that asks, and whether it has asked.
#[derive(Debug)]
struct Shown {
    asked: AtomicBool,
    key: Option<Arc<CertifiedKey>>,
}

impl Shown {
    /// An encrypted key is not read here: then nothing is shown.
    fn new(identity: Option<&Identity>) -> Shown {
        Shown { asked: AtomicBool::new(false), key: identity.and_then(key).map(Arc::new) }
    }
}

fn key(identity: &Identity) -> Option<CertifiedKey> {
    let pem = fs::read(&identity.certificate).ok()?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let key = PrivateKeyDer::from_pem_slice(&fs::read(&identity.key).ok()?).ok()?;
    let key = ring::sign::any_supported_type(&key).ok()?;
    Some(CertifiedKey::new(chain.ok()?, key))
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        // Else nobody would be told that one is asked for.
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_peer_that_drips_bytes_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            // The head of a long handshake, and then a byte now and again.
            let mut sent = stream.write_all(&[22, 3, 3, 0x3f, 0xff, 2, 0, 0x3f, 0xfb]);
            let end = Instant::now() + PATIENCE * 4;
            while sent.is_ok() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(100));
                sent = stream.write_all(&[0]);
            }
        });
        let begun = Instant::now();
        assert_eq!(look(&address, &TlsSpec::default()), Seen::Nothing);
        assert!(begun.elapsed() < PATIENCE * 2, "{:?}", begun.elapsed());
    }
}
