//! A snapshot and the declared objectives in, verdicts out.

mod judge;
mod spec;

pub use judge::{Freshness, judge};
pub use spec::{ObjectiveIndex, ObjectiveSpec, Severity, State, Target, UnknownReason, Verdict};
