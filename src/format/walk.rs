//! One pass over JSON text that remembers where the wanted values stand.
//!
//! In: text and a trie. Out: slots that hold spans of that text. Members that
//! nobody asks for are skipped, but checked to be JSON. Nothing is unescaped, no
//! number is converted and nothing is allocated.
//!
//! An object is first tried the short way ([`super::scan`]); the walk does the rest.
//! serde_json converts the number when it looks into a value of unknown kind, and
//! gives up if that fails (`1e400` where an object is expected). Such a record is
//! walked again carefully: every looked-at value is first taken as a span, and
//! looked into by its first byte.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use crate::event::{RejectReason, Rejection};

use super::scan::scan;
use super::trie::{Keys, Node, NodeId};

/// A span of the record's text, or of the texts unescaped from it; or, for the
/// elements of a list, of the spans in [`Walk::items`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Slot {
    start: u32,
    /// Plus one; 0 is absent.
    len: u32,
}

const UNESCAPED: u32 = 1 << 31;

impl Slot {
    pub(super) fn new(start: usize, len: usize, unescaped: bool) -> Self {
        Slot { start: start as u32 | if unescaped { UNESCAPED } else { 0 }, len: len as u32 + 1 }
    }

    pub(super) fn is_set(self) -> bool {
        self.len != 0
    }

    pub(super) fn is_unescaped(self) -> bool {
        self.start & UNESCAPED != 0
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        let start = (self.start & !UNESCAPED) as usize;
        start..start + (self.len as usize).saturating_sub(1)
    }
}

/// The state of one walk over (a part of) one buffer.
pub(super) struct Walk<'w> {
    nodes: &'w [Node],
    slots: &'w mut [Slot],
    items: &'w mut Vec<Slot>,
    /// The address of the buffer, from which spans count.
    base: usize,
    unescaped: bool,
    careful: bool,
    duplicate: Option<NodeId>,
}

/// Walks `text`, a part of `buffer`, and fills `slots` and `items`.
///
/// # Errors
/// `not_json`, `duplicate_key`, or `bad_text` for a key that is no text.
pub(super) fn walk(
    nodes: &[Node],
    root: NodeId,
    slots: &mut [Slot],
    items: &mut Vec<Slot>,
    buffer: &str,
    text: &str,
    unescaped: bool,
) -> Result<(), Rejection> {
    let offset = text.as_ptr() as usize - buffer.as_ptr() as usize;
    if scan(nodes, root, slots, text, offset, unescaped).is_ok() {
        return Ok(());
    }
    forget(nodes, root, slots);
    walk_closely(nodes, root, slots, items, buffer, text, unescaped)
}

/// The walk with serde_json, which has the last word on what is JSON.
pub(super) fn walk_closely(
    nodes: &[Node],
    root: NodeId,
    slots: &mut [Slot],
    items: &mut Vec<Slot>,
    buffer: &str,
    text: &str,
    unescaped: bool,
) -> Result<(), Rejection> {
    let first_item = items.len();
    let base = buffer.as_ptr() as usize;
    let mut walk = Walk { nodes, slots, items, base, unescaped, careful: false, duplicate: None };
    let Err(_) = walk.start(root, text) else {
        return Ok(());
    };
    if let Some(node) = walk.duplicate {
        return Err(duplicate(&nodes[usize::from(node)]));
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(not_json(&error));
    }
    let Walk { slots, items, .. } = walk;
    forget(nodes, root, slots);
    items.truncate(first_item);
    let mut walk = Walk { nodes, slots, items, base, unescaped, careful: true, duplicate: None };
    match (walk.start(root, text), walk.duplicate) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(node)) => Err(duplicate(&nodes[usize::from(node)])),
        (Err(_), None) => {
            Err(Rejection::new(RejectReason::BadText, "a key holds half of a surrogate pair"))
        }
    }
}

/// Clears what a walk from `root` may have written, and nothing else: the slots of
/// a scope are also those of the text around an embedded one.
pub(super) fn forget(nodes: &[Node], root: NodeId, slots: &mut [Slot]) {
    let node = &nodes[usize::from(root)];
    slots[usize::from(node.slot)] = Slot::default();
    if let Some(list) = node.list {
        slots[usize::from(list)] = Slot::default();
    }
    let inside = node.keys.nodes().chain(node.indexes.iter().map(|(_, child)| *child));
    for child in inside {
        forget(nodes, child, slots);
    }
}

fn duplicate(node: &Node) -> Rejection {
    let detail = format!("field `{}` stands twice", node.label);
    Rejection::new(RejectReason::DuplicateKey, detail)
}

/// serde_json's words about syntax name no content, only what was expected where.
pub(super) fn not_json(error: &serde_json::Error) -> Rejection {
    Rejection::new(RejectReason::NotJson, error.to_string())
}

impl Walk<'_> {
    fn start(&mut self, root: NodeId, text: &str) -> Result<(), serde_json::Error> {
        let nodes = self.nodes;
        let node = &nodes[usize::from(root)];
        self.slots[usize::from(node.slot)] = self.span(text);
        if !self.enter(node, text)? {
            serde_json::from_str::<IgnoredAny>(text)?;
        }
        Ok(())
    }

    /// Looks into a value whose text is known; says whether all of it was parsed.
    fn enter(&mut self, node: &Node, text: &str) -> Result<bool, serde_json::Error> {
        match text.trim_ascii_start().as_bytes().first() {
            Some(b'{') if !node.keys.is_empty() => {
                let mut deserializer = serde_json::Deserializer::from_str(text);
                deserializer.deserialize_map(InObject { walk: self, keys: &node.keys })?;
                deserializer.end()?;
                Ok(true)
            }
            Some(b'[') if node.list.is_some() || !node.indexes.is_empty() => {
                if let Some(slot) = node.list {
                    let mut deserializer = serde_json::Deserializer::from_str(text);
                    deserializer.deserialize_seq(InList { walk: self, slot })?;
                    deserializer.end()?;
                }
                if !node.indexes.is_empty() {
                    let mut deserializer = serde_json::Deserializer::from_str(text);
                    deserializer.deserialize_seq(AtIndexes { walk: self, node })?;
                    deserializer.end()?;
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn span(&self, text: &str) -> Slot {
        Slot::new(text.as_ptr() as usize - self.base, text.len(), self.unescaped)
    }

    /// Notes that the key of `id` was seen; false if it was before.
    fn claim(&mut self, id: NodeId, node: &Node) -> bool {
        let slot = &mut self.slots[usize::from(node.slot)];
        if slot.is_set() {
            self.duplicate = Some(id);
            return false;
        }
        *slot = Slot::new(0, 0, false);
        true
    }
}

/// The value of a member or element that is looked at.
struct Value<'a, 'w> {
    walk: &'a mut Walk<'w>,
    id: NodeId,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let nodes = self.walk.nodes;
        let node = &nodes[usize::from(self.id)];
        if !self.walk.claim(self.id, node) {
            return Err(D::Error::custom("duplicate"));
        }
        let only_keys = node.list.is_none() && node.indexes.is_empty();
        if !node.capture && !self.walk.careful && node.has_inside() {
            if only_keys {
                return deserializer
                    .deserialize_any(InObject { walk: self.walk, keys: &node.keys });
            }
            if let (Some(slot), true, true) =
                (node.list, node.keys.is_empty(), node.indexes.is_empty())
            {
                return deserializer.deserialize_any(InList { walk: self.walk, slot });
            }
        }
        let raw: &'de RawValue = serde::Deserialize::deserialize(deserializer)?;
        self.walk.slots[usize::from(node.slot)] = self.walk.span(raw.get());
        if node.has_inside() {
            self.walk.enter(node, raw.get()).map_err(D::Error::custom)?;
        }
        Ok(())
    }
}

/// What a visitor does with a value of another kind than it looks for: nothing.
macro_rules! pass_over_scalars {
    () => {
        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }
        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }
        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }
        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }
        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
    };
}

struct InObject<'a, 'w> {
    walk: &'a mut Walk<'w>,
    keys: &'a Keys,
}

impl<'de> Visitor<'de> for InObject<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(child) = map.next_key_seed(Key { keys: self.keys })? {
            match child {
                Some(id) => map.next_value_seed(Value { walk: self.walk, id })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    pass_over_scalars!();
}

struct InList<'a, 'w> {
    walk: &'a mut Walk<'w>,
    slot: u16,
}

impl<'de> Visitor<'de> for InList<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let first = self.walk.items.len();
        while let Some(raw) = seq.next_element::<&'de RawValue>()? {
            let span = self.walk.span(raw.get());
            self.walk.items.push(span);
        }
        let count = self.walk.items.len() - first;
        self.walk.slots[usize::from(self.slot)] = Slot::new(first, count, false);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    pass_over_scalars!();
}

struct AtIndexes<'a, 'w> {
    walk: &'a mut Walk<'w>,
    node: &'a Node,
}

impl<'de> Visitor<'de> for AtIndexes<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for place in 0.. {
            let wanted = self.node.indexes.iter().find(|(index, _)| *index == place);
            let more = match wanted {
                Some((_, id)) => {
                    seq.next_element_seed(Value { walk: &mut *self.walk, id: *id })?.is_some()
                }
                None => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }
}

struct Key<'a> {
    keys: &'a Keys,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<NodeId>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<NodeId>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.keys.find(key))
    }
}
