//! The reference of KPIs: formula, sample, direction, and the measures beneath.

use super::{GENERATED, Table, code_list, one_line};
use crate::artifact::words;
use crate::catalog;
use crate::kpi::{
    AggregateSpec, Amount, Declarations, Direction, Filter, FilterTest, Formula, KpiSpec,
    MeasureSpec, Operator, Share, Unit,
};

pub(super) fn page(declarations: &Declarations) -> String {
    let mut text = String::from("# KPIs\n\n");
    text.push_str(GENERATED);
    text.push_str(
        "Each KPI is a formula over measures, computed in every window of the slices that it \
         names. A share of nothing is absent, not 0.\n",
    );
    let mut groups: Vec<&str> = Vec::new();
    for kpi in &declarations.kpis {
        if !groups.contains(&kpi.group.as_str()) {
            groups.push(&kpi.group);
        }
    }
    for group in groups {
        text.push_str(&format!("\n## {}\n", words::title(group)));
        for kpi in declarations.kpis.iter().filter(|kpi| kpi.group == group) {
            text.push_str(&kpi_text(declarations, kpi));
        }
    }
    text.push_str("\n## Measures\n\n");
    let mut table = Table::new(&["measure", "what is computed", "of events", "where", "meaning"]);
    for measure in &declarations.measures {
        table.row(&measure_row(declarations, measure));
    }
    text.push_str(&table.text);
    text
}

fn kpi_text(declarations: &Declarations, kpi: &KpiSpec) -> String {
    let unit = match &kpi.unit {
        Unit::Ratio => "a ratio".to_owned(),
        Unit::Money(currency) => currency.code().to_owned(),
        Unit::Of(name) => name.clone(),
    };
    let better = match kpi.direction {
        Direction::Up => "higher is better",
        Direction::Down => "lower is better",
        Direction::Neutral => "an activity, neither good nor bad",
    };
    let mut text = format!(
        "\n### `{}`\n\n{}\n\n- Formula: `{}`\n- Unit: {unit}; {better}\n- Kind: {}\n",
        kpi.id,
        words::sentence(&kpi.help),
        formula(declarations, &kpi.formula, 0),
        one_line(&kpi.kind),
    );
    if let Some(sample) = &kpi.sample {
        text.push_str(&format!(
            "- Sample: `{}`, at least {} before a verdict is given\n",
            formula(declarations, &sample.of, 0),
            sample.minimum
        ));
    }
    text.push_str(match kpi.share {
        None => "",
        Some(Share::OfWindow) => {
            "- A share of what the same window holds: outside 0 to 1 there is no verdict, but \
             `inconsistent` and an alert\n"
        }
        Some(Share::OfEarlier) => {
            "- A share of what came earlier: above 1 there is no verdict, but `outside_window`\n"
        }
    });
    text.push_str(&format!(
        "- Slices: {}\n- Family: `{}`\n",
        code_list(kpi.slices.iter().map(|&slice| declarations.slices[slice].name.as_str())),
        catalog::kpi_family(kpi),
    ));
    text
}

/// As it is declared; `binding` is how tightly what stands around it binds.
fn formula(declarations: &Declarations, of: &Formula, binding: u8) -> String {
    match of {
        Formula::Constant(constant) => constant.to_string(),
        Formula::Measure(measure) => declarations.measures[*measure].id.clone(),
        Formula::Or(left, right) => {
            format!("or({}, {})", formula(declarations, left, 0), formula(declarations, right, 0))
        }
        Formula::Binary(left, operator, right) => {
            let (sign, own) = match operator {
                Operator::Add => ("+", 1),
                Operator::Subtract => ("-", 1),
                Operator::Multiply => ("*", 2),
                Operator::Divide => ("/", 2),
            };
            let (left, right) =
                (formula(declarations, left, own), formula(declarations, right, own + 1));
            let whole = format!("{left} {sign} {right}");
            if own < binding { format!("({whole})") } else { whole }
        }
    }
}

fn measure_row(declarations: &Declarations, measure: &MeasureSpec) -> [String; 5] {
    let amount = |amount: &Amount| match amount {
        Amount::Count => "`count`".to_owned(),
        Amount::Value(currency) => format!("`value` in {currency}"),
    };
    let what = match &measure.aggregate {
        AggregateSpec::Count => "how many".to_owned(),
        AggregateSpec::Sum(of) => format!("sum of {}", amount(of)),
        AggregateSpec::Mean(of) => format!("mean of {}", amount(of)),
        AggregateSpec::Last { amount: of, max_age } => {
            format!("newest {} by `key`, at most {max_age} old", amount(of))
        }
        AggregateSpec::Distinct(field) => format!("different values of `{}`", field.name()),
    };
    let conditions: Vec<String> = measure.filters.iter().map(condition).collect();
    [
        format!("`{}`", measure.id),
        what,
        code_list(measure.types.iter().map(|&kind| declarations.vocabulary.name(kind))),
        if conditions.is_empty() { "-".to_owned() } else { conditions.join("; ") },
        measure.help.clone(),
    ]
}

fn condition(filter: &Filter) -> String {
    let field = filter.field.name();
    match &filter.test {
        FilterTest::In(values) => {
            format!("`{field}` is {}", code_list(values.iter().map(String::as_str)))
        }
        FilterTest::NotIn(values) => {
            format!("`{field}` is not {}", code_list(values.iter().map(String::as_str)))
        }
        FilterTest::Present(true) => format!("`{field}` is given"),
        FilterTest::Present(false) => format!("`{field}` is not given"),
    }
}
