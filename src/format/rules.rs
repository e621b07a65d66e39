//! Evaluates compiled sources and conditions on what the walk remembered.

use std::borrow::Cow;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::event::{RawRecord, RejectReason, Rejection, TypeId};

use super::Limits;
use super::plan::{Condition, From, HashOf, Mapped, Otherwise, Source};
use super::spec::Test;
use super::trie::SlotRef;
use super::walk::Slot;

/// The key of synthesised ids. It must never change: ids that were remembered
/// before would no longer match.
const ID_KEY: (u64, u64) = (0x7469_6465_6761_7567, 0x6576_656e_7420_6964);

/// Everything that is known of one element.
pub(super) struct Facts<'e> {
    pub(super) record: &'e RawRecord<'e>,
    pub(super) text: &'e str,
    pub(super) unescaped: &'e str,
    pub(super) slots: &'e [Vec<Slot>],
    pub(super) index: usize,
    pub(super) limits: &'e Limits,
}

/// What a source gives.
#[derive(Debug)]
pub(super) enum Found<'e> {
    /// Missing, `null`, or empty.
    Nothing,
    /// A list or an object, where a text was looked for.
    Container,
    /// A text that the source's map does not name.
    Unmapped(Cow<'e, str>),
    /// A text of the record, translated or not.
    Text(Cow<'e, str>),
    /// A text of the mapping file.
    Constant(&'e str),
}

/// A value of the record by itself.
enum Raw<'e> {
    Nothing,
    Container,
    Text(Cow<'e, str>),
}

/// The first source that gives a value, and its label.
pub(super) struct Picked<'e> {
    pub(super) found: Found<'e>,
    pub(super) label: &'e str,
}

impl<'e> Picked<'e> {
    /// The text, if there is one.
    ///
    /// # Errors
    /// `wrong_shape` for a list or an object.
    #[inline]
    pub(super) fn text(self) -> Result<Option<Cow<'e, str>>, Rejection> {
        match self.found {
            Found::Text(text) => Ok(Some(text)),
            Found::Constant(text) => Ok(Some(Cow::Borrowed(text))),
            Found::Nothing | Found::Unmapped(_) => Ok(None),
            Found::Container => Err(Rejection::new(
                RejectReason::WrongShape,
                format!("{}: expected a text or a number, found a list or an object", self.label),
            )),
        }
    }
}

impl<'e> Facts<'e> {
    /// What the first source that has a value gives.
    #[inline]
    pub(super) fn pick(
        &self,
        sources: &'e [Source],
        kind: Option<TypeId>,
    ) -> Result<Picked<'e>, Rejection> {
        match sources {
            [] => Ok(Picked { found: Found::Nothing, label: "" }),
            [source] => {
                let found = self.look(source, kind)?;
                let label = if matches!(found, Found::Nothing) { "" } else { &*source.label };
                Ok(Picked { found, label })
            }
            several => self.pick_of(several, kind),
        }
    }

    fn pick_of(
        &self,
        sources: &'e [Source],
        kind: Option<TypeId>,
    ) -> Result<Picked<'e>, Rejection> {
        let mut best = Picked { found: Found::Nothing, label: "" };
        for source in sources {
            let found = self.look(source, kind)?;
            match found {
                Found::Text(_) | Found::Constant(_) => {
                    return Ok(Picked { found, label: &source.label });
                }
                Found::Unmapped(_) if !matches!(best.found, Found::Unmapped(_)) => {
                    best = Picked { found, label: &source.label };
                }
                Found::Container if matches!(best.found, Found::Nothing) => {
                    best = Picked { found, label: &source.label };
                }
                _ => {}
            }
        }
        Ok(best)
    }

    /// What one source gives. Nearly all name a member that holds a plain text or is
    /// not there; those take the short way.
    #[inline]
    pub(super) fn look(
        &self,
        source: &'e Source,
        kind: Option<TypeId>,
    ) -> Result<Found<'e>, Rejection> {
        if let Some(slot) = source.plain {
            let Some(span) = self.span(slot) else {
                return Ok(Found::Nothing);
            };
            if let Some(text) = self.plain_text(span) {
                return Ok(if text.is_empty() {
                    Found::Nothing
                } else {
                    Found::Text(Cow::Borrowed(text))
                });
            }
        }
        self.look_closely(source, kind)
    }

    fn look_closely(
        &self,
        source: &'e Source,
        kind: Option<TypeId>,
    ) -> Result<Found<'e>, Rejection> {
        if !self.applies(source.only_for.as_deref(), &source.when, kind)? {
            return Ok(Found::Nothing);
        }
        if let (From::Constant(text), None) = (&source.from, &source.map) {
            return Ok(Found::Constant(text));
        }
        let mut text = match self.raw(&source.from, &source.label, kind)? {
            Raw::Nothing => return Ok(Found::Nothing),
            Raw::Container => return Ok(Found::Container),
            Raw::Text(text) => text,
        };
        if let Some(end) = source.before.as_deref().and_then(|before| text.find(before)) {
            text = narrow(text, 0..end);
        }
        if let Some(chars) = &source.trim {
            let kept = text.trim_matches(&chars[..]);
            let start = kept.as_ptr() as usize - text.as_ptr() as usize;
            let range = start..start + kept.len();
            text = narrow(text, range);
        }
        let Some(map) = &source.map else {
            return Ok(if text.is_empty() { Found::Nothing } else { Found::Text(text) });
        };
        let mapped = match (map.values.get(&*text), &map.otherwise) {
            (Some(mapped), _) => mapped,
            (None, _) if text.is_empty() => return Ok(Found::Nothing),
            (None, Otherwise::Mapped(mapped)) => mapped,
            (None, Otherwise::Keep) => return Ok(Found::Text(text)),
            (None, Otherwise::Nothing) => return Ok(Found::Unmapped(text)),
        };
        match mapped {
            Mapped::Text(text) => Ok(Found::Constant(text)),
            Mapped::Sources(sources) => Ok(self.pick(sources, kind)?.found),
        }
    }

    /// Whether a source is for such an event and its conditions hold.
    #[inline]
    pub(super) fn applies(
        &self,
        only_for: Option<&[TypeId]>,
        when: &'e [Condition],
        kind: Option<TypeId>,
    ) -> Result<bool, Rejection> {
        if let Some(types) = only_for
            && !kind.is_some_and(|kind| types.contains(&kind))
        {
            return Ok(false);
        }
        self.hold(when)
    }

    #[inline]
    pub(super) fn hold(&self, conditions: &'e [Condition]) -> Result<bool, Rejection> {
        for condition in conditions {
            if !self.holds(condition)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn holds(&self, condition: &'e Condition) -> Result<bool, Rejection> {
        let raw = self.raw(&condition.from, &condition.label, None)?;
        let text = match &raw {
            Raw::Text(text) => Some(text.as_ref()),
            Raw::Nothing | Raw::Container => None,
        };
        Ok(match &condition.test {
            Test::Present => !matches!(raw, Raw::Nothing),
            Test::Absent => matches!(raw, Raw::Nothing),
            Test::Is(texts) => text.is_some_and(|text| texts.iter().any(|one| one == text)),
            Test::IsNot(texts) => !text.is_some_and(|text| texts.iter().any(|one| one == text)),
            Test::StartsWith(texts) => {
                text.is_some_and(|text| texts.iter().any(|one| text.starts_with(one.as_str())))
            }
        })
    }

    fn raw(&self, from: &'e From, label: &str, kind: Option<TypeId>) -> Result<Raw<'e>, Rejection> {
        match from {
            From::Slot(slot) => self.value(*slot, label),
            From::Constant(text) => Ok(Raw::Text(Cow::Borrowed(text))),
            From::Header(name) => match self.record.header(name) {
                None => Ok(Raw::Nothing),
                Some(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => Ok(Raw::Text(Cow::Borrowed(self.bounded(text, label)?))),
                    Err(_) => Err(bad_text(label, "is not UTF-8")),
                },
            },
            From::Hash(parts) => self.hash(parts, kind),
            From::Index => Ok(Raw::Text(Cow::Owned(self.index.to_string()))),
            From::Nothing => Ok(Raw::Nothing),
        }
    }

    /// The span of a slot that is set, without `null`.
    #[inline]
    pub(super) fn span(&self, slot: SlotRef) -> Option<&'e str> {
        let slot = self.slots[usize::from(slot.scope)][usize::from(slot.slot)];
        if !slot.is_set() {
            return None;
        }
        let buffer = if slot.is_unescaped() { self.unescaped } else { self.text };
        Some(&buffer[slot.range()]).filter(|text| !text.is_empty() && *text != "null")
    }

    /// The text of a span that needs no unescaping and is within the limit.
    #[inline]
    fn plain_text(&self, span: &'e str) -> Option<&'e str> {
        let text = span.strip_prefix('"')?.strip_suffix('"')?;
        let plain = text.len() <= self.limits.text_bytes && !text.as_bytes().contains(&b'\\');
        plain.then_some(text)
    }

    fn value(&self, slot: SlotRef, label: &str) -> Result<Raw<'e>, Rejection> {
        let Some(span) = self.span(slot) else {
            return Ok(Raw::Nothing);
        };
        self.scalar(span, label).map(|scalar| scalar.map_or(Raw::Container, Raw::Text))
    }

    /// The text of a JSON scalar; `None` for a list or an object.
    pub(super) fn scalar(
        &self,
        span: &'e str,
        label: &str,
    ) -> Result<Option<Cow<'e, str>>, Rejection> {
        match span.as_bytes() {
            [b'{' | b'[', ..] => Ok(None),
            [b'"', inside @ .., b'"'] => {
                let text = if inside.contains(&b'\\') {
                    match serde_json::from_str::<String>(span) {
                        Ok(text) => Cow::Owned(text),
                        Err(_) => return Err(bad_text(label, "holds half of a surrogate pair")),
                    }
                } else {
                    Cow::Borrowed(&span[1..span.len() - 1])
                };
                self.bounded(&text, label)?;
                Ok(Some(text))
            }
            _ => Ok(Some(Cow::Borrowed(self.bounded(span, label)?))),
        }
    }

    #[inline]
    fn bounded<'t>(&self, text: &'t str, label: &str) -> Result<&'t str, Rejection> {
        if text.len() <= self.limits.text_bytes {
            return Ok(text);
        }
        Err(bad_text(label, &format!("is longer than {} bytes", self.limits.text_bytes)))
    }

    /// Each part goes in with its length, so that no two lists of parts look alike.
    fn hash(&self, parts: &'e HashOf, kind: Option<TypeId>) -> Result<Raw<'e>, Rejection> {
        let mut hasher = SipHasher24::new_with_keys(ID_KEY.0, ID_KEY.1);
        let mut any = false;
        for (place, part) in parts.needed.iter().chain(&parts.also).enumerate() {
            let found = self.look(part, kind)?;
            let text = match &found {
                Found::Text(text) | Found::Unmapped(text) => text.as_ref(),
                Found::Constant(text) => text,
                Found::Nothing | Found::Container => {
                    if place < parts.needed.len() {
                        return Ok(Raw::Nothing);
                    }
                    hasher.write(&[0]);
                    continue;
                }
            };
            any |=
                place < parts.needed.len() && !matches!(part.from, From::Constant(_) | From::Index);
            hasher.write(&[1]);
            hasher.write(&(text.len() as u64).to_le_bytes());
            hasher.write(text.as_bytes());
        }
        if !any {
            return Ok(Raw::Nothing);
        }
        let hash = hasher.finish128();
        Ok(Raw::Text(Cow::Owned(format!("{:016x}{:016x}", hash.h1, hash.h2))))
    }
}

fn narrow(text: Cow<'_, str>, range: std::ops::Range<usize>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[range]),
        Cow::Owned(text) => Cow::Owned(text[range].to_owned()),
    }
}

fn bad_text(label: &str, what: &str) -> Rejection {
    Rejection::new(RejectReason::BadText, format!("{label} {what}"))
}
