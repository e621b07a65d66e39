//! One value of a slice, such as one campaign: all its KPIs in all windows, and its
//! objectives.

use serde_json::json;

use super::super::words;
use super::board::Board;
use super::overview::{groups, of_group};
use super::panel::{Panel, Shape};
use super::{Chosen, grafana_unit, uid_of_slice};
use crate::artifact::Inputs;
use crate::catalog;
use crate::kpi::SliceIndex;
use crate::objective::{ObjectiveSpec, Target};

pub(super) fn board<'a>(inputs: &Inputs<'a>, index: SliceIndex) -> Board<'a> {
    let Inputs { declarations, objectives, scope, .. } = *inputs;
    let chosen = Chosen { scope };
    let slice = &declarations.slices[index];
    let fields = catalog::slice_labels(slice);
    let mut board = Board::new(
        chosen,
        &uid_of_slice(slice),
        &format!("Tidegauge / One {}", fields.join(" and ")),
        "Every KPI of one value in every window, beside the objectives that are set for it.",
    );
    let mut matchers = format!("slice=\"{}\"", slice.name);
    for field in &fields {
        let mut wanted = "__name__=~\"tidegauge_.+\",job=~\"$job\"".to_owned();
        for label in chosen.variables() {
            wanted.push_str(&format!(",{label}=~\"${label}\""));
        }
        let series = scope.named("", &format!("{wanted},{matchers}"));
        let query = format!("label_values({series}, {field})");
        board.query_variable(field, &words::title(field), &query, false);
        matchers.push_str(&format!(",{field}=\"${field}\""));
    }
    let windows: Vec<String> = slice.windows.iter().map(ToString::to_string).collect();
    board.fixed_variable("window", "Window", &windows, true, 0);
    let own: Vec<&ObjectiveSpec> =
        objectives.iter().filter(|objective| objective.slice == index).collect();
    if !own.is_empty() {
        objective_section(&mut board, chosen, &matchers);
    }
    let windowed = format!("{matchers},window=~\"$window\"");
    for group in groups(declarations, index) {
        board.section(&words::title(group));
        for kpi in of_group(declarations, index, group) {
            let mut panel = Panel::new(Shape::Lines, words::title(&kpi.id), kpi.help.clone())
                .ask(chosen.figures(kpi, &windowed, "window"), "{{window}}")
                .unit(grafana_unit(&kpi.unit));
            let targets: Vec<&ObjectiveSpec> = own
                .iter()
                .copied()
                .filter(|objective| declarations.kpis[objective.kpi].id == kpi.id)
                .collect();
            for objective in targets {
                panel = with_target(panel, chosen, objective);
            }
            board.add(panel, 8, 7);
        }
    }
    board
}

fn objective_section(board: &mut Board<'_>, chosen: Chosen<'_>, matchers: &str) {
    board.section("Objectives");
    let comma = format!("{matchers},");
    board.add(
        Panel::new(Shape::Bands, "Verdicts", "One band for each objective.")
            .ask(chosen.state_code(&comma, "objective"), "{{objective}}")
            .verdicts(),
        14,
        7,
    );
    let attained = chosen.series(&catalog::OBJECTIVE_ATTAINMENT, matchers);
    let attainment = chosen.of_ready("objective", &attained);
    board.add(
        Panel::new(Shape::Bars, "Attainment", "100 % is exactly the target, above is better.")
            .ask(attainment, "{{objective}}")
            .unit("percentunit")
            .scale(0.0, 2.0)
            .colours(&[(None, "red"), (Some(1.0), "orange"), (Some(1.1), "green")]),
        10,
        7,
    );
}

/// Draws an objective's bounds as dashed lines.
fn with_target(panel: Panel, chosen: Chosen<'_>, objective: &ObjectiveSpec) -> Panel {
    let matchers = format!("objective=\"{}\"", objective.id);
    let target = chosen.series(&catalog::OBJECTIVE_TARGET, &matchers);
    let expr = chosen.scope.aggregate("max", "objective, bound", &target);
    let colour = match objective.target {
        Target::AtLeast(_) => "green",
        Target::AtMost(_) => "red",
        Target::Between(..) => "orange",
    };
    panel.ask(expr, "target {{objective}} ({{bound}})").style_like(
        &format!("/^target {} /", objective.id),
        json!([
            { "id": "custom.lineStyle", "value": { "fill": "dash", "dash": [8, 8] } },
            { "id": "custom.fillOpacity", "value": 0 },
            { "id": "color", "value": { "mode": "fixed", "fixedColor": colour } },
        ]),
    )
}
