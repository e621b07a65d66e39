//! The validated configuration, as the rest of the program takes it.
//!
//! Whoever holds a [`Config`] need not check it again: indexes point at what exists,
//! names are unique, units fit. Every default is stated where its field is declared.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::{Problem, Secret, SignInSpec, TlsSpec};
use crate::artifact::{Inputs, Scope};
use crate::event::Span;
use crate::format::{FormatSpec, Limits};
use crate::kpi::Declarations;
use crate::objective::ObjectiveSpec;

/// Everything that one instance needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name among replicas; default: the host's name.
    pub instance: String,
    /// Where events come from.
    pub kafka: KafkaSpec,
    /// Every known format, shipped and own, in order of names.
    pub formats: Vec<FormatSpec>,
    /// What a record may cost.
    pub limits: Limits,
    /// What is computed.
    pub declarations: Declarations,
    /// What is judged, in the order of the files.
    pub objectives: Vec<ObjectiveSpec>,
    /// Where it is served.
    pub export: ExportSpec,
    /// What tells deployments apart in what is generated; default: nothing.
    pub scope: Scope,
    /// The key under which people are hashed; default: derived by the app.
    pub hash_key: Option<Secret>,
    /// How often figures are made; default: every second.
    pub snapshot_every: Span,
    /// Bytes of resident memory at which consumption pauses; default: nine tenths of
    /// what the machine or its control group has.
    pub memory_limit: Option<u64>,
    /// Where state is saved, and how often.
    pub state: StateSpec,
    /// How far figures, and a topic that does not say for itself, may be behind before
    /// nothing is judged by them; default: 60 seconds.
    pub stale_after: Span,
    /// How long ids are remembered to tell copies by; `None`: not at all. Default: 72
    /// hours.
    pub duplicates: Option<Span>,
    /// Threads that decode; default: one for each processor but one, at least one.
    pub decoders: usize,
    /// How logs look.
    pub log: LogSpec,
    /// How long stopping may take; default: 20 seconds.
    pub shutdown_deadline: Span,
    /// Equal for configurations that compute and judge the same: over declarations
    /// and objectives, help texts left out. Stable over versions of the compiler.
    pub fingerprint: u64,
    /// What is allowed and yet worth a word to the operator, by file and line.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// What rules, dashboards and documents are made from.
    pub fn artifact_inputs(&self) -> Inputs<'_> {
        Inputs {
            declarations: &self.declarations,
            objectives: &self.objectives,
            scope: &self.scope,
            dead_letters: match &self.kafka.dead_letters {
                DeadLetterSpec::Off => None,
                DeadLetterSpec::Topic(topic) => Some(topic),
            },
            stale_after: self
                .kafka
                .topics
                .iter()
                .map(|topic| topic.stale_after)
                .max()
                .unwrap_or(self.stale_after),
        }
    }
}

/// Where events come from.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaSpec {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// Offsets are committed under `<group>.<instance>`; default: `tidegauge`.
    pub group: String,
    /// How connections are encrypted; `None`: plain, unless the properties say otherwise.
    pub tls: Option<TlsSpec>,
    /// Who this program is to the brokers; `None`: nobody, unless the properties say
    /// otherwise.
    pub sign_in: Option<SignInSpec>,
    /// Passed through to librdkafka; may hold secrets. None of those that are ours
    /// to set.
    pub properties: BTreeMap<String, String>,
    /// What is read; at least one, the first that matches a topic counts.
    pub topics: Vec<TopicSpec>,
    /// Where refused records go; default: off.
    pub dead_letters: DeadLetterSpec,
}

/// Shows which properties there are, and no value of them.
impl fmt::Debug for KafkaSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("KafkaSpec")
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("tls", &self.tls)
            .field("sign_in", &self.sign_in)
            .field("properties", &names)
            .field("topics", &self.topics)
            .field("dead_letters", &self.dead_letters)
            .finish()
    }
}

/// A topic, or all that match, and the format of its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// A name, or a regular expression that begins with `^`.
    pub name: String,
    /// The name of a format in [`Config::formats`].
    pub format: String,
    /// How far it may be behind before what rests on it is not judged; default:
    /// [`Config::stale_after`].
    pub stale_after: Span,
    /// Whether measures may add up over it though its log is compacted; default: no.
    pub allow_compacted: bool,
}

/// What becomes of refused records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterSpec {
    /// They are counted.
    Off,
    /// They are counted and written to this topic.
    Topic(String),
}

/// The versions of the saved state that can be written, as `checkpoint` says, which a
/// configuration knows nothing of.
pub const STATE_VERSIONS: std::ops::RangeInclusive<u32> = 1..=1;

/// Where state is saved, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSpec {
    /// A directory of this instance's own; `None` keeps nothing. Default:
    /// `tidegauge-data` beside the configuration file.
    pub directory: Option<PathBuf>,
    /// A checkpoint is made after this time at the latest; default: one second.
    pub every: Span,
    /// And after so many events; default: 1,000,000.
    pub events: u64,
    /// The version of the format that is written; default: the newest.
    pub version: Option<u32>,
}

impl Default for StateSpec {
    fn default() -> Self {
        StateSpec { directory: None, every: Span::from_secs(1), events: 1_000_000, version: None }
    }
}

/// Where figures are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSpec {
    /// Default: `127.0.0.1:9184`.
    pub listen: SocketAddr,
    /// The names under which it may be asked for, beside its own on the loopback;
    /// default: none there, all elsewhere.
    pub hosts: Vec<String>,
    /// The file that declares TLS and who may sign in; default: everybody may see
    /// everything, without TLS.
    pub web_config: Option<PathBuf>,
}

/// How logs look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSpec {
    /// Default: text.
    pub format: LogFormat,
    /// `error`, `warn`, `info` (the default), `debug` or `trace`.
    pub level: String,
}

impl Default for LogSpec {
    fn default() -> Self {
        LogSpec { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// Text for people, or JSON for collectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Text,
    /// One object a line.
    Json,
}

/// Where somebody on the same machine finds what listens there.
pub fn seen_at(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
