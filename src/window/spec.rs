//! Declared windows, and the one ladder of pane sizes that they share.

use std::fmt;

use crate::event::Span;

/// The pane sizes, from fine to coarse; each divides the next.
pub const LADDER: [Span; 8] = [
    Span::from_secs(10),
    Span::from_secs(60),
    Span::from_secs(300),
    Span::from_secs(1_200),
    Span::from_secs(3_600),
    Span::from_secs(7_200),
    Span::from_secs(21_600),
    Span::from_secs(86_400),
];

/// The finest pane, which also rounds a window's leading edge.
pub const BASE_PANE: Span = LADDER[0];

/// A rolling window over event time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowSpec {
    size: Span,
}

impl WindowSpec {
    /// A window of that size; `None` below one base pane or above 400 days.
    pub fn new(size: Span) -> Option<Self> {
        (size >= BASE_PANE && size <= Span::from_secs(400 * 86_400)).then_some(WindowSpec { size })
    }

    /// How far back it reaches.
    pub const fn size(self) -> Span {
        self.size
    }

    /// The step in which its trailing edge moves: the largest of [`LADDER`] that
    /// is at most a sixtieth of the window, and at least ten seconds.
    pub fn resolution(self) -> Span {
        let sixtieth = Span::from_micros(self.size.micros() / 60);
        LADDER.into_iter().rev().find(|step| *step <= sixtieth).unwrap_or(BASE_PANE)
    }
}

/// As a label: `5m`, `24h`, `7d`.
impl fmt::Display for WindowSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.size, f)
    }
}

impl fmt::Debug for WindowSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.size, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolution_is_the_largest_step_within_a_sixtieth() {
        let shown = [300, 3_600, 21_600, 86_400, 604_800, 7_776_000].map(|secs| {
            let window = WindowSpec::new(Span::from_secs(secs)).expect("a window");
            format!("{window}/{}", window.resolution())
        });
        assert_eq!(shown, ["5m/10s", "1h/1m", "6h/5m", "24h/20m", "7d/2h", "90d/24h"]);
    }
}
