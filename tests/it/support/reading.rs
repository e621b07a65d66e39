//! A source of records under test, and all that it said.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::Receiver;

use tidegauge::event::EventTime;
use tidegauge::kafka::{
    CompactionSign, Gap, PartitionEnd, PartitionStart, Source, SourceEvent, SourceSettings,
    StartAt, TopicPattern, start,
};

use super::kafka::unique;

pub(crate) fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    EventTime::from_micros(since.as_micros() as i64)
}

pub(crate) fn settings(brokers: &str, topics: &[&str], start: StartAt) -> SourceSettings {
    let topics = topics.iter().map(|t| TopicPattern::parse(t).expect("a topic")).collect();
    let mut settings = SourceSettings::new(brokers, unique("tidegauge.test"), topics, start);
    settings.discovery_interval = Duration::from_millis(300);
    settings
}

/// A running source and all that it said.
pub(crate) struct Reading {
    pub(crate) source: Source,
    pub(crate) events: Receiver<SourceEvent>,
    pub(crate) seen: Seen,
}

#[derive(Default)]
pub(crate) struct Seen {
    /// Offsets and values by topic and partition.
    pub(crate) records: BTreeMap<(String, i32), Vec<(i64, String)>>,
    pub(crate) partitions_found: BTreeSet<(String, i32)>,
    pub(crate) partitions_gone: BTreeSet<(String, i32)>,
    pub(crate) cluster: Option<String>,
    pub(crate) starts: BTreeMap<(String, i32), PartitionStart>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) ends: BTreeMap<(String, i32), (EventTime, PartitionEnd)>,
    pub(crate) missing: Vec<String>,
    pub(crate) found: Vec<String>,
    pub(crate) brokers: Vec<bool>,
    pub(crate) silence: Option<String>,
    pub(crate) fatal: Option<String>,
    pub(crate) compacted: Vec<(String, CompactionSign)>,
    pub(crate) next_sequence: u64,
    pub(crate) closed: bool,
}

impl Seen {
    pub(crate) fn take(&mut self, event: SourceEvent) {
        assert!(!self.closed, "an event after the last one: {event:?}");
        match event {
            SourceEvent::Batch(batch) => {
                assert_eq!(batch.sequence, self.next_sequence, "batches are numbered");
                self.next_sequence += 1;
                assert!(!batch.is_empty());
                let headers = batch.headers();
                for record in batch.records(&headers) {
                    let key = (record.topic.to_owned(), record.partition);
                    assert!(self.starts.contains_key(&key), "a record before its partition");
                    let value = String::from_utf8_lossy(record.value.unwrap_or_default());
                    self.records.entry(key).or_default().push((record.offset, value.into()));
                }
                for position in batch.positions() {
                    let key = (position.topic.to_string(), position.partition);
                    let last = self.records[&key].last().expect("a record");
                    assert_eq!(position.next_offset, last.0 + 1);
                }
            }
            SourceEvent::Found { topic, partitions } => {
                let found = partitions.into_iter().map(|number| (topic.to_string(), number));
                self.partitions_found.extend(found);
            }
            SourceEvent::Partition(start) => {
                let key = (start.topic.to_string(), start.partition);
                assert!(self.partitions_found.contains(&key), "a start before it was found");
                assert!(self.starts.insert(key, start).is_none(), "a partition starts once");
            }
            SourceEvent::Gap(gap) => self.gaps.push(gap),
            SourceEvent::Ends { at, ends } => {
                for end in ends {
                    self.ends.insert((end.topic.to_string(), end.partition), (at, end));
                }
            }
            SourceEvent::TopicMissing(topic) => self.missing.push(topic),
            SourceEvent::TopicFound(topic) => self.found.push(topic),
            SourceEvent::Brokers { up, why } => {
                // That a cause is known by now is no change.
                if self.brokers.last() != Some(&up) || why.is_none() {
                    self.brokers.push(up);
                }
                self.silence = why;
            }
            SourceEvent::Fatal(text) => self.fatal = Some(text),
            SourceEvent::Closed => self.closed = true,
            SourceEvent::Cluster(id) => {
                assert!(self.partitions_found.is_empty(), "the cluster is said first");
                assert!(self.cluster.replace(id).is_none(), "the cluster is said once");
            }
            SourceEvent::PartitionGone { topic, partition } => {
                let key = (topic.to_string(), partition);
                self.starts.remove(&key);
                self.partitions_gone.insert(key);
            }
            SourceEvent::Compacted { topic, sign } => {
                self.compacted.push((topic.to_string(), sign));
            }
            SourceEvent::Unreadable { .. } | SourceEvent::TopicId { .. } => {}
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.records.values().map(Vec::len).sum()
    }

    pub(crate) fn values(&self, topic: &str, partition: i32) -> Vec<&str> {
        let records = self.records.get(&(topic.to_owned(), partition));
        records.into_iter().flatten().map(|(_, value)| value.as_str()).collect()
    }

    /// All partitions that were found have started, and are read to an end that was said
    /// after `since`.
    pub(crate) fn caught_up(&self, since: EventTime) -> bool {
        let started = |key| self.starts.contains_key(key) || self.partitions_gone.contains(key);
        !self.starts.is_empty()
            && self.partitions_found.iter().all(started)
            && self.starts.keys().all(|key| {
                self.ends.get(key).is_some_and(|(at, end)| *at >= since && end.is_read())
            })
    }
}

impl Reading {
    pub(crate) fn of(settings: SourceSettings) -> Reading {
        let (source, events) = start(settings, now).expect("a source");
        Reading { source, events, seen: Seen::default() }
    }

    /// Takes events until the condition holds.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(40);
        while !holds(&self.seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            self.seen.take(event.unwrap_or_else(|_| {
                panic!(
                    "waited for {what}; {} records, ends {:?}, starts {:?}, brokers {:?}, fatal {:?}",
                    self.seen.count(),
                    self.seen.ends,
                    self.seen.starts.keys(),
                    self.seen.brokers,
                    self.seen.fatal
                )
            }));
        }
    }

    /// Takes events for that long.
    pub(crate) fn during(&mut self, lasting: Duration) {
        let until = Instant::now() + lasting;
        while let Ok(event) = self.events.recv_deadline(until) {
            self.seen.take(event);
        }
    }

    pub(crate) fn until_caught_up(&mut self) {
        let since = now();
        self.until("being caught up", |seen| seen.caught_up(since));
    }

    /// Stops, takes what is left, closes, and gives what was seen.
    pub(crate) fn finish(mut self) -> Seen {
        self.source.stop();
        self.until("the last event", |seen| seen.closed);
        let asked = Instant::now();
        let deadline = Duration::from_secs(5);
        self.source.close(deadline);
        assert!(asked.elapsed() < deadline + Duration::from_millis(500), "closed too late");
        self.seen
    }
}

/// Values `value-0` to `value-<count - 1>`, once each and in order.
pub(crate) fn assert_filled(
    seen: &Seen,
    topic: &str,
    partition: i32,
    range: std::ops::Range<usize>,
) {
    let expected: Vec<String> = range.map(|number| format!("value-{number}")).collect();
    assert_eq!(seen.values(topic, partition), expected, "partition {partition} of {topic}");
}
