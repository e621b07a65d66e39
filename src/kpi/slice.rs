//! One slice: its values, up to the cap, and the other series for the rest.
//!
//! Every event of the slice is in exactly one series, so that own and other add up
//! to the whole. Who has a series of his own is settled by arrival, and once a
//! minute by weight: a folded value that clearly outweighs the lightest own series
//! takes its place. What the lightest held goes into the other series; the newcomer
//! has figures only for windows that begin after the exchange. Values that an
//! objective names have a place beyond the cap and never lose it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use hashbrown::HashTable;

use crate::aggregate::Tick;
use crate::event::{Decimal, EventTime};
use crate::kpi::batch::{BETWEEN_VALUES, EventBatch, Payload, Touch};
use crate::kpi::candidates::Candidates;
use crate::kpi::cell::{Cell, View};
use crate::kpi::evaluate::Operand;
use crate::kpi::journal::{Journal, Op, SeriesHead};
use crate::kpi::label::push_label;
use crate::kpi::plan::{ColumnKind, Plan, SlicePlan};
use crate::kpi::series::Series;
use crate::kpi::{OTHER, SeriesSnapshot, SliceIndex, SliceSnapshot, SliceSpec};
use crate::window::{Ageing, WindowSpec};

/// Ticks between two exchanges, and in which every series is aged once.
const ROUND: i32 = 6;
/// Rounds after which weights are halved: an hour.
const FADES_AFTER: i32 = 60;
/// Exchanges at one time.
const MOST_EXCHANGES: usize = 64;
/// What a newcomer's weight must have beyond twice that of the lightest.
const CLEARLY: u64 = 16;

/// The state of one slice.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) index: SliceIndex,
    cap: usize,
    pub(super) ageing: Ageing,
    /// By number; a number is free once its series is gone and `order` knows it.
    pub(super) series: Vec<Option<Series>>,
    /// The smallest is given away first, so that numbers depend on the events alone.
    pub(super) free: BinaryHeap<Reverse<u32>>,
    gone: Vec<u32>,
    pub(super) numbers: HashTable<u32>,
    /// Keys that have a series of their own whatever the cap says.
    reserved: BTreeSet<Box<str>>,
    /// Numbers by key, but for `fresh` and `gone`.
    order: Vec<u32>,
    pub(super) fresh: Vec<u32>,
    /// Numbers of series that are not settled.
    dirty: Vec<u32>,
    pub(super) other: Option<Box<Series>>,
    pub(super) folded: Option<Box<Folded>>,
    /// Up to where the series were aged in this round, and the tick reached then.
    pub(super) next_to_age: usize,
    pub(super) aged_to: Option<Tick>,
    pub(super) round: i32,
    /// By column: when it began, if after the others.
    pub(super) since: Vec<Option<EventTime>>,
    /// Its ageing or its `since` has changed since it was last recorded.
    pub(super) moved: bool,
}

/// What is known of the values without series of their own.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) candidates: Candidates,
    /// These have changed since they were last recorded.
    pub(super) changed: bool,
    /// Who, and how many events, as cells of [`FOLDED_KINDS`].
    pub(super) cells: [Cell; 2],
}

/// The kinds of the cells of [`Folded`].
pub(super) const FOLDED_KINDS: [ColumnKind; 2] = [ColumnKind::Distinct, ColumnKind::Amounts];

impl Folded {
    /// An event of that value was folded.
    pub(super) fn note(&mut self, item: u64, tick: Tick) {
        self.cells[0].add(FOLDED_KINDS[0], tick, Payload::Item(item), &[]);
    }
}

impl Slice {
    pub(super) fn new(index: SliceIndex, spec: &SliceSpec, columns: usize) -> Self {
        Slice {
            index,
            cap: spec.cap,
            ageing: Ageing::new(spec.windows.clone()),
            series: Vec::new(),
            free: BinaryHeap::new(),
            gone: Vec::new(),
            numbers: HashTable::new(),
            reserved: BTreeSet::new(),
            order: Vec::new(),
            fresh: Vec::new(),
            dirty: Vec::new(),
            other: None,
            folded: None,
            next_to_age: 0,
            aged_to: None,
            round: 0,
            since: vec![None; columns],
            moved: false,
        }
    }

    /// Keeps a place for a value, beyond the cap: an objective names it.
    pub(super) fn reserve<'v>(&mut self, values: impl IntoIterator<Item = &'v str>) {
        let mut key = String::new();
        for (place, value) in values.into_iter().enumerate() {
            if place > 0 {
                key.push(BETWEEN_VALUES);
            }
            push_label(value, &mut key);
        }
        self.reserved.insert(key.into());
    }

    /// Adds an event to the series of its value.
    pub(super) fn fold(
        &mut self,
        plan: &SlicePlan,
        touch: &Touch,
        batch: &EventBatch,
        journal: &mut Journal,
    ) {
        let key = &batch.values[touch.values.0 as usize..touch.values.1 as usize];
        if touch.tick < self.ageing.keep_from() && !has_level(touch, batch) {
            return;
        }
        let number = self.find(touch.hash, key);
        let Some(number) = number.or_else(|| self.admit(plan, touch.hash, key, journal)) else {
            self.fold_into_other(plan, touch, key).fold(plan, touch, batch);
            return;
        };
        if let Some(series) = &mut self.series[number as usize] {
            if !series.dirty {
                series.dirty = true;
                self.dirty.push(number);
            }
            series.fold(plan, touch, batch);
        }
    }

    /// Settles what is fresh, `present` being the present tick, and records it.
    pub(super) fn settle(&mut self, present: Tick, journal: &mut Journal) {
        let base = journal.base();
        for number in self.dirty.drain(..) {
            let Some(series) = &mut self.series[number as usize] else { continue };
            let cells = series.settle(&self.ageing, present, base);
            if base.is_some() {
                journal.record(self.index, &Op::Changed(number, series.weight, cells));
            }
        }
        if let Some(other) = &mut self.other {
            let cells = other.settle(&self.ageing, present, base);
            if !cells.is_empty() {
                journal.record(self.index, &Op::OtherChanged(cells));
            }
        }
        if let Some(folded) = &mut self.folded {
            let cells = folded.cells.iter_mut().zip(0..);
            let settled = |(cell, at): (&mut Cell, u16)| {
                Some((at, cell.settle(&self.ageing, present, base)?))
            };
            let cells: Vec<_> = cells.filter_map(settled).collect();
            if !cells.is_empty() {
                journal.record(self.index, &Op::Folded(cells));
            }
        }
    }

    pub(super) fn find(&self, hash: u64, key: &str) -> Option<u32> {
        let is_it = |number: &u32| {
            let series = self.series[*number as usize].as_ref();
            series.is_some_and(|series| series.hash == hash && *series.key == *key)
        };
        self.numbers.find(hash, is_it).copied()
    }

    /// Gives a value a series of its own if there is room for it.
    pub(super) fn admit(
        &mut self,
        plan: &SlicePlan,
        hash: u64,
        key: &str,
        journal: &mut Journal,
    ) -> Option<u32> {
        if !plan.fields.is_empty() {
            let is_other = key.split(BETWEEN_VALUES).any(|value| value == OTHER);
            let room = self.numbers.len() < self.cap || self.reserved.contains(key);
            if is_other || !room {
                return None;
            }
        }
        let last_folded = self.folded.as_mut().and_then(|folded| {
            folded.changed = true;
            folded.candidates.take(hash, key)
        });
        let series = Series::new(plan, key, hash, last_folded.map(Tick::next));
        Some(self.insert(series, journal))
    }

    fn insert(&mut self, series: Series, journal: &mut Journal) -> u32 {
        let hash = series.hash;
        let number = match self.free.pop() {
            Some(Reverse(number)) => {
                self.series[number as usize] = Some(series);
                number
            }
            None => {
                self.series.push(Some(series));
                (self.series.len() - 1) as u32
            }
        };
        if let Some(base) = journal.base()
            && let Some(series) = &self.series[number as usize]
        {
            journal.record(self.index, &Op::Begun(SeriesHead::of(number, series, base)));
        }
        self.place(hash, number);
        number
    }

    /// Lets the series of that number be found.
    pub(super) fn place(&mut self, hash: u64, number: u32) {
        let all = &self.series;
        self.numbers.insert_unique(hash, number, |number| {
            all[*number as usize].as_ref().map_or(0, |series| series.hash)
        });
        self.fresh.push(number);
    }

    fn remove(&mut self, number: u32) -> Option<Series> {
        let series = self.series[number as usize].take()?;
        if let Ok(entry) = self.numbers.find_entry(series.hash, |held| *held == number) {
            entry.remove();
        }
        self.gone.push(number);
        Some(series)
    }

    fn fold_into_other(&mut self, plan: &SlicePlan, touch: &Touch, key: &str) -> &mut Series {
        let folded = self.folded.get_or_insert_default();
        folded.changed = true;
        folded.candidates.note(touch.hash, key, touch.tick);
        folded.note(plan.key.hash(key), touch.tick);
        folded.cells[1].add(FOLDED_KINDS[1], touch.tick, Payload::Amount(Decimal::ONE), &[]);
        other_of(&mut self.other, plan)
    }

    /// Lets state age up to `to`.
    pub(super) fn advance(
        &mut self,
        plan: &SlicePlan,
        to: EventTime,
        present: Tick,
        journal: &mut Journal,
    ) {
        if !self.ageing.advance(to) {
            return;
        }
        let Some(reached) = self.ageing.reached() else { return };
        self.moved = true;
        let passed = match self.aged_to {
            Some(before) => reached.number().saturating_sub(before.number()).min(ROUND),
            None => ROUND,
        };
        self.aged_to = Some(reached);
        let share = self.series.len().div_ceil(ROUND as usize) * passed as usize;
        let to = (self.next_to_age + share).min(self.series.len());
        for number in self.next_to_age..to {
            self.age_series(plan, number, journal);
        }
        self.next_to_age = to;
        if to == self.series.len() {
            self.next_to_age = 0;
            self.end_round(plan, reached, present, journal);
        }
        if !self.gone.is_empty() {
            self.settle_order();
        }
    }

    fn age_series(&mut self, plan: &SlicePlan, number: usize, journal: &mut Journal) {
        let Some(series) = &mut self.series[number] else { return };
        series.age(plan, &self.ageing);
        if series.is_live(plan, &self.ageing) {
            return;
        }
        let gone = self.remove(number as u32);
        journal.record(self.index, &Op::Gone(number as u32));
        // Should the value come back, what it had in the other series is still there.
        if let (Some(since), Some(folded)) =
            (gone.and_then(|series| series.since_asked_for(plan, &self.ageing)), &mut self.folded)
        {
            folded.changed = true;
            folded.candidates.forget_before(since.offset(-1));
        }
    }

    fn end_round(&mut self, plan: &SlicePlan, reached: Tick, present: Tick, journal: &mut Journal) {
        if let Some(other) = &mut self.other {
            other.age(plan, &self.ageing);
            if !other.is_live(plan, &self.ageing) {
                self.other = None;
                journal.record(self.index, &Op::OtherGone);
            }
        }
        self.age_folded();
        self.exchange(plan, reached.max(present), journal);
        self.round += 1;
        if self.round >= FADES_AFTER {
            self.round = 0;
            self.series.iter_mut().flatten().for_each(|series| series.weight /= 2);
            self.folded.iter_mut().for_each(|folded| {
                folded.changed = true;
                folded.candidates.halve();
            });
            journal.record(self.index, &Op::Faded);
        }
    }

    pub(super) fn age_folded(&mut self) {
        if let Some(folded) = &mut self.folded {
            for (cell, kind) in folded.cells.iter_mut().zip(FOLDED_KINDS) {
                cell.age(kind, &self.ageing);
            }
        }
    }

    /// Lets heavy folded values take the places of light own ones.
    fn exchange(&mut self, plan: &SlicePlan, now: Tick, journal: &mut Journal) {
        let Some(mut folded) = self.folded.take() else { return };
        let mut lightest: Vec<(u64, u32)> = self
            .series
            .iter()
            .zip(0..)
            .filter_map(|(series, number)| Some((series.as_ref()?, number)))
            .filter(|(series, _)| !self.reserved.contains(&series.key))
            .map(|(series, number)| (series.weight, number))
            .collect();
        lightest.sort_unstable();
        for (weight, number) in lightest.into_iter().take(MOST_EXCHANGES) {
            let Some((sure, newcomer)) = folded.candidates.heaviest() else { break };
            let is_other = newcomer.key.split(BETWEEN_VALUES).any(|value| value == OTHER);
            if sure <= weight.saturating_mul(2).saturating_add(CLEARLY) {
                break;
            }
            folded.changed = true;
            let last_folded = folded.candidates.take(newcomer.hash, &newcomer.key);
            if is_other {
                continue;
            }
            if let Some(leaver) = self.remove(number) {
                journal.record(self.index, &Op::MergedIntoOther(number));
                if let Some(newest) = leaver.newest(plan, &self.ageing) {
                    folded.candidates.forget_before(newest);
                    folded.note(plan.key.hash(&leaver.key), newest);
                }
                if let Some(since) = leaver.since_asked_for(plan, &self.ageing) {
                    folded.candidates.forget_before(since.offset(-1));
                }
                other_of(&mut self.other, plan).merge(plan, &leaver);
            }
            let since = last_folded.max(Some(now)).map(Tick::next);
            let mut series = Series::new(plan, &newcomer.key, newcomer.hash, since);
            series.weight = sure;
            self.insert(series, journal);
        }
        self.folded = Some(folded);
    }

    /// Brings `order` up to date, and frees the numbers of what is gone.
    pub(super) fn settle_order(&mut self) {
        let series = &self.series;
        if !self.gone.is_empty() {
            self.order.retain(|number| series[*number as usize].is_some());
            self.fresh.retain(|number| series[*number as usize].is_some());
            self.free.extend(self.gone.drain(..).map(Reverse));
        }
        if !self.fresh.is_empty() {
            let key = |number: &u32| series[*number as usize].as_ref().map(|series| &*series.key);
            self.fresh.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
            self.order.append(&mut self.fresh);
            // Two sorted runs: the stable sort merges them in one pass.
            self.order.sort_by(|a, b| key(a).cmp(&key(b)));
        }
    }

    /// Every figure of the slice at one moment, series by value, the other one last.
    pub(super) fn snapshot(
        &mut self,
        plan: &Plan,
        as_of: EventTime,
        covered_from: Option<EventTime>,
        present: Tick,
    ) -> SliceSnapshot {
        let declarations = plan.declarations();
        let spec = &declarations.slices[self.index];
        let plan = &plan.slices[self.index];
        let view = View::new(&spec.windows, as_of, &self.ageing, present);
        self.settle_order();
        let mut operands: Vec<Operand> = Vec::new();
        let mut series: Vec<SeriesSnapshot> = Vec::with_capacity(self.order.len() + 1);
        for &number in &self.order {
            if let Some(of) = &mut self.series[number as usize]
                && of.is_live(plan, &self.ageing)
            {
                series.push(of.snapshot(plan, declarations, &view, &mut operands));
            }
        }
        if let Some(other) = &mut self.other
            && other.is_live(plan, &self.ageing)
        {
            let other = other.snapshot(plan, declarations, &view, &mut operands);
            series.push(SeriesSnapshot { other: true, ..other });
        }
        let (own, of_kpis) = self.covered_from(plan, covered_from);
        // A window that would have to cut a joined pane has no figure, so that nothing of
        // it is covered, however far back was read.
        let share = |(window, known): (&WindowSpec, &bool), from| {
            if *known { window.bounds(as_of).coverage(from) } else { 0.0 }
        };
        let windows = || spec.windows.iter().zip(&view.known);
        let coverage = windows().map(|window| share(window, own)).collect();
        let kpi_coverage = windows()
            .flat_map(|window| of_kpis.iter().map(move |from| share(window, *from)))
            .collect();
        let (folded_values, folded_events) = self.folded_counts(&view);
        SliceSnapshot {
            slice: self.index,
            coverage,
            kpi_coverage,
            folded_values,
            folded_events,
            series,
        }
    }

    /// From when on the slice, and each of its KPIs, is covered, where everything
    /// that was read is so from `read_from` on.
    fn covered_from(
        &self,
        plan: &SlicePlan,
        read_from: Option<EventTime>,
    ) -> (Option<EventTime>, Vec<Option<EventTime>>) {
        let held_from = read_from.max(self.ageing.held_from());
        // A slice of which every measure is new is new itself.
        let oldest = self.since.iter().min().copied().flatten();
        let of_kpis = plan.columns_of_kpi.iter().map(|columns| {
            let since = columns.iter().map(|column| self.since[usize::from(*column)]);
            held_from.max(since.max().flatten())
        });
        (held_from.max(oldest), of_kpis.collect())
    }

    fn folded_counts(&mut self, view: &View) -> (u64, u64) {
        let keep_from = self.ageing.keep_from();
        let Some(folded) = &mut self.folded else { return (0, 0) };
        let mut events = 0;
        let [values, all] = &mut folded.cells;
        if let Cell::Amounts(all) = all {
            all.settled.read(Tick::MAX, &[keep_from], |_, sum| {
                events = sum.map_or(0, |sum| (sum.raw() / Decimal::ONE.raw()) as u64);
            });
        }
        let Cell::Distinct(values) = values else { return (0, events) };
        let oldest = view.starts.last().copied().unwrap_or(keep_from).max(keep_from);
        values.settled.advance(view.present);
        let values = values.settled.read(view.end, &[oldest]).and_then(|counts| counts.first());
        (values.copied().unwrap_or(0), events)
    }

    /// The columns of any series whose levels found no room.
    pub(super) fn overfull(&self) -> impl Iterator<Item = usize> {
        self.series.iter().flatten().chain(self.other.as_deref()).flat_map(Series::overfull)
    }
}

pub(super) fn other_of<'a>(other: &'a mut Option<Box<Series>>, plan: &SlicePlan) -> &'a mut Series {
    other.get_or_insert_with(|| {
        let key = vec![OTHER; plan.fields.len()].join("\0");
        Box::new(Series::new(plan, &key, 0, None))
    })
}

fn has_level(touch: &Touch, batch: &EventBatch) -> bool {
    let (first, last) = touch.contributions;
    let contributions = &batch.contributions[first as usize..last as usize];
    contributions.iter().any(|of| matches!(of.payload, Payload::Level(_)))
}
