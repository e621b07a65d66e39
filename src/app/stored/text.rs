//! What a saved state says of itself, in words.

use std::fmt::Write;

use super::view::{CheckpointView, CountView, StateView, TopicView};

/// Everything, as a table for a terminal.
pub fn table(view: &StateView) -> String {
    let mut text = format!("Saved state in {}\n", view.directory);
    let used_by = match view.used_by {
        None => "nobody".to_owned(),
        Some(by) => by.pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}")),
    };
    line(&mut text, "used by", &used_by);
    let Some(of) = &view.checkpoint else {
        line(&mut text, "checkpoint", "none yet: this directory holds no saved state");
        return text;
    };
    line(&mut text, "version", &of.version.to_string());
    let made = format!("{}, made {} ({} ago)", of.sequence, of.saved_at, age(of.age_seconds));
    line(&mut text, "checkpoint", &made);
    line(&mut text, "on disk", &bytes(view.disk_bytes));
    line(&mut text, "cluster", of.cluster.as_deref().unwrap_or("not known yet"));
    line(&mut text, "figures as of", of.as_of.as_deref().unwrap_or("none yet"));
    let covered = of.covered_from.as_deref().unwrap_or("the beginning of all topics");
    line(&mut text, "covered from", covered);
    if let Some(from) = &of.start_from {
        line(&mut text, "begins at", &format!("{from}, for topics that were not read yet"));
    }
    let ids = of.ids.as_ref().map_or_else(
        || "none: copies are not told".to_owned(),
        |ids| {
            let looked_at =
                if ids.looked_at { "" } else { " (not looked at: --all reads them too)" };
            format!("{} remembered, for {}{looked_at}", grouped(ids.remembered), ids.horizon)
        },
    );
    line(&mut text, "ids", &ids);
    for held in &of.held {
        let held = format!("{} measures in slice {}", held.measures.len(), held.slice);
        line(&mut text, "held", &held);
    }
    if !of.filling.is_empty() {
        line(&mut text, "being filled", &of.filling.join(", "));
    }
    of.topics.iter().for_each(|of| topic(&mut text, of));
    text
}

/// What goes when a checkpoint is removed, as the middle of a sentence.
pub fn losses(of: &CheckpointView) -> String {
    if of.topics.is_empty() {
        return "a state in which nothing was counted yet".to_owned();
    }
    let names: Vec<&str> = of.topics.iter().map(|topic| topic.topic.as_str()).collect();
    let counted = of.counted();
    format!(
        "the figures from {} counted event{} of {} ({}){}, both ledgers, where each partition is \
         read to{}",
        grouped(counted),
        if counted == 1 { "" } else { "s" },
        if names.len() == 1 { "one topic".to_owned() } else { format!("{} topics", names.len()) },
        names.join(", "),
        of.as_of.as_ref().map_or_else(String::new, |as_of| format!(" up to {as_of}")),
        of.ids.as_ref().map_or_else(String::new, |ids| format!(
            ", and {} ids by which copies are told",
            grouped(ids.remembered)
        )),
    )
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing into a text cannot fail.
    let _ = writeln!(text, "  {name:<14} {value}");
}

fn topic(text: &mut String, of: &TopicView) {
    let balance = if of.balances { "both ledgers balance" } else { "ITS LEDGERS DO NOT BALANCE" };
    let _ = writeln!(text, "\nTopic {}: {balance}", of.topic);
    line(text, "records", &ledger(&of.records, "read"));
    line(text, "events", &ledger(&of.events, "decoded"));
    let mut rows = vec![
        ["partition", "next offset", "read up to", "covered from", "gaps", "lost records"]
            .map(str::to_owned),
    ];
    for of in &of.partitions {
        rows.push([
            of.partition.to_string(),
            of.next_offset.to_string(),
            of.frontier.clone().unwrap_or_else(|| "-".to_owned()),
            of.covered_from.clone().unwrap_or_else(|| "the beginning".to_owned()),
            of.gaps.to_string(),
            of.lost_records.to_string(),
        ]);
    }
    for of in &of.gone {
        let (gaps, lost) = (of.gaps.to_string(), of.lost_records.to_string());
        rows.push([of.partition.to_string(), "gone".into(), "-".into(), "-".into(), gaps, lost]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// `600 read: 598 decoded, 2 rejected (2 not_json)`; what stands beside the balance
/// comes last.
fn ledger(counts: &[CountView], whole: &str) -> String {
    let total: u64 = counts.iter().filter(|of| of.outcome == whole).map(|of| of.count).sum();
    let mut parts: Vec<(&str, u64, Vec<String>)> = Vec::new();
    for of in counts.iter().filter(|of| of.outcome != whole) {
        let at = match parts.iter().position(|(outcome, ..)| *outcome == of.outcome) {
            Some(at) => at,
            None => {
                parts.push((of.outcome, 0, Vec::new()));
                parts.len() - 1
            }
        };
        parts[at].1 += of.count;
        if !of.reason.is_empty() {
            parts[at].2.push(format!("{} {}", grouped(of.count), of.reason));
        }
    }
    parts.sort_by_key(|(outcome, ..)| *outcome == "unidentified");
    let parts = parts.iter().map(|(outcome, count, reasons)| {
        let reasons =
            if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        match *outcome {
            "unidentified" => format!("{} of those counted without an id", grouped(*count)),
            outcome => format!("{} {outcome}{reasons}", grouped(*count)),
        }
    });
    let parts = parts.collect::<Vec<_>>().join(", ");
    let colon = if parts.is_empty() { "" } else { ": " };
    format!("{} {whole}{colon}{parts}", grouped(total))
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

fn age(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    match seconds {
        _ if seconds < 120.0 => format!("{seconds:.0} s"),
        _ if seconds < 7_200.0 => format!("{:.0} minutes", seconds / 60.0),
        _ if seconds < 172_800.0 => format!("{:.1} hours", seconds / 3_600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(counts: &[(&'static str, &'static str, u64)], whole: &str, expected: &str) {
        let counts: Vec<CountView> = counts
            .iter()
            .map(|&(outcome, reason, count)| CountView { outcome, reason, count })
            .collect();
        assert_eq!(ledger(&counts, whole), expected);
    }

    #[test]
    fn a_ledger_reads_as_one_line() {
        check(&[], "read", "0 read");
        check(&[("read", "", 3), ("decoded", "", 3)], "read", "3 read: 3 decoded");
        check(
            &[
                ("decoded", "", 1_234_567),
                ("counted", "", 1_234_560),
                ("unidentified", "", 9),
                ("rejected", "bad_time", 5),
                ("rejected", "bad_text", 2),
            ],
            "decoded",
            "1,234,567 decoded: 1,234,560 counted, 7 rejected (5 bad_time, 2 bad_text), \
             9 of those counted without an id",
        );
    }

    #[test]
    fn sizes_and_ages_read_as_people_say_them() {
        assert_eq!(
            [0, 1_023, 1 << 20, 5 << 29].map(bytes),
            ["0 bytes", "1023 bytes", "1.0 MiB", "2.5 GiB"]
        );
        assert_eq!(
            [-3.0, 1.2, 600.0, 7_200.0, 864_000.0].map(age),
            ["0 s", "1 s", "10 minutes", "2.0 hours", "10.0 days"]
        );
        assert_eq!([0, 999, 1_000, 1_000_000].map(grouped), ["0", "999", "1,000", "1,000,000"]);
    }
}
