//! Measures, formulas and slices: cells in, a KPI snapshot out.

mod formula;
mod snapshot;
mod spec;
mod syntax;

pub use formula::{Formula, Operator, Quantity};
pub use snapshot::{KpiFigure, KpiSnapshot, SeriesSnapshot, SliceSnapshot};
pub use spec::{
    AggregateSpec, Amount, Declarations, Direction, Filter, FilterTest, KpiIndex, KpiSpec,
    MeasureIndex, MeasureSpec, NONE, OTHER, SampleSpec, SliceIndex, SliceSpec, Unit,
};
pub use syntax::FormulaError;
