//! What an event costs from its bytes to the cells, with the shipped KPIs.
//!
//! `cargo bench --bench pipeline`
//!
//! - `floor`: serde_json's borrowed parse of the same bytes into the fields needed;
//! - `bytes_to_cells`: decoding, reducing and folding, six windows on `all` and three
//!   on campaigns, a snapshot for every 500,000 events;
//! - `events_to_cells`: reducing and folding alone, with 6 and with 24 windows on
//!   both slices, without snapshots.
//!
//! Events of 1,000 campaigns, about 300 bytes each, with times in the last five
//! minutes. Measured is the processor time of the one thread ([`ProcessorTime`]), so
//! that a busy machine does not change the figures much.

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::Deserialize;
use tidegauge::aggregate::HashKey;
use tidegauge::config;
use tidegauge::event::{Decimal, Event, EventTime, RawRecord, Span, Vocabulary};
use tidegauge::format::{Decoder, Element, Format, Limits, Wanted};
use tidegauge::kpi::{Declarations, EventBatch, Plan, Store};
use tidegauge::window::WindowSpec;

/// 2026-06-09T12:00:00Z.
const NOW: i64 = 1_781_006_400;
const EVENTS: usize = 50_000;
const SNAPSHOT_EVERY: usize = 500_000;
const BATCH: usize = 1_000;

const CONFIG: &str = r#"
[kafka]
brokers = "127.0.0.1:9092"
[[topics]]
name = "events"
format = "canonical"
"#;

/// A small generator of numbers (SplitMix64): the same events each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

/// The time that this thread has spent on a processor, as Linux counts it.
struct ProcessorTime;

impl ProcessorTime {
    fn nanos() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux's counts");
        let first = stat.split_whitespace().next();
        first.and_then(|nanos| nanos.parse().ok()).expect("nanoseconds on a processor")
    }
}

impl Measurement for ProcessorTime {
    type Intermediate = u64;
    type Value = Duration;

    fn start(&self) -> u64 {
        Self::nanos()
    }

    fn end(&self, start: u64) -> Duration {
        // Linux may count in whole ticks; criterion wants more than nothing.
        Duration::from_nanos(Self::nanos().saturating_sub(start).max(1))
    }

    fn add(&self, one: &Duration, two: &Duration) -> Duration {
        *one + *two
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// What marketing traffic is made of.
const TYPES: [(&str, u64); 9] = [
    ("email.sent", 22),
    ("email.delivered", 42),
    ("email.opened", 56),
    ("email.clicked", 62),
    ("email.bounced", 64),
    ("email.unsubscribed", 66),
    ("web.page_viewed", 88),
    ("web.cta_clicked", 94),
    ("web.converted", 100),
];

fn records() -> Vec<(String, EventTime)> {
    let mut numbers = Numbers(1);
    (0..EVENTS)
        .map(|number| {
            let kind = numbers.below(100);
            let kind = TYPES.iter().find(|(_, below)| kind < *below).map_or("", |(kind, _)| kind);
            let time = EventTime::from_millis((NOW - 300) * 1_000 + numbers.below(300_000) as i64);
            let campaign = numbers.below(1_000);
            let user = numbers.below(2_000_000);
            let text = format!(
                r#"{{"id":"0192f3a4-{number:08}-7bcd-8e21-3f1f5be0a1c4","type":"{kind}","time":"{time}","campaign":"2026-spring-sale-{campaign:04}","source":"mailer","user":"user-{user:08}@example.com","message":"msg-{number:012}","attributes":{{"class":"hard","link":"https://shop.example.com/spring?item={user}","region":"emea"}}}}"#
            );
            (text, time)
        })
        .collect()
}

/// The fields that the figures need, and nothing else.
#[derive(Deserialize)]
struct Needed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    campaign: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

fn declarations(all: &[i64], campaign: &[i64]) -> Arc<Declarations> {
    let config = config::parse("bench.toml", CONFIG, &|_| None).expect("a configuration");
    let mut declarations = config.declarations;
    for slice in &mut declarations.slices {
        let windows = if slice.fields.is_empty() { all } else { campaign };
        let window = |secs: &i64| WindowSpec::new(Span::from_secs(*secs)).expect("a window");
        slice.windows = windows.iter().map(window).collect();
    }
    Arc::new(declarations)
}

const THREE: [i64; 3] = [3_600, 86_400, 604_800];
const SIX: [i64; 6] = [300, 3_600, 21_600, 86_400, 259_200, 604_800];

/// From five minutes to seven days.
fn twenty_four() -> Vec<i64> {
    let mut windows = SIX.to_vec();
    windows.extend((1..=6).map(|step| step * 1_500 + 300));
    windows.extend((1..=6).map(|step| 21_600 + step * 7_200));
    windows.extend((1..=6).map(|step| 86_400 + step * 21_600));
    windows.sort_unstable();
    windows
}

fn engine(declarations: &Arc<Declarations>) -> (Arc<Plan>, Store) {
    let plan = Arc::new(Plan::new(Arc::clone(declarations), HashKey::from_bytes([3; 16])));
    let mut store = Store::new(Arc::clone(&plan));
    let now = EventTime::from_secs(NOW);
    store.advance(now, Some(now));
    (plan, store)
}

fn decoder(declarations: &Declarations, plan: &Plan) -> Decoder {
    let spec = config::shipped_formats()
        .into_iter()
        .find(|spec| spec.name == "canonical")
        .expect("the canonical format is shipped");
    let wanted = Wanted::Named(plan.wanted_attributes());
    let format = Format::compile(&spec, &declarations.vocabulary, &wanted);
    Decoder::new(Arc::new(format), Limits::default())
}

fn record<'a>(text: &'a str, time: EventTime) -> RawRecord<'a> {
    RawRecord {
        topic: "events",
        partition: 0,
        offset: 0,
        timestamp: Some(time),
        key: None,
        value: Some(text.as_bytes()),
        headers: &[],
    }
}

/// Events that own their texts, as decoding would have made them.
fn events(records: &[(String, EventTime)], vocabulary: &Vocabulary) -> Vec<Event<'static>> {
    let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    records
        .iter()
        .map(|(text, time)| {
            let needed: Needed<'_> = serde_json::from_str(text).expect("valid JSON");
            let kind = vocabulary.get(&needed.kind).expect("a known type");
            Event {
                id: needed.id.map(own),
                kind,
                time: *time,
                campaign: needed.campaign.map(own),
                channel: Cow::Owned(vocabulary.domain(kind).to_owned()),
                source: "mailer".into(),
                user: needed.user.map(own),
                message: None,
                value: None,
                currency: None,
                count: Decimal::ONE,
                key: None,
                machine: None,
                attributes: vec![("class".into(), "hard".into())],
            }
        })
        .collect()
}

fn pipeline(criterion: &mut Criterion<ProcessorTime>) {
    let records = records();
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(20);
    group.throughput(Throughput::Elements(EVENTS as u64));

    group.bench_function("floor", |bencher| {
        bencher.iter(|| {
            for (text, _) in &records {
                let needed: Needed<'_> = serde_json::from_str(text).expect("valid JSON");
                black_box((needed.kind, needed.time, needed.campaign, needed.user, needed.id));
            }
        });
    });

    let now = EventTime::from_secs(NOW);
    let shipped = declarations(&SIX, &THREE);
    let (plan, mut store) = engine(&shipped);
    let mut decoder = decoder(&shipped, &plan);
    let mut folded = 0;
    group.bench_function("bytes_to_cells", |bencher| {
        let mut batch = EventBatch::default();
        bencher.iter(|| {
            for records in records.chunks(BATCH) {
                batch.clear();
                for (text, time) in records {
                    decoder.decode(&record(text, *time), &mut |element| {
                        if let Element::Event(event) = element {
                            plan.reduce(event, Some(*time), &mut batch);
                        }
                    });
                }
                store.fold(&batch);
                folded += records.len();
                if folded >= SNAPSHOT_EVERY {
                    folded = 0;
                    black_box(store.snapshot(now, None));
                }
            }
        });
    });

    let windows: [(&str, Vec<i64>); 2] = [("6", SIX.to_vec()), ("24", twenty_four())];
    for (name, windows) in windows {
        let declared = declarations(&windows, &windows);
        let (plan, mut store) = engine(&declared);
        let events = events(&records, &declared.vocabulary);
        group.bench_function(format!("events_to_cells/{name}_windows"), |bencher| {
            let mut batch = EventBatch::default();
            bencher.iter(|| {
                for events in events.chunks(BATCH) {
                    batch.clear();
                    for event in events {
                        plan.reduce(event, Some(event.time), &mut batch);
                    }
                    store.fold(&batch);
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = pipeline
}
criterion_main!(benches);
