//! Nothing lost, nothing twice, whatever happens: a real Apache Kafka, two instances,
//! a producer that knows the truth, and random faults at random times.
//!
//! A run is rounds of production with faults in them. After each round everything
//! stands still, and every figure and both ledgers of both instances must equal a
//! recount of what lies in the topics; one instance is then killed, and must be right
//! again within five seconds of being ready. All decisions come from the seed; the
//! timing is real.
//!
//! `tests/run faults --count N --seed S` runs it alone.

mod compare;
mod declared;
mod event;
mod fault;
mod judge;
mod letters;
mod log;
mod moment;
mod plan;
mod producer;
mod random;
mod recount;
mod replica;
mod report;
mod run;
mod store;
mod transactions;
mod watch;
mod world;

/// Names the faults and the seed of a run of one's own: `COUNT SEED`.
const WANTED: &str = "TIDEGAUGE_FAULTS";

#[test]
fn no_fault_changes_a_figure() {
    let wanted = std::env::var(WANTED).unwrap_or_else(|_| "20 21".to_owned());
    let mut numbers = wanted.split_whitespace().map(|number| number.parse().expect(WANTED));
    let (count, seed) = (numbers.next().expect("a count"), numbers.next().expect("a seed"));
    run::Run::start(count as usize, seed).finish();
}
