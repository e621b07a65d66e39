//! `tidegauge demo --brokers`: the simulated campaigns in a real Kafka, and an instance
//! that watches them.

use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tidegauge::app::demo;

use crate::cli::check;
use crate::support::instance::Instance;
use crate::support::kafka::Kafka;
use crate::support::process::wait_until;

/// The first spike comes after a minute and a half.
const PATIENCE: Duration = Duration::from_secs(180);

/// The campaigns as a process.
struct Campaigns {
    child: Child,
    folder: TempDir,
}

impl Campaigns {
    fn start(brokers: &str, more: &[&str]) -> Campaigns {
        let folder = TempDir::new().expect("a folder");
        let said = File::create(folder.path().join("said")).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_tidegauge"))
            .args(["demo", "--brokers", brokers])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .expect("the program starts");
        Campaigns { child, folder }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    #[track_caller]
    fn wait_said(&self, part: &str) {
        wait_until(
            PATIENCE,
            || self.said().contains(part).then_some(()),
            || format!("{part:?} in what it says: {}", self.said()),
        );
    }

    #[track_caller]
    fn wait_for_end(&mut self) -> ExitStatus {
        let Campaigns { child, folder } = self;
        wait_until(
            PATIENCE,
            || child.try_wait().expect("a child"),
            || std::fs::read_to_string(folder.path().join("said")).unwrap_or_default(),
        )
    }
}

impl Drop for Campaigns {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(kafka: &Kafka) -> String {
    demo::CONFIG.replace("${DEMO_BROKERS}", &kafka.bootstrap()).replace("${DEMO_LISTEN}", "$LISTEN")
}

#[test]
fn campaigns_in_a_real_kafka_are_watched_and_one_objective_is_missed() {
    // The topics have fixed names, and it is waited for brokers that are not up yet.
    let mut kafka = Kafka::formatted(&[]);
    let mut campaigns = Campaigns::start(&kafka.bootstrap(), &["--partitions", "3"]);
    campaigns.wait_said("waiting: no broker answers at 127.0.0.1:");
    kafka.launch();
    campaigns.wait_said("email.sendgrid, email.ses, ");
    campaigns.wait_said("wrote the last 30m: ");
    campaigns.wait_said("the next spike begins at ");

    let mut instance = Instance::start(&configuration(&kafka));
    instance.wait_ready();
    let state = |state: &str| {
        let labels = [("objective", demo::MISSED), ("state", state)];
        let page = instance.metrics();
        page.one("tidegauge_objective_state", &labels) == Some(1.0)
    };
    wait_until(PATIENCE, || state("met").then_some(()), || campaigns.said());
    instance.metrics().assert_balanced();
    wait_until(PATIENCE, || state("missed").then_some(()), || campaigns.said());
    campaigns.wait_said("the spike begins: for 45s the readers of `spring_sale` leave");
    let page = instance.metrics();
    let missed = page.all("tidegauge_objective_state", &[("state", "missed")]);
    assert_eq!(missed.iter().sum::<f64>(), 1.0, "no other objective is missed");
    drop(instance);

    let pid = campaigns.child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    assert!(sent.success(), "the signal is sent");
    assert!(campaigns.wait_for_end().success(), "{}", campaigns.said());
    campaigns.wait_said("stopped: ");

    // A second demo goes on with the same topics; what both have written counts once.
    let mut again = Campaigns::start(&kafka.bootstrap(), &["--for", "5s", "--history", "10m"]);
    assert!(again.wait_for_end().success(), "{}", again.said());
    again.wait_said("the topics of the demo are there");
    again.wait_said("wrote the last 10m: ");
    let mut instance = Instance::start(&configuration(&kafka));
    instance.wait_ready();
    let page = instance.metrics();
    page.assert_balanced();
    assert!(page.sum("tidegauge_ledger_events", &[("outcome", "duplicate")]) > 1_000.0);
    drop(instance);

    let producer = kafka.producer(&[]);
    producer.send("email.ses", None, Some(b"{}"), &[], None).expect("sent");
    producer.flush(Duration::from_secs(30)).expect("written");
    let mixed = Campaigns::start(&kafka.bootstrap(), &[]).wait_for_end();
    assert_eq!(mixed.code(), Some(1));
    check(
        &["demo", "--brokers", &kafka.bootstrap()],
        "",
        1,
        &[],
        &["the topic `email.ses` at 127.0.0.1:", "holds records that no demo has written"],
    );
}

#[test]
fn what_has_no_meaning_together_is_refused() {
    check(
        &["demo", "--brokers", "localhost:9092", "--listen", "127.0.0.1:1"],
        "",
        2,
        &[],
        &["--listen"],
    );
    check(&["demo", "--history", "1h"], "", 2, &[], &["--brokers", "--config"]);
    check(&["demo", "--config", "/nowhere/t.toml"], "", 2, &[], &["/nowhere/t.toml"]);
}
