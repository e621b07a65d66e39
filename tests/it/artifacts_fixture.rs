//! Made-up declarations that exercise every shape of artifact: ratios, money, whole
//! numbers; slices of no, one and two fields; targets of all three kinds; holds;
//! literal and free selectors; texts that must be escaped.

use tidegauge::artifact::{Inputs, Scope};
use tidegauge::event::{Currency, Decimal, Field, Span, Vocabulary};
use tidegauge::kpi::{
    AggregateSpec, Amount, Declarations, Direction, Filter, FilterTest, Formula, KpiSpec,
    MeasureSpec, Operator, SampleSpec, Share, SliceSpec, Unit,
};
use tidegauge::objective::{ObjectiveSpec, Severity, Target};
use tidegauge::window::WindowSpec;

/// All that artifacts are made from.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) declarations: Declarations,
    pub(crate) objectives: Vec<ObjectiveSpec>,
    pub(crate) scope: Scope,
    pub(crate) dead_letters: Option<String>,
}

impl Made {
    /// Everything, for a single deployment.
    pub(crate) fn new() -> Made {
        Made {
            declarations: declarations(),
            objectives: objectives(),
            scope: Scope::default(),
            dead_letters: Some("refused.records".to_owned()),
        }
    }

    /// The same where labels are kept, or matched.
    #[track_caller]
    pub(crate) fn told_apart(kept: &[&str], matchers: &[&str]) -> Made {
        let mut made = Made::new();
        let slices = &made.declarations.slices;
        for label in kept {
            made.scope.keep(label, slices).expect("a label that can be kept");
        }
        for matcher in matchers {
            made.scope.select(matcher, slices).expect("a matcher");
        }
        made
    }

    pub(crate) fn inputs(&self) -> Inputs<'_> {
        Inputs {
            declarations: &self.declarations,
            objectives: &self.objectives,
            scope: &self.scope,
            dead_letters: self.dead_letters.as_deref(),
            stale_after: Span::from_secs(60),
        }
    }
}

fn window(secs: i64) -> WindowSpec {
    WindowSpec::new(Span::from_secs(secs)).expect("a window")
}

fn measure(
    vocabulary: &Vocabulary,
    id: &str,
    aggregate: AggregateSpec,
    kind: &str,
    unit: Unit,
) -> MeasureSpec {
    MeasureSpec {
        id: id.to_owned(),
        help: format!("All of `{kind}`."),
        aggregate,
        types: vec![vocabulary.get(kind).expect("a canonical type")],
        filters: Vec::new(),
        unit,
    }
}

fn ratio(above: usize, below: usize) -> Formula {
    Formula::Binary(
        Box::new(Formula::Measure(above)),
        Operator::Divide,
        Box::new(Formula::Measure(below)),
    )
}

/// What is computed.
pub(crate) fn declarations() -> Declarations {
    let vocabulary = Vocabulary::canonical();
    let euro = Currency::parse("EUR").expect("a currency");
    let of = |name: &str| Unit::Of(name.to_owned());
    let mut measures = vec![
        measure(&vocabulary, "delivered", AggregateSpec::Count, "email.delivered", of("messages")),
        measure(
            &vocabulary,
            "unsubscribed",
            AggregateSpec::Count,
            "email.unsubscribed",
            of("people"),
        ),
        measure(
            &vocabulary,
            "visitors",
            AggregateSpec::Distinct(Field::User),
            "web.page_viewed",
            of("people"),
        ),
        measure(
            &vocabulary,
            "spend",
            AggregateSpec::Sum(Amount::Value(euro)),
            "spend.cost",
            Unit::Money(euro),
        ),
        measure(&vocabulary, "clicks", AggregateSpec::Count, "spend.clicks", of("clicks")),
        measure(
            &vocabulary,
            "list_size",
            AggregateSpec::Last { amount: Amount::Count, max_age: Span::from_secs(7 * 86_400) },
            "email.list_size",
            of("people"),
        ),
    ];
    measures[1].filters = vec![
        Filter { field: Field::Machine, test: FilterTest::NotIn(vec!["true".to_owned()]) },
        Filter { field: Field::Campaign, test: FilterTest::Present(true) },
    ];
    let sample = |measure: usize, minimum: i64| {
        Some(SampleSpec { of: Formula::Measure(measure), minimum: Decimal::from_int(minimum) })
    };
    let kpi = |id: &str, formula, unit, direction, sample, slices: &[usize], group: &str| KpiSpec {
        id: id.to_owned(),
        help: format!("What {} says about {group} | and more.", id.replace('_', " ")),
        formula,
        unit,
        direction,
        share: (id == "unsubscribe_per_delivered").then_some(Share::OfEarlier),
        sample,
        slices: slices.to_vec(),
        group: group.to_owned(),
        kind: "engagement".to_owned(),
    };
    let kpis = vec![
        kpi(
            "emails_delivered",
            Formula::Measure(0),
            of("messages"),
            Direction::Neutral,
            None,
            &[0, 1, 2],
            "email",
        ),
        kpi(
            "unsubscribe_per_delivered",
            ratio(1, 0),
            Unit::Ratio,
            Direction::Down,
            sample(0, 100),
            &[0, 1, 2],
            "email",
        ),
        kpi(
            "unsubscribe_rate",
            ratio(1, 5),
            Unit::Ratio,
            Direction::Down,
            sample(5, 1_000),
            &[0],
            "email",
        ),
        kpi("visitors", Formula::Measure(2), of("people"), Direction::Up, None, &[0, 1], "web"),
        kpi(
            "cpc",
            ratio(3, 4),
            Unit::Money(euro),
            Direction::Down,
            sample(4, 10),
            &[0, 1],
            "money",
        ),
    ];
    let slice = |name: &str, fields: &[&str], windows: &[i64]| SliceSpec {
        name: name.to_owned(),
        fields: fields.iter().map(|name| Field::from_name(name)).collect(),
        windows: windows.iter().map(|&secs| window(secs)).collect(),
        cap: 1_000,
    };
    Declarations {
        vocabulary,
        measures,
        kpis,
        slices: vec![
            slice("all", &[], &[300, 3_600, 86_400, 604_800]),
            slice("campaign", &["campaign"], &[300, 3_600, 86_400]),
            slice("campaign_region", &["campaign", "region"], &[3_600]),
        ],
        lateness: Span::from_secs(7 * 86_400),
        future_tolerance: Span::from_secs(300),
    }
}

fn objective(
    id: &str,
    kpi: usize,
    (slice, selector): (usize, &[Option<&str>]),
    window: usize,
    target: Target,
    severity: Severity,
) -> ObjectiveSpec {
    ObjectiveSpec {
        id: id.to_owned(),
        help: format!("Keep {} where it should be", id.replace('_', " ")),
        kpi,
        slice,
        selector: selector.iter().map(|value| value.map(str::to_owned)).collect(),
        window,
        target,
        margin: 0.1,
        minimum_sample: None,
        minimum_coverage: 0.99,
        owner: "email-team".to_owned(),
        serves: String::new(),
        severity,
        runbook: None,
        hold: Span::ZERO,
        keep_firing: Span::from_secs(60),
    }
}

/// What is aimed at.
pub(crate) fn objectives() -> Vec<ObjectiveSpec> {
    let mut spike = objective(
        "unsubscribe_spike",
        1,
        (1, &[None]),
        0,
        Target::AtMost(0.02),
        Severity::Critical,
    );
    spike.runbook = Some("https://runbooks.example/unsubscribes".to_owned());
    let mut visitors =
        objective("visitors_a_week", 3, (0, &[]), 3, Target::AtLeast(10_000.0), Severity::Warning);
    visitors.hold = Span::from_secs(10 * 60);
    visitors.keep_firing = Span::from_secs(5 * 60);
    visitors.serves = "Growth: {{ and \"quotes\", it's\nall text".to_owned();
    let mut cost = objective(
        "click_cost",
        4,
        (1, &[Some("Spring Sale & More")]),
        2,
        Target::Between(0.5, 3.5),
        Severity::Low,
    );
    cost.owner = "performance team: \"paid\"".to_owned();
    cost.keep_firing = Span::ZERO;
    cost.minimum_sample = Some(Decimal::from_int(50));
    let region = objective(
        "unsubscribe_by_region",
        1,
        (2, &[None, Some("eu")]),
        0,
        Target::AtMost(0.005),
        Severity::Warning,
    );
    vec![spike, visitors, cost, region]
}
