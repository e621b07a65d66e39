//! What the threads of one source share: the wish to stop, how the brokers are,
//! which offsets are to be committed, and the notes to the reading thread.
//!
//! Only the reading thread sends events, so that they stand in order; the others
//! leave notes for it here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use rdkafka::error::KafkaResult;

use super::SourceSettings;
use super::access::Access;
use super::events::{Folded, Gap, PartitionStart, SourceEvent};
use super::refusal::{Refusal, explain, is_out_of_turn, refusal};
use super::silence;
use crate::event::EventTime;

/// Trouble that lasts is said again after this time.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// A doubt that is older than this hurries nobody: its topic may be no more.
const DOUBT_LASTS: Duration = Duration::from_secs(10);

/// A partition.
pub(super) type Key = (Arc<str>, i32);

/// To the reading thread.
#[derive(Debug)]
pub(super) enum Note {
    /// Read these from now on.
    Start(Vec<Begin>),
    /// Read these no longer.
    Gone(Vec<Key>),
    /// The application has read enough of this one.
    Left(Key),
    /// Go on behind these gaps.
    Gaps(Vec<Gap>),
    /// The topic that is read has this id.
    Is {
        /// By name.
        topic: Arc<str>,
        /// Its id.
        id: String,
    },
    /// Pass this on.
    Say(SourceEvent),
}

/// A partition's start, and the gap that it begins with, if there is one.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) start: PartitionStart,
    pub(super) gap: Option<Gap>,
}

/// So many holes more than records are looked at: they may be aborted transactions, or a log
/// that is compacted. As many transactions may have begun before what is looked at.
pub(super) const MANY_HOLES: i64 = 100;

/// Holes were met in a partition.
#[derive(Debug)]
pub(super) struct Holes {
    pub(super) key: Key,
    /// They lie below this offset.
    pub(super) below: i64,
}

/// Where a partition ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// The high watermark.
    pub(super) log: i64,
    /// The last stable offset, where what may be read ends.
    pub(super) stable: i64,
}

/// The last answer about ends; a newer one replaces it.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) at: EventTime,
    pub(super) ends: Vec<(Key, End)>,
}

/// What the threads of one source share.
pub(super) struct Shared {
    group_id: String,
    bootstrap: String,
    access: Access,
    properties: BTreeMap<String, String>,
    stop: AtomicBool,
    abandon: AtomicBool,
    pub(super) paused: AtomicBool,
    notes: Sender<Note>,
    /// Wakes the discovery before its time.
    wake: Sender<()>,
    brokers: Mutex<Brokers>,
    /// Whether any broker has ever let this program in.
    answered: AtomicBool,
    fatal_said: AtomicBool,
    gap_suspected: AtomicBool,
    pub(super) ends: Mutex<Option<Ends>>,
    /// How far each partition is read.
    pub(super) positions: Mutex<HashMap<Key, i64>>,
    /// Partitions of which the application has read enough.
    pub(super) left: Mutex<HashSet<Key>>,
    /// Partitions whose logs were cut before what is next, whatever they hold by now.
    pub(super) truncated: Mutex<HashSet<Key>>,
    /// Topics that may be others than those that are read, and since when.
    doubted: Mutex<HashMap<String, Instant>>,
    /// Holes that nobody has looked at yet.
    holes: Mutex<Vec<Holes>>,
    commits: Mutex<Commits>,
    unreadable: Mutex<HashMap<Key, Instant>>,
}

#[derive(Debug, Default)]
struct Brokers {
    up: Option<bool>,
    /// What librdkafka said last.
    trouble: String,
    said: Option<Instant>,
    /// What was said, if the cause was known.
    why: Option<String>,
}

#[derive(Debug, Default)]
struct Commits {
    wanted: HashMap<Key, i64>,
    done: HashMap<Key, i64>,
}

/// A poisoned lock means that a thread panicked between two simple assignments: what
/// it guards is still whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(settings: &SourceSettings) -> (Self, Receiver<Note>, Receiver<()>) {
        let (notes, noted) = unbounded();
        let (wake, woken) = bounded(1);
        let shared = Shared {
            group_id: settings.group_id.clone(),
            bootstrap: settings.brokers.clone(),
            access: settings.access.clone(),
            properties: settings.properties.clone(),
            stop: AtomicBool::new(false),
            abandon: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            notes,
            wake,
            brokers: Mutex::default(),
            answered: AtomicBool::new(false),
            fatal_said: AtomicBool::new(false),
            gap_suspected: AtomicBool::new(false),
            ends: Mutex::default(),
            positions: Mutex::default(),
            left: Mutex::default(),
            truncated: Mutex::default(),
            doubted: Mutex::default(),
            holes: Mutex::default(),
            commits: Mutex::default(),
            unreadable: Mutex::default(),
        };
        (shared, noted, woken)
    }

    pub(super) fn note(&self, note: Note) {
        // The reading thread is gone only when everything stops.
        let _ = self.notes.send(note);
    }

    /// Read no further; what was read is still handed over.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Not even hand over any more: nobody takes it.
    pub(super) fn abandon(&self) {
        self.stop();
        self.abandon.store(true, Ordering::Release);
    }

    pub(super) fn abandoned(&self) -> bool {
        self.abandon.load(Ordering::Acquire)
    }

    /// All connections are lost, or an idle one was closed: a metadata request tells.
    pub(super) fn doubt_brokers(&self) {
        let _ = self.wake.try_send(());
    }

    /// A topic may be another one than before: the discovery compares.
    pub(super) fn doubt_id(&self, topic: &str) {
        lock(&self.doubted).insert(topic.to_owned(), Instant::now());
        let _ = self.wake.try_send(());
    }

    /// For how long it has been in doubt which topic it is.
    pub(super) fn in_doubt_for(&self, topic: &str) -> Option<Duration> {
        lock(&self.doubted).get(topic).map(Instant::elapsed)
    }

    pub(super) fn doubt_no_longer(&self, topic: &str) {
        lock(&self.doubted).remove(topic);
    }

    /// Whether it was said lately that this topic may be another one.
    pub(super) fn doubts(&self, topic: &str) -> bool {
        self.in_doubt_for(topic).is_some_and(|lasting| lasting < DOUBT_LASTS)
    }

    /// Whether that was said lately of any.
    pub(super) fn doubts_any(&self) -> bool {
        lock(&self.doubted).values().any(|since| since.elapsed() < DOUBT_LASTS)
    }

    pub(super) fn remember_trouble(&self, reason: &str) {
        lock(&self.brokers).trouble = reason.to_owned();
    }

    /// Whether there is no good token to sign in with, where one is needed.
    fn has_no_token(&self) -> bool {
        self.access.trouble().is_some()
    }

    /// Whether a refusal to let somebody in is over with the next token. Who was let in
    /// by one before is not at fault when another is refused: it has ended, its provider
    /// gave a bad one, or the connection was asked to sign in again, as brokers want it
    /// when a token ends, sooner than it may.
    fn will_mend(&self, reason: &str) -> bool {
        let was_let_in = self.answered.load(Ordering::Relaxed);
        let by_token = self.access.tokens().is_some();
        was_let_in && (by_token || is_out_of_turn(reason)) || self.access.is_between_tokens()
    }

    pub(super) fn brokers_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
        let mut brokers = lock(&self.brokers);
        if brokers.up != Some(true) {
            if brokers.up == Some(false) {
                tracing::info!("a broker answers again");
            }
            *brokers = Brokers { up: Some(true), ..Brokers::default() };
            self.note(Note::Say(SourceEvent::Brokers { up: true, why: None }));
        }
    }

    /// Why no broker answers, as far as that is known. May look at one, and take seconds.
    pub(super) fn why_silent(&self) -> Option<String> {
        let trouble = lock(&self.brokers).trouble.clone();
        self.explain(&trouble)
    }

    fn explain(&self, trouble: &str) -> Option<String> {
        let answered = self.answered.load(Ordering::Relaxed);
        silence::explain(&self.access, &self.properties, &self.bootstrap, trouble, answered)
    }

    /// May look at a broker, and take seconds.
    pub(super) fn brokers_silent(&self, error: &str) {
        let (is_new, is_due, trouble) = {
            let mut brokers = lock(&self.brokers);
            let is_new = brokers.up != Some(false);
            if is_new {
                *brokers = Brokers {
                    up: Some(false),
                    trouble: brokers.trouble.clone(),
                    ..Brokers::default()
                };
            }
            let is_due = brokers.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN);
            let is_due = is_due
                || brokers.why.is_none() && (!brokers.trouble.is_empty() || self.has_no_token());
            (is_new, is_due, brokers.trouble.clone())
        };
        if is_new {
            self.note(Note::Say(SourceEvent::Brokers { up: false, why: None }));
        }
        if !is_due {
            return;
        }
        // Not under the lock: the reading thread takes it.
        let why = self.explain(&trouble);
        let detail = why.as_deref().unwrap_or(error);
        tracing::warn!("no broker answers, and is tried again until one does: {detail}");
        let mut brokers = lock(&self.brokers);
        brokers.said = Some(Instant::now());
        if why.is_some() && brokers.why != why {
            brokers.why.clone_from(&why);
            self.note(Note::Say(SourceEvent::Brokers { up: false, why }));
        }
    }

    /// Ends it all, where no waiting mends what was refused.
    pub(super) fn fatal(&self, refusal: Refusal, topic: Option<&str>, reason: &str) {
        if refusal == Refusal::Authentication && self.will_mend(reason) {
            self.remember_trouble(reason);
            return;
        }
        if !self.fatal_said.swap(true, Ordering::Relaxed) {
            let text =
                explain(refusal, topic, &self.group_id, &self.access, &self.properties, reason);
            tracing::error!("{text}");
            self.note(Note::Say(SourceEvent::Fatal(text)));
        }
    }

    pub(super) fn suspect_gap(&self) {
        self.gap_suspected.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
    }

    /// As [`Shared::suspect_gap`], at the next look.
    pub(super) fn suspect_gap_later(&self) {
        self.gap_suspected.store(true, Ordering::Release);
    }

    pub(super) fn take_gap_suspicion(&self) -> bool {
        self.gap_suspected.swap(false, Ordering::AcqRel)
    }

    /// More offsets of a partition held nothing than held records.
    pub(super) fn suspect_compaction(&self, holes: Holes) {
        lock(&self.holes).push(holes);
        let _ = self.wake.try_send(());
    }

    pub(super) fn take_holes(&self) -> Vec<Holes> {
        std::mem::take(&mut *lock(&self.holes))
    }

    pub(super) fn unreadable(&self, key: &Key, error: &str) {
        let mut unreadable = lock(&self.unreadable);
        if unreadable.get(key).is_some_and(|said| said.elapsed() < SAY_AGAIN) {
            return;
        }
        unreadable.insert(key.clone(), Instant::now());
        let (topic, partition) = key;
        tracing::warn!("partition {partition} of `{topic}` cannot be read at the moment: {error}");
        self.note(Note::Say(SourceEvent::Unreadable {
            topic: topic.clone(),
            partition: *partition,
            error: error.to_owned(),
        }));
    }

    pub(super) fn readable(&self, key: &Key) {
        let mut unreadable = lock(&self.unreadable);
        if !unreadable.is_empty() && unreadable.remove(key).is_some() {
            tracing::info!("partition {} of `{}` can be read again", key.1, key.0);
        }
    }

    pub(super) fn want_committed(&self, folded: Vec<Folded>) {
        let wanted = &mut lock(&self.commits).wanted;
        for Folded { topic, partition, next_offset } in folded {
            wanted.insert((topic, partition), next_offset);
        }
    }

    /// Offsets of logs that are gone are not to be committed for others of their names.
    pub(super) fn forget_commits(&self, keys: &[Key]) {
        let mut commits = lock(&self.commits);
        for key in keys {
            commits.wanted.remove(key);
            commits.done.remove(key);
        }
    }

    /// What was asked for and is not committed.
    pub(super) fn next_commit(&self) -> Vec<(Key, i64)> {
        let commits = lock(&self.commits);
        let open = |(key, offset): &(&Key, &i64)| commits.done.get(*key) != Some(offset);
        let open = commits.wanted.iter().filter(open);
        open.map(|(key, offset)| (key.clone(), *offset)).collect()
    }

    /// Whether all that was asked for is committed.
    pub(super) fn all_committed(&self) -> bool {
        let commits = lock(&self.commits);
        commits.wanted.iter().all(|(key, offset)| commits.done.get(key) == Some(offset))
    }

    pub(super) fn committed(&self, offsets: Vec<(Key, i64)>, result: KafkaResult<()>) {
        match result {
            Ok(()) => lock(&self.commits).done.extend(offsets),
            Err(error) => match error.rdkafka_error_code().and_then(refusal) {
                Some(refusal) => self.fatal(refusal, None, &error.to_string()),
                None => tracing::debug!("offsets were not committed, and will be again: {error}"),
            },
        }
    }
}
