//! Certificates of tests: authorities, and what they vouch for.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// An authority; its own certificate is in `file`.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
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
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let file = folder.join(format!("{name}.pem"));
        fs::write(&file, certificate.pem()).expect("a file");
        Authority { issuer: Issuer::new(params, key), file }
    }

    /// A certificate for a host, which ended years ago if it is `old`.
    pub(crate) fn issue(&self, folder: &Path, name: &str, host: &str, old: bool) -> Issued {
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        if old {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |kind: &str, text: &str| {
            let file = folder.join(format!("{name}.{kind}.pem"));
            fs::write(&file, text).expect("a file");
            file
        };
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        file("both", &format!("{key}{certificate}"));
        Issued { certificate: file("certificate", &certificate), key: file("key", &key) }
    }
}
