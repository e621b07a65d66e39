//! The unit, by systemd's own judgement. That it runs is tried with the package.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::tools::{output, root};
use crate::support::process::installed;

const UNIT: &str = "deploy/systemd/tidegauge.service";

fn analyze() -> Command {
    Command::new(installed("systemd-analyze", "systemd"))
}

#[test]
fn nothing_in_the_unit_is_unknown() {
    let folder = tempfile::tempdir().expect("a folder");
    let units = folder.path().join("usr/lib/systemd/system");
    let programs = folder.path().join("usr/bin");
    fs::create_dir_all(&units).expect("a folder");
    fs::create_dir_all(&programs).expect("a folder");
    fs::copy(root(UNIT), units.join("tidegauge.service")).expect("the unit");
    // What a unit needs that is there on every machine.
    for unit in ["sysinit.target", "multi-user.target", "network-online.target"] {
        fs::write(units.join(unit), "[Unit]\n").expect("a unit");
    }
    let program = programs.join("tidegauge");
    fs::write(&program, "").expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its rights");
    let mut command = analyze();
    command.args(["verify", "--man=no", "--recursive-errors=no"]);
    command.arg(format!("--root={}", folder.path().display())).arg("tidegauge.service");
    let done = command.output().expect("systemd-analyze runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn the_unit_is_exposed_less_than_most() {
    let threshold = "--threshold=20";
    let mut command = analyze();
    command.args(["security", "--offline=true", threshold]).arg(root(UNIT));
    let table = output(&mut command);
    let line = table.lines().find(|line| line.contains("Overall exposure level"));
    assert!(line.is_some_and(|line| line.contains(" OK ")), "at most 2.0, and OK: {table}");
}
