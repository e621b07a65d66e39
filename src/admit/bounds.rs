//! Which events are near enough to their record to count.
//!
//! In: an event's time and its record's. Out: an [`Admission`]. The moment at which
//! the event is processed plays no part, so that a replay gives the same figures.

use crate::event::{EventTime, Span};

/// Whether an event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Admission {
    /// It counts.
    Counted,
    /// It is older than its record by more than the lateness.
    Late,
    /// It is newer than its record by more than the tolerance.
    Future,
}

/// Judges an event by its record's timestamp; one without a timestamp takes the
/// event's own time, and so always counts. Both limits are included.
pub fn judge(
    event: EventTime,
    record: Option<EventTime>,
    lateness: Span,
    tolerance: Span,
) -> Admission {
    let record = record.unwrap_or(event);
    if event > record + tolerance {
        Admission::Future
    } else if event < record - lateness {
        Admission::Late
    } else {
        Admission::Counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: i64, record: Option<i64>, expected: Admission) {
        let verdict = judge(
            EventTime::from_secs(event),
            record.map(EventTime::from_secs),
            Span::from_secs(100),
            Span::from_secs(10),
        );
        assert_eq!(verdict, expected, "event at {event}, record at {record:?}");
    }

    #[test]
    fn the_limits_themselves_count() {
        check(1_000, Some(1_000), Admission::Counted);
        check(1_010, Some(1_000), Admission::Counted);
        check(1_011, Some(1_000), Admission::Future);
        check(900, Some(1_000), Admission::Counted);
        check(899, Some(1_000), Admission::Late);
    }

    #[test]
    fn a_record_without_a_timestamp_takes_the_events_own() {
        check(5, None, Admission::Counted);
        check(4_000_000_000, None, Admission::Counted);
    }
}
