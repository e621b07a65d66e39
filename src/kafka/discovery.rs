//! Which topics and partitions there are.
//!
//! A thread of its own asks for metadata every few seconds, and at once when the
//! connections are in doubt. Partitions at a topic's first look begin where the
//! settings say; what appears later is read from its beginning. Metadata is asked on
//! the reading client, so that it knows a new partition before it is told to read it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::topic_partition_list::Offset;

use super::client::{Consumer, REQUEST_TIMEOUT, Refusal, refusal};
use super::events::{Gap, SourceEvent};
use super::lookup;
use super::settings::{SourceSettings, StartAt, TopicPattern};
use super::shared::{Key, Note, Shared, lock};
use crate::event::EventTime;

/// After an attempt that failed.
const RETRY: Duration = Duration::from_millis(500);

pub(super) struct Discovery<C> {
    pub(super) settings: Arc<SourceSettings>,
    pub(super) shared: Arc<Shared>,
    pub(super) reader: Arc<Consumer>,
    pub(super) prober: Arc<Consumer>,
    pub(super) clock: Arc<C>,
    pub(super) topics: HashMap<Arc<str>, Topic>,
    pub(super) missing: BTreeSet<String>,
    pub(super) patterns_looked: bool,
}

/// What is known of a topic.
pub(super) struct Topic {
    reading: BTreeSet<i32>,
    /// Seen at the first look, and not started yet, for want of a leader or an answer.
    from_start: BTreeSet<i32>,
}

/// What one look saw of a topic.
struct Seen {
    /// With a leader or without.
    partitions: BTreeMap<i32, bool>,
}

enum Found {
    Topic(Seen),
    Missing,
    /// Ask again: the brokers are still busy with it.
    Unclear,
}

impl<C: Fn() -> EventTime> Discovery<C> {
    pub(super) fn run(mut self, woken: &Receiver<()>) {
        while !self.shared.stopped() {
            let pause = match self.look() {
                Ok(true) => self.settings.discovery_interval,
                Ok(false) => RETRY,
                Err(error) => {
                    self.shared.brokers_silent(&error.to_string());
                    RETRY
                }
            };
            if self.shared.take_gap_suspicion()
                && let Err(error) = self.mend_gaps()
            {
                tracing::debug!("which offsets are out of range is not known yet: {error}");
                self.shared.suspect_gap_later();
            }
            if woken.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    /// Whether all that was seen is being read.
    fn look(&mut self) -> KafkaResult<bool> {
        let mut complete = true;
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        let settings = Arc::clone(&self.settings);
        let mut names = BTreeSet::new();
        let mut by_pattern = false;
        for pattern in &settings.topics {
            match pattern {
                TopicPattern::Exact(name) => {
                    names.insert(name.as_str());
                }
                TopicPattern::Pattern(_) => by_pattern = true,
            }
        }
        if by_pattern {
            let metadata = self.metadata(None)?;
            let excluded = |name: &str| settings.excluded_topics.iter().any(|e| e == name);
            for pattern in &settings.topics {
                if let TopicPattern::Pattern(regex) = pattern {
                    let meant = |name: &str| pattern.matches(name) && !excluded(name);
                    let any = metadata.topics().iter().any(|topic| meant(topic.name()));
                    self.say_whether_there(regex.as_str(), any);
                }
            }
            for topic in metadata.topics() {
                let name = topic.name();
                let meant = settings.topics.iter().any(|pattern| pattern.matches(name));
                if meant && !excluded(name) && !names.contains(name) {
                    match self.judge(topic) {
                        Found::Topic(found) => {
                            seen.insert(name.to_owned(), found);
                        }
                        Found::Missing => {}
                        Found::Unclear => complete = false,
                    }
                }
            }
        }
        let mut unclear = BTreeSet::new();
        for name in names {
            let metadata = self.metadata(Some(name))?;
            match metadata.topics().first().map(|topic| self.judge(topic)) {
                Some(Found::Topic(found)) => {
                    self.say_whether_there(name, true);
                    seen.insert(name.to_owned(), found);
                }
                Some(Found::Missing) => {
                    self.say_whether_there(name, false);
                    // Whatever appears there later is new.
                    let topic = Topic { reading: BTreeSet::new(), from_start: BTreeSet::new() };
                    self.topics.entry(name.into()).or_insert(topic);
                }
                Some(Found::Unclear) | None => {
                    unclear.insert(name.to_owned());
                    complete = false;
                }
            }
        }
        self.shared.brokers_answer();
        self.forget_gone(&seen, &unclear, complete);
        for (name, found) in &seen {
            complete &= self.start_new(name, found);
        }
        self.patterns_looked |= by_pattern && complete;
        Ok(complete)
    }

    fn say(&self, event: SourceEvent) {
        self.shared.note(Note::Say(event));
    }

    /// A declared name, or a pattern, has a topic or has none; said when that changes.
    fn say_whether_there(&mut self, declared: &str, there: bool) {
        if there && self.missing.remove(declared) {
            tracing::info!("the topic `{declared}` exists now");
            self.say(SourceEvent::TopicFound(declared.to_owned()));
        } else if !there && self.missing.insert(declared.to_owned()) {
            tracing::warn!("the topic `{declared}` does not exist; it is looked for again");
            self.say(SourceEvent::TopicMissing(declared.to_owned()));
        }
    }

    fn metadata(&self, topic: Option<&str>) -> KafkaResult<Metadata> {
        self.reader.fetch_metadata(topic, REQUEST_TIMEOUT)
    }

    fn judge(&self, topic: &MetadataTopic) -> Found {
        if let Some(error) = topic.error() {
            let code = RDKafkaErrorCode::from(error);
            return match code {
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
                    Found::Missing
                }
                _ => {
                    if let Some(refusal) = refusal(code) {
                        self.shared.fatal(refusal, Some(topic.name()), &code.to_string());
                    }
                    Found::Unclear
                }
            };
        }
        let partitions: BTreeMap<i32, bool> =
            topic.partitions().iter().map(|p| (p.id(), p.leader() >= 0)).collect();
        if partitions.is_empty() { Found::Unclear } else { Found::Topic(Seen { partitions }) }
    }

    fn forget_gone(
        &mut self,
        seen: &BTreeMap<String, Seen>,
        unclear: &BTreeSet<String>,
        all: bool,
    ) {
        let mut gone: Vec<Key> = Vec::new();
        for (name, topic) in &mut self.topics {
            match seen.get(&**name) {
                Some(found) => topic.reading.retain(|partition| {
                    let stays = found.partitions.contains_key(partition);
                    if !stays {
                        gone.push((Arc::clone(name), *partition));
                    }
                    stays
                }),
                None if unclear.contains(&**name) || !all => {}
                None => {
                    let parted = std::mem::take(&mut topic.reading);
                    gone.extend(parted.into_iter().map(|p| (Arc::clone(name), p)));
                    topic.from_start.clear();
                }
            }
        }
        if !gone.is_empty() {
            self.shared.note(Note::Gone(gone));
        }
    }

    /// Starts what is not read yet; whether that worked for all of it.
    fn start_new(&mut self, name: &str, found: &Seen) -> bool {
        let declared = self
            .settings
            .topics
            .iter()
            .any(|pattern| matches!(pattern, TopicPattern::Exact(exact) if exact == name));
        let first_look = declared || !self.patterns_looked;
        if !self.topics.contains_key(name) {
            let from_start = if first_look {
                found.partitions.keys().copied().collect()
            } else {
                BTreeSet::new()
            };
            self.topics.insert(name.into(), Topic { reading: BTreeSet::new(), from_start });
        }
        let Some((key, topic)) = self.topics.get_key_value(name) else { return true };
        let key = Arc::clone(key);
        let mut complete = true;
        let mut by_settings = Vec::new();
        let mut from_beginning = Vec::new();
        for (partition, has_leader) in &found.partitions {
            if topic.reading.contains(partition) {
                continue;
            }
            if !has_leader {
                self.shared.unreadable(&(Arc::clone(&key), *partition), "it has no leader");
                complete = false;
            } else if topic.from_start.contains(partition) {
                by_settings.push(*partition);
            } else {
                from_beginning.push(*partition);
            }
        }
        for (partitions, at) in
            [(by_settings, self.settings.start), (from_beginning, StartAt::Beginning)]
        {
            if !partitions.is_empty() {
                complete &= self.start_partitions(&key, &partitions, at);
            }
        }
        complete
    }

    fn start_partitions(&mut self, topic: &Arc<str>, partitions: &[i32], at: StartAt) -> bool {
        let now = (self.clock)();
        let (settings, shared) = (&self.settings, &self.shared);
        // A client that has seen the topic smaller takes a new partition for unknown.
        let known = [&self.prober, &self.reader]
            .into_iter()
            .try_for_each(|client| client.fetch_metadata(Some(topic), REQUEST_TIMEOUT).map(drop));
        let starts = known.and_then(|()| {
            lookup::starts(settings, shared, &self.prober, topic, partitions, at, now)
        });
        match starts {
            Ok(starts) => {
                if let Some(known) = self.topics.get_mut(topic) {
                    known.reading.extend(partitions);
                    known.from_start.retain(|partition| !partitions.contains(partition));
                }
                self.shared.note(Note::Start(starts));
                true
            }
            Err(error) => {
                let refused = error.rdkafka_error_code().and_then(refusal);
                match refused {
                    Some(Refusal::Group) => {
                        self.shared.fatal(Refusal::Group, None, &error.to_string());
                    }
                    Some(refusal) => self.shared.fatal(refusal, Some(topic), &error.to_string()),
                    None => {
                        tracing::debug!("where to begin in `{topic}` is not known yet: {error}")
                    }
                }
                false
            }
        }
    }

    /// After an offset was out of range: finds the partitions whose next offset is no
    /// longer, or not yet, in the log.
    fn mend_gaps(&self) -> KafkaResult<()> {
        let mut by_topic: BTreeMap<Arc<str>, Vec<(i32, i64)>> = BTreeMap::new();
        for ((topic, partition), position) in lock(&self.shared.positions).iter() {
            by_topic.entry(Arc::clone(topic)).or_default().push((*partition, *position));
        }
        for (topic, positions) in by_topic {
            let partitions: Vec<i32> = positions.iter().map(|(partition, _)| *partition).collect();
            let firsts = lookup::offsets(&self.prober, &topic, &partitions, Offset::Beginning)?;
            let ends = lookup::offsets(&self.prober, &topic, &partitions, Offset::End)?;
            let range = |partition: i32| match (firsts.get(&partition), ends.get(&partition)) {
                (Some(Offset::Offset(first)), Some(Offset::Offset(end))) => Some((*first, *end)),
                _ => None,
            };
            let mut gaps = Vec::new();
            for (partition, from_offset) in positions {
                let Some((first, end)) = range(partition) else { continue };
                if (first..=end).contains(&from_offset) {
                    continue;
                }
                gaps.push(Gap {
                    topic: Arc::clone(&topic),
                    partition,
                    from_offset,
                    to_offset: first,
                    covered_from: None,
                });
            }
            if gaps.iter().any(|gap| gap.to_offset > 0) {
                let held: Vec<(i32, i64)> = partitions
                    .iter()
                    .filter_map(|p| range(*p).map(|(first, end)| (*p, first, end)))
                    .filter(|(_, first, end)| end > first)
                    .map(|(partition, first, _)| (partition, first))
                    .collect();
                let oldest = lookup::oldest_timestamp(&self.settings, &self.shared, &topic, &held)?
                    .unwrap_or_else(|| (self.clock)());
                for gap in gaps.iter_mut().filter(|gap| gap.to_offset > 0) {
                    gap.covered_from = Some(oldest);
                }
            }
            if !gaps.is_empty() {
                self.shared.note(Note::Gaps(gaps));
            }
        }
        Ok(())
    }
}
