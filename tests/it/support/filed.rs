//! Certificates in files, for servers and configurations that name them.

use std::fs;
use std::path::{Path, PathBuf};

use super::certificates::{self, Identity};

/// An authority; its own certificate is in `file`.
pub(crate) struct Authority {
    issuer: certificates::Authority,
    pub(crate) file: PathBuf,
}

/// The files of a certificate and of its key; `NAME.both.pem` beside them holds both.
pub(crate) struct Issued {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// A new one, in a file of that name.
    pub(crate) fn new(folder: &Path, name: &str) -> Authority {
        let issuer = certificates::Authority::new(name);
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, issuer.pem()).expect("a file");
        Authority { issuer, file }
    }

    /// A certificate for a host, which ended years ago if it is `old`.
    pub(crate) fn issue(&self, folder: &Path, name: &str, host: &str, old: bool) -> Issued {
        let years = (2_000, if old { 2_020 } else { 2_100 });
        let Identity { certificate, key } = self.issuer.issue_named(name, &[host], years);
        let file = |kind: &str, text: &str| {
            let file = folder.join(format!("{name}.{kind}.pem"));
            fs::write(&file, text).expect("a file");
            file
        };
        file("both", &format!("{key}{certificate}"));
        Issued { certificate: file("certificate", &certificate), key: file("key", &key) }
    }
}
