//! One panel: what it asks, and how it looks.

use serde_json::{Value, json};

use crate::objective::State;

/// The data source that the dashboard's variable names.
pub(super) fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// The kinds of panel that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One big number a series, with a trend behind it.
    Stat,
    /// Lines over time.
    Lines,
    /// Areas over time, one above the other.
    Stacked,
    /// Horizontal bars of the present values.
    Bars,
    /// Coloured bands over time, one a series.
    Bands,
    /// The present values in rows.
    Table,
}

/// A panel in the making.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    shape: Shape,
    title: String,
    description: String,
    unit: String,
    targets: Vec<Value>,
    mappings: Value,
    thresholds: Value,
    overrides: Vec<Value>,
    transformations: Vec<Value>,
    min: Option<f64>,
    max: Option<f64>,
    links: Vec<Value>,
}

impl Panel {
    pub(super) fn new(
        shape: Shape,
        title: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        Panel {
            shape,
            title: title.into(),
            description: description.into(),
            unit: "short".to_owned(),
            targets: Vec::new(),
            mappings: json!([]),
            thresholds: steps(&[(None, "blue")]),
            overrides: Vec::new(),
            transformations: Vec::new(),
            min: None,
            max: None,
            links: Vec::new(),
        }
    }

    /// Adds a query; `legend` is Grafana's `{{label}}` template.
    pub(super) fn ask(mut self, expr: impl Into<String>, legend: &str) -> Self {
        let instant = matches!(self.shape, Shape::Bars | Shape::Table);
        let number = self.targets.len();
        let letter = char::from(b'A' + (number % 26) as u8);
        let reference =
            if number < 26 { letter.to_string() } else { format!("{letter}{}", number / 26) };
        self.targets.push(json!({
            "refId": reference,
            "datasource": datasource(),
            "editorMode": "code",
            "expr": expr.into(),
            "legendFormat": legend,
            "instant": instant,
            "range": !instant,
            "format": if self.shape == Shape::Table { "table" } else { "time_series" },
        }));
        self
    }

    /// Adds labels to what every series is called.
    pub(super) fn tell_apart(mut self, labels: &[String]) -> Self {
        for target in &mut self.targets {
            for label in labels {
                let field = format!("{{{{{label}}}}}");
                let legend = target["legendFormat"].as_str().unwrap_or_default();
                if !legend.is_empty() && !legend.contains(&field) {
                    target["legendFormat"] = json!(format!("{legend} {field}"));
                }
            }
        }
        self
    }

    pub(super) fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    /// The scale, for bars and gauges.
    pub(super) fn scale(mut self, min: f64, max: f64) -> Self {
        (self.min, self.max) = (Some(min), Some(max));
        self
    }

    /// Where a click on a value leads.
    pub(super) fn link(mut self, title: &str, url: &str) -> Self {
        self.links.push(json!({ "title": title, "url": url, "targetBlank": false }));
        self
    }

    /// Colours from a value on; `None` is the beginning.
    pub(super) fn colours(mut self, of: &[(Option<f64>, &str)]) -> Self {
        self.thresholds = steps(of);
        self
    }

    /// Shows verdict numbers by their names and colours.
    pub(super) fn verdicts(mut self) -> Self {
        self.mappings = verdict_mappings();
        self.thresholds = steps(&[
            (None, "#8e8e8e"),
            (Some(1.0), "green"),
            (Some(2.0), "orange"),
            (Some(3.0), "red"),
        ]);
        self
    }

    /// Changes how the series or columns of that name look.
    pub(super) fn style_of(mut self, name: &str, properties: Value) -> Self {
        self.overrides.push(
            json!({ "matcher": { "id": "byName", "options": name }, "properties": properties }),
        );
        self
    }

    /// Changes how the series that match a pattern look.
    pub(super) fn style_like(mut self, pattern: &str, properties: Value) -> Self {
        self.overrides.push(
            json!({ "matcher": { "id": "byRegexp", "options": pattern }, "properties": properties }),
        );
        self
    }

    /// Puts the queries of a table side by side, and hides or renames columns.
    pub(super) fn columns(mut self, hidden: &[&str], renamed: &[(&str, &str)]) -> Self {
        let hidden: serde_json::Map<String, Value> =
            hidden.iter().map(|name| ((*name).to_owned(), Value::Bool(true))).collect();
        let renamed: serde_json::Map<String, Value> =
            renamed.iter().map(|(from, to)| ((*from).to_owned(), json!(to))).collect();
        self.transformations = vec![
            json!({ "id": "merge", "options": {} }),
            json!({
                "id": "organize",
                "options": { "excludeByName": hidden, "indexByName": {}, "renameByName": renamed },
            }),
        ];
        self
    }

    /// As Grafana wants it.
    pub(super) fn into_json(self, id: usize, x: u32, y: u32, width: u32, height: u32) -> Value {
        let mut defaults = json!({
            "unit": self.unit,
            "color": { "mode": self.colour_mode() },
            "custom": self.custom(),
            "mappings": self.mappings,
            "thresholds": self.thresholds,
            "links": self.links,
        });
        if let (Some(min), Some(max)) = (self.min, self.max) {
            defaults["min"] = json!(min);
            defaults["max"] = json!(max);
        }
        json!({
            "id": id,
            "type": self.kind(),
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": { "x": x, "y": y, "w": width, "h": height },
            "targets": self.targets,
            "transformations": self.transformations,
            "fieldConfig": { "defaults": defaults, "overrides": self.overrides },
            "options": self.options(),
        })
    }

    fn kind(&self) -> &'static str {
        match self.shape {
            Shape::Stat => "stat",
            Shape::Lines | Shape::Stacked => "timeseries",
            Shape::Bars => "bargauge",
            Shape::Bands => "state-timeline",
            Shape::Table => "table",
        }
    }

    fn colour_mode(&self) -> &'static str {
        match self.shape {
            Shape::Lines | Shape::Stacked => "palette-classic",
            Shape::Stat | Shape::Bars | Shape::Bands | Shape::Table => "thresholds",
        }
    }

    fn custom(&self) -> Value {
        match self.shape {
            Shape::Stat | Shape::Bars => json!({}),
            Shape::Lines => json!({
                "drawStyle": "line", "lineWidth": 2, "fillOpacity": 8, "gradientMode": "opacity",
                "showPoints": "never", "spanNulls": false, "axisSoftMin": 0,
                "stacking": { "mode": "none", "group": "A" },
            }),
            Shape::Stacked => json!({
                "drawStyle": "line", "lineWidth": 1, "fillOpacity": 40, "gradientMode": "none",
                "showPoints": "never", "spanNulls": false, "axisSoftMin": 0,
                "stacking": { "mode": "normal", "group": "A" },
            }),
            Shape::Bands => json!({ "fillOpacity": 80, "lineWidth": 0 }),
            Shape::Table => json!({ "align": "auto", "filterable": true }),
        }
    }

    fn options(&self) -> Value {
        let calculation = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
        match self.shape {
            Shape::Stat => json!({
                "colorMode": "value", "graphMode": "area", "justifyMode": "auto",
                "textMode": "auto", "orientation": "auto", "reduceOptions": calculation,
            }),
            Shape::Lines | Shape::Stacked => json!({
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Shape::Bars => json!({
                "displayMode": "gradient", "orientation": "horizontal", "showUnfilled": true,
                "valueMode": "color", "minVizHeight": 10, "minVizWidth": 0,
                "reduceOptions": calculation,
            }),
            Shape::Bands => json!({
                "mergeValues": true, "showValue": "auto", "alignValue": "center", "rowHeight": 0.85,
                "legend": { "displayMode": "list", "placement": "bottom", "showLegend": false },
                "tooltip": { "mode": "single", "sort": "none" },
            }),
            Shape::Table => {
                json!({ "showHeader": true, "cellHeight": "sm", "footer": { "show": false } })
            }
        }
    }
}

fn steps(of: &[(Option<f64>, &str)]) -> Value {
    let steps: Vec<Value> =
        of.iter().map(|(from, colour)| json!({ "value": from, "color": colour })).collect();
    json!({ "mode": "absolute", "steps": steps })
}

/// Names and colours of verdict numbers.
pub(super) fn verdict_mappings() -> Value {
    let mut options = serde_json::Map::new();
    for (place, state) in State::ALL.into_iter().enumerate() {
        let (text, colour) = match state {
            State::Met => ("met", "green"),
            State::AtRisk => ("at risk", "orange"),
            State::Missed => ("missed", "red"),
            State::Unknown => ("unknown", "#8e8e8e"),
        };
        let option = json!({ "text": text, "color": colour, "index": place });
        options.insert(super::code(state).to_string(), option);
    }
    json!([{ "type": "value", "options": options }])
}
