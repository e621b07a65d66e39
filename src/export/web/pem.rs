//! Certificates and keys as they stand in files.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::files::Around;
use super::yaml::{Table, Value};
use crate::event::{EventTime, Span};

/// A certificate that ends sooner than this is worth a warning.
const ENDS_SOON: Span = Span::from_secs(7 * 86_400);
/// What to do where it is something else.
pub(super) const NOT_PEM: &str = "it has to be PEM: `-----BEGIN CERTIFICATE-----` and so on";

/// What stands under one of two keys: in the file itself, or in one that it names.
pub(super) struct Pem<'y> {
    pub(super) value: Value<'y>,
    text: String,
}

impl<'y> Pem<'y> {
    /// Where one of the keys is there.
    pub(super) fn optional(
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

    /// Where none of them is there it is a problem.
    pub(super) fn required(
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

    pub(super) fn certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
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

    pub(super) fn private_key(&self) -> Option<PrivateKeyDer<'static>> {
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
pub(super) fn lifetime(
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
