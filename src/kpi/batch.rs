//! Events reduced to the cells that they touch.
//!
//! In: events, on any thread. Out: an [`EventBatch`] that the folding thread adds to
//! its cells without looking at an event again, but for asking of each whether it is
//! a copy. It borrows nothing and its buffers are reused. Reducing is a pure function of the event and the declarations, and is
//! where nearly all of the work on an event happens.

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::FixedState;

use crate::admit::{self, Admission, Sighting};
use crate::aggregate::{Level, Tick};
use crate::event::{Decimal, Event, EventTime};
use crate::kpi::label::push_label;
use crate::kpi::plan::{Plan, SlicePlan, matches};
use crate::kpi::{AggregateSpec, Amount, MeasureIndex, NONE};

/// Parts the values of a slice's fields in one text: no label value contains it.
pub(super) const BETWEEN_VALUES: char = '\0';

/// The touched cells of many events.
#[derive(Debug, Default)]
pub struct EventBatch {
    pub(super) touches: Vec<Touch>,
    pub(super) contributions: Vec<Contribution>,
    pub(super) levels: Vec<KeyedLevel>,
    /// The values of slices, one after another.
    pub(super) values: String,
    /// For each event and measure that leaves it out because its money is of another
    /// currency.
    pub(super) foreign: Vec<u32>,
    marks: Vec<Mark>,
    /// Whether any event is left out.
    copies: bool,
    matched: Vec<(MeasureIndex, Payload)>,
}

/// One event that may count, whether or not it touches a cell.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// Stands for its source and id; `None` without an id, and where every copy counts.
    pub fingerprint: Option<u64>,
    /// Its record's time; its own, if the record has none.
    pub seen_at: EventTime,
    is: Sighting,
    /// Where its touches end, and its foreign amounts; they begin where those of the
    /// event before end.
    touches: u32,
    foreign: u32,
}

/// One event in one slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touch {
    pub(super) hash: u64,
    pub(super) tick: Tick,
    /// Where its values begin and end in [`EventBatch::values`].
    pub(super) values: (u32, u32),
    /// Where its contributions begin and end.
    pub(super) contributions: (u32, u32),
    pub(super) slice: u16,
}

/// What an event adds to one cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contribution {
    pub(super) column: u16,
    pub(super) payload: Payload,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Payload {
    Amount(Decimal),
    Item(u64),
    /// Index into [`EventBatch::levels`].
    Level(u32),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct KeyedLevel {
    pub(super) key: u64,
    pub(super) level: Level,
}

impl EventBatch {
    /// Makes it empty; the buffers stay.
    pub fn clear(&mut self) {
        self.touches.clear();
        self.contributions.clear();
        self.levels.clear();
        self.values.clear();
        self.foreign.clear();
        self.marks.clear();
        self.copies = false;
    }

    /// Whether no event may count.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Its events, in their order.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// Asks for each event, in their order, whether it is a copy: copies are left out
    /// of the cells and of all counts.
    pub fn judge(&mut self, mut judge: impl FnMut(usize, &Mark) -> Sighting) {
        for (index, mark) in self.marks.iter_mut().enumerate() {
            mark.is = judge(index, mark);
            self.copies |= mark.is == Sighting::Copy;
        }
    }

    /// What touches a cell, without copies.
    pub(super) fn counted_touches(&self) -> impl Iterator<Item = &Touch> {
        self.counted(|mark| mark.touches, self.touches.len()).flat_map(|range| &self.touches[range])
    }

    /// The measures that leave out an event for its currency, without copies.
    pub(super) fn counted_foreign(&self) -> impl Iterator<Item = MeasureIndex> {
        self.counted(|mark| mark.foreign, self.foreign.len())
            .flat_map(|range| &self.foreign[range])
            .map(|measure| *measure as usize)
    }

    /// The parts of a list that belong to no copy; in one piece if there is none.
    fn counted(&self, end: fn(&Mark) -> u32, len: usize) -> impl Iterator<Item = Range<usize>> {
        let whole = (!self.copies).then_some(0..len);
        let marks = if self.copies { self.marks.as_slice() } else { &[] };
        let mut from = 0;
        let parts = marks.iter().filter_map(move |mark| {
            let part = from..end(mark) as usize;
            from = part.end;
            (mark.is == Sighting::First && !part.is_empty()).then_some(part)
        });
        whole.into_iter().chain(parts)
    }
}

impl Plan {
    /// Judges an event by its record's time and, if it counts, appends what it adds
    /// to which cells.
    pub fn reduce(
        &self,
        event: &Event<'_>,
        record_time: Option<EventTime>,
        into: &mut EventBatch,
    ) -> Admission {
        let declarations = self.declarations();
        let admission = admit::judge(
            event.time,
            record_time,
            declarations.lateness,
            declarations.future_tolerance,
        );
        if admission == Admission::Counted {
            self.touch_all(event, into);
            let id = self.id_key.as_ref().zip(event.id.as_deref());
            into.marks.push(Mark {
                fingerprint: id.map(|(key, id)| key.hash_pair(&event.source, id)),
                seen_at: record_time.unwrap_or(event.time),
                is: Sighting::First,
                touches: into.touches.len() as u32,
                foreign: into.foreign.len() as u32,
            });
        }
        admission
    }

    fn touch_all(&self, event: &Event<'_>, into: &mut EventBatch) {
        let Some(measures) = self.measures_of_type.get(event.kind.index()) else { return };
        let mut matched = std::mem::take(&mut into.matched);
        matched.clear();
        for &measure in measures {
            if let Some(payload) = self.payload(measure, event, into) {
                matched.push((measure, payload));
            }
        }
        if !matched.is_empty() {
            for (index, slice) in self.slices.iter().enumerate() {
                self.touch(index as u16, slice, event, &matched, into);
            }
        }
        into.matched = matched;
    }

    fn payload(
        &self,
        measure: MeasureIndex,
        event: &Event<'_>,
        into: &mut EventBatch,
    ) -> Option<Payload> {
        let spec = &self.declarations().measures[measure];
        if !matches(&spec.filters, event) {
            return None;
        }
        match &spec.aggregate {
            AggregateSpec::Count => Some(Payload::Amount(event.count)),
            AggregateSpec::Sum(amount) | AggregateSpec::Mean(amount) => {
                self.amount(measure, *amount, event, into).map(Payload::Amount)
            }
            AggregateSpec::Last { amount, .. } => {
                let amount = self.amount(measure, *amount, event, into)?;
                let tiebreak = event.id.as_deref().map_or(0, |id| self.key.hash(id));
                let key = self.key.hash(event.key.as_deref().unwrap_or_default());
                let level = Level { time: event.time, tiebreak, amount };
                into.levels.push(KeyedLevel { key, level });
                Some(Payload::Level(into.levels.len() as u32 - 1))
            }
            AggregateSpec::Distinct(field) => {
                field.of(event).map(|text| Payload::Item(self.key.hash(text)))
            }
        }
    }

    fn amount(
        &self,
        measure: MeasureIndex,
        amount: Amount,
        event: &Event<'_>,
        into: &mut EventBatch,
    ) -> Option<Decimal> {
        match amount {
            Amount::Count => Some(event.count),
            Amount::Value(currency) => {
                let value = event.value?;
                if event.currency == Some(currency) {
                    return Some(value);
                }
                into.foreign.push(measure as u32);
                None
            }
        }
    }

    fn touch(
        &self,
        index: u16,
        slice: &SlicePlan,
        event: &Event<'_>,
        matched: &[(MeasureIndex, Payload)],
        into: &mut EventBatch,
    ) {
        let first = into.contributions.len() as u32;
        for &(measure, payload) in matched {
            if let Some(column) = slice.column_of[measure] {
                into.contributions.push(Contribution { column, payload });
            }
        }
        let last = into.contributions.len() as u32;
        if first == last {
            return;
        }
        let begin = into.values.len();
        for (place, field) in slice.fields.iter().enumerate() {
            if place > 0 {
                into.values.push(BETWEEN_VALUES);
            }
            match field.of(event) {
                // Prometheus takes an empty label for an absent one.
                None | Some("") => into.values.push_str(NONE),
                Some(text) => push_label(text, &mut into.values),
            }
        }
        let values = &into.values[begin..];
        into.touches.push(Touch {
            hash: FixedState::with_seed(self.value_seed).hash_one(values),
            tick: Tick::of(event.time),
            values: (begin as u32, into.values.len() as u32),
            contributions: (first, last),
            slice: index,
        });
    }
}
