//! Whether a password is right: bcrypt, once for each user and password.
//!
//! bcrypt takes long on purpose, some fifty milliseconds. A scraper would pay that each
//! time, so what was right is remembered by a hash under a key that this process alone
//! has. Wrong passwords are not remembered: they cost their guesser the same each time, and
//! no more than two are looked at at once.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bcrypt::HashParts;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Passwords that are looked at at once.
const AT_ONCE: usize = 2;
/// bcrypt looks at no more bytes of a password than this.
pub(super) const LONGEST: usize = 72;

/// A fingerprint of a user, a hash and a password that belong together.
type Fingerprint = [u8; 32];

pub(super) struct Passwords {
    key: [u8; 32],
    /// By user, so that there are never more than users.
    right: Mutex<HashMap<String, Fingerprint>>,
    turns: Semaphore,
}

impl Passwords {
    /// With a key from the system's random source.
    pub(super) fn new(key: [u8; 32]) -> Passwords {
        Passwords { key, right: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }

    /// Whether `password` is that of `user`. Takes as long for users that do not exist.
    pub(super) async fn is_right(
        &self,
        users: &BTreeMap<String, String>,
        user: &str,
        password: &str,
    ) -> bool {
        let hash = users.get(user).filter(|_| password.len() <= LONGEST);
        let fingerprint = hash.map(|hash| self.fingerprint(user, hash, password));
        if fingerprint.is_some() && self.right().get(user).copied() == fingerprint {
            return true;
        }
        let against = hash.cloned().unwrap_or_else(|| nobody(users));
        let password = password.to_owned();
        let Ok(_turn) = self.turns.acquire().await else { return false };
        let matches = spawn_blocking(move || bcrypt::verify(password, &against).unwrap_or(false));
        let right = matches.await.unwrap_or(false);
        match fingerprint {
            Some(fingerprint) if right => {
                self.right().insert(user.to_owned(), fingerprint);
                true
            }
            _ => false,
        }
    }

    /// Forgets users that there are no more.
    pub(super) fn keep(&self, users: &BTreeMap<String, String>) {
        self.right().retain(|user, _| users.contains_key(user));
    }

    /// With the hash in it, so that a new password takes force at once.
    fn fingerprint(&self, user: &str, hash: &str, password: &str) -> Fingerprint {
        let mut fingerprint = Sha256::new();
        fingerprint.update(self.key);
        for part in [user, hash, password] {
            fingerprint.update((part.len() as u64).to_be_bytes());
            fingerprint.update(part);
        }
        fingerprint.finalize().into()
    }

    fn right(&self) -> MutexGuard<'_, HashMap<String, Fingerprint>> {
        // Each change is one call: a panic elsewhere spoils nothing.
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hash of no password that costs what those of users cost at most.
fn nobody(users: &BTreeMap<String, String>) -> String {
    let costs = users.values().filter_map(|hash| HashParts::from_str(hash).ok());
    let cost = costs.map(|parts| parts.get_cost()).max().unwrap_or(bcrypt::DEFAULT_COST);
    format!("$2b${cost:02}${}", ".".repeat(53))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right_and_costs_once() {
        let hash = bcrypt::hash("open sesame", 10).expect("a hash");
        let users = BTreeMap::from([("ali".to_owned(), hash)]);
        let passwords = Passwords::new([7; 32]);
        for (user, password) in [("ali", "open"), ("ali", ""), ("baba", "open sesame"), ("", "")] {
            assert!(!passwords.is_right(&users, user, password).await, "{user} {password}");
        }
        let begun = Instant::now();
        assert!(passwords.is_right(&users, "ali", "open sesame").await);
        let first = begun.elapsed();
        let begun = Instant::now();
        for _ in 0..10 {
            assert!(passwords.is_right(&users, "ali", "open sesame").await);
        }
        assert!(begun.elapsed() < first, "ten took {:?}, one {first:?}", begun.elapsed());
        let changed =
            BTreeMap::from([("ali".to_owned(), bcrypt::hash("new", 10).expect("a hash"))]);
        assert!(!passwords.is_right(&changed, "ali", "open sesame").await);
        assert!(passwords.is_right(&changed, "ali", "new").await);
    }

    #[test]
    fn nobody_is_a_hash_of_the_same_cost() {
        let hash =
            nobody(&BTreeMap::from([("a".to_owned(), format!("$2y$11${}", ".".repeat(53)))]));
        assert_eq!(HashParts::from_str(&hash).map(|parts| parts.get_cost()).ok(), Some(11));
        assert!(bcrypt::verify("x", &hash).is_ok_and(|right| !right));
    }

    #[tokio::test]
    async fn what_bcrypt_would_cut_off_is_wrong() {
        let longest = "x".repeat(LONGEST);
        let users = BTreeMap::from([("a".to_owned(), bcrypt::hash(&longest, 10).expect("a hash"))]);
        let passwords = Passwords::new([7; 32]);
        assert!(!passwords.is_right(&users, "a", &format!("{longest}x")).await);
    }
}
