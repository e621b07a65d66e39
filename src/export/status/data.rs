//! The data of the status page, as it goes out in JSON.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use super::board::{self, Board};
use super::history::{History, LineKey};
use super::pipeline::{
    self, BackfillStatus, DeadLetters, DuplicatesStatus, SliceStatus, StateStatus, TopicStatus,
};
use crate::event::EventTime;
use crate::export::loading::{self, LoadedShare};
use crate::export::{NotReady, Report, Site};
use crate::kpi::{KpiIndex, SeriesSnapshot, SliceIndex, Unit};
use crate::objective::{State, Target, Verdict};

/// Everything on the page. Times are RFC 3339 in UTC; a figure that is absent is
/// `null`.
#[derive(Debug, Serialize)]
pub(in crate::export) struct Status<'a> {
    pub(super) instance: &'a str,
    pub(super) version: &'a str,
    pub(super) fingerprint: &'a str,
    pub(super) ready: bool,
    pub(super) reasons: Vec<Reason>,
    pub(super) made_at: Option<Moment>,
    pub(super) started_at: Option<Moment>,
    pub(super) as_of: Option<Moment>,
    pub(super) covered_from: Option<Moment>,
    pub(super) snapshot_seconds: Option<f64>,
    /// Verdicts by state, those that are not listed included.
    pub(super) counts: BTreeMap<&'static str, usize>,
    pub(super) objectives: Vec<ObjectiveStatus<'a>>,
    pub(super) figures: Option<Figures<'a>>,
    /// How far back the trends reach.
    pub(super) trend_seconds: f64,
    pub(super) slices: Vec<SliceStatus<'a>>,
    pub(super) topics: Vec<TopicStatus<'a>>,
    pub(super) missing_topics: &'a [String],
    pub(super) brokers_up: Option<bool>,
    pub(super) dead_letters: Option<DeadLetters>,
    /// `null` where none is saved.
    pub(super) state: Option<StateStatus<'a>>,
    /// `null` where copies are not told.
    pub(super) duplicates: Option<DuplicatesStatus>,
    /// `null` where nothing had to be filled.
    pub(super) backfill: Option<BackfillStatus>,
}

/// A time that goes out as RFC 3339.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub(super) EventTime);

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Reason {
    pub(super) reason: &'static str,
    pub(super) says: Cow<'static, str>,
    /// What else is known of it.
    pub(super) detail: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ObjectiveStatus<'a> {
    pub(super) objective: &'a str,
    pub(super) help: &'a str,
    pub(super) kpi: &'a str,
    #[serde(serialize_with = "suffix")]
    pub(super) unit: &'a Unit,
    pub(super) slice: &'a str,
    /// The slice's fields, by label.
    pub(super) values: Values<'a>,
    pub(super) window: &'a str,
    #[serde(serialize_with = "state_name")]
    pub(super) state: State,
    /// Why nothing can be said.
    pub(super) unknown: Option<&'static str>,
    pub(super) value: Option<f64>,
    pub(super) at_least: Option<f64>,
    pub(super) at_most: Option<f64>,
    pub(super) sample: Option<f64>,
    pub(super) minimum_sample: Option<f64>,
    pub(super) attainment: Option<f64>,
    pub(super) remaining: Option<f64>,
    pub(super) owner: &'a str,
    pub(super) serves: &'a str,
    pub(super) severity: &'static str,
    pub(super) runbook: Option<&'a str>,
    /// When it came into its state, or was first seen in it.
    pub(super) since: Option<Moment>,
    /// Whether the change was seen; otherwise it has been so for longer.
    pub(super) since_seen: bool,
    pub(super) trend: Vec<Option<f64>>,
}

/// Label values in the order of a slice's fields.
#[derive(Debug, Clone)]
pub(super) struct Values<'a>(pub(super) Vec<(&'a str, &'a str)>);

impl Serialize for Values<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// The table of KPIs by the values of one slice.
#[derive(Debug, Serialize)]
pub(super) struct Figures<'a> {
    pub(super) slice: &'a str,
    pub(super) window: &'a str,
    pub(super) kpis: Vec<Column<'a>>,
    pub(super) rows: Vec<Row<'a>>,
    /// Values and KPIs that the table has no room for.
    pub(super) more_rows: usize,
    pub(super) more_kpis: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Column<'a> {
    pub(super) kpi: &'a str,
    pub(super) help: &'a str,
    #[serde(serialize_with = "suffix")]
    pub(super) unit: &'a Unit,
}

#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    /// Empty for the row of everything.
    pub(super) values: Values<'a>,
    pub(super) cells: Vec<Cell>,
}

#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) value: Option<f64>,
    /// The worst state of the objectives on this KPI here, over this window.
    #[serde(serialize_with = "some_state_name")]
    pub(super) state: Option<State>,
    pub(super) trend: Vec<Option<f64>>,
}

fn suffix<S: serde::Serializer>(unit: &Unit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&unit.suffix())
}

fn state_name<S: serde::Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

fn some_state_name<S: serde::Serializer>(
    state: &Option<State>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    state.map(State::name).serialize(serializer)
}

impl<'a> Status<'a> {
    /// Puts together what the page says of `report`; `not_ready` and `loading` as of now.
    pub(in crate::export) fn of(
        site: &'a Site,
        report: Option<&'a Report>,
        history: &History,
        not_ready: &[NotReady],
        loading: Option<LoadedShare>,
    ) -> Self {
        let snapshot = report.and_then(|report| report.snapshot.as_deref());
        let verdicts = report.map_or(&[][..], |report| &report.verdicts);
        let count = |state| verdicts.iter().filter(|verdict| verdict.state == state).count();
        let reason = |it: &NotReady| Reason {
            reason: it.name(),
            says: loading::says(*it, loading),
            detail: report.and_then(|report| report.detail(*it)),
        };
        let listed = report.map(|report| board::verdicts(site, report)).unwrap_or_default();
        Status {
            instance: &site.instance,
            version: &site.version,
            fingerprint: &site.fingerprint,
            ready: not_ready.is_empty(),
            reasons: not_ready.iter().map(reason).collect(),
            made_at: report.map(|report| Moment(report.made_at)),
            started_at: report.map(|report| Moment(report.started_at)),
            as_of: snapshot.map(|snapshot| Moment(snapshot.as_of)),
            covered_from: report.and_then(|report| report.covered_from).map(Moment),
            snapshot_seconds: report.map(|report| report.snapshot_took.as_secs_f64()),
            counts: State::ALL.map(|state| (state.name(), count(state))).into(),
            objectives: listed
                .into_iter()
                .take(board::VERDICTS)
                .map(|verdict| objective(site, history, verdict))
                .collect(),
            figures: report.and_then(|report| figures(site, report, history)),
            trend_seconds: history.reach().as_secs_f64(),
            slices: pipeline::slices(site, report),
            topics: report
                .map(|report| report.topics.iter().map(|it| pipeline::topic(it, report)).collect())
                .unwrap_or_default(),
            missing_topics: report.map_or(&[], |report| &report.missing_topics),
            brokers_up: report.map(|report| report.brokers_up),
            dead_letters: report.map(|report| DeadLetters {
                written: report.dead_letters.written,
                pending: report.dead_letters.pending,
                blocked: report.dead_letters.blocked,
            }),
            state: report.and_then(|report| report.state.as_ref()).map(StateStatus::of),
            duplicates: report.and_then(|report| report.duplicates.as_ref()).map(Into::into),
            backfill: report.and_then(|report| report.backfill.as_ref()).map(Into::into),
        }
    }
}

fn values<'a>(site: &'a Site, slice: SliceIndex, values: &'a [Box<str>]) -> Values<'a> {
    let labels = site.slices[slice].labels.iter().map(String::as_str);
    Values(labels.zip(values.iter().map(AsRef::as_ref)).collect())
}

fn objective<'a>(site: &'a Site, history: &History, verdict: &'a Verdict) -> ObjectiveStatus<'a> {
    let spec = &site.objectives[verdict.objective];
    let kpi = &site.declarations.kpis[spec.kpi];
    let slice = &site.slices[spec.slice];
    let (at_least, at_most) = match spec.target {
        Target::AtLeast(least) => (Some(least), None),
        Target::AtMost(most) => (None, Some(most)),
        Target::Between(least, most) => (Some(least), Some(most)),
    };
    let minimum = spec.minimum_sample.or(kpi.sample.as_ref().map(|sample| sample.minimum));
    let since = history.since(verdict);
    let line = LineKey::Objective(verdict.objective, Arc::clone(&verdict.values));
    ObjectiveStatus {
        objective: &spec.id,
        help: &spec.help,
        kpi: &kpi.id,
        unit: &kpi.unit,
        slice: &slice.name,
        values: values(site, spec.slice, &verdict.values),
        window: &slice.windows[spec.window],
        state: verdict.state,
        unknown: verdict.unknown.map(|reason| reason.name()),
        value: verdict.value,
        at_least,
        at_most,
        sample: verdict.sample,
        minimum_sample: minimum.map(|minimum| minimum.to_f64()),
        attainment: verdict.attainment,
        remaining: verdict.remaining,
        owner: &spec.owner,
        serves: &spec.serves,
        severity: spec.severity.name(),
        runbook: spec.runbook.as_deref(),
        since: since.map(|since| Moment(since.at)),
        since_seen: since.is_some_and(|since| since.seen),
        trend: history.line(&line, verdict.value),
    }
}

/// The worst state of the objectives on a KPI, by slice, window and values.
type Judged<'a> = HashMap<(SliceIndex, usize, KpiIndex, &'a [Box<str>]), State>;

fn judged<'a>(site: &Site, report: &'a Report) -> Judged<'a> {
    let mut judged = Judged::new();
    for verdict in &report.verdicts {
        let spec = &site.objectives[verdict.objective];
        let place = (spec.slice, spec.window, spec.kpi, &*verdict.values);
        let worst = judged.entry(place).or_insert(verdict.state);
        if board::rank(verdict.state) < board::rank(*worst) {
            *worst = verdict.state;
        }
    }
    judged
}

fn figures<'a>(site: &'a Site, report: &'a Report, history: &History) -> Option<Figures<'a>> {
    let board = board::choose(site, report)?;
    let snapshot = report.snapshot.as_deref()?;
    let judged = judged(site, report);
    let row = |slice: SliceIndex, window: usize, series: &'a SeriesSnapshot| Row {
        values: values(site, slice, &series.values),
        cells: board
            .kpis
            .iter()
            .map(|&kpi| {
                let value = board::figure(site, slice, window, kpi, series);
                let line = LineKey::Kpi(slice, kpi, Arc::clone(&series.values));
                Cell {
                    value,
                    state: judged.get(&(slice, window, kpi, &*series.values)).copied(),
                    trend: history.line(&line, value),
                }
            })
            .collect(),
    };
    let series_of = |slice: SliceIndex| {
        let snapshot = snapshot.slices.iter().find(|of| of.slice == slice);
        snapshot.map_or(&[][..], |snapshot| &snapshot.series)
    };
    let whole = board
        .all
        .iter()
        .filter_map(|&(all, window)| series_of(all).first().map(|series| row(all, window, series)));
    let series = series_of(board.slice);
    let rows = board.rows.iter().map(|&at| row(board.slice, board.window, &series[at]));
    let rows = whole.chain(rows).collect();
    let Board { slice, window, kpis, rows: shown, .. } = &board;
    let layout = &site.slices[*slice];
    Some(Figures {
        slice: &layout.name,
        window: &layout.windows[*window],
        kpis: kpis
            .iter()
            .map(|&kpi| &site.declarations.kpis[kpi])
            .map(|kpi| Column { kpi: &kpi.id, help: &kpi.help, unit: &kpi.unit })
            .collect(),
        rows,
        more_rows: series.len() - shown.len(),
        more_kpis: layout.kpis.len() - kpis.len(),
    })
}
