//! The package, from its installation to its purge, on a Debian of its own whose systemd
//! runs the service by the shipped unit, with events of a real Kafka.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::machine::Machine;
use super::mail::{configuration, deliver, wait_delivered};
use super::network::may_mount;
use super::tools::{output, packaged, root};
use crate::support::kafka::{Kafka, free_port};
use crate::support::process::wait_until;

const CONFIGURATION: &str = "/etc/tidegauge/tidegauge.toml";

/// The package that is built, and a later one that differs in its version and in the
/// shipped configuration.
fn packages(folder: &Path) -> [PathBuf; 2] {
    packaged();
    output(&mut Command::new(root("deploy/debian/build")));
    let built = fs::read_dir(root("target/package")).expect("target/package").flatten();
    let mut built =
        built.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "deb"));
    let built = built.next().expect("a package");
    let (first, later) = (folder.join("first.deb"), folder.join("later.deb"));
    fs::copy(&built, &first).expect("a copy");
    let tree = folder.join("tree");
    output(Command::new("dpkg-deb").arg("-R").arg(&first).arg(&tree));
    for (file, from, to) in [
        ("DEBIAN/control", "\nVersion: ", "\nVersion: 9"),
        (&CONFIGURATION[1..], "[kafka]", "# Of a later version.\n[kafka]"),
    ] {
        let text = fs::read_to_string(tree.join(file)).expect(file);
        assert!(text.contains(from), "{file} has {from:?}: {text}");
        fs::write(tree.join(file), text.replacen(from, to, 1)).expect(file);
    }
    output(Command::new("dpkg-deb").args(["-b", "-Zgzip"]).arg(&tree).arg(&later));
    [first, later]
}

/// Everything on the machine that a package could leave behind: files, users, groups.
fn everything(machine: &Machine) -> BTreeSet<String> {
    let script = "find / -xdev \\( -path /var/log -o -path /var/cache -o -path /var/lib/dpkg \
                  -o -path /run -o -path /tmp -o -path /proc -o -path /sys -o -path /dev \
                  -o -path /var/lib/systemd -o -path /var/tmp \\) -prune -o -print; \
                  cat /etc/passwd /etc/group /etc/shadow";
    let text = machine.run(&["sh", "-c", script]);
    // Copies that the tools for users make of the files before.
    let kept = text.lines().filter(|line| !line.ends_with('-'));
    kept.map(str::to_owned).collect()
}

fn property(machine: &Machine, name: &str) -> String {
    machine.run(&["systemctl", "show", "--value", "-p", name, "tidegauge"]).trim().to_owned()
}

#[track_caller]
fn install(machine: &Machine, package: &Path) -> String {
    let name = package.file_name().expect("a name");
    let inside = machine.path("/root").join(name);
    fs::copy(package, inside).expect("a copy");
    let inside = format!("/root/{}", name.to_string_lossy());
    let said = machine.run(&["dpkg", "--force-confold", "--force-downgrade", "-i", &inside]);
    machine.run(&["rm", &inside]);
    said
}

/// Needs nothing that Debian 12 does not have, and leaves the configuration to its user.
#[track_caller]
fn assert_fits_debian(package: &Path) {
    let depends = output(Command::new("dpkg-deb").arg("-f").arg(package).arg("Depends"));
    for one in depends.trim().split(", ") {
        let name = one.split(' ').next().unwrap_or_default();
        assert!(["adduser", "libc6", "libgcc-s1", "tzdata"].contains(&name), "{depends}");
    }
    assert!(depends.contains("libc6 (>= 2."), "{depends}");
    let conffiles = output(Command::new("dpkg-deb").arg("-I").arg(package).arg("conffiles"));
    assert_eq!(conffiles.trim(), CONFIGURATION);
}

#[test]
fn the_package_comes_runs_changes_and_goes_without_a_trace() {
    if !may_mount() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let [first, later] = packages(folder.path());
    assert_fits_debian(&first);
    let machine = Machine::boot();
    let before = everything(&machine);

    // Installed, it neither runs nor will it by itself; it says what is to be done.
    let said = install(&machine, &first);
    assert!(said.contains("does not run yet") && said.contains("systemctl enable"), "{said}");
    assert_eq!(property(&machine, "ActiveState"), "inactive");
    assert!(!machine.said(&["systemctl", "is-enabled", "tidegauge"]).0, "it is not enabled");
    for page in
        ["usr/share/man/man1/tidegauge.1.gz", "usr/share/bash-completion/completions/tidegauge"]
    {
        assert!(machine.path(page).is_file(), "{page}");
    }

    // Started as it came, it says what is missing, once.
    assert!(!machine.said(&["systemctl", "start", "tidegauge"]).0, "nothing is configured");
    assert_eq!(property(&machine, "ExecMainStatus"), "2");
    assert_eq!(property(&machine, "NRestarts"), "0");
    assert_eq!(property(&machine, "ActiveState"), "failed");
    assert!(machine.journal().contains("`brokers` is missing"), "{}", machine.journal());

    let kafka = Kafka::shared();
    let topic = kafka.topic("package", 1, &[]);
    let port = free_port();
    let own = configuration(kafka, &topic, port);
    fs::write(machine.path(CONFIGURATION), &own).expect("the configuration");
    deliver(kafka, &topic, "1");
    machine.run(&["systemctl", "enable", "--now", "tidegauge"]);
    assert_eq!(property(&machine, "ActiveState"), "active", "it has told systemd");
    wait_delivered(port, 1.0, || machine.journal());
    let process = property(&machine, "MainPID");
    let user = machine.run(&["stat", "-c", "%U", &format!("/proc/{process}")]);
    assert_eq!(user.trim(), "tidegauge");
    wait_until(
        Duration::from_secs(30),
        || property(&machine, "StatusText").starts_with("ready").then_some(()),
        || format!("{:?}", property(&machine, "StatusText")),
    );

    // Upgraded and rolled back it is another process each time, on the same state, by the
    // user's own configuration.
    let mut process = process;
    for (round, package) in [&later, &first].into_iter().enumerate() {
        install(&machine, package);
        let next = property(&machine, "MainPID");
        assert_ne!(next, process, "it runs anew");
        process = next;
        let kept = fs::read_to_string(machine.path(CONFIGURATION)).expect("the configuration");
        assert_eq!(kept, own);
        // A copy of the first event is told only by what was saved.
        deliver(kafka, &topic, "1");
        deliver(kafka, &topic, &format!("after {round}"));
        wait_delivered(port, 2.0 + round as f64, || machine.journal());
    }

    machine.run(&["dpkg", "-r", "tidegauge"]);
    assert!(!machine.path("/usr/bin/tidegauge").exists());
    assert!(!machine.said(&["test", "-e", &format!("/proc/{process}")]).0, "it has ended");
    let kept = machine.run(&["ls", "/var/lib/tidegauge"]);
    assert!(kept.contains("segment."), "the state is kept: {kept}");
    assert!(machine.path(CONFIGURATION).is_file(), "and the configuration");

    machine.run(&["dpkg", "-P", "tidegauge"]);
    let after = everything(&machine);
    let left: Vec<&String> = after.difference(&before).collect();
    let gone: Vec<&String> = before.difference(&after).collect();
    assert!(left.is_empty() && gone.is_empty(), "left: {left:?}; gone: {gone:?}");
}
