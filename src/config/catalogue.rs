//! What the binary carries: the shipped KPIs and slices, and `[catalogue]`, which
//! says what of it is used.
//!
//! They are written in the language that users write in, and nothing in the code
//! knows any of them.

use super::did_you_mean;
use super::problem::Place;
use super::reader::{Table, Value, shown};

/// A shipped file: the name that `[catalogue] kpis` uses, its name in messages, its
/// text.
pub(super) struct Shipped {
    pub(super) name: &'static str,
    pub(super) file: &'static str,
    pub(super) text: &'static str,
}

macro_rules! shipped {
    ($folder:literal: $($name:literal)*) => {
        &[$(Shipped {
            name: $name,
            file: concat!("shipped:", $folder, "/", $name, ".toml"),
            text: include_str!(concat!("../../config/", $folder, "/", $name, ".toml")),
        }),*]
    };
}
pub(super) use shipped;

/// Measures and KPIs, in the order in which they are shown.
pub(super) const KPIS: &[Shipped] = shipped!("kpis": "email" "web" "social");

/// The shipped slices.
pub(super) const SLICES: Shipped = Shipped {
    name: "slices",
    file: "shipped:slices.toml",
    text: include_str!("../../config/slices.toml"),
};

/// What of the shipped catalogue is used.
pub(super) struct Selection {
    /// Indexes into [`KPIS`].
    pub(super) kpis: Vec<usize>,
    /// Where the list of shipped slices stands, their names, and where each stands;
    /// `None` for all.
    pub(super) slices: Option<(Place, Vec<(String, Place)>)>,
}

/// Reads `[catalogue]`; everything where it is absent.
pub(super) fn read(root: &mut Table<'_>) -> Selection {
    let mut selection = Selection { kpis: (0..KPIS.len()).collect(), slices: None };
    let Some(mut table) = root.table("catalogue") else { return selection };
    if let Some(list) = table.optional("kpis") {
        selection.kpis.clear();
        for value in list.one_or_more() {
            let Some(name) = value.text() else { continue };
            match KPIS.iter().position(|shipped| shipped.name == name) {
                Some(index) => selection.kpis.push(index),
                None => value.problem_maybe(
                    format!("no shipped KPIs are called `{}`", shown(&name)),
                    did_you_mean(&name, KPIS.iter().map(|shipped| shipped.name)),
                ),
            }
        }
        selection.kpis.sort_unstable();
        selection.kpis.dedup();
    }
    // Whether each name is one is judged where the shipped slices are known.
    selection.slices = table.optional("slices").map(|list| {
        let named = |value: &Value<'_>| Some((value.text()?, value.at()));
        (list.at(), list.one_or_more().iter().filter_map(named).collect())
    });
    table.finish();
    selection
}
