//! The pipeline: readiness, freshness, ledgers, lag, and this process.

use super::{Samples, Source};
use crate::admit::{CountName, Ledger};
use crate::catalog::{self, Family};
use crate::event::IgnoreReason;
use crate::export::{NotReady, Report, TopicReport};

pub(super) fn visit(source: Source<'_>, sink: &mut dyn FnMut(Samples)) {
    readiness(source, sink);
    process(source, sink);
    if let Some(report) = source.report {
        freshness(report, sink);
        left_out(source, report, sink);
        let live = report.topics.iter().map(|topic| (topic.topic.as_str(), &topic.ledger));
        ledgers(live, &LIVE, sink);
        if let Some(state) = &report.state {
            let durable = state.durable.iter().map(|(topic, ledger)| (topic.as_str(), ledger));
            ledgers(durable, &DURABLE, sink);
        }
        recent(report, sink);
        topics(report, sink);
        partitions(&report.topics, sink);
        brokers(report, sink);
    }
}

/// One sample without labels.
pub(super) fn single(family: &Family, value: Option<f64>) -> Samples {
    let mut samples = Samples::of(family);
    samples.add_some([], value);
    samples
}

pub(super) fn flag(family: &Family, flag: bool) -> Samples {
    single(family, Some(f64::from(u8::from(flag))))
}

fn readiness(source: Source<'_>, sink: &mut dyn FnMut(Samples)) {
    sink(flag(&catalog::READY, source.not_ready.is_empty()));
    let mut reasons = Samples::of(&catalog::NOT_READY);
    for reason in NotReady::ALL {
        reasons.add_flag([("reason", reason.name())], source.not_ready.contains(&reason));
    }
    sink(reasons);
}

fn process(source: Source<'_>, sink: &mut dyn FnMut(Samples)) {
    let mut build = Samples::of(&catalog::BUILD_INFO);
    let site = source.site;
    build.add([("version", site.version.as_str()), ("commit", site.commit.as_str())], 1.0);
    sink(build);
    let mut config = Samples::of(&catalog::CONFIG_INFO);
    config.add([("fingerprint", source.site.fingerprint.as_str())], 1.0);
    sink(config);
    let memory = source.process.resident_bytes.map(|bytes| bytes as f64);
    sink(single(&catalog::MEMORY, memory));
    sink(single(&catalog::CPU, source.process.cpu_seconds));
}

fn freshness(report: &Report, sink: &mut dyn FnMut(Samples)) {
    let as_of = report.snapshot.as_ref().map(|snapshot| snapshot.as_of.as_secs_f64());
    sink(single(&catalog::AS_OF, as_of));
    sink(flag(&catalog::COMPLETE, report.complete));
    sink(single(&catalog::COVERED_FROM, report.covered_from.map(|time| time.as_secs_f64())));
    sink(single(&catalog::SNAPSHOT_SECONDS, Some(report.snapshot_took.as_secs_f64())));
    sink(single(&catalog::START_TIME, Some(report.started_at.as_secs_f64())));
}

fn left_out(source: Source<'_>, report: &Report, sink: &mut dyn FnMut(Samples)) {
    let declarations = &source.site.declarations;
    let measure = |index: usize| declarations.measures[index].id.as_str();
    let mut currency = Samples::of(&catalog::OTHER_CURRENCY);
    for &(index, events) in &report.other_currency {
        currency.add([("measure", measure(index))], events as f64);
    }
    sink(currency);
    let mut overfull = Samples::of(&catalog::OVERFULL_LEVEL);
    for &(slice, index) in &report.overfull_levels {
        let slice = declarations.slices[slice].name.as_str();
        overfull.add([("slice", slice), ("measure", measure(index))], 1.0);
    }
    sink(overfull);
}

/// The counts of one of a topic's ledgers, the whole first; without `unidentified`,
/// which stands beside the balance.
fn outcomes(ledger: &Ledger, of: &str) -> Vec<(CountName, u64)> {
    let mut counts = ledger.counts();
    counts.retain(|(name, _)| name.ledger == of && name.outcome != "unidentified");
    counts
}

/// The families that tell one kind of ledgers.
struct LedgerFamilies {
    records: Family,
    events: Family,
    unidentified: Family,
    /// Whether the whole is an outcome beside its parts.
    whole: bool,
}

const LIVE: LedgerFamilies = LedgerFamilies {
    records: catalog::LEDGER_RECORDS,
    events: catalog::LEDGER_EVENTS,
    unidentified: catalog::LEDGER_UNIDENTIFIED,
    whole: true,
};

/// Counters are added up by whoever asks them, so that the whole would count twice.
const DURABLE: LedgerFamilies = LedgerFamilies {
    records: catalog::RECORDS,
    events: catalog::EVENTS,
    unidentified: catalog::UNIDENTIFIED,
    whole: false,
};

fn ledgers<'a>(
    topics: impl Iterator<Item = (&'a str, &'a Ledger)>,
    families: &LedgerFamilies,
    sink: &mut dyn FnMut(Samples),
) {
    let mut records = Samples::of(&families.records);
    let mut events = Samples::of(&families.events);
    let mut unidentified = Samples::of(&families.unidentified);
    // The whole comes first.
    let skipped = usize::from(!families.whole);
    for (topic, ledger) in topics {
        for (of, samples) in [("records", &mut records), ("events", &mut events)] {
            for (name, count) in outcomes(ledger, of).into_iter().skip(skipped) {
                let labels = [("topic", topic), ("outcome", name.outcome), ("reason", name.reason)];
                samples.add(labels, count as f64);
            }
        }
        unidentified.add([("topic", topic)], ledger.events.unidentified as f64);
    }
    for samples in [records, events, unidentified] {
        sink(samples);
    }
}

/// The counts of `outcomes` with the reasons of one outcome added up.
fn without_reasons(outcomes: Vec<(CountName, u64)>) -> Vec<(&'static str, u64)> {
    let mut sums: Vec<(&'static str, u64)> = Vec::new();
    for (name, count) in outcomes {
        match sums.last_mut() {
            Some((last, sum)) if *last == name.outcome => *sum += count,
            _ => sums.push((name.outcome, count)),
        }
    }
    sums
}

fn recent(report: &Report, sink: &mut dyn FnMut(Samples)) {
    let mut records = Samples::of(&catalog::RECENT_RECORDS);
    let mut events = Samples::of(&catalog::RECENT_EVENTS);
    for topic in &report.topics {
        let name = topic.topic.as_str();
        let ledger = topic.recent.at(report.made_at);
        for (outcome, count) in without_reasons(outcomes(&ledger, "records")) {
            records.add([("topic", name), ("outcome", outcome)], count as f64);
        }
        let unknown_type = ledger.events.ignored[IgnoreReason::UnknownType as usize];
        let mut of_events = without_reasons(outcomes(&ledger, "events"));
        of_events.push((IgnoreReason::UnknownType.name(), unknown_type));
        for (outcome, count) in of_events {
            events.add([("topic", name), ("outcome", outcome)], count as f64);
        }
    }
    sink(records);
    sink(events);
}

fn topics(report: &Report, sink: &mut dyn FnMut(Samples)) {
    sink(single(&catalog::STALE_AFTER, Some(report.stale_after.as_secs_f64())));
    let mut behind = Samples::of(&catalog::TOPIC_BEHIND);
    let mut stale_after = Samples::of(&catalog::TOPIC_STALE_AFTER);
    let mut compacted = Samples::of(&catalog::TOPIC_COMPACTED);
    for topic in &report.topics {
        let labels = [("topic", topic.topic.as_str())];
        behind.add_some(labels, topic.behind.map(|behind| behind.as_secs_f64()));
        stale_after.add(labels, topic.stale_after.as_secs_f64());
        compacted.add_flag(labels, topic.compacted);
    }
    for samples in [behind, stale_after, compacted] {
        sink(samples);
    }
}

fn partitions(topics: &[TopicReport], sink: &mut dyn FnMut(Samples)) {
    let mut lag = Samples::of(&catalog::LAG_RECORDS);
    let mut frontier = Samples::of(&catalog::FRONTIER);
    let mut open = Samples::of(&catalog::OPEN_TRANSACTION);
    let mut passed_over = Samples::of(&catalog::PASSED_OVER);
    let mut gaps = Samples::of(&catalog::PARTITION_GAPS);
    let mut lost = Samples::of(&catalog::PARTITION_LOST);
    for topic in topics {
        for partition in &topic.partitions {
            let number = partition.partition.to_string();
            let labels = [("topic", topic.topic.as_str()), ("partition", number.as_str())];
            lag.add_some(labels, partition.lag.map(|records| records as f64));
            frontier.add_some(labels, partition.frontier.map(|time| time.as_secs_f64()));
            open.add_some(labels, partition.held_for.map(|held_for| held_for.as_secs_f64()));
            passed_over.add(labels, partition.passed_over as f64);
            gaps.add(labels, partition.gaps as f64);
            lost.add(labels, partition.lost_records as f64);
        }
    }
    for samples in [lag, frontier, open, passed_over, gaps, lost] {
        sink(samples);
    }
}

fn brokers(report: &Report, sink: &mut dyn FnMut(Samples)) {
    let mut missing = Samples::of(&catalog::TOPIC_MISSING);
    let existing = report.topics.iter().map(|topic| &topic.topic);
    for topic in existing.filter(|topic| !report.missing_topics.contains(topic)) {
        missing.add_flag([("topic", topic.as_str())], false);
    }
    for topic in &report.missing_topics {
        missing.add_flag([("topic", topic.as_str())], true);
    }
    sink(missing);
    sink(flag(&catalog::BROKERS_UP, report.brokers_up));
    let mut letters = Samples::of(&catalog::DEAD_LETTERS);
    letters.add([("state", "written")], report.dead_letters.written as f64);
    letters.add([("state", "pending")], report.dead_letters.pending as f64);
    sink(letters);
    sink(flag(&catalog::DEAD_LETTERS_BLOCKED, report.dead_letters.blocked));
}
