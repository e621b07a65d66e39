//! One element's facts made into a canonical event, or the reason why not.
//!
//! Nothing is guessed: a value that is there but cannot be read refuses the event,
//! instead of falling through to the next source.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::event::{
    Currency, Decimal, Event, EventTime, IgnoreReason, RejectReason, Rejection, TypeId,
};

use super::moment;
use super::plan::{Fields, Format, TimeFrom};
use super::rules::{Facts, Found, Picked};
use super::spec::{IGNORE, MoneyUnit, Reading};

/// What an element is.
#[expect(clippy::large_enum_variant, reason = "nearly all are events; a box would cost each")]
pub(super) enum Made<'e> {
    Event(Event<'e>),
    Ignored { reason: IgnoreReason, type_name: Option<Cow<'e, str>> },
}

/// Reads all fields of one element.
pub(super) fn make<'e>(
    facts: &Facts<'e>,
    fields: &'e Fields,
    format: &'e Format,
) -> Result<Made<'e>, Rejection> {
    let picked = facts.pick(&fields.kind, None)?;
    let name = match picked.found {
        Found::Constant(IGNORE) => {
            return Ok(Made::Ignored { reason: IgnoreReason::OnPurpose, type_name: None });
        }
        Found::Constant(name) => Cow::Borrowed(name),
        Found::Text(name) => name,
        Found::Unmapped(name) => return Ok(unknown(name)),
        Found::Nothing | Found::Container => return Err(missing_type(fields)),
    };
    let Some(kind) = format.vocabulary.get(&name) else {
        return Ok(unknown(name));
    };
    let some = Some(kind);
    let time = time(facts, fields, kind)?;
    let signed = format.vocabulary.is_signed(kind);
    let (value, currency) = money(facts, fields, kind, signed)?;
    let key = facts.pick(&fields.key, some)?.text()?;
    let count = count(facts.pick(&fields.count, some)?, signed)?;
    if format.vocabulary.is_total(kind) {
        if key.is_none() {
            let detail = format!("`{name}` is a total and needs to say of what: field `key`");
            return Err(Rejection::new(RejectReason::MissingKey, detail));
        }
        if count.is_none() && value.is_none() {
            let detail = format!("`{name}` is a total and needs its amount: field `count`");
            return Err(Rejection::new(RejectReason::BadNumber, detail));
        }
    }
    Ok(Made::Event(Event {
        id: facts.pick(&fields.id, some)?.text()?,
        kind,
        time,
        campaign: facts.pick(&fields.campaign, some)?.text()?,
        channel: match facts.pick(&fields.channel, some)?.text()? {
            Some(channel) => channel,
            None => Cow::Borrowed(format.vocabulary.domain(kind)),
        },
        source: match facts.pick(&fields.source, some)?.text()? {
            Some(source) => source,
            None => Cow::Borrowed(&format.name),
        },
        user: facts.pick(&fields.user, some)?.text()?,
        message: facts.pick(&fields.message, some)?.text()?,
        value,
        currency,
        count: count.unwrap_or(Decimal::ONE),
        key,
        machine: machine(facts.pick(&fields.machine, some)?)?,
        attributes: attributes(facts, fields, kind)?,
    }))
}

fn unknown(name: Cow<'_, str>) -> Made<'_> {
    Made::Ignored { reason: IgnoreReason::UnknownType, type_name: Some(name) }
}

fn missing_type(fields: &Fields) -> Rejection {
    let places: Vec<&str> = fields.kind.iter().map(|source| &*source.label).collect();
    let detail = format!("no type in {}", places.join(", "));
    Rejection::new(RejectReason::MissingType, detail)
}

fn time(facts: &Facts<'_>, fields: &Fields, kind: TypeId) -> Result<EventTime, Rejection> {
    for candidate in &fields.time {
        if !facts.applies(candidate.only_for.as_deref(), &candidate.when, Some(kind))? {
            continue;
        }
        let (source, reading) = match &candidate.from {
            TimeFrom::Record => match facts.record.timestamp {
                Some(time) => {
                    return EventTime::checked_from_micros(i128::from(time.micros())).map_err(
                        |error| Rejection::new(RejectReason::TimeRange, format!("record: {error}")),
                    );
                }
                None => continue,
            },
            TimeFrom::Text(source, reading) => (source, reading),
        };
        let text = match facts.look(source, Some(kind))? {
            Found::Text(text) => text,
            Found::Constant(text) => Cow::Borrowed(text),
            Found::Nothing | Found::Unmapped(_) => continue,
            Found::Container => {
                return Err(bad_time(RejectReason::BadTime, &source.label, reading));
            }
        };
        return moment::read(&text, reading)
            .map_err(|reason| bad_time(reason, &source.label, reading));
    }
    let places: Vec<&str> = fields
        .time
        .iter()
        .map(|candidate| match &candidate.from {
            TimeFrom::Text(source, _) => &*source.label,
            TimeFrom::Record => "the record's timestamp",
        })
        .collect();
    let detail = format!("no time in {}", places.join(", "));
    Err(Rejection::new(RejectReason::MissingTime, detail))
}

fn bad_time(reason: RejectReason, label: &str, reading: &Reading) -> Rejection {
    let detail = match (reason, reading) {
        (RejectReason::TimeRange, _) => format!("{label}: outside the years 2000 to 2100"),
        (_, Reading::Rfc3339) => format!("{label}: expected an RFC 3339 time"),
        (_, Reading::Unix { places: 0 }) => format!("{label}: expected Unix seconds"),
        (_, Reading::Unix { places: 3 }) => format!("{label}: expected Unix milliseconds"),
        (_, Reading::Unix { places: 6 }) => format!("{label}: expected Unix microseconds"),
        (_, Reading::Unix { .. }) => format!("{label}: expected Unix nanoseconds"),
        (_, Reading::Pattern { pattern, .. }) => format!("{label}: expected `{pattern}`"),
    };
    Rejection::new(reason, detail)
}

fn money(
    facts: &Facts<'_>,
    fields: &Fields,
    kind: TypeId,
    signed: bool,
) -> Result<(Option<Decimal>, Option<Currency>), Rejection> {
    let picked = facts.pick(&fields.currency, Some(kind))?;
    let currency_label = picked.label;
    let currency = picked.text()?.as_deref().and_then(Currency::parse);
    for money in &fields.value {
        let label = &money.source.label;
        let text = match facts.look(&money.source, Some(kind))? {
            Found::Text(text) => text,
            Found::Constant(text) => Cow::Borrowed(text),
            Found::Nothing | Found::Unmapped(_) => continue,
            Found::Container => return Err(bad_number(label, "expected a number")),
        };
        let Some(currency) = currency else {
            let detail = if currency_label.is_empty() {
                format!("{label}: money needs its currency, and there is none")
            } else {
                format!("{currency_label}: expected a currency code of ISO 4217")
            };
            return Err(Rejection::new(RejectReason::BadCurrency, detail));
        };
        let places = match money.unit {
            MoneyUnit::Major => 0,
            MoneyUnit::Minor => currency.minor_digits(),
            MoneyUnit::Micros => 6,
        };
        let value = Decimal::parse_scaled(text.trim(), places)
            .map_err(|error| bad_number(label, &error.to_string()))?;
        return Ok((Some(with_sign(value, label, signed)?), Some(currency)));
    }
    Ok((None, currency))
}

fn count(picked: Picked<'_>, signed: bool) -> Result<Option<Decimal>, Rejection> {
    let label = picked.label;
    let text = match picked.found {
        Found::Container => return Err(bad_number(label, "expected a number")),
        Found::Nothing | Found::Unmapped(_) => return Ok(None),
        Found::Text(text) => text,
        Found::Constant(text) => Cow::Borrowed(text),
    };
    let count =
        Decimal::parse(text.trim()).map_err(|error| bad_number(label, &error.to_string()))?;
    if count > Event::MOST_COUNT || count < -Event::MOST_COUNT {
        return Err(bad_number(label, "is larger than 10^12 in magnitude"));
    }
    with_sign(count, label, signed).map(Some)
}

/// The amount, unless it is below 0 and events of its type cannot be.
fn with_sign(amount: Decimal, label: &str, signed: bool) -> Result<Decimal, Rejection> {
    if amount < Decimal::ZERO && !signed {
        return Err(bad_number(label, "is below 0, and the type is not among `signed_types`"));
    }
    Ok(amount)
}

fn bad_number(label: &str, what: &str) -> Rejection {
    Rejection::new(RejectReason::BadNumber, format!("{label}: {what}"))
}

fn machine(picked: Picked<'_>) -> Result<Option<bool>, Rejection> {
    let label = picked.label;
    match picked.text()?.as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => {
            let detail = format!("{label}: expected true or false");
            Err(Rejection::new(RejectReason::WrongShape, detail))
        }
    }
}

type Attributes<'e> = Vec<(Cow<'e, str>, Cow<'e, str>)>;

fn attributes<'e>(
    facts: &Facts<'e>,
    fields: &'e Fields,
    kind: TypeId,
) -> Result<Attributes<'e>, Rejection> {
    let mut attributes = Vec::new();
    for (name, sources) in &fields.attributes {
        let value = match facts.pick(sources, Some(kind))?.found {
            Found::Text(text) => text,
            Found::Constant(text) => Cow::Borrowed(text),
            Found::Nothing | Found::Unmapped(_) | Found::Container => continue,
        };
        attributes.push((Cow::Borrowed(&**name), value));
    }
    for slot in &fields.attribute_objects {
        if let Some(span) = facts.span(*slot).filter(|span| span.starts_with('{')) {
            members(facts, span, &mut attributes)?;
        }
    }
    Ok(attributes)
}

/// Adds every scalar member of an object under its own key.
fn members<'e>(
    facts: &Facts<'e>,
    object: &'e str,
    attributes: &mut Attributes<'e>,
) -> Result<(), Rejection> {
    let Ok(Members(members)) = serde_json::from_str(object) else {
        let detail = "an attribute's name holds half of a surrogate pair";
        return Err(Rejection::new(RejectReason::BadText, detail));
    };
    let own = attributes.len();
    for (name, value) in members {
        if attributes[own..].iter().any(|(known, _)| *known == name) {
            let detail = format!("attribute `{name}` stands twice");
            return Err(Rejection::new(RejectReason::DuplicateKey, detail));
        }
        if value.get() == "null" || attributes[..own].iter().any(|(known, _)| *known == name) {
            continue;
        }
        let text = facts.scalar(value.get(), &format!("attribute `{name}`"))?;
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            attributes.push((Cow::Owned(name), text));
        }
    }
    Ok(())
}

/// The members of an object in their order, repetitions included.
struct Members<'de>(Vec<(String, &'de RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
