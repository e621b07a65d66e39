//! The chart: linted, rendered with several sets of values, and what it renders held
//! against Kubernetes' schemas, promtool, and the program itself.
//!
//! The kinds of the Prometheus operator have no schema here; of these the rules and
//! dashboards are held against the files that they are made of.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::tools::{output, python, root, said, text, tool};
use crate::support::process::installed;

const CHART: &str = "deploy/helm/tidegauge";

/// Versions of Kubernetes whose schemas are asked: the oldest that the chart takes, as far
/// back as the schemas go, and a new one.
const VERSIONS: [&str; 2] = ["1.25.0", "1.34.0"];

/// Kinds that Kubernetes itself does not know.
const FOREIGN: [&str; 2] = ["PodMonitor", "PrometheusRule"];

/// Everything at once.
const ALL: &[&str] = &[
    "podMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "dashboards.enabled=true",
    "web.secret=kpis-web",
    "web.scheme=HTTPS",
    "antiAffinity=required",
    "persistence.storageClassName=fast",
    "serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn=arn:aws:iam::1:role/kpis",
    "secrets[0].name=kafka-password",
    "secrets[0].secret=kafka-credentials",
    "secrets[0].key=password",
    "env[0].name=REGION",
    "env[0].value=eu",
    "networkPolicy.egress[0].ports[0].port=9093",
    "nodeSelector.disk=ssd",
    "tolerations[0].key=kpis",
    "tolerations[0].operator=Exists",
    "podAnnotations.team=kpis",
];

/// As little as can be.
const LEAST: &[&str] = &[
    "replicas=1",
    "persistence.enabled=false",
    "antiAffinity=none",
    "topologySpreadConstraints=null",
    "podDisruptionBudget.enabled=false",
    "networkPolicy.enabled=false",
    "serviceAccount.create=false",
];

fn template(settings: &[&str], version: &str) -> Command {
    let mut helm = tool("helm");
    helm.args(["template", "kpis"]).arg(root(CHART)).args(["--kube-version", version]);
    for setting in settings {
        helm.args(["--set", setting]);
    }
    helm
}

/// Everything that the chart renders.
#[track_caller]
fn rendered(settings: &[&str]) -> Vec<Value> {
    let yaml = output(&mut template(settings, VERSIONS[1]));
    let objects: Vec<Value> = yaml
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).expect(document))
        .filter(|document: &Value| !document.is_null())
        .collect();
    assert!(objects.len() > 3, "{yaml}");
    objects
}

/// The one of this kind whose name ends so.
#[track_caller]
fn the<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is = |object: &&Value| {
        let named = object["metadata"]["name"].as_str().unwrap_or_default();
        object["kind"] == kind && named.ends_with(name)
    };
    objects.iter().find(is).unwrap_or_else(|| panic!("a {kind} {name}"))
}

#[test]
fn the_linter_has_nothing_to_say() {
    for settings in [&[][..], ALL, LEAST] {
        let mut helm = tool("helm");
        helm.args(["lint", "--strict", "--kube-version", VERSIONS[1]]).arg(root(CHART));
        for setting in settings {
            helm.args(["--set", setting]);
        }
        output(&mut helm);
    }
}

#[test]
fn every_object_fits_the_schema_of_its_kind() {
    let folder = tempfile::tempdir().expect("a folder");
    for (place, settings) in [&[][..], ALL, LEAST].iter().enumerate() {
        let mut files = Vec::new();
        for (number, object) in rendered(settings).iter().enumerate() {
            if FOREIGN.iter().any(|kind| object["kind"] == *kind) {
                continue;
            }
            let file = folder.path().join(format!("{place}-{number}.yaml"));
            fs::write(&file, object.to_string()).expect("a file");
            files.push(file);
        }
        for version in VERSIONS {
            let mut validate = python("kubernetes_validate");
            let short = version.rsplit_once('.').expect("a version").0;
            output(validate.args(["--strict", "-k", short]).args(&files));
        }
    }
}

#[test]
fn pods_have_no_rights_and_outlive_their_own_shutdown() {
    let objects = rendered(ALL);
    let pod = &the(&objects, "StatefulSet", "kpis-tidegauge")["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let own = &pod["containers"][0];
    assert_eq!(own["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(own["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(own["securityContext"]["capabilities"]["drop"][0], "ALL");
    for (probe, path) in
        [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(own[probe]["httpGet"]["path"], path, "{probe}");
        assert_eq!(own[probe]["httpGet"]["scheme"], "HTTPS", "{probe}");
    }
}

/// Only the files of Secrets are mounted, and no ConfigMap has what they hold.
#[test]
fn a_password_in_the_configuration_is_refused() {
    let values = text(&format!("{CHART}/values.yaml"));
    let values: Value = serde_saphyr::from_str(&values).expect("values.yaml");
    let config = values["config"].as_str().expect("a text");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tidegauge.toml");
    let secrets = [
        r#"sasl.password = "hunter2""#,
        "sasl.password = \"\"\"hunter2\"\"\"",
        "'sasl.password' = 'hunter2'",
        r##"a = "#", sasl.password = "hunter2""##,
        r#"ssl.key.password = "${A}hunter2""#,
        r#"ssl.key.pem = "hunter2""#,
        r#"x = "-----BEGIN PRIVATE KEY-----hunter2""#,
    ];
    let secrets =
        secrets.map(|secret| (format!("{config}\n[kafka.properties]\n{secret}\n"), "ConfigMap"));
    for (changed, refusal) in secrets.into_iter().chain([
        (config.replace("/var/lib/tidegauge", "/tmp"), "where the volume is"),
        (config.replace("0.0.0.0:9184", "127.0.0.1:9184"), "probes and Prometheus"),
        (config.replace("${POD_NAME}", "one"), "${POD_NAME}"),
    ]) {
        fs::write(&file, changed).expect("a file");
        let mut helm = template(&[], VERSIONS[1]);
        helm.arg("--set-file").arg(format!("config={}", file.display()));
        let (done, told) = said(&mut helm);
        assert!(!done && told.contains(refusal), "{refusal:?} is said: {told}");
        assert!(!told.contains("hunter2"), "the password is not repeated: {told}");
    }
    let from_file = "{ file = \"secrets/kafka-password\" }";
    let good = format!(
        "{config}\n# password = \"hunter2\"\n[kafka.properties]\nsasl.password = {from_file}\n\
         ssl.key.password = \"${{KEY_PASSWORD}}\"\n"
    );
    fs::write(&file, good).expect("a file");
    let mut helm = template(&[], VERSIONS[1]);
    output(helm.arg("--set-file").arg(format!("config={}", file.display())));
}

#[test]
fn a_misspelt_value_is_refused() {
    let (done, told) = said(&mut template(&["replica=3"], VERSIONS[1]));
    assert!(!done && told.contains("replica"), "{told}");
    let (done, told) = said(&mut template(&["web.scheme=FTP"], VERSIONS[1]));
    assert!(!done && told.contains("scheme"), "{told}");
}

/// Puts the files of a rendered ConfigMap into a folder, as the pod sees them.
fn mount(object: &Value, folder: &Path) {
    for (name, content) in object["data"].as_object().expect("files") {
        fs::write(folder.join(name), content.as_str().expect("a text")).expect("a file");
    }
}

/// The program takes the configuration of the ConfigMap, and makes of it the very rules and
/// dashboards that the chart brings along.
#[test]
fn rules_and_dashboards_are_those_of_the_default_configuration() {
    let objects = rendered(ALL);
    let folder = tempfile::tempdir().expect("a folder");
    mount(the(&objects, "ConfigMap", "kpis-tidegauge"), folder.path());
    let config = folder.path().join("tidegauge.toml");
    let program = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
        program.env("POD_NAME", "kpis-tidegauge-0");
        program
    };
    output(program().args(["check", "--config"]).arg(&config));
    for made in ["rules", "dashboards"] {
        let mut generate = program();
        generate.args(["generate", made, "--check", "--config"]).arg(&config);
        output(generate.arg("--out").arg(root("deploy")));
    }

    let shipped = text("deploy/prometheus/tidegauge.rules.yml");
    let shipped: Value = serde_saphyr::from_str(&shipped).expect("the rules");
    let rule = &the(&objects, "PrometheusRule", "kpis-tidegauge")["spec"];
    assert_eq!(*rule, shipped, "rules come through unchanged");
    fs::write(folder.path().join("tidegauge.rules.yml"), rule.to_string()).expect("a file");
    let tests = folder.path().join("tidegauge.rules.test.yml");
    fs::copy(root("deploy/prometheus/tidegauge.rules.test.yml"), &tests).expect("the tests");
    output(Command::new(installed("promtool", "prometheus")).args(["test", "rules"]).arg(&tests));

    let mut dashboards = 0;
    for object in objects.iter().filter(|o| o["metadata"]["labels"]["grafana_dashboard"] == "1") {
        for (name, json) in object["data"].as_object().expect("files") {
            let shipped = text(&format!("deploy/grafana/dashboards/{name}"));
            let json = json.as_str().expect("a text");
            assert_eq!(json.trim_end(), shipped.trim_end(), "{name}");
            dashboards += 1;
        }
    }
    assert_eq!(dashboards, 3, "each has a ConfigMap");
}

/// Helm packs only what lies in the chart's folder, so that it has copies.
#[test]
fn copies_in_the_chart_are_fresh() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    assert!(!update || std::env::var_os("CI").is_none(), "UPDATE_EXPECT is not for CI");
    let mut copies = vec![
        ("deploy/prometheus/tidegauge.rules.yml".to_owned(), "tidegauge.rules.yml".to_owned()),
        ("config/objectives/example.toml".to_owned(), "objectives.toml".to_owned()),
    ];
    for entry in fs::read_dir(root("deploy/grafana/dashboards")).expect("dashboards").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        copies.push((format!("deploy/grafana/dashboards/{name}"), format!("dashboards/{name}")));
    }
    for (original, copy) in &copies {
        let copy = format!("{CHART}/files/{copy}");
        if update {
            fs::copy(root(original), root(&copy)).expect("a copy");
        }
        assert_eq!(text(&copy), text(original), "{copy}; rewrite it with UPDATE_EXPECT=1");
    }
    let dashboards = fs::read_dir(root(CHART).join("files/dashboards")).expect("copies").count();
    assert_eq!(dashboards, copies.len() - 2, "and none is left over");
}
