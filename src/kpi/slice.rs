//! One slice: its values, up to the cap, and the other series for the rest.
//!
//! Every event of the slice is in exactly one series, so that own and other add up
//! to the whole. Who has a series of his own is settled by arrival, and once a
//! minute by weight: a folded value that clearly outweighs the lightest own series
//! takes its place. What the lightest held goes into the other series; the newcomer
//! has figures only for windows that begin after the exchange. Values that an
//! objective names have a place beyond the cap and never lose it.

use std::collections::BTreeSet;

use hashbrown::HashTable;

use crate::aggregate::{Distinct, Panes, Tick};
use crate::event::{Decimal, EventTime};
use crate::kpi::batch::{BETWEEN_VALUES, EventBatch, Payload, Touch};
use crate::kpi::candidates::Candidates;
use crate::kpi::cell::View;
use crate::kpi::evaluate::Operand;
use crate::kpi::label::push_label;
use crate::kpi::plan::{Plan, SlicePlan};
use crate::kpi::series::Series;
use crate::kpi::{OTHER, SeriesSnapshot, SliceIndex, SliceSnapshot, SliceSpec};
use crate::window::Ageing;

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
    index: SliceIndex,
    cap: usize,
    pub(super) ageing: Ageing,
    /// By number; a number is free once its series is gone and `order` knows it.
    series: Vec<Option<Series>>,
    free: Vec<u32>,
    gone: Vec<u32>,
    numbers: HashTable<u32>,
    /// Keys that have a series of their own whatever the cap says.
    reserved: BTreeSet<Box<str>>,
    /// Numbers by key, but for `fresh` and `gone`.
    order: Vec<u32>,
    fresh: Vec<u32>,
    other: Option<Box<Series>>,
    folded: Option<Box<Folded>>,
    /// Up to where the series were aged in this round, and the tick reached then.
    next_to_age: usize,
    aged_to: Option<Tick>,
    round: i32,
}

/// What is known of the values without series of their own.
#[derive(Debug, Default)]
struct Folded {
    candidates: Candidates,
    values: Distinct,
    events: Panes<Decimal>,
}

impl Slice {
    pub(super) fn new(index: SliceIndex, spec: &SliceSpec) -> Self {
        Slice {
            index,
            cap: spec.cap,
            ageing: Ageing::new(spec.windows.clone()),
            series: Vec::new(),
            free: Vec::new(),
            gone: Vec::new(),
            numbers: HashTable::new(),
            reserved: BTreeSet::new(),
            order: Vec::new(),
            fresh: Vec::new(),
            other: None,
            folded: None,
            next_to_age: 0,
            aged_to: None,
            round: 0,
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
        present: Tick,
    ) {
        let key = &batch.values[touch.values.0 as usize..touch.values.1 as usize];
        if touch.tick < self.ageing.keep_from() && !has_level(touch, batch) {
            return;
        }
        let number = self.find(touch.hash, key).or_else(|| self.admit(plan, touch.hash, key));
        let series = match number {
            Some(number) => self.series[number as usize].as_mut(),
            None => Some(self.fold_into_other(plan, touch, key, present)),
        };
        if let Some(series) = series {
            series.fold(plan, touch, batch, present);
        }
    }

    fn find(&self, hash: u64, key: &str) -> Option<u32> {
        let is_it = |number: &u32| {
            let series = self.series[*number as usize].as_ref();
            series.is_some_and(|series| series.hash == hash && *series.key == *key)
        };
        self.numbers.find(hash, is_it).copied()
    }

    /// Gives a value a series of its own if there is room for it.
    fn admit(&mut self, plan: &SlicePlan, hash: u64, key: &str) -> Option<u32> {
        if !plan.fields.is_empty() {
            let is_other = key.split(BETWEEN_VALUES).any(|value| value == OTHER);
            let room = self.numbers.len() < self.cap || self.reserved.contains(key);
            if is_other || !room {
                return None;
            }
        }
        let folded = self.folded.as_mut().and_then(|folded| folded.candidates.take(hash, key));
        Some(self.insert(Series::new(plan, key, hash, folded.map(Tick::next))))
    }

    fn insert(&mut self, series: Series) -> u32 {
        let hash = series.hash;
        let number = match self.free.pop() {
            Some(number) => {
                self.series[number as usize] = Some(series);
                number
            }
            None => {
                self.series.push(Some(series));
                (self.series.len() - 1) as u32
            }
        };
        let all = &self.series;
        self.numbers.insert_unique(hash, number, |number| {
            all[*number as usize].as_ref().map_or(0, |series| series.hash)
        });
        self.fresh.push(number);
        number
    }

    fn remove(&mut self, number: u32) -> Option<Series> {
        let series = self.series[number as usize].take()?;
        if let Ok(entry) = self.numbers.find_entry(series.hash, |held| *held == number) {
            entry.remove();
        }
        self.gone.push(number);
        Some(series)
    }

    fn fold_into_other(
        &mut self,
        plan: &SlicePlan,
        touch: &Touch,
        key: &str,
        present: Tick,
    ) -> &mut Series {
        let folded = self.folded.get_or_insert_default();
        folded.candidates.note(touch.hash, key, touch.tick);
        folded.values.observe(spread(touch.hash), touch.tick, present);
        folded.events.add(touch.tick, Decimal::ONE);
        other_of(&mut self.other, plan)
    }

    /// Lets state age up to `to`.
    pub(super) fn advance(&mut self, plan: &SlicePlan, to: EventTime, present: Tick) {
        if !self.ageing.advance(to) {
            return;
        }
        let Some(reached) = self.ageing.reached() else { return };
        let passed = match self.aged_to {
            Some(before) => reached.number().saturating_sub(before.number()).min(ROUND),
            None => ROUND,
        };
        self.aged_to = Some(reached);
        let share = self.series.len().div_ceil(ROUND as usize) * passed as usize;
        let to = (self.next_to_age + share).min(self.series.len());
        for number in self.next_to_age..to {
            self.age_series(plan, number);
        }
        self.next_to_age = to;
        if to == self.series.len() {
            self.next_to_age = 0;
            self.end_round(plan, reached, present);
        }
    }

    fn age_series(&mut self, plan: &SlicePlan, number: usize) {
        let Some(series) = &mut self.series[number] else { return };
        series.age(plan, &self.ageing);
        if series.is_live(plan, &self.ageing) {
            return;
        }
        let gone = self.remove(number as u32);
        // Should the value come back, what it had in the other series is still there.
        if let (Some(since), Some(folded)) =
            (gone.and_then(|series| series.since), &mut self.folded)
        {
            folded.candidates.forget_before(since.offset(-1));
        }
    }

    fn end_round(&mut self, plan: &SlicePlan, reached: Tick, present: Tick) {
        if let Some(other) = &mut self.other {
            other.age(plan, &self.ageing);
            if !other.is_live(plan, &self.ageing) {
                self.other = None;
            }
        }
        let keep_from = self.ageing.keep_from();
        if let Some(folded) = &mut self.folded {
            folded.values.age(keep_from);
            folded.events.age(keep_from, |tick| self.ageing.floor(tick));
        }
        self.exchange(plan, reached.max(present), present);
        self.round += 1;
        if self.round >= FADES_AFTER {
            self.round = 0;
            self.series.iter_mut().flatten().for_each(|series| series.weight /= 2);
            self.folded.iter_mut().for_each(|folded| folded.candidates.halve());
        }
    }

    /// Lets heavy folded values take the places of light own ones.
    fn exchange(&mut self, plan: &SlicePlan, now: Tick, present: Tick) {
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
            if sure <= 2 * weight + CLEARLY {
                break;
            }
            let last_folded = folded.candidates.take(newcomer.hash, &newcomer.key);
            if is_other {
                continue;
            }
            if let Some(leaver) = self.remove(number) {
                let newest = leaver.newest().unwrap_or(Tick::MIN);
                folded.candidates.forget_before(newest);
                leaver
                    .since
                    .iter()
                    .for_each(|since| folded.candidates.forget_before(since.offset(-1)));
                folded.values.observe(spread(leaver.hash), newest, present);
                other_of(&mut self.other, plan).merge(plan, &leaver);
            }
            let since = last_folded.max(Some(now)).map(Tick::next);
            let mut series = Series::new(plan, &newcomer.key, newcomer.hash, since);
            series.weight = sure;
            self.insert(series);
        }
        self.folded = Some(folded);
    }

    /// Brings `order` up to date, and frees the numbers of what is gone.
    fn settle_order(&mut self) {
        let series = &self.series;
        if !self.gone.is_empty() {
            self.order.retain(|number| series[*number as usize].is_some());
            self.fresh.retain(|number| series[*number as usize].is_some());
            self.free.append(&mut self.gone);
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
    ) -> SliceSnapshot {
        let declarations = plan.declarations();
        let spec = &declarations.slices[self.index];
        let plan = &plan.slices[self.index];
        let view = View::new(&spec.windows, as_of, &self.ageing);
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
        let coverage =
            spec.windows.iter().map(|window| window.bounds(as_of).coverage(covered_from)).collect();
        let (folded_values, folded_events) = self.folded_counts(&view);
        SliceSnapshot { slice: self.index, coverage, folded_values, folded_events, series }
    }

    fn folded_counts(&mut self, view: &View) -> (u64, u64) {
        let keep_from = self.ageing.keep_from();
        let Some(folded) = &mut self.folded else { return (0, 0) };
        let mut events = 0;
        folded.events.read(Tick::MAX, &[keep_from], |_, sum| {
            events = sum.map_or(0, |sum| (sum.raw() / Decimal::ONE.raw()) as u64);
        });
        let oldest = view.starts.last().copied().unwrap_or(keep_from);
        let values = folded.values.read(view.end, &[oldest]).and_then(|counts| counts.first());
        (values.copied().unwrap_or(0), events)
    }

    /// The columns of any series whose levels found no room.
    pub(super) fn overfull(&self) -> impl Iterator<Item = usize> {
        self.series.iter().flatten().chain(self.other.as_deref()).flat_map(Series::overfull)
    }
}

fn other_of<'a>(other: &'a mut Option<Box<Series>>, plan: &SlicePlan) -> &'a mut Series {
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

/// Spreads a table's hash over all 64 bits, as the estimate needs it (the finisher of
/// MurmurHash3).
fn spread(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}
