//! What saving the state costs, and how long a restart takes.
//!
//! `cargo bench --bench state`, or a part of it: `-- cost`, `-- sizes`, `-- loading`,
//! `-- history`
//!
//! - the whole path from bytes to cells at full speed, copies looked for, with a
//!   checkpoint for each second of processor time against none, in turns;
//! - the bytes of a checkpoint a second at 1,000 and at 20,000 events a second;
//! - loading ten million ids and cells, a gigabyte of memory in all;
//! - four million events of ninety days and 10,000 campaigns, in any order of time:
//!   reading them with a snapshot and a checkpoint for each second of processor time,
//!   then loading what that has left; one order alone: `-- backwards`.
//!
//! Checkpoints are written and synced in the measured thread, so that all of their
//! processor time is in the figures. Measured is the processor time of that thread,
//! and for loading also the time that passes.

#[path = "common/processor.rs"]
mod processor;
#[path = "common/traffic.rs"]
mod traffic;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegauge::admit::Sighting;
use tidegauge::aggregate::HashKey;
use tidegauge::app::saved::{self, Loaded};
use tidegauge::app::{DecodedBatch, Engine};
use tidegauge::checkpoint::{Directory, Home as _, Step};
use tidegauge::config;
use tidegauge::event::{Decimal, Event, EventTime, RawRecord, Span, TypeId};
use tidegauge::export::DeadLetterReport;
use tidegauge::format::{Decoder, Element, Format, Limits, Wanted};
use tidegauge::kafka::{PartitionEnd, PartitionStart, Position};
use tidegauge::kpi::{Declarations, Plan};
use tidegauge::window::WindowSpec;

use processor::processor_nanos;
use traffic::{CONFIG, NOW, TYPES, at, records, resident_bytes, spread};

const HORIZON: Span = Span::from_secs(72 * 3_600);
const BATCH: usize = 1_000;
/// About what one second of processor time folds.
const EVENTS_A_SECOND: usize = 600_000;
const ROUNDS: usize = 6;
const IDS: u64 = 10_000_000;
/// Of the state that is loaded, ids included.
const STATE_BYTES: f64 = 1024.0 * 1024.0 * 1024.0;

const DAY: i64 = 86_400;
/// Of a slice without fields, and of others, in seconds.
type Windows = (&'static [i64], &'static [i64]);
const UP_TO_A_WEEK: Windows =
    (&[300, 3_600, 21_600, DAY, 3 * DAY, 7 * DAY], &[3_600, DAY, 7 * DAY]);
const UP_TO_A_QUARTER: Windows = (
    &[300, 3_600, 21_600, DAY, 3 * DAY, 7 * DAY, 30 * DAY, 90 * DAY],
    &[3_600, DAY, 7 * DAY, 30 * DAY, 90 * DAY],
);
/// Of a history: its campaigns, events and days.
const CAMPAIGNS: u64 = 10_000;
const PAST_EVENTS: usize = 4_000_000;
const PAST: i64 = 90 * DAY;

fn declarations(cap: usize, windows: Windows) -> Arc<Declarations> {
    let config = config::parse("bench.toml", CONFIG, &|_| None).expect("a configuration");
    let mut declarations = config.declarations;
    for slice in &mut declarations.slices {
        let windows = if slice.fields.is_empty() { windows.0 } else { windows.1 };
        let window = |secs: &i64| WindowSpec::new(Span::from_secs(*secs)).expect("a window");
        slice.windows = windows.iter().map(window).collect();
        slice.cap = cap;
    }
    Arc::new(declarations)
}

/// An engine that reads one partition, and what feeds it.
struct Pipeline {
    plan: Arc<Plan>,
    decoder: Decoder,
    engine: Engine,
    next_offset: i64,
}

impl Pipeline {
    fn new(declarations: &Arc<Declarations>, now: EventTime) -> Pipeline {
        let (plan, mut engine) = engine(declarations, now);
        let spec = config::shipped_formats().into_iter().find(|spec| spec.name == "canonical");
        let spec = spec.expect("the canonical format is shipped");
        let wanted = Wanted::Named(plan.wanted_attributes());
        let format = Format::compile(&spec, &declarations.vocabulary, &wanted);
        let decoder = Decoder::new(Arc::new(format), Limits::default());
        engine.partition(&beginning(0), now);
        Pipeline { plan, decoder, engine, next_offset: 0 }
    }

    fn run(&mut self, records: &[String], now: EventTime) {
        for records in records.chunks(BATCH) {
            let mut batch = DecodedBatch::default();
            for text in records {
                let record = RawRecord {
                    topic: "events",
                    partition: 0,
                    offset: self.next_offset,
                    timestamp: Some(now),
                    key: None,
                    value: Some(text.as_bytes()),
                    headers: &[],
                };
                self.decoder.decode(&record, &mut |element| {
                    if let Element::Event(event) = element {
                        self.plan.reduce(event, Some(now), &mut batch.events);
                    }
                });
                self.next_offset += 1;
            }
            batch.positions.push(Position {
                topic: "events".into(),
                partition: 0,
                next_offset: self.next_offset,
                highest_timestamp: Some(now),
                records: records.len() as u64,
            });
            self.engine.fold(batch, now);
        }
    }

    fn report(&mut self, now: EventTime) {
        let end = PartitionEnd {
            topic: "events".into(),
            partition: 0,
            end_offset: self.next_offset,
            stable_offset: self.next_offset,
            position: self.next_offset,
        };
        self.engine.ends(&[end], now, now);
        std::hint::black_box(self.engine.report(now, DeadLetterReport::default(), false));
    }
}

fn beginning(partition: i32) -> PartitionStart {
    PartitionStart {
        topic: "events".into(),
        partition,
        start_offset: 0,
        first_offset: 0,
        covered_from: None,
        committed: None,
        resumed: false,
        topic_id: None,
    }
}

fn engine(declarations: &Arc<Declarations>, now: EventTime) -> (Arc<Plan>, Engine) {
    let plan = Arc::new(Plan::new(Arc::clone(declarations), HashKey::from_bytes([3; 16])));
    let engine = Engine::new(Arc::clone(&plan), Arc::default(), Some(HORIZON), now);
    (plan, engine)
}

/// Checkpoints into a directory, one after another.
struct Saving {
    directory: Directory,
    schema: Arc<[u8]>,
    sequence: u64,
    begins_cycle: bool,
}

/// The bytes of one checkpoint, by what they are.
#[derive(Default)]
struct Sizes {
    head: usize,
    changes: usize,
    ids: usize,
    written: u64,
}

impl Saving {
    fn begin(path: &Path, engine: &mut Engine) -> Saving {
        engine.keep_journal();
        let mut directory = Directory::open(path, None).expect("a directory");
        assert!(directory.recover().expect("a directory").is_none(), "it is new");
        Saving { directory, schema: engine.schema().into(), sequence: 0, begins_cycle: true }
    }

    fn checkpoint(&mut self, engine: &mut Engine, now: EventTime) -> Sizes {
        let cut = engine.cut();
        self.sequence += 1;
        let ids = cut.additions.iter().map(|addition| addition.items.len() * 8).sum();
        let mut sizes = Sizes { head: cut.head.len(), changes: cut.changes.len(), ids, written: 0 };
        let step = Step {
            sequence: self.sequence,
            made_at: now,
            schema: Arc::clone(&self.schema),
            head: cut.head,
            changes: cut.changes,
            additions: cut.additions,
            dropped: cut.dropped,
            begins_cycle: self.begins_cycle,
        };
        self.begins_cycle = cut.completes_cycle;
        sizes.written = self.directory.append(&step).expect("written").bytes;
        sizes
    }
}

/// At full speed, with and without.
fn cost() {
    let folder = TempDir::new().expect("a folder");
    let declared = declarations(1_000, UP_TO_A_WEEK);
    let (mut with, mut without) =
        (Pipeline::new(&declared, at(NOW)), Pipeline::new(&declared, at(NOW)));
    with.engine.keep_ids_journal();
    let mut saving = Saving::begin(&folder.path().join("state"), &mut with.engine);
    let (mut nanos, mut saved, mut written) = ([0_u64; 2], 0_u64, 0_u64);
    for round in 0..=ROUNDS {
        let now = NOW + round as i64;
        let mut of_round = [0_u64; 2];
        for part in 0..EVENTS_A_SECOND / 20_000 {
            let first = (round * EVENTS_A_SECOND + part * 20_000) as u64;
            let records = records(first, 20_000, now, 300);
            for turn in 0..2 {
                let which = (part + turn) % 2;
                let pipeline = if which == 0 { &mut without } else { &mut with };
                let start = processor_nanos();
                pipeline.run(&records, at(now));
                of_round[which] += processor_nanos() - start;
            }
        }
        for (which, pipeline) in [&mut without, &mut with].into_iter().enumerate() {
            let start = processor_nanos();
            pipeline.report(at(now));
            of_round[which] += processor_nanos() - start;
        }
        let start = processor_nanos();
        let sizes = saving.checkpoint(&mut with.engine, at(now));
        let took = processor_nanos() - start;
        // The first round fills what is empty at a start.
        if round > 0 {
            nanos[0] += of_round[0];
            nanos[1] += of_round[1] + took;
            saved += took;
            written += sizes.written;
        }
    }
    let events = (ROUNDS * EVENTS_A_SECOND) as f64;
    let [without, with] = nanos.map(|nanos| nanos as f64 / events);
    eprintln!(
        "processor time for each event, {ROUNDS} rounds of {EVENTS_A_SECOND} events in turns:"
    );
    eprintln!("  without checkpoints {without:.0} ns, with one a round {with:.0} ns");
    eprintln!("  = {:.3} times (bar: 1.10)", with / without);
    eprintln!(
        "  a checkpoint takes {:.1} ms of processor time and {:.2} MB",
        saved as f64 / ROUNDS as f64 / 1e6,
        written as f64 / ROUNDS as f64 / 1e6
    );
}

/// At a steady rate.
fn sizes(rate: usize) {
    let folder = TempDir::new().expect("a folder");
    let mut pipeline = Pipeline::new(&declarations(1_000, UP_TO_A_WEEK), at(NOW));
    pipeline.engine.keep_ids_journal();
    let mut saving = Saving::begin(&folder.path().join("state"), &mut pipeline.engine);
    let (warm, measured) = (60, 60);
    let (mut sum, mut nanos) = (Sizes::default(), 0);
    for second in 0..warm + measured {
        let now = NOW + second;
        let first = second as u64 * rate as u64;
        pipeline.run(&records(first, rate, now, 30), at(now));
        pipeline.report(at(now));
        let start = processor_nanos();
        let sizes = saving.checkpoint(&mut pipeline.engine, at(now));
        if second >= warm {
            nanos += processor_nanos() - start;
            sum.head += sizes.head;
            sum.changes += sizes.changes;
            sum.ids += sizes.ids;
            sum.written += sizes.written;
        }
    }
    let each = |bytes: usize| bytes as f64 / measured as f64 / 1e3;
    eprintln!(
        "a checkpoint a second at {rate} events/s: {:.1} kB (changes and images {:.1}, ids {:.1}, head {:.1}), {:.2} ms of processor time",
        each(sum.written as usize),
        each(sum.changes),
        each(sum.ids),
        each(sum.head),
        nanos as f64 / measured as f64 / 1e6
    );
}

/// A restart.
fn loading() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("state");
    let declared = declarations(40_000, UP_TO_A_WEEK);
    let before = resident_bytes();
    let (plan, mut full) = engine(&declared, at(NOW));
    full.keep_ids_journal();
    let (_, ids) = full.store_and_ids();
    let ids = ids.expect("ids are remembered");
    let week = 604_800;
    for number in 0..IDS {
        let secs = NOW - 72 * 3_600 + (number as i64 * 72 * 3_600) / IDS as i64;
        assert_eq!(ids.observe(spread(number), at(secs)), Sighting::First);
    }
    let vocabulary = &declared.vocabulary;
    let mut number = 0_u64;
    let mut batch = tidegauge::kpi::EventBatch::default();
    while resident_bytes() - before < STATE_BYTES {
        batch.clear();
        for _ in 0..100_000 {
            let spread = spread(number);
            number += 1;
            let campaign = format!("campaign {}", spread % 40_000);
            let time = at(NOW - (spread >> 20) as i64 % week);
            let kind = vocabulary.get(TYPES[(spread >> 50) as usize % 9]).expect("a type");
            let event = event(kind, time, &campaign);
            plan.reduce(&event, None, &mut batch);
        }
        // No time passes: with panes joined, it would take a hundred million events.
        full.store_and_ids().0.fold(&batch);
    }
    drop(batch);
    let resident = resident_bytes() - before;
    // The first checkpoint holds an image of everything.
    let mut saving = Saving::begin(&path, &mut full);
    let sizes = saving.checkpoint(&mut full, at(NOW));
    drop((saving, full));
    let took = load(&path, &declared);
    eprintln!(
        "{:.2} GiB of memory ({IDS} ids, cells of {number} events), {:.0} MB on the disk: {took} (bar: 5 s)",
        resident / STATE_BYTES,
        sizes.written as f64 / 1e6
    );
}

fn event<'a>(kind: TypeId, time: EventTime, campaign: &'a str) -> Event<'a> {
    Event {
        id: None,
        kind,
        time,
        campaign: Some(campaign.into()),
        channel: "email".into(),
        source: "mailer".into(),
        user: None,
        message: None,
        value: None,
        currency: None,
        count: Decimal::ONE,
        key: None,
        machine: None,
        attributes: Vec::new(),
    }
}

/// How long a restart takes, as a text.
fn load(path: &Path, declared: &Arc<Declarations>) -> String {
    let (_, mut engine) = engine(declared, at(NOW));
    engine.keep_ids_journal();
    let (start, began) = (Instant::now(), processor_nanos());
    let mut directory = Directory::open(path, None).expect("a directory");
    let recovered = directory.recover().expect("whole").expect("a checkpoint");
    let loaded = saved::load(path, recovered, &mut engine, |_| true, at(NOW)).expect("loaded");
    engine.keep_journal();
    let took = start.elapsed();
    let busy = Duration::from_nanos(processor_nanos() - began);
    assert_eq!(loaded, Loaded::SameDeclarations);
    format!("loaded in {took:.2?}, of which {busy:.2?} on a processor")
}

/// Where a history has the event of that number: partition and time.
type Order = fn(usize) -> (i32, i64);

const ORDERS: [(&str, Order); 4] = [
    ("forwards", |number| (0, since_the_past(number))),
    ("backwards", |number| (0, since_the_past(PAST_EVENTS - 1 - number))),
    ("at random", |number| (0, (spread(number as u64) >> 20) as i64 % PAST)),
    // Two partitions in turns, one of which begins when half of the time is over.
    ("interleaved", |number| match number % 2 {
        0 => (0, since_the_past(number)),
        _ => (1, (PAST + since_the_past(number)) / 2),
    }),
];

/// When the event of that number is, in seconds, if all are in order.
fn since_the_past(number: usize) -> i64 {
    (number as i64 * PAST) / PAST_EVENTS as i64
}

/// A long past read, and a restart after that.
fn history(name: &str, order: Order, cap: usize) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("state");
    let declared = declarations(cap, UP_TO_A_QUARTER);
    let kinds = TYPES.map(|name| declared.vocabulary.get(name).expect("a type"));
    let (plan, mut engine) = engine(&declared, at(NOW));
    engine.keep_ids_journal();
    let partitions = if name == "interleaved" { 2 } else { 1 };
    (0..partitions).for_each(|partition| engine.partition(&beginning(partition), at(NOW)));
    let mut saving = Saving::begin(&path, &mut engine);
    let (mut nanos, mut turns, mut written) = (0, 0, 0);
    let mut next = 0;
    let mut offsets = [0; 2];
    while next < PAST_EVENTS {
        // A second of processor time, as far as batches divide it.
        let began = processor_nanos();
        while next < PAST_EVENTS && processor_nanos() - began < 1_000_000_000 {
            let mut batch = DecodedBatch::default();
            let mut highest = [None; 2];
            for number in next..next + BATCH {
                let spread = spread(number as u64);
                let (partition, secs) = order(number);
                let time = at(NOW - PAST + secs);
                let campaign = format!("2026-spring-sale-{:05}", spread % CAMPAIGNS);
                let user = format!("user-{:08}@example.com", (spread >> 16) % 2_000_000);
                let id = format!("0192f3a4-{number:016x}-8e21");
                let event = Event {
                    id: Some(id.into()),
                    user: Some(user.into()),
                    ..event(kinds[(spread >> 50) as usize % 9], time, &campaign)
                };
                plan.reduce(&event, Some(time), &mut batch.events);
                offsets[partition as usize] += 1;
                highest[partition as usize] = highest[partition as usize].max(Some(time));
            }
            for partition in 0..partitions {
                batch.positions.push(Position {
                    topic: "events".into(),
                    partition,
                    next_offset: offsets[partition as usize],
                    highest_timestamp: highest[partition as usize],
                    records: BATCH as u64,
                });
            }
            engine.fold(batch, at(NOW + turns));
            next += BATCH;
        }
        turns += 1;
        let ends = (0..partitions).map(|partition| PartitionEnd {
            topic: "events".into(),
            partition,
            end_offset: PAST_EVENTS as i64,
            stable_offset: PAST_EVENTS as i64,
            position: offsets[partition as usize],
        });
        let now = at(NOW + turns);
        engine.ends(&ends.collect::<Vec<_>>(), now, now);
        std::hint::black_box(engine.report(now, DeadLetterReport::default(), false));
        written += saving.checkpoint(&mut engine, now).written;
        nanos += processor_nanos() - began;
    }
    drop((saving, engine));
    let took = load(&path, &declared);
    eprintln!(
        "{PAST_EVENTS} events of {} days, {name}, {CAMPAIGNS} campaigns ({cap} at most): {:.2} us of processor time for each (bar: 5), {turns} snapshots and checkpoints of {:.0} MB in all; what they left {took} (bar: 2.5 s)",
        PAST / DAY,
        nanos as f64 / PAST_EVENTS as f64 / 1e3,
        written as f64 / 1e6,
    );
}

fn main() {
    // `cargo test --benches` passes an argument of its own.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    // One of the parts alone, by its name.
    let wanted = std::env::args().nth(1).filter(|part| !part.starts_with('-'));
    let is_wanted = |part| wanted.as_deref().is_none_or(|wanted| wanted == part);
    if is_wanted("cost") {
        cost();
    }
    if is_wanted("sizes") {
        sizes(1_000);
        sizes(20_000);
    }
    if is_wanted("loading") {
        loading();
    }
    for (name, order) in ORDERS {
        if is_wanted("history") || is_wanted(name) {
            history(name, order, CAMPAIGNS as usize);
        }
    }
    // As many as have series of their own unless a configuration says otherwise.
    if is_wanted("history") {
        history("at random", ORDERS[2].1, 2_000);
    }
}
