//! Saved state read back: operations applied in order, then made ready for use.
//!
//! What concerns a series that is not known yet is passed over: its image comes later
//! in the same cycle. Known are the series that began, or whose image was seen, since
//! the first operation; the other series, the candidates and what is folded are
//! known from the slice's own image on.

use super::schema::{Mapping, Schema};
use super::{
    CandidatesImage, CellChange, CellImage, CycleState, Damaged, Kept, Op, SeriesHead, SliceState,
};
use crate::aggregate::{Impossible, Tick, TickSteps};
use crate::event::EventTime;
use crate::kpi::Store;
use crate::kpi::batch::BETWEEN_VALUES;
use crate::kpi::candidates::Candidates;
use crate::kpi::cell::Cell;
use crate::kpi::journal::SliceImage;
use crate::kpi::plan::{Plan, SlicePlan};
use crate::kpi::series::Series;
use crate::kpi::slice::{FOLDED_KINDS, Folded, Slice, other_of};

/// No slice has as many series: caps are lower.
const MOST_NUMBERS: u32 = 1 << 18;

/// How far reading saved state has come.
#[derive(Debug)]
pub(in crate::kpi) struct Loading {
    written_for: Vec<u8>,
    schema: Schema,
    mapping: Mapping,
    /// By slice: its own image was seen.
    known: Vec<bool>,
    base: Tick,
    slice: Option<usize>,
    begun: bool,
    whole: bool,
    cycle: CycleState,
}

/// Why an operation cannot be applied.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Impossible(#[from] Impossible),
    #[error("{0}")]
    Unreadable(#[from] postcard::Error),
}

impl Store {
    /// Applies what [`Self::take_changes`] gave, written for `schema`: all since a
    /// cycle of images began, or since the store was new, in order. Fails where the
    /// bytes cannot be what was written; the store is of no use then.
    pub fn restore(&mut self, schema: &[u8], changes: &[u8]) -> Result<(), Damaged> {
        let mut loading = match self.loading.take() {
            Some(loading) if loading.written_for == schema => loading,
            before => Box::new(Loading::of(schema, &self.plan, before.as_deref())?),
        };
        if loading.slice.is_none() && !loading.mapping.unchanged {
            self.clear_unmapped(&loading.mapping);
        }
        loading.slice = None;
        let mut rest = changes;
        while !rest.is_empty() {
            let at = changes.len() - rest.len();
            let applied = postcard::take_from_bytes::<Op<'_>>(rest).map_err(Fault::from).and_then(
                |(op, after)| {
                    loading.apply(self, op)?;
                    Ok(after)
                },
            );
            rest = applied.map_err(|fault| Damaged {
                at: format!("byte {at} of the changes"),
                why: fault.to_string(),
            })?;
        }
        self.loading = Some(loading);
        Ok(())
    }

    /// Makes what was restored ready for use: the next calls are those that would
    /// have come after the last changes. What is new begins at `as_of`. Fails where
    /// what was restored is not a whole cycle.
    pub fn restored(&mut self, as_of: EventTime) -> Result<Kept, Damaged> {
        let Some(loading) = self.loading.take() else { return Ok(Kept::default()) };
        if !loading.whole {
            return Err(Damaged {
                at: "the end".to_owned(),
                why: "a part of the state was never written".to_owned(),
            });
        }
        for (slice, plan) in self.slices.iter_mut().zip(&self.plan.slices) {
            slice.restored(plan, self.present);
        }
        let kept = loading.schema.kept(&loading.mapping, &self.plan);
        for &(slice, measure) in &kept.new {
            if let Some(column) = self.plan.slices[slice].column_of[measure] {
                self.slices[slice].since[usize::from(column)] = Some(as_of);
                self.slices[slice].moved = true;
            }
        }
        if loading.mapping.unchanged {
            self.journal.go_on(loading.cycle);
        }
        Ok(kept)
    }

    /// Empties what the changes to come say nothing of.
    fn clear_unmapped(&mut self, mapping: &Mapping) {
        let plan = std::sync::Arc::clone(&self.plan);
        for (index, (slice, plan)) in self.slices.iter_mut().zip(&plan.slices).enumerate() {
            let mapped = mapping.slices.iter().flatten().find(|mapped| mapped.slice == index);
            let Some(mapped) = mapped else {
                slice.forget_all();
                continue;
            };
            for column in 0..plan.columns.len() {
                if !mapped.columns.contains(&Some(column as u16)) {
                    slice.clear_column(column);
                }
            }
        }
    }
}

impl Loading {
    fn of(written_for: &[u8], plan: &Plan, before: Option<&Loading>) -> Result<Self, Damaged> {
        let schema = Schema::parse(written_for)?;
        let mapping = schema.map(plan);
        Ok(Loading {
            written_for: written_for.to_vec(),
            known: before
                .map_or_else(|| vec![false; plan.slices.len()], |before| before.known.clone()),
            base: Tick::new(0),
            slice: None,
            begun: before.is_some_and(|before| before.begun),
            whole: before.is_some_and(|before| before.whole),
            cycle: CycleState::default(),
            schema,
            mapping,
        })
    }

    fn apply(&mut self, store: &mut Store, op: Op<'_>) -> Result<(), Fault> {
        match op {
            Op::Base(base) => self.base = Tick::new(base),
            Op::CycleBegun => self.begun = true,
            Op::Present(present) => store.present = Tick::new(present),
            Op::Foreign(counts) => {
                for (count, measure) in counts.iter().zip(&self.mapping.measures) {
                    if let Some(sum) = measure.and_then(|at| store.foreign.get_mut(at)) {
                        *sum = *count;
                    }
                }
            }
            Op::Slice(slice) => {
                let slice = usize::from(slice);
                if slice >= self.mapping.slices.len() {
                    return Err(Impossible("a slice that the schema does not have").into());
                }
                self.slice = Some(slice);
            }
            Op::Cycle(cycle) => {
                self.cycle = cycle;
                self.whole |= self.begun && cycle.whole;
            }
            op => {
                let slice = self.slice.ok_or(Impossible("a change of no slice"))?;
                let Some(mapped) = &self.mapping.slices[slice] else { return Ok(()) };
                let mut target = Target {
                    plan: &store.plan.slices[mapped.slice],
                    known: &mut self.known[mapped.slice],
                    slice: &mut store.slices[mapped.slice],
                    columns: &mapped.columns,
                    base: self.base,
                    present: store.present,
                };
                target.apply(op)?;
            }
        }
        Ok(())
    }
}

/// The slice that an operation concerns.
struct Target<'a> {
    plan: &'a SlicePlan,
    slice: &'a mut Slice,
    known: &'a mut bool,
    columns: &'a [Option<u16>],
    base: Tick,
    present: Tick,
}

impl Target<'_> {
    fn apply(&mut self, op: Op<'_>) -> Result<(), Fault> {
        match op {
            Op::Begun(head) => {
                self.begin(&head)?;
            }
            Op::Image(head, cells) => {
                let (plan, columns, base) = (self.plan, self.columns, self.base);
                let series = self.begin(&head)?;
                fill(series, plan, columns, cells, base)?;
            }
            Op::Changed(number, weight, cells) => {
                let (plan, columns) = (self.plan, self.columns);
                let Some(Some(series)) = self.slice.series.get_mut(number as usize) else {
                    return Ok(());
                };
                series.weight = weight;
                add(series, plan, columns, cells, self.base, self.present)?;
            }
            Op::Gone(number) => {
                self.take(number);
            }
            Op::MergedIntoOther(number) => {
                if let Some(mut leaver) = self.take(number)
                    && *self.known
                {
                    // As it was when they were merged: what is past must not count
                    // against the limits of a cell.
                    let ageing = &self.slice.ageing;
                    let other = other_of(&mut self.slice.other, self.plan);
                    for series in [&mut leaver, &mut *other] {
                        series.settle(ageing, self.present, None);
                        series.age(self.plan, ageing);
                    }
                    other.merge(self.plan, &leaver);
                }
            }
            Op::Faded => {
                self.slice.series.iter_mut().flatten().for_each(|series| series.weight /= 2);
            }
            Op::State(state) => self.go_on_from(&state)?,
            Op::Slicewide(image) => self.slicewide(*image)?,
            // What follows changes only what the slice's own image makes known.
            _ if !*self.known => {}
            Op::OtherChanged(cells) => {
                let other = other_of(&mut self.slice.other, self.plan);
                add(other, self.plan, self.columns, cells, self.base, self.present)?;
            }
            Op::OtherGone => self.slice.other = None,
            Op::Folded(cells) => {
                let folded = self.slice.folded.get_or_insert_default();
                for (at, change) in cells {
                    let (cell, kind) = folded_cell(folded, at)?;
                    cell.apply(kind, change, self.base, self.present)?;
                }
            }
            Op::Candidates(image) => {
                let candidates = self.candidates(image)?;
                self.slice.folded.get_or_insert_default().candidates = candidates;
            }
            // All others concern no slice, and are not given to one.
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, head: &SeriesHead<'_>) -> Result<&mut Series, Fault> {
        if head.number >= MOST_NUMBERS {
            return Err(Impossible("a series number beyond all caps").into());
        }
        let fields = head.key.split(BETWEEN_VALUES).count();
        if fields != self.plan.fields.len().max(1) {
            return Err(Impossible("a value of other fields than its slice").into());
        }
        let tick = |step| TickSteps::from(self.base).take(step);
        let hash = self.plan.hash_of(head.key);
        let mut series = Series::new(self.plan, head.key, hash, head.since.map(tick));
        series.weight = head.weight;
        for (column, since) in &head.since_of {
            if let Some(column) = column_now(self.columns, *column)? {
                series.blur(column, tick(*since));
            }
        }
        let place = head.number as usize;
        if place >= self.slice.series.len() {
            self.slice.series.resize_with(place + 1, || None);
        }
        Ok(self.slice.series[place].insert(series))
    }

    fn take(&mut self, number: u32) -> Option<Series> {
        self.slice.series.get_mut(number as usize)?.take()
    }

    fn candidates(&self, image: CandidatesImage<'_>) -> Result<Candidates, Impossible> {
        Candidates::from_image(image, self.base, |key| self.plan.hash_of(key))
    }

    fn go_on_from(&mut self, state: &SliceState) -> Result<(), Fault> {
        if state.numbers > MOST_NUMBERS {
            return Err(Impossible("more series than any cap").into());
        }
        let slice = &mut *self.slice;
        slice.ageing.go_on_from(&state.ageing);
        slice.aged_to = state.aged_to.map(Tick::new);
        slice.next_to_age = (state.next_to_age as usize).min(state.numbers as usize);
        slice.round = state.round.clamp(0, i32::from(u8::MAX));
        if slice.series.len() < state.numbers as usize {
            slice.series.resize_with(state.numbers as usize, || None);
        }
        for (column, to) in self.columns.iter().zip(0_u16..).map(|(to, from)| (from, to)) {
            if let Some(to) = to {
                let since = state.since.iter().find(|(from, _)| *from == column);
                slice.since[usize::from(*to)] =
                    since.map(|(_, micros)| EventTime::from_micros(*micros));
            }
        }
        Ok(())
    }

    fn slicewide(&mut self, image: SliceImage<'_>) -> Result<(), Fault> {
        self.go_on_from(&image.state)?;
        self.slice.other = None;
        if let Some(cells) = image.other {
            let other = other_of(&mut self.slice.other, self.plan);
            fill(other, self.plan, self.columns, cells, self.base)?;
        }
        self.slice.folded = None;
        if let Some(image) = image.folded {
            let mut folded =
                Folded { candidates: self.candidates(image.candidates)?, ..Folded::default() };
            for (at, image) in image.cells {
                let (cell, kind) = folded_cell(&mut folded, at)?;
                *cell = Cell::from_image(kind, image, self.base)?;
            }
            self.slice.folded = Some(Box::new(folded));
        }
        *self.known = true;
        Ok(())
    }
}

fn folded_cell(
    folded: &mut Folded,
    at: u16,
) -> Result<(&mut Cell, crate::kpi::plan::ColumnKind), Impossible> {
    let mut cells = folded.cells.iter_mut().zip(FOLDED_KINDS);
    cells.nth(usize::from(at)).ok_or(Impossible("a third cell of what is folded"))
}

/// The column now of what was written for `column`.
fn column_now(columns: &[Option<u16>], column: u16) -> Result<Option<usize>, Impossible> {
    let column = columns.get(usize::from(column)).ok_or(Impossible("a column that there is not"));
    Ok(column?.map(usize::from))
}

fn fill(
    series: &mut Series,
    plan: &SlicePlan,
    columns: &[Option<u16>],
    cells: Vec<(u16, CellImage)>,
    base: Tick,
) -> Result<(), Impossible> {
    for (column, image) in cells {
        if let Some(column) = column_now(columns, column)? {
            series.cells[column] = Cell::from_image(plan.columns[column].kind, image, base)?;
        }
    }
    Ok(())
}

fn add(
    series: &mut Series,
    plan: &SlicePlan,
    columns: &[Option<u16>],
    cells: Vec<(u16, CellChange)>,
    base: Tick,
    present: Tick,
) -> Result<(), Impossible> {
    for (column, change) in cells {
        if let Some(column) = column_now(columns, column)? {
            series.cells[column].apply(plan.columns[column].kind, change, base, present)?;
        }
    }
    Ok(())
}

impl Slice {
    /// Makes what was restored ready: found by name, and as old as it is.
    fn restored(&mut self, plan: &SlicePlan, present: Tick) {
        self.numbers.clear();
        self.free.clear();
        for number in 0..self.series.len() {
            match &mut self.series[number] {
                Some(series) => {
                    series.settle(&self.ageing, present, None);
                    series.age(plan, &self.ageing);
                    let hash = series.hash;
                    self.place(hash, number as u32);
                }
                None => self.free.push(std::cmp::Reverse(number as u32)),
            }
        }
        if let Some(other) = &mut self.other {
            other.settle(&self.ageing, present, None);
            other.age(plan, &self.ageing);
        }
        for cell in self.folded.iter_mut().flat_map(|folded| &mut folded.cells) {
            cell.settle(&self.ageing, present, None);
        }
        self.age_folded();
        self.settle_order();
    }

    pub(in crate::kpi) fn clear_column(&mut self, column: usize) {
        let all = self.series.iter_mut().flatten().chain(self.other.as_deref_mut());
        all.for_each(|series| series.cells[column] = Cell::Empty);
    }

    fn forget_all(&mut self) {
        self.series.clear();
        self.other = None;
        self.folded = None;
    }
}
