//! An invented spring, as the pages see it: five campaigns, seven objectives, one
//! spike of people who leave.

use std::sync::Arc;

use tidegauge::admit::{Ledger, RecentLedger};
use tidegauge::event::{Currency, Decimal, EventTime, Field, IgnoreReason, RejectReason};
use tidegauge::event::{Span, Vocabulary};
use tidegauge::export::{
    BackfillReport, DeadLetterReport, DuplicatesReport, NotReady, PartitionReport, Report, Site,
    StateReport, TopicReport,
};
use tidegauge::kpi::{
    AggregateSpec, Amount, Declarations, Direction, Formula, KpiFigure, KpiSnapshot, KpiSpec,
    MeasureSpec, OTHER, Operator, Quantity, SampleSpec, SeriesSnapshot, Share, SliceSnapshot,
    SliceSpec, Unit,
};
use tidegauge::objective::{ObjectiveSpec, Severity, State, Target, UnknownReason, Verdict};
use tidegauge::window::WindowSpec;

/// The moment of the golden pages: 2026-04-14T09:30:00Z.
pub(super) const MOMENT: EventTime = EventTime::from_secs(1_776_159_000);

const SPRING: &str = "Spring sale";
const CAMPAIGNS: [&str; 5] =
    ["Garden week", "Newsletter 14", SPRING, "Welcome series", "Win back \"we miss you\""];

fn euro() -> Currency {
    Currency::parse("EUR").expect("a currency")
}

fn unit(name: &str) -> Unit {
    match name {
        "ratio" => Unit::Ratio,
        "eur" => Unit::Money(euro()),
        other => Unit::Of(other.to_owned()),
    }
}

/// Measures: id, unit, type, help.
const MEASURES: [(&str, &str, &str, &str); 9] = [
    ("emails_sent", "messages", "email.sent", "Messages handed over for delivery."),
    ("emails_delivered", "messages", "email.delivered", "Messages that a server accepted."),
    ("openers", "people", "email.opened", "People who opened a message."),
    ("clickers", "people", "email.clicked", "People who clicked in a message."),
    ("unsubscribes", "messages", "email.unsubscribed", "People who left a list."),
    ("page_views", "views", "web.page_viewed", "Pages shown."),
    ("visitors", "people", "web.page_viewed", "People on the site."),
    ("converters", "people", "web.converted", "Visitors who did what was wanted."),
    ("revenue", "eur", "commerce.order_paid", "Paid orders, in euros."),
];

/// A KPI: id, unit, numerator, denominator, direction, help.
type Kpi = (&'static str, &'static str, usize, Option<usize>, Direction, &'static str);

const KPIS: [Kpi; 8] = [
    ("emails_sent", "messages", 0, None, Direction::Neutral, "Messages sent."),
    ("delivery_rate", "ratio", 1, Some(0), Direction::Up, "Share of mail that was accepted."),
    ("open_rate", "ratio", 2, Some(1), Direction::Up, "People who opened, over mail delivered."),
    ("click_rate", "ratio", 3, Some(1), Direction::Up, "People who clicked, over mail delivered."),
    (
        "unsubscribe_per_delivered",
        "ratio",
        4,
        Some(1),
        Direction::Down,
        "People who left, over mail delivered.",
    ),
    ("page_views", "views", 5, None, Direction::Up, "Pages shown."),
    ("conversion_rate", "ratio", 7, Some(6), Direction::Up, "Visitors who converted."),
    ("revenue", "eur", 8, None, Direction::Up, "Paid orders, in euros."),
];

fn declarations() -> Declarations {
    let vocabulary = Vocabulary::canonical();
    let windows = |secs: &[i64]| {
        let window = |secs: &i64| WindowSpec::new(Span::from_secs(*secs)).expect("a window");
        secs.iter().map(window).collect::<Vec<_>>()
    };
    let measures = MEASURES
        .iter()
        .map(|&(id, of, kind, help)| MeasureSpec {
            id: id.to_owned(),
            help: help.to_owned(),
            aggregate: match of {
                "people" => AggregateSpec::Distinct(Field::User),
                "eur" => AggregateSpec::Sum(Amount::Value(euro())),
                _ => AggregateSpec::Count,
            },
            types: vec![vocabulary.get(kind).expect("a known type")],
            filters: Vec::new(),
            unit: unit(of),
        })
        .collect();
    let kpis = KPIS
        .iter()
        .map(|&(id, of, over, under, direction, help)| {
            let over = Formula::Measure(over);
            let under = under.map(Formula::Measure);
            KpiSpec {
                id: id.to_owned(),
                help: help.to_owned(),
                formula: match under.clone() {
                    Some(under) => {
                        Formula::Binary(Box::new(over), Operator::Divide, Box::new(under))
                    }
                    None => over,
                },
                unit: unit(of),
                direction,
                share: match id {
                    "conversion_rate" => Some(Share::OfWindow),
                    "click_rate" | "unsubscribe_per_delivered" => Some(Share::OfEarlier),
                    _ => None,
                },
                sample: under.map(|of| SampleSpec { of, minimum: Decimal::from_int(500) }),
                slices: vec![0, 1],
                group: "email".to_owned(),
                kind: "engagement".to_owned(),
            }
        })
        .collect();
    let slice = |name: &str, fields: Vec<Field>, secs: &[i64]| SliceSpec {
        name: name.to_owned(),
        fields,
        windows: windows(secs),
        cap: 1_000,
    };
    Declarations {
        measures,
        kpis,
        slices: vec![
            slice("all", Vec::new(), &[300, 3_600, 86_400]),
            slice("campaign", vec![Field::Campaign], &[300, 3_600]),
        ],
        lateness: Span::from_secs(86_400),
        future_tolerance: Span::from_secs(300),
        vocabulary,
    }
}

fn objectives() -> Vec<ObjectiveSpec> {
    let objective = |id: &str, kpi: &str, campaign: Option<Option<&str>>, window, target| {
        let place = KPIS.iter().position(|(id, ..)| *id == kpi).expect("a KPI");
        ObjectiveSpec {
            id: id.to_owned(),
            help: String::new(),
            kpi: place,
            slice: usize::from(campaign.is_some()),
            selector: campaign.into_iter().map(|name| name.map(str::to_owned)).collect(),
            window,
            target,
            margin: 0.1,
            minimum_sample: None,
            minimum_coverage: 0.99,
            owner: "lifecycle".to_owned(),
            serves: "retention".to_owned(),
            severity: Severity::Warning,
            runbook: None,
            hold: Span::ZERO,
            keep_firing: Span::from_secs(60),
        }
    };
    vec![
        ObjectiveSpec {
            help: "Few people leave after a mailing; a spike means a wrong list or a wrong text."
                .to_owned(),
            severity: Severity::Critical,
            runbook: Some("https://runbooks.example.com/unsubscribes?x=1&y=2".to_owned()),
            ..objective(
                "unsubscribe_spike",
                "unsubscribe_per_delivered",
                Some(None),
                0,
                Target::AtMost(0.005),
            )
        },
        ObjectiveSpec {
            help: "Mail arrives.".to_owned(),
            owner: "deliverability".to_owned(),
            ..objective("mail_arrives", "delivery_rate", None, 1, Target::AtLeast(0.85))
        },
        ObjectiveSpec {
            help: "The shop sells enough to pay for spring.".to_owned(),
            owner: "shop".to_owned(),
            serves: "growth".to_owned(),
            ..objective("spring_revenue", "revenue", None, 2, Target::AtLeast(900_000.0))
        },
        ObjectiveSpec {
            help: "Visitors become customers.".to_owned(),
            owner: "shop".to_owned(),
            ..objective("visitors_convert", "conversion_rate", None, 2, Target::AtLeast(0.03))
        },
        ObjectiveSpec {
            help: "The sale is read about.".to_owned(),
            owner: "content".to_owned(),
            severity: Severity::Low,
            ..objective(
                "spring_is_read",
                "page_views",
                Some(Some(SPRING)),
                1,
                Target::AtLeast(50_000.0),
            )
        },
        ObjectiveSpec {
            help: "Openings stay where they have always been.".to_owned(),
            owner: "content".to_owned(),
            severity: Severity::Low,
            ..objective(
                "opens_as_usual",
                "open_rate",
                Some(Some("Autumn preview")),
                1,
                Target::Between(0.15, 0.6),
            )
        },
    ]
}

/// The fixed part of the pages.
pub(super) fn site() -> Site {
    Site::new(Arc::new(declarations()), objectives().into(), "5f2a90c1", "0.1.0", "gauge-a")
}

/// A wave between -1 and 1 that differs by `seed`.
fn wave(step: i64, seed: usize) -> f64 {
    (step as f64 / 9.0 + seed as f64 * 1.7).sin() * 0.7
        + (step as f64 / 3.1 + seed as f64).sin() * 0.3
}

/// How much of the spike of the spring sale there is at `step`, 0 to 1.
fn spike(step: i64) -> f64 {
    let rise = (step as f64 + 25.0) / 8.0;
    1.0 / (1.0 + (-rise).exp())
}

/// The measures of one campaign (`None`: the sum over all) in a window of `secs`.
fn measures(campaign: Option<usize>, secs: f64, step: i64) -> Vec<Option<Quantity>> {
    let Some(campaign) = campaign else {
        let parts: Vec<_> =
            (0..CAMPAIGNS.len()).map(|campaign| measures(Some(campaign), secs, step)).collect();
        return (0..MEASURES.len())
            .map(|place| {
                let sum: f64 =
                    parts.iter().filter_map(|part| part[place]).map(Quantity::to_f64).sum();
                (sum > 0.0).then(|| exact(place, sum))
            })
            .collect();
    };
    let weight = [640.0, 930.0, 1_260.0, 3.1, 310.0][campaign] * secs / 60.0;
    let sent = (weight * (1.0 + 0.12 * wave(step, campaign))).round();
    let delivered = (sent * 0.985).round();
    let leaving = match CAMPAIGNS[campaign] {
        SPRING => 0.0031 + 0.0092 * spike(step),
        "Garden week" => 0.00476,
        _ => 0.0022,
    };
    let web = campaign != 4;
    let share = |of: f64, share: f64, seed: usize| {
        (of * share * (1.0 + 0.15 * wave(step, campaign + seed))).round()
    };
    let visitors = share(sent, 0.11, 7);
    let values = [
        Some(sent),
        Some(delivered),
        Some(share(delivered, 0.31, 3)),
        Some(share(delivered, 0.042, 4)),
        Some((delivered * leaving).round()),
        web.then(|| share(sent, 0.26 + 0.6 * f64::from(u8::from(campaign == 2)), 5)),
        web.then_some(visitors),
        web.then(|| share(visitors, 0.034, 6)),
        web.then(|| share(sent, 0.21, 8) + 0.75),
    ];
    values.into_iter().enumerate().map(|(at, value)| value.map(|it| exact(at, it))).collect()
}

fn exact(place: usize, value: f64) -> Quantity {
    let text = if MEASURES[place].1 == "eur" { format!("{value:.2}") } else { format!("{value}") };
    Quantity::Exact(Decimal::parse(&text).expect("a number"))
}

fn figures(measures: &[Option<Quantity>]) -> Vec<Option<KpiFigure>> {
    KPIS.iter()
        .map(|&(_, _, over, under, ..)| {
            let over = measures[over]?.to_f64();
            let Some(under) = under else { return Some(KpiFigure { value: over, sample: None }) };
            let under = measures[under]?.to_f64();
            (under > 0.0).then(|| KpiFigure { value: over / under, sample: Some(under) })
        })
        .collect()
}

fn series(name: Option<(usize, &str)>, other: bool, secs: &[f64], step: i64) -> SeriesSnapshot {
    let by_window: Vec<_> =
        secs.iter().map(|secs| measures(name.map(|(at, _)| at), *secs, step)).collect();
    let text = name.map(|(_, name)| name.into());
    SeriesSnapshot {
        values: text.into_iter().collect(),
        other,
        kpis: by_window.iter().flat_map(|measures| figures(measures)).collect(),
        measures: by_window.into_iter().flatten().collect(),
    }
}

fn snapshot(as_of: EventTime, step: i64) -> KpiSnapshot {
    let mut campaigns: Vec<_> = CAMPAIGNS
        .iter()
        .enumerate()
        .map(|named| series(Some((named.0, named.1)), false, &[300.0, 3_600.0], step))
        .collect();
    // Too small a list to have had mail in the last five minutes.
    for figure in &mut campaigns[3].kpis[6..8] {
        *figure = None;
    }
    campaigns.push(series(Some((4, OTHER)), true, &[300.0, 3_600.0], step));
    KpiSnapshot {
        as_of,
        slices: vec![
            SliceSnapshot {
                slice: 0,
                coverage: vec![1.0, 1.0, 0.998],
                kpi_coverage: [1.0, 1.0, 0.998]
                    .iter()
                    .flat_map(|share| [*share; KPIS.len()])
                    .collect(),
                folded_values: 0,
                folded_events: 0,
                series: vec![series(None, false, &[300.0, 3_600.0, 86_400.0], step)],
            },
            SliceSnapshot {
                slice: 1,
                coverage: vec![1.0, 1.0],
                // One KPI was declared half an hour ago.
                kpi_coverage: (0..2 * KPIS.len())
                    .map(|place| if place == KPIS.len() + 6 { 0.513 } else { 1.0 })
                    .collect(),
                folded_values: 12,
                folded_events: 4_711,
                series: campaigns,
            },
        ],
    }
}

/// Judges as the engine would, as far as the story needs it.
fn verdicts(site: &Site, snapshot: &KpiSnapshot) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (place, objective) in site.objectives.iter().enumerate() {
        let slice = &snapshot.slices[objective.slice];
        let matches = |series: &&SeriesSnapshot| match objective.selector.first() {
            Some(Some(name)) => *series.values[0] == **name,
            _ => !series.other,
        };
        for series in slice.series.iter().filter(matches) {
            let figure = series.kpis[objective.window * KPIS.len() + objective.kpi];
            verdicts.push(judge(place, objective, series.values.clone(), figure));
        }
        if objective.is_literal() && !slice.series.iter().any(|series| matches(&series)) {
            let values: Arc<[Box<str>]> =
                objective.selector.iter().flatten().map(|name| name.as_str().into()).collect();
            verdicts.push(judge(place, objective, values, None));
        }
    }
    verdicts
}

fn judge(
    place: usize,
    objective: &ObjectiveSpec,
    values: Arc<[Box<str>]>,
    figure: Option<KpiFigure>,
) -> Verdict {
    let unknown = match figure {
        None => Some(UnknownReason::NoData),
        Some(KpiFigure { sample: Some(sample), .. }) if sample < 500.0 => {
            Some(UnknownReason::SmallSample)
        }
        Some(_) => None,
    };
    let value = figure.map(|figure| figure.value);
    let finite = |ratio: f64| Some(ratio).filter(|ratio| ratio.is_finite());
    let (attainment, remaining) = match (objective.target, value) {
        (Target::AtLeast(least), Some(value)) => (finite(value / least), Some(least - value)),
        (Target::AtMost(most), Some(value)) => (finite(most / value), Some(value - most)),
        _ => (None, None),
    };
    let state = match attainment {
        _ if unknown.is_some() => State::Unknown,
        Some(attainment) if attainment < 1.0 => State::Missed,
        Some(attainment) if attainment < 1.1 => State::AtRisk,
        _ => State::Met,
    };
    Verdict {
        objective: place,
        values,
        state,
        unknown,
        value,
        sample: figure.and_then(|figure| figure.sample),
        attainment,
        remaining: remaining.map(|remaining| remaining.max(0.0)),
    }
}

fn topic(name: &str, read: u64, moment: EventTime, lags: &[Option<u64>]) -> TopicReport {
    let mut ledger = Ledger::default();
    ledger.records.read = read;
    ledger.records.rejected[RejectReason::NotJson as usize] = 3;
    ledger.records.empty = 2;
    ledger.records.decoded = read - 5;
    ledger.events.decoded = read + 40;
    ledger.events.late = 4;
    ledger.events.future = 1;
    ledger.events.ignored[IgnoreReason::UnknownType as usize] = 17;
    ledger.events.rejected[RejectReason::BadTime as usize] = 2;
    ledger.events.duplicate = read / 50;
    ledger.events.counted = ledger.events.decoded - 24 - ledger.events.duplicate;
    ledger.events.unidentified = 9;
    let mut recent = RecentLedger::default();
    recent.add(moment - Span::from_secs(200), &ledger);
    let partitions = lags.iter().enumerate().map(|(partition, lag)| PartitionReport {
        partition: partition as i32,
        lag: *lag,
        frontier: Some(moment - Span::from_secs(i64::from(lag.is_none()) * 20)),
        gaps: u64::from(lag.is_none()),
        lost_records: if lag.is_none() { 1_204 } else { 0 },
        held_for: (*lag == Some(12)).then_some(Span::from_secs(8)),
        passed_over: if lag.is_none() { 7_000 } else { 0 },
    });
    let partitions: Vec<PartitionReport> = partitions.collect();
    let frontier = partitions.iter().filter_map(|partition| partition.frontier).min();
    TopicReport {
        topic: name.to_owned(),
        ledger,
        recent,
        compacted: false,
        behind: frontier.map(|frontier| moment - frontier),
        stale_after: Span::from_secs(60),
        stale: false,
        partitions,
    }
}

/// The spring as it stands `step` steps of five seconds after [`MOMENT`].
pub(super) fn story(site: &Site, step: i64) -> Report {
    let made_at = MOMENT + Span::from_secs(5 * step);
    let snapshot = snapshot(made_at - Span::from_secs(1), step);
    let verdicts = verdicts(site, &snapshot);
    let grown = (step + 1_000) as u64;
    let topics = vec![
        topic("email-events", 184 * grown, made_at, &[Some(0), Some(12), Some(0)]),
        topic("social-events", 21 * grown, made_at, &[Some(0)]),
        topic("web-events", 96 * grown, made_at, &[Some(3), None]),
    ];
    let durable = topics.iter().map(|topic| (topic.topic.clone(), topic.ledger.clone()));
    let state = StateReport {
        every: Span::from_secs(1),
        saved_at: Some(made_at - Span::from_millis(700)),
        durable: durable.collect(),
        checkpoints: 7_200 + 5 * step as u64,
        written_bytes: 41_000 * (7_200 + 5 * step as u64),
        checkpoint_bytes: 41_120,
        checkpoint_took: Span::from_millis(4),
        disk_bytes: 18_300_000,
        blocked: None,
    };
    Report {
        made_at,
        started_at: MOMENT - Span::from_secs(7_200),
        snapshot: Some(Arc::new(snapshot)),
        verdicts,
        not_ready: Vec::new(),
        complete: true,
        covered_from: Some(MOMENT - Span::from_secs(90_000)),
        topics,
        missing_topics: vec!["crm-events".to_owned()],
        brokers_up: true,
        brokers_why: None,
        dead_letters: DeadLetterReport { written: 15, pending: 0, blocked: false },
        other_currency: Vec::new(),
        overfull_levels: Vec::new(),
        stale_after: Span::from_secs(60),
        snapshot_took: Span::from_millis(12),
        state: Some(state),
        duplicates: Some(DuplicatesReport {
            ids: 1_480_000,
            bytes: 14_680_064,
            horizon: Span::from_secs(72 * 3_600),
        }),
        backfill: Some(BackfillReport {
            columns: 3,
            done_records: 120_000 + 50 * grown,
            total_records: 400_000,
            finished: false,
        }),
    }
}

/// The same, right after a start: nothing can be said yet.
#[allow(dead_code, reason = "not every user of this file shows a start")]
pub(super) fn starting(site: &Site) -> Report {
    let mut report = story(site, 0);
    report.not_ready = vec![NotReady::BrokerDown, NotReady::CatchingUp];
    report.brokers_up = false;
    for verdict in &mut report.verdicts {
        verdict.state = State::Unknown;
        verdict.unknown = Some(UnknownReason::Stale);
    }
    report
}
