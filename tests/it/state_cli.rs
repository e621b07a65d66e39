//! `tidegauge state`: what an operator sees of saved state, takes out of it, and does
//! to it, with the real program; where it takes a run to have one, on a real Kafka.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tidegauge::app::Head;
use tidegauge::checkpoint::{Directory, Home as _, ListAddition, ListName, Step};
use tidegauge::event::{EventTime, Span};

use crate::cli::{check, tidegauge};
use crate::service::now;
use crate::support::instance::Instance;
use crate::support::kafka::{Kafka, free_address};
use crate::support::process::wait_until;
use crate::support::proxy::Proxy;

/// A configuration file and the directory of its state, in a folder of their own.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) text: String,
}

impl Place {
    fn new(brokers: &str, topic: &str) -> Place {
        let folder = TempDir::new().expect("a folder");
        let text = format!(
            "instance = \"a\"\n[kafka]\nbrokers = \"{brokers}\"\ngroup = \"{topic}\"\n\
             [export]\nlisten = \"$LISTEN\"\n[state]\ndirectory = \"{}\"\n\
             checkpoint_every = \"200ms\"\n[[topics]]\nname = \"{topic}\"\nformat = \"canonical\"\n",
            folder.path().join("state").display()
        );
        let place = Place { folder, text };
        fs::write(place.config_path(), place.text.replace("$LISTEN", "127.0.0.1:0"))
            .expect("a file");
        place
    }

    /// Without a broker.
    pub(crate) fn alone() -> Place {
        Place::new("127.0.0.1:9", "mail")
    }

    fn config_path(&self) -> PathBuf {
        self.folder.path().join("tidegauge.toml")
    }

    fn config(&self) -> String {
        self.config_path().to_string_lossy().into_owned()
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32, out: &[&str], error: &[&str]) {
        let config = self.config();
        let all = [&["state"], arguments, &["--config", &config]].concat();
        check(&all, "", code, out, error);
    }

    #[track_caller]
    pub(crate) fn show(&self) -> Value {
        let output = tidegauge(&["state", "show", "--json", "--config", &self.config()], "");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{error}");
        serde_json::from_slice(&output.stdout).expect("a JSON document")
    }

    /// A state in which nothing was counted, which needs no broker.
    #[track_caller]
    pub(crate) fn begin_a_state(&self) {
        self.check(&["reset", "--from", "1h"], 0, &["begins anew with the records since"], &[]);
    }

    /// Adds a step with so many ids to such a state.
    pub(crate) fn remember(&self, ids: u64) {
        let mut directory = Directory::open(&self.state(), None).expect("it is free");
        let mut found = directory.recover().expect("it is whole").expect("a checkpoint");
        let last = found.steps.next_step().expect("it is whole").expect("a step");
        let family =
            Head::decode(&found.head).expect("a head").ids_step.expect("ids are remembered");
        let list = ListName { family, number: now().micros() / family };
        let items = (0..ids).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let step = Step {
            sequence: found.sequence + 1,
            made_at: now(),
            schema: last.schema.into(),
            changes: last.changes.to_vec(),
            head: found.head,
            additions: vec![ListAddition { list, items }],
            dropped: Vec::new(),
            begins_cycle: false,
        };
        directory.append(&step).expect("it is written");
    }

    /// A file of the state whose name begins so.
    fn file(&self, begins: &str) -> PathBuf {
        let is_meant = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begins))
        };
        let mut files = fs::read_dir(self.state()).expect("a directory").flatten();
        files.find_map(|entry| Some(entry.path()).filter(is_meant)).expect("a file")
    }

    fn change_segment(&self, change: impl FnOnce(&mut Vec<u8>)) {
        self.change("segment.", change);
    }

    /// Changes a bit of the last id of its list.
    pub(crate) fn damage_ids(&self) {
        self.change("list.", |bytes| {
            let at = bytes.len() - 3;
            bytes[at] ^= 0x10;
        });
    }

    fn change(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.file(file);
        let mut bytes = fs::read(&path).expect("a segment");
        change(&mut bytes);
        fs::write(path, bytes).expect("it is written");
    }

    /// The names of the files that are there, that of the lock left out.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state()).expect("a directory").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name != "lock").collect();
        names.sort();
        names
    }
}

fn produce(kafka: &Kafka, topic: &str, ids: std::ops::Range<usize>, at: EventTime) {
    let producer = kafka.producer(&[]);
    for id in ids {
        let kind = ["email.delivered", "email.delivered", "email.unsubscribed"][id % 3];
        let event = format!(
            r#"{{"id":"number-{id}","type":"{kind}","time":"{at}","campaign":"spring","user":"person-{id}"}}"#
        );
        producer
            .send(topic, None, Some(event.as_bytes()), &[], Some(at))
            .expect("the broker takes it");
    }
    producer.flush(Duration::from_secs(30)).expect("all is written");
}

fn run_until_counted(place: &Place, events: f64) -> Instance {
    let mut instance = Instance::start(&place.text);
    instance.wait_ready();
    instance.wait_metrics("all events", |metrics| {
        let counted = metrics.sum("tidegauge_ledger_events", &[("outcome", "counted")]);
        (counted == events).then_some(())
    });
    instance
}

fn counted(shown: &Value) -> u64 {
    let topics = shown["checkpoint"]["topics"].as_array().cloned().unwrap_or_default();
    let events = topics.iter().flat_map(|topic| topic["events"].as_array().cloned());
    let events = events.flatten().filter(|of| of["outcome"] == "counted");
    events.filter_map(|of| of["count"].as_u64()).sum()
}

#[track_caller]
fn finish(instance: Instance) {
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn a_saved_state_is_shown_written_out_and_removed() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("state", 2, &[]);
    produce(kafka, &topic, 0..60, now() - Span::from_secs(120));
    let place = Place::new(&kafka.bootstrap(), &topic);
    let instance = run_until_counted(&place, 60.0);

    // Beside the running instance.
    let shown = wait_until(
        Duration::from_secs(20),
        || Some(place.show()).filter(|shown| counted(shown) == 60),
        || format!("all events in a checkpoint: {}", place.show()),
    );
    assert!(shown["used_by"]["pid"].is_u64(), "{shown}");
    place.check(&["show"], 0, &["used by        process "], &[]);
    place.check(&["export"], 0, &[r#""kind":"figures""#], &[]);
    place.check(&["reset", "--yes"], 1, &[], &["is used by another process"]);
    finish(instance);

    let shown = place.show();
    let (checkpoint, of) = (&shown["checkpoint"], &shown["checkpoint"]["topics"][0]);
    assert_eq!(counted(&shown), 60, "{shown}");
    assert!(shown["used_by"].is_null(), "{shown}");
    assert!(checkpoint["cluster"].is_string() && checkpoint["as_of"].is_string(), "{shown}");
    assert_eq!(checkpoint["ids"]["remembered"], 60, "{shown}");
    assert_eq!((&of["topic"], &of["balances"]), (&Value::from(&*topic), &Value::from(true)));
    let partitions = of["partitions"].as_array().expect("partitions");
    let offsets = partitions.iter().map(|of| of["next_offset"].as_i64().expect("an offset"));
    assert_eq!((partitions.len(), offsets.sum::<i64>()), (2, 60), "{shown}");
    place.check(
        &["show"],
        0,
        &["used by        nobody", "60 remembered, for 3d", "both ledgers balance", "60 counted"],
        &[],
    );

    let figures = tidegauge(&["state", "export", "--config", &place.config()], "");
    let text = String::from_utf8(figures.stdout).expect("text");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(lines[0]["kind"], "state");
    assert_eq!(counted(&lines[0]), 60);
    let spring = lines.iter().find(|line| {
        line["slice"] == "campaign"
            && line["window"] == "1h"
            && line["values"]["campaign"] == "spring"
    });
    let spring = spring.unwrap_or_else(|| panic!("the campaign: {text}"));
    assert_eq!(spring["measures"]["delivered"], 40, "{spring}");
    assert_eq!(spring["kpis"]["unsubscribe_per_delivered"]["value"], 0.5, "{spring}");
    assert_eq!(spring["kpis"]["unsubscribe_per_delivered"]["sample"], 40.0, "{spring}");
    assert!(!text.contains("person-") && !text.contains("number-"), "{text}");
    let out = place.folder.path().join("figures.jsonl");
    place.check(&["export", "--out", &out.to_string_lossy()], 0, &[], &[]);
    let written = fs::read_to_string(out).expect("figures");
    assert_eq!(
        written.lines().skip(1).collect::<Vec<_>>(),
        text.lines().skip(1).collect::<Vec<_>>()
    );

    fs::write(place.state().join("notes.txt"), "mine").expect("a file");
    place.check(&["reset"], 2, &[], &["60 counted events of one topic", &topic, "--yes"]);
    assert_eq!(counted(&place.show()), 60);
    place.check(
        &["reset", "--yes"],
        0,
        &["removed from", "60 counted events of one topic", "the next start begins anew"],
        &[],
    );
    assert_eq!(place.files(), ["notes.txt"]);
    place.check(&["show"], 0, &["none yet: this directory"], &[]);
    place.check(&["reset"], 0, &["nothing is saved"], &[]);

    // Nothing is left by which the same events could be taken for copies.
    finish(run_until_counted(&place, 60.0));
}

#[test]
fn a_reset_can_say_where_reading_begins() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("from", 1, &[]);
    produce(kafka, &topic, 0..40, now() - Span::from_secs(3 * 3_600));
    produce(kafka, &topic, 40..70, now() - Span::from_secs(600));
    let place = Place::new(&kafka.bootstrap(), &topic);
    finish(run_until_counted(&place, 70.0));

    let before = now();
    place.check(
        &["reset", "--yes", "--from", "1h"],
        0,
        &["begins anew with the records since"],
        &[],
    );
    assert!(place.show()["checkpoint"]["start_from"].is_string());
    let instance = run_until_counted(&place, 30.0);
    let metrics = instance.metrics();
    assert_eq!(metrics.sum("tidegauge_ledger_records", &[("outcome", "read")]), 30.0);
    let covered =
        metrics.one("tidegauge_covered_from_timestamp_seconds", &[]).expect("it is known");
    let asked = (before - Span::from_secs(3_600)).as_secs_f64();
    assert!((asked - 1.0..asked + 60.0).contains(&covered), "{covered} for {asked}");
    let coverage =
        |window| metrics.one("tidegauge_coverage_ratio", &[("slice", "all"), ("window", window)]);
    assert!(coverage("6h").is_some_and(|of| of > 0.1 && of < 0.3), "{:?}", coverage("6h"));
    assert_eq!(coverage("5m"), Some(1.0));
    assert_eq!(metrics.sum("tidegauge_backfill_running", &[]), 0.0, "nothing is new");
    finish(instance);
    assert_eq!(counted(&place.show()), 30);

    // What was asked for outlives the next start.
    finish(run_until_counted(&place, 30.0));
}

#[test]
fn what_is_not_there_is_said() {
    let place = Place::alone();
    place.check(&["show"], 1, &[], &["holds no saved state", "look at --directory"]);
    place.check(&["reset"], 0, &["nothing is saved: there is no"], &[]);
    assert!(!place.state().exists());
    fs::create_dir(place.state()).expect("a directory");
    place.check(
        &["show"],
        0,
        &["checkpoint     none yet: this directory holds no saved state"],
        &[],
    );
    place.check(&["export"], 0, &[], &["nothing is saved in"]);
    assert!(place.show()["checkpoint"].is_null());
    let directory = place.state().to_string_lossy().into_owned();
    check(&["state", "show", "--directory", &directory], "", 0, &["none yet"], &[]);
    check(&["state", "show"], "", 2, &[], &["--config"]);
    fs::write(
        place.config_path(),
        place.text.replace("$LISTEN", "127.0.0.1:0").replace(&directory, "off"),
    )
    .expect("a file");
    place.check(&["show"], 2, &[], &["saves no state"]);
}

#[test]
fn a_beginning_that_cannot_be_meant_is_refused() {
    let place = Place::alone();
    place.check(&["reset", "--from", "yesterday"], 2, &[], &["neither a time nor a duration"]);
    place.check(&["reset", "--from", "2999-01-01T00:00:00Z"], 2, &[], &["lies ahead"]);
    assert!(!place.state().exists());
    place.begin_a_state();
    place.check(&["show"], 0, &["begins at", "figures as of  none yet"], &[]);
    place.check(&["export"], 0, &[r#""start_from":"#], &[]);
    let copy = place.folder.path().join("copy").to_string_lossy().into_owned();
    place.check(&["reset", "--from", "2026-01-02", "--directory", &copy], 0, &["begins anew"], &[]);
    place.check(&["export", "--directory", &copy], 0, &["2026-01-02T00:00:00Z"], &[]);
    assert_ne!(place.show()["checkpoint"]["start_from"], "2026-01-02T00:00:00Z");
    let long_ago = ["reset", "--yes", "--from", "2026-01-01T00:00:00Z"];
    place.check(&long_ago, 0, &["since 2026-01-01T00:00:00Z"], &[]);
    assert_eq!(place.show()["checkpoint"]["start_from"], "2026-01-01T00:00:00Z");
}

#[test]
fn a_damaged_state_can_only_be_removed() {
    let place = Place::alone();
    place.begin_a_state();
    place.change_segment(|bytes| {
        let at = bytes.len() - 3;
        bytes[at] ^= 0x10;
    });
    place.check(&["show"], 1, &[], &["is damaged", "tidegauge state reset"]);
    place.check(&["export"], 1, &[], &["is damaged"]);
    place.check(&["reset"], 2, &[], &["cannot be read", "is damaged", "--yes"]);
    place.check(&["show"], 1, &[], &["is damaged"]);
    place.check(&["reset", "--yes"], 0, &["removed from"], &[]);
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn damaged_ids_are_found_by_whoever_looks_at_all_of_it() {
    let place = Place::alone();
    place.begin_a_state();
    place.remember(1_000);
    place.check(&["show"], 0, &["1,000 remembered, for 3d (not looked at: --all reads"], &[]);
    place.check(&["show", "--all"], 0, &["1,000 remembered, for 3d\n"], &[]);
    assert_eq!(place.show()["checkpoint"]["ids"]["looked_at"], false);
    place.check(&["show", "--all", "--json"], 0, &[r#""looked_at":true"#], &[]);
    place.damage_ids();
    place.check(&["show"], 0, &["(not looked at: --all reads them too)"], &[]);
    let says = ["the checksum of the 1000 items", "tidegauge state reset"];
    place.check(&["show", "--all"], 1, &[], &says);
    place.check(&["show", "--all", "--json"], 1, &[], &says);
    check(&["run", "--config", &place.config()], "", 1, &[], &says);
}

#[test]
fn a_state_of_a_newer_version_can_be_removed() {
    let place = Place::alone();
    place.begin_a_state();
    place.change_segment(|bytes| {
        bytes[8..12].copy_from_slice(&99_u32.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..12]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    });
    place.check(&["show"], 1, &[], &["has version 99", "run the newer program"]);
    place.check(&["reset", "--from", "1h"], 2, &[], &["cannot be read", "version 99", "--yes"]);
    place.check(&["reset", "--from", "1h", "--yes"], 0, &["begins anew"], &[]);
    place.check(&["show"], 0, &["begins at"], &[]);
}

#[test]
fn a_state_of_another_hash_key_is_shown_but_not_written_out() {
    let place = Place::alone();
    place.begin_a_state();
    let text = place.text.replace("$LISTEN", "127.0.0.1:0");
    fs::write(place.config_path(), text.replace("group = \"mail\"", "group = \"other\""))
        .expect("a file");
    place.check(&["show"], 0, &["begins at"], &[]);
    place.check(&["export"], 1, &[], &["saved under another hash key"]);
}

#[test]
fn a_directory_in_use_is_left_alone() {
    let place = Place::alone();
    place.begin_a_state();
    let held = Directory::open(&place.state(), None).expect("it is free");
    place.check(
        &["reset", "--yes"],
        1,
        &[],
        &["is used by another process", "stop that one first"],
    );
    place.check(&["show"], 0, &[&format!("process {}", std::process::id())], &[]);
    assert_eq!(place.show()["used_by"]["pid"], std::process::id());
    drop(held);
    place.check(&["reset", "--yes"], 0, &["removed from"], &[]);
}

/// Runs it at a terminal of its own; gives the exit code and all that is to be seen.
fn at_a_terminal(place: &Place, answer: &str) -> (Option<i32>, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_tidegauge")).display();
    let mut child = Command::new("script")
        .args([
            "-qec",
            &format!("'{program}' state reset --config '{}'", place.config()),
            "/dev/null",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script, which makes a terminal (Debian: apt-get install bsdutils)");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(answer.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    drop(input);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn at_a_terminal_it_asks() {
    let place = Place::alone();
    place.begin_a_state();
    for (answer, code, says) in [
        ("no\n", Some(1), "nothing was removed"),
        ("\n", Some(1), "nothing was removed"),
        ("yes\n", Some(0), "removed from"),
    ] {
        let (ended, seen) = at_a_terminal(&place, answer);
        assert_eq!(ended, code, "{answer:?}: {seen}");
        assert!(seen.contains("Remove it? [y/N] ") && seen.contains(says), "{answer:?}: {seen}");
    }
}

#[test]
fn brokers_of_another_cluster_at_the_same_address_are_not_read() {
    let proxy = Proxy::start(free_address());
    let mut first = Kafka::start_behind(&proxy);
    first.create_topic("mail", 1, &[]);
    produce(&first, "mail", 0..20, now() - Span::from_secs(60));
    let place = Place::new(&proxy.address().to_string(), "mail");
    let instance = run_until_counted(&place, 20.0);
    first.kill();
    let second = Kafka::start_behind(&proxy);
    second.create_topic("mail", 1, &[]);
    produce(&second, "mail", 100..110, now());
    let (status, log) = instance.wait_for_end(Duration::from_secs(60));
    assert!(!status.success() && log.contains("the saved state is of the cluster"), "{log}");
    assert!(!log.contains("created again"), "{log}");
    assert_eq!(counted(&place.show()), 20);
    drop(second);
    first.launch();
    finish(run_until_counted(&place, 20.0));
}

#[test]
fn a_configuration_can_ask_for_every_version_that_can_be_written() {
    let can_be_asked_for: Vec<u32> = tidegauge::config::STATE_VERSIONS.collect();
    assert_eq!(can_be_asked_for, tidegauge::checkpoint::WRITABLE);
}
