//! The closed lists of what can become of a record or an event.
//!
//! Two ledgers balance, per topic (see `ARCHITECTURE.md`):
//! records: read = decoded + empty + ignored + rejected;
//! events: decoded = counted + duplicate + late + future + ignored + rejected.

use std::borrow::Cow;

/// Why a record or an event was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// The record's value is larger than the limit.
    TooLarge,
    /// The record nests deeper than the limit.
    TooDeep,
    /// The record holds more elements than the limit.
    TooManyElements,
    /// The value is not UTF-8.
    NotUtf8,
    /// The value is not JSON: malformed, truncated, or followed by something else.
    NotJson,
    /// Valid JSON, but not of the shape that the format describes.
    WrongShape,
    /// The same key stands twice where the format reads it.
    DuplicateKey,
    /// A text that cannot be used: a lone surrogate, or longer than the limit.
    BadText,
    /// No type can be found.
    MissingType,
    /// No time can be found.
    MissingTime,
    /// The time is there but cannot be read.
    BadTime,
    /// The time lies outside the years 2000 to 2100.
    TimeRange,
    /// A number that cannot be read, or is out of range.
    BadNumber,
    /// Money without a currency, or with one that is no ISO 4217 code.
    BadCurrency,
    /// A restated total without its key.
    MissingKey,
}

impl RejectReason {
    /// All of them, in the order of declaration.
    pub const ALL: [RejectReason; 15] = [
        RejectReason::TooLarge,
        RejectReason::TooDeep,
        RejectReason::TooManyElements,
        RejectReason::NotUtf8,
        RejectReason::NotJson,
        RejectReason::WrongShape,
        RejectReason::DuplicateKey,
        RejectReason::BadText,
        RejectReason::MissingType,
        RejectReason::MissingTime,
        RejectReason::BadTime,
        RejectReason::TimeRange,
        RejectReason::BadNumber,
        RejectReason::BadCurrency,
        RejectReason::MissingKey,
    ];

    /// The name used in labels, dead letters and messages.
    pub const fn name(self) -> &'static str {
        match self {
            RejectReason::TooLarge => "too_large",
            RejectReason::TooDeep => "too_deep",
            RejectReason::TooManyElements => "too_many_elements",
            RejectReason::NotUtf8 => "not_utf8",
            RejectReason::NotJson => "not_json",
            RejectReason::WrongShape => "wrong_shape",
            RejectReason::DuplicateKey => "duplicate_key",
            RejectReason::BadText => "bad_text",
            RejectReason::MissingType => "missing_type",
            RejectReason::MissingTime => "missing_time",
            RejectReason::BadTime => "bad_time",
            RejectReason::TimeRange => "time_range",
            RejectReason::BadNumber => "bad_number",
            RejectReason::BadCurrency => "bad_currency",
            RejectReason::MissingKey => "missing_key",
        }
    }
}

/// Why a record or an event was passed over without being wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IgnoreReason {
    /// A type that nobody knows: neither canonical nor asked for by a measure.
    UnknownType,
    /// The format passes it over on purpose.
    OnPurpose,
}

impl IgnoreReason {
    /// All of them, in the order of declaration.
    pub const ALL: [IgnoreReason; 2] = [IgnoreReason::UnknownType, IgnoreReason::OnPurpose];

    /// The name used in labels and messages.
    pub const fn name(self) -> &'static str {
        match self {
            IgnoreReason::UnknownType => "unknown_type",
            IgnoreReason::OnPurpose => "on_purpose",
        }
    }
}

/// A refusal: the reason for machines, the detail for people.
///
/// The detail says where and what, never the content of a field that may be
/// personal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// From the closed list.
    pub reason: RejectReason,
    /// One line, such as ``field `timestamp`: expected Unix seconds``.
    pub detail: Cow<'static, str>,
}

impl Rejection {
    /// A refusal with its detail.
    pub fn new(reason: RejectReason, detail: impl Into<Cow<'static, str>>) -> Self {
        Rejection { reason, detail: detail.into() }
    }
}
