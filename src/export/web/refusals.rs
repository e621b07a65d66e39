//! Whom nobody let in, and why: counted each time, told now and then.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::{AlertDescription, CertificateError, Error};

/// How often refusals of one kind are worth a word to the operator.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Why a request or a connection was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It came with no password, token or certificate.
    NoCredentials,
    /// It came with more than one `Authorization`, or one that cannot be read.
    Unreadable,
    /// The name or the password is wrong.
    WrongPassword,
    /// The token is wrong.
    WrongToken,
    /// A certificate is demanded, and none was shown.
    NoCertificate,
    /// The certificate that was shown is expired, of another issuer, or of another name.
    BadCertificate,
    /// TLS could not be agreed upon.
    Handshake,
    /// There were too many requests, or passwords at once.
    RateLimited,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 8] = [
        Refusal::NoCredentials,
        Refusal::Unreadable,
        Refusal::WrongPassword,
        Refusal::WrongToken,
        Refusal::NoCertificate,
        Refusal::BadCertificate,
        Refusal::Handshake,
        Refusal::RateLimited,
    ];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::NoCredentials => "no_credentials",
            Refusal::Unreadable => "unreadable",
            Refusal::WrongPassword => "wrong_password",
            Refusal::WrongToken => "wrong_token",
            Refusal::NoCertificate => "no_certificate",
            Refusal::BadCertificate => "bad_certificate",
            Refusal::Handshake => "handshake",
            Refusal::RateLimited => "rate_limited",
        }
    }

    /// The cause, for the log.
    pub(super) const fn says(self) -> &'static str {
        match self {
            Refusal::NoCredentials => "it came without a password, a token or a certificate",
            Refusal::Unreadable => "its `Authorization` is there twice, or cannot be read",
            Refusal::WrongPassword => "the name or the password is wrong",
            Refusal::WrongToken => "the token is wrong",
            Refusal::NoCertificate => "it showed no certificate",
            Refusal::BadCertificate => "its certificate is not accepted",
            Refusal::Handshake => "TLS could not be agreed upon",
            Refusal::RateLimited => {
                "there are more requests than `rate_limit` allows, or too many passwords at once"
            }
        }
    }
}

/// How many there were of each kind.
pub type RefusalCounts = [u64; Refusal::ALL.len()];

#[derive(Default)]
pub(super) struct Refusals {
    counts: [AtomicU64; Refusal::ALL.len()],
    said: Mutex<[Option<Said>; Refusal::ALL.len()]>,
}

#[derive(Clone, Copy)]
struct Said {
    at: Instant,
    count: u64,
}

impl Refusals {
    /// Counts one, and tells of it unless one like it was told of within a minute. `cause`
    /// never has anything in it that a client sent.
    pub(super) fn note(&self, refusal: Refusal, peer: SocketAddr, cause: &str) {
        let place = refusal as usize;
        let count = self.counts[place].fetch_add(1, Relaxed) + 1;
        // It is whole at any moment: a panic elsewhere spoils nothing.
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let last = said[place];
        if last.is_some_and(|said| said.at.elapsed() < SAID_EVERY) {
            return;
        }
        said[place] = Some(Said { at: Instant::now(), count });
        drop(said);
        let others = count - 1 - last.map_or(0, |said| said.count);
        tracing::warn!(%peer, reason = refusal.name(), others_since = others, "refused a client: {cause}");
    }

    pub(super) fn counts(&self) -> RefusalCounts {
        self.counts.each_ref().map(|count| count.load(Relaxed))
    }
}

/// What went wrong in a handshake; `None` where the client just went away.
pub(super) fn of_handshake(error: &io::Error) -> Option<(Refusal, String)> {
    let inner = error.get_ref()?.downcast_ref::<Error>()?;
    let (refusal, cause) = match inner {
        Error::NoCertificatesPresented => {
            (Refusal::NoCertificate, Refusal::NoCertificate.says().to_owned())
        }
        Error::InvalidCertificate(why) => {
            let why = match why {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "it was issued by somebody who is not in `client_ca_file`".to_owned()
                }
                CertificateError::ApplicationVerificationFailure => {
                    "none of its names is in `client_allowed_sans`".to_owned()
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "it has expired".to_owned()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "it is not valid yet".to_owned()
                }
                // The others say what is wrong with its form or purpose.
                other => format!("{other}"),
            };
            (Refusal::BadCertificate, format!("{}: {why}", Refusal::BadCertificate.says()))
        }
        Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown),
        ) => (
            Refusal::Handshake,
            format!(
                "it does not accept the certificate of this server ({alert:?}): does it know the issuer, the name and the time?"
            ),
        ),
        Error::PeerIncompatible(_) => (
            Refusal::Handshake,
            format!(
                "{}: it speaks an older version of TLS, or none of the same cipher suites",
                Refusal::Handshake.says()
            ),
        ),
        Error::InvalidMessage(_) => (Refusal::Handshake, "what it sent is no TLS".to_owned()),
        other => (Refusal::Handshake, format!("{}: {other}", Refusal::Handshake.says())),
    };
    Some((refusal, cause))
}
