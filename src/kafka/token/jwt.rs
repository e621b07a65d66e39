//! What a token says of itself, where it is a JSON Web Token (RFC 7519). Nothing is
//! verified: that is for the brokers to do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The year 9999: to be reckoned with in milliseconds without an overflow.
const LATEST: i64 = 253_402_300_799_000;

/// Whose a token is, and how long it is good.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) subject: Option<String>,
    /// In milliseconds since 1970.
    pub(super) expires: Option<i64>,
}

/// What a token says; nothing where it is of another kind.
pub(super) fn claims(token: &str) -> Claims {
    let payload = token.split('.').nth(1).unwrap_or_default().trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    let Ok(said) = serde_json::from_slice::<serde_json::Value>(&bytes) else {
        return Claims::default();
    };
    let seconds = said.get("exp").and_then(serde_json::Value::as_f64);
    Claims {
        subject: said.get("sub").and_then(|sub| sub.as_str()).map(str::to_owned),
        expires: seconds.map(|seconds| ((seconds * 1_000.0) as i64).clamp(0, LATEST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_whose_it_is_and_until_when() {
        let token = |payload: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload));
        assert_eq!(
            claims(&token(r#"{"sub":"gauge","exp":1796070607}"#)),
            Claims { subject: Some("gauge".to_owned()), expires: Some(1_796_070_607_000) }
        );
        assert_eq!(claims(&token(r#"{"exp":1.5}"#)).expires, Some(1_500));
        let end = claims(&token(r#"{"exp":1e300}"#)).expires;
        assert_eq!(end, Some(LATEST), "what is later is as good as that");
        for other in ["", "opaque", "a.b.c", "..", &token("[]"), &token("{}")] {
            assert_eq!(claims(other), Claims::default(), "{other}");
        }
    }
}
