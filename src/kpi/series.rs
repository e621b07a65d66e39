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
        Series { key: key.into(), hash, values, since, weight: 0, dirty: false, cells }
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

    /// Settles all that is fresh; gives what that has changed, by column, where
    /// `base` is given.
    pub(super) fn settle(&mut self, present: Tick, base: Option<Tick>) -> Vec<(u16, CellChange)> {
        self.dirty = false;
        let cells = self.cells.iter_mut().zip(0..);
        cells.filter_map(|(cell, at)| Some((at, cell.settle(present, base)?))).collect()
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
        self.since = self.since_asked_for(plan, ageing);
    }

    /// Since when it is whole, if a figure can still depend on that.
    pub(super) fn since_asked_for(&self, plan: &SlicePlan, ageing: &Ageing) -> Option<Tick> {
        let asked_for = plan.columns.iter().map(|column| match column.kind {
            ColumnKind::Last { max_age } => Tick::of(ageing.settled().end() - max_age),
            _ => ageing.keep_from(),
        });
        let oldest = asked_for.min().unwrap_or(ageing.keep_from());
        self.since.filter(|since| *since > oldest)
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
