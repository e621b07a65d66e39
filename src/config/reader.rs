//! Typed reading of TOML that notes every problem and goes on.
//!
//! Comes in: the text of one file, and a [`Context`] that all files share. Goes
//! out: values of the wanted types; whatever is wrong is in [`Problems`], with its
//! line and column, and the read answers `None`. Nothing is kept, nothing stops at
//! the first mistake, no input panics.
//!
//! Why not serde: its derive stops at the first mistake, knows no place of a value
//! once it is read, and cannot say "did you mean".
//!
//! ```text
//! let document = Document::parse("a.toml", text, &context);   // syntax errors are noted
//! let mut table = document.table();
//! let name = table.required("name").and_then(|value| value.text());
//! let every = table.optional("every").and_then(|value| value.duration());
//! for (key, value) in table.entries_of("measures") { ... }     // free keys, in file order
//! table.finish();                                               // unread keys are problems
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::{Place, Problems, did_you_mean, parse_duration};
use crate::event::{Decimal, Span};

/// What all files of one configuration share.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// Where mistakes are noted.
    pub problems: &'c Problems,
    /// The value of an environment variable.
    pub environment: &'c dyn Fn(&str) -> Option<String>,
}

/// Where the lines of one file begin.
struct Lines {
    file: Arc<str>,
    starts: Vec<usize>,
}

impl Lines {
    fn new(file: &str, text: &str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(after_newlines.map(|(at, _)| at + 1)).collect();
        Lines { file: file.into(), starts }
    }

    fn text_of_line<'t>(&self, text: &'t str, offset: usize) -> &'t str {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let end = self.starts.get(line).copied().unwrap_or(text.len());
        text.get(self.starts[line - 1]..end).unwrap_or_default()
    }

    fn place(&self, text: &str, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let before = text.get(self.starts[line - 1]..offset).unwrap_or_default();
        let column = before.chars().count() + 1;
        Place { file: self.file.clone(), line: line as u32, column: column as u32 }
    }
}

/// One parsed file.
pub struct Document<'c> {
    context: Context<'c>,
    text: &'c str,
    lines: Lines,
    root: Spanned<DeTable<'c>>,
    whole: bool,
}

impl<'c> Document<'c> {
    /// Parses a file, and notes all of its syntax errors.
    ///
    /// `file` is its name in messages. What could be read can be read on, but see
    /// [`Document::is_whole`].
    pub fn parse(file: &str, text: &'c str, context: &Context<'c>) -> Self {
        let lines = Lines::new(file, text);
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut whole = true;
        let mut told_until = 0;
        for error in errors {
            let span = error.span().unwrap_or(text.len()..text.len());
            let message = error.message().trim();
            if message != "duplicate key" {
                whole = false;
                context.problems.add(lines.place(text, span.start), message.replace('\n', ", "));
                continue;
            }
            // A key that is there twice leaves the rest of the file readable. A table
            // that is there twice gives an error for each of its keys; one will do.
            if span.start < told_until {
                continue;
            }
            if lines.text_of_line(text, span.start).starts_with('[') {
                let after = text.get(span.start..).and_then(|rest| rest.find("\n["));
                told_until = after.map_or(text.len(), |after| span.start + after);
            }
            let key = shown(text.get(span.clone()).unwrap_or_default());
            context.problems.add(lines.place(text, span.start), format!("`{key}` is there twice"));
        }
        Document { context: *context, text, lines, root, whole }
    }

    /// Whether the syntax was sound but for keys that are there twice: of a file
    /// that is not whole, nobody can say what it declares or lacks.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The top level.
    pub fn table(&self) -> Table<'_> {
        Table {
            document: Source { context: self.context, text: self.text, lines: &self.lines },
            table: self.root.get_ref(),
            name: String::new(),
            at: Place { file: self.lines.file.clone(), line: 1, column: 1 },
            asked: BTreeSet::new(),
            all_read: false,
        }
    }
}

#[derive(Clone, Copy)]
struct Source<'d> {
    context: Context<'d>,
    text: &'d str,
    lines: &'d Lines,
}

impl Source<'_> {
    fn place(&self, offset: usize) -> Place {
        self.lines.place(self.text, offset)
    }
}

/// A table, and which of its keys were asked for.
pub struct Table<'d> {
    document: Source<'d>,
    table: &'d DeTable<'d>,
    name: String,
    at: Place,
    asked: BTreeSet<String>,
    all_read: bool,
}

impl<'d> Table<'d> {
    /// Where it begins.
    pub fn at(&self) -> Place {
        self.at.clone()
    }

    /// Its name in messages: `[measures.sent]`, or `the top level`.
    pub fn name(&self) -> String {
        if self.name.is_empty() { "the top level".to_owned() } else { format!("[{}]", self.name) }
    }

    /// Where mistakes are noted.
    pub fn problems(&self) -> &'d Problems {
        self.document.context.problems
    }

    /// Whether the key is there, read or not; does not count as reading it.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of a key, if it is there.
    pub fn optional(&mut self, key: &str) -> Option<Value<'d>> {
        self.asked.insert(key.to_owned());
        let (key, value) = self.table.get_key_value(key)?;
        Some(self.value(key.span().start, key.get_ref(), value))
    }

    /// The value of a key that has to be there: a problem at the table if it is not.
    pub fn required(&mut self, key: &str) -> Option<Value<'d>> {
        let value = self.optional(key);
        if value.is_none() {
            self.problems().add(self.at(), format!("`{key}` is missing in {}", self.name()));
        }
        value
    }

    /// Every key and its value in the order of the file; all count as read.
    pub fn entries(&mut self) -> Vec<(Key, Value<'d>)> {
        self.all_read = true;
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
            .into_iter()
            .map(|(key, value)| {
                let start = key.span().start;
                let named = Key { name: key.get_ref().to_string(), at: self.document.place(start) };
                (named, self.value(start, key.get_ref(), value))
            })
            .collect()
    }

    /// The entries of the table under `key`; none where it is absent or no table.
    pub fn entries_of(&mut self, key: &str) -> Vec<(Key, Value<'d>)> {
        self.table(key).map(|mut table| table.entries()).unwrap_or_default()
    }

    /// The text under `key`, if it is there.
    pub fn text(&mut self, key: &str) -> Option<String> {
        self.optional(key)?.text()
    }

    /// The table under `key`, if it is there.
    pub fn table(&mut self, key: &str) -> Option<Table<'d>> {
        self.optional(key)?.table()
    }

    /// The tables of the list under `key` (`[[key]]`); none where it is absent.
    pub fn tables(&mut self, key: &str) -> Vec<Table<'d>> {
        let list = self.optional(key).and_then(|value| value.list()).unwrap_or_default();
        list.into_iter().filter_map(Value::table).collect()
    }

    /// Ends the reading: each key that nobody asked for is a problem.
    pub fn finish(self) {
        if self.all_read {
            return;
        }
        for (key, _) in self.table {
            if !self.asked.contains(key.get_ref().as_ref()) {
                self.problems().add_maybe(
                    self.document.place(key.span().start),
                    format!("unknown key `{}` in {}", shown(key.get_ref()), self.name()),
                    did_you_mean(key.get_ref(), self.asked.iter().map(String::as_str)),
                );
            }
        }
    }

    fn value(&self, key_start: usize, key: &str, value: &'d Spanned<DeValue<'d>>) -> Value<'d> {
        let name =
            if self.name.is_empty() { shown(key) } else { format!("{}.{}", self.name, shown(key)) };
        Value { document: self.document, value, name, key_start: Some(key_start) }
    }
}

/// A key that the user chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key itself.
    pub name: String,
    /// Where it stands.
    pub at: Place,
}

/// A value of any type, and where it stands. Each typed read answers `None` after
/// noting a problem when the value is of another type.
#[derive(Clone)]
pub struct Value<'d> {
    document: Source<'d>,
    value: &'d Spanned<DeValue<'d>>,
    name: String,
    key_start: Option<usize>,
}

impl<'d> Value<'d> {
    /// Where it stands; for a table its key, so that the place is never the middle
    /// of a header.
    pub fn at(&self) -> Place {
        let start = self.value.span().start;
        self.document.place(match self.value.get_ref() {
            DeValue::Table(_) => self.key_start.unwrap_or(start),
            _ => start,
        })
    }

    /// The place of one character of a text, counted from 0: exact where the text
    /// is written on one line without escapes, else the start of the value.
    pub fn at_character(&self, index: usize) -> Place {
        let mut place = self.at();
        let raw = self.document.text.get(self.value.span()).unwrap_or_default();
        let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
        if self.value.get_ref().as_str() == Some(inner) && !inner.contains('\n') {
            place.column += index as u32 + 1;
        }
        place
    }

    /// Its dotted name in messages: `kpis.open_rate.formula`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where mistakes are noted.
    pub fn problems(&self) -> &'d Problems {
        self.document.context.problems
    }

    /// Notes a problem at this value.
    pub fn problem(&self, what: impl Into<String>) {
        self.document.context.problems.add(self.at(), what);
    }

    /// Notes a problem at this value, and what to do about it.
    pub fn problem_with(&self, what: impl Into<String>, remedy: impl Into<String>) {
        self.document.context.problems.add_with(self.at(), what, remedy);
    }

    /// Notes that this value is allowed and yet worth a warning, and what to do instead.
    pub fn warn(&self, what: impl Into<String>, remedy: impl Into<String>) {
        self.document.context.problems.warn(self.at(), what, remedy);
    }

    /// Notes a problem at this value whose remedy may be known.
    pub fn problem_maybe(&self, what: impl Into<String>, remedy: Option<String>) {
        self.document.context.problems.add_maybe(self.at(), what, remedy);
    }

    /// Whether it is a string.
    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// Whether it is a table.
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// A string, with `${NAME}` replaced from the environment and `$${` by `${`.
    pub fn text(&self) -> Option<String> {
        let raw = self.value.get_ref().as_str().or_else(|| self.expected("a string"))?;
        expand(raw, self.document.context.environment)
            .map_err(|(what, remedy)| self.problem_with(what, remedy))
            .ok()
    }

    /// A string, or a number or boolean as its text.
    pub fn scalar_text(&self) -> Option<String> {
        match self.value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => Some(integer.to_string()),
            DeValue::Float(float) => Some(float.to_string()),
            DeValue::Boolean(boolean) => Some(boolean.to_string()),
            _ => self.text(),
        }
    }

    /// A string that is not empty.
    pub fn name_text(&self) -> Option<String> {
        let text = self.text()?;
        if text.trim().is_empty() {
            self.problem(format!("`{}` is empty", self.name));
            return None;
        }
        Some(text)
    }

    /// A whole number within the bounds, both included.
    pub fn integer(&self, least: i64, most: i64) -> Option<i64> {
        let DeValue::Integer(integer) = self.value.get_ref() else {
            return self.expected("a whole number");
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let within = number.filter(|number| (least..=most).contains(number));
        if within.is_none() {
            self.problem(format!("`{}` has to be from {least} to {most}", self.name));
        }
        within
    }

    /// A finite number, whole or not.
    pub fn float(&self) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok(),
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            _ => return self.expected("a number"),
        };
        let finite = number.filter(|number| number.is_finite());
        if finite.is_none() {
            self.problem(format!("`{}` has to be a finite decimal number", self.name));
        }
        finite
    }

    /// A number without rounding: nine places, at most 10^20.
    pub fn decimal(&self) -> Option<Decimal> {
        let text = match self.value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return self.expected("a number"),
        };
        Decimal::parse(text).map_err(|error| self.problem(format!("`{}` {error}", self.name))).ok()
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        self.value.get_ref().as_bool().or_else(|| self.expected("true or false"))
    }

    /// A length of time: `"30s"`, `"5m"`, `"24h"`, `"7d"`, `"1h30m"`.
    pub fn duration(&self) -> Option<Span> {
        if !self.is_text() {
            return self.expected("a duration such as \"5m\" or \"7d\"");
        }
        let text = self.text()?;
        parse_duration(&text)
            .map_err(|how| {
                self.problem_with(format!("`{}` is no duration", shown(&text)), how);
            })
            .ok()
    }

    /// One of a closed list of names.
    pub fn one_of<T: Copy>(&self, known: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = known.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            self.problem_maybe(
                format!("`{}` cannot be `{}`", self.name, shown(&text)),
                did_you_mean(&text, known.iter().map(|(name, _)| *name)),
            );
        }
        found
    }

    /// A list, of whatever.
    pub fn list(&self) -> Option<Vec<Value<'d>>> {
        match self.value.get_ref() {
            DeValue::Array(array) => Some(self.elements(array)),
            _ => self.expected("a list"),
        }
    }

    /// A list, or one value that stands for a list of one.
    pub fn one_or_more(&self) -> Vec<Value<'d>> {
        match self.value.get_ref() {
            DeValue::Array(array) => self.elements(array),
            _ => vec![self.clone()],
        }
    }

    /// The strings of a list, or of one string; what is none is noted and left out.
    pub fn texts(&self) -> Vec<String> {
        self.one_or_more().iter().filter_map(Value::text).collect()
    }

    /// A table.
    pub fn table(self) -> Option<Table<'d>> {
        let DeValue::Table(table) = self.value.get_ref() else {
            return self.expected("a table");
        };
        let at = self.at();
        Some(Table {
            document: self.document,
            table,
            name: self.name,
            at,
            asked: BTreeSet::new(),
            all_read: false,
        })
    }

    /// Notes that another type was wanted; always `None`.
    pub fn expected<T>(&self, wanted: &str) -> Option<T> {
        let is = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.problem(format!("`{}` has to be {wanted}, but is {is}", self.name));
        None
    }

    fn elements(&self, array: &'d DeArray<'d>) -> Vec<Value<'d>> {
        array
            .iter()
            .map(|value| Value {
                document: self.document,
                value,
                name: self.name.clone(),
                key_start: None,
            })
            .collect()
    }
}

/// A name in a message: one line, of bounded length.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().count() > LONGEST {
        shown.push_str("...");
    }
    // Quotes need no escape between back-ticks.
    shown.replace("\\\"", "\"").replace("\\'", "'")
}

/// Replaces `${NAME}` by the environment's value and `$${` by `${`. The error is
/// what is wrong and what to do; it never tells a value.
fn expand(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, (String, String)> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &from[2..];
            continue;
        }
        expanded.push_str(before);
        let name = from[2..].split_once('}').map(|(name, _)| name).filter(|name| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        let Some(name) = name else {
            return Err((
                "`${` does not begin the name of an environment variable".to_owned(),
                "write `${NAME}`, or `$${` for the characters themselves".to_owned(),
            ));
        };
        let Some(value) = environment(name) else {
            return Err((
                format!("the environment variable `{name}` is not set"),
                "set it, or write `$${` for the characters `${`".to_owned(),
            ));
        };
        expanded.push_str(&value);
        rest = &from[2 + name.len() + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests;
