//! What files declare under a name, gathered over all files before any of it is
//! read, so that everything declared twice is found and own declarations may
//! replace shipped ones.

use std::collections::BTreeMap;

use super::problem::Problems;
use super::reader::{Key, Table, Value};

/// One declaration: its name, and what stands there.
#[derive(Clone)]
pub(super) struct Declared<'d> {
    pub(super) key: Key,
    value: Value<'d>,
    pub(super) shipped: bool,
}

impl<'d> Declared<'d> {
    /// Its table; `None` after noting that it is none.
    pub(super) fn table(&self) -> Option<Table<'d>> {
        self.value.clone().table()
    }

    fn replaces(&self) -> bool {
        let Some(mut table) = self.value.is_table().then(|| self.table()).flatten() else {
            return false;
        };
        table.optional("replace").and_then(|value| value.boolean()) == Some(true)
    }
}

/// The declarations of one kind from all files: shipped ones first, then own ones
/// in the order of the files.
pub(super) struct Gathered<'d> {
    kind: &'static str,
    all: Vec<Declared<'d>>,
}

impl<'d> Gathered<'d> {
    /// Nothing yet, of a kind such as `measure`.
    pub(super) fn new(kind: &'static str) -> Self {
        Gathered { kind, all: Vec::new() }
    }

    /// Adds what a file declares under `section`.
    pub(super) fn add(&mut self, table: &mut Table<'d>, section: &str, shipped: bool) {
        let entries = table.entries_of(section).into_iter();
        self.all.extend(entries.map(|(key, value)| Declared { key, value, shipped }));
    }

    /// The names of what is shipped.
    pub(super) fn shipped_names(&self) -> Vec<String> {
        let shipped = self.all.iter().filter(|declared| declared.shipped);
        shipped.map(|declared| declared.key.name.clone()).collect()
    }

    /// Leaves shipped declarations out that are not named.
    pub(super) fn keep_shipped(&mut self, names: &[String]) {
        self.all.retain(|declared| !declared.shipped || names.contains(&declared.key.name));
    }

    /// One declaration for each name; what is there twice is noted. A replaced one
    /// keeps its place in the order.
    pub(super) fn distinct(self, problems: &Problems) -> Vec<Declared<'d>> {
        let kind = self.kind;
        let mut distinct: Vec<Declared<'d>> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for declared in self.all {
            let name = declared.key.name.clone();
            let replaces = declared.replaces();
            let Some(&place) = places.get(&name) else {
                if replaces {
                    problems.add_with(
                        declared.key.at.clone(),
                        format!("there is no shipped {kind} `{name}` to replace"),
                        "leave `replace` out",
                    );
                }
                places.insert(name, distinct.len());
                distinct.push(declared);
                continue;
            };
            let first = &distinct[place];
            if first.shipped && replaces {
                distinct[place] = declared;
            } else if first.shipped {
                problems.add_with(
                    declared.key.at.clone(),
                    format!("a {kind} `{name}` is shipped already"),
                    "choose another name, or put `replace = true` here",
                );
            } else {
                problems.add_with(
                    declared.key.at.clone(),
                    format!("the {kind} `{name}` is declared twice"),
                    format!("the first is at {}", first.key.at),
                );
            }
        }
        distinct
    }
}

/// Notes a name that cannot be an id: it becomes a part of metric names.
pub(super) fn valid_id(declared: &Declared<'_>, what: &str) {
    let name = &declared.key.name;
    let valid = name.len() <= 100
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    let problems = declared.problems();
    if !valid {
        problems.add_with(
            declared.key.at.clone(),
            format!("`{}` cannot name {what}", super::reader::shown(name)),
            "a name has lower-case letters, digits and underscores, begins with a letter, and has at most 100 characters",
        );
    }
}

impl<'d> Declared<'d> {
    /// Where mistakes are noted.
    pub(super) fn problems(&self) -> &'d Problems {
        self.value.problems()
    }
}
