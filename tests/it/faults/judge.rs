//! What a record is worth, by the written rules and the harness' own reading of JSON.
//!
//! It knows the records that [`super::event`] makes, and panics at any other: a run
//! must not pass because both sides took something for nothing.

use serde_json::Value;

use super::event::{DEPTH, RECORD_BYTES};
use super::moment::{self, Micros, SECOND};
use super::world::{Form, SIGNED};

/// Billionths.
pub(super) type Nanos = i128;

/// The largest count.
const MOST_COUNT: Nanos = 1_000_000_000_000 * 1_000_000_000;

/// What became of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Judged {
    Empty,
    Rejected(&'static str),
    Decoded(Vec<Element>),
}

/// What became of one element of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Element {
    Ignored(&'static str),
    Rejected(&'static str),
    Event(Box<Seen>),
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// Source and id.
    pub(super) id: Option<(String, String)>,
    pub(super) kind: String,
    pub(super) at: Micros,
    pub(super) campaign: Option<String>,
    pub(super) region: Option<String>,
    pub(super) page: Option<String>,
    pub(super) class: Option<String>,
    pub(super) user: Option<String>,
    pub(super) money: Option<(Nanos, String)>,
    pub(super) count: Nanos,
    pub(super) key: Option<String>,
    pub(super) machine: bool,
}

pub(super) fn judge(form: Form, value: Option<&[u8]>) -> Judged {
    let Some(bytes) = value else { return Judged::Empty };
    if bytes.len() > RECORD_BYTES {
        return Judged::Rejected("too_large");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Judged::Rejected("not_utf8") };
    if text.trim().is_empty() {
        return Judged::Empty;
    }
    let Ok(json) = serde_json::from_str::<Value>(text) else { return Judged::Rejected("not_json") };
    if depth(&json) > DEPTH {
        return Judged::Rejected("too_deep");
    }
    let read = match form {
        Form::Canonical => canonical,
        Form::Vendor => vendor,
    };
    match &json {
        Value::Array(elements) if elements.is_empty() => Judged::Empty,
        Value::Array(elements) => Judged::Decoded(elements.iter().map(read).collect()),
        Value::Object(_) => Judged::Decoded(vec![read(&json)]),
        _ => Judged::Rejected("wrong_shape"),
    }
}

fn depth(json: &Value) -> usize {
    match json {
        Value::Array(inside) => 1 + inside.iter().map(depth).max().unwrap_or(0),
        Value::Object(inside) => 1 + inside.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn text(json: &Value, name: &str) -> Option<String> {
    match json.get(name)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A decimal number in billionths, by its digits.
fn nanos(text: &str) -> Option<Nanos> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 9 {
        return None;
    }
    let digits = format!("{whole}{fraction:0<9}");
    Some(sign * digits.parse::<Nanos>().ok()?)
}

const TYPES: [&str; 12] = [
    "email.delivered",
    "email.opened",
    "email.clicked",
    "email.unsubscribed",
    "email.bounced",
    "email.dropped",
    "email.deferred",
    "email.list_size",
    "email.forwarded",
    "commerce.order_paid",
    "commerce.refunded",
    "crm.csat_recorded",
];

fn canonical(json: &Value) -> Element {
    assert!(json.is_object(), "no maker makes {json}");
    let Some(kind) = text(json, "type") else { return Element::Rejected("missing_type") };
    if kind == "email.teleported" {
        return Element::Ignored("unknown_type");
    }
    assert!(TYPES.contains(&kind.as_str()) || kind == "web.page_viewed", "no maker makes {kind}");
    let Some(time) = text(json, "time") else { return Element::Rejected("missing_time") };
    let Some(at) = moment::read(&time) else {
        // The year before 1970 is beyond what `read` knows.
        let early = time.starts_with("1969");
        return Element::Rejected(if early { "time_range" } else { "bad_time" });
    };
    let money = match (text(json, "value"), text(json, "currency")) {
        (Some(value), Some(currency)) if currency.len() == 3 => {
            let value = nanos(&value).expect("makers write money in digits");
            if value < 0 && kind != SIGNED {
                return Element::Rejected("bad_number");
            }
            Some((value, currency))
        }
        (Some(_), _) => return Element::Rejected("bad_currency"),
        (None, _) => None,
    };
    let key = text(json, "key");
    let count = match text(json, "count").as_deref().map(nanos) {
        None => 1_000_000_000,
        Some(Some(count)) if (0..=MOST_COUNT).contains(&count) => count,
        Some(_) => return Element::Rejected("bad_number"),
    };
    if kind == "email.list_size" && key.is_none() {
        return Element::Rejected("missing_key");
    }
    let attribute = |name: &str| text(json.get("attributes")?, name);
    let source = text(json, "source").unwrap_or_else(|| "canonical".to_owned());
    Element::Event(Box::new(Seen {
        id: text(json, "id").map(|id| (source, id)),
        kind,
        at,
        campaign: text(json, "campaign"),
        region: attribute("region"),
        page: attribute("page"),
        class: attribute("class"),
        user: text(json, "user"),
        money,
        count,
        key,
        machine: json.get("machine") == Some(&Value::Bool(true)),
    }))
}

fn vendor(json: &Value) -> Element {
    let event = text(json, "event").expect("makers name the event");
    let kind = match event.as_str() {
        "delivered" => "email.delivered",
        "open" => "email.opened",
        "click" => "email.clicked",
        "unsubscribe" => "email.unsubscribed",
        "bounce" => "email.bounced",
        "dropped" => "email.dropped",
        "account_status_change" => return Element::Ignored("on_purpose"),
        "novel" => return Element::Ignored("unknown_type"),
        other => panic!("no maker makes {other}"),
    };
    let Some(seconds) = json.get("timestamp").and_then(Value::as_i64) else {
        return Element::Rejected("missing_time");
    };
    let class = match text(json, "type").as_deref() {
        Some("bounce") => Some("hard".to_owned()),
        Some("blocked") => Some("block".to_owned()),
        _ => None,
    };
    let machine = json.get("sg_machine_open") == Some(&Value::Bool(true));
    Element::Event(Box::new(Seen {
        id: text(json, "sg_event_id").map(|id| ("sendgrid".to_owned(), id)),
        kind: kind.to_owned(),
        at: seconds * SECOND,
        campaign: json.get("category").and_then(|list| list.get(0)?.as_str().map(str::to_owned)),
        region: None,
        page: None,
        class,
        user: text(json, "email"),
        money: None,
        count: 1_000_000_000,
        key: None,
        machine: machine && kind == "email.opened",
    }))
}
