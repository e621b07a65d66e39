//! Event time: a point on the UTC time line, in whole microseconds.

use std::fmt;
use std::ops::{Add, Sub};

/// A point in time, as microseconds since 1970-01-01T00:00:00Z.
///
/// Always within the years 2000 to 2100 when it comes from an event: a time
/// outside is refused in decoding ([`EventTime::checked_from_micros`]), so
/// that no later stage has to think about overflow. Finer fractions of a source
/// are cut off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventTime(i64);

/// A length of time, in whole microseconds; may be negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

/// The time lies outside the years 2000 to 2100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time lies outside the years 2000 to 2100")]
pub struct TimeRangeError;

impl EventTime {
    /// 2000-01-01T00:00:00Z, the earliest time that an event may carry.
    pub const MIN: EventTime = EventTime(946_684_800_000_000);
    /// 2100-01-01T00:00:00Z; an event's time is before it.
    pub const MAX: EventTime = EventTime(4_102_444_800_000_000);

    /// From microseconds since the epoch, unchecked against the event range.
    pub const fn from_micros(micros: i64) -> Self {
        EventTime(micros)
    }

    /// From milliseconds since the epoch, unchecked against the event range.
    pub const fn from_millis(millis: i64) -> Self {
        EventTime(millis.saturating_mul(1_000))
    }

    /// From whole seconds since the epoch, unchecked against the event range.
    pub const fn from_secs(secs: i64) -> Self {
        EventTime(secs.saturating_mul(1_000_000))
    }

    /// An event's own time: refuses what lies outside the years 2000 to 2100.
    pub fn checked_from_micros(micros: i128) -> Result<Self, TimeRangeError> {
        let in_range = (i128::from(Self::MIN.0)..i128::from(Self::MAX.0)).contains(&micros);
        match i64::try_from(micros) {
            Ok(micros) if in_range => Ok(EventTime(micros)),
            _ => Err(TimeRangeError),
        }
    }

    /// A record's timestamp, in milliseconds since the epoch; `None` where it cannot be used.
    /// Producers that set none give -1, and those that take seconds for milliseconds the
    /// year 1970: nothing outside the years 2000 to 2100 was meant.
    pub fn of_record(millis: i64) -> Option<EventTime> {
        Self::checked_from_micros(i128::from(millis) * 1_000).ok()
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds since the epoch with their fraction, as Prometheus wants them.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The latest multiple of `step` (counted from the epoch) at or before this time.
    pub const fn floor(self, step: Span) -> Self {
        EventTime(self.0.div_euclid(step.0) * step.0)
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// From whole microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Span(micros)
    }

    /// From whole milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Span(millis * 1_000)
    }

    /// From whole seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Span(secs * 1_000_000)
    }

    /// Whole microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Seconds with their fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Sub for EventTime {
    type Output = Span;
    fn sub(self, earlier: EventTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for EventTime {
    type Output = EventTime;
    fn add(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for EventTime {
    type Output = EventTime;
    fn sub(self, span: Span) -> EventTime {
        EventTime(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

/// RFC 3339 in UTC, with as many fraction digits as it needs.
impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{} us since the epoch", self.0),
        }
    }
}

impl fmt::Debug for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The largest unit that says it whole: `7d`, `90m` as `90m`, `24h` as `24h`.
///
/// Days are only used from two on, so that a day reads `24h`, as dashboards
/// usually label it.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(i64, &str, i64); 4] =
            [(86_400, "d", 2), (3_600, "h", 1), (60, "m", 1), (1, "s", 0)];
        if self.0 % 1_000_000 != 0 {
            return write!(f, "{}ms", self.0 as f64 / 1e3);
        }
        let secs = self.0 / 1_000_000;
        for (unit, name, at_least) in UNITS {
            if secs % unit == 0 && secs / unit >= at_least {
                return write!(f, "{}{name}", secs / unit);
            }
        }
        write!(f, "{secs}s")
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_counts_from_the_epoch_on_both_sides() {
        let step = Span::from_secs(10);
        assert_eq!(EventTime::from_secs(19).floor(step), EventTime::from_secs(10));
        assert_eq!(EventTime::from_secs(-1).floor(step), EventTime::from_secs(-10));
    }

    #[test]
    fn the_event_range_is_2000_to_2100() {
        assert!(EventTime::checked_from_micros(946_684_800_000_000).is_ok());
        assert!(EventTime::checked_from_micros(946_684_799_999_999).is_err());
        assert!(EventTime::checked_from_micros(4_102_444_800_000_000).is_err());
        assert!(EventTime::checked_from_micros(i128::MAX).is_err());
    }

    #[test]
    fn a_span_reads_in_its_largest_whole_unit() {
        let shown = [5, 60, 300, 3_600, 5_400, 86_400, 604_800]
            .map(|secs| Span::from_secs(secs).to_string());
        assert_eq!(shown, ["5s", "1m", "5m", "1h", "90m", "24h", "7d"]);
    }
}
