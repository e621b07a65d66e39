//! The declarations as canonical text: what is computed and judged, without help
//! texts. The fingerprint is its hash, and tests compare it.

use std::fmt::Write;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::event::Vocabulary;
use crate::kpi::{
    AggregateSpec, Amount, Declarations, FilterTest, KpiSpec, MeasureSpec, Share, SliceSpec,
};
use crate::objective::{ObjectiveSpec, Target};

/// One line for each slice, measure, KPI and objective.
pub fn summary(declarations: &Declarations, objectives: &[ObjectiveSpec]) -> String {
    let mut text =
        format!("lateness {} future {}\n", declarations.lateness, declarations.future_tolerance);
    for slice in &declarations.slices {
        text.push_str(&slice_line(slice));
    }
    for measure in &declarations.measures {
        text.push_str(&measure_line(measure, &declarations.vocabulary));
    }
    for kpi in &declarations.kpis {
        text.push_str(&kpi_line(kpi, declarations));
    }
    for objective in objectives {
        text.push_str(&objective_line(objective, declarations));
    }
    text
}

/// SipHash-2-4 of [`summary`] under a fixed key: equal on every machine and for
/// every version of the compiler.
pub(super) fn fingerprint(declarations: &Declarations, objectives: &[ObjectiveSpec]) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(0x7469_6465, 0x6761_7567);
    hasher.write(summary(declarations, objectives).as_bytes());
    hasher.finish()
}

fn slice_line(slice: &SliceSpec) -> String {
    let fields: Vec<&str> = slice.fields.iter().map(|field| field.name()).collect();
    format!("slice {} by {fields:?} windows {:?} cap {}\n", slice.name, slice.windows, slice.cap)
}

fn measure_line(measure: &MeasureSpec, vocabulary: &Vocabulary) -> String {
    let amount = |amount: &Amount| match amount {
        Amount::Count => "count".to_owned(),
        Amount::Value(currency) => format!("value {currency}"),
    };
    let aggregate = match &measure.aggregate {
        AggregateSpec::Count => "count".to_owned(),
        AggregateSpec::Sum(of) => format!("sum of {}", amount(of)),
        AggregateSpec::Mean(of) => format!("mean of {}", amount(of)),
        AggregateSpec::Last { amount: of, max_age } => {
            format!("last of {} for {max_age}", amount(of))
        }
        AggregateSpec::Distinct(field) => format!("distinct of {}", field.name()),
    };
    let types: Vec<&str> = measure.types.iter().map(|id| vocabulary.name(*id)).collect();
    let mut line =
        format!("measure {} {} = {aggregate} {types:?}", measure.id, measure.unit.suffix());
    let signed = measure.types.iter().filter(|id| vocabulary.is_signed(**id));
    let signed: Vec<&str> = signed.map(|id| vocabulary.name(*id)).collect();
    if !signed.is_empty() {
        let _ = write!(line, " signed {signed:?}");
    }
    for filter in &measure.filters {
        let field = filter.field.name();
        // Writing to a string cannot fail.
        let _ = match &filter.test {
            FilterTest::In(values) => write!(line, " {field} in {values:?}"),
            FilterTest::NotIn(values) => write!(line, " {field} not in {values:?}"),
            FilterTest::Present(true) => write!(line, " {field} present"),
            FilterTest::Present(false) => write!(line, " {field} absent"),
        };
    }
    line + "\n"
}

fn kpi_line(kpi: &KpiSpec, declarations: &Declarations) -> String {
    let name = |measure: usize| declarations.measures[measure].id.as_str();
    let slices: Vec<&str> =
        kpi.slices.iter().map(|slice| declarations.slices[*slice].name.as_str()).collect();
    let sample = kpi.sample.as_ref().map_or_else(String::new, |sample| {
        format!(" sample {} of {}", sample.minimum, sample.of.show(&name))
    });
    let share = match kpi.share {
        None => "",
        Some(Share::OfWindow) => " share",
        Some(Share::OfEarlier) => " share later",
    };
    format!(
        "kpi {} {} {:?} = {}{share}{sample} in {slices:?} {}/{}\n",
        kpi.id,
        kpi.unit.suffix(),
        kpi.direction,
        kpi.formula.show(&name),
        kpi.group,
        kpi.kind,
    )
}

fn objective_line(objective: &ObjectiveSpec, declarations: &Declarations) -> String {
    let kpi = &declarations.kpis[objective.kpi].id;
    let slice = &declarations.slices[objective.slice];
    let mut line = format!("objective {} {kpi} in {}", objective.id, slice.name);
    for (field, wanted) in slice.fields.iter().zip(&objective.selector) {
        let _ = match wanted {
            Some(wanted) => write!(line, " {}={wanted:?}", field.name()),
            None => write!(line, " {}=*", field.name()),
        };
    }
    let target = match objective.target {
        Target::AtLeast(least) => format!("at least {least}"),
        Target::AtMost(most) => format!("at most {most}"),
        Target::Between(least, most) => format!("between {least} and {most}"),
    };
    let sample =
        objective.minimum_sample.map_or_else(String::new, |minimum| format!(" sample {minimum}"));
    let runbook = objective.runbook.as_deref().unwrap_or("-");
    line + &format!(
        " over {} {target} margin {} coverage {}{sample} for {} keep {} owner {:?} serves {:?} {} {runbook}\n",
        slice.windows[objective.window],
        objective.margin,
        objective.minimum_coverage,
        objective.hold,
        objective.keep_firing,
        objective.owner,
        objective.serves,
        objective.severity.name(),
    )
}
