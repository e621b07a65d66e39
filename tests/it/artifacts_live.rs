//! The generated rules in a real Prometheus, with a real Alertmanager behind it and
//! a page of metrics that the test writes.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegauge::artifact;
use tidegauge::event::{EventTime, Span};
use tidegauge::export::NotReady;
use tidegauge::objective::State;

use crate::artifacts_fixture::{Made, declarations, objectives};
use crate::artifacts_page::{self, Told};
use crate::support::alertmanager::AlertmanagerServer;
use crate::support::dashboards;
use crate::support::http::MetricsPage;
use crate::support::prometheus::{Labels, PrometheusServer, PrometheusSpec};
use crate::support::webhook::WebhookReceiver;

const PATIENCE: Duration = Duration::from_secs(60);

/// A page, made now, on which one campaign's spike objective stands as told.
fn page(ready: bool, state: State, figure: f64) -> String {
    let not_ready = if ready { None } else { Some(NotReady::CatchingUp) };
    let told = Told { campaigns: &["spring".to_owned()], not_ready, state, figure };
    artifacts_page::page(&declarations(), &objectives(), told, now())
}

pub(crate) fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    EventTime::from_millis(since.as_millis() as i64)
}

#[test]
fn a_miss_is_notified_with_its_figures_survives_a_restart_and_is_resolved() {
    let (first, second) = (
        MetricsPage::start(&page(true, State::Met, 0.001)),
        MetricsPage::start(&page(true, State::Met, 0.001)),
    );
    let webhook = WebhookReceiver::start();
    let alertmanager = AlertmanagerServer::start(&webhook.url());
    let mut made = Made::new();
    made.objectives[0].keep_firing = Span::from_secs(2);
    let rules = artifact::rules(&made.inputs());
    let prometheus = PrometheusServer::start(PrometheusSpec {
        targets: &[first.address(), second.address()],
        rules: Some(&rules[0].text),
        alertmanager: Some(alertmanager.base()),
        interval: Some("1s"),
        ..PrometheusSpec::default()
    });

    // Everything is met: rules are evaluated, and nothing fires.
    prometheus.wait_for("count(tidegauge_ready == 1)", PATIENCE, |found| {
        found.first().is_some_and(|(_, count)| *count == 2.0)
    });
    prometheus.wait_for_evaluation(PATIENCE);
    assert!(prometheus.query("ALERTS{alertname=\"TidegaugeObjectiveMissed\"}").is_empty());
    assert!(webhook.all().is_empty(), "{:?}", webhook.all());

    // One of the two instances sees the spike.
    first.set(Some(page(true, State::Missed, 0.0325)));
    let fired =
        webhook.wait_for(PATIENCE, |alert| alert.label("alertname") == "TidegaugeObjectiveMissed");
    assert_eq!(fired.status, "firing");
    for (label, value) in [
        ("objective", "unsubscribe_spike"),
        ("kpi", "unsubscribe_per_delivered"),
        ("slice", "campaign"),
        ("campaign", "spring"),
        ("window", "5m"),
        ("owner", "email-team"),
        ("severity", "critical"),
    ] {
        assert_eq!(fired.label(label), value, "label {label}");
    }
    assert_eq!(
        fired.annotation("summary"),
        "Unsubscribe per delivered of campaign spring is 3.25% over 5m; the target is at most 2%"
    );
    assert!(
        fired.annotation("description").contains("from a sample of 1234 messages"),
        "{fired:?}"
    );
    assert_eq!(fired.annotation("runbook_url"), "https://runbooks.example/unsubscribes");
    // To the place of its severity and to that of its owner.
    for receiver in ["critical", "email-team-critical"] {
        webhook.wait_for(PATIENCE, |alert| {
            alert.receiver == receiver && alert.label("objective") == "unsubscribe_spike"
        });
    }

    // Both restart: one says that it is not ready, the other cannot be scraped.
    let firing = "ALERTS{alertname=\"TidegaugeObjectiveMissed\",alertstate=\"firing\"}";
    let since = "max(ALERTS_FOR_STATE{alertname=\"TidegaugeObjectiveMissed\"})";
    let active_since = prometheus.query(since);
    first.set(Some(page(false, State::Unknown, 0.0325)));
    second.set(None);
    prometheus.wait_for("absent(tidegauge_ready == 1)", PATIENCE, |found| !found.is_empty());
    // Longer than the alert outlives its expression without its own series.
    prometheus.wait_for(
        "count_over_time((absent(tidegauge_ready == 1))[5s:1s])",
        PATIENCE,
        |found| found.first().is_some_and(|(_, seconds)| *seconds >= 5.0),
    );
    assert_eq!(prometheus.query(firing).len(), 1, "it stays while no instance is ready");

    // Back, and still missed: the same alert, not a new one.
    first.set(Some(page(true, State::Missed, 0.04)));
    prometheus.wait_for("tidegauge_ready == 1", PATIENCE, |found| !found.is_empty());
    assert_eq!(prometheus.query(since), active_since, "it did not fire anew");
    assert!(
        webhook.all().iter().all(|alert| alert.status == "firing"
            || alert.label("alertname") != "TidegaugeObjectiveMissed"),
        "nothing was resolved meanwhile: {:#?}",
        webhook.all()
    );

    // A ready instance that says unknown resolves it.
    first.set(Some(page(true, State::Unknown, 0.0325)));
    let resolved = webhook.wait_for(PATIENCE, |alert| {
        alert.status == "resolved" && alert.label("alertname") == "TidegaugeObjectiveMissed"
    });
    assert_eq!(resolved.label("campaign"), "spring");
    assert!(
        webhook.all().iter().all(|alert| alert.label("campaign") != "autumn"),
        "the other campaign was never mentioned"
    );
}

/// Asks Prometheus everything that the dashboards ask, and holds each answer against
/// `fault`, which says what is wrong with it.
#[track_caller]
fn ask_all(
    prometheus: &PrometheusServer,
    made: &Made,
    chosen: &[(&str, &str)],
    fault: impl Fn(&[(Labels, f64)]) -> Option<String>,
) {
    let mut faults = Vec::new();
    let mut asked = 0;
    for board in artifact::dashboards(&made.inputs()) {
        let window = if board.path.contains("region") { "1h" } else { "5m" };
        let mut values = vec![("window", window), ("campaign", "spring"), ("region", "eu")];
        values.extend(chosen);
        for query in dashboards::queries(&board.text) {
            asked += 1;
            let expression = dashboards::filled(&query.expression, &values);
            let complaint = match prometheus.try_query(&expression) {
                Ok(found) if found.is_empty() => "no data".to_owned(),
                Ok(found) => match fault(&found) {
                    Some(complaint) => complaint,
                    None => continue,
                },
                Err(error) => error,
            };
            faults.push(format!("{}, {}: {complaint}\n  {expression}", board.path, query.panel));
        }
    }
    assert!(asked > 40, "the dashboards ask for something: {asked}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_dashboard_expression_returns_data_of_the_exporters_page() {
    let pages = [0.03, 0.04].map(|figure| MetricsPage::start(&page(true, State::Missed, figure)));
    let prometheus = PrometheusServer::start(PrometheusSpec {
        targets: &pages.each_ref().map(MetricsPage::address),
        environments: &["staging", "production"],
        rules: Some("groups: []\n"),
        interval: Some("1s"),
        ..PrometheusSpec::default()
    });
    // Two scrapes, since some expressions look at a change.
    prometheus.wait_for("min(count_over_time(tidegauge_ready[5m]))", PATIENCE, |found| {
        found.first().is_some_and(|(_, scrapes)| *scrapes >= 3.0)
    });
    ask_all(&prometheus, &Made::new(), &[], |_| None);
    let environments = |found: &[(Labels, f64)]| {
        let all: BTreeSet<_> = found.iter().map(|(labels, _)| labels.get("env").cloned()).collect();
        all.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join(" and ")
    };
    let of = |wanted: &'static str| {
        move |found: &[(Labels, f64)]| {
            let environments = environments(found);
            (environments != wanted).then(|| format!("data of {environments}, not {wanted}"))
        }
    };
    let kept = Made::told_apart(&["env"], &[]);
    ask_all(&prometheus, &kept, &[("env", ".*")], of("production and staging"));
    ask_all(&prometheus, &kept, &[("env", "staging")], of("staging"));
    let selected = Made::told_apart(&[], &["env=\"production\""]);
    ask_all(&prometheus, &selected, &[], |_| None);
    let missing = Made::told_apart(&[], &["env=\"canary\""]);
    let figure = artifact::dashboards(&missing.inputs())
        .iter()
        .flat_map(|board| dashboards::queries(&board.text))
        .find(|query| query.panel == "Ready instances")
        .expect("a panel");
    assert!(prometheus.query(&dashboards::filled(&figure.expression, &[])).is_empty());
}
