//! A broker inside the process, and a plain producer: for the demo and for tests of
//! faults.
//!
//! The broker is librdkafka's mock cluster: real TCP on a loopback port, nothing on
//! disk. Its limits: it keeps 5 MiB (compressed) of each partition and drops the
//! oldest without a word, and it answers a look-up by time with the end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header as KafkaHeader, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, Producer as _, ProducerContext, ThreadedProducer,
};

use super::access::{Access, unusable};
use super::token::Admitted;
use crate::event::{EventTime, Header};

enum Command {
    Create(String, i32),
    Down,
    Up,
    Delay(Duration),
}

type Ordered = (Command, Sender<Result<(), String>>);

/// A Kafka broker inside this process. It is gone when this is dropped.
///
/// The cluster lives in a thread of its own, because its handle cannot move between
/// threads.
#[derive(Debug)]
pub struct DemoBroker {
    bootstrap: String,
    orders: Option<Sender<Ordered>>,
    thread: Option<JoinHandle<()>>,
}

impl DemoBroker {
    /// Starts one broker on a free loopback port.
    pub fn start() -> Result<DemoBroker, String> {
        let (orders, ordered) = bounded::<Ordered>(1);
        let (ready, started) = bounded(1);
        let thread = thread::Builder::new()
            .name("demo-broker".to_owned())
            .spawn(move || match MockCluster::new(1) {
                Ok(cluster) => {
                    let _ = ready.send(Ok(cluster.bootstrap_servers()));
                    serve(&cluster, &ordered);
                }
                Err(error) => {
                    let _ = ready.send(Err(error.to_string()));
                }
            })
            .map_err(|error| error.to_string())?;
        let bootstrap = started.recv().map_err(|_| "the broker did not start".to_owned())??;
        Ok(DemoBroker { bootstrap, orders: Some(orders), thread: Some(thread) })
    }

    /// `host:port`, for any client on this machine.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Creates a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), String> {
        self.order(Command::Create(topic.to_owned(), partitions))
    }

    /// Disconnects everybody and refuses connections.
    pub fn down(&self) -> Result<(), String> {
        self.order(Command::Down)
    }

    /// Accepts connections again.
    pub fn up(&self) -> Result<(), String> {
        self.order(Command::Up)
    }

    /// Answers every request this much later.
    pub fn delay(&self, delay: Duration) -> Result<(), String> {
        self.order(Command::Delay(delay))
    }

    fn order(&self, command: Command) -> Result<(), String> {
        let gone = || "the broker has stopped".to_owned();
        let (done, answer) = bounded(1);
        let orders = self.orders.as_ref().ok_or_else(gone)?;
        orders.send((command, done)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

fn serve(cluster: &MockCluster<'_, DefaultProducerContext>, ordered: &Receiver<Ordered>) {
    while let Ok((command, done)) = ordered.recv() {
        let result = match command {
            Command::Create(topic, partitions) => cluster.create_topic(&topic, partitions, 1),
            Command::Down => cluster.broker_down(-1),
            Command::Up => cluster.broker_up(-1),
            Command::Delay(delay) => cluster.broker_round_trip_time(-1, delay),
        };
        let _ = done.send(result.map_err(|error| error.to_string()));
    }
}

impl Drop for DemoBroker {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes records, compressed with lz4, without losing any while the broker lives.
pub struct Producer {
    inner: Admitted<ThreadedProducer<Counting>>,
    failures: Arc<Failures>,
}

struct Counting {
    failures: Arc<Failures>,
}

/// What became of records that were not written.
#[derive(Debug, Default)]
struct Failures {
    records: AtomicU64,
    first: OnceLock<String>,
}

impl ClientContext for Counting {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(target: "librdkafka", facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("while producing: {error}: {reason}");
    }
}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failures.records.fetch_add(1, Ordering::Relaxed);
            self.failures.first.get_or_init(|| error.to_string());
            tracing::warn!("a record was not written: {error}");
        }
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("failures", &self.failures).finish_non_exhaustive()
    }
}

impl Producer {
    /// A producer for the brokers at `bootstrap`, with settings of librdkafka beside
    /// the usual ones.
    pub fn connect(bootstrap: &str, settings: &[(&str, &str)]) -> Result<Producer, String> {
        Producer::connect_by(&Access::default(), bootstrap, settings)
    }

    /// As [`Producer::connect`], for brokers that ask who comes.
    pub fn connect_by(
        access: &Access,
        bootstrap: &str,
        settings: &[(&str, &str)],
    ) -> Result<Producer, String> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("compression.type", "lz4")
            .set("linger.ms", "5")
            .set("message.timeout.ms", "60000");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        access.apply(&mut config);
        let failures = Arc::<Failures>::default();
        let context = Counting { failures: Arc::clone(&failures) };
        let native = |client: &ThreadedProducer<Counting>| client.client().native_ptr();
        let inner = access.create(&config, context, native).map_err(unusable)?;
        Ok(Producer { inner, failures })
    }

    /// Writes a record to the partition that its key chooses. Waits while the queue is
    /// full.
    pub fn send(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
        timestamp: Option<EventTime>,
    ) -> Result<(), String> {
        self.send_to(topic, None, key, value, headers, timestamp)
    }

    /// As [`Producer::send`], to a partition that the caller chooses.
    pub fn send_to(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
        timestamp: Option<EventTime>,
    ) -> Result<(), String> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic);
        record.partition = partition;
        record.key = key;
        record.payload = value;
        record.timestamp = timestamp.map(EventTime::millis);
        if !headers.is_empty() {
            let mut owned = OwnedHeaders::new_with_capacity(headers.len());
            for (key, value) in headers {
                owned = owned.insert(KafkaHeader { key, value: *value });
            }
            record.headers = Some(owned);
        }
        loop {
            match self.inner.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error.to_string()),
            }
        }
    }

    /// How many records wait to be written.
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.inner.in_flight_count()).unwrap_or(0)
    }

    /// What was said of the first record that was given up; `None` while none was.
    pub fn failure(&self) -> Option<&str> {
        self.failures.first.get().map(String::as_str)
    }

    /// Waits until all is written, or until the deadline; an error says how many
    /// records were not.
    pub fn flush(&self, deadline: Duration) -> Result<(), String> {
        let until = Instant::now() + deadline;
        while self.inner.in_flight_count() > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        let unwritten =
            self.inner.in_flight_count() as u64 + self.failures.records.load(Ordering::Relaxed);
        if unwritten == 0 { Ok(()) } else { Err(format!("{unwritten} records are not written")) }
    }
}
