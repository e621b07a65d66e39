//! The source on a real Apache Kafka, going on where an earlier run stood: nothing lost,
//! nothing twice, and nothing missing in silence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidegauge::event::EventTime;
use tidegauge::kafka::{Gap, GapReason, Resume, SourceSettings, StartAt};

use crate::support::kafka::Kafka;
use crate::support::reading::{Reading, Seen, assert_filled, now, settings};

/// A past hour, in whole seconds.
fn past() -> EventTime {
    EventTime::from_secs(now().millis() / 1_000 - 3_600)
}

fn after(from: EventTime, records: i64) -> EventTime {
    EventTime::from_millis(from.millis() + 1_000 * records)
}

/// Where a run stood, to begin the next one there.
fn stood(seen: &Seen) -> BTreeMap<(Arc<str>, i32), Resume> {
    let resume = |(key, start): (&(String, i32), &tidegauge::kafka::PartitionStart)| {
        let read = seen.records.get(key).and_then(|records| records.last());
        let stood = Resume {
            next_offset: read.map_or(start.start_offset, |(offset, _)| offset + 1),
            covered_from: start.covered_from,
            topic_id: start.topic_id.clone(),
        };
        ((Arc::from(key.0.as_str()), key.1), stood)
    };
    seen.starts.iter().map(resume).collect()
}

fn fast(kafka: &Kafka, topics: &[&str], start: StartAt) -> SourceSettings {
    settings(&kafka.bootstrap(), topics, start)
}

/// Reads all there is and says where that ended.
fn first_run(kafka: &Kafka, topic: &str) -> BTreeMap<(Arc<str>, i32), Resume> {
    let mut reading = Reading::of(fast(kafka, &[topic], StartAt::Beginning));
    reading.until_caught_up();
    stood(&reading.finish())
}

/// Goes on there, until it is caught up.
fn next_run(kafka: &Kafka, topic: &str, resume: &BTreeMap<(Arc<str>, i32), Resume>) -> Seen {
    let mut settings = fast(kafka, &[topic], StartAt::Time(now()));
    settings.resume = resume.clone();
    let mut reading = Reading::of(settings);
    reading.until_caught_up();
    reading.finish()
}

fn offsets(seen: &Seen, topic: &str, partition: i32) -> Vec<i64> {
    let records = seen.records.get(&(topic.to_owned(), partition));
    records.into_iter().flatten().map(|(offset, _)| *offset).collect()
}

#[track_caller]
fn only_gap(seen: &Seen) -> &Gap {
    assert_eq!(seen.gaps.len(), 1, "{:?}", seen.gaps);
    &seen.gaps[0]
}

#[test]
fn a_run_that_was_cut_short_is_gone_on_with_at_its_offsets() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("resumed", 3, &[]);
    kafka.fill(&topic, 0, 4_000, past());
    kafka.fill(&topic, 1, 100, past());
    let mut resume = BTreeMap::new();
    let mut all: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for round in 0..4 {
        let mut settings = fast(kafka, &[&topic], StartAt::Beginning);
        settings.resume = resume;
        settings.batch_records = 50;
        settings.channel_batches = 1;
        let mut reading = Reading::of(settings);
        if round < 3 {
            reading.until("some records", |seen| seen.count() > 700);
        } else {
            reading.until_caught_up();
        }
        // Nobody says good-bye: what is on its way is thrown away.
        let seen = reading.seen;
        drop((reading.source, reading.events));
        assert!(seen.cluster.is_some());
        assert_eq!(seen.gaps, []);
        for partition in 0..3 {
            let values = seen.values(&topic, partition).into_iter().map(str::to_owned);
            all.entry(partition).or_default().extend(values);
            let start = &seen.starts[&(topic.clone(), partition)];
            assert_eq!(start.resumed, round > 0);
            assert!(start.topic_id.as_ref().is_some_and(|id| id.len() == 22), "{start:?}");
            assert_eq!(start.covered_from, None);
        }
        resume = stood(&seen);
        if round == 1 {
            kafka.fill(&topic, 2, 50, past());
        }
    }
    for (partition, count) in [(0, 4_000), (1, 100), (2, 50)] {
        let expected: Vec<String> = (0..count).map(|number| format!("value-{number}")).collect();
        assert_eq!(all[&partition], expected, "partition {partition}");
    }
}

#[test]
fn new_partitions_of_a_known_topic_are_read_whole_and_new_topics_as_the_settings_say() {
    let kafka = Kafka::shared();
    let known = kafka.topic("known", 1, &[]);
    kafka.fill(&known, 0, 20, past());
    let mut resume = first_run(kafka, &known);
    let covered = Some(EventTime::from_secs(77));
    resume.values_mut().for_each(|stood| stood.covered_from = covered);
    kafka.grow_topic(&known, 2);
    kafka.fill(&known, 0, 5, past());
    kafka.fill(&known, 1, 10, past());
    let new = kafka.topic("added", 1, &[]);
    kafka.fill(&new, 0, 10, past());
    let mut settings = fast(kafka, &[&known, &new], StartAt::Time(after(past(), 5)));
    settings.resume = resume;
    // A topic that is declared no longer is nobody's concern.
    let gone = Resume { next_offset: 3, covered_from: None, topic_id: None };
    settings.resume.insert((Arc::from("undeclared"), 0), gone);
    let mut reading = Reading::of(settings);
    reading.until_caught_up();
    let seen = reading.finish();
    assert_filled(&seen, &known, 0, 0..5);
    assert_filled(&seen, &known, 1, 0..10);
    assert!(seen.values(&new, 0).len() < 10);
    let start = &seen.starts[&(known.clone(), 0)];
    assert_eq!((start.start_offset, start.covered_from, start.resumed), (20, covered, true));
    let start = &seen.starts[&(known, 1)];
    assert_eq!((start.start_offset, start.covered_from, start.resumed), (0, None, false));
    assert!(!seen.starts[&(new, 0)].resumed);
    assert!(seen.partitions_found.iter().all(|(topic, _)| topic != "undeclared"));
}

#[test]
fn what_retention_took_between_two_runs_is_a_gap() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("retained", 2, &[]);
    let from = past();
    kafka.fill(&topic, 0, 50, from);
    kafka.fill(&topic, 1, 50, from);
    let resume = first_run(kafka, &topic);
    kafka.fill(&topic, 0, 100, from);
    kafka.delete_records(&topic, 0, 120);
    // Behind what was read nothing is missing.
    kafka.delete_records(&topic, 1, 50);
    let seen = next_run(kafka, &topic, &resume);
    let gap = only_gap(&seen);
    assert_eq!((gap.partition, gap.from_offset, gap.to_offset), (0, 50, 120));
    assert_eq!((gap.reason, gap.lost), (GapReason::Retention, Some(70)));
    assert_eq!(gap.covered_from, Some(after(from, 70)));
    assert_eq!(offsets(&seen, &topic, 0), (120..150).collect::<Vec<i64>>());
    assert!(offsets(&seen, &topic, 1).is_empty());
}

/// Reads 30 records, replaces the topic by one of `count` records, and goes on.
fn replaced_between_runs(count: usize, knows_id: bool) -> Gap {
    let kafka = Kafka::shared();
    let topic = kafka.topic("replaced", 1, &[]);
    kafka.fill(&topic, 0, 30, past());
    let mut resume = first_run(kafka, &topic);
    if !knows_id {
        resume.values_mut().for_each(|stood| stood.topic_id = None);
    }
    let old_id = resume.values().next().and_then(|stood| stood.topic_id.clone());
    kafka.delete_topic(&topic);
    kafka.create_topic(&topic, 1, &[]);
    let from = after(past(), 1_000);
    kafka.fill(&topic, 0, count, from);
    let seen = next_run(kafka, &topic, &resume);
    assert_filled(&seen, &topic, 0, 0..count);
    let gap = only_gap(&seen).clone();
    assert_eq!((gap.from_offset, gap.to_offset, gap.lost), (30, 0, None));
    assert!(gap.topic_id.is_some() && gap.topic_id != old_id);
    // Where it may be the same log, some of it may have been read before.
    let oldest = if count == 0 || !knows_id { now() } else { from };
    let apart = gap.covered_from.map(|covered| (covered.micros() - oldest.micros()).abs());
    assert!(apart.is_some_and(|apart| apart < 10_000_000), "{gap:?}");
    gap
}

#[test]
fn a_topic_that_was_created_anew_between_two_runs_is_read_whole() {
    assert_eq!(replaced_between_runs(10, true).reason, GapReason::Recreated);
    assert_eq!(replaced_between_runs(90, true).reason, GapReason::Recreated);
    assert_eq!(replaced_between_runs(0, true).reason, GapReason::Recreated);
    // Where no id was saved, only the offsets tell.
    assert_eq!(replaced_between_runs(10, false).reason, GapReason::BeyondEnd);
}

#[test]
fn a_topic_that_is_gone_holds_the_figures_back_for_half_a_minute() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("vanished", 2, &[]);
    kafka.fill(&topic, 0, 5, past());
    let resume = first_run(kafka, &topic);
    kafka.delete_topic(&topic);
    let mut settings = fast(kafka, &[&topic], StartAt::Time(now()));
    settings.resume = resume;
    let mut reading = Reading::of(settings);
    reading.until("the partitions", |seen| seen.partitions_found.len() == 2);
    assert!(reading.seen.partitions_gone.is_empty());
    reading.until("their end", |seen| seen.partitions_gone.len() == 2);
    // Whatever appears there now has nothing to do with it.
    kafka.create_topic(&topic, 1, &[]);
    kafka.fill(&topic, 0, 10, past());
    reading.until_caught_up();
    let seen = reading.finish();
    assert_filled(&seen, &topic, 0, 0..10);
    assert_eq!(seen.gaps, []);
    assert!(!seen.starts[&(topic, 0)].resumed);
}

/// Reads 100 records, replaces the topic while the source runs, with `count` records
/// in the first of so many partitions. Topics are looked for that often.
fn replaced_while_running(count: usize, partitions: i32, look: Duration) -> Seen {
    let kafka = Kafka::shared();
    let topic = kafka.topic("replaced-live", 2, &[]);
    kafka.fill(&topic, 0, 100, past());
    let mut settings = fast(kafka, &[&topic], StartAt::Beginning);
    settings.discovery_interval = look;
    let mut reading = Reading::of(settings);
    reading.until_caught_up();
    let old_id = reading.seen.starts[&(topic.clone(), 0)].topic_id.clone();
    kafka.delete_topic(&topic);
    kafka.create_topic(&topic, partitions, &[]);
    kafka.fill(&topic, 0, count, past());
    reading.until("the new records", |seen| seen.count() == 100 + count);
    reading.during(Duration::from_secs(2));
    let seen = reading.finish();
    let values = seen.values(&topic, 0);
    let expected: Vec<String> =
        (0..100).chain(0..count).map(|number| format!("value-{number}")).collect();
    assert_eq!(values, expected);
    let gap = seen.gaps.iter().find(|gap| gap.partition == 0).expect("a gap");
    assert_eq!((gap.from_offset, gap.to_offset), (100, 0));
    assert_eq!((gap.reason, gap.lost), (GapReason::Recreated, None));
    assert!(gap.topic_id.is_some() && gap.topic_id != old_id);
    seen
}

#[test]
fn a_topic_that_is_created_anew_in_a_moment_is_noticed_by_its_id() {
    let (often, rarely) = (Duration::from_millis(300), Duration::from_secs(8));
    replaced_while_running(10, 2, often);
    replaced_while_running(500, 2, often);
    replaced_while_running(1_000, 2, rarely);
    let seen = replaced_while_running(300, 1, often);
    assert_eq!(seen.gaps.len(), 1, "a partition that is not there has no gap");
}

/// An application that takes one event every few seconds hears of the new topic long after
/// it was told how far the old one reached.
#[test]
fn a_topic_that_is_created_anew_is_read_whole_by_an_application_that_hardly_takes_anything() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("hardly-taken", 1, &[]);
    kafka.fill(&topic, 0, 100, past());
    let mut settings = fast(kafka, &[&topic], StartAt::Beginning);
    settings.channel_batches = 1;
    let mut reading = Reading::of(settings);
    reading.until_caught_up();
    // Until the channel is full, and for some more statistics.
    std::thread::sleep(Duration::from_secs(3));
    kafka.delete_topic(&topic);
    kafka.create_topic(&topic, 1, &[]);
    kafka.fill(&topic, 0, 10, past());
    std::thread::sleep(Duration::from_secs(3));
    while reading.seen.gaps.is_empty() {
        let event = reading.events.recv_timeout(Duration::from_secs(10)).expect("an event");
        reading.seen.take(event);
        std::thread::sleep(Duration::from_millis(3_500));
    }
    kafka.fill(&topic, 0, 190, past());
    reading.until_caught_up();
    let seen = reading.finish();
    assert_eq!(offsets(&seen, &topic, 0), (0..100).chain(0..200).collect::<Vec<i64>>());
}

/// Reads 100 records, and what is there after the log has lost them and so many others
/// were written, from that time on: both whole, with a gap that says so.
fn cut_while_running(name: &str, count: usize, from: EventTime) -> Gap {
    let mut kafka = Kafka::start();
    let topic = kafka.topic(name, 1, &[]);
    kafka.fill(&topic, 0, 100, past());
    let mut reading = Reading::of(fast(&kafka, &[&topic], StartAt::Beginning));
    reading.until_caught_up();
    kafka.kill();
    kafka.lose_log(&topic, 0);
    kafka.launch();
    kafka.fill(&topic, 0, count, from);
    reading.until("the gap", |seen| !seen.gaps.is_empty());
    reading.until_caught_up();
    let seen = reading.finish();
    let expected: Vec<i64> = (0..100).chain(0..count as i64).collect();
    assert_eq!(offsets(&seen, &topic, 0), expected);
    let gap = only_gap(&seen);
    assert_eq!((gap.from_offset, gap.to_offset), (100, 0));
    assert_eq!((gap.reason, gap.lost), (GapReason::BeyondEnd, None));
    gap.clone()
}

#[test]
fn a_log_that_lost_its_end_is_read_anew_and_told_from_retention() {
    let from = after(past(), 500);
    let gap = cut_while_running("truncated", 10, from);
    assert!(gap.covered_from > Some(from), "some of it may have been read before");
}

#[test]
fn a_log_that_lost_its_end_and_has_grown_beyond_it_since_is_read_anew() {
    cut_while_running("overgrown", 150, after(past(), 500));
}
