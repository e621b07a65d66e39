//! What a saved state says of itself, as data: for people and for scripts.
//!
//! The names of the fields are those of the JSON that `state show --json` prints; they
//! may be added to, and stay otherwise.

use serde::Serialize;

use crate::admit::{CountName, Ledger};
use crate::app::engine::{Head, PartitionHead, TopicHead};
use crate::event::{EventTime, Span};

/// A directory of saved state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StateView {
    /// Where it is.
    pub directory: String,
    /// The instance that has it open.
    pub used_by: Option<UsedBy>,
    /// Bytes of all that is saved.
    pub disk_bytes: u64,
    /// The newest checkpoint; `None` while nothing is saved.
    pub checkpoint: Option<CheckpointView>,
}

/// Who has a directory open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UsedBy {
    /// Its process, if that is known.
    pub pid: Option<u32>,
}

/// What one checkpoint says. Times are RFC 3339, in UTC.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CheckpointView {
    /// The version of the format.
    pub version: u32,
    /// Counts up by one from checkpoint to checkpoint.
    pub sequence: u64,
    /// When it was made.
    pub saved_at: String,
    /// How long ago that is.
    pub age_seconds: f64,
    /// The cluster that everything was read from.
    pub cluster: Option<String>,
    /// The moment for which the saved figures hold.
    pub as_of: Option<String>,
    /// From when on everything was read; `None` is from the topics' beginnings.
    pub covered_from: Option<String>,
    /// Where topics begin that were not read yet, if `state reset --from` said so.
    pub start_from: Option<String>,
    /// The ids by which copies are told; `None` if none are remembered.
    pub ids: Option<IdsView>,
    /// In order of names.
    pub topics: Vec<TopicView>,
    /// What is aggregated, as it was declared when it was saved.
    pub held: Vec<HeldView>,
    /// `slice/measure` of what was still being filled from the topics.
    pub filling: Vec<String>,
}

/// The remembered ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdsView {
    /// How many are saved.
    pub remembered: u64,
    /// For how long they are.
    pub horizon: String,
    /// Whether they were read, to see that they are whole; the rest always is.
    pub looked_at: bool,
}

/// One slice, and the measures that are held of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldView {
    /// Its name.
    pub slice: String,
    /// Their names.
    pub measures: Vec<String>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicView {
    /// Its name.
    pub topic: String,
    /// Whether both ledgers do.
    pub balances: bool,
    /// What became of its records, `read` and its parts; those that are 0 left out.
    pub records: Vec<CountView>,
    /// What became of its events, `decoded` and its parts; those that are 0 left out.
    pub events: Vec<CountView>,
    /// In order of numbers.
    pub partitions: Vec<PartitionView>,
    /// Partitions that are gone, with records that were not read.
    pub gone: Vec<GoneView>,
}

/// One partition that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GoneView {
    /// Its number.
    pub partition: i32,
    /// How often records were missing.
    pub gaps: u64,
    /// Records that were missing, as far as offsets tell.
    pub lost_records: u64,
}

/// One count of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountView {
    /// What became of them.
    pub outcome: &'static str,
    /// Why; empty where the outcome says it all.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reason: &'static str,
    /// How many.
    pub count: u64,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionView {
    /// Its number.
    pub partition: i32,
    /// The first offset that is not folded yet: reading goes on there.
    pub next_offset: i64,
    /// The moment up to which it is known to be read.
    pub frontier: Option<String>,
    /// From when on everything was read; `None` is from the topic's beginning.
    pub covered_from: Option<String>,
    /// How often records were missing.
    pub gaps: u64,
    /// Records that were missing, as far as offsets tell.
    pub lost_records: u64,
}

/// What is known of a checkpoint beside its head.
#[derive(Debug, Clone, Default)]
pub(super) struct Beside {
    pub(super) version: u32,
    pub(super) sequence: u64,
    pub(super) saved_at: EventTime,
    pub(super) ids: u64,
    /// Names of slices, and of the measures held of each.
    pub(super) held: Vec<(String, Vec<String>)>,
}

impl CheckpointView {
    /// What a head and what stands beside it say at `now`.
    ///
    /// # Errors
    /// A ledger with a count that this version does not know.
    pub(super) fn new(head: &Head, beside: Beside, now: EventTime) -> Result<Self, String> {
        let topics: Result<Vec<TopicView>, String> =
            head.topics.iter().map(|topic| TopicView::new(topic, head)).collect();
        let read = head.topics.iter().flat_map(|topic| &topic.partitions);
        let covered_from = read.filter_map(|partition| partition.covered_from).max();
        Ok(CheckpointView {
            version: beside.version,
            sequence: beside.sequence,
            saved_at: beside.saved_at.to_string(),
            age_seconds: (now - beside.saved_at).as_secs_f64(),
            cluster: head.cluster.clone(),
            as_of: time(head.as_of),
            covered_from: time(covered_from.max(head.gone.missing_until)),
            start_from: time(head.start_from),
            ids: head.ids_step.map(|step| IdsView {
                remembered: beside.ids,
                horizon: Span::from_micros(step.saturating_mul(16)).to_string(),
                looked_at: false,
            }),
            topics: topics?,
            held: beside
                .held
                .into_iter()
                .map(|(slice, measures)| HeldView { slice, measures })
                .collect(),
            filling: head.filling.iter().map(|(slice, of)| format!("{slice}/{of}")).collect(),
        })
    }

    /// Events that count, of all topics.
    pub fn counted(&self) -> u64 {
        self.topics.iter().map(|topic| topic.of_events("counted")).sum()
    }
}

impl TopicView {
    fn new(head: &TopicHead, of: &Head) -> Result<TopicView, String> {
        let ledger =
            head.counts.ledger().map_err(|error| format!("topic `{}`: {error}", head.name))?;
        let (records, events) = counts(&ledger);
        Ok(TopicView {
            topic: head.name.clone(),
            balances: ledger.balances(),
            records,
            events,
            partitions: head.partitions.iter().map(PartitionView::new).collect(),
            gone: of
                .gone
                .losses
                .iter()
                .filter(|(topic, ..)| *topic == head.name)
                .map(|&(_, partition, gaps, lost_records)| GoneView {
                    partition,
                    gaps,
                    lost_records,
                })
                .collect(),
        })
    }

    /// Events with an outcome, whatever the reason.
    pub fn of_events(&self, outcome: &str) -> u64 {
        self.events.iter().filter(|of| of.outcome == outcome).map(|of| of.count).sum()
    }
}

/// Both ledgers' counts that are not 0.
fn counts(ledger: &Ledger) -> (Vec<CountView>, Vec<CountView>) {
    let some = ledger.counts().into_iter().filter(|(_, count)| *count > 0);
    let (records, events): (Vec<_>, Vec<_>) = some.partition(|(name, _)| name.ledger == "records");
    let view = |(name, count): (CountName, u64)| CountView {
        outcome: name.outcome,
        reason: name.reason,
        count,
    };
    (records.into_iter().map(view).collect(), events.into_iter().map(view).collect())
}

impl PartitionView {
    fn new(head: &PartitionHead) -> PartitionView {
        PartitionView {
            partition: head.partition,
            next_offset: head.folded_below,
            frontier: time(head.frontier),
            covered_from: time(head.covered_from),
            gaps: head.gaps,
            lost_records: head.lost_records,
        }
    }
}

fn time(micros: Option<i64>) -> Option<String> {
    micros.map(|micros| EventTime::from_micros(micros).to_string())
}
