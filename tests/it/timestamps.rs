//! Records whose timestamps say nothing, and records that nobody reads because no window
//! reaches back to them: on a real Apache Kafka, through the program.

use std::time::Duration;

use tidegauge::event::{EventTime, Span};

use crate::compacted::configuration;
use crate::service::now;
use crate::support::instance::{Instance, Metrics};
use crate::support::kafka::Kafka;

/// What a producer gives that sets no timestamp.
const NONE: EventTime = EventTime::from_millis(-1);

fn ago(secs: i64) -> EventTime {
    now() - Span::from_secs(secs)
}

/// The time of a record whose producer takes seconds for milliseconds.
fn in_seconds(at: EventTime) -> EventTime {
    EventTime::from_millis(at.millis() / 1_000)
}

/// A topic of one partition with that many deliveries of these times and timestamps, and
/// an instance that reads it for the first time.
fn first_start(name: &str, written: &[(usize, EventTime, EventTime)]) -> (String, Instance) {
    let kafka = Kafka::shared();
    let topic = kafka.topic(name, 1, &[]);
    let producer = kafka.producer(&[]);
    let mut id = 0;
    for (count, happened, timestamp) in written {
        for _ in 0..*count {
            id += 1;
            let value = format!(
                r#"{{"id":"{id}","type":"email.delivered","time":"{happened}","campaign":"spring"}}"#
            );
            let value = Some(value.as_bytes());
            producer.send(&topic, None, value, &[], Some(*timestamp)).expect("it is taken");
        }
    }
    producer.flush(Duration::from_secs(30)).expect("it is written");
    let mut instance = Instance::start(&configuration(kafka, &topic, "", ""));
    instance.wait_ready();
    (topic, instance)
}

fn delivered(metrics: &Metrics, window: &str) -> Option<f64> {
    let labels = [("slice", "all"), ("window", window)];
    metrics.one("tidegauge_measure_delivered_messages", &labels)
}

fn coverage(metrics: &Metrics, window: &str) -> Option<f64> {
    metrics.one("tidegauge_coverage_ratio", &[("slice", "all"), ("window", window)])
}

#[track_caller]
fn all_count(name: &str, written: &[(usize, EventTime, EventTime)], recent: f64) {
    let (topic, instance) = first_start(name, written);
    let all: usize = written.iter().map(|(count, ..)| count).sum();
    instance.wait_metrics("all that was written", |metrics| {
        let outcome = [("topic", topic.as_str()), ("outcome", "counted")];
        let counted = metrics.sum("tidegauge_ledger_events", &outcome) == all as f64;
        (counted && delivered(metrics, "1h") == Some(recent)).then_some(())
    });
    let metrics = instance.metrics();
    metrics.assert_balanced();
    assert_eq!(coverage(&metrics, "7d"), Some(1.0), "everything was read");
    assert_eq!(metrics.sum("tidegauge_partition_passed_over_records", &[]), 0.0);
    assert!(instance.log().contains("have no timestamp that can be used"), "{}", instance.log());
}

#[test]
fn records_without_timestamps_are_read_from_the_beginning() {
    all_count("untimed", &[(20, ago(30), NONE)], 20.0);
}

#[test]
fn seconds_in_the_place_of_milliseconds_are_no_timestamps() {
    all_count("in_seconds", &[(20, ago(30), in_seconds(ago(30)))], 20.0);
}

#[test]
fn a_partition_that_mixes_both_is_read_from_the_beginning() {
    let old = ago(20 * 86_400);
    let recent = |secs| (20, ago(secs), NONE);
    let timed = |count, at| (count, at, at);
    // First, last, right before where a look-up by time would begin, and far before it.
    all_count("mixed_first", &[recent(40), timed(200, old), timed(5, ago(30))], 25.0);
    all_count("mixed_last", &[timed(200, old), timed(5, ago(30)), recent(40)], 25.0);
    all_count("mixed_before", &[timed(200, old), recent(40), timed(5, ago(30))], 25.0);
    all_count(
        "mixed_between",
        &[timed(200, old), recent(40), timed(200, old), timed(5, ago(30))],
        25.0,
    );
}

#[test]
fn what_no_window_reaches_back_to_is_passed_over_aloud() {
    // Of an idle topic windows are those before its newest record: nobody can tell it from
    // a clock that is ahead.
    let (old, newest) = (ago(40 * 86_400), ago(20 * 86_400));
    let written = [(100, old, old), (1, newest, newest)];
    let (topic, instance) = first_start("old", &written);
    let metrics = instance.metrics();
    let partition = [("topic", topic.as_str()), ("partition", "0")];
    let passed_over = metrics.one("tidegauge_partition_passed_over_records", &partition);
    assert_eq!(passed_over, Some(100.0));
    assert_eq!(metrics.sum("tidegauge_ledger_records", &[("outcome", "read")]), 1.0);
    assert_eq!(delivered(&metrics, "7d"), None, "it is too old for any window");
    assert_eq!(coverage(&metrics, "7d"), Some(1.0), "no window misses it");
    let (log, page) = (instance.log(), instance.get("/").expect("the page").1);
    let line =
        log.lines().find(|line| line.contains("passed over")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(&topic) && line.contains("100"), "{line}");
    assert!(page.contains("passed over at the start"), "{page}");
}
