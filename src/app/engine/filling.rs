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
        self.settled.clear();
        self.filling.clear();
        self.begun = Begun::default();
    }

    /// A store of the same declarations that has seen nothing yet.
    pub fn empty_store(&self) -> Store {
        store_of(&self.plan, &self.objectives)
    }

    /// The cluster that everything was read from, if it is known.
    pub fn cluster_read(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// The names of a slice and its measure.
    pub(super) fn names(&self, (slice, measure): (SliceIndex, MeasureIndex)) -> (String, String) {
        let declarations = self.plan.declarations();
        (declarations.slices[slice].name.clone(), declarations.measures[measure].id.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::aggregate::HashKey;
    use crate::app::engine::{Cut, Head};
    use crate::event::{Span, Vocabulary};
    use crate::kpi::{
        AggregateSpec, Declarations, Direction, Formula, KpiSpec, MeasureSpec, Plan, SliceSpec,
        Unit,
    };
    use crate::window::WindowSpec;

    /// With so many measures, each with a KPI, in one slice.
    fn engine(measures: usize) -> Engine {
        let vocabulary = Vocabulary::canonical();
        let types = ["email.delivered", "email.opened"].map(|name| vocabulary.get(name));
        let unit = || Unit::Of("things".to_owned());
        let measure = |index: usize| MeasureSpec {
            id: format!("m{index}"),
            help: String::new(),
            aggregate: AggregateSpec::Count,
            types: types[index].into_iter().collect(),
            filters: Vec::new(),
            unit: unit(),
        };
        let kpi = |index: usize| KpiSpec {
            id: format!("k{index}"),
            help: String::new(),
            formula: Formula::Measure(index),
            unit: unit(),
            direction: Direction::Neutral,
            share: None,
            sample: None,
            slices: vec![0],
            group: String::new(),
            kind: String::new(),
        };
        let window = WindowSpec::new(Span::from_secs(3_600)).expect("a window");
        let slice =
            SliceSpec { name: "all".into(), fields: vec![], windows: vec![window], cap: 10 };
        let declarations = Declarations {
            vocabulary,
            measures: (0..measures).map(measure).collect(),
            kpis: (0..measures).map(kpi).collect(),
            slices: vec![slice],
            lateness: Span::from_secs(3_600),
            future_tolerance: Span::ZERO,
        };
        let plan = Plan::new(Arc::new(declarations), HashKey::from_bytes([0; 16]));
        Engine::new(Arc::new(plan), Arc::default(), None, EventTime::from_secs(0))
    }

    fn head(cut: &Cut) -> Head {
        Head::decode(&cut.head).expect("a head")
    }

    /// The engine of a later run.
    fn later(measures: usize, before: (&[u8], &Cut)) -> Engine {
        let (schema, cut) = before;
        let mut engine = engine(measures);
        engine.store_and_ids().0.restore(schema, &cut.changes).expect("what was written");
        engine.restored(&head(cut), EventTime::from_secs(9_000)).expect("it is whole");
        engine.keep_journal();
        engine.save_everything();
        engine
    }

    #[test]
    fn what_is_being_filled_is_named_until_it_is_filled_and_over_a_crash() {
        let mut first = engine(1);
        first.keep_journal();
        let (schema, cut) = (first.schema(), first.cut());
        let mut filling = later(2, (&schema, &cut));
        assert_eq!(filling.begun(), [(0, 1)]);
        filling.begin_filling();
        let (schema, cut) = (filling.schema(), filling.cut());
        let named = [("all".to_owned(), "m1".to_owned())];
        assert_eq!(head(&cut).filling, named);

        let mut left_alone = later(2, (&schema, &cut));
        assert!(head(&left_alone.cut()).filling.is_empty(), "it stays as it is, for good");

        let mut again = later(2, (&schema, &cut));
        assert_eq!(again.begun(), [(0, 1)], "though the declarations are the same");
        again.begin_filling();
        assert_eq!(head(&again.cut()).filling, named);
        let past = again.empty_store();
        again.fill(past, None);
        let filled = again.cut();
        assert!(head(&filled).filling.is_empty() && filled.completes_cycle);
        assert!(later(2, (&schema, &filled)).begun().is_empty());
    }
}
