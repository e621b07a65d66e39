//! `[kafka.tls]`: how connections to the brokers are encrypted.
//!
//! In: the table, and the PEM files that it names. Out: a [`TlsSpec`] whose files were
//! there, are what they should be and have not expired. The files themselves are read
//! again by whoever connects.

use x509_parser::pem::Pem;

use super::files::beside;
use super::kafka::secret;
use super::reader::{Table, Value, shown};
use super::world::World;
use super::{Secret, problem::Place};

/// TLS to the brokers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSpec {
    /// A PEM file of the authorities that are trusted; default: those of the system.
    pub ca: Option<String>,
    /// What is shown to brokers that ask for a certificate; default: nothing.
    pub identity: Option<Identity>,
}

/// A certificate of this program's own, and the key to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// A PEM file: the certificate, and those between it and its authority.
    pub certificate: String,
    /// A PEM file.
    pub key: String,
    /// If the key is encrypted.
    pub key_password: Option<Secret>,
}

/// Reads `[kafka.tls]`; the place is that of the table.
pub(super) fn read(value: Value<'_>, world: &World<'_>, file: &str) -> Option<(TlsSpec, Place)> {
    let at = value.at();
    let mut table = value.table()?;
    let ca = table.optional("ca").and_then(|value| authorities(&value, world, file));
    let identity = identity(&mut table, world, file);
    table.finish();
    Some((TlsSpec { ca, identity }, at))
}

fn identity(table: &mut Table<'_>, world: &World<'_>, file: &str) -> Option<Identity> {
    let certificate = table.optional("certificate");
    let key = table.optional("key");
    let password = table.optional("key_password");
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(alone), None) => {
            alone.problem_with("a certificate without `key`", "name the file of its key as `key`");
            return None;
        }
        (None, Some(alone)) => {
            alone.problem_with("a key without `certificate`", "name the file of its certificate");
            return None;
        }
        (None, None) => {
            if let Some(alone) = password {
                alone.problem_with("a password without `key`", "name `certificate` and `key`");
            }
            return None;
        }
    };
    let certificate = own_certificate(&certificate, world, file);
    let encrypted = password.is_some();
    let key_password = password.and_then(|value| secret(value, world, file));
    let key = private_key(&key, encrypted, world, file);
    Some(Identity { certificate: certificate?, key: key?, key_password })
}

/// The path of a file of authorities, some of which have not expired.
pub(super) fn authorities(value: &Value<'_>, world: &World<'_>, file: &str) -> Option<String> {
    let (path, blocks) = pem(value, world, file)?;
    let ends = expiries(value, &path, &blocks)?;
    // A bundle may well hold old ones beside those that count.
    match ends.iter().max() {
        Some(last) if *last < world.now.millis() / 1_000 => {
            expired(value, &path, *last);
            None
        }
        _ => Some(path),
    }
}

fn own_certificate(value: &Value<'_>, world: &World<'_>, file: &str) -> Option<String> {
    let (path, blocks) = pem(value, world, file)?;
    let ends = expiries(value, &path, &blocks)?;
    // It comes first, and those that vouch for it after it.
    match ends.iter().min() {
        Some(first) if *first < world.now.millis() / 1_000 => {
            expired(value, &path, *first);
            None
        }
        _ => Some(path),
    }
}

fn expired(value: &Value<'_>, path: &str, at: i64) {
    let at = jiff::Timestamp::from_second(at).map(|at| at.to_string()).unwrap_or_default();
    value.problem_with(
        format!("the certificate in `{}` has expired: it was valid until {at}", shown(path)),
        "put a new one in its place",
    );
}

/// When the certificates of a file expire, in seconds since 1970; at least one.
fn expiries(value: &Value<'_>, path: &str, blocks: &[Pem]) -> Option<Vec<i64>> {
    let certificates = blocks.iter().filter(|block| block.label.ends_with("CERTIFICATE"));
    let ends: Result<Vec<i64>, _> = certificates
        .map(|block| block.parse_x509().map(|of| of.validity().not_after.timestamp()))
        .collect();
    match ends {
        Ok(ends) if !ends.is_empty() => Some(ends),
        Ok(_) => {
            value.problem_with(
                format!("there is no certificate in `{}`", shown(path)),
                "it has to be PEM, with a block that begins `-----BEGIN CERTIFICATE-----`",
            );
            None
        }
        Err(_) => {
            value.problem_with(
                format!("a certificate in `{}` cannot be read", shown(path)),
                "make the file anew: `openssl x509 -in FILE -noout -text` shows what is in it",
            );
            None
        }
    }
}

fn private_key(
    value: &Value<'_>,
    has_password: bool,
    world: &World<'_>,
    file: &str,
) -> Option<String> {
    let (path, blocks) = pem(value, world, file)?;
    let Some(key) = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) else {
        value.problem_with(
            format!("there is no private key in `{}`", shown(&path)),
            "it has to be PEM, with a block that begins `-----BEGIN PRIVATE KEY-----`",
        );
        return None;
    };
    // The old way to encrypt says it in a line of its own.
    let old_way = || {
        world.files.read(&path).is_ok_and(|text| {
            text.lines().any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"))
        })
    };
    if !has_password && (key.label.starts_with("ENCRYPTED") || old_way()) {
        value.problem_with(
            format!("the key in `{}` is encrypted", shown(&path)),
            "give its password as `key_password = { file = \"...\" }`",
        );
        return None;
    }
    Some(path)
}

/// The blocks of a PEM file, and its path; notes why they cannot be had.
fn pem(value: &Value<'_>, world: &World<'_>, file: &str) -> Option<(String, Vec<Pem>)> {
    let path = beside(file, &value.name_text()?);
    let text = match world.files.read(&path) {
        Ok(text) => text,
        Err(why) => {
            value.problem_with(
                format!("cannot read `{}`: {why}", shown(&path)),
                "paths are relative to the file that names them",
            );
            return None;
        }
    };
    // What stands between the blocks is commentary.
    let blocks: Result<Vec<Pem>, _> = Pem::iter_from_buffer(text.as_bytes()).collect();
    let blocks = blocks.unwrap_or_default();
    if blocks.is_empty() {
        value.problem_with(
            format!("`{}` is no PEM file", shown(&path)),
            "a PEM file is text, with lines such as `-----BEGIN CERTIFICATE-----`",
        );
        return None;
    }
    Some((path, blocks))
}
