//! Generated rules, rule tests, dashboards and documents: held against committed
//! files, and against promtool.
//!
//! `UPDATE_EXPECT=1` rewrites the committed files; it is refused where `CI` is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidegauge::artifact::{self, Artifact, Inputs};

use crate::artifacts_fixture::Made;
use crate::support::dashboards;
use crate::support::prometheus::program;

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder)
}

/// Two deployments in one Prometheus that differ in a label of their targets.
fn two_environments() -> Made {
    Made::told_apart(&["env"], &[])
}

/// One of them only.
fn one_environment() -> Made {
    Made::told_apart(&[], &["env=\"production\""])
}

/// Holds generated files against the committed ones below `folder`.
#[track_caller]
pub(crate) fn check(folder: &Path, artifacts: &[Artifact]) {
    assert!(!artifacts.is_empty(), "something is generated");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    assert!(!update || std::env::var_os("CI").is_none(), "UPDATE_EXPECT is not for CI");
    for artifact in artifacts {
        let path = folder.join(&artifact.path);
        if update {
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
            fs::write(&path, &artifact.text).expect("the file can be written");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if let Some((line, (generated, committed))) = artifact
            .text
            .lines()
            .chain([""])
            .zip(expected.lines().chain([""]))
            .enumerate()
            .find(|(_, (generated, committed))| generated != committed)
        {
            panic!(
                "{} differs from line {}: generated {generated:?}, committed {committed:?}; \
                 rewrite it with UPDATE_EXPECT=1 if that is meant",
                path.display(),
                line + 1
            );
        }
        assert_eq!(artifact.text, expected, "{} differs in length", path.display());
    }
}

/// Writes generated rules and their tests into a folder.
pub(crate) fn written(inputs: &Inputs<'_>, folder: &Path) -> PathBuf {
    let mut artifacts = artifact::rules(inputs);
    artifacts.extend(artifact::rule_tests(inputs));
    for artifact in &artifacts {
        let path = folder.join(&artifact.path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(path, &artifact.text).expect("the file can be written");
    }
    folder.join("prometheus")
}

/// Runs a tool on a file and expects it to be content.
#[track_caller]
pub(crate) fn tool(tool: &Path, arguments: &[&str], file: &Path) {
    let output = Command::new(tool).args(arguments).arg(file).output().expect("it can be run");
    assert!(
        output.status.success(),
        "{} {arguments:?} {}:\n{}{}",
        tool.display(),
        file.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[track_caller]
pub(crate) fn promtool(arguments: &[&str], file: &Path) {
    tool(&program("promtool"), arguments, file);
}

#[test]
fn rules_and_their_tests_are_as_committed() {
    for (folder, made) in [
        ("artifacts", Made::new()),
        ("artifacts_two_environments", two_environments()),
        ("artifacts_one_environment", one_environment()),
    ] {
        check(&golden(folder), &artifact::rules(&made.inputs()));
        check(&golden(folder), &artifact::rule_tests(&made.inputs()));
    }
}

#[test]
fn dashboards_are_as_committed() {
    check(&golden("artifacts"), &artifact::dashboards(&Made::new().inputs()));
}

#[test]
fn documents_are_as_committed() {
    check(&golden("artifacts"), &artifact::docs(&Made::new().inputs()));
}

#[test]
fn the_same_declarations_give_the_same_bytes() {
    for make in [artifact::rules, artifact::rule_tests, artifact::dashboards, artifact::docs] {
        assert_eq!(make(&two_environments().inputs()), make(&two_environments().inputs()));
    }
}

#[test]
fn without_objectives_the_service_still_has_its_rules() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Made { objectives: Vec::new(), ..Made::new() };
    let rules = artifact::rules(&made.inputs());
    let file = folder.path().join("rules.yml");
    fs::write(&file, &rules[0].text).expect("the file can be written");
    promtool(&["check", "rules"], &file);
    assert!(rules[0].text.contains("TidegaugeNoInstanceReady"));
    assert!(artifact::rule_tests(&made.inputs()).is_empty());
}

#[test]
fn refused_records_are_only_said_to_be_kept_where_they_are() {
    let kept = artifact::rules(&Made::new().inputs()).remove(0).text;
    assert_eq!(kept.matches("the topic refused.records holds the records").count(), 2);
    let counted = Made { dead_letters: None, ..Made::new() };
    let counted = artifact::rules(&counted.inputs()).remove(0).text;
    assert!(!counted.contains("holds the records"), "{counted}");
    assert_eq!(counted.matches("the records themselves are not kept").count(), 2);
}

#[test]
fn promtool_accepts_the_rules_and_their_generated_tests_pass() {
    for made in [
        Made::new(),
        two_environments(),
        one_environment(),
        Made::told_apart(&["job", "env", "site"], &[]),
        Made::told_apart(&["env"], &["env=~\"(prod|canary)-.+\",site!=\"`$%{{\""]),
        Made::told_apart(&["env"], &["job='tide',env=\"{{ `50%` $value }}\""]),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = written(&made.inputs(), folder.path());
        promtool(&["check", "rules"], &rules.join("tidegauge.rules.yml"));
        promtool(&["test", "rules"], &rules.join("tidegauge.rules.test.yml"));
    }
}

#[test]
fn written_cases_of_rule_semantics_pass() {
    for (cases, made) in [
        ("tests/promtool", Made::new()),
        ("tests/promtool/two_environments", two_environments()),
        ("tests/promtool/one_environment", one_environment()),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = written(&made.inputs(), folder.path());
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join(cases);
        let mut found = 0;
        for case in fs::read_dir(cases).expect("a folder of cases").flatten() {
            if case.path().is_dir() {
                continue;
            }
            let copy = rules.join(case.file_name());
            fs::copy(case.path(), &copy).expect("the case can be copied");
            promtool(&["test", "rules"], &copy);
            found += 1;
        }
        assert!(found > 0, "the folder holds cases");
    }
}

#[test]
fn no_dashboard_breaks_grafanas_rules() {
    for made in [Made::new(), two_environments(), one_environment()] {
        for artifact in artifact::dashboards(&made.inputs()) {
            let faults = dashboards::faults(&artifact.text);
            assert!(faults.is_empty(), "{}:\n{}", artifact.path, faults.join("\n"));
        }
    }
}

/// What an expression aggregates or joins by, one list of labels each.
fn groupings(expression: &str) -> Vec<&str> {
    ["by (", "on ("]
        .iter()
        .flat_map(|word| expression.split(word).skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(labels, _)| labels)
        .collect()
}

/// Every expression of rules, of the queries within their texts, and of dashboards.
fn expressions(made: &Made) -> Vec<String> {
    let rules = artifact::rules(&made.inputs()).remove(0).text;
    let mut found: Vec<String> = rules
        .split("expr: |-\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("        labels:"))
        .map(|(expression, _)| expression.to_owned())
        .collect();
    let asked = rules.split("printf `").skip(1).filter_map(|rest| rest.split_once("` "));
    found.extend(asked.map(|(format, _)| format.to_owned()).filter(|format| format.contains('{')));
    for board in artifact::dashboards(&made.inputs()) {
        found.extend(dashboards::queries(&board.text).into_iter().map(|query| query.expression));
    }
    assert!(found.len() > 100, "{}", found.len());
    found
}

#[test]
fn what_tells_deployments_apart_is_lost_nowhere() {
    let mut faults = Vec::new();
    for expression in expressions(&two_environments()) {
        let kept = groupings(&expression)
            .iter()
            .all(|labels| labels.split(", ").any(|label| label == "env"));
        // What is aggregated without a word loses every label.
        let whole =
            ["max(", "min(", "sum(", "avg(", "count("].iter().any(|word| expression.contains(word));
        let whole = whole && !expression.contains("env=%+q");
        if !kept || whole {
            faults.push(expression);
        }
    }
    assert!(faults.is_empty(), "{} lose it:\n{}", faults.len(), faults.join("\n"));
    for expression in expressions(&one_environment()) {
        let selected = expression.matches("env=\"production\"").count();
        let series = expression.matches("tidegauge_").count();
        if selected < series.max(1) {
            faults.push(expression);
        }
    }
    assert!(faults.is_empty(), "{} select all:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn dashboards_can_choose_one_of_the_deployments() {
    for board in artifact::dashboards(&two_environments().inputs()) {
        let variables = dashboards::variables(&board.text);
        let (_, query) = variables.iter().find(|(name, _)| name == "env").expect("a variable");
        assert_eq!(query, "label_values(tidegauge_ready{job=~\"$job\"}, env)");
        for (name, query) in &variables {
            let asks_after = !["datasource", "job", "env", "window"].contains(&name.as_str());
            assert!(!asks_after || query.contains("env=~\"$env\""), "{name}: {query}");
        }
        for query in dashboards::queries(&board.text) {
            let (series, chosen) = ("tidegauge_", "env=~\"$env\"");
            let counts = |what: &str| query.expression.matches(what).count();
            // The join with readiness is within the deployment, whichever are chosen.
            let joins = counts("(tidegauge_ready == 1)");
            assert_eq!(counts(series) - joins, counts(chosen), "{}", query.expression);
        }
    }
    for board in artifact::dashboards(&one_environment().inputs()) {
        for (name, query) in dashboards::variables(&board.text) {
            let asks = !["datasource", "window"].contains(&name.as_str());
            assert!(!asks || query.contains("env=\"production\""), "{name}: {query}");
        }
    }
}
