//! A mapping as plain data, as `config` reads it from a file.
//!
//! A format has variants, tried in order: the first whose conditions hold says
//! where the elements are and from where each canonical field comes. Every field
//! has an ordered list of sources; the first that gives a value wins.

use super::path::Path;

/// The constant that a type source gives for what is passed over on purpose.
pub const IGNORE: &str = "ignore";

/// A validated mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct FormatSpec {
    /// Its name, which is also the default of an event's `source`.
    pub name: String,
    /// What it reads, in one line.
    pub about: String,
    /// Tried in order.
    pub variants: Vec<Variant>,
}

/// One shape that records of a format have.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// For messages.
    pub name: String,
    /// All must hold; their paths start at the record.
    pub when: Vec<Condition>,
    /// What to do with such a record.
    pub action: Action,
}

/// What a variant does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Reads events.
    Read {
        /// The way to the elements: each path goes on from where the one before
        /// ended. A path that ends in `[]` runs over a list. None: the record
        /// itself is the element. If the first starts with `[]`, the record must
        /// be a list, else an object.
        each: Vec<Path>,
        /// Lists inside the element, each ending in `[]`: the first that has items
        /// makes one event for each item.
        split: Vec<Path>,
        /// From where the fields come.
        fields: Box<Fields>,
    },
    /// Passes the record over.
    Ignore,
    /// Refuses the record as `wrong_shape`, with that text.
    Reject(String),
}

/// From where each canonical field comes; an empty list means never.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields {
    /// The type's name, or the constant [`IGNORE`].
    pub kind: Vec<Source>,
    /// When it happened.
    pub time: Vec<Time>,
    /// What names the event.
    pub id: Vec<Source>,
    /// The campaign.
    pub campaign: Vec<Source>,
    /// The channel; default: the type's domain.
    pub channel: Vec<Source>,
    /// The reporting system; default: the format's name.
    pub source: Vec<Source>,
    /// The person.
    pub user: Vec<Source>,
    /// The message.
    pub message: Vec<Source>,
    /// The money.
    pub value: Vec<Money>,
    /// The money's currency.
    pub currency: Vec<Source>,
    /// How many.
    pub count: Vec<Source>,
    /// What a restated total is the total of.
    pub key: Vec<Source>,
    /// Whether a machine did it.
    pub machine: Vec<Source>,
    /// Everything else, by name.
    pub attributes: Vec<(String, Vec<Source>)>,
    /// Objects of which every scalar member becomes an attribute under its key;
    /// `attributes` goes first.
    pub attributes_from: Vec<Path>,
}

/// One place from which a text may come, and what is done with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Where it stands.
    pub from: From,
    /// All must hold, or the source gives nothing.
    pub when: Vec<Condition>,
    /// Only events of these types; empty: all. Not for types themselves.
    pub only_for: Vec<String>,
    /// Cut off this text and all that follows it.
    pub before: Option<String>,
    /// Take these characters off both ends.
    pub trim: Option<String>,
    /// Translate.
    pub map: Option<Map>,
}

/// Where a text stands.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// In the record's JSON. Numbers and booleans give their source text; `null`
    /// and an empty text count as absent, unless the map names the empty text.
    Path(Path),
    /// In a header of the record, whatever the case of its name.
    Header(String),
    /// Here.
    Constant(String),
    /// An id made of several places.
    Hash(HashOf),
    /// The element's place in the record, from 0.
    Index,
}

/// The SipHash-2-4-128 of several places, in hexadecimal.
#[derive(Debug, Clone, PartialEq)]
pub struct HashOf {
    /// All must have a value, and one of them has to be of the record, or there is no
    /// id: what these do not tell apart would be one event.
    pub needed: Vec<Source>,
    /// Told apart by as well, where they have a value.
    pub also: Vec<Source>,
}

/// A translation of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// What becomes of each text.
    pub values: Vec<(String, Mapped)>,
    /// What becomes of any other.
    pub otherwise: Otherwise,
}

/// What a text becomes.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped {
    /// This.
    Text(String),
    /// Whatever these give: a sub-kind decides.
    Sources(Vec<Source>),
}

/// What becomes of a text that a map does not name.
#[derive(Debug, Clone, PartialEq)]
pub enum Otherwise {
    /// The source gives nothing; a type is then `unknown_type`.
    Nothing,
    /// It stays as it is.
    Keep,
    /// This.
    Mapped(Mapped),
}

/// One place from which the time may come.
#[derive(Debug, Clone, PartialEq)]
pub struct Time {
    /// Where it stands.
    pub from: TimeFrom,
    /// All must hold, or it gives nothing.
    pub when: Vec<Condition>,
    /// Only events of these types; empty: all.
    pub only_for: Vec<String>,
}

/// Where a time stands.
#[derive(Debug, Clone, PartialEq)]
pub enum TimeFrom {
    /// In the record, in a declared encoding: nobody guesses from magnitude.
    Text(From, Reading),
    /// It is the record's own timestamp.
    Record,
}

/// How a time is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// RFC 3339: any fraction, `Z` or an offset with or without its colon.
    Rfc3339,
    /// A number, whole or not, or a text that holds one, which counts units of
    /// 10^-`places` s since 1970: 0, 3, 6 or 9.
    Unix {
        /// The power of ten.
        places: u8,
    },
    /// By a strptime pattern.
    Pattern {
        /// In jiff's syntax.
        pattern: String,
        /// The zone of a time without offset.
        zone: jiff::tz::TimeZone,
    },
}

/// One place from which money may come.
#[derive(Debug, Clone, PartialEq)]
pub struct Money {
    /// Where the amount stands.
    pub source: Source,
    /// What it counts.
    pub unit: MoneyUnit,
}

/// What an amount counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyUnit {
    /// Whole units of the currency: `19.99`.
    Major,
    /// Its minor unit, by ISO 4217's exponent: `1999`.
    Minor,
    /// Millionths.
    Micros,
}

/// Something that holds or does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// What is looked at.
    pub from: From,
    /// What is asked.
    pub test: Test,
}

/// What is asked of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is one of these.
    Is(Vec<String>),
    /// It is there and none of these, or not there.
    IsNot(Vec<String>),
    /// It starts with one of these.
    StartsWith(Vec<String>),
    /// It is there: not missing, not `null`; lists and objects count.
    Present,
    /// It is not.
    Absent,
}

impl Source {
    /// A plain value from there.
    pub fn from(from: From) -> Self {
        Source { from, when: Vec::new(), only_for: Vec::new(), before: None, trim: None, map: None }
    }
}
