//! The examples in the documents work as they stand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tidegauge::catalog::{FAMILIES, KPI_COVERAGE, PARTITION_GAPS, PARTITION_LOST};
use tidegauge::config::{self, Config, World};
use tidegauge::event::{CANONICAL_TYPES, Says};
use tidegauge::event::{EventTime, RawRecord};
use tidegauge::format::{Decoder, Element, Format, Limits, Wanted};

use crate::cli::tidegauge;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced blocks of a language, in order.
fn fenced(document: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    document
        .split(&opening)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()))
        .collect()
}

/// The indented block that begins with a line.
fn indented(document: &str, first: &str) -> String {
    let from = document.find(&format!("    {first}")).expect("the block is in the document");
    document[from..]
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| format!("{}\n", line.trim_start_matches("    ")))
        .collect()
}

fn read_files(files: BTreeMap<String, String>) -> Config {
    let environment = |name: &str| match name {
        "DEMO_BROKERS" => Some("127.0.0.1:9092".to_owned()),
        "DEMO_LISTEN" => Some("127.0.0.1:0".to_owned()),
        _ => None,
    };
    let now = EventTime::from_secs(1_796_000_000);
    let world =
        World { files: &files, environment: &environment, host: "example", processors: 2, now };
    config::read("tidegauge.toml", &world).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A configuration of one file that has to be right.
pub(crate) fn read_config(text: &str) -> Config {
    read_files(BTreeMap::from([("tidegauge.toml".to_owned(), text.to_owned())]))
}

#[test]
fn the_readmes_configuration_is_right() {
    let config = read_config(&indented(&document("README.md"), "[kafka]"));
    assert_eq!(config.objectives.len(), 1);
}

#[test]
fn the_declarations_of_the_configuration_page_are_right() {
    let page = document("docs/configuration.md");
    let mut text =
        indented(&document("README.md"), "[kafka]").replace("unsubscribe_spike", "first");
    for first in
        ["[measures.demo_requests]", "[kpis.demo_request_rate]", "[slices.region]", "[objectives."]
    {
        text.push_str(&indented(&page, first));
    }
    let config = read_config(&text);
    assert!(config.declarations.kpis.iter().any(|kpi| kpi.id == "demo_request_rate"));
    assert!(config.declarations.slices.iter().any(|slice| slice.name == "region"));
    assert_eq!(config.objectives.len(), 2);
}

#[test]
fn the_format_of_the_formats_page_reads_its_record() {
    let page = document("docs/formats.md");
    let (records, blocks) = (fenced(&page, "json"), fenced(&page, "toml"));
    let mapping =
        blocks.iter().find(|block| block.starts_with("name = \"acme\"")).expect("it is there");
    let binding = blocks.iter().find(|block| block.starts_with("include")).expect("it is there");
    let files = BTreeMap::from([
        ("formats/acme.toml".to_owned(), mapping.clone()),
        ("tidegauge.toml".to_owned(), binding.clone()),
    ]);
    let config = read_files(files);
    let spec = config.formats.iter().find(|spec| spec.name == "acme").expect("it was included");
    let vocabulary = &config.declarations.vocabulary;
    let format = Format::compile(spec, vocabulary, &Wanted::All);
    let mut decoder = Decoder::new(Arc::new(format), Limits::default());
    let record = RawRecord {
        topic: "acme.mail",
        partition: 0,
        offset: 0,
        timestamp: Some(EventTime::from_secs(1_767_261_602)),
        key: None,
        value: Some(records[0].as_bytes()),
        headers: &[],
    };
    let mut said = Vec::new();
    decoder.decode(&record, &mut |element| {
        said.push(match element {
            Element::Event(event) => format!(
                "{} {} {:?} {:?}",
                vocabulary.name(event.kind),
                event.time,
                event.campaign,
                event.attributes
            ),
            Element::Ignored { reason, .. } => reason.name().to_owned(),
            Element::Rejected(rejection) => rejection.detail.into_owned(),
        });
    });
    assert_eq!(
        said,
        [
            r#"email.delivered 2026-01-01T10:00:00.25Z Some("spring_sale") []"#,
            r#"email.bounced 2026-01-01T10:00:01Z Some("spring_sale") [("class", "hard")]"#,
            "on_purpose",
        ]
    );
}

/// Every link to a file leads to one.
#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut dead = Vec::new();
    let pages = [
        "README.md",
        "DESIGN.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/configuration.md",
        "docs/formats.md",
        "docs/operations.md",
        "docs/state.md",
    ];
    for page in pages {
        let text = document(page);
        let folder = root.join(page).parent().expect("a folder").to_owned();
        for rest in text.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if !target.contains("://") && !file.is_empty() && !folder.join(file).exists() {
                dead.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

/// `tidegauge ...` as a page has it, in blocks and between backticks.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.lines().filter_map(|line| line.strip_prefix("    "));
    let inline = page.split('`').skip(1).step_by(2);
    let all = blocks.chain(inline).map(str::trim);
    all.filter(|text| text.starts_with("tidegauge ")).map(str::to_owned).collect()
}

/// The command line explains each of them, and knows all of their options.
#[test]
fn the_commands_of_the_page_on_saved_state_exist() {
    let commands = commands(&document("docs/state.md"));
    assert!(commands.len() > 8, "{commands:?}");
    for command in &commands {
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        let path: Vec<&str> = words
            .iter()
            .copied()
            .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            .collect();
        let output = tidegauge(&[&path[..], &["--help"]].concat(), "");
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && help.contains("Examples:"), "`{command}`: {help}");
        let options = help.split("Options:").nth(1).unwrap_or_default();
        let options = options.split("Examples:").next().unwrap_or_default();
        for option in words.iter().filter(|word| word.starts_with("--")) {
            let option = option.split('=').next().unwrap_or_default();
            let is_known = options.split_whitespace().any(|word| word == option);
            assert!(is_known, "`{command}`: {option} is not among {options}");
        }
    }
}

/// Who is woken by one of them finds it on the page.
#[test]
fn the_page_on_saved_state_explains_its_metrics_and_alerts() {
    let page = document("docs/state.md");
    let concerned = |name: &str| {
        ["tidegauge_state_", "tidegauge_backfill_", "tidegauge_remembered_", "tidegauge_duplicate_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || [PARTITION_GAPS.name, PARTITION_LOST.name, KPI_COVERAGE.name].contains(&name)
    };
    let families = FAMILIES.iter().map(|family| family.name).filter(|name| concerned(name));
    let alerts =
        ["StateBlocked", "CheckpointsOld", "RecordsLost", "BackfillStuck", "DuplicatesHigh"];
    let alerts = alerts.iter().map(|alert| format!("Tidegauge{alert}"));
    let rules = document("deploy/prometheus/tidegauge.rules.yml");
    let mut missing = Vec::new();
    for name in families.map(str::to_owned).chain(alerts) {
        if !page.contains(&format!("`{name}")) {
            missing.push(name.clone());
        }
        assert!(name.starts_with("tidegauge_") || rules.contains(&name), "{name} is no alert");
    }
    assert!(missing.is_empty(), "docs/state.md does not name {}", missing.join(", "));
}

/// Who wonders why a number below 0 was refused finds each type that may have one, and
/// each that may not although it is restated.
#[test]
fn the_page_on_formats_names_every_restated_type() {
    let page = document("docs/formats.md");
    let section = page.split("\n## Counts and money\n").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let (may, may_not) = section.split_once("What is a level").expect("both kinds");
    for (name, says) in CANONICAL_TYPES {
        let named = |text: &str| text.contains(&format!("`{name}`"));
        assert_eq!(named(may_not), *says == Says::Level, "{name}");
        assert!(*says != Says::Total || named(may), "{name}");
    }
}
