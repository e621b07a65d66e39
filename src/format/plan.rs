//! A compiled format: rules whose paths have become slots.

use hashbrown::HashMap;

use crate::event::{TypeId, Vocabulary};

use super::Wanted;
use super::compile::compile;
use super::spec::{FormatSpec, MoneyUnit, Reading};
use super::trie::{SlotRef, Trie};

/// A compiled mapping, shared by all decoder threads.
#[derive(Debug)]
pub struct Format {
    pub(super) name: Box<str>,
    pub(super) vocabulary: Vocabulary,
    pub(super) trie: Trie,
    pub(super) variants: Vec<Variant>,
    pub(super) reads_headers: bool,
}

impl Format {
    /// Compiles a validated mapping; what refers to nothing (a path beyond the
    /// outermost level, a type that nobody knows) gives nothing.
    pub fn compile(spec: &FormatSpec, vocabulary: &Vocabulary, wanted: &Wanted) -> Format {
        compile(spec, vocabulary, wanted)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it looks at a header of any record.
    pub fn reads_headers(&self) -> bool {
        self.reads_headers
    }

    /// The types that it knows.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }
}

#[derive(Debug)]
pub(super) struct Variant {
    pub(super) when: Vec<Condition>,
    /// The record is a list.
    pub(super) of_list: bool,
    pub(super) action: Action,
}

#[derive(Debug)]
pub(super) enum Action {
    Read(Box<Reader>),
    Ignore,
    Reject(Box<str>),
}

#[derive(Debug)]
pub(super) struct Reader {
    /// The lists to run over, outermost first, each with the scope of its elements.
    pub(super) levels: Vec<Level>,
    /// Slots of the record whose texts have to be JSON, since the way to the elements
    /// goes through them.
    pub(super) texts: Vec<u16>,
    /// The lists to split by, and the scope of their items.
    pub(super) split: Vec<SlotRef>,
    pub(super) item_scope: u16,
    pub(super) fields: Fields,
}

#[derive(Debug)]
pub(super) struct Level {
    pub(super) list: SlotRef,
    pub(super) scope: u16,
    pub(super) label: Box<str>,
}

#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) kind: Vec<Source>,
    pub(super) time: Vec<Time>,
    pub(super) id: Vec<Source>,
    pub(super) campaign: Vec<Source>,
    pub(super) channel: Vec<Source>,
    pub(super) source: Vec<Source>,
    pub(super) user: Vec<Source>,
    pub(super) message: Vec<Source>,
    pub(super) value: Vec<Money>,
    pub(super) currency: Vec<Source>,
    pub(super) count: Vec<Source>,
    pub(super) key: Vec<Source>,
    pub(super) machine: Vec<Source>,
    pub(super) attributes: Vec<(Box<str>, Vec<Source>)>,
    /// Objects of which every scalar member is wanted.
    pub(super) attribute_objects: Vec<SlotRef>,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) from: From,
    /// The slot, where nothing but that says what the source gives.
    pub(super) plain: Option<SlotRef>,
    /// For messages: the path or header.
    pub(super) label: Box<str>,
    pub(super) when: Vec<Condition>,
    pub(super) only_for: Option<Vec<TypeId>>,
    pub(super) before: Option<Box<str>>,
    pub(super) trim: Option<Box<[char]>>,
    pub(super) map: Option<Map>,
}

#[derive(Debug)]
pub(super) enum From {
    Slot(SlotRef),
    Header(Box<str>),
    Constant(Box<str>),
    Hash(HashOf),
    Index,
    Nothing,
}

#[derive(Debug)]
pub(super) struct HashOf {
    pub(super) needed: Vec<Source>,
    pub(super) also: Vec<Source>,
}

#[derive(Debug)]
pub(super) struct Map {
    pub(super) values: HashMap<Box<str>, Mapped, foldhash::fast::RandomState>,
    pub(super) otherwise: Otherwise,
}

#[derive(Debug)]
pub(super) enum Mapped {
    Text(Box<str>),
    Sources(Vec<Source>),
}

#[derive(Debug)]
pub(super) enum Otherwise {
    Nothing,
    Keep,
    Mapped(Mapped),
}

#[derive(Debug)]
pub(super) struct Time {
    pub(super) from: TimeFrom,
    pub(super) when: Vec<Condition>,
    pub(super) only_for: Option<Vec<TypeId>>,
}

#[derive(Debug)]
pub(super) enum TimeFrom {
    Text(Box<Source>, Reading),
    Record,
}

#[derive(Debug)]
pub(super) struct Money {
    pub(super) source: Source,
    pub(super) unit: MoneyUnit,
}

#[derive(Debug)]
pub(super) struct Condition {
    pub(super) from: From,
    pub(super) label: Box<str>,
    pub(super) test: super::spec::Test,
}
