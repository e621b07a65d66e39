//! The values of a slice that stand out: most, best and worst.

use super::super::words;
use super::board::Board;
use super::panel::{Panel, Shape};
use super::{Chosen, grafana_unit, uid_of_slice};
use crate::artifact::Inputs;
use crate::catalog;
use crate::kpi::{Declarations, Direction, Formula, KpiIndex, KpiSpec, SliceIndex};
use crate::objective::ObjectiveSpec;

/// How many values a panel shows.
const SHOWN: usize = 10;

/// One line of panels with the most and the worst, one with the best.
pub(super) fn section(board: &mut Board<'_>, inputs: &Inputs<'_>, slice: SliceIndex) {
    let Inputs { declarations, objectives, scope, .. } = *inputs;
    let chosen = Chosen { scope };
    let spec = &declarations.slices[slice];
    let Some(label) = catalog::slice_labels(spec).into_iter().next() else { return };
    let Some(window) = spec.windows.get(spec.windows.len() / 2) else { return };
    let matchers = format!("slice=\"{}\",window=\"{window}\"", spec.name);
    board.section(&format!("By {label}, over {window}"));
    let ranked = ranked(declarations, objectives, slice);
    let of = |direction: Direction, most: usize| {
        let kpis = ranked.iter().map(|&kpi| &declarations.kpis[kpi]);
        kpis.filter(move |kpi| kpi.direction == direction).take(most)
    };
    let lines = [
        ("Most", of(Direction::Neutral, 1)),
        ("Worst", of(Direction::Down, 3)),
        ("Best", of(Direction::Up, 4)),
    ];
    let shown: String = [label.as_str()]
        .into_iter()
        .chain(chosen.variables())
        .map(|label| format!("var-{label}=${{__field.labels.{label}}}&"))
        .collect();
    for (what, kpis) in lines {
        for kpi in kpis {
            let title = format!("{what} by {}", words::title(&kpi.id));
            let panel = Panel::new(Shape::Bars, title, kpi.help.clone())
                .ask(
                    first(chosen, declarations, kpi, &matchers, &label),
                    &format!("{{{{{label}}}}}"),
                )
                .unit(grafana_unit(&kpi.unit))
                .link(
                    &format!("Open this {label}"),
                    &format!("/d/{}?{shown}${{__url_time_range}}", uid_of_slice(spec)),
                );
            board.add(panel, 6, 9);
        }
    }
}

/// The KPIs of a slice, those first that an objective judges there, then the first of
/// each group, then the second.
fn ranked(
    declarations: &Declarations,
    objectives: &[ObjectiveSpec],
    slice: SliceIndex,
) -> Vec<KpiIndex> {
    let kpis = declarations.kpis_of_slice(slice);
    let place_in_group = |kpi: KpiIndex| {
        let same = |other: &&KpiIndex| {
            **other < kpi
                && declarations.kpis[**other].group == declarations.kpis[kpi].group
                && declarations.kpis[**other].direction == declarations.kpis[kpi].direction
        };
        kpis.iter().filter(same).count()
    };
    let judged = |kpi: KpiIndex| {
        objectives.iter().any(|objective| objective.slice == slice && objective.kpi == kpi)
    };
    let mut ranked = kpis.clone();
    ranked.sort_by_key(|&kpi| (!judged(kpi), place_in_group(kpi)));
    ranked
}

/// The highest figures; those with less than the minimum sample only where none has
/// more, since a share of three means nothing.
fn first(
    chosen: Chosen<'_>,
    declarations: &Declarations,
    kpi: &KpiSpec,
    matchers: &str,
    label: &str,
) -> String {
    let figures = chosen.figures(kpi, matchers, label);
    let ranked = match kpi.sample.as_ref().map(|sample| (&sample.of, sample.minimum)) {
        Some((Formula::Measure(measure), minimum)) => {
            let family = catalog::measure_family(&declarations.measures[*measure]);
            format!(
                "({figures} and {} {} >= {minimum}) or {} {figures}",
                chosen.scope.on(label),
                chosen.named(&family, matchers),
                chosen.scope.on("")
            )
        }
        _ => figures,
    };
    format!("sort_desc(topk({SHOWN}, {ranked}))")
}
