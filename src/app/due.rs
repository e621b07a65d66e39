//! When a report is made: right after the ends of partitions were heard, so that what it
//! shows is known to have been all there was a moment ago; by the time alone only where
//! they are not heard.

use std::time::{Duration, Instant};

/// How often the ends are asked for.
const ENDS_COME: Duration = Duration::from_secs(1);

/// The time of the next report.
#[derive(Debug)]
pub(super) struct Due {
    every: Duration,
    last: Instant,
    at: Instant,
}

impl Due {
    /// The first report is due at once.
    pub(super) fn new(every: Duration, now: Instant) -> Self {
        Due { every, last: now, at: now }
    }

    /// When it is due if no ends are heard.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// It is due now, whatever is heard.
    pub(super) fn at_once(&mut self, now: Instant) {
        self.at = now;
    }

    /// The ends were heard: it is due if it were before they are heard again, or nearly so,
    /// and if there are no figures yet.
    pub(super) fn heard_ends(&mut self, now: Instant, no_figures: bool) {
        if no_figures || now.duration_since(self.last) + self.every.min(ENDS_COME) / 2 >= self.every
        {
            self.at = now;
        }
    }

    /// It was made. The next one waits a little longer than it is declared to, for the ends
    /// to be heard first.
    pub(super) fn made(&mut self, now: Instant) {
        self.last = now;
        self.at = now + self.every + self.every.min(ENDS_COME) / 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When reports are made, in milliseconds, while ends are heard at these times.
    fn reports(every: u64, ends: &[u64], until: u64) -> Vec<u64> {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut due = Due::new(Duration::from_millis(every), begin);
        let mut made = Vec::new();
        for millis in 0..until {
            if ends.contains(&millis) {
                due.heard_ends(at(millis), made.len() == 1 && millis < 300);
            }
            if due.at() <= at(millis) {
                made.push(millis);
                due.made(at(millis));
            }
        }
        made
    }

    #[test]
    fn reports_follow_the_ends_and_do_without_them() {
        assert_eq!(reports(1_000, &[600, 1_640, 2_660], 3_000), [0, 600, 1_640, 2_660]);
        assert_eq!(reports(1_000, &[], 3_000), [0, 1_250, 2_500]);
        assert_eq!(reports(3_000, &[900, 1_900, 2_900, 3_900], 4_000), [0, 2_900]);
        assert_eq!(reports(100, &[310], 500), [0, 125, 250, 310, 435]);
        assert_eq!(reports(1_000, &[200, 1_240], 2_000), [0, 200, 1_240], "the first figures");
    }
}
