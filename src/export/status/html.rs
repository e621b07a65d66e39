//! The status page as HTML.
//!
//! The whole page and the part of it that its script replaces are written by the
//! same functions, so that it looks the same without a script. Every text that
//! comes from outside goes through [`text::escape`].

use super::data::{Figures, Moment, ObjectiveStatus, Row, Status, Values};
use super::pipeline_html::pipeline;
use super::{spark, text};
use crate::event::Span;
use crate::kpi::Unit;
use crate::objective::State;

const STYLE: &str = include_str!("../page/status.css");
const SCRIPT: &str = include_str!("../page/status.js");
const FRAME: &str = include_str!("../page/frame.html");

/// What stands where there is no figure.
const NO_DATA: &str = "<span class=\"none\">\u{2013} no data</span>";

/// The page as one document; `nonce` is what its policy admits style and script by.
pub(in crate::export) fn page(status: &Status<'_>, nonce: &str) -> String {
    FRAME
        .replace("{nonce}", nonce)
        .replace("{title}", &title(status))
        .replace("{style}", STYLE)
        .replace("{script}", SCRIPT)
        // Last, so that nothing in a name is taken for a place to fill.
        .replacen("{main}", &fragment(status), 1)
}

/// What the page's script replaces: sections with ids.
pub(in crate::export) fn fragment(status: &Status<'_>) -> String {
    [
        head(status),
        banner(status),
        tally(status),
        objectives(status),
        figures(status),
        pipeline(status),
    ]
    .concat()
}

fn title(status: &Status<'_>) -> String {
    let missed = status.counts[State::Missed.name()];
    let instance = text::escape(status.instance);
    match missed {
        _ if !status.ready => format!("not ready \u{b7} {instance}"),
        0 => format!("Tidegauge \u{b7} {instance}"),
        _ => format!("{missed} missed \u{b7} {instance}"),
    }
}

pub(super) fn words(id: &str) -> String {
    text::escape(&id.replace('_', " "))
}

fn head(status: &Status<'_>) -> String {
    let since = match (status.started_at, status.made_at) {
        (Some(Moment(from)), Some(Moment(to))) => {
            format!(" \u{b7} up {}", text::duration(to - from))
        }
        _ => String::new(),
    };
    let now = status.made_at.map_or_else(String::new, |Moment(at)| {
        format!("<p class=\"clock\">{}<small> UTC</small></p>", text::clock(at))
    });
    format!(
        "<header id=\"head\" data-title=\"{}\"><div><h1>Tidegauge</h1><p class=\"soft\"><bdi>{}</bdi> \u{b7} {}{since}</p></div>{now}</header>",
        title(status),
        text::escape(status.instance),
        text::escape(status.version),
    )
}

fn banner(status: &Status<'_>) -> String {
    let as_of = match (status.as_of, status.made_at) {
        (Some(Moment(as_of)), Some(Moment(now))) => format!(
            "Every figure holds for <b>{} UTC</b>, {} ago.",
            text::clock(as_of),
            text::duration(now - as_of)
        ),
        _ => "There are no figures yet.".to_owned(),
    };
    if status.ready {
        return format!(
            "<section id=\"banner\" class=\"banner ready\" role=\"status\">{}<p><b>Ready.</b> {as_of}</p></section>",
            shape(State::Met)
        );
    }
    let reasons: String = status
        .reasons
        .iter()
        .map(|reason| {
            let detail = reason.detail.as_deref().map_or(String::new(), |detail| {
                format!(": <bdi>{}</bdi>.", text::escape(&text::cut(detail)))
            });
            format!(
                "<li><b>{}:</b> {}{detail}</li>",
                words(reason.reason),
                text::escape(&reason.says)
            )
        })
        .collect();
    format!(
        "<section id=\"banner\" class=\"banner waiting\" role=\"status\">{}<div><p><b>Not ready: verdicts of this instance do not count now.</b> {as_of}</p><ul>{reasons}</ul></div></section>",
        shape(State::Missed)
    )
}

const fn state_words(state: State) -> &'static str {
    match state {
        State::Met => "met",
        State::AtRisk => "at risk",
        State::Missed => "missed",
        State::Unknown => "unknown",
    }
}

/// A shape for each state, so that colour is never the only sign of it.
pub(super) fn shape(state: State) -> String {
    let drawing = match state {
        State::Met => {
            "<circle cx=\"12\" cy=\"12\" r=\"10\"/><path class=\"ink\" d=\"M7 12.5l3.4 3.5L17 8.8\"/>"
        }
        State::AtRisk => {
            "<path d=\"M12 1.2L22.8 12 12 22.8 1.2 12z\"/><path class=\"ink\" d=\"M12 7v6M12 16.4v.6\"/>"
        }
        State::Missed => {
            "<path d=\"M7.5 1.5h9l6 6v9l-6 6h-9l-6-6v-9z\"/><path class=\"ink\" d=\"M8 8l8 8M16 8l-8 8\"/>"
        }
        State::Unknown => {
            "<circle class=\"open\" cx=\"12\" cy=\"12\" r=\"9.5\"/><path class=\"line\" d=\"M7.5 12h9\"/>"
        }
    };
    format!(
        "<svg class=\"shape {}\" viewBox=\"0 0 24 24\" aria-hidden=\"true\" focusable=\"false\">{drawing}</svg>",
        state.name()
    )
}

const SHOWN_ORDER: [State; 4] = [State::Missed, State::AtRisk, State::Met, State::Unknown];

fn tally(status: &Status<'_>) -> String {
    let tiles: String = SHOWN_ORDER
        .iter()
        .map(|&state| {
            let count = status.counts[state.name()];
            let none = if count == 0 { " zero" } else { "" };
            format!(
                "<li class=\"tile {}{none}\">{}<b>{}</b> <span>{}</span></li>",
                state.name(),
                shape(state),
                text::number(count as f64),
                state_words(state)
            )
        })
        .collect();
    format!(
        "<section id=\"tally\" aria-label=\"Objectives by state\"><ul class=\"tiles\">{tiles}</ul></section>"
    )
}

fn objectives(status: &Status<'_>) -> String {
    let mut html = String::from("<section id=\"objectives\"><h2>Objectives</h2>");
    if status.objectives.is_empty() {
        html.push_str("<p class=\"soft\">There are no verdicts yet.</p>");
    }
    let cards: String = status.objectives.iter().map(|it| card(status, it)).collect();
    if !cards.is_empty() {
        html.push_str(&format!("<ul class=\"cards\">{cards}</ul>"));
    }
    let more: Vec<String> = SHOWN_ORDER
        .iter()
        .filter_map(|&state| {
            let listed = status.objectives.iter().filter(|it| it.state == state).count();
            let more = status.counts[state.name()].saturating_sub(listed);
            let count = text::number(more as f64);
            (more > 0).then(|| format!("{count} more {}", state_words(state)))
        })
        .collect();
    if !more.is_empty() {
        let more = more.join(", ");
        html.push_str(&format!("<p class=\"soft\">And {more}: /metrics has them all.</p>"));
    }
    html.push_str("</section>");
    html
}

/// The values of a slice as people say them: `Spring sale`, or `Everything`.
fn place(values: &Values<'_>) -> String {
    if values.0.is_empty() {
        return "Everything".to_owned();
    }
    let names = values.0.iter().map(|(field, value)| {
        format!("<bdi>{}</bdi>", text::escape(&text::value_name(field, value)))
    });
    names.collect::<Vec<_>>().join(" \u{b7} ")
}

fn target(objective: &ObjectiveStatus<'_>) -> String {
    let figure = |value| text::figure(value, objective.unit);
    match (objective.at_least, objective.at_most) {
        (Some(least), Some(most)) => format!("from {} to {}", figure(least), figure(most)),
        (Some(least), None) => format!("at least {}", figure(least)),
        (None, Some(most)) => format!("at most {}", figure(most)),
        (None, None) => String::new(),
    }
}

fn card(status: &Status<'_>, objective: &ObjectiveStatus<'_>) -> String {
    let state = objective.state;
    let figure = objective.value.map_or(NO_DATA.to_owned(), |value| {
        format!("<b>{}</b>{}", text::figure(value, objective.unit), unit_words(objective.unit))
    });
    let bounds: Vec<f64> = objective.at_least.into_iter().chain(objective.at_most).collect();
    let runbook = objective.runbook.filter(|url| is_web(url)).map_or(String::new(), |url| {
        format!("<a href=\"{}\" rel=\"noreferrer\">runbook</a>", text::escape(url))
    });
    let troubled = matches!(state, State::Missed | State::AtRisk);
    let help = match objective.help {
        help if help.is_empty() || !troubled => String::new(),
        help => format!("<p class=\"help\">{}</p>", text::escape(help)),
    };
    format!(
        "<li class=\"card {name}\"><p class=\"state\">{shape}{words}<span class=\"severity\">{severity}</span></p>\
         <h3>{id}</h3><p class=\"what\">{place} \u{b7} {kpi}, {window}</p>\
         <div class=\"reading\"><p class=\"figure\">{figure}</p>{spark}</div>\
         <p class=\"target\">target {target}</p>{help}<dl>{details}</dl>\
         <p class=\"owner\"><span>{owner}</span>{runbook}</p></li>",
        name = state.name(),
        shape = shape(state),
        words = state_words(state),
        severity = objective.severity,
        place = place(&objective.values),
        id = words(objective.objective),
        kpi = words(objective.kpi),
        window = text::escape(objective.window),
        spark = spark::line(&objective.trend, &bounds),
        target = target(objective),
        details = details(status, objective),
        owner = owner(objective),
    )
}

fn owner(objective: &ObjectiveStatus<'_>) -> String {
    let named = |label: &str, name: &str| match name {
        "" => String::new(),
        name => format!("{label} <bdi>{}</bdi>", text::escape(&text::cut(name))),
    };
    let parts = [named("owner", objective.owner), named("serves", objective.serves)];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" \u{b7} ")
}

/// A link of any other scheme could run as a script.
fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

fn unit_words(unit: &Unit) -> String {
    match unit {
        Unit::Of(name) => format!(" <small>{}</small>", words(name)),
        Unit::Ratio | Unit::Money(_) => String::new(),
    }
}

fn details(status: &Status<'_>, objective: &ObjectiveStatus<'_>) -> String {
    let mut html = String::new();
    let mut add = |name: &str, value: String| {
        html.push_str(&format!("<div><dt>{name}</dt><dd>{value}</dd></div>"));
    };
    if let Some(reason) = objective.unknown {
        add("because", unknown_words(reason).to_owned());
    }
    match (objective.sample, objective.minimum_sample) {
        (Some(sample), Some(minimum)) if sample < minimum => {
            add("sample", format!("{} of {}", text::number(sample), text::number(minimum)));
        }
        (Some(sample), _) => add("sample", text::number(sample)),
        (None, Some(_)) => add("sample", "\u{2013} none".to_owned()),
        (None, None) => {}
    }
    if let Some(attainment) = objective.attainment {
        add("attained", format!("{}\u{202f}%", text::number(attainment * 100.0)));
    }
    if let (Some(Moment(since)), Some(Moment(now))) = (objective.since, status.made_at) {
        let length = text::duration(now - since);
        add(
            if objective.since_seen { "since" } else { "at least" },
            if objective.since_seen {
                format!("{}\u{202f}UTC, {length}", text::clock(since))
            } else {
                length
            },
        );
    }
    html
}

fn unknown_words(reason: &str) -> &'static str {
    match reason {
        "stale" => "the figures are old",
        "incomplete" => "a partition cannot be read",
        "warming_up" => "its window is not read whole",
        "no_data" => "there is no data",
        "inconsistent" => "it cannot be the share that it is declared to be",
        "outside_window" => "its window holds answers to what came before",
        "small_sample" => "the sample is too small",
        _ => "of another reason",
    }
}

fn figures(status: &Status<'_>) -> String {
    let Some(figures) = &status.figures else {
        return "<section id=\"figures\"><h2>Figures</h2><p class=\"soft\">There are no figures yet.</p></section>".to_owned();
    };
    let columns: String = figures
        .kpis
        .iter()
        .map(|kpi| {
            format!(
                "<th scope=\"col\" title=\"{}\">{}</th>",
                text::escape(kpi.help),
                words(kpi.kpi)
            )
        })
        .collect();
    let rows: String = figures.rows.iter().map(|it| row(figures, it)).collect();
    let more = match (figures.more_rows, figures.more_kpis) {
        (0, 0) => String::new(),
        (rows, 0) => format!(" {rows} more rows are in /metrics."),
        (0, kpis) => format!(" {kpis} more KPIs are in /metrics."),
        (rows, kpis) => format!(" {rows} more rows and {kpis} more KPIs are in /metrics."),
    };
    let reach = text::duration(Span::from_micros((status.trend_seconds * 1e6) as i64));
    format!(
        "<section id=\"figures\"><h2>KPIs by {slice}, {window}</h2>\
         <div class=\"scroll\" id=\"figures-table\" tabindex=\"0\" role=\"region\" aria-label=\"KPIs by {slice}\">\
         <table><thead><tr><th scope=\"col\">{slice}</th>{columns}</tr></thead><tbody>{rows}</tbody></table></div>\
         <p class=\"soft\">Rolling windows of {window}; the lines show the last {reach}.{more}</p></section>",
        slice = words(figures.slice),
        window = text::escape(figures.window),
    )
}

fn row(figures: &Figures<'_>, row: &Row<'_>) -> String {
    let cells: String = row
        .cells
        .iter()
        .zip(&figures.kpis)
        .map(|(cell, kpi)| {
            let mark = match cell.state {
                Some(state @ (State::Missed | State::AtRisk)) => {
                    format!("{}<span class=\"said\">{}: </span>", shape(state), state_words(state))
                }
                _ => String::new(),
            };
            let figure =
                cell.value.map_or(NO_DATA.to_owned(), |value| text::figure(value, kpi.unit));
            let state = cell.state.map_or("", State::name);
            format!("<td class=\"{state}\">{mark}{figure}{}</td>", spark::line(&cell.trend, &[]))
        })
        .collect();
    let whole = if row.values.0.is_empty() { " class=\"whole\"" } else { "" };
    format!("<tr{whole}><th scope=\"row\">{}</th>{cells}</tr>", place(&row.values))
}

#[cfg(test)]
mod tests {
    use super::is_web;

    #[test]
    fn a_link_leads_to_the_web_or_is_none() {
        assert!(is_web("https://runbooks.example.com/x"));
        assert!(!is_web("javascript:alert(1)"));
        assert!(!is_web(" https://x"));
        assert!(!is_web("data:text/html,x"));
    }
}
