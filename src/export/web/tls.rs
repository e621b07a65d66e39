//! `tls_server_config`: which certificate is shown, and which connections are good enough.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::clients::{self, ClientCertificates};
use super::files::Around;
use super::yaml::{Table, Value, shown};
use crate::event::{EventTime, Span};

/// A certificate that ends sooner than this is worth a warning.
const ENDS_SOON: Span = Span::from_secs(7 * 86_400);
/// The protocol over TLS.
const HTTP: &[u8] = b"http/1.1";

/// The TLS side of the server.
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) clients: ClientCertificates,
    /// When the first certificate of the chain ends.
    pub(super) expires: EventTime,
    /// The server's own certificate.
    pub(super) certificate: CertificateDer<'static>,
}

/// Reads the table; `None` where something in it is wrong, which is noted.
pub(super) fn read(mut table: Table<'_>, around: &Around<'_>) -> Option<Tls> {
    let chain = Pem::required(&mut table, "cert", "cert_file", around);
    let chain = chain.and_then(|pem| Some((pem.certificates()?, pem.value)));
    let key = Pem::required(&mut table, "key", "key_file", around);
    let key = key.and_then(|pem| Some((pem.private_key()?, pem.value)));
    let clients = client_certificates(&mut table, around);
    let issuers = Pem::optional(&mut table, "client_ca", "client_ca_file", around);
    let names = table.optional("client_allowed_sans").map(|value| (value.texts(), value));
    let versions = versions(&mut table);
    let provider = provider(&mut table);
    let ignore_client_order = table
        .optional("prefer_server_cipher_suites")
        .is_none_or(|value| value.boolean() != Some(false));
    let expires = chain.as_ref().and_then(|(chain, value)| lifetime(chain, value, around));
    let at = table.at();
    table.finish();

    let clients = clients?;
    let provider = Arc::new(provider?);
    let issuers = match (clients, issuers) {
        (ClientCertificates::NotAsked, None) => {
            if let Some((_, value)) = &names {
                value.problem(NAMES_OF_NOBODY, ASK_CLIENTS);
            }
            None
        }
        (ClientCertificates::NotAsked, Some(issuers)) => {
            issuers
                .value
                .problem("it issues certificates that no client is asked for", ASK_CLIENTS);
            return None;
        }
        (_, None) => {
            around.problems.add_with(
                at,
                "clients are asked for certificates, and nobody is named who issues them",
                "name the issuers with `client_ca_file`",
            );
            return None;
        }
        (_, Some(issuers)) => Some((issuers.certificates()?, issuers.value)),
    };
    let ((chain, _), (key, key_value)) = (chain?, key?);
    let certificate = chain.first()?.clone();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = match builder.with_protocol_versions(&versions?) {
        Ok(builder) => builder,
        Err(error) => {
            around.problems.add_with(
                at,
                format!("these versions, cipher suites and curves do not go together: {error}"),
                "leave `cipher_suites` and `curve_preferences` out for good defaults",
            );
            return None;
        }
    };
    let builder = match issuers {
        None => builder.with_no_client_auth(),
        Some((issuers, value)) => {
            let names = names.into_iter().flat_map(|(names, _)| names);
            let names = names.map(|(name, _)| name.to_owned()).collect();
            match clients::verifier(issuers, clients, names, provider) {
                Ok(verifier) => builder.with_client_cert_verifier(verifier),
                Err(why) => {
                    value.problem(format!("it cannot be used to know clients by: {why}"), NOT_PEM);
                    return None;
                }
            }
        }
    };
    let mut config = match builder.with_single_cert(chain, key) {
        Ok(config) => config,
        Err(Error::InconsistentKeys(_)) => {
            key_value.problem(
                "it is not the key of the certificate",
                "name the key with which this certificate was asked for",
            );
            return None;
        }
        Err(error) => {
            key_value.problem(
                format!("it cannot be used: {error}"),
                "make an ECDSA key (P-256 or P-384), an Ed25519 key or an RSA key from 2048 bits on",
            );
            return None;
        }
    };
    config.alpn_protocols = vec![HTTP.to_vec()];
    config.ignore_client_order = ignore_client_order;
    // A scraper keeps its connection. Without resumption a client is looked at anew each
    // time, and nothing that was once right outlives what is now in force.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Some(Tls { config: Arc::new(config), clients, expires: expires?, certificate })
}

const NAMES_OF_NOBODY: &str = "no client is asked for a certificate that could have such a name";
const ASK_CLIENTS: &str =
    "set `client_auth_type` to RequireAndVerifyClientCert or VerifyClientCertIfGiven";
const NOT_PEM: &str = "it has to be PEM: `-----BEGIN CERTIFICATE-----` and so on";

/// What stands under one of two keys: in the file itself, or in one that it names.
struct Pem<'y> {
    value: Value<'y>,
    text: String,
}

impl<'y> Pem<'y> {
    fn optional(
        table: &mut Table<'y>,
        inline: &'static str,
        in_file: &'static str,
        around: &Around<'_>,
    ) -> Option<Pem<'y>> {
        match (table.optional(inline), table.optional(in_file)) {
            (None, None) => None,
            (Some(value), None) => Some(Pem { text: value.text()?.to_owned(), value }),
            (None, Some(value)) => {
                let named = around.named(&value)?;
                if in_file == "key_file" {
                    named.warn_if_open(&value);
                }
                Some(Pem { value, text: named.text })
            }
            (Some(value), Some(_)) => {
                value.problem(
                    format!("`{inline}` and `{in_file}` are both there"),
                    "leave one of them out",
                );
                None
            }
        }
    }

    fn required(
        table: &mut Table<'y>,
        inline: &'static str,
        in_file: &'static str,
        around: &Around<'_>,
    ) -> Option<Pem<'y>> {
        if table.optional(inline).or_else(|| table.optional(in_file)).is_none() {
            around.problems.add_with(
                table.at(),
                format!("neither `{in_file}` nor `{inline}` is in {}", table.name()),
                "name both the certificate and its key",
            );
            return None;
        }
        Pem::optional(table, inline, in_file, around)
    }

    fn certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        let found =
            CertificateDer::pem_slice_iter(self.text.as_bytes()).collect::<Result<Vec<_>, _>>();
        match found {
            Ok(found) if !found.is_empty() => Some(found),
            Ok(_) => {
                self.value.problem("there is no certificate in it", NOT_PEM);
                None
            }
            Err(_) => {
                self.value.problem("a certificate in it is damaged", NOT_PEM);
                None
            }
        }
    }

    fn private_key(&self) -> Option<PrivateKeyDer<'static>> {
        // What it says against a key might quote it.
        let key = PrivateKeyDer::from_pem_slice(self.text.as_bytes()).ok();
        if key.is_none() {
            self.value.problem(
                "there is no private key in it that can be read without a passphrase",
                "it has to be PEM, `-----BEGIN PRIVATE KEY-----` and so on; `openssl pkey` takes a passphrase off",
            );
        }
        key
    }
}

/// When the first certificate of a chain ends; what is wrong with their dates is noted.
fn lifetime(
    chain: &[CertificateDer<'_>],
    value: &Value<'_>,
    around: &Around<'_>,
) -> Option<EventTime> {
    let mut ends: Option<EventTime> = None;
    for certificate in chain {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
            value.problem("a certificate in it is damaged", NOT_PEM);
            return None;
        };
        let validity = certificate.validity();
        let begins = EventTime::from_secs(validity.not_before.timestamp());
        if around.now < begins {
            around.dated.add_with(
                value.at(),
                format!("the certificate is not valid before {begins}"),
                "wait, or correct the clock of this machine or of the issuer",
            );
        }
        let end = EventTime::from_secs(validity.not_after.timestamp());
        ends = Some(ends.map_or(end, |ends| ends.min(end)));
    }
    let ends = ends?;
    if ends < around.now {
        around.dated.add_with(
            value.at(),
            format!("the certificate expired at {ends}: clients that look refuse it"),
            "put a new one in its place; it is taken up without a restart",
        );
    } else if ends < around.now + ENDS_SOON {
        value.warn(
            format!("the certificate expires at {ends}"),
            "put a new one in its place; it is taken up without a restart",
        );
    }
    Some(ends)
}

fn client_certificates(table: &mut Table<'_>, around: &Around<'_>) -> Option<ClientCertificates> {
    let Some(value) = table.optional("client_auth_type") else {
        return Some(ClientCertificates::NotAsked);
    };
    match value.text()? {
        "NoClientCert" => Some(ClientCertificates::NotAsked),
        "VerifyClientCertIfGiven" => Some(ClientCertificates::IfGiven),
        "RequireAndVerifyClientCert" => Some(ClientCertificates::Required),
        "RequestClientCert" | "RequireAnyClientCert" => {
            value.problem(
                "a certificate that is not verified says nothing about a client",
                ASK_CLIENTS,
            );
            None
        }
        other => {
            around.problems.add_maybe(
                value.at(),
                format!("`{}` cannot be `{}`", value.name(), shown(other)),
                crate::config::did_you_mean(
                    other,
                    ["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"],
                ),
            );
            None
        }
    }
}

/// From `min_version` to `max_version`.
fn versions(table: &mut Table<'_>) -> Option<Vec<&'static SupportedProtocolVersion>> {
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
fn provider(table: &mut Table<'_>) -> Option<CryptoProvider> {
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
