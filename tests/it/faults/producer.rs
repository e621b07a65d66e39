//! A producer that knows which of its records are there.
//!
//! Each record carries its number in a header. What was acknowledged must be read
//! back exactly once, what was never sent, or in a transaction that did not come to be,
//! must not be there; only of what failed in the end may either be true.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::event::Draft;
use super::log::Log;
use super::transactions::End;
use super::world::Topic;

/// The header with a record's number.
pub(super) const NUMBER: &str = "harness.number";

#[derive(Default)]
struct Told {
    acknowledged: BTreeSet<u64>,
    failed: BTreeSet<u64>,
    /// Written in transactions that did not come to be.
    undone: BTreeSet<u64>,
    errors: Vec<String>,
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Told>>);

impl ClientContext for Notes {
    // Brokers are killed on purpose here.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Notes {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<u64>) {
        let mut told = self.0.lock().expect("nobody panics with it");
        match result {
            Ok(_) => told.acknowledged.insert(*number),
            Err((error, message)) => {
                told.errors.push(format!("{} of {}: {error}", number, message.topic()));
                told.failed.insert(*number)
            }
        };
    }
}

pub(super) struct TruthfulProducer {
    producer: ThreadedProducer<Notes>,
    notes: Notes,
    next: u64,
}

impl TruthfulProducer {
    pub(super) fn connect(bootstrap: &str) -> TruthfulProducer {
        let notes = Notes::default();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "300000")
            .set("linger.ms", "2")
            .set("reconnect.backoff.max.ms", "500")
            .set("topic.metadata.refresh.interval.ms", "2000")
            .create_with_context(notes.clone())
            .expect("a producer");
        TruthfulProducer { producer, notes, next: 0 }
    }

    /// The number of the next record.
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// These records were written in a transaction that ended like that.
    pub(super) fn transaction(&self, numbers: BTreeSet<u64>, end: End) {
        let mut told = self.notes.0.lock().expect("nobody panics with it");
        let of = if end == End::Committed { &mut told.acknowledged } else { &mut told.undone };
        of.extend(numbers);
    }

    /// Hands a record over to be written.
    pub(super) fn send(&mut self, topics: &[Topic], draft: &Draft) {
        let number = self.number();
        let text = number.to_string();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let headers = OwnedHeaders::new().insert(Header { key: NUMBER, value: Some(&text) });
            let mut record: BaseRecord<'_, str, [u8], Box<u64>> =
                BaseRecord::with_opaque_to(&topics[draft.topic].name, Box::new(number))
                    .partition(draft.partition)
                    .timestamp(draft.timestamp / 1_000)
                    .headers(headers);
            record.key = draft.key.as_deref();
            record.payload = draft.value.as_deref();
            match self.producer.send(record) {
                Ok(()) => return,
                // A new partition is known a moment later.
                Err((
                    KafkaError::MessageProduction(
                        RDKafkaErrorCode::UnknownPartition | RDKafkaErrorCode::QueueFull,
                    ),
                    _,
                )) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err((error, _)) => panic!("the producer does not take a record: {error}"),
            }
        }
    }

    /// Waits until the fate of every record is known.
    pub(super) fn flush(&self) {
        self.producer.flush(Duration::from_secs(120)).expect("all is written");
    }

    /// That the log holds what was acknowledged once, and nothing that was not sent.
    pub(super) fn check(&self, log: &Log) -> Result<(), String> {
        let told = self.notes.0.lock().expect("nobody panics with it");
        let mut there = BTreeSet::new();
        for record in &log.records {
            if record.number >= self.next {
                return Err(format!("record {} was never sent", record.number));
            }
            if !there.insert(record.number) {
                return Err(format!("record {} is there twice", record.number));
            }
        }
        let lost: Vec<_> = told.acknowledged.difference(&there).take(5).collect();
        if !lost.is_empty() {
            return Err(format!("acknowledged and not there: {lost:?}"));
        }
        if let Some(number) = told.undone.intersection(&there).next() {
            return Err(format!("record {number} is of a transaction that did not come to be"));
        }
        let known = [&told.acknowledged, &told.failed, &told.undone];
        let open = (0..self.next).find(|number| known.iter().all(|of| !of.contains(number)));
        match open {
            Some(number) => Err(format!("nothing is known of record {number}")),
            None => Ok(()),
        }
    }
}
