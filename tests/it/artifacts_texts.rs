//! The texts of alerts are there and say what they should for whatever a campaign is
//! called, in a real Prometheus and in promtool.

use std::collections::BTreeSet;
use std::time::Duration;

use tidegauge::artifact;
use tidegauge::kpi::label_of;
use tidegauge::objective::State;

use crate::artifacts::{promtool, written};
use crate::artifacts_fixture::Made;
use crate::artifacts_live::now;
use crate::artifacts_page::{self, Told};
use crate::support::http::MetricsPage;
use crate::support::prometheus::{PrometheusServer, PrometheusSpec};

const PATIENCE: Duration = Duration::from_secs(60);

/// Names that mean something to a template, a query, a page of metrics or an address,
/// and names that hardly mean anything.
const NAMES: &[&str] = &[
    "\u{FFFD}",
    "broken \u{FFFD}\u{FFFD} text",
    "line one\nline two\r\nline three",
    "\0\u{1}\u{7}\u{8}\t\u{B}\u{C}\u{1B}[31m\u{7F}\u{80}\u{85}\u{9F}",
    "\"double\" 'single' `back` \\ \\\\ \\n \\x41 \\u0041",
    "ends in \\",
    "\"",
    "`",
    "{{ $labels.campaign }} {{ . }} }} {{",
    "{{/*",
    "{{ query `up` | first }}",
    "$labels.campaign $value ${campaign} $1",
    "%s %q %d %% %",
    "a=\"b\",c!=\"d\"} or vector(1) #",
    "?a=b&c=d/e#f+g",
    "<script>alert(1)</script>",
    " leading and trailing ",
    "\u{202E}right to left\u{202C} \u{2066}isolated\u{2069} \u{200F}\u{200E}",
    "\u{2028}\u{2029}\u{FEFF}\u{200B}\u{200D}\u{AD}\u{A0}",
    "e\u{301} a\u{308}\u{323} \u{1100}\u{1161}\u{11A8} \u{0E01}\u{0E33}",
    "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467} \u{1F1E9}\u{1F1EA} 1\u{FE0F}\u{20E3}",
    "\u{D7FF}\u{E000}",
    "\u{FDD0}\u{FDEF}\u{FFFE}\u{FFFF}",
    "\u{10FFFD}\u{10FFFE}\u{10FFFF}",
    "春のセール Frühling весна ربيع אביב",
];

/// [`NAMES`], then characters from end to end of every plane, then very long names,
/// all as labels.
fn campaigns() -> Vec<String> {
    let mut names: BTreeSet<String> = NAMES.iter().map(|name| label_of(name)).collect();
    for plane in 0..=0x10_u32 {
        // A step that is no power of two meets every low byte sooner or later.
        let codes = (0..=0xFFFF).step_by(331).chain(0xFFF0..=0xFFFF);
        let chars: Vec<char> =
            codes.filter_map(|code| char::from_u32(plane << 16 | code)).collect();
        names.extend(chars.chunks(32).map(|some| label_of(&some.iter().collect::<String>())));
    }
    for long in ["x", "é", "\u{FFFD}", "\"", "\\", "\u{10FFFF}"] {
        names.insert(label_of(&long.repeat(100_000)));
    }
    names.into_iter().collect()
}

#[test]
fn whatever_a_campaign_is_called_its_alert_says_figure_and_sample() {
    let campaigns = campaigns();
    let told =
        Told { campaigns: &campaigns, not_ready: None, state: State::Missed, figure: 0.0325 };
    let made = Made::new();
    let page = artifacts_page::page(&made.declarations, &made.objectives, told, now());
    let page = MetricsPage::start(&page);
    let rules = artifact::rules(&made.inputs());
    let prometheus = PrometheusServer::start(PrometheusSpec {
        targets: &[page.address()],
        rules: Some(&rules[0].text),
        ..PrometheusSpec::default()
    });
    let firing = format!(
        "count(ALERTS{{alertname=\"{}\",alertstate=\"firing\"}})",
        artifact::OBJECTIVE_MISSED
    );
    prometheus.wait_for(&firing, PATIENCE, |found| {
        found.first().is_some_and(|(_, count)| *count >= campaigns.len() as f64)
    });
    let alerts = prometheus.firing(artifact::OBJECTIVE_MISSED);
    let named: BTreeSet<&String> = alerts.iter().map(|alert| &alert.labels["campaign"]).collect();
    assert_eq!(named, campaigns.iter().collect(), "an alert for each");
    let mut faults = Vec::new();
    for alert in &alerts {
        let campaign = &alert.labels["campaign"];
        let texts = &alert.annotations;
        let sound = texts["figure"] == "3.25%"
            && texts["sample"] == "1234 messages"
            && texts["summary"]
                == format!(
                    "Unsubscribe per delivered of campaign {campaign} is 3.25% over 5m; the \
                     target is at most 2%"
                )
            && texts["description"].contains(&format!(
                "unsubscribe_per_delivered of campaign {campaign} is 3.25%, from a sample of 1234 \
                 messages"
            ))
            && texts["dashboard"].is_ascii();
        if !sound {
            faults.push(format!("{campaign:?}: {texts:?}"));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), alerts.len(), faults.join("\n"));
}

#[test]
fn whatever_an_objective_names_its_rules_pass_their_tests() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut made = Made::new();
    let literal = made.objectives.swap_remove(2);
    assert!(literal.is_literal());
    made.objectives = NAMES
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let mut objective = literal.clone();
            objective.id = format!("literal_{number}");
            objective.selector = vec![Some(label_of(name))];
            objective
        })
        .collect();
    let rules = written(&made.inputs(), folder.path());
    promtool(&["test", "rules"], &rules.join("tidegauge.rules.test.yml"));
}
