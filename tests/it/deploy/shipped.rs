//! Nothing under `deploy/` is there without a reason: the page there says of each file how
//! it is tried, and what the files say of the program is what the program does.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tidegauge::config;

use super::tools::{output, root, text};

/// The first column of the page's table on tests: files, or folders with a `/` behind.
fn listed() -> Vec<String> {
    let page = text("deploy/README.md");
    let table = page.split("\n## How each is tried\n").nth(1).expect("the section");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.flat_map(|row| row.split('|').nth(1).expect("a cell").split(", "));
    cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}

#[test]
fn every_file_is_said_to_be_tried_or_why_not() {
    let listed = listed();
    let mut git = Command::new("git");
    git.args(["ls-files", "deploy"]).current_dir(root(""));
    let files = output(&mut git);
    let files: Vec<&str> = files.lines().filter_map(|file| file.strip_prefix("deploy/")).collect();
    assert!(files.len() > 30, "{files:?}");
    let said = |file: &str| {
        listed.iter().any(|one| file == one || (one.ends_with('/') && file.starts_with(one)))
    };
    let unsaid: Vec<&&str> = files.iter().filter(|file| !said(file)).collect();
    assert!(unsaid.is_empty(), "deploy/README.md does not say how these are tried: {unsaid:?}");
    let there = |one: &&String| files.iter().any(|file| file == one || file.starts_with(*one));
    let gone: Vec<&String> = listed.iter().filter(|one| !there(one)).collect();
    assert!(gone.is_empty(), "and these are not there: {gone:?}");
}

fn line(file: &str, start: &str) -> String {
    let text = text(file);
    let line = text.lines().find_map(|line| line.trim().strip_prefix(start));
    line.unwrap_or_else(|| panic!("{file} has {start:?}")).trim().to_owned()
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim_end_matches('s').parse().expect(text))
}

/// Whoever kills it waits for longer than it may take to stop.
#[test]
fn everything_waits_longer_than_a_shutdown_may_take() {
    let shipped = config::load(&root("config/tidegauge.toml")).expect("the shipped configuration");
    let deadline = Duration::from_micros(shipped.shutdown_deadline.micros().unsigned_abs());
    for (file, start) in [
        ("deploy/systemd/tidegauge.service", "TimeoutStopSec="),
        ("deploy/helm/tidegauge/values.yaml", "terminationGracePeriodSeconds:"),
        ("deploy/compose/compose.yaml", "stop_grace_period:"),
    ] {
        assert!(seconds(&line(file, start)) > deadline, "{file}");
    }
}

#[test]
fn ports_folders_and_exit_codes_are_those_of_the_program() {
    let shipped = config::load(&root("config/tidegauge.toml")).expect("the shipped configuration");
    let port = shipped.export.listen.port().to_string();
    assert_eq!(line("deploy/container/Containerfile", "EXPOSE"), port);
    assert_eq!(line("deploy/helm/tidegauge/templates/statefulset.yaml", "containerPort:"), port);
    let values: Value =
        serde_saphyr::from_str(&text("deploy/helm/tidegauge/values.yaml")).expect("values.yaml");
    assert_eq!(values["service"]["port"].to_string(), port);
    assert_eq!(line("deploy/compose/compose.yaml", "PORT:"), format!("\"{port}\""));

    let state = "/var/lib/tidegauge";
    assert_eq!(line("deploy/container/Containerfile", "VOLUME"), state);
    assert_eq!(line("deploy/systemd/tidegauge.service", "StateDirectory="), "tidegauge");
    for file in ["deploy/debian/tidegauge.toml", "deploy/compose/tidegauge.toml"] {
        assert_eq!(line(file, "directory ="), format!("\"{state}\""), "{file}");
    }

    // What a mistake in the configuration ends with is not tried again.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tidegauge.toml");
    std::fs::write(&file, "").expect("a file");
    let mut program = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    let ended = program.args(["run", "--config"]).arg(file).output().expect("it runs").status;
    let code = ended.code().expect("a code").to_string();
    assert_eq!(line("deploy/systemd/tidegauge.service", "RestartPreventExitStatus="), code);
}

/// The version of the program stands in what is made for it.
#[test]
fn versions_are_those_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    let chart: Value =
        serde_saphyr::from_str(&text("deploy/helm/tidegauge/Chart.yaml")).expect("Chart.yaml");
    assert_eq!((&chart["version"], &chart["appVersion"]), (&version.into(), &version.into()));
    let label = line("deploy/container/Containerfile", "LABEL org.opencontainers.image.version=");
    assert_eq!(label, format!("\"{version}\""));
    let images: BTreeSet<String> = text("deploy/compose/compose.yaml")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: tidegauge:"))
        .map(str::to_owned)
        .collect();
    assert_eq!(images, BTreeSet::from([version.to_owned()]));
}
