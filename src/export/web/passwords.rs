//! Whether a password is right: bcrypt, once for each user and password.
//!
//! bcrypt takes long on purpose, some fifty milliseconds. A scraper would pay that each
//! time, so what was right is remembered by a hash under a key that this process alone
//! has, for the address from which it was right: others would learn by it, faster than
//! bcrypt lets them, which password is right. Wrong passwords are not remembered: they cost
//! their guesser the same each time. Few are looked at at once, few of one address wait for
//! it, and not many of all, so that guesses neither take all processors nor the places of
//! those who have signed in.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bcrypt::HashParts;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::export::neighbourhood::neighbourhood;

/// Passwords of one address that are looked at or wait for it.
const OF_ONE_PEER: usize = 8;
/// Those of all addresses.
const OF_ALL: usize = 16;
/// Addresses from which a user's password is remembered: those of a user's newest sign-ins.
const REMEMBERED: usize = 16;
/// bcrypt looks at no more bytes of a password than this.
pub(super) const LONGEST: usize = 72;

/// A fingerprint of a user, a hash and a password that belong together, and of where they
/// came from.
type Fingerprint = [u8; 32];

pub(super) struct Passwords {
    key: [u8; 32],
    /// By user, so that there are never more than users.
    right: Mutex<HashMap<String, VecDeque<Fingerprint>>>,
    turns: Arc<Semaphore>,
    waiting: Mutex<HashMap<IpAddr, usize>>,
}

/// What became of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    Right,
    Wrong,
    /// Too many are waiting, of its address or in all.
    TooMany,
}

/// One password of an address that is looked at, or waits for it.
struct Waiting<'p> {
    passwords: &'p Passwords,
    peer: IpAddr,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.passwords.waiting();
        if let Some(count) = waiting.get_mut(&self.peer) {
            *count -= 1;
        }
        waiting.retain(|_, count| *count > 0);
    }
}

impl Passwords {
    /// With a key from the system's random source.
    pub(super) fn new(key: [u8; 32]) -> Passwords {
        Passwords {
            key,
            right: Mutex::default(),
            turns: Arc::new(Semaphore::new(at_once())),
            waiting: Mutex::default(),
        }
    }

    /// Whether `password`, from `peer`, is that of `user`. Takes as long for users that do
    /// not exist.
    pub(super) async fn judge(
        &self,
        users: &BTreeMap<String, String>,
        user: &str,
        password: &str,
        peer: IpAddr,
    ) -> Judged {
        let peer = neighbourhood(peer);
        // bcrypt takes what is before a zero byte for the whole.
        let usable = password.len() <= LONGEST && !password.contains('\0');
        let hash = users.get(user).filter(|_| usable);
        let fingerprint = hash.map(|hash| self.fingerprint(user, hash, password, peer));
        if fingerprint.is_some_and(|fingerprint| self.remembers(user, &fingerprint)) {
            return Judged::Right;
        }
        let Some(_waiting) = self.wait(peer) else { return Judged::TooMany };
        let against = hash.cloned().unwrap_or_else(|| nobody(users));
        let password = password.to_owned();
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let matches = spawn_blocking(move || {
            // Whoever leaves in the midst does not make room for the next one.
            let _turn = turn;
            bcrypt::verify(password, &against).unwrap_or(false)
        });
        let right = matches.await.unwrap_or(false);
        match fingerprint {
            Some(fingerprint) if right => {
                self.remember(user, fingerprint);
                Judged::Right
            }
            _ => Judged::Wrong,
        }
    }

    fn remembers(&self, user: &str, fingerprint: &Fingerprint) -> bool {
        self.right().get(user).is_some_and(|right| right.contains(fingerprint))
    }

    fn remember(&self, user: &str, fingerprint: Fingerprint) {
        let mut right = self.right();
        let of_user = right.entry(user.to_owned()).or_default();
        if !of_user.contains(&fingerprint) {
            of_user.truncate(REMEMBERED - 1);
            of_user.push_front(fingerprint);
        }
    }

    fn wait(&self, peer: IpAddr) -> Option<Waiting<'_>> {
        let mut waiting = self.waiting();
        if waiting.values().sum::<usize>() >= OF_ALL {
            return None;
        }
        let count = waiting.entry(peer).or_default();
        if *count >= OF_ONE_PEER {
            return None;
        }
        *count += 1;
        drop(waiting);
        Some(Waiting { passwords: self, peer })
    }

    /// Forgets users that there are no more.
    pub(super) fn keep(&self, users: &BTreeMap<String, String>) {
        self.right().retain(|user, _| users.contains_key(user));
    }

    /// With the hash in it, so that a new password takes force at once.
    fn fingerprint(&self, user: &str, hash: &str, password: &str, peer: IpAddr) -> Fingerprint {
        let peer = peer.to_string();
        let mut fingerprint = Sha256::new();
        fingerprint.update(self.key);
        for part in [user, hash, password, &peer] {
            fingerprint.update((part.len() as u64).to_be_bytes());
            fingerprint.update(part);
        }
        fingerprint.finalize().into()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Each change is one call: a panic elsewhere spoils nothing.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn right(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Fingerprint>>> {
        // Each change is one call: a panic elsewhere spoils nothing.
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passwords that are looked at at once: never all processors.
fn at_once() -> usize {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        ..4 => 1,
        _ => 2,
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
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn users(password: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("ali".to_owned(), bcrypt::hash(password, 10).expect("a hash"))])
    }

    #[tokio::test]
    async fn only_the_right_password_is_right_and_costs_once() {
        let users_before = users("open sesame");
        let passwords = Passwords::new([7; 32]);
        for (user, password) in [("ali", "open"), ("ali", ""), ("baba", "open sesame"), ("", "")] {
            let judged = passwords.judge(&users_before, user, password, PEER).await;
            assert_eq!(judged, Judged::Wrong, "{user} {password}");
        }
        let right = async |users, password| passwords.judge(users, "ali", password, PEER).await;
        let begun = Instant::now();
        assert_eq!(right(&users_before, "open sesame").await, Judged::Right);
        let first = begun.elapsed();
        let begun = Instant::now();
        for _ in 0..10 {
            assert_eq!(right(&users_before, "open sesame").await, Judged::Right);
        }
        assert!(begun.elapsed() < first, "ten took {:?}, one {first:?}", begun.elapsed());
        let changed = users("new");
        assert_eq!(right(&changed, "open sesame").await, Judged::Wrong);
        assert_eq!(right(&changed, "new").await, Judged::Right);
    }

    #[tokio::test]
    async fn guesses_of_one_address_leave_room_for_others() {
        let users = users("x");
        let passwords = Passwords::new([7; 32]);
        let crowd: Vec<_> = (0..OF_ONE_PEER).map(|_| passwords.wait(PEER)).collect();
        assert!(crowd.iter().all(Option::is_some));
        assert_eq!(passwords.judge(&users, "ali", "x", PEER).await, Judged::TooMany);
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(passwords.judge(&users, "ali", "x", other).await, Judged::Right);
        // What was right once waits for nobody, and tells nobody else.
        let _others: Vec<_> = (0..OF_ONE_PEER).map(|_| passwords.wait(other)).collect();
        assert_eq!(passwords.judge(&users, "ali", "x", other).await, Judged::Right);
        assert_eq!(passwords.judge(&users, "ali", "x", PEER).await, Judged::TooMany);
        let third = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        assert_eq!(passwords.judge(&users, "ali", "x", third).await, Judged::TooMany);
        drop((crowd, _others));
        assert_eq!(passwords.judge(&users, "ali", "y", PEER).await, Judged::Wrong);
        assert!(passwords.waiting().is_empty());
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
        let (users, passwords) = (users(&longest), Passwords::new([7; 32]));
        for longer in [format!("{longest}x"), format!("{}\0", &longest[1..])] {
            assert_eq!(passwords.judge(&users, "ali", &longer, PEER).await, Judged::Wrong);
        }
    }
}
