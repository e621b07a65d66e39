//! Every saved figure, as lines of JSON.
//!
//! The first line is the state as `state show --json` says it; then comes a line for
//! each series of each slice and window, at the saved `as_of`. Figures have all their
//! digits. People are in it only as counts.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{StateView, empty_engine, look};
use crate::app::saved::SavedStateError;
use crate::config::Config;
use crate::event::{EventTime, Field};
use crate::kpi::{Declarations, KpiFigure, KpiSnapshot, Quantity, SeriesSnapshot, SliceIndex};

#[derive(Serialize)]
struct StateLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    state: &'a StateView,
}

/// One window of one series.
#[derive(Serialize)]
struct FiguresLine<'a> {
    kind: &'static str,
    slice: &'a str,
    window: String,
    /// By field of the slice.
    values: BTreeMap<&'a str, &'a str>,
    /// Whether this is what was folded over the cap.
    other: bool,
    /// The share of the window that was read.
    coverage: f64,
    /// By name; those without data are left out.
    measures: BTreeMap<&'a str, Box<RawValue>>,
    /// By name; those without data are left out.
    kpis: BTreeMap<&'a str, KpiLine>,
}

#[derive(Serialize)]
struct KpiLine {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<f64>,
}

/// Gives `line` every line of the state that is saved in a directory, under the
/// declarations of a configuration; `Ok(false)` if nothing is saved. Cost: the memory
/// of an instance without its ids.
///
/// # Errors
/// A state that cannot be looked at, or is of another hash key; and what `line` says.
pub fn export<E: From<SavedStateError>>(
    path: &Path,
    config: &Config,
    now: EventTime,
    mut line: impl FnMut(&str) -> Result<(), E>,
) -> Result<bool, E> {
    let Some((state, snapshot)) = load(path, config, now)? else { return Ok(false) };
    line(&json(&StateLine { kind: "state", state: &state }))?;
    if let Some(snapshot) = snapshot {
        each_line(&config.declarations, &snapshot, |text| line(&text))?;
    }
    Ok(true)
}

/// What is saved, and its figures; no figures where nothing was ever counted.
fn load(
    path: &Path,
    config: &Config,
    now: EventTime,
) -> Result<Option<(StateView, Option<KpiSnapshot>)>, SavedStateError> {
    let (directory, found) = look::open(path)?;
    let Some(mut found) = found else { return Ok(None) };
    let head = look::head(path, &found)?;
    let mut engine = empty_engine(config, None, now);
    if head.key_check != engine.key_check() {
        return Err(SavedStateError::other_key(path));
    }
    let (store, _) = engine.store_and_ids();
    let checkpoint = look::read(path, &mut found, &head, now, |step| {
        store.restore(step.schema, step.changes).map_err(|error| error.to_string())
    })?;
    let state = look::view(&directory, Some(checkpoint));
    let Some(as_of) = head.as_of.map(EventTime::from_micros) else {
        return Ok(Some((state, None)));
    };
    engine
        .restored(&head, as_of)
        .map_err(|error| error.to_string())
        .and_then(|()| engine.resume(&head, |_| true, now))
        .map_err(|what| SavedStateError::damaged(path, &what))?;
    Ok(Some((state, Some(engine.figures_at(as_of)))))
}

fn each_line<E>(
    declarations: &Declarations,
    snapshot: &KpiSnapshot,
    mut line: impl FnMut(String) -> Result<(), E>,
) -> Result<(), E> {
    for slice in &snapshot.slices {
        let windows = &declarations.slices[slice.slice].windows;
        for series in &slice.series {
            for window in 0..windows.len() {
                let coverage = slice.coverage.get(window).copied().unwrap_or(0.0);
                let figures = figures(declarations, slice.slice, series, window, coverage);
                if !figures.measures.is_empty() || !figures.kpis.is_empty() {
                    line(json(&figures))?;
                }
            }
        }
    }
    Ok(())
}

fn figures<'a>(
    declarations: &'a Declarations,
    slice: SliceIndex,
    series: &'a SeriesSnapshot,
    window: usize,
    coverage: f64,
) -> FiguresLine<'a> {
    let spec = &declarations.slices[slice];
    let (measures, kpis) =
        (declarations.measures_of_slice(slice), declarations.kpis_of_slice(slice));
    let measured = measures.iter().enumerate().filter_map(|(at, &measure)| {
        let quantity = (*series.measures.get(window * measures.len() + at)?)?;
        Some((declarations.measures[measure].id.as_str(), exact(quantity)?))
    });
    let judged = kpis.iter().enumerate().filter_map(|(at, &kpi)| {
        let KpiFigure { value, sample } = (*series.kpis.get(window * kpis.len() + at)?)?;
        Some((declarations.kpis[kpi].id.as_str(), KpiLine { value, sample }))
    });
    FiguresLine {
        kind: "figures",
        slice: &spec.name,
        window: spec.windows[window].to_string(),
        values: spec
            .fields
            .iter()
            .map(Field::name)
            .zip(series.values.iter().map(|value| &**value))
            .collect(),
        other: series.other,
        coverage,
        measures: measured.collect(),
        kpis: judged.collect(),
    }
}

/// With all its digits, which a float would round.
fn exact(quantity: Quantity) -> Option<Box<RawValue>> {
    let text = match quantity {
        Quantity::Exact(decimal) => decimal.to_string(),
        Quantity::Real(real) => serde_json::to_string(&real).ok()?,
    };
    RawValue::from_string(text).ok()
}

/// Everything here is made of numbers and texts, which are always valid JSON.
fn json(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Decimal;

    #[track_caller]
    fn check(quantity: Quantity, expected: &str) {
        assert_eq!(exact(quantity).map(|raw| raw.get().to_owned()).as_deref(), Some(expected));
    }

    #[test]
    fn figures_keep_all_their_digits() {
        let exactly = |text| Quantity::Exact(Decimal::parse(text).expect("a number"));
        check(exactly("9007199254740993.25"), "9007199254740993.25");
        check(exactly("-0.1"), "-0.1");
        check(exactly("0"), "0");
        check(Quantity::Real(0.1), "0.1");
    }
}
