//! Outcomes as lines of JSON, for people who try a mapping.
//!
//! An event is shown with the canonical names, so that the `canonical` format
//! reads back what is shown.

use serde_json::{Map, Value, json};

use crate::event::{Decimal, Event, IgnoreReason, Rejection, Vocabulary};

use super::{Element, RecordOutcome};

/// An event with the canonical names; times in RFC 3339, decimals as texts.
pub fn event_json(event: &Event<'_>, vocabulary: &Vocabulary) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown.insert(name.to_owned(), value);
        }
    };
    let text = |text: &str| Value::from(text);
    put("id", event.id.as_deref().map(text));
    put("type", Some(text(vocabulary.name(event.kind))));
    put("time", Some(text(&event.time.to_string())));
    put("campaign", event.campaign.as_deref().map(text));
    put("channel", Some(text(&event.channel)));
    put("source", Some(text(&event.source)));
    put("user", event.user.as_deref().map(text));
    put("message", event.message.as_deref().map(text));
    put("value", event.value.map(|value| text(&value.to_string())));
    put("currency", event.currency.map(|currency| text(currency.code())));
    put("count", (event.count != Decimal::ONE).then(|| text(&event.count.to_string())));
    put("key", event.key.as_deref().map(text));
    put("machine", event.machine.map(Value::from));
    let attributes: Map<String, Value> = event
        .attributes
        .iter()
        .map(|(name, value)| (name.clone().into_owned(), text(value)))
        .collect();
    put("attributes", (!attributes.is_empty()).then_some(Value::Object(attributes)));
    Value::Object(shown)
}

/// The line for one element.
pub fn element_json(element: &Element<'_>, vocabulary: &Vocabulary) -> Value {
    match element {
        Element::Event(event) => {
            json!({ "outcome": "event", "event": event_json(event, vocabulary) })
        }
        Element::Ignored { reason, type_name } => ignored_json(*reason, *type_name),
        Element::Rejected(rejection) => rejected_json(rejection),
    }
}

/// The line for a record as a whole; none if its elements speak for themselves.
pub fn record_json(outcome: &RecordOutcome) -> Option<Value> {
    match outcome {
        RecordOutcome::Decoded => None,
        RecordOutcome::Empty => Some(json!({ "outcome": "empty" })),
        RecordOutcome::Ignored(reason) => Some(ignored_json(*reason, None)),
        RecordOutcome::Rejected(rejection) => Some(rejected_json(rejection)),
    }
}

fn ignored_json(reason: IgnoreReason, type_name: Option<&str>) -> Value {
    let mut shown = json!({ "outcome": "ignored", "reason": reason.name() });
    if let Some(name) = type_name {
        shown["type"] = Value::from(name);
    }
    shown
}

fn rejected_json(rejection: &Rejection) -> Value {
    json!({
        "outcome": "rejected",
        "reason": rejection.reason.name(),
        "detail": rejection.detail,
    })
}
