//! PromQL that rules and dashboards share.

use crate::catalog::{Family, READY, slice_labels};
use crate::kpi::SliceSpec;

/// `tidegauge_ready == 1`: the instances whose figures count.
pub(super) fn ready() -> String {
    format!("{} == 1", READY.name)
}

/// Keeps of `expr` what ready instances say.
pub(super) fn of_ready(expr: &str) -> String {
    format!("{expr} and on (job, instance) ({})", ready())
}

/// `name{matchers}`.
pub(super) fn select(family: &Family, matchers: &str) -> String {
    format!("{}{{{matchers}}}", family.name)
}

/// The labels that tell the alerts of one objective apart.
pub(super) fn identity(slice: &SliceSpec) -> String {
    let mut labels = vec!["objective".to_owned(), "slice".to_owned()];
    labels.extend(slice_labels(slice));
    labels.join(", ")
}
