//! Tokens, where signing in goes by them.
//!
//! In: where tokens come from. Out: all clients of an instance hold one that is good, at
//! any time. Kept: the newest one, and which clients there are. One thread fetches them,
//! before the old one ends, and hands them to every client; a client that is made later
//! is handed what there is. librdkafka would ask each client for itself, and only where
//! that client is polled, which those for requests are not.
//!
//! Without a token nothing is refused: librdkafka waits with its connections until there
//! is one. So a provider that is down for a while costs nothing but that while, and what
//! it says is kept for whoever asks why no broker answers.

mod clients;
mod file;
#[cfg(feature = "aws")]
mod iam;
mod jwt;
mod oidc;

use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

pub(super) use clients::Admitted;
use clients::{Clients, Ticket};

use super::shared::lock;
use crate::config::TokenSpec;

/// Trouble that lasts is said again after this time.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// The wait after a first failure; it doubles with each that follows, up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// A token with less than that left, in milliseconds, may be refused for its age.
const ENDING: i64 = 30_000;
/// The shortest wait after a success, however short a token lives.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// A token. It is a secret.
#[derive(Clone, PartialEq, Eq)]
struct Token {
    value: String,
    /// Whose it is, for librdkafka's log.
    principal: String,
    /// In milliseconds since 1970.
    expires: i64,
    /// Told to the brokers beside it.
    extensions: Vec<(String, String)>,
}

/// Where tokens come from.
trait TokenSource: Send {
    /// A token, and when to come for the next one; or why there is none, in one line
    /// without any secret. Waits for whoever is asked, within bounds.
    fn fetch(&mut self) -> Result<(Token, Duration), String>;
}

/// Keeps all clients of an instance in tokens.
pub(super) struct Tokens {
    keep: Arc<Keep>,
    /// Gone with the last who holds this: the thread ends.
    _held: Sender<()>,
}

struct Keep {
    clients: Clients,
    trouble: Mutex<Option<String>>,
}

impl Tokens {
    /// Starts to fetch them, in a thread of its own.
    pub(super) fn start(spec: &TokenSpec) -> Tokens {
        let (held, ended) = bounded(0);
        let keep = Arc::new(Keep { clients: Clients::default(), trouble: Mutex::default() });
        let (weak, spec) = (Arc::downgrade(&keep), spec.clone());
        let run = move || match source(&spec) {
            Ok(source) => fetch(source, &weak, &ended),
            Err(error) => weak.upgrade().iter().for_each(|keep| keep.failed(&error)),
        };
        if let Err(error) = thread::Builder::new().name("kafka-tokens".to_owned()).spawn(run) {
            keep.failed(&format!("the system gives no thread to fetch them: {error}"));
        }
        Tokens { keep, _held: held }
    }

    /// Hands a client what there is, and what will be.
    fn admit(&self, client: *mut rdkafka::bindings::rd_kafka_t) -> Ticket {
        self.keep.clients.admit(client)
    }

    /// Why there is no good token; `None` while there is.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = lock(&self.keep.trouble);
        let expired = self.keep.clients.newest(|token| token.expires <= now_millis());
        trouble.clone().filter(|_| expired.unwrap_or(true))
    }

    /// Whether the newest token has ended, or is so near its end that the brokers' clocks
    /// may say so.
    pub(super) fn is_ending(&self) -> bool {
        let soon = now_millis() + ENDING;
        self.keep.clients.newest(|token| token.expires <= soon).unwrap_or(true)
    }
}

impl Keep {
    fn failed(&self, error: &str) {
        *lock(&self.trouble) = Some(format!("there is no token to sign in with: {error}"));
    }
}

fn source(spec: &TokenSpec) -> Result<Box<dyn TokenSource>, String> {
    Ok(match spec {
        TokenSpec::File { path, extensions } => {
            Box::new(file::TokenFile::new(path, extensions.clone()))
        }
        TokenSpec::ClientCredentials { .. } => Box::new(oidc::Provider::new(spec)?),
        #[cfg(feature = "aws")]
        TokenSpec::AwsMskIam { region } => Box::new(iam::Signer::new(region)?),
        #[cfg(not(feature = "aws"))]
        TokenSpec::AwsMskIam { .. } => {
            return Err("this program was built without the feature `aws`".to_owned());
        }
    })
}

/// Runs until nobody wants tokens any more.
fn fetch(mut source: Box<dyn TokenSource>, keep: &Weak<Keep>, ended: &Receiver<()>) {
    let mut retry = FIRST_RETRY;
    let mut said: Option<Instant> = None;
    loop {
        let fetched = source.fetch();
        let Some(keep) = keep.upgrade() else { return };
        let wait = match fetched.and_then(|(token, next)| {
            keep.clients.give(token)?;
            Ok(next)
        }) {
            Ok(next) => {
                if said.take().is_some() {
                    tracing::info!("there is a token to sign in with again");
                }
                *lock(&keep.trouble) = None;
                retry = FIRST_RETRY;
                next.max(SHORTEST_LIFE)
            }
            Err(error) => {
                keep.failed(&error);
                if said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
                    said = Some(Instant::now());
                    tracing::warn!(
                        "there is no new token to sign in with, and it is tried again: {error}"
                    );
                }
                let longer = (retry * 2).min(LONGEST_RETRY);
                std::mem::replace(&mut retry, longer)
            }
        };
        drop(keep);
        if ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// After four fifths of a life, the next one is fetched.
fn renew_after(expires: i64) -> Duration {
    let left = u64::try_from(expires - now_millis()).unwrap_or(0);
    Duration::from_millis(left / 5 * 4)
}

/// As it stands in an address or a form: what is no letter, digit or one of `-._~` as its
/// bytes.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Counting(Arc<AtomicU32>);

    impl TokenSource for Counting {
        fn fetch(&mut self) -> Result<(Token, Duration), String> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => Err("the provider answers 503".to_owned()),
                count => {
                    let (value, principal) = (format!("token-{count}"), "gauge".to_owned());
                    let expires = now_millis() + 60_000;
                    let extensions = Vec::new();
                    Ok((Token { value, principal, expires, extensions }, Duration::ZERO))
                }
            }
        }
    }

    #[test]
    fn a_scope_is_sent_as_a_form() {
        assert_eq!(percent_encoded("api://kafka/.default a"), "api%3A%2F%2Fkafka%2F.default%20a");
    }

    #[test]
    fn what_fails_is_told_and_tried_again_and_ends_with_the_last_client() {
        let fetches = Arc::new(AtomicU32::new(0));
        let source = Box::new(Counting(Arc::clone(&fetches)));
        let keep = Arc::new(Keep { clients: Clients::default(), trouble: Mutex::default() });
        let (held, ended) = bounded(0);
        let weak = Arc::downgrade(&keep);
        let thread = thread::spawn(move || fetch(source, &weak, &ended));
        let tokens = Tokens { keep, _held: held };
        let until = |what: &str, holds: &dyn Fn() -> bool| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !holds() {
                assert!(Instant::now() < deadline, "{what}");
                thread::sleep(Duration::from_millis(2));
            }
        };
        until("the failure is told", &|| {
            tokens.trouble().is_some_and(|why| why.ends_with("the provider answers 503"))
        });
        until("a token", &|| tokens.trouble().is_none());
        until("one after it", &|| fetches.load(Ordering::SeqCst) > 2);
        drop(tokens);
        thread.join().expect("the thread ends");
    }
}
