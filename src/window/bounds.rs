//! Which ticks a window covers at a moment.

use crate::aggregate::Tick;
use crate::event::EventTime;
use crate::window::WindowSpec;

/// The span of a window: from the start of tick `start` to the end of tick `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first tick inside.
    pub start: Tick,
    /// The last tick inside.
    pub end: Tick,
}

impl WindowSpec {
    /// At `as_of`, a window of size W and resolution r covers
    /// `[floor((as_of - W) / r) r, end of the tick that holds as_of)`.
    pub fn bounds(self, as_of: EventTime) -> Bounds {
        Bounds {
            start: Tick::of((as_of - self.size()).floor(self.resolution())),
            end: Tick::of(as_of),
        }
    }
}

impl Bounds {
    /// The share of the span at or after `covered_from`, 0 to 1; all of it where
    /// that is `None`.
    pub fn coverage(self, covered_from: Option<EventTime>) -> f64 {
        let Some(covered_from) = covered_from else { return 1.0 };
        let (start, end) = (self.start.start(), self.end.end());
        let covered = end - covered_from.max(start).min(end);
        covered.as_secs_f64() / (end - start).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Span;

    #[track_caller]
    fn check(window_secs: i64, as_of_secs: i64, expected: (i32, i32)) {
        let window = WindowSpec::new(Span::from_secs(window_secs)).expect("a window");
        let bounds = window.bounds(EventTime::from_secs(as_of_secs));
        assert_eq!((bounds.start.number(), bounds.end.number()), expected);
    }

    #[test]
    fn the_trailing_edge_moves_in_steps_of_the_resolution() {
        check(300, 100_000, (9_970, 10_000));
        check(300, 100_009, (9_970, 10_000));
        check(300, 100_010, (9_971, 10_001));
        check(3_600, 100_000, (9_636, 10_000));
        check(86_400, 100_000, (1_320, 10_000));
    }

    #[test]
    fn coverage_is_the_share_after_the_first_moment_read() {
        let bounds = Bounds { start: Tick::new(0), end: Tick::new(9) };
        let shown =
            [-5, 0, 25, 100, 500].map(|secs| bounds.coverage(Some(EventTime::from_secs(secs))));
        assert_eq!(shown, [1.0, 1.0, 0.75, 0.0, 0.0]);
        assert_eq!(bounds.coverage(None), 1.0);
    }
}
