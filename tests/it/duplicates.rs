//! Copies on a real Apache Kafka: in one batch, on other partitions, on another
//! topic with other keys, with other event times. Each event counts once, wherever
//! its copies come from, and the ledgers say what became of the rest.

use std::time::Duration;

use jiff::Timestamp;
use tidegauge::event::{EventTime, Span};

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
