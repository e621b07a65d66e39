//! What is generated for the shipped configuration lies in `deploy/` and `docs/`,
//! fresh, and promtool and amtool accept it as it is.

use std::path::{Path, PathBuf};

use tidegauge::artifact::{self, Artifact, Inputs};
use tidegauge::config::{self, Config};

use crate::artifacts::{check, tool};
use crate::support::process::installed;
use crate::support::prometheus::program;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn shipped() -> Config {
    match config::load(&root("config/tidegauge.toml")) {
        Ok(config) => config,
        Err(problems) => panic!("the shipped configuration has mistakes:\n{problems}"),
    }
}

fn generated(make: fn(&Inputs<'_>) -> Vec<Artifact>) -> Vec<Artifact> {
    make(&shipped().artifact_inputs())
}

#[test]
fn deployed_rules_and_dashboards_are_fresh() {
    for make in [artifact::rules, artifact::rule_tests, artifact::dashboards] {
        check(&root("deploy"), &generated(make));
    }
}

#[test]
fn reference_documents_are_fresh() {
    check(&root("docs"), &generated(artifact::docs));
}

#[test]
fn promtool_accepts_what_is_deployed() {
    let folder = root("deploy/prometheus");
    let promtool = program("promtool");
    tool(&promtool, &["check", "config"], &folder.join("prometheus.yml"));
    tool(&promtool, &["test", "rules"], &folder.join("tidegauge.rules.test.yml"));
}

#[test]
fn deployed_targets_fit_the_address_that_is_listened_on() {
    let listen = shipped().export.listen;
    let text = std::fs::read_to_string(root("deploy/prometheus/targets/tidegauge.yml"))
        .expect("targets/tidegauge.yml");
    let targets: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("- ")).collect();
    let addresses: Vec<&&str> =
        targets.iter().filter(|target| !target.starts_with("targets:")).collect();
    assert_eq!(addresses, [&listen.to_string()], "scraped is what is listened on");
}

#[test]
fn alertmanager_routes_by_severity_and_owner() {
    let amtool = installed("amtool", "prometheus-alertmanager");
    let file = root("deploy/alertmanager/alertmanager.yml");
    tool(&amtool, &["check-config"], &file);
    let config = format!("--config.file={}", file.display());
    for (labels, receivers) in [
        (
            "alertname=TidegaugeObjectiveMissed severity=critical owner=email-team",
            "email-team-critical,critical",
        ),
        ("alertname=TidegaugeObjectiveMissed severity=critical owner=web-team", "critical"),
        ("alertname=TidegaugeObjectiveMissed severity=warning owner=email-team", "warning"),
        ("alertname=TidegaugeObjectiveUnknown severity=low owner=email-team", "low"),
        ("alertname=TidegaugeNoInstanceReady severity=critical", "critical"),
    ] {
        let mut arguments = vec!["config", "routes", "test", config.as_str()];
        let expected = format!("--verify.receivers={receivers}");
        arguments.push(&expected);
        arguments.extend(labels.split(' '));
        let output = std::process::Command::new(&amtool)
            .args(&arguments)
            .output()
            .expect("amtool can be run");
        assert!(
            output.status.success(),
            "{labels} should go to {receivers}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn nothing_inhibits_a_missed_objective() {
    let text = std::fs::read_to_string(root("deploy/alertmanager/alertmanager.yml"))
        .expect("alertmanager.yml");
    let targets: Vec<&str> =
        text.lines().filter(|line| line.trim_start().starts_with("target_matchers")).collect();
    assert!(!targets.is_empty(), "there are inhibitions");
    let within = |line: &&str| line.trim_start().starts_with("equal") && line.contains("env");
    assert_eq!(text.lines().filter(within).count(), targets.len(), "each is within an env");
    for target in targets {
        assert!(target.contains("alertname"), "it names what it silences: {target}");
        assert!(!target.contains(artifact::OBJECTIVE_MISSED), "it hides a miss: {target}");
    }
}
