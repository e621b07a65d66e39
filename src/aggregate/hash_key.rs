//! The secret under which personal texts are hashed.

use std::fmt;

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
}
