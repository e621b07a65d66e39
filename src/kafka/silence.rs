//! Why no broker answers, in words for an operator.
//!
//! librdkafka's own words name the function that failed rather than the cause. Where they
//! are about TLS, a look at the broker says more.

use std::collections::BTreeMap;

use super::access::Access;
use super::handshake::{Seen, look};
use crate::config::TlsSpec;

/// What librdkafka says where a listener may be one of another kind.
const PLAIN_TO_TLS: &str = "connecting to a SSL listener?";
const NO_SIGN_IN: &str = "might require SASL authentication";
const TLS: &[&str] = &["SSL handshake failed", "certificate verify failed", "ssl_", "alert"];

/// What is wrong and what to do, from what librdkafka said last. May connect to the broker,
/// and take seconds.
pub(super) fn explain(
    access: &Access,
    properties: &BTreeMap<String, String>,
    said: &str,
) -> String {
    if let Some(trouble) = access.trouble() {
        return trouble;
    }
    let Some(address) = address(said) else { return said.to_owned() };
    let why = match declared(access, properties) {
        Some(tls) if TLS.iter().any(|part| said.contains(part)) => match look(address, &tls) {
            Seen::NoTls => Some(
                "this listener speaks no TLS: choose another one in `brokers`, or leave \
                 [kafka.tls] out"
                    .to_owned(),
            ),
            Seen::Wrong(why) => Some(why),
            Seen::Nothing | Seen::Sound => None,
        },
        None if said.contains(PLAIN_TO_TLS) => match look(address, &TlsSpec::default()) {
            Seen::Sound | Seen::Wrong(_) => Some(
                "this listener speaks TLS, and the connection is plain: write [kafka.tls]"
                    .to_owned(),
            ),
            Seen::NoTls | Seen::Nothing => None,
        },
        _ if said.contains(NO_SIGN_IN) && access.sign_in().is_none() => Some(
            "this listener may ask who comes, and nothing is declared: write [kafka.sign_in]"
                .to_owned(),
        ),
        _ => None,
    };
    match why {
        Some(why) => format!("{address}: {why} (librdkafka says: {said})"),
        None => said.to_owned(),
    }
}

/// The TLS that librdkafka was told to speak.
fn declared(access: &Access, properties: &BTreeMap<String, String>) -> Option<TlsSpec> {
    if let Some(tls) = access.tls() {
        return Some(tls.clone());
    }
    let protocol = properties.get("security.protocol")?;
    let ca = properties.get("ssl.ca.location").filter(|ca| *ca != "probe").cloned();
    let is_tls = protocol.to_ascii_lowercase().ends_with("ssl");
    is_tls.then_some(TlsSpec { ca, identity: None })
}

/// `sasl_ssl://127.0.0.1:9093/bootstrap: SSL handshake failed: ...`, also with
/// `GroupCoordinator: 127.0.0.1:9093: ` for a beginning: `host:port`.
fn address(said: &str) -> Option<&str> {
    let from = match said.split_once("://") {
        Some((_, rest)) => rest,
        None => said.split_once(": ")?.1,
    };
    let address = from.split(['/', ' ']).next()?.trim_end_matches(':');
    let port = address.rsplit_once(':')?.1;
    port.parse::<u16>().ok().map(|_| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_is_read_from_what_is_said() {
        for (said, expected) in [
            ("ssl://b.example:9093/bootstrap: SSL handshake failed", Some("b.example:9093")),
            ("sasl_ssl://[::1]:9093/3: Disconnected", Some("[::1]:9093")),
            ("GroupCoordinator: 127.0.0.1:9093: Disconnected", Some("127.0.0.1:9093")),
            ("Local: Timed out", None),
            ("", None),
        ] {
            assert_eq!(address(said), expected, "{said}");
        }
    }
}
