//! Outcomes as lines of JSON, for people who try a mapping.
//!
//! An event is shown with the canonical names in their usual order, so that the
//! `canonical` format reads back what is shown.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::event::{Decimal, Event, IgnoreReason, Rejection, Vocabulary};

use super::{Element, RecordOutcome};

/// A line, in the order of its fields.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Line<'a> {
    Event {
        event: Box<Shown<'a>>,
    },
    Ignored {
        reason: &'static str,
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        type_name: Option<&'a str>,
    },
    Rejected {
        reason: &'static str,
        detail: &'a str,
    },
    Empty,
}

/// An event with the canonical names; times in RFC 3339, decimals as texts.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'a str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign: Option<&'a str>,
    channel: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'a str, &'a str>,
}

impl Line<'_> {
    fn into_text(self) -> String {
        serde_json::to_string(&self).expect("texts and flags are always valid JSON")
    }
}

fn shown<'a>(event: &'a Event<'_>, vocabulary: &'a Vocabulary) -> Shown<'a> {
    Shown {
        id: event.id.as_deref(),
        kind: vocabulary.name(event.kind),
        time: event.time.to_string(),
        campaign: event.campaign.as_deref(),
        channel: &event.channel,
        source: &event.source,
        user: event.user.as_deref(),
        message: event.message.as_deref(),
        value: event.value.map(|value| value.to_string()),
        currency: event.currency.as_ref().map(|currency| currency.code()),
        count: (event.count != Decimal::ONE).then(|| event.count.to_string()),
        key: event.key.as_deref(),
        machine: event.machine,
        attributes: event
            .attributes
            .iter()
            .map(|(name, value): &(Cow<'_, str>, Cow<'_, str>)| (name.as_ref(), value.as_ref()))
            .collect(),
    }
}

/// The line for one element.
pub fn element_json(element: &Element<'_>, vocabulary: &Vocabulary) -> String {
    match element {
        Element::Event(event) => Line::Event { event: Box::new(shown(event, vocabulary)) },
        Element::Ignored { reason, type_name } => ignored(*reason, *type_name),
        Element::Rejected(rejection) => rejected(rejection),
    }
    .into_text()
}

/// The line for a record as a whole; none if its elements speak for themselves.
pub fn record_json(outcome: &RecordOutcome) -> Option<String> {
    let line = match outcome {
        RecordOutcome::Decoded => return None,
        RecordOutcome::Empty => Line::Empty,
        RecordOutcome::Ignored(reason) => ignored(*reason, None),
        RecordOutcome::Rejected(rejection) => rejected(rejection),
    };
    Some(line.into_text())
}

fn ignored<'a>(reason: IgnoreReason, type_name: Option<&'a str>) -> Line<'a> {
    Line::Ignored { reason: reason.name(), type_name }
}

fn rejected(rejection: &Rejection) -> Line<'_> {
    Line::Rejected { reason: rejection.reason.name(), detail: &rejection.detail }
}
