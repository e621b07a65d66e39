//! The stack: `compose.yaml` by its schema, and its services for real, as processes with the
//! commands, files, names, users and volumes that it says, until an alert has arrived.
//!
//! Kafka runs from the jars of the image's version, with its environment turned into
//! properties as the image does it. Grafana and a container engine are not run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::network::{Network, Service, give, may_mount};
use super::tools::{output, python, root, text};
use crate::support::process::installed;

const FOLDER: &str = "deploy/compose";

/// What is not run here.
const NOT_RUN: &str = "grafana";

/// How long the whole may take until somebody is told: the broker's start, the simulator's
/// minute and a half, and the way of an alert.
const PATIENCE: Duration = Duration::from_secs(420);

fn compose() -> Value {
    serde_saphyr::from_str(&text(&format!("{FOLDER}/compose.yaml"))).expect("compose.yaml")
}

fn services(compose: &Value) -> BTreeMap<String, Value> {
    let services = compose["services"].as_object().expect("services");
    services.iter().map(|(name, service)| (name.clone(), service.clone())).collect()
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|one| one.as_str().expect("a text").to_owned()).collect()
}

#[test]
fn the_stack_fits_the_schema_and_serves_this_machine_only() {
    let mut check = python("check_jsonschema");
    check.args(["--builtin-schema", "vendor.compose-spec"]);
    output(check.arg(root(FOLDER).join("compose.yaml")));
    let compose = compose();
    for (name, service) in services(&compose) {
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        for volume in texts(&service["volumes"]) {
            let (from, _) = volume.split_once(':').expect("from and to");
            if from.starts_with('.') {
                assert!(root(FOLDER).join(from).exists(), "{name}: {from}");
                assert!(volume.ends_with(":ro"), "{name}: {volume}");
            } else {
                assert!(compose["volumes"].get(from).is_some(), "{name}: {from} is a volume");
            }
        }
    }
}

#[test]
fn the_broker_of_the_stack_is_the_one_that_is_tested() {
    let pom = text("tests/kafka/pom.xml");
    let after = pom.split("<artifactId>kafka_2.13</artifactId>").nth(1).expect("the broker");
    let version = after.split("<version>").nth(1).and_then(|rest| rest.split('<').next());
    let image = format!("apache/kafka:{}", version.expect("a version"));
    assert_eq!(compose()["services"]["kafka"]["image"], image.as_str());
}

/// The file's declarations are those of the demo, whose topics the simulator fills.
#[test]
fn the_instances_of_the_stack_read_what_the_simulator_writes() {
    let declared = |file: &str| {
        let text = text(file);
        let from = text.find("[[topics]]").expect("topics");
        let lines = text[from..].lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(declared("deploy/compose/tidegauge.toml"), declared("src/app/demo/demo.toml"));
}

#[test]
fn rules_and_dashboards_of_the_stack_are_fresh() {
    for made in ["rules", "dashboards"] {
        let mut generate = std::process::Command::new(env!("CARGO_BIN_EXE_tidegauge"));
        generate.env("PORT", "9184").args(["generate", made, "--check", "--config"]);
        generate.arg(root(FOLDER).join("tidegauge.toml"));
        output(generate.arg("--out").arg(root(FOLDER)));
    }
    let tests = root(FOLDER).join("prometheus/tidegauge.rules.test.yml");
    let mut promtool = std::process::Command::new(installed("promtool", "prometheus"));
    output(promtool.args(["test", "rules"]).arg(tests));
}

/// `KAFKA_A_B=c` is `a.b=c`; a double underscore would be one that stays.
fn properties(environment: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, value) in environment {
        if let Some(name) = name.strip_prefix("KAFKA_").filter(|name| *name != "HEAP_OPTS") {
            let name = name.to_lowercase().replace("__", "\0").replace('_', ".");
            text.push_str(&format!("{}={value}\n", name.replace('\0', "_")));
        }
    }
    text
}

/// The program that the image of a service starts, its arguments, its user, and files that
/// the image has.
struct Image {
    command: Vec<String>,
    user: &'static str,
    files: Vec<(PathBuf, String, bool)>,
}

fn image(network: &Network, name: &str, environment: &BTreeMap<String, String>) -> Image {
    let program = |path: PathBuf, user| Image {
        command: vec![path.to_string_lossy().into_owned()],
        user,
        files: Vec::new(),
    };
    match name.split(':').next().expect("a name") {
        "tidegauge" => Image {
            command: vec!["/usr/bin/tidegauge".to_owned()],
            user: "65532:65532",
            files: vec![(
                PathBuf::from(env!("CARGO_BIN_EXE_tidegauge")),
                "/usr/bin/tidegauge".to_owned(),
                true,
            )],
        },
        "prom/prometheus" => program(installed("prometheus", "prometheus"), "65534:65534"),
        "prom/alertmanager" => {
            program(installed("prometheus-alertmanager", "prometheus-alertmanager"), "65534:65534")
        }
        // Its command names the interpreter, which may lie where only this user can read.
        "python" => Image { command: Vec::new(), user: "0:0", files: Vec::new() },
        "apache/kafka" => {
            let folder = network.folder("kafka.properties");
            let file = folder.join("server.properties");
            fs::write(file, properties(environment)).expect("properties");
            let jars = root("target/kafka-jars");
            let java = format!(
                "java $KAFKA_HEAP_OPTS -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '{}/*'",
                jars.display()
            );
            let file = "/etc/kafka/server.properties";
            let script = format!(
                "{java} kafka.tools.StorageTool format -t $CLUSTER_ID -c {file} && \
                 exec {java} kafka.Kafka {file}"
            );
            Image {
                command: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec(),
                user: "0:0",
                files: vec![(folder, "/etc/kafka".to_owned(), true)],
            }
        }
        other => panic!("{other} is an image that this test does not know"),
    }
}

fn service(network: &Network, name: &str, declared: &Value) -> Service {
    let environment: BTreeMap<String, String> = declared["environment"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
        .collect();
    let image = image(network, declared["image"].as_str().expect("an image"), &environment);
    let mut mounts = image.files;
    for volume in texts(&declared["volumes"]) {
        let parts: Vec<&str> = volume.split(':').collect();
        let from = if parts[0].starts_with('.') {
            root(FOLDER).join(parts[0])
        } else {
            let folder = network.folder(&format!("volume.{}", parts[0]));
            give(&folder, image.user);
            folder
        };
        mounts.push((from, parts[1].to_owned(), parts.get(2) == Some(&"ro")));
    }
    Service {
        name: declared["hostname"].as_str().unwrap_or(name).to_owned(),
        user: image.user.to_owned(),
        command: [image.command, texts(&declared["command"])].concat(),
        environment,
        mounts,
        read_only: declared["read_only"] == true,
        image: None,
    }
}

/// The URL that the health check of a service asks for, if it asks for one.
fn health(declared: &Value) -> Option<String> {
    texts(&declared["healthcheck"]["test"]).into_iter().find(|word| word.starts_with("http://"))
}

fn conditions(declared: &Value) -> BTreeSet<String> {
    let needed = declared["depends_on"].as_object().into_iter().flatten();
    needed.map(|(name, _)| name.clone()).collect()
}

#[test]
fn within_minutes_of_its_start_the_stack_tells_somebody() {
    if !may_mount() {
        return;
    }
    let mut waiting = services(&compose());
    waiting.remove(NOT_RUN).expect("there is one");
    let names: Vec<String> = waiting.keys().cloned().collect();
    let mut network = Network::start(&names);
    let mut healthy = BTreeSet::new();
    while !waiting.is_empty() {
        let ready = |declared: &Value| conditions(declared).is_subset(&healthy);
        let next = waiting.iter().find(|(_, declared)| ready(declared));
        let name = next.expect("an order in which they can start").0.clone();
        let declared = waiting.remove(&name).expect("it is there");
        network.run(&service(&network, &name, &declared));
        if let Some(url) = health(&declared) {
            network.wait_for(&url, Duration::from_secs(60), |_| Some(()));
        } else if name == "kafka" {
            network.wait_for_port(9092, Duration::from_secs(90));
        }
        healthy.insert(name);
    }

    let objective = "spring_sale_unsubscribes";
    let told = network.wait_for("http://127.0.0.1:9095/notifications", PATIENCE, |page| {
        let notes: Value = serde_json::from_str(page).ok()?;
        let alerts = notes.as_array()?.iter().flat_map(|note| note["alerts"].as_array());
        let mut alerts = alerts.flatten().cloned();
        alerts
            .find(|alert| alert["labels"]["objective"] == objective && alert["status"] == "firing")
    });
    let summary = told["annotations"]["summary"].as_str().expect("a sentence");
    let page = network.get("http://127.0.0.1:9095/").expect("the page of notifications");
    let shown = summary.replace('&', "&amp;").replace('\'', "&#x27;");
    assert!(page.contains(&shown), "{summary}: {page}");

    // Both instances are scraped, ready, and saved on volumes of their own.
    let query = "http://127.0.0.1:9090/api/v1/query?query=tidegauge_ready";
    network.wait_for(query, Duration::from_secs(60), |answer| {
        let answer: Value = serde_json::from_str(answer).ok()?;
        let series = answer["data"]["result"].as_array()?.clone();
        let ready = series.iter().filter(|one| one["value"][1] == "1");
        let instances: BTreeSet<&str> =
            ready.filter_map(|one| one["metric"]["instance"].as_str()).collect();
        (instances == BTreeSet::from(["tidegauge-1:9184", "tidegauge-2:9185"])).then_some(())
    });
    for instance in ["tidegauge-1", "tidegauge-2"] {
        let volume = network.folder(&format!("volume.{instance}"));
        assert!(has_segments(&volume), "{instance} has saved");
    }
}

fn has_segments(volume: &Path) -> bool {
    let entries = fs::read_dir(volume).expect("a volume").flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("segment."))
}
