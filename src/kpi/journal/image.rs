//! Taking what has changed, and going round the images.

use super::{
    Changes, CycleState, Journal, LEAST_IMAGES, Op, SHORTEST_CYCLE, SeriesHead, SliceImage,
    SliceState,
};
use crate::aggregate::{Tick, TickSteps};
use crate::kpi::Store;
use crate::kpi::journal::FoldedImage;
use crate::kpi::journal::schema::Schema;
use crate::kpi::series::Series;
use crate::kpi::slice::Slice;

impl Store {
    /// From now on changes are recorded, for [`Self::take_changes`]. A new store, or
    /// one whose declarations have changed, first gives images of everything.
    pub fn keep_journal(&mut self) {
        self.settle();
        self.journal.keep();
    }

    /// For what the changes are written: to be given back with them.
    pub fn schema(&self) -> Vec<u8> {
        Schema::of(&self.plan).bytes()
    }

    /// What has changed since the last time, and images of some series. Empty unless
    /// [`Self::keep_journal`] was said. Cost: in proportion to what has changed.
    pub fn take_changes(&mut self) -> Changes {
        self.settle();
        let journal = &mut self.journal;
        if !journal.is_kept() {
            return Changes::default();
        }
        for slice in &mut self.slices {
            slice.record_state(journal);
        }
        if std::mem::take(&mut self.foreign_changed) {
            journal.record_apart(&Op::Foreign(self.foreign.clone()));
        }
        journal.take(&self.slices, &self.foreign)
    }

    /// The next changes contain images of everything.
    pub fn image_everything(&mut self) {
        self.journal.image_all = true;
    }

    /// Sets how many bytes a cycle of images has at least; for tests.
    pub fn set_shortest_cycle(&mut self, bytes: u64) {
        self.journal.shortest_cycle = Some(bytes);
    }
}

impl Journal {
    fn keep(&mut self) {
        if !self.kept {
            self.kept = true;
            self.image_all |= !self.goes_on;
        }
    }

    /// Goes on with a cycle that was saved.
    pub(super) fn go_on(&mut self, cycle: CycleState) {
        self.goes_on = true;
        self.begun = !cycle.complete;
        self.cycle = if cycle.complete { CycleState::default() } else { cycle };
    }

    fn take(&mut self, slices: &[Slice], foreign: &[u64]) -> Changes {
        if self.bytes.is_empty() && !self.image_all {
            return Changes::default();
        }
        self.begin_bytes();
        let all = std::mem::take(&mut self.image_all);
        if all {
            self.cycle = CycleState { bytes: self.cycle.bytes, ..CycleState::default() };
            self.write(&Op::CycleBegun);
        }
        self.due = self.due.min(0) + (self.bytes.len() as i64).max(LEAST_IMAGES);
        while !self.cycle.whole && (all || self.due > 0) {
            let before = self.bytes.len();
            self.image_next(slices, foreign);
            self.due -= (self.bytes.len() - before) as i64;
        }
        self.cycle.bytes = self.cycle.bytes.saturating_add(self.bytes.len() as u64);
        let shortest = self.shortest_cycle.unwrap_or(SHORTEST_CYCLE);
        self.cycle.complete = self.cycle.whole && (all || self.cycle.bytes >= shortest);
        self.write(&Op::Cycle(self.cycle));
        self.begun = !self.cycle.complete;
        self.base = None;
        Changes { bytes: std::mem::take(&mut self.bytes), completes_cycle: self.cycle.complete }
    }

    fn image_next(&mut self, slices: &[Slice], foreign: &[u64]) {
        let Some(base) = self.base else { return };
        let index = usize::from(self.cycle.slice);
        let Some(slice) = slices.get(index) else {
            self.write(&Op::Foreign(foreign.to_vec()));
            self.cycle.whole = true;
            return;
        };
        let from = self.cycle.number as usize;
        let next = slice.series.iter().enumerate().skip(from);
        let mut next = next.filter_map(|(number, series)| Some((number as u32, series.as_ref()?)));
        match next.next() {
            Some((number, series)) => {
                let head = SeriesHead::of(number, series, base);
                self.record(index, &Op::Image(head, series.image(base)));
                self.cycle.number = number + 1;
            }
            None => {
                self.record(index, &Op::Slicewide(Box::new(slice.image(base))));
                self.cycle.slice += 1;
                self.cycle.number = 0;
            }
        }
    }
}

impl<'a> SeriesHead<'a> {
    pub(in crate::kpi) fn of(number: u32, series: &'a Series, base: Tick) -> Self {
        let step = |since| TickSteps::from(base).to(since);
        SeriesHead {
            number,
            key: &series.key,
            since: series.since.map(step),
            since_of: series.since_of.iter().map(|(of, since)| (*of, step(*since))).collect(),
            weight: series.weight,
        }
    }
}

impl Slice {
    /// Records what is written only as a whole, if it has changed.
    fn record_state(&mut self, journal: &mut Journal) {
        if std::mem::take(&mut self.moved) {
            journal.record(self.index, &Op::State(self.state()));
        }
        let Some(base) = journal.base() else { return };
        if let Some(folded) = &mut self.folded
            && std::mem::take(&mut folded.changed)
        {
            journal.record(self.index, &Op::Candidates(folded.candidates.image(base)));
        }
    }

    fn state(&self) -> SliceState {
        let since = self.since.iter().zip(0..);
        SliceState {
            ageing: self.ageing.image(),
            aged_to: self.aged_to.map(Tick::number),
            next_to_age: self.next_to_age as u32,
            round: self.round,
            numbers: self.series.len() as u32,
            since: since.filter_map(|(since, at)| Some((at, (*since)?.micros()))).collect(),
        }
    }

    fn image(&self, base: Tick) -> SliceImage<'_> {
        let folded = self.folded.as_ref().map(|folded| {
            let cells = folded.cells.iter().zip(0..);
            FoldedImage {
                candidates: folded.candidates.image(base),
                cells: cells.filter_map(|(cell, at)| Some((at, cell.image(base)?))).collect(),
            }
        });
        let other = self.other.as_ref().map(|other| other.image(base));
        SliceImage { other, folded, state: self.state() }
    }
}
