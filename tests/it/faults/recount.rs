//! Every figure again, from all events in memory, one loop for each figure.
//!
//! Slow and plain on purpose, and without a line of the product's: whole numbers of
//! billionths, bounds of windows by the written rule, formulas by the written rules.

use std::collections::{BTreeMap, BTreeSet};

use super::declared::{Declared, Formula, Measure, Only, Slice, What, Window};
use super::judge::{Nanos, Seen};
use super::moment::{DAY, HOUR, MINUTE, Micros, SECOND, floor};

const ONE: Nanos = 1_000_000_000;
const PANE: Micros = 10 * SECOND;
/// Distinct counts of at most so many are exact.
const EXACT: usize = 512;

/// A number, exact for as long as it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Exact(Nanos),
    Real(f64),
}

impl Number {
    /// The nearest binary fraction, by way of the decimal digits.
    pub(super) fn real(self) -> f64 {
        match self {
            Number::Real(real) => real,
            Number::Exact(nanos) => {
                let sign = if nanos < 0 { "-" } else { "" };
                let size = nanos.unsigned_abs();
                let text = format!("{sign}{}.{:09}", size / ONE as u128, size % ONE as u128);
                text.parse().expect("digits")
            }
        }
    }
}

/// What a measure has to say in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Said {
    Value(Number),
    /// That many, and the product may estimate it.
    About(f64),
    Nothing,
}

/// The span of a window: from, and up to but not at.
pub(super) fn bounds(window: Window, as_of: Micros) -> (Micros, Micros) {
    let ladder = [PANE, MINUTE, 5 * MINUTE, 20 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY];
    let most = PANE.max(window.1 / 60);
    let step = ladder.into_iter().filter(|step| *step <= most).max().expect("the first");
    (floor(as_of - window.1, step), floor(as_of, PANE) + PANE)
}

/// The label values of a slice.
pub(super) fn labels(slice: &Slice, seen: &Seen) -> Vec<String> {
    let value = |field: &&str| match *field {
        "campaign" => seen.campaign.clone(),
        "region" => seen.region.clone(),
        "page" => seen.page.clone(),
        other => panic!("no field {other}"),
    };
    slice.by.iter().map(|field| value(field).unwrap_or_else(|| "__none__".to_owned())).collect()
}

fn wanted(measure: &Measure, seen: &Seen) -> bool {
    measure.types.contains(&seen.kind.as_str())
        && match measure.only {
            Only::All => true,
            Only::Class(class) => seen.class.as_deref() == Some(class),
            Only::NotMachine => !seen.machine,
        }
}

/// Events that a measure of money leaves out for their currency.
pub(super) fn foreign(measure: &Measure, events: &[&Seen]) -> Option<u64> {
    let (What::Sum(currency) | What::MeanMoney(currency)) = measure.what else { return None };
    let mut left_out = 0;
    for seen in events.iter().filter(|seen| wanted(measure, seen)) {
        left_out += u64::from(seen.money.as_ref().is_some_and(|(_, of)| of != currency));
    }
    Some(left_out)
}

/// One measure in one window of one value, `None` for all values together.
pub(super) fn measure(
    measure: &Measure,
    slice: &Slice,
    value: Option<&[String]>,
    window: Window,
    as_of: Micros,
    events: &[&Seen],
) -> Said {
    let (from, to) = bounds(window, as_of);
    let ours = || {
        events.iter().filter(|seen| {
            wanted(measure, seen) && value.is_none_or(|value| labels(slice, seen) == value)
        })
    };
    let inside = |seen: &Seen| from <= seen.at && seen.at < to;
    let money = |seen: &Seen, currency: &str| match &seen.money {
        Some((amount, of)) if of == currency => Some(*amount),
        _ => None,
    };
    let mut sum: Nanos = 0;
    let mut number = 0_i64;
    match measure.what {
        What::Count => {
            for seen in ours().filter(|seen| inside(seen)) {
                sum += seen.count;
                number += 1;
            }
        }
        What::Sum(currency) | What::MeanMoney(currency) => {
            for seen in ours().filter(|seen| inside(seen)) {
                if let Some(amount) = money(seen, currency) {
                    sum += amount;
                    number += 1;
                }
            }
        }
        What::Mean => {
            for seen in ours().filter(|seen| inside(seen)) {
                sum += seen.count;
                number += 1;
            }
        }
        What::Last(age) => {
            let mut newest: BTreeMap<&str, &Seen> = BTreeMap::new();
            for seen in ours().filter(|seen| seen.at < to) {
                let held = newest.entry(seen.key.as_deref().expect("a key")).or_insert(seen);
                if seen.at > held.at {
                    *held = seen;
                }
            }
            for seen in newest.values().filter(|seen| seen.at >= to - age) {
                sum += seen.count;
                number += 1;
            }
        }
        What::DistinctUsers => {
            let users = |test: &dyn Fn(&Seen) -> bool| {
                let seen = ours().filter(|seen| test(seen));
                seen.filter_map(|seen| seen.user.as_deref()).collect::<BTreeSet<_>>().len()
            };
            let count = users(&inside);
            if count > 0 && users(&|seen| from <= seen.at) > EXACT {
                return Said::About(count as f64);
            }
            sum = count as Nanos * ONE;
            number = count as i64;
        }
    }
    match (number, measure.what) {
        (0, _) => Said::Nothing,
        (_, What::Mean | What::MeanMoney(_)) => {
            Said::Value(Number::Real(Number::Exact(sum).real() / number as f64))
        }
        _ => Said::Value(Number::Exact(sum)),
    }
}

/// Whether nothing is zero: a mean or a level has no value then.
fn adds_up(measure: &Measure) -> bool {
    matches!(measure.what, What::Count | What::Sum(_) | What::DistinctUsers)
}

/// A formula over what its measures say.
pub(super) fn formula(
    declared: &Declared,
    formula: &Formula,
    said: &dyn Fn(&str) -> Option<Number>,
) -> Option<Number> {
    let mut names = Vec::new();
    formula.names(&mut names);
    let something = names.iter().any(|name| said(name).is_some());
    evaluate(declared, formula, said, something)
}

fn evaluate(
    declared: &Declared,
    of: &Formula,
    said: &dyn Fn(&str) -> Option<Number>,
    something: bool,
) -> Option<Number> {
    match of {
        Formula::Number(number) => Some(Number::Exact(Nanos::from(*number) * ONE)),
        Formula::Of(name) => {
            let zero = something && adds_up(declared.measure(name));
            said(name).or(zero.then_some(Number::Exact(0)))
        }
        Formula::Or(first, second) => {
            formula(declared, first, said).or_else(|| evaluate(declared, second, said, something))
        }
        Formula::Minus(left, right) => {
            let left = evaluate(declared, left, said, something)?;
            let right = evaluate(declared, right, said, something)?;
            Some(match (left, right) {
                (Number::Exact(left), Number::Exact(right)) => Number::Exact(left - right),
                _ => Number::Real(left.real() - right.real()),
            })
        }
        Formula::Over(left, right) => {
            let left = evaluate(declared, left, said, something)?;
            let right = evaluate(declared, right, said, something)?;
            let result = left.real() / right.real();
            result.is_finite().then_some(Number::Real(result))
        }
    }
}

/// Every value of a slice that any event has.
pub(super) fn values(slice: &Slice, events: &[&Seen]) -> BTreeSet<Vec<String>> {
    events.iter().map(|seen| labels(slice, seen)).collect()
}
