//! `tls_server_config`: which certificate is shown, and which connections are good enough.

use std::sync::Arc;

use rustls::server::NoServerSessionStorage;
use rustls::{Error, ServerConfig};

use super::algorithms::{provider, versions};
use super::clients::{self, ClientCertificates};
use super::files::Around;
use super::pem::{NOT_PEM, Pem, lifetime};
use super::yaml::{Table, shown};
use crate::event::EventTime;

/// The protocol over TLS.
const HTTP: &[u8] = b"http/1.1";

/// The TLS side of the server.
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) clients: ClientCertificates,
    /// When the first certificate of the chain ends.
    pub(super) expires: EventTime,
}

/// Reads the table; `None` where something in it is wrong, which is noted.
pub(super) fn read(mut table: Table<'_>, around: &Around<'_>) -> Option<Tls> {
    let chain = Pem::required(&mut table, "cert", "cert_file", around);
    let chain = chain.and_then(|pem| Some((pem.certificates()?, pem.value)));
    let key = Pem::required(&mut table, "key", "key_file", around);
    let key = key.and_then(|pem| Some((pem.private_key()?, pem.value)));
    let clients = client_certificates(&mut table, around);
    let unnamed = table.optional("client_ca").or(table.optional("client_ca_file")).is_none();
    let issuers = Pem::optional(&mut table, "client_ca", "client_ca_file", around);
    table.refuse_empty("client_allowed_sans");
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
            if unnamed {
                around.problems.add_with(
                    at,
                    "clients are asked for certificates, and nobody is named who issues them",
                    "name the issuers with `client_ca_file`",
                );
            }
            return None;
        }
        (_, Some(issuers)) => Some((issuers.certificates()?, issuers.value)),
    };
    let ((chain, _), (key, key_value)) = (chain?, key?);
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
    Some(Tls { config: Arc::new(config), clients, expires: expires? })
}

const NAMES_OF_NOBODY: &str = "no client is asked for a certificate that could have such a name";
const ASK_CLIENTS: &str =
    "set `client_auth_type` to RequireAndVerifyClientCert or VerifyClientCertIfGiven";

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
