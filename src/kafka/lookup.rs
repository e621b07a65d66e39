//! Where a partition's reading begins, and what that covers.
//!
//! The end is asked before the look-up by time: when the look-up finds nothing, that
//! end is the start, and a record that arrives in between is behind it. What each
//! start covers, [`coverage`] says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{self, Consumer, REQUEST_TIMEOUT};
use super::events::PartitionStart;
use super::settings::{SourceSettings, StartAt};
use super::shared::Shared;
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
    let from = match start {
        StartAt::Beginning => None,
        StartAt::Time(time) => Some(time),
        StartAt::Back(reach) => {
            Some(newest(settings, shared, prober, topic, partitions, now)? - reach)
        }
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
    let above = |s: &PartitionStart| s.start_offset > s.first_offset;
    let cut_off = |s: &PartitionStart| s.start_offset > 0 && !above(s);
    let oldest = match from {
        // Some partition holds a record from before the asked time, so that the
        // topic reaches back at least that far.
        Some(time) if starts.iter().any(above) => time,
        _ if starts.iter().any(cut_off) => {
            let held: Vec<(i32, i64)> = starts
                .iter()
                .map(|s| (s.partition, s.first_offset))
                .filter(|(partition, first)| {
                    number(&ends, *partition).is_ok_and(|end| end > *first)
                })
                .collect();
            let oldest = timestamps(settings, shared, topic, &held)?;
            oldest.into_values().min().unwrap_or(now)
        }
        _ => now,
    };
    for s in &mut starts {
        s.covered_from = coverage(s, from, oldest);
    }
    Ok(starts)
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

/// Now, or the time of the newest record if that is older. Where there is none of the
/// last minute, reads a fetch of each partition.
fn newest(
    settings: &SourceSettings,
    shared: &Arc<Shared>,
    prober: &Consumer,
    topic: &Arc<str>,
    partitions: &[i32],
    now: EventTime,
) -> KafkaResult<EventTime> {
    let lately = since(prober, topic, partitions, now - Span::from_secs(60))?;
    if lately.values().any(|offset| matches!(offset, Offset::Offset(_))) {
        return Ok(now);
    }
    let ranges = ranges(prober, topic, partitions)?.into_iter();
    let held = ranges.filter(|(_, range)| range.end > range.first);
    // The last may be the marker of a transaction.
    let last = held.map(|(partition, range)| (partition, range.first.max(range.end - 2)));
    let last = timestamps(settings, shared, topic, &last.collect::<Vec<_>>())?;
    Ok(last.into_values().max().map_or(now, |newest| newest.min(now)))
}

/// Minus infinity (`None`) where offset 0 is read, since a new partition has no past
/// to miss; the asked time where the start lies above the log's first offset; else
/// the timestamp of the oldest record that the topic still holds in any partition.
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

/// The timestamps of the first records from these offsets of partitions on, of those
/// that hold any there. Reads one fetch of each with a consumer of its own.
pub(super) fn timestamps(
    settings: &SourceSettings,
    shared: &Arc<Shared>,
    topic: &str,
    firsts: &[(i32, i64)],
) -> KafkaResult<HashMap<i32, EventTime>> {
    if firsts.is_empty() {
        return Ok(HashMap::new());
    }
    let peeker = client::peeker(settings, shared)?;
    let mut assignment = TopicPartitionList::with_capacity(firsts.len());
    for (partition, first) in firsts {
        assignment.add_partition_offset(topic, *partition, Offset::Offset(*first))?;
    }
    peeker.assign(&assignment)?;
    let deadline = Instant::now() + 2 * REQUEST_TIMEOUT;
    let mut answered = HashMap::new();
    while answered.len() < firsts.len() {
        if Instant::now() >= deadline || shared.stopped() {
            return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::OperationTimedOut));
        }
        match peeker.poll(std::time::Duration::from_millis(50)) {
            Some(Ok(message)) => {
                let millis = message.timestamp().to_millis().filter(|millis| *millis >= 0);
                answered.entry(message.partition()).or_insert(millis);
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                answered.entry(partition).or_insert(None);
            }
            Some(Err(_)) | None => {}
        }
    }
    let timed = |(partition, millis): (i32, Option<i64>)| {
        millis.map(|millis| (partition, EventTime::from_millis(millis)))
    };
    Ok(answered.into_iter().filter_map(timed).collect())
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
