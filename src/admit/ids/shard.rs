//! One of the small tables that ids are spread over.
//!
//! A sorted list with gaps: each entry stands at or after its home, which grows with
//! the entry, and entries stand in order. So a look-up of what is not there ends at
//! the first greater entry, and growing is one pass in order. No ready-made map packs
//! an id and its time into eight bytes, nor grows by less than twice.

/// Low bits of an entry: the number of its sixteenth.
pub(super) const NUMBER_BITS: u32 = 12;
/// Numbers are counted round and round below this; the one number left says that a
/// place is free.
pub(super) const NUMBERS: i64 = (1 << NUMBER_BITS) - 1;
/// High bits of an entry: the rest of its fingerprint.
pub(super) const REST_BITS: u32 = 64 - NUMBER_BITS;

const FREE: u64 = u64::MAX;
/// Places behind the last home, for what is pushed over the end.
const TAIL: usize = 8;
/// Entries for each hundred homes: after growing; when a shard grows (fuller, and the
/// moves become long); when a sweep makes it smaller.
const NEW: usize = 75;
const FULLEST: usize = 85;
const EMPTIEST: usize = 70;

/// Entries of a rest of a fingerprint and a number.
#[derive(Debug, Default)]
pub(super) struct Shard {
    places: Vec<u64>,
    len: u32,
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Bytes on the heap, with what an allocator usually adds.
    pub(super) fn memory_bytes(&self) -> usize {
        match self.places.capacity() {
            0 => 0,
            places => places * size_of::<u64>() + 16,
        }
    }

    fn home(&self, rest: u64) -> usize {
        home(rest, self.homes())
    }

    /// What stands at the home of a rest: reading it brings it into the cache.
    pub(super) fn at_home(&self, rest: u64) -> u64 {
        self.places.get(self.home(rest)).copied().unwrap_or(FREE)
    }

    /// The numbers under which a rest is there.
    pub(super) fn numbers(&self, rest: u64) -> impl Iterator<Item = u64> {
        let from = self.places.get(self.home(rest)..).unwrap_or_default();
        from.iter()
            .take_while(move |place| **place != FREE && **place >> NUMBER_BITS <= rest)
            .filter(move |place| **place >> NUMBER_BITS == rest)
            .map(|place| place & ((1 << NUMBER_BITS) - 1))
    }

    /// All rests and their numbers, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, u64)> {
        let entries = self.places.iter().filter(|place| **place != FREE);
        entries.map(|entry| (entry >> NUMBER_BITS, entry & ((1 << NUMBER_BITS) - 1)))
    }

    /// Adds an entry that is not there. Cost: moves the entries up to the next free
    /// place; every so often the whole shard.
    pub(super) fn insert(&mut self, rest: u64, number: u64, scratch: &mut Vec<u64>) {
        let entry = rest << NUMBER_BITS | number;
        let homes = self.homes();
        if (self.len() + 1) * 100 > homes * FULLEST {
            self.gather(scratch, Some);
            self.lay(scratch, fitting(self.len() + 1));
        }
        while !self.place(entry) {
            // Pushed over the end, which is seldom: a little more room.
            self.gather(scratch, Some);
            self.lay(scratch, self.homes() + self.homes() / 16 + 1);
        }
        self.len += 1;
    }

    fn homes(&self) -> usize {
        self.places.len().saturating_sub(TAIL)
    }

    /// False if it does not fit before the end.
    fn place(&mut self, entry: u64) -> bool {
        let mut at = self.home(entry >> NUMBER_BITS);
        // A free place is greater than any entry.
        while self.places.get(at).is_some_and(|place| *place < entry) {
            at += 1;
        }
        let free = self.places.get(at..).and_then(|run| run.iter().position(|one| *one == FREE));
        let Some(run) = free else { return false };
        self.places.copy_within(at..at + run, at + 1);
        self.places[at] = entry;
        true
    }

    /// Keeps of each number what `keep` gives for it, and gives back room that is not
    /// needed any more.
    pub(super) fn sweep(&mut self, scratch: &mut Vec<u64>, keep: impl Fn(u64) -> Option<u64>) {
        let number = (1 << NUMBER_BITS) - 1;
        self.gather(scratch, |entry| keep(entry & number).map(|kept| entry & !number | kept));
        // Another number may change the order within one rest, or make two one.
        scratch.sort_unstable();
        scratch.dedup();
        let roomy = scratch.len() * 100 < self.homes() * EMPTIEST;
        let homes = if roomy { fitting(scratch.len()) } else { self.homes() };
        self.lay(scratch, homes);
    }

    /// Copies out all entries that `keep` gives something for, in order.
    fn gather(&self, scratch: &mut Vec<u64>, keep: impl Fn(u64) -> Option<u64>) {
        scratch.clear();
        let entries = self.places.iter().copied().filter(|place| *place != FREE);
        scratch.extend(entries.filter_map(keep));
    }

    /// Puts entries that are in order into that many homes, or a few more.
    fn lay(&mut self, entries: &[u64], mut homes: usize) {
        while !self.try_lay(entries, homes) {
            homes += homes / 16 + 1;
        }
        self.len = entries.len() as u32;
    }

    fn try_lay(&mut self, entries: &[u64], homes: usize) -> bool {
        let places = homes + TAIL;
        self.places.clear();
        self.places.shrink_to(places);
        self.places.reserve_exact(places);
        self.places.resize(places, FREE);
        let mut next = 0;
        for entry in entries {
            let at = home(entry >> NUMBER_BITS, homes).max(next);
            let Some(place) = self.places.get_mut(at) else { return false };
            *place = *entry;
            next = at + 1;
        }
        true
    }
}

/// Homes for that many entries, with room for an eighth more.
fn fitting(entries: usize) -> usize {
    entries * 100 / NEW + 2
}

/// Spreads rests evenly over the homes, the greater the later.
fn home(rest: u64, homes: usize) -> usize {
    (((rest >> (REST_BITS - 32)) * homes as u64) >> 32) as usize
}
