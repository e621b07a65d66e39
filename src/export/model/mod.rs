//! The metric model of a page: a report in, families of samples out.
//!
//! In: a [`Report`], the [`Site`], and what the kernel says of this process. Out:
//! one [`Family`] after another, handed to a sink, so that a large page never
//! stands in memory as a whole model. Names, help and labels come from
//! [`crate::catalog`]; nothing here writes one. A figure that is absent, NaN or
//! infinite gives no sample. Nothing is kept from one page to the next.

mod figures;
mod objectives;
mod pipeline;
mod state;
mod web;

use std::borrow::Cow;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::catalog::{self, Kind};
use crate::export::process::ProcessUse;
use crate::export::{NotReady, Report, Site, WebReport};

/// One family with its samples, and what the text format has no place for.
pub(super) struct Family {
    pub(super) proto: MetricFamily,
    pub(super) kind: Kind,
    /// Ends the name, but for a counter's `_total`; empty for none.
    pub(super) unit: Cow<'static, str>,
}

/// All that a page is made of.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) site: &'a Site,
    /// `None` until the engine has published one.
    pub(super) report: Option<&'a Report>,
    /// Why the instance is not ready, as of now.
    pub(super) not_ready: &'a [NotReady],
    pub(super) process: ProcessUse,
    /// `None` without a web configuration.
    pub(super) web: Option<WebReport>,
}

/// Hands every family that has samples to `sink`, in a stable order.
pub(super) fn visit(source: Source<'_>, sink: &mut dyn FnMut(Family)) {
    let mut give = |samples: Samples| {
        if let Some(family) = samples.into_family() {
            sink(family);
        }
    };
    pipeline::visit(source, &mut give);
    web::visit(source.web, &mut give);
    state::visit(source, &mut give);
    objectives::visit(source, &mut give);
    figures::visit(source, &mut give);
}

/// A family that is being filled.
struct Samples {
    name: String,
    kind: Kind,
    unit: Cow<'static, str>,
    help: String,
    metrics: Vec<Metric>,
}

impl Samples {
    /// Of a family of the table.
    fn of(family: &catalog::Family) -> Self {
        Samples {
            name: family.name.to_owned(),
            kind: family.kind,
            unit: Cow::Borrowed(family.unit),
            help: family.help.to_owned(),
            metrics: Vec::new(),
        }
    }

    /// Of a gauge whose name is made from a declaration.
    fn named(name: String, unit: String, help: &str) -> Self {
        Samples {
            name,
            kind: Kind::Gauge,
            unit: Cow::Owned(unit),
            help: help.to_owned(),
            metrics: Vec::new(),
        }
    }

    /// Adds a sample, unless the value is NaN or infinite.
    fn add<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>, value: f64) {
        if !value.is_finite() {
            return;
        }
        let mut metric = match self.kind {
            Kind::Gauge | Kind::Info => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                Metric::from_gauge(gauge)
            }
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                let mut metric = Metric::default();
                metric.set_counter(counter);
                metric
            }
        };
        metric.set_label(labels.into_iter().map(pair).collect());
        self.metrics.push(metric);
    }

    /// Adds a sample where there is a value.
    fn add_some<'a>(
        &mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: Option<f64>,
    ) {
        if let Some(value) = value {
            self.add(labels, value);
        }
    }

    /// Adds 1 or 0.
    fn add_flag<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>, flag: bool) {
        self.add(labels, f64::from(u8::from(flag)));
    }

    /// The family, unless it has no samples.
    fn into_family(self) -> Option<Family> {
        if self.metrics.is_empty() {
            return None;
        }
        let mut proto = MetricFamily::default();
        proto.set_name(self.name);
        proto.set_help(self.help);
        proto.set_field_type(match self.kind {
            Kind::Gauge | Kind::Info => MetricType::GAUGE,
            Kind::Counter => MetricType::COUNTER,
        });
        proto.set_metric(self.metrics);
        Some(Family { proto, kind: self.kind, unit: self.unit })
    }
}

fn pair((name, value): (&str, &str)) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// The labels of one value of a slice: `slice`, then the slice's fields.
fn slice_labels<'a>(
    site: &'a Site,
    slice: usize,
    values: &'a [Box<str>],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let layout = &site.slices[slice];
    let fields = layout.labels.iter().map(String::as_str).zip(values.iter().map(AsRef::as_ref));
    std::iter::once(("slice", layout.name.as_str())).chain(fields)
}
