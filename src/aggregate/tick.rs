//! The finest division of event time that any aggregate keeps.

use std::fmt;

use crate::event::{EventTime, Span};

/// How long a [`Tick`] is: the finest pane.
pub const TICK: Span = Span::from_secs(10);

/// Ten seconds of event time, numbered from the epoch: `Tick(n)` is
/// `[n * 10 s, (n + 1) * 10 s)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(i32);

impl Tick {
    /// Before every event.
    pub const MIN: Tick = Tick(i32::MIN);
    /// After every event.
    pub const MAX: Tick = Tick(i32::MAX);

    /// From its number.
    pub const fn new(number: i32) -> Self {
        Tick(number)
    }

    /// The tick that holds a moment.
    pub const fn of(time: EventTime) -> Self {
        let number = time.micros().div_euclid(TICK.micros());
        if number > i32::MAX as i64 {
            Tick::MAX
        } else if number < i32::MIN as i64 {
            Tick::MIN
        } else {
            Tick(number as i32)
        }
    }

    /// Its number.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Its first moment.
    pub const fn start(self) -> EventTime {
        EventTime::from_micros(self.0 as i64 * TICK.micros())
    }

    /// The first moment after it.
    pub const fn end(self) -> EventTime {
        EventTime::from_micros((self.0 as i64 + 1) * TICK.micros())
    }

    /// The one after it.
    pub const fn next(self) -> Self {
        Tick(self.0.saturating_add(1))
    }

    /// The tick so many later, or earlier where negative.
    pub const fn offset(self, ticks: i32) -> Self {
        Tick(self.0.saturating_add(ticks))
    }

    /// The latest multiple of `step` ticks at or before it.
    pub const fn floor(self, step: i32) -> Self {
        Tick(self.0.div_euclid(step).saturating_mul(step))
    }
}

impl fmt::Debug for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", self.start())
    }
}
