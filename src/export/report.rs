//! All that a page shows: one snapshot, its verdicts, and the state of the
//! pipeline behind them, at one moment.

use std::sync::Arc;

use crate::admit::{Ledger, RecentLedger};
use crate::event::{EventTime, Span};
use crate::kpi::{KpiSnapshot, MeasureIndex, SliceIndex};
use crate::objective::Verdict;

/// What the engine publishes after each snapshot; immutable.
#[derive(Debug, Clone)]
pub struct Report {
    /// When it was made, by the wall clock.
    pub made_at: EventTime,
    /// When the process started.
    pub started_at: EventTime,
    /// The figures; `None` before every partition has been looked at.
    pub snapshot: Option<Arc<KpiSnapshot>>,
    /// The verdicts on them, in order of objectives, then of slice values.
    pub verdicts: Vec<Verdict>,
    /// Why the instance is not ready; empty when it is.
    pub not_ready: Vec<NotReady>,
    /// Whether no partition has been unreadable for more than a minute.
    pub complete: bool,
    /// From when on everything was read; `None` when from the beginning of all
    /// topics.
    pub covered_from: Option<EventTime>,
    /// By topic, in order of names.
    pub topics: Vec<TopicReport>,
    /// Topics that are declared but do not exist.
    pub missing_topics: Vec<String>,
    /// Whether any broker answers.
    pub brokers_up: bool,
    /// Why none does, and what to do, as far as that is known.
    pub brokers_why: Option<String>,
    /// The dead letters.
    pub dead_letters: DeadLetterReport,
    /// For each measure of money: events that it left out because they are in another
    /// currency, since the state began.
    pub other_currency: Vec<(MeasureIndex, u64)>,
    /// Levels that have no figure because they have too many keys.
    pub overfull_levels: Vec<(SliceIndex, MeasureIndex)>,
    /// How far the figures may be behind: the longest of the topics' own.
    pub stale_after: Span,
    /// How long the snapshot took.
    pub snapshot_took: Span,
    /// The saved state; `None` where none is kept.
    pub state: Option<StateReport>,
    /// The ids that are remembered; `None` where duplicates are not looked for.
    pub duplicates: Option<DuplicatesReport>,
    /// What is filled from the topics for new declarations; `None` when there was
    /// nothing to fill since the process started.
    pub backfill: Option<BackfillReport>,
}

impl Report {
    /// What is known beside a reason for not being ready.
    pub fn detail(&self, reason: NotReady) -> Option<String> {
        match reason {
            NotReady::BrokerDown => self.brokers_why.clone(),
            NotReady::StateBlocked => self.state.as_ref()?.blocked.clone(),
            NotReady::CatchingUp => {
                let held: Vec<String> = self.topics.iter().filter_map(TopicReport::held).collect();
                (!held.is_empty()).then(|| held.join("; "))
            }
            _ => None,
        }
    }
}

impl TopicReport {
    /// Which of its partitions wait behind open transactions, in words; `None` if none does.
    pub fn held(&self) -> Option<String> {
        let held = |of: &PartitionReport| of.held_for.map(|held_for| (held_for, of.partition));
        let longest = self.partitions.iter().filter_map(held).max()?;
        let (held_for, partition) = longest;
        let others = self.partitions.iter().filter_map(held).count() - 1;
        let others = if others == 0 { String::new() } else { format!(" (and {others} more)") };
        Some(format!(
            "partition {partition} of `{}`{others} has waited {} behind an open transaction",
            self.topic,
            Span::from_secs(held_for.secs())
        ))
    }
}

/// How the checkpoints are doing.
#[derive(Debug, Clone)]
pub struct StateReport {
    /// How often one is made at the latest, as declared.
    pub every: Span,
    /// The moment of the newest durable checkpoint; `None` before the first.
    pub saved_at: Option<EventTime>,
    /// The same with its topics' ledgers, in order of names: what the counters
    /// export, so that none ever goes back.
    pub durable: Arc<[(String, Ledger)]>,
    /// Checkpoints made durable by this process.
    pub checkpoints: u64,
    /// Bytes written by this process, of all checkpoints.
    pub written_bytes: u64,
    /// Bytes of the newest durable checkpoint.
    pub checkpoint_bytes: u64,
    /// How long writing it took, the wait for the disk included.
    pub checkpoint_took: Span,
    /// Bytes on the disk.
    pub disk_bytes: u64,
    /// Why nothing can be written, and consumption is paused; `None` while it can.
    pub blocked: Option<String>,
}

/// The ids by which copies are told.
#[derive(Debug, Clone, Copy)]
pub struct DuplicatesReport {
    /// How many are remembered.
    pub ids: u64,
    /// Bytes of memory that they take.
    pub bytes: u64,
    /// How long an id is remembered at least.
    pub horizon: Span,
}

/// How far the filling of new declarations from the topics has come.
#[derive(Debug, Clone, Copy)]
pub struct BackfillReport {
    /// Measures of slices that are being filled.
    pub columns: u64,
    /// Records read for it.
    pub done_records: u64,
    /// Records to read in all, as far as the brokers said.
    pub total_records: u64,
    /// Whether all are filled.
    pub finished: bool,
}

/// One topic's ledgers and partitions.
#[derive(Debug, Clone)]
pub struct TopicReport {
    /// Its name.
    pub topic: String,
    /// Since the state began, or the process where none is saved.
    pub ledger: Ledger,
    /// Of records of the last five minutes.
    pub recent: RecentLedger,
    /// Whether something adds up over it though its log is compacted.
    pub compacted: bool,
    /// How long ago the moment is up to which all of it is known to be read.
    pub behind: Option<Span>,
    /// How far it may be behind.
    pub stale_after: Span,
    /// Whether it is further behind, so that nothing that rests on it is judged.
    pub stale: bool,
    /// In order of their numbers.
    pub partitions: Vec<PartitionReport>,
}

/// How far one partition is read.
#[derive(Debug, Clone, Copy)]
pub struct PartitionReport {
    /// Its number.
    pub partition: i32,
    /// Records not folded yet, as far as the broker last said.
    pub lag: Option<u64>,
    /// The moment up to which it is known to be read.
    pub frontier: Option<EventTime>,
    /// For how long nothing of it can be read because the next transaction is open; `None`
    /// while that is not so.
    pub held_for: Option<Span>,
    /// Since the state began: how often records were missing from it: deleted before they were read, or the
    /// topic was created anew.
    pub gaps: u64,
    /// Records that were missing, as far as offsets tell.
    pub lost_records: u64,
    /// Offsets that no window reached back to when its reading began: an upper bound of the
    /// records that nobody reads.
    pub passed_over: u64,
}

/// Dead letters since the process started.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeadLetterReport {
    /// Acknowledged by the broker.
    pub written: u64,
    /// Not acknowledged yet.
    pub pending: u64,
    /// The topic refuses, and consumption is paused.
    pub blocked: bool,
}

/// Why an instance is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotReady {
    /// The saved state is being read.
    Loading,
    /// No snapshot yet: not every partition has been looked at.
    Starting,
    /// None of the declared topics exists.
    NoTopic,
    /// No broker answers.
    BrokerDown,
    /// `as_of` is further behind than any topic may be.
    CatchingUp,
    /// A partition has been unreadable for more than a minute.
    Incomplete,
    /// The dead-letter topic refuses.
    DeadLettersBlocked,
    /// Memory is at its limit.
    MemoryFull,
    /// The state cannot be written.
    StateBlocked,
    /// The process is stopping.
    Stopping,
    /// The engine has published nothing for a while; said by the pages themselves.
    Stalled,
}

impl NotReady {
    /// All of them.
    pub const ALL: [NotReady; 11] = [
        NotReady::Loading,
        NotReady::Starting,
        NotReady::NoTopic,
        NotReady::BrokerDown,
        NotReady::CatchingUp,
        NotReady::Incomplete,
        NotReady::DeadLettersBlocked,
        NotReady::MemoryFull,
        NotReady::StateBlocked,
        NotReady::Stopping,
        NotReady::Stalled,
    ];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            NotReady::Loading => "loading",
            NotReady::Starting => "starting",
            NotReady::NoTopic => "no_topic",
            NotReady::BrokerDown => "broker_down",
            NotReady::CatchingUp => "catching_up",
            NotReady::Incomplete => "incomplete",
            NotReady::DeadLettersBlocked => "dead_letters_blocked",
            NotReady::MemoryFull => "memory_full",
            NotReady::StateBlocked => "state_blocked",
            NotReady::Stopping => "stopping",
            NotReady::Stalled => "stalled",
        }
    }

    /// One sentence for an operator.
    pub const fn says(self) -> &'static str {
        match self {
            NotReady::Loading => "the saved state is being read",
            NotReady::Starting => "not every partition has been looked at yet",
            NotReady::NoTopic => {
                "none of the declared topics exists yet: create them, or correct their names"
            }
            NotReady::BrokerDown => "no broker answers: figures stay right, for an older moment",
            NotReady::CatchingUp => {
                "the figures are older than any topic may be behind (`stale_after`)"
            }
            NotReady::Incomplete => "a partition has been unreadable for more than a minute",
            NotReady::DeadLettersBlocked => {
                "the dead-letter topic refuses, so consumption is paused: look at its existence and rights"
            }
            NotReady::MemoryFull => {
                "memory is at its limit, so consumption is paused: lower the caps or the windows, or raise `memory_limit`"
            }
            NotReady::StateBlocked => {
                "the state cannot be written, so consumption is paused: is the disk full, and may this process write to it?"
            }
            NotReady::Stopping => "stopping",
            NotReady::Stalled => {
                "the engine has published nothing for half a minute: look at its log"
            }
        }
    }
}
