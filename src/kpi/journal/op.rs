//! What is written of the state's changes, one operation after another.
//!
//! Ticks are steps from [`Op::Base`] or from the tick before them. Operations on a
//! series that is not known, because its image comes later, are passed over.

use serde::{Deserialize, Serialize};

use crate::aggregate::{
    AmountRecord, Averaged, DistinctImage, LastImage, Level, LevelRecord, Tick, TickSteps,
};
use crate::event::{Decimal, EventTime};
use crate::window::AgeingImage;

/// Amounts by tick.
pub(in crate::kpi) type PanesRecord<R> = Vec<(i32, R)>;
/// Sums and numbers of events.
pub(in crate::kpi) type AveragedRecord = (AmountRecord, u64);

/// One change of the state.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::kpi) enum Op<'a> {
    /// Ticks are steps from this one.
    Base(i32),
    /// A cycle of images begins.
    CycleBegun,
    /// The present tick is this one.
    Present(i32),
    /// By measure: events left out for their currency.
    Foreign(Vec<u64>),
    /// What follows concerns this slice.
    Slice(u16),
    /// A series begins, empty.
    #[serde(borrow)]
    Begun(SeriesHead<'a>),
    /// A series has more: its number, its weight now, and by column what was added.
    Changed(u32, u64, Vec<(u16, CellChange)>),
    /// All of a series.
    Image(#[serde(borrow)] SeriesHead<'a>, Vec<(u16, CellImage)>),
    /// A series is no longer held.
    Gone(u32),
    /// What a series held is now held by the other one.
    MergedIntoOther(u32),
    /// The other series has more.
    OtherChanged(Vec<(u16, CellChange)>),
    /// The other series is no longer held.
    OtherGone,
    /// Values were folded: as a series of two columns, who, and how many events.
    Folded(Vec<(u16, CellChange)>),
    /// All candidates.
    #[serde(borrow)]
    Candidates(CandidatesImage<'a>),
    /// Every weight is halved.
    Faded,
    /// How far the slice has aged.
    State(SliceState),
    /// All of the slice but its series.
    #[serde(borrow)]
    Slicewide(Box<SliceImage<'a>>),
    /// Where the cycle of images stands.
    Cycle(CycleState),
}

/// What a series is.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::kpi) struct SeriesHead<'a> {
    pub(in crate::kpi) number: u32,
    pub(in crate::kpi) key: &'a str,
    pub(in crate::kpi) since: Option<i32>,
    /// The same for single columns.
    pub(in crate::kpi) since_of: Vec<(u16, i32)>,
    pub(in crate::kpi) weight: u64,
}

/// What was added to a cell.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::kpi) enum CellChange {
    Amounts(PanesRecord<AmountRecord>),
    Mean(PanesRecord<AveragedRecord>),
    Distinct(Vec<(i32, [u8; 8])>),
    /// Levels by key, and the newest time of one that found no room.
    Last(Vec<([u8; 8], LevelRecord)>, Option<i64>),
}

/// All of a cell.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::kpi) enum CellImage {
    Amounts(PanesRecord<AmountRecord>),
    Mean(PanesRecord<AveragedRecord>),
    Distinct(Box<DistinctImage>),
    Last(LastImage),
}

/// All of a slice but its series.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::kpi) struct SliceImage<'a> {
    pub(in crate::kpi) other: Option<Vec<(u16, CellImage)>>,
    #[serde(borrow)]
    pub(in crate::kpi) folded: Option<FoldedImage<'a>>,
    pub(in crate::kpi) state: SliceState,
}

/// All that is known of values without series of their own.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::kpi) struct FoldedImage<'a> {
    #[serde(borrow)]
    pub(in crate::kpi) candidates: CandidatesImage<'a>,
    /// As in [`Op::Folded`].
    pub(in crate::kpi) cells: Vec<(u16, CellImage)>,
}

/// The heaviest of these values.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::kpi) struct CandidatesImage<'a> {
    /// In their order: value, count, error, newest tick.
    #[serde(borrow)]
    pub(in crate::kpi) candidates: Vec<(&'a str, u64, u64, i32)>,
    pub(in crate::kpi) forgotten: i32,
}

/// How far a slice has aged.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::kpi) struct SliceState {
    pub(in crate::kpi) ageing: AgeingImage,
    pub(in crate::kpi) aged_to: Option<i32>,
    pub(in crate::kpi) next_to_age: u32,
    pub(in crate::kpi) round: i32,
    /// How many numbers series have had at most.
    pub(in crate::kpi) numbers: u32,
    /// Columns that began after the others, and when, in microseconds.
    pub(in crate::kpi) since: Vec<(u16, i64)>,
}

/// Where the cycle of images stands.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(in crate::kpi) struct CycleState {
    /// The slice whose turn it is, and the first number not imaged.
    pub(in crate::kpi) slice: u16,
    pub(in crate::kpi) number: u32,
    /// Bytes written in this cycle.
    pub(in crate::kpi) bytes: u64,
    /// Everything was imaged.
    pub(in crate::kpi) whole: bool,
    /// The next changes begin the next cycle.
    pub(in crate::kpi) complete: bool,
}

impl CellChange {
    pub(in crate::kpi) fn sightings(sightings: &[(u64, Tick)], base: Tick) -> Self {
        let mut steps = TickSteps::from(base);
        let sightings = sightings.iter();
        let sightings = sightings.map(|(item, tick)| (steps.to(*tick), item.to_le_bytes()));
        CellChange::Distinct(sightings.collect())
    }

    pub(in crate::kpi) fn levels(levels: &[(u64, Level)], refused: Option<EventTime>) -> Self {
        let levels = levels.iter().map(|(key, level)| (key.to_le_bytes(), (*level).into()));
        CellChange::Last(levels.collect(), refused.map(EventTime::micros))
    }
}

/// Panes as they are written.
pub(in crate::kpi) fn panes_record<V: Copy, R>(
    panes: &[(Tick, V)],
    base: Tick,
    record: impl Fn(V) -> R,
) -> PanesRecord<R> {
    let mut steps = TickSteps::from(base);
    panes.iter().map(|&(tick, amount)| (steps.to(tick), record(amount))).collect()
}

/// A part of a mean as it is written.
pub(in crate::kpi) fn averaged_of(averaged: Averaged) -> AveragedRecord {
    (averaged.sum.into(), averaged.events)
}

/// What was written of a part of a mean.
pub(in crate::kpi) fn averaged_from((sum, events): AveragedRecord) -> Averaged {
    Averaged { sum: Decimal::from(sum), events }
}
