//! From the bytes of a record to its elements.
//!
//! The record's limits, encoding and syntax are checked before anything goes to
//! the sink, so that a refused record leaves no trace. What is wrong inside one
//! element refuses that element only.

use std::sync::Arc;

use crate::event::{IgnoreReason, RawRecord, RejectReason, Rejection};

use super::emit::{self, Made};
use super::plan::{Action, Format, Reader};
use super::rules::Facts;
use super::trie::SlotRef;
use super::walk::{Slot, forget, walk};
use super::{Element, Limits, RecordOutcome, bounds};

/// Decodes records of one format, one at a time; holds the scratch buffers.
#[derive(Debug)]
pub struct Decoder {
    format: Arc<Format>,
    limits: Limits,
    scratch: Scratch,
}

/// What one record leaves in memory, reused for the next.
#[derive(Debug, Default)]
struct Scratch {
    /// By scope.
    slots: Vec<Vec<Slot>>,
    /// The spans of the elements of lists.
    items: Vec<Slot>,
    /// The texts of JSON inside texts.
    unescaped: String,
}

/// A record larger than this could not be addressed by a slot.
const LARGEST: usize = 1 << 30;

const BYTE_ORDER_MARK: char = '\u{feff}';

impl Decoder {
    /// A decoder of its own for each thread; the format is shared.
    pub fn new(format: Arc<Format>, limits: Limits) -> Self {
        let slots = format
            .trie
            .scopes
            .iter()
            .map(|scope| vec![Slot::default(); usize::from(scope.slots)])
            .collect();
        Decoder { format, limits, scratch: Scratch { slots, ..Scratch::default() } }
    }

    /// The format that it decodes.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Decodes one record; `sink` is called once for each element, in order, and
    /// only if the record as a whole can be read.
    pub fn decode(
        &mut self,
        record: &RawRecord<'_>,
        sink: &mut dyn FnMut(Element<'_>),
    ) -> RecordOutcome {
        let text = match text_of(record, &self.limits) {
            Ok(Some(text)) => text,
            Ok(None) => return RecordOutcome::Empty,
            Err(rejection) => return RecordOutcome::Rejected(rejection),
        };
        self.scratch.items.clear();
        self.scratch.unescaped.clear();
        let run = Run {
            format: &self.format,
            limits: &self.limits,
            record,
            text,
            scratch: &mut self.scratch,
            sink,
            emitted: 0,
            unread: Vec::new(),
        };
        run.record().unwrap_or_else(RecordOutcome::Rejected)
    }
}

/// The text of a record within its limits; `None` if there is nothing in it.
fn text_of<'r>(record: &RawRecord<'r>, limits: &Limits) -> Result<Option<&'r str>, Rejection> {
    let Some(value) = record.value else {
        return Ok(None);
    };
    let largest = limits.record_bytes.min(LARGEST);
    if value.len() > largest {
        let detail = format!("{} bytes, and at most {largest} are read", value.len());
        return Err(Rejection::new(RejectReason::TooLarge, detail));
    }
    let text = std::str::from_utf8(value).map_err(|error| {
        let detail = format!("byte {} is not UTF-8", error.valid_up_to());
        Rejection::new(RejectReason::NotUtf8, detail)
    })?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii();
    if text.is_empty() {
        return Ok(None);
    }
    bounds::check(text, limits)?;
    Ok(Some(text))
}

/// One record on its way.
struct Run<'r> {
    format: &'r Format,
    limits: &'r Limits,
    record: &'r RawRecord<'r>,
    text: &'r str,
    scratch: &'r mut Scratch,
    sink: &'r mut dyn FnMut(Element<'_>),
    emitted: usize,
    /// Texts of the record that are no JSON, though some variant needs them to be.
    unread: Vec<(u16, Rejection)>,
}

impl<'r> Run<'r> {
    fn record(mut self) -> Result<RecordOutcome, Rejection> {
        self.walk_scope(0, Slot::new(0, self.text.len(), false))?;
        let is_list = match self.text.as_bytes() {
            b"null" => return Ok(RecordOutcome::Empty),
            [b'[', inside @ .., b']'] => {
                if inside.trim_ascii().is_empty() {
                    return Ok(RecordOutcome::Empty);
                }
                true
            }
            [b'{', ..] => false,
            _ => return Err(wrong_shape("expected an object or a list")),
        };
        let format = self.format;
        let mut chosen = None;
        for variant in format.variants.iter() {
            let fits = match variant.action {
                Action::Read(_) => variant.of_list == is_list,
                Action::Ignore | Action::Reject(_) => true,
            };
            if fits && self.facts().hold(&variant.when)? {
                chosen = Some(&variant.action);
                break;
            }
        }
        match chosen {
            None => {
                let what = if is_list { "list" } else { "object" };
                Err(wrong_shape(format!("this {what} fits no variant of `{}`", format.name)))
            }
            Some(Action::Ignore) => Ok(RecordOutcome::Ignored(IgnoreReason::OnPurpose)),
            Some(Action::Reject(text)) => Err(wrong_shape(text.to_string())),
            Some(Action::Read(reader)) => {
                let unread = self.unread.iter().position(|(slot, _)| reader.texts.contains(slot));
                if let Some(place) = unread {
                    return Err(self.unread.swap_remove(place).1);
                }
                self.elements(reader, 0)?;
                let any = self.emitted > 0;
                Ok(if any { RecordOutcome::Decoded } else { RecordOutcome::Empty })
            }
        }
    }

    fn slot(&self, slot: SlotRef) -> Slot {
        self.scratch.slots[usize::from(slot.scope)][usize::from(slot.slot)]
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            record: self.record,
            text: self.text,
            unescaped: &self.scratch.unescaped,
            slots: &self.scratch.slots,
            index: self.emitted,
            limits: self.limits,
        }
    }

    /// Runs over the list of a level, or makes an event below the last.
    ///
    /// # Errors
    /// Only if the outermost list is missing; nothing has then gone to the sink.
    fn elements(&mut self, reader: &'r Reader, depth: usize) -> Result<(), Rejection> {
        let Some(level) = reader.levels.get(depth) else {
            self.split(reader);
            return Ok(());
        };
        let list = self.slot(level.list);
        if !list.is_set() {
            let missing = wrong_shape(format!("field `{}`: expected a list", level.label));
            if depth == 0 {
                return Err(missing);
            }
            self.give(Element::Rejected(missing));
            return Ok(());
        }
        for place in list.range() {
            let item = self.scratch.items[place];
            let items = self.scratch.items.len();
            let unescaped = self.scratch.unescaped.len();
            match self.enter(level.scope, item) {
                Ok(()) => self.elements(reader, depth + 1)?,
                Err(rejection) => self.give(Element::Rejected(rejection)),
            }
            self.scratch.items.truncate(items);
            self.scratch.unescaped.truncate(unescaped);
        }
        Ok(())
    }

    fn enter(&mut self, scope: u16, item: Slot) -> Result<(), Rejection> {
        let trie = &self.format.trie;
        let root = trie.node(trie.scopes[usize::from(scope)].root);
        let other_kinds = root.capture || root.list.is_some() || !root.indexes.is_empty();
        if !other_kinds && !self.buffer(item)[item.range()].starts_with('{') {
            return Err(wrong_shape("the element is not an object"));
        }
        self.walk_scope(scope, item)
    }

    fn buffer(&self, slot: Slot) -> &str {
        if slot.is_unescaped() { &self.scratch.unescaped } else { self.text }
    }

    /// One event, or one for each item of the first list that has any.
    fn split(&mut self, reader: &'r Reader) {
        let lists = reader.split.iter().map(|list| self.slot(*list).range());
        let items = lists.into_iter().find(|items| !items.is_empty());
        let Some(items) = items else {
            if !reader.split.is_empty() {
                self.scratch.slots[usize::from(reader.item_scope)].fill(Slot::default());
            }
            self.make(reader);
            return;
        };
        for place in items {
            let item = self.scratch.items[place];
            match self.walk_scope(reader.item_scope, item) {
                Ok(()) => self.make(reader),
                Err(rejection) => self.give(Element::Rejected(rejection)),
            }
        }
    }

    fn make(&mut self, reader: &'r Reader) {
        let Scratch { slots, unescaped, .. } = &*self.scratch;
        let facts = Facts {
            record: self.record,
            text: self.text,
            unescaped,
            slots,
            index: self.emitted,
            limits: self.limits,
        };
        self.emitted += 1;
        match emit::make(&facts, &reader.fields, self.format) {
            Ok(Made::Event(event)) => (self.sink)(Element::Event(&event)),
            Ok(Made::Ignored { reason, type_name }) => {
                (self.sink)(Element::Ignored { reason, type_name: type_name.as_deref() });
            }
            Err(rejection) => (self.sink)(Element::Rejected(rejection)),
        }
    }

    fn give(&mut self, element: Element<'_>) {
        self.emitted += 1;
        (self.sink)(element);
    }

    /// Walks one part of the record, then the JSON inside its texts.
    fn walk_scope(&mut self, scope: u16, part: Slot) -> Result<(), Rejection> {
        let trie = &self.format.trie;
        let plan = &trie.scopes[usize::from(scope)];
        let Scratch { slots, items, unescaped } = &mut *self.scratch;
        let slots = &mut slots[usize::from(scope)];
        slots.fill(Slot::default());
        let buffer = if part.is_unescaped() { unescaped.as_str() } else { self.text };
        let text = &buffer[part.range()];
        walk(&trie.nodes, plan.root, slots, items, buffer, text, part.is_unescaped())?;
        for embedded in &plan.embedded {
            let found = slots[usize::from(embedded.slot)];
            if !found.is_set() {
                continue;
            }
            let buffer = if found.is_unescaped() { unescaped.as_str() } else { self.text };
            let span = &buffer[found.range()];
            let outcome = match span.as_bytes().first() {
                Some(b'"') => match serde_json::from_str::<String>(span) {
                    Ok(text) => bounds::check(&text, self.limits).and_then(|()| {
                        let start = unescaped.len();
                        unescaped.push_str(&text);
                        let buffer = unescaped.as_str();
                        let text = &buffer[start..];
                        walk(&trie.nodes, embedded.root, slots, items, buffer, text, true)
                    }),
                    Err(_) => {
                        let detail = "holds half of a surrogate pair";
                        Err(Rejection::new(RejectReason::BadText, detail))
                    }
                },
                // Some transports send the document itself where others send its text.
                Some(b'{' | b'[') => {
                    let unescaped = found.is_unescaped();
                    walk(&trie.nodes, embedded.root, slots, items, buffer, span, unescaped)
                }
                _ => Ok(()),
            };
            match outcome {
                Ok(()) => {}
                Err(Rejection { reason: RejectReason::NotJson, .. }) if !embedded.required => {
                    forget(&trie.nodes, embedded.root, slots);
                }
                Err(Rejection { reason, detail }) => {
                    let detail = format!("in the text of field `{}`: {detail}", embedded.label);
                    let rejection = Rejection::new(reason, detail);
                    if scope > 0 || !embedded.required {
                        return Err(rejection);
                    }
                    // Which variant reads the record is not known yet.
                    forget(&trie.nodes, embedded.root, slots);
                    self.unread.push((embedded.slot, rejection));
                }
            }
        }
        Ok(())
    }
}

fn wrong_shape(detail: impl Into<std::borrow::Cow<'static, str>>) -> Rejection {
    Rejection::new(RejectReason::WrongShape, detail)
}
