//! `[generate]`: what tells deployments apart in rules and dashboards.
//!
//! ```toml
//! [generate]
//! keep = ["env"]                  # labels of the targets that alerts and panels keep
//! match = 'env="production"'      # or a list: what every selector says besides
//! ```

use super::reader::{Table, Value};
use crate::artifact::{Scope, ScopeFault};
use crate::kpi::SliceSpec;

/// The section as it stands; which labels are free is known only when the slices are
/// read.
pub(super) struct Generate<'d> {
    keep: Vec<Value<'d>>,
    matchers: Vec<Value<'d>>,
}

impl<'d> Generate<'d> {
    /// Takes the section from the top level.
    pub(super) fn gather(root: &mut Table<'d>) -> Self {
        let mut generate = Generate { keep: Vec::new(), matchers: Vec::new() };
        if let Some(mut table) = root.table("generate") {
            let mut values = |key: &str| {
                table.optional(key).map(|value| value.one_or_more()).unwrap_or_default()
            };
            (generate.keep, generate.matchers) = (values("keep"), values("match"));
            table.finish();
        }
        generate
    }

    /// The scope, after noting what cannot be kept or selected by.
    pub(super) fn read(&self, slices: &[Option<SliceSpec>]) -> Scope {
        let mut scope = Scope::default();
        let note = |value: &Value<'_>, outcome: Result<(), ScopeFault>| {
            if let Err(fault) = outcome {
                value.problem_with(fault.what, fault.remedy);
            }
        };
        for value in &self.keep {
            if let Some(label) = value.text() {
                note(value, scope.keep(&label, slices.iter().flatten()));
            }
        }
        for value in &self.matchers {
            if let Some(matcher) = value.text() {
                note(value, scope.select(&matcher, slices.iter().flatten()));
            }
        }
        scope
    }
}
