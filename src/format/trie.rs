//! The paths of a format as a trie: which members of which objects to look at.
//!
//! A scope is the record, the element of a list, or the item of a split: a part
//! of the text that is walked by itself and has its own slots, into which the
//! walk writes where the wanted values stand.

use super::path::Step;

pub(super) type NodeId = u16;

/// A slot of a scope, in which the walk remembers where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotRef {
    pub(super) scope: u16,
    pub(super) slot: u16,
}

/// One place of the document that is looked at.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Marks that the key was seen; holds the value's span if `capture` is set.
    pub(super) slot: u16,
    /// The value's span is wanted.
    pub(super) capture: bool,
    /// The spans of the list's elements are wanted, in this slot.
    pub(super) list: Option<u16>,
    /// The members that are looked at.
    pub(super) keys: Keys,
    /// The elements of the list that are looked at.
    pub(super) indexes: Vec<(usize, NodeId)>,
    /// For messages: the path from the scope's start.
    pub(super) label: Box<str>,
}

impl Node {
    /// Whether its value can hold anything that is looked at.
    pub(super) fn has_inside(&self) -> bool {
        self.list.is_some() || !self.keys.is_empty() || !self.indexes.is_empty()
    }
}

/// JSON inside a text of a scope.
#[derive(Debug)]
pub(super) struct Embedded {
    /// Where the text stands, in its scope.
    pub(super) slot: u16,
    /// Where the walk over what it holds starts.
    pub(super) root: NodeId,
    /// A text that is no JSON makes the element unreadable; else it counts as absent.
    pub(super) required: bool,
    /// For messages.
    pub(super) label: Box<str>,
}

/// A part of the text that is walked by itself.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) root: NodeId,
    pub(super) slots: u16,
    /// Outer texts before those inside them.
    pub(super) embedded: Vec<Embedded>,
}

/// The nodes and scopes of a format.
#[derive(Debug, Default)]
pub(super) struct Trie {
    pub(super) nodes: Vec<Node>,
    pub(super) scopes: Vec<Scope>,
}

impl Trie {
    pub(super) fn add_scope(&mut self) -> u16 {
        let scope = self.scopes.len() as u16;
        self.scopes.push(Scope { root: 0, slots: 0, embedded: Vec::new() });
        let root = self.add_node(scope, Box::default());
        self.scopes[usize::from(scope)].root = root;
        scope
    }

    fn add_node(&mut self, scope: u16, label: Box<str>) -> NodeId {
        let slot = self.add_slot(scope);
        self.nodes.push(Node { slot, label, ..Node::default() });
        (self.nodes.len() - 1) as NodeId
    }

    fn add_slot(&mut self, scope: u16) -> u16 {
        let scope = &mut self.scopes[usize::from(scope)];
        scope.slots += 1;
        scope.slots - 1
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[usize::from(id)]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[usize::from(id)]
    }

    /// The node at the end of `steps` from `start`, made where it is missing.
    /// [`Step::Items`] is no step inside a scope and ends the way.
    pub(super) fn descend(
        &mut self,
        scope: u16,
        start: NodeId,
        steps: &[Step],
        required: bool,
    ) -> NodeId {
        let mut at = start;
        for step in steps {
            at = match step {
                Step::Key(key) => match self.node(at).keys.find(key) {
                    Some(child) => child,
                    None => {
                        let outer = &self.node(at).label;
                        let label =
                            if outer.is_empty() { key.clone() } else { format!("{outer}.{key}") };
                        let child = self.add_node(scope, label.into());
                        self.node_mut(at).keys.insert(key, child);
                        child
                    }
                },
                Step::Index(index) => {
                    let known = self.node(at).indexes.iter().find(|(place, _)| place == index);
                    match known {
                        Some((_, child)) => *child,
                        None => {
                            let label = format!("{}[{index}]", self.node(at).label);
                            let child = self.add_node(scope, label.into());
                            self.node_mut(at).indexes.push((*index, child));
                            child
                        }
                    }
                }
                Step::Json => self.embed(scope, at, required),
                Step::Items => return at,
            };
        }
        at
    }

    fn embed(&mut self, scope: u16, at: NodeId, required: bool) -> NodeId {
        self.node_mut(at).capture = true;
        let slot = self.node(at).slot;
        let label = self.node(at).label.clone();
        let known =
            self.scopes[usize::from(scope)].embedded.iter_mut().find(|known| known.slot == slot);
        if let Some(known) = known {
            known.required |= required;
            return known.root;
        }
        let root = self.add_node(scope, label.clone());
        self.scopes[usize::from(scope)].embedded.push(Embedded { slot, root, required, label });
        root
    }

    /// Asks for the span of the value at `node`.
    pub(super) fn capture(&mut self, scope: u16, node: NodeId) -> SlotRef {
        self.node_mut(node).capture = true;
        SlotRef { scope, slot: self.node(node).slot }
    }

    /// Asks for the spans of the elements of the list at `node`.
    pub(super) fn list(&mut self, scope: u16, node: NodeId) -> SlotRef {
        let slot = match self.node(node).list {
            Some(slot) => slot,
            None => {
                let slot = self.add_slot(scope);
                self.node_mut(node).list = Some(slot);
                slot
            }
        };
        SlotRef { scope, slot }
    }

    /// Builds the tables of keys, once all paths are in.
    pub(super) fn finish(&mut self) {
        for node in &mut self.nodes {
            node.keys.finish();
        }
    }
}

/// The keys of an object that are looked at: a small table without collisions.
///
/// Why no ready-made map: the keys are known at start and few, and a look-up per
/// key of every record is most of what decoding adds to parsing.
#[derive(Debug, Default)]
pub(super) struct Keys {
    entries: Vec<(Box<str>, NodeId)>,
    /// Places in `entries` plus one, by hash; empty if no seed avoids collisions.
    table: Vec<u16>,
    seed: u32,
}

impl Keys {
    fn insert(&mut self, key: &str, child: NodeId) {
        self.entries.push((key.into(), child));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The nodes of all keys.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.entries.iter().map(|(_, node)| *node)
    }

    /// The node of a key.
    #[inline]
    pub(super) fn find(&self, key: &str) -> Option<NodeId> {
        if self.table.is_empty() {
            return self.entries.iter().find(|(known, _)| **known == *key).map(|(_, node)| *node);
        }
        let place = self.table[hash(key, self.seed) & (self.table.len() - 1)];
        let (known, node) = self.entries.get(usize::from(place).wrapping_sub(1))?;
        (**known == *key).then_some(*node)
    }

    fn finish(&mut self) {
        let size = (self.entries.len() * 4).next_power_of_two();
        for seed in 0..512_u32 {
            let mut table = vec![0_u16; size];
            let distinct = self.entries.iter().enumerate().all(|(place, (key, _))| {
                let cell = &mut table[hash(key, seed) & (size - 1)];
                let free = *cell == 0;
                *cell = place as u16 + 1;
                free
            });
            if distinct && !self.entries.is_empty() {
                self.table = table;
                self.seed = seed;
                return;
            }
        }
    }
}

/// Mixes the length and three of the bytes: enough to tell the keys of a format
/// apart, and cheaper than reading the key.
#[inline]
fn hash(key: &str, seed: u32) -> usize {
    let bytes = key.as_bytes();
    let Some((first, last)) = bytes.first().zip(bytes.last()) else {
        return 0;
    };
    let middle = bytes[bytes.len() / 2];
    let packed = u32::from(*first)
        | u32::from(*last) << 8
        | u32::from(middle) << 16
        | (bytes.len() as u32) << 24;
    let mixed = (packed ^ seed).wrapping_mul(0x9E37_79B1 ^ (seed << 1));
    (mixed >> 15) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_finds_its_keys_and_no_other() {
        let names: Vec<String> = (0..40).map(|number| format!("key_{number}_of")).collect();
        let mut keys = Keys::default();
        for (node, name) in names.iter().enumerate() {
            keys.insert(name, node as NodeId);
        }
        keys.insert("", 99);
        keys.finish();
        for (node, name) in names.iter().enumerate() {
            assert_eq!(keys.find(name), Some(node as NodeId));
        }
        assert_eq!(keys.find(""), Some(99));
        assert_eq!(keys.find("key_40_of"), None);
    }
}
