//! A look at single records of partitions, by a consumer of its own: how old they are,
//! whether their timestamps can be used, and whether there are holes between them.
//!
//! It sees what is in the log, whatever became of the transactions there.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{self, Consumer};
use super::settings::SourceSettings;
use super::shared::Shared;
use crate::event::EventTime;

/// The longest wait for what is looked at.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where a partition is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: i32,
    /// The first offset.
    pub(super) from: i64,
    /// With a record at or behind this offset, after so many, or at its end, enough is seen.
    pub(super) below: i64,
    pub(super) most: usize,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peeked {
    pub(super) offset: i64,
    /// If it can be used.
    pub(super) timestamp: Option<EventTime>,
}

/// Looks at records of the partitions of one topic. Its consumer is made when it is needed.
pub(super) struct Peeker<'a> {
    consumer: OnceCell<Consumer>,
    settings: &'a SourceSettings,
    shared: &'a Arc<Shared>,
    topic: &'a str,
}

impl<'a> Peeker<'a> {
    pub(super) fn new(
        settings: &'a SourceSettings,
        shared: &'a Arc<Shared>,
        topic: &'a str,
    ) -> Peeker<'a> {
        Peeker { consumer: OnceCell::new(), settings, shared, topic }
    }

    /// What there is at these places, one for each partition at most, as far as it comes
    /// within [`PATIENCE`]: large records take many fetches, and a start must not wait for
    /// them. Cost: some fetches for each.
    pub(super) fn look(&self, places: &[Place]) -> KafkaResult<HashMap<i32, Vec<Peeked>>> {
        let mut seen: HashMap<i32, Vec<Peeked>> = HashMap::new();
        let mut open: HashMap<i32, &Place> =
            places.iter().map(|place| (place.partition, place)).collect();
        if places.is_empty() {
            return Ok(seen);
        }
        let consumer = match self.consumer.get() {
            Some(consumer) => consumer,
            None => {
                let made = client::peeker(self.settings, self.shared)?;
                self.consumer.get_or_init(|| made)
            }
        };
        let mut assignment = TopicPartitionList::with_capacity(places.len());
        for place in places {
            let from = Offset::Offset(place.from);
            assignment.add_partition_offset(self.topic, place.partition, from)?;
        }
        consumer.assign(&assignment)?;
        let deadline = Instant::now() + PATIENCE;
        while !open.is_empty() && Instant::now() < deadline && !self.shared.stopped() {
            match consumer.poll(Duration::from_millis(50)) {
                Some(Ok(message)) => {
                    let Some(place) = open.get(&message.partition()) else { continue };
                    let of = seen.entry(message.partition()).or_default();
                    let timestamp = message.timestamp().to_millis().and_then(EventTime::of_record);
                    of.push(Peeked { offset: message.offset(), timestamp });
                    if message.offset() >= place.below || of.len() >= place.most {
                        open.remove(&message.partition());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(_)) | None => {}
            }
        }
        Ok(seen)
    }

    /// The timestamps of the first records from these offsets on, where they can be used
    /// and are to be had in time.
    pub(super) fn first_timestamps(
        &self,
        firsts: &[(i32, i64)],
    ) -> KafkaResult<HashMap<i32, EventTime>> {
        let place =
            |&(partition, from): &(i32, i64)| Place { partition, from, below: i64::MAX, most: 1 };
        let seen = self.look(&firsts.iter().map(place).collect::<Vec<_>>())?;
        let timed = |(partition, records): (i32, Vec<Peeked>)| {
            Some((partition, records.first()?.timestamp?))
        };
        Ok(seen.into_iter().filter_map(timed).collect())
    }
}
