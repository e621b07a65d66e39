//! Configurations on disk: good ones give their summary, bad ones exactly their
//! problems. `UPDATE_EXPECT=1` rewrites what is expected, never in CI.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tidegauge::config::{self, Config, Disk, ProblemList, World};
use tidegauge::event::EventTime;

fn environment(name: &str) -> Option<String> {
    match name {
        "KAFKA_HOST" => Some("kafka-1.example".to_owned()),
        "DEMO_BROKERS" => Some("localhost:9092".to_owned()),
        "DEMO_LISTEN" => Some("127.0.0.1:0".to_owned()),
        "KAFKA_PASSWORD" => Some("never-shown".to_owned()),
        _ => None,
    }
}

fn world(files: &dyn config::Files) -> World<'_> {
    let now = EventTime::from_secs(1_796_000_000);
    World { files, environment: &environment, host: "test-host", processors: 4, now }
}

fn read(path: &str) -> Result<Config, ProblemList> {
    let world = world(&Disk);
    config::read(path, &world)
}

fn read_text(text: &str) -> Result<Config, ProblemList> {
    let files = BTreeMap::from([("t.toml".to_owned(), text.to_owned())]);
    let world = world(&files);
    config::read("t.toml", &world)
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no case in {folder}");
    cases
}

/// What a good configuration says, without the shipped declarations.
fn describe(config: &Config) -> String {
    let mut text = format!("instance {}\n{:?}\n", config.instance, config.kafka);
    for (name, value) in &config.kafka.properties {
        // A test may look at what is otherwise never shown.
        text.push_str(&format!("property {name} = {value}\n"));
    }
    let formats: Vec<&str> = config.formats.iter().map(|format| format.name.as_str()).collect();
    text.push_str(&format!(
        "formats {formats:?}\n{:?}\n{:?}\n{:?}\n{:?}\nhash key {:?}, snapshot every {}, {} decoders, memory {:?}, shutdown within {}\n",
        config.limits,
        config.export,
        config.scope,
        config.log,
        config.hash_key,
        config.snapshot_every,
        config.decoders,
        config.memory_limit,
        config.shutdown_deadline,
    ));
    let horizon = config.duplicates.map_or("off".to_owned(), |horizon| horizon.to_string());
    text.push_str(&format!("{:?}\nids remembered for {horizon}\n", config.state));
    text.push_str(&config::summary(&config.declarations, &config.objectives));
    text
}

/// Compares with the file beside the case, or rewrites it.
fn compare(case: &Path, extension: &str, actual: &str, faults: &mut Vec<String>) {
    let expected = case.with_extension(extension);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        assert!(std::env::var_os("CI").is_none(), "expectations are never rewritten in CI");
        fs::write(&expected, actual).expect("the expectation is written");
        return;
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    if wanted != actual {
        faults.push(format!(
            "{}: expected\n{wanted}\nbut is\n{actual}\n(UPDATE_EXPECT=1 rewrites it)",
            expected.display()
        ));
    }
}

#[test]
fn good_configurations_say_what_they_mean() {
    let mut faults = Vec::new();
    for case in cases("tests/config/good") {
        match read(&case.to_string_lossy()) {
            Ok(config) => compare(&case, "expected", &describe(&config), &mut faults),
            Err(problems) => faults.push(problems.to_string()),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn bad_configurations_give_every_problem_with_its_place() {
    let mut faults = Vec::new();
    for case in cases("tests/config/bad") {
        match read(&case.to_string_lossy()) {
            Err(problems) => compare(&case, "expected", &format!("{problems}\n"), &mut faults),
            Ok(_) => faults.push(format!("{} is not refused", case.display())),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_shipped_to_start_from_is_sound() {
    for path in ["config/tidegauge.toml", "src/app/demo/demo.toml"] {
        if let Err(problems) = read(path) {
            panic!("{problems}");
        }
    }
}

#[test]
fn a_missing_file_is_one_problem() {
    let problems = read("tests/config/none.toml").expect_err("no such file");
    assert_eq!(
        problems.to_string(),
        "tests/config/none.toml: cannot be read: No such file or directory (os error 2)\n1 problem"
    );
}

const MINIMAL: &str =
    "[kafka]\nbrokers = \"k:9092\"\n[[topics]]\nname = \"t\"\nformat = \"canonical\"\n";

#[test]
fn brokers_and_a_topic_are_enough() {
    let config = read_text(MINIMAL).expect("a sound configuration");
    assert_eq!(config.instance, "test-host");
    assert_eq!(config.decoders, 3);
    assert!(config.declarations.kpis.iter().any(|kpi| kpi.id == "unsubscribe_rate"));
    for slice in 0..config.declarations.slices.len() {
        assert!(!config.declarations.kpis_of_slice(slice).is_empty());
    }
}

#[test]
fn a_password_that_others_can_hear_is_a_warning() {
    let warned = |brokers: &str, rest: &str| {
        let text = format!(
            "[kafka]\nbrokers = \"{brokers}\"\n{rest}\n[[topics]]\nname = \"t\"\nformat = \
             \"canonical\"\n"
        );
        let config = read_text(&text).unwrap_or_else(|problems| panic!("{problems}"));
        let warnings: Vec<String> = config.warnings.iter().map(|of| of.one_line()).collect();
        warnings.join("\n")
    };
    let sign_in = |mechanism: &str| {
        format!("[kafka.sign_in]\nmechanism = \"{mechanism}\"\nusername = \"u\"\npassword = \"p\"")
    };
    assert_eq!(
        warned("localhost:1,k.example:9092", &sign_in("PLAIN")),
        "t.toml:3:8: PLAIN over a plain connection to `k.example:9092`: whoever listens on the \
         way can sign in with it (help: use a listener with TLS, and write [kafka.tls])"
    );
    assert!(warned("k:1", &sign_in("SCRAM-SHA-256")).contains("try passwords"));
    assert_eq!(warned("localhost:1,127.0.0.1:2,[::1]:3", &sign_in("PLAIN")), "");
    assert_eq!(warned("k:1", &format!("[kafka.tls]\n{}", sign_in("PLAIN"))), "");
    let property = "[kafka.properties]\nsecurity.protocol = \"SASL_SSL\"";
    assert_eq!(warned("k:1", &format!("{}\n{property}", sign_in("PLAIN"))), "");
    let properties = "[kafka.properties]\nsecurity.protocol = \"sasl_plaintext\"\n\
                      sasl.mechanism = \"PLAIN\"";
    assert!(warned("k:1", properties).contains("can sign in with it"));
    assert_eq!(warned("k:1", "[kafka.properties]\nsecurity.protocol = \"sasl_ssl\""), "");
    let property = |of: &str| warned("k:1", &format!("[kafka.tls]\n[kafka.properties]\n{of}"));
    let unverified = property("enable.ssl.certificate.verification = false");
    assert!(unverified.contains("certificates of brokers are not verified"), "{unverified}");
    assert_eq!(property("enable.ssl.certificate.verification = true"), "");
    let unnamed = property("ssl.endpoint.identification.algorithm = \"none\"");
    assert!(unnamed.contains("names in certificates of brokers are not verified"), "{unnamed}");
    assert_eq!(property("ssl.endpoint.identification.algorithm = \"https\""), "");
}

#[test]
fn the_fingerprint_follows_what_is_computed_and_nothing_else() {
    let fingerprint = |more: &str| {
        let config = read_text(&format!("{MINIMAL}{more}")).expect("a sound configuration");
        config.fingerprint
    };
    let plain = fingerprint("");
    assert_eq!(plain, fingerprint("[log]\nlevel = \"debug\"\n"));
    assert_eq!(plain, fingerprint("[export]\nlisten = \"127.0.0.1:1\"\n"));
    assert_eq!(plain, fingerprint("[generate]\nkeep = \"env\"\n"));
    assert_ne!(plain, fingerprint("[catalogue]\nkpis = [\"email\"]\n"));
    assert_ne!(plain, fingerprint("[time]\nlateness = \"1h\"\n"));
    assert_ne!(plain, fingerprint("[slices.all]\nreplace = true\nby = []\nwindows = [\"5m\"]\n"));
}

#[test]
fn no_depth_overflows_the_stack() {
    for open in ["[", "{a=", "[{a="] {
        assert!(read_text(&format!("a = {}", open.repeat(50_000))).is_err());
    }
    assert!(read_text(&format!("[{}a]", "a.".repeat(50_000))).is_err());
    assert!(read_text(&format!("{}a = 1", "a.".repeat(50_000))).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = read_text(&text);
    }

    /// Mutations of a sound file reach deeper than arbitrary text.
    #[test]
    fn no_mutation_of_a_sound_file_panics(
        cut in 0_usize..2_000,
        length in 0_usize..40,
        put in "[\\[\\]{}=\"'#\n.,a-z0-9_-]{0,8}",
    ) {
        let whole = format!(
            "{MINIMAL}{}{}",
            fs::read_to_string("tests/config/good/own.toml").unwrap_or_default(),
            fs::read_to_string("config/objectives/example.toml").unwrap_or_default(),
        );
        let letters: Vec<char> = whole.chars().collect();
        let from = cut * letters.len() / 2_000;
        let to = (from + length).min(letters.len());
        let text: String =
            letters[..from].iter().copied().chain(put.chars()).chain(letters[to..].iter().copied()).collect();
        let _ = read_text(&text);
    }
}
