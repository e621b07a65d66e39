//! The slow, obvious truth that the engine is held against: all events in a list,
//! and loops. Nothing of the engine is used to compute it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegauge::aggregate::HashKey;
use tidegauge::event::{Currency, Decimal, Event, EventTime, Field, Span, Vocabulary};
use tidegauge::kpi::{
    AggregateSpec, Amount, Declarations, Direction, EventBatch, Filter, FilterTest, Formula,
    KpiSpec, MeasureSpec, Operator, Plan, SampleSpec, Share, SliceSpec, Store, Unit,
};
use tidegauge::window::WindowSpec;

/// An event as the tests write it; times in seconds, money in cents of the euro
/// unless `foreign`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Act {
    pub(crate) at: i64,
    pub(crate) kind: &'static str,
    pub(crate) campaign: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) count: i64,
    pub(crate) cents: Option<i64>,
    pub(crate) foreign: bool,
    pub(crate) key: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) class: Option<&'static str>,
    pub(crate) machine: Option<bool>,
}

pub(crate) const KINDS: [&str; 7] = [
    "email.sent",
    "email.delivered",
    "email.unsubscribed",
    "email.bounced",
    "email.opened",
    "email.list_size",
    "commerce.order_paid",
];

pub(crate) const MEASURES: [&str; 8] = [
    "sent",
    "delivered",
    "unsubscribed",
    "hard_bounced",
    "revenue",
    "mean_order",
    "subscribers",
    "openers",
];

pub(crate) const KPIS: [&str; 10] = [
    "emails_sent",
    "unsubscribe_per_delivered",
    "hard_bounce_rate",
    "revenue",
    "mean_order",
    "subscribers",
    "unsubscribe_rate",
    "openers",
    "open_rate",
    "hard_bounce_share",
];

/// Levels hold for two hours.
pub(crate) const MAX_AGE: i64 = 7_200;

fn measures(vocabulary: &Vocabulary) -> Vec<MeasureSpec> {
    let euro = Amount::Value(Currency::parse("EUR").expect("a currency"));
    let count = AggregateSpec::Count;
    let last = AggregateSpec::Last { amount: Amount::Count, max_age: Span::from_secs(MAX_AGE) };
    let listed = |value: &str| vec![value.to_owned()];
    let hard = Filter {
        field: Field::Attribute("class".to_owned()),
        test: FilterTest::In(listed("hard")),
    };
    let human = Filter { field: Field::Machine, test: FilterTest::NotIn(listed("true")) };
    let of = |id: &str, kind: &str, aggregate: AggregateSpec, filters: Vec<Filter>| MeasureSpec {
        id: id.to_owned(),
        help: "For tests.".to_owned(),
        aggregate,
        types: vec![vocabulary.get(kind).expect("a canonical type")],
        filters,
        unit: Unit::Of("things".to_owned()),
    };
    vec![
        of("sent", "email.sent", count.clone(), vec![]),
        of("delivered", "email.delivered", count.clone(), vec![]),
        of("unsubscribed", "email.unsubscribed", count.clone(), vec![]),
        of("hard_bounced", "email.bounced", count, vec![hard]),
        of("revenue", "commerce.order_paid", AggregateSpec::Sum(euro), vec![]),
        of("mean_order", "commerce.order_paid", AggregateSpec::Mean(euro), vec![]),
        of("subscribers", "email.list_size", last, vec![]),
        of("openers", "email.opened", AggregateSpec::Distinct(Field::User), vec![human]),
    ]
}

fn kpis(slices: usize) -> Vec<KpiSpec> {
    let ratio = |over: usize, under: usize| {
        let (over, under) = (Formula::Measure(over), Formula::Measure(under));
        Formula::Binary(Box::new(over), Operator::Divide, Box::new(under))
    };
    let formulas = [
        Formula::Measure(0),
        ratio(2, 1),
        ratio(3, 0),
        Formula::Measure(4),
        Formula::Measure(5),
        Formula::Measure(6),
        ratio(2, 6),
        Formula::Measure(7),
        ratio(7, 1),
        // Of all that was sent or came back: each of these is counted below the line too.
        Formula::Binary(
            Box::new(Formula::Measure(3)),
            Operator::Divide,
            Box::new(Formula::Binary(
                Box::new(Formula::Measure(3)),
                Operator::Add,
                Box::new(Formula::Measure(0)),
            )),
        ),
    ];
    let kpi = |(id, formula): (&str, Formula)| KpiSpec {
        id: id.to_owned(),
        help: "For tests.".to_owned(),
        sample: (id == "unsubscribe_per_delivered")
            .then(|| SampleSpec { of: Formula::Measure(1), minimum: Decimal::from_int(10) }),
        formula,
        unit: Unit::Ratio,
        direction: Direction::Neutral,
        share: match id {
            "hard_bounce_share" => Some(Share::OfWindow),
            "unsubscribe_per_delivered" => Some(Share::OfEarlier),
            _ => None,
        },
        slices: (0..slices).collect(),
        group: "email".to_owned(),
        kind: "activity".to_owned(),
    };
    KPIS.into_iter().zip(formulas).map(kpi).collect()
}

/// A slice by these fields, its windows in seconds.
pub(crate) fn slice(name: &str, fields: &[&str], windows: &[i64], cap: usize) -> SliceSpec {
    SliceSpec {
        name: name.to_owned(),
        fields: fields.iter().map(|name| Field::from_name(name)).collect(),
        windows: windows
            .iter()
            .map(|&secs| WindowSpec::new(Span::from_secs(secs)).expect("a window"))
            .collect(),
        cap,
    }
}

/// The measures and KPIs above, over these slices.
pub(crate) fn declare(slices: Vec<SliceSpec>) -> Arc<Declarations> {
    let vocabulary = Vocabulary::canonical();
    Arc::new(Declarations {
        measures: measures(&vocabulary),
        vocabulary,
        kpis: kpis(slices.len()),
        slices,
        lateness: Span::from_secs(86_400 * 400),
        future_tolerance: Span::from_secs(300),
    })
}

/// An empty store for them.
pub(crate) fn store(declarations: &Arc<Declarations>) -> (Arc<Plan>, Store) {
    let plan = Arc::new(Plan::new(Arc::clone(declarations), HashKey::from_bytes([7; 16])));
    (Arc::clone(&plan), Store::new(plan))
}

impl Act {
    /// As the canonical event that a format would make of it.
    pub(crate) fn event(&self, vocabulary: &Vocabulary) -> Event<'_> {
        let text = |text: &'_ Option<String>| text.as_ref().map(|text| Cow::Owned(text.clone()));
        let mut attributes: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        for (name, value) in [("region", self.region.as_deref()), ("class", self.class)] {
            attributes.extend(value.map(|value| (name.into(), value.to_owned().into())));
        }
        let currency = if self.foreign { "USD" } else { "EUR" };
        Event {
            id: text(&self.id),
            kind: vocabulary.get(self.kind).expect("a canonical type"),
            time: EventTime::from_secs(self.at),
            campaign: text(&self.campaign),
            channel: "email".into(),
            source: "test".into(),
            user: text(&self.user),
            message: None,
            value: self.cents.map(|cents| Decimal::from_raw(i128::from(cents) * 10_000_000)),
            currency: self.cents.and(Currency::parse(currency)),
            count: Decimal::from_int(self.count),
            key: text(&self.key),
            machine: self.machine,
            attributes,
        }
    }

    /// The value of a slice that it belongs to.
    pub(crate) fn value_in(&self, fields: &[&str]) -> Vec<String> {
        let none = || "__none__".to_owned();
        fields
            .iter()
            .map(|field| match *field {
                "campaign" => self.campaign.clone().unwrap_or_else(none),
                "region" => self.region.clone().unwrap_or_else(none),
                other => panic!("the model knows no field {other}"),
            })
            .collect()
    }
}

/// Folds acts in batches of that size, in the order given.
pub(crate) fn fold(plan: &Plan, store: &mut Store, acts: &[Act], batch_size: usize) {
    let mut batch = EventBatch::default();
    for acts in acts.chunks(batch_size.max(1)) {
        batch.clear();
        for act in acts {
            plan.reduce(&act.event(&plan.declarations().vocabulary), None, &mut batch);
        }
        store.fold(&batch);
    }
}

/// The first second of a window and the first after it.
pub(crate) fn span(window: i64, as_of: i64) -> (i64, i64) {
    let resolution = [10, 60, 300, 1_200, 3_600, 7_200, 21_600, 86_400]
        .into_iter()
        .filter(|step| *step <= (window / 60).max(10))
        .max()
        .expect("ten seconds at least");
    let start = (as_of - window).div_euclid(resolution) * resolution;
    (start, as_of.div_euclid(10) * 10 + 10)
}

/// The measures of the acts that belong to one value, in one window; an order of
/// the same second is decided by the greater amount. Sums in hundredths.
pub(crate) fn recount(acts: &[&Act], window: i64, as_of: i64) -> Vec<Option<f64>> {
    let (start, end) = span(window, as_of);
    let inside = |kind: &str| -> Vec<&Act> {
        acts.iter()
            .filter(|act| act.kind == kind && start <= act.at && act.at < end)
            .copied()
            .collect()
    };
    let total = |acts: Vec<&Act>| {
        (!acts.is_empty()).then(|| acts.iter().map(|act| act.count).sum::<i64>() as f64)
    };
    let hard: Vec<&Act> =
        inside("email.bounced").into_iter().filter(|act| act.class == Some("hard")).collect();
    let orders: Vec<i64> = inside("commerce.order_paid")
        .into_iter()
        .filter(|act| !act.foreign)
        .filter_map(|act| act.cents)
        .collect();
    let revenue = orders.iter().sum::<i64>() as f64 / 100.0;
    let some = !orders.is_empty();
    let openers: BTreeSet<&String> = inside("email.opened")
        .into_iter()
        .filter(|act| act.machine != Some(true))
        .filter_map(|act| act.user.as_ref())
        .collect();
    vec![
        total(inside("email.sent")),
        total(inside("email.delivered")),
        total(inside("email.unsubscribed")),
        total(hard),
        some.then_some(revenue),
        some.then(|| revenue / orders.len() as f64),
        level(acts, end),
        (!openers.is_empty()).then_some(openers.len() as f64),
    ]
}

fn level(acts: &[&Act], end: i64) -> Option<f64> {
    let mut newest: BTreeMap<&Option<String>, (i64, i64)> = BTreeMap::new();
    for act in acts.iter().filter(|act| act.kind == "email.list_size" && act.at < end) {
        let held = newest.entry(&act.key).or_insert((act.at, act.count));
        *held = (*held).max((act.at, act.count));
    }
    let valid: Vec<i64> =
        newest.values().filter(|(at, _)| end - at <= MAX_AGE).map(|(_, count)| *count).collect();
    (!valid.is_empty()).then(|| valid.iter().sum::<i64>() as f64)
}

/// The KPIs that follow from the measures.
pub(crate) fn kpis_of(measures: &[Option<f64>]) -> Vec<Option<f64>> {
    let ratio = |over: usize, under: usize| {
        let under = measures[under]?;
        (under != 0.0).then(|| measures[over].unwrap_or(0.0) / under)
    };
    let hard_bounce_share = || {
        let under = measures[3].unwrap_or(0.0) + measures[0].unwrap_or(0.0);
        (under != 0.0).then(|| measures[3].unwrap_or(0.0) / under)
    };
    vec![
        measures[0],
        ratio(2, 1),
        ratio(3, 0),
        measures[4],
        measures[5],
        measures[6],
        ratio(2, 6),
        measures[7],
        ratio(7, 1),
        hard_bounce_share(),
    ]
}
