//! Mapping files compiled into an extractor: a record in, events or a refusal out.
//!
//! In: a [`FormatSpec`] (data that `config` reads from a mapping file) and raw
//! records. Out: canonical events, in the order of the record's elements, each
//! borrowing its text from the record, or a named refusal. Kept: scratch buffers,
//! reused from record to record. Never done: judging whether an event is late,
//! building a tree of the document, or knowing a vendor by name.
//!
//! A record is read once. The paths that a format asks for form a trie; one walk
//! over the JSON text remembers where the asked-for values stand ([`walk`], and the
//! short way through plain objects, [`scan`]) and skips the rest. Rules are then
//! evaluated on those spans ([`rules`]). Numbers are read from their digits and never
//! pass through a float.

mod bounds;
mod compile;
mod decode;
mod emit;
mod fit;
mod gives;
mod moment;
mod path;
mod plan;
mod rules;
mod scan;
pub mod show;
mod spec;
mod trie;
mod walk;

use std::collections::BTreeSet;

use crate::event::{Event, IgnoreReason, Rejection};

pub use decode::Decoder;
pub use fit::{Choice, Fit, Fitting, choose};
pub use moment::rfc3339_micros;
pub use path::{Anchor, Path, PathError, Step};
pub use plan::Format;
pub use spec::{
    Action, Condition, Fields, FormatSpec, From, HashOf, IGNORE, Map, Mapped, Money, MoneyUnit,
    Otherwise, Reading, Source, Test, Time, TimeFrom, Variant,
};

/// What a record may cost at most; beyond it, it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// How deep lists and objects may nest.
    pub depth: usize,
    /// Commas outside texts: values that stand beside others in lists and objects.
    pub elements: usize,
    /// Bytes of one text that an event uses.
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { record_bytes: 1 << 20, depth: 64, elements: 100_000, text_bytes: 64 << 10 }
    }
}

/// The attributes that anybody asks for; the others are not even looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Every one, as the `decode` command wants it.
    All,
    /// Those that filters and slices name.
    Named(BTreeSet<String>),
}

impl Wanted {
    /// Whether somebody asks for the attribute `name`.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Named(names) => names.contains(name),
        }
    }
}

/// What became of one element of a record.
#[derive(Debug)]
pub enum Element<'e> {
    /// An event, ready to be admitted.
    Event(&'e Event<'e>),
    /// Passed over, and why; the type's name as the source wrote it, where there is one.
    Ignored {
        /// Why.
        reason: IgnoreReason,
        /// The type in the source's own words (or the canonical name that is not known).
        type_name: Option<&'e str>,
    },
    /// Refused.
    Rejected(Rejection),
}

/// What became of a whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOutcome {
    /// Read; at least one element went to the sink.
    Decoded,
    /// A tombstone, no bytes, `null`, or a list without elements.
    Empty,
    /// Passed over as a whole.
    Ignored(IgnoreReason),
    /// Refused as a whole; nothing went to the sink.
    Rejected(Rejection),
}
