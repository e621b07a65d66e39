//! The known formats: those that the binary carries, and mapping files of the user.

use super::catalogue::Shipped;
use super::format::read_format;
use super::problem::{Place, Problems};
use super::reader::{Context, Document, Table};
use crate::format::FormatSpec;

/// The mapping files that the binary carries, in order of names.
const SHIPPED: &[Shipped] = super::catalogue::shipped!("formats":
    "amazon_ses" "canonical" "cloudevents" "ga4_mp" "mailgun" "meta" "segment" "sendgrid");

/// The formats that the binary carries, in order of names.
pub fn shipped_formats() -> Vec<FormatSpec> {
    let problems = Problems::default();
    let context = Context { problems: &problems, environment: &|_| None };
    let read = |shipped: &Shipped| {
        read_format(Document::parse(shipped.file, shipped.text, &context).table())
    };
    // A test holds that none of them has a problem.
    SHIPPED.iter().filter_map(read).collect()
}

/// Whether a file maps records to events.
pub(super) fn is_mapping(table: &Table<'_>) -> bool {
    table.has("fields") || table.has("variants")
}

/// The formats of one configuration.
pub(super) struct Mappings {
    specs: Vec<FormatSpec>,
    /// The names that the user's files took, and where.
    own: Vec<(String, Place)>,
}

impl Mappings {
    /// The shipped ones.
    pub(super) fn shipped(_context: &Context<'_>) -> Self {
        Mappings { specs: shipped_formats(), own: Vec::new() }
    }

    /// Adds one of the user's; it replaces a shipped one of the same name.
    pub(super) fn add(&mut self, table: Table<'_>) {
        let (problems, at) = (table.problems(), table.at());
        let Some(spec) = read_format(table) else { return };
        if let Some((_, first)) = self.own.iter().find(|(name, _)| *name == spec.name) {
            let what = format!("the format `{}` is already declared in {}", spec.name, first.file);
            problems.add_with(at, what, "give one of them another `name`");
            return;
        }
        self.own.push((spec.name.clone(), at));
        self.specs.retain(|known| known.name != spec.name);
        self.specs.push(spec);
    }

    /// All of them, in order of names.
    pub(super) fn finish(mut self, _problems: &Problems) -> Vec<FormatSpec> {
        self.specs.sort_by(|one, other| one.name.cmp(&other.name));
        self.specs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_format_is_sound() {
        for shipped in SHIPPED {
            let problems = Problems::default();
            let context = Context { problems: &problems, environment: &|_| None };
            let document = Document::parse(shipped.file, shipped.text, &context);
            let spec = read_format(document.table());
            let shown: Vec<String> =
                problems.into_sorted().iter().map(ToString::to_string).collect();
            assert_eq!(shown, Vec::<String>::new(), "{}", shipped.file);
            assert_eq!(spec.map(|spec| spec.name).as_deref(), Some(shipped.name));
        }
    }
}
