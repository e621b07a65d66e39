//! All cells of all slices: batches in, snapshots out.
//!
//! One thread owns it; nothing in it locks. It is told the time: how far state ages,
//! and for which moment figures are wanted.

use std::sync::Arc;

use crate::aggregate::Tick;
use crate::event::EventTime;
use crate::kpi::slice::Slice;
use crate::kpi::{EventBatch, KpiSnapshot, MeasureIndex, Plan, SliceIndex};

/// The state behind every figure.
#[derive(Debug)]
pub struct Store {
    plan: Arc<Plan>,
    slices: Vec<Slice>,
    /// The tick of the last `as_of`.
    present: Tick,
    /// By measure.
    foreign: Vec<u64>,
}

impl Store {
    /// Empty.
    pub fn new(plan: Arc<Plan>) -> Store {
        let declarations = plan.declarations();
        let slices = declarations.slices.iter().enumerate();
        let slices = slices.map(|(index, spec)| Slice::new(index, spec)).collect();
        let foreign = vec![0; declarations.measures.len()];
        Store { plan, slices, present: Tick::MIN, foreign }
    }

    /// Gives a value a series of its own whatever the cap of its slice says, and for
    /// good: to be said before anything is folded.
    pub fn reserve<'v>(&mut self, slice: SliceIndex, values: impl IntoIterator<Item = &'v str>) {
        self.slices[slice].reserve(values);
    }

    /// Adds a batch, without its copies. Cost: for each event and slice a look-up and its additions,
    /// however many windows there are.
    pub fn fold(&mut self, batch: &EventBatch) {
        for touch in batch.counted_touches() {
            let index = usize::from(touch.slice);
            self.slices[index].fold(&self.plan.slices[index], touch, batch, self.present);
        }
        for measure in batch.counted_foreign() {
            self.foreign[measure] += 1;
        }
    }

    /// The present is `as_of`; state ages by that or by `read_up_to`, the highest
    /// record timestamp read that was not above the clock, whichever is earlier: a
    /// clock gone wrong cannot age what was not read yet.
    ///
    /// To be called at least once before each snapshot; ages a sixth of all series
    /// in each ten seconds that pass.
    pub fn advance(&mut self, as_of: EventTime, read_up_to: Option<EventTime>) {
        self.present = Tick::of(as_of);
        let Some(read_up_to) = read_up_to else { return };
        let to = as_of.min(read_up_to);
        for (slice, plan) in self.slices.iter_mut().zip(&self.plan.slices) {
            slice.advance(plan, to, self.present);
        }
    }

    /// Every figure at `as_of`; what was read begins at `covered_from`, or at the
    /// beginning of all topics.
    pub fn snapshot(&mut self, as_of: EventTime, covered_from: Option<EventTime>) -> KpiSnapshot {
        let plan = &self.plan;
        let slices =
            self.slices.iter_mut().map(|slice| slice.snapshot(plan, as_of, covered_from)).collect();
        KpiSnapshot { as_of, slices }
    }

    /// Events that a measure left out because their money is of another currency.
    pub fn foreign_currency(&self, measure: MeasureIndex) -> u64 {
        self.foreign.get(measure).copied().unwrap_or(0)
    }

    /// The levels that have no figure because they have too many keys
    /// ([`crate::aggregate::MOST_KEYS`]). Cost: one look at every cell.
    pub fn overfull_levels(&self) -> Vec<(SliceIndex, MeasureIndex)> {
        let mut levels = Vec::new();
        for (index, (slice, plan)) in self.slices.iter().zip(&self.plan.slices).enumerate() {
            levels.extend(slice.overfull().map(|column| (index, plan.columns[column].measure)));
        }
        levels.sort_unstable();
        levels.dedup();
        levels
    }
}
