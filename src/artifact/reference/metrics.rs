//! The reference of metrics, from the catalog and the declarations.

use super::{GENERATED, Table, code_list};
use crate::catalog::{self, Kind};
use crate::event::{IgnoreReason, RejectReason};
use crate::kpi::{Declarations, NONE, OTHER, Unit};
use crate::objective::{State, UnknownReason};

pub(super) fn page(declarations: &Declarations) -> String {
    let mut text = String::from("# Metrics\n\n");
    text.push_str(GENERATED);
    text.push_str(
        "All figures on a page hold for one moment, `as_of`. A figure that cannot be given \
         is absent: it is never NaN, and 0 only where 0 is true. Ratios are shares from 0 to \
         1. Counters end in `_total`, and `rate()` and `increase()` are for them alone; \
         those of records and events follow the checkpoints on the disk, are absent where no \
         state is saved, and never go back over a crash. Everything else is a gauge.\n\n",
    );
    text.push_str(&format!(
        "Families with *slice labels* carry `slice` and one label for each field of that \
         slice. The value `{OTHER}` is what was folded because the slice is over its cap, and \
         `{NONE}` is everything that does not have the field.\n\n## Slices\n\n",
    ));
    text.push_str(&slices(declarations));
    text.push_str("\n## KPIs\n\nLabels: slice labels and `window`. What each means is in [the KPI reference](kpis.md).\n\n");
    text.push_str(&kpis(declarations));
    text.push_str("\n## Measures\n\nWhat the KPIs are made of, in the slices whose KPIs use them. Labels: slice labels and `window`.\n\n");
    text.push_str(&measures(declarations));
    text.push_str("\n## Objectives, service and pipeline\n\n");
    text.push_str(&fixed());
    text.push_str("\n## Label values\n\n");
    text.push_str(&values());
    text
}

fn slices(declarations: &Declarations) -> String {
    let mut table = Table::new(&["slice", "labels", "windows", "most series"]);
    for slice in &declarations.slices {
        let windows: Vec<String> = slice.windows.iter().map(ToString::to_string).collect();
        table.row(&[
            format!("`{}`", slice.name),
            code_list(catalog::slice_labels(slice).iter().map(String::as_str)),
            code_list(windows.iter().map(String::as_str)),
            if slice.fields.is_empty() { "1".to_owned() } else { slice.cap.to_string() },
        ]);
    }
    table.text
}

fn unit_text(unit: &Unit) -> String {
    match unit {
        Unit::Ratio => "ratio".to_owned(),
        Unit::Money(currency) => format!("{currency}, major units"),
        Unit::Of(name) => name.clone(),
    }
}

fn kpis(declarations: &Declarations) -> String {
    let mut table = Table::new(&["family", "unit", "slices", "meaning"]);
    for kpi in &declarations.kpis {
        table.row(&[
            format!("`{}`", catalog::kpi_family(kpi)),
            unit_text(&kpi.unit),
            code_list(kpi.slices.iter().map(|&slice| declarations.slices[slice].name.as_str())),
            kpi.help.clone(),
        ]);
    }
    table.text
}

fn measures(declarations: &Declarations) -> String {
    let mut table = Table::new(&["family", "unit", "meaning"]);
    let used: Vec<bool> = {
        let mut used = vec![false; declarations.measures.len()];
        for slice in 0..declarations.slices.len() {
            for measure in declarations.measures_of_slice(slice) {
                used[measure] = true;
            }
        }
        used
    };
    for (measure, _) in declarations.measures.iter().zip(used).filter(|(_, used)| *used) {
        table.row(&[
            format!("`{}`", catalog::measure_family(measure)),
            unit_text(&measure.unit),
            measure.help.clone(),
        ]);
    }
    table.text
}

fn fixed() -> String {
    let mut table = Table::new(&["family", "labels", "meaning"]);
    for family in catalog::FAMILIES {
        let mut labels = code_list(family.labels.iter().copied());
        if family.sliced {
            labels.push_str(", slice labels");
        }
        let help = match family.kind {
            Kind::Gauge => family.help.to_owned(),
            Kind::Counter => format!("{} A counter.", family.help),
            Kind::Info => format!("{} Always 1.", family.help),
        };
        table.row(&[format!("`{}`", family.name), labels, help]);
    }
    table.text
}

fn values() -> String {
    let mut table = Table::new(&["label", "of", "values"]);
    let mut row = |label: &str, of: &str, values: String| {
        table.row(&[format!("`{label}`"), of.to_owned(), values]);
    };
    row("state", "objectives", code_list(State::ALL.map(State::name)));
    row(
        "reason",
        "objectives that are unknown",
        code_list(UnknownReason::ALL.map(UnknownReason::name)),
    );
    row(
        "reason",
        "rejected records and events",
        code_list(RejectReason::ALL.map(RejectReason::name)),
    );
    row(
        "reason",
        "ignored records and events",
        code_list(IgnoreReason::ALL.map(IgnoreReason::name)),
    );
    table.text
}
