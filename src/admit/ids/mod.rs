//! The ids seen lately, by which copies are told.
//!
//! In: the fingerprint of each event that may count, and its record's time. Out:
//! whether it is the first of its kind. Kept: fingerprints by the sixteenth of the
//! horizon in which they were seen, in at most 12 bytes for each from a million on,
//! growing by a four-thousandth at a time; and lists of what a checkpoint has to
//! write: the table is their union at any moment, so that it can be made anew from
//! them. Never: an id itself, a clock, a look at event times.
//!
//! What is seen is kept by its own record's time, whatever was seen before: nothing is
//! forgotten before reading has passed it by a horizon, and what lies far behind is
//! kept as long as if it came now. Only what lies ahead of a clock that should know is
//! not waited for: a record from the year 2099 would be kept until then.
//!
//! All 64 bits of a fingerprint are compared, so that with `n` ids remembered a new
//! one is taken for a copy with a probability of `n / 2^64`.

mod lists;
mod numbers;
mod pages;
mod shard;

use std::collections::BTreeSet;

use lists::Lists;
use numbers::Stretch;
use pages::{Gathered, PLACES, Spare};
use shard::{NUMBER_BITS, REST_BITS, Shard};

use crate::event::{EventTime, Span};

/// The horizon is kept to one part in so many.
const SIXTEENTHS: i64 = 16;
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
/// for at least the horizon, and at most 17/16 of it. Only where so much is remembered
/// that there are 4,095 sixteenths with ids, those that lie far from the present are
/// joined with their neighbours, and remembered for as much longer.
#[derive(Debug)]
pub struct SeenIds {
    step: Span,
    shards: Vec<Shard>,
    len: u64,
    lists: Lists,
    /// The sixteenth up to which everything is read, once that is known.
    present: Option<i64>,
    /// Whether nothing was left to read then.
    all_read: bool,
    /// How often the present has moved on to another sixteenth while nothing was.
    moves: u64,
    /// The next shard to be swept of what is forgotten.
    sweeping: Option<usize>,
    /// Of lists of another horizon: they are not needed any more.
    dropped: Vec<(Span, i64)>,
    spare: Spare,
    /// What is being restored, by shard, until it is laid out; and the numbers of what
    /// has to be written anew.
    gathered: Vec<Gathered>,
    rewritten: BTreeSet<u64>,
    found: Vec<Stretch>,
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
            all_read: false,
            moves: 0,
            sweeping: None,
            dropped: Vec::new(),
            spare: Spare::default(),
            gathered: Vec::new(),
            rewritten: BTreeSet::new(),
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

    /// Judges an event whose record has that time, and remembers it.
    pub fn observe(&mut self, fingerprint: u64, seen_at: EventTime) -> Sighting {
        let seen = self.sixteenth(seen_at);
        let (shard, rest) = split(fingerprint);
        let known = self.known(shard, rest, seen);
        if !matches!(known, Known::Before) {
            self.make_room(seen);
            let number = self.lists.add(seen, self.present, fingerprint);
            self.shards[shard].insert(rest, number, &mut self.spare);
            self.len += 1;
        }
        match known {
            Known::Not => Sighting::First,
            Known::Before | Known::After => Sighting::Copy,
        }
    }

    /// What the entries of a fingerprint say. Taken in ascending order, each that is
    /// further than the horizon behind the last first sight is a first sight itself; so
    /// is each that may be, where sixteenths are joined.
    fn known(&mut self, shard: usize, rest: u64, seen: i64) -> Known {
        let (lists, found) = (&self.lists, &mut self.found);
        found.clear();
        found.extend(self.shards[shard].numbers(rest).filter_map(|number| lists.stretch(number)));
        found.sort_unstable_by_key(|there| there.first);
        let mut first: Option<i64> = None;
        for there in found {
            if first.is_some_and(|first| there.last <= first + SIXTEENTHS) {
                continue;
            }
            first = Some(there.first);
            if (there.first..=there.last + SIXTEENTHS).contains(&seen) {
                return Known::Before;
            }
            if (seen..=seen + SIXTEENTHS).contains(&there.first) {
                return Known::After;
            }
        }
        Known::Not
    }

    /// Sees to it that there is a number for a sixteenth. Cost: next to none, unless all
    /// are in use; then a look at every id, once in some two thousand sixteenths.
    fn make_room(&mut self, sixteenth: i64) {
        if self.lists.has_room(sixteenth) {
            return;
        }
        self.lay_out();
        self.sweep_rest();
        if !self.lists.has_room(sixteenth) {
            self.join(self.present.unwrap_or(sixteenth));
        }
    }

    /// Joins sixteenths that lie far from `near` with their neighbours.
    fn join(&mut self, near: i64) {
        let becomes = self.lists.join(near);
        for (index, shard) in self.shards.iter_mut().enumerate() {
            let before = shard.len();
            shard.sweep(&mut self.spare, |number| {
                Some(becomes.get(&number).copied().unwrap_or(number))
            });
            self.len -= (before - shard.len()) as u64;
            for (rest, number) in shard.entries() {
                // It goes on under the number of one of its parts.
                if becomes.contains_key(&number) {
                    self.lists.write(number, (index as u64) << REST_BITS | rest);
                }
            }
        }
        self.lists.swept();
    }

    /// Forgets what was first seen more than a horizon before `to`, up to which every
    /// partition is read; it may go back. To be called about once a second: the memory
    /// of what is forgotten is given back over some calls.
    ///
    /// `all_read_at` is the clock's time if there is nothing left to read: what lies
    /// ahead of it is then forgotten as well, once reading has gone on from one sixteenth
    /// to another so often as there are in two horizons since it was seen last.
    pub fn advance(&mut self, to: EventTime, all_read_at: Option<EventTime>) {
        let to = self.sixteenth(to);
        let ahead_of = all_read_at.map(|now| self.sixteenth(now));
        let was_all_read = std::mem::replace(&mut self.all_read, ahead_of.is_some());
        if self.present == Some(to) {
            self.sweep_some();
            return;
        }
        // How far it moves says nothing: a clock may have been set.
        if was_all_read && self.all_read && self.present.is_some_and(|present| present < to) {
            self.moves += 1;
        }
        self.sweep_rest();
        if self.lists.expire(to, ahead_of, self.moves) {
            self.sweeping = Some(0);
        }
        self.present = Some(to);
    }

    /// The present, from which another that restores this goes on.
    pub fn present(&self) -> Option<EventTime> {
        let micros = self.present?.saturating_mul(self.step.micros());
        Some(EventTime::from_micros(micros))
    }

    /// Goes on from the present of what is about to be restored.
    pub fn go_on_from(&mut self, present: EventTime) {
        self.present = Some(self.sixteenth(present));
    }

    fn sweep_some(&mut self) {
        let Some(from) = self.sweeping else { return };
        let end = (from + SWEPT_AT_ONCE).min(self.shards.len());
        self.sweep(from..end);
    }

    fn sweep_rest(&mut self) {
        if let Some(from) = self.sweeping {
            self.sweep(from..self.shards.len());
        }
    }

    fn sweep(&mut self, shards: std::ops::Range<usize>) {
        let end = shards.end;
        for shard in &mut self.shards[shards] {
            let before = shard.len();
            let lists = &self.lists;
            shard.sweep(&mut self.spare, |number| lists.stretch(number).map(|_| number));
            self.len -= (before - shard.len()) as u64;
        }
        self.spare.keep(self.len as usize / PLACES / SPARE);
        self.sweeping = Some(end).filter(|end| *end < self.shards.len());
        if self.sweeping.is_none() {
            self.lists.swept();
        }
    }

    /// What was added to which list since the last call, if a journal is kept. A list is
    /// named by the length of the time that it stands for, a sixteenth of the horizon
    /// unless joined, and how often that length had passed since 1970 when it began.
    pub fn take_added(&mut self) -> Vec<((Span, i64), Vec<u64>)> {
        let added = self.lists.take_added();
        added.into_iter().map(|(stretch, items)| (self.name(stretch), items)).collect()
    }

    /// The lists that are not needed any more since the last call.
    pub fn take_dropped(&mut self) -> Vec<(Span, i64)> {
        let mut dropped = std::mem::take(&mut self.dropped);
        let of_today = self.lists.take_dropped();
        dropped.extend(of_today.into_iter().map(|stretch| self.name(stretch)));
        dropped
    }

    fn name(&self, stretch: Stretch) -> (Span, i64) {
        let length = self.step.micros().saturating_mul(stretch.len());
        (Span::from_micros(length), stretch.first / stretch.len())
    }

    /// The inverse of [`SeenIds::name`]; none for a list of another horizon.
    fn stretch(&self, length: Span, number: i64) -> Option<Stretch> {
        let (length, step) = (length.micros(), self.step.micros());
        let len = (length % step == 0).then_some(length / step)?;
        let first = number.checked_mul(len)?;
        let last = first.checked_add(len - 1)?;
        u64::try_from(len).is_ok_and(u64::is_power_of_two).then_some(Stretch { first, last })
    }

    /// Puts a list back that was written before; several in any order, before the first
    /// sighting and after [`SeenIds::go_on_from`], and then [`SeenIds::restored`]. One of
    /// another horizon than today's goes where its end falls, so that its ids are
    /// remembered long enough, and is written anew.
    pub fn restore(&mut self, length: Span, number: i64, items: &[u64]) {
        let end = number.saturating_add(1).saturating_mul(length.micros()).saturating_sub(1);
        let end = self.sixteenth(EventTime::from_micros(end));
        let stretch = self.stretch(length, number);
        self.make_room(stretch.map_or(end, |stretch| stretch.first));
        let taken = stretch.and_then(|stretch| self.lists.restored(stretch, self.present));
        let entry_number = taken.unwrap_or_else(|| {
            self.dropped.push((length, number));
            let number = self.lists.number(end, self.present);
            self.rewritten.insert(number);
            number
        });
        self.gathered.resize_with(self.shards.len(), Gathered::default);
        for &fingerprint in items {
            let (shard, rest) = split(fingerprint);
            self.gathered[shard].push(shard::entry(rest, entry_number), &mut self.spare);
        }
    }

    /// To be said after the last list: from now on what they hold is known. Cost: sorts
    /// each shard, some 30 ns for an id.
    pub fn restored(&mut self) {
        self.lay_out();
    }

    /// Makes what was gathered known, and notes what has to be written anew.
    fn lay_out(&mut self) {
        let rewritten = std::mem::take(&mut self.rewritten);
        let gathered = std::mem::take(&mut self.gathered);
        for (index, (shard, gathered)) in self.shards.iter_mut().zip(gathered).enumerate() {
            let before = shard.len();
            let lists = &mut self.lists;
            shard.merge(gathered, &mut self.spare, |entries| {
                if rewritten.is_empty() {
                    return;
                }
                for (rest, number) in entries.iter().map(|entry| shard::parts(*entry)) {
                    if rewritten.contains(&number) {
                        lists.write(number, (index as u64) << REST_BITS | rest);
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

#[cfg(test)]
mod tests;
