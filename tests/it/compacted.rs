//! Topics whose logs are compacted: what a fresh instance finds in them is not what a
//! running one has read. On a real Apache Kafka, through the program.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::service::now;
use crate::support::instance::Instance;
use crate::support::kafka::Kafka;

/// Compacted as soon as the broker gets to it.
const EAGER: [(&str, &str); 5] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "100"),
    ("min.cleanable.dirty.ratio", "0.001"),
    ("max.compaction.lag.ms", "100"),
    ("delete.retention.ms", "100"),
];

/// An instance without state that reads one topic of canonical events.
pub(crate) fn configuration(kafka: &Kafka, topic: &str, of_topic: &str, rest: &str) -> String {
    format!(
        r#"
instance = "a"

[kafka]
brokers = "{}"
group = "{topic}"

[export]
listen = "$LISTEN"

[state]
directory = "off"

[[topics]]
name = "{topic}"
format = "canonical"
{of_topic}

{rest}
"#,
        kafka.bootstrap()
    )
}

const OBJECTIVE: &str = r#"
[objectives.volume]
kpi = "page_views"
slice = "all"
window = "1h"
at_least = 1
owner = "web-team"
"#;

const LEVELS_ONLY: &str = r#"
[catalogue]
kpis = []

[measures.list]
help = "Addresses on the lists."
aggregate = "last"
of = "count"
types = ["email.list_size"]
unit = "people"

[kpis.list]
help = "How many may be written to."
formula = "list"
unit = "people"
direction = "up"
"#;

/// Page views, or sizes of lists, of so many keys in turn.
fn write(kafka: &Kafka, topic: &str, kind: &str, count: usize, keys: usize) {
    let producer = kafka.producer(&[]);
    for number in 0..count {
        let key = format!("{kind}-{}", number % keys);
        let time = now();
        let value = format!(
            r#"{{"id":"{number}","type":"{kind}","time":"{time}","campaign":"spring","key":"{key}","count":{}}}"#,
            if kind == "email.list_size" { 10 } else { 1 }
        );
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        producer.send_to(topic, Some(0), key, value, &[], Some(time)).expect("it is taken");
    }
    producer.flush(Duration::from_secs(30)).expect("it is written");
}

/// Waits until compaction has left few of the records.
fn wait_for_compaction(kafka: &Kafka, topic: &str, few: usize) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        // The segment that is written to is not compacted.
        write(kafka, topic, "web.page_viewed", 1, 1);
        let left = records(kafka, topic);
        if left <= few {
            return;
        }
        assert!(Instant::now() < end, "{left} records are left");
    }
}

fn records(kafka: &Kafka, topic: &str) -> usize {
    let consumer = kafka.consumer(&format!("{topic}.counting"));
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&list).expect("assigned");
    let wait = Duration::from_secs(5);
    let (_, end) = consumer.fetch_watermarks(topic, 0, wait).expect("the ends");
    let mut count = 0;
    while let Some(record) = consumer.poll(wait) {
        let record = record.expect("a record");
        count += 1;
        if rdkafka::Message::offset(&record) + 1 >= end {
            break;
        }
    }
    count
}

#[test]
fn what_adds_up_over_a_compacted_topic_is_refused_at_the_start() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("compacted", 1, &[("cleanup.policy", "compact,delete")]);
    let instance = Instance::start(&configuration(kafka, &topic, "", OBJECTIVE));
    let (status, log) = instance.wait_for_end(Duration::from_secs(60));
    assert_eq!(status.code(), Some(1), "{log}");
    let says = log.lines().last().unwrap_or_default();
    for part in [&topic, "compacted", "allow_compacted = true", "`last`"] {
        assert!(says.contains(part), "{part}: {says}");
    }
}

#[test]
fn what_is_allowed_to_add_up_over_it_begins_with_the_reading() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("allowed", 1, &[("cleanup.policy", "compact")]);
    write(kafka, &topic, "web.page_viewed", 30, 3);
    let allowed = configuration(kafka, &topic, "allow_compacted = true", OBJECTIVE);
    let mut instance = Instance::start(&allowed);
    instance.wait_ready();
    let metrics = instance.metrics();
    let coverage = [("slice", "all"), ("window", "1h")];
    let coverage = metrics.one("tidegauge_coverage_ratio", &coverage).expect("a coverage");
    assert!(coverage < 0.1, "nobody knows what was there before: {coverage}");
    let unknown = [("objective", "volume"), ("reason", "warming_up")];
    assert_eq!(metrics.one("tidegauge_objective_unknown", &unknown), Some(1.0));
    assert_eq!(metrics.one("tidegauge_topic_compacted", &[("topic", &topic)]), Some(1.0));
    assert!(instance.get("/").expect("the page").1.contains("its log is compacted"));
}

#[test]
fn levels_need_no_more_than_what_compaction_keeps() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("levels", 1, &EAGER);
    write(kafka, &topic, "email.list_size", 600, 3);
    wait_for_compaction(kafka, &topic, 100);
    let mut instance = Instance::start(&configuration(kafka, &topic, "", LEVELS_ONLY));
    instance.wait_ready();
    let labels = [("slice", "all"), ("window", "1h")];
    instance.wait_metrics("all lists", |metrics| {
        (metrics.one("tidegauge_list_people", &labels) == Some(30.0)).then_some(())
    });
    let metrics = instance.metrics();
    assert_eq!(metrics.one("tidegauge_coverage_ratio", &labels), Some(1.0));
    assert_eq!(metrics.sum("tidegauge_partition_gaps_total", &[]), 0.0);
}

#[test]
fn holes_are_noticed_where_nothing_says_that_a_log_is_compacted() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("holes", 1, &EAGER);
    write(kafka, &topic, "web.page_viewed", 600, 3);
    wait_for_compaction(kafka, &topic, 100);
    // The past stays as it is.
    kafka.set_topic(&topic, "cleanup.policy", "delete");
    let mut instance = Instance::start(&configuration(kafka, &topic, "", OBJECTIVE));
    instance.wait_ready();
    instance.wait_metrics("the holes", |metrics| {
        let gaps = metrics.sum("tidegauge_partition_gaps_total", &[("topic", &topic)]);
        let unknown = [("objective", "volume"), ("reason", "warming_up")];
        let unknown = metrics.one("tidegauge_objective_unknown", &unknown) == Some(1.0);
        (gaps == 1.0 && unknown).then_some(())
    });
    assert!(instance.log().contains("the log is compacted"), "{}", instance.log());
}
