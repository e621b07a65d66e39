//! One of the small tables that ids are spread over.
//!
//! A sorted list with gaps: each entry stands at or after its home, which grows with
//! the entry, and entries stand in order. So a look-up of what is not there ends at
//! the first greater entry, and growing is one pass in order. No ready-made map packs
//! an id and its time into eight bytes, nor grows by less than twice.

use super::pages::{Gathered, PLACES, Pages, Spare};

/// Low bits of an entry: the number of its list.
pub(super) const NUMBER_BITS: u32 = 12;
/// Numbers are below this; the one that is left says that a place is free.
pub(super) const NUMBERS: usize = (1 << NUMBER_BITS) - 1;
/// High bits of an entry: the rest of its fingerprint.
pub(super) const REST_BITS: u32 = 64 - NUMBER_BITS;

const FREE: u64 = u64::MAX;
/// Places behind the last home, for what is pushed over the end.
const TAIL: usize = 8;
/// Entries for each hundred homes: after growing; when a shard grows (fuller, and the
/// moves become long); when a sweep makes it smaller.
const NEW: usize = 76;
const FULLEST: usize = 85;
const EMPTIEST: usize = 73;

/// Entries of a rest of a fingerprint and a number.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pages: Pages,
    len: u32,
}

/// An entry of a rest and a number.
pub(super) fn entry(rest: u64, number: u64) -> u64 {
    rest << NUMBER_BITS | number
}

/// The rest and the number of an entry.
pub(super) fn parts(entry: u64) -> (u64, u64) {
    (entry >> NUMBER_BITS, entry & ((1 << NUMBER_BITS) - 1))
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Bytes on the heap, with what an allocator usually adds.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pages.memory_bytes()
    }

    fn home(&self, rest: u64) -> usize {
        home(rest, self.homes())
    }

    /// What stands at the home of a rest, and a little after it, where the page may be
    /// another: reading it brings it into the cache.
    pub(super) fn at_home(&self, rest: u64) -> u64 {
        let home = self.home(rest);
        let after = self.pages.get(home + TAIL).unwrap_or(FREE);
        self.pages.get(home).unwrap_or(FREE) ^ after
    }

    /// The numbers under which a rest is there.
    pub(super) fn numbers(&self, rest: u64) -> impl Iterator<Item = u64> {
        let from = self.pages.runs(self.home(rest)).flatten();
        from.take_while(move |place| **place != FREE && **place >> NUMBER_BITS <= rest)
            .map(|place| parts(*place))
            .filter(move |(there, _)| *there == rest)
            .map(|(_, number)| number)
    }

    /// All rests and their numbers, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, u64)> {
        let entries = self.pages.runs(0).flatten().filter(|place| **place != FREE);
        entries.map(|entry| parts(*entry))
    }

    /// Adds an entry that is not there. Cost: moves the entries up to the next free
    /// place; every so often the whole shard.
    pub(super) fn insert(&mut self, rest: u64, number: u64, spare: &mut Spare) {
        if (self.len() + 1) * 100 > self.homes() * FULLEST {
            self.gather(spare, Some);
            self.lay(fitting(self.len() + 1).max(self.pages.count() + 1), spare);
        }
        match self.place(entry(rest, number)) {
            None => self.len += 1,
            // The greatest was pushed over the end, which is seldom: a little more room.
            Some(over) => {
                self.gather(spare, Some);
                spare.entries.push(over);
                self.lay(self.pages.count() + 1, spare);
            }
        }
    }

    fn homes(&self) -> usize {
        self.pages.places().saturating_sub(TAIL)
    }

    /// Gives what does not fit before the end.
    fn place(&mut self, mut entry: u64) -> Option<u64> {
        for run in self.pages.runs_mut(home(entry >> NUMBER_BITS, self.homes())) {
            // A free place is greater than any entry.
            let Some(at) = run.iter().position(|place| *place > entry) else { continue };
            let run = &mut run[at..];
            let free = run.iter().position(|place| *place == FREE);
            // What the page has no room for goes to the beginning of the next.
            let end = free.unwrap_or(run.len() - 1);
            let over = run[end];
            run.copy_within(..end, 1);
            run[0] = entry;
            if over == FREE {
                return None;
            }
            entry = over;
        }
        Some(entry)
    }

    /// Keeps of each number what `keep` gives for it, and gives back room that is not
    /// needed any more.
    pub(super) fn sweep(&mut self, spare: &mut Spare, keep: impl Fn(u64) -> Option<u64>) {
        self.gather(spare, |one| {
            let (rest, number) = parts(one);
            keep(number).map(|kept| entry(rest, kept))
        });
        // Another number may change the order within one rest, or make two one.
        spare.entries.sort_unstable();
        spare.entries.dedup();
        let roomy = spare.entries.len() * 100 < self.homes() * EMPTIEST;
        let pages = self.pages.count();
        self.lay(if roomy { fitting(spare.entries.len()).min(pages) } else { pages }, spare);
    }

    /// Adds entries in any order, some of which may be there, and shows all that the
    /// shard has then. Cost: sorts them.
    pub(super) fn merge(
        &mut self,
        gathered: Gathered,
        spare: &mut Spare,
        seen: impl FnOnce(&[u64]),
    ) {
        self.gather(spare, Some);
        gathered.pour(&mut self.pages, spare);
        spare.entries.sort_unstable();
        spare.entries.dedup();
        seen(&spare.entries);
        self.lay(fitting(spare.entries.len()), spare);
    }

    /// Copies out all entries that `keep` gives something for, in order.
    fn gather(&self, spare: &mut Spare, keep: impl Fn(u64) -> Option<u64>) {
        spare.entries.clear();
        for run in self.pages.runs(0) {
            let entries = run.iter().copied().filter(|place| *place != FREE);
            spare.entries.extend(entries.filter_map(&keep));
        }
    }

    /// Puts the spare entries into that many pages, or a few more.
    fn lay(&mut self, mut pages: usize, spare: &mut Spare) {
        self.pages.resize(pages, spare);
        while !self.try_lay(&spare.entries) {
            pages += 1;
            self.pages.resize(pages, spare);
        }
        self.len = spare.entries.len() as u32;
    }

    fn try_lay(&mut self, entries: &[u64]) -> bool {
        self.pages.runs_mut(0).for_each(|run| run.fill(FREE));
        let homes = self.homes();
        let mut next = 0;
        for entry in entries {
            let at = home(entry >> NUMBER_BITS, homes).max(next);
            let Some(place) = self.pages.get_mut(at) else { return false };
            *place = *entry;
            next = at + 1;
        }
        true
    }
}

/// Pages for that many entries, with room for an eighth more; of few entries, to the
/// nearest page.
fn fitting(entries: usize) -> usize {
    match entries {
        0 => 0,
        _ => ((entries * 100 / NEW + TAIL + PLACES / 2) / PLACES).max(1),
    }
}

/// Spreads rests evenly over the homes, the greater the later.
fn home(rest: u64, homes: usize) -> usize {
    (((rest >> (REST_BITS - 32)) * homes as u64) >> 32) as usize
}
