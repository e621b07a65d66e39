//! One measure of one slice value.
//!
//! What events add is first kept apart, as *fresh*; settling adds it to what is read,
//! aged and saved, and says what it was, for the journal. So is what the journal says
//! when it is read back. All else sees the settled state alone.

use crate::aggregate::{Additive, Averaged, Distinct, Gathered, Last, Level, Noted, Panes, Tick};
use crate::event::{Decimal, EventTime};
use crate::kpi::Quantity;
use crate::kpi::batch::{KeyedLevel, Payload};
use crate::kpi::evaluate::Operand;
use crate::kpi::journal::{CellChange, averaged_of, panes_record};
use crate::kpi::plan::ColumnKind;
use crate::window::{Ageing, WindowSpec};

/// The state of one measure; what kind it is, its column says.
#[derive(Debug, Clone, Default)]
pub(super) enum Cell {
    #[default]
    Empty,
    Amounts(Amounts<Decimal>),
    Mean(Amounts<Averaged>),
    Distinct(Box<Sightings>),
    Last(Box<Levels>),
}

/// What adds up.
#[derive(Debug, Clone)]
pub(super) struct Amounts<V> {
    pub(super) fresh: Gathered<V>,
    pub(super) settled: Panes<V>,
}

impl<V> Default for Amounts<V> {
    fn default() -> Self {
        Amounts { fresh: Gathered::default(), settled: Panes::default() }
    }
}

impl<V: Additive> Amounts<V> {
    /// Settles what is fresh, as coarse as `ageing` says; gives it before, if there is
    /// anything.
    fn settle<R>(&mut self, ageing: &Ageing, record: impl FnOnce(&[(Tick, V)]) -> R) -> Option<R> {
        if self.fresh.is_empty() {
            return None;
        }
        let fresh = self.fresh.in_order(|tick| ageing.floor(tick));
        let recorded = record(fresh);
        self.settled.add(fresh);
        self.fresh.clear();
        Some(recorded)
    }
}

/// Who was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Sightings {
    fresh: Vec<(u64, Tick)>,
    pub(super) settled: Distinct,
}

/// What is at which level.
#[derive(Debug, Clone, Default)]
pub(super) struct Levels {
    fresh: Vec<(u64, Level)>,
    pub(super) settled: Last,
}

/// All windows of a slice at one snapshot: one end, and starts newest first.
#[derive(Debug)]
pub(super) struct View {
    pub(super) end: Tick,
    pub(super) starts: Vec<Tick>,
    /// Whether state is fine enough, and reaches back far enough, for each window.
    pub(super) known: Vec<bool>,
    /// Up to here sightings ahead of the present were taken in.
    pub(super) present: Tick,
    /// Ends before this are no longer answered in full.
    pub(super) settled: Tick,
}

impl View {
    pub(super) fn new(
        windows: &[WindowSpec],
        as_of: EventTime,
        ageing: &Ageing,
        present: Tick,
    ) -> Self {
        let end = Tick::of(as_of);
        let starts: Vec<Tick> = windows.iter().map(|window| window.bounds(as_of).start).collect();
        let end_known = ageing.can_cut_before(end.next());
        let known = starts.iter().map(|start| end_known && ageing.can_cut_before(*start)).collect();
        View { end, starts, known, present, settled: ageing.settled() }
    }

    fn windows(&self) -> std::ops::Range<usize> {
        0..self.starts.len()
    }
}

impl Cell {
    /// Makes the state of an empty cell, once there is something to keep.
    pub(super) fn begin(&mut self, kind: ColumnKind) {
        if matches!(self, Cell::Empty) {
            *self = match kind {
                ColumnKind::Amounts => Cell::Amounts(Amounts::default()),
                ColumnKind::Mean => Cell::Mean(Amounts::default()),
                ColumnKind::Last { .. } => Cell::Last(Box::default()),
                ColumnKind::Distinct => Cell::Distinct(Box::default()),
            };
        }
    }

    /// Adds what an event of `tick` contributes, to be settled.
    #[inline]
    pub(super) fn add(
        &mut self,
        kind: ColumnKind,
        tick: Tick,
        payload: Payload,
        levels: &[KeyedLevel],
    ) {
        self.begin(kind);
        match (self, payload) {
            (Cell::Amounts(amounts), Payload::Amount(amount)) => amounts.fresh.add(tick, amount),
            (Cell::Mean(amounts), Payload::Amount(sum)) => {
                amounts.fresh.add(tick, Averaged { sum, events: 1 });
            }
            (Cell::Distinct(sightings), Payload::Item(item)) => {
                sightings.fresh.push((item, tick));
            }
            (Cell::Last(last), Payload::Level(index)) => {
                let KeyedLevel { key, level } = levels[index as usize];
                last.fresh.push((key, level));
            }
            // A payload is made from the same declaration as the column.
            _ => {}
        }
    }

    /// Settles what is fresh, `present` being the present tick and the slice as old as
    /// `ageing`; gives what that has changed, ticks as steps from `base`, where one is
    /// given.
    pub(super) fn settle(
        &mut self,
        ageing: &Ageing,
        present: Tick,
        base: Option<Tick>,
    ) -> Option<CellChange> {
        match self {
            Cell::Empty => None,
            Cell::Amounts(amounts) => amounts
                .settle(ageing, |fresh| {
                    Some(CellChange::Amounts(panes_record(fresh, base?, |of| of.into())))
                })
                .flatten(),
            Cell::Mean(amounts) => amounts
                .settle(ageing, |fresh| {
                    Some(CellChange::Mean(panes_record(fresh, base?, averaged_of)))
                })
                .flatten(),
            Cell::Distinct(sightings) => {
                let Sightings { fresh, settled } = &mut **sightings;
                fresh.retain(|(item, tick)| settled.observe(*item, *tick, present));
                let change = base.filter(|_| !fresh.is_empty());
                let change = change.map(|base| CellChange::sightings(fresh, base));
                empty(fresh);
                change
            }
            Cell::Last(levels) => {
                let Levels { fresh, settled } = &mut **levels;
                let mut refused = None;
                fresh.retain(|(key, level)| {
                    let noted = settled.observe(*key, *level);
                    if noted == Noted::Refused {
                        refused = refused.max(Some(level.time));
                    }
                    noted == Noted::Taken
                });
                let change = base.filter(|_| !fresh.is_empty() || refused.is_some());
                let change = change.map(|_| CellChange::levels(fresh, refused));
                empty(fresh);
                change
            }
        }
    }

    /// Adds everything that `other`, of the same column, holds.
    pub(super) fn merge(&mut self, kind: ColumnKind, other: &Cell) {
        if matches!(other, Cell::Empty) {
            return;
        }
        self.begin(kind);
        match (self, other) {
            (Cell::Amounts(mine), Cell::Amounts(other)) => mine.settled.merge(&other.settled),
            (Cell::Mean(mine), Cell::Mean(other)) => mine.settled.merge(&other.settled),
            (Cell::Distinct(mine), Cell::Distinct(other)) => {
                mine.settled.merge(&other.settled);
            }
            (Cell::Last(mine), Cell::Last(other)) => mine.settled.merge(&other.settled),
            _ => {}
        }
    }

    /// Joins and drops what is old enough; becomes empty when nothing is left.
    pub(super) fn age(&mut self, kind: ColumnKind, ageing: &Ageing) {
        let empty = match self {
            Cell::Empty => return,
            Cell::Amounts(Amounts { settled: panes, .. }) => {
                panes.age(ageing.keep_from(), |tick| ageing.floor(tick));
                panes.is_empty()
            }
            Cell::Mean(Amounts { settled: panes, .. }) => {
                panes.age(ageing.keep_from(), |tick| ageing.floor(tick));
                panes.is_empty()
            }
            Cell::Distinct(sightings) => {
                let distinct = &mut sightings.settled;
                distinct.age(ageing.keep_from());
                distinct.is_empty()
            }
            Cell::Last(levels) => {
                let last = &mut levels.settled;
                if let ColumnKind::Last { max_age } = kind {
                    last.age(ageing.settled(), max_age);
                }
                last.is_empty()
            }
        };
        if empty {
            *self = Cell::Empty;
        }
    }

    /// Whether anything is held that a window can still ask for.
    pub(super) fn is_live(&self, kind: ColumnKind, ageing: &Ageing) -> bool {
        let newest = match self {
            Cell::Empty => None,
            Cell::Amounts(amounts) => amounts.settled.newest(),
            Cell::Mean(amounts) => amounts.settled.newest(),
            Cell::Distinct(sightings) => sightings.settled.newest(),
            Cell::Last(levels) => {
                let ColumnKind::Last { max_age } = kind else { return false };
                let oldest = ageing.settled().end() - max_age;
                let newest = levels.settled.newest().max(levels.settled.refused());
                return newest.is_some_and(|time| time >= oldest);
            }
        };
        newest.is_some_and(|newest| newest >= ageing.keep_from())
    }

    /// The newest tick of which anything is held.
    pub(super) fn newest(&self) -> Option<Tick> {
        match self {
            Cell::Empty => None,
            Cell::Amounts(amounts) => amounts.settled.newest(),
            Cell::Mean(amounts) => amounts.settled.newest(),
            Cell::Distinct(sightings) => sightings.settled.newest(),
            Cell::Last(levels) => levels.settled.newest().map(Tick::of),
        }
    }

    /// Whether a level found no room.
    pub(super) fn is_overfull(&self) -> bool {
        matches!(self, Cell::Last(levels) if levels.settled.is_overfull())
    }

    /// What each window of `view` says. Windows of which the state can no longer say
    /// anything are left out.
    pub(super) fn read(
        &mut self,
        kind: ColumnKind,
        view: &View,
        mut give: impl FnMut(usize, Operand),
    ) {
        let nothing = kind.nothing();
        let mut give = |window: usize, value: Option<Quantity>| {
            give(window, value.map_or(nothing, Operand::of));
        };
        match self {
            Cell::Empty => view.windows().for_each(|window| give(window, None)),
            Cell::Amounts(amounts) => {
                amounts.settled.read(view.end, &view.starts, |window, sum| {
                    give(window, sum.map(Quantity::Exact));
                })
            }
            Cell::Mean(amounts) => {
                amounts.settled.read(view.end, &view.starts, |window, averaged| {
                    give(
                        window,
                        averaged.map(|of| Quantity::Real(of.sum.to_f64() / of.events as f64)),
                    );
                })
            }
            Cell::Distinct(sightings) => {
                let distinct = &mut sightings.settled;
                distinct.advance(view.present);
                for (window, &count) in
                    distinct.read(view.end, &view.starts).unwrap_or_default().iter().enumerate()
                {
                    let count = (count > 0).then(|| Decimal::from_int(count as i64));
                    give(window, count.map(Quantity::Exact));
                }
            }
            Cell::Last(levels) => {
                let last = &levels.settled;
                let ColumnKind::Last { max_age } = kind else { return };
                if view.end >= view.settled && last.knows(view.end, max_age) {
                    let level = last.read(view.end, max_age).map(Quantity::Exact);
                    view.windows().for_each(|window| give(window, level));
                }
            }
        }
    }
}

/// Room that a list keeps when it is emptied.
const KEPT_ROOM: usize = 16;

fn empty<T>(list: &mut Vec<T>) {
    if list.capacity() > KEPT_ROOM {
        *list = Vec::new();
    } else {
        list.clear();
    }
}
