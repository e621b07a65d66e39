//! A dashboard: its variables, and its panels laid out on Grafana's 24 columns.

use serde_json::{Value, json};

use super::super::words;
use super::chosen::Chosen;
use super::panel::{Panel, datasource};
use crate::catalog;

const COLUMNS: u32 = 24;

/// A dashboard in the making.
#[derive(Debug)]
pub(super) struct Board<'a> {
    chosen: Chosen<'a>,
    uid: String,
    title: String,
    description: String,
    variables: Vec<Value>,
    panels: Vec<Value>,
    x: u32,
    y: u32,
    line_height: u32,
}

impl<'a> Board<'a> {
    /// With the variables that every dashboard has: data source, job, the labels that
    /// are kept, instance.
    pub(super) fn new(chosen: Chosen<'a>, uid: &str, title: &str, description: &str) -> Self {
        let mut board = Board {
            chosen,
            uid: uid.to_owned(),
            title: title.to_owned(),
            description: description.to_owned(),
            variables: Vec::new(),
            panels: Vec::new(),
            x: 0,
            y: 0,
            line_height: 0,
        };
        board.variables.push(json!({
            "name": "datasource", "label": "Data source", "type": "datasource",
            "query": "prometheus", "regex": "", "hide": 0, "refresh": 1,
            "includeAll": false, "multi": false, "options": [], "current": {},
        }));
        let mut matchers = String::new();
        for label in ["job"].into_iter().chain(chosen.variables()).chain(["instance"]) {
            let ready = chosen.scope.series(&catalog::READY, &matchers);
            let query = format!("label_values({ready}, {label})");
            board.query_variable(label, &words::title(label), &query, true);
            let comma = if matchers.is_empty() { "" } else { "," };
            matchers.push_str(&format!("{comma}{label}=~\"${label}\""));
        }
        board
    }

    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// A variable whose values Prometheus knows; with `all`, several may be chosen.
    pub(super) fn query_variable(&mut self, name: &str, label: &str, query: &str, all: bool) {
        let current = if all { json!({ "text": "All", "value": "$__all" }) } else { json!({}) };
        self.variables.push(json!({
            "name": name, "label": label, "type": "query", "datasource": datasource(),
            "definition": query, "query": { "query": query, "refId": name },
            "refresh": 2, "sort": 1, "regex": "", "hide": 0,
            "includeAll": all, "multi": all, "allValue": if all { json!(".*") } else { Value::Null },
            "options": [], "current": current,
        }));
    }

    /// A variable with declared values, of which `chosen` is shown at first; with
    /// `all`, several may be chosen, and at first all are.
    pub(super) fn fixed_variable(
        &mut self,
        name: &str,
        label: &str,
        values: &[String],
        all: bool,
        chosen: usize,
    ) {
        let current = match values.get(chosen) {
            Some(value) if !all => json!({ "text": value, "value": value, "selected": true }),
            _ => json!({ "text": "All", "value": "$__all", "selected": true }),
        };
        let options: Vec<Value> = values
            .iter()
            .map(|value| json!({ "text": value, "value": value, "selected": current["value"] == json!(value) }))
            .collect();
        self.variables.push(json!({
            "name": name, "label": label, "type": "custom", "query": values.join(","),
            "hide": 0, "includeAll": all, "multi": all,
            "allValue": if all { json!(".*") } else { Value::Null },
            "options": options, "current": current,
        }));
    }

    /// Begins a titled section.
    pub(super) fn section(&mut self, title: &str) {
        self.end_line();
        let id = self.panels.len() + 1;
        self.panels.push(json!({
            "id": id, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": self.y, "w": COLUMNS, "h": 1 },
        }));
        self.y += 1;
    }

    /// Puts a panel to the right of the one before, or below where it does not fit.
    /// What it shows is named by the labels that are kept, too.
    pub(super) fn add(&mut self, panel: Panel, width: u32, height: u32) {
        let panel = panel.tell_apart(self.chosen.scope.kept());
        if self.x + width > COLUMNS {
            self.end_line();
        }
        let id = self.panels.len() + 1;
        self.panels.push(panel.into_json(id, self.x, self.y, width, height));
        self.x += width;
        self.line_height = self.line_height.max(height);
    }

    /// Puts what follows below what stands here.
    pub(super) fn end_line(&mut self) {
        self.y += self.line_height;
        (self.x, self.line_height) = (0, 0);
    }

    /// The file's text.
    pub(super) fn into_json(self) -> String {
        let dashboard = json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["tidegauge", "marketing"],
            "schemaVersion": 38,
            "version": 1,
            "editable": true,
            "graphTooltip": 1,
            "refresh": "10s",
            "time": { "from": "now-6h", "to": "now" },
            "timepicker": {},
            "timezone": "browser",
            "annotations": { "list": [] },
            "links": [{
                "type": "dashboards", "title": "Tidegauge", "tags": ["tidegauge"],
                "asDropdown": false, "includeVars": true, "keepTime": true,
                "targetBlank": false, "icon": "external link", "tooltip": "", "url": "",
            }],
            "templating": { "list": self.variables },
            "panels": self.panels,
        });
        format!("{dashboard:#}\n")
    }
}
