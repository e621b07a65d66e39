//! Signing in, and TLS: the file that `[export] web_config` names, in the form of the
//! exporter toolkit of Prometheus.
//!
//! In: that file and those that it names; connections, and the heads of requests. Out:
//! connections under TLS, and who may see what. Kept: what is in force, passwords that
//! were right, counts of refusals. A file that changes takes force within seconds, whole or
//! not at all. Never done here: answering a request, and writing a name, a password or a
//! token anywhere.

mod algorithms;
mod clients;
mod files;
mod passwords;
mod pem;
mod rate;
mod refusals;
mod reload;
mod sign_in;
mod spec;
mod tls;
mod tokens;
mod yaml;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::ServerConfig;
use tokio::sync::watch;

use crate::config::{Place, Problem, ProblemList};
use crate::event::EventTime;
use passwords::Passwords;
use refusals::Refusals;
pub use refusals::{Refusal, RefusalCounts};
use reload::Progress;
pub(super) use sign_in::SignIn;
use spec::InForce;

/// What is in force of the web configuration, and what it is read from.
pub struct Web {
    path: PathBuf,
    in_force: watch::Sender<Arc<InForce>>,
    passwords: Passwords,
    refusals: Refusals,
    progress: Mutex<Progress>,
    /// Whether what is on the disk is what is in force.
    up_to_date: AtomicBool,
}

/// What is wrong with a web configuration.
#[derive(Debug, Clone, Default)]
pub struct WebCheck {
    /// What nothing can start with.
    pub problems: Vec<Problem>,
    /// Certificates out of their time: nothing to start with, and nothing to leave a
    /// running service without figures for.
    pub dated: Vec<Problem>,
    /// What is allowed and yet worth a word to the operator.
    pub warnings: Vec<Problem>,
}

/// What the metrics say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebReport {
    /// Whether what is on the disk is what is in force.
    pub up_to_date: bool,
    /// When the server's certificate ends; `None` without TLS.
    pub expires: Option<EventTime>,
    /// Refusals since the process started, in the order of [`Refusal::ALL`].
    pub refused: RefusalCounts,
}

/// Looks at the file at `path`, for a server that listens at `listen`.
pub fn check_web(path: &Path, listen: SocketAddr) -> WebCheck {
    let reading = spec::read(path, now());
    let mut warnings = reading.warnings;
    if let Some(in_force) = &reading.in_force {
        warnings.extend(exposed(in_force, path, listen));
    }
    WebCheck { problems: reading.problems, dated: reading.dated, warnings }
}

/// What whoever reaches a public address learns.
fn exposed(in_force: &InForce, path: &Path, listen: SocketAddr) -> Option<Problem> {
    if listen.ip().to_canonical().is_loopback() {
        return None;
    }
    let (what, remedy) = match (in_force.asks(), &in_force.tls) {
        (false, _) => (
            format!("whoever reaches {listen} reads every figure: nobody is asked who they are"),
            "declare `basic_auth_users`, `bearer_tokens` or certificates of clients",
        ),
        (true, None) => (
            format!(
                "whoever is on the way to {listen} reads passwords, tokens and figures: they travel in plain text"
            ),
            "declare `tls_server_config`, or listen on 127.0.0.1 behind a proxy that speaks TLS",
        ),
        (true, Some(_)) => return None,
    };
    let at = Place::file(&path.to_string_lossy());
    Some(Problem { at, what, remedy: Some(remedy.to_owned()) })
}

fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime::from_secs(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Bytes that nobody can guess, from the system's random source.
fn random_bytes<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(bytes)
}

/// The bcrypt hash of a password, as `basic_auth_users` takes it.
///
/// # Errors
/// The password is empty, or longer than what bcrypt looks at.
pub fn hash_password(password: &str, cost: u32) -> Result<String, String> {
    match password.len() {
        0 => Err("the password is empty".to_owned()),
        _ if password.contains('\0') => {
            Err("there is a zero byte in the password, where bcrypt would end it".to_owned())
        }
        1..=passwords::LONGEST => bcrypt::hash(password, cost).map_err(|error| error.to_string()),
        _ => Err(format!(
            "bcrypt looks at {} bytes of a password, and this one is longer",
            passwords::LONGEST
        )),
    }
}

/// A new token, and its hash as `bearer_tokens` takes it.
///
/// # Errors
/// The system has no random bytes to give.
pub fn new_token() -> Result<(String, String), String> {
    let token = URL_SAFE_NO_PAD.encode(random_bytes::<32>()?);
    let hash = tokens::hash(token.as_bytes());
    Ok((token, hash.iter().map(|byte| format!("{byte:02x}")).collect()))
}

impl Web {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Every problem of it; certificates out of their time are none.
    pub fn open(path: &Path) -> Result<Web, ProblemList> {
        let reading = spec::read(path, now());
        let refuse = |what: String| {
            let at = Place::file(&path.to_string_lossy());
            ProblemList::from(vec![Problem { at, what, remedy: None }])
        };
        let key = random_bytes().map_err(refuse)?;
        let Some(in_force) = reading.in_force else {
            return Err(ProblemList::from(reading.problems));
        };
        Ok(Web {
            path: path.to_owned(),
            in_force: watch::Sender::new(Arc::new(in_force)),
            passwords: Passwords::new(key),
            refusals: Refusals::default(),
            progress: Mutex::new(Progress::begun_with(reading.seen)),
            up_to_date: AtomicBool::new(true),
        })
    }

    /// What the metrics say.
    pub fn report(&self) -> WebReport {
        WebReport {
            up_to_date: self.up_to_date.load(Relaxed),
            expires: self.current().tls.as_ref().map(|tls| tls.expires),
            refused: self.refusals.counts(),
        }
    }

    fn current(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.borrow())
    }

    /// How connections begin; `None` without TLS.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.current().tls.as_ref().map(|tls| Arc::clone(&tls.config))
    }

    /// Tells when something else is in force: connections of before are closed then.
    pub(super) fn changes(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut changes = self.in_force.subscribe();
        async move {
            if changes.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Who a request comes from.
    pub(super) async fn sign_in(
        &self,
        headers: &HeaderMap,
        peer: SocketAddr,
        certificate: bool,
    ) -> SignIn {
        let in_force = self.current();
        sign_in::look(&in_force, &self.passwords, headers, peer.ip(), certificate).await
    }

    /// Takes a request out of what `rate_limit` allows; the error says when one is allowed
    /// again.
    pub(super) fn allow(&self) -> Result<(), Duration> {
        self.current().rate.as_ref().map_or(Ok(()), |rate| rate.take(Instant::now()))
    }

    /// The ways to sign in, for one who has not.
    pub(super) fn challenges(&self) -> Vec<HeaderValue> {
        self.current().challenges()
    }

    /// Headers for every answer.
    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        self.current().headers.clone()
    }

    /// Counts a refusal, and tells of it now and then.
    pub(super) fn refuse(&self, refusal: Refusal, peer: SocketAddr) {
        self.refusals.note(refusal, peer, refusal.says());
    }

    /// A handshake has failed.
    pub(super) fn refuse_handshake(&self, error: &std::io::Error, peer: SocketAddr) {
        match refusals::of_handshake(error) {
            Some((refusal, cause)) => self.refusals.note(refusal, peer, &cause),
            None => tracing::debug!(%peer, %error, "a client left in the midst of a handshake"),
        }
    }

    /// Somebody spoke plain HTTP where TLS is spoken.
    pub(super) fn refuse_plain(&self, peer: SocketAddr) {
        self.refusals.note(
            Refusal::Handshake,
            peer,
            "it speaks plain HTTP, and TLS is spoken here",
        );
    }
}
