//! The decoder threads' work: a batch of records in, a batch of reduced events,
//! ledgers and dead letters out.
//!
//! Pure but for its scratch buffers: what it makes of a record depends on the
//! record and the declarations alone.

use std::sync::Arc;

use crate::admit::{Admission, Ledger, SeenIds, Sighting};
use crate::app::routes::Routes;
use crate::event::{EventTime, RawRecord, RejectReason, Rejection, Span};
use crate::format::{Decoder, Element, RecordOutcome};
use crate::kafka::{DeadLetter, MOST_ELEMENTS, Position, RecordBatch};
use crate::kpi::{EventBatch, Plan};

/// Faulty elements that one dead letter names; the rest is only counted.
/// One more than a letter has room for, so that it says that it is cut.
const NAMED_FAULTS: usize = MOST_ELEMENTS + 1;
/// Unknown types that are remembered for the log, per topic.
const NAMED_TYPES: usize = 20;

/// What became of one record batch.
#[derive(Default)]
pub struct DecodedBatch {
    /// The events that count, reduced to the cells that they touch.
    pub events: EventBatch,
    /// What became of each record and event, by topic and minute of record time.
    pub ledgers: Vec<LedgerPart>,
    /// Which of `ledgers` the events of `events` are counted in: runs of them, by where
    /// each ends.
    pub counted_in: Vec<(usize, usize)>,
    /// How far each partition is read once this batch is folded.
    pub positions: Vec<Position>,
    /// The times of events that count and whose records have no timestamp, by the place of
    /// their partition in `positions`.
    pub untimed: Vec<(usize, EventTime)>,
    /// Records with something to refuse.
    pub dead_letters: Vec<DeadLetter>,
    /// Types that this decoder met for the first time and nobody knows.
    pub unknown_types: Vec<(Arc<str>, String)>,
}

impl DecodedBatch {
    /// Leaves copies of events that `seen` knows out of the figures; the ledgers say
    /// that they are duplicates.
    pub fn leave_out_copies(&mut self, seen: &mut SeenIds) {
        seen.warm(self.events.marks().iter().filter_map(|mark| mark.fingerprint));
        let mut parts = self.counted_in.iter();
        let mut part = parts.next();
        let ledgers = &mut self.ledgers;
        self.events.judge(|index, mark| {
            let Some(fingerprint) = mark.fingerprint else { return Sighting::First };
            let sighting = seen.observe(fingerprint, mark.seen_at);
            if sighting == Sighting::Copy {
                while part.is_some_and(|(end, _)| *end <= index) {
                    part = parts.next();
                }
                if let Some(ledger) = part.and_then(|(_, part)| ledgers.get_mut(*part)) {
                    let events = &mut ledger.ledger.events;
                    events.counted -= 1;
                    events.duplicate += 1;
                }
            }
            sighting
        });
    }

    /// Lets each event's own time stand for that of its record where that has none, up to
    /// `now`: good enough for ageing what is read once, from beginning to end.
    pub fn stand_in_for_timestamps(&mut self, now: EventTime) {
        for (place, time) in self.untimed.drain(..).filter(|(_, time)| *time <= now) {
            if let Some(position) = self.positions.get_mut(place) {
                position.highest_timestamp = position.highest_timestamp.max(Some(time));
            }
        }
    }

    /// Events that count, copies among them.
    pub fn counted(&self) -> u64 {
        self.ledgers.iter().map(|part| part.ledger.events.counted).sum()
    }
}

/// A piece of a topic's ledger: records of one minute.
pub struct LedgerPart {
    /// The topic.
    pub topic: Arc<str>,
    /// The minute of their timestamps; `None` for records without one.
    pub minute: Option<EventTime>,
    /// What became of them.
    pub ledger: Ledger,
}

/// One decoder thread's state.
pub struct RecordDecoder {
    plan: Arc<Plan>,
    routes: Arc<Routes>,
    topics: Vec<TopicDecoder>,
    dead_letters: bool,
}

struct TopicDecoder {
    topic: Arc<str>,
    decoder: Decoder,
    unknown_types: Vec<String>,
}

impl RecordDecoder {
    /// A decoder for the topics of `routes`; dead letters are only made if wanted.
    pub fn new(plan: Arc<Plan>, routes: Arc<Routes>, dead_letters: bool) -> Self {
        RecordDecoder { plan, routes, topics: Vec::new(), dead_letters }
    }

    /// Decodes a whole batch.
    pub fn decode(&mut self, batch: &RecordBatch) -> DecodedBatch {
        self.decode_where(batch, |_| true)
    }

    /// Decodes those records of a batch that are `wanted`; of the others nothing is
    /// said but the positions.
    pub fn decode_where(
        &mut self,
        batch: &RecordBatch,
        wanted: impl Fn(&RawRecord<'_>) -> bool,
    ) -> DecodedBatch {
        let mut decoded =
            DecodedBatch { positions: batch.positions().to_vec(), ..DecodedBatch::default() };
        let headers = batch.headers();
        for record in batch.records(&headers).filter(wanted) {
            self.record(&record, &mut decoded);
        }
        decoded
    }

    fn topic(&mut self, topic: &str) -> usize {
        if let Some(place) = self.topics.iter().position(|known| &*known.topic == topic) {
            return place;
        }
        let decoder = self.routes.decoder(topic);
        self.topics.push(TopicDecoder { topic: topic.into(), decoder, unknown_types: Vec::new() });
        self.topics.len() - 1
    }

    fn record(&mut self, record: &RawRecord<'_>, into: &mut DecodedBatch) {
        let place = self.topic(record.topic);
        let TopicDecoder { topic, decoder, unknown_types } = &mut self.topics[place];
        let part = ledger_part(&mut into.ledgers, topic, record.timestamp);
        let Ledger { records, events } = &mut into.ledgers[part].ledger;
        let mut faults = Faults::default();
        records.read += 1;
        let first = events.decoded;
        let outcome = decoder.decode(record, &mut |element| {
            let index = events.decoded - first;
            events.decoded += 1;
            match element {
                Element::Event(event) => {
                    match self.plan.reduce(event, record.timestamp, &mut into.events) {
                        Admission::Counted => {
                            events.counted += 1;
                            events.unidentified += u64::from(event.id.is_none());
                            if record.timestamp.is_none() {
                                let place = place_of(&into.positions, record);
                                into.untimed.extend(place.map(|place| (place, event.time)));
                            }
                        }
                        Admission::Late => events.late += 1,
                        Admission::Future => events.future += 1,
                    }
                }
                Element::Ignored { reason, type_name } => {
                    events.ignored[reason as usize] += 1;
                    if let Some(name) = type_name
                        && unknown_types.len() < NAMED_TYPES
                        && !unknown_types.iter().any(|known| known == name)
                    {
                        unknown_types.push(name.to_owned());
                        into.unknown_types.push((topic.clone(), name.chars().take(80).collect()));
                    }
                }
                Element::Rejected(rejection) => {
                    events.rejected[rejection.reason as usize] += 1;
                    faults.add(index, rejection);
                }
            }
        });
        match outcome {
            RecordOutcome::Decoded => records.decoded += 1,
            RecordOutcome::Empty => records.empty += 1,
            RecordOutcome::Ignored(reason) => records.ignored[reason as usize] += 1,
            RecordOutcome::Rejected(rejection) => {
                records.rejected[rejection.reason as usize] += 1;
                faults.whole = Some(rejection);
            }
        }
        let marked = into.events.marks().len();
        match into.counted_in.last_mut() {
            Some((end, last)) if *last == part => *end = marked,
            _ => into.counted_in.push((marked, part)),
        }
        if self.dead_letters
            && let Some(letter) = faults.into_dead_letter(record, topic)
        {
            into.dead_letters.push(letter);
        }
    }
}

/// Where the partition of a record stands.
fn place_of(positions: &[Position], record: &RawRecord<'_>) -> Option<usize> {
    let is_it = |of: &Position| of.partition == record.partition && *of.topic == *record.topic;
    positions.iter().position(is_it)
}

/// The ledger part of that topic and minute, made if it is not there yet. Records
/// come in runs, so that the newest part is nearly always the right one.
fn ledger_part(
    parts: &mut Vec<LedgerPart>,
    topic: &Arc<str>,
    timestamp: Option<EventTime>,
) -> usize {
    let minute = timestamp.map(|time| time.floor(Span::from_secs(60)));
    let found =
        parts.iter().rposition(|part| part.minute == minute && Arc::ptr_eq(&part.topic, topic));
    found.unwrap_or_else(|| {
        parts.push(LedgerPart { topic: topic.clone(), minute, ledger: Ledger::default() });
        parts.len() - 1
    })
}

/// What was refused of one record.
#[derive(Default)]
struct Faults {
    elements: Vec<(u64, Rejection)>,
    whole: Option<Rejection>,
}

impl Faults {
    fn add(&mut self, index: u64, rejection: Rejection) {
        if self.elements.len() < NAMED_FAULTS {
            self.elements.push((index, rejection));
        }
    }

    fn into_dead_letter(self, record: &RawRecord<'_>, topic: &Arc<str>) -> Option<DeadLetter> {
        let (reason, text): (RejectReason, String) = match (&self.whole, self.elements.first()) {
            (Some(whole), _) => (whole.reason, whole.detail.to_string()),
            (None, Some((_, first))) => (first.reason, first.detail.to_string()),
            (None, None) => return None,
        };
        let elements = self.elements.iter().map(|(index, fault)| (*index, fault.reason));
        Some(DeadLetter {
            topic: Arc::clone(topic),
            partition: record.partition,
            offset: record.offset,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec)))
                .collect(),
            timestamp: record.timestamp,
            reason,
            text,
            elements: elements.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::HashKey;
    use crate::event::{Decimal, Event, Vocabulary};
    use crate::kpi::Declarations;

    /// Three parts of a ledger; the events of each by their ids, `-` without one.
    #[track_caller]
    fn check(parts: [&str; 3], expected: [(u64, u64); 3]) {
        let vocabulary = Vocabulary::canonical();
        let kind = vocabulary.get("email.opened").expect("a type");
        let declarations = Declarations {
            vocabulary,
            measures: Vec::new(),
            kpis: Vec::new(),
            slices: Vec::new(),
            lateness: Span::from_secs(60),
            future_tolerance: Span::ZERO,
        };
        let plan = Plan::new(Arc::new(declarations), HashKey::from_bytes([0; 16]));
        let mut batch = DecodedBatch::default();
        for (part, ids) in parts.iter().enumerate() {
            let mut ledger = Ledger::default();
            for id in ids.split_whitespace() {
                let event = Event {
                    id: Some(id.into()).filter(|id| id != "-"),
                    kind,
                    time: EventTime::MIN,
                    campaign: None,
                    channel: "email".into(),
                    source: "mailer".into(),
                    user: None,
                    message: None,
                    value: None,
                    currency: None,
                    count: Decimal::ONE,
                    key: None,
                    machine: None,
                    attributes: Vec::new(),
                };
                plan.reduce(&event, None, &mut batch.events);
                ledger.events.decoded += 1;
                ledger.events.counted += 1;
            }
            batch.ledgers.push(LedgerPart { topic: "t".into(), minute: None, ledger });
            batch.counted_in.push((batch.events.marks().len(), part));
        }
        batch.leave_out_copies(&mut SeenIds::new(Span::from_secs(3_600)));
        let found = batch.ledgers.iter().map(|part| {
            assert!(part.ledger.balances());
            (part.ledger.events.counted, part.ledger.events.duplicate)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{parts:?}");
    }

    #[test]
    fn a_copy_is_a_duplicate_in_the_ledger_of_its_own_topic_and_minute() {
        check(["a b c", "d", "e"], [(3, 0), (1, 0), (1, 0)]);
        check(["a a b", "a", "b c"], [(2, 1), (0, 1), (1, 1)]);
        check(["a", "", "a a"], [(1, 0), (0, 0), (0, 2)]);
        check(["- -", "- a", "a -"], [(2, 0), (2, 0), (1, 1)]);
    }
}
