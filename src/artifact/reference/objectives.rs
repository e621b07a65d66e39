//! The reference of objectives: what is aimed at, by whom, and when the alert fires.

use super::{GENERATED, one_line};
use crate::artifact::words::{self, Style};
use crate::artifact::{OBJECTIVE_MISSED, OBJECTIVE_UNKNOWN};
use crate::event::Span;
use crate::kpi::Declarations;
use crate::objective::ObjectiveSpec;

pub(super) fn page(declarations: &Declarations, objectives: &[ObjectiveSpec]) -> String {
    let mut text = String::from("# Objectives\n\n");
    text.push_str(GENERATED);
    text.push_str(&format!(
        "A missed objective fires `{OBJECTIVE_MISSED}` with the labels `objective`, `kpi`, \
         `slice` and its fields, `window`, `owner` and `severity`. Several instances give one \
         alert: it fires if any ready one says `missed`, stays as it is while none is ready, and \
         ends when the ready ones say anything else. An objective whose slice values are all \
         named fires `{OBJECTIVE_UNKNOWN}` after 15 minutes without a verdict, unless the reason \
         is `outside_window`.\n",
    ));
    if objectives.is_empty() {
        text.push_str("\nNone is declared.\n");
    }
    for objective in objectives {
        text.push_str(&objective_text(declarations, objective));
    }
    text
}

fn objective_text(declarations: &Declarations, objective: &ObjectiveSpec) -> String {
    let kpi = &declarations.kpis[objective.kpi];
    let slice = &declarations.slices[objective.slice];
    let style = Style::of_kpi(declarations, kpi);
    let mut text = format!(
        "\n## `{}`\n\n{}\n\n- Aim: `{}` {} over {}, for {}\n- At risk: within {} of the target\n\
         - Owner: {}\n- Severity: {}\n",
        objective.id,
        words::sentence(&objective.help),
        kpi.id,
        words::target(objective.target, &style),
        slice.windows[objective.window],
        one_line(&words::declared_place(slice, objective)),
        Style::Percent.show(objective.margin),
        one_line(&objective.owner),
        objective.severity.name(),
    );
    if !objective.serves.is_empty() {
        text.push_str(&format!("- Serves: {}\n", one_line(&objective.serves)));
    }
    let minimum = objective.minimum_sample.or(kpi.sample.as_ref().map(|sample| sample.minimum));
    if let Some(minimum) = minimum {
        text.push_str(&format!("- Says nothing below a sample of {minimum}\n"));
    }
    text.push_str(&format!(
        "- Says nothing below a coverage of {}\n",
        Style::Percent.show(objective.minimum_coverage)
    ));
    let hold = match objective.hold {
        Span::ZERO => "at once".to_owned(),
        hold => format!("after {hold}"),
    };
    text.push_str(&format!(
        "- The alert fires {hold}, and outlives missed scrapes by {}\n",
        objective.keep_firing
    ));
    if let Some(runbook) = &objective.runbook {
        text.push_str(&format!("- Runbook: <{}>\n", one_line(runbook)));
    }
    text
}
