//! `rate_limit`: a bucket of requests that fills with time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::event::Span;

/// How often requests may come, from all clients together.
pub(super) struct Rate {
    interval: Duration,
    /// How far the bucket may be overdrawn: what a full one holds, less one.
    slack: Duration,
    /// When the bucket is full again.
    full_at: Mutex<Option<Instant>>,
}

impl Rate {
    /// One request each `interval`, and `burst` of them at once.
    pub(super) fn new(interval: Span, burst: u32) -> Rate {
        let interval = Duration::from_micros(interval.micros().unsigned_abs());
        let slack = interval.saturating_mul(burst.saturating_sub(1));
        Rate { interval, slack, full_at: Mutex::default() }
    }

    /// Takes a request out of the bucket; the error says when there will be one.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        // It is one value: a panic elsewhere spoils nothing.
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let from = full_at.filter(|at| *at > now).unwrap_or(now);
        let wait = from.duration_since(now).saturating_sub(self.slack);
        if !wait.is_zero() {
            return Err(wait);
        }
        *full_at = Some(from + self.interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_in_and_then_one_each_interval() {
        let rate = Rate::new(Span::from_secs(1), 3);
        let begin = Instant::now();
        let at = |millis: u64| rate.take(begin + Duration::from_millis(millis));
        assert_eq!([at(0), at(0), at(0)], [Ok(()); 3]);
        assert_eq!(at(400), Err(Duration::from_millis(600)));
        assert_eq!(at(1_000), Ok(()));
        assert_eq!(at(1_000), Err(Duration::from_secs(1)));
        assert_eq!([at(9_000), at(9_000), at(9_000)], [Ok(()); 3]);
        assert!(at(9_000).is_err());
    }
}
