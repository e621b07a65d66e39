//! How far the saved state is read, as long as it is.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::NotReady;

/// Told by whoever reads the saved state, seen by the pages.
#[derive(Debug, Default)]
pub struct Loading {
    /// Bytes to read, and one more for having begun; 0 while nothing is read.
    total: AtomicU64,
    done: AtomicU64,
}

impl Loading {
    /// Reading begins; how much it is is not known yet.
    pub fn begin(&self) {
        self.total.store(1, Relaxed);
    }

    /// So many bytes are to be read.
    pub fn expect(&self, bytes: u64) {
        self.total.store(bytes.saturating_add(1), Relaxed);
    }

    /// So many more are read.
    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Relaxed);
    }

    /// All of it is read.
    pub fn end(&self) {
        self.total.store(0, Relaxed);
    }

    /// How far it is; `None` while nothing is read.
    pub fn share(&self) -> Option<LoadedShare> {
        let total = self.total.load(Relaxed).checked_sub(1)?;
        Some(LoadedShare { done: self.done.load(Relaxed).min(total), total })
    }
}

/// How much of the saved state is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadedShare {
    /// Bytes that are read.
    pub done: u64,
    /// Bytes in all; 0 while that is not known.
    pub total: u64,
}

impl fmt::Display for LoadedShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mega = |bytes: u64| bytes as f64 / 1e6;
        let share = self.done as f64 * 100.0 / self.total.max(1) as f64;
        write!(f, "{:.1} of {:.1} MB ({share:.0} %)", mega(self.done), mega(self.total))
    }
}

/// What a reason says, with how far the loading is.
pub(super) fn says(reason: NotReady, share: Option<LoadedShare>) -> Cow<'static, str> {
    match share.filter(|share| reason == NotReady::Loading && share.total > 0) {
        Some(share) => Cow::Owned(format!("{}: {share}", reason.says())),
        None => Cow::Borrowed(reason.says()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_how_far_it_is() {
        let loading = Loading::default();
        assert_eq!(loading.share(), None);
        loading.begin();
        assert_eq!(says(NotReady::Loading, loading.share()), "the saved state is being read");
        loading.expect(4_000_000);
        loading.advance(1_000_000);
        let share = loading.share();
        assert_eq!(
            says(NotReady::Loading, share),
            "the saved state is being read: 1.0 of 4.0 MB (25 %)"
        );
        assert_eq!(says(NotReady::Stopping, share), "stopping");
        loading.end();
        assert_eq!(loading.share(), None);
    }
}
