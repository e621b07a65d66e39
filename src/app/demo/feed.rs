//! Brings the simulated records to the demo's broker, first the history, then what
//! happens now, and never runs ahead of the consumer.
//!
//! The broker that is built into the demo forgets its oldest batches beyond 5 MiB
//! of a partition without a word. A feed therefore counts what of each topic is
//! sent and not yet read, and waits at [`MOST_UNREAD`]: even when all of that were
//! in one partition, nothing would be forgotten. It neither sleeps nor reads a
//! clock: who drives it does.

use std::collections::{BTreeMap, VecDeque};

use super::simulator::{SimulatedRecord, Simulator};
use crate::event::{EventTime, Span};

/// Bytes of one topic that may be sent and not yet read.
pub const MOST_UNREAD: u64 = 4 << 20;
/// How much of the past there is when the demo starts.
pub const HISTORY: Span = Span::from_secs(9_000);
/// Between two looks at what was read.
const PORTION: Span = Span::from_secs(60);

/// How far a feed has come.
#[derive(Debug)]
pub struct Feed {
    simulator: Simulator,
    /// Everything before this is sent.
    upto: EventTime,
    topics: BTreeMap<&'static str, Sent>,
}

/// What of one topic is sent.
#[derive(Debug, Default)]
struct Sent {
    records: u64,
    bytes: u64,
    /// After so many records: so many bytes; where reading has not come by yet.
    marks: VecDeque<(u64, u64)>,
    bytes_read: u64,
}

/// What a step of a feed came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The consumer has too much before it: nothing was sent; ask again in some
    /// 20 ms.
    Waits,
    /// There is more of the past to send: step again at once.
    Behind,
    /// Everything up to now is sent: step again in some 100 ms.
    UpToDate,
}

impl Feed {
    /// A feed that begins [`HISTORY`] before `start`, where live traffic starts.
    pub fn new(seed: u64, start: EventTime) -> Self {
        Self::of(Simulator::new(seed, start), start - HISTORY)
    }

    /// A feed of what that simulator makes from a moment on.
    pub fn of(simulator: Simulator, from: EventTime) -> Self {
        Feed { simulator, upto: from, topics: BTreeMap::new() }
    }

    /// Up to which moment everything is sent.
    pub fn upto(&self) -> EventTime {
        self.upto
    }

    /// Sends the next minute, or what has happened until `now`.
    ///
    /// `read` says how many records of a topic the consumer has taken so far; for a broker
    /// that keeps what nobody has read, more than there can be. An
    /// error of `send` ends the step where it is; the feed is then of no more use.
    pub fn step<E>(
        &mut self,
        now: EventTime,
        read: impl Fn(&str) -> u64,
        mut send: impl FnMut(&SimulatedRecord) -> Result<(), E>,
    ) -> Result<Step, E> {
        for (topic, sent) in &mut self.topics {
            if sent.unread(read(topic)) > MOST_UNREAD {
                return Ok(Step::Waits);
            }
        }
        let to = now.min(self.upto + PORTION);
        for record in self.simulator.records(self.upto, to) {
            send(&record)?;
            self.topics.entry(record.topic).or_default().add(record.size());
        }
        self.upto = self.upto.max(to);
        for sent in self.topics.values_mut() {
            sent.marks.push_back((sent.records, sent.bytes));
        }
        Ok(if self.upto < now { Step::Behind } else { Step::UpToDate })
    }
}

impl Sent {
    fn add(&mut self, bytes: u64) {
        self.records += 1;
        self.bytes += bytes;
    }

    /// Bytes that are not read yet, as far as marks tell: rather too many.
    fn unread(&mut self, records_read: u64) -> u64 {
        while let Some(&(records, bytes)) = self.marks.front() {
            if records > records_read {
                break;
            }
            self.bytes_read = bytes;
            self.marks.pop_front();
        }
        self.bytes - self.bytes_read
    }
}

/// What a record takes in a batch beside its key, value and headers, at most.
const RECORD_OVERHEAD: usize = 32;

impl SimulatedRecord {
    /// How many bytes it takes in a batch that is not compressed.
    pub fn size(&self) -> u64 {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let key = self.key.as_ref().map_or(0, String::len);
        (RECORD_OVERHEAD + key + headers + self.value.len()) as u64
    }
}
