//! The whole service on a real Apache Kafka, as a process of its own: what goes in
//! as records has to come out as figures and ledgers.

use std::time::Duration;

use jiff::Timestamp;
use rdkafka::consumer::Consumer as _;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tidegauge::event::EventTime;
use tidegauge::kafka::Producer;

use crate::support::instance::Instance;
use crate::support::kafka::{Kafka, free_port, unique};
use crate::support::process::wait_until;

pub(crate) fn now() -> EventTime {
    EventTime::from_micros(Timestamp::now().as_microsecond())
}

fn configuration(kafka: &Kafka, group: &str, instance: &str, topics: &str, rest: &str) -> String {
    format!(
        r#"
instance = "{instance}"
{rest}
[kafka]
brokers = "{}"
group = "{group}"
dead_letters = "{group}.dead"

[export]
listen = "$LISTEN"

{topics}
"#,
        kafka.bootstrap()
    )
}

fn topic(name: &str, format: &str) -> String {
    format!("[[topics]]\nname = \"{name}\"\nformat = \"{format}\"\n\n")
}

/// A canonical event that happened `secs_ago`.
fn event(id: &str, kind: &str, campaign: &str, secs_ago: i64) -> String {
    let time = now() - tidegauge::event::Span::from_secs(secs_ago);
    format!(
        r#"{{"id":"{id}","type":"{kind}","time":"{time}","campaign":"{campaign}","user":"u-{id}"}}"#
    )
}

fn produce(producer: &Producer, topic: &str, value: &[u8]) {
    producer.send(topic, None, Some(value), &[], Some(now())).expect("the broker takes it");
}

#[test]
fn figures_ledgers_and_offsets_are_right_over_restarts() {
    let kafka = Kafka::shared();
    let name = unique("figures");
    kafka.create_topic(&name, 3, &[]);
    kafka.create_topic(&format!("{name}.dead"), 1, &[]);
    let producer = kafka.producer(&[]);
    for index in 0..600 {
        let kind = ["email.delivered", "email.delivered", "email.unsubscribed"][index % 3];
        let campaign = ["spring", "autumn"][index % 2];
        produce(&producer, &name, event(&index.to_string(), kind, campaign, 20).as_bytes());
    }
    producer.flush(Duration::from_secs(30)).expect("all is written");

    let configuration = configuration(kafka, &name, "a", &topic(&name, "canonical"), "");
    for run in ["first", "second"] {
        let mut instance = Instance::start(&configuration);
        instance.wait_ready();
        instance.wait_metrics("all 600 events", |metrics| {
            let counted = metrics.sum("tidegauge_ledger_events", &[("outcome", "counted")]);
            (counted == 600.0).then_some(())
        });
        let metrics = instance.metrics();
        metrics.assert_balanced();
        let measure = |measure: &str, campaign: &str| {
            let family = format!("tidegauge_measure_{measure}");
            metrics.one(&family, &[("slice", "campaign"), ("campaign", campaign), ("window", "1h")])
        };
        for campaign in ["spring", "autumn"] {
            assert_eq!(measure("delivered_messages", campaign), Some(200.0), "{run} {campaign}");
            assert_eq!(measure("unsubscribed_people", campaign), Some(100.0), "{run} {campaign}");
            let ratio = metrics.one(
                "tidegauge_unsubscribe_per_delivered_ratio",
                &[("slice", "campaign"), ("campaign", campaign), ("window", "1h")],
            );
            assert_eq!(ratio, Some(0.5), "{run} {campaign}");
        }
        assert_eq!(metrics.sum("tidegauge_partition_lag_records", &[]), 0.0);
        let (status, log) = instance.terminate();
        assert!(status.success(), "{run}: {status}\n{log}");
    }
    let group = format!("{name}.a");
    let committed: Vec<_> =
        (0..3).map(|partition| kafka.committed(&group, &name, partition)).collect();
    assert_eq!(committed.iter().flatten().sum::<i64>(), 600, "{committed:?}");
}

/// A value, and how the ledgers name what becomes of it.
fn bad_records() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let time = now();
    let with = |fields: &str| format!(r#"{{"type":"email.opened",{fields}}}"#).into_bytes();
    let timed = |fields: &str| with(&format!(r#""time":"{time}",{fields}"#));
    let mut bom = "\u{feff}".as_bytes().to_vec();
    bom.extend(timed(r#""id":"bom""#));
    vec![
        (b"this is not json".to_vec(), "records", "not_json"),
        (br#"{"type":"email.opened","time""#.to_vec(), "records", "not_json"),
        (b"{\"type\":\"email.opened\xff\"}".to_vec(), "records", "not_utf8"),
        (bom, "events", "counted"),
        (
            format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)).into_bytes(),
            "records",
            "too_deep",
        ),
        (vec![b' '; 1_048_577], "records", "too_large"),
        (format!("[{}0]", "0,".repeat(400_000)).into_bytes(), "records", "too_many_elements"),
        (b"".to_vec(), "records", "empty"),
        (b"[]".to_vec(), "records", "empty"),
        (timed(r#""id":"a","id":"b""#), "records", "duplicate_key"),
        (timed(r#""campaign":"\ud800""#), "events", "bad_text"),
        (timed(r#""count":NaN"#), "records", "not_json"),
        (timed(r#""count":1e400"#), "events", "bad_number"),
        (timed(r#""id":"neg0","count":-0"#), "events", "counted"),
        (timed(r#""id":"least","count":-500"#), "events", "bad_number"),
        (timed(r#""id":"10^20","count":1e20"#), "events", "bad_number"),
        (timed(r#""id":"10^12","count":1000000000000"#), "events", "counted"),
        (timed(r#""id":"refund","value":-5,"currency":"EUR""#), "events", "bad_number"),
        (timed(r#""id":"2^53","value":9007199254740993,"currency":"EUR""#), "events", "counted"),
        (
            timed(r#""id":"2^64","value":18446744073709551616,"currency":"EUR""#),
            "events",
            "counted",
        ),
        (with(r#""id":"no time""#), "events", "missing_time"),
        (with(r#""time":"soon""#), "events", "bad_time"),
        (with(r#""time":"1600-01-01T00:00:00Z""#), "events", "time_range"),
        (with(r#""time":"9999-12-31T23:59:59Z""#), "events", "time_range"),
        (
            with(&format!(
                r#""id":"h","time":"{}""#,
                time + tidegauge::event::Span::from_secs(3_600)
            )),
            "events",
            "future",
        ),
        (
            with(&format!(
                r#""id":"l","time":"{}""#,
                time - tidegauge::event::Span::from_secs(40 * 86_400)
            )),
            "events",
            "late",
        ),
        (
            format!(r#"{{"type":"email.teleported","time":"{time}"}}"#).into_bytes(),
            "events",
            "unknown_type",
        ),
        (timed(&format!(r#""id":"10k","campaign":"{}""#, "x".repeat(10_240))), "events", "counted"),
        (timed(r#""id":"q","campaign":"a\"b\\c\nd\u0001e""#), "events", "counted"),
    ]
}

/// Of every record in a topic of dead letters: a header, such as that which names bad
/// elements.
fn header_of_dead_letters(kafka: &Kafka, topic: &str, name: &str) -> Vec<String> {
    let consumer = kafka.consumer("reader");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&list).expect("an assignment");
    let (_, end) =
        consumer.fetch_watermarks(topic, 0, Duration::from_secs(10)).expect("the end of the topic");
    (0..end)
        .map(|_| {
            wait_until(
                Duration::from_secs(20),
                || {
                    let message = consumer.poll(Duration::from_millis(200))?.expect("a record");
                    let headers = message.headers().expect("headers");
                    let found = headers.iter().find(|header| header.key == name);
                    let text = found.and_then(|header| header.value).unwrap_or_default();
                    Some(String::from_utf8_lossy(text).into_owned())
                },
                || "a dead letter".to_owned(),
            )
        })
        .collect()
}

#[test]
fn every_bad_input_ends_in_a_named_outcome_and_the_rest_goes_on() {
    let kafka = Kafka::shared();
    let name = unique("bad");
    kafka.create_topic(&name, 1, &[("max.message.bytes", "4000000")]);
    kafka.create_topic(&format!("{name}.dead"), 1, &[("max.message.bytes", "4000000")]);
    let producer = kafka.producer(&[("message.max.bytes", "4000000")]);
    let bad = bad_records();
    for (value, _, _) in &bad {
        produce(&producer, &name, value);
    }
    producer.send(&name, None, None, &[], Some(now())).expect("a tombstone");
    // One bad element among a thousand good ones.
    let elements: Vec<String> = (0..1_001)
        .map(|index| match index {
            500 => r#"{"type":"email.opened"}"#.to_owned(),
            _ => event(&format!("e{index}"), "email.delivered", "many", 5),
        })
        .collect();
    produce(&producer, &name, format!("[{}]", elements.join(",")).as_bytes());
    produce(&producer, &name, event("last", "email.delivered", "last", 1).as_bytes());
    producer.flush(Duration::from_secs(30)).expect("all is written");
    let records = bad.len() as f64 + 3.0;

    let configuration = configuration(kafka, &name, "a", &topic(&name, "canonical"), "");
    let mut instance = Instance::start(&configuration);
    instance.wait_ready();
    instance.wait_metrics("every record", |metrics| {
        let read = metrics.sum("tidegauge_ledger_records", &[("outcome", "read")]);
        (read == records).then_some(())
    });
    let metrics = instance.metrics();
    metrics.assert_balanced();
    let ledger = |ledger: &str, outcome: &str| {
        let family = format!("tidegauge_ledger_{ledger}");
        match outcome {
            "counted" | "late" | "future" | "empty" => {
                metrics.sum(&family, &[("outcome", outcome)])
            }
            reason => metrics.sum(&family, &[("reason", reason)]),
        }
    };
    for (_, which, outcome) in &bad {
        let mut expected =
            bad.iter().filter(|(_, of, named)| of == which && named == outcome).count() as f64;
        expected += match *outcome {
            "counted" => 1_001.0,
            "empty" | "missing_time" => 1.0,
            _ => 0.0,
        };
        assert_eq!(ledger(which, outcome), expected, "{which} {outcome}");
    }

    // Refused records, whole or in part, are dead letters with their reasons.
    let refused = bad
        .iter()
        .filter(|(_, _, outcome)| {
            !matches!(*outcome, "counted" | "empty" | "future" | "late" | "unknown_type")
        })
        .count() as f64
        + 1.0;
    instance.wait_metrics("all dead letters", |metrics| {
        let written = metrics.one("tidegauge_dead_letters", &[("state", "written")])?;
        (written == refused).then_some(())
    });
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");

    let elements = || header_of_dead_letters(kafka, &format!("{name}.dead"), "tidegauge.elements");
    let letters = elements();
    assert_eq!(letters.len() as f64, refused);
    let mixed = letters.iter().find(|letter| letter.contains("500"));
    assert!(mixed.is_some(), "the record with one bad element names its index");

    // A second run reads all of it again, and writes no dead letter twice.
    let mut again = Instance::start(&configuration);
    again.wait_ready();
    again.wait_metrics("every record again", |metrics| {
        let read = metrics.sum("tidegauge_ledger_records", &[("outcome", "read")]);
        (read == records).then_some(())
    });
    again.terminate();
    assert_eq!(elements().len() as f64, refused);
}

#[test]
fn headers_reach_the_formats_and_the_dead_letters() {
    let kafka = Kafka::shared();
    let name = unique("headers");
    let (clouds, plain, dead) =
        (format!("{name}.clouds"), format!("{name}.plain"), format!("{name}.dead"));
    for topic in [&clouds, &plain, &dead] {
        kafka.create_topic(topic, 1, &[]);
    }
    let producer = kafka.producer(&[]);
    let time = now().to_string();
    let binary = [
        ("ce_specversion", Some(&b"1.0"[..])),
        ("ce_id", Some(b"1")),
        ("ce_source", Some(b"/shop")),
        ("ce_type", Some(b"web.cta_clicked")),
        ("ce_time", Some(time.as_bytes())),
    ];
    let value = br#"{"campaign":"spring"}"#;
    producer.send(&clouds, None, Some(value), &binary, Some(now())).expect("sent");
    let traced = [("trace", Some(&b"abc"[..]))];
    producer.send(&plain, None, Some(b"no json"), &traced, Some(now())).expect("sent");
    producer.flush(Duration::from_secs(30)).expect("all is written");

    let topics = topic(&plain, "canonical") + &topic(&clouds, "cloudevents");
    let with_letters = configuration(kafka, &name, "a", &topics, "");
    let without = with_letters.replace(&format!("dead_letters = \"{dead}\""), "");
    // Once records are committed, their dead letters count as written.
    for configuration in [with_letters, without] {
        let instance = Instance::start(&configuration);
        instance.wait_metrics("both records", |metrics| {
            let events = |topic: &str, outcome: &str| {
                let labels = [("topic", topic), ("outcome", outcome)];
                metrics.sum("tidegauge_ledger_events", &labels)
            };
            let refused = [("topic", plain.as_str()), ("reason", "not_json")];
            let refused = metrics.sum("tidegauge_ledger_records", &refused);
            ((events(&clouds, "counted"), refused) == (1.0, 1.0)).then_some(())
        });
        let (status, log) = instance.terminate();
        assert!(status.success(), "{status}\n{log}");
    }
    assert_eq!(header_of_dead_letters(kafka, &dead, "trace"), ["abc"]);
}

#[test]
fn at_its_memory_limit_it_pauses_and_says_so() {
    let kafka = Kafka::shared();
    let name = unique("memory");
    kafka.create_topic(&name, 1, &[]);
    kafka.create_topic(&format!("{name}.dead"), 1, &[]);
    let producer = kafka.producer(&[]);
    const EVENTS: usize = 150_000;
    for index in 0..EVENTS {
        let event = event(&index.to_string(), "email.delivered", &format!("c{index}"), 20);
        produce(&producer, &name, event.as_bytes());
    }
    producer.flush(Duration::from_secs(60)).expect("all is written");
    let rest = "[slices.campaign]\nreplace = true\nby = [\"campaign\"]\ncap = 100000\n\
                [run]\nmemory_limit = \"64MiB\"\n";
    let configuration = configuration(kafka, &name, "a", &topic(&name, "canonical"), rest);
    let instance = Instance::start(&configuration);
    wait_until(
        Duration::from_secs(60),
        || {
            let (status, text) = instance.get("/readyz")?;
            (status == 503 && text.contains("memory is at its limit")).then_some(())
        },
        || "the reason".to_owned(),
    );
    let metrics = instance.metrics();
    metrics.assert_balanced();
    let read = metrics.sum("tidegauge_ledger_records", &[("outcome", "read")]);
    assert!(read < EVENTS as f64, "it paused after {read} records");
    assert_eq!(instance.get("/healthz").map(|(status, _)| status), Some(200));
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn without_a_broker_it_says_so_and_stays_up() {
    let port = free_port();
    let configuration = format!(
        "[kafka]\nbrokers = \"127.0.0.1:{port}\"\n[export]\nlisten = \"$LISTEN\"\n{}",
        topic("email", "canonical")
    );
    let instance = Instance::start(&configuration);
    wait_until(
        Duration::from_secs(20),
        || {
            let (status, text) = instance.get("/readyz")?;
            (status == 503 && text.contains("no broker answers")).then_some(())
        },
        || "the reason".to_owned(),
    );
    assert_eq!(instance.get("/healthz").map(|(status, _)| status), Some(200));
    assert_eq!(instance.metrics().one("tidegauge_ready", &[]), Some(0.0));
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
}
