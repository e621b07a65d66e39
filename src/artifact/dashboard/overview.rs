//! The overview: how the objectives stand, every KPI over all traffic, and the
//! campaigns that stand out.

use serde_json::json;

use super::super::words;
use super::board::Board;
use super::panel::{Panel, Shape, verdict_mappings};
use super::{Chosen, code, grafana_unit, ranking, verdict_labels};
use crate::artifact::Inputs;
use crate::catalog;
use crate::kpi::{Declarations, KpiSpec, SliceIndex};
use crate::objective::State;

pub(super) fn board<'a>(inputs: &Inputs<'a>) -> Board<'a> {
    let Inputs { declarations, objectives, scope, .. } = *inputs;
    let chosen = Chosen { scope };
    let mut board = Board::new(
        chosen,
        super::OVERVIEW_UID,
        "Tidegauge / Overview",
        "How the objectives stand, the KPIs over all traffic, and the campaigns that stand out.",
    );
    let whole = declarations.slices.iter().position(|slice| slice.fields.is_empty());
    let windows: Vec<String> =
        match whole.or(if declarations.slices.is_empty() { None } else { Some(0) }) {
            Some(slice) => {
                declarations.slices[slice].windows.iter().map(ToString::to_string).collect()
            }
            None => Vec::new(),
        };
    board.fixed_variable("window", "Window", &windows, false, windows.len() / 2);
    if !objectives.is_empty() {
        objective_section(&mut board, chosen, declarations);
    }
    if let Some(slice) = whole {
        kpi_sections(&mut board, chosen, declarations, slice);
    }
    if let Some(slice) = declarations.slices.iter().position(|slice| slice.fields.len() == 1) {
        ranking::section(&mut board, inputs, slice);
    }
    board
}

fn objective_section(board: &mut Board<'_>, chosen: Chosen<'_>, declarations: &Declarations) {
    let labels = verdict_labels(declarations);
    board.section("Objectives");
    for (state, title, colour, help) in [
        (State::Missed, "Missed", "red", "Objectives on the wrong side of their target."),
        (State::AtRisk, "At risk", "orange", "Met, but near to the target."),
        (State::Met, "Met", "green", "On the good side of the target."),
        (
            State::Unknown,
            "Unknown",
            "#8e8e8e",
            "Nothing can be said: no data, too few, or not fresh.",
        ),
    ] {
        let of_state = format!("{} == {}", chosen.state_code("", &labels), code(state));
        let count = chosen.or_zero(&chosen.count(&of_state));
        let panel = Panel::new(Shape::Stat, title, help)
            .ask(count, title)
            .colours(&[(None, "#8e8e8e"), (Some(1.0), colour)]);
        board.add(panel, 3, 4);
    }
    let attained = chosen.of_ready(&labels, &chosen.all(&catalog::OBJECTIVE_ATTAINMENT));
    let attainment = chosen.scope.aggregate("avg", "", &attained);
    board.add(
        Panel::new(
            Shape::Stat,
            "Mean attainment",
            "1 is exactly the target, above is better; over all objectives that have a figure.",
        )
        .ask(attainment, "attainment")
        .unit("percentunit")
        .colours(&[(None, "red"), (Some(1.0), "green")]),
        4,
        4,
    );
    board.add(
        Panel::new(
            Shape::Stat,
            "Age of the figures",
            "How long ago the moment is for which the figures hold.",
        )
        .ask(format!("time() - {}", chosen.merged("max", "", &catalog::AS_OF)), "age")
        .unit("s")
        .colours(&[(None, "green"), (Some(30.0), "orange"), (Some(120.0), "red")]),
        4,
        4,
    );
    board.add(
        Panel::new(Shape::Stat, "Ready instances", "Only what they say counts.")
            .ask(chosen.merged("sum", "", &catalog::READY), "ready")
            .colours(&[(None, "red"), (Some(1.0), "green")]),
        4,
        4,
    );
    board.add(
        Panel::new(Shape::Bands, "Verdicts", "One band for each objective and slice value.")
            .ask(chosen.state_code("", &labels), &legend(&labels))
            .verdicts(),
        24,
        9,
    );
    board.add(objective_table(chosen, &labels), 24, 9);
}

fn legend(labels: &str) -> String {
    let parts: Vec<String> = labels
        .split(", ")
        .filter(|label| *label != "slice")
        .map(|label| format!("{{{{{label}}}}}"))
        .collect();
    parts.join(" ")
}

fn objective_table(chosen: Chosen<'_>, labels: &str) -> Panel {
    let merged = |family| chosen.of_ready(labels, &chosen.all(family));
    Panel::new(Shape::Table, "Objectives now", "Figure and remaining in the unit of the KPI; attainment 100 % is exactly the target.")
        .ask(chosen.state_code("", labels), "")
        .ask(merged(&catalog::OBJECTIVE_VALUE), "")
        .ask(merged(&catalog::OBJECTIVE_ATTAINMENT), "")
        .ask(merged(&catalog::OBJECTIVE_REMAINING), "")
        .ask(merged(&catalog::OBJECTIVE_SAMPLE), "")
        .columns(
            &["Time"],
            &[
                ("Value #A", "state"),
                ("Value #B", "figure"),
                ("Value #C", "attainment"),
                ("Value #D", "remaining"),
                ("Value #E", "sample"),
            ],
        )
        .style_of(
            "state",
            json!([
                { "id": "mappings", "value": verdict_mappings() },
                { "id": "custom.cellOptions", "value": { "type": "color-background", "mode": "basic" } },
            ]),
        )
        .style_of("attainment", json!([{ "id": "unit", "value": "percentunit" }]))
}

fn kpi_sections(
    board: &mut Board<'_>,
    chosen: Chosen<'_>,
    declarations: &Declarations,
    slice: SliceIndex,
) {
    let matchers = format!("slice=\"{}\",window=\"$window\"", declarations.slices[slice].name);
    for group in groups(declarations, slice) {
        board.section(&words::title(group));
        let kpis = || of_group(declarations, slice, group);
        // Up to six fill a line; more stand six to a line.
        let width = (24 / kpis().count().clamp(3, 6)) as u32;
        for kpi in kpis() {
            let panel = Panel::new(Shape::Stat, words::title(&kpi.id), kpi.help.clone())
                .ask(chosen.figures(kpi, &matchers, "window"), "{{window}}")
                .unit(grafana_unit(&kpi.unit));
            board.add(panel, width, 4);
        }
        board.end_line();
        let mut units: Vec<String> = kpis().map(|kpi| grafana_unit(&kpi.unit)).collect();
        units.sort();
        units.dedup();
        let width = if units.len() == 1 { 24 } else { 12 };
        for unit in units {
            let title = match unit.as_str() {
                "percentunit" => "Rates".to_owned(),
                "short" => "Volumes".to_owned(),
                "s" => "Durations".to_owned(),
                money => format!(
                    "Money, {}",
                    money.trim_start_matches("currency").trim_start_matches("suffix: ")
                ),
            };
            let mut panel =
                Panel::new(Shape::Lines, format!("{title}, over $window"), "Over all traffic.")
                    .unit(unit.clone());
            for kpi in kpis().filter(|kpi| grafana_unit(&kpi.unit) == unit) {
                let figures = chosen.figures(kpi, &matchers, "window");
                panel = panel.ask(figures, &words::title(&kpi.id));
            }
            board.add(panel, width, 8);
        }
    }
}

/// The groups of a slice's KPIs, in order of declaration.
pub(super) fn groups(declarations: &Declarations, slice: SliceIndex) -> Vec<&str> {
    let mut groups: Vec<&str> = Vec::new();
    for kpi in declarations.kpis_of_slice(slice) {
        let group = declarations.kpis[kpi].group.as_str();
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// The KPIs of a slice that stand in a group.
pub(super) fn of_group<'a>(
    declarations: &'a Declarations,
    slice: SliceIndex,
    group: &'a str,
) -> impl Iterator<Item = &'a KpiSpec> {
    declarations
        .kpis_of_slice(slice)
        .into_iter()
        .map(|kpi| &declarations.kpis[kpi])
        .filter(move |kpi| kpi.group == group)
}
