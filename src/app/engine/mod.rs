//! The folding thread's state: it takes decoded batches and what the source says
//! in their order, and makes reports.
//!
//! It owns everything that changes (cells, ledgers, progress) and needs no lock.
//! It neither waits nor reads a clock: the time is an argument, so that a test can
//! run a whole day in a moment.

#[cfg(test)]
mod clocks;
mod compacted;
mod filling;
mod freshness;
mod head;
mod reporting;
mod saving;

pub use head::{Counts, Head, PartitionHead, TopicHead};
pub use saving::{Cut, Missing};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::admit::{Ledger, RecentLedger, SeenIds};
use crate::app::decoding::DecodedBatch;
use crate::app::roles::TopicRoles;
use crate::checkpoint::ListName;
use crate::event::{EventTime, Span};
use crate::kafka::{DeadLetter, Folded, Gap, PartitionEnd, PartitionStart};
use crate::kpi::{KpiSnapshot, Plan, Store};
use crate::objective::ObjectiveSpec;
use crate::window::{Progress, StartedAt};

/// All state of one instance.
pub struct Engine {
    plan: Arc<Plan>,
    objectives: Arc<[ObjectiveSpec]>,
    roles: TopicRoles,
    store: Store,
    /// By which copies are told; `None` if they are not to be.
    seen: Option<SeenIds>,
    horizon: Option<Span>,
    progress: Progress,
    topics: BTreeMap<Arc<str>, TopicState>,
    missing_topics: BTreeSet<String>,
    brokers_up: bool,
    /// Why none answers, as far as that is known.
    brokers_why: Option<String>,
    /// The cluster that everything is read from, once it is known.
    cluster: Option<String>,
    /// Measures that are being filled from the topics, by the names of slice and
    /// measure.
    filling: BTreeSet<(String, String)>,
    /// Measures of slices that have no past yet.
    begun: filling::Begun,
    /// Up to this moment records are missing of partitions that are gone.
    missing_until: Option<EventTime>,
    /// Where topics begin that were not read yet, if somebody asked for a time.
    start_from: Option<EventTime>,
    /// Saved lists that nobody needs.
    superfluous_lists: Vec<ListName>,
    stopping: bool,
    started_at: EventTime,
    /// The newest report's `as_of`, and when it was made.
    last: Option<(EventTime, EventTime)>,
    /// The figures of the last reports that were made while there was nothing to be read,
    /// the newest last.
    settled: VecDeque<Arc<KpiSnapshot>>,
}

#[derive(Default)]
struct TopicState {
    ledger: Ledger,
    recent: RecentLedger,
    partitions: BTreeMap<i32, PartitionState>,
    /// What was gone before it could be read, also of partitions that are gone.
    losses: BTreeMap<i32, Losses>,
    /// Its log is compacted.
    compacted: bool,
}

/// Records of a partition that were gone before they could be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// How often.
    pub gaps: u64,
    /// How many, as far as offsets tell.
    pub records: u64,
}

struct PartitionState {
    /// Dead letters below this were written by an earlier run; unknown, and nothing to
    /// be committed, before the source has started the partition.
    dead_letters_from: Option<i64>,
    folded: i64,
    /// Offsets that no window reached back to when its reading began.
    passed_over: u64,
    topic_id: Option<String>,
}

impl Engine {
    /// An instance that has read nothing yet, and remembers ids for `horizon`.
    pub fn new(
        plan: Arc<Plan>,
        objectives: Arc<[ObjectiveSpec]>,
        horizon: Option<Span>,
        started_at: EventTime,
    ) -> Self {
        Engine {
            store: store_of(&plan, &objectives),
            seen: horizon.map(SeenIds::new),
            horizon,
            plan,
            objectives,
            roles: TopicRoles::default(),
            progress: Progress::default(),
            topics: BTreeMap::new(),
            missing_topics: BTreeSet::new(),
            brokers_up: true,
            brokers_why: None,
            cluster: None,
            filling: BTreeSet::new(),
            begun: filling::Begun::default(),
            missing_until: None,
            start_from: None,
            superfluous_lists: Vec::new(),
            stopping: false,
            started_at,
            last: None,
            settled: VecDeque::new(),
        }
    }

    /// With what is declared of the topics; without, everything may rest on each of them.
    pub fn bound(self, roles: TopicRoles) -> Self {
        Engine { roles, ..self }
    }

    /// What is declared of the topics.
    pub fn roles(&self) -> &TopicRoles {
        &self.roles
    }

    /// Partitions exist that are not read yet: figures wait for them.
    pub fn found(&mut self, topic: &str, partitions: &[i32], now: EventTime) {
        for &partition in partitions {
            self.progress.expect_partition(topic, partition, now);
        }
    }

    /// The brokers are of this cluster.
    ///
    /// # Errors
    /// The state is of another one: offsets of one say nothing of the other.
    pub fn cluster(&mut self, id: &str) -> Result<(), String> {
        match &self.cluster {
            Some(saved) if saved != id => Err(format!(
                "the saved state is of the cluster `{saved}`, and the brokers are of `{id}`: \
                 correct `brokers`, or begin anew with `tidegauge state reset`"
            )),
            _ => {
                self.cluster = Some(id.to_owned());
                Ok(())
            }
        }
    }

    /// A partition is about to be read: from where the saved state ends, or anew.
    pub fn partition(&mut self, start: &PartitionStart, now: EventTime) {
        // Of a compacted log nobody knows what is gone.
        let begins_now = Some(now).filter(|_| self.adds_up_compacted(&start.topic));
        let covered_from = start.covered_from.max(begins_now);
        let started = StartedAt { offset: start.start_offset, covered_from };
        let topic = self.topics.entry(Arc::clone(&start.topic)).or_default();
        let committed = start.committed.unwrap_or(0);
        if start.resumed
            && let Some(saved) = topic.partitions.get_mut(&start.partition)
        {
            saved.dead_letters_from = Some(committed);
            // Another id comes with the gap that it makes: saved before that, it would hide
            // the gap after a crash.
            if saved.topic_id.is_none() {
                saved.topic_id.clone_from(&start.topic_id);
            }
            self.progress.readable(&start.topic, start.partition, now);
            return;
        }
        self.progress.add_partition(&start.topic, start.partition, started, now);
        topic.partitions.insert(
            start.partition,
            PartitionState {
                dead_letters_from: Some(committed),
                folded: start.start_offset,
                // What compaction took was there for nobody to pass over.
                passed_over: if topic.compacted { 0 } else { start.passed_over() },
                topic_id: start.topic_id.clone(),
            },
        );
    }

    /// The brokers say only now which topic it is that is being read.
    pub fn topic_id(&mut self, topic: &str, id: &str) {
        let partitions = self.topics.get_mut(topic).map(|topic| topic.partitions.values_mut());
        for partition in partitions.into_iter().flatten() {
            partition.topic_id.get_or_insert_with(|| id.to_owned());
        }
    }

    /// Folds a batch; returns the dead letters that this run has to write.
    pub fn fold(&mut self, mut batch: DecodedBatch, now: EventTime) -> Vec<DeadLetter> {
        if let Some(seen) = &mut self.seen {
            batch.leave_out_copies(seen);
        }
        let untimed = batch.untimed.drain(..).map(|(_, time)| time);
        self.progress.untimed_read(untimed.filter(|time| *time <= now).max());
        self.store.fold(&batch.events);
        for part in batch.ledgers {
            let topic = self.topics.entry(part.topic).or_default();
            topic.ledger.merge(&part.ledger);
            // A timestamp above the clock would hold its place in the ring for as
            // long as it takes until then.
            topic.recent.add(part.minute.map_or(now, |minute| minute.min(now)), &part.ledger);
        }
        for position in &batch.positions {
            self.progress.read(
                &position.topic,
                position.partition,
                position.highest_timestamp,
                position.next_offset,
                now,
            );
            let topic = self.topics.entry(Arc::clone(&position.topic)).or_default();
            if let Some(partition) = topic.partitions.get_mut(&position.partition) {
                partition.folded = position.next_offset;
            }
        }
        let written_before = |letter: &DeadLetter| {
            let partition = self.topics.get(&letter.topic)?.partitions.get(&letter.partition)?;
            Some(letter.offset < partition.dead_letters_from.unwrap_or(0))
        };
        let mut letters = batch.dead_letters;
        letters.retain(|letter| !written_before(letter).unwrap_or(false));
        letters
    }

    /// A partition is read no longer: its topic is gone, or has become smaller. What
    /// of it was not read is missing from every window that reaches back to before now,
    /// and so is what was missing already.
    pub fn partition_gone(&mut self, topic: &str, partition: i32, now: EventTime) {
        self.settled.clear();
        let missing = self.progress.reached(topic, partition).and_then(|of| of.start.covered_from);
        // Where its end is not known, nothing says that all of it was read.
        let unread = self.progress.unread(topic, partition);
        self.progress.remove_partition(topic, partition);
        self.missing_until = self.missing_until.max(missing);
        let Some(state) = self.topics.get_mut(topic) else { return };
        if state.partitions.remove(&partition).is_none() || unread == Some(0) {
            return;
        }
        self.missing_until = self.missing_until.max(Some(now));
        let losses = state.losses.entry(partition).or_default();
        losses.gaps += 1;
        losses.records += unread.unwrap_or(0);
        tracing::warn!(
            topic,
            partition,
            unread,
            "a partition is gone with records that were not read: windows that reach back to \
             before now lack them, and objectives are unknown until these have passed"
        );
    }

    /// Records were deleted before they could be read: coverage begins behind them.
    pub fn gap(&mut self, gap: &Gap, now: EventTime) {
        self.settled.clear();
        let before = self.progress.reached(&gap.topic, gap.partition);
        // What was missing before the gap is missing still.
        let missing = before.and_then(|reached| reached.start.covered_from);
        let covered_from = gap.covered_from.max(missing);
        let started = StartedAt { offset: gap.to_offset, covered_from };
        self.progress.add_partition(&gap.topic, gap.partition, started, now);
        let topic = self.topics.entry(Arc::clone(&gap.topic)).or_default();
        if let Some(partition) = topic.partitions.get_mut(&gap.partition) {
            partition.folded = gap.to_offset;
            partition.topic_id.clone_from(&gap.topic_id);
            let losses = topic.losses.entry(gap.partition).or_default();
            losses.gaps += 1;
            losses.records += gap.lost.unwrap_or(0);
            if gap.to_offset < gap.from_offset {
                // The topic was created anew: none of its dead letters was written.
                partition.dead_letters_from = Some(gap.to_offset);
            }
        }
    }

    /// A partition cannot be read at the moment.
    pub fn unreadable(&mut self, topic: &str, partition: i32, now: EventTime) {
        self.progress.unreadable(topic, partition, now);
    }

    /// Nothing is taken from the source at the moment, for want of room or a dead-letter
    /// topic that refuses: partitions are not silent for that.
    pub fn paused(&mut self, now: EventTime) {
        self.progress.nobody_listens(now);
    }

    /// The broker has said where the partitions end. Everything that was delivered
    /// before is folded, so that what lies below a position and was never delivered
    /// (transaction markers, compacted records) counts as folded.
    pub fn ends(&mut self, ends: &[PartitionEnd], at: EventTime, now: EventTime) {
        for end in ends {
            self.progress.position(&end.topic, end.partition, end.position, now);
            let topic = self.topics.get_mut(&end.topic);
            if let Some(of) = topic.and_then(|topic| topic.partitions.get_mut(&end.partition)) {
                // Markers at the end of an idle log: a restart must not look for them again.
                of.folded = of.folded.max(end.position);
            }
            self.progress.end_reported(&end.topic, end.partition, end.end_offset, at);
            self.progress.stable_end_reported(&end.topic, end.partition, end.stable_offset, at);
        }
    }

    /// A declared topic does not exist, or does again.
    pub fn topic_exists(&mut self, topic: &str, exists: bool) {
        if exists {
            self.missing_topics.remove(topic);
        } else {
            self.missing_topics.insert(topic.to_owned());
        }
    }

    /// Whether any broker answers, and why none does as far as that is known.
    pub fn brokers(&mut self, up: bool, why: Option<String>) {
        self.brokers_up = up;
        self.brokers_why = why;
    }

    /// The name of a slice.
    pub fn slice_name(&self, slice: usize) -> &str {
        &self.plan.declarations().slices[slice].name
    }

    /// From now on readiness says that the process is stopping.
    pub fn stopping(&mut self) {
        self.stopping = true;
    }

    /// From when on everything was read; `None` where nothing came before.
    fn covered_from(&self) -> Option<EventTime> {
        self.progress.covered_from().max(self.missing_until)
    }

    /// Where each partition is folded to, cut at the first offset whose dead letter
    /// is not written: what may be committed. Never below what an earlier run
    /// committed, or a third one would write the dead letters in between again.
    pub fn folded(&self, unwritten: impl Fn(&str, i32) -> Option<i64>) -> Vec<Folded> {
        let mut folded = Vec::new();
        for (topic, state) in &self.topics {
            for (&partition, at) in &state.partitions {
                let Some(least) = at.dead_letters_from else { continue };
                let unwritten = unwritten(topic, partition).unwrap_or(at.folded);
                folded.push(Folded {
                    topic: Arc::clone(topic),
                    partition,
                    next_offset: at.folded.min(unwritten).max(least),
                });
            }
        }
        folded
    }

    /// Offsets of a durable checkpoint as they may be committed: never below what an
    /// earlier run committed, as in [`Engine::folded`].
    pub fn committable(&self, folded: Vec<Folded>) -> Vec<Folded> {
        let may_be = |of: Folded| {
            let partition = self.topics.get(&of.topic)?.partitions.get(&of.partition)?;
            let least = partition.dead_letters_from?;
            Some(Folded { next_offset: of.next_offset.max(least), ..of })
        };
        folded.into_iter().filter_map(may_be).collect()
    }
}

/// Empty, with a place for every value that an objective names.
fn store_of(plan: &Arc<Plan>, objectives: &[ObjectiveSpec]) -> Store {
    let mut store = Store::new(Arc::clone(plan));
    for objective in objectives.iter().filter(|objective| objective.is_literal()) {
        store.reserve(objective.slice, objective.selector.iter().flatten().map(String::as_str));
    }
    store
}

#[cfg(test)]
mod tests;
