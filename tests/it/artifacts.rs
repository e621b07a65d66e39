//! Generated rules, rule tests, dashboards and documents: held against committed
//! files, and against promtool.
//!
//! `UPDATE_EXPECT=1` rewrites the committed files; it is refused where `CI` is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidegauge::artifact::{self, Artifact};

use crate::artifacts_fixture::{declarations, objectives};
use crate::support::dashboards;
use crate::support::prometheus::program;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/artifacts")
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
fn written(folder: &Path) -> PathBuf {
    let (declarations, objectives) = (declarations(), objectives());
    let mut artifacts = artifact::rules(&declarations, &objectives);
    artifacts.extend(artifact::rule_tests(&declarations, &objectives));
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
fn promtool(arguments: &[&str], file: &Path) {
    tool(&program("promtool"), arguments, file);
}

#[test]
fn rules_and_their_tests_are_as_committed() {
    check(&golden(), &artifact::rules(&declarations(), &objectives()));
    check(&golden(), &artifact::rule_tests(&declarations(), &objectives()));
}

#[test]
fn dashboards_are_as_committed() {
    check(&golden(), &artifact::dashboards(&declarations(), &objectives()));
}

#[test]
fn documents_are_as_committed() {
    check(&golden(), &artifact::docs(&declarations(), &objectives()));
}

#[test]
fn the_same_declarations_give_the_same_bytes() {
    for make in [artifact::rules, artifact::rule_tests, artifact::dashboards, artifact::docs] {
        assert_eq!(make(&declarations(), &objectives()), make(&declarations(), &objectives()));
    }
}

#[test]
fn without_objectives_the_service_still_has_its_rules() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = artifact::rules(&declarations(), &[]);
    let file = folder.path().join("rules.yml");
    fs::write(&file, &rules[0].text).expect("the file can be written");
    promtool(&["check", "rules"], &file);
    assert!(rules[0].text.contains("TidegaugeNoInstanceReady"));
    assert!(artifact::rule_tests(&declarations(), &[]).is_empty());
}

#[test]
fn promtool_accepts_the_rules_and_their_generated_tests_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = written(folder.path());
    promtool(&["check", "rules"], &rules.join("tidegauge.rules.yml"));
    promtool(&["test", "rules"], &rules.join("tidegauge.rules.test.yml"));
}

#[test]
fn written_cases_of_rule_semantics_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = written(folder.path());
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promtool");
    let mut found = 0;
    for case in fs::read_dir(cases).expect("tests/promtool").flatten() {
        let copy = rules.join(case.file_name());
        fs::copy(case.path(), &copy).expect("the case can be copied");
        promtool(&["test", "rules"], &copy);
        found += 1;
    }
    assert!(found > 0, "tests/promtool holds cases");
}

#[test]
fn no_dashboard_breaks_grafanas_rules() {
    for artifact in artifact::dashboards(&declarations(), &objectives()) {
        let faults = dashboards::faults(&artifact.text);
        assert!(faults.is_empty(), "{}:\n{}", artifact.path, faults.join("\n"));
    }
}
