//! The exporter's own page for made-up declarations in which everything has a figure.

use std::sync::Arc;

use tidegauge::admit::{Ledger, RecentLedger};
use tidegauge::event::{Decimal, EventTime, Span};
use tidegauge::export::{
    BackfillReport, DeadLetterReport, DuplicatesReport, NotReady, PageFormat, PartitionReport,
    ProcessUse, Report, Site, StateReport, TopicReport, WebReport, encode,
};
use tidegauge::kpi::{
    Declarations, KpiFigure, KpiSnapshot, Quantity, SeriesSnapshot, SliceIndex, SliceSnapshot,
};
use tidegauge::objective::{ObjectiveSpec, State, UnknownReason, Verdict};

/// What is told of the first objective, for the campaigns that are named; everything
/// else is met.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    /// The campaigns, as they stand in labels; there is an `autumn` besides.
    pub(crate) campaigns: &'a [String],
    /// Why the instance is not ready, if so.
    pub(crate) not_ready: Option<NotReady>,
    /// The verdict.
    pub(crate) state: State,
    /// The figure that is judged.
    pub(crate) figure: f64,
}

/// The page at this moment.
pub(crate) fn page(
    declarations: &Declarations,
    objectives: &[ObjectiveSpec],
    told: Told<'_>,
    now: EventTime,
) -> String {
    let site = Site::new(Arc::new(declarations.clone()), objectives.into(), "f00d", "0.1.0", "a");
    let slices = 0..declarations.slices.len();
    let not_ready: Vec<NotReady> = told.not_ready.into_iter().collect();
    let report = Report {
        made_at: now,
        started_at: now - Span::from_secs(3_600),
        snapshot: Some(Arc::new(KpiSnapshot {
            as_of: now,
            slices: slices.map(|slice| slice_snapshot(declarations, told, slice)).collect(),
        })),
        verdicts: verdicts(declarations, objectives, told),
        not_ready: not_ready.clone(),
        complete: true,
        covered_from: Some(now - Span::from_secs(30 * 86_400)),
        topics: vec![topic(now)],
        missing_topics: Vec::new(),
        brokers_up: true,
        brokers_why: None,
        dead_letters: DeadLetterReport::default(),
        other_currency: Vec::new(),
        overfull_levels: Vec::new(),
        stale_after: Span::from_secs(60),
        snapshot_took: Span::from_millis(3),
        state: Some(state(now)),
        duplicates: Some(DuplicatesReport {
            ids: 1_000,
            bytes: 11_000,
            horizon: Span::from_secs(72 * 3_600),
        }),
        backfill: Some(BackfillReport {
            columns: 2,
            done_records: 500,
            total_records: 1_000,
            finished: false,
        }),
    };
    let process = ProcessUse { resident_bytes: Some(50_000_000), cpu_seconds: Some(12.5) };
    let web = WebReport {
        up_to_date: true,
        expires: Some(now + Span::from_secs(60 * 86_400)),
        refused: Default::default(),
    };
    encode(&site, Some(&report), &not_ready, process, Some(web), PageFormat::Text)
}

/// The values of a slice's fields: the campaigns in the first, `eu` beside.
fn series_values(
    declarations: &Declarations,
    told: Told<'_>,
    slice: SliceIndex,
) -> Vec<Arc<[Box<str>]>> {
    let fields = declarations.slices[slice].fields.len();
    let of = |campaign: &str| {
        (0..fields).map(|field| if field == 0 { campaign } else { "eu" }.into()).collect()
    };
    if fields == 0 {
        return vec![of("")];
    }
    told.campaigns.iter().map(String::as_str).chain(["autumn"]).map(of).collect()
}

fn slice_snapshot(declarations: &Declarations, told: Told<'_>, slice: SliceIndex) -> SliceSnapshot {
    let windows = declarations.slices[slice].windows.len();
    let measures = windows * declarations.measures_of_slice(slice).len();
    let kpis = windows * declarations.kpis_of_slice(slice).len();
    let series =
        series_values(declarations, told, slice).into_iter().map(|values| SeriesSnapshot {
            values,
            other: false,
            measures: vec![Some(Quantity::Exact(Decimal::from_int(1_000))); measures],
            kpis: vec![Some(KpiFigure { value: 0.01, sample: Some(1_000.0) }); kpis],
        });
    SliceSnapshot {
        slice,
        coverage: vec![1.0; windows],
        kpi_coverage: vec![1.0; kpis],
        folded_values: 0,
        folded_events: 0,
        series: series.collect(),
    }
}

fn verdicts(
    declarations: &Declarations,
    objectives: &[ObjectiveSpec],
    told: Told<'_>,
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (index, objective) in objectives.iter().enumerate() {
        let values = match objective.selector.iter().cloned().collect::<Option<Vec<String>>>() {
            Some(literal) => vec![literal.into_iter().map(String::into_boxed_str).collect()],
            None => series_values(declarations, told, objective.slice),
        };
        for values in values {
            let campaign = values.first().map(AsRef::as_ref).unwrap_or_default();
            let told_of = index == 0 && told.campaigns.iter().any(|told| told == campaign);
            let state = if told_of { told.state } else { State::Met };
            verdicts.push(Verdict {
                objective: index,
                values,
                state,
                unknown: (state == State::Unknown).then_some(UnknownReason::Stale),
                value: Some(if told_of { told.figure } else { 0.01 }),
                sample: Some(1_234.0),
                attainment: Some(1.25),
                remaining: Some(0.0),
            });
        }
    }
    verdicts
}

fn state(now: EventTime) -> StateReport {
    StateReport {
        every: Span::from_secs(1),
        saved_at: Some(now - Span::from_secs(1)),
        durable: vec![("mail".to_owned(), topic(now).ledger)].into(),
        checkpoints: 60,
        written_bytes: 60_000,
        checkpoint_bytes: 1_000,
        checkpoint_took: Span::from_millis(4),
        disk_bytes: 60_000,
        blocked: None,
    }
}

fn topic(now: EventTime) -> TopicReport {
    let mut ledger = Ledger::default();
    ledger.records.read = 1_000;
    ledger.records.decoded = 1_000;
    ledger.events.decoded = 1_000;
    ledger.events.counted = 1_000;
    let mut recent = RecentLedger::default();
    recent.add(now, &ledger);
    let partition = PartitionReport {
        partition: 0,
        lag: Some(0),
        frontier: Some(now),
        gaps: 0,
        lost_records: 0,
        held_for: Some(Span::from_secs(3)),
        passed_over: 0,
    };
    TopicReport {
        topic: "mail".to_owned(),
        ledger,
        recent,
        compacted: false,
        behind: Some(Span::ZERO),
        stale_after: Span::from_secs(60),
        stale: false,
        partitions: vec![partition],
    }
}
