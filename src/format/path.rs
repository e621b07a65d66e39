//! Where a value stands in a record: the path language of mapping files.
//!
//! `mail.tags."my.key"[0]` is a key, a key, a quoted key, an index. `|json` goes
//! on inside a text that is itself JSON; `[]` (only in `each` and `split`) means
//! every element. What stands before says where to start: nothing for the
//! element, `^` for what encloses it, `/` for the record, `@` for the item of a
//! `split`.

use std::fmt;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    /// Where it starts.
    pub anchor: Anchor,
    /// The way from there; empty for the starting value itself.
    pub steps: Vec<Step>,
}

/// Where a path starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// The element that becomes an event.
    Element,
    /// So many levels of `each` above the element.
    Enclosing(usize),
    /// The record.
    Record,
    /// The item of the list that the element is split by.
    Item,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of an object.
    Key(String),
    /// The element of a list at that place, from 0.
    Index(usize),
    /// Every element of a list.
    Items,
    /// Into the JSON that a text holds.
    Json,
}

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A key is missing, as in `a..b` or after a final dot.
    #[error("a key is missing at character {0}")]
    MissingKey(usize),
    /// A quoted key without its closing quote.
    #[error("the quoted key that starts at character {0} has no closing quote")]
    OpenQuote(usize),
    /// What stands in brackets is neither a number nor nothing.
    #[error("expected `[]` or an index such as `[0]` at character {0}")]
    Bracket(usize),
    /// After `|`, something else than `json`.
    #[error("expected `|json` at character {0}")]
    Pipe(usize),
    /// More steps than a path may have.
    #[error("has more than {} steps", Path::LONGEST)]
    TooLong,
    /// Two steps without a dot between them.
    #[error("expected `.`, `[` or `|` at character {0}")]
    Separator(usize),
}

impl Path {
    /// The most steps that a path may have.
    pub const LONGEST: usize = 32;

    /// A path of keys from the element, for declarations in code.
    pub fn keys(keys: &[&str]) -> Self {
        let steps = keys.iter().map(|key| Step::Key((*key).to_owned())).collect();
        Path { anchor: Anchor::Element, steps }
    }

    /// Reads the syntax that the module describes.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut reader = Reader { text, at: 0 };
        let anchor = reader.anchor();
        let mut steps = Vec::new();
        while reader.at < text.len() {
            steps.push(reader.step(steps.is_empty())?);
            if steps.len() > Self::LONGEST {
                return Err(PathError::TooLong);
            }
        }
        Ok(Path { anchor, steps })
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    /// For people, who count characters from 1.
    fn place(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn anchor(&mut self) -> Anchor {
        if self.skip("/") {
            return Anchor::Record;
        }
        if self.skip("@") {
            self.skip(".");
            return Anchor::Item;
        }
        let mut levels = 0;
        while self.skip("^") {
            levels += 1;
        }
        if levels > 0 { Anchor::Enclosing(levels) } else { Anchor::Element }
    }

    fn step(&mut self, first: bool) -> Result<Step, PathError> {
        if self.skip("|") {
            return if self.skip("json") {
                Ok(Step::Json)
            } else {
                Err(PathError::Pipe(self.place()))
            };
        }
        if self.skip("[") {
            let Some(end) = self.rest().find(']') else {
                return Err(PathError::Bracket(self.place()));
            };
            let inside = &self.rest()[..end];
            let step = if inside.is_empty() {
                Step::Items
            } else if inside.len() <= 4 && inside.bytes().all(|byte| byte.is_ascii_digit()) {
                Step::Index(inside.parse().map_err(|_| PathError::Bracket(self.place()))?)
            } else {
                return Err(PathError::Bracket(self.place()));
            };
            self.at += end + 1;
            return Ok(step);
        }
        if !first && !self.skip(".") {
            return Err(PathError::Separator(self.place()));
        }
        self.key()
    }

    fn key(&mut self) -> Result<Step, PathError> {
        let start = self.place();
        if self.skip("\"") {
            let Some(end) = self.rest().find('"') else {
                return Err(PathError::OpenQuote(start));
            };
            let key = self.rest()[..end].to_owned();
            self.at += end + 1;
            return Ok(Step::Key(key));
        }
        let end = self.rest().find(['.', '[', ']', '|', '"']).unwrap_or(self.rest().len());
        if end == 0 {
            return Err(PathError::MissingKey(start));
        }
        let key = self.rest()[..end].to_owned();
        self.at += end;
        Ok(Step::Key(key))
    }
}

/// The syntax that [`Path::parse`] reads.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.anchor {
            Anchor::Element => {}
            Anchor::Enclosing(levels) => f.write_str(&"^".repeat(levels))?,
            Anchor::Record => f.write_str("/")?,
            Anchor::Item => f.write_str("@")?,
        }
        for (place, step) in self.steps.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    if place > 0 {
                        f.write_str(".")?;
                    }
                    let bare = !key.is_empty()
                        && !key.contains(['.', '[', ']', '|', '"'])
                        && !key.starts_with(['/', '^', '@']);
                    if bare { f.write_str(key)? } else { write!(f, "\"{key}\"")? }
                }
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Items => f.write_str("[]")?,
                Step::Json => f.write_str("|json")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = match Path::parse(text) {
            Ok(path) => format!("{path}  {:?} {:?}", path.anchor, path.steps),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "reading {text:?}");
    }

    #[test]
    fn reads_keys_of_every_kind() {
        check("a.b", r#"a.b  Element [Key("a"), Key("b")]"#);
        check(
            "event-data.campaign name",
            r#"event-data.campaign name  Element [Key("event-data"), Key("campaign name")]"#,
        );
        check(
            r#"tags."my.key"[0]"#,
            r#"tags."my.key"[0]  Element [Key("tags"), Key("my.key"), Index(0)]"#,
        );
        check("[]", "[]  Element [Items]");
        check("", "  Element []");
    }

    #[test]
    fn reads_where_a_path_starts() {
        check("^^id", r#"^^id  Enclosing(2) [Key("id")]"#);
        check("/object", r#"/object  Record [Key("object")]"#);
        check("@.email", r#"@email  Item [Key("email")]"#);
        check("@", "@  Item []");
        check(
            "Message|json.mail",
            r#"Message|json.mail  Element [Key("Message"), Json, Key("mail")]"#,
        );
    }

    #[test]
    fn says_what_is_wrong() {
        check("a..b", "a key is missing at character 3");
        check("a.", "a key is missing at character 3");
        check("\"a", "the quoted key that starts at character 1 has no closing quote");
        check("a[x]", "expected `[]` or an index such as `[0]` at character 3");
        check("a|xml", "expected `|json` at character 3");
        check("a[0]b", "expected `.`, `[` or `|` at character 5");
    }
}
