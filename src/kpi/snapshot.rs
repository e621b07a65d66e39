//! What the engine says at one moment: every figure of every slice at one `as_of`.

use std::sync::Arc;

use crate::event::EventTime;
use crate::kpi::{Declarations, KpiIndex, NoShare, Quantity, SliceIndex};

/// Every figure, at one `as_of`. A figure is right or absent (`None`).
#[derive(Debug, Clone)]
pub struct KpiSnapshot {
    /// The moment for which all figures hold.
    pub as_of: EventTime,
    /// One for each declared slice, in its order.
    pub slices: Vec<SliceSnapshot>,
}

/// One slice at that moment.
#[derive(Debug, Clone)]
pub struct SliceSnapshot {
    /// Which slice.
    pub slice: SliceIndex,
    /// For each window of the slice: the share of its span that was read, 0 to 1.
    pub coverage: Vec<f64>,
    /// The same for each KPI, which may rest on measures that began later: by window,
    /// then by KPI of [`super::Declarations::kpis_of_slice`].
    pub kpi_coverage: Vec<f64>,
    /// Values that have no series of their own because the cap is reached,
    /// estimated from what is remembered of them; 0 when nothing is folded.
    pub folded_values: u64,
    /// Events that went into [`super::OTHER`] and are still held.
    pub folded_events: u64,
    /// Every value that a kept pane holds, in a stable order.
    pub series: Vec<SeriesSnapshot>,
}

impl SliceSnapshot {
    /// The KPIs that are less covered than their slice, with their windows and shares:
    /// by KPI, then by window. `kpis` are those of the slice, in their order.
    pub fn less_covered_kpis(
        &self,
        kpis: &[KpiIndex],
    ) -> impl Iterator<Item = (KpiIndex, usize, f64)> {
        kpis.iter().enumerate().flat_map(move |(place, &kpi)| {
            self.coverage.iter().enumerate().filter_map(move |(window, &of_slice)| {
                let share = *self.kpi_coverage.get(window * kpis.len() + place)?;
                (share < of_slice).then_some((kpi, window, share))
            })
        })
    }

    /// The KPIs that are declared to be shares, and how many figures of each contradict
    /// that ([`NoShare::Inconsistent`]). `kpis` are those of the slice, in their order.
    pub fn inconsistent_figures(
        &self,
        declarations: &Declarations,
        kpis: &[KpiIndex],
    ) -> impl Iterator<Item = (KpiIndex, usize)> {
        kpis.iter().enumerate().filter_map(move |(place, &kpi)| {
            let share = declarations.kpis[kpi].share?;
            let figures = self
                .series
                .iter()
                .flat_map(|series| series.kpis.iter().skip(place).step_by(kpis.len()).flatten());
            let faults = figures.filter_map(|figure| share.fault(figure.value));
            Some((kpi, faults.filter(|fault| *fault == NoShare::Inconsistent).count()))
        })
    }
}

/// One value of a slice.
#[derive(Debug, Clone)]
pub struct SeriesSnapshot {
    /// The values of the slice's fields, in their order; empty for `all`.
    pub values: Arc<[Box<str>]>,
    /// Whether this is what was folded over the cap.
    pub other: bool,
    /// By window, then by measure of [`super::Declarations::measures_of_slice`]:
    /// index `window * measures + measure`. `None` is no data.
    pub measures: Vec<Option<Quantity>>,
    /// By window, then by KPI of [`super::Declarations::kpis_of_slice`].
    pub kpis: Vec<Option<KpiFigure>>,
}

/// A KPI's figure and the sample behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KpiFigure {
    /// The value; never NaN or infinite.
    pub value: f64,
    /// The sample of [`super::SampleSpec`], where one is declared and has data.
    pub sample: Option<f64>,
}
