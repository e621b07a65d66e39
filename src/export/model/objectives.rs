//! The objectives: what is declared of them, and the verdicts.

use super::{Samples, Source, slice_labels};
use crate::catalog;
use crate::export::Site;
use crate::objective::{State, Target, Verdict};

/// What a family says of a verdict.
type Figure = fn(&Verdict) -> Option<f64>;

pub(super) fn visit(source: Source<'_>, sink: &mut dyn FnMut(Samples)) {
    let site = source.site;
    let verdicts = source.report.map_or(&[][..], |report| &report.verdicts);
    states(site, verdicts, sink);
    let figures: [(&catalog::Family, Figure); 4] = [
        (&catalog::OBJECTIVE_VALUE, |verdict| verdict.value),
        (&catalog::OBJECTIVE_SAMPLE, |verdict| verdict.sample),
        (&catalog::OBJECTIVE_ATTAINMENT, |verdict| verdict.attainment),
        (&catalog::OBJECTIVE_REMAINING, |verdict| verdict.remaining),
    ];
    for (family, figure) in figures {
        let mut samples = Samples::of(family);
        for verdict in verdicts {
            samples.add_some(labels(site, verdict), figure(verdict));
        }
        sink(samples);
    }
    declared(site, sink);
}

/// `objective`, `slice`, and the slice's fields.
fn labels<'a>(
    site: &'a Site,
    verdict: &'a Verdict,
) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
    let objective = &site.objectives[verdict.objective];
    let slice: Vec<_> = slice_labels(site, objective.slice, &verdict.values).collect();
    std::iter::once(("objective", objective.id.as_str())).chain(slice)
}

fn states(site: &Site, verdicts: &[Verdict], sink: &mut dyn FnMut(Samples)) {
    let mut states = Samples::of(&catalog::OBJECTIVE_STATE);
    let mut unknown = Samples::of(&catalog::OBJECTIVE_UNKNOWN);
    for verdict in verdicts {
        let labels = labels(site, verdict);
        for state in State::ALL {
            let labels = labels.clone().chain([("state", state.name())]);
            states.add_flag(labels, verdict.state == state);
        }
        if let Some(reason) = verdict.unknown {
            unknown.add(labels.chain([("reason", reason.name())]), 1.0);
        }
    }
    sink(states);
    sink(unknown);
}

fn declared(site: &Site, sink: &mut dyn FnMut(Samples)) {
    let mut target = Samples::of(&catalog::OBJECTIVE_TARGET);
    let mut info = Samples::of(&catalog::OBJECTIVE_INFO);
    for objective in site.objectives.iter() {
        let (min, max) = match objective.target {
            Target::AtLeast(min) => (Some(min), None),
            Target::AtMost(max) => (None, Some(max)),
            Target::Between(min, max) => (Some(min), Some(max)),
        };
        for (bound, value) in [("min", min), ("max", max)] {
            target.add_some([("objective", objective.id.as_str()), ("bound", bound)], value);
        }
        let slice = &site.slices[objective.slice];
        let labels = [
            ("objective", objective.id.as_str()),
            ("kpi", &site.declarations.kpis[objective.kpi].id),
            ("slice", &slice.name),
            ("window", &slice.windows[objective.window]),
            ("owner", &objective.owner),
            ("severity", objective.severity.name()),
            ("serves", &objective.serves),
        ];
        info.add(labels, 1.0);
    }
    sink(target);
    sink(info);
}
