//! One measure of one slice value.

use crate::aggregate::{Averaged, Distinct, Last, Panes, Tick};
use crate::event::{Decimal, EventTime};
use crate::kpi::Quantity;
use crate::kpi::batch::{KeyedLevel, Payload};
use crate::kpi::evaluate::Operand;
use crate::kpi::plan::ColumnKind;
use crate::window::{Ageing, WindowSpec};

/// The state of one measure; what kind it is, its column says.
#[derive(Debug, Clone, Default)]
pub(super) enum Cell {
    #[default]
    Empty,
    Amounts(Panes<Decimal>),
    Mean(Panes<Averaged>),
    Distinct(Box<Distinct>),
    Last(Box<Last>),
}

/// All windows of a slice at one snapshot: one end, and starts newest first.
#[derive(Debug)]
pub(super) struct View {
    pub(super) end: Tick,
    pub(super) starts: Vec<Tick>,
    /// Whether state is fine enough, and reaches back far enough, for each window.
    pub(super) known: Vec<bool>,
}

impl View {
    pub(super) fn new(windows: &[WindowSpec], as_of: EventTime, ageing: &Ageing) -> Self {
        let end = Tick::of(as_of);
        let starts: Vec<Tick> = windows.iter().map(|window| window.bounds(as_of).start).collect();
        let end_known = ageing.can_cut_before(end.next());
        let known = starts.iter().map(|start| end_known && ageing.can_cut_before(*start)).collect();
        View { end, starts, known }
    }

    fn windows(&self) -> std::ops::Range<usize> {
        0..self.starts.len()
    }
}

impl Cell {
    /// Makes the state of an empty cell, once there is something to keep.
    fn begin(&mut self, kind: ColumnKind) {
        if matches!(self, Cell::Empty) {
            *self = match kind {
                ColumnKind::Amounts => Cell::Amounts(Panes::default()),
                ColumnKind::Mean => Cell::Mean(Panes::default()),
                ColumnKind::Last { .. } => Cell::Last(Box::default()),
                ColumnKind::Distinct => Cell::Distinct(Box::default()),
            };
        }
    }

    /// Adds what an event of `tick` contributes, `present` being the present tick.
    pub(super) fn add(
        &mut self,
        kind: ColumnKind,
        tick: Tick,
        payload: Payload,
        levels: &[KeyedLevel],
        present: Tick,
    ) {
        self.begin(kind);
        match (self, payload) {
            (Cell::Amounts(panes), Payload::Amount(amount)) => panes.add(tick, amount),
            (Cell::Mean(panes), Payload::Amount(sum)) => {
                panes.add(tick, Averaged { sum, events: 1 })
            }
            (Cell::Distinct(distinct), Payload::Item(item)) => {
                distinct.observe(item, tick, present)
            }
            (Cell::Last(last), Payload::Level(index)) => {
                let KeyedLevel { key, level } = levels[index as usize];
                last.observe(key, level);
            }
            // A payload is made from the same declaration as the column.
            _ => {}
        }
    }

    /// Adds everything that `other`, of the same column, holds.
    pub(super) fn merge(&mut self, kind: ColumnKind, other: &Cell) {
        if matches!(other, Cell::Empty) {
            return;
        }
        self.begin(kind);
        match (self, other) {
            (Cell::Amounts(mine), Cell::Amounts(other)) => mine.merge(other),
            (Cell::Mean(mine), Cell::Mean(other)) => mine.merge(other),
            (Cell::Distinct(mine), Cell::Distinct(other)) => mine.merge(other),
            (Cell::Last(mine), Cell::Last(other)) => mine.merge(other),
            _ => {}
        }
    }

    /// Joins and drops what is old enough; becomes empty when nothing is left.
    pub(super) fn age(&mut self, kind: ColumnKind, ageing: &Ageing) {
        let empty = match self {
            Cell::Empty => return,
            Cell::Amounts(panes) => {
                panes.age(ageing.keep_from(), |tick| ageing.floor(tick));
                panes.is_empty()
            }
            Cell::Mean(panes) => {
                panes.age(ageing.keep_from(), |tick| ageing.floor(tick));
                panes.is_empty()
            }
            Cell::Distinct(distinct) => {
                distinct.age(ageing.keep_from());
                distinct.is_empty()
            }
            Cell::Last(last) => {
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
            Cell::Amounts(panes) => panes.newest(),
            Cell::Mean(panes) => panes.newest(),
            Cell::Distinct(distinct) => distinct.newest(),
            Cell::Last(last) => {
                let ColumnKind::Last { max_age } = kind else { return false };
                let oldest = ageing.settled().end() - max_age;
                return last.newest().is_some_and(|time| time >= oldest) || last.is_overfull();
            }
        };
        newest.is_some_and(|newest| newest >= ageing.keep_from())
    }

    /// The newest tick of which anything is held.
    pub(super) fn newest(&self) -> Option<Tick> {
        match self {
            Cell::Empty => None,
            Cell::Amounts(panes) => panes.newest(),
            Cell::Mean(panes) => panes.newest(),
            Cell::Distinct(distinct) => distinct.newest(),
            Cell::Last(last) => last.newest().map(Tick::of),
        }
    }

    /// Whether a level found no room.
    pub(super) fn is_overfull(&self) -> bool {
        matches!(self, Cell::Last(last) if last.is_overfull())
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
            give(window, value.map_or(nothing, Operand::Value));
        };
        match self {
            Cell::Empty => view.windows().for_each(|window| give(window, None)),
            Cell::Amounts(panes) => panes.read(view.end, &view.starts, |window, sum| {
                give(window, sum.map(Quantity::Exact));
            }),
            Cell::Mean(panes) => panes.read(view.end, &view.starts, |window, averaged| {
                give(window, averaged.map(|of| Quantity::Real(of.sum.to_f64() / of.events as f64)));
            }),
            Cell::Distinct(distinct) => {
                for (window, &count) in
                    distinct.read(view.end, &view.starts).unwrap_or_default().iter().enumerate()
                {
                    let count = (count > 0).then(|| Decimal::from_int(count as i64));
                    give(window, count.map(Quantity::Exact));
                }
            }
            Cell::Last(last) => {
                let ColumnKind::Last { max_age } = kind else { return };
                if last.knows(view.end, max_age) {
                    let level = last.read(view.end, max_age).map(Quantity::Exact);
                    view.windows().for_each(|window| give(window, level));
                }
            }
        }
    }
}
