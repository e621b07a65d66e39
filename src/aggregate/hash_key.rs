//! The secret under which personal texts are hashed.

use std::fmt;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;
use siphasher::sip128::SipHasher24;

/// The key of the hash that stands for users, messages and ids in the aggregates.
///
/// SipHash-1-3: without the key nobody can tell from a hash whose it is, nor make
/// texts that collide. Replicas need the same key to agree on estimates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// From its sixteen bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        HashKey(bytes)
    }

    /// From a secret of any length: its SipHash-2-4-128 under a key of zeros.
    pub fn from_secret(secret: &[u8]) -> Self {
        HashKey(SipHasher24::new().hash(secret).as_bytes())
    }

    /// A key of its own for one purpose, so that a hash made for it equals none made
    /// of the same text for another.
    pub fn derived(&self, purpose: &str) -> Self {
        HashKey(SipHasher24::new_with_key(&self.0).hash(purpose.as_bytes()).as_bytes())
    }

    /// The keyed hash of two texts; their border matters.
    pub fn hash_pair(&self, one: &str, two: &str) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(&(one.len() as u64).to_le_bytes());
        hasher.write(one.as_bytes());
        hasher.write(two.as_bytes());
        hasher.finish()
    }

    /// The keyed hash of a text.
    pub fn hash(&self, text: &str) -> u64 {
        SipHasher13::new_with_key(&self.0).hash(text.as_bytes())
    }
}

/// Never shows the key.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_matters_and_is_not_shown() {
        let (one, two) = (HashKey::from_bytes([1; 16]), HashKey::from_bytes([2; 16]));
        assert_eq!(one.hash("ann@example.com"), one.hash("ann@example.com"));
        assert_ne!(one.hash("ann@example.com"), two.hash("ann@example.com"));
        assert_eq!(format!("{one:?}"), "HashKey(..)");
    }

    #[test]
    fn the_purpose_and_the_border_of_two_texts_matter() {
        let key = HashKey::from_bytes([1; 16]);
        assert_ne!(key.hash("a"), key.derived("ids").hash("a"));
        assert_ne!(key.derived("ids").hash("a"), key.derived("users").hash("a"));
        assert_eq!(key.hash_pair("mailer", "17"), key.hash_pair("mailer", "17"));
        assert_ne!(key.hash_pair("mailer1", "7"), key.hash_pair("mailer", "17"));
        assert_ne!(key.hash_pair("", "mailer17"), key.hash_pair("mailer17", ""));
    }
}
