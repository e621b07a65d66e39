//! Levels: per key the newest amount, summed over the keys.
//!
//! In: amounts with their exact time, by hashed key. Out: at the end of any tick,
//! the sum over the keys of the newest amount up to then that is young enough.
//! Kept: for each key the newest amount of each tick from the oldest end that can
//! still be asked for, and the one in force at that end. Bounded: keys by
//! [`MOST_KEYS`] and ticks by [`MOST_TICKS`]; what the bounds make unknowable is
//! absent.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::aggregate::{AmountRecord, Tick, TickSteps};
use crate::event::{Decimal, EventTime, Span};

/// Keys that one aggregate remembers; with more there is no figure.
pub const MOST_KEYS: usize = 100_000;
/// Ticks for which one key remembers an amount each.
const MOST_TICKS: usize = 64;

/// An amount and since when it holds. The later one replaces the earlier; at one
/// and the same time the greater tie-break, then the greater amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level {
    /// When it was said.
    pub time: EventTime,
    /// Decides between amounts of the same time.
    pub tiebreak: u64,
    /// The amount.
    pub amount: Decimal,
}

/// What became of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It changed what is remembered.
    Taken,
    /// A later one of its tick is known.
    Superseded,
    /// There is no room for its key.
    Refused,
}

/// A level as it is written down.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct LevelRecord {
    time: i64,
    tiebreak: u64,
    amount: AmountRecord,
}

impl From<Level> for LevelRecord {
    fn from(level: Level) -> Self {
        let (time, amount) = (level.time.micros(), level.amount.into());
        LevelRecord { time, tiebreak: level.tiebreak, amount }
    }
}

impl From<LevelRecord> for Level {
    fn from(record: LevelRecord) -> Self {
        let time = EventTime::from_micros(record.time);
        Level { time, tiebreak: record.tiebreak, amount: record.amount.into() }
    }
}

/// All that a [`Last`] remembers, as it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastImage {
    keys: Vec<([u8; 8], Vec<LevelRecord>)>,
    answers_from: Option<i32>,
    refused: Option<i64>,
}

/// The newest amount by key.
#[derive(Debug, Clone, Default)]
pub struct Last {
    /// Oldest first, one for each tick.
    keys: HashMap<u64, Vec<Level>, foldhash::fast::RandomState>,
    /// Ends before this can no longer be answered.
    answers_from: Option<Tick>,
    /// The newest time of a level that found no room.
    refused: Option<EventTime>,
}

impl Last {
    /// Remembers that `key` is at `level`.
    pub fn observe(&mut self, key: u64, level: Level) -> Noted {
        if self.keys.len() >= MOST_KEYS && !self.keys.contains_key(&key) {
            self.refuse(level.time);
            return Noted::Refused;
        }
        self.take(key, level)
    }

    /// Remembers a level that found room when it came: bounded by whoever saw to that.
    pub fn take(&mut self, key: u64, level: Level) -> Noted {
        let levels = self.keys.entry(key).or_default();
        let tick = Tick::of(level.time);
        let place = levels.partition_point(|held| Tick::of(held.time) < tick);
        match levels.get_mut(place) {
            Some(held) if Tick::of(held.time) == tick => {
                if level <= *held {
                    return Noted::Superseded;
                }
                *held = level;
            }
            _ => levels.insert(place, level),
        }
        if levels.len() > MOST_TICKS {
            levels.remove(0);
            self.answers_from = self.answers_from.max(Some(Tick::of(levels[0].time)));
        }
        Noted::Taken
    }

    /// Remembers that a level of that time found no room.
    pub fn refuse(&mut self, time: EventTime) {
        self.refused = self.refused.max(Some(time));
    }

    /// The newest time of a level that found no room.
    pub fn refused(&self) -> Option<EventTime> {
        self.refused
    }

    /// All that is remembered, ticks as steps from `base`.
    pub fn image(&self, base: Tick) -> LastImage {
        let levels = |levels: &Vec<Level>| levels.iter().map(|level| (*level).into()).collect();
        LastImage {
            keys: self.keys.iter().map(|(key, held)| (key.to_le_bytes(), levels(held))).collect(),
            answers_from: self.answers_from.map(|tick| TickSteps::from(base).to(tick)),
            refused: self.refused.map(EventTime::micros),
        }
    }

    /// What an image shows.
    pub fn from_image(image: LastImage, base: Tick) -> Self {
        let mut last = Last::default();
        for (key, levels) in image.keys {
            for level in levels {
                last.take(u64::from_le_bytes(key), level.into());
            }
        }
        let answers_from = image.answers_from.map(|step| TickSteps::from(base).take(step));
        last.answers_from = last.answers_from.max(answers_from);
        last.refused = image.refused.map(EventTime::from_micros);
        last
    }

    /// Remembers everything that `other` does.
    pub fn merge(&mut self, other: &Self) {
        for (&key, levels) in &other.keys {
            for &level in levels {
                self.observe(key, level);
            }
        }
        self.answers_from = self.answers_from.max(other.answers_from);
        self.refused = self.refused.max(other.refused);
    }

    /// Forgets what no end from tick `from` on can ask for.
    pub fn age(&mut self, from: Tick, max_age: Span) {
        self.answers_from = self.answers_from.max(Some(from));
        let oldest = from.end() - max_age;
        self.keys.retain(|_, levels| {
            let later = levels.partition_point(|level| Tick::of(level.time) <= from);
            levels.drain(..later.saturating_sub(1));
            levels.last().is_some_and(|level| level.time >= oldest)
        });
        self.refused = self.refused.filter(|time| *time >= oldest);
    }

    /// Whether the level at the end of tick `end` can be known: neither has it been
    /// forgotten, nor did a key find no room.
    pub fn knows(&self, end: Tick, max_age: Span) -> bool {
        self.answers_from.is_none_or(|from| end >= from)
            && self.refused.is_none_or(|time| time < end.end() - max_age)
    }

    /// The sum over the keys of the newest amount before the end of tick `end`,
    /// where it is at most `max_age` older than that; `None` where no key has one,
    /// or where it cannot be known. Cost: one pass over the keys.
    pub fn read(&self, end: Tick, max_age: Span) -> Option<Decimal> {
        if !self.knows(end, max_age) {
            return None;
        }
        let oldest = end.end() - max_age;
        self.keys
            .values()
            .filter_map(|levels| levels.iter().rev().find(|level| level.time < end.end()))
            .filter(|level| level.time >= oldest)
            .map(|level| level.amount)
            .fold(None, |sum, amount| Some(sum.unwrap_or_default() + amount))
    }

    /// Whether a level was refused for want of room and is young enough to matter.
    pub fn is_overfull(&self) -> bool {
        self.refused.is_some()
    }

    /// The newest time of any level.
    pub fn newest(&self) -> Option<EventTime> {
        self.keys.values().filter_map(|levels| levels.last()).map(|level| level.time).max()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.refused.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(time: i64, amount: u32) -> Level {
        Level { time: EventTime::from_secs(time), tiebreak: 0, amount: amount.into() }
    }

    #[track_caller]
    fn check(last: &Last, end: i32, expected: &str) {
        let shown = last
            .read(Tick::new(end), Span::from_secs(1_000))
            .map_or("none".to_owned(), |sum| sum.to_string());
        assert_eq!(shown, expected, "at the end of tick {end}");
    }

    #[test]
    fn the_newest_of_each_key_counts_until_it_is_too_old() {
        let mut last = Last::default();
        for (key, level) in
            [(1, level(105, 7)), (1, level(100, 5)), (2, level(200, 20)), (1, level(999, 1))]
        {
            last.observe(key, level);
        }
        check(&last, 9, "none");
        check(&last, 10, "7");
        check(&last, 20, "27");
        check(&last, 99, "21");
        check(&last, 118, "21");
        check(&last, 120, "1");
        check(&last, 199, "none");
    }

    #[test]
    fn of_the_same_time_the_greater_tiebreak_wins_in_any_order() {
        let (low, high) = (level(100, 9), Level { tiebreak: 1, ..level(100, 3) });
        for pair in [[low, high], [high, low]] {
            let mut last = Last::default();
            for level in pair {
                last.observe(1, level);
            }
            check(&last, 10, "3");
        }
    }

    #[test]
    fn what_was_forgotten_is_absent_not_wrong() {
        let mut last = Last::default();
        last.observe(1, level(100, 5));
        last.observe(1, level(300, 6));
        last.age(Tick::new(20), Span::from_secs(1_000));
        check(&last, 19, "none");
        check(&last, 20, "5");
        check(&last, 30, "6");
        last.age(Tick::new(200), Span::from_secs(1_000));
        assert!(last.is_empty(), "too old for every end that can be asked for");
    }

    #[test]
    fn too_many_keys_give_no_figure() {
        let mut last = Last::default();
        for key in 0..=MOST_KEYS as u64 {
            last.observe(key, level(100, 1));
        }
        check(&last, 10, "none");
        assert!(last.is_overfull());
    }
}
