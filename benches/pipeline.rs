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
//! First all four are run in turns, and the means and their ratios are said; then
//! criterion measures each by itself.
//!
//! Events of 1,000 campaigns, about 300 bytes each, with times in the last five
//! minutes. Measured is the processor time of the one thread ([`ProcessorTime`]), so
//! that a busy machine does not change the figures much.

#[path = "common/processor.rs"]
mod processor;

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

use processor::processor_nanos;

/// 2026-06-09T12:00:00Z.
const NOW: i64 = 1_781_006_400;
const EVENTS: usize = 50_000;
const SNAPSHOT_EVERY: usize = 500_000;
const BATCH: usize = 1_000;
/// Of the comparison in turns.
const ROUNDS: usize = 60;

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

impl Measurement for ProcessorTime {
    type Intermediate = u64;
    type Value = Duration;

    fn start(&self) -> u64 {
        processor_nanos()
    }

    fn end(&self, start: u64) -> Duration {
        // Linux may count in whole ticks; criterion wants more than nothing.
        Duration::from_nanos(processor_nanos().saturating_sub(start).max(1))
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

/// The fields that the shipped figures ask for, and no other: `source`, `message` and
/// the other attributes are passed over. No `Option<Cow>`: serde does not borrow into
/// one, and would copy each text.
#[derive(Deserialize)]
struct Needed<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow, default)]
    campaign: Cow<'a, str>,
    #[serde(borrow, default)]
    user: Cow<'a, str>,
    count: Option<f64>,
    #[serde(borrow, default)]
    key: Cow<'a, str>,
    machine: Option<bool>,
    #[serde(borrow, default)]
    attributes: NeededAttributes<'a>,
}

#[derive(Deserialize, Default)]
struct NeededAttributes<'a> {
    #[serde(borrow, default)]
    class: Cow<'a, str>,
}

fn parse_needed(text: &str) -> Needed<'_> {
    // From bytes, as records are: checking that they are UTF-8 is part of the price.
    serde_json::from_slice(text.as_bytes()).expect("valid JSON")
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
    let own = |text: Cow<'_, str>| -> Cow<'static, str> { Cow::Owned(text.into_owned()) };
    records
        .iter()
        .map(|(text, time)| {
            let needed = parse_needed(text);
            let present = |text: Cow<'_, str>| (!text.is_empty()).then(|| own(text));
            let kind = vocabulary.get(&needed.kind).expect("a known type");
            Event {
                id: present(needed.id),
                kind,
                time: *time,
                campaign: present(needed.campaign),
                channel: Cow::Owned(vocabulary.domain(kind).to_owned()),
                source: "mailer".into(),
                user: present(needed.user),
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

/// Parses every record as the floor does.
fn floor(records: &[(String, EventTime)]) {
    for (text, _) in records {
        let needed = parse_needed(black_box(text));
        black_box((&needed.id, &needed.kind, &needed.time, &needed.campaign, &needed.user));
        black_box((needed.count, &needed.key, needed.machine, &needed.attributes.class));
    }
}

/// The whole path with the shipped declarations.
struct Whole {
    plan: Arc<Plan>,
    store: Store,
    decoder: Decoder,
    batch: EventBatch,
    folded: usize,
}

impl Whole {
    fn new() -> Self {
        let shipped = declarations(&SIX, &THREE);
        let (plan, store) = engine(&shipped);
        let decoder = decoder(&shipped, &plan);
        Whole { plan, store, decoder, batch: EventBatch::default(), folded: 0 }
    }

    fn run(&mut self, records: &[(String, EventTime)]) {
        for records in records.chunks(BATCH) {
            self.batch.clear();
            for (text, time) in records {
                self.decoder.decode(&record(text, *time), &mut |element| {
                    if let Element::Event(event) = element {
                        self.plan.reduce(event, Some(*time), &mut self.batch);
                    }
                });
            }
            self.store.fold(&self.batch);
            self.folded += records.len();
            if self.folded >= SNAPSHOT_EVERY {
                self.folded = 0;
                black_box(self.store.snapshot(EventTime::from_secs(NOW), None));
            }
        }
    }
}

/// The path from decoded events on, with the same windows on both slices.
struct Folding {
    plan: Arc<Plan>,
    store: Store,
    events: Vec<Event<'static>>,
    batch: EventBatch,
}

impl Folding {
    fn new(windows: &[i64], records: &[(String, EventTime)]) -> Self {
        let declared = declarations(windows, windows);
        let (plan, store) = engine(&declared);
        let events = events(records, &declared.vocabulary);
        Folding { plan, store, events, batch: EventBatch::default() }
    }

    fn run(&mut self) {
        for events in self.events.chunks(BATCH) {
            self.batch.clear();
            for event in events {
                self.plan.reduce(event, Some(event.time), &mut self.batch);
            }
            self.store.fold(&self.batch);
        }
    }
}

/// Nanoseconds of processor time for each event.
fn nanos_per_event(run: impl FnOnce()) -> f64 {
    let start = processor_nanos();
    run();
    (processor_nanos() - start) as f64 / EVENTS as f64
}

fn pipeline(criterion: &mut Criterion<ProcessorTime>) {
    let records = records();
    let mut whole = Whole::new();
    let mut six = Folding::new(&SIX, &records);
    let mut many = Folding::new(&twenty_four(), &records);

    // In turns, so that whatever else the machine does meets all of them alike.
    // Summed, since a round is only a few of the ticks in which Linux may count.
    let mut nanos = [0.0; 4];
    for round in 0..ROUNDS {
        // Each comes first as often as last: what ran before has filled the caches.
        for turn in 0..nanos.len() {
            let which = (round + turn * if round % 2 == 0 { 1 } else { 3 }) % nanos.len();
            nanos[which] += match which {
                0 => nanos_per_event(|| floor(&records)),
                1 => nanos_per_event(|| whole.run(&records)),
                2 => nanos_per_event(|| six.run()),
                _ => nanos_per_event(|| many.run()),
            };
        }
    }
    let [floor_nanos, whole_nanos, six_nanos, many_nanos] = nanos.map(|sum| sum / ROUNDS as f64);
    eprintln!("means of {ROUNDS} rounds in turns, processor time for each event:");
    eprintln!("  floor {floor_nanos:.0} ns, bytes to cells {whole_nanos:.0} ns");
    eprintln!("  = {:.2} times the floor (bar: 4)", whole_nanos / floor_nanos);
    eprintln!("  events to cells: 6 windows {six_nanos:.0} ns, 24 windows {many_nanos:.0} ns");
    eprintln!("  = {:.2} times (bar: 1.15)", many_nanos / six_nanos);

    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(20);
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("floor", |bencher| bencher.iter(|| floor(&records)));
    group.bench_function("bytes_to_cells", |bencher| bencher.iter(|| whole.run(&records)));
    group.bench_function("events_to_cells/6_windows", |bencher| bencher.iter(|| six.run()));
    group.bench_function("events_to_cells/24_windows", |bencher| bencher.iter(|| many.run()));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = pipeline
}
criterion_main!(benches);
