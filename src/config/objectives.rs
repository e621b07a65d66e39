//! `[objectives.NAME]`: what is judged, and whose it is.
//!
//! ```toml
//! [objectives.unsubscribe_spike]
//! help = "Nobody should drive readers away."
//! kpi = "unsubscribe_per_delivered"
//! slice = "campaign"        # default: all
//! campaign = "*"            # the default for each field of the slice; or one value
//! window = "1h"             # one of the slice's
//! at_most = 0.005           # or at_least = 0.02, or between = [0.1, 0.4]
//! margin = 0.1              # the default: within 10 % of the target is at risk
//! minimum_sample = 1000     # default: the KPI's
//! minimum_coverage = 0.99   # the default
//! for = "2m"                # default: at once
//! keep_firing_for = "1m"    # the default
//! owner = "email-team"
//! serves = "list health"
//! severity = "critical"     # low, warning (the default), critical
//! runbook = "https://example.com/runbooks/unsubscribe-spike"
//! ```

use super::declared::{Declared, valid_id};
use super::did_you_mean;
use super::kpis::not_negative;
use super::measures::help;
use super::reader::{Table, Value, shown};
use crate::event::Span;
use crate::kpi::{KpiIndex, KpiSpec, SliceIndex, SliceSpec, Unit};
use crate::objective::{ObjectiveSpec, Severity, Target};

const MARGIN: f64 = 0.1;
const MINIMUM_COVERAGE: f64 = 0.99;
const KEEP_FIRING: Span = Span::from_secs(60);

const SEVERITIES: [(&str, Severity); 3] = [
    (Severity::Low.name(), Severity::Low),
    (Severity::Warning.name(), Severity::Warning),
    (Severity::Critical.name(), Severity::Critical),
];

/// What is declared besides objectives; what could not be read is `None`, and
/// whatever depends on it is not judged.
pub(super) struct ObjectiveReader<'a, 'd> {
    pub(super) kpis_declared: &'a [Declared<'d>],
    pub(super) kpis: &'a [Option<KpiSpec>],
    pub(super) slices_declared: &'a [Declared<'d>],
    pub(super) slices: &'a [Option<SliceSpec>],
}

impl ObjectiveReader<'_, '_> {
    /// Reads one objective; `None` after noting why not.
    pub(super) fn read(&self, declared: &Declared<'_>) -> Option<ObjectiveSpec> {
        let mut table = declared.table()?;
        let before = table.problems().len();
        valid_id(declared, "an objective");
        table.optional("replace");
        let help = help(&mut table, &declared.key.name);
        let kpi_value = table.required("kpi");
        let kpi = kpi_value.as_ref().and_then(|value| named(value, "KPI", self.kpis_declared));
        let slice_value = table.optional("slice");
        let slice = self.slice(slice_value.as_ref(), declared);
        if let (Some(kpi), Some(slice)) = (kpi, slice) {
            let at = slice_value.as_ref().or(kpi_value.as_ref());
            self.judge_computed(kpi, slice, at);
        }
        let slice_spec = slice.and_then(|slice| self.slices[slice].as_ref());
        let selector = slice_spec.map(|slice| selector(&mut table, slice));
        let window_value = table.required("window");
        let window = slice_spec.zip(window_value).and_then(|(slice, value)| window(&value, slice));
        let target = target(&mut table);
        let unit = kpi.and_then(|kpi| self.kpis[kpi].as_ref()).map(|kpi| &kpi.unit);
        if unit == Some(&Unit::Ratio) && target.is_some_and(|target| highest(target) > MOST_RATIO) {
            table.problems().add_with(
                table.at(),
                format!(
                    "{} aims at more than {MOST_RATIO} with a KPI that is a ratio",
                    table.name()
                ),
                "a ratio goes from 0 to 1: 40 % is written as 0.4",
            );
        }
        let margin = share(&mut table, "margin").unwrap_or(MARGIN);
        let minimum_coverage = share(&mut table, "minimum_coverage").unwrap_or(MINIMUM_COVERAGE);
        let minimum_sample = table.optional("minimum_sample").and_then(|value| {
            let kpi = kpi.and_then(|kpi| self.kpis[kpi].as_ref());
            if kpi.is_some_and(|kpi| kpi.sample.is_none()) {
                value.problem_with(
                    "the KPI has no sample",
                    "give it one, as in `sample = \"delivered\"`",
                );
            }
            not_negative(&value)
        });
        let owner = table.required("owner").and_then(|value| value.name_text());
        let serves = table.text("serves").unwrap_or_default();
        let severity = table.optional("severity").and_then(|value| value.one_of(&SEVERITIES));
        let runbook = table.optional("runbook").and_then(|value| link(&value));
        let hold = table.optional("for").and_then(|value| value.duration());
        let keep_firing = table.optional("keep_firing_for").and_then(|value| value.duration());
        let sound = table.problems().len() == before;
        // Without its slice, nobody can tell a field from a misspelt key.
        if slice_spec.is_some() {
            table.finish();
        }
        sound.then_some(())?;
        Some(ObjectiveSpec {
            id: declared.key.name.clone(),
            help,
            kpi: kpi?,
            slice: slice?,
            selector: selector?,
            window: window?,
            target: target?,
            margin,
            minimum_sample,
            minimum_coverage,
            owner: owner?,
            serves,
            severity: severity.unwrap_or(Severity::Warning),
            runbook,
            hold: hold.unwrap_or(Span::ZERO),
            keep_firing: keep_firing.unwrap_or(KEEP_FIRING),
        })
    }

    fn slice(&self, value: Option<&Value<'_>>, declared: &Declared<'_>) -> Option<SliceIndex> {
        if let Some(value) = value {
            return named(value, "slice", self.slices_declared);
        }
        let all = self.slices_declared.iter().position(|slice| slice.key.name == "all");
        if all.is_none() {
            declared.problems().add_with(
                declared.key.at.clone(),
                "there is no slice `all`, which is meant where none is named",
                "name one, as in `slice = \"campaign\"`",
            );
        }
        all
    }

    fn judge_computed(&self, kpi: KpiIndex, slice: SliceIndex, at: Option<&Value<'_>>) {
        let (Some(Some(kpi)), Some(value)) = (self.kpis.get(kpi), at) else { return };
        if !kpi.slices.contains(&slice) {
            let name = |slice: &SliceIndex| format!("`{}`", self.slices_declared[*slice].key.name);
            let computed: Vec<String> = kpi.slices.iter().map(name).collect();
            value.problem_with(
                format!("the KPI `{}` is not computed in the slice {}", kpi.id, name(&slice)),
                match computed.is_empty() {
                    true => "it is computed in none".to_owned(),
                    false => format!("it is computed in {}", computed.join(", ")),
                },
            );
        }
    }
}

fn named(value: &Value<'_>, what: &str, declared: &[Declared<'_>]) -> Option<usize> {
    let name = value.text()?;
    let found = declared.iter().position(|known| known.key.name == name);
    if found.is_none() {
        value.problem_maybe(
            format!("no {what} is called `{}`", shown(&name)),
            did_you_mean(&name, declared.iter().map(|known| known.key.name.as_str())),
        );
    }
    found
}

fn selector(table: &mut Table<'_>, slice: &SliceSpec) -> Vec<Option<String>> {
    let wanted = slice.fields.iter().map(|field| {
        let value = table.optional(field.name())?;
        let text = value.scalar_text()?;
        if text.is_empty() {
            value.problem_with(
                format!("no event has an empty `{}`", field.name()),
                "events without the field stand under \"__none__\"",
            );
        }
        Some(text).filter(|text| text != "*")
    });
    wanted.collect()
}

fn window(value: &Value<'_>, slice: &SliceSpec) -> Option<usize> {
    let size = value.duration()?;
    let found = slice.windows.iter().position(|window| window.size() == size);
    if found.is_none() {
        let windows: Vec<String> =
            slice.windows.iter().map(|window| format!("\"{window}\"")).collect();
        value.problem_with(
            format!("the slice `{}` has no window of {size}", slice.name),
            format!(
                "it has {}; declare the slice with another list to add one",
                windows.join(", ")
            ),
        );
    }
    found
}

fn target(table: &mut Table<'_>) -> Option<Target> {
    let at_least = table.optional("at_least");
    let at_most = table.optional("at_most");
    let between = table.optional("between");
    match (at_least, at_most, between) {
        (Some(value), None, None) => value.float().map(Target::AtLeast),
        (None, Some(value), None) => value.float().map(Target::AtMost),
        (None, None, Some(value)) => range(&value),
        (None, None, None) => {
            table.problems().add_with(
                table.at(),
                format!("{} has no target", table.name()),
                "write `at_least = ...`, `at_most = ...` or `between = [..., ...]`; a ratio is from 0 to 1",
            );
            None
        }
        (_, Some(value), _) | (_, _, Some(value)) => {
            value.problem_with(
                format!("{} has more than one target", table.name()),
                "from one value to another is `between = [..., ...]`",
            );
            None
        }
    }
}

/// Above this a target for a ratio was meant as a percentage.
const MOST_RATIO: f64 = 2.0;

fn highest(target: Target) -> f64 {
    match target {
        Target::AtLeast(value) | Target::AtMost(value) | Target::Between(_, value) => value,
    }
}

fn range(value: &Value<'_>) -> Option<Target> {
    let values = value.list()?;
    let [least, most] = values.as_slice() else {
        value.problem("`between` has two numbers: the least and the most");
        return None;
    };
    let (least, most) = (least.float()?, most.float()?);
    if least > most {
        value.problem_with(
            format!("from {least} to {most} there is nothing"),
            format!("did you mean [{most}, {least}]?"),
        );
        return None;
    }
    Some(Target::Between(least, most))
}

/// A share from 0 to 1.
fn share(table: &mut Table<'_>, key: &str) -> Option<f64> {
    let value = table.optional(key)?;
    let share = value.float()?;
    if !(0.0..=1.0).contains(&share) {
        value.problem_with(format!("`{key}` has to be from 0 to 1"), "10 % is written as 0.1");
        return None;
    }
    Some(share)
}

fn link(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if rest.is_none_or(str::is_empty) || text.contains(char::is_whitespace) {
        value.problem_with(
            format!("`{}` is no link", shown(&text)),
            "a runbook begins with https:// or http://",
        );
        return None;
    }
    Some(text)
}
