//! Whoever loads the saved state says here how far it is, and hears whether to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use crate::export;

/// How often the log says how far it is.
const SAID_EVERY: Duration = Duration::from_secs(5);

/// A loading that others see and may stop.
pub(crate) struct Loading {
    seen: Arc<export::Loading>,
    /// Something is in it when the instance is to stop; it stays there for the engine.
    stopping: Receiver<Instant>,
    began: Instant,
    /// How often the log was told.
    said: AtomicU64,
}

impl Loading {
    /// One that ends when there is something in `stopping`.
    pub(crate) fn new(stopping: Receiver<Instant>) -> Loading {
        Loading { seen: Arc::default(), stopping, began: Instant::now(), said: AtomicU64::new(0) }
    }

    /// What the pages see of it.
    pub(crate) fn seen(&self) -> Arc<export::Loading> {
        Arc::clone(&self.seen)
    }

    /// It begins.
    pub(crate) fn begin(&self) {
        self.seen.begin();
    }

    /// So many bytes are to be read.
    pub(crate) fn expect(&self, bytes: u64) {
        self.seen.expect(bytes);
    }

    /// So many more are read; false when no more are to be.
    pub(crate) fn read(&self, bytes: u64) -> bool {
        self.seen.advance(bytes);
        let due = self.began.elapsed().as_secs() / SAID_EVERY.as_secs();
        if self.said.fetch_max(due, Relaxed) < due
            && let Some(share) = self.seen.share()
        {
            tracing::info!("loading the saved state: {share}");
        }
        self.stopping.is_empty()
    }

    /// All of it is read.
    pub(crate) fn end(&self) {
        self.seen.end();
    }
}
