//! One delivery after another, and how many an instance counts.

use std::time::Duration;

use tidegauge::event::EventTime;

use crate::support::instance::{Metrics, get};
use crate::support::kafka::Kafka;
use crate::support::process::wait_until;

/// Writes a delivery of the campaign `spring`, at this moment.
pub(super) fn deliver(kafka: &Kafka, topic: &str, id: &str) {
    let now = jiff::Timestamp::now();
    let event = serde_json::json!({
        "id": id, "type": "email.delivered", "time": now.to_string(), "campaign": "spring",
    });
    let producer = kafka.producer(&[]);
    let at = EventTime::from_millis(now.as_millisecond());
    producer
        .send(topic, None, Some(event.to_string().as_bytes()), &[], Some(at))
        .expect("it is sent");
    producer.flush(Duration::from_secs(30)).expect("it is written");
}

/// Waits until an instance has counted as many of them.
#[track_caller]
pub(super) fn wait_delivered(port: u16, wanted: f64, tell: impl FnOnce() -> String) {
    let labels = [("campaign", "spring"), ("window", "1h")];
    wait_until(
        Duration::from_secs(60),
        || {
            let (_, page) = get(&format!("http://127.0.0.1:{port}/metrics"))?;
            let counted =
                Metrics::parse(&page).one("tidegauge_measure_delivered_messages", &labels);
            (counted == Some(wanted)).then_some(())
        },
        tell,
    );
}

/// What an instance needs to count them; its state is in the place of packages and images.
pub(super) fn configuration(kafka: &Kafka, topic: &str, port: u16) -> String {
    format!(
        "instance = \"{topic}\"\n\n[kafka]\nbrokers = \"{}\"\n\n[state]\ndirectory = \
         \"/var/lib/tidegauge\"\n\n[export]\nlisten = \"127.0.0.1:{port}\"\n\n[[topics]]\nname = \
         \"{topic}\"\nformat = \"canonical\"\n",
        kafka.bootstrap()
    )
}
