//! A dashboard: its variables, and its panels laid out on Grafana's 24 columns.

use serde_json::{Value, json};

use super::super::expression::select;
use super::panel::{Panel, datasource};
use crate::catalog;

const COLUMNS: u32 = 24;

/// A dashboard in the making.
#[derive(Debug)]
pub(super) struct Board {
    uid: String,
    title: String,
    description: String,
    variables: Vec<Value>,
    panels: Vec<Value>,
    x: u32,
    y: u32,
    line_height: u32,
}

impl Board {
    /// With the variables that every dashboard has: data source, job, instance.
    pub(super) fn new(uid: &str, title: &str, description: &str) -> Self {
        let mut board = Board {
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
        let ready = catalog::READY.name;
        board.query_variable("job", "Job", &format!("label_values({ready}, job)"), true);
        let of_job = select(&catalog::READY, "job=~\"$job\"");
        let instances = format!("label_values({of_job}, instance)");
        board.query_variable("instance", "Instance", &instances, true);
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
    pub(super) fn add(&mut self, panel: Panel, width: u32, height: u32) {
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
