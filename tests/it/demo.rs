//! The demo's world through the shipped formats: what is decoded is what happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegauge::app::demo::{self, Act, Deed, SimulatedRecord, Simulator, System, Truth};
use tidegauge::config::shipped_formats;
use tidegauge::event::{Event, EventTime, Header, IgnoreReason, RawRecord, Span, Vocabulary};
use tidegauge::format::{Decoder, Element, Format, Limits, RecordOutcome, Wanted};

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

fn decode(
    decoder: &mut Decoder,
    record: &SimulatedRecord,
) -> (RecordOutcome, Vec<Saying>, Vec<String>) {
    let vocabulary = Vocabulary::canonical();
    let headers: Vec<Header<'_>> =
        record.headers.iter().map(|(name, value)| (name.as_str(), Some(&value[..]))).collect();
    let raw = RawRecord {
        topic: record.topic,
        partition: 0,
        offset: 0,
        timestamp: Some(record.time),
        key: record.key.as_deref().map(str::as_bytes),
        value: Some(&record.value),
        headers: &headers,
    };
    let (mut events, mut others) = (Vec::new(), Vec::new());
    let outcome = decoder.decode(&raw, &mut |element| match element {
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
