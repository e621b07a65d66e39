//! `[kpis.NAME]`: what is shown and judged.
//!
//! ```toml
//! [kpis.click_rate]
//! help = "People who clicked, over mail delivered."
//! formula = "or(clickers, 0) / delivered"
//! unit = "ratio"            # a currency such as "EUR", or a noun such as "messages"
//! direction = "up"          # down, neutral
//! minimum_sample = 200      # of the formula's denominator, or of:
//! # sample = "delivered"
//! # share = "later"         # of what came earlier; true: of what the same window holds
//! # slices = ["all"]        # default: all of them; see `default_slices`
//! group = "email"
//! kind = "response"
//! ```

use super::declared::{Declared, valid_id};
use super::did_you_mean;
use super::measures::help;
use super::reader::{Table, Value, shown};
use super::units;
use crate::event::Decimal;
use crate::kpi::{
    AggregateSpec, Direction, Formula, KpiSpec, MeasureIndex, MeasureSpec, Operator, SampleSpec,
    Share, SliceIndex, SliceSpec, Unit,
};

/// What is declared besides KPIs; what could not be read is `None`, and whatever
/// depends on it is not judged.
pub(super) struct KpiReader<'a, 'd> {
    pub(super) measures_declared: &'a [Declared<'d>],
    pub(super) measures: &'a [Option<MeasureSpec>],
    pub(super) slices_declared: &'a [Declared<'d>],
    pub(super) slices: &'a [Option<SliceSpec>],
}

const DIRECTIONS: [(&str, Direction); 3] =
    [("up", Direction::Up), ("down", Direction::Down), ("neutral", Direction::Neutral)];

impl KpiReader<'_, '_> {
    /// Reads one KPI; `None` after noting why not.
    pub(super) fn read(&self, declared: &Declared<'_>) -> Option<KpiSpec> {
        let mut table = declared.table()?;
        let before = table.problems().len();
        valid_id(declared, "a KPI");
        table.optional("replace");
        let help = help(&mut table, &declared.key.name);
        let formula_value = table.required("formula");
        let formula = formula_value.as_ref().and_then(|value| self.formula(value));
        let unit_value = table.required("unit");
        let unit = unit_value.as_ref().and_then(units::read);
        if let (Some(formula), Some(value), Some(unit)) = (&formula, &formula_value, &unit) {
            self.judge_unit(formula, unit, value);
        }
        let direction = table.required("direction").and_then(|value| value.one_of(&DIRECTIONS));
        let share = table
            .optional("share")
            .and_then(|value| share(&value, formula.as_ref(), unit.as_ref()));
        let sample = formula.as_ref().and_then(|formula| self.sample(&mut table, formula));
        let slices = match table.optional("slices") {
            Some(value) => self.named_slices(&value, declared.shipped),
            None => self.default_slices(formula.as_ref(), declared),
        };
        let group = table.optional("group").and_then(|value| value.name_text());
        let kind = table.optional("kind").and_then(|value| value.name_text());
        let sound = table.problems().len() == before;
        table.finish();
        sound.then_some(())?;
        let (formula, unit, direction) = (formula?, unit?, direction?);
        Some(KpiSpec {
            id: declared.key.name.clone(),
            help,
            formula,
            unit,
            direction,
            share,
            sample,
            slices,
            group: group.unwrap_or_else(|| "other".to_owned()),
            kind: kind.unwrap_or_else(|| "other".to_owned()),
        })
    }

    fn formula(&self, value: &Value<'_>) -> Option<Formula> {
        let text = value.text()?;
        let resolve = |name: &str| {
            let found = self.measures_declared.iter().position(|known| known.key.name == name);
            found.ok_or_else(|| {
                did_you_mean(
                    name,
                    self.measures_declared.iter().map(|known| known.key.name.as_str()),
                )
                .or_else(|| Some("declare it under [measures]".to_owned()))
            })
        };
        let formula = Formula::parse(&text, &resolve)
            .map_err(|error| {
                let at = value.at_character(error.at);
                value.problems().add_maybe(at, error.what, error.remedy);
            })
            .ok()?;
        if formula.measures().is_empty() {
            value.problem_with(
                "the formula names no measure",
                "a KPI is computed from what [measures] declare",
            );
            return None;
        }
        Some(formula)
    }

    fn judge_unit(&self, formula: &Formula, unit: &Unit, value: &Value<'_>) {
        let unit_of = |measure: MeasureIndex| {
            self.measures.get(measure).and_then(Option::as_ref).map(|measure| &measure.unit)
        };
        if let Err(what) = units::check(formula, unit, &unit_of) {
            value.problem(what);
        }
    }

    fn sample(&self, table: &mut Table<'_>, formula: &Formula) -> Option<SampleSpec> {
        let declared = table.optional("sample");
        let minimum = table.optional("minimum_sample");
        let of = match &declared {
            Some(value) => Some(self.formula(value)?),
            None => match formula {
                Formula::Binary(_, Operator::Divide, denominator) => {
                    Some(denominator.as_ref().clone()).filter(|of| !of.measures().is_empty())
                }
                _ => None,
            },
        };
        if let (None, Some(minimum)) = (&of, &minimum) {
            minimum.problem_with(
                "nobody can say what the sample is: the formula is no division",
                "name it, as in `sample = \"delivered\"`",
            );
        }
        let minimum = minimum.and_then(|value| not_negative(&value)).unwrap_or(Decimal::ZERO);
        of.map(|of| SampleSpec { of, minimum })
    }

    fn named_slices(&self, value: &Value<'_>, shipped: bool) -> Vec<SliceIndex> {
        let mut slices = Vec::new();
        for value in value.one_or_more() {
            let Some(name) = value.text() else { continue };
            match self.slices_declared.iter().position(|known| known.key.name == name) {
                Some(slice) => slices.push(slice),
                // A shipped KPI cannot know which slices a user leaves out.
                None if shipped => {}
                None => value.problem_maybe(
                    format!("no slice is called `{}`", shown(&name)),
                    did_you_mean(
                        &name,
                        self.slices_declared.iter().map(|known| known.key.name.as_str()),
                    ),
                ),
            }
        }
        if value.one_or_more().is_empty() {
            value.problem("a KPI is computed in at least one slice");
        }
        slices.sort_unstable();
        slices.dedup();
        slices
    }

    /// Every slice; with a level in the formula, only those without fields, because
    /// the events of most levels (a list's size, followers) name no campaign.
    fn default_slices(
        &self,
        formula: Option<&Formula>,
        declared: &Declared<'_>,
    ) -> Vec<SliceIndex> {
        let has_level = formula.is_some_and(|formula| {
            formula.measures().into_iter().any(|measure| {
                self.measures
                    .get(measure)
                    .and_then(Option::as_ref)
                    .is_some_and(|measure| matches!(measure.aggregate, AggregateSpec::Last { .. }))
            })
        });
        let slices: Vec<SliceIndex> = (0..self.slices.len())
            .filter(|slice| {
                !has_level
                    || self.slices[*slice].as_ref().is_none_or(|slice| slice.fields.is_empty())
            })
            .collect();
        if slices.is_empty() && !declared.shipped {
            declared.problems().add_with(
                declared.key.at.clone(),
                format!("`{}` is computed in no slice", declared.key.name),
                "a level such as a list's size is for slices without fields; if its events name these fields, say `slices = [...]`",
            );
        }
        slices
    }
}

/// What the KPI is a share of. A formula or a unit that could not be read is not judged.
fn share(value: &Value<'_>, formula: Option<&Formula>, unit: Option<&Unit>) -> Option<Share> {
    let share = match (value.scalar_text()?.as_str(), value.is_text()) {
        ("true", false) => Share::OfWindow,
        ("later", true) => Share::OfEarlier,
        ("false", false) => return None,
        (other, is_text) => {
            let quote = if is_text { "\"" } else { "" };
            value.problem_with(
                format!("`{}` cannot be `{quote}{}{quote}`", value.name(), shown(other)),
                "write `true`, or \"later\" where the numerator answers what came earlier",
            );
            return None;
        }
    };
    let is_quotient = |formula: &Formula| match formula {
        Formula::Binary(_, Operator::Divide, whole) => !whole.measures().is_empty(),
        _ => false,
    };
    if !formula.is_none_or(is_quotient) {
        value.problem_with(
            "only a quotient is a share, and the formula is none",
            "leave `share` out, or divide by what it is a share of",
        );
    } else if unit.is_some_and(|unit| *unit != Unit::Ratio) {
        value.problem_with(
            "a share is a ratio, and `unit` says something else",
            "leave `share` out, or write `unit = \"ratio\"`",
        );
    }
    Some(share)
}

/// A number from 0.
pub(super) fn not_negative(value: &Value<'_>) -> Option<Decimal> {
    let number = value.decimal()?;
    if number < Decimal::ZERO {
        value.problem(format!("`{}` cannot be below 0", value.name()));
        return None;
    }
    Some(number)
}
