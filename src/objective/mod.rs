//! A snapshot and the declared objectives in, verdicts out.

mod spec;

pub use spec::{ObjectiveIndex, ObjectiveSpec, Severity, State, Target, UnknownReason, Verdict};
