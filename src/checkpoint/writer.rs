//! The thread that makes steps durable, so that folding never waits for a disk.
//!
//! One step at a time is under way; who submits asks [`Writer::is_idle`] first. A step
//! that cannot be written is tried again every second until it can: nothing is given
//! up, and [`WriterStatus::blocked`] says meanwhile what is in the way.

use std::io;
use std::sync::Arc;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::home::Home;
use super::step::Step;
use crate::event::{EventTime, Span};

/// How long to wait before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The newest step that survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    /// Its sequence.
    pub sequence: u64,
    /// When it was made.
    pub made_at: EventTime,
}

/// How writing goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WriterStatus {
    /// The newest step made durable by this writer.
    pub durable: Option<Durable>,
    /// Steps made durable by this writer.
    pub checkpoints: u64,
    /// Bytes written, of all steps.
    pub written_bytes: u64,
    /// Bytes of the newest step.
    pub checkpoint_bytes: u64,
    /// How long the newest step took, from being submitted to being durable.
    pub checkpoint_took: Span,
    /// Bytes that all saved state takes.
    pub disk_bytes: u64,
    /// Why nothing can be written, in words for an operator; `None` while it can.
    pub blocked: Option<String>,
}

/// What became of a submitted step.
#[derive(Debug)]
#[must_use]
pub enum Submission {
    /// It will be written.
    Accepted,
    /// Another one is under way; this one is given back.
    Busy(Box<Step>),
    /// The writer is closed or has failed; this one is given back.
    Closed(Box<Step>),
}

/// Writes steps to a home on a thread of its own.
pub struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Submitted and not yet taken.
    waiting: Option<(Step, Instant)>,
    is_writing: bool,
    is_closing: bool,
    /// Nobody waits any more: what cannot be written is given up.
    is_abandoned: bool,
    has_ended: bool,
    status: WriterStatus,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(home: Box<dyn Home>) -> io::Result<Writer> {
        Writer::start_with(home, RETRY)
    }

    /// Starts the thread; a failed write is tried again after `retry`.
    pub(super) fn start_with(home: Box<dyn Home>, retry: Duration) -> io::Result<Writer> {
        let status = WriterStatus { disk_bytes: home.disk_bytes(), ..WriterStatus::default() };
        let state = State {
            waiting: None,
            is_writing: false,
            is_closing: false,
            is_abandoned: false,
            has_ended: false,
            status,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let of_thread = EndsWriting(Arc::clone(&shared));
        thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || write_steps(home, &of_thread.0, retry))?;
        Ok(Writer { shared })
    }

    /// Hands over a step; never blocks.
    pub fn submit(&self, step: Step) -> Submission {
        let mut state = self.shared.lock();
        if state.is_closing || state.has_ended {
            return Submission::Closed(Box::new(step));
        }
        if state.is_writing || state.waiting.is_some() {
            return Submission::Busy(Box::new(step));
        }
        state.waiting = Some((step, Instant::now()));
        self.shared.changed.notify_all();
        Submission::Accepted
    }

    /// Whether everything submitted is durable, so that the next step may come.
    pub fn is_idle(&self) -> bool {
        let state = self.shared.lock();
        state.waiting.is_none() && !state.is_writing && !state.has_ended
    }

    /// How writing goes.
    pub fn status(&self) -> WriterStatus {
        self.shared.lock().status.clone()
    }

    /// Waits until what was submitted is durable, or the deadline has come; says which.
    /// After `false` the last step is lost, and what was durable before it stays.
    pub fn close(self, deadline: Instant) -> bool {
        let mut state = self.shared.lock();
        state.is_closing = true;
        self.shared.changed.notify_all();
        while !state.has_ended {
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            let (next, _) = self
                .shared
                .changed
                .wait_timeout(state, deadline - now)
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
        }
        state.waiting.is_none() && !state.is_writing
    }
}

impl Drop for Writer {
    /// The thread ends once it has nothing to write, or cannot; nobody waits for it.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closing = true;
        state.is_abandoned = true;
        self.shared.changed.notify_all();
    }
}

/// Says that the thread has ended, also when it does so by panicking.
struct EndsWriting(Arc<Shared>);

impl Drop for EndsWriting {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_ended = true;
        if state.is_writing {
            state.status.blocked = Some("the thread that saves state has failed".to_owned());
        }
        self.0.changed.notify_all();
    }
}

fn write_steps(mut home: Box<dyn Home>, shared: &Shared, retry: Duration) {
    while let Some((step, submitted)) = next_step(shared) {
        let mut has_failed = false;
        loop {
            match home.append(&step) {
                Ok(written) => {
                    if has_failed {
                        tracing::info!(sequence = step.sequence, "state is saved again");
                    }
                    let mut state = shared.lock();
                    let took = submitted.elapsed().as_micros();
                    let status = &mut state.status;
                    status.durable =
                        Some(Durable { sequence: step.sequence, made_at: step.made_at });
                    status.checkpoints += 1;
                    status.written_bytes += written.bytes;
                    status.checkpoint_bytes = written.bytes;
                    status.checkpoint_took =
                        Span::from_micros(i64::try_from(took).unwrap_or(i64::MAX));
                    status.disk_bytes = home.disk_bytes();
                    status.blocked = None;
                    state.is_writing = false;
                    shared.changed.notify_all();
                    break;
                }
                Err(error) => {
                    let blocked = obstacle(&error);
                    if !has_failed {
                        tracing::error!(
                            sequence = step.sequence,
                            "state cannot be saved: {blocked}; tried again every {retry:?}"
                        );
                    }
                    has_failed = true;
                    shared.lock().status.blocked = Some(blocked);
                    if wait_to_retry(shared, retry) == Waited::Abandoned {
                        return;
                    }
                }
            }
        }
    }
}

/// The next step; `None` when closed and nothing waits.
fn next_step(shared: &Shared) -> Option<(Step, Instant)> {
    let mut state = shared.lock();
    loop {
        if let Some(next) = state.waiting.take() {
            state.is_writing = true;
            return Some(next);
        }
        if state.is_closing {
            return None;
        }
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

#[derive(PartialEq, Eq)]
enum Waited {
    Long,
    Abandoned,
}

fn wait_to_retry(shared: &Shared, retry: Duration) -> Waited {
    let (state, _) = shared
        .changed
        .wait_timeout_while(shared.lock(), retry, |state| !state.is_abandoned)
        .unwrap_or_else(PoisonError::into_inner);
    if state.is_abandoned { Waited::Abandoned } else { Waited::Long }
}

/// What keeps state from being saved, and what to do about it.
fn obstacle(error: &io::Error) -> String {
    use io::ErrorKind::{
        NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    match error.kind() {
        StorageFull | QuotaExceeded => format!("the disk is full; make room ({error})"),
        PermissionDenied | ReadOnlyFilesystem => {
            format!("there is no right to write; give it back ({error})")
        }
        NotFound => format!("files have gone; was the directory removed or unmounted? ({error})"),
        _ => format!("writing failed; look at the disk ({error})"),
    }
}
