//! Which of the values without series of their own are heavy.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi 2005): a fixed number of counters; a
//! value that has none takes over the lowest, whose count becomes its possible
//! error. Kept beside each: the newest tick in which the value was seen, which says
//! from when on a series of its own would be whole.

use crate::aggregate::{Impossible, Tick, TickSteps};
use crate::kpi::journal::CandidatesImage;

/// How many values are remembered.
const MOST: usize = 256;

/// The heaviest of what is folded.
#[derive(Debug, Clone)]
pub(super) struct Candidates {
    // Apart, so that a search runs over one dense array.
    hashes: Vec<u64>,
    counts: Vec<u64>,
    rest: Vec<Candidate>,
    /// The newest tick of any value that is no longer remembered.
    forgotten: Tick,
}

/// A remembered value.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) key: Box<str>,
    pub(super) hash: u64,
    pub(super) newest: Tick,
    /// How much of its count may be others'.
    error: u64,
}

impl Default for Candidates {
    fn default() -> Self {
        Candidates {
            hashes: Vec::new(),
            counts: Vec::new(),
            rest: Vec::new(),
            forgotten: Tick::MIN,
        }
    }
}

impl Candidates {
    fn find(&self, hash: u64, key: &str) -> Option<usize> {
        let at = self.hashes.iter().position(|held| *held == hash)?;
        (*self.rest[at].key == *key).then_some(at)
    }

    /// An event of that value was folded.
    pub(super) fn note(&mut self, hash: u64, key: &str, tick: Tick) {
        if let Some(at) = self.find(hash, key) {
            self.counts[at] += 1;
            self.rest[at].newest = self.rest[at].newest.max(tick);
            return;
        }
        let candidate = Candidate { key: key.into(), hash, newest: tick, error: 0 };
        if self.rest.len() < MOST {
            self.hashes.push(hash);
            self.counts.push(1);
            self.rest.push(candidate);
            return;
        }
        let lowest = self.counts.iter().enumerate().min_by_key(|(_, count)| **count);
        let Some((at, &error)) = lowest else { return };
        self.forget_before(self.rest[at].newest);
        self.hashes[at] = hash;
        self.counts[at] = error + 1;
        self.rest[at] = Candidate { error, ..candidate };
    }

    /// Events of values that are not remembered may be as new as `newest`.
    pub(super) fn forget_before(&mut self, newest: Tick) {
        self.forgotten = self.forgotten.max(newest);
    }

    /// The value that surely has the most events, and how many these are at least.
    pub(super) fn heaviest(&self) -> Option<(u64, Candidate)> {
        let sure = |at: usize| self.counts[at] - self.rest[at].error;
        let at = (0..self.rest.len()).max_by_key(|at| (sure(*at), &self.rest[*at].key))?;
        Some((sure(at), self.rest[at].clone()))
    }

    /// Takes a value out, since it gets a series of its own; returns the newest tick
    /// in which it may have been folded, if any.
    pub(super) fn take(&mut self, hash: u64, key: &str) -> Option<Tick> {
        let newest = self.find(hash, key).map(|at| {
            self.hashes.swap_remove(at);
            self.counts.swap_remove(at);
            self.rest.swap_remove(at).newest
        });
        newest.max((self.forgotten > Tick::MIN).then_some(self.forgotten))
    }

    /// All that is remembered, ticks as steps from `base`.
    pub(super) fn image(&self, base: Tick) -> CandidatesImage<'_> {
        let mut steps = TickSteps::from(base);
        let forgotten = steps.to(self.forgotten);
        let mut steps = TickSteps::from(base);
        let candidates = self.rest.iter().zip(&self.counts);
        let candidates = candidates.map(|(candidate, count)| {
            (&*candidate.key, *count, candidate.error, steps.to(candidate.newest))
        });
        CandidatesImage { candidates: candidates.collect(), forgotten }
    }

    /// What an image shows; `hash` is that of the table.
    pub(super) fn from_image(
        image: CandidatesImage<'_>,
        base: Tick,
        hash: impl Fn(&str) -> u64,
    ) -> Result<Self, Impossible> {
        let forgotten = TickSteps::from(base).take(image.forgotten);
        let mut candidates = Candidates { forgotten, ..Candidates::default() };
        let mut steps = TickSteps::from(base);
        for (key, count, error, newest) in image.candidates {
            if candidates.rest.len() == MOST || error > count {
                return Err(Impossible("candidates that cannot be"));
            }
            let (hash, newest) = (hash(key), steps.take(newest));
            candidates.hashes.push(hash);
            candidates.counts.push(count);
            candidates.rest.push(Candidate { key: key.into(), hash, newest, error });
        }
        Ok(candidates)
    }

    /// Lets old weight fade.
    pub(super) fn halve(&mut self) {
        for (count, candidate) in self.counts.iter_mut().zip(&mut self.rest) {
            *count /= 2;
            candidate.error = candidate.error.div_ceil(2).min(*count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heavy_one_is_found_among_many() {
        let mut candidates = Candidates::default();
        for number in 0..20_000_u64 {
            candidates.note(number + 1, &format!("rare {number}"), Tick::new(number as i32));
            if number % 10 == 0 {
                candidates.note(0, "heavy", Tick::new(7));
            }
        }
        let (sure, heavy) = candidates.heaviest().expect("one");
        assert_eq!(&*heavy.key, "heavy");
        assert!((1_000..=2_000).contains(&sure), "surely {sure} of 2000");
        assert_eq!(candidates.rest.len(), MOST);
    }

    #[test]
    fn what_may_have_been_folded_is_never_understated() {
        let mut candidates = Candidates::default();
        candidates.note(1, "a", Tick::new(50));
        assert_eq!(candidates.take(2, "b"), None);
        assert_eq!(candidates.take(1, "a"), Some(Tick::new(50)));
        for number in 0..=MOST as u64 {
            candidates.note(number, "x", Tick::new(9));
        }
        assert_eq!(candidates.take(999, "never seen"), Some(Tick::new(9)));
    }
}
