//! Measures, formulas and slices: cells in, a KPI snapshot out.
//!
//! [`Plan`] is the declarations compiled. On decoder threads it reduces events to an
//! [`EventBatch`]; the folding thread adds that to the [`Store`] and asks it for a
//! [`KpiSnapshot`].

mod backfill;
mod batch;
mod candidates;
mod cell;
mod evaluate;
mod formula;
mod journal;
mod label;
mod plan;
mod series;
mod share;
mod slice;
mod snapshot;
mod spec;
mod store;
mod syntax;
#[cfg(test)]
mod tests;

pub use batch::{EventBatch, Mark};
pub use evaluate::Operand;
pub use formula::{Formula, Operator, Quantity};
pub use journal::{Changes, Damaged, Kept, names_of_schema};
pub use label::{LONGEST_LABEL, label_of};
pub use plan::Plan;
pub use share::{NoShare, Share};
pub use snapshot::{KpiFigure, KpiSnapshot, SeriesSnapshot, SliceSnapshot};
pub use spec::{
    AggregateSpec, Amount, Declarations, Direction, Filter, FilterTest, KpiIndex, KpiSpec,
    MeasureIndex, MeasureSpec, NONE, OTHER, SampleSpec, SliceIndex, SliceSpec, Unit,
};
pub use store::Store;
pub use syntax::FormulaError;
