//! A real Apache Kafka whose listeners ask who comes: TLS with and without certificates of
//! clients, passwords in each form, and tokens. Shared by the tests of this process.
//!
//! `gauge` with the password `secret` is the user of every way in; the plain listener is
//! for the tests themselves.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tempfile::TempDir;

use super::filed::{Authority, Issued};
use super::kafka::{Kafka, More, free_port};
use super::tokens::{AUDIENCE, ISSUER, Signer};

/// The broker, and what is needed to come in.
pub(crate) struct Secured {
    pub(crate) kafka: Kafka,
    pub(crate) signer: Arc<Signer>,
    /// The authority of the brokers and of their clients.
    pub(crate) authority: Authority,
    /// One that nobody trusts.
    pub(crate) foreign: Authority,
    /// For `gauge`, of the authority.
    pub(crate) client: Issued,
    /// For `gauge`, of the foreign one.
    pub(crate) foreign_client: Issued,
    folder: PathBuf,
    ports: [u16; LISTENERS.len()],
}

/// Name, protocol, and the certificate that is shown.
const LISTENERS: [(&str, &str, &str); 6] = [
    ("TLS", "SSL", "broker"),
    ("MUTUAL", "SSL", "broker"),
    ("OLD", "SSL", "old"),
    ("NAMED", "SSL", "named"),
    ("LOGIN", "SASL_SSL", "broker"),
    // The mechanisms of this one are fewer.
    ("SCRAM", "SASL_SSL", "broker"),
];

impl Secured {
    /// The broker that the tests of this process share.
    pub(crate) fn shared() -> &'static Secured {
        static SHARED: OnceLock<Secured> = OnceLock::new();
        SHARED.get_or_init(|| {
            let secured = Secured::start();
            secured.kafka.die_with(std::process::id());
            secured
        })
    }

    fn start() -> Secured {
        // Kept until the process ends, as the broker is.
        let folder = TempDir::new().expect("a folder").keep();
        let authority = Authority::new(&folder, "authority");
        let foreign = Authority::new(&folder, "foreign");
        let issue = |name: &str, host: &str, old| authority.issue(&folder, name, host, old);
        issue("broker", "127.0.0.1", false);
        issue("old", "127.0.0.1", true);
        issue("named", "kafka.example.com", false);
        let client = issue("gauge", "gauge.example.com", false);
        let foreign_client = foreign.issue(&folder, "foreign-gauge", "gauge.example.com", false);
        let signer = Arc::new(Signer::new());
        let keys = folder.join("keys.json");
        fs::write(&keys, signer.key_set()).expect("a file");
        let ports = LISTENERS.map(|_| free_port());

        let mut properties = vec![
            "ssl.principal.mapping.rules=RULE:^CN=(.*?)$/$1/,DEFAULT".to_owned(),
            format!("sasl.oauthbearer.jwks.endpoint.url=file://{}", keys.display()),
            format!("sasl.oauthbearer.expected.audience={AUDIENCE}"),
            format!("sasl.oauthbearer.expected.issuer={ISSUER}"),
            "listener.name.mutual.ssl.client.auth=required".to_owned(),
            "listener.name.login.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,\
             OAUTHBEARER"
                .to_owned(),
            "listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512".to_owned(),
            // A connection ends with its token, unless a new one comes over it in time.
            "listener.name.login.oauthbearer.connections.max.reauth.ms=3600000".to_owned(),
        ];
        for (name, _, certificate) in LISTENERS {
            let listener = format!("listener.name.{}.ssl", name.to_lowercase());
            let file = folder.join(format!("{certificate}.both.pem"));
            properties.extend([
                format!("{listener}.keystore.type=PEM"),
                format!("{listener}.keystore.location={}", file.display()),
                format!("{listener}.truststore.type=PEM"),
                format!("{listener}.truststore.location={}", authority.file.display()),
            ]);
        }
        let security = "org.apache.kafka.common.security";
        let login = "listener.name.login";
        properties.extend([
            format!(
                "{login}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required \
                 user_gauge=\"secret\";"
            ),
            format!(
                "{login}.oauthbearer.sasl.jaas.config={security}.oauthbearer.\
                 OAuthBearerLoginModule required;"
            ),
            format!(
                "{login}.oauthbearer.sasl.server.callback.handler.class={security}.oauthbearer.\
                 OAuthBearerValidatorCallbackHandler"
            ),
        ]);
        for (listener, mechanism) in
            [("login", "scram-sha-256"), ("login", "scram-sha-512"), ("scram", "scram-sha-512")]
        {
            properties.push(format!(
                "listener.name.{listener}.{mechanism}.sasl.jaas.config={security}.scram.\
                 ScramLoginModule required;"
            ));
        }
        let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listeners = LISTENERS.iter().zip(ports);
        let mut kafka = Kafka::formatted_with(More {
            properties,
            listeners: listeners
                .map(|((name, protocol, _), port)| {
                    ((*name).to_owned(), *protocol, at(port), at(port))
                })
                .collect(),
            format: ["SCRAM-SHA-256", "SCRAM-SHA-512"]
                .into_iter()
                .flat_map(|mechanism| {
                    ["--add-scram".to_owned(), format!("{mechanism}=[name=gauge,password=secret]")]
                })
                .collect(),
            java: ["urls", "files"]
                .map(|what| {
                    let (url, path) = (format!("file://{}", keys.display()), keys.display());
                    let allowed = if what == "urls" { url } else { path.to_string() };
                    format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.{what}={allowed}")
                })
                .to_vec(),
        });
        kafka.launch();
        Secured { kafka, signer, authority, foreign, client, foreign_client, folder, ports }
    }

    /// `host:port` of a listener.
    #[track_caller]
    pub(crate) fn listener(&self, name: &str) -> String {
        let at = LISTENERS.iter().position(|(of, ..)| *of == name).expect("a listener");
        format!("127.0.0.1:{}", self.ports[at])
    }

    /// A file beside the certificates.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.join(name);
        fs::write(&file, text).expect("a file");
        file
    }
}
