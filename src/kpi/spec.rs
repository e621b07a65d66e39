//! Declarations: measures, KPIs and slices, as the configuration hands them over.
//!
//! Everything here is validated: indexes point at what exists, names are unique,
//! formulas are of one unit. Whoever makes these by hand has to keep that.

use crate::event::{Currency, Decimal, Field, Span, TypeId, Vocabulary};
use crate::kpi::{Formula, Share};
use crate::window::WindowSpec;

/// Index of a measure in [`Declarations::measures`].
pub type MeasureIndex = usize;
/// Index of a KPI in [`Declarations::kpis`].
pub type KpiIndex = usize;
/// Index of a slice in [`Declarations::slices`].
pub type SliceIndex = usize;

/// Everything that says what is computed.
#[derive(Debug, Clone)]
pub struct Declarations {
    /// The known event types.
    pub vocabulary: Vocabulary,
    /// What is aggregated.
    pub measures: Vec<MeasureSpec>,
    /// What is shown and judged.
    pub kpis: Vec<KpiSpec>,
    /// By what it is cut.
    pub slices: Vec<SliceSpec>,
    /// An event older than its record by more than this is `late`.
    pub lateness: Span,
    /// An event newer than its record by more than this is `future`.
    pub future_tolerance: Span,
}

impl Declarations {
    /// The measures that some KPI of `slice` uses, ascending: those that the slice
    /// aggregates and exports.
    pub fn measures_of_slice(&self, slice: SliceIndex) -> Vec<MeasureIndex> {
        let mut used: Vec<MeasureIndex> = self
            .kpis
            .iter()
            .filter(|kpi| kpi.slices.contains(&slice))
            .flat_map(|kpi| {
                let sample = kpi.sample.iter().flat_map(|sample| sample.of.measures());
                kpi.formula.measures().into_iter().chain(sample).collect::<Vec<_>>()
            })
            .collect();
        used.sort_unstable();
        used.dedup();
        used
    }

    /// The KPIs that `slice` computes and exports, ascending.
    pub fn kpis_of_slice(&self, slice: SliceIndex) -> Vec<KpiIndex> {
        (0..self.kpis.len()).filter(|&kpi| self.kpis[kpi].slices.contains(&slice)).collect()
    }

    /// The longest window of any slice; ten seconds where there is none.
    pub fn longest_window(&self) -> Span {
        self.slices
            .iter()
            .flat_map(|slice| &slice.windows)
            .map(|window| window.size())
            .max()
            .unwrap_or(crate::window::BASE_PANE)
    }
}

/// One aggregate over the events that match.
#[derive(Debug, Clone)]
pub struct MeasureSpec {
    /// Unique; `[a-z][a-z0-9_]*`.
    pub id: String,
    /// One sentence for people.
    pub help: String,
    /// What is computed from the matching events.
    pub aggregate: AggregateSpec,
    /// The event types that match; at least one.
    pub types: Vec<TypeId>,
    /// Conditions that all have to hold.
    pub filters: Vec<Filter>,
    /// The unit of its value.
    pub unit: Unit,
}

impl MeasureSpec {
    /// The currency of the money that it aggregates, if that is what it does.
    pub fn currency(&self) -> Option<Currency> {
        match self.aggregate {
            AggregateSpec::Sum(Amount::Value(currency))
            | AggregateSpec::Mean(Amount::Value(currency))
            | AggregateSpec::Last { amount: Amount::Value(currency), .. } => Some(currency),
            _ => None,
        }
    }
}

/// What a measure computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AggregateSpec {
    /// The sum of `count`, which is 1 where an event does not say.
    Count,
    /// The sum of an amount.
    Sum(Amount),
    /// The mean of an amount over the events.
    Mean(Amount),
    /// A level: per `key`, the newest `amount` at or before the window's end and
    /// at most `max_age` old; a read sums the keys.
    Last {
        /// What is remembered.
        amount: Amount,
        /// How long a level stays valid.
        max_age: Span,
    },
    /// How many different values a field has; events without it do not match.
    Distinct(Field),
}

/// The number that an event contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// The event's `count`.
    Count,
    /// The event's `value`, in this currency; an event in another currency does
    /// not match and is counted as such.
    Value(Currency),
}

/// A condition on one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What is looked at.
    pub field: Field,
    /// What has to be true of it.
    pub test: FilterTest,
}

/// What a [`Filter`] demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterTest {
    /// The field is there and is one of these.
    In(Vec<String>),
    /// The field is absent, or is none of these.
    NotIn(Vec<String>),
    /// The field is there (`true`) or absent (`false`).
    Present(bool),
}

/// One KPI: a formula over measures, and all that makes gauges, rules, panels and
/// documentation of it.
#[derive(Debug, Clone)]
pub struct KpiSpec {
    /// Unique; `[a-z][a-z0-9_]*`.
    pub id: String,
    /// One sentence for people.
    pub help: String,
    /// What is computed.
    pub formula: Formula,
    /// The unit of the result.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// What it is a share of, where that is declared: then not every figure can be.
    pub share: Option<Share>,
    /// How much there must be before a verdict is given.
    pub sample: Option<SampleSpec>,
    /// The slices that compute it, ascending.
    pub slices: Vec<SliceIndex>,
    /// What a dashboard groups it by: `email`, `web`, `social`, ...
    pub group: String,
    /// The family that marketers file it under: `engagement`, `response`, ...
    pub kind: String,
}

/// The sample of a KPI: what it is a share of, and how much of that it takes.
#[derive(Debug, Clone)]
pub struct SampleSpec {
    /// Usually the formula's denominator.
    pub of: Formula,
    /// Below this, objectives are `unknown`.
    pub minimum: Decimal,
}

/// Which way a KPI is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// More is better.
    Up,
    /// Less is better.
    Down,
    /// Neither: an activity.
    Neutral,
}

/// A unit; its suffix ends the names of metric families.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// A share, as a number from 0 to 1 (or above, where numerators may outgrow).
    Ratio,
    /// Money, in major units of a currency.
    Money(Currency),
    /// Anything else that is counted: `messages`, `people`, `views`, `seconds`.
    Of(String),
}

impl Unit {
    /// The suffix of metric names: `ratio`, `eur`, `messages`.
    pub fn suffix(&self) -> String {
        match self {
            Unit::Ratio => "ratio".to_owned(),
            Unit::Money(currency) => currency.code().to_ascii_lowercase(),
            Unit::Of(name) => name.clone(),
        }
    }
}

/// A declared grouping set with the windows that it exports.
#[derive(Debug, Clone)]
pub struct SliceSpec {
    /// Unique; `all` for the one without fields.
    pub name: String,
    /// What it groups by; empty for `all`. Never a personal field.
    pub fields: Vec<Field>,
    /// Its windows, ascending by size, at least one.
    pub windows: Vec<WindowSpec>,
    /// How many values may have series of their own; the rest is folded into
    /// [`OTHER`].
    pub cap: usize,
}

/// The label value of what is folded because a slice is over its cap. A value
/// that is literally this is folded as well.
pub const OTHER: &str = "__other__";

/// The label value of events that do not have the field, so that a slice still
/// adds up to the whole.
pub const NONE: &str = "__none__";
