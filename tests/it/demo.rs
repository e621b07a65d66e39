//! The demo's world through the shipped formats: what is decoded is what happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegauge::admit::{SeenIds, Sighting};
use tidegauge::aggregate::HashKey;
use tidegauge::app::demo::{self, Act, Deed, SimulatedRecord, Simulator, System, Truth};
use tidegauge::config::{Config, shipped_formats};
use tidegauge::event::{Event, EventTime, Header, IgnoreReason, RawRecord, Span, Vocabulary};
use tidegauge::format::{Decoder, Element, Format, Limits, RecordOutcome, Wanted};
use tidegauge::kpi::{EventBatch, Plan, Store};
use tidegauge::objective::{Freshness, State, judge};

/// 2027-03-09T10:00:00Z.
const START: EventTime = EventTime::from_secs(1_804_586_400);

/// Ten minutes of history, and live traffic until the spike is over.
fn records() -> Vec<SimulatedRecord> {
    let simulator = Simulator::new(7, START);
    simulator.records(START - Span::from_secs(600), START + Span::from_secs(120)).collect()
}

fn decoders() -> BTreeMap<&'static str, Decoder> {
    let vocabulary = Vocabulary::canonical();
    let formats = shipped_formats();
    let decoder = |system: &System| {
        let spec = formats
            .iter()
            .find(|spec| spec.name == system.format())
            .unwrap_or_else(|| panic!("no format is called {}", system.format()));
        let format = Format::compile(spec, &vocabulary, &Wanted::All);
        (system.topic(), Decoder::new(Arc::new(format), Limits::default()))
    };
    System::ALL.iter().map(decoder).collect()
}

/// What an event says, as far as the truth knows it.
type Saying = (String, Option<String>, i64, Option<bool>, Option<String>, String);

fn of_event(event: &Event<'_>, vocabulary: &Vocabulary) -> Saying {
    let attribute = |name: &str| {
        event.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_string())
    };
    (
        vocabulary.name(event.kind).to_owned(),
        event.campaign.as_deref().map(str::to_owned),
        event.time.micros().div_euclid(1_000_000),
        event.machine.filter(|machine| *machine),
        attribute("class"),
        event.count.to_string(),
    )
}

fn of_act(act: &Act) -> Saying {
    let class = match act.deed {
        Deed::HardBounced => Some("hard"),
        Deed::SoftBounced => Some("soft"),
        _ => None,
    };
    (
        act.deed.kind().to_owned(),
        act.campaign.map(str::to_owned),
        act.time.micros().div_euclid(1_000_000),
        (act.deed == Deed::OpenedByMachine).then_some(true),
        class.map(str::to_owned),
        act.count.to_string(),
    )
}

fn headers(record: &SimulatedRecord) -> Vec<Header<'_>> {
    record.headers.iter().map(|(name, value)| (name.as_str(), Some(&value[..]))).collect()
}

fn raw<'a>(record: &'a SimulatedRecord, headers: &'a [Header<'a>]) -> RawRecord<'a> {
    RawRecord {
        topic: record.topic,
        partition: 0,
        offset: 0,
        timestamp: Some(record.time),
        key: record.key.as_deref().map(str::as_bytes),
        value: Some(&record.value),
        headers,
    }
}

fn decode(
    decoder: &mut Decoder,
    record: &SimulatedRecord,
) -> (RecordOutcome, Vec<Saying>, Vec<String>) {
    let vocabulary = Vocabulary::canonical();
    let headers = headers(record);
    let (mut events, mut others) = (Vec::new(), Vec::new());
    let outcome = decoder.decode(&raw(record, &headers), &mut |element| match element {
        Element::Event(event) => {
            assert!(event.id.is_some(), "no id: {}", String::from_utf8_lossy(&record.value));
            events.push(of_event(event, &vocabulary));
        }
        Element::Ignored { reason, .. } => others.push(reason.name().to_owned()),
        Element::Rejected(rejection) => others.push(rejection.detail.into_owned()),
    });
    (outcome, events, others)
}

#[test]
fn every_record_says_in_its_vendors_words_what_happened() {
    let mut decoders = decoders();
    let mut compared = 0;
    for record in records() {
        let decoder = decoders.get_mut(record.topic).expect("each topic has its format");
        let (outcome, events, others) = decode(decoder, &record);
        let text = format!("{}: {}", record.topic, String::from_utf8_lossy(&record.value));
        match &record.truth {
            Truth::Acts(acts) => {
                assert_eq!(events, acts.iter().map(of_act).collect::<Vec<_>>(), "{text}");
                assert!(others.is_empty(), "{others:?} in {text}");
                compared += acts.len();
            }
            Truth::Broken => {
                let refused = matches!(outcome, RecordOutcome::Rejected(_));
                assert!(
                    events.is_empty() && (refused || others.len() == 1),
                    "{outcome:?} of {text}"
                );
            }
            Truth::Unknown => {
                assert_eq!(others, [IgnoreReason::UnknownType.name()], "{text}");
            }
        }
    }
    assert!(compared > 10_000, "{compared} events");
}

#[test]
fn the_demos_configuration_reads_every_topic_of_its_world() {
    let config = super::documents::read_config(demo::CONFIG);
    let bound: BTreeMap<&str, &str> = config
        .kafka
        .topics
        .iter()
        .map(|topic| (topic.name.as_str(), topic.format.as_str()))
        .collect();
    let written: BTreeMap<&str, &str> =
        System::ALL.iter().map(|system| (system.topic(), system.format())).collect();
    assert_eq!(bound, written);
    let topics: Vec<&str> = System::ALL.iter().map(|system| system.topic()).collect();
    assert_eq!(demo::TOPICS.to_vec(), topics);
}

/// The whole pipeline but for Kafka, at the pace of the simulated world.
struct Watch {
    start: EventTime,
    simulator: Simulator,
    config: Config,
    plan: Arc<Plan>,
    store: Store,
    decoders: BTreeMap<&'static str, Decoder>,
    seen: SeenIds,
    upto: EventTime,
}

impl Watch {
    fn new(seed: u64, start: EventTime) -> Self {
        let config = super::documents::read_config(demo::CONFIG);
        let declarations = Arc::new(config.declarations.clone());
        let plan = Arc::new(Plan::new(declarations, HashKey::from_bytes([7; 16])));
        let store = Store::new(Arc::clone(&plan));
        let (simulator, upto) = (Simulator::new(seed, start), start - demo::HISTORY);
        let seen = SeenIds::new(Span::from_secs(72 * 3_600));
        Watch { start, simulator, config, plan, store, decoders: decoders(), seen, upto }
    }

    /// Where each objective stands at `seconds` after the start of live traffic.
    fn at(&mut self, seconds: i64) -> BTreeMap<String, (State, Option<f64>)> {
        let now = self.start + Span::from_secs(seconds);
        let mut batch = EventBatch::default();
        for record in self.simulator.records(self.upto, now) {
            let headers = headers(&record);
            let raw = raw(&record, &headers);
            let decoder = self.decoders.get_mut(record.topic).expect("each topic has its format");
            decoder.decode(&raw, &mut |element| {
                if let Element::Event(event) = element {
                    self.plan.reduce(event, raw.timestamp, &mut batch);
                }
            });
        }
        for mark in batch.marks() {
            let id = mark.fingerprint.expect("every act of the demo has its id");
            assert_eq!(self.seen.observe(id, mark.seen_at), Sighting::First, "{}", mark.seen_at);
        }
        self.store.fold(&batch);
        self.upto = now;
        self.store.advance(now, Some(now));
        let snapshot = self.store.snapshot(now, None);
        let (objectives, declarations) = (&self.config.objectives, &self.config.declarations);
        let freshness = vec![Freshness::default(); objectives.len()];
        judge(objectives, declarations, &snapshot, &freshness)
            .into_iter()
            .map(|verdict| {
                (objectives[verdict.objective].id.clone(), (verdict.state, verdict.value))
            })
            .collect()
    }
}

/// The demo's story, for a demo that is started then.
fn check_story(start: EventTime) {
    let mut watch = Watch::new(2_026, start);
    let expected = |id: &str| match id {
        "preview_is_clicked" => State::AtRisk,
        _ => State::Met,
    };
    let mut missed = Vec::new();
    for second in -10..=180 {
        let verdicts = watch.at(second);
        assert_eq!(verdicts.len(), watch.config.objectives.len());
        for (id, (state, value)) in verdicts {
            let here = format!("{id} at {second} s after {start}: {value:?}");
            match id.as_str() {
                "spring_sale_unsubscribes" if state == State::Missed => missed.push(second),
                "spring_sale_unsubscribes" => assert_ne!(state, State::Unknown, "{here}"),
                _ => assert_eq!(state, expected(&id), "{here}"),
            }
        }
    }
    let (first, last) = (missed[0], missed[missed.len() - 1]);
    assert_eq!(missed.len() as i64, last - first + 1, "missed in one piece: {missed:?}");
    assert!((30..=45).contains(&first), "missed from {first} s on");
    assert!((100..=150).contains(&last), "missed until {last} s");
}

#[test]
fn the_spike_is_missed_within_seconds_and_over_two_minutes_later_and_nothing_else_moves() {
    check_story(START);
}

#[test]
fn the_story_is_the_same_at_night() {
    check_story(START + Span::from_secs(16 * 3_600 + 1_237));
}
