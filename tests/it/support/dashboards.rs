//! Dashboards looked into: their expressions, and what Grafana would refuse.

use std::collections::BTreeSet;

use serde_json::Value;

const PANEL_TYPES: &[&str] = &["row", "stat", "timeseries", "bargauge", "state-timeline", "table"];

/// One query of a panel.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The panel's title.
    pub(crate) panel: String,
    /// As it stands in the file, variables included.
    pub(crate) expression: String,
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("a dashboard is JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Every query of every panel.
pub(crate) fn queries(dashboard: &str) -> Vec<Query> {
    let dashboard = parsed(dashboard);
    let mut queries = Vec::new();
    for panel in list(&dashboard["panels"]) {
        for target in list(&panel["targets"]) {
            queries.push(Query { panel: text(&panel["title"]), expression: text(&target["expr"]) });
        }
    }
    queries
}

/// The variables in their order, each with what it asks.
pub(crate) fn variables(dashboard: &str) -> Vec<(String, String)> {
    let dashboard = parsed(dashboard);
    let variables = list(&dashboard["templating"]["list"]).iter();
    variables.map(|one| (text(&one["name"]), text(&one["definition"]))).collect()
}

/// An expression as Grafana sends it: `All` for the instances, and for the other
/// variables what `chosen` says.
pub(crate) fn filled(expression: &str, chosen: &[(&str, &str)]) -> String {
    let mut filled = expression.replace("$job", ".*").replace("$instance", ".*");
    // Longer names first, so that `$campaign_region` is not taken for `$campaign`.
    let mut chosen = chosen.to_vec();
    chosen.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, value) in chosen {
        filled = filled.replace(&format!("${name}"), value);
    }
    filled
}

/// What Grafana would refuse or show wrongly.
pub(crate) fn faults(dashboard: &str) -> Vec<String> {
    let dashboard = parsed(dashboard);
    let mut faults = Vec::new();
    let mut fault = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    let uid = text(&dashboard["uid"]);
    let valid_uid = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
    fault(!uid.is_empty() && uid.len() <= 40 && uid.chars().all(valid_uid), format!("uid {uid}"));
    fault(!text(&dashboard["title"]).is_empty(), "no title".to_owned());
    fault(dashboard["schemaVersion"].as_u64() >= Some(38), "schemaVersion below 38".to_owned());
    let variables: Vec<String> =
        list(&dashboard["templating"]["list"]).iter().map(|one| text(&one["name"])).collect();
    for wanted in ["datasource", "job", "instance"] {
        fault(variables.iter().any(|name| name == wanted), format!("no variable {wanted}"));
    }
    let mut ids = BTreeSet::new();
    let mut taken: Vec<[u64; 4]> = Vec::new();
    for panel in list(&dashboard["panels"]) {
        let title = text(&panel["title"]);
        let kind = text(&panel["type"]);
        fault(ids.insert(panel["id"].as_u64()), format!("{title}: its id is not its own"));
        fault(PANEL_TYPES.contains(&kind.as_str()), format!("{title}: type {kind}"));
        let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap_or(0));
        let [x, y, w, h] = place;
        fault(w > 0 && h > 0 && x + w <= 24, format!("{title}: stands at {place:?}"));
        let overlap = taken.iter().any(|&[left, top, width, height]| {
            x < left + width && left < x + w && y < top + height && top < y + h
        });
        fault(!overlap, format!("{title}: lies over another"));
        taken.push(place);
        if kind == "row" {
            continue;
        }
        fault(!list(&panel["targets"]).is_empty(), format!("{title}: asks nothing"));
        fault(!text(&panel["description"]).is_empty(), format!("{title}: says nothing"));
        let mut references = BTreeSet::new();
        for target in list(&panel["targets"]) {
            let expression = text(&target["expr"]);
            fault(references.insert(text(&target["refId"])), format!("{title}: refId twice"));
            fault(!expression.is_empty(), format!("{title}: an empty expression"));
            for used in used_variables(&expression) {
                fault(variables.contains(&used), format!("{title}: asks for ${used}"));
            }
        }
    }
    faults
}

fn used_variables(expression: &str) -> Vec<String> {
    let part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    expression
        .split('$')
        .skip(1)
        .map(|rest| rest.chars().take_while(|&char| part(char)).collect())
        .collect()
}
