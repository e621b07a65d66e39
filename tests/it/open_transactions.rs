//! What lies behind an open transaction cannot be read, and no figure may look as if it
//! had been: on a real Apache Kafka, through the program.

use std::time::Duration;

use tidegauge::event::{EventTime, Span};

use crate::service::now;
use crate::support::instance::{Instance, Metrics};
use crate::support::kafka::{Kafka, unique};
use crate::support::transactions::Transactional;

const OPEN_FOR: Duration = Duration::from_secs(120);

/// One record of the format `sendgrid`.
fn mail(kind: &str, id: usize, at: EventTime) -> String {
    let secs = at.millis() / 1_000;
    format!(
        r#"[{{"email":"{id}@example.org","timestamp":{secs},"event":"{kind}","sg_event_id":"{kind}-{id}","sg_message_id":"m-{id}","category":"spring"}}]"#
    )
}

/// One record of the format `ga4_mp`.
fn view(id: usize, at: EventTime) -> String {
    let micros = at.micros();
    format!(
        r#"{{"client_id":"c-{id}","timestamp_micros":{micros},"events":[{{"name":"page_view","params":{{"campaign":"spring"}}}}]}}"#
    )
}

struct Topics {
    kafka: &'static Kafka,
    name: String,
}

impl Topics {
    fn create(name: &str) -> Topics {
        let topics = Topics { kafka: Kafka::shared(), name: unique(name) };
        for topic in ["sent", "left", "web"] {
            topics.kafka.create_topic(&topics.of(topic), 1, &[]);
        }
        topics
    }

    fn of(&self, topic: &str) -> String {
        format!("{}.{topic}", self.name)
    }

    fn configuration(&self, stale_after_of_mail: &str) -> String {
        format!(
            r#"
instance = "a"

[kafka]
brokers = "{brokers}"
group = "{name}"

[export]
listen = "$LISTEN"

[state]
directory = "off"

[time]
stale_after = "5s"

[[topics]]
name = ["{name}.sent", "{name}.left"]
format = "sendgrid"
stale_after = "{stale_after_of_mail}"

[[topics]]
name = "{name}.web"
format = "ga4_mp"

[objectives.leaving]
kpi = "unsubscribe_per_delivered"
slice = "all"
window = "1h"
at_most = 0.005
minimum_sample = 100
owner = "email-team"

[objectives.views]
kpi = "page_views"
slice = "all"
window = "1h"
at_least = 10
owner = "web-team"
"#,
            brokers = self.kafka.bootstrap(),
            name = self.name,
        )
    }

    fn write(&self, topic: &str, values: impl Iterator<Item = String>) {
        let producer = self.kafka.producer(&[]);
        for value in values {
            producer
                .send(&self.of(topic), None, Some(value.as_bytes()), &[], Some(now()))
                .expect("it is taken");
        }
        producer.flush(Duration::from_secs(30)).expect("it is written");
    }

    fn write_in(&self, transaction: &Transactional, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let value = mail("delivered", number, now() - Span::from_secs(1));
            transaction.write(&self.of("sent"), 0, &value, now());
        }
        transaction.flush();
    }
}

fn state<'a>(metrics: &Metrics, objective: &str, states: &[&'a str]) -> Option<&'a str> {
    let family = "tidegauge_objective_state";
    states.iter().copied().find(|state| {
        metrics.one(family, &[("objective", objective), ("state", state)]) == Some(1.0)
    })
}

fn unknown_because(metrics: &Metrics, objective: &str, reason: &str) -> bool {
    let labels = [("objective", objective), ("reason", reason)];
    state(metrics, objective, &["unknown"]).is_some()
        && metrics.one("tidegauge_objective_unknown", &labels) == Some(1.0)
}

const JUDGED: [&str; 3] = ["met", "at_risk", "missed"];

fn as_of(metrics: &Metrics) -> f64 {
    metrics.one("tidegauge_as_of_timestamp_seconds", &[]).expect("there are figures")
}

#[test]
fn nothing_is_judged_by_what_an_open_transaction_leaves_to_be_seen() {
    let topics = Topics::create("open");
    let transaction = Transactional::start(topics.kafka, OPEN_FOR);
    transaction.begin();
    topics.write_in(&transaction, 0..500);
    transaction.commit();
    topics.write("web", (0..20).map(|id| view(id, now())));

    let mut instance = Instance::start(&topics.configuration("5s"));
    instance.wait_ready();
    instance.wait_metrics("nobody has left", |page| {
        (state(page, "leaving", &JUDGED) == Some("met")).then_some(())
    });

    // Nearly a thousand are delivered for four that leave; most of that is not committed.
    transaction.begin();
    topics.write_in(&transaction, 500..1_100);
    let open_since = now().as_secs_f64();
    topics.write("sent", (1_100..1_110).map(|id| mail("delivered", id, now())));
    topics.write("left", (0..4).map(|id| mail("unsubscribe", id, now())));
    instance.wait_metrics("its being stale", |page| {
        // Before that the brokers were not asked again: that is a matter of a second.
        if !page.all("tidegauge_partition_open_transaction_seconds", &[]).is_empty() {
            assert_ne!(state(page, "leaving", &JUDGED), Some("missed"), "by what can be seen");
        }
        unknown_because(page, "leaving", "stale").then_some(())
    });
    let page = instance.metrics();
    assert!(as_of(&page) <= open_since + 2.0, "nobody knows what is behind it");
    let partition = [("topic", topics.of("sent")), ("partition", "0".to_owned())];
    let partition = partition.each_ref().map(|(name, value)| (*name, value.as_str()));
    instance.wait_metrics("its being open for some time", |page| {
        let open = page.one("tidegauge_partition_open_transaction_seconds", &partition);
        open.is_some_and(|seconds| seconds >= 3.0).then_some(())
    });
    let lag = page.one("tidegauge_partition_lag_records", &partition);
    assert_eq!(lag, Some(610.0), "the end of a partition is its high watermark");
    assert_eq!(page.all("tidegauge_partition_open_transaction_seconds", &[]).len(), 1);
    let (status, readiness) = instance.get("/readyz").expect("an answer");
    assert_eq!(status, 503, "{readiness}");
    let (_, html) = instance.get("/").expect("the page");
    for text in [&readiness, &html, &instance.log()] {
        assert!(text.contains("open transaction"), "{text}");
        assert!(text.contains(&topics.of("sent")), "{text}");
    }

    transaction.commit();
    instance.wait_metrics("all that was committed", |page| {
        let delivered = [("slice", "all"), ("window", "1h")];
        let delivered = page.one("tidegauge_measure_delivered_messages", &delivered);
        (state(page, "leaving", &JUDGED) == Some("met") && delivered == Some(1_110.0)).then_some(())
    });
    assert!(instance.metrics().all("tidegauge_partition_open_transaction_seconds", &[]).is_empty());

    // What is aborted never counts, and what lies behind it does.
    transaction.begin();
    topics.write_in(&transaction, 2_000..2_100);
    topics.write("sent", (1_110..1_120).map(|id| mail("delivered", id, now())));
    transaction.abort();
    instance.wait_metrics("what lies behind the aborted one", |page| {
        let delivered = [("slice", "all"), ("window", "1h")];
        let delivered = page.one("tidegauge_measure_delivered_messages", &delivered);
        let fresh = as_of(page) > now().as_secs_f64() - 3.0;
        (fresh && delivered == Some(1_120.0)).then_some(())
    });
    instance.wait_ready();
}

#[test]
fn a_topic_that_may_be_behind_does_not_blind_what_does_not_rest_on_it() {
    let topics = Topics::create("slow");
    let transaction = Transactional::start(topics.kafka, OPEN_FOR);
    topics.write("sent", (0..500).map(|id| mail("delivered", id, now())));
    topics.write("web", (0..20).map(|id| view(id, now())));
    let mut patient = Instance::start(&topics.configuration("10m"));
    let mut impatient = Instance::start(
        &topics
            .configuration("6s")
            .replace("[[topics]]\nname = \"", "[[topics]]\nstale_after = \"10m\"\nname = \""),
    );
    patient.wait_ready();
    impatient.wait_ready();

    transaction.begin();
    topics.write_in(&transaction, 500..600);
    // Behind by less than the ten minutes that somebody allows.
    impatient.wait_metrics("mail being stale, and nothing else", |page| {
        let web = state(page, "views", &JUDGED) == Some("met");
        (unknown_because(page, "leaving", "stale") && web).then_some(())
    });
    let behind = |page: &Metrics| {
        page.one("tidegauge_topic_behind_seconds", &[("topic", &topics.of("sent"))])
            .is_some_and(|behind| behind > 7.0)
    };
    patient.wait_metrics("being behind", |page| behind(page).then_some(()));
    let page = patient.metrics();
    assert_eq!(state(&page, "leaving", &JUDGED), Some("met"), "figures hold for `as_of`");
    assert_eq!(state(&page, "views", &JUDGED), Some("met"));
    let stale_after = |topic: &str| {
        page.one("tidegauge_topic_stale_after_seconds", &[("topic", &topics.of(topic))])
    };
    assert_eq!((stale_after("sent"), stale_after("web")), (Some(600.0), Some(5.0)));
    for instance in [&mut patient, &mut impatient] {
        instance.wait_ready();
    }
    transaction.abort();
}
