//! The files under `deploy/`, with a new user's address, owner and paths in them.

use std::net::SocketAddr;

use super::{Answers, CONFIGURATION, LISTEN};
use crate::artifact::{self, Artifact};
use crate::config::{Config, seen_at};

/// The owner whose own route the shipped file shows.
const OWNER: &str = "email-team";
const PROGRAM: &str = "/usr/bin/tidegauge";
const CONFIGURED: &str = "/etc/tidegauge/tidegauge.toml";
/// What `StateDirectory=tidegauge` is.
const STATE: &str = "/var/lib/tidegauge";

/// The files that belong into `deploy/`, for the configuration that was written.
pub fn deploy(answers: &Answers, config: &Config) -> Vec<Artifact> {
    let inputs = config.artifact_inputs();
    let mut files = vec![
        file("prometheus/prometheus.yml", include_str!("../../deploy/prometheus/prometheus.yml")),
        file(
            "prometheus/targets/tidegauge.yml",
            &include_str!("../../deploy/prometheus/targets/tidegauge.yml")
                .replace(LISTEN, &target(seen_at(answers.listen))),
        ),
        file(
            "prometheus/targets/alertmanager.yml",
            include_str!("../../deploy/prometheus/targets/alertmanager.yml"),
        ),
        file(
            "alertmanager/alertmanager.yml",
            &include_str!("../../deploy/alertmanager/alertmanager.yml")
                .replace(OWNER, &answers.owner),
        ),
        file(
            "grafana/provisioning/dashboards/tidegauge.yml",
            include_str!("../../deploy/grafana/provisioning/dashboards/tidegauge.yml"),
        ),
        file(
            "grafana/provisioning/datasources/tidegauge.yml",
            include_str!("../../deploy/grafana/provisioning/datasources/tidegauge.yml"),
        ),
        file("systemd/tidegauge.service", &unit(answers)),
    ];
    files.extend(artifact::rules(&inputs));
    files.extend(artifact::rule_tests(&inputs));
    files.extend(artifact::dashboards(&inputs));
    for file in &mut files {
        file.path.insert_str(0, "deploy/");
    }
    files
}

fn file(path: &str, text: &str) -> Artifact {
    Artifact { path: path.to_owned(), text: text.to_owned() }
}

fn unit(answers: &Answers) -> String {
    let shipped = include_str!("../../deploy/systemd/tidegauge.service");
    let mut unit = shipped
        .replace(CONFIGURED, &format!("{}/{CONFIGURATION}", answers.folder))
        .replace(PROGRAM, &answers.program);
    let beside = format!("{}/tidegauge-data", answers.folder);
    let state = answers.state.as_deref().unwrap_or(&beside);
    if state != STATE {
        let writable = format!(
            "# The state of this configuration: it has to be there, and this user's.\n\
             ReadWritePaths={state}\nStateDirectory="
        );
        unit = unit.replacen("StateDirectory=", &writable, 1);
    }
    let at_home = |path: &str| path.starts_with("/home/") || path.starts_with("/root/");
    if [answers.folder.as_str(), state, answers.program.as_str()].into_iter().any(at_home) {
        unit = unit.replace("ProtectHome=yes", "ProtectHome=no");
    }
    unit
}

/// As a target of Prometheus, in YAML, to which brackets are a list.
fn target(address: SocketAddr) -> String {
    if address.is_ipv6() { format!("\"{address}\"") } else { address.to_string() }
}
