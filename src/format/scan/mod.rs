//! The short way through a text that is an object: what [`super::walk`] does with
//! serde_json, in one plain pass over the bytes.
//!
//! In: a text and a trie. Out: the same slots as the walk's. Whatever is not as in
//! nearly all records (no JSON, a key with an escape or one that stands twice, a list
//! whose elements are wanted) is given up without a word, and the walk starts anew
//! and says what there is to say. Never accepted: what serde_json would refuse.

use super::trie::{Keys, Node, NodeId};
use super::walk::Slot;

/// As deep as serde_json goes.
const DEEPEST: usize = 127;

/// What a scan gave up on; the walk has to look.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GivenUp;

/// Fills `slots` from the object `text`, which begins at `offset` of its buffer.
pub(super) fn scan(
    nodes: &[Node],
    root: NodeId,
    slots: &mut [Slot],
    text: &str,
    offset: usize,
    unescaped: bool,
) -> Result<(), GivenUp> {
    let bytes = text.as_bytes();
    let mut scan = Scan { nodes, slots, text, bytes, at: 0, offset, unescaped };
    if scan.peek() != Some(b'{') {
        return Err(GivenUp);
    }
    scan.value(Some(root), DEEPEST)?;
    scan.space();
    if scan.at == scan.bytes.len() { Ok(()) } else { Err(GivenUp) }
}

struct Scan<'s> {
    nodes: &'s [Node],
    slots: &'s mut [Slot],
    text: &'s str,
    bytes: &'s [u8],
    at: usize,
    offset: usize,
    unescaped: bool,
}

impl<'s> Scan<'s> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The next byte that is no white space.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        self.space();
        let byte = self.peek();
        self.at += 1;
        byte
    }

    /// One value, and into the slot of `id` where it stands.
    fn value(&mut self, id: Option<NodeId>, deeper: usize) -> Result<(), GivenUp> {
        let nodes = self.nodes;
        let node = id.map(|id| &nodes[usize::from(id)]);
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                self.text()?;
            }
            Some(b'{') => {
                let keys = node.map(|node| &node.keys).filter(|keys| !keys.is_empty());
                self.object(keys, deeper.checked_sub(1).ok_or(GivenUp)?)?;
            }
            Some(b'[') => {
                if node.is_some_and(|node| node.list.is_some() || !node.indexes.is_empty()) {
                    return Err(GivenUp);
                }
                self.list(deeper.checked_sub(1).ok_or(GivenUp)?)?;
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return Err(GivenUp),
        }
        if let Some(node) = node {
            let slot = &mut self.slots[usize::from(node.slot)];
            if slot.is_set() {
                return Err(GivenUp);
            }
            *slot = Slot::new(self.offset + start, self.at - start, self.unescaped);
        }
        Ok(())
    }

    fn object(&mut self, keys: Option<&'s Keys>, deeper: usize) -> Result<(), GivenUp> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(GivenUp);
            }
            let start = self.at + 1;
            let escapes = self.text()?;
            let child = match keys {
                Some(_) if escapes == Escapes::Some => return Err(GivenUp),
                Some(keys) => keys.find(&self.text[start..self.at - 1]),
                None => None,
            };
            if self.token() != Some(b':') {
                return Err(GivenUp);
            }
            self.space();
            self.value(child, deeper)?;
            match self.token() {
                Some(b',') => {}
                Some(b'}') => return Ok(()),
                _ => return Err(GivenUp),
            }
        }
    }

    fn list(&mut self, deeper: usize) -> Result<(), GivenUp> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            self.value(None, deeper)?;
            match self.token() {
                Some(b',') => {}
                Some(b']') => return Ok(()),
                _ => return Err(GivenUp),
            }
        }
    }

    /// A text with its quotes.
    #[inline]
    fn text(&mut self) -> Result<Escapes, GivenUp> {
        let mut escapes = Escapes::None;
        self.at += 1;
        loop {
            self.plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escapes);
                }
                Some(b'\\') => {
                    escapes = Escapes::Some;
                    self.escape()?;
                }
                _ => return Err(GivenUp),
            }
        }
    }

    /// Goes on to the next quote, backslash or control character, eight bytes at a
    /// time: the lowest marked byte is always a true one.
    #[inline]
    fn plain(&mut self) {
        const ONES: u64 = u64::MAX / 255;
        let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
        while let Some(chunk) = self.bytes[self.at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let control = word.wrapping_sub(ONES * 0x20) & !word;
            let quote = zeros(word ^ (ONES * u64::from(b'"')));
            let backslash = zeros(word ^ (ONES * u64::from(b'\\')));
            let marks = (control | quote | backslash) & (ONES * 0x80);
            if marks != 0 {
                self.at += marks.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while self.peek().is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<(), GivenUp> {
        match self.bytes[self.at..] {
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.at += 2,
            [_, b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => {
                self.at += 6;
            }
            _ => return Err(GivenUp),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), GivenUp> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading = self.peek();
        if self.digits()? > 1 && leading == Some(b'0') {
            return Err(GivenUp);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one; how many.
    fn digits(&mut self) -> Result<usize, GivenUp> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(self.at - start) } else { Err(GivenUp) }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), GivenUp> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(GivenUp);
        }
        self.at += word.len();
        Ok(())
    }
}

/// Whether a text has escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    Some,
}

#[cfg(test)]
mod tests;
