//! The backfill's thread: from its source into its store, until every partition has
//! come to where the live reading went on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::{Outcome, Shared};
use crate::admit::SeenIds;
use crate::app::clock;
use crate::app::decoding::RecordDecoder;
use crate::app::engine::Engine;
use crate::app::roles::TopicRoles;
use crate::event::{EventTime, Span};
use crate::kafka::{Gap, GapReason, PartitionStart, RecordBatch, Resume, Source, SourceEvent};
use crate::kpi::Store;
use crate::window::{Progress, StartedAt};

/// How long the stop request may go unnoticed.
const STEP: Duration = Duration::from_millis(50);
/// While it gives way, it takes one batch in this time: it must not come to a halt for
/// as long as some partition that holds the figures back cannot be read.
const GIVES_WAY: Duration = Duration::from_millis(250);
/// How often what was folded is settled and aged.
const AGES_EVERY: Duration = Duration::from_millis(200);
/// How often the log says how far it is.
const SAYS_EVERY: Duration = Duration::from_secs(30);

type Key = (Arc<str>, i32);

/// Up to where each partition is to be read, and how far it is.
#[derive(Debug, Default)]
pub(super) struct Limits {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Limit>>,
    unfinished: usize,
}

#[derive(Debug)]
struct Limit {
    below: i64,
    topic_id: Option<String>,
    /// From and up to where it is read, once that is known; none above `below`.
    read: Option<(i64, i64)>,
}

/// What a partition's new position means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advanced {
    ToItsLimit,
    BelowIt,
}

impl Limits {
    pub(super) fn new(resume: &BTreeMap<Key, Resume>) -> Limits {
        let mut topics: BTreeMap<Arc<str>, BTreeMap<i32, Limit>> = BTreeMap::new();
        for ((topic, partition), at) in resume {
            let limit = Limit { below: at.next_offset, topic_id: at.topic_id.clone(), read: None };
            topics.entry(Arc::clone(topic)).or_default().insert(*partition, limit);
        }
        Limits { topics, unfinished: resume.len() }
    }

    fn of(&self, topic: &str, partition: i32) -> Option<&Limit> {
        self.topics.get(topic)?.get(&partition)
    }

    fn takes(&self, topic: &str, partition: i32, offset: i64) -> bool {
        self.of(topic, partition).is_some_and(|limit| offset < limit.below)
    }

    fn is_unfinished(&self, topic: &str, partition: i32) -> bool {
        self.of(topic, partition)
            .is_some_and(|limit| limit.read.is_none_or(|(_, to)| to < limit.below))
    }

    /// The partition is read up to there, or begins there.
    fn advance(&mut self, topic: &str, partition: i32, position: i64) -> Advanced {
        let limit = self.topics.get_mut(topic).and_then(|of| of.get_mut(&partition));
        let Some(limit) = limit else { return Advanced::BelowIt };
        let position = position.min(limit.below);
        let (from, before) = limit.read.unwrap_or((position, i64::MIN));
        limit.read = Some((from, before.max(position)));
        if position == limit.below && before < limit.below {
            self.unfinished -= 1;
            return Advanced::ToItsLimit;
        }
        Advanced::BelowIt
    }

    /// Offsets that are read, and all that are to be.
    fn records(&self) -> (u64, u64) {
        let (mut done, mut total) = (0, 0);
        for limit in self.topics.values().flat_map(BTreeMap::values) {
            if let Some((from, to)) = limit.read {
                done += to.abs_diff(from);
                total += limit.below.abs_diff(from);
            }
        }
        (done, total)
    }
}

pub(super) struct Reading {
    source: Source,
    events: Receiver<SourceEvent>,
    decoder: RecordDecoder,
    store: Store,
    seen: Option<SeenIds>,
    /// Of the partitions that are not read up to their limits.
    progress: Progress,
    limits: Limits,
    roles: TopicRoles,
    /// Of which the offsets are, if that is known.
    cluster: Option<String>,
    covered_from: Option<EventTime>,
    shared: Arc<Shared>,
    aged: Instant,
}

impl Reading {
    pub(super) fn new(
        source: (Source, Receiver<SourceEvent>),
        decoder: RecordDecoder,
        engine: &Engine,
        horizon: Option<Span>,
        limits: Limits,
        shared: Arc<Shared>,
    ) -> Reading {
        let (source, events) = source;
        let mut progress = Progress::default();
        for (topic, partitions) in &limits.topics {
            for &partition in partitions.keys() {
                progress.expect_partition(topic, partition, clock::now());
            }
        }
        Reading {
            source,
            events,
            decoder,
            store: engine.empty_store(),
            seen: horizon.map(SeenIds::new),
            progress,
            limits,
            roles: engine.roles().clone(),
            cluster: engine.cluster_read().map(str::to_owned),
            covered_from: None,
            shared,
            aged: Instant::now(),
        }
    }

    /// Reads until everything is read; `None` if it was told to stop.
    pub(super) fn run(mut self) -> Option<Outcome> {
        let outcome = self.read();
        let Reading { source, store, covered_from, .. } = self;
        // What it has fetched ahead is of no use, and it has committed nothing.
        source.close(STEP);
        outcome.map(|read| match read {
            Ok(()) => Outcome::Read { past: Box::new(store), covered_from },
            Err(why) => Outcome::GaveUp(why),
        })
    }

    fn read(&mut self) -> Option<Result<(), String>> {
        let mut say_at = Instant::now() + SAYS_EVERY;
        while self.limits.unfinished > 0 {
            if self.stopped() {
                return None;
            }
            match self.events.recv_timeout(STEP) {
                Ok(event) => {
                    let is_batch = matches!(event, SourceEvent::Batch(_));
                    if let Err(why) = self.take(event) {
                        return Some(Err(why));
                    }
                    if is_batch {
                        self.give_way();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Some(Err("its source ended unexpectedly".to_owned()));
                }
            }
            if self.aged.elapsed() >= AGES_EVERY {
                self.age();
            }
            let (done, total) = self.limits.records();
            self.shared.done_records.store(done, Ordering::Relaxed);
            self.shared.total_records.store(total, Ordering::Relaxed);
            if Instant::now() >= say_at {
                say_at = Instant::now() + SAYS_EVERY;
                tracing::info!(done, total, "filling new measures of slices from the topics");
            }
        }
        Some(Ok(()))
    }

    fn give_way(&self) {
        let until = Instant::now() + GIVES_WAY;
        let waits = || self.shared.gives_way.load(Ordering::Relaxed) && Instant::now() < until;
        while waits() && !self.stopped() {
            std::thread::sleep(STEP);
        }
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// Fails where reading on would fill in something else than what was folded.
    fn take(&mut self, event: SourceEvent) -> Result<(), String> {
        match event {
            SourceEvent::Batch(batch) => self.fold(&batch),
            SourceEvent::Partition(start) => return self.begin(&start),
            SourceEvent::Gap(gap) => return self.go_on_behind(&gap),
            SourceEvent::Ends { ends, .. } => {
                for end in &ends {
                    self.advance(&end.topic, end.partition, end.position);
                }
            }
            SourceEvent::PartitionGone { topic, partition } => {
                if self.limits.is_unfinished(&topic, partition) {
                    return Err(format!("partition {partition} of `{topic}` is gone"));
                }
            }
            SourceEvent::Fatal(text) => return Err(text),
            SourceEvent::Closed => return Err("its source was closed".to_owned()),
            SourceEvent::Cluster(id) => {
                if self.cluster.as_ref().is_some_and(|saved| *saved != id) {
                    return Err(format!("the brokers are of another cluster, `{id}`"));
                }
            }
            // What is gone from its log nobody can fill in.
            SourceEvent::Compacted { topic, .. } => {
                if !self.roles.role(&topic).adds_up.is_empty() {
                    self.covered_from = self.covered_from.max(Some(clock::now()));
                }
            }
            // The live source says the same of the same brokers.
            SourceEvent::Found { .. }
            | SourceEvent::TopicId { .. }
            | SourceEvent::TopicMissing(_)
            | SourceEvent::TopicFound(_)
            | SourceEvent::Brokers { .. }
            | SourceEvent::Unreadable { .. } => {}
        }
        Ok(())
    }

    fn begin(&mut self, start: &PartitionStart) -> Result<(), String> {
        let (topic, partition) = (&start.topic, start.partition);
        let Some(limit) = self.limits.of(topic, partition) else {
            // It is new: the live reading has all of it.
            self.source.leave(topic, partition);
            return Ok(());
        };
        if let (Some(before), Some(now)) = (&limit.topic_id, &start.topic_id)
            && before != now
        {
            return Err(recreated(topic));
        }
        self.covered_from = self.covered_from.max(start.covered_from);
        let started = StartedAt { offset: start.start_offset, covered_from: start.covered_from };
        self.progress.add_partition(topic, partition, started, clock::now());
        self.advance(topic, partition, start.start_offset);
        Ok(())
    }

    fn go_on_behind(&mut self, gap: &Gap) -> Result<(), String> {
        if !self.limits.is_unfinished(&gap.topic, gap.partition) {
            return Ok(());
        }
        match gap.reason {
            GapReason::Retention => {
                self.covered_from = self.covered_from.max(gap.covered_from);
                self.advance(&gap.topic, gap.partition, gap.to_offset);
                Ok(())
            }
            GapReason::Recreated | GapReason::BeyondEnd => Err(recreated(&gap.topic)),
        }
    }

    fn fold(&mut self, batch: &RecordBatch) {
        let now = clock::now();
        let limits = &self.limits;
        let mut decoded = self.decoder.decode_where(batch, |record| {
            limits.takes(record.topic, record.partition, record.offset)
        });
        if let Some(seen) = &mut self.seen {
            decoded.leave_out_copies(seen);
        }
        decoded.stand_in_for_timestamps(now);
        self.store.fold(&decoded.events);
        for at in &decoded.positions {
            let (topic, partition) = (&at.topic, at.partition);
            self.progress.read(topic, partition, at.highest_timestamp, at.next_offset, now);
            self.advance(topic, partition, at.next_offset);
        }
    }

    fn advance(&mut self, topic: &Arc<str>, partition: i32, position: i64) {
        if self.limits.advance(topic, partition, position) == Advanced::ToItsLimit {
            // It no longer says how far state may age.
            self.progress.remove_partition(topic, partition);
            self.source.leave(topic, partition);
        }
    }

    /// Ages by the partitions that are behind the others, of those that are not read up
    /// to their limits; never beyond the live figures, whose windows would miss it.
    fn age(&mut self) {
        self.aged = Instant::now();
        let highest = self.progress.highest_read();
        let Some(as_of) = self.progress.as_of(clock::now()) else { return };
        if let Some(live) = self.shared.live_as_of() {
            self.store.advance(as_of.min(live), highest);
        }
        if let (Some(seen), Some(highest)) = (&mut self.seen, highest) {
            seen.advance(as_of.min(highest), None);
        }
    }
}

fn recreated(topic: &str) -> String {
    format!("`{topic}` holds other records than before: it was created anew, or cut")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(below: &[i64]) -> Limits {
        let resume = below.iter().zip(0..).map(|(below, partition)| {
            let at = Resume { next_offset: *below, covered_from: None, topic_id: None };
            (("t".into(), partition), at)
        });
        Limits::new(&resume.collect())
    }

    #[test]
    fn a_partition_is_read_once_its_position_has_come_to_the_limit() {
        let mut limits = limits(&[100, 50]);
        assert!(limits.takes("t", 0, 99) && !limits.takes("t", 0, 100));
        assert!(!limits.takes("t", 2, 0) && !limits.takes("u", 0, 0), "the live reading has them");
        assert_eq!(limits.advance("t", 0, 20), Advanced::BelowIt);
        assert_eq!(limits.records(), (0, 80));
        assert_eq!(limits.advance("t", 1, 60), Advanced::ToItsLimit, "nothing is left below");
        assert_eq!(limits.records(), (0, 80));
        assert_eq!(limits.advance("t", 0, 70), Advanced::BelowIt);
        assert_eq!(limits.advance("t", 0, 60), Advanced::BelowIt, "an older answer");
        assert_eq!((limits.records(), limits.unfinished), ((50, 80), 1));
        assert_eq!(limits.advance("t", 0, 140), Advanced::ToItsLimit, "markers, compaction");
        assert_eq!(limits.advance("t", 0, 150), Advanced::BelowIt, "once");
        assert_eq!((limits.records(), limits.unfinished), ((80, 80), 0));
    }
}
