//! Figures and targets as people read them, in the text of alerts and documents.
//!
//! What Prometheus' templates render at run time and what is known when the file is
//! generated must read alike; the generated rule tests hold the two together.

use crate::event::Span;
use crate::kpi::{AggregateSpec, Declarations, Formula, KpiSpec, Operator, SliceSpec, Unit};
use crate::objective::{ObjectiveSpec, Target};

/// How a figure in some unit is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Style {
    /// A share, as a percentage.
    Percent,
    /// A whole number with its unit's name.
    Whole(String),
    /// Two decimals with its unit's name.
    Decimals(String),
}

impl Style {
    /// How the figures of a KPI are shown.
    pub(super) fn of_kpi(declarations: &Declarations, kpi: &KpiSpec) -> Style {
        match &kpi.unit {
            Unit::Ratio => Style::Percent,
            Unit::Money(currency) => Style::Decimals(currency.code().to_owned()),
            Unit::Of(name) if is_whole(declarations, &kpi.formula) => Style::Whole(name.clone()),
            Unit::Of(name) => Style::Decimals(name.clone()),
        }
    }

    /// How the sample of a KPI is shown; `None` where it has none.
    pub(super) fn of_sample(declarations: &Declarations, kpi: &KpiSpec) -> Option<Style> {
        let sample = kpi.sample.as_ref()?;
        let unit = match &sample.of {
            Formula::Measure(measure) => declarations.measures[*measure].unit.suffix(),
            _ => String::new(),
        };
        Some(Style::Whole(unit))
    }

    /// The text for a figure.
    pub(super) fn show(&self, value: f64) -> String {
        let shown = match self {
            Style::Percent => format!("{}%", general(value * 100.0, 4)),
            Style::Whole(unit) => format!("{value:.0} {unit}"),
            Style::Decimals(unit) => format!("{value:.2} {unit}"),
        };
        shown.trim_end().to_owned()
    }

    /// The end of a Go template pipeline that renders a float in the same way.
    pub(super) fn pipe(&self) -> &'static str {
        match self {
            Style::Percent => "humanizePercentage",
            Style::Whole(_) => "printf \"%.0f\"",
            Style::Decimals(_) => "printf \"%.2f\"",
        }
    }

    /// What follows the rendered float.
    pub(super) fn tail(&self) -> String {
        match self {
            Style::Whole(unit) | Style::Decimals(unit) if !unit.is_empty() => format!(" {unit}"),
            _ => String::new(),
        }
    }
}

/// Whether a formula can only give whole numbers, so that decimals would be noise.
fn is_whole(declarations: &Declarations, formula: &Formula) -> bool {
    match formula {
        Formula::Constant(constant) => constant.raw() % crate::event::Decimal::ONE.raw() == 0,
        Formula::Measure(measure) => {
            !matches!(declarations.measures[*measure].aggregate, AggregateSpec::Mean(_))
        }
        Formula::Binary(_, Operator::Divide, _) => false,
        Formula::Binary(left, _, right) | Formula::Or(left, right) => {
            is_whole(declarations, left) && is_whole(declarations, right)
        }
    }
}

/// `at most 2%`, `from 1.00 EUR to 3.50 EUR`.
pub(super) fn target(target: Target, style: &Style) -> String {
    match target {
        Target::AtLeast(least) => format!("at least {}", style.show(least)),
        Target::AtMost(most) => format!("at most {}", style.show(most)),
        Target::Between(from, to) => format!("from {} to {}", style.show(from), style.show(to)),
    }
}

/// Where an objective is judged: `campaign spring, region eu` with the values given
/// for each field, or `all traffic`.
pub(super) fn place(slice: &SliceSpec, values: &[String]) -> String {
    if slice.fields.is_empty() {
        return "all traffic".to_owned();
    }
    let parts: Vec<String> = slice
        .fields
        .iter()
        .zip(values)
        .map(|(field, value)| format!("{} {value}", field.name()))
        .collect();
    parts.join(", ")
}

/// The place as it is declared, for documents: `campaign spring, any region`.
pub(super) fn declared_place(slice: &SliceSpec, objective: &ObjectiveSpec) -> String {
    if slice.fields.is_empty() {
        return "all traffic".to_owned();
    }
    let parts: Vec<String> = slice
        .fields
        .iter()
        .zip(&objective.selector)
        .map(|(field, value)| match value {
            Some(value) => format!("{} `{value}`", field.name()),
            None => format!("every {}", field.name()),
        })
        .collect();
    parts.join(", ")
}

/// Text of several lines as one, ending in a full stop.
pub(super) fn sentence(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() || line.ends_with(['.', '!', '?']) { line } else { format!("{line}.") }
}

/// Abbreviations of the trade, which read wrongly in small letters.
const ABBREVIATIONS: &[&str] =
    &["aov", "cac", "clv", "cpa", "cpc", "csat", "cta", "ctr", "mql", "pql", "roas", "roi", "sql"];

/// `cta_click_rate` as `CTA click rate`.
pub(super) fn title(id: &str) -> String {
    let words = id.split('_').enumerate().map(|(place, word)| {
        let mut chars = word.chars();
        match chars.next() {
            _ if ABBREVIATIONS.contains(&word) => word.to_uppercase(),
            Some(first) if place == 0 => first.to_uppercase().chain(chars).collect(),
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// C's `%.<digits>g`, which Prometheus' `humanizePercentage` uses with four digits.
pub(super) fn general(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    trim(&format!("{value:.decimals$}"))
}

/// Minutes of a span, rounded up.
pub(super) fn minutes(span: Span) -> i64 {
    span.secs().div_euclid(60) + i64::from(span.secs() % 60 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, expected: &str) {
        assert_eq!(general(value, 4), expected);
    }

    #[test]
    fn titles_are_sentences_with_known_abbreviations() {
        assert_eq!(title("unsubscribe_per_delivered"), "Unsubscribe per delivered");
        assert_eq!(title("cta_click_rate"), "CTA click rate");
        assert_eq!(title("mql_to_sql_rate"), "MQL to SQL rate");
    }

    #[test]
    fn figures_read_as_prometheus_renders_them() {
        check(2.0, "2");
        check(0.5, "0.5");
        check(3.24159, "3.242");
        // The nearest binary fraction lies a little above 0.012345.
        check(0.012345, "0.01235");
        check(12_345.0, "1.234e+04");
        check(0.000_012, "1.2e-05");
        check(0.0, "0");
        check(-99.999, "-100");
    }
}
