//! The threads between the source and the reports.
//!
//! Decoders take turns at the source's channel and number what they take, so that
//! the engine can put everything back into the source's order: what the source
//! says of a partition's end must not overtake the records before it.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::sync::watch;

use crate::app::backfill::Backfill;
use crate::app::changes;
use crate::app::checkpoints::Checkpoints;
use crate::app::clock;
use crate::app::decoding::{DecodedBatch, RecordDecoder};
use crate::app::due::Due;
use crate::app::engine::Engine;
use crate::event::Span;
use crate::export::{DeadLetterReport, NotReady, ProcessUse, Report};
use crate::kafka::{DeadLetter, DeadLetters, Folded, Source, SourceEvent};

/// What decoders hand to the engine: the source's events, batches decoded.
enum Inbound {
    Decoded(Box<DecodedBatch>),
    Said(SourceEvent),
}

type Numbered = (u64, Inbound);

const DEFECT: &str = "a thread of the pipeline ended unexpectedly; please report this with the log";

/// The source's events and the number of the next.
struct Turn {
    events: Receiver<SourceEvent>,
    next: u64,
}

/// Starts `count` decoder threads; they end when the source's channel closes.
pub(crate) fn start_decoders(
    count: usize,
    events: Receiver<SourceEvent>,
    decoder: impl Fn() -> RecordDecoder,
) -> std::io::Result<(Inbox, Vec<JoinHandle<()>>)> {
    // Two batches for each decoder keep all busy; more would only add latency.
    let (out, inbox) = bounded(count * 2);
    let turn = Arc::new(Mutex::new(Turn { events, next: 0 }));
    let threads = (0..count)
        .map(|number| {
            let (turn, out, mut decoder) = (Arc::clone(&turn), out.clone(), decoder());
            thread::Builder::new()
                .name(format!("decoder-{number}"))
                .spawn(move || while decode_next(&turn, &mut decoder, &out) {})
        })
        .collect::<std::io::Result<Vec<_>>>()?;
    Ok((Inbox { inbox, next: 0, early: BTreeMap::new() }, threads))
}

/// Takes one event in its turn, decodes it, and passes it on; false at the end.
fn decode_next(turn: &Mutex<Turn>, decoder: &mut RecordDecoder, out: &Sender<Numbered>) -> bool {
    let taken = {
        // A decoder that panicked has left the turn as it was: it holds no
        // half-made change.
        let mut turn = turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let number = turn.next;
        turn.events.recv().ok().map(|event| {
            turn.next += 1;
            (number, event)
        })
    };
    let Some((number, event)) = taken else { return false };
    let inbound = match event {
        SourceEvent::Batch(batch) => {
            // Without its number the engine would wait for ever, and the others' batches
            // would pile up meanwhile.
            match catch_unwind(AssertUnwindSafe(|| decoder.decode(&batch))) {
                Ok(decoded) => Inbound::Decoded(Box::new(decoded)),
                Err(_) => Inbound::Said(SourceEvent::Fatal(DEFECT.to_owned())),
            }
        }
        other => Inbound::Said(other),
    };
    out.send((number, inbound)).is_ok()
}

/// The engine's end of the decoders' channel, back in the source's order.
pub(crate) struct Inbox {
    inbox: Receiver<Numbered>,
    next: u64,
    /// What came before its turn; bounded by what is in flight.
    early: BTreeMap<u64, Inbound>,
}

impl Inbox {
    fn recv_deadline(&mut self, deadline: Instant) -> Result<Inbound, RecvTimeoutError> {
        loop {
            if let Some(inbound) = self.early.remove(&self.next) {
                self.next += 1;
                return Ok(inbound);
            }
            let (number, inbound) = self.inbox.recv_deadline(deadline)?;
            self.early.insert(number, inbound);
        }
    }
}

/// Everything that the engine thread works with.
pub(crate) struct EngineThread {
    pub(crate) engine: Engine,
    pub(crate) inbox: Inbox,
    pub(crate) source: Source,
    pub(crate) dead_letters: Option<DeadLetters>,
    pub(crate) publish: watch::Sender<Option<Arc<Report>>>,
    pub(crate) every: Span,
    pub(crate) stopping: Receiver<Instant>,
    /// Dead letters that are not handed over yet: while there are any, no batch is
    /// taken, so that there are never more than those of one batch.
    pub(crate) letters: VecDeque<DeadLetter>,
    /// How many may be with the writer at a time.
    pub(crate) letters_at_once: usize,
    /// At this much resident memory no batch is taken until there is less.
    pub(crate) memory_limit: u64,
    pub(crate) memory_full: bool,
    /// `None` where no state is kept.
    pub(crate) checkpoints: Option<Checkpoints>,
    /// `None` where nothing is new.
    pub(crate) backfill: Option<Backfill>,
}

/// A replay can fill hundreds of megabytes in a second, and a look costs 0.05 ms.
const LOOK_AT_MEMORY: Duration = Duration::from_millis(20);

/// How long the last commit may take where the saved state has the offsets.
const COMMITTING: Duration = Duration::from_secs(3);

/// How long the engine waits before it offers a refused dead letter again.
const RETRY: Duration = Duration::from_millis(50);

impl EngineThread {
    /// Folds and reports until the source has closed; then writes what is left
    /// within the deadline. An error is what the source called fatal.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let every = Duration::from_micros(self.every.micros().unsigned_abs());
        let mut due = Due::new(every, Instant::now());
        let mut next_look = Instant::now();
        let mut deadline: Option<Instant> = None;
        let mut closed = false;
        let mut outcome = Ok(());
        loop {
            if deadline.is_none()
                && let Ok(at) = self.stopping.try_recv()
            {
                deadline = Some(at);
                self.engine.stopping();
                self.backfill.iter().for_each(Backfill::stop);
                self.source.stop();
                due.at_once(Instant::now());
            }
            if Instant::now() >= next_look {
                self.look_at_memory();
                next_look = Instant::now() + LOOK_AT_MEMORY;
            }
            if Instant::now() >= due.at() {
                self.report();
                self.commit();
                due.made(Instant::now());
            }
            self.send();
            if let Some(backfill) = self.backfill.as_mut().filter(|_| deadline.is_none()) {
                backfill.step(&mut self.engine);
            }
            self.checkpoint();
            let past_deadline = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if past_deadline || (closed && self.letters.is_empty()) {
                break;
            }
            let paused = deadline.is_none() && self.paused();
            if closed || paused || !self.letters.is_empty() {
                thread::sleep(RETRY);
                continue;
            }
            // Waking often enough to notice a stop request in good time.
            let wake = due.at().min(Instant::now() + Duration::from_millis(100));
            match self.inbox.recv_deadline(wake) {
                Ok(Inbound::Decoded(batch)) => {
                    log_unknown_types(&batch);
                    if let Some(checkpoints) = &mut self.checkpoints {
                        checkpoints.folded(batch.counted());
                    }
                    self.letters.extend(self.engine.fold(*batch, clock::now()));
                }
                Ok(Inbound::Said(SourceEvent::Fatal(text))) => {
                    outcome = Err(text);
                    break;
                }
                Ok(Inbound::Said(SourceEvent::Closed)) => closed = true,
                Ok(Inbound::Said(SourceEvent::Cluster(id))) => {
                    if let Err(text) = self.engine.cluster(&id) {
                        outcome = Err(text);
                        break;
                    }
                }
                Ok(Inbound::Said(SourceEvent::Compacted { topic, sign })) => {
                    if let Err(text) = self.engine.compacted(&topic, sign, clock::now()) {
                        outcome = Err(text);
                        break;
                    }
                }
                Ok(Inbound::Said(said)) => {
                    if matches!(said, SourceEvent::Ends { .. }) {
                        self.said(said);
                        due.heard_ends(Instant::now(), self.shows_nothing());
                    } else {
                        self.said(said);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // The source says that it has closed, unless its thread panicked.
                    outcome = Err(DEFECT.to_owned());
                    closed = true;
                }
            }
        }
        let deadline = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
        let remaining =
            || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        if !self.letters.is_empty() {
            tracing::warn!(
                count = self.letters.len(),
                "stopping with dead letters unwritten; their records are not committed and are read again"
            );
        }
        if let Some(dead_letters) = &self.dead_letters {
            let unwritten = dead_letters.close(remaining());
            if unwritten > 0 {
                tracing::warn!(
                    unwritten,
                    "some dead letters are not written; their records are read again"
                );
            }
        }
        // With saved state, what is committed only informs: it is not worth a long wait
        // for brokers that are away.
        let committing = if self.checkpoints.is_some() { COMMITTING } else { Duration::MAX };
        if let Some(checkpoints) = self.checkpoints.take() {
            let (letters, writer) = (&self.letters, self.dead_letters.as_ref());
            let flushed = |of: &Folded| is_flushed(letters, writer, of);
            let durable = checkpoints.finish(&mut self.engine, flushed, remaining());
            durable.into_iter().for_each(|folded| self.commit_durable(folded));
        } else {
            self.commit();
        }
        self.report();
        if !self.source.close(remaining().min(committing)) {
            tracing::warn!(
                "the last offsets could not be committed in time; lag tools show older ones"
            );
        }
        outcome
    }

    fn said(&mut self, said: SourceEvent) {
        let now = clock::now();
        if let Some(backfill) = &mut self.backfill {
            backfill.said(&said);
        }
        match said {
            SourceEvent::Found { topic, partitions } => {
                self.engine.found(&topic, &partitions, now);
            }
            SourceEvent::Partition(start) => self.engine.partition(&start, now),
            SourceEvent::TopicId { topic, id } => self.engine.topic_id(&topic, &id),
            SourceEvent::PartitionGone { topic, partition } => {
                self.set_letters_apart(&topic, partition);
                self.engine.partition_gone(&topic, partition, now);
            }
            SourceEvent::Gap(gap) => {
                self.set_letters_apart(&gap.topic, gap.partition);
                self.engine.gap(&gap, now);
            }
            SourceEvent::Unreadable { topic, partition, error } => {
                tracing::warn!(%topic, partition, %error, "a partition cannot be read");
                self.engine.unreadable(&topic, partition, now);
            }
            SourceEvent::Ends { at, ends } => self.engine.ends(&ends, at, now),
            SourceEvent::TopicMissing(topic) => self.engine.topic_exists(&topic, false),
            SourceEvent::TopicFound(topic) => self.engine.topic_exists(&topic, true),
            SourceEvent::Brokers { up, why } => self.engine.brokers(up, why),
            // Taken care of by the loop itself.
            SourceEvent::Batch(_)
            | SourceEvent::Fatal(_)
            | SourceEvent::Closed
            | SourceEvent::Compacted { .. }
            | SourceEvent::Cluster(_) => {}
        }
    }

    /// Hands over as many dead letters as are taken without waiting; the rest keeps
    /// its place.
    fn send(&mut self) {
        let Some(dead_letters) = &self.dead_letters else { return };
        if self.letters.is_empty() {
            return;
        }
        let pending = usize::try_from(dead_letters.state().pending).unwrap_or(usize::MAX);
        let taken = self.letters.len().min(self.letters_at_once.saturating_sub(pending));
        for _ in 0..taken {
            let Some(letter) = self.letters.front() else { break };
            if dead_letters.send(letter.clone()).is_err() {
                tracing::error!("dead letters cannot be handed over: their writer has ended");
                break;
            }
            self.letters.pop_front();
        }
    }

    /// Without saved state: commits what is folded, up to the first record whose dead
    /// letter is not written.
    fn commit(&self) {
        if self.checkpoints.is_none() {
            let (letters, writer) = (&self.letters, self.dead_letters.as_ref());
            let folded =
                self.engine.folded(|topic, partition| unwritten(letters, writer, topic, partition));
            self.source.commit(folded);
        }
    }

    /// With saved state its offsets are the truth, and what is committed follows them.
    fn checkpoint(&mut self) {
        let Some(checkpoints) = &mut self.checkpoints else { return };
        let (letters, writer) = (&self.letters, self.dead_letters.as_ref());
        let flushed = |of: &Folded| is_flushed(letters, writer, of);
        if let Some(folded) = checkpoints.step(&mut self.engine, flushed) {
            self.commit_durable(folded);
        }
    }

    fn commit_durable(&self, folded: Vec<Folded>) {
        self.source.commit(self.engine.committable(folded));
    }

    /// Offsets of a partition no longer say which of its dead letters are written. None
    /// is still to be handed over: nothing is received before that.
    fn set_letters_apart(&self, topic: &str, partition: i32) {
        if let Some(dead_letters) = &self.dead_letters {
            dead_letters.set_apart(topic, partition);
        }
    }

    /// Whether no figures were published yet.
    fn shows_nothing(&self) -> bool {
        self.publish.borrow().as_ref().is_none_or(|report| report.snapshot.is_none())
    }

    /// Whether nothing is to be taken from the source at the moment.
    fn paused(&self) -> bool {
        let held_back = self.checkpoints.as_ref().is_some_and(Checkpoints::holds_back);
        self.memory_full || self.letters_refused() || held_back
    }

    /// Whether the dead-letter topic refuses: nothing is read until it takes what is
    /// there, so that nothing is read that could not be kept.
    fn letters_refused(&self) -> bool {
        self.dead_letters.as_ref().is_some_and(|letters| letters.state().blocked.is_some())
    }

    /// Better to pause, and to say so, than to be killed by the kernel.
    fn look_at_memory(&mut self) {
        let resident = ProcessUse::now().resident_bytes.unwrap_or(0);
        let full = resident >= self.memory_limit;
        if full && !self.memory_full {
            tracing::error!(
                resident,
                limit = self.memory_limit,
                "memory is at its limit: consumption is paused; lower the caps or the windows, or raise `memory_limit`"
            );
        }
        self.memory_full = full;
        if let Some(backfill) = &mut self.backfill {
            backfill.look_at_memory(resident, self.memory_limit);
        }
    }

    fn report(&mut self) {
        let started = Instant::now();
        let dead_letters =
            self.dead_letters.as_ref().map_or_else(DeadLetterReport::default, |letters| {
                let state = letters.state();
                DeadLetterReport {
                    written: state.written,
                    pending: state.pending,
                    blocked: state.blocked.is_some(),
                }
            });
        let state = self.checkpoints.as_ref().map(Checkpoints::report);
        let blocked = state.as_ref().is_some_and(|state| state.blocked.is_some());
        if self.paused() {
            self.engine.paused(clock::now());
        }
        let mut report = self.engine.report(clock::now(), dead_letters, self.memory_full);
        report.state = state;
        if let Some(checkpoints) = &self.checkpoints {
            for topic in &mut report.topics {
                for of in &mut topic.partitions {
                    let losses = checkpoints.missing(&topic.topic, of.partition);
                    (of.gaps, of.lost_records) = (losses.gaps, losses.records);
                }
            }
        }
        report.backfill = self.backfill.as_ref().map(Backfill::report);
        if blocked {
            // What else holds follows from it.
            report.not_ready.insert(0, NotReady::StateBlocked);
        }
        report.snapshot_took =
            Span::from_micros(i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX));
        let before = self.publish.borrow().clone();
        changes::log(before.as_deref(), &report, |slice| self.engine.slice_name(slice));
        if let Some(backfill) = &self.backfill {
            backfill.reported(&report);
        }
        self.publish.send_replace(Some(Arc::new(report)));
    }
}

/// The first offset of a partition whose dead letter is not written.
fn unwritten(
    letters: &VecDeque<DeadLetter>,
    writer: Option<&DeadLetters>,
    topic: &str,
    partition: i32,
) -> Option<i64> {
    let waiting = letters
        .iter()
        .filter(|letter| &*letter.topic == topic && letter.partition == partition)
        .map(|letter| letter.offset)
        .min();
    let handed_over = writer?.flushed_below(topic, partition);
    waiting.into_iter().chain(handed_over).min()
}

/// Whether all dead letters below an offset are written, and those of logs that are gone.
fn is_flushed(letters: &VecDeque<DeadLetter>, writer: Option<&DeadLetters>, of: &Folded) -> bool {
    writer.is_none_or(DeadLetters::none_apart)
        && unwritten(letters, writer, &of.topic, of.partition).is_none_or(|at| at >= of.next_offset)
}

fn log_unknown_types(batch: &DecodedBatch) {
    for (topic, name) in &batch.unknown_types {
        tracing::warn!(
            %topic, type_name = %name,
            "a type that nobody knows: its events are ignored; map it in the format, or ask for it in a measure"
        );
    }
}
