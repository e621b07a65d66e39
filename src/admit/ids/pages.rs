//! Places for entries, in pages that are all alike.
//!
//! Thousands of shards grow all the time, and each by little. Were each one block of
//! memory, those that it leaves behind would be too small for any that is asked for
//! later, and the process would be a third larger than its table. A page that one
//! shard gives back serves the next that grows, whichever thread it grows on.

/// Places in a page: eight lines of the processor's cache.
pub(super) const PLACES: usize = 64;
/// What an allocator usually adds to a block.
const ADDED: usize = 16;

type Page = Box<[u64; PLACES]>;

/// The places of a shard.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Page>,
}

/// What the shards share.
#[derive(Debug, Default)]
pub(super) struct Spare {
    /// Pages that no shard needs at the moment.
    pages: Pages,
    /// The entries of the shard that is being laid out, in order.
    pub(super) entries: Vec<u64>,
}

impl Pages {
    /// How many pages there are.
    pub(super) fn count(&self) -> usize {
        self.pages.len()
    }

    /// How many places there are.
    pub(super) fn places(&self) -> usize {
        self.pages.len() * PLACES
    }

    pub(super) fn get(&self, at: usize) -> Option<u64> {
        self.pages.get(at / PLACES).map(|page| page[at % PLACES])
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut u64> {
        self.pages.get_mut(at / PLACES).map(|page| &mut page[at % PLACES])
    }

    /// All places from one on, page by page.
    pub(super) fn runs(&self, at: usize) -> impl Iterator<Item = &[u64]> {
        let mut from = at % PLACES;
        let pages = self.pages.get(at / PLACES..).unwrap_or_default();
        pages.iter().map(move |page| &page[std::mem::take(&mut from)..])
    }

    /// As [`Pages::runs`].
    pub(super) fn runs_mut(&mut self, at: usize) -> impl Iterator<Item = &mut [u64]> {
        let mut from = at % PLACES;
        let pages = self.pages.get_mut(at / PLACES..).unwrap_or_default();
        pages.iter_mut().map(move |page| &mut page[std::mem::take(&mut from)..])
    }

    /// Makes them so many; new ones hold anything.
    pub(super) fn resize(&mut self, count: usize, spare: &mut Spare) {
        let spare = &mut spare.pages.pages;
        while self.pages.len() < count {
            self.pages.push(spare.pop().unwrap_or_else(|| Box::new([0; PLACES])));
        }
        spare.extend(self.pages.drain(count..));
        self.pages.shrink_to(2 * count);
    }

    /// Bytes on the heap, with what an allocator usually adds.
    pub(super) fn memory_bytes(&self) -> usize {
        let list = match self.pages.capacity() {
            0 => 0,
            pages => pages * size_of::<Page>() + ADDED,
        };
        self.pages.len() * (size_of::<[u64; PLACES]>() + ADDED) + list
    }
}

impl Spare {
    /// Gives back all spare pages but so many.
    pub(super) fn keep(&mut self, count: usize) {
        self.pages.pages.truncate(count);
        self.pages.pages.shrink_to(2 * count);
    }

    /// Bytes on the heap, with what an allocator usually adds.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pages.memory_bytes() + self.entries.capacity() * size_of::<u64>()
    }
}

/// Entries in no order, on their way into a shard.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pages: Pages,
    len: usize,
}

impl Gathered {
    pub(super) fn push(&mut self, entry: u64, spare: &mut Spare) {
        if self.len == self.pages.places() {
            self.pages.resize(self.pages.count() + 1, spare);
        }
        if let Some(place) = self.pages.get_mut(self.len) {
            *place = entry;
            self.len += 1;
        }
    }

    /// Moves them behind the spare entries, and their pages where they are needed next.
    pub(super) fn pour(self, pages: &mut Pages, spare: &mut Spare) {
        let mut left = self.len;
        for run in self.pages.runs(0) {
            let run = &run[..left.min(PLACES)];
            spare.entries.extend_from_slice(run);
            left -= run.len();
        }
        let mut before = std::mem::replace(pages, self.pages);
        before.resize(0, spare);
    }
}
