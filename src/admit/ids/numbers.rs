//! What the number of an entry stands for.
//!
//! A number is no time: it is given to a sixteenth when its first id comes, and goes to
//! another once that is forgotten. So it does not matter how far apart sixteenths lie,
//! in what order they come, or where the present is.

use super::shard::NUMBERS;

/// Sixteenths that have one number, first and last: a single one, unless joined. Then
/// so many as a power of two, from a multiple of that on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    pub(super) first: i64,
    pub(super) last: i64,
}

/// All numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// What each stands for; some stand for nothing.
    stretches: Vec<Option<Stretch>>,
    /// Those that no entry has.
    free: Vec<u64>,
    /// Those of what is forgotten: entries may have them still.
    leaving: Vec<u64>,
}

impl Stretch {
    pub(super) fn single(sixteenth: i64) -> Stretch {
        Stretch { first: sixteenth, last: sixteenth }
    }

    /// That of `2^level` sixteenths to which one belongs.
    pub(super) fn around(sixteenth: i64, level: u32) -> Stretch {
        let first = sixteenth >> level << level;
        Stretch { first, last: first | ((1 << level) - 1) }
    }

    /// How many sixteenths it has.
    pub(super) fn len(self) -> i64 {
        self.last - self.first + 1
    }

    /// From the first of the two to the last.
    pub(super) fn with(self, other: Stretch) -> Stretch {
        Stretch { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

impl Numbers {
    /// What a number stands for; nothing, once that is forgotten.
    pub(super) fn stretch(&self, number: u64) -> Option<Stretch> {
        *self.stretches.get(number as usize)?
    }

    /// Whether one can be given.
    pub(super) fn are_left(&self) -> bool {
        !self.free.is_empty() || self.stretches.len() < NUMBERS
    }

    /// Gives one, of those that are left.
    pub(super) fn give(&mut self, to: Stretch) -> u64 {
        let number = self.free.pop().unwrap_or(self.stretches.len() as u64);
        match self.stretches.get_mut(number as usize) {
            Some(stretch) => *stretch = Some(to),
            None => self.stretches.push(Some(to)),
        }
        number
    }

    /// It stands for something else from now on.
    pub(super) fn change(&mut self, number: u64, to: Option<Stretch>) {
        if let Some(stretch) = self.stretches.get_mut(number as usize) {
            *stretch = to;
        }
        if to.is_none() {
            self.leaving.push(number);
        }
    }

    /// No entry has one any more that stands for nothing.
    pub(super) fn swept(&mut self) {
        self.free.append(&mut self.leaving);
    }
}
