//! What an event costs the whole service, from a real Apache Kafka to its figures: the
//! processor time of `tidegauge run`, divided by the events that it has read.
//!
//!     cargo bench --bench service [-- PROGRAM...]
//!
//! A topic of a million records of about 330 bytes, without headers, compressed with lz4,
//! is read from its beginning into an empty state, with copies told apart and without.
//! The time is that of all threads from the start until the service is ready, as Linux
//! counts it, so that a busy machine does not change the figures much. With the paths of
//! other builds all take turns, and the ratios to their medians are said.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::instance::{Metrics, get};
use support::kafka::{Kafka, free_port, unique};

#[allow(dead_code, reason = "the tests' servers, of which a bench needs a few")]
#[path = "../tests/it/support/mod.rs"]
mod support;
#[allow(dead_code, reason = "shared by benches of which each needs a part")]
#[path = "common/traffic.rs"]
mod traffic;

const EVENTS: usize = 1_000_000;
const PARTITIONS: i32 = 4;
const ROUNDS: usize = 7;
const DUPLICATES: [(&str, &str); 2] = [("off", "\"off\""), ("on", "\"72h\"")];
/// Events are as much as five minutes older than their records.
const AGE: u64 = 300;

/// A running `tidegauge run` of one build.
struct Running {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start(program: &Path, configuration: &str) -> Running {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("127.0.0.1:{}", free_port());
        let path = folder.path().join("tidegauge.toml");
        std::fs::write(&path, configuration.replace("$LISTEN", &address)).expect("a file");
        let child = Command::new(program)
            .args(["run", "--config"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        Running { child, address, _folder: folder }
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        get(&format!("http://{}{path}", self.address))
    }

    fn wait_ready(&self) {
        let end = Instant::now() + Duration::from_secs(120);
        while self.get("/readyz").is_none_or(|(status, _)| status != 200) {
            assert!(Instant::now() < end, "not ready within two minutes");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What its threads have spent on a processor; not those that have ended.
    fn processor_nanos(&self) -> u64 {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = std::fs::read_dir(tasks).expect("Linux's list of threads");
        let nanos = tasks.filter_map(|task| {
            let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            stat.split_whitespace().next()?.parse::<u64>().ok()
        });
        nanos.sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let mut programs = vec![PathBuf::from(env!("CARGO_BIN_EXE_tidegauge"))];
    programs.extend(arguments.iter().filter(|it| !it.starts_with("--")).map(PathBuf::from));

    let kafka = Kafka::shared();
    let topic = kafka.topic("service", PARTITIONS, &[]);
    fill(kafka, &topic);
    let mut nanos = vec![[const { Vec::new() }; DUPLICATES.len()]; programs.len()];
    for round in 0..ROUNDS {
        for (which, (name, horizon)) in DUPLICATES.iter().enumerate() {
            for turn in 0..programs.len() {
                // Each comes first as often as last.
                let of = (round + turn) % programs.len();
                let took = nanos_per_event(&programs[of], kafka, &topic, horizon);
                eprintln!("{}, duplicates {name}: {took:.0} ns", programs[of].display());
                nanos[of][which].push(took);
            }
        }
    }
    for (which, (name, _)) in DUPLICATES.iter().enumerate() {
        let medians: Vec<f64> = nanos.iter_mut().map(|of| median(&mut of[which])).collect();
        eprint!("an event, duplicates {name}: {:.0} ns", medians[0]);
        for (other, program) in medians.iter().zip(&programs).skip(1) {
            eprint!("; {}: {other:.0} ns, ratio {:.3}", program.display(), medians[0] / other);
        }
        eprintln!();
    }
}

fn median(of: &mut [f64]) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn fill(kafka: &Kafka, topic: &str) {
    let producer = kafka.producer(&[("linger.ms", "50")]);
    // Long ago: else the service is ready before all is read.
    let at = jiff::Timestamp::now().as_second() - 3_600;
    for first in (0..EVENTS).step_by(10_000) {
        for value in traffic::records(first as u64, 10_000, at, AGE) {
            producer
                .send(topic, None, Some(value.as_bytes()), &[], Some(traffic::at(at)))
                .expect("the broker takes it");
        }
    }
    producer.flush(Duration::from_secs(120)).expect("written");
}

fn nanos_per_event(program: &Path, kafka: &Kafka, topic: &str, horizon: &str) -> f64 {
    let running = Running::start(
        program,
        &format!(
            "[kafka]\nbrokers = \"{}\"\ngroup = \"{}\"\n[export]\nlisten = \"$LISTEN\"\n\
             [duplicates]\nhorizon = {horizon}\n\
             [[topics]]\nname = \"{topic}\"\nformat = \"canonical\"\n",
            kafka.bootstrap(),
            unique("service"),
        ),
    );
    running.wait_ready();
    let nanos = running.processor_nanos();
    let (_, page) = running.get("/metrics").expect("the page");
    let counted =
        Metrics::parse(&page).sum("tidegauge_ledger_events", &[("outcome", "counted")]) as usize;
    assert_eq!(counted, EVENTS, "each event is counted");
    nanos as f64 / EVENTS as f64
}
