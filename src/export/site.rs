//! What stays the same for as long as the process runs: the declarations, the
//! objectives and the name of the instance, with the names and labels that pages
//! derive from them once.

use std::sync::Arc;

use crate::catalog;
use crate::kpi::{Declarations, KpiIndex, MeasureIndex};
use crate::objective::ObjectiveSpec;

/// The fixed part of every page.
#[derive(Debug)]
pub struct Site {
    /// What is computed.
    pub declarations: Arc<Declarations>,
    /// What is aimed at, in the order that verdicts refer to.
    pub objectives: Arc<[ObjectiveSpec]>,
    /// Of the declarations and objectives: equal on replicas that compute the same.
    pub fingerprint: String,
    /// Of this program.
    pub version: String,
    /// Which it was built from; empty if nobody said.
    pub commit: String,
    /// This instance's own name.
    pub instance: String,
    pub(super) slices: Vec<SliceLayout>,
}

/// How the figures of a slice lie in its series, and under which names they go out.
#[derive(Debug)]
pub(super) struct SliceLayout {
    pub(super) name: String,
    /// Of its fields; the label `slice` comes before them.
    pub(super) labels: Vec<String>,
    pub(super) windows: Vec<String>,
    pub(super) measures: Vec<MeasureIndex>,
    pub(super) kpis: Vec<KpiIndex>,
}

impl Site {
    /// The fixed part, with `objectives` in the order that verdicts refer to.
    pub fn new(
        declarations: Arc<Declarations>,
        objectives: Arc<[ObjectiveSpec]>,
        fingerprint: impl Into<String>,
        version: impl Into<String>,
        instance: impl Into<String>,
    ) -> Self {
        let slices = declarations
            .slices
            .iter()
            .enumerate()
            .map(|(index, slice)| SliceLayout {
                name: slice.name.clone(),
                labels: catalog::slice_labels(slice),
                windows: slice.windows.iter().map(ToString::to_string).collect(),
                measures: declarations.measures_of_slice(index),
                kpis: declarations.kpis_of_slice(index),
            })
            .collect();
        Site {
            declarations,
            objectives,
            fingerprint: fingerprint.into(),
            version: version.into(),
            commit: String::new(),
            instance: instance.into(),
            slices,
        }
    }

    /// The same, of a program that was built from that commit.
    pub fn built_from(self, commit: impl Into<String>) -> Self {
        Site { commit: commit.into(), ..self }
    }
}
