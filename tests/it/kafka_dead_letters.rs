//! Dead letters on a real Apache Kafka: whole, never lost, and a refusing topic says
//! so.

use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use tidegauge::event::{EventTime, RejectReason};
use tidegauge::kafka::{DeadLetter, DeadLetterSettings, DeadLetters};

use crate::support::kafka::{Kafka, unique, wait_for};

fn letter(offset: i64, value: &[u8]) -> DeadLetter {
    DeadLetter {
        topic: "mail".into(),
        partition: 2,
        offset,
        key: Some(b"key".to_vec()),
        value: Some(value.to_vec()),
        headers: vec![("trace".to_owned(), Some(vec![0xff, 1])), ("trace".to_owned(), None)],
        timestamp: Some(EventTime::from_secs(1_790_000_000)),
        reason: RejectReason::BadTime,
        text: "element 3: the field `time` cannot be read".to_owned(),
        elements: vec![(3, RejectReason::BadTime), (5, RejectReason::MissingType)],
    }
}

/// The first `count` records of a topic with one partition.
fn read(kafka: &Kafka, topic: &str, count: usize) -> Vec<OwnedMessage> {
    let consumer = kafka.consumer("reader");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&list).expect("assign");
    let mut messages = Vec::new();
    wait_for("the dead letters", || {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            messages.push(message.detach());
        }
        (messages.len() == count).then_some(())
    });
    messages
}

fn header<'m>(message: &'m OwnedMessage, name: &str) -> Option<&'m str> {
    let headers = message.headers()?;
    let found = headers.iter().find(|header| header.key == name)?;
    std::str::from_utf8(found.value?).ok()
}

#[test]
fn a_dead_letter_is_the_original_and_says_why() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("dead", 1, &[]);
    let letters =
        DeadLetters::start(DeadLetterSettings::new(kafka.bootstrap(), &topic)).expect("start");
    letters.send(letter(17, b"original")).expect("sent");
    assert_eq!(letters.flushed_below("mail", 2), Some(17));
    let mut tombstone = letter(18, b"");
    tombstone.value = None;
    tombstone.elements.clear();
    letters.send(tombstone).expect("sent");
    assert_eq!(letters.close(Duration::from_secs(20)), 0, "all are written");
    assert_eq!(letters.flushed_below("mail", 2), None);
    assert_eq!(letters.state().written, 2);

    let messages = read(kafka, &topic, 2);
    let first = &messages[0];
    assert_eq!((first.key(), first.payload()), (Some(&b"key"[..]), Some(&b"original"[..])));
    assert_eq!(first.timestamp().to_millis(), Some(1_790_000_000_000));
    let kept: Vec<(&str, Option<&[u8]>)> =
        first.headers().expect("headers").iter().map(|h| (h.key, h.value)).take(2).collect();
    assert_eq!(kept, [("trace", Some(&[0xff, 1][..])), ("trace", None)]);
    let expected = [
        ("tidegauge.topic", Some("mail")),
        ("tidegauge.partition", Some("2")),
        ("tidegauge.offset", Some("17")),
        ("tidegauge.reason", Some("bad_time")),
        ("tidegauge.text", Some("element 3: the field `time` cannot be read")),
        (
            "tidegauge.elements",
            Some(r#"[{"index":3,"reason":"bad_time"},{"index":5,"reason":"missing_type"}]"#),
        ),
        ("tidegauge.truncated", None),
    ];
    for (name, value) in expected {
        assert_eq!(header(first, name), value, "{name}");
    }
    assert_eq!(messages[1].payload(), None, "a tombstone stays one");
    assert_eq!(header(&messages[1], "tidegauge.elements"), None);
}

#[test]
fn a_letter_that_is_too_large_for_the_topic_is_cut_until_it_fits() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("dead-small", 1, &[("max.message.bytes", "20000")]);
    let mut settings = DeadLetterSettings::new(kafka.bootstrap(), &topic);
    // Bytes that do not compress, against a topic that takes less than is set.
    settings.properties.insert("compression.type".to_owned(), "none".to_owned());
    let letters = DeadLetters::start(settings).expect("start");
    letters.send(letter(1, &[b'x'; 2_000_000])).expect("sent");
    letters.send(letter(2, b"small")).expect("sent");
    assert_eq!(letters.close(Duration::from_secs(20)), 0, "all are written");
    let messages = read(kafka, &topic, 2);
    let cut = messages.iter().find(|m| header(m, "tidegauge.offset") == Some("1")).expect("it");
    let kept = cut.payload().expect("a value").len();
    assert!((1_000..20_000).contains(&kept), "{kept} bytes are kept");
    let says = header(cut, "tidegauge.truncated").expect("a word about the cut");
    assert_eq!(says, format!("value: {kept} of 2000000 bytes"));
    let whole = messages.iter().find(|m| header(m, "tidegauge.offset") == Some("2")).expect("it");
    assert_eq!(
        (whole.payload(), header(whole, "tidegauge.truncated")),
        (Some(&b"small"[..]), None)
    );
}

#[test]
fn a_refusing_topic_blocks_loses_nothing_and_recovers() {
    let kafka = Kafka::shared();
    let topic = unique("dead-late");
    let letters =
        DeadLetters::start(DeadLetterSettings::new(kafka.bootstrap(), &topic)).expect("start");
    for offset in 5..25 {
        letters.send(letter(offset, b"x")).expect("sent");
    }
    wait_for("the refusal", || letters.state().blocked);
    let state = letters.state();
    assert_eq!((state.written, state.pending), (0, 20));
    assert!(state.blocked.is_some_and(|why| why.contains(&topic) && why.contains("create it")));
    assert_eq!(letters.flushed_below("mail", 2), Some(5));
    assert_eq!(letters.flushed_below("mail", 3), None);
    // The topic is created anew: these are waited for, and not taken for the new ones.
    letters.set_apart("mail", 2);
    assert_eq!((letters.flushed_below("mail", 2), letters.none_apart()), (None, false));
    letters.send(letter(5, b"new")).expect("sent");
    assert_eq!((letters.flushed_below("mail", 2), letters.state().pending), (Some(5), 21));
    kafka.create_topic(&topic, 1, &[]);
    wait_for("the letters", || (letters.state().written == 21).then_some(()));
    let state = letters.state();
    assert_eq!((state.pending, state.blocked), (0, None));
    assert_eq!((letters.flushed_below("mail", 2), letters.none_apart()), (None, true));
    let mut offsets: Vec<i64> = read(kafka, &topic, 21)
        .iter()
        .map(|message| header(message, "tidegauge.offset").expect("it").parse().expect("a number"))
        .collect();
    offsets.sort_unstable();
    assert_eq!(offsets, [5].into_iter().chain(5..25).collect::<Vec<i64>>());
    assert_eq!(letters.close(Duration::from_secs(5)), 0);
}

#[test]
fn a_missing_right_blocks_and_says_which() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("dead-secret", 1, &[]);
    let mut settings = DeadLetterSettings::new(kafka.sasl_bootstrap(), &topic);
    for (name, value) in [
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "gauge"),
        ("sasl.password", "secret"),
    ] {
        settings.properties.insert(name.to_owned(), value.to_owned());
    }
    let letters = DeadLetters::start(settings).expect("start");
    letters.send(letter(9, b"x")).expect("sent");
    let why = wait_for("the refusal", || letters.state().blocked);
    assert!(why.contains("grant"), "{why}");
    assert_eq!(letters.state().pending, 1);
    assert_eq!(letters.close(Duration::ZERO), 1);
}

#[test]
fn closing_says_what_is_not_written() {
    let kafka = Kafka::shared();
    let topic = unique("dead-never");
    let letters =
        DeadLetters::start(DeadLetterSettings::new(kafka.bootstrap(), &topic)).expect("start");
    letters.send(letter(9, b"x")).expect("sent");
    assert_eq!(letters.close(Duration::from_millis(200)), 1);
    assert_eq!(letters.flushed_below("mail", 2), Some(9), "it is not to be committed");
    assert!(letters.send(letter(10, b"x")).is_err());
}
