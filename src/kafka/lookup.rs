//! Where a partition's reading begins, and what that covers.
//!
//! The end is asked before the look-up by time: when the look-up finds nothing, that
//! end is the start, and a record that arrives in between is behind it. A partition with
//! records whose timestamps cannot be used is read from its beginning, since a look-up by
//! time says nothing of them. What each start covers, [`coverage`] says.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Consumer, REQUEST_TIMEOUT};
use super::events::PartitionStart;
use super::peek::{Peeker, Place};
use super::settings::{SourceSettings, StartAt};
use super::shared::{Holes, MANY_HOLES, Shared};
use crate::event::{EventTime, Span};

/// Answers a logical offset, or a time in milliseconds, for each partition: one
/// request per broker.
pub(super) fn offsets(
    prober: &Consumer,
    topic: &str,
    partitions: &[i32],
    of: Offset,
) -> KafkaResult<HashMap<i32, Offset>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition_offset(topic, *partition, of)?;
    }
    let answers = prober.offsets_for_times(asked, REQUEST_TIMEOUT)?;
    let mut offsets = HashMap::with_capacity(partitions.len());
    for answer in answers.elements() {
        answer.error()?;
        offsets.insert(answer.partition(), answer.offset());
    }
    Ok(offsets)
}

fn number(offsets: &HashMap<i32, Offset>, partition: i32) -> KafkaResult<i64> {
    match offsets.get(&partition) {
        Some(Offset::Offset(offset)) => Ok(*offset),
        _ => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset)),
    }
}

/// First offset and end of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: i64,
    pub(super) end: i64,
}

/// What the logs of partitions hold.
pub(super) fn ranges(
    prober: &Consumer,
    topic: &str,
    partitions: &[i32],
) -> KafkaResult<HashMap<i32, Range>> {
    let firsts = offsets(prober, topic, partitions, Offset::Beginning)?;
    let ends = offsets(prober, topic, partitions, Offset::End)?;
    let mut ranges = HashMap::with_capacity(partitions.len());
    for partition in partitions {
        let first = number(&firsts, *partition)?;
        ranges.insert(*partition, Range { first, end: number(&ends, *partition)? });
    }
    Ok(ranges)
}

/// Where the given partitions of a topic begin of which no earlier run tells.
#[expect(clippy::too_many_arguments, reason = "they are asked of three places")]
pub(super) fn starts(
    settings: &SourceSettings,
    shared: &Arc<Shared>,
    prober: &Consumer,
    topic: &Arc<str>,
    topic_id: Option<&str>,
    partitions: &[i32],
    start: StartAt,
    now: EventTime,
) -> KafkaResult<Vec<PartitionStart>> {
    let committed = committed(prober, topic, partitions)?;
    let firsts = offsets(prober, topic, partitions, Offset::Beginning)?;
    let ends = offsets(prober, topic, partitions, Offset::End)?;
    let peeker = Peeker::new(settings, shared, topic);
    let from = match start {
        StartAt::Beginning => None,
        StartAt::Time(time) => Some(time),
        StartAt::Back(reach) => Some(newest(&peeker, prober, topic, partitions, now)? - reach),
    };
    let found = match from {
        None => HashMap::new(),
        Some(time) => since(prober, topic, partitions, time)?,
    };
    let mut starts = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let first_offset = number(&firsts, *partition)?;
        let start_offset = match (from, found.get(partition)) {
            (None, _) => first_offset,
            (Some(_), Some(Offset::Offset(offset))) => (*offset).max(first_offset),
            (Some(_), _) => number(&ends, *partition)?.max(first_offset),
        };
        starts.push(PartitionStart {
            topic: Arc::clone(topic),
            partition: *partition,
            start_offset,
            first_offset,
            covered_from: None,
            committed: committed.get(partition).copied(),
            topic_id: topic_id.map(str::to_owned),
            resumed: false,
        });
    }
    let Glimpses { untimed, holes } = glimpses(&peeker, &starts, &ends)?;
    for s in starts.iter().filter(|s| holes.contains(&s.partition)) {
        let key = (Arc::clone(topic), s.partition);
        shared.suspect_compaction(Holes { key, below: s.start_offset });
    }
    for s in starts.iter_mut().filter(|s| untimed.contains(&s.partition)) {
        s.start_offset = s.first_offset;
    }
    // Of a partition that retention has cut off, what is gone is older than what is left.
    let is_cut_off = |s: &&PartitionStart| {
        s.start_offset == s.first_offset && s.start_offset > 0 && !untimed.contains(&s.partition)
    };
    let is_held =
        |s: &PartitionStart| number(&ends, s.partition).is_ok_and(|end| end > s.first_offset);
    let cut_off = starts.iter().filter(is_cut_off).filter(|s| is_held(s));
    let cut_off: Vec<(i32, i64)> = cut_off.map(|s| (s.partition, s.first_offset)).collect();
    let oldest = peeker.first_timestamps(&cut_off)?;
    for s in &mut starts {
        s.covered_from = coverage(s, from, oldest.get(&s.partition).copied().unwrap_or(now));
    }
    let whole: Vec<&PartitionStart> =
        starts.iter().filter(|s| !holes.contains(&s.partition)).collect();
    say_what_is_special(topic, from, &whole, &untimed);
    Ok(starts)
}

/// One line for what is passed over of a topic, and one for timestamps that cannot be used.
fn say_what_is_special(
    topic: &str,
    from: Option<EventTime>,
    starts: &[&PartitionStart],
    untimed: &HashSet<i32>,
) {
    let partitions = starts.iter().filter(|start| start.passed_over() > 0).count();
    if let (Some(time), 1..) = (from, partitions) {
        let offsets: u64 = starts.iter().map(|start| start.passed_over()).sum();
        tracing::info!(
            "of `{topic}`, what was written before {time} is passed over, since no window \
             reaches back to it: {offsets} offsets of {partitions} partitions"
        );
    }
    if !untimed.is_empty() {
        let mut partitions: Vec<i32> = untimed.iter().copied().collect();
        partitions.sort_unstable();
        tracing::warn!(
            "records of `{topic}` have no timestamp that can be used (partitions {partitions:?}): \
             they are read from the beginning, and each event's own time stands for that of its \
             record; producers should set it, in milliseconds"
        );
    }
}

/// So long records are looked at; large ones do not all come in that time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Records that are looked at in one place.
const A_GLIMPSE: i64 = 500;
/// Places that are looked at between the first record and where reading would begin. Up to
/// 7,500 offsets all records are seen.
const BETWEEN: i64 = 14;

/// What is seen of partitions of which a look-up by time passes something over.
#[derive(Debug, Default)]
struct Glimpses {
    /// They have records whose timestamps cannot be used: first, last, right before the
    /// start, or in one of some places between.
    untimed: HashSet<i32>,
    /// More is missing between some of their records than transactions leave out.
    holes: HashSet<i32>,
}

fn glimpses(
    peeker: &Peeker<'_>,
    starts: &[PartitionStart],
    ends: &HashMap<i32, Offset>,
) -> KafkaResult<Glimpses> {
    let mut glimpses = Glimpses::default();
    let deadline = Instant::now() + PATIENCE;
    // The first, the newest, those right before the start, and then those between.
    for round in 0..BETWEEN + 3 {
        if Instant::now() >= deadline {
            break;
        }
        let place = |s: &PartitionStart| {
            let (first, start) = (s.first_offset, s.start_offset);
            let before = |offset: i64| (offset - A_GLIMPSE).max(first);
            let from = match round {
                0 => first,
                1 => before(number(ends, s.partition).unwrap_or(start)),
                2 => before(start),
                _ => first + (start - first) / (BETWEEN + 1) * (round - 2),
            };
            Place { partition: s.partition, from, below: i64::MAX, most: A_GLIMPSE as usize }
        };
        let open =
            |s: &&PartitionStart| s.passed_over() > 0 && !glimpses.untimed.contains(&s.partition);
        let places: Vec<Place> = starts.iter().filter(open).map(place).collect();
        let seen = peeker.look(&places)?;
        for Place { partition, from, .. } in places {
            let Some(records) = seen.get(&partition) else { continue };
            if records.iter().any(|record| record.timestamp.is_none()) {
                glimpses.untimed.insert(partition);
            }
            let last = records.last().map_or(from, |last| last.offset + 1);
            let records = records.len() as i64;
            if last - from - records > records + MANY_HOLES {
                glimpses.holes.insert(partition);
            }
        }
    }
    Ok(glimpses)
}

/// The first offsets whose timestamps are not before that time.
fn since(
    prober: &Consumer,
    topic: &str,
    partitions: &[i32],
    time: EventTime,
) -> KafkaResult<HashMap<i32, Offset>> {
    offsets(prober, topic, partitions, Offset::Offset(time.millis().max(0)))
}

/// Records at the end of a log among which its newest is looked for: there may be markers of
/// transactions behind it.
const AT_THE_END: i64 = 20;

/// Now, or the time of the newest record if that is older. Where there is none of the
/// last minute, reads a fetch of each partition.
fn newest(
    peeker: &Peeker<'_>,
    prober: &Consumer,
    topic: &str,
    partitions: &[i32],
    now: EventTime,
) -> KafkaResult<EventTime> {
    let lately = since(prober, topic, partitions, now - Span::from_secs(60))?;
    if lately.values().any(|offset| matches!(offset, Offset::Offset(_))) {
        return Ok(now);
    }
    let (_, newest) = newest_record(peeker, prober, topic, partitions)?;
    Ok(newest.map_or(now, |newest| newest.min(now)))
}

/// Whether the partitions hold anything, and the time of the newest record, if that can be
/// used. Reads a fetch of each.
pub(super) fn newest_record(
    peeker: &Peeker<'_>,
    prober: &Consumer,
    topic: &str,
    partitions: &[i32],
) -> KafkaResult<(bool, Option<EventTime>)> {
    let ranges = ranges(prober, topic, partitions)?.into_iter();
    let held = ranges.filter(|(_, range)| range.end > range.first);
    let places = held.map(|(partition, range)| Place {
        partition,
        from: range.first.max(range.end - AT_THE_END),
        below: i64::MAX,
        most: AT_THE_END as usize,
    });
    let places: Vec<Place> = places.collect();
    let last = peeker.look(&places)?;
    let newest = last.into_values().flatten().filter_map(|record| record.timestamp).max();
    Ok((!places.is_empty(), newest))
}

/// Minus infinity (`None`) where offset 0 is read, since a new partition has no past
/// to miss; the asked time where the start lies above the log's first offset; else the
/// timestamp of the oldest record that the partition still holds, or now where nothing says
/// how old that is.
fn coverage(
    start: &PartitionStart,
    from: Option<EventTime>,
    oldest: EventTime,
) -> Option<EventTime> {
    match from {
        _ if start.start_offset == 0 => None,
        Some(time) if start.start_offset > start.first_offset => Some(time),
        _ => Some(oldest),
    }
}

pub(super) fn committed(
    prober: &Consumer,
    topic: &str,
    partitions: &[i32],
) -> KafkaResult<HashMap<i32, i64>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition(topic, *partition);
    }
    let answers = prober.committed_offsets(asked, REQUEST_TIMEOUT)?;
    let mut offsets = HashMap::new();
    for answer in answers.elements() {
        answer.error()?;
        if let Offset::Offset(offset) = answer.offset() {
            offsets.insert(answer.partition(), offset);
        }
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_of_a_start() {
        let asked = Some(EventTime::from_secs(1_000));
        let oldest = EventTime::from_secs(1_500);
        let covers = |first_offset, start_offset, at| {
            let start = PartitionStart {
                topic: "mail".into(),
                partition: 0,
                start_offset,
                first_offset,
                covered_from: None,
                committed: None,
                topic_id: None,
                resumed: false,
            };
            coverage(&start, at, oldest).map(|time| time.micros() / 1_000_000)
        };
        assert_eq!(covers(0, 0, asked), None, "everything that ever was");
        assert_eq!(covers(0, 7, asked), Some(1_000), "older records are there, unread");
        assert_eq!(covers(5, 7, asked), Some(1_000));
        assert_eq!(covers(5, 5, asked), Some(1_500), "retention was here first");
        assert_eq!(covers(5, 5, None), Some(1_500));
        assert_eq!(covers(0, 0, None), None);
    }
}
