//! Versions of TLS, cipher suites and curves, by the names that Go has for them.

use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::yaml::{Table, Value, shown};

/// From `min_version` to `max_version`.
pub(super) fn versions(table: &mut Table<'_>) -> Option<Vec<&'static SupportedProtocolVersion>> {
    let all = [&TLS12, &TLS13];
    let min = table.optional("min_version");
    let least = min.as_ref().map_or(Some(0), version);
    let max = table.optional("max_version");
    let most = max.as_ref().map_or(Some(1), version);
    let (least, most) = (least?, most?);
    if least > most {
        if let Some(value) = min.or(max) {
            value.problem("the least version is above the greatest", "leave `max_version` out");
        }
        return None;
    }
    Some(all[least..=most].to_vec())
}

fn version(value: &Value<'_>) -> Option<usize> {
    match value.text()? {
        "TLS12" => Some(0),
        "TLS13" => Some(1),
        "TLS10" | "TLS11" => {
            value
                .problem("TLS 1.0 and 1.1 are broken, and not spoken here", "write TLS12 or TLS13");
            None
        }
        other => {
            value.problem(
                format!("`{}` is no version of TLS", shown(other)),
                "write TLS12 or TLS13",
            );
            None
        }
    }
}

/// The algorithms, as `cipher_suites` and `curve_preferences` want them.
pub(super) fn provider(table: &mut Table<'_>) -> Option<CryptoProvider> {
    let mut provider = ring::default_provider();
    let mut sound = true;
    let mut texts = |key| table.optional(key).map(|list| list.texts()).unwrap_or_default();
    let (suites_named, curves_named) = (texts("cipher_suites"), texts("curve_preferences"));
    if !suites_named.is_empty() {
        let tls12 = |suite: &SupportedCipherSuite| suite.tls13().is_none();
        let (older, mut suites): (Vec<_>, Vec<_>) =
            provider.cipher_suites.into_iter().partition(tls12);
        for (name, value) in suites_named {
            // Those of TLS 1.3 are all good, and not chosen from, as in Go.
            if ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
                .contains(&name)
            {
                continue;
            }
            match older.iter().find(|suite| suite.suite().as_str() == Some(name)) {
                Some(suite) => suites.push(*suite),
                None => {
                    let known: Vec<_> =
                        older.iter().filter_map(|suite| suite.suite().as_str()).collect();
                    value.problem(
                        format!("the cipher suite `{}` is not spoken here", shown(name)),
                        format!("there are {}", known.join(", ")),
                    );
                    sound = false;
                }
            }
        }
        provider.cipher_suites = suites;
    }
    if !curves_named.is_empty() {
        let mut groups = Vec::new();
        for (name, value) in curves_named {
            match name {
                "X25519" => groups.push(ring::kx_group::X25519),
                "CurveP256" => groups.push(ring::kx_group::SECP256R1),
                "CurveP384" => groups.push(ring::kx_group::SECP384R1),
                other => {
                    value.problem(
                        format!("the curve `{}` is not spoken here", shown(other)),
                        "there are X25519, CurveP256 and CurveP384",
                    );
                    sound = false;
                }
            }
        }
        provider.kx_groups = groups;
    }
    sound.then_some(provider)
}
