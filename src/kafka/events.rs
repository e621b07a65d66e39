//! What a source says, as one closed enum.
//!
//! All of it comes through one channel and in order: a partition's start before
//! its first batch, and the ends of the partitions after every batch that their
//! `position` counts.

use std::sync::Arc;

use crate::event::EventTime;

use super::RecordBatch;

/// What a source says.
#[derive(Debug)]
pub enum SourceEvent {
    /// The id of the cluster that answers. Said once, before anything is said of any
    /// partition; not at all where the brokers give none. When another one answers in its
    /// place, that is said, and nothing of its topics.
    Cluster(String),
    /// Records, in the order of their offsets within each partition.
    Batch(RecordBatch),
    /// Partitions exist and are going to be read, as soon as it is known from where:
    /// until then nothing can be said of what they hold. Said once, before anything
    /// else of them.
    Found {
        /// Their topic.
        topic: Arc<str>,
        /// Their numbers.
        partitions: Vec<i32>,
    },
    /// The log of a topic is compacted: of several records with one key the brokers keep the
    /// newest. Said before anything is said of its partitions, or when it is noticed.
    Compacted {
        /// Its name.
        topic: Arc<str>,
        /// How that is known.
        sign: CompactionSign,
    },
    /// A partition is read from now on.
    Partition(PartitionStart),
    /// The brokers say only now which topic it is that is being read.
    TopicId {
        /// Its name.
        topic: Arc<str>,
        /// As [`PartitionStart::topic_id`].
        id: String,
    },
    /// A partition is read no longer: its topic is gone, or has become smaller.
    PartitionGone {
        /// Its topic.
        topic: Arc<str>,
        /// Its number.
        partition: i32,
    },
    /// Records were deleted before they could be read. What is said of a partition that
    /// was resumed follows its start at once.
    Gap(Gap),
    /// The ends of partitions as the brokers said them.
    Ends {
        /// When they were asked, so that what was below the ends was there at that
        /// moment.
        at: EventTime,
        /// One for each partition that answered.
        ends: Vec<PartitionEnd>,
    },
    /// A declared topic does not exist, or no topic matches a declared pattern. Said
    /// once, until it is found.
    TopicMissing(String),
    /// A topic that was missing exists now.
    TopicFound(String),
    /// Whether any broker answers. Said at first, on every change, and when it is known
    /// why none does.
    Brokers {
        /// One does.
        up: bool,
        /// Why none does, and what to do, as far as that is known.
        why: Option<String>,
    },
    /// A partition cannot be read at the moment; said again at most once a minute.
    Unreadable {
        /// Its topic.
        topic: Arc<str>,
        /// Its number.
        partition: i32,
        /// Why, in the broker's words.
        error: String,
    },
    /// Nothing will come of it until somebody changes something: a right or a
    /// password is missing. The text says which.
    Fatal(String),
    /// The last event: the source has stopped, everything before it was read.
    Closed,
}

/// How it is known that a log is compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompactionSign {
    /// The topic's `cleanup.policy` says so, and nobody knew before.
    Declared,
    /// It says so now, and said otherwise before.
    Changed,
    /// Records are gone from between others that were read.
    Holes {
        /// In this partition.
        partition: i32,
    },
}

/// Where the reading of a partition begins, and what that covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStart {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    /// The first offset that is read.
    pub start_offset: i64,
    /// The first offset that the log still holds.
    pub first_offset: i64,
    /// From when on everything was read; `None` when nothing can be missing, because
    /// offset 0 was read.
    pub covered_from: Option<EventTime>,
    /// The offset that was committed under the instance's group id before.
    pub committed: Option<i64>,
    /// The id that the brokers gave the topic when it was created, as base64; `None`
    /// where they give none. One that is resumed keeps what is known of it.
    pub topic_id: Option<String>,
    /// It goes on where the settings' [`super::SourceSettings::resume`] say that an
    /// earlier run stood; where that is no longer possible, a [`Gap`] follows.
    pub resumed: bool,
}

impl PartitionStart {
    /// Offsets that lie before the start and are still in the log: an upper bound of the
    /// records that nobody reads, because no window reaches back to them. 0 for what is
    /// resumed.
    pub fn passed_over(&self) -> u64 {
        let skipped = self.start_offset.saturating_sub(self.first_offset);
        if self.resumed { 0 } else { u64::try_from(skipped).unwrap_or(0) }
    }
}

/// Why records are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// Retention, or somebody, deleted the oldest records of the log before they were
    /// read.
    Retention,
    /// The topic was deleted and created again: these are other records.
    Recreated,
    /// The log ends before the offset that would be next: the topic was created anew, or
    /// a broker lost the end of its log.
    BeyondEnd,
}

/// Records were deleted before they could be read; reading goes on at the first one
/// that the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    /// The offset that would have been next.
    pub from_offset: i64,
    /// The offset at which reading goes on.
    pub to_offset: i64,
    /// From when on everything was read, now.
    pub covered_from: Option<EventTime>,
    /// Why.
    pub reason: GapReason,
    /// Offsets that hold nothing any more, none of which was read: an upper bound of the
    /// records lost, since markers and compaction leave holes. `None` where nobody knows.
    pub lost: Option<u64>,
    /// The topic's id, now.
    pub topic_id: Option<String>,
}

/// A partition's end beside how far it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionEnd {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    /// The offset after the last record of the log: the high watermark.
    pub end_offset: i64,
    /// The offset after the last record that may be read; below the end while a
    /// transaction is open: there it begins.
    pub stable_offset: i64,
    /// The offset up to which the batches before this event reach; what is no record
    /// (transaction markers, compacted ones) counts as read.
    pub position: i64,
}

impl PartitionEnd {
    /// Whether all that was there is read.
    pub fn is_read(&self) -> bool {
        self.position >= self.end_offset
    }
}

/// How far a partition is folded, and its dead letters written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    /// The offset after the last one folded.
    pub next_offset: i64,
}
