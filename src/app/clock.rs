//! The wall clock, read here and nowhere else.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::event::EventTime;

/// The wall clock's time.
pub fn now() -> EventTime {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => EventTime::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
        Err(before) => {
            let micros = i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX);
            EventTime::from_micros(-micros)
        }
    }
}
