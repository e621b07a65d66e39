//! The source on a real Apache Kafka: everything once, in order, whatever happens to
//! topics and brokers.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaRespErr;

use tidegauge::event::EventTime;
use tidegauge::kafka::{DemoBroker, Folded, GapReason, SourceEvent, StartAt, TopicPattern, start};

use crate::support::kafka::{Kafka, unique, wait_for};
use crate::support::reading::{Reading, assert_filled, now, settings};

#[test]
fn everything_is_read_once_from_all_partitions() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("all", 4, &[]);
    let from = EventTime::from_secs(now().millis() / 1_000 - 5_000);
    for (partition, count) in [(0, 3_000), (1, 1), (2, 700)] {
        kafka.fill(&topic, partition, count, from);
    }
    let mut settings = settings(&kafka.bootstrap(), &[&topic], StartAt::Beginning);
    settings.batch_records = 100;
    settings.channel_batches = 2;
    let mut reading = Reading::of(settings);
    reading.until_caught_up();
    let seen = reading.finish();
    for (partition, count) in [(0, 3_000), (1, 1), (2, 700), (3, 0)] {
        assert_filled(&seen, &topic, partition, 0..count);
        let start = &seen.starts[&(topic.clone(), partition)];
        assert_eq!((start.start_offset, start.covered_from), (0, None));
        assert_eq!(start.committed, None);
    }
    assert_eq!(seen.brokers, [true]);
}

#[test]
fn reading_starts_at_a_time_and_says_what_it_covers() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("since", 4, &[]);
    let from = EventTime::from_secs(now().millis() / 1_000 - 5_000);
    // Partition 0 reaches across the time, 1 ends before it, 2 begins after it, 3 is empty.
    let asked = EventTime::from_secs(from.millis() / 1_000 + 50);
    kafka.fill(&topic, 0, 100, from);
    kafka.fill(&topic, 1, 20, from);
    kafka.fill(&topic, 2, 10, EventTime::from_secs(asked.millis() / 1_000 + 10));
    let mut reading = Reading::of(settings(&kafka.bootstrap(), &[&topic], StartAt::Time(asked)));
    reading.until("the starts", |seen| seen.starts.len() == 4);
    // What arrives behind a look-up that found nothing is not skipped.
    kafka.fill(&topic, 1, 5, now());
    kafka.fill(&topic, 3, 5, now());
    reading.until_caught_up();
    let seen = reading.finish();
    assert_filled(&seen, &topic, 0, 50..100);
    assert_filled(&seen, &topic, 1, 0..5);
    assert_filled(&seen, &topic, 2, 0..10);
    assert_filled(&seen, &topic, 3, 0..5);
    let covers = |partition| {
        let start = &seen.starts[&(topic.clone(), partition)];
        (start.start_offset, start.covered_from)
    };
    assert_eq!(covers(0), (50, Some(asked)));
    assert_eq!(covers(1), (20, Some(asked)));
    assert_eq!(covers(2), (0, None));
    assert_eq!(covers(3), (0, None));
}

#[test]
fn coverage_reaches_to_a_partitions_own_oldest_record_where_older_ones_were_deleted() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("deleted", 2, &[]);
    let from = EventTime::from_secs(now().millis() / 1_000 - 5_000);
    kafka.fill(&topic, 0, 100, from);
    kafka.fill(&topic, 1, 100, from);
    kafka.delete_records(&topic, 0, 60);
    kafka.delete_records(&topic, 1, 30);
    let asked = StartAt::Time(EventTime::from_secs(from.millis() / 1_000 - 100));
    let mut reading = Reading::of(settings(&kafka.bootstrap(), &[&topic], asked));
    reading.until_caught_up();
    let seen = reading.finish();
    assert_filled(&seen, &topic, 0, 60..100);
    for (partition, first) in [(0, 60), (1, 30)] {
        // What the other still holds says nothing of what this one has lost.
        let oldest = EventTime::from_millis(from.millis() + 1_000 * first);
        let start = &seen.starts[&(topic.clone(), partition)];
        assert_eq!((start.start_offset, start.first_offset), (first, first));
        assert_eq!(start.covered_from, Some(oldest));
    }
}

#[test]
fn new_partitions_and_topics_are_read_from_their_beginning() {
    let kafka = Kafka::shared();
    let prefix = unique("grow");
    let (first, second) = (format!("{prefix}-first"), format!("{prefix}-second"));
    let nobody = format!("^{prefix}-nobody");
    kafka.create_topic(&first, 1, &[]);
    let long_ago = EventTime::from_secs(now().millis() / 1_000 - 5_000);
    kafka.fill(&first, 0, 10, long_ago);
    let mut settings =
        settings(&kafka.bootstrap(), &[&format!("^{prefix}-.*"), &nobody], StartAt::Time(now()));
    settings.excluded_topics = vec![format!("{prefix}-dead")];
    kafka.create_topic(&format!("{prefix}-dead"), 1, &[]);
    let mut reading = Reading::of(settings);
    reading.until_caught_up();
    kafka.grow_topic(&first, 3);
    kafka.fill(&first, 2, 10, long_ago);
    kafka.create_topic(&second, 2, &[]);
    kafka.fill(&second, 1, 10, long_ago);
    reading.until("the new records", |seen| seen.count() == 20);
    let seen = reading.finish();
    assert_filled(&seen, &first, 0, 0..0);
    assert_filled(&seen, &first, 2, 0..10);
    assert_filled(&seen, &second, 1, 0..10);
    assert_eq!(seen.starts[&(first, 2)].covered_from, None);
    assert!(seen.starts.keys().all(|(topic, _)| !topic.ends_with("-dead")));
    assert_eq!(seen.missing, [nobody], "a pattern that matches nothing is named");
}

#[test]
fn a_missing_topic_is_named_and_read_from_its_beginning_once_it_exists() {
    let kafka = Kafka::shared();
    let topic = unique("missing");
    let mut reading = Reading::of(settings(&kafka.bootstrap(), &[&topic], StartAt::Time(now())));
    reading.until("the topic to be missed", |seen| !seen.missing.is_empty());
    kafka.create_topic(&topic, 1, &[]);
    kafka.fill(&topic, 0, 10, EventTime::from_secs(now().millis() / 1_000 - 5_000));
    reading.until_caught_up();
    let seen = reading.finish();
    assert_filled(&seen, &topic, 0, 0..10);
    assert_eq!((seen.missing, seen.found), (vec![topic.clone()], vec![topic]));
}

#[test]
fn a_broker_may_be_down_at_the_start_and_crash_later() {
    let mut kafka = Kafka::formatted(&[]);
    let topic = unique("restart");
    let mut reading = Reading::of(settings(&kafka.bootstrap(), &[&topic], StartAt::Beginning));
    reading.until("word of the silence", |seen| seen.brokers == [false]);
    kafka.launch();
    reading.until("word of the broker", |seen| seen.brokers == [false, true]);
    kafka.create_topic(&topic, 2, &[]);
    kafka.fill(&topic, 0, 500, now());
    reading.until("the records", |seen| seen.count() == 500);
    kafka.kill();
    reading.until("word of the crash", |seen| seen.brokers.last() == Some(&false));
    kafka.launch();
    let producer = kafka.producer(&[]);
    for number in 500..600 {
        let value = format!("value-{number}");
        producer.send_to(&topic, Some(0), None, Some(value.as_bytes()), &[], None).expect("send");
    }
    producer.flush(Duration::from_secs(30)).expect("written");
    reading.until("the records after the crash", |seen| seen.count() == 600);
    reading.until_caught_up();
    // With the broker gone for good, closing keeps to its deadline.
    kafka.kill();
    let key = std::sync::Arc::<str>::from(topic.as_str());
    reading.source.commit(vec![Folded { topic: key, partition: 0, next_offset: 600 }]);
    let seen = reading.finish();
    assert_filled(&seen, &topic, 0, 0..600);
}

#[test]
fn offsets_are_committed_under_the_group_of_the_instance() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("committed", 2, &[]);
    kafka.fill(&topic, 0, 10, now());
    let settings = settings(&kafka.bootstrap(), &[&topic], StartAt::Beginning);
    let group = settings.group_id.clone();
    let mut reading = Reading::of(settings.clone());
    reading.until_caught_up();
    let folded =
        |next_offset| vec![Folded { topic: topic.as_str().into(), partition: 0, next_offset }];
    reading.source.commit(folded(7));
    wait_for("the commit", || (kafka.committed(&group, &topic, 0) == Some(7)).then_some(()));
    reading.source.commit(folded(10));
    reading.finish();
    assert_eq!(kafka.committed(&group, &topic, 0), Some(10), "closing commits the rest");
    assert_eq!(kafka.committed(&group, &topic, 1), None);

    let mut again = Reading::of(settings);
    again.until("the starts", |seen| seen.starts.len() == 2);
    let seen = again.finish();
    assert_eq!(seen.starts[&(topic.clone(), 0)].committed, Some(10));
    assert_eq!(seen.starts[&(topic, 1)].committed, None);
}

#[test]
fn every_codec_is_read_with_headers_and_timestamps() {
    let kafka = Kafka::shared();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = kafka.topic(codec, 1, &[]);
        let producer = kafka.producer(&[("compression.type", codec)]);
        let at = EventTime::from_millis(now().millis());
        let headers: [(&str, Option<&[u8]>); 3] =
            [("type", Some(b"open")), ("type", Some(&[0xff, 0])), ("none", None)];
        for _ in 0..50 {
            let value = "compressible ".repeat(20);
            producer
                .send(&topic, Some(b"key"), Some(value.as_bytes()), &headers, Some(at))
                .expect("send");
        }
        producer.send(&topic, None, None, &[], Some(at)).expect("a tombstone");
        producer.flush(Duration::from_secs(30)).expect("written");
        let (source, events) =
            start(settings(&kafka.bootstrap(), &[&topic], StartAt::Beginning), now).expect("start");
        let mut read = 0;
        while read < 51 {
            let event = events.recv_timeout(Duration::from_secs(30)).expect("records");
            let SourceEvent::Batch(batch) = event else { continue };
            let lent = batch.headers();
            for record in batch.records(&lent) {
                assert_eq!(record.timestamp, Some(at));
                if read < 50 {
                    assert_eq!(record.key, Some(&b"key"[..]));
                    assert_eq!(record.value.map(<[u8]>::len), Some(260));
                    assert_eq!(record.headers, &headers);
                } else {
                    assert_eq!((record.key, record.value), (None, None));
                }
                read += 1;
            }
        }
        source.close(Duration::from_secs(5));
    }
}

#[test]
fn records_come_without_headers_where_nobody_asks_for_them() {
    let kafka = Kafka::shared();
    let (asked, other) = (kafka.topic("asked", 1, &[]), kafka.topic("other", 1, &[]));
    let producer = kafka.producer(&[]);
    for topic in [&asked, &other] {
        let headers = [("trace", Some(&b"abc"[..]))];
        producer.send(topic, None, Some(b"x"), &headers, Some(now())).expect("send");
    }
    producer.flush(Duration::from_secs(30)).expect("written");
    let mut settings = settings(&kafka.bootstrap(), &[&asked, &other], StartAt::Beginning);
    settings.headers_of = vec![TopicPattern::Exact(asked.clone())];
    let (source, events) = start(settings, now).expect("start");
    let mut read = 0;
    while read < 2 {
        let event = events.recv_timeout(Duration::from_secs(30)).expect("records");
        let SourceEvent::Batch(batch) = event else { continue };
        let lent = batch.headers();
        for record in batch.records(&lent) {
            assert_eq!(record.headers.len(), usize::from(record.topic == asked));
            read += 1;
        }
    }
    source.close(Duration::from_secs(5));
}

#[test]
fn aborted_records_are_not_seen_and_markers_do_not_hold_the_end_back() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("transactions", 1, &[]);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("transactional.id", unique("transactions"))
        .set("log_level", "0")
        .create()
        .expect("a producer");
    let patience = Duration::from_secs(20);
    producer.init_transactions(patience).expect("transactions");
    let write = |number: usize| {
        let value = format!("value-{number}");
        producer
            .send(BaseRecord::<(), _>::to(&topic).payload(value.as_bytes()))
            .map_err(|(error, _)| error)
            .expect("send");
    };
    producer.begin_transaction().expect("begin");
    (0..10).for_each(write);
    producer.commit_transaction(patience).expect("commit");
    let mut reading = Reading::of(settings(&kafka.bootstrap(), &[&topic], StartAt::Beginning));
    reading.until_caught_up();
    producer.begin_transaction().expect("begin");
    (90..99).for_each(write);
    producer.flush(patience).expect("written");
    producer.abort_transaction(patience).expect("abort");
    reading.until_caught_up();
    producer.begin_transaction().expect("begin");
    (10..20).for_each(write);
    producer.commit_transaction(patience).expect("commit");
    reading.until_caught_up();
    let seen = reading.finish();
    assert_filled(&seen, &topic, 0, 0..20);
    let (_, end) = &seen.ends[&(topic, 0)];
    assert_eq!((end.end_offset, end.position), (32, 32), "29 records and three markers");
}

#[test]
fn what_retention_took_is_a_gap_and_reading_goes_on_behind_it() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("gap", 2, &[]);
    let from = EventTime::from_secs(now().millis() / 1_000 - 5_000);
    kafka.fill(&topic, 0, 50, from);
    let mut reading = Reading::of(settings(&kafka.bootstrap(), &[&topic], StartAt::Beginning));
    reading.until_caught_up();
    reading.source.pause();
    // A paused source takes nothing more once its ends stand still.
    reading.until_caught_up();
    kafka.fill(&topic, 0, 100, from);
    kafka.delete_records(&topic, 0, 120);
    reading.source.resume();
    reading.until("the gap", |seen| !seen.gaps.is_empty());
    reading.until_caught_up();
    let seen = reading.finish();
    assert_eq!(seen.gaps.len(), 1);
    let gap = &seen.gaps[0];
    assert_eq!((gap.partition, gap.from_offset, gap.to_offset), (0, 50, 120));
    assert_eq!((gap.reason, gap.lost), (GapReason::Retention, Some(70)));
    assert_eq!(gap.covered_from, Some(EventTime::from_millis(from.millis() + 70_000)));
    let offsets: Vec<i64> = seen.records[&(topic, 0)].iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, (0..50).chain(120..150).collect::<Vec<i64>>());
}

#[test]
fn a_paused_source_reads_on_without_loss() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("paused", 1, &[]);
    kafka.fill(&topic, 0, 5_000, EventTime::from_secs(now().millis() / 1_000 - 5_000));
    let mut settings = settings(&kafka.bootstrap(), &[&topic], StartAt::Beginning);
    settings.batch_records = 50;
    settings.channel_batches = 1;
    let mut reading = Reading::of(settings);
    for round in 1..=10 {
        reading.until("some records", |seen| seen.count() >= round * 400);
        reading.source.pause();
        reading.until("a round of ends", {
            let since = now();
            move |seen| seen.ends.values().any(|(at, _)| *at >= since)
        });
        reading.source.resume();
    }
    reading.until_caught_up();
    assert_filled(&reading.finish(), &topic, 0, 0..5_000);
}

/// What a source says that comes in under that password.
fn refusal(password: &str, topic: &str) -> String {
    let mut settings = settings(&Kafka::shared().sasl_bootstrap(), &[topic], StartAt::Beginning);
    for (name, value) in [
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "gauge"),
        ("sasl.password", password),
    ] {
        settings.properties.insert(name.to_owned(), value.to_owned());
    }
    let mut reading = Reading::of(settings);
    reading.until("the refusal", |seen| seen.fatal.is_some());
    reading.finish().fatal.expect("a text")
}

#[test]
fn who_is_not_let_in_or_may_not_read_is_told_so() {
    let topic = Kafka::shared().topic("secret", 1, &[]);
    let text = refusal("wrong", &topic);
    assert!(text.contains("do not let in `User:gauge`"), "{text}");
    assert!(!text.contains("wrong"), "a password is not repeated: {text}");
    // Neither right is granted; which is missed first is the broker's affair.
    let text = refusal("secret", &topic);
    let on_topic =
        format!("`User:gauge` needs the rights READ and DESCRIBE on the topic `{topic}`");
    let on_group = "`User:gauge` needs the right READ on the group `tidegauge.test";
    assert!(text.contains(&on_topic) || text.contains(on_group), "{text}");
}

#[test]
fn a_missing_right_is_fatal_and_says_which() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("secret", 1, 1).expect("a topic");
    cluster
        .topic_error("secret", RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        .expect("an error");
    let mut settings = settings(&cluster.bootstrap_servers(), &["secret"], StartAt::Beginning);
    settings.properties.insert("sasl.username".to_owned(), "gauge".to_owned());
    let mut reading = Reading::of(settings);
    reading.until("the refusal", |seen| seen.fatal.is_some());
    let text = reading.finish().fatal.expect("a text");
    for part in ["not authorised", "`User:gauge`", "READ", "`secret`"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn closing_keeps_its_deadline_with_a_full_channel_and_no_broker() {
    let broker = DemoBroker::start().expect("a broker");
    broker.create_topic("full", 1).expect("a topic");
    let producer =
        tidegauge::kafka::Producer::connect(broker.bootstrap(), &[]).expect("a producer");
    for _ in 0..1_000 {
        producer.send("full", None, Some(b"x"), &[], None).expect("send");
    }
    producer.flush(Duration::from_secs(20)).expect("written");
    let mut settings = settings(broker.bootstrap(), &["full"], StartAt::Beginning);
    settings.batch_records = 10;
    settings.channel_batches = 1;
    let (source, events) = start(settings, now).expect("a source");
    wait_for("a full channel", || events.is_full().then_some(()));
    broker.down().expect("down");
    source.commit(vec![Folded { topic: "full".into(), partition: 0, next_offset: 1 }]);
    let asked = Instant::now();
    source.close(Duration::from_secs(2));
    assert!(asked.elapsed() < Duration::from_secs(3), "closing took {:?}", asked.elapsed());
}

#[test]
fn the_highest_timestamp_is_not_above_the_clock() {
    let broker = DemoBroker::start().expect("a broker");
    broker.create_topic("clock", 1).expect("a topic");
    let producer =
        tidegauge::kafka::Producer::connect(broker.bootstrap(), &[]).expect("a producer");
    let at = |secs: i64| EventTime::from_secs(1_700_000_000 + secs);
    for secs in [10, 30, 20, 99] {
        let at = Some(at(secs));
        producer.send("clock", None, Some(b"x"), &[], at).expect("send");
    }
    producer.flush(Duration::from_secs(20)).expect("written");
    let clock = AtomicI64::new(1_700_000_050);
    let settings = settings(broker.bootstrap(), &["clock"], StartAt::Beginning);
    let (source, events) =
        start(settings, move || EventTime::from_secs(clock.load(Ordering::Relaxed)))
            .expect("a source");
    let (mut highest, mut read) = (None, 0);
    while read < 4 {
        let event = events.recv_timeout(Duration::from_secs(20)).expect("records");
        if let SourceEvent::Batch(batch) = event {
            let position = &batch.positions()[0];
            highest = highest.max(position.highest_timestamp);
            read += batch.len();
        }
    }
    assert_eq!(highest, Some(at(30)));
    source.close(Duration::from_secs(5));
}
