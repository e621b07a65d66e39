//! How many different items: one structure that answers any window.
//!
//! In: hashed items by tick. Out: how many different ones were seen in each window.
//! Kept, instead of one sketch for each pane:
//! - the most recently seen items themselves, with the tick of their last sighting.
//!   From the `cutoff` on, the earliest tick from which on there are at most
//!   [`EXACT_ITEMS`], all are there, and windows that begin there are exact;
//! - for what was seen last before the cutoff, a sliding HyperLogLog
//!   ([`fronts::Fronts`]), made only once it is needed;
//! - items ahead of the present, by tick, until it reaches them: an item counts once
//!   in a window, at its last sighting, so that a sighting beyond the window's end
//!   would hide the one inside. For ends before what was taken in there is no
//!   figure.
//!
//! The figure depends on the set of sightings alone: the cutoff only ever moves
//! forward, and is defined by the set.

mod estimate;
mod fronts;
mod pending;
mod wire;

use std::collections::BTreeMap;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::aggregate::Tick;
use fronts::{Fronts, REGISTERS};
use pending::Pending;
pub use wire::DistinctImage;

/// How many of the most recently seen items are kept as they are.
pub const EXACT_ITEMS: usize = 512;
/// The relative standard error of an estimate: 1.04 / sqrt(4096).
pub const STANDARD_ERROR: f64 = 1.04 / 64.0;
/// With more of them the cutoff moves at once. Looking for it is one pass over all, which
/// is so made once for many new items; the table is no larger for them.
const MOST_RECENT: usize = EXACT_ITEMS * 3 / 2;
/// Ticks ahead of the present for which items wait; with more, the earliest are
/// taken in before their time.
const MOST_PENDING: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Seen {
    item: u64,
    tick: Tick,
}

/// The distinct items of any window. 0.5 to 17 KiB while exact, 60 to 150 KiB beyond.
#[derive(Debug, Clone)]
pub struct Distinct {
    recent: HashTable<Seen>,
    /// Everything last seen from here on is in `recent`. It may be behind its definition
    /// until a figure is read.
    cutoff: Tick,
    older: Option<Box<Fronts>>,
    pending: BTreeMap<Tick, Pending>,
    /// The newest tick taken in.
    newest: Tick,
    cached: Option<Cached>,
}

#[derive(Debug, Clone)]
struct Cached {
    starts: Box<[Tick]>,
    counts: Box<[u64]>,
}

impl Default for Distinct {
    fn default() -> Self {
        Distinct {
            recent: HashTable::new(),
            cutoff: Tick::MIN,
            older: None,
            pending: BTreeMap::new(),
            newest: Tick::MIN,
            cached: None,
        }
    }
}

impl Distinct {
    /// Takes note of a sighting in `tick`, `present` being the present one. Whether
    /// that changed what is kept: a sighting that did not may be left out of a record.
    pub fn observe(&mut self, item: u64, tick: Tick, present: Tick) -> bool {
        if tick <= present {
            return self.take_in(item, tick);
        }
        let new = self.pending.entry(tick).or_default().insert(item);
        self.bound_pending();
        new
    }

    fn bound_pending(&mut self) {
        while self.pending.len() > MOST_PENDING {
            if let Some((tick, pending)) = self.pending.pop_first() {
                self.take_in_pending(tick, pending);
            }
        }
    }

    fn note_change(&mut self, tick: Tick) {
        self.newest = self.newest.max(tick);
        self.cached = None;
    }

    fn take_in(&mut self, item: u64, tick: Tick) -> bool {
        if tick < self.cutoff {
            self.note_change(tick);
            return self.older.get_or_insert_default().insert_item(item, tick);
        }
        match self.recent.entry(item, |seen| seen.item == item, |seen| seen.item) {
            Entry::Occupied(mut held) => {
                let held = held.get_mut();
                if held.tick >= tick {
                    return false;
                }
                held.tick = tick;
            }
            Entry::Vacant(place) => {
                place.insert(Seen { item, tick });
            }
        }
        self.note_change(tick);
        if self.recent.len() > MOST_RECENT {
            self.find_cutoff();
        }
        true
    }

    /// Moves the cutoff to where it belongs.
    fn find_cutoff(&mut self) {
        if self.recent.len() > EXACT_ITEMS {
            // The latest tick from which on there are more than `EXACT_ITEMS`.
            let mut ticks: Vec<Tick> = self.recent.iter().map(|seen| seen.tick).collect();
            let (_, over, _) = ticks.select_nth_unstable_by(EXACT_ITEMS, |a, b| b.cmp(a));
            let cutoff = over.next();
            self.move_cutoff(cutoff);
        }
    }

    fn move_cutoff(&mut self, cutoff: Tick) {
        if cutoff <= self.cutoff {
            return;
        }
        self.cutoff = cutoff;
        let older = self.older.get_or_insert_default();
        self.recent.retain(|seen| {
            let stays = seen.tick >= cutoff;
            if !stays {
                older.insert_item(seen.item, seen.tick);
            }
            stays
        });
    }

    fn take_in_pending(&mut self, tick: Tick, pending: Pending) {
        match pending {
            Pending::Few(items) => items.iter().for_each(|&item| {
                self.take_in(item, tick);
            }),
            Pending::Many(registers) => {
                self.note_change(tick);
                self.move_cutoff(tick.next());
                let older = self.older.get_or_insert_default();
                for (register, &rank) in registers.iter().enumerate() {
                    if rank > 0 {
                        older.insert(register, rank, tick);
                    }
                }
            }
        }
    }

    /// Takes in what waited for tick `present` or an earlier one.
    pub fn advance(&mut self, present: Tick) {
        while let Some(next) = self.pending.first_entry().filter(|next| *next.key() <= present) {
            let (tick, pending) = next.remove_entry();
            self.take_in_pending(tick, pending);
        }
    }

    /// Takes note of everything that `other` has seen.
    pub fn merge(&mut self, other: &Self) {
        self.move_cutoff_if_beyond(other.cutoff);
        if let Some(older) = &other.older {
            self.note_change(other.newest);
            let mine = self.older.get_or_insert_default();
            older.each(|register, rank, tick| {
                mine.insert(register, rank, tick);
            });
        }
        for seen in &other.recent {
            self.take_in(seen.item, seen.tick);
        }
        for (&tick, pending) in &other.pending {
            self.pending.entry(tick).or_default().merge(pending);
        }
        self.newest = self.newest.max(other.newest);
        self.bound_pending();
    }

    fn move_cutoff_if_beyond(&mut self, cutoff: Tick) {
        if cutoff > self.cutoff && cutoff > Tick::MIN {
            self.cached = None;
            self.move_cutoff(cutoff);
        }
    }

    /// Forgets what was last seen before `keep_from`.
    pub fn age(&mut self, keep_from: Tick) {
        self.recent.retain(|seen| seen.tick >= keep_from);
        if self.recent.capacity() > 16 && self.recent.len() < self.recent.capacity() / 4 {
            self.recent.shrink_to(self.recent.len() * 2, |seen| seen.item);
        }
        if let Some(older) = &mut self.older {
            older.age(keep_from);
            if older.is_empty() {
                self.older = None;
            }
        }
        self.pending = self.pending.split_off(&keep_from);
    }

    /// How many different items were seen from each of `starts` (newest first) to
    /// the end of tick `end`; `None` where the state is already beyond that end.
    ///
    /// Cost: one pass over what is kept for all windows; nothing while neither the
    /// items nor the windows' starts have changed.
    pub fn read(&mut self, end: Tick, starts: &[Tick]) -> Option<&[u64]> {
        self.advance(end);
        if self.newest > end {
            return None;
        }
        let fresh = self.cached.as_ref().is_some_and(|cached| *cached.starts == *starts);
        if !fresh {
            self.find_cutoff();
            let counts = self.count(starts);
            self.cached = Some(Cached { starts: starts.into(), counts });
        }
        self.cached.as_ref().map(|cached| &*cached.counts)
    }

    fn count(&self, starts: &[Tick]) -> Box<[u64]> {
        let exact = starts.partition_point(|start| *start >= self.cutoff);
        let mut counts = vec![0_u64; starts.len()];
        for seen in &self.recent {
            let first = starts[..exact].partition_point(|start| *start > seen.tick);
            if let Some(count) = counts.get_mut(first) {
                *count += 1;
            }
        }
        for window in 1..exact {
            counts[window] += counts[window - 1];
        }
        if exact < starts.len() {
            let estimates = self.estimate(&starts[exact..]);
            counts[exact..].copy_from_slice(&estimates);
        }
        counts.into()
    }

    /// For windows that begin before the cutoff: all of `recent` lies in them.
    fn estimate(&self, starts: &[Tick]) -> Vec<u64> {
        let mut registers = [0_u8; REGISTERS];
        for seen in &self.recent {
            let (register, rank) = fronts::place_of(seen.item);
            registers[register] = registers[register].max(rank);
        }
        let mut histograms = vec![estimate::Histogram::default(); starts.len()];
        match &self.older {
            Some(older) => older.histograms(starts, &registers, &mut histograms),
            None => {
                for histogram in &mut histograms {
                    registers.iter().for_each(|&rank| histogram.add(rank));
                }
            }
        }
        histograms.iter().map(|histogram| histogram.estimate()).collect()
    }

    /// The newest tick in which anything was seen.
    pub fn newest(&self) -> Option<Tick> {
        let ahead = self.pending.last_key_value().map(|(tick, _)| *tick);
        ahead.max((self.newest > Tick::MIN).then_some(self.newest))
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.recent.is_empty() && self.older.is_none() && self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests;
