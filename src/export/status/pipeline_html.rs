//! The page's section on the pipeline as HTML: topics, coverage, and facts.

use super::data::{Moment, Status};
use super::html::{shape, words};
use super::pipeline::{Counts, GapStatus, SliceStatus, StateStatus, TopicStatus};
use super::text;
use crate::event::Span;
use crate::objective::State;

/// The whole section.
pub(super) fn pipeline(status: &Status<'_>) -> String {
    let rows: String = status.topics.iter().map(|it| topic(status, it)).collect();
    let missing: String = status
        .missing_topics
        .iter()
        .map(|topic| {
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"wide\" colspan=\"6\">{}does not exist; it is being looked for</td></tr>",
                text::escape(topic),
                shape(State::AtRisk)
            )
        })
        .collect();
    let topics = if rows.is_empty() && missing.is_empty() {
        "<p class=\"soft\">No topic has been looked at yet.</p>".to_owned()
    } else {
        format!(
            "<div class=\"scroll\" id=\"topics-table\" tabindex=\"0\" role=\"region\" aria-label=\"Topics\"><table class=\"plain\"><thead><tr>\
             <th scope=\"col\">topic</th><th scope=\"col\">behind</th><th scope=\"col\">read up to</th>\
             <th scope=\"col\">records</th><th scope=\"col\">events</th>\
             <th scope=\"col\">passed over</th><th scope=\"col\">rejected, last 5m</th>\
             </tr></thead><tbody>{rows}{missing}</tbody></table></div>"
        )
    };
    format!(
        "<section id=\"pipeline\"><h2>Pipeline</h2>{topics}<div class=\"facts\">{}{}</div></section>",
        slices(status),
        facts(status),
    )
}

fn topic(status: &Status<'_>, topic: &TopicStatus<'_>) -> String {
    let lag = match (topic.lag_records, topic.partitions_without_lag) {
        (Some(0), 0) => "caught up".to_owned(),
        (Some(lag), 0) => format!("{} records", text::number(lag as f64)),
        (Some(lag), unknown) => {
            format!(
                "{} records, {unknown} of {} unknown",
                text::number(lag as f64),
                topic.partitions
            )
        }
        (None, _) => "\u{2013} unknown".to_owned(),
    };
    let frontier = match (topic.frontier, status.made_at) {
        (Some(Moment(at)), Some(Moment(now))) => {
            format!("{} UTC, {} ago", text::clock(at), text::duration(now - at))
        }
        _ => "\u{2013} unknown".to_owned(),
    };
    let (records, events) = (&topic.records, &topic.events);
    let refused = topic.recent_records.rejected + topic.recent_events.rejected;
    let (class, mark) =
        if refused > 0 { ("at_risk", shape(State::AtRisk)) } else { ("", String::new()) };
    format!(
        "<tr><th scope=\"row\">{}</th><td>{lag}</td><td>{frontier}</td><td>{}</td><td>{}</td><td class=\"wrap\">{}</td><td class=\"{class}\">{mark}{}</td></tr>",
        text::escape(topic.topic),
        text::number(records.all as f64),
        text::number(events.all as f64),
        passed_over(records, events),
        text::number(refused as f64),
    ) + &lost(&topic.gaps)
        + &special(topic)
}

/// The rows below a topic that say what is out of the ordinary about it.
fn special(topic: &TopicStatus<'_>) -> String {
    let row = |mark: String, says: String| {
        format!("<tr class=\"special\"><td colspan=\"7\"><p>{mark}{says}</p></td></tr>")
    };
    let mut rows = String::new();
    if let Some(held) = &topic.held {
        let mark = if topic.stale { State::Missed } else { State::AtRisk };
        rows += &row(shape(mark), text::escape(held));
    }
    if topic.compacted {
        let says = "its log is compacted: what adds up over it begins when it was first read";
        rows += &row(String::new(), says.to_owned());
    }
    if topic.passed_over > 0 {
        let offsets = text::number(topic.passed_over as f64);
        let says = "records at most lie before every window and were passed over at the start";
        rows += &row(String::new(), format!("{offsets} {says}"));
    }
    rows
}

/// Partitions with losses that are named one by one.
const NAMED_GAPS: usize = 6;

/// The row below a topic that says what is missing from it; empty where nothing is.
fn lost(gaps: &[GapStatus]) -> String {
    if gaps.is_empty() {
        return String::new();
    }
    let mut parts: Vec<String> = gaps
        .iter()
        .take(NAMED_GAPS)
        .map(|gap| {
            let records = match gap.lost_records {
                0 => "an unknown number".to_owned(),
                lost => text::number(lost as f64),
            };
            let times = match gap.gaps {
                1 => "once".to_owned(),
                gaps => format!("{} times", text::number(gaps as f64)),
            };
            format!("partition {}: {records}, {times}", gap.partition)
        })
        .collect();
    if gaps.len() > NAMED_GAPS {
        parts.push(format!("{} more partitions", gaps.len() - NAMED_GAPS));
    }
    format!(
        "<tr class=\"lost\"><td colspan=\"7\"><p>{}records gone before they were read \u{b7} {}</p></td></tr>",
        shape(State::Missed),
        parts.join(" \u{b7} ")
    )
}

/// What was read but not counted, by outcome, where there was any.
fn passed_over(records: &Counts, events: &Counts) -> String {
    let parts = [
        ("empty", records.empty),
        ("ignored", records.ignored + events.ignored),
        ("late", events.late),
        ("future", events.future),
        ("duplicate", events.duplicate),
        ("rejected", records.rejected + events.rejected),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{}\u{a0}{name}", text::number(count as f64)))
        .collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn slices(status: &Status<'_>) -> String {
    let slices: String = status
        .slices
        .iter()
        .map(|slice| {
            let windows: Vec<_> =
                slice.coverage.iter().map(|(window, share)| window_share(window, *share)).collect();
            let folded = match slice.folded_events {
                0 => String::new(),
                events => format!(
                    "; {} more values folded ({} events)",
                    text::number(slice.folded_values as f64),
                    text::number(events as f64)
                ),
            };
            format!(
                "<div><dt>{}</dt><dd>read: {}{}<br>{} of {} series{folded}</dd></div>",
                words(slice.slice),
                windows.join(", "),
                less_covered(slice),
                text::number(slice.series as f64),
                text::number(slice.series_limit as f64),
            )
        })
        .collect();
    format!("<dl aria-label=\"Coverage\">{slices}</dl>")
}

fn window_share(window: &str, share: f64) -> String {
    // Never rounded up to whole: what is missing has to be seen.
    let share = (share * 1_000.0).floor() / 10.0;
    format!("{}\u{a0}{}\u{202f}%", text::escape(window), text::number(share))
}

/// KPIs of a slice that are named as less covered.
const NAMED_KPIS: usize = 5;

/// The line that says which KPIs know less than their slice.
fn less_covered(slice: &SliceStatus<'_>) -> String {
    let kpis: Vec<_> = slice.less_covered_kpis.chunk_by(|one, other| one.0 == other.0).collect();
    let mut parts: Vec<String> = kpis
        .iter()
        .take(NAMED_KPIS)
        .map(|of_kpi| {
            let shares: Vec<_> =
                of_kpi.iter().map(|(_, window, share)| window_share(window, *share)).collect();
            format!("{} {}", words(of_kpi[0].0), shares.join(", "))
        })
        .collect();
    if kpis.len() > NAMED_KPIS {
        parts.push(format!("{} more KPIs", kpis.len() - NAMED_KPIS));
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!(
            "<br><span class=\"partly\">{}only in part: {}</span>",
            shape(State::AtRisk),
            parts.join("; ")
        ),
    }
}

fn facts(status: &Status<'_>) -> String {
    let mut html = String::new();
    let mut add = |name: &str, value: String| {
        html.push_str(&format!("<div><dt>{name}</dt><dd>{value}</dd></div>"));
    };
    if let Some(up) = status.brokers_up {
        add(
            "brokers",
            if up { "answer".to_owned() } else { format!("{}none answers", shape(State::Missed)) },
        );
    }
    if let Some(letters) = &status.dead_letters {
        let blocked = if letters.blocked {
            format!("{}refused, consumption is paused; ", shape(State::Missed))
        } else {
            String::new()
        };
        let pending = match letters.pending {
            0 => String::new(),
            pending => format!(", {} pending", text::number(pending as f64)),
        };
        add(
            "dead letters",
            format!("{blocked}{} written{pending}", text::number(letters.written as f64)),
        );
    }
    if status.made_at.is_some() {
        add("state", state(status));
        add("copies", copies(status));
    }
    if let Some(filling) = filling(status) {
        add("filling", filling);
    }
    match status.covered_from {
        Some(Moment(from)) => add("read from", text::escape(&from.to_string())),
        None if status.made_at.is_some() => add("read from", "the beginning".to_owned()),
        None => {}
    }
    if let Some(seconds) = status.snapshot_seconds {
        add("snapshot", format!("{} ms", text::number(seconds * 1e3)));
    }
    add("configuration", format!("<code>{}</code>", text::escape(status.fingerprint)));
    format!("<dl aria-label=\"Facts\">{html}</dl>")
}

fn state(status: &Status<'_>) -> String {
    let Some(state) = &status.state else {
        return "not saved: a restart reads the topics again".to_owned();
    };
    let age = match (state.saved_at, status.made_at) {
        (Some(Moment(saved)), Some(Moment(now))) => Some(now - saved),
        _ => None,
    };
    let saved = age.map_or("not saved yet".to_owned(), |age| {
        format!("saved {} ago, {} on the disk", text::duration(age), text::bytes(state.disk_bytes))
    });
    match state.blocked {
        Some(reason) => format!(
            "<span class=\"alarm\">{}cannot be written: {}.</span> Consumption is paused until it can; {saved}",
            shape(State::Missed),
            text::escape(&text::cut(reason)),
        ),
        None if age.is_some_and(|age| overdue(age, state)) => {
            format!("{}{saved}", shape(State::AtRisk))
        }
        None => saved,
    }
}

/// Whether a checkpoint is so late that an alert is on its way.
fn overdue(age: Span, state: &StateStatus<'_>) -> bool {
    age.as_secs_f64() > 60.0 + 2.0 * state.every_seconds
}

fn copies(status: &Status<'_>) -> String {
    match &status.duplicates {
        Some(ids) => format!(
            "told by {} ids, remembered for {}, {} of memory",
            text::number(ids.ids as f64),
            text::duration(Span::from_secs(ids.horizon_seconds as i64)),
            text::bytes(ids.bytes)
        ),
        None => "not looked for".to_owned(),
    }
}

fn filling(status: &Status<'_>) -> Option<String> {
    let backfill = status.backfill.as_ref()?;
    let done = text::number(backfill.done_records as f64);
    let new = match backfill.columns {
        1 => "1 new measure".to_owned(),
        columns => format!("{} new measures", text::number(columns as f64)),
    };
    if !backfill.running {
        return Some(format!("{new} filled from {done} records"));
    }
    let total = backfill.total_records;
    let share = backfill.done_records as f64 / total.max(1) as f64;
    Some(format!(
        "<progress max=\"{total}\" value=\"{value}\" aria-label=\"Filling\"></progress> {percent}\u{202f}%<br>{new}, {done} of {all} records read; all else is complete",
        value = backfill.done_records,
        // Never rounded up to whole.
        percent = (share * 100.0).floor(),
        all = text::number(total as f64),
    ))
}
