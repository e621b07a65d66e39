//! The metrics page in both formats: golden files, and independent parsers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::{env, fs};

use tidegauge::event::EventTime;
use tidegauge::export::{OpenMetricsVersion, PageFormat, ProcessUse, Report, WebReport, encode};
use tidegauge::kpi::Quantity;

use super::fixture;
use crate::support::instance::Metrics;

const OPEN_METRICS: PageFormat = PageFormat::OpenMetrics(OpenMetricsVersion::One);

const PROCESS: ProcessUse =
    ProcessUse { resident_bytes: Some(73_400_320), cpu_seconds: Some(12.5) };

const WEB: WebReport = WebReport {
    up_to_date: true,
    expires: Some(EventTime::from_secs(1_783_000_000)),
    refused: [3, 0, 2, 0, 0, 1, 0, 0],
};

fn page(report: Option<&Report>, format: PageFormat) -> String {
    let not_ready = report.map_or(&[][..], |report| &report.not_ready);
    encode(&fixture::site(), report, not_ready, PROCESS, Some(WEB), format)
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Holds `page` against a file; `UPDATE_EXPECT=1` rewrites the file instead, but
/// not where CI runs.
#[track_caller]
fn check_golden(file: &str, page: &str) {
    let path = root("tests/golden").join(file);
    if env::var_os("UPDATE_EXPECT").is_some() {
        assert!(env::var_os("CI").is_none(), "UPDATE_EXPECT is refused in CI");
        fs::write(&path, page).expect("the golden file is written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(page.lines()).find(|(golden, page)| golden != page);
    assert!(
        golden == page,
        "{file} differs, first at {differs:?}; if the page is right, rewrite the file with UPDATE_EXPECT=1"
    );
}

/// Gives `page` to a program that reads it on standard input.
#[track_caller]
fn check_accepted(mut program: Command, page: &str, how_to_install: &str) {
    let name = program.get_program().to_string_lossy().into_owned();
    let child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{name}: {error}; {how_to_install}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = page.to_owned();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, text.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    let _ = writer.join();
    assert!(
        output.status.success(),
        "{name} refuses the page:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[track_caller]
fn check_promtool(page: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    check_accepted(promtool, page, "install it with `apt-get install prometheus`");
}

/// A folder that holds PyPI's `prometheus_client`, installed there when it is not.
fn python_packages() -> PathBuf {
    let folder = root("target/python");
    if !folder.join("prometheus_client").is_dir() {
        let install = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(&folder)
            .arg("prometheus_client")
            .output();
        let installed = install.as_ref().is_ok_and(|output| output.status.success());
        assert!(
            installed,
            "needs python3 and prometheus_client: `pip install --target target/python prometheus_client` failed: {install:?}"
        );
    }
    folder
}

#[track_caller]
fn check_strict_parser(page: &str) {
    let mut python = Command::new("python3");
    python.arg(root("tests/openmetrics_check.py")).env("PYTHONPATH", python_packages());
    check_accepted(python, page, "install python3");
}

/// A spring in which one campaign is called `name`.
fn with_campaign(name: &str) -> Report {
    let mut report = fixture::story(&fixture::site(), 0);
    let values: Arc<[Box<str>]> = Arc::new([name.into()]);
    let snapshot = Arc::make_mut(report.snapshot.as_mut().expect("a snapshot"));
    snapshot.slices[1].series[0].values = values.clone();
    report.verdicts[0].values = values;
    report
}

#[test]
fn figures_that_a_share_cannot_have_are_counted_and_still_shown() {
    let site = fixture::site();
    let kpi = site.declarations.kpis.iter().position(|kpi| kpi.id == "conversion_rate");
    let (kpi, kpis) = (kpi.expect("a KPI"), site.declarations.kpis.len());
    let mut report = fixture::story(&site, 0);
    let snapshot = Arc::make_mut(report.snapshot.as_mut().expect("a snapshot"));
    for (series, figure) in snapshot.slices[1].series.iter_mut().zip([-0.1, 1.5, 1.0]) {
        series.kpis[kpi].as_mut().expect("a figure").value = figure;
        series.kpis[kpis + kpi].as_mut().expect("a figure").value = figure;
    }
    // Of a share of what came earlier only what is below 0 is a fault.
    let click_rate = site.declarations.kpis.iter().position(|kpi| kpi.id == "click_rate");
    for (series, figure) in snapshot.slices[1].series.iter_mut().zip([-0.1, 1.5]) {
        series.kpis[click_rate.expect("a KPI")].as_mut().expect("a figure").value = figure;
    }
    let page = Metrics::parse(&page(Some(&report), PageFormat::Text));
    let counted = |kpi: &str, slice: &str| {
        page.one("tidegauge_inconsistent_figures", &[("kpi", kpi), ("slice", slice)])
    };
    assert_eq!(counted("conversion_rate", "campaign"), Some(4.0));
    assert_eq!(counted("conversion_rate", "all"), Some(0.0));
    assert_eq!(counted("click_rate", "campaign"), Some(1.0));
    assert_eq!(counted("page_views", "campaign"), None);
    let newsletter = [("campaign", "Newsletter 14"), ("window", "1h")];
    assert_eq!(page.one("tidegauge_conversion_rate_ratio", &newsletter), Some(1.5));
}

#[test]
fn the_pages_are_as_they_were() {
    let report = fixture::story(&fixture::site(), 0);
    check_golden("metrics.txt", &page(Some(&report), PageFormat::Text));
    check_golden("openmetrics.txt", &page(Some(&report), OPEN_METRICS));
}

#[test]
fn promtool_accepts_the_text_page() {
    let report = fixture::story(&fixture::site(), 0);
    check_promtool(&page(Some(&report), PageFormat::Text));
    check_promtool(&page(None, PageFormat::Text));
}

#[test]
fn the_strict_parser_accepts_the_openmetrics_page() {
    let report = fixture::story(&fixture::site(), 0);
    check_strict_parser(&page(Some(&report), OPEN_METRICS));
    check_strict_parser(&page(None, OPEN_METRICS));
}

#[test]
fn any_campaign_name_is_a_label_value() {
    let long = "x".repeat(10_240);
    let names = [
        "",
        " ",
        "a \"quoted\" name",
        "back\\slash\\",
        "line\nbreak\r\n\ttab",
        "}{,=#",
        "ü 🌱",
        &long,
    ];
    for name in names {
        let report = with_campaign(name);
        let text = page(Some(&report), PageFormat::Text);
        let escaped = name.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
        let label = format!("campaign=\"{escaped}\"");
        assert!(text.contains(&label), "{name:?} is not in the text page as {label:?}");
        check_promtool(&text);
        let open_metrics = page(Some(&report), OPEN_METRICS);
        assert!(open_metrics.contains(&label), "{name:?} is not in the OpenMetrics page");
        check_strict_parser(&open_metrics);
    }
}

#[test]
fn control_characters_stay_as_they_are() {
    let report = with_campaign("bell\u{7} esc\u{1b} nul\u{0} del\u{7f} nel\u{85} ls\u{2028}");
    check_promtool(&page(Some(&report), PageFormat::Text));
    check_strict_parser(&page(Some(&report), OPEN_METRICS));
}

#[test]
fn a_series_without_a_figure_is_absent() {
    let mut report = fixture::story(&fixture::site(), 0);
    let snapshot = Arc::make_mut(report.snapshot.as_mut().expect("a snapshot"));
    let series = &mut snapshot.slices[0].series[0];
    series.measures[0] = None;
    series.measures[1] = Some(Quantity::Real(f64::NAN));
    series.kpis[0] = None;
    series.kpis[1] = series.kpis[1].map(|mut figure| {
        figure.value = f64::INFINITY;
        figure
    });
    let page = page(Some(&report), PageFormat::Text);
    for family in [
        "measure_emails_sent_messages",
        "measure_emails_delivered_messages",
        "emails_sent_messages",
        "delivery_rate_ratio",
    ] {
        let absent = format!("tidegauge_{family}{{slice=\"all\",window=\"5m\"}}");
        let present = format!("tidegauge_{family}{{slice=\"all\",window=\"1h\"}}");
        assert!(!page.contains(&absent), "{absent} is on the page");
        assert!(page.contains(&present), "{present} is not on the page");
    }
    assert!(!page.contains(" NaN") && !page.contains(" inf"));
}

#[test]
fn every_family_stands_together_and_is_described_once() {
    let report = fixture::story(&fixture::site(), 0);
    let page = page(Some(&report), PageFormat::Text);
    let mut described = Vec::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().expect("a name");
            assert!(!described.contains(&name), "{name} is described twice");
            described.push(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            assert_eq!(described.last(), Some(&name), "{line} stands in another family");
        }
    }
}

#[test]
fn counters_add_up_to_what_the_durable_ledgers_hold() {
    let mut report = fixture::story(&fixture::site(), 0);
    // What is live has gone on since the checkpoint.
    report.topics[0].ledger.records.read += 7;
    report.topics[0].ledger.records.decoded += 7;
    let metrics = Metrics::parse(&page(Some(&report), PageFormat::Text));
    let state = report.state.as_ref().expect("a state");
    for (topic, ledger) in state.durable.iter() {
        let of = [("topic", topic.as_str())];
        assert_eq!(metrics.sum("tidegauge_records_total", &of), ledger.records.read as f64);
        assert_eq!(metrics.sum("tidegauge_events_total", &of), ledger.events.decoded as f64);
    }
    let read = [("topic", report.topics[0].topic.as_str()), ("outcome", "read")];
    let live = report.topics[0].ledger.records.read as f64;
    assert_eq!(metrics.one("tidegauge_ledger_records", &read), Some(live));
}

#[test]
fn without_saved_state_nothing_claims_to_be_durable() {
    let mut report = fixture::story(&fixture::site(), 0);
    (report.state, report.duplicates, report.backfill) = (None, None, None);
    let page = page(Some(&report), PageFormat::Text);
    for absent in ["_records_total", "_events_total{", "_state_", "remembered_ids", "_backfill_"] {
        let found = page.lines().find(|it| it.contains(absent) && !it.contains("objective_state"));
        assert!(found.is_none_or(|it| it.contains("partition_lost")), "{found:?}");
    }
    check_promtool(&page);
}
