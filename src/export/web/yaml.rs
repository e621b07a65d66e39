//! Typed reading of YAML that notes every problem and goes on, as `config` does with TOML.
//!
//! In: the text of one file. Out: values of the wanted types; whatever is wrong is in
//! [`Problems`], with its line and column, and the read answers `None`. A value is never
//! repeated in a message: it may be a password in the wrong place. Why not serde's derive:
//! it stops at the first mistake.

mod node;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use crate::config::{Place, Problems, did_you_mean};
use node::Node;

/// One parsed file.
pub(super) struct Document {
    file: Arc<str>,
    root: Spanned<Node>,
}

impl Document {
    /// Parses a file; `None` where its syntax is wrong, which is noted.
    pub(super) fn parse(file: &str, text: &str, problems: &Problems) -> Option<Document> {
        let options = serde_saphyr::options! {
            // A line of the file in a message may be a secret.
            with_snippet: false,
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
        };
        let file: Arc<str> = file.into();
        match serde_saphyr::from_str_with_options(text, options) {
            Ok(root) => Some(Document { file, root }),
            Err(error) => {
                let place = error.location().map_or(Place::file(&file), |at| place(&file, at));
                // Its words may quote a value.
                problems.add_with(
                    place,
                    "it is no YAML from here on",
                    "compare indentation, colons and quotes with the example in the documentation",
                );
                None
            }
        }
    }

    /// The top level; a problem where it is no table.
    pub(super) fn table<'y>(&'y self, problems: &'y Problems) -> Option<Table<'y>> {
        let value = Value { file: &self.file, node: &self.root, name: String::new(), problems };
        match self.root.value {
            Node::Nothing => Some(value.with_entries(&[])),
            _ => value.table(),
        }
    }
}

/// A table, and which of its keys were asked for.
pub(super) struct Table<'y> {
    file: &'y Arc<str>,
    entries: &'y [(Spanned<String>, Spanned<Node>)],
    name: String,
    at: Place,
    asked: BTreeSet<&'static str>,
    problems: &'y Problems,
}

impl<'y> Table<'y> {
    /// Where it begins.
    pub(super) fn at(&self) -> Place {
        self.at.clone()
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> String {
        if self.name.is_empty() { "the top level".to_owned() } else { format!("`{}`", self.name) }
    }

    /// The value of a key, if it is there and not empty.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Value<'y>> {
        self.asked.insert(key);
        let mut found = self.entries.iter().filter(|(name, _)| name.value == key);
        let (_, node) = found.next()?;
        Some(self.value(key, node)).filter(|value| !matches!(value.node.value, Node::Nothing))
    }

    /// Notes a key that is there and holds nothing: what was meant to be asked would not be.
    pub(super) fn refuse_empty(&self, key: &'static str) {
        for (name, node) in self.entries.iter().filter(|(name, _)| name.value == key) {
            let empty = match &node.value {
                Node::Nothing => true,
                Node::List(list) => list.is_empty(),
                Node::Table(entries) => entries.is_empty(),
                _ => false,
            };
            if empty {
                self.value(&name.value, node).problem(
                    format!("`{key}` is there and holds nothing"),
                    "leave it out if that is meant",
                );
            }
        }
    }

    /// The table under a key, if it is there.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Table<'y>> {
        self.optional(key)?.table()
    }

    /// Notes that it is allowed and yet worth a warning.
    pub(super) fn warn(&self, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.warn(self.at.clone(), what, remedy);
    }

    /// Every key and its value in the order of the file, for tables with free keys.
    pub(super) fn entries(&self) -> Vec<(&'y str, Value<'y>)> {
        let entries = self.entries.iter();
        entries.map(|(name, node)| (name.value.as_str(), self.value(&name.value, node))).collect()
    }

    /// Ends the reading: each key that nobody asked for is a problem.
    pub(super) fn finish(self) {
        for (key, _) in self.entries {
            if !self.asked.contains(key.value.as_str()) {
                self.problems.add_maybe(
                    place(self.file, key.referenced),
                    format!("unknown key `{}` in {}", shown(&key.value), self.name()),
                    did_you_mean(&key.value, self.asked.iter().copied()),
                );
            }
        }
    }

    fn value(&self, key: &str, node: &'y Spanned<Node>) -> Value<'y> {
        let key = shown(key);
        let name = if self.name.is_empty() { key } else { format!("{}.{key}", self.name) };
        Value { file: self.file, node, name, problems: self.problems }
    }
}

/// A value of any type, and where it stands.
#[derive(Clone)]
pub(super) struct Value<'y> {
    file: &'y Arc<str>,
    node: &'y Spanned<Node>,
    name: String,
    problems: &'y Problems,
}

impl<'y> Value<'y> {
    /// Where it stands.
    pub(super) fn at(&self) -> Place {
        place(self.file, self.node.referenced)
    }

    /// Its dotted name in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Notes a problem at this value, and what to do about it.
    pub(super) fn problem(&self, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.add_with(self.at(), what, remedy);
    }

    /// Notes that this value is allowed and yet worth a warning.
    pub(super) fn warn(&self, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.warn(self.at(), what, remedy);
    }

    /// A text that is not empty.
    pub(super) fn text(&self) -> Option<&'y str> {
        match &self.node.value {
            Node::Text(text) if !text.trim().is_empty() => Some(text),
            Node::Text(_) => {
                self.problem(format!("`{}` is empty", self.name), "fill it in, or leave it out");
                None
            }
            Node::Nothing | Node::List(_) | Node::Table(_) => self.expected("a text"),
            _ => self.expected("a text in quotes"),
        }
    }

    /// Texts of a list.
    pub(super) fn texts(&self) -> Vec<(&'y str, Value<'y>)> {
        let Node::List(list) = &self.node.value else {
            self.expected::<()>("a list");
            return Vec::new();
        };
        let element = |node| Value { node, name: self.name.clone(), ..self.clone() };
        list.iter().map(element).filter_map(|value| Some((value.text()?, value))).collect()
    }

    /// A whole number within the bounds, both included.
    pub(super) fn integer(&self, least: i64, most: i64) -> Option<i64> {
        match self.node.value {
            Node::Integer(number) if (least..=most).contains(&number) => Some(number),
            Node::Integer(_) => {
                let what = format!("`{}` has to be from {least} to {most}", self.name);
                self.problems.add(self.at(), what);
                None
            }
            _ => self.expected("a whole number"),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.node.value {
            Node::Boolean(boolean) => Some(boolean),
            _ => self.expected("true or false"),
        }
    }

    /// Whether it is the number 0.
    pub(super) fn is_zero(&self) -> bool {
        matches!(self.node.value, Node::Integer(0))
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.node.value, Node::Table(_))
    }

    /// A table, whose keys are all different.
    pub(super) fn table(self) -> Option<Table<'y>> {
        let Node::Table(entries) = &self.node.value else {
            return self.expected("a table");
        };
        let mut seen = BTreeSet::new();
        for (key, _) in entries {
            if !seen.insert(key.value.as_str()) {
                self.problems.add_with(
                    place(self.file, key.referenced),
                    format!("`{}` is there twice", shown(&key.value)),
                    "leave one of them out",
                );
            }
        }
        Some(self.with_entries(entries))
    }

    fn with_entries(self, entries: &'y [(Spanned<String>, Spanned<Node>)]) -> Table<'y> {
        let at = self.at();
        let Value { file, name, problems, .. } = self;
        Table { file, entries, name, at, asked: BTreeSet::new(), problems }
    }

    fn expected<T>(&self, wanted: &str) -> Option<T> {
        let name = if self.name.is_empty() { "the file" } else { &self.name };
        let is = match self.node.value {
            Node::Nothing => "empty",
            Node::Boolean(_) => "true or false",
            Node::Integer(_) => "a whole number",
            Node::Number => "a number",
            Node::Text(_) => "a text",
            Node::List(_) => "a list",
            Node::Table(_) => "a table",
        };
        self.problems.add(self.at(), format!("`{name}` has to be {wanted}, but is {is}"));
        None
    }
}

fn place(file: &Arc<str>, at: Location) -> Place {
    let number = |of: u64| u32::try_from(of).unwrap_or(u32::MAX);
    Place { file: Arc::clone(file), line: number(at.line()), column: number(at.column()) }
}

/// A key in a message: one line, of bounded length.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProblemList;

    #[test]
    fn everything_that_is_wrong_has_its_place_and_shows_no_value() {
        let text = "a: 1\nb:\n  c: secret\n  d: [x, 2, {y: z}]\n  e: ''\n  colour9: no\nb: 2\n";
        let problems = Problems::default();
        let document = Document::parse("w.yml", text, &problems).expect("it is YAML");
        let mut table = document.table(&problems).expect("a table");
        assert_eq!(table.optional("a").and_then(|value| value.integer(0, 1)), Some(1));
        let mut inner = table.table("b").expect("a table");
        assert!(inner.optional("c").and_then(|value| value.integer(0, 9)).is_none());
        let texts = inner.optional("d").map(|value| value.texts()).unwrap_or_default();
        assert_eq!(texts.iter().map(|(text, _)| *text).collect::<Vec<_>>(), ["x"]);
        assert!(inner.optional("e").and_then(|value| value.text()).is_none());
        assert!(inner.optional("colour").is_none());
        inner.finish();
        assert_eq!(
            ProblemList::from(problems).to_string(),
            "w.yml:3:6: `b.c` has to be a whole number, but is a text\n\
             w.yml:4:10: `b.d` has to be a text in quotes, but is a whole number\n\
             w.yml:4:13: `b.d` has to be a text, but is a table\n\
             w.yml:5:6: `b.e` is empty\n  help: fill it in, or leave it out\n\
             w.yml:6:3: unknown key `colour9` in `b`\n  help: did you mean `colour`?\n\
             w.yml:7:1: `b` is there twice\n  help: leave one of them out\n6 problems"
        );
    }

    #[test]
    fn what_is_no_yaml_is_told_without_its_words() {
        let problems = Problems::default();
        assert!(Document::parse("w.yml", "a: [never-shown\nb: c", &problems).is_none());
        let told = ProblemList::from(problems).to_string();
        assert!(told.starts_with("w.yml:") && !told.contains("never-shown"), "{told}");
    }
}
