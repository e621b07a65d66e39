//! `[slices.NAME]`: by what KPIs are cut.
//!
//! ```toml
//! [slices.campaign]
//! by = ["campaign"]
//! windows = ["1h", "24h", "7d"]   # the default; with `by = []`: 5m 1h 6h 24h 3d 7d
//! cap = 2000                      # the default; at most 100000
//! ```

use super::declared::{Declared, valid_id};
use super::reader::{Table, Value, shown};
use crate::catalog::TAKEN_LABELS;
use crate::event::{Field, Span};
use crate::kpi::SliceSpec;
use crate::window::{BASE_PANE, WindowSpec};

/// Windows of a slice without fields, unless it says otherwise.
const WINDOWS_OF_ALL: [i64; 6] = [300, 3_600, 21_600, 86_400, 259_200, 604_800];
/// Windows of any other slice, unless it says otherwise.
const WINDOWS_OF_FIELDS: [i64; 3] = [3_600, 86_400, 604_800];
const CAP: usize = 2_000;

/// The keys of an objective, beside which a slice's fields stand; those that are
/// labels as well are among [`TAKEN_LABELS`].
const OBJECTIVE_KEYS: &[&str] = &[
    "kpi",
    "at_least",
    "at_most",
    "between",
    "margin",
    "minimum_sample",
    "minimum_coverage",
    "serves",
    "runbook",
    "for",
    "keep_firing_for",
    "help",
    "replace",
];

/// Reads one slice; `None` after noting why not.
pub(super) fn read(declared: &Declared<'_>) -> Option<SliceSpec> {
    let mut table = declared.table()?;
    let before = table.problems().len();
    valid_id(declared, "a slice");
    let by = table.required("by");
    let fields: Vec<Field> =
        by.iter().flat_map(Value::one_or_more).filter_map(|value| field(&value)).collect();
    for (place, field) in fields.iter().enumerate() {
        if let (true, Some(by)) = (fields[..place].contains(field), &by) {
            by.problem(format!("`{}` is there twice", field.name()));
        }
    }
    if declared.key.name == "all" && !fields.is_empty() {
        table.problems().add_with(
            declared.key.at.clone(),
            "the slice `all` is the one without fields",
            "write `by = []`, or choose another name",
        );
    }
    let windows = match table.optional("windows") {
        Some(value) => windows(&value),
        None if fields.is_empty() => default_windows(&WINDOWS_OF_ALL),
        None => default_windows(&WINDOWS_OF_FIELDS),
    };
    let cap = table.optional("cap").and_then(|value| value.integer(1, 100_000));
    let sound = table.problems().len() == before;
    finish(table);
    sound.then(|| SliceSpec {
        name: declared.key.name.clone(),
        fields,
        windows,
        cap: cap.map_or(CAP, |cap| usize::try_from(cap).unwrap_or(CAP)),
    })
}

fn finish(mut table: Table<'_>) {
    table.optional("replace");
    table.finish();
}

fn field(value: &Value<'_>) -> Option<Field> {
    let name = value.name_text()?;
    let field = Field::from_name(&name);
    if field.is_personal() {
        value.problem_with(
            format!("`{}` names people, and never becomes a label", shown(&name)),
            "slice by what people have in common; people are counted by a measure with `aggregate = \"distinct\"`",
        );
        return None;
    }
    let valid = name.len() <= 64
        && !name.starts_with("__")
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !valid {
        value.problem_with(
            format!("`{}` cannot be a label of Prometheus", shown(&name)),
            "a label has letters, digits and underscores, and begins with a letter; let the format give the attribute such a name",
        );
        return None;
    }
    if TAKEN_LABELS.contains(&name.as_str()) || OBJECTIVE_KEYS.contains(&name.as_str()) {
        value.problem_with(
            format!("`{name}` is a name of Tidegauge's or Prometheus' own"),
            "let the format give the attribute another name",
        );
        return None;
    }
    Some(field)
}

fn default_windows(secs: &[i64]) -> Vec<WindowSpec> {
    secs.iter().filter_map(|secs| WindowSpec::new(Span::from_secs(*secs))).collect()
}

fn windows(value: &Value<'_>) -> Vec<WindowSpec> {
    let mut windows = Vec::new();
    let values = value.one_or_more();
    if values.is_empty() {
        value.problem("a slice has at least one window");
    }
    for value in values {
        let Some(window) = window(&value) else { continue };
        if windows.contains(&window) {
            value.problem(format!("the window {window} is there twice"));
        } else {
            windows.push(window);
        }
    }
    windows.sort_unstable();
    windows
}

fn window(value: &Value<'_>) -> Option<WindowSpec> {
    let size = value.duration()?;
    let window = WindowSpec::new(size);
    if size < BASE_PANE {
        value.problem_with(
            format!("a window of {size} is shorter than its resolution of {BASE_PANE}"),
            "the shortest window is \"10s\"",
        );
    } else if window.is_none() {
        value.problem("a window has at most 400 days");
    } else if size.micros() % BASE_PANE.micros() != 0 {
        value.problem_with(
            format!("a window of {size} is no multiple of {BASE_PANE}"),
            "choose one that is",
        );
        return None;
    }
    window
}
