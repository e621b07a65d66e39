//! Names of metrics that would collide.

use std::collections::BTreeMap;

use super::declared::Declared;
use crate::catalog::{FAMILIES, kpi_family, measure_family};
use crate::kpi::{KpiSpec, MeasureSpec};

/// Notes each KPI and measure whose family is named as another one already is.
pub(super) fn check(
    measures: (&[Declared<'_>], &[Option<MeasureSpec>]),
    kpis: (&[Declared<'_>], &[Option<KpiSpec>]),
) {
    // OpenMetrics describes a counter without the suffix of its samples, so that name is
    // taken too.
    let mut taken: BTreeMap<String, String> = FAMILIES
        .iter()
        .flat_map(|family| [family.name, family.described_name()])
        .map(|name| (name.to_owned(), "a metric of Tidegauge itself".to_owned()))
        .collect();
    let measures = measures.0.iter().zip(measures.1).filter_map(|(declared, spec)| {
        let spec = spec.as_ref()?;
        Some((declared, measure_family(spec), format!("the measure `{}`", spec.id)))
    });
    let kpis = kpis.0.iter().zip(kpis.1).filter_map(|(declared, spec)| {
        let spec = spec.as_ref()?;
        Some((declared, kpi_family(spec), format!("the KPI `{}`", spec.id)))
    });
    for (declared, family, who) in measures.chain(kpis) {
        match taken.get(&family) {
            Some(other) => declared.problems().add_with(
                declared.key.at.clone(),
                format!("{who} would be exported as `{family}`, which is {other}"),
                "choose another name",
            ),
            None => {
                taken.insert(family, who);
            }
        }
    }
}
