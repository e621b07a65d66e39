//! What a snapshot and its verdicts cost, at 10,000 and 100,000 exported series.
//!
//! `cargo bench --bench snapshot`
//!
//! Campaigns with a week of history under the shipped KPIs, three windows each; a
//! series is one figure of one campaign in one window, as `/metrics` shows it.
//! `moving` takes each snapshot ten seconds after the last, with traffic between
//! (nothing can be reused); `standing` takes it again at the same moment.

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidegauge::aggregate::HashKey;
use tidegauge::config;
use tidegauge::event::{Decimal, Event, EventTime};
use tidegauge::kpi::{Declarations, EventBatch, KpiSnapshot, Plan, Store};

/// 2026-06-09T12:00:00Z.
const NOW: i64 = 1_781_006_400;
const WEEK: i64 = 604_800;
const TYPES: [&str; 6] = [
    "email.sent",
    "email.delivered",
    "email.opened",
    "email.clicked",
    "email.bounced",
    "email.unsubscribed",
];

const CONFIG: &str = r#"
[kafka]
brokers = "127.0.0.1:9092"
[[topics]]
name = "events"
format = "canonical"
[slices.campaign]
replace = true
by = ["campaign"]
windows = ["1h", "24h", "7d"]
cap = 100000
"#;

fn event(kind: &str, at: i64, campaign: i64, user: i64, declared: &Declarations) -> Event<'static> {
    Event {
        id: None,
        kind: declared.vocabulary.get(kind).expect("a canonical type"),
        time: EventTime::from_secs(at),
        campaign: Some(Cow::Owned(format!("2026-spring-sale-{campaign:05}"))),
        channel: "email".into(),
        source: "mailer".into(),
        user: Some(Cow::Owned(format!("user-{user}@example.com"))),
        message: None,
        value: None,
        currency: None,
        count: Decimal::ONE,
        key: None,
        machine: None,
        attributes: Vec::new(),
    }
}

struct Filled {
    plan: Arc<Plan>,
    store: Store,
    campaigns: i64,
}

impl Filled {
    /// A week of events: some hundred moments for each campaign, denser towards now.
    fn new(declarations: &Arc<Declarations>, campaigns: i64) -> Self {
        let plan = Arc::new(Plan::new(Arc::clone(declarations), HashKey::from_bytes([3; 16])));
        let mut filled = Filled { store: Store::new(Arc::clone(&plan)), plan, campaigns };
        for step in (0..120_i64).rev() {
            let at = NOW - WEEK * step * step / 14_400;
            filled.store.advance(EventTime::from_secs(at), Some(EventTime::from_secs(at)));
            filled.traffic(at);
        }
        filled
    }

    /// One event of each type for each campaign.
    fn traffic(&mut self, at: i64) {
        let mut batch = EventBatch::default();
        for campaign in 0..self.campaigns {
            for (place, kind) in TYPES.iter().enumerate() {
                let user = at / 7 + place as i64;
                let event = event(kind, at, campaign, user, self.plan.declarations());
                self.plan.reduce(&event, None, &mut batch);
            }
        }
        self.store.fold(&batch);
    }

    fn snapshot(&mut self, at: i64) -> KpiSnapshot {
        let at = EventTime::from_secs(at);
        self.store.advance(at, Some(at));
        self.store.snapshot(at, None)
    }
}

fn exported(snapshot: &KpiSnapshot) -> usize {
    let series = snapshot.slices.iter().flat_map(|slice| &slice.series);
    series
        .map(|series| {
            series.measures.iter().flatten().count() + series.kpis.iter().flatten().count()
        })
        .sum()
}

fn snapshot(criterion: &mut Criterion) {
    let declared = config::parse("bench.toml", CONFIG, &|_| None).expect("a configuration");
    let declarations = Arc::new(declared.declarations);
    let per_hundred = exported(&Filled::new(&declarations, 100).snapshot(NOW)) as i64;
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(10);
    for series in [10_000_i64, 100_000] {
        let mut filled = Filled::new(&declarations, series * 100 / per_hundred);
        group.throughput(Throughput::Elements(series as u64));
        group.bench_function(BenchmarkId::new("standing", series), |bencher| {
            bencher.iter(|| black_box(filled.snapshot(NOW)));
        });
        let mut now = NOW;
        group.bench_function(BenchmarkId::new("moving", series), |bencher| {
            let filled = std::cell::RefCell::new(&mut filled);
            bencher.iter_batched(
                || {
                    now += 10;
                    filled.borrow_mut().traffic(now);
                    now
                },
                |now| black_box(filled.borrow_mut().snapshot(now)),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, snapshot);
criterion_main!(benches);
