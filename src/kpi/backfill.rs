//! Columns filled from another store, and emptied again.
//!
//! In: a store of the same declarations that read what lies further back. Out: its
//! columns added to those here. What may lie in the other series there has no figure
//! here until the windows have left it behind.

use crate::event::EventTime;
use crate::kpi::slice::other_of;
use crate::kpi::{MeasureIndex, SliceIndex, Store};

impl Store {
    /// Adds to these columns everything that `other`, of the same declarations, holds
    /// in them; they are covered from `covered_from` on. The next changes contain
    /// images of everything.
    pub fn merge_columns(
        &mut self,
        mut other: Store,
        columns: &[(SliceIndex, MeasureIndex)],
        covered_from: Option<EventTime>,
    ) {
        self.settle();
        other.settle();
        let now = self.present.next();
        for (index, theirs) in other.slices.iter().enumerate() {
            let columns = self.columns_of(index, columns);
            if columns.is_empty() {
                continue;
            }
            let (plan, mine) = (&self.plan.slices[index], &mut self.slices[index]);
            for series in theirs.series.iter().flatten() {
                let number = mine
                    .find(series.hash, &series.key)
                    .or_else(|| mine.admit(plan, series.hash, &series.key, &mut self.journal));
                if number.is_none() {
                    let folded = mine.folded.get_or_insert_default();
                    folded.changed = true;
                    if let Some(newest) = series.newest(plan, &theirs.ageing) {
                        folded.candidates.forget_before(newest);
                        folded.note(plan.key.hash(&series.key), newest);
                    }
                    if let Some(since) = series.since_asked_for(plan, &theirs.ageing) {
                        folded.candidates.forget_before(since.offset(-1));
                    }
                }
                let target = match number {
                    Some(number) => mine.series[number as usize].as_mut(),
                    None => Some(other_of(&mut mine.other, plan)),
                };
                let Some(target) = target else { continue };
                for &column in &columns {
                    let kind = plan.columns[column].kind;
                    target.cells[column].merge(kind, &series.cells[column]);
                    if let Some(since) = series.since.filter(|_| number.is_some()) {
                        target.blur(column, since);
                    }
                }
            }
            if let Some(others) = &theirs.other {
                let target = other_of(&mut mine.other, plan);
                for &column in &columns {
                    target.cells[column].merge(plan.columns[column].kind, &others.cells[column]);
                }
                // What was folded there may lie ahead of the present.
                let since = others
                    .newest(plan, &theirs.ageing)
                    .map_or(now, |newest| now.max(newest.next()));
                // A value that gets a series later may lie in there, too.
                let folded = mine.folded.get_or_insert_default();
                folded.candidates.forget_before(since);
                folded.changed = true;
                for series in mine.series.iter_mut().flatten() {
                    if theirs.find(series.hash, &series.key).is_none() {
                        columns.iter().for_each(|&column| series.blur(column, since));
                    }
                }
            }
            columns.iter().for_each(|&column| mine.since[column] = covered_from);
            mine.moved = true;
        }
        for measure in self.measures_within(columns) {
            self.foreign[measure] += other.foreign[measure];
            self.foreign_changed = true;
        }
        self.image_everything();
    }

    /// Empties these columns; they begin at `since`.
    pub fn clear_columns(
        &mut self,
        columns: &[(SliceIndex, MeasureIndex)],
        since: Option<EventTime>,
    ) {
        self.settle();
        for index in 0..self.slices.len() {
            for column in self.columns_of(index, columns) {
                self.slices[index].clear_column(column);
                self.slices[index].since[column] = since;
                self.slices[index].moved = true;
            }
        }
        for measure in self.measures_within(columns) {
            self.foreign[measure] = 0;
            self.foreign_changed = true;
        }
        self.image_everything();
    }

    /// The measures that are in no other columns.
    fn measures_within(&self, columns: &[(SliceIndex, MeasureIndex)]) -> Vec<MeasureIndex> {
        let mut measures: Vec<MeasureIndex> = columns.iter().map(|(_, measure)| *measure).collect();
        measures.sort_unstable();
        measures.dedup();
        measures.retain(|measure| {
            self.plan.slices.iter().enumerate().all(|(slice, plan)| {
                plan.column_of[*measure].is_none() || columns.contains(&(slice, *measure))
            })
        });
        measures
    }

    fn columns_of(&self, slice: SliceIndex, columns: &[(SliceIndex, MeasureIndex)]) -> Vec<usize> {
        let here = columns.iter().filter(|(of, _)| *of == slice);
        let column_of = &self.plan.slices[slice].column_of;
        here.filter_map(|(_, measure)| column_of.get(*measure).copied().flatten())
            .map(usize::from)
            .collect()
    }
}
