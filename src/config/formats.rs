//! The known formats: those that the binary carries, and mapping files of the user.

use super::catalogue::Shipped;
use super::format::read_format;
use super::problem::{Place, Problems};
use super::reader::{Context, Document, Table, shown};
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
    pub(super) fn shipped() -> Self {
        Mappings { specs: shipped_formats(), own: Vec::new() }
    }

    /// Adds one of the user's; one of a shipped name needs `replace = true`.
    pub(super) fn add(&mut self, mut table: Table<'_>) {
        let problems = table.problems();
        let replaces = table.optional("replace").and_then(|value| value.boolean()) == Some(true);
        let named = table.optional("name").and_then(|value| Some((value.text()?, value.at())));
        let spec = read_format(table);
        // Without a name, that is what is wrong with it.
        let Some((name, at)) = named else { return };
        let shipped = self.specs.iter().position(|known| known.name == name);
        if let Some((_, first)) = self.own.iter().find(|(known, _)| *known == name) {
            problems.add_with(
                at,
                format!("the format `{}` is declared twice", shown(&name)),
                format!("the first is at {first}"),
            );
            return;
        }
        match (shipped, replaces) {
            (Some(_), false) => problems.add_with(
                at.clone(),
                format!("a format `{name}` is shipped already"),
                "choose another name, or put `replace = true` here",
            ),
            (None, true) => problems.add_with(
                at.clone(),
                format!("there is no shipped format `{}` to replace", shown(&name)),
                "leave `replace` out",
            ),
            (Some(shipped), true) => {
                self.specs.remove(shipped);
            }
            (None, false) => {}
        }
        self.own.push((name, at));
        self.specs.extend(spec);
    }

    /// The names of all that are declared, those with mistakes included: a topic
    /// bound to such a one is no further mistake.
    pub(super) fn names(&self) -> Vec<String> {
        let own = self.own.iter().map(|(name, _)| name.clone());
        own.chain(self.specs.iter().map(|spec| spec.name.clone())).collect()
    }

    /// All of them, in order of names.
    pub(super) fn finish(mut self) -> Vec<FormatSpec> {
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
