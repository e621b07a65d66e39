//! Copies on a real Apache Kafka: in one batch, on other partitions, on another
//! topic with other keys, with other event times. Each event counts once, wherever
//! its copies come from, and the ledgers say what became of the rest.

use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use tidegauge::event::{EventTime, Span};

use crate::support::clock::Clock;
use crate::support::instance::{Instance, Metrics};
use crate::support::kafka::{Kafka, unique};

fn now() -> EventTime {
    EventTime::from_micros(Timestamp::now().as_microsecond())
}

fn ago(seconds: i64) -> EventTime {
    now() - Span::from_secs(seconds)
}

/// Every third event is an unsubscribe, the rest are deliveries.
fn kind(number: usize) -> &'static str {
    if number.is_multiple_of(3) { "email.unsubscribed" } else { "email.delivered" }
}

fn event(number: usize, source: &str, at: EventTime) -> String {
    format!(
        r#"{{"id":"{number}","source":"{source}","type":"{}","time":"{at}","campaign":"spring","user":"u-{number}"}}"#,
        kind(number)
    )
}

fn events(metrics: &Metrics, topic: &str, outcome: &str) -> f64 {
    metrics.sum("tidegauge_ledger_events", &[("topic", topic), ("outcome", outcome)])
}

fn spring(metrics: &Metrics, measure: &str) -> Option<f64> {
    let family = format!("tidegauge_measure_{measure}");
    metrics.one(&family, &[("slice", "campaign"), ("campaign", "spring"), ("window", "1h")])
}

#[test]
fn copies_count_once_wherever_they_come_from() {
    const EVENTS: usize = 300;
    let kafka = Kafka::shared();
    let (mail, crm) = (unique("mail"), unique("crm"));
    kafka.create_topic(&mail, 3, &[]);
    kafka.create_topic(&crm, 2, &[]);
    let producer = kafka.producer(&[]);
    let send = |topic: &str, key: Option<&str>, value: String| {
        producer
            .send(topic, key.map(str::as_bytes), Some(value.as_bytes()), &[], Some(now()))
            .expect("the broker takes it");
    };
    for number in 0..EVENTS {
        let first = event(number, "mailer", ago(60));
        // One record with a copy beside it.
        send(&mail, Some("one"), format!("[{first},{first}]"));
        // By other keys on other partitions, by none on any, with another time.
        send(&mail, Some(&format!("key-{number}")), event(number, "mailer", ago(90)));
        send(&mail, None, first.clone());
        // On another topic, whose keys are others as well.
        send(&crm, Some(&format!("customer-{}", number % 7)), event(number, "mailer", ago(30)));
        // The same id at another system is another event.
        send(&crm, None, event(number, "other", ago(60)));
        // Without an id copies cannot be told.
        let nameless =
            format!(r#"{{"type":"email.delivered","time":"{}","campaign":"autumn"}}"#, ago(60));
        send(&crm, None, nameless);
    }
    // Too old to count: neither it nor its copy is remembered, and the one that is in
    // time counts.
    let late = ago(200 * 86_400);
    send(&mail, None, event(EVENTS, "mailer", late));
    send(&mail, None, event(EVENTS, "mailer", late));
    producer.flush(Duration::from_secs(60)).expect("all is written");

    let configuration = format!(
        "[kafka]\nbrokers = \"{}\"\ngroup = \"{mail}\"\n[export]\nlisten = \"$LISTEN\"\n\
         [state]\ndirectory = \"off\"\n\
         [[topics]]\nname = \"{mail}\"\nformat = \"canonical\"\n\
         [[topics]]\nname = \"{crm}\"\nformat = \"canonical\"\n",
        kafka.bootstrap()
    );
    let mut instance = Instance::start(&configuration);
    instance.wait_ready();
    let all = (7 * EVENTS + 2) as f64;
    let metrics = instance.wait_metrics("every event", |metrics| {
        let decoded = metrics.sum("tidegauge_ledger_events", &[("outcome", "decoded")]);
        (decoded == all).then(|| instance.metrics())
    });
    metrics.assert_balanced();
    let events_of =
        |outcome: &str| events(&metrics, &mail, outcome) + events(&metrics, &crm, outcome);
    let once = EVENTS as f64;
    assert_eq!(events_of("counted"), 3.0 * once, "of two systems, and those without id");
    assert_eq!(events_of("duplicate"), 4.0 * once);
    assert_eq!(events_of("late"), 2.0);
    // Whichever topic was read first: of its copies one at most counts per event.
    assert!(events(&metrics, &mail, "duplicate") >= 3.0 * once);
    // Two systems reported each event; those without id are all there.
    assert_eq!(spring(&metrics, "delivered_messages"), Some(2.0 * once * 2.0 / 3.0));
    assert_eq!(spring(&metrics, "unsubscribed_people"), Some(2.0 * once / 3.0));

    // In time, it counts: nothing that did not count was remembered.
    send(&mail, None, event(EVENTS, "mailer", now()));
    producer.flush(Duration::from_secs(60)).expect("it is written");
    instance.wait_metrics("the one in time", |metrics| {
        (events(metrics, &mail, "decoded") + events(metrics, &crm, "decoded") == all + 1.0)
            .then_some(())
    });
    let metrics = instance.metrics();
    let counted = events(&metrics, &mail, "counted") + events(&metrics, &crm, "counted");
    assert_eq!(counted, 3.0 * once + 1.0);
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn without_a_horizon_every_copy_counts() {
    let kafka = Kafka::shared();
    let name = unique("copies");
    kafka.create_topic(&name, 1, &[]);
    let producer = kafka.producer(&[]);
    for _ in 0..3 {
        let value = event(1, "mailer", ago(60));
        producer.send(&name, None, Some(value.as_bytes()), &[], Some(now())).expect("taken");
    }
    producer.flush(Duration::from_secs(60)).expect("all is written");
    let configuration = format!(
        "[kafka]\nbrokers = \"{}\"\ngroup = \"{name}\"\n[export]\nlisten = \"$LISTEN\"\n\
         [state]\ndirectory = \"off\"\n[duplicates]\nhorizon = \"off\"\n\
         [[topics]]\nname = \"{name}\"\nformat = \"canonical\"\n",
        kafka.bootstrap()
    );
    let instance = Instance::start(&configuration);
    instance.wait_metrics("all copies", |metrics| {
        (events(metrics, &name, "counted") == 3.0).then_some(())
    });
}

/// With a horizon of half an hour, and state where it says.
fn short_horizon(kafka: &Kafka, topic: &str, state: &str) -> String {
    format!(
        "[kafka]\nbrokers = \"{}\"\ngroup = \"{topic}\"\n[export]\nlisten = \"$LISTEN\"\n\
         [state]\ndirectory = \"{state}\"\n[duplicates]\nhorizon = \"30m\"\n\
         [[topics]]\nname = \"{topic}\"\nformat = \"canonical\"\n",
        kafka.bootstrap()
    )
}

/// Events of these numbers, each at a moment in an own record, to one partition.
fn send(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    numbers: std::ops::Range<usize>,
    at: EventTime,
) {
    let producer = kafka.producer(&[]);
    for number in numbers {
        let value = event(number, "mailer", at);
        producer
            .send_to(topic, Some(partition), None, Some(value.as_bytes()), &[], Some(at))
            .expect("the broker takes it");
    }
    producer.flush(Duration::from_secs(60)).expect("all is written");
}

#[track_caller]
fn wait_decoded(instance: &Instance, topic: &str, number: usize) -> Metrics {
    instance.wait_metrics("every event", |metrics| {
        (events(metrics, topic, "decoded") == number as f64).then_some(())
    });
    instance.metrics()
}

#[track_caller]
fn wait_as_of(instance: &Instance, from: EventTime) {
    instance.wait_metrics("figures of now", |metrics| {
        let as_of = metrics.one("tidegauge_as_of_timestamp_seconds", &[])?;
        (as_of >= from.as_secs_f64()).then_some(())
    });
}

#[test]
fn copies_are_told_however_far_apart_partitions_lie_at_the_first_start() {
    const EVENTS: usize = 300;
    let kafka = Kafka::shared();
    let topic = unique("apart");
    kafka.create_topic(&topic, 2, &[]);
    let began = now();
    send(kafka, &topic, 0, 0..EVENTS, ago(6 * 86_400));
    send(kafka, &topic, 1, EVENTS..2 * EVENTS, began);
    let mut instance = Instance::start(&short_horizon(kafka, &topic, "off"));
    instance.wait_ready();
    wait_decoded(&instance, &topic, 2 * EVENTS);
    wait_as_of(&instance, began);

    // To the partition that was six days behind.
    send(kafka, &topic, 0, EVENTS..2 * EVENTS, now());
    let metrics = wait_decoded(&instance, &topic, 3 * EVENTS);
    assert_eq!(events(&metrics, &topic, "counted"), (2 * EVENTS) as f64);
    assert_eq!(events(&metrics, &topic, "duplicate"), EVENTS as f64);
}

/// A start under a clock that is ahead by so much, and right later.
#[track_caller]
fn check_clock(ahead: Span) {
    const EVENTS: usize = 200;
    let kafka = Kafka::shared();
    let topic = unique("clock");
    kafka.create_topic(&topic, 1, &[]);
    let folder = TempDir::new().expect("a folder");
    let state = folder.path().join("state").display().to_string();
    let configuration = short_horizon(kafka, &topic, &state);
    let began = now();
    send(kafka, &topic, 0, 0..EVENTS, began);
    let clock = Clock::new();
    clock.set(ahead);
    let instance = Instance::start_under(&clock, &configuration);
    wait_decoded(&instance, &topic, EVENTS);
    clock.set(Span::ZERO);
    wait_as_of(&instance, began);

    send(kafka, &topic, 0, 0..EVENTS, now());
    let metrics = wait_decoded(&instance, &topic, 2 * EVENTS);
    assert_eq!(events(&metrics, &topic, "counted"), EVENTS as f64, "{ahead}");
    assert_eq!(spring(&metrics, "delivered_messages"), Some(133.0), "{ahead}");

    // What is on the disk says the same, to one that starts under the same clock.
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
    clock.set(ahead);
    let instance = Instance::start_under(&clock, &configuration);
    send(kafka, &topic, 0, 0..EVENTS, now());
    wait_decoded(&instance, &topic, 3 * EVENTS);
    clock.set(Span::ZERO);
    wait_as_of(&instance, now());
    send(kafka, &topic, 0, 0..EVENTS, now());
    let metrics = wait_decoded(&instance, &topic, 4 * EVENTS);
    assert_eq!(events(&metrics, &topic, "counted"), EVENTS as f64, "{ahead}, a second time");
    assert_eq!(spring(&metrics, "delivered_messages"), Some(133.0), "{ahead}, a second time");
}

#[test]
fn a_clock_that_is_set_only_after_the_start_makes_nothing_forgotten() {
    check_clock(EventTime::from_secs(600) - now());
    check_clock(Span::from_secs(-6 * 86_400));
}

#[test]
fn a_clock_that_was_ahead_at_the_start_makes_nothing_forgotten() {
    check_clock(Span::from_secs(20 * 86_400));
    check_clock(Span::from_secs(72 * 366 * 86_400));
}
