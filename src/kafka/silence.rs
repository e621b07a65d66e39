//! Why no broker answers, in words for an operator.
//!
//! librdkafka's own words name the function that failed rather than the cause. Where
//! a connection was made, a look at the broker says more.

use std::collections::BTreeMap;

use super::access::Access;
use super::handshake::{Seen, look};
use crate::config::TlsSpec;

/// What librdkafka says of a broker to which there is no connection at all.
const NO_CONNECTION: &[&str] = &["Connect to", "Failed to resolve", "setup timed out"];

const NO_TLS: &str = "this listener speaks no TLS: choose another one in `brokers`, or leave \
                      [kafka.tls] out";

/// What is wrong and what to do, from what librdkafka said last, if it said anything: of a
/// listener of another kind, which closes the connection, it does not. May connect to a
/// broker, and take seconds. `answered` is whether any broker ever has.
pub(super) fn explain(
    access: &Access,
    properties: &BTreeMap<String, String>,
    brokers: &str,
    said: &str,
    answered: bool,
) -> Option<String> {
    if let Some(trouble) = access.trouble() {
        return Some(trouble);
    }
    let first = || brokers.split(',').next().map(str::trim);
    let broker = if said.is_empty() { first() } else { address(said) };
    let is_reached = !NO_CONNECTION.iter().any(|part| said.contains(part));
    let why = broker.filter(|_| is_reached).and_then(|broker| {
        let why = seen(access, properties, broker, answered)?;
        Some(format!("{broker}: {why}"))
    });
    match (why, said.is_empty()) {
        (why, true) => why,
        (None, false) => Some(said.to_owned()),
        (Some(why), false) => Some(format!("{why} (librdkafka says: {said})")),
    }
}

/// What a look at a broker tells.
fn seen(
    access: &Access,
    properties: &BTreeMap<String, String>,
    broker: &str,
    answered: bool,
) -> Option<String> {
    let tls = declared(access, properties);
    let signs_in = access.sign_in().is_some() || properties.contains_key("sasl.mechanism");
    match (look(broker, &tls.clone().unwrap_or_default()), tls) {
        (Seen::Sound | Seen::Wrong(_), None) => {
            Some("this listener speaks TLS, and the connection is plain: write [kafka.tls]".into())
        }
        (Seen::Wrong(why), Some(_)) => Some(why),
        (Seen::NoTls, Some(_)) => Some(NO_TLS.to_owned()),
        (Seen::Sound, Some(_)) | (Seen::NoTls, None) if !signs_in && !answered => Some(
            "it takes connections and does not answer: a listener that asks who comes does so \
             where nothing is declared: write [kafka.sign_in]"
                .to_owned(),
        ),
        _ => None,
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

/// `sasl_ssl://127.0.0.1:9093/bootstrap: SSL handshake failed: ...`, without the scheme where
/// that is plain, also with `GroupCoordinator: ` before it: `host:port`.
fn address(said: &str) -> Option<&str> {
    let beginnings = [said.split_once("://"), Some(("", said)), said.split_once(": ")];
    beginnings.into_iter().flatten().find_map(|(_, from)| {
        let address = from.split(['/', ' ']).next()?.trim_end_matches(':');
        let (host, port) = address.rsplit_once(':')?;
        port.parse::<u16>().ok().filter(|_| !host.is_empty()).map(|_| address)
    })
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
            ("127.0.0.1:9093/bootstrap: Disconnected", Some("127.0.0.1:9093")),
            ("Local: Timed out", None),
            ("", None),
        ] {
            assert_eq!(address(said), expected, "{said}");
        }
    }
}
