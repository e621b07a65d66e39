//! Grafana dashboards: an overview, one for each slice, and the health of the
//! pipeline.
//!
//! Out: dashboard JSON for Grafana 10 and later, with variables for the data source,
//! the job, the instance, the window and the slice's values. Figures are those of
//! ready instances, merged, so that replicas draw one line.

mod board;
mod overview;
mod panel;
mod pipeline;
mod ranking;
mod slice;

use super::Artifact;
use super::expression::of_ready;
use crate::catalog::{self, Family};
use crate::kpi::{Declarations, KpiSpec, SliceSpec, Unit};
use crate::objective::{ObjectiveSpec, State};

/// The identity of the overview, which its address contains.
const OVERVIEW_UID: &str = "tidegauge-overview";
/// The identity of the pipeline's dashboard, which its address contains.
pub(super) const PIPELINE_UID: &str = "tidegauge-pipeline";

/// The dashboards: the overview, one for each slice with fields, the pipeline.
pub fn dashboards(declarations: &Declarations, objectives: &[ObjectiveSpec]) -> Vec<Artifact> {
    let mut boards = vec![overview::board(declarations, objectives)];
    for (index, slice) in declarations.slices.iter().enumerate() {
        if !slice.fields.is_empty() {
            boards.push(slice::board(declarations, objectives, index));
        }
    }
    boards.push(pipeline::board());
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

/// What every selector starts with.
const INSTANCES: &str = "job=~\"$job\",instance=~\"$instance\"";

/// The series of chosen instances, ready or not.
fn chosen(family: &Family, matchers: &str) -> String {
    let comma = if matchers.is_empty() { "" } else { "," };
    format!("{}{{{INSTANCES}{comma}{matchers}}}", family.name)
}

/// A KPI's figures by `by`, merged over ready instances.
fn figures(kpi: &KpiSpec, matchers: &str, by: &str) -> String {
    let family = catalog::kpi_family(kpi);
    format!("max by ({by}) ({})", of_ready(&format!("{family}{{{INSTANCES},{matchers}}}")))
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

/// Verdicts as a number by `by`: what is worse is higher, unknown is 0.
fn state_code(matchers: &str, by: &str) -> String {
    let states: Vec<String> = State::ALL
        .into_iter()
        .map(|state| {
            let matchers = format!("{matchers}state=\"{}\"", state.name());
            format!("{} * ({} == 1)", code(state), chosen(&catalog::OBJECTIVE_STATE, &matchers))
        })
        .collect();
    format!("max by ({by}) ({})", of_ready(&format!("({})", states.join(" or "))))
}

/// The number that [`state_code`] gives a state.
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
