//! New measures of slices get their past from what the topics still hold.
//!
//! A second reading, with a source and a thread of its own, goes through the records
//! below the offsets at which the live one went on, into a store of its own. When all
//! of them are read, the engine adds the new columns of that store to its own between
//! two batches; nothing else changes. The second reading commits nothing, writes no
//! dead letters and counts in no ledger: the first one did. It gives way while the live
//! reading is behind or memory is short.

mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use crate::app::decoding::RecordDecoder;
use crate::app::engine::Engine;
use crate::event::{EventTime, Span};
use crate::export::{BackfillReport, Report};
use crate::kafka::{self, GapReason, Resume, SourceEvent, SourceSettings, TopicPattern};
use crate::kpi::Store;

use reading::{Limits, Reading};

/// While the figures are older than this, the live reading has precedence.
const BEHIND: Span = Span::from_secs(5);

/// No moment is so early.
const NO_FIGURES: i64 = i64::MIN;

/// A backfill of one instance.
pub(crate) struct Backfill {
    columns: u64,
    resume: BTreeMap<(Arc<str>, i32), Resume>,
    shared: Arc<Shared>,
    outcome: Receiver<Outcome>,
    state: State,
    began: Instant,
}

/// What the engine's thread and that of the backfill tell each other.
#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    /// The live reading has precedence.
    gives_way: AtomicBool,
    /// The moment of the live figures, in microseconds, or [`NO_FIGURES`].
    live_as_of: AtomicI64,
    done_records: AtomicU64,
    total_records: AtomicU64,
}

impl Shared {
    /// The moment of the live figures, or of those before them.
    fn live_as_of(&self) -> Option<EventTime> {
        let micros = self.live_as_of.load(Ordering::Relaxed);
        (micros != NO_FIGURES).then(|| EventTime::from_micros(micros))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Filled,
    GivenUp,
}

/// How the reading ended.
enum Outcome {
    /// Everything is read.
    Read { past: Box<Store>, covered_from: Option<EventTime> },
    /// It cannot go on; the text says why.
    GaveUp(String),
}

impl Backfill {
    /// Begins to read what lies below the offsets of `resume` in a thread of its own,
    /// as `settings` say but for the topics. Only partitions below whose offset there
    /// is anything should be given.
    ///
    /// # Errors
    /// Settings that librdkafka refuses, and a system that refuses a thread.
    pub(crate) fn start(
        mut settings: SourceSettings,
        resume: BTreeMap<(Arc<str>, i32), Resume>,
        decoder: RecordDecoder,
        horizon: Option<Span>,
        engine: &Engine,
    ) -> Result<Backfill, String> {
        let mut topics: Vec<&Arc<str>> = resume.keys().map(|(topic, _)| topic).collect();
        topics.dedup();
        settings.topics =
            topics.into_iter().map(|topic| TopicPattern::Exact(topic.to_string())).collect();
        settings.resume = BTreeMap::new();
        settings.channel_batches = FETCHED_BATCHES;
        for (name, value) in FETCHED_AHEAD {
            settings.properties.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        let source = kafka::start(settings, super::clock::now)?;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            gives_way: AtomicBool::new(true),
            live_as_of: AtomicI64::new(NO_FIGURES),
            done_records: AtomicU64::new(0),
            total_records: AtomicU64::new(0),
        });
        let columns = engine.begun().len() as u64;
        let limits = Limits::new(&resume);
        let (end, outcome) = bounded(1);
        let reading = Reading::new(source, decoder, engine, horizon, limits, Arc::clone(&shared));
        std::thread::Builder::new()
            .name("backfill".to_owned())
            .spawn(move || {
                if let Some(outcome) = reading.run() {
                    // Nobody waits for it once the service stops.
                    let _ = end.send(outcome);
                }
            })
            .map_err(|error| format!("the system refuses a thread: {error}"))?;
        tracing::info!(
            columns,
            partitions = resume.len(),
            "filling the new measures of slices from the topics; all others go on meanwhile"
        );
        let (state, began) = (State::Reading, Instant::now());
        Ok(Backfill { columns, resume, shared, outcome, state, began })
    }

    /// Takes over what was read, once all of it is; costs next to nothing before.
    pub(crate) fn step(&mut self, engine: &mut Engine) {
        if self.state != State::Reading {
            return;
        }
        match self.outcome.try_recv() {
            Ok(Outcome::Read { past, covered_from }) => {
                let merging = Instant::now();
                engine.fill(*past, covered_from);
                self.state = State::Filled;
                tracing::info!(
                    columns = self.columns,
                    records = self.shared.done_records.load(Ordering::Relaxed),
                    covered_from = covered_from.map(tracing::field::display),
                    took_s = self.began.elapsed().as_secs(),
                    merging_ms = merging.elapsed().as_millis(),
                    "the new measures of slices are filled from the topics"
                );
            }
            Ok(Outcome::GaveUp(why)) => self.give_up(&why),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                self.give_up("its thread ended unexpectedly; please report this with the log");
            }
        }
    }

    /// What the live source says of partitions that are being filled.
    pub(crate) fn said(&mut self, said: &SourceEvent) {
        let (topic, partition, what) = match said {
            SourceEvent::Gap(gap) if gap.reason != GapReason::Retention => {
                (&gap.topic, gap.partition, "holds other records than before")
            }
            SourceEvent::PartitionGone { topic, partition } => (topic, *partition, "is gone"),
            _ => return,
        };
        if self.state == State::Reading && self.resume.contains_key(&(Arc::clone(topic), partition))
        {
            self.give_up(&format!("partition {partition} of `{topic}` {what}"));
        }
    }

    /// Gives the live reading precedence while its figures are old.
    pub(crate) fn reported(&self, report: &Report) {
        let as_of = report.snapshot.as_ref().map(|snapshot| snapshot.as_of);
        let behind = as_of.is_none_or(|as_of| report.made_at - as_of > BEHIND);
        self.shared.gives_way.store(behind, Ordering::Relaxed);
        let as_of = as_of.map_or(NO_FIGURES, EventTime::micros);
        self.shared.live_as_of.store(as_of, Ordering::Relaxed);
    }

    /// Gives up before the live reading would have to pause for want of memory.
    pub(crate) fn look_at_memory(&mut self, resident: u64, limit: u64) {
        if self.state == State::Reading && resident >= limit / 10 * 9 {
            self.give_up(
                "memory is near its limit: raise `memory_limit`, or lower the caps or the windows",
            );
        }
    }

    /// Ends the reading at once, and without a result.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    fn give_up(&mut self, why: &str) {
        self.stop();
        self.state = State::GivenUp;
        tracing::warn!(
            columns = self.columns,
            "the new measures of slices are not filled from the topics, and hold what came since \
             they began; the next start tries it again: {why}"
        );
    }

    /// For the pages.
    pub(crate) fn report(&self) -> BackfillReport {
        BackfillReport {
            columns: self.columns,
            done_records: self.shared.done_records.load(Ordering::Relaxed),
            total_records: self.shared.total_records.load(Ordering::Relaxed),
            finished: self.state == State::Filled,
        }
    }
}

/// Few: the live reading needs the memory more.
const FETCHED_BATCHES: usize = 4;
const FETCHED_AHEAD: [(&str, &str); 2] =
    [("queued.min.messages", "10000"), ("queued.max.messages.kbytes", "16384")];

impl Drop for Backfill {
    fn drop(&mut self) {
        self.stop();
    }
}
