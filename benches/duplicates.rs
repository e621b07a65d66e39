//! What telling copies costs, with ten million ids remembered.
//!
//! `cargo bench --bench duplicates`
//!
//! - the whole path from bytes to cells with the shipped declarations, with and
//!   without the question for each event whether it is a copy, in turns; every event
//!   has a new id, so that ids are added all the time;
//! - the same question for ids in batches and one by one, without anything else;
//! - the memory of the ids, as they say it and as the system sees it;
//! - making the table anew from its lists.
//!
//! Measured is the processor time of the one thread, so that a busy machine does not
//! change the figures much.

#[path = "common/processor.rs"]
mod processor;
#[path = "common/traffic.rs"]
mod traffic;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tidegauge::admit::{SeenIds, Sighting};
use tidegauge::aggregate::HashKey;
use tidegauge::config;
use tidegauge::event::{EventTime, RawRecord, Span};
use tidegauge::format::{Decoder, Element, Format, Limits, Wanted};
use tidegauge::kpi::{EventBatch, Plan, Store};

use processor::processor_nanos;
use traffic::{CONFIG, NOW, at, records, resident_bytes, spread};

const REMEMBERED: u64 = 10_000_000;
const HORIZON: Span = Span::from_secs(72 * 3_600);
const EVENTS: usize = 20_000;
const BATCH: usize = 1_000;
const ROUNDS: usize = 60;

fn nanos_for_each(things: usize, run: impl FnOnce()) -> f64 {
    let start = processor_nanos();
    run();
    (processor_nanos() - start) as f64 / things as f64
}

/// Ids first seen evenly over the last 72 hours.
fn seen_at(number: u64) -> EventTime {
    at(NOW - 72 * 3_600 + (number as i64 * 72 * 3_600) / REMEMBERED as i64)
}

fn remembered(journal: bool) -> SeenIds {
    let mut seen = SeenIds::new(HORIZON);
    seen.keep_journal(journal);
    for number in 0..REMEMBERED {
        seen.observe(spread(number), seen_at(number));
    }
    seen.advance(at(NOW), Some(at(NOW)));
    seen
}

/// The whole path, with shipped declarations.
struct Whole {
    plan: Arc<Plan>,
    store: Store,
    decoder: Decoder,
    batch: EventBatch,
    seen: Option<SeenIds>,
}

impl Whole {
    fn new(seen: Option<SeenIds>) -> Whole {
        let config = config::parse("bench.toml", CONFIG, &|_| None).expect("a configuration");
        let declarations = Arc::new(config.declarations);
        let plan = Arc::new(Plan::new(Arc::clone(&declarations), HashKey::from_bytes([3; 16])));
        let mut store = Store::new(Arc::clone(&plan));
        store.advance(at(NOW), Some(at(NOW)));
        let spec = config::shipped_formats().into_iter().find(|spec| spec.name == "canonical");
        let spec = spec.expect("the canonical format is shipped");
        let wanted = Wanted::Named(plan.wanted_attributes());
        let format = Format::compile(&spec, &declarations.vocabulary, &wanted);
        let decoder = Decoder::new(Arc::new(format), Limits::default());
        Whole { plan, store, decoder, batch: EventBatch::default(), seen }
    }

    fn run(&mut self, records: &[String]) {
        for records in records.chunks(BATCH) {
            self.batch.clear();
            for text in records {
                let record = RawRecord {
                    topic: "events",
                    partition: 0,
                    offset: 0,
                    timestamp: Some(at(NOW)),
                    key: None,
                    value: Some(text.as_bytes()),
                    headers: &[],
                };
                self.decoder.decode(&record, &mut |element| {
                    if let Element::Event(event) = element {
                        self.plan.reduce(event, Some(at(NOW)), &mut self.batch);
                    }
                });
            }
            if let Some(seen) = &mut self.seen {
                seen.warm(self.batch.marks().iter().filter_map(|mark| mark.fingerprint));
                self.batch.judge(|_, mark| match mark.fingerprint {
                    Some(fingerprint) => seen.observe(fingerprint, mark.seen_at),
                    None => Sighting::First,
                });
            }
            self.store.fold(&self.batch);
        }
    }
}

fn main() {
    // `cargo test --benches` passes an argument of its own.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let before = resident_bytes();
    let started = Instant::now();
    let seen = remembered(false);
    let took = started.elapsed();
    let resident = resident_bytes() - before;
    let ids = seen.len() as f64;
    eprintln!("{ids} ids remembered, added one by one in {took:.2?}");
    eprintln!(
        "  they say {:.1} MB ({:.2} bytes each), the system {:.1} MB (bar: 120 MB)",
        seen.memory_bytes() as f64 / 1e6,
        seen.memory_bytes() as f64 / ids,
        resident / 1e6
    );

    let mut with = Whole::new(Some(seen));
    let mut without = Whole::new(None);
    let mut nanos = [0.0; 2];
    for round in 0..ROUNDS {
        let records = records((round * EVENTS) as u64, EVENTS, NOW, 300);
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let whole = if which == 0 { &mut without } else { &mut with };
            nanos[which] += nanos_for_each(EVENTS, || whole.run(&records));
        }
    }
    let [without_nanos, with_nanos] = nanos.map(|sum| sum / ROUNDS as f64);
    eprintln!("means of {ROUNDS} rounds in turns, processor time for each event:");
    eprintln!("  bytes to cells {without_nanos:.0} ns, and told from copies {with_nanos:.0} ns");
    eprintln!("  = {:.3} times (bar: 1.25)", with_nanos / without_nanos);

    let mut seen = with.seen.take().expect("it was given some");
    let mut alone = |what: &str, first: u64, warm: bool| {
        let ids: Vec<u64> = (0..200_000).map(|number| spread(first + number)).collect();
        let nanos = nanos_for_each(ids.len(), || {
            for ids in ids.chunks(BATCH) {
                if warm {
                    seen.warm(ids.iter().copied());
                }
                for id in ids {
                    black_box(seen.observe(*id, at(NOW)));
                }
            }
        });
        eprintln!("  {what}: {nanos:.0} ns");
    };
    eprintln!("ids alone:");
    alone("copies, one by one", 5_000_000, false);
    alone("copies, warmed in batches", 6_000_000, true);
    alone("new ones, one by one", 1 << 50, false);
    alone("new ones, warmed in batches", 1 << 51, true);
    drop(seen);

    let mut seen = remembered(true);
    let lists = seen.take_added();
    drop(seen);
    let started = Instant::now();
    let mut restored = SeenIds::new(HORIZON);
    let nanos = nanos_for_each(1, || {
        for ((length, number), items) in &lists {
            restored.restore(*length, *number, items);
        }
        restored.restored();
    });
    eprintln!(
        "{} ids restored from {} lists in {:.2?}, {:.2} s of it on a processor",
        restored.len(),
        lists.len(),
        started.elapsed(),
        nanos / 1e9
    );
    eprintln!(
        "  they say {:.1} MB ({:.2} bytes each)",
        restored.memory_bytes() as f64 / 1e6,
        restored.memory_bytes() as f64 / restored.len() as f64
    );
}
