//! The ids seen lately, by which copies are told.
//!
//! In: the fingerprint of each event that may count, and its record's time. Out:
//! whether it is the first of its kind. Kept: fingerprints by the sixteenth of the
//! horizon in which they were seen, in at most 12 bytes for each from a million on,
//! growing by a four-thousandth at a time; and lists of what a checkpoint has to
//! write: the table is their union at any moment, so that it can be made anew from
//! them. Never: an id itself, a clock, a look at event times.
//!
//! All 64 bits of a fingerprint are compared, so that with `n` ids remembered a new
//! one is taken for a copy with a probability of `n / 2^64`.

mod lists;
mod pages;
mod shard;

use std::collections::BTreeMap;

use lists::Lists;
use pages::{Gathered, PLACES, Spare};
use shard::{NUMBER_BITS, NUMBERS, REST_BITS, Shard};

use crate::event::{EventTime, Span};

/// The horizon is kept to one part in so many.
const SIXTEENTHS: i64 = 16;
/// Sixteenths behind and ahead of the present that can be told apart; what is
/// further away counts as that far. Together, with a horizon of room on either side,
/// less than there are numbers.
const PAST: i64 = 1_000;
const FUTURE: i64 = 3_000;
/// Room for the present to move while forgotten ids are still being swept out.
const LEEWAY: i64 = 32;
/// Of so many pages, about one is kept for shards that grow again.
const SPARE: usize = 32;
/// Shards swept with each call of [`SeenIds::advance`].
const SWEPT_AT_ONCE: usize = 64;

/// Whether an event has been there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sighting {
    /// It counts.
    First,
    /// Its id was first seen within the horizon.
    Copy,
}

/// The ids of a horizon.
///
/// A sighting is a copy if its sixteenth is at most 16 from that of the first sight,
/// to either side, since two partitions may be read in any order: ids are remembered
/// for at least the horizon, and at most 17/16 of it.
#[derive(Debug)]
pub struct SeenIds {
    step: Span,
    shards: Vec<Shard>,
    len: u64,
    lists: Lists,
    /// The sixteenth up to which everything is read.
    present: Option<i64>,
    /// Whether lists were restored since the present was last known.
    restored: bool,
    /// Whether the present is no more than a place from which all that was restored
    /// can be told apart.
    assumed: bool,
    /// The next shard to be swept of what is forgotten.
    sweeping: Option<usize>,
    /// Of lists of another horizon: they are not needed any more.
    dropped: Vec<(Span, i64)>,
    spare: Spare,
    /// What is being restored, by shard, until it is laid out; and the numbers that
    /// have to be written anew, as entries have them.
    gathered: Vec<Gathered>,
    renumbered: BTreeMap<u64, i64>,
    found: Vec<i64>,
}

/// What is known of a fingerprint at some sixteenth.
enum Known {
    /// It was first seen then, or within the horizon before.
    Before,
    /// It was first seen within the horizon after.
    After,
    /// Neither.
    Not,
}

impl SeenIds {
    /// Remembers nothing yet; `horizon` is at least 16 microseconds.
    pub fn new(horizon: Span) -> SeenIds {
        let step = (horizon.micros().max(0) as u64).div_ceil(SIXTEENTHS as u64).max(1);
        let shards = 1 << NUMBER_BITS;
        SeenIds {
            step: Span::from_micros(i64::try_from(step).unwrap_or(i64::MAX)),
            shards: std::iter::repeat_with(Shard::default).take(shards).collect(),
            len: 0,
            lists: Lists::default(),
            present: None,
            restored: false,
            assumed: false,
            sweeping: None,
            dropped: Vec::new(),
            spare: Spare::default(),
            gathered: Vec::new(),
            renumbered: BTreeMap::new(),
            found: Vec::new(),
        }
    }

    /// From now on what [`SeenIds::take_added`] gives is collected; or no longer.
    /// To be said before the first sighting and before [`SeenIds::restore`].
    pub fn keep_journal(&mut self, keep: bool) {
        self.lists.keep_journal(keep);
    }

    /// The length of a sixteenth.
    pub fn step(&self) -> Span {
        self.step
    }

    /// How many are remembered; one that partitions show in descending order of time
    /// may count once for each sixteenth.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory, what the allocator adds included. Cost: a look at each shard.
    pub fn memory_bytes(&self) -> u64 {
        let shards: usize = self.shards.iter().map(Shard::memory_bytes).sum();
        let shared = self.shards.capacity() * size_of::<Shard>() + self.spare.memory_bytes();
        (shards + shared) as u64
    }

    /// Reads the places of the fingerprints that are about to be observed, so that the
    /// processor waits for memory once and not for each.
    pub fn warm(&self, fingerprints: impl Iterator<Item = u64>) {
        let read = fingerprints.fold(0u64, |sum, fingerprint| {
            let (shard, rest) = split(fingerprint);
            sum.wrapping_add(self.shards[shard].at_home(rest))
        });
        std::hint::black_box(read);
    }

    /// Says about when the first events were seen, if nothing is known yet: times that
    /// lie too far from the present to be told apart count as nearer.
    pub fn begin(&mut self, near: EventTime) {
        let near = self.sixteenth(near);
        let present = self.present.get_or_insert(near);
        if std::mem::take(&mut self.assumed) {
            // As low as the newest that was restored allows, and no higher than now: or
            // what is seen until the first `advance` would count as seen later.
            let lowest = self.lists.newest().map_or(near, |newest| newest - FUTURE);
            *present = near.max(lowest).min(*present);
        }
    }

    /// Judges an event whose record has that time, and remembers it.
    pub fn observe(&mut self, fingerprint: u64, seen_at: EventTime) -> Sighting {
        let seen = self.sixteenth(seen_at);
        let present = *self.present.get_or_insert(seen);
        let seen = seen.clamp(present - PAST, present + FUTURE);
        if self.sweeping.is_some() && seen + SIXTEENTHS < present && !self.lists.contains(seen) {
            // Or what is forgotten and not swept yet would come back.
            self.sweep_rest();
        }
        let (shard, rest) = split(fingerprint);
        let known = self.known(shard, rest, seen);
        if !matches!(known, Known::Before) {
            self.insert(shard, rest, seen);
            self.lists.add(seen, present, fingerprint);
        }
        match known {
            Known::Not => Sighting::First,
            Known::Before | Known::After => Sighting::Copy,
        }
    }

    /// What the numbers of a fingerprint say. Taken in ascending order, each that is
    /// further than the horizon behind the last first sight is a first sight itself.
    fn known(&mut self, shard: usize, rest: u64, seen: i64) -> Known {
        let base = self.base();
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        let numbers = self.shards[shard].numbers(rest).map(|number| whole(number, base));
        found.extend(numbers.filter(|number| self.lists.contains(*number)));
        found.sort_unstable();
        let mut first = None;
        let mut known = Known::Not;
        for &number in &found {
            if first.is_some_and(|first| number <= first + SIXTEENTHS) {
                continue;
            }
            first = Some(number);
            if (number..=number + SIXTEENTHS).contains(&seen) {
                known = Known::Before;
                break;
            }
            if (seen..=seen + SIXTEENTHS).contains(&number) {
                known = Known::After;
                break;
            }
        }
        self.found = found;
        known
    }

    fn insert(&mut self, shard: usize, rest: u64, seen: i64) {
        self.shards[shard].insert(rest, seen.rem_euclid(NUMBERS) as u64, &mut self.spare);
        self.len += 1;
    }

    /// Forgets what was first seen more than a horizon before `to`, up to which every
    /// partition is read; it may go back. To be called about once a second: the memory
    /// of what is forgotten is given back over some calls.
    pub fn advance(&mut self, to: EventTime) {
        let to = self.sixteenth(to);
        self.assumed = false;
        if self.present == Some(to) && !self.restored {
            self.sweep_some();
            return;
        }
        self.sweep_rest();
        if std::mem::take(&mut self.restored) {
            // Lists of what came from before that are held a horizon longer.
            self.lists.extend(to, to - PAST - SIXTEENTHS);
        }
        if self.lists.expire(to) {
            self.sweeping = Some(0);
        }
        let leaps = self.present.is_some_and(|present| (to - present).abs() > LEEWAY);
        let too_far = self.lists.newest().is_some_and(|newest| newest > to + FUTURE);
        if too_far {
            self.bring_near(to + FUTURE);
        } else if leaps {
            self.sweep_rest();
        }
        self.present = Some(to);
    }

    /// Every number that is in use stands for one at or above this.
    fn base(&self) -> i64 {
        self.present.unwrap_or(0) - PAST - 2 * LEEWAY
    }

    fn sweep_some(&mut self) {
        let Some(from) = self.sweeping else { return };
        let end = (from + SWEPT_AT_ONCE).min(self.shards.len());
        self.sweep(from..end);
        self.sweeping = Some(end).filter(|end| *end < self.shards.len());
    }

    fn sweep_rest(&mut self) {
        if let Some(from) = self.sweeping.take() {
            self.sweep(from..self.shards.len());
        }
    }

    fn sweep(&mut self, shards: std::ops::Range<usize>) {
        let base = self.base();
        for shard in &mut self.shards[shards] {
            let before = shard.len();
            let lists = &self.lists;
            shard.sweep(&mut self.spare, |number| {
                lists.contains(whole(number, base)).then_some(number)
            });
            self.len -= (before - shard.len()) as u64;
        }
        self.spare.keep(self.len as usize / PLACES / SPARE);
    }

    /// Gives ids that were seen after `newest` that number instead.
    fn bring_near(&mut self, newest: i64) {
        self.sweeping = Some(0);
        self.sweep_rest();
        let base = self.base();
        let mut moved = Vec::new();
        for (index, shard) in self.shards.iter_mut().enumerate() {
            let before = shard.len();
            let far = shard.entries().filter(|(_, number)| whole(*number, base) > newest);
            moved.extend(far.map(|(rest, _)| (index as u64) << REST_BITS | rest));
            shard.sweep(&mut self.spare, |number| {
                Some(whole(number, base).min(newest).rem_euclid(NUMBERS) as u64)
            });
            self.len -= (before - shard.len()) as u64;
        }
        while let Some(far) = self.lists.newest().filter(|number| *number > newest) {
            self.lists.remove(far);
        }
        for fingerprint in moved {
            self.lists.add(newest, newest, fingerprint);
        }
    }

    /// What was added to which sixteenth since the last call, if a journal is kept.
    pub fn take_added(&mut self) -> Vec<(i64, Vec<u64>)> {
        self.lists.take_added()
    }

    /// The lists that are not needed any more since the last call: the length of
    /// their sixteenths, and their number.
    pub fn take_dropped(&mut self) -> Vec<(Span, i64)> {
        let mut dropped = std::mem::take(&mut self.dropped);
        dropped.extend(self.lists.take_dropped().into_iter().map(|number| (self.step, number)));
        dropped
    }

    /// Puts a list back that was written before; several in ascending order, before
    /// the first sighting, and then [`SeenIds::restored`]. One of another horizon than today's goes where its end
    /// falls, so that its ids are remembered long enough, and is written anew.
    pub fn restore(&mut self, step: Span, sixteenth: i64, items: &[u64]) {
        let same = step == self.step;
        let number = if same {
            sixteenth
        } else {
            let end = sixteenth.saturating_add(1).saturating_mul(step.micros()).saturating_sub(1);
            self.sixteenth(EventTime::from_micros(end))
        };
        // As far from the first as what was kept could be: nothing need be moved.
        self.assumed |= self.present.is_none();
        let present = *self.present.get_or_insert(number + PAST + LEEWAY);
        let number = number.clamp(present - PAST - LEEWAY, present + FUTURE);
        self.restored = true;
        if same {
            self.lists.restored(number);
        } else {
            self.dropped.push((step, sixteenth));
        }
        let low = number.rem_euclid(NUMBERS) as u64;
        if !same && !items.is_empty() {
            self.renumbered.insert(low, number);
        }
        self.gathered.resize_with(self.shards.len(), Gathered::default);
        for &fingerprint in items {
            let (shard, rest) = split(fingerprint);
            self.gathered[shard].push(shard::entry(rest, low), &mut self.spare);
        }
    }

    /// To be said after the last list: from now on what they hold is known. Cost: sorts
    /// each shard, some 30 ns for an id.
    pub fn restored(&mut self) {
        let renumbered = std::mem::take(&mut self.renumbered);
        let gathered = std::mem::take(&mut self.gathered);
        for (index, (shard, gathered)) in self.shards.iter_mut().zip(gathered).enumerate() {
            let before = shard.len();
            let lists = &mut self.lists;
            shard.merge(gathered, &mut self.spare, |entries| {
                if renumbered.is_empty() {
                    return;
                }
                for (rest, number) in entries.iter().map(|entry| shard::parts(*entry)) {
                    if let Some(&number) = renumbered.get(&number) {
                        lists.add(number, number, (index as u64) << REST_BITS | rest);
                    }
                }
            });
            self.len += (shard.len() - before) as u64;
        }
    }

    fn sixteenth(&self, time: EventTime) -> i64 {
        time.micros().div_euclid(self.step.micros())
    }
}

/// A shard, and the rest that it keeps.
fn split(fingerprint: u64) -> (usize, u64) {
    ((fingerprint >> REST_BITS) as usize, fingerprint & ((1 << REST_BITS) - 1))
}

/// The sixteenth of a number as an entry has it.
fn whole(number: u64, base: i64) -> i64 {
    base + (number as i64 - base).rem_euclid(NUMBERS)
}

#[cfg(test)]
mod tests;
