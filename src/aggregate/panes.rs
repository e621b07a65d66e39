//! Aggregates that only add: sums, counts, and what a mean is made of.
//!
//! In: amounts by tick. Out: the sum over any windows with one common end, in one
//! pass. Kept: one amount for each pane, oldest first, so that the newest, which
//! takes nearly all additions, is found at once. A pane is named by its first tick;
//! how long it is only its owner knows, who sees to it that no window ever begins
//! inside one (see [`crate::window::Ageing`]).

use crate::aggregate::Tick;
use crate::event::Decimal;

/// What can be added up; associative and commutative.
pub trait Additive: Copy {
    /// Adds `other` to it.
    fn add(&mut self, other: Self);
}

impl Additive for Decimal {
    fn add(&mut self, other: Self) {
        *self += other;
    }
}

/// What a mean is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Averaged {
    /// The sum of the amounts.
    pub sum: Decimal,
    /// How many there were.
    pub events: u64,
}

impl Additive for Averaged {
    fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.events = self.events.saturating_add(other.events);
    }
}

/// Panes for which room is kept in what is emptied often.
const KEPT_ROOM: usize = 8;

/// Amounts by pane, oldest first; no two panes have the same first tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panes<V> {
    panes: Vec<(Tick, V)>,
}

impl<V> Default for Panes<V> {
    fn default() -> Self {
        Panes { panes: Vec::new() }
    }
}

impl<V: Additive> Panes<V> {
    /// Adds an amount: at once to the newest pane, and to an older one if a pane was
    /// begun in every tick since; else by bisection.
    #[inline]
    pub fn add(&mut self, tick: Tick, amount: V) {
        match self.panes.last_mut() {
            Some((newest, sum)) if *newest == tick => sum.add(amount),
            Some((newest, _)) if *newest > tick => {
                let back = newest.number().abs_diff(tick.number()) as usize;
                self.add_older(tick, amount, back);
            }
            _ => self.panes.push((tick, amount)),
        }
    }

    /// To the pane of `tick`, which is `back` ticks before the newest.
    fn add_older(&mut self, tick: Tick, amount: V, back: usize) {
        let guess = self.panes.len().wrapping_sub(1).wrapping_sub(back);
        if let Some((start, sum)) = self.panes.get_mut(guess)
            && *start == tick
        {
            sum.add(amount);
            return;
        }
        let place = self.panes.partition_point(|(start, _)| *start < tick);
        match self.panes.get_mut(place) {
            Some((start, sum)) if *start == tick => sum.add(amount),
            _ => self.panes.insert(place, (tick, amount)),
        }
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        for &(tick, amount) in &other.panes {
            self.add(tick, amount);
        }
    }

    /// Drops the panes before `keep_from` and joins those that `floor` gives the
    /// same first tick. `floor` must not decrease.
    pub fn age(&mut self, keep_from: Tick, floor: impl Fn(Tick) -> Tick) {
        let mut kept = 0;
        for at in 0..self.panes.len() {
            let (start, amount) = self.panes[at];
            if start < keep_from {
                continue;
            }
            let start = floor(start);
            if kept > 0 && self.panes[kept - 1].0 == start {
                self.panes[kept - 1].1.add(amount);
            } else {
                self.panes[kept] = (start, amount);
                kept += 1;
            }
        }
        self.panes.truncate(kept);
        if self.panes.capacity() > 16 && self.panes.len() < self.panes.capacity() / 4 {
            self.panes.shrink_to(self.panes.len() * 2);
        }
    }

    /// The sums from each of `starts` (newest first) to the end of tick `end`, in
    /// one pass over the panes; `None` where no pane lies in the window.
    pub fn read(&self, end: Tick, starts: &[Tick], mut give: impl FnMut(usize, Option<V>)) {
        let mut sum: Option<V> = None;
        let mut window = 0;
        for &(start, amount) in self.panes.iter().rev() {
            if start > end {
                continue;
            }
            while window < starts.len() && start < starts[window] {
                give(window, sum);
                window += 1;
            }
            if window == starts.len() {
                return;
            }
            match &mut sum {
                Some(sum) => sum.add(amount),
                None => sum = Some(amount),
            }
        }
        for window in window..starts.len() {
            give(window, sum);
        }
    }

    /// Takes out all panes, oldest first; a little room stays for the next ones.
    pub fn drain(&mut self, mut give: impl FnMut(Tick, V)) {
        self.panes.iter().for_each(|&(tick, amount)| give(tick, amount));
        if self.panes.capacity() > KEPT_ROOM {
            self.panes = Vec::new();
        } else {
            self.panes.clear();
        }
    }

    /// All panes, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Tick, V)> + '_ {
        self.panes.iter().copied()
    }

    /// The first tick of the newest pane.
    pub fn newest(&self) -> Option<Tick> {
        self.panes.last().map(|(start, _)| *start)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.panes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panes(amounts: &[(i32, u32)]) -> Panes<Decimal> {
        let mut panes = Panes::default();
        for &(tick, amount) in amounts {
            panes.add(Tick::new(tick), Decimal::from(amount));
        }
        panes
    }

    #[track_caller]
    fn check(panes: &Panes<Decimal>, end: i32, starts: &[i32], expected: &str) {
        let starts: Vec<Tick> = starts.iter().map(|&start| Tick::new(start)).collect();
        let mut shown = Vec::new();
        panes.read(Tick::new(end), &starts, |window, sum| {
            assert_eq!(window, shown.len(), "each window once, in order");
            shown.push(sum.map_or("none".to_owned(), |sum| sum.to_string()));
        });
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn one_pass_answers_every_window() {
        let panes = panes(&[(5, 1), (9, 2), (7, 4), (5, 8), (12, 16)]);
        check(&panes, 9, &[8, 7, 6, 5, 0], "2 6 6 15 15");
        check(&panes, 8, &[8, 6], "none 4");
        check(&panes, 100, &[50, 12], "none 16");
        let dense = self::panes(&[(5, 1), (6, 2), (7, 4), (6, 8), (5, 16), (4, 32), (5, 64)]);
        check(&dense, 9, &[7, 6, 5, 4], "4 14 95 127");
        check(&Panes::default(), 8, &[8, 6], "none none");
    }

    #[test]
    fn ageing_joins_and_drops() {
        let mut panes = panes(&[(5, 1), (6, 2), (7, 4), (11, 8), (12, 16), (13, 32)]);
        panes.age(Tick::new(6), |tick| if tick < Tick::new(12) { tick.floor(6) } else { tick });
        check(&panes, 20, &[13, 12, 6, 0], "32 48 62 62");
    }
}
