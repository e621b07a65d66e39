//! librdkafka's settings, and what it says outside of records.
//!
//! Its own log lines are debug output: the state of the connection is reported once
//! and then every minute by [`Shared`], and not at each of its many attempts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::SourceSettings;
use super::access::{Access, reason_without, unusable};
use super::refusal::{one_line, refusal};
use super::shared::{Shared, lock};
use super::token::Admitted;
use super::topic_id::NO_ID;
use crate::config::KafkaSpec;

pub(super) type Consumer = Admitted<BaseConsumer<Context>>;

/// How long a request to the brokers may take before it is tried again.
pub(super) const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// What librdkafka calls the part of its log that tells the ids of topics.
const TELLS_IDS: &str = "topic";

/// What librdkafka says against single settings, without a broker: name and reason.
pub fn faults_of_properties(properties: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let refused = |(name, value): (&String, &String)| {
        let mut config = ClientConfig::new();
        config.set(name, value);
        match config.create_native_config() {
            Err(KafkaError::ClientConfig(_, reason, ..)) => {
                Some((name.clone(), reason_without(&reason, value)))
            }
            _ => None,
        }
    };
    properties.iter().filter_map(refused).collect()
}

/// The version of librdkafka that is in this program.
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// What librdkafka says, without a broker, against what is declared as a whole, such as a
/// key that is not of its certificate; `None` where nothing.
pub fn fault_of(spec: &KafkaSpec) -> Option<String> {
    let mut config = base_config("", &spec.properties, &Access::new(spec));
    // Without brokers nothing is connected to.
    config.remove("bootstrap.servers");
    config.create::<BaseConsumer>().err().map(unusable)
}

/// Settings that every client has: before what the user passes through, and, where it is
/// declared how a client gets in, after it.
pub(super) fn base_config(
    brokers: &str,
    properties: &BTreeMap<String, String>,
    access: &Access,
) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "tidegauge")
        .set("socket.keepalive.enable", "true")
        .set("log.connection.close", "false")
        // A broker that comes back is found within two seconds, and a connection that was
        // begun while the network was cut is soon begun again.
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.connection.setup.timeout.ms", "5000");
    for (name, value) in properties {
        config.set(name, value);
    }
    config.set("bootstrap.servers", brokers);
    access.apply(&mut config);
    config
}

fn consumer_config(settings: &SourceSettings) -> ClientConfig {
    let mut properties = BTreeMap::new();
    let defaults = [
        // Bounds the memory of what is fetched ahead: the second for all partitions
        // together, so that a backlog of many partitions stays bounded, too.
        ("queued.min.messages", "20000"),
        ("queued.max.messages.kbytes", "65536"),
        // By default a consumer that outruns the fetching waits a second.
        ("fetch.queue.backoff.ms", "10"),
        ("fetch.wait.max.ms", "250"),
        // A connection on which nothing comes any more is given up after this time. An
        // answer has to be whole by then, so that it may not be large: 105 kB/s suffice.
        ("socket.timeout.ms", "20000"),
        ("fetch.max.bytes", "2097152"),
    ];
    properties.extend(defaults.map(|(name, value)| (name.to_owned(), value.to_owned())));
    if settings.properties.contains_key("message.max.bytes") {
        // librdkafka refuses a smaller one.
        properties.remove("fetch.max.bytes");
    }
    properties.extend(settings.properties.clone());
    let mut config = base_config(&settings.brokers, &properties, &settings.access);
    config
        .set("group.id", &settings.group_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // What is aborted never counts.
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false")
        // Where to go on is decided here, and reported, never by the client.
        .set("auto.offset.reset", "error");
    config
}

/// The consumer that fetches the records.
pub(super) fn reader(settings: &SourceSettings, shared: &Arc<Shared>) -> KafkaResult<Consumer> {
    let mut config = consumer_config(settings);
    // Says up to where a partition holds nothing but markers, see `Context::stats`.
    config.set("statistics.interval.ms", "500");
    // Says at once that a topic is another one, see `Context::log`.
    let debug = match settings.properties.get("debug") {
        Some(asked) => format!("{asked},{TELLS_IDS}"),
        None => TELLS_IDS.to_owned(),
    };
    config.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
    create(settings, &config, shared)
}

fn create(
    settings: &SourceSettings,
    config: &ClientConfig,
    shared: &Arc<Shared>,
) -> KafkaResult<Consumer> {
    let native = |client: &BaseConsumer<Context>| client.client().native_ptr();
    settings.access.create(config, Context::new(shared), native)
}

/// A client for requests only: they do not wait behind fetches on its connections.
pub(super) fn prober(settings: &SourceSettings, shared: &Arc<Shared>) -> KafkaResult<Consumer> {
    create(settings, &consumer_config(settings), shared)
}

/// A client for requests about logs as they are, whatever transactions are open in them.
pub(super) fn watermarks(settings: &SourceSettings, shared: &Arc<Shared>) -> KafkaResult<Consumer> {
    let mut config = consumer_config(settings);
    config.set("isolation.level", "read_uncommitted");
    create(settings, &config, shared)
}

/// A consumer that reads a few records of each partition and is thrown away.
pub(super) fn peeker(settings: &SourceSettings, shared: &Arc<Shared>) -> KafkaResult<Consumer> {
    let mut config = consumer_config(settings);
    config
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_uncommitted")
        .set("auto.offset.reset", "earliest")
        .set("queued.min.messages", "1")
        .set("fetch.message.max.bytes", "65536")
        // Where there is no more, that is to be said soon.
        .set("fetch.wait.max.ms", "20");
    create(settings, &config, shared)
}

/// Where a partition's fetching last met its end.
#[derive(Debug)]
pub(super) struct EndReached {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// When that was so. It may be heard much later: nothing is, while nobody takes what
    /// is read.
    pub(super) at: Instant,
}

/// What librdkafka says in its log and nowhere else.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A topic is another one than before, and that is its id.
    Replaced { topic: String, id: String },
    /// A partition's log was cut before what would be read next.
    Truncated {
        topic: String,
        partition: i32,
        /// It was said after this moment, and less than a second after it.
        after: Instant,
    },
}

/// `[thrd:main]: Topic mail changed id from nN1uV... to gTpqJ...`, also from none. The
/// topic and its id; that a broker says none is no change.
fn id_change(text: &str) -> Option<(&str, &str)> {
    let (topic, ids) = text.split_once(" changed id from ")?;
    let (_, to) = ids.split_once(" to ")?;
    let topic = topic.rsplit_once("Topic ")?.1;
    (to != NO_ID).then_some((topic, to))
}

/// `[thrd:main]: mail [3]: offset reset (at offset 100 (leader epoch 0), broker 1) to
/// INVALID ...: Local: Partition log truncation detected`. The topic and the partition.
fn truncation(text: &str) -> Option<(&str, i32)> {
    let (partition, reason) = text.split_once("]: offset reset ")?;
    let (topic, number) = partition.rsplit_once(" [")?;
    let topic = topic.rsplit_once(' ').map_or(topic, |(_, topic)| topic);
    let is_truncation = reason.ends_with("Partition log truncation detected");
    number.parse().ok().filter(|_| is_truncation).map(|number| (topic, number))
}

/// Takes what librdkafka says outside of records.
pub(super) struct Context {
    shared: Arc<Shared>,
    /// Callbacks served so far: a poll that gave nothing and served nothing has found
    /// the queue empty.
    served: AtomicU64,
    /// Before the client was, from whose beginning its statistics count the time.
    created: Instant,
    /// When the statistics were made that were served last.
    stated: Mutex<Instant>,
    ends_reached: Mutex<Vec<EndReached>>,
    told: Mutex<Vec<Told>>,
    any_told: AtomicBool,
}

impl Context {
    fn new(shared: &Arc<Shared>) -> Self {
        let created = Instant::now();
        Context {
            shared: Arc::clone(shared),
            served: AtomicU64::new(0),
            created,
            stated: Mutex::new(created),
            ends_reached: Mutex::default(),
            told: Mutex::default(),
            any_told: AtomicBool::new(false),
        }
    }

    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    pub(super) fn take_ends_reached(&self) -> Vec<EndReached> {
        std::mem::take(&mut *lock(&self.ends_reached))
    }

    /// What was said since the last call. Costs next to nothing while nothing is.
    pub(super) fn take_told(&self) -> Vec<Told> {
        if self.any_told.swap(false, Ordering::Acquire) {
            return std::mem::take(&mut *lock(&self.told));
        }
        Vec::new()
    }

    fn told(&self, facility: &str, text: &str) -> Option<Told> {
        match facility {
            "METADATA" => {
                let (topic, id) = id_change(text)?;
                Some(Told::Replaced { topic: topic.to_owned(), id: id.to_owned() })
            }
            "OFFSET" => {
                let (topic, partition) = truncation(text)?;
                let after = *lock(&self.stated);
                Some(Told::Truncated { topic: topic.to_owned(), partition, after })
            }
            _ => None,
        }
    }

    fn note(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientContext for Context {
    /// Where a topic is created anew, librdkafka goes on at the old offset without a word,
    /// but for a line of its log, which overtakes the first record of the new topic. It
    /// is used to stop there until the ids are compared; without it some records could
    /// be read twice before they are. Of a log that was cut it gives up the partition
    /// with an error that does not say which one; the log does, and that its offset is no
    /// longer that record's even where the log has grown beyond it since.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.note();
        if let Some(told) = self.told(facility, text) {
            lock(&self.told).push(told);
            self.any_told.store(true, Ordering::Release);
        }
        if matches!(level, RDKafkaLogLevel::Debug) {
            tracing::trace!(target: "librdkafka", facility, "{text}");
        } else {
            tracing::debug!(target: "librdkafka", facility, "{text}");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.note();
        let Some(code) = error.rdkafka_error_code() else { return };
        let reason = &one_line(reason);
        match code {
            RDKafkaErrorCode::AllBrokersDown => self.shared.doubt_brokers(),
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
                self.shared.suspect_gap();
            }
            _ => match refusal(code) {
                Some(refusal) => self.shared.fatal(refusal, None, reason),
                None => self.shared.remember_trouble(reason),
            },
        }
    }

    /// `eof_offset` is set when a fetch finds nothing at the partition's end, and so
    /// after the records before it were queued. It is the only sign of how far the
    /// markers of transactions and the holes of compaction reach. Where the fetching
    /// went back since (after a pause), it is above `next_offset` and says nothing.
    fn stats(&self, statistics: Statistics) {
        self.note();
        let age = Duration::from_micros(u64::try_from(statistics.age).unwrap_or(0));
        let at = self.created + age;
        *lock(&self.stated) = at;
        let mut ends = lock(&self.ends_reached);
        for (topic, of_topic) in statistics.topics {
            for partition in of_topic.partitions.values() {
                if partition.eof_offset <= 0 || partition.next_offset < partition.eof_offset {
                    continue;
                }
                ends.push(EndReached {
                    topic: topic.clone(),
                    partition: partition.partition,
                    offset: partition.eof_offset,
                    at,
                });
            }
        }
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, _result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        self.note();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_id_is_read_from_the_log() {
        let is = |text: &str, expected: Option<(&str, &str)>| {
            assert_eq!(id_change(text), expected, "{text}");
        };
        let (one, two) = ("nN1uVgTpqJwAAAAAAAAAAA", "gTpqJnN1uVwAAAAAAAAAAA");
        is(&format!("[thrd:main]: Topic mail changed id from {one} to {two}"), Some(("mail", two)));
        is(&format!("Topic mail changed id from {NO_ID} to {two}"), Some(("mail", two)));
        is(&format!("Topic mail changed id from {one} to {NO_ID}"), None);
        is("[thrd:main]: Topic mail [0] 127.0.0.1:9092/1: Leader is 1", None);
    }

    #[test]
    fn a_log_that_was_cut_is_read_from_the_log() {
        let is = |text: &str, expected: Option<(&str, i32)>| {
            assert_eq!(truncation(text), expected, "{text}");
        };
        let cut = "mail.v2 [13]: offset reset (at offset INVALID (leader epoch 1), broker 1) to \
                   offset INVALID (leader epoch -1): Partition log truncation detected at offset \
                   100 (leader epoch 0): broker end offset is 0 (offset leader epoch 0). Reset \
                   to INVALID.: Local: Partition log truncation detected";
        is(cut, Some(("mail.v2", 13)));
        is(&format!("[thrd:main]: {cut}"), Some(("mail.v2", 13)));
        is("mail [0]: offset reset (at ...) to ...: Broker: Offset out of range", None);
        is("mail [0]: offset 3 committed: Success", None);
    }
}
