//! What the changes were written for: slices by their fields, measures by what they
//! compute. Names are there for messages, and to tell equals apart.

use std::fmt::Write;
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher24;

use super::{Damaged, Kept};
use crate::event::{Field, Vocabulary};
use crate::kpi::plan::Plan;
use crate::kpi::{AggregateSpec, Amount, FilterTest, MeasureSpec};

/// The declarations, as far as state depends on them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Schema {
    measures: Vec<Named>,
    slices: Vec<(Named, Vec<u16>)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Named {
    fingerprint: u64,
    name: String,
}

/// Where what was written belongs now.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    /// By slice as written.
    pub(super) slices: Vec<Option<MappedSlice>>,
    /// By measure as written: the measure now.
    pub(super) measures: Vec<Option<usize>>,
    /// Nothing has another place.
    pub(super) unchanged: bool,
}

/// Where what was written of a slice belongs now.
#[derive(Debug)]
pub(super) struct MappedSlice {
    pub(super) slice: usize,
    /// By column as written: the column now.
    pub(super) columns: Vec<Option<u16>>,
}

impl Schema {
    pub(super) fn of(plan: &Plan) -> Self {
        let declarations = plan.declarations();
        let measures = declarations.measures.iter().map(|measure| Named {
            fingerprint: fingerprint(&measure_text(measure, &declarations.vocabulary)),
            name: measure.id.clone(),
        });
        let slices = declarations.slices.iter().zip(&plan.slices).map(|(spec, plan)| {
            let fields: Vec<&str> = spec.fields.iter().map(Field::name).collect();
            let named =
                Named { fingerprint: fingerprint(&format!("{fields:?}")), name: spec.name.clone() };
            (named, plan.columns.iter().map(|column| column.measure as u16).collect())
        });
        Schema { measures: measures.collect(), slices: slices.collect() }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Damaged> {
        let damaged = |why: String| Damaged { at: "schema".to_owned(), why };
        let schema: Schema =
            postcard::from_bytes(bytes).map_err(|error| damaged(error.to_string()))?;
        let known = |column: &u16| usize::from(*column) < schema.measures.len();
        if !schema.slices.iter().all(|(_, columns)| columns.iter().all(known)) {
            return Err(damaged("a slice has a measure that there is not".to_owned()));
        }
        Ok(schema)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a schema can be written")
    }

    /// Where everything belongs in `plan`.
    pub(super) fn map(&self, plan: &Plan) -> Mapping {
        let now = Schema::of(plan);
        let unchanged = now.bytes() == self.bytes();
        let measures = pairs(&self.measures, &now.measures);
        let names = |schema: &Schema| -> Vec<Named> {
            schema.slices.iter().map(|(named, _)| named.again()).collect()
        };
        let slices = pairs(&names(self), &names(&now));
        let slices = slices.iter().zip(&self.slices).map(|(slice, (_, columns))| {
            let slice = (*slice)?;
            let column_of = &plan.slices[slice].column_of;
            let column = |measure: &u16| column_of[measures[usize::from(*measure)]?];
            Some(MappedSlice { slice, columns: columns.iter().map(column).collect() })
        });
        Mapping { slices: slices.collect(), measures: measures.clone(), unchanged }
    }

    /// What becomes of it.
    pub(super) fn kept(&self, mapping: &Mapping, plan: &Plan) -> Kept {
        let mut kept = Kept::default();
        let mut found: Vec<Vec<bool>> =
            plan.slices.iter().map(|slice| vec![false; slice.columns.len()]).collect();
        for ((named, columns), mapped) in self.slices.iter().zip(&mapping.slices) {
            for (at, measure) in columns.iter().enumerate() {
                match mapped.as_ref().and_then(|to| Some((to.slice, to.columns[at]?))) {
                    Some((slice, column)) => {
                        found[slice][usize::from(column)] = true;
                        kept.kept += 1;
                    }
                    None => {
                        let measure = self.measures[usize::from(*measure)].name.clone();
                        kept.dropped.push((named.name.clone(), measure));
                    }
                }
            }
        }
        for (slice, found) in found.iter().enumerate() {
            let missing = found.iter().enumerate().filter(|(_, found)| !**found);
            kept.new.extend(
                missing.map(|(column, _)| (slice, plan.slices[slice].columns[column].measure)),
            );
        }
        kept
    }
}

/// The names in what [`crate::kpi::Store::schema`] gave: of each slice, and of the
/// measures that are held of it.
///
/// # Errors
/// Bytes that are no schema.
pub fn names_of_schema(schema: &[u8]) -> Result<Vec<(String, Vec<String>)>, Damaged> {
    let schema = Schema::parse(schema)?;
    let slices = schema.slices.iter().map(|(slice, columns)| {
        let measure = |column: &u16| schema.measures[usize::from(*column)].name.clone();
        (slice.name.clone(), columns.iter().map(measure).collect())
    });
    Ok(slices.collect())
}

impl Named {
    fn again(&self) -> Named {
        Named { fingerprint: self.fingerprint, name: self.name.clone() }
    }
}

/// For each of `old` its equal among `new`, each of which is taken once: of several
/// the one of the same name first.
fn pairs(old: &[Named], new: &[Named]) -> Vec<Option<usize>> {
    let mut taken = vec![false; new.len()];
    let mut found = vec![None; old.len()];
    for by_name in [true, false] {
        for (found, old) in found.iter_mut().zip(old).filter(|(found, _)| found.is_none()) {
            *found = (0..new.len()).find(|&at| {
                !taken[at]
                    && new[at].fingerprint == old.fingerprint
                    && (!by_name || new[at].name == old.name)
            });
            found.iter().for_each(|at| taken[*at] = true);
        }
    }
    found
}

/// SipHash-2-4 under a fixed key: equal on every machine and for every compiler.
fn fingerprint(text: &str) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(0x7469_6465, 0x6365_6C6C);
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// All of a measure that its figures depend on.
fn measure_text(measure: &MeasureSpec, vocabulary: &Vocabulary) -> String {
    let amount = |amount: &Amount| match amount {
        Amount::Count => "count".to_owned(),
        Amount::Value(currency) => format!("value {}", currency.code()),
    };
    let mut text = match &measure.aggregate {
        AggregateSpec::Count => "count".to_owned(),
        AggregateSpec::Sum(of) => format!("sum {}", amount(of)),
        AggregateSpec::Mean(of) => format!("mean {}", amount(of)),
        AggregateSpec::Last { amount: of, max_age } => {
            format!("last {} {}", amount(of), max_age.micros())
        }
        AggregateSpec::Distinct(field) => format!("distinct {:?}", field.name()),
    };
    let mut types: Vec<&str> = measure.types.iter().map(|id| vocabulary.name(*id)).collect();
    types.sort_unstable();
    types.dedup();
    // Writing to a string cannot fail.
    let _ = write!(text, " of {types:?}");
    let filters = measure.filters.iter().map(|filter| {
        let name = filter.field.name();
        let listed = |values: &Vec<String>| {
            let mut values = values.clone();
            values.sort_unstable();
            values.dedup();
            values
        };
        match &filter.test {
            FilterTest::In(values) => format!("{name:?} in {:?}", listed(values)),
            FilterTest::NotIn(values) => format!("{name:?} not in {:?}", listed(values)),
            FilterTest::Present(present) => format!("{name:?} present {present}"),
        }
    });
    let mut filters: Vec<String> = filters.collect();
    filters.sort_unstable();
    let _ = write!(text, " where {filters:?}");
    text
}
