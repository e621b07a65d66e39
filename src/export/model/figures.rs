//! The figures: one family for each KPI and each measure, and the state of slices.

use super::{Samples, Source, slice_labels};
use crate::catalog;
use crate::export::Site;
use crate::kpi::{Quantity, SeriesSnapshot, SliceSnapshot};

pub(super) fn visit(source: Source<'_>, sink: &mut dyn FnMut(Samples)) {
    let Some(snapshot) = source.report.and_then(|report| report.snapshot.as_deref()) else {
        return;
    };
    let site = source.site;
    slices(site, &snapshot.slices, sink);
    let sorted: Vec<Sorted<'_>> = snapshot.slices.iter().map(Sorted::new).collect();
    for (kpi, spec) in site.declarations.kpis.iter().enumerate() {
        let mut samples = Samples::named(catalog::kpi_family(spec), spec.unit.suffix(), &spec.help);
        for slice in &sorted {
            let kpis = &site.slices[slice.index].kpis;
            if let Some(place) = kpis.iter().position(|&of| of == kpi) {
                slice.add_to(&mut samples, site, |series, window| {
                    let figure = series.kpis.get(window * kpis.len() + place)?.as_ref()?;
                    Some(figure.value)
                });
            }
        }
        sink(samples);
    }
    for (measure, spec) in site.declarations.measures.iter().enumerate() {
        let mut samples =
            Samples::named(catalog::measure_family(spec), spec.unit.suffix(), &spec.help);
        for slice in &sorted {
            let measures = &site.slices[slice.index].measures;
            if let Some(place) = measures.iter().position(|&of| of == measure) {
                slice.add_to(&mut samples, site, |series, window| {
                    let quantity = *series.measures.get(window * measures.len() + place)?;
                    quantity.map(Quantity::to_f64)
                });
            }
        }
        sink(samples);
    }
}

fn slices(site: &Site, slices: &[SliceSnapshot], sink: &mut dyn FnMut(Samples)) {
    let mut coverage = Samples::of(&catalog::COVERAGE);
    let mut of_kpis = Samples::of(&catalog::KPI_COVERAGE);
    let mut series = Samples::of(&catalog::SLICE_SERIES);
    let mut limit = Samples::of(&catalog::SLICE_SERIES_LIMIT);
    let mut folded_values = Samples::of(&catalog::SLICE_FOLDED_VALUES);
    let mut folded_events = Samples::of(&catalog::SLICE_FOLDED_EVENTS);
    let mut inconsistent = Samples::of(&catalog::INCONSISTENT_FIGURES);
    for slice in slices {
        let layout = &site.slices[slice.slice];
        let label = [("slice", layout.name.as_str())];
        for (window, share) in layout.windows.iter().zip(&slice.coverage) {
            coverage.add([label[0], ("window", window)], *share);
        }
        for (kpi, window, share) in slice.less_covered_kpis(&layout.kpis) {
            let kpi = site.declarations.kpis[kpi].id.as_str();
            let window = layout.windows[window].as_str();
            of_kpis.add([("kpi", kpi), label[0], ("window", window)], share);
        }
        let own = slice.series.iter().filter(|series| !series.other).count();
        series.add(label, own as f64);
        limit.add(label, site.declarations.slices[slice.slice].cap as f64);
        folded_values.add(label, slice.folded_values as f64);
        folded_events.add(label, slice.folded_events as f64);
        for (kpi, figures) in slice.inconsistent_figures(&site.declarations, &layout.kpis) {
            let kpi = site.declarations.kpis[kpi].id.as_str();
            inconsistent.add([("kpi", kpi), label[0]], figures as f64);
        }
    }
    for samples in [coverage, of_kpis, series, limit, folded_values, folded_events, inconsistent] {
        sink(samples);
    }
}

/// A slice with its series in the order of their label values, so that pages stay
/// comparable from one scrape to the next.
struct Sorted<'a> {
    index: usize,
    series: Vec<&'a SeriesSnapshot>,
}

impl<'a> Sorted<'a> {
    fn new(slice: &'a SliceSnapshot) -> Self {
        let mut series: Vec<_> = slice.series.iter().collect();
        series.sort_by(|one, other| one.values.cmp(&other.values));
        Sorted { index: slice.slice, series }
    }

    /// Adds what `figure` finds in each series, by series and then by window.
    fn add_to(
        &self,
        samples: &mut Samples,
        site: &Site,
        figure: impl Fn(&SeriesSnapshot, usize) -> Option<f64>,
    ) {
        let windows = &site.slices[self.index].windows;
        samples.metrics.reserve(self.series.len() * windows.len());
        for series in &self.series {
            for (place, window) in windows.iter().enumerate() {
                if let Some(value) = figure(series, place) {
                    let labels = slice_labels(site, self.index, &series.values);
                    samples.add(labels.chain([("window", window.as_str())]), value);
                }
            }
        }
    }
}
