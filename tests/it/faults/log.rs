//! What lies in the topics: the truth of a run, read back by a plain consumer.
//!
//! In: the broker, asked directly. Out: every record with its place and time, and
//! every event that counts, once. Nothing here depends on what the instances say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::event::{HORIZON, LATENESS, TOLERANCE};
use super::judge::{Element, Judged, Seen, judge};
use super::moment::Micros;
use super::producer::NUMBER;
use super::transactions;
use super::world::Topic;
use crate::support::kafka::Kafka;

/// 2000-01-01T00:00:00Z.
const FIRST_USABLE: Micros = 946_684_800_000_000;

/// The place of a record: topic, partition, offset.
pub(super) type Place = (usize, i32, i64);

/// One record of a topic.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) place: Place,
    /// None that says anything, if it lies before the year 2000.
    pub(super) timestamp: Option<Micros>,
    /// By which the producer knows it.
    pub(super) number: u64,
    pub(super) judged: Judged,
}

impl Record {
    /// The record's time for one of its events, which takes its own where there is none.
    fn time(&self, seen: &Seen) -> Micros {
        self.timestamp.unwrap_or(seen.at)
    }

    /// Why an event does not count for its time alone.
    pub(super) fn outcome(&self, seen: &Seen) -> Option<&'static str> {
        let time = self.time(seen);
        if seen.at > time + TOLERANCE {
            Some("future")
        } else if seen.at < time - LATENESS {
            Some("late")
        } else {
            None
        }
    }
}

/// All records so far.
#[derive(Default)]
pub(super) struct Log {
    next: BTreeMap<(usize, i32), i64>,
    pub(super) records: Vec<Record>,
}

impl Log {
    /// Reads what was added since, once no transaction is open.
    pub(super) fn read_on(&mut self, kafka: &Kafka, topics: &[Topic]) {
        let ends = transactions::wait_for_ends(kafka, topics);
        // A new consumer each time: it knows the partitions that there are now.
        let consumer = kafka.consumer_with("truth", &[("enable.partition.eof", "true")]);
        for ((topic, partition), end) in ends {
            let from = *self.next.entry((topic, partition)).or_insert(0);
            if from < end {
                self.read_partition(&consumer, topics, topic, (partition, from));
                self.next.insert((topic, partition), end);
            }
        }
    }

    /// Reads one partition to its end, where the marker of a transaction may stand.
    fn read_partition(
        &mut self,
        consumer: &BaseConsumer,
        topics: &[Topic],
        topic: usize,
        (partition, from): (i32, i64),
    ) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topics[topic].name, partition, Offset::Offset(from))
            .expect("an offset");
        consumer.assign(&list).expect("an assignment");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            assert!(Instant::now() < deadline, "{topic} {partition} could not be read back");
            let message = match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(_))) => return,
                _ => continue,
            };
            let header = message.headers().and_then(|headers| {
                let number = headers.iter().find(|header| header.key == NUMBER)?.value?;
                std::str::from_utf8(number).ok()?.parse().ok()
            });
            let timestamp = 1_000 * message.timestamp().to_millis().expect("a timestamp");
            self.records.push(Record {
                place: (topic, partition, message.offset()),
                timestamp: (timestamp >= FIRST_USABLE).then_some(timestamp),
                number: header.expect("the header of the producer"),
                judged: judge(topics[topic].form, message.payload()),
            });
        }
    }

    /// How many records each topic has.
    pub(super) fn sizes(&self, topics: &[Topic]) -> Vec<u64> {
        let mut sizes = vec![0; topics.len()];
        self.records.iter().for_each(|record| sizes[record.place.0] += 1);
        sizes
    }

    /// The records of which something was refused.
    pub(super) fn refused(&self) -> BTreeSet<Place> {
        let refused = self.records.iter().filter(|record| match &record.judged {
            Judged::Empty => false,
            Judged::Rejected(_) => true,
            Judged::Decoded(elements) => {
                elements.iter().any(|element| matches!(element, Element::Rejected(_)))
            }
        });
        refused.map(|record| record.place).collect()
    }

    /// The events that count, copies left out.
    ///
    /// Of the copies of an event, those count that no other precedes in its partition;
    /// which of these is first over all partitions depends on how they are read, and
    /// [`super::event`] sees to it that no figure can tell.
    pub(super) fn counted(&self) -> Vec<&Seen> {
        let mut counted: Vec<&Seen> = Vec::new();
        let mut copies: BTreeMap<&(String, String), Vec<(&Record, &Seen)>> = BTreeMap::new();
        for (record, seen) in self.admitted() {
            match &seen.id {
                None => counted.push(seen),
                Some(id) => copies.entry(id).or_default().push((record, seen)),
            }
        }
        for (id, mut copies) in copies {
            copies.sort_by_key(|(record, seen)| record.time(seen));
            while let [(first, seen), ..] = copies.as_slice() {
                let first = first.time(seen);
                let near =
                    copies.partition_point(|(record, seen)| remembered(first, record.time(seen)));
                let rest = copies.split_off(near);
                counted.push(one_of(id, &copies));
                copies = rest;
            }
        }
        counted
    }

    /// The events near enough to their record's time, copies among them.
    pub(super) fn admitted(&self) -> impl Iterator<Item = (&Record, &Seen)> {
        self.records.iter().flat_map(|record| {
            let elements = match &record.judged {
                Judged::Decoded(elements) => elements.as_slice(),
                _ => &[],
            };
            elements.iter().filter_map(move |element| match element {
                Element::Event(seen) if record.outcome(seen).is_none() => Some((record, &**seen)),
                _ => None,
            })
        })
    }
}

/// Whether an id first seen in a record of one time is known in one of another.
fn remembered(first: Micros, copy: Micros) -> bool {
    let apart = copy - first;
    let edge = HORIZON - HORIZON / 16..HORIZON + HORIZON / 8;
    assert!(!edge.contains(&apart), "a copy {} s after its original", apart / 1_000_000);
    apart < HORIZON
}

/// The copy that counts.
fn one_of<'a>(id: &(String, String), copies: &[(&Record, &'a Seen)]) -> &'a Seen {
    let mut in_order: Vec<_> = copies.iter().map(|(record, seen)| (record.place, *seen)).collect();
    // Those of one record are in order already.
    in_order.sort_by_key(|(place, _)| *place);
    let mut partition = None;
    in_order.retain(|((topic, number, _), _)| {
        partition.replace((*topic, *number)) != Some((*topic, *number))
    });
    let (_, one) = in_order[0];
    let same = in_order.iter().all(|(_, other)| *other == one);
    assert!(same || one.kind == "email.forwarded", "the copies of {id:?} are ambiguous");
    one
}
