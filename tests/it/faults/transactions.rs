//! Producers that write in transactions, and end them in every way.
//!
//! A transaction writes to partitions of several topics, and stays open for a while;
//! others write behind it meanwhile. It is committed, aborted, or its producer is gone
//! without a word, and the broker ends it after [`TIMEOUT`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer as _;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::event::Draft;
use super::producer::NUMBER;
use super::world::Topic;
use crate::support::kafka::{Kafka, unique, wait_for};

/// After so long the broker aborts what a producer that is gone has left.
const TIMEOUT: Duration = Duration::from_secs(4);
/// How long one may stay open that somebody takes care of.
const CARED_FOR: Duration = Duration::from_secs(120);
const REQUEST: Duration = Duration::from_secs(30);

/// One transaction that is open.
pub(super) struct Transaction {
    producer: BaseProducer,
    /// What its records are known by.
    numbers: BTreeSet<u64>,
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Committed,
    Aborted,
    Abandoned,
}

impl End {
    pub(super) fn of(detail: u64) -> End {
        [End::Committed, End::Aborted, End::Abandoned][(detail % 3) as usize]
    }
}

impl Transaction {
    /// Begins one that is going to end like that.
    pub(super) fn begin(bootstrap: &str, end: End) -> Transaction {
        let timeout = if end == End::Abandoned { TIMEOUT } else { CARED_FOR };
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("transactional.id", unique("faults"))
            .set("transaction.timeout.ms", timeout.as_millis().to_string())
            .set("log_level", "0")
            .create()
            .expect("a producer");
        producer.init_transactions(REQUEST).expect("a producer of transactions");
        producer.begin_transaction().expect("a transaction begins");
        Transaction { producer, numbers: BTreeSet::new() }
    }

    /// Writes a record; it is in the log, and nobody may read it yet.
    pub(super) fn send(&mut self, topics: &[Topic], draft: &Draft, number: u64) {
        let text = number.to_string();
        let headers = OwnedHeaders::new().insert(Header { key: NUMBER, value: Some(&text) });
        let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&topics[draft.topic].name)
            .partition(draft.partition)
            .timestamp(draft.timestamp / 1_000)
            .headers(headers);
        record.key = draft.key.as_deref();
        record.payload = draft.value.as_deref();
        self.producer.send(record).map_err(|(error, _)| error).expect("it is taken");
        self.numbers.insert(number);
    }

    /// Waits until all its records are in the log.
    pub(super) fn flush(&self) {
        self.producer.flush(REQUEST).expect("all is written");
    }

    /// Ends it; gives the numbers of its records.
    pub(super) fn end(self, end: End) -> BTreeSet<u64> {
        match end {
            End::Committed => self.producer.commit_transaction(REQUEST).expect("it is committed"),
            End::Aborted => self.producer.abort_transaction(REQUEST).expect("it is aborted"),
            End::Abandoned => {}
        }
        self.numbers
    }
}

/// Waits until no transaction is open in any partition; gives their ends.
pub(super) fn wait_for_ends(kafka: &Kafka, topics: &[Topic]) -> BTreeMap<(usize, i32), i64> {
    let committed = kafka.consumer("truth");
    let everything = kafka.consumer_with("truth", &[("isolation.level", "read_uncommitted")]);
    let mut ends = BTreeMap::new();
    for (index, topic) in topics.iter().enumerate() {
        for partition in 0..topic.partitions {
            let wait = Duration::from_secs(20);
            let end = wait_for("the end of every transaction in a partition", || {
                let (_, stable) = committed.fetch_watermarks(&topic.name, partition, wait).ok()?;
                let (_, high) = everything.fetch_watermarks(&topic.name, partition, wait).ok()?;
                (stable == high).then_some(high)
            });
            ends.insert((index, partition), end);
        }
    }
    ends
}
