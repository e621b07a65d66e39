//! New measures and slices after a changed configuration, on a real Kafka: what was
//! declared before keeps its figures, and what is new comes to those of an instance
//! that was configured so from the beginning.

use std::collections::BTreeMap;
use std::time::Duration;

use tempfile::TempDir;
use tidegauge::event::{EventTime, Span};

use crate::service::now;
use crate::support::instance::{Instance, Metrics};
use crate::support::kafka::Kafka;
use crate::support::process::wait_until;

/// What is declared at first.
const BEFORE: &str = r#"
[measures.delivered]
aggregate = "count"
types = ["email.delivered"]
unit = "messages"

[measures.gone]
aggregate = "count"
types = ["email.unsubscribed"]
unit = "people"

[kpis.leaving]
formula = "or(gone, 0) / delivered"
unit = "ratio"
direction = "down"
"#;

/// What is declared then: a KPI less, one more of each kind of aggregate, and a slice
/// more.
const AFTER: &str = r#"
[measures.delivered]
aggregate = "count"
types = ["email.delivered"]
unit = "messages"

[measures.opened]
aggregate = "count"
types = ["email.opened"]
unit = "messages"

[measures.openers]
aggregate = "distinct"
of = "user"
types = ["email.opened"]
unit = "people"

[measures.paid]
aggregate = "sum"
of = "value"
currency = "EUR"
types = ["commerce.order_paid"]

[measures.score]
aggregate = "mean"
of = "count"
types = ["crm.csat_recorded"]
unit = "points"

[measures.listed]
aggregate = "last"
max_age = "2h"
types = ["email.list_size"]
unit = "people"

[kpis.opening]
formula = "opened / delivered"
unit = "ratio"
direction = "up"

[kpis.opening_people]
formula = "openers / delivered"
unit = "ratio"
direction = "up"

[kpis.earned]
formula = "paid"
unit = "EUR"
direction = "up"

[kpis.contentment]
formula = "score"
unit = "points"
direction = "up"

[kpis.reach]
formula = "delivered / listed"
unit = "ratio"
direction = "up"
slices = ["all"]

[slices.area]
by = ["campaign", "region"]
windows = ["30m", "24h"]

[slices.narrow]
by = ["campaign", "region"]
windows = ["24h"]
cap = 6
"#;

const SLICES: &str = r#"
[catalogue]
kpis = []
slices = []

[slices.all]
by = []
windows = ["5m", "1h", "24h"]

[slices.campaign]
by = ["campaign"]
windows = ["1h", "24h"]
"#;

/// Far enough back for windows that hold part of it, and all within a day.
const SPAN: Span = Span::from_secs(3 * 3_600);
const EVENTS: usize = 12_000;

/// One topic, and the instances that read it.
struct Stage {
    kafka: &'static Kafka,
    topic: String,
    folder: TempDir,
    began: EventTime,
}

impl Stage {
    fn new(name: &str) -> Stage {
        let kafka = Kafka::shared();
        let topic = kafka.topic(name, 3, &[]);
        let folder = TempDir::new().expect("a folder");
        Stage { kafka, topic, folder, began: now() - SPAN }
    }

    /// Writes events of these numbers, each tenth twice, with the copy in another
    /// partition; `again` are copies of earlier ones.
    fn produce(&self, numbers: std::ops::Range<usize>, again: &[usize]) {
        // Small batches, so that small fetches are possible.
        let producer = self.kafka.producer(&[("batch.num.messages", "20")]);
        let step = SPAN.micros() / EVENTS as i64;
        let mut numbers: Vec<usize> =
            numbers.flat_map(|n| vec![n; 1 + usize::from(n % 10 == 0)]).collect();
        numbers.extend(again);
        for (place, n) in numbers.iter().enumerate() {
            let time = self.began + Span::from_micros(step * *n as i64);
            let recorded = time + Span::from_secs(if n % 7 == 0 { 2_400 } else { 1 });
            // Too late to count, at that record's time.
            let time = if n % 1_000 == 999 { time - Span::from_secs(30 * 3_600) } else { time };
            let (kind, rest) = match n % 6 {
                0 | 1 => ("email.delivered", String::new()),
                2 => ("email.opened", String::new()),
                3 => (
                    "commerce.order_paid",
                    format!(r#","value":"{}.{:02}","currency":"EUR""#, n % 90, n % 100),
                ),
                4 if n % 4 == 0 => {
                    ("email.list_size", format!(r#","key":"list-{}","count":{n}"#, n % 5))
                }
                4 => ("crm.csat_recorded", format!(r#","count":{}"#, n % 5)),
                _ => ("email.unsubscribed", String::new()),
            };
            let event = format!(
                r#"{{"id":"n-{n}","type":"{kind}","time":"{time}","campaign":"c-{}","user":"u-{}","attributes":{{"region":"r-{}"}}{rest}}}"#,
                n % 5,
                n % 997,
                n % 2
            );
            let partition = ((n + place) % 3) as i32;
            producer
                .send_to(
                    &self.topic,
                    Some(partition),
                    None,
                    Some(event.as_bytes()),
                    &[],
                    Some(recorded.min(now())),
                )
                .expect("the broker takes it");
        }
        producer.flush(Duration::from_secs(60)).expect("all is written");
    }

    fn configuration(&self, instance: &str, declared: &str) -> String {
        let state = self.folder.path().join(instance);
        format!(
            "instance = \"{instance}\"\n[kafka]\nbrokers = \"{}\"\ngroup = \"{}\"\n\
             properties = {{ \"max.partition.fetch.bytes\" = \"4000\" }}\n\
             [export]\nlisten = \"$LISTEN\"\n[state]\ndirectory = \"{}\"\n\
             checkpoint_every = \"100ms\"\n[[topics]]\nname = \"{}\"\nformat = \"canonical\"\n\
             {SLICES}{declared}",
            self.kafka.bootstrap(),
            self.topic,
            state.display(),
            self.topic
        )
    }

    fn run(&self, instance: &str, declared: &str, arguments: &[&str]) -> Instance {
        Instance::start_with(&self.configuration(instance, declared), arguments)
    }
}

fn counted(metrics: &Metrics) -> f64 {
    metrics.sum("tidegauge_ledger_events", &[("outcome", "counted")])
}

#[track_caller]
fn wait_counted(instance: &mut Instance, events: usize) {
    instance.wait_ready();
    // Ledgers are of now, figures of the moment up to which all is known to be read.
    let since = now().as_secs_f64();
    instance.wait_metrics("all events", |metrics| {
        let as_of = metrics.one("tidegauge_as_of_timestamp_seconds", &[])?;
        (counted(metrics) == events as f64 && as_of >= since).then_some(())
    });
}

#[track_caller]
fn end(instance: Instance) {
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
}

#[track_caller]
fn wait_filled(instance: &Instance) {
    instance.wait_metrics("the end of the backfill", |metrics| {
        (metrics.one("tidegauge_backfill_running", &[]) == Some(0.0)).then_some(())
    });
}

/// Every figure of a page, and how much of it is covered.
type Figures = BTreeMap<String, f64>;

const KPIS: [&str; 7] =
    ["leaving", "opening", "opening_people", "earned", "contentment", "reach", "coverage"];

fn figures(metrics: &Metrics) -> Figures {
    let is_figure = |family: &str| {
        family.starts_with("tidegauge_measure_")
            || family == "tidegauge_kpi_coverage_ratio"
            || KPIS.iter().any(|kpi| family.starts_with(&format!("tidegauge_{kpi}_")))
    };
    metrics
        .samples()
        // Above its cap, who has a series is a matter of the order of reading.
        .filter(|(_, labels, _)| labels.get("slice").is_none_or(|slice| slice != "narrow"))
        .filter(|(family, _, _)| is_figure(family))
        .map(|(family, labels, value)| (format!("{family}{labels:?}"), value))
        .collect()
}

/// The figures of two instances at moments of the same pane.
#[track_caller]
fn side_by_side(a: &Instance, b: &Instance) -> (Figures, Figures) {
    let pane = |metrics: &Metrics| {
        metrics.one("tidegauge_as_of_timestamp_seconds", &[]).map(|at| (at / 10.0).floor())
    };
    wait_until(
        Duration::from_secs(60),
        || {
            let (of_a, of_b) = (a.metrics(), b.metrics());
            let same = pane(&of_a).is_some() && pane(&of_a) == pane(&of_b);
            same.then(|| (figures(&of_a), figures(&of_b)))
        },
        || "two pages of one moment".to_owned(),
    )
}

#[track_caller]
fn assert_same(a: &Instance, b: &Instance) {
    let (of_a, of_b) = side_by_side(a, b);
    let differ = |(name, value): &(&String, &f64)| of_b.get(*name) != Some(*value);
    let differences: Vec<String> = of_a
        .iter()
        .filter(differ)
        .map(|(name, value)| format!("{name}: {value}, and {:?}", of_b.get(name)))
        .chain(
            of_b.keys()
                .filter(|name| !of_a.contains_key(*name))
                .map(|name| format!("{name} is missing")),
        )
        .collect();
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}\nlog:\n{}",
        differences.len(),
        of_b.len(),
        differences.iter().take(40).cloned().collect::<Vec<_>>().join("\n"),
        a.log()
    );
    assert!(of_a.len() > 60, "only {} figures", of_a.len());
}

/// Above its cap a slice has fewer figures, and those that it has are right.
#[track_caller]
fn assert_own_figures_right(metrics: &Metrics) {
    let mut own = 0;
    for (family, labels, value) in metrics.samples() {
        let is_own = |name: &str| labels.get(name).is_some_and(|of| of != "__other__");
        let of = |name: &str| labels.get(name).map_or("", String::as_str);
        if of("slice") == "narrow" && family.starts_with("tidegauge_measure_") && is_own("campaign")
        {
            let wide = [
                ("slice", "area"),
                ("window", "24h"),
                ("campaign", of("campaign")),
                ("region", of("region")),
            ];
            assert_eq!(metrics.one(family, &wide), Some(value), "{family} {labels:?}");
            own += 1;
        }
    }
    assert!(own > 4, "only {own} figures of own series");
}

/// What the log says when a backfill begins.
const BEGINS: &str = "filling the new measures of slices from the topics; ";

/// Counted of the first `numbers`: a thousandth is late.
fn countable(numbers: usize) -> usize {
    numbers - numbers / 1_000
}

#[test]
fn what_is_new_gets_its_past_and_everything_else_keeps_its_figures() {
    let stage = Stage::new("backfill");
    let first = EVENTS * 2 / 3;
    stage.produce(0..first, &[]);
    let mut before = stage.run("a", BEFORE, &[]);
    wait_counted(&mut before, countable(first));
    end(before);
    let (copies, second): (Vec<usize>, usize) = ((0..first).step_by(17).collect(), EVENTS * 5 / 6);
    stage.produce(first..second, &copies);

    let mut filled = stage.run("a", AFTER, &[]);
    // Some come while it is filled.
    stage.produce(second..EVENTS, &copies[..50]);
    wait_counted(&mut filled, countable(EVENTS));
    let delivered = |metrics: &Metrics, slice: &str| {
        metrics.sum("tidegauge_measure_delivered_messages", &[("slice", slice), ("window", "24h")])
    };
    let all = (0..EVENTS).filter(|n| n % 6 < 2 && n % 1_000 != 999).count() as f64;
    filled.wait_metrics("the end of the backfill", |metrics| {
        assert_eq!(delivered(metrics, "all"), all, "what was there before stays what it was");
        assert_eq!(delivered(metrics, "campaign"), all);
        (metrics.one("tidegauge_backfill_running", &[]) == Some(0.0)).then_some(())
    });
    let mut fresh = stage.run("fresh", AFTER, &[]);
    wait_counted(&mut fresh, countable(EVENTS));
    assert_same(&filled, &fresh);
    let metrics = filled.metrics();
    metrics.assert_balanced();
    assert_own_figures_right(&metrics);
    for family in ["tidegauge_coverage_ratio", "tidegauge_kpi_coverage_ratio"] {
        let coverage = metrics.all(family, &[]);
        assert!(coverage.iter().all(|share| *share == 1.0), "{family}: {coverage:?}");
    }
    assert_eq!(metrics.one("tidegauge_backfill_records", &[("state", "remaining")]), Some(0.0));
    assert_eq!(
        metrics.one("tidegauge_measure_gone_people", &[("slice", "all"), ("window", "24h")]),
        None
    );
    assert!(filled.log().contains("no longer declared"), "{}", filled.log());
    end(filled);

    // What was filled is saved as well.
    let mut again = stage.run("a", AFTER, &[]);
    again.wait_ready();
    assert_same(&again, &fresh);
    assert!(!again.log().contains(BEGINS), "{}", again.log());
    end(again);
    end(fresh);
}

#[test]
fn a_crash_in_the_midst_of_it_begins_it_anew() {
    let stage = Stage::new("backfill-crash");
    let first = EVENTS / 2;
    stage.produce(0..first, &[]);
    let mut before = stage.run("a", BEFORE, &[]);
    wait_counted(&mut before, countable(first));
    drop(before);

    let mut unfinished = false;
    for (life, from) in (first..EVENTS).step_by(EVENTS / 6).enumerate() {
        stage.produce(from..from + EVENTS / 6, &[from - 10, from - 20]);
        let killed = stage.run("a", AFTER, &[]);
        wait_until(
            Duration::from_secs(60),
            || killed.log().contains("serving").then_some(()),
            || format!("the start; its log:\n{}", killed.log()),
        );
        assert!(!unfinished || killed.log().contains(BEGINS), "life {life}:\n{}", killed.log());
        // Before the first checkpoint, after it, and near the end.
        std::thread::sleep(Duration::from_millis(150 * life as u64));
        let log = killed.kill();
        unfinished = log.contains(BEGINS) && !log.contains("are filled");
    }
    let mut filled = stage.run("a", AFTER, &[]);
    wait_counted(&mut filled, countable(EVENTS));
    if filled.log().contains(BEGINS) {
        wait_filled(&filled);
    }
    let mut fresh = stage.run("fresh", AFTER, &[]);
    wait_counted(&mut fresh, countable(EVENTS));
    assert_same(&filled, &fresh);
    end(filled);
    end(fresh);
}

#[test]
fn without_a_backfill_what_is_new_begins_empty() {
    let stage = Stage::new("backfill-off");
    let first = EVENTS / 2;
    stage.produce(0..first, &[]);
    let mut before = stage.run("a", BEFORE, &[]);
    wait_counted(&mut before, countable(first));
    end(before);
    stage.produce(first..EVENTS, &[]);
    for life in ["first", "second"] {
        let arguments: &[&str] = if life == "first" { &["--backfill", "false"] } else { &[] };
        let mut empty = stage.run("a", AFTER, arguments);
        wait_counted(&mut empty, countable(EVENTS));
        let metrics = empty.metrics();
        let of_day = [("slice", "all"), ("window", "24h")];
        let opened = (first..EVENTS).filter(|n| n % 6 == 2 && n % 1_000 != 999).count();
        let family = "tidegauge_measure_opened_messages";
        assert_eq!(metrics.one(family, &of_day), Some(opened as f64), "the {life} life");
        let coverage = [("kpi", "earned"), ("slice", "all"), ("window", "24h")];
        let coverage = metrics.one("tidegauge_kpi_coverage_ratio", &coverage);
        assert!(coverage.is_some_and(|share| share < 0.2), "{life}: {coverage:?}");
        assert_eq!(metrics.one("tidegauge_backfill_running", &[]), None, "{life}");
        end(empty);
    }
}

#[test]
fn what_retention_deleted_lowers_the_coverage_of_what_is_filled() {
    let stage = Stage::new("backfill-retention");
    stage.produce(0..EVENTS, &[]);
    let mut before = stage.run("a", BEFORE, &[]);
    wait_counted(&mut before, countable(EVENTS));
    end(before);
    for partition in 0..3 {
        stage.kafka.delete_records(&stage.topic, partition, 2_200);
    }
    let mut filled = stage.run("a", AFTER, &[]);
    filled.wait_ready();
    wait_filled(&filled);
    let mut fresh = stage.run("fresh", AFTER, &[]);
    fresh.wait_ready();
    let (of_filled, of_fresh) = side_by_side(&filled, &fresh);
    let new = |figures: &Figures| -> Figures {
        let old = |name: &str| {
            name.contains("delivered")
                || name.contains("coverage")
                || name.contains("reach")
                || name.contains("opening")
        };
        figures.clone().into_iter().filter(|(name, _)| !old(name)).collect()
    };
    assert_eq!(new(&of_filled), new(&of_fresh), "{}", filled.log());
    let metrics = filled.metrics();
    let day = [("slice", "all"), ("window", "24h")];
    assert_eq!(metrics.one("tidegauge_coverage_ratio", &day), Some(1.0), "the old ones saw it");
    let of_kpi = [("kpi", "earned"), ("slice", "all"), ("window", "24h")];
    let coverage = metrics.one("tidegauge_kpi_coverage_ratio", &of_kpi);
    assert!(coverage.is_some_and(|share| share < 0.2), "{coverage:?}");
    end(filled);
    end(fresh);
}
