//! Which event types a mapping can give, as far as can be told without a record.

use super::spec::{Action, FormatSpec, From, Mapped, Otherwise, Source};

impl FormatSpec {
    /// Whether some record may become an event of that type. Where the type is a text of
    /// the record as it stands, any may; conditions are taken to hold. Cost: a look at
    /// every source of a type.
    pub fn can_give(&self, kind: &str) -> bool {
        self.variants.iter().any(|variant| match &variant.action {
            Action::Read { fields, .. } => any(&fields.kind, kind),
            Action::Ignore | Action::Reject(_) => false,
        })
    }
}

fn any(sources: &[Source], kind: &str) -> bool {
    sources.iter().any(|source| gives(source, kind))
}

fn gives(source: &Source, kind: &str) -> bool {
    match &source.map {
        Some(map) => {
            map.values.iter().any(|(_, mapped)| becomes(mapped, kind))
                || match &map.otherwise {
                    Otherwise::Nothing => false,
                    Otherwise::Keep => stands(source, kind),
                    Otherwise::Mapped(mapped) => becomes(mapped, kind),
                }
        }
        None => stands(source, kind),
    }
}

fn becomes(mapped: &Mapped, kind: &str) -> bool {
    match mapped {
        Mapped::Text(text) => text == kind,
        Mapped::Sources(sources) => any(sources, kind),
    }
}

fn stands(source: &Source, kind: &str) -> bool {
    let as_it_is = source.before.is_none() && source.trim.is_none();
    match &source.from {
        From::Constant(text) if as_it_is => text == kind,
        _ => true,
    }
}
