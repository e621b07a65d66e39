//! One value of a slice and its cells.

use std::sync::Arc;

use crate::aggregate::Tick;
use crate::kpi::batch::{BETWEEN_VALUES, EventBatch, Touch};
use crate::kpi::cell::{Cell, View};
use crate::kpi::evaluate::Operand;
use crate::kpi::journal::{CellChange, CellImage};
use crate::kpi::plan::{ColumnKind, SlicePlan};
use crate::kpi::{Declarations, KpiFigure, SeriesSnapshot};
use crate::window::Ageing;

/// The cells of one value.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) key: Box<str>,
    pub(super) hash: u64,
    pub(super) values: Arc<[Box<str>]>,
    /// Before this tick some of its events may lie in the other series.
    pub(super) since: Option<Tick>,
    /// The same for single columns that were filled later.
    pub(super) since_of: Vec<(u16, Tick)>,
    /// Events, the older ones for less.
    pub(super) weight: u64,
    /// Something in it is not settled.
    pub(super) dirty: bool,
    /// By column.
    pub(super) cells: Box<[Cell]>,
}

impl Series {
    pub(super) fn new(plan: &SlicePlan, key: &str, hash: u64, since: Option<Tick>) -> Self {
        let values = match plan.fields.len() {
            0 => Arc::from([]),
            _ => key.split(BETWEEN_VALUES).map(Box::from).collect(),
        };
        let cells = plan.columns.iter().map(|_| Cell::Empty).collect();
        let key = key.into();
        Series { key, hash, values, since, since_of: vec![], weight: 0, dirty: false, cells }
    }

    pub(super) fn fold(&mut self, plan: &SlicePlan, touch: &Touch, batch: &EventBatch) {
        self.weight += 1;
        let (first, last) = touch.contributions;
        for contribution in &batch.contributions[first as usize..last as usize] {
            let column = usize::from(contribution.column);
            let kind = plan.columns[column].kind;
            self.cells[column].add(kind, touch.tick, contribution.payload, &batch.levels);
        }
    }

    /// Settles all that is fresh, as [`Cell::settle`]; gives what that has changed, by
    /// column, where `base` is given.
    pub(super) fn settle(
        &mut self,
        ageing: &Ageing,
        present: Tick,
        base: Option<Tick>,
    ) -> Vec<(u16, CellChange)> {
        self.dirty = false;
        let cells = self.cells.iter_mut().zip(0..);
        cells.filter_map(|(cell, at)| Some((at, cell.settle(ageing, present, base)?))).collect()
    }

    /// All its cells but the empty ones.
    pub(super) fn image(&self, base: Tick) -> Vec<(u16, CellImage)> {
        let cells = self.cells.iter().zip(0..);
        cells.filter_map(|(cell, at)| Some((at, cell.image(base)?))).collect()
    }

    pub(super) fn merge(&mut self, plan: &SlicePlan, other: &Series) {
        for ((mine, other), column) in self.cells.iter_mut().zip(&other.cells).zip(&plan.columns) {
            mine.merge(column.kind, other);
        }
    }

    pub(super) fn age(&mut self, plan: &SlicePlan, ageing: &Ageing) {
        for (cell, column) in self.cells.iter_mut().zip(&plan.columns) {
            cell.age(column.kind, ageing);
        }
        let oldest = oldest_asked_for(plan, ageing);
        self.since = self.since.filter(|since| *since > oldest);
        self.since_of.retain(|(_, since)| *since > oldest);
    }

    /// Before `since` some of what the column counts may lie in the other series.
    pub(super) fn blur(&mut self, column: usize, since: Tick) {
        match self.since_of.iter_mut().find(|(of, _)| usize::from(*of) == column) {
            Some((_, held)) => *held = since.max(*held),
            None => self.since_of.push((column as u16, since)),
        }
    }

    /// Since when all of it is whole, if a figure can still depend on that.
    pub(super) fn since_asked_for(&self, plan: &SlicePlan, ageing: &Ageing) -> Option<Tick> {
        let since = self.since_of.iter().map(|(_, since)| *since).max().max(self.since);
        since.filter(|since| *since > oldest_asked_for(plan, ageing))
    }

    /// Whether it holds anything that a window can still ask for.
    pub(super) fn is_live(&self, plan: &SlicePlan, ageing: &Ageing) -> bool {
        let mut cells = self.cells.iter().zip(&plan.columns);
        cells.any(|(cell, column)| cell.is_live(column.kind, ageing))
    }

    /// The newest tick of which anything is held that a window can still ask for.
    pub(super) fn newest(&self, plan: &SlicePlan, ageing: &Ageing) -> Option<Tick> {
        let cells = self.cells.iter().zip(&plan.columns);
        let live = cells.filter(|(cell, column)| cell.is_live(column.kind, ageing));
        live.filter_map(|(cell, _)| cell.newest()).max()
    }

    /// The columns whose levels found no room.
    pub(super) fn overfull(&self) -> impl Iterator<Item = usize> {
        self.cells.iter().enumerate().filter(|(_, cell)| cell.is_overfull()).map(|(at, _)| at)
    }

    /// Every figure at one moment.
    pub(super) fn snapshot(
        &mut self,
        plan: &SlicePlan,
        declarations: &Declarations,
        view: &View,
        operands: &mut Vec<Operand>,
    ) -> SeriesSnapshot {
        let (windows, columns) = (view.starts.len(), plan.columns.len());
        operands.clear();
        operands.resize(windows * columns, Operand::Unknown);
        let since = self.since.unwrap_or(Tick::MIN);
        for (at, (cell, column)) in self.cells.iter_mut().zip(&plan.columns).enumerate() {
            let of_column = self.since_of.iter().find(|(of, _)| usize::from(*of) == at);
            let since = of_column.map_or(since, |(_, of_column)| since.max(*of_column));
            cell.read(column.kind, view, |window, operand| {
                // A level may be older than the window that it is read in.
                let oldest = match column.kind {
                    ColumnKind::Last { max_age } => Tick::of(view.end.end() - max_age),
                    _ => view.starts[window],
                };
                if view.known[window] && oldest >= since && view.starts[window] >= since {
                    operands[window * columns + at] = operand;
                }
            });
        }
        let measures = operands.iter().map(|operand| match operand {
            Operand::Value(value) => Some(*value),
            _ => None,
        });
        let measures = measures.collect();
        let mut kpis = Vec::with_capacity(windows * plan.kpis.len());
        for window in 0..windows {
            let operand = |measure: usize| match plan.column_of[measure] {
                Some(column) => operands[window * columns + usize::from(column)],
                None => Operand::Unknown,
            };
            for &kpi in &plan.kpis {
                let kpi = &declarations.kpis[kpi];
                // A constant needs no data, but a window that is not whole has no figure.
                let whole = view.known[window] && view.starts[window] >= since;
                let value = kpi.formula.evaluate(&operand).filter(|_| whole);
                kpis.push(value.map(|value| {
                    KpiFigure {
                        value: value.to_f64(),
                        sample: kpi
                            .sample
                            .as_ref()
                            .and_then(|sample| sample.of.evaluate(&operand))
                            .map(|sample| sample.to_f64()),
                    }
                }));
            }
        }
        SeriesSnapshot { values: self.values.clone(), other: false, measures, kpis }
    }
}

/// The oldest tick on which any figure can still depend.
fn oldest_asked_for(plan: &SlicePlan, ageing: &Ageing) -> Tick {
    let asked_for = plan.columns.iter().map(|column| match column.kind {
        ColumnKind::Last { max_age } => Tick::of(ageing.settled().end() - max_age),
        _ => ageing.keep_from(),
    });
    asked_for.min().unwrap_or(ageing.keep_from())
}
