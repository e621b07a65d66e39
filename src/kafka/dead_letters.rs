//! Dead letters on their way into their topic.
//!
//! In: refused records, whole. Out: one record each in the dead-letter topic, with
//! headers that say why. Kept: which are not acknowledged yet, so that no offset
//! above them is committed. Nothing is dropped: what the topic refuses is tried again
//! until it takes it, and `blocked` says so meanwhile; what is too large is cut. A
//! letter may be written twice (after a time-out, after a restart): readers tell
//! copies by the source coordinates in the headers.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::access::{Access, unusable};
use super::bootstrap::Bootstrap;
use super::client::base_config;
use super::refusal::one_line;
use super::shared::lock;
use super::token::Admitted;
use super::truncate::encode;
use crate::event::{EventTime, RejectReason};

/// Letters given to the client and not acknowledged, at most.
const IN_FLIGHT: usize = 200;

/// Before a refused letter is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Trouble that lasts is said again after this time.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Where dead letters go.
#[derive(Clone)]
pub struct DeadLetterSettings {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// The topic; it must exist, nothing creates it.
    pub topic: String,
    /// Passed through to librdkafka.
    pub properties: BTreeMap<String, String>,
    /// What lets the client in, set after these.
    pub access: Access,
    /// Letters that wait at most; then [`DeadLetters::send`] waits.
    pub queue: usize,
    /// Bytes of a record at most, uncompressed; what is larger is cut.
    pub max_bytes: usize,
}

impl DeadLetterSettings {
    /// 1,000 letters may wait; a record has 1,000,000 bytes, as a topic takes by default.
    pub fn new(brokers: impl Into<String>, topic: impl Into<String>) -> Self {
        DeadLetterSettings {
            brokers: brokers.into(),
            topic: topic.into(),
            properties: BTreeMap::new(),
            access: Access::default(),
            queue: 1_000,
            max_bytes: 1_000_000,
        }
    }
}

/// Without the values of the properties: passwords are among them.
impl std::fmt::Debug for DeadLetterSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetterSettings")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}

/// One refused record, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic it was read from.
    pub topic: Arc<str>,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Its timestamp.
    pub timestamp: Option<EventTime>,
    /// Why it was refused, or the first of its bad elements.
    pub reason: RejectReason,
    /// The same for people.
    pub text: String,
    /// Of a record with good and bad elements: the indexes of the bad ones.
    pub elements: Vec<(u64, RejectReason)>,
}

/// How the dead letters are doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterState {
    /// Acknowledged by the broker.
    pub written: u64,
    /// Not acknowledged yet.
    pub pending: u64,
    /// Why the topic refuses them; `None` while it takes them.
    pub blocked: Option<String>,
}

/// The dead letters were closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the dead letters are closed")]
pub struct Stopped;

/// Writes dead letters in a thread of its own. Shared by reference.
#[derive(Debug)]
pub struct DeadLetters {
    post: Arc<Post>,
    letters: Sender<DeadLetter>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Post {
    stop: AtomicBool,
    ledger: Mutex<Ledger>,
    /// Given back by the client: to be sent again, with the size allowed next time.
    returned: Mutex<VecDeque<Envelope>>,
}

#[derive(Debug, Default)]
struct Ledger {
    written: u64,
    pending: HashMap<(Arc<str>, i32), BTreeSet<i64>>,
    pending_count: u64,
    /// Of those that are pending: of partitions whose offsets began anew since.
    apart: BTreeSet<(Arc<str>, i32, i64)>,
    blocked: Option<String>,
    said: Option<Instant>,
    retry_at: Option<Instant>,
}

/// A letter with the size that it may have.
#[derive(Debug)]
struct Envelope {
    letter: DeadLetter,
    limit: usize,
}

impl DeadLetters {
    /// Starts; works without a broker until one answers. Fails only on settings that
    /// librdkafka refuses.
    pub fn start(settings: DeadLetterSettings) -> Result<DeadLetters, String> {
        let post = Arc::new(Post::default());
        let (letters, received) = bounded(settings.queue.max(1));
        let producer = connect(&settings, &post)?;
        let bootstrap = Bootstrap::new(&settings.brokers);
        let writer = Writer { settings, post: Arc::clone(&post), producer, bootstrap, received };
        let thread = thread::Builder::new()
            .name("kafka-dead-letters".to_owned())
            .spawn(move || {
                let post = Arc::clone(&writer.post);
                if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                    // So consumption waits, and says why.
                    let why = "the thread that writes dead letters failed unexpectedly: start \
                               again, and please report this with the log";
                    tracing::error!("{why}");
                    lock(&post.ledger).blocked = Some(why.to_owned());
                }
            })
            .map_err(|error| error.to_string())?;
        Ok(DeadLetters { post, letters, thread: Mutex::new(Some(thread)) })
    }

    /// Takes a letter; waits while the queue is full.
    pub fn send(&self, letter: DeadLetter) -> Result<(), Stopped> {
        self.post.expect(&letter);
        let mut letter = letter;
        loop {
            if self.post.stopped() {
                return Err(Stopped);
            }
            match self.letters.send_timeout(letter, Duration::from_millis(50)) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Disconnected(_)) => return Err(Stopped),
                Err(SendTimeoutError::Timeout(back)) => letter = back,
            }
        }
    }

    /// How the dead letters are doing.
    pub fn state(&self) -> DeadLetterState {
        let ledger = lock(&self.post.ledger);
        DeadLetterState {
            written: ledger.written,
            pending: ledger.pending_count,
            blocked: ledger.blocked.clone(),
        }
    }

    /// The offset up to which the partition's dead letters are written: that of the
    /// first one which is not. `None` when none is waiting. Only what is below may be
    /// committed.
    pub fn flushed_below(&self, topic: &str, partition: i32) -> Option<i64> {
        let ledger = lock(&self.post.ledger);
        if ledger.pending_count == 0 {
            return None;
        }
        ledger.pending.get(&(Arc::from(topic), partition))?.first().copied()
    }

    /// The offsets of a partition begin anew, or it is gone: what is waiting of it is not
    /// taken for what comes.
    pub fn set_apart(&self, topic: &str, partition: i32) {
        let mut ledger = lock(&self.post.ledger);
        let key = (Arc::from(topic), partition);
        let waiting = ledger.pending.remove(&key).unwrap_or_default();
        let (topic, partition) = key;
        ledger.apart.extend(waiting.iter().map(|offset| (Arc::clone(&topic), partition, *offset)));
    }

    /// Whether all that was set apart is written.
    pub fn none_apart(&self) -> bool {
        lock(&self.post.ledger).apart.is_empty()
    }

    /// Waits until all are written, or until the deadline, and ends. Says how many
    /// are not written: their offsets are not to be committed.
    pub fn close(&self, deadline: Duration) -> u64 {
        let until = Instant::now() + deadline;
        while lock(&self.post.ledger).pending_count > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        self.post.stop.store(true, Ordering::Release);
        if let Some(thread) = lock(&self.thread).take() {
            let grace = until.max(Instant::now() + Duration::from_secs(1));
            while !thread.is_finished() && Instant::now() < grace {
                thread::sleep(Duration::from_millis(2));
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
        lock(&self.post.ledger).pending_count
    }
}

impl Drop for DeadLetters {
    fn drop(&mut self) {
        self.post.stop.store(true, Ordering::Release);
    }
}

impl Post {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn expect(&self, letter: &DeadLetter) {
        let mut ledger = lock(&self.ledger);
        let key = (Arc::clone(&letter.topic), letter.partition);
        if ledger.pending.entry(key).or_default().insert(letter.offset) {
            ledger.pending_count += 1;
        }
    }

    fn written(&self, letter: &DeadLetter) {
        let mut ledger = lock(&self.ledger);
        let key = (Arc::clone(&letter.topic), letter.partition);
        // Of two with one offset, that which was set apart was sent first.
        let apart = !ledger.apart.is_empty()
            && ledger.apart.remove(&(Arc::clone(&letter.topic), letter.partition, letter.offset));
        if apart
            || ledger.pending.get_mut(&key).is_some_and(|offsets| offsets.remove(&letter.offset))
        {
            ledger.pending_count -= 1;
        }
        ledger.written += 1;
        if ledger.blocked.take().is_some() {
            tracing::info!("the dead-letter topic takes letters again");
        }
        ledger.said = None;
        ledger.retry_at = None;
    }

    fn refused(&self, mut envelope: Envelope, error: &KafkaError, topic: &str) {
        if self.stopped() {
            return;
        }
        let too_large = error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
            && envelope.limit > 1_000;
        if too_large {
            // The topic takes less than the settings say: cut to half until it fits.
            envelope.limit /= 2;
        } else {
            let why = reason(error, topic);
            let mut ledger = lock(&self.ledger);
            if ledger.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
                ledger.said = Some(Instant::now());
                tracing::error!("{why}; nothing is lost, it is tried again until it is taken");
            }
            ledger.blocked = Some(why);
            ledger.retry_at = Some(Instant::now() + RETRY);
        }
        lock(&self.returned).push_back(envelope);
    }

    fn blocked(&self) -> bool {
        lock(&self.ledger).blocked.is_some()
    }

    fn may_send(&self) -> bool {
        lock(&self.ledger).retry_at.is_none_or(|at| at <= Instant::now())
    }
}

fn reason(error: &KafkaError, topic: &str) -> String {
    let said = error.rdkafka_error_code().map_or_else(|| error.to_string(), |c| c.to_string());
    let remedy = match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownPartition,
        ) => "create it",
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => "grant the right WRITE on it",
        Some(RDKafkaErrorCode::ClusterAuthorizationFailed) => {
            "grant IDEMPOTENT_WRITE on the cluster"
        }
        Some(RDKafkaErrorCode::MessageTimedOut) => "look at the brokers and at the topic's leaders",
        _ => "look at the topic",
    };
    format!("the dead-letter topic `{topic}` does not take letters ({said}): {remedy}")
}

struct Delivery {
    post: Arc<Post>,
    topic: String,
}

impl ClientContext for Delivery {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(target: "librdkafka", facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("while writing dead letters: {error}: {}", one_line(reason));
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = Box<Envelope>;

    fn delivery(&self, result: &DeliveryResult<'_>, envelope: Box<Envelope>) {
        match result {
            Ok(_) => self.post.written(&envelope.letter),
            Err((error, _)) => self.post.refused(*envelope, error, &self.topic),
        }
    }
}

fn connect(
    settings: &DeadLetterSettings,
    post: &Arc<Post>,
) -> Result<Admitted<BaseProducer<Delivery>>, String> {
    let mut properties = BTreeMap::from(
        // Settings that a user may change: what is refused comes back soon, so that the
        // state says so.
        [("message.timeout.ms", "15000"), ("linger.ms", "20"), ("compression.type", "lz4")]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    properties.extend(settings.properties.clone());
    let mut config: ClientConfig = base_config(&settings.brokers, &properties, &settings.access);
    config
        .set("enable.idempotence", "true")
        .set("topic.metadata.propagation.max.ms", "1000")
        .set("message.max.bytes", settings.max_bytes.clamp(1_000, 1_000_000_000).to_string());
    let context = Delivery { post: Arc::clone(post), topic: settings.topic.clone() };
    let native = |producer: &BaseProducer<Delivery>| producer.client().native_ptr();
    settings
        .access
        .create(&config, context, native)
        .map_err(|error| format!("the settings for dead letters do not hold: {}", unusable(error)))
}

struct Writer {
    settings: DeadLetterSettings,
    post: Arc<Post>,
    producer: Admitted<BaseProducer<Delivery>>,
    bootstrap: Bootstrap,
    received: Receiver<DeadLetter>,
}

impl Writer {
    fn run(mut self) {
        while !self.post.stopped() {
            self.producer.poll(Duration::ZERO);
            self.renew_after_a_fatal_error();
            if self.post.blocked() {
                self.bootstrap.silent(self.producer.client());
            } else {
                self.bootstrap.answered();
            }
            let free = (self.producer.in_flight_count() as usize) < IN_FLIGHT;
            if !free || !self.post.may_send() {
                self.producer.poll(Duration::from_millis(10));
                continue;
            }
            let returned = lock(&self.post.returned).pop_front();
            if let Some(envelope) = returned {
                self.write(envelope);
                continue;
            }
            match self.received.recv_timeout(Duration::from_millis(10)) {
                Ok(letter) => {
                    let limit = self.settings.max_bytes;
                    self.write(Envelope { letter, limit });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // Nobody can send any more, but some may still be under way.
                    self.producer.poll(Duration::from_millis(10));
                }
            }
        }
    }

    fn write(&self, envelope: Envelope) {
        let envelope = Box::new(envelope);
        let letter = envelope.letter.clone();
        let encoded = encode(&letter, envelope.limit);
        let mut record =
            BaseRecord::<[u8], [u8], _>::with_opaque_to(&self.settings.topic, envelope);
        record.key = encoded.key;
        record.payload = encoded.value;
        record.timestamp = letter.timestamp.map(EventTime::millis);
        record.headers = Some(encoded.headers);
        if let Err((error, back)) = self.producer.send(record) {
            self.post.refused(*back.delivery_opaque, &error, &self.settings.topic);
        }
    }

    /// An idempotent producer that met a fatal error takes nothing any more.
    fn renew_after_a_fatal_error(&mut self) {
        let Some((code, text)) = self.producer.client().fatal_error() else { return };
        tracing::warn!("the producer of dead letters is made anew after {code}: {text}");
        match connect(&self.settings, &self.post) {
            // Dropping the old one returns what it held.
            Ok(producer) => self.producer = producer,
            Err(error) => {
                lock(&self.post.ledger).retry_at = Some(Instant::now() + RETRY);
                tracing::error!("{error}");
            }
        }
    }
}
