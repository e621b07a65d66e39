//! Aggregates that only add: sums, counts, and what a mean is made of.
//!
//! In: amounts by tick, in any order of time. Out: the sum over any windows with one
//! common end, in one pass. Kept: one amount for each pane, oldest first, so that the
//! newest, which takes nearly all additions, is found at once. A pane is named by its
//! first tick; how long it is only its owner knows, who sees to it that no window ever
//! begins inside one (see [`crate::window::Ageing`]).
//!
//! Lists in order are cheap to read, and dear to insert into. So what comes is first
//! gathered, put in order all at once, and merged.

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

/// Amounts for which room is kept in what is emptied often.
const KEPT_ROOM: usize = 8;
/// Amounts that may be out of order, however few are in order.
const FEW: usize = 8;

/// Amounts that come in any order of time, on their way into [`Panes`].
///
/// Cost of each: at once where its tick is the last one or has a pane already; else, on
/// average, in proportion to the logarithm of how many there are.
#[derive(Debug, Clone)]
pub struct Gathered<V> {
    amounts: Vec<(Tick, V)>,
    /// So many of them, the first ones, are in order, with no tick twice. The others
    /// are never more than these, or [`FEW`].
    ordered: usize,
}

impl<V> Default for Gathered<V> {
    fn default() -> Self {
        Gathered { amounts: Vec::new(), ordered: 0 }
    }
}

impl<V: Additive> Gathered<V> {
    /// Adds an amount.
    #[inline]
    pub fn add(&mut self, tick: Tick, amount: V) {
        let all_in_order = self.ordered == self.amounts.len();
        match self.amounts.last_mut() {
            Some((last, sum)) if *last == tick => sum.add(amount),
            Some((last, _)) if *last > tick || !all_in_order => {
                self.add_older(tick, amount);
            }
            _ => {
                self.amounts.push((tick, amount));
                self.ordered += 1;
            }
        }
    }

    fn add_older(&mut self, tick: Tick, amount: V) {
        if let Ok(at) = place_of(&self.amounts[..self.ordered], tick) {
            self.amounts[at].1.add(amount);
            return;
        }
        self.amounts.push((tick, amount));
        if self.amounts.len() - self.ordered > self.ordered.max(FEW) {
            self.put_in_order(|tick| tick);
        }
    }

    /// `floor` must not decrease.
    fn put_in_order(&mut self, floor: impl Fn(Tick) -> Tick) {
        if self.ordered < self.amounts.len() {
            self.amounts.sort_by_key(|(tick, _)| *tick);
        }
        self.amounts.iter_mut().for_each(|(tick, _)| *tick = floor(*tick));
        self.amounts.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1.add(later.1);
            }
            same
        });
        self.ordered = self.amounts.len();
    }

    /// All amounts, oldest first, those joined that `floor` gives the same first tick.
    /// `floor` must not decrease.
    pub fn in_order(&mut self, floor: impl Fn(Tick) -> Tick) -> &[(Tick, V)] {
        self.put_in_order(floor);
        &self.amounts
    }

    /// Forgets all; a little room stays for the next ones.
    pub fn clear(&mut self) {
        if self.amounts.capacity() > KEPT_ROOM {
            self.amounts = Vec::new();
        } else {
            self.amounts.clear();
        }
        self.ordered = 0;
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.amounts.is_empty()
    }
}

/// The place of `tick` among panes in order: at once if it is the newest, or if a pane
/// was begun in every tick since; else by bisection. `Err` with the place where it would
/// be, if it is not there.
fn place_of<V>(panes: &[(Tick, V)], tick: Tick) -> Result<usize, usize> {
    if let Some((newest, _)) = panes.last() {
        let back = newest.number().abs_diff(tick.number()) as usize;
        let guess = panes.len().wrapping_sub(1).wrapping_sub(back);
        if panes.get(guess).is_some_and(|(start, _)| *start == tick) {
            return Ok(guess);
        }
    }
    panes.binary_search_by_key(&tick, |(start, _)| *start)
}

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
    /// Adds amounts that are in order, with no tick twice. Cost: a look-up for each; if
    /// any is of a new pane, one pass over the panes that are newer than the first such.
    pub fn add(&mut self, amounts: &[(Tick, V)]) {
        let before = self.panes.len();
        for &(tick, amount) in amounts {
            match place_of(&self.panes[..before], tick) {
                Ok(at) => self.panes[at].1.add(amount),
                Err(_) => self.panes.push((tick, amount)),
            }
        }
        if let Some(&(first_new, _)) = self.panes.get(before) {
            let newer = self.panes[..before].partition_point(|(start, _)| *start < first_new);
            if newer < before {
                // Two sorted runs: the stable sort merges them in one pass.
                self.panes[newer..].sort_by_key(|(start, _)| *start);
            }
        }
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.add(&other.panes);
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

    /// All panes, oldest first.
    pub fn as_slice(&self) -> &[(Tick, V)] {
        &self.panes
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
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn panes(amounts: &[(i32, u32)]) -> Panes<Decimal> {
        let mut gathered = Gathered::default();
        for &(tick, amount) in amounts {
            gathered.add(Tick::new(tick), Decimal::from(amount));
        }
        let mut panes = Panes::default();
        panes.add(gathered.in_order(|tick| tick));
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

    fn floor(tick: Tick) -> Tick {
        if tick < Tick::new(60) { tick.floor(6) } else { tick }
    }

    proptest! {
        #[test]
        fn order_and_grouping_do_not_matter(
            amounts in prop::collection::vec((0..120_i32, 1..9_u32), 0..300),
            group in 1..300_usize,
        ) {
            let mut recount: BTreeMap<Tick, Decimal> = BTreeMap::new();
            for &(tick, amount) in &amounts {
                *recount.entry(floor(Tick::new(tick))).or_default() += Decimal::from(amount);
            }
            let recount: Vec<(Tick, Decimal)> = recount.into_iter().collect();
            let (mut gathered, mut panes) = (Gathered::default(), Panes::default());
            for group in amounts.chunks(group) {
                for &(tick, amount) in group {
                    gathered.add(Tick::new(tick), Decimal::from(amount));
                }
                panes.add(gathered.in_order(floor));
                gathered.clear();
            }
            prop_assert_eq!(panes.as_slice(), &recount);
            let mut merged = Panes::default();
            merged.merge(&panes);
            merged.merge(&panes);
            merged.age(Tick::new(30), floor);
            let doubled = recount.into_iter().filter(|(tick, _)| *tick >= Tick::new(30));
            let doubled: Vec<_> = doubled.map(|(tick, sum)| (tick, sum + sum)).collect();
            prop_assert_eq!(merged.as_slice(), &doubled);
        }
    }

    /// Each would take minutes if it were inserted where it belongs.
    #[test]
    fn a_million_ticks_may_come_in_any_order() {
        let orders: [fn(i32) -> i32; 3] =
            [|at| -at, |at| at.wrapping_mul(7_919) % 1_000_003, |at| at / 2 + at % 2 * 500_000];
        for order in orders {
            let mut gathered = Gathered::default();
            (0..1_000_000).for_each(|at| gathered.add(Tick::new(order(at)), Decimal::ONE));
            let mut panes = Panes::default();
            panes.add(gathered.in_order(|tick| tick));
            check(&panes, i32::MAX, &[i32::MIN], "1000000");
        }
    }
}
