//! Declarations made ready for the way of every event: which measures a type
//! touches, and which column of which slice each measure is.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::aggregate::HashKey;
use crate::event::{Event, Field, Span};
use crate::kpi::evaluate::Operand;
use crate::kpi::{AggregateSpec, Declarations, Filter, FilterTest, KpiIndex, MeasureIndex};

/// The declarations, compiled. Shared by the decoders and the [`super::Store`].
#[derive(Debug)]
pub struct Plan {
    declarations: Arc<Declarations>,
    pub(super) key: HashKey,
    /// Of the fingerprints by which copies are told; `None` where every copy counts.
    pub(super) id_key: Option<HashKey>,
    /// Seeds the hash of slice values, so that nobody can make them collide.
    pub(super) value_seed: u64,
    /// By type: the measures that some slice uses.
    pub(super) measures_of_type: Vec<Vec<MeasureIndex>>,
    pub(super) slices: Vec<SlicePlan>,
}

/// One slice of the plan.
#[derive(Debug)]
pub(super) struct SlicePlan {
    pub(super) fields: Vec<Field>,
    /// As [`Declarations::measures_of_slice`].
    pub(super) columns: Vec<Column>,
    /// By measure: its column.
    pub(super) column_of: Vec<Option<u16>>,
    /// As [`Declarations::kpis_of_slice`].
    pub(super) kpis: Vec<KpiIndex>,
    /// By place in `kpis`: the columns that the figure and its sample rest on.
    pub(super) columns_of_kpi: Vec<Vec<u16>>,
    pub(super) key: HashKey,
    pub(super) value_seed: u64,
}

/// One measure in a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) measure: MeasureIndex,
    pub(super) kind: ColumnKind,
}

/// What a cell of a column keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Amounts,
    Mean,
    Last { max_age: Span },
    Distinct,
}

impl ColumnKind {
    fn of(aggregate: &AggregateSpec) -> Self {
        match aggregate {
            AggregateSpec::Count | AggregateSpec::Sum(_) => ColumnKind::Amounts,
            AggregateSpec::Mean(_) => ColumnKind::Mean,
            AggregateSpec::Last { max_age, .. } => ColumnKind::Last { max_age: *max_age },
            AggregateSpec::Distinct(_) => ColumnKind::Distinct,
        }
    }

    /// What a window without data says: nothing of a sum is 0, of a level it is not.
    pub(super) fn nothing(self) -> Operand {
        match self {
            ColumnKind::Amounts | ColumnKind::Distinct => Operand::Nothing,
            ColumnKind::Mean | ColumnKind::Last { .. } => Operand::Absent,
        }
    }
}

impl Plan {
    /// Compiles the declarations; `key` hashes users and ids.
    pub fn new(declarations: Arc<Declarations>, key: HashKey) -> Plan {
        let slices: Vec<SlicePlan> = (0..declarations.slices.len())
            .map(|slice| SlicePlan::new(&declarations, slice, key))
            .collect();
        let mut measures_of_type = vec![Vec::new(); declarations.vocabulary.len()];
        for (index, measure) in declarations.measures.iter().enumerate() {
            if slices.iter().all(|slice| slice.column_of[index].is_none()) {
                continue;
            }
            let types: BTreeSet<usize> = measure.types.iter().map(|id| id.index()).collect();
            types.into_iter().for_each(|id| measures_of_type[id].push(index));
        }
        let value_seed = value_seed(&key);
        let id_key = Some(key.derived("event ids"));
        Plan { declarations, key, id_key, value_seed, measures_of_type, slices }
    }

    /// Makes no fingerprints of events: every copy counts.
    pub fn counting_copies(self) -> Plan {
        Plan { id_key: None, ..self }
    }

    /// What it was made from.
    pub fn declarations(&self) -> &Declarations {
        &self.declarations
    }

    /// Equal for equal hash keys; says nothing of the key.
    pub fn key_check(&self) -> u64 {
        self.key.hash("check of the key")
    }

    /// The attributes that filters, slices or distinct counts ask for: a decoder
    /// need not collect any other.
    pub fn wanted_attributes(&self) -> BTreeSet<String> {
        let measures = self.declarations.measures.iter();
        let of_measures = measures.flat_map(|measure| {
            let counted = match &measure.aggregate {
                AggregateSpec::Distinct(field) => Some(field),
                _ => None,
            };
            measure.filters.iter().map(|filter| &filter.field).chain(counted)
        });
        let of_slices = self.declarations.slices.iter().flat_map(|slice| &slice.fields);
        of_measures
            .chain(of_slices)
            .filter_map(|field| match field {
                Field::Attribute(name) => Some(name.clone()),
                _ => None,
            })
            .collect()
    }
}

impl SlicePlan {
    fn new(declarations: &Declarations, slice: usize, key: HashKey) -> Self {
        let measures = declarations.measures_of_slice(slice);
        let mut column_of = vec![None; declarations.measures.len()];
        for (column, &measure) in measures.iter().enumerate() {
            column_of[measure] = u16::try_from(column).ok();
        }
        let columns = measures
            .into_iter()
            .map(|measure| Column {
                measure,
                kind: ColumnKind::of(&declarations.measures[measure].aggregate),
            })
            .collect();
        let kpis = declarations.kpis_of_slice(slice);
        let columns_of_kpi = kpis.iter().map(|&kpi| {
            let kpi = &declarations.kpis[kpi];
            let sample = kpi.sample.iter().flat_map(|sample| sample.of.measures());
            let measures = kpi.formula.measures().into_iter().chain(sample);
            measures.filter_map(|measure| column_of[measure]).collect()
        });
        SlicePlan {
            fields: declarations.slices[slice].fields.clone(),
            columns,
            columns_of_kpi: columns_of_kpi.collect(),
            column_of,
            kpis,
            key,
            value_seed: value_seed(&key),
        }
    }

    /// The hash of a value in the tables: fast, and of this version of the program
    /// only.
    pub(super) fn hash_of(&self, key: &str) -> u64 {
        FixedState::with_seed(self.value_seed).hash_one(key)
    }
}

fn value_seed(key: &HashKey) -> u64 {
    key.hash("slice values")
}

/// Whether all the filters let an event through.
pub(super) fn matches(filters: &[Filter], event: &Event<'_>) -> bool {
    filters.iter().all(|filter| {
        let value = filter.field.of(event);
        match &filter.test {
            FilterTest::In(listed) => {
                value.is_some_and(|value| listed.iter().any(|one| one == value))
            }
            FilterTest::NotIn(listed) => {
                value.is_none_or(|value| listed.iter().all(|one| one != value))
            }
            FilterTest::Present(present) => value.is_some() == *present,
        }
    })
}
