//! The main job, end to end: events in a real Kafka, two replicas, a real Prometheus
//! with the generated rules, a real Alertmanager, and whoever is woken.

use std::collections::VecDeque;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegauge::event::EventTime;
use tidegauge::kafka::Producer;

use crate::support::alertmanager::AlertmanagerServer;
use crate::support::instance::Instance;
use crate::support::kafka::{Kafka, unique};
use crate::support::prometheus::{PrometheusServer, PrometheusSpec};
use crate::support::webhook::WebhookReceiver;

const PATIENCE: Duration = Duration::from_secs(150);
const CAMPAIGNS: [&str; 3] = ["spring", "autumn", "welcome"];
const TARGET: f64 = 0.02;

fn configuration(kafka: &Kafka, name: &str, instance: &str) -> String {
    format!(
        r#"
instance = "{instance}"

[kafka]
brokers = "{brokers}"
group = "{name}"

[export]
listen = "$LISTEN"

[[topics]]
name = "{name}"
format = "canonical"

[slices.campaign]
replace = true
by = ["campaign"]
windows = ["1m", "1h"]

[objectives.readers_stay]
help = "At most two in a hundred delivered messages may be answered by leaving."
kpi = "unsubscribe_per_delivered"
slice = "campaign"
campaign = "*"
window = "1m"
at_most = {TARGET}
minimum_sample = 100
owner = "lifecycle-team"
severity = "critical"
runbook = "https://runbooks.example/unsubscribes"
for = "0s"
keep_firing_for = "1s"
"#,
        brokers = kafka.bootstrap()
    )
}

/// Live traffic, with its own reckoning of the last minute of one campaign.
struct Traffic {
    producer: Producer,
    topic: String,
    spiking: AtomicBool,
    stop: AtomicBool,
    crossed: Mutex<Option<Instant>>,
}

impl Traffic {
    /// Ten times a second: ten deliveries for each campaign, and for one of them two
    /// unsubscribes while it spikes.
    fn run(&self) {
        let mut number = 0_u64;
        let mut minute: VecDeque<(Instant, f64, f64)> = VecDeque::new();
        while !self.stop.load(Ordering::Relaxed) {
            let left = if self.spiking.load(Ordering::Relaxed) { 2 } else { 0 };
            for campaign in CAMPAIGNS {
                for _ in 0..10 {
                    self.send(&mut number, "email.delivered", campaign);
                }
            }
            for _ in 0..left {
                self.send(&mut number, "email.unsubscribed", CAMPAIGNS[0]);
            }
            let now = Instant::now();
            minute.push_back((now, 10.0, f64::from(left)));
            while minute.front().is_some_and(|(at, ..)| now - *at > Duration::from_secs(60)) {
                minute.pop_front();
            }
            let sum = minute.iter().fold((0.0, 0.0), |sum, of| (sum.0 + of.1, sum.1 + of.2));
            if sum.1 / sum.0 > TARGET {
                self.crossed.lock().expect("a lock").get_or_insert(now);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn send(&self, number: &mut u64, kind: &str, campaign: &str) {
        *number += 1;
        let now = EventTime::from_micros(jiff::Timestamp::now().as_microsecond());
        let value = format!(
            r#"{{"id":"{number}","type":"{kind}","time":"{now}","campaign":"{campaign}","user":"u{number}"}}"#
        );
        let key = number.to_string();
        self.producer
            .send(&self.topic, Some(key.as_bytes()), Some(value.as_bytes()), &[], Some(now))
            .expect("the broker takes it");
    }
}

/// The rules that the program generates from a configuration.
fn generated_rules(configuration: &str) -> String {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("tidegauge.toml");
    let text = configuration.replace("$LISTEN", "127.0.0.1:9184");
    std::fs::write(&path, text).expect("a file");
    let status = Command::new(env!("CARGO_BIN_EXE_tidegauge"))
        .args(["generate", "rules", "--config"])
        .arg(&path)
        .arg("--out")
        .arg(folder.path().join("out"))
        .status()
        .expect("the program runs");
    assert!(status.success());
    std::fs::read_to_string(folder.path().join("out/prometheus/tidegauge.rules.yml"))
        .expect("the rule file")
}

#[test]
fn an_unsubscribe_spike_wakes_the_owner_once_and_is_resolved() {
    let kafka = Kafka::shared();
    let name = unique("spike");
    kafka.create_topic(&name, 4, &[]);
    let mut replicas =
        ["a", "b"].map(|instance| Instance::start(&configuration(kafka, &name, instance)));
    let webhook = WebhookReceiver::start();
    let alertmanager = AlertmanagerServer::start(&webhook.url());
    let prometheus = PrometheusServer::start(PrometheusSpec {
        targets: &replicas.each_ref().map(|replica| replica.address.clone()),
        rules: Some(&generated_rules(&configuration(kafka, &name, "a"))),
        alertmanager: Some(alertmanager.base()),
        ..PrometheusSpec::default()
    });
    let traffic = Traffic {
        producer: kafka.producer(&[]),
        topic: name.clone(),
        spiking: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        crossed: Mutex::new(None),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| traffic.run());
        // The traffic ends with the test, also when that fails.
        let _stop = StopOnDrop(&traffic.stop);
        for replica in &mut replicas {
            replica.wait_ready();
        }
        let met = "sum(tidegauge_objective_state{objective=\"readers_stay\",state=\"met\"})";
        prometheus.wait_for(met, PATIENCE, |found| {
            found.first().is_some_and(|(_, met)| *met == 2.0 * CAMPAIGNS.len() as f64)
        });
        prometheus.wait_for_evaluation(PATIENCE);
        assert!(webhook.all().is_empty(), "normal traffic is silent: {:?}", webhook.all());

        traffic.spiking.store(true, Ordering::Relaxed);
        let missed = |status: &'static str| {
            webhook.wait_for(PATIENCE, |alert| {
                alert.status == status && alert.label("alertname") == "TidegaugeObjectiveMissed"
            })
        };
        let fired = missed("firing");
        traffic.spiking.store(false, Ordering::Relaxed);
        let crossed = traffic.crossed.lock().expect("a lock").expect("the target is crossed");
        eprintln!("webhook called {:?} after the target was crossed", fired.at - crossed);
        for (label, value) in [
            ("campaign", CAMPAIGNS[0]),
            ("owner", "lifecycle-team"),
            ("severity", "critical"),
            ("objective", "readers_stay"),
        ] {
            assert_eq!(fired.label(label), value, "label {label} of {fired:?}");
        }
        let summary = fired.annotation("summary");
        assert!(
            summary.contains("spring") && summary.contains("the target is at most 2%"),
            "{summary}"
        );
        let resolved = missed("resolved");
        assert_eq!(resolved.label("campaign"), CAMPAIGNS[0]);
    });
    let told = webhook.all();
    let missed: Vec<_> = told
        .iter()
        .filter(|alert| alert.label("alertname") == "TidegaugeObjectiveMissed")
        .filter(|alert| alert.receiver == "critical")
        .map(|alert| (alert.status.as_str(), alert.label("campaign")))
        .collect();
    assert!(
        missed.iter().all(|(_, campaign)| *campaign == CAMPAIGNS[0]),
        "only the spiking campaign is told of: {missed:?}"
    );
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
