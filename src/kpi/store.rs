//! All cells of all slices: batches in, snapshots out.
//!
//! One thread owns it; nothing in it locks. It is told the time: how far state ages,
//! and for which moment figures are wanted.

use std::sync::Arc;

use crate::aggregate::Tick;
use crate::event::EventTime;
use crate::kpi::journal::{Journal, Loading};
use crate::kpi::slice::Slice;
use crate::kpi::{EventBatch, KpiSnapshot, MeasureIndex, Plan, SliceIndex};

/// The state behind every figure.
#[derive(Debug)]
pub struct Store {
    pub(super) plan: Arc<Plan>,
    pub(super) slices: Vec<Slice>,
    /// The latest tick for which figures were wanted: sightings up to it are taken in.
    /// It does not go back with the clock, so that what is taken in does not depend on
    /// who asked when.
    pub(super) present: Tick,
    /// By measure.
    pub(super) foreign: Vec<u64>,
    pub(super) foreign_changed: bool,
    pub(super) journal: Journal,
    pub(super) loading: Option<Box<Loading>>,
    /// What was folded since the last settling, in contributions.
    unsettled: usize,
}

/// With more contributions they are settled at once: some 8 MiB of lists.
const MOST_UNSETTLED: usize = 1 << 18;

impl Store {
    /// Empty.
    pub fn new(plan: Arc<Plan>) -> Store {
        let declarations = plan.declarations();
        let slices = declarations.slices.iter().enumerate();
        let slices = slices.zip(&plan.slices);
        let slices = slices
            .map(|((index, spec), plan)| Slice::new(index, spec, plan.columns.len()))
            .collect();
        let foreign = vec![0; declarations.measures.len()];
        Store {
            plan,
            slices,
            present: Tick::MIN,
            foreign,
            foreign_changed: false,
            journal: Journal::default(),
            loading: None,
            unsettled: 0,
        }
    }

    /// Gives a value a series of its own whatever the cap of its slice says, and for
    /// good: to be said before anything is folded.
    pub fn reserve<'v>(&mut self, slice: SliceIndex, values: impl IntoIterator<Item = &'v str>) {
        self.slices[slice].reserve(values);
    }

    /// Adds a batch, without its copies. Cost: for each event and slice a look-up and
    /// its additions, however many windows there are.
    pub fn fold(&mut self, batch: &EventBatch) {
        self.journal.at(self.present);
        for touch in batch.counted_touches() {
            let index = usize::from(touch.slice);
            self.slices[index].fold(&self.plan.slices[index], touch, batch, &mut self.journal);
        }
        for measure in batch.counted_foreign() {
            self.foreign[measure] += 1;
            self.foreign_changed = true;
        }
        self.unsettled += batch.contributions.len();
        if self.unsettled > MOST_UNSETTLED {
            self.settle();
        }
    }

    /// Settles what was folded. Cost: in proportion to the cells that it touched.
    pub(super) fn settle(&mut self) {
        self.unsettled = 0;
        self.journal.at(self.present);
        for slice in &mut self.slices {
            slice.settle(self.present, &mut self.journal);
        }
    }

    /// The present is `as_of`; state ages by that or by `read_up_to`, the highest
    /// record timestamp read that was not above the clock, whichever is earlier: a
    /// clock gone wrong cannot age what was not read yet.
    ///
    /// To be called at least once before each snapshot; ages a sixth of all series
    /// in each ten seconds that pass.
    pub fn advance(&mut self, as_of: EventTime, read_up_to: Option<EventTime>) {
        self.settle();
        let now = Tick::of(as_of);
        self.present = self.present.max(now);
        let Some(read_up_to) = read_up_to else { return };
        let to = as_of.min(read_up_to);
        for (slice, plan) in self.slices.iter_mut().zip(&self.plan.slices) {
            slice.advance(plan, to, now, &mut self.journal);
        }
    }

    /// Every figure at `as_of`; what was read begins at `covered_from`, or at the
    /// beginning of all topics.
    pub fn snapshot(&mut self, as_of: EventTime, covered_from: Option<EventTime>) -> KpiSnapshot {
        self.settle();
        self.present = self.present.max(Tick::of(as_of));
        let (plan, present) = (&self.plan, self.present);
        let slices = self.slices.iter_mut();
        let slices =
            slices.map(|slice| slice.snapshot(plan, as_of, covered_from, present)).collect();
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
