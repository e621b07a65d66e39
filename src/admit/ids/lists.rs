//! Which sixteenths there are ids of, until when each is kept, and what has to be
//! written down of them.
//!
//! Each has a number by which entries name it, and there are some four thousand, where
//! a horizon needs 18. Should all be in use, neighbours are joined, the more of them
//! the farther they lie from the present, so that half of the numbers suffice: ids of
//! what is joined are remembered longer than others, and none is shorter.

use std::collections::BTreeMap;

use super::SIXTEENTHS;
use super::numbers::{Numbers, Stretch};
use super::shard::NUMBERS;

/// What is ahead of the clock is kept for so many moves of the present.
const AHEAD: u64 = 2 * SIXTEENTHS as u64;
/// Sixteenths from the present within which none are joined are not fewer than this:
/// half of the numbers then suffice however far apart all lies.
const LEAST_EXACT: u64 = 8;

/// All sixteenths with ids.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// By their first sixteenths; none belongs to two.
    lists: BTreeMap<i64, List>,
    /// One of them: that of the id before, which mostly is that of the next.
    recent: Option<Stretch>,
    numbers: Numbers,
    journal: bool,
    dropped: Vec<Stretch>,
}

#[derive(Debug)]
struct List {
    last: i64,
    number: u64,
    /// The last present at which it is kept.
    until: i64,
    /// How often the present had moved when it first did since something was added.
    touched: Option<u64>,
    /// Whether some of it has been handed out to be written, or came from there.
    written: bool,
    added: Vec<u64>,
}

impl Lists {
    pub(super) fn keep_journal(&mut self, keep: bool) {
        self.journal = keep;
    }

    /// What a number stands for; nothing, once that is forgotten.
    pub(super) fn stretch(&self, number: u64) -> Option<Stretch> {
        self.numbers.stretch(number)
    }

    /// Whether a sixteenth has a number, or can be given one.
    pub(super) fn has_room(&self, sixteenth: i64) -> bool {
        self.numbers.are_left() || self.sharing(Stretch::single(sixteenth)).is_some()
    }

    /// The last that shares a sixteenth with this.
    fn sharing(&self, stretch: Stretch) -> Option<Stretch> {
        let (&first, list) = self.lists.range(..=stretch.last).next_back()?;
        (list.last >= stretch.first).then_some(Stretch { first, last: list.last })
    }

    /// The list of a stretch that is one, or can be.
    fn list(&mut self, stretch: Stretch, present: Option<i64>) -> &mut List {
        let Lists { lists, numbers, dropped, .. } = self;
        let list = lists.entry(stretch.first).or_insert_with(|| List {
            number: numbers.give(stretch),
            ..List::begun(stretch, dropped)
        });
        // What comes far behind the present is kept as long as if it came now.
        let from = match present {
            Some(present) if list.last + SIXTEENTHS < present => present,
            _ => list.last,
        };
        list.until = list.until.max(from + SIXTEENTHS);
        list.touched = None;
        list
    }

    /// That of a sixteenth for which there is room.
    fn list_of(&mut self, sixteenth: i64, present: Option<i64>) -> &mut List {
        let recent = self.recent.filter(|of| (of.first..=of.last).contains(&sixteenth));
        let stretch = recent.unwrap_or_else(|| {
            let single = Stretch::single(sixteenth);
            self.sharing(single).unwrap_or(single)
        });
        self.recent = Some(stretch);
        self.list(stretch, present)
    }

    /// The number of a sixteenth for which there is room.
    pub(super) fn number(&mut self, sixteenth: i64, present: Option<i64>) -> u64 {
        self.list_of(sixteenth, present).number
    }

    /// Notes an id that was seen in that sixteenth, for which there is room; gives the
    /// number for its entry.
    pub(super) fn add(&mut self, sixteenth: i64, present: Option<i64>, fingerprint: u64) -> u64 {
        let journal = self.journal;
        let list = self.list_of(sixteenth, present);
        if journal {
            list.added.push(fingerprint);
        }
        list.number
    }

    /// Notes a list that was written before, for which there is room, and gives its
    /// number; none if some of it belongs to another.
    pub(super) fn restored(&mut self, stretch: Stretch, present: Option<i64>) -> Option<u64> {
        if self.sharing(stretch).is_some_and(|there| there != stretch) {
            return None;
        }
        let list = self.list(stretch, present);
        list.written = true;
        Some(list.number)
    }

    /// An entry of that number has to be written, or written anew.
    pub(super) fn write(&mut self, number: u64, fingerprint: u64) {
        let stretch = self.stretch(number).filter(|_| self.journal);
        if let Some(list) = stretch.and_then(|stretch| self.lists.get_mut(&stretch.first)) {
            list.added.push(fingerprint);
        }
    }

    /// Forgets what is not kept at that present; whether there was any.
    ///
    /// `ahead_of` is the clock's sixteenth if everything is read, and `moves` how often
    /// the present has moved on while it was.
    pub(super) fn expire(&mut self, present: i64, ahead_of: Option<i64>, moves: u64) -> bool {
        self.recent = None;
        let before = self.lists.len();
        let gone = |first: &i64, list: &mut List| {
            let is_ahead = ahead_of.is_some_and(|now| *first > now);
            let touched = *list.touched.get_or_insert(moves);
            list.until < present || is_ahead && touched + AHEAD < moves
        };
        for (first, list) in self.lists.extract_if(.., gone) {
            self.numbers.change(list.number, None);
            if list.written {
                self.dropped.push(Stretch { first, last: list.last });
            }
        }
        self.lists.len() < before
    }

    /// No entry has a number any more that stands for nothing.
    pub(super) fn swept(&mut self) {
        self.numbers.swept();
    }

    /// Joins lists until half of the numbers suffice. Says by what number the entries of
    /// each list go on that was joined; all these have to be written anew.
    pub(super) fn join(&mut self, near: i64) -> BTreeMap<u64, u64> {
        self.recent = None;
        let mut exact = NUMBERS as u64;
        let mut stretches = self.joined(near, exact);
        while stretches.len() > NUMBERS / 2 && exact > LEAST_EXACT {
            exact /= 2;
            stretches = self.joined(near, exact);
        }
        let mut becomes = BTreeMap::new();
        for stretch in stretches {
            let within = self.lists.extract_if(stretch.first..=stretch.last, |_, _| true);
            let parts: Vec<(i64, List)> = within.collect();
            let Some(number) = parts.first().map(|(_, list)| list.number) else { continue };
            if parts.len() == 1 {
                self.lists.extend(parts);
                continue;
            }
            let mut until = i64::MIN;
            for (first, part) in parts {
                until = until.max(part.until);
                becomes.insert(part.number, number);
                self.numbers.change(part.number, (part.number == number).then_some(stretch));
                if part.written {
                    self.dropped.push(Stretch { first, last: part.last });
                }
            }
            let joined = List { number, until, ..List::begun(stretch, &mut self.dropped) };
            self.lists.insert(stretch.first, joined);
        }
        becomes
    }

    /// What all lists fall into if those up to `exact` sixteenths from `near` stay as they
    /// are, and with each doubling of that distance twice as many are joined.
    fn joined(&self, near: i64, exact: u64) -> Vec<Stretch> {
        let mut joined: Vec<Stretch> = Vec::new();
        for (&first, list) in &self.lists {
            let level = (first.abs_diff(near) / exact).checked_ilog2().unwrap_or(0);
            let mut next = Stretch::around(first, level).with(Stretch { first, last: list.last });
            while let Some(before) = joined.pop_if(|before| before.last >= next.first) {
                next = next.with(before);
            }
            joined.push(next);
        }
        joined
    }

    /// What was added since the last call, by list.
    pub(super) fn take_added(&mut self) -> Vec<(Stretch, Vec<u64>)> {
        let changed = self.lists.iter_mut().filter(|(_, list)| !list.added.is_empty());
        changed
            .map(|(&first, list)| {
                list.written = true;
                (Stretch { first, last: list.last }, std::mem::take(&mut list.added))
            })
            .collect()
    }

    pub(super) fn take_dropped(&mut self) -> Vec<Stretch> {
        std::mem::take(&mut self.dropped)
    }
}

impl List {
    /// One without a number. If it is there again before anybody heard that it is not
    /// needed, it goes on where it was.
    fn begun(stretch: Stretch, dropped: &mut Vec<Stretch>) -> List {
        let pending = dropped.iter().position(|dropped| *dropped == stretch);
        List {
            last: stretch.last,
            number: 0,
            until: stretch.last + SIXTEENTHS,
            touched: None,
            written: pending.map(|at| dropped.swap_remove(at)).is_some(),
            added: Vec::new(),
        }
    }
}
