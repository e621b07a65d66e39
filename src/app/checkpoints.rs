//! When a checkpoint is cut, when it may be written, and what may be committed then.
//!
//! A cut is taken by time or by volume, whichever comes first, while the one before is
//! durable already; so there is never more than one under way, and the pipeline does
//! not wait for it. A cut waits here until every dead letter that it covers is
//! written: a restart from it would not write them again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admit::Ledger;
use crate::app::clock;
use crate::app::engine::{Cut, Engine, Losses, Missing};
use crate::checkpoint::{Step, Submission, Writer};
use crate::event::{EventTime, Span};
use crate::export::StateReport;
use crate::kafka::Folded;

/// With so many times the events of one checkpoint folded and none durable, folding
/// waits: the disk is too slow for what comes in.
const MOST_BEHIND: u64 = 4;

/// The checkpoints of one instance.
pub(crate) struct Checkpoints {
    writer: Writer,
    every: Duration,
    events: u64,
    sequence: u64,
    schema: Arc<[u8]>,
    begins_cycle: bool,
    next_at: Instant,
    folded_events: u64,
    /// Cut, and waits for its dead letters.
    waiting: Option<(Step, Covered)>,
    /// With the writer.
    under_way: Option<Covered>,
    durable: Option<Durable>,
}

/// What a cut stands for, beside the figures.
struct Covered {
    sequence: u64,
    made_at: EventTime,
    folded: Vec<Folded>,
    ledgers: Vec<(String, Ledger)>,
    missing: Missing,
}

struct Durable {
    saved_at: EventTime,
    ledgers: Arc<[(String, Ledger)]>,
    missing: Missing,
}

impl Checkpoints {
    /// Goes on behind the step `last`; `fresh` says that nothing before it is needed
    /// any more, since the first step holds all.
    pub(crate) fn new(
        writer: Writer,
        every: Span,
        events: u64,
        last: u64,
        schema: Vec<u8>,
        fresh: bool,
    ) -> Checkpoints {
        let every = Duration::from_micros(every.micros().unsigned_abs());
        Checkpoints {
            writer,
            every,
            events,
            sequence: last,
            schema: schema.into(),
            begins_cycle: fresh,
            next_at: Instant::now() + every,
            folded_events: 0,
            waiting: None,
            under_way: None,
            durable: None,
        }
    }

    /// The state that was loaded is a durable checkpoint as well.
    pub(crate) fn loaded(&mut self, saved_at: EventTime, engine: &Engine) {
        let (ledgers, missing) = (engine.ledgers().into(), engine.missing());
        self.durable = Some(Durable { saved_at, ledgers, missing });
    }

    /// What the newest durable checkpoint says of a partition. As with the ledgers, it
    /// never goes back over a crash.
    pub(crate) fn missing(&self, topic: &str, partition: i32) -> Losses {
        let durable = self.durable.as_ref();
        let missing = durable.and_then(|of| of.missing.get(&(topic.to_owned(), partition)));
        missing.copied().unwrap_or_default()
    }

    /// So many events were folded.
    pub(crate) fn folded(&mut self, events: u64) {
        self.folded_events += events;
    }

    /// Whether folding has to wait for the disk.
    pub(crate) fn holds_back(&self) -> bool {
        self.folded_events >= self.events.saturating_mul(MOST_BEHIND)
            || self.writer.status().blocked.is_some()
    }

    /// Cuts a checkpoint when one is due, hands it over once `flushed` says that the
    /// dead letters below its offsets are written, and gives the offsets that became
    /// durable.
    pub(crate) fn step(
        &mut self,
        engine: &mut Engine,
        flushed: impl Fn(&Folded) -> bool,
    ) -> Option<Vec<Folded>> {
        let durable = self.take_durable();
        let due = Instant::now() >= self.next_at || self.folded_events >= self.events;
        if due && self.waiting.is_none() && self.under_way.is_none() {
            self.cut(engine);
        }
        if self.under_way.is_none()
            && let Some((step, covered)) = self.waiting.take()
        {
            if covered.folded.iter().all(flushed) {
                match self.writer.submit(step) {
                    Submission::Accepted => self.under_way = Some(covered),
                    Submission::Busy(step) | Submission::Closed(step) => {
                        self.waiting = Some((*step, covered));
                    }
                }
            } else {
                self.waiting = Some((step, covered));
            }
        }
        durable
    }

    /// The last checkpoint of a run: waits until everything is durable, at most for
    /// `deadline`. Gives the offsets that are.
    pub(crate) fn finish(
        mut self,
        engine: &mut Engine,
        flushed: impl Fn(&Folded) -> bool,
        deadline: Duration,
    ) -> Option<Vec<Folded>> {
        let until = Instant::now() + deadline;
        let mut durable = None;
        let mut last_cut = false;
        while Instant::now() < until {
            durable = self.take_durable().or(durable);
            let idle = self.waiting.is_none() && self.under_way.is_none();
            if idle && last_cut {
                break;
            }
            if idle {
                self.next_at = Instant::now();
                last_cut = true;
            } else {
                self.next_at = until;
            }
            durable = self.step(engine, &flushed).or(durable);
            std::thread::sleep(Duration::from_millis(1));
        }
        let saved = self.durable.as_ref().map(|durable| durable.saved_at);
        if !self.writer.close(until.max(Instant::now() + Duration::from_millis(50))) {
            tracing::warn!(
                "the last checkpoint could not be written in time: the next start goes on from the one before, if there is one"
            );
        } else if let Some(saved_at) = saved {
            tracing::info!(%saved_at, checkpoint = self.sequence, "the state is saved");
        }
        durable
    }

    fn take_durable(&mut self) -> Option<Vec<Folded>> {
        let written = self.writer.status().durable?.sequence;
        let covered = self.under_way.take_if(|covered| covered.sequence <= written)?;
        let ledgers = covered.ledgers.into();
        let missing = covered.missing;
        self.durable = Some(Durable { saved_at: covered.made_at, ledgers, missing });
        Some(covered.folded)
    }

    fn cut(&mut self, engine: &mut Engine) {
        let Cut { head, changes, completes_cycle, additions, dropped, folded, ledgers, missing } =
            engine.cut();
        self.sequence += 1;
        let (sequence, made_at) = (self.sequence, clock::now());
        let step = Step {
            sequence,
            made_at,
            schema: Arc::clone(&self.schema),
            head,
            changes,
            additions,
            dropped,
            begins_cycle: self.begins_cycle,
        };
        self.begins_cycle = completes_cycle;
        self.folded_events = 0;
        self.next_at = Instant::now() + self.every;
        self.waiting = Some((step, Covered { sequence, made_at, folded, ledgers, missing }));
    }

    /// For the pages.
    pub(crate) fn report(&self) -> StateReport {
        let status = self.writer.status();
        StateReport {
            every: Span::from_micros(i64::try_from(self.every.as_micros()).unwrap_or(i64::MAX)),
            saved_at: self.durable.as_ref().map(|durable| durable.saved_at),
            durable: self
                .durable
                .as_ref()
                .map_or_else(|| Arc::from([]), |durable| Arc::clone(&durable.ledgers)),
            checkpoints: status.checkpoints,
            written_bytes: status.written_bytes,
            checkpoint_bytes: status.checkpoint_bytes,
            checkpoint_took: status.checkpoint_took,
            disk_bytes: status.disk_bytes,
            blocked: status.blocked,
        }
    }
}
