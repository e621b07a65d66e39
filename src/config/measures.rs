//! `[measures.NAME]`: what is aggregated.
//!
//! ```toml
//! [measures.converters]
//! help = "People who did a wanted action."
//! aggregate = "distinct"         # count, sum, mean, last, distinct
//! of = "user"                    # distinct: a field; sum, mean, last: "count" or "value"
//! # currency = "EUR"             # with `of = "value"`
//! # max_age = "7d"               # with last; default: the longest window
//! types = ["web.converted"]
//! where = { goal = ["demo", "trial"], machine = { not = "true" }, link = { present = true } }
//! unit = "people"
//! ```

use super::declared::{Declared, valid_id};
use super::did_you_mean;
use super::reader::{Table, Value, shown};
use super::units;
use crate::event::{CANONICAL_TYPES, Currency, Field, Span, TypeId, Vocabulary};
use crate::kpi::{AggregateSpec, Amount, Filter, FilterTest, MeasureSpec, Unit};

/// What all measures of a configuration share.
pub(super) struct MeasureReader<'a> {
    /// The known types; those that measures ask for are added.
    pub(super) vocabulary: Vocabulary,
    /// Types that are meant as they are written.
    pub(super) own_types: &'a [String],
    /// How long a level stays valid unless its measure says otherwise.
    pub(super) longest_window: Span,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Count,
    Sum,
    Mean,
    Last,
    Distinct,
}

const KINDS: [(&str, Kind); 5] = [
    ("count", Kind::Count),
    ("sum", Kind::Sum),
    ("mean", Kind::Mean),
    ("last", Kind::Last),
    ("distinct", Kind::Distinct),
];

impl MeasureReader<'_> {
    /// Reads one measure; `None` after noting why not.
    pub(super) fn read(&mut self, declared: &Declared<'_>) -> Option<MeasureSpec> {
        let mut table = declared.table()?;
        let before = table.problems().len();
        valid_id(declared, "a measure");
        table.optional("replace");
        let help = help(&mut table, &declared.key.name);
        let kind = table.required("aggregate").and_then(|value| value.one_of(&KINDS));
        let types = self.types(&mut table, kind);
        let filters = table.table("where").map(filters).unwrap_or_default();
        let unit_value = table.optional("unit");
        let unit = unit_value.as_ref().and_then(units::read);
        let aggregate = match kind {
            Some(kind) => self.aggregate(kind, &mut table),
            None => {
                // Which of these are wanted depends on the aggregate.
                for key in ["of", "currency", "max_age"] {
                    table.optional(key);
                }
                None
            }
        };
        if let (Some(aggregate), Some(unit), Some(value)) = (&aggregate, &unit, &unit_value) {
            unit_fits(aggregate, unit, value);
        }
        let unit = unit.or_else(|| {
            let unit = aggregate.as_ref().and_then(default_unit);
            if unit.is_none() && aggregate.is_some() && unit_value.is_none() {
                table.required("unit");
            }
            unit
        });
        let sound = table.problems().len() == before;
        table.finish();
        sound.then_some(())?;
        let (aggregate, unit) = (aggregate?, unit?);
        Some(MeasureSpec { id: declared.key.name.clone(), help, aggregate, types, filters, unit })
    }

    /// Reads `signed_types`, once all measures are read: only what one of them asks for,
    /// or what is canonical, is a type.
    pub(super) fn allow_negative(&mut self, list: &Value<'_>) {
        for value in list.one_or_more() {
            let Some(name) = value.text() else { continue };
            match self.vocabulary.get(&name) {
                Some(id) => self.vocabulary.allow_negative(id),
                None => value.problem_maybe(
                    format!("no event type is called `{}`", shown(&name)),
                    did_you_mean(&name, self.vocabulary.names()).or_else(|| {
                        Some(
                            "a type of your own is one as soon as a measure asks for it".to_owned(),
                        )
                    }),
                ),
            }
        }
    }

    fn aggregate(&self, kind: Kind, table: &mut Table<'_>) -> Option<AggregateSpec> {
        if kind == Kind::Count {
            return Some(AggregateSpec::Count);
        }
        if kind == Kind::Distinct {
            let value = table.required("of")?;
            let name = value.name_text()?;
            return Some(AggregateSpec::Distinct(Field::from_name(&name)));
        }
        let max_age = if kind == Kind::Last { table.optional("max_age") } else { None };
        let amount = amount(table, kind)?;
        Some(match kind {
            Kind::Sum => AggregateSpec::Sum(amount),
            Kind::Mean => AggregateSpec::Mean(amount),
            _ => {
                let max_age = match max_age {
                    Some(value) => positive(&value)?,
                    None => self.longest_window,
                };
                AggregateSpec::Last { amount, max_age }
            }
        })
    }

    fn types(&mut self, table: &mut Table<'_>, kind: Option<Kind>) -> Vec<TypeId> {
        let Some(list) = table.required("types") else { return Vec::new() };
        let values = list.one_or_more();
        if values.is_empty() {
            list.problem("a measure has at least one event type");
        }
        let mut types = Vec::new();
        for value in values {
            let Some(name) = value.text() else { continue };
            let Some(id) = self.type_id(&name, &value) else { continue };
            let adds = matches!(kind, Some(Kind::Count | Kind::Sum | Kind::Mean));
            if adds && self.vocabulary.is_total(id) {
                value.problem_with(
                    format!("`{name}` restates a total, which cannot be added up"),
                    "read it with `aggregate = \"last\"`",
                );
            } else if types.contains(&id) {
                value.problem(format!("`{name}` is there twice"));
            } else {
                types.push(id);
            }
        }
        types
    }

    fn type_id(&mut self, name: &str, value: &Value<'_>) -> Option<TypeId> {
        if self.vocabulary.get(name).is_none() && !self.own_types.iter().any(|own| own == name) {
            // A type that nobody sends would make a measure that is silent for ever.
            let near = CANONICAL_TYPES
                .iter()
                .map(|(known, _)| *known)
                .find(|known| strsim::damerau_levenshtein(name, known) <= 2);
            if let Some(near) = near {
                value.problem_with(
                    format!("no event type is called `{}`", shown(name)),
                    format!(
                        "did you mean `{near}`? A type of your own formats is named in `own_types`"
                    ),
                );
                return None;
            }
        }
        let id = self.vocabulary.add(name);
        if id.is_none() {
            value.problem_maybe(
                format!("`{}` cannot be an event type", shown(name)),
                did_you_mean(name, CANONICAL_TYPES.iter().map(|(known, _)| *known)).or_else(|| {
                    Some("a type reads `<domain>.<name>` in lower-case letters, digits and underscores".to_owned())
                }),
            );
        }
        id
    }
}

/// A sentence for people; the name in words where there is none.
pub(super) fn help(table: &mut Table<'_>, name: &str) -> String {
    match table.optional("help").and_then(|value| value.name_text()) {
        Some(help) => help.trim().to_owned(),
        None => {
            let words = name.replace('_', " ");
            let mut letters = words.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters).chain(['.']).collect()
        }
    }
}

fn positive(value: &Value<'_>) -> Option<Span> {
    let span = value.duration()?;
    if span == Span::ZERO {
        value.problem(format!("`{}` has to be more than nothing", value.name()));
        return None;
    }
    Some(span)
}

/// What is added up, averaged or remembered; of a level the count unless it says
/// otherwise.
fn amount(table: &mut Table<'_>, kind: Kind) -> Option<Amount> {
    let of = if kind == Kind::Last { table.optional("of") } else { table.required("of") };
    let is_value = match of {
        Some(value) => value.one_of(&[("count", false), ("value", true)]),
        None if kind == Kind::Last => Some(false),
        None => None,
    };
    if is_value != Some(true) {
        // Whether a currency is wanted cannot be told when `of` is wrong.
        if is_value.is_none() {
            table.optional("currency");
        }
        return is_value.map(|_| Amount::Count);
    }
    let value = table.required("currency")?;
    let code = value.text()?;
    let currency = Currency::parse(&code);
    if currency.is_none() {
        value.problem_with(
            format!("`{}` is no currency", shown(&code)),
            "a currency is an ISO 4217 code such as \"EUR\"",
        );
    }
    currency.map(Amount::Value)
}

fn amount_of(aggregate: &AggregateSpec) -> Option<Amount> {
    match aggregate {
        AggregateSpec::Sum(amount)
        | AggregateSpec::Mean(amount)
        | AggregateSpec::Last { amount, .. } => Some(*amount),
        AggregateSpec::Count | AggregateSpec::Distinct(_) => None,
    }
}

fn default_unit(aggregate: &AggregateSpec) -> Option<Unit> {
    match (aggregate, amount_of(aggregate)) {
        (_, Some(Amount::Value(currency))) => Some(Unit::Money(currency)),
        (AggregateSpec::Count, _) => Some(Unit::Of("events".to_owned())),
        (AggregateSpec::Distinct(Field::User), _) => Some(Unit::Of("people".to_owned())),
        (AggregateSpec::Distinct(_), _) => Some(Unit::Of("values".to_owned())),
        _ => None,
    }
}

fn unit_fits(aggregate: &AggregateSpec, unit: &Unit, value: &Value<'_>) {
    let money = match amount_of(aggregate) {
        Some(Amount::Value(currency)) => Some(currency),
        _ => None,
    };
    match (money, unit) {
        (Some(currency), Unit::Money(other)) if *other == currency => {}
        (Some(currency), _) => value.problem_with(
            format!("the unit of an amount of {currency} is `{currency}`"),
            "leave `unit` out",
        ),
        (None, Unit::Money(_)) => {
            value.problem_with(
                "what is counted is no money",
                "money is `of = \"value\"` with a `currency`",
            );
        }
        (None, Unit::Ratio)
            if matches!(aggregate, AggregateSpec::Count | AggregateSpec::Distinct(_)) =>
        {
            value.problem("a count is no ratio");
        }
        (None, _) => {}
    }
}

fn filters(mut table: Table<'_>) -> Vec<Filter> {
    table
        .entries()
        .into_iter()
        .filter_map(|(key, value)| {
            let field = Field::from_name(&key.name);
            if field.is_personal() {
                value.problem_with(
                    format!("`{}` names people, and no measure asks for one of them", key.name),
                    "count people with `aggregate = \"distinct\"`",
                );
                return None;
            }
            Some(Filter { field, test: test(value)? })
        })
        .collect()
}

fn test(value: Value<'_>) -> Option<FilterTest> {
    if !value.is_table() {
        return wanted(&value).map(FilterTest::In);
    }
    let name = value.name().to_owned();
    let at = value.at();
    let mut table = value.table()?;
    let not = table.optional("not");
    let present = table.optional("present");
    let problems = table.problems();
    let test = match (not, present) {
        (Some(not), None) => wanted(&not).map(FilterTest::NotIn),
        (None, Some(present)) => present.boolean().map(FilterTest::Present),
        (Some(_), Some(_)) => {
            problems.add(at, format!("`{name}` has either `not` or `present`"));
            None
        }
        (None, None) => {
            problems.add_with(
                at,
                format!("`{name}` says nothing of the field"),
                "write a value, a list of values, { not = ... } or { present = true }",
            );
            None
        }
    };
    table.finish();
    test
}

/// The texts that a filter compares with; numbers and booleans as events write them.
fn wanted(value: &Value<'_>) -> Option<Vec<String>> {
    let values = value.one_or_more();
    if values.is_empty() {
        value.problem("an empty list matches nothing");
        return None;
    }
    values.iter().map(Value::scalar_text).collect()
}
