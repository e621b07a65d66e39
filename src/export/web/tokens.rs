//! `bearer_tokens`: words that a scraper shows instead of a name and a password.

use sha2::{Digest as _, Sha256};

use super::files::Around;
use super::yaml::{Table, Value};

/// Shorter ones can be guessed.
const SHORTEST: usize = 16;

/// SHA-256 of a token. Fast is right: tokens are long and random, unlike passwords.
pub(super) type TokenHash = [u8; 32];

/// Of a token as it comes in a request.
pub(super) fn hash(token: &[u8]) -> TokenHash {
    Sha256::digest(token).into()
}

/// Whether a token is one of them; takes equally long whichever it is.
pub(super) fn knows(known: &[TokenHash], token: &[u8]) -> bool {
    let shown = hash(token);
    let differs = |one: &TokenHash| one.iter().zip(shown).fold(0, |all, (a, b)| all | (a ^ b));
    known.iter().fold(false, |found, one| found | (differs(one) == 0))
}

/// Reads the table.
pub(super) fn read(table: &Table<'_>, around: &Around<'_>) -> Vec<TokenHash> {
    table.entries().into_iter().filter_map(|(_, value)| token(value, around)).collect()
}

const FORM: &str =
    "write { file: PATH } or { sha256: HEX }; `tidegauge hash-password --token` makes both";

fn token(value: Value<'_>, around: &Around<'_>) -> Option<TokenHash> {
    if !value.is_table() {
        value.problem(format!("`{}` has to be a table: no token stands here", value.name()), FORM);
        return None;
    }
    let place = value.clone();
    let mut table = value.table()?;
    let (file, digest) = (table.optional("file"), table.optional("sha256"));
    table.finish();
    match (file, digest) {
        (Some(value), None) => {
            let named = around.named(&value)?;
            named.warn_if_open(&value);
            let token = named.text.trim_end_matches(['\r', '\n']);
            if token.len() < SHORTEST || token.chars().any(char::is_whitespace) {
                value.problem(
                    format!("there is no token of at least {SHORTEST} characters in it"),
                    "one word alone on one line; `tidegauge hash-password --token` makes one",
                );
                return None;
            }
            Some(hash(token.as_bytes()))
        }
        (None, Some(value)) => {
            let hash = from_hex(value.text()?);
            if hash.is_none() {
                value.problem(
                    format!("`{}` is no SHA-256 of 64 hexadecimal digits", value.name()),
                    FORM,
                );
            }
            hash
        }
        _ => {
            place.problem(format!("`{}` needs either `file` or `sha256`", place.name()), FORM);
            None
        }
    }
}

fn from_hex(text: &str) -> Option<TokenHash> {
    let mut hash = TokenHash::default();
    if text.len() != 2 * hash.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash() {
        let hex = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let known = [hash(b"another"), from_hex(hex).expect("a hash")];
        assert!(knows(&known, b"foo") && knows(&known, b"another"));
        assert!(!knows(&known, b"fo") && !knows(&known, b"") && !knows(&[], b"foo"));
        assert_eq!(from_hex(&hex.to_uppercase()), from_hex(hex));
        for wrong in ["", "2c", &hex[1..], &hex.replace('a', "g"), &hex.replace("2c", "+c")] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }
}
