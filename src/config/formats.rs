//! The known formats: those that the binary carries, and mapping files of the user.

use super::problem::Problems;
use super::reader::{Context, Table};

/// Placeholder until mapping files are read: a format by its name.
#[derive(Debug, Clone, PartialEq)]
pub struct FormatSpec {
    /// Its name.
    pub name: String,
}

/// Placeholder until formats are read: what a record may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// How deep lists and objects may nest.
    pub depth: usize,
    /// Values in all lists together.
    pub elements: usize,
    /// Bytes of one text that an event uses.
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { record_bytes: 1 << 20, depth: 64, elements: 100_000, text_bytes: 64 << 10 }
    }
}

const SHIPPED: [&str; 8] =
    ["amazon_ses", "canonical", "cloudevents", "ga4_mp", "mailgun", "meta", "segment", "sendgrid"];

/// The formats that the binary carries, in order of names.
pub fn shipped_formats() -> Vec<FormatSpec> {
    SHIPPED.iter().map(|name| FormatSpec { name: (*name).to_owned() }).collect()
}

/// Whether a file maps records to events.
pub(super) fn is_mapping(table: &Table<'_>) -> bool {
    table.has("fields") || table.has("variants")
}

/// The formats of one configuration.
pub(super) struct Mappings {
    specs: Vec<FormatSpec>,
}

impl Mappings {
    /// The shipped ones.
    pub(super) fn shipped(_context: &Context<'_>) -> Self {
        Mappings { specs: shipped_formats() }
    }

    /// Adds one of the user's.
    pub(super) fn add(&mut self, table: Table<'_>) {
        table.finish();
    }

    /// All of them, in order of names.
    pub(super) fn finish(self, _problems: &Problems) -> Vec<FormatSpec> {
        self.specs
    }
}
