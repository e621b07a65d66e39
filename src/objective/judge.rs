//! Verdicts: each objective held against the figures of a snapshot.
//!
//! In: objectives, a snapshot, and whether it can be trusted. Out: one verdict for
//! each slice value that an objective selects; an objective that names its value has
//! one even where nobody holds that value. Nothing is kept: a verdict says what
//! holds at one moment, and the alert rules add time.

use std::sync::Arc;

use crate::kpi::{
    Declarations, KpiFigure, KpiSnapshot, NONE, NoShare, SeriesSnapshot, Share, SliceSnapshot,
    label_of,
};
use crate::objective::{ObjectiveSpec, State, Target, UnknownReason, Verdict};

/// Whether a snapshot says anything about now, of one objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freshness {
    /// A topic that the objective rests on, or all figures, are further behind than they
    /// may be.
    pub stale: bool,
    /// A partition of a topic that it rests on has been unreadable for more than a minute.
    pub incomplete: bool,
}

/// Judges every objective, in their order, and in the snapshot's order of series;
/// `freshness` is by objective.
///
/// What is folded into the other series is no single campaign, and events without
/// the field are none: neither is selected by "any value".
pub fn judge(
    objectives: &[ObjectiveSpec],
    declarations: &Declarations,
    snapshot: &KpiSnapshot,
    freshness: &[Freshness],
) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (index, (spec, freshness)) in objectives.iter().zip(freshness).enumerate() {
        let Some(slice) = snapshot.slices.iter().find(|slice| slice.slice == spec.slice) else {
            continue;
        };
        let Some(judge) = Judge::new(index, spec, declarations, slice, *freshness) else {
            continue;
        };
        let selector: Vec<Option<Box<str>>> = spec
            .selector
            .iter()
            .map(|wanted| wanted.as_deref().map(|text| label_of(text).into()))
            .collect();
        let before = verdicts.len();
        let selected = slice.series.iter().filter(|series| selects(&selector, series));
        verdicts.extend(selected.map(|series| judge.series(series)));
        if verdicts.len() == before && spec.is_literal() {
            verdicts.push(judge.verdict(selector.into_iter().flatten().collect(), None));
        }
    }
    verdicts
}

fn selects(selector: &[Option<Box<str>>], series: &SeriesSnapshot) -> bool {
    let by_name = selector.iter().all(Option::is_some);
    (by_name || !series.other)
        && selector.len() == series.values.len()
        && selector.iter().zip(series.values.iter()).all(|(wanted, value)| match wanted {
            Some(wanted) => wanted == value,
            None => **value != *NONE,
        })
}

/// One objective in one snapshot.
struct Judge<'a> {
    index: usize,
    spec: &'a ObjectiveSpec,
    /// Where the figure stands in each series.
    figure: usize,
    minimum_sample: Option<f64>,
    /// What the KPI is a share of.
    share: Option<Share>,
    /// What holds whatever the figure says.
    unknown: Option<UnknownReason>,
}

impl<'a> Judge<'a> {
    /// `None` where the slice does not compute the KPI, which no validated
    /// declaration says.
    fn new(
        index: usize,
        spec: &'a ObjectiveSpec,
        declarations: &Declarations,
        slice: &SliceSnapshot,
        freshness: Freshness,
    ) -> Option<Self> {
        let kpis = declarations.kpis_of_slice(spec.slice);
        let place = kpis.iter().position(|kpi| *kpi == spec.kpi)?;
        let coverage = *slice.kpi_coverage.get(spec.window * kpis.len() + place)?;
        let own = declarations.kpis[spec.kpi].sample.as_ref().map(|sample| sample.minimum);
        let unknown = if freshness.stale {
            Some(UnknownReason::Stale)
        } else if freshness.incomplete {
            Some(UnknownReason::Incomplete)
        } else {
            (coverage < spec.minimum_coverage).then_some(UnknownReason::WarmingUp)
        };
        Some(Judge {
            index,
            spec,
            figure: spec.window * kpis.len() + place,
            minimum_sample: spec.minimum_sample.or(own).map(|minimum| minimum.to_f64()),
            share: declarations.kpis[spec.kpi].share,
            unknown,
        })
    }

    fn series(&self, series: &SeriesSnapshot) -> Verdict {
        self.verdict(series.values.clone(), series.kpis.get(self.figure).copied().flatten())
    }

    fn verdict(&self, values: Arc<[Box<str>]>, figure: Option<KpiFigure>) -> Verdict {
        let target = self.spec.target;
        let value = figure.map(|figure| figure.value);
        let sample = figure.and_then(|figure| figure.sample);
        let unknown = self.unknown.or(match value {
            None => Some(UnknownReason::NoData),
            Some(value) => self.doubt(value, sample),
        });
        let state = match (unknown, value) {
            (None, Some(value)) => state(target, self.spec.margin, value),
            _ => State::Unknown,
        };
        Verdict {
            objective: self.index,
            values,
            state,
            unknown,
            value,
            sample,
            attainment: value.and_then(|value| attainment(target, value)),
            remaining: value.map(|value| remaining(target, value)),
        }
    }

    /// Why a figure that is there says nothing.
    fn doubt(&self, value: f64, sample: Option<f64>) -> Option<UnknownReason> {
        match self.share.and_then(|share| share.fault(value)) {
            Some(NoShare::Inconsistent) => Some(UnknownReason::Inconsistent),
            Some(NoShare::OutsideWindow) => Some(UnknownReason::OutsideWindow),
            None => self.is_too_small(sample).then_some(UnknownReason::SmallSample),
        }
    }

    fn is_too_small(&self, sample: Option<f64>) -> bool {
        self.minimum_sample.is_some_and(|minimum| sample.unwrap_or(0.0) < minimum)
    }
}

fn state(target: Target, margin: f64, value: f64) -> State {
    let room = |bound: f64| margin * bound.abs();
    let at_risk = match target {
        _ if remaining(target, value) > 0.0 => return State::Missed,
        Target::AtLeast(least) => value < least + room(least),
        Target::AtMost(most) => value > most - room(most),
        Target::Between(least, most) => value < least + room(least) || value > most - room(most),
    };
    if at_risk { State::AtRisk } else { State::Met }
}

/// What is missing to the target; 0 when it is met.
fn remaining(target: Target, value: f64) -> f64 {
    match target {
        Target::AtLeast(least) => (least - value).max(0.0),
        Target::AtMost(most) => (value - most).max(0.0),
        Target::Between(least, most) => (least - value).max(value - most).max(0.0),
    }
}

/// How much of the target is reached: value over target where more is wanted, target
/// over value where less is; between two bounds, the worse of both.
fn attainment(target: Target, value: f64) -> Option<f64> {
    let ratio = |part: f64, whole: f64| {
        let ratio = part / whole;
        (part >= 0.0 && whole > 0.0 && ratio.is_finite()).then_some(ratio)
    };
    match target {
        Target::AtLeast(least) => ratio(value, least),
        Target::AtMost(most) => ratio(most, value).filter(|_| most > 0.0),
        Target::Between(least, most) => match (ratio(value, least), ratio(most, value)) {
            (Some(low), Some(high)) => Some(low.min(high)),
            _ => None,
        },
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
