//! How far each partition is read, and for which moment the figures therefore hold.
//!
//! In: what the source and the fold report of each partition, and the time. Out:
//! `as_of`, completeness, coverage, lag, what waits behind open transactions. A partition
//! is *caught up* while everything below an end that the broker reported at most two
//! seconds ago has been folded; its end is its high watermark, so that it is not caught up
//! while a transaction is open;
//! its *frontier* is the later of the moment at which it was last caught up and the
//! highest record timestamp read that was not above the clock. `as_of` is the least
//! over the partitions of now (caught up) or frontier (not). Nothing here asks a
//! broker or a clock.

use std::collections::BTreeMap;

use crate::event::{EventTime, Span};

/// How old a reported end may be for a partition to be caught up by it.
const END_HOLDS: Span = Span::from_secs(2);
/// How old a reported end may be for a lag to be told from it.
const LAG_HOLDS: Span = Span::from_secs(10);
/// After how long without reading a snapshot is incomplete.
const UNREADABLE_FOR: Span = Span::from_secs(60);

/// Where the reading of a partition began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartedAt {
    /// The first offset that is read.
    pub offset: i64,
    /// From when on everything is read; `None` where nothing came before.
    pub covered_from: Option<EventTime>,
}

/// How far a partition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Where its reading began.
    pub start: StartedAt,
    /// Everything below is folded.
    pub folded_below: i64,
    /// The moment up to which it is known to be read.
    pub frontier: Option<EventTime>,
    /// The highest record timestamp read that was not above the clock.
    pub highest_record: Option<EventTime>,
}

#[derive(Debug, Clone)]
struct Partition {
    start: StartedAt,
    /// Everything below is folded, or is nothing that could be.
    folded_below: i64,
    /// The end last reported, and when.
    end: Option<(i64, EventTime)>,
    /// Where what may be read ends before that, and since when it has been there.
    open: Option<(i64, EventTime)>,
    caught_up_at: Option<EventTime>,
    /// When the end was reported by which it was caught up last: what was written since may
    /// be held back.
    known_at: Option<EventTime>,
    highest_record: Option<EventTime>,
    /// When it last showed that it can be read.
    heard_at: EventTime,
    unreadable_since: Option<EventTime>,
}

/// What keeps partitions from being caught up at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pending {
    /// Some have records that may be read, and are not folded yet.
    pub reading: bool,
    /// Some can't be read to their ends: a transaction is open, or no broker answers.
    pub held: bool,
}

/// The partitions that are read, and how far.
///
/// Reports on partitions that were not added are ignored: they come from before an
/// assignment that has ended.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    topics: BTreeMap<String, BTreeMap<i32, Partition>>,
    highest_record: Option<EventTime>,
}

impl Progress {
    /// A partition is going to be read. Adding it again begins anew.
    pub fn add_partition(&mut self, topic: &str, partition: i32, start: StartedAt, now: EventTime) {
        let begun = Partition {
            start,
            folded_below: start.offset,
            end: None,
            open: None,
            caught_up_at: None,
            known_at: None,
            highest_record: None,
            heard_at: now,
            unreadable_since: None,
        };
        self.topics.entry(topic.to_owned()).or_default().insert(partition, begun);
    }

    /// A partition exists and will be read, but not yet: it holds `as_of` until it
    /// is, and after a minute the snapshot is incomplete. One that is known stays as
    /// it is.
    pub fn expect_partition(&mut self, topic: &str, partition: i32, now: EventTime) {
        if self.partition(topic, partition).is_none() {
            let nowhere = StartedAt { offset: 0, covered_from: None };
            self.add_partition(topic, partition, nowhere, now);
        }
    }

    /// A partition was read up to there before the process started, and will be read
    /// on from there: its frontier holds until then.
    pub fn resume_partition(
        &mut self,
        topic: &str,
        partition: i32,
        reached: Reached,
        now: EventTime,
    ) {
        self.add_partition(topic, partition, reached.start, now);
        if let Some(of) = self.partition_mut(topic, partition) {
            of.folded_below = reached.folded_below;
            // Written under a clock that was ahead, it says nothing.
            let known = |at: &EventTime| *at <= now;
            of.caught_up_at = reached.frontier.filter(known);
            of.known_at = of.caught_up_at;
            of.highest_record = reached.highest_record.filter(known);
        }
        self.highest_record = self.highest_record.max(reached.highest_record);
    }

    /// How far a partition is read, to be saved.
    pub fn reached(&self, topic: &str, partition: i32) -> Option<Reached> {
        let of = self.partition(topic, partition)?;
        Some(Reached {
            start: of.start,
            folded_below: of.folded_below,
            frontier: of.frontier(),
            highest_record: of.highest_record,
        })
    }

    /// Something is missing of a partition from before `from`.
    pub fn uncover(&mut self, topic: &str, partition: i32, from: EventTime) {
        if let Some(of) = self.partition_mut(topic, partition) {
            of.start.covered_from = of.start.covered_from.max(Some(from));
        }
    }

    /// A partition is no longer read: its topic is gone.
    pub fn remove_partition(&mut self, topic: &str, partition: i32) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.topics.remove(topic);
            }
        }
    }

    fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topics.get(topic)?.get(&partition)
    }

    fn partition_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.get_mut(&partition)
    }

    fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.topics.values().flat_map(BTreeMap::values)
    }

    fn of_topic(&self, topic: &str) -> impl Iterator<Item = &Partition> {
        self.topics.get(topic).into_iter().flat_map(BTreeMap::values)
    }

    /// Everything below `next_offset` is folded; `record_time` is the highest
    /// timestamp among what was folded since the last report, if any had one.
    pub fn read(
        &mut self,
        topic: &str,
        partition: i32,
        record_time: Option<EventTime>,
        next_offset: i64,
        now: EventTime,
    ) {
        let Some(of) = self.partition_mut(topic, partition) else { return };
        of.folded_below = of.folded_below.max(next_offset);
        of.heard(now);
        // A timestamp above the clock says nothing about how far time has come.
        let record_time = record_time.filter(|time| *time <= now);
        of.highest_record = of.highest_record.max(record_time);
        self.highest_record = self.highest_record.max(record_time);
    }

    /// Records without timestamps were read whose events are from that time at the latest:
    /// state ages by it, but how far a partition is read it does not say.
    pub fn untimed_read(&mut self, time: Option<EventTime>) {
        self.highest_record = self.highest_record.max(time);
    }

    /// The client has come to the end and would next read `next_offset`: what lies
    /// below and was never delivered are transaction markers and compacted records.
    /// To be reported once everything delivered before is folded.
    pub fn position(&mut self, topic: &str, partition: i32, next_offset: i64, now: EventTime) {
        self.read(topic, partition, None, next_offset, now);
    }

    /// The broker said at `reported_at` that the partition ends before `end_offset`.
    pub fn end_reported(
        &mut self,
        topic: &str,
        partition: i32,
        end_offset: i64,
        reported_at: EventTime,
    ) {
        let Some(of) = self.partition_mut(topic, partition) else { return };
        of.end = Some((end_offset, reported_at));
        of.heard_at = of.heard_at.max(reported_at);
        of.note_caught_up(reported_at);
    }

    /// The broker said at `reported_at`, with the end, that what may be read ends before
    /// `stable_offset`: there begins a transaction that is still open.
    pub fn stable_end_reported(
        &mut self,
        topic: &str,
        partition: i32,
        stable_offset: i64,
        reported_at: EventTime,
    ) {
        let Some(of) = self.partition_mut(topic, partition) else { return };
        let is_open = of.end.is_some_and(|(end, _)| stable_offset < end);
        let same = of.open.filter(|(before, _)| *before == stable_offset);
        of.open = is_open.then(|| same.unwrap_or((stable_offset, reported_at)));
    }

    /// Since when nothing of a partition can be read because the next transaction is open;
    /// `None` while there is more to read than that holds back.
    pub fn held_since(&self, topic: &str, partition: i32) -> Option<EventTime> {
        let of = self.partition(topic, partition)?;
        let (stable_offset, since) = of.open?;
        (of.folded_below == stable_offset).then_some(since)
    }

    /// The partition cannot be read, as the client says, since then.
    pub fn unreadable(&mut self, topic: &str, partition: i32, since: EventTime) {
        if let Some(of) = self.partition_mut(topic, partition) {
            of.unreadable_since.get_or_insert(since);
        }
    }

    /// The partition can be read again. Reading from it says the same.
    pub fn readable(&mut self, topic: &str, partition: i32, now: EventTime) {
        if let Some(of) = self.partition_mut(topic, partition) {
            of.heard(now);
        }
    }

    /// The moment for which the figures hold; `None` before every partition has
    /// been looked at, and while there is none.
    pub fn as_of(&mut self, now: EventTime) -> Option<EventTime> {
        let partitions = self.topics.values_mut().flat_map(BTreeMap::values_mut);
        partitions
            .map(|partition| {
                partition.put_back(now);
                partition.note_caught_up(now);
                partition.frontier()
            })
            .reduce(|least, next| Some(least?.min(next?)))
            .flatten()
    }

    /// What keeps partitions from being caught up, as of [`Progress::as_of`] of the same
    /// moment.
    pub fn pending(&self, now: EventTime) -> Pending {
        let mut pending = Pending::default();
        for partition in self.partitions().filter(|of| of.caught_up_at != Some(now)) {
            pending.held |= partition.is_held(now);
            pending.reading |= partition.is_being_read(now);
        }
        pending
    }

    /// The moment up to which those partitions are known to be read in which a transaction
    /// is open: when the end was reported by which they were caught up last, or the highest
    /// record timestamp read; `None` where neither is known of any.
    pub fn known_of_open(&self) -> Option<EventTime> {
        let open = self.partitions().filter(|partition| partition.open.is_some());
        open.filter_map(|partition| partition.known_at.max(partition.highest_record)).min()
    }

    /// Whether no partition has been unreadable for more than a minute.
    pub fn complete(&self, now: EventTime) -> bool {
        self.partitions().all(|partition| partition.is_readable(now))
    }

    /// As [`Progress::complete`], of one topic.
    pub fn topic_complete(&self, topic: &str, now: EventTime) -> bool {
        self.of_topic(topic).all(|partition| partition.is_readable(now))
    }

    /// The moment up to which all of a topic is known to be read, as of the last
    /// [`Progress::as_of`]; `None` before every partition of it has been looked at.
    pub fn topic_frontier(&self, topic: &str) -> Option<EventTime> {
        self.of_topic(topic)
            .map(Partition::frontier)
            .reduce(|least, next| Some(least?.min(next?)))
            .flatten()
    }

    /// From when on everything was read: the latest over the partitions; `None`
    /// when nothing came before.
    pub fn covered_from(&self) -> Option<EventTime> {
        self.partitions().filter_map(|partition| partition.start.covered_from).max()
    }

    /// Nobody listens at the moment, by the program's own will: that nothing is heard
    /// says nothing of the partitions.
    pub fn nobody_listens(&mut self, now: EventTime) {
        for partition in self.topics.values_mut().flat_map(BTreeMap::values_mut) {
            partition.heard_at = partition.heard_at.max(now);
        }
    }

    /// Records (or places of the log) below the partition's end that are not folded;
    /// `None` while its end has not been reported for ten seconds.
    pub fn lag(&self, topic: &str, partition: i32, now: EventTime) -> Option<u64> {
        let (_, at) = self.partition(topic, partition)?.end?;
        if now - at > LAG_HOLDS { None } else { self.unread(topic, partition) }
    }

    /// As [`Progress::lag`], by the end last reported, however long ago that was.
    pub fn unread(&self, topic: &str, partition: i32) -> Option<u64> {
        let of = self.partition(topic, partition)?;
        let (end, _) = of.end?;
        Some(u64::try_from(end.saturating_sub(of.folded_below)).unwrap_or(0))
    }

    /// The moment up to which a partition is known to be read.
    pub fn frontier(&self, topic: &str, partition: i32) -> Option<EventTime> {
        self.partition(topic, partition)?.frontier()
    }

    /// The offset below which everything of a partition is folded.
    pub fn folded_below(&self, topic: &str, partition: i32) -> Option<i64> {
        Some(self.partition(topic, partition)?.folded_below)
    }

    /// The highest record timestamp read that was not above the clock.
    pub fn highest_read(&self) -> Option<EventTime> {
        self.highest_record
    }

    /// Every topic, in order of names.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.keys().map(String::as_str)
    }

    /// Every partition, in order of topics and numbers.
    pub fn names(&self) -> impl Iterator<Item = (&str, i32)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions.keys().map(move |partition| (topic.as_str(), *partition))
        })
    }
}

impl Partition {
    fn heard(&mut self, now: EventTime) {
        self.heard_at = self.heard_at.max(now);
        self.unreadable_since = None;
        self.note_caught_up(now);
    }

    fn note_caught_up(&mut self, now: EventTime) {
        let caught_up = self.end.is_some_and(|(end, at)| {
            self.folded_below >= end && now - at <= END_HOLDS && at - now <= END_HOLDS
        });
        if caught_up {
            self.caught_up_at = Some(now);
            self.known_at = self.known_at.max(self.end.map(|(_, at)| at.min(now)));
        }
    }

    /// Whether it cannot be read to its end at the moment, as far as is known.
    fn is_held(&self, now: EventTime) -> bool {
        self.open.is_some() || self.end.is_none_or(|(_, at)| now - at > END_HOLDS)
    }

    /// Whether it has records that may be read and are not folded yet.
    fn is_being_read(&self, now: EventTime) -> bool {
        self.end.is_some_and(|(end, at)| {
            let readable = self.open.map_or(end, |(stable, _)| stable);
            self.folded_below < readable && now - at <= END_HOLDS
        })
    }

    fn is_readable(&self, now: EventTime) -> bool {
        let since = self.unreadable_since.unwrap_or(self.heard_at);
        now - since <= UNREADABLE_FOR
    }

    /// A clock that stepped back takes with it what was noted while it was ahead.
    fn put_back(&mut self, now: EventTime) {
        self.caught_up_at = self.caught_up_at.map(|at| at.min(now));
        self.known_at = self.known_at.map(|at| at.min(now));
        self.highest_record = self.highest_record.map(|at| at.min(now));
        self.unreadable_since = self.unreadable_since.map(|at| at.min(now));
        self.open = self.open.map(|(offset, since)| (offset, since.min(now)));
        self.heard_at = self.heard_at.min(now);
    }

    fn frontier(&self) -> Option<EventTime> {
        self.caught_up_at.max(self.highest_record)
    }
}

#[cfg(test)]
mod tests;
