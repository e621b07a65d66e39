//! From produce to `/metrics`, on a real Apache Kafka: 1,000 events a second, a
//! snapshot each second, the page read twenty times a second.
//!
//!     cargo bench --bench latency
//!
//! An event is visible once the page's ledger has counted as many events as were
//! produced up to it. Prints percentiles; says nothing about good or bad.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use support::instance::Instance;
use support::kafka::{Kafka, unique};
use tidegauge::event::EventTime;

#[allow(dead_code, reason = "the tests' servers, of which a bench needs a few")]
#[path = "../tests/it/support/mod.rs"]
mod support;

const EVENTS: usize = 30_000;
const PAUSE: Duration = Duration::from_millis(10);
const AT_ONCE: usize = 10;

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let kafka = Kafka::shared();
    let name = unique("latency");
    kafka.create_topic(&name, 4, &[]);
    let mut instance = Instance::start(&format!(
        "[kafka]\nbrokers = \"{}\"\ngroup = \"{name}\"\n[export]\nlisten = \"$LISTEN\"\n\
         [[topics]]\nname = \"{name}\"\nformat = \"canonical\"\n",
        kafka.bootstrap()
    ));
    instance.wait_ready();

    let produced = Mutex::new(Vec::with_capacity(EVENTS));
    let mut visible = Vec::with_capacity(EVENTS);
    std::thread::scope(|scope| {
        scope.spawn(|| produce(kafka, &name, &produced));
        while visible.len() < EVENTS {
            let counted = instance
                .metrics()
                .sum("tidegauge_ledger_events", &[("topic", name.as_str()), ("outcome", "counted")])
                as usize;
            let now = Instant::now();
            let produced = produced.lock().expect("a lock");
            visible.extend(produced[visible.len()..counted].iter().map(|at| now - *at));
            drop(produced);
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    visible.sort_unstable();
    let percentile = |share: f64| visible[((visible.len() - 1) as f64 * share) as usize];
    eprintln!(
        "produce to /metrics, {EVENTS} events at 1,000/s: p50 {:.0?}, p99 {:.0?}, max {:.0?}",
        percentile(0.5),
        percentile(0.99),
        percentile(1.0)
    );
}

fn produce(kafka: &Kafka, topic: &str, produced: &Mutex<Vec<Instant>>) {
    let producer = kafka.producer(&[("linger.ms", "1")]);
    let started = Instant::now();
    for batch in 0..EVENTS / AT_ONCE {
        let due = started + PAUSE * batch as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for _ in 0..AT_ONCE {
            let mut produced = produced.lock().expect("a lock");
            let number = produced.len();
            let now = EventTime::from_micros(jiff::Timestamp::now().as_microsecond());
            let value = format!(
                r#"{{"id":"{number}","type":"email.delivered","time":"{now}","campaign":"c{}","user":"u{number}"}}"#,
                number % 50
            );
            produced.push(Instant::now());
            drop(produced);
            producer
                .send(topic, None, Some(value.as_bytes()), &[], Some(now))
                .expect("the broker takes it");
        }
    }
}
