//! Declared objectives, and the verdicts on them.

use std::sync::Arc;

use crate::event::{Decimal, Span};
use crate::kpi::{KpiIndex, SliceIndex};

/// Index of an objective in the list of all.
pub type ObjectiveIndex = usize;

/// A SMART declaration: a KPI, where, how much, and whose it is.
#[derive(Debug, Clone)]
pub struct ObjectiveSpec {
    /// Unique; `[a-z][a-z0-9_]*`.
    pub id: String,
    /// One sentence for people: what is aimed at, and why.
    pub help: String,
    /// What is judged.
    pub kpi: KpiIndex,
    /// In which slice; the KPI is computed there.
    pub slice: SliceIndex,
    /// For each field of the slice: any value, or this one.
    pub selector: Vec<Option<String>>,
    /// Index into the slice's windows.
    pub window: usize,
    /// What is aimed at.
    pub target: Target,
    /// How near to the target is `at_risk`, as a share of the target: 0.1 means
    /// within ten per cent on the good side.
    pub margin: f64,
    /// Below this sample the verdict is `unknown`; the KPI's own unless overridden.
    pub minimum_sample: Option<Decimal>,
    /// Below this coverage of the window the verdict is `unknown`.
    pub minimum_coverage: f64,
    /// Who is responsible.
    pub owner: String,
    /// The goal or department that it serves; may be empty.
    pub serves: String,
    /// How loud a miss is.
    pub severity: Severity,
    /// What to do about a miss.
    pub runbook: Option<String>,
    /// How long it must be missed before the alert fires.
    pub hold: Span,
    /// How long the alert outlives missed scrapes.
    pub keep_firing: Span,
}

impl ObjectiveSpec {
    /// Whether every field of the slice is named, so that there always is a verdict.
    pub fn is_literal(&self) -> bool {
        self.selector.iter().all(Option::is_some)
    }
}

/// What is aimed at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
    /// From the first to the second, both included.
    Between(f64, f64),
}

/// How loud a miss is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody looks at it one of these days.
    Low,
    /// Somebody looks at it today.
    Warning,
    /// Somebody is woken.
    Critical,
}

impl Severity {
    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// Where an objective stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// On the good side of the target, outside the margin.
    Met,
    /// Met, but within the margin.
    AtRisk,
    /// On the wrong side of the target.
    Missed,
    /// Nothing can be said; [`Verdict::unknown`] says why.
    Unknown,
}

impl State {
    /// All of them.
    pub const ALL: [State; 4] = [State::Met, State::AtRisk, State::Missed, State::Unknown];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            State::Met => "met",
            State::AtRisk => "at_risk",
            State::Missed => "missed",
            State::Unknown => "unknown",
        }
    }
}

/// Why nothing can be said; where several hold, the first of this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnknownReason {
    /// A topic that it rests on is further behind than it may be, or all figures are.
    Stale,
    /// A partition of a topic that it rests on has been unreadable for more than a minute.
    Incomplete,
    /// The window reaches back beyond what was read.
    WarmingUp,
    /// No figure.
    NoData,
    /// The KPI is declared to be a share, and the figure cannot be one: the events
    /// contradict the declaration.
    Inconsistent,
    /// The figure is above 1 because the window holds answers to what came before it.
    OutsideWindow,
    /// Too few for the figure to mean anything.
    SmallSample,
}

impl UnknownReason {
    /// All of them.
    pub const ALL: [UnknownReason; 7] = [
        UnknownReason::Stale,
        UnknownReason::Incomplete,
        UnknownReason::WarmingUp,
        UnknownReason::NoData,
        UnknownReason::Inconsistent,
        UnknownReason::OutsideWindow,
        UnknownReason::SmallSample,
    ];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            UnknownReason::Stale => "stale",
            UnknownReason::Incomplete => "incomplete",
            UnknownReason::WarmingUp => "warming_up",
            UnknownReason::NoData => "no_data",
            UnknownReason::Inconsistent => "inconsistent",
            UnknownReason::OutsideWindow => "outside_window",
            UnknownReason::SmallSample => "small_sample",
        }
    }
}

/// What is said about one objective in one slice value.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Which objective.
    pub objective: ObjectiveIndex,
    /// The values of the slice's fields, in their order.
    pub values: Arc<[Box<str>]>,
    /// Where it stands.
    pub state: State,
    /// Why nothing can be said, when `state` is [`State::Unknown`].
    pub unknown: Option<UnknownReason>,
    /// The KPI's figure, where there is one (also when the verdict is `unknown`).
    pub value: Option<f64>,
    /// The sample behind it.
    pub sample: Option<f64>,
    /// How much of the target is reached, 1 = exactly; above 1 is better. `None`
    /// where there is no figure or no ratio (a target or value of 0).
    pub attainment: Option<f64>,
    /// What is missing to the target, in the KPI's unit; 0 when met.
    pub remaining: Option<f64>,
}
