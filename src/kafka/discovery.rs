//! Which topics and partitions there are.
//!
//! A thread of its own asks for metadata every few seconds, and at once when the
//! connections are in doubt. Partitions at a topic's first look begin where the
//! settings say; what appears later is read from its beginning. Metadata is asked on
//! the reading client, so that it knows a new partition before it is told to read it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};

use super::bootstrap::Bootstrap;
use super::client::{Consumer, REQUEST_TIMEOUT};
use super::compaction::Policies;
use super::events::SourceEvent;
use super::lookup;
use super::refusal::{Refusal, refusal};
use super::settings::{Resume, SourceSettings, StartAt, TopicPattern};
use super::shared::{Begin, Key, Note, Shared};
use super::topic_id::topic_ids;
use crate::event::EventTime;

/// After an attempt that failed.
const RETRY: Duration = Duration::from_millis(500);

/// A topic or partition that is missed by each look for this long, none of which failed,
/// is gone. A broker that has just started may not know all of them yet; taking one up
/// anew, and from its beginning, would count its records twice.
const GONE_AFTER: Duration = Duration::from_secs(30);

/// For so long each look has to see the same id of a topic before it is taken for another
/// one, or for the same one against a doubt: a broker may lag behind the others.
const CERTAIN: Duration = Duration::from_secs(1);

/// When brokers that did not say the ids of topics are asked for them again.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// One that was alive when it was asked.
fn a_broker(metadata: &Metadata) -> Option<i32> {
    let first = || metadata.brokers().first().map(|broker| broker.id());
    Some(metadata.orig_broker_id()).filter(|id| *id >= 0).or_else(first)
}

pub(super) struct Discovery<C> {
    pub(super) settings: Arc<SourceSettings>,
    pub(super) shared: Arc<Shared>,
    pub(super) reader: Arc<Consumer>,
    pub(super) prober: Arc<Consumer>,
    /// Is told where logs end, whatever transactions are open.
    pub(super) watermarks: Arc<Consumer>,
    pub(super) reader_bootstrap: Bootstrap,
    /// While partitions are looked up; once they are read, their ends are asked for.
    pub(super) prober_bootstrap: Bootstrap,
    pub(super) clock: Arc<C>,
    pub(super) topics: HashMap<Arc<str>, Topic>,
    pub(super) missing: BTreeSet<String>,
    pub(super) patterns_looked: bool,
    /// Where partitions go on that an earlier run read, and this one has not started.
    pub(super) resume: BTreeMap<Key, Resume>,
    /// Whether any look succeeded.
    pub(super) answered: bool,
    /// That of the first answer.
    pub(super) cluster: Option<String>,
    /// The last request for the ids of topics had no answer.
    pub(super) silent_once: bool,
    /// None had, and they are not asked for at the moment.
    pub(super) silent_since: Option<Instant>,
    pub(super) policies: Policies,
    /// Partitions whose logs end before their next offset, and since when.
    pub(super) beyond_end: HashMap<Key, Instant>,
}

/// What is known of a topic.
#[derive(Debug, Default)]
pub(super) struct Topic {
    /// That of the topic that is read.
    pub(super) id: Option<String>,
    /// The id that was told last, and since when no other was.
    told: Option<(String, Instant)>,
    pub(super) reading: BTreeSet<i32>,
    /// Said to be found, and not started yet, for want of a leader or an answer.
    waiting: BTreeSet<i32>,
    /// Those that were seen at the first look, and not started yet.
    from_start: BTreeSet<i32>,
    /// Known, and not named by the brokers since then, in looks that all succeeded.
    absent: BTreeMap<i32, Instant>,
}

/// Partitions that are no more.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lost {
    read: Vec<i32>,
    never_read: Vec<i32>,
}

impl Topic {
    /// Takes note of the id that it is told to have; says for how long no other was told.
    fn hear(&mut self, id: &str, now: Instant) -> Duration {
        match &self.told {
            Some((told, since)) if told == id => now.saturating_duration_since(*since),
            _ => {
                self.told = Some((id.to_owned(), now));
                Duration::ZERO
            }
        }
    }

    /// Whether the last word was that it is not the topic that is read.
    pub(super) fn is_another_perhaps(&self) -> bool {
        let told = self.told.as_ref().map(|(told, _)| told);
        self.id.is_some() && told.is_some() && told != self.id.as_ref()
    }

    /// Takes note of which partitions `there` says there are, and forgets those that
    /// have been absent for [`GONE_AFTER`].
    fn lose(&mut self, there: impl Fn(i32) -> bool, now: Instant) -> Lost {
        self.absent.retain(|partition, _| !there(*partition));
        for partition in self.reading.iter().chain(&self.waiting) {
            if !there(*partition) {
                self.absent.entry(*partition).or_insert(now);
            }
        }
        let mut lost = Lost::default();
        self.absent.retain(|partition, since| {
            let gone = now.saturating_duration_since(*since) >= GONE_AFTER;
            if gone {
                self.from_start.remove(partition);
                self.waiting.remove(partition);
                let read = self.reading.remove(partition);
                let of = if read { &mut lost.read } else { &mut lost.never_read };
                of.push(*partition);
            }
            !gone
        });
        lost
    }
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

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    TheCluster,
    AnotherCluster,
}

impl<C: Fn() -> EventTime> Discovery<C> {
    pub(super) fn run(mut self, woken: &Receiver<()>) {
        while !self.shared.stopped() {
            let mut pause = match self.look() {
                Ok(complete) => {
                    self.reader_bootstrap.answered();
                    if complete { self.settings.discovery_interval } else { RETRY }
                }
                Err(error) => {
                    self.reader_bootstrap.silent(self.reader.client());
                    self.forget_absences();
                    self.shared.brokers_silent(&error.to_string());
                    RETRY
                }
            };
            if self.shared.take_gap_suspicion() {
                let settled = self.mend_gaps().unwrap_or_else(|error| {
                    tracing::debug!("which offsets are out of range is not known yet: {error}");
                    false
                });
                if !settled {
                    self.shared.suspect_gap_later();
                    pause = pause.min(RETRY);
                }
            }
            self.look_at_holes();
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
        let mut broker = None;
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
            broker = a_broker(&metadata);
            for pattern in &settings.topics {
                if let TopicPattern::Pattern(regex) = pattern {
                    let mut topics = metadata.topics().iter();
                    let any = topics.any(|topic| settings.means(pattern, topic.name()));
                    self.say_whether_there(regex.as_str(), any);
                }
            }
            for topic in metadata.topics() {
                let name = topic.name();
                if settings.reads(name) && !names.contains(name) {
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
            broker = a_broker(&metadata);
            match metadata.topics().first().map(|topic| self.judge(topic)) {
                Some(Found::Topic(found)) => {
                    self.say_whether_there(name, true);
                    seen.insert(name.to_owned(), found);
                }
                Some(Found::Missing) => {
                    self.say_whether_there(name, false);
                    // Whatever appears there later is new.
                    self.topics.entry(name.into()).or_default();
                }
                Some(Found::Unclear) | None => {
                    unclear.insert(name.to_owned());
                    complete = false;
                }
            }
        }
        self.shared.brokers_answer();
        if self.hear_cluster() == Heard::AnotherCluster {
            // Its topics are not those that were read, whatever their names.
            return Ok(false);
        }
        if !self.answered {
            self.answered = true;
            self.expect_resumed();
        }
        let (ids, uncertain) = match self.compare_ids(broker, &seen) {
            Ok(compared) => compared,
            Err(error) => {
                tracing::debug!("which topics these are is not known yet: {error}");
                self.forget_absences();
                return Ok(false);
            }
        };
        self.forget_gone(&seen, &unclear, complete);
        complete &= uncertain.is_empty();
        seen.retain(|name, _| !uncertain.contains(name));
        let names: Vec<&str> = seen.keys().map(String::as_str).collect();
        self.hear_policies(&names);
        seen.retain(|name, _| !self.leaves_out(name));
        // All are said to be found before any is started, so that nobody takes those
        // that were started first for all that there are.
        for (name, found) in &seen {
            self.take_up(name, found);
            if let (Some(topic), Some(id)) = (self.topics.get_mut(name.as_str()), ids.get(name)) {
                topic.id = Some(id.clone());
            }
        }
        for (name, found) in &seen {
            complete &= self.start_new(name, found, ids.get(name).map(String::as_str));
        }
        self.patterns_looked |= by_pattern && complete;
        Ok(complete && !self.shared.doubts_any())
    }

    /// Says which cluster answers, and another one that answers in its place. A client
    /// whose brokers have just answered knows it, or they have none.
    fn hear_cluster(&mut self) -> Heard {
        let id = self.reader.client().fetch_cluster_id(REQUEST_TIMEOUT);
        match (&self.cluster, id) {
            (Some(known), Some(id)) if *known == id => Heard::TheCluster,
            (Some(_), Some(id)) => {
                self.say(SourceEvent::Cluster(id));
                Heard::AnotherCluster
            }
            (None, Some(id)) => {
                self.cluster = Some(id.clone());
                self.say(SourceEvent::Cluster(id));
                Heard::TheCluster
            }
            (_, None) => {
                if !self.answered {
                    tracing::info!("the brokers give no id of their cluster");
                }
                Heard::TheCluster
            }
        }
    }

    /// What an earlier run read exists until the brokers say otherwise for long enough.
    fn expect_resumed(&mut self) {
        let settings = Arc::clone(&self.settings);
        self.resume.retain(|(topic, _), _| settings.reads(topic));
        let mut expected: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in self.resume.keys() {
            expected.entry(Arc::clone(topic)).or_default().push(*partition);
        }
        for (topic, partitions) in expected {
            let stood = partitions.iter().map(|number| (Arc::clone(&topic), *number));
            let id = stood.filter_map(|key| self.resume.get(&key)?.topic_id.clone()).next();
            let known = self.topics.entry(Arc::clone(&topic)).or_default();
            known.waiting.extend(&partitions);
            known.id = id;
            self.say(SourceEvent::Found { topic, partitions });
        }
    }

    /// The ids of the topics that there are, and those topics that may be others than
    /// before. One that is read and certainly has another id is begun anew.
    fn compare_ids(
        &mut self,
        broker: Option<i32>,
        seen: &BTreeMap<String, Seen>,
    ) -> KafkaResult<(HashMap<String, String>, BTreeSet<String>)> {
        let names: Vec<&str> = seen.keys().map(String::as_str).collect();
        let silent = self.silent_since.is_some_and(|since| since.elapsed() < ASK_AGAIN);
        let Some(broker) = broker.filter(|_| !silent && !names.is_empty()) else {
            return Ok((HashMap::new(), BTreeSet::new()));
        };
        let ids = match topic_ids(&self.prober, broker, &names) {
            Ok(ids) => ids,
            // Brokers that answer everything else do without for a while.
            Err(error) if self.silent_once => {
                tracing::info!("the brokers do not say the ids of topics: {error}");
                self.silent_since = Some(Instant::now());
                HashMap::new()
            }
            Err(error) => {
                self.silent_once = true;
                return Err(error);
            }
        };
        self.silent_once = false;
        let now = Instant::now();
        let mut uncertain = BTreeSet::new();
        let mut others = Vec::new();
        for (key, topic) in &mut self.topics {
            let name: &str = key;
            let Some(id) = ids.get(name) else { continue };
            let certain = topic.hear(id, now) >= CERTAIN;
            let first = topic.id.is_none() && !topic.reading.is_empty();
            let another = topic.id.as_ref().is_some_and(|known| known != id);
            if another && !certain {
                uncertain.insert(name.to_owned());
            } else if another && !topic.reading.is_empty() {
                others.push((Arc::clone(key), id.clone()));
            } else if first
                || certain && self.shared.in_doubt_for(name).is_some_and(|doubt| doubt >= CERTAIN)
            {
                self.shared.doubt_no_longer(name);
                self.shared.note(Note::Is { topic: Arc::clone(key), id: id.clone() });
            }
        }
        for (topic, id) in others {
            self.begin_anew(&topic, &id)?;
            self.shared.doubt_no_longer(&topic);
            if let Some(topic) = self.topics.get_mut(&topic) {
                topic.id = Some(id);
            }
        }
        Ok((ids, uncertain))
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

    pub(super) fn metadata(&self, topic: Option<&str>) -> KafkaResult<Metadata> {
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

    /// A look failed: for how long anything was absent is not known.
    fn forget_absences(&mut self) {
        self.topics.values_mut().for_each(|topic| topic.absent.clear());
    }

    fn forget_gone(
        &mut self,
        seen: &BTreeMap<String, Seen>,
        unclear: &BTreeSet<String>,
        all: bool,
    ) {
        let now = Instant::now();
        let mut gone: Vec<Key> = Vec::new();
        for (name, topic) in &mut self.topics {
            let found = seen.get(&**name);
            if found.is_none() && (unclear.contains(&**name) || !all) {
                topic.absent.clear();
                continue;
            }
            let there = |partition: i32| {
                found.is_some_and(|found| found.partitions.contains_key(&partition))
            };
            let all_there = topic.absent.is_empty();
            let lost = topic.lose(there, now);
            if all_there && !topic.absent.is_empty() {
                tracing::info!(
                    "the brokers do not name all of `{name}` any more: what is not named for {} s \
                     is taken for gone",
                    GONE_AFTER.as_secs()
                );
            }
            for partition in lost.read.iter().chain(&lost.never_read) {
                self.resume.remove(&(Arc::clone(name), *partition));
            }
            gone.extend(lost.read.into_iter().map(|partition| (Arc::clone(name), partition)));
            for partition in lost.never_read {
                tracing::warn!("partition {partition} of `{name}` is gone");
                let topic = Arc::clone(name);
                self.shared.note(Note::Say(SourceEvent::PartitionGone { topic, partition }));
            }
        }
        if !gone.is_empty() {
            self.shared.note(Note::Gone(gone));
        }
    }

    /// Says which partitions are new, all of which are going to be read.
    fn take_up(&mut self, name: &str, found: &Seen) {
        if !self.topics.contains_key(name) {
            let exact = |pattern: &TopicPattern| matches!(pattern, TopicPattern::Exact(exact) if exact == name);
            let first_look = !self.patterns_looked || self.settings.topics.iter().any(exact);
            let from_start = if first_look {
                found.partitions.keys().copied().collect()
            } else {
                BTreeSet::new()
            };
            self.topics.insert(name.into(), Topic { from_start, ..Topic::default() });
        }
        let key = self.topics.get_key_value(name).map(|(key, _)| Arc::clone(key));
        let (Some(key), Some(topic)) = (key, self.topics.get_mut(name)) else { return };
        let known = |partition: &i32| {
            topic.reading.contains(partition) || topic.waiting.contains(partition)
        };
        let new: Vec<i32> =
            found.partitions.keys().copied().filter(|partition| !known(partition)).collect();
        if !new.is_empty() {
            topic.waiting.extend(&new);
            self.say(SourceEvent::Found { topic: key, partitions: new });
        }
    }

    /// Starts what is not read yet; whether that worked for all of it.
    fn start_new(&mut self, name: &str, found: &Seen, id: Option<&str>) -> bool {
        let Some((key, topic)) = self.topics.get_key_value(name) else { return true };
        let key = Arc::clone(key);
        let mut complete = true;
        let mut resumed = Vec::new();
        let mut by_settings = Vec::new();
        let mut from_beginning = Vec::new();
        for (partition, has_leader) in &found.partitions {
            if topic.reading.contains(partition) {
                continue;
            }
            if !has_leader {
                self.shared.unreadable(&(Arc::clone(&key), *partition), "it has no leader");
                complete = false;
            } else if let Some(stood) = self.resume.get(&(Arc::clone(&key), *partition)) {
                resumed.push((*partition, stood.clone()));
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
                let begins = self.starts(&key, id, &partitions, at);
                complete &= self.begin(&key, &partitions, begins);
            }
        }
        if !resumed.is_empty() {
            let partitions: Vec<i32> = resumed.iter().map(|(number, _)| *number).collect();
            let begins = self.know(&key).and_then(|()| self.resume(&key, id, &resumed));
            complete &= self.begin(&key, &partitions, begins);
        }
        complete
    }

    /// A client that has seen the topic smaller takes a new partition for unknown.
    fn know(&mut self, topic: &str) -> KafkaResult<()> {
        match self.prober.fetch_metadata(Some(topic), REQUEST_TIMEOUT) {
            Ok(_) => self.prober_bootstrap.answered(),
            Err(error) => {
                self.prober_bootstrap.silent(self.prober.client());
                return Err(error);
            }
        }
        self.watermarks.fetch_metadata(Some(topic), REQUEST_TIMEOUT)?;
        self.metadata(Some(topic)).map(drop)
    }

    fn starts(
        &mut self,
        topic: &Arc<str>,
        id: Option<&str>,
        partitions: &[i32],
        at: StartAt,
    ) -> KafkaResult<Vec<Begin>> {
        let now = (self.clock)();
        self.know(topic)?;
        let (settings, shared) = (&self.settings, &self.shared);
        let starts = lookup::starts(settings, shared, &self.prober, topic, id, partitions, at, now);
        Ok(starts?.into_iter().map(|start| Begin { start, gap: None }).collect())
    }

    /// Starts those of the wanted partitions of which it is known where; whether that
    /// was all of them.
    fn begin(&mut self, topic: &Arc<str>, wanted: &[i32], begins: KafkaResult<Vec<Begin>>) -> bool {
        match begins {
            Ok(begins) => {
                for Begin { start, .. } in &begins {
                    let partition = start.partition;
                    self.resume.remove(&(Arc::clone(topic), partition));
                    if let Some(known) = self.topics.get_mut(topic) {
                        known.reading.insert(partition);
                        known.waiting.remove(&partition);
                        known.from_start.remove(&partition);
                    }
                }
                let all = begins.len() == wanted.len();
                self.shared.note(Note::Start(begins));
                all
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_certain_when_no_other_was_told_for_a_while() {
        let begin = Instant::now();
        let mut topic = Topic { id: Some("A".to_owned()), ..Topic::default() };
        let mut hears = |id: &str, millis, expected, another| {
            let heard = topic.hear(id, begin + Duration::from_millis(millis));
            assert_eq!((heard.as_millis(), topic.is_another_perhaps()), (expected, another));
        };
        hears("A", 0, 0, false);
        hears("A", 3_000, 3_000, false);
        hears("B", 3_500, 0, true);
        hears("B", 4_000, 500, true);
        // A broker that lags behind is asked in between.
        hears("A", 4_200, 0, false);
        hears("B", 4_700, 0, true);
        hears("B", 5_700, 1_000, true);
    }

    #[test]
    fn a_partition_is_gone_only_when_it_was_absent_for_long() {
        let begin = Instant::now();
        let at = |secs| begin + Duration::from_secs(secs);
        let mut topic = Topic {
            reading: [0, 1].into(),
            waiting: [2].into(),
            from_start: [2].into(),
            ..Topic::default()
        };
        let nobody = |_| false;
        assert_eq!(topic.lose(|_| true, at(0)), Lost::default());
        assert_eq!(topic.lose(nobody, at(1)), Lost::default(), "a broker may not know yet");
        assert_eq!(topic.lose(|partition| partition == 0, at(20)), Lost::default());
        let lost = Lost { read: vec![1], never_read: vec![2] };
        assert_eq!(topic.lose(nobody, at(31)), lost, "0 was there in between");
        assert!(topic.from_start.is_empty() && topic.waiting.is_empty());
        assert_eq!(topic.lose(nobody, at(60)), Lost::default());
        assert_eq!(topic.lose(nobody, at(61)), Lost { read: vec![0], never_read: vec![] });
        assert_eq!(topic.lose(nobody, at(200)), Lost::default(), "said once");
    }
}
