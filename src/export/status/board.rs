//! What of a large snapshot is shown: some rows, some KPIs, some verdicts.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::event::{Field, Span};
use crate::export::{Report, Site};
use crate::kpi::{KpiIndex, KpiSnapshot, Quantity, SeriesSnapshot, SliceIndex};
use crate::objective::{ObjectiveSpec, State, Verdict};

/// Rows of the table of figures, the row of everything not among them.
pub(super) const ROWS: usize = 15;
/// Columns of the table of figures.
pub(super) const COLUMNS: usize = 10;
/// Verdicts that are shown one by one.
pub(super) const VERDICTS: usize = 40;

/// The table of figures: which slice, window, KPIs and series.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) slice: SliceIndex,
    pub(super) window: usize,
    pub(super) kpis: Vec<KpiIndex>,
    /// Places in the slice's series, the most important first.
    pub(super) rows: Vec<usize>,
    /// The slice of everything and its window of the same size.
    pub(super) all: Option<(SliceIndex, usize)>,
}

/// How bad a state is: the worst first.
pub(super) const fn rank(state: State) -> u8 {
    match state {
        State::Missed => 0,
        State::AtRisk => 1,
        State::Met => 2,
        State::Unknown => 3,
    }
}

/// The verdicts in the order of the page: the worst state first, then the loudest
/// objective, then the one furthest from its target.
pub(super) fn verdicts<'a>(site: &Site, report: &'a Report) -> Vec<&'a Verdict> {
    let mut verdicts: Vec<&Verdict> = report.verdicts.iter().collect();
    verdicts.sort_by(|one, other| {
        let key = |verdict: &Verdict| {
            let objective = &site.objectives[verdict.objective];
            // Who is named must not be lost among hundreds of whom nothing is known.
            let selected = verdict.state == State::Unknown && !objective.is_literal();
            (rank(verdict.state), selected, Reverse(objective.severity))
        };
        let attainment = |verdict: &Verdict| verdict.attainment.unwrap_or(f64::INFINITY);
        key(one)
            .cmp(&key(other))
            .then_with(|| attainment(one).total_cmp(&attainment(other)))
            .then_with(|| (one.objective, &one.values).cmp(&(other.objective, &other.values)))
    });
    verdicts
}

/// The figure of a KPI in a series of a slice.
pub(super) fn figure(
    site: &Site,
    slice: SliceIndex,
    window: usize,
    kpi: KpiIndex,
    series: &SeriesSnapshot,
) -> Option<f64> {
    let kpis = &site.slices[slice].kpis;
    let place = kpis.iter().position(|&of| of == kpi)?;
    series.kpis.get(window * kpis.len() + place)?.map(|figure| figure.value)
}

/// Chooses the table: the slice by campaign (else the first that groups by
/// anything), the window of it that most objectives judge (else its middle one), the KPIs that objectives judge before the others,
/// and the series in trouble before the heavy ones.
pub(super) fn choose(site: &Site, report: &Report) -> Option<Board> {
    let snapshot = report.snapshot.as_deref()?;
    let slices = &site.declarations.slices;
    let slice = slices
        .iter()
        .position(|slice| slice.fields == [Field::Campaign])
        .or_else(|| slices.iter().position(|slice| !slice.fields.is_empty()))
        .or((!slices.is_empty()).then_some(0))?;
    let window = window(site, slice);
    let size = slices[slice].windows.get(window)?.size();
    Some(Board {
        slice,
        window,
        kpis: columns(site, slice),
        rows: rows(site, report, snapshot, slice, window),
        all: everything(site, slice, size),
    })
}

fn window(site: &Site, slice: SliceIndex) -> usize {
    let windows = site.declarations.slices[slice].windows.len();
    let middle = windows / 2;
    let judged = |window: usize| {
        let judges = |it: &&ObjectiveSpec| it.slice == slice && it.window == window;
        let objectives = site.objectives.iter().filter(judges);
        // Those that judge every row come before those that judge one.
        (objectives.clone().filter(|it| !it.is_literal()).count(), objectives.count())
    };
    // Of equals the last is taken, so the middle one comes last.
    let order = (0..windows).filter(|window| *window != middle).chain([middle]);
    order.max_by_key(|window| judged(*window)).unwrap_or(middle)
}

fn everything(site: &Site, but: SliceIndex, size: Span) -> Option<(SliceIndex, usize)> {
    let slices = &site.declarations.slices;
    let all = slices.iter().position(|slice| slice.fields.is_empty())?;
    let window = slices[all].windows.iter().position(|window| window.size() == size)?;
    (all != but).then_some((all, window))
}

fn columns(site: &Site, slice: SliceIndex) -> Vec<KpiIndex> {
    let judged = |kpi: &KpiIndex| site.objectives.iter().any(|objective| objective.kpi == *kpi);
    let mut kpis = site.slices[slice].kpis.clone();
    kpis.sort_by_key(|kpi| (!judged(kpi), *kpi));
    kpis.truncate(COLUMNS);
    kpis.sort_unstable();
    kpis
}

fn rows(
    site: &Site,
    report: &Report,
    snapshot: &KpiSnapshot,
    slice: SliceIndex,
    window: usize,
) -> Vec<usize> {
    let Some(slice_snapshot) = snapshot.slices.iter().find(|of| of.slice == slice) else {
        return Vec::new();
    };
    let mut worst: HashMap<&[Box<str>], u8> = HashMap::new();
    for verdict in &report.verdicts {
        if site.objectives[verdict.objective].slice == slice {
            let rank = rank(verdict.state);
            worst.entry(&verdict.values).and_modify(|it| *it = rank.min(*it)).or_insert(rank);
        }
    }
    // Met and unknown weigh the same: only trouble lifts a row.
    let trouble = |series: &SeriesSnapshot| worst.get(&*series.values).map_or(2, |it| *it.min(&2));
    let measures = site.slices[slice].measures.len();
    let weight = |series: &SeriesSnapshot| {
        let of_window = series.measures.iter().skip(window * measures).take(measures);
        of_window.flatten().map(|quantity: &Quantity| quantity.to_f64()).sum::<f64>()
    };
    let mut order: Vec<(bool, u8, f64, usize)> = slice_snapshot
        .series
        .iter()
        .enumerate()
        .map(|(place, series)| (series.other, trouble(series), weight(series), place))
        .collect();
    order.sort_by(|one, other| {
        (one.0, one.1).cmp(&(other.0, other.1)).then(other.2.total_cmp(&one.2))
    });
    order.truncate(ROWS);
    order.into_iter().map(|(.., place)| place).collect()
}
