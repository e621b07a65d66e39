//! A producer whose records are read only once it has committed them.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use tidegauge::event::EventTime;

use super::kafka::{Kafka, unique};

/// The longest wait for the transaction's coordinator.
const WAIT: Duration = Duration::from_secs(30);

/// A producer with a transactional id of its own.
pub(crate) struct Transactional {
    inner: ThreadedProducer<DefaultProducerContext>,
}

impl Transactional {
    /// A producer whose open transaction the broker aborts after `timeout`.
    pub(crate) fn start(kafka: &Kafka, timeout: Duration) -> Transactional {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", kafka.bootstrap())
            .set("transactional.id", unique("tidegauge.tests"))
            .set("transaction.timeout.ms", timeout.as_millis().to_string())
            .set("linger.ms", "0")
            .set("log_level", "0");
        let inner: ThreadedProducer<_> = config.create().expect("a producer");
        inner.init_transactions(WAIT).expect("the coordinator answers");
        Transactional { inner }
    }

    /// Begins a transaction.
    pub(crate) fn begin(&self) {
        self.inner.begin_transaction().expect("no other is open");
    }

    /// Writes a value to a partition, and leaves it there uncommitted.
    pub(crate) fn write(&self, topic: &str, partition: i32, value: &str, at: EventTime) {
        let record: BaseRecord<'_, [u8], str> =
            BaseRecord::to(topic).partition(partition).payload(value).timestamp(at.millis());
        self.inner.send(record).map_err(|(error, _)| error).expect("it is taken");
    }

    /// Waits until what was written is in the log.
    pub(crate) fn flush(&self) {
        self.inner.flush(WAIT).expect("it is written");
    }

    /// Lets what was written be read.
    pub(crate) fn commit(&self) {
        self.inner.commit_transaction(WAIT).expect("it is committed");
    }

    /// Takes back what was written.
    pub(crate) fn abort(&self) {
        self.inner.abort_transaction(WAIT).expect("it is aborted");
    }
}
