//! Measures of slices that saved state knows nothing of, and the past that they get.
//!
//! They begin empty, at the moment for which the state was saved. What lies before
//! that may be read again from the topics into a store of its own ([`crate::app`]'s
//! backfill) and is added here in one step, between two batches; until then the head of
//! each checkpoint names them as being filled, so that a run that ends in between
//! leaves nothing half filled.

use super::{Engine, store_of};
use crate::event::EventTime;
use crate::kpi::{MeasureIndex, SliceIndex, Store};

/// Measures of slices that have no past yet.
#[derive(Debug, Default)]
pub(super) struct Begun {
    pub(super) columns: Vec<(SliceIndex, MeasureIndex)>,
    /// Those of them that were being filled when the last run ended: they hold what
    /// came since they began.
    pub(super) half_filled: Vec<(SliceIndex, MeasureIndex)>,
    /// Where the saved state ends.
    pub(super) at: Option<EventTime>,
}

impl Engine {
    /// The measures of slices that the saved state does not have, or not with their
    /// past.
    pub fn begun(&self) -> &[(SliceIndex, MeasureIndex)] {
        &self.begun.columns
    }

    /// What [`Engine::begun`] names is going to be filled with everything below the
    /// offsets of [`Engine::resume_at`]; to be said before anything is folded.
    pub fn begin_filling(&mut self) {
        // What they hold since they began lies below those offsets as well.
        if !self.begun.half_filled.is_empty() {
            self.store.clear_columns(&self.begun.half_filled, self.begun.at);
        }
        let names = self.begun.columns.iter().map(|&column| self.names(column));
        self.filling = names.collect();
    }

    /// Adds their past to the measures of [`Engine::begun`]: what a store of
    /// [`Engine::empty_store`] has folded. Cost: one pass over its series.
    pub fn fill(&mut self, past: Store, covered_from: Option<EventTime>) {
        self.store.merge_columns(past, &self.begun.columns, covered_from);
        self.filling.clear();
        self.begun = Begun::default();
    }

    /// A store of the same declarations that has seen nothing yet.
    pub fn empty_store(&self) -> Store {
        store_of(&self.plan, &self.objectives)
    }

    /// The names of a slice and its measure.
    pub(super) fn names(&self, (slice, measure): (SliceIndex, MeasureIndex)) -> (String, String) {
        let declarations = self.plan.declarations();
        (declarations.slices[slice].name.clone(), declarations.measures[measure].id.clone())
    }
}
