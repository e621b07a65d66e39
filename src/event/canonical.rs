//! The canonical event, which every format maps to.

use std::borrow::Cow;
use std::fmt;

use super::{Decimal, EventTime, TypeId};

/// An ISO 4217 currency code, in capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads three letters of either case.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 3] = text.trim().as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(u8::is_ascii_alphabetic)
            .then(|| Currency(bytes.map(|byte| byte.to_ascii_uppercase())))
    }

    /// The code, such as `EUR`.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// How many minor units make one major unit, as a power of ten (ISO 4217's
    /// exponent): 0 for the yen, 3 for the Kuwaiti dinar, 2 for most.
    pub fn minor_digits(&self) -> u8 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One canonical event, borrowing its text from the record where it can.
///
/// Every text is bounded in length by the decoder. `id`, `user` and `message` are
/// personal or nearly so: they are only ever hashed, never logged or labelled.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// Names the event: a copy has the same id.
    pub id: Option<Cow<'a, str>>,
    /// Its type, known to the vocabulary.
    pub kind: TypeId,
    /// When it happened.
    pub time: EventTime,
    /// The campaign's name or id, as people know it.
    pub campaign: Option<Cow<'a, str>>,
    /// `email`, `web`, ...: the type's domain unless the source says otherwise.
    pub channel: Cow<'a, str>,
    /// The system that reported it: the format's name unless the source says so.
    pub source: Cow<'a, str>,
    /// Recipient, visitor or customer.
    pub user: Option<Cow<'a, str>>,
    /// The single message, or send, that it belongs to.
    pub message: Option<Cow<'a, str>>,
    /// Money, in major units of `currency`; below 0 only where its type is signed
    /// ([`Vocabulary::is_signed`](super::Vocabulary::is_signed)).
    pub value: Option<Decimal>,
    /// The currency of `value`.
    pub currency: Option<Currency>,
    /// How many; for a restated total, its amount. At most [`Event::MOST_COUNT`] in
    /// magnitude, and below 0 only where its type is signed.
    pub count: Decimal,
    /// For a restated total: what it is the total of.
    pub key: Option<Cow<'a, str>>,
    /// Opened or clicked by a machine; `None` where the source does not say.
    pub machine: Option<bool>,
    /// Everything else that a filter or a slice may ask for, under unique names.
    pub attributes: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl Event<'_> {
    /// The largest `count`: 10^12, which is more than one event can stand for, and so
    /// little that no number of events makes a sum of counts overflow.
    pub const MOST_COUNT: Decimal = Decimal::from_int(1_000_000_000_000);
}

/// A field of an event that filters, slices and distinct counts may name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// [`Event::campaign`].
    Campaign,
    /// [`Event::channel`].
    Channel,
    /// [`Event::source`].
    Source,
    /// [`Event::user`]: for distinct counts only.
    User,
    /// [`Event::message`]: for distinct counts only.
    Message,
    /// [`Event::key`].
    Key,
    /// [`Event::currency`].
    Currency,
    /// [`Event::machine`], as `true`, `false`, or absent where nobody said.
    Machine,
    /// One of [`Event::attributes`].
    Attribute(String),
}

impl Field {
    /// From its name in a declaration; any name that is not a canonical field is
    /// an attribute.
    pub fn from_name(name: &str) -> Self {
        match name {
            "campaign" => Field::Campaign,
            "channel" => Field::Channel,
            "source" => Field::Source,
            "user" => Field::User,
            "message" => Field::Message,
            "key" => Field::Key,
            "currency" => Field::Currency,
            "machine" => Field::Machine,
            other => Field::Attribute(other.to_owned()),
        }
    }

    /// Its name in a declaration, and as a label.
    pub fn name(&self) -> &str {
        match self {
            Field::Campaign => "campaign",
            Field::Channel => "channel",
            Field::Source => "source",
            Field::User => "user",
            Field::Message => "message",
            Field::Key => "key",
            Field::Currency => "currency",
            Field::Machine => "machine",
            Field::Attribute(name) => name,
        }
    }

    /// Whether it may name a person, and so must never become a label.
    pub fn is_personal(&self) -> bool {
        matches!(self, Field::User | Field::Message)
    }

    /// What it says in `event`, if anything.
    pub fn of<'e>(&self, event: &'e Event<'_>) -> Option<&'e str> {
        match self {
            Field::Campaign => event.campaign.as_deref(),
            Field::Channel => Some(&event.channel),
            Field::Source => Some(&event.source),
            Field::User => event.user.as_deref(),
            Field::Message => event.message.as_deref(),
            Field::Key => event.key.as_deref(),
            Field::Currency => event.currency.as_ref().map(Currency::code),
            Field::Machine => event.machine.map(|machine| if machine { "true" } else { "false" }),
            Field::Attribute(name) => event
                .attributes
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_ref()),
        }
    }
}
