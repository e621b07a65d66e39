//! Where a partition goes on that was read before: at its next offset, or behind a gap.
//!
//! The offset that is next may be no longer in the log (retention), not yet in it (the
//! log was cut, or the topic created anew and shorter), or be that of another record (the
//! topic was created anew and is longer: only its id tells). Then reading goes on at the
//! first record there is, and the gap is said: what lies before it in time is not
//! covered any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::discovery::{Discovery, Topic};
use super::events::{Gap, GapReason, PartitionStart};
use super::lookup::{self, Range};
use super::settings::Resume;
use super::shared::{Begin, Key, Note, lock};
use crate::event::EventTime;

/// A log that ends before the next offset must do so for this long: a leader that has
/// just been elected may not know its end, and to begin anew without need would count
/// everything twice.
const CONFIRMED: Duration = Duration::from_secs(3);

/// A partition that does not go on where it stood.
#[derive(Debug, Clone)]
struct Broken {
    partition: i32,
    from_offset: i64,
    range: Range,
    reason: GapReason,
}

/// Whether the log still holds what is next. The end itself is a record to come.
fn out_of_range(next_offset: i64, range: Range) -> Option<GapReason> {
    if next_offset < range.first {
        Some(GapReason::Retention)
    } else if next_offset > range.end {
        Some(GapReason::BeyondEnd)
    } else {
        None
    }
}

/// A topic of another id is another one; without both ids, offsets must do.
fn is_another(known: Option<&str>, there: Option<&str>) -> bool {
    matches!((known, there), (Some(known), Some(there)) if known != there)
}

impl<C: Fn() -> EventTime> Discovery<C> {
    /// Where partitions go on after an earlier run. Leaves out those that have to be
    /// asked about again.
    pub(super) fn resume(
        &mut self,
        topic: &Arc<str>,
        topic_id: Option<&str>,
        partitions: &[(i32, Resume)],
    ) -> KafkaResult<Vec<Begin>> {
        let numbers: Vec<i32> = partitions.iter().map(|(number, _)| *number).collect();
        let committed = lookup::committed(&self.prober, topic, &numbers)?;
        let ranges = lookup::ranges(&self.prober, topic, &numbers)?;
        let mut whole = Vec::new();
        let mut broken = Vec::new();
        for (partition, stood) in partitions {
            let Some(range) = ranges.get(partition).copied() else { continue };
            let reason = if is_another(stood.topic_id.as_deref(), topic_id) {
                Some(GapReason::Recreated)
            } else {
                out_of_range(stood.next_offset, range)
            };
            let key = (Arc::clone(topic), *partition);
            if !self.is_settled(&key, reason) {
                continue;
            }
            let from_offset = stood.next_offset;
            if let Some(reason) = reason {
                broken.push(Broken { partition: *partition, from_offset, range, reason });
            }
            whole.push(PartitionStart {
                topic: Arc::clone(topic),
                partition: *partition,
                start_offset: stood.next_offset,
                first_offset: range.first,
                covered_from: stood.covered_from,
                committed: committed.get(partition).copied(),
                topic_id: topic_id.map(str::to_owned).or_else(|| stood.topic_id.clone()),
                resumed: true,
            });
        }
        let mut gaps = self.gaps(topic, topic_id, broken)?;
        let begin = |start: PartitionStart| {
            let gap = gaps
                .remove(&start.partition)
                .map(|gap| Gap { covered_from: gap.covered_from.max(start.covered_from), ..gap });
            Begin { start, gap }
        };
        Ok(whole.into_iter().map(begin).collect())
    }

    /// After an offset was out of range: finds the partitions whose next offset is no
    /// longer, or not yet, in the log. Says whether it has to be asked again.
    pub(super) fn mend_gaps(&mut self) -> KafkaResult<bool> {
        let mut settled = true;
        let truncated = lock(&self.shared.truncated).clone();
        for (topic, positions) in self.positions() {
            let known = self.topics.get(&topic);
            if known.is_some_and(Topic::is_another_perhaps) || self.shared.doubts(&topic) {
                // What it holds is not what was read: its gaps are another's.
                settled = false;
                continue;
            }
            let partitions: Vec<i32> = positions.keys().copied().collect();
            let ranges = lookup::ranges(&self.prober, &topic, &partitions)?;
            let mut broken = Vec::new();
            for (partition, from_offset) in positions {
                let Some(range) = ranges.get(&partition).copied() else { continue };
                let key = (Arc::clone(&topic), partition);
                if truncated.contains(&key) {
                    // It may have grown beyond that offset since: other records.
                    let reason = GapReason::BeyondEnd;
                    broken.push(Broken { partition, from_offset, range, reason });
                    continue;
                }
                let reason = out_of_range(from_offset, range);
                if !self.is_settled(&key, reason) {
                    settled = false;
                } else if let Some(reason) = reason {
                    broken.push(Broken { partition, from_offset, range, reason });
                }
            }
            let topic_id = self.topics.get(&topic).and_then(|topic| topic.id.clone());
            let gaps = self.gaps(&topic, topic_id.as_deref(), broken)?;
            if !gaps.is_empty() {
                lock(&self.shared.truncated)
                    .retain(|cut| cut.0 != topic || !gaps.contains_key(&cut.1));
                self.shared.note(Note::Gaps(gaps.into_values().collect()));
            }
        }
        Ok(settled)
    }

    /// A topic that is read has another id than before: everything that it holds now is
    /// new. An error where that is not known yet of all partitions: nobody would ask again
    /// for those that were left out.
    pub(super) fn begin_anew(&mut self, topic: &Arc<str>, topic_id: &str) -> KafkaResult<()> {
        let positions = self.positions().remove(topic).unwrap_or_default();
        let metadata = self.metadata(Some(topic))?;
        let found = metadata.topics().first();
        if let Some(error) = found.and_then(|found| found.error()) {
            return Err(KafkaError::MetadataFetch(error.into()));
        }
        let there: BTreeSet<i32> =
            found.into_iter().flat_map(|found| found.partitions()).map(|p| p.id()).collect();
        let is_open = |partition: &i32| {
            there.contains(partition)
                && !positions.contains_key(partition)
                && !lock(&self.shared.left).contains(&(Arc::clone(topic), *partition))
        };
        let reading = self.topics.get(topic).map(|known| &known.reading);
        if there.is_empty() || reading.into_iter().flatten().any(is_open) {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition));
        }
        let known: BTreeMap<i32, i64> =
            positions.into_iter().filter(|(number, _)| there.contains(number)).collect();
        let numbers: Vec<i32> = known.keys().copied().collect();
        let ranges = lookup::ranges(&self.prober, topic, &numbers)?;
        let broken = known
            .into_iter()
            .filter_map(|(partition, from_offset)| {
                let range = *ranges.get(&partition)?;
                Some(Broken { partition, from_offset, range, reason: GapReason::Recreated })
            })
            .collect();
        let gaps = self.gaps(topic, Some(topic_id), broken)?;
        self.shared.note(Note::Gaps(gaps.into_values().collect()));
        Ok(())
    }

    fn positions(&self) -> BTreeMap<Arc<str>, BTreeMap<i32, i64>> {
        let mut by_topic: BTreeMap<Arc<str>, BTreeMap<i32, i64>> = BTreeMap::new();
        for ((topic, partition), position) in lock(&self.shared.positions).iter() {
            by_topic.entry(Arc::clone(topic)).or_default().insert(*partition, *position);
        }
        by_topic
    }

    fn is_settled(&mut self, key: &Key, reason: Option<GapReason>) -> bool {
        if reason != Some(GapReason::BeyondEnd) {
            self.beyond_end.remove(key);
            return true;
        }
        let since = *self.beyond_end.entry(key.clone()).or_insert_with(Instant::now);
        since.elapsed() >= CONFIRMED
    }

    /// What is said of broken partitions. Coverage begins at a partition's own oldest
    /// record: what it lost is older, whatever the others still hold.
    fn gaps(
        &self,
        topic: &Arc<str>,
        topic_id: Option<&str>,
        broken: Vec<Broken>,
    ) -> KafkaResult<BTreeMap<i32, Gap>> {
        let held: Vec<(i32, i64)> = broken
            .iter()
            .filter(|broken| broken.range.end > broken.range.first)
            .map(|broken| (broken.partition, broken.range.first))
            .collect();
        let oldest = lookup::timestamps(&self.settings, &self.shared, topic, &held)?;
        let now = (self.clock)();
        let say = |Broken { partition, from_offset, range, reason }| {
            let lost = match reason {
                GapReason::Retention => u64::try_from(range.first - from_offset).ok(),
                GapReason::Recreated | GapReason::BeyondEnd => None,
            };
            let covered_from = match reason {
                // What is read anew may have been read before: no window from before now
                // can be trusted.
                GapReason::BeyondEnd => now,
                _ => oldest.get(&partition).copied().unwrap_or(now),
            };
            let gap = Gap {
                topic: Arc::clone(topic),
                partition,
                from_offset,
                to_offset: range.first,
                covered_from: Some(covered_from),
                reason,
                lost,
                topic_id: topic_id.map(str::to_owned),
            };
            (partition, gap)
        };
        Ok(broken.into_iter().map(say).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::bootstrap::Bootstrap;
    use super::super::{DemoBroker, SourceSettings, StartAt, client, shared::Shared};
    use super::*;

    #[test]
    fn what_is_next_is_in_the_log_or_at_its_end() {
        let log = Range { first: 10, end: 20 };
        assert_eq!(out_of_range(9, log), Some(GapReason::Retention));
        assert_eq!(out_of_range(10, log), None);
        assert_eq!(out_of_range(20, log), None, "the next record to come");
        assert_eq!(out_of_range(21, log), Some(GapReason::BeyondEnd));
    }

    /// A look at a broker that has the topic `mail`, of one partition.
    fn discovery(broker: &DemoBroker) -> Discovery<impl Fn() -> EventTime + use<>> {
        let settings =
            SourceSettings::new(broker.bootstrap(), "tidegauge.test", vec![], StartAt::Beginning);
        let settings = Arc::new(settings);
        let (shared, _, _) = Shared::new(&settings);
        let shared = Arc::new(shared);
        let client = || Arc::new(client::prober(&settings, &shared).expect("a client"));
        Discovery {
            reader: client(),
            prober: client(),
            reader_bootstrap: Bootstrap::new(&settings.brokers),
            prober_bootstrap: Bootstrap::new(&settings.brokers),
            clock: Arc::new(|| EventTime::from_secs(1)),
            topics: HashMap::new(),
            missing: BTreeSet::new(),
            patterns_looked: false,
            resume: BTreeMap::new(),
            answered: false,
            cluster: None,
            silent_once: false,
            silent_since: None,
            beyond_end: HashMap::new(),
            shared: Arc::clone(&shared),
            settings: Arc::clone(&settings),
        }
    }

    #[test]
    fn a_topic_is_begun_anew_only_where_all_its_partitions_are_known() {
        let broker = DemoBroker::start().expect("a broker");
        broker.create_topic("mail", 2).expect("a topic");
        let mut discovery = discovery(&broker);
        let mut begins = |topic: &str, read: &[(i32, i64)], left: &[i32]| {
            let topic: Arc<str> = topic.into();
            let known = discovery.topics.entry(Arc::clone(&topic)).or_default();
            known.reading = [0, 1].into();
            let key = |number: &i32| (Arc::clone(&topic), *number);
            let positions = read.iter().map(|(number, next)| (key(number), *next));
            *lock(&discovery.shared.positions) = positions.collect();
            *lock(&discovery.shared.left) = left.iter().map(key).collect();
            discovery.begin_anew(&topic, "B").is_ok()
        };
        assert!(begins("mail", &[(0, 0), (1, 0)], &[]));
        assert!(!begins("mail", &[(0, 0)], &[]), "1 has just started");
        assert!(begins("mail", &[(0, 0)], &[1]));
        assert!(!begins("nothing", &[(0, 0), (1, 0)], &[]), "the broker does not know it");
    }

    #[test]
    fn a_topic_is_another_one_only_when_both_ids_are_known() {
        assert!(is_another(Some("a"), Some("b")));
        assert!(!is_another(Some("a"), Some("a")));
        assert!(!is_another(None, Some("b")), "saved by a broker that gave none");
        assert!(!is_another(Some("a"), None));
    }
}
