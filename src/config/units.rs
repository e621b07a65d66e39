//! Units: how they are written, and whether a formula can be of one.

use std::collections::BTreeMap;

use super::reader::{Value, shown};
use crate::event::Currency;
use crate::kpi::{Formula, MeasureIndex, Operator, Unit};

/// Ends of metric names that mean something to Prometheus.
const RESERVED: [&str; 6] = ["total", "count", "sum", "bucket", "created", "info"];

/// Reads `"ratio"`, a currency in capitals, or a noun; `None` after noting why not.
pub(super) fn read(value: &Value<'_>) -> Option<Unit> {
    let text = value.text()?;
    if text == "ratio" {
        return Some(Unit::Ratio);
    }
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Currency::parse(&text).map(Unit::Money);
    }
    let valid = text.len() <= 40
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if !valid || RESERVED.contains(&text.as_str()) {
        value.problem_with(
            format!("`{}` cannot be a unit", shown(&text)),
            "a unit is \"ratio\", a currency such as \"EUR\", or a noun such as \"messages\": it ends the metric's name",
        );
        return None;
    }
    Some(Unit::Of(text))
}

/// What a value is made of: powers of currencies, and of anything counted.
#[derive(Debug, Clone, PartialEq)]
enum Dimension {
    /// A constant fits everywhere.
    Any,
    Of {
        counts: i32,
        money: BTreeMap<Currency, i32>,
    },
}

/// Whether a formula can be of a unit; the error is one line for people.
///
/// `unit_of` gives the unit of a measure; a formula with a measure whose unit is not
/// known passes.
pub(super) fn check<'m>(
    formula: &Formula,
    unit: &Unit,
    unit_of: &dyn Fn(MeasureIndex) -> Option<&'m Unit>,
) -> Result<(), String> {
    if formula.measures().into_iter().any(|measure| unit_of(measure).is_none()) {
        return Ok(());
    }
    let Dimension::Of { counts, money } = dimension(formula, unit_of)? else {
        return Ok(());
    };
    let currencies: Vec<String> = money.keys().map(ToString::to_string).collect();
    match unit {
        Unit::Ratio if !money.is_empty() => {
            Err(format!("an amount of {} is no ratio", currencies.join(" and ")))
        }
        Unit::Ratio if counts != 0 => Err("a count is no ratio: nothing is divided by".to_owned()),
        Unit::Ratio => Ok(()),
        Unit::Money(wanted) => match money.get(wanted) {
            Some(1) if money.len() == 1 => Ok(()),
            _ if money.is_empty() => Err(format!("no amount of {wanted} is in the formula")),
            _ => Err(format!(
                "the formula is no amount of {wanted}, but of {}",
                currencies.join(" and ")
            )),
        },
        Unit::Of(_) if money.is_empty() => Ok(()),
        Unit::Of(name) => {
            Err(format!("an amount of {} is not in {name}", currencies.join(" and ")))
        }
    }
}

fn dimension<'m>(
    formula: &Formula,
    unit_of: &dyn Fn(MeasureIndex) -> Option<&'m Unit>,
) -> Result<Dimension, String> {
    match formula {
        Formula::Constant(_) => Ok(Dimension::Any),
        Formula::Measure(measure) => Ok(match unit_of(*measure) {
            None => Dimension::Any,
            Some(Unit::Ratio) => Dimension::Of { counts: 0, money: BTreeMap::new() },
            Some(Unit::Money(currency)) => {
                Dimension::Of { counts: 0, money: BTreeMap::from([(*currency, 1)]) }
            }
            Some(Unit::Of(_)) => Dimension::Of { counts: 1, money: BTreeMap::new() },
        }),
        Formula::Or(left, right) => {
            alike(dimension(left, unit_of)?, dimension(right, unit_of)?, "stand in for")
        }
        Formula::Binary(left, operator, right) => {
            let (left, right) = (dimension(left, unit_of)?, dimension(right, unit_of)?);
            match operator {
                Operator::Add => alike(left, right, "be added to"),
                Operator::Subtract => alike(left, right, "be subtracted from"),
                Operator::Multiply => scaled(left, right, 1),
                Operator::Divide => scaled(left, right, -1),
            }
        }
    }
}

/// Both sides have to be the same; what cannot be done is said as `verb`.
fn alike(left: Dimension, right: Dimension, verb: &str) -> Result<Dimension, String> {
    match (left, right) {
        (Dimension::Any, other) | (other, Dimension::Any) => Ok(other),
        (left, right) if left == right => Ok(left),
        (left, right) => Err(format!("{} cannot {verb} {}", say(&right), say(&left))),
    }
}

fn scaled(left: Dimension, right: Dimension, sign: i32) -> Result<Dimension, String> {
    let (counts, mut money, more, other) = match (left, right) {
        (left, Dimension::Any) => return Ok(left),
        (Dimension::Any, Dimension::Of { counts, money }) => (0, BTreeMap::new(), counts, money),
        (Dimension::Of { counts, money }, Dimension::Of { counts: more, money: other }) => {
            (counts, money, more, other)
        }
    };
    for (currency, power) in other {
        *money.entry(currency).or_insert(0) += sign * power;
    }
    money.retain(|_, power| *power != 0);
    if money.len() > 1 {
        let names: Vec<String> = money.keys().map(ToString::to_string).collect();
        let verb = if sign > 0 { "multiplied with" } else { "divided by" };
        return Err(format!(
            "money of one currency is {verb} money of another: {}",
            names.join(" and ")
        ));
    }
    if let Some((currency, power)) = money.iter().find(|(_, power)| power.abs() > 1) {
        return Err(format!("{currency} to the power of {power} is no amount of money"));
    }
    Ok(Dimension::Of { counts: counts + sign * more, money })
}

fn say(dimension: &Dimension) -> String {
    match dimension {
        Dimension::Any => "a constant".to_owned(),
        Dimension::Of { counts, money } => match (money.iter().next(), counts) {
            (Some((currency, 1)), 0) => currency.to_string(),
            (Some((currency, _)), _) => format!("a rate of {currency}"),
            (None, 0) => "a ratio".to_owned(),
            (None, 1) => "a count".to_owned(),
            (None, _) => "a rate".to_owned(),
        },
    }
}
