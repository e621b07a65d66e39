//! One metrics page, uncompressed, at 10,000 and 100,000 series.
//!
//! `cargo bench --bench scrape`

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidegauge::event::{Decimal, EventTime, Field, Span, Vocabulary};
use tidegauge::export::{
    DeadLetterReport, OpenMetricsVersion, PageFormat, ProcessUse, Report, Site, encode,
};
use tidegauge::kpi::{
    AggregateSpec, Declarations, Direction, Formula, KpiFigure, KpiSnapshot, KpiSpec, MeasureSpec,
    Operator, Quantity, SeriesSnapshot, Share, SliceSnapshot, SliceSpec, Unit,
};
use tidegauge::window::WindowSpec;

const WINDOWS: [i64; 3] = [300, 3_600, 86_400];
const MEASURES: usize = 6;
const KPIS: usize = 4;
const PER_CAMPAIGN: usize = WINDOWS.len() * (MEASURES + KPIS);

fn site() -> Site {
    let vocabulary = Vocabulary::canonical();
    let kind = vocabulary.get("email.sent").expect("a known type");
    let measures = (0..MEASURES)
        .map(|place| MeasureSpec {
            id: format!("email_happenings_{place}"),
            help: "How often it happened.".to_owned(),
            aggregate: AggregateSpec::Count,
            types: vec![kind],
            filters: Vec::new(),
            unit: Unit::Of("messages".to_owned()),
        })
        .collect();
    let kpis = (0..KPIS)
        .map(|place| KpiSpec {
            id: format!("happenings_per_message_{place}"),
            help: "How often it happened for each message.".to_owned(),
            formula: Formula::Binary(
                Box::new(Formula::Measure(place + 1)),
                Operator::Divide,
                Box::new(Formula::Measure(if place + 2 < MEASURES { place + 2 } else { 0 })),
            ),
            unit: Unit::Ratio,
            direction: Direction::Up,
            share: Some(Share::OfEarlier),
            sample: None,
            slices: vec![0],
            group: "email".to_owned(),
            kind: "response".to_owned(),
        })
        .collect();
    let windows = WINDOWS.map(|secs| WindowSpec::new(Span::from_secs(secs)).expect("a window"));
    let slice = SliceSpec {
        name: "campaign".to_owned(),
        fields: vec![Field::Campaign],
        windows: windows.to_vec(),
        cap: 10_000,
    };
    let declarations = Declarations {
        vocabulary,
        measures,
        kpis,
        slices: vec![slice],
        lateness: Span::from_secs(86_400),
        future_tolerance: Span::from_secs(300),
    };
    Site::new(Arc::new(declarations), Arc::new([]), "0", "0", "bench")
}

fn report(series: usize) -> Report {
    let campaign = |number: usize| SeriesSnapshot {
        values: Arc::new([format!("2026-spring-campaign-{number:05}").into()]),
        other: false,
        measures: (0..WINDOWS.len() * MEASURES)
            .map(|place| Some(Quantity::Exact(Decimal::from_int((number * 37 + place) as i64))))
            .collect(),
        kpis: (0..WINDOWS.len() * KPIS)
            .map(|place| {
                let value = (number % 97 + place + 1) as f64 / 1_013.0;
                Some(KpiFigure { value, sample: None })
            })
            .collect(),
    };
    let now = EventTime::from_secs(1_776_159_000);
    let slice = SliceSnapshot {
        slice: 0,
        coverage: vec![1.0; WINDOWS.len()],
        kpi_coverage: vec![1.0; WINDOWS.len() * KPIS],
        folded_values: 0,
        folded_events: 0,
        series: (0..series.div_ceil(PER_CAMPAIGN)).map(campaign).collect(),
    };
    Report {
        made_at: now,
        started_at: now,
        snapshot: Some(Arc::new(KpiSnapshot { as_of: now, slices: vec![slice] })),
        verdicts: Vec::new(),
        not_ready: Vec::new(),
        complete: true,
        covered_from: None,
        topics: Vec::new(),
        missing_topics: Vec::new(),
        brokers_up: true,
        brokers_why: None,
        dead_letters: DeadLetterReport::default(),
        other_currency: Vec::new(),
        overfull_levels: Vec::new(),
        stale_after: Span::from_secs(60),
        snapshot_took: Span::ZERO,
        state: None,
        duplicates: None,
        backfill: None,
    }
}

fn scrape(criterion: &mut Criterion) {
    let site = site();
    let mut group = criterion.benchmark_group("scrape");
    group.sample_size(20);
    for series in [10_000, 100_000] {
        let report = report(series);
        group.throughput(Throughput::Elements(series as u64));
        let open_metrics = PageFormat::OpenMetrics(OpenMetricsVersion::One);
        for (name, format) in [("text", PageFormat::Text), ("openmetrics", open_metrics)] {
            group.bench_with_input(BenchmarkId::new(name, series), &report, |bencher, report| {
                let process = ProcessUse::default();
                bencher.iter(|| black_box(encode(&site, Some(report), &[], process, None, format)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, scrape);
criterion_main!(benches);
