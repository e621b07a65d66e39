//! Grafana dashboards: an overview, one for each slice, and the health of the
//! pipeline.
//!
//! Out: dashboard JSON for Grafana 10 and later, with variables for the data source,
//! the job, the instance, the window, the slice's values and the labels that are kept.
//! Figures are those of ready instances, merged, so that replicas draw one line.

mod access;
mod board;
mod chosen;
mod overview;
mod panel;
mod pipeline;
mod ranking;
mod slice;

use self::chosen::Chosen;
use super::{Artifact, Inputs};
use crate::catalog;
use crate::kpi::{Declarations, SliceSpec, Unit};
use crate::objective::State;

/// The identity of the overview, which its address contains.
const OVERVIEW_UID: &str = "tidegauge-overview";
/// The identity of the pipeline's dashboard, which its address contains.
pub(super) const PIPELINE_UID: &str = "tidegauge-pipeline";

/// The dashboards: the overview, one for each slice with fields, the pipeline.
pub fn dashboards(inputs: &Inputs<'_>) -> Vec<Artifact> {
    let mut boards = vec![overview::board(inputs)];
    for (index, slice) in inputs.declarations.slices.iter().enumerate() {
        if !slice.fields.is_empty() {
            boards.push(slice::board(inputs, index));
        }
    }
    boards.push(pipeline::board(Chosen { scope: inputs.scope }));
    boards
        .into_iter()
        .map(|board| Artifact {
            path: format!("grafana/dashboards/{}.json", board.uid()),
            text: board.into_json(),
        })
        .collect()
}

/// The identity of the dashboard on which a slice is shown.
pub(super) fn uid_of_slice(slice: &SliceSpec) -> String {
    if slice.fields.is_empty() {
        OVERVIEW_UID.to_owned()
    } else {
        format!("tidegauge-by-{}", slice.name)
    }
}

/// Every label that may tell verdicts apart, over all slices.
fn verdict_labels(declarations: &Declarations) -> String {
    let mut labels = vec!["objective".to_owned(), "slice".to_owned()];
    for label in declarations.slices.iter().flat_map(catalog::slice_labels) {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    labels.join(", ")
}

/// The number that [`Chosen::state_code`] gives a state.
const fn code(state: State) -> u8 {
    match state {
        State::Unknown => 0,
        State::Met => 1,
        State::AtRisk => 2,
        State::Missed => 3,
    }
}

/// Grafana's name of a unit.
fn grafana_unit(unit: &Unit) -> String {
    const CURRENCIES: &[&str] = &[
        "USD", "GBP", "EUR", "JPY", "RUB", "UAH", "BRL", "DKK", "ISK", "NOK", "SEK", "CZK", "CHF",
        "PLN", "ZAR", "INR", "KRW", "IDR", "PHP", "VND", "TRY", "MYR", "XPF", "BGN",
    ];
    match unit {
        Unit::Ratio => "percentunit".to_owned(),
        Unit::Money(currency) if CURRENCIES.contains(&currency.code()) => {
            format!("currency{}", currency.code())
        }
        Unit::Money(currency) => format!("suffix: {}", currency.code()),
        Unit::Of(name) if name == "seconds" => "s".to_owned(),
        Unit::Of(_) => "short".to_owned(),
    }
}
