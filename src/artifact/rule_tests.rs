//! Unit tests of the generated rules, for `promtool test rules`, generated too.
//!
//! For each objective: two instances of which one misses, with another slice value
//! that is met; a miss on an instance that is not ready; a restart of all instances
//! in the midst of a miss; and for a literal objective a quarter of an hour of
//! `unknown`, and as long of answers alone where the KPI is a share of what came earlier.
//! Where labels of the targets are kept, all of that beside another deployment that is
//! ready and where all is met.

use std::fmt::Write;

use super::expression::query_escape;
use super::objective_rules::{Moment, NO_FIGURE, Subject, UNKNOWN_HOLD};
use super::rule::{quoted, scalar};
use super::words;
use super::{Artifact, Inputs, OBJECTIVE_MISSED, OBJECTIVE_UNKNOWN};
use crate::catalog::{self, Family, slice_labels};
use crate::kpi::Share;
use crate::objective::{ObjectiveSpec, Severity, State, Target, UnknownReason};

const PATH: &str = "prometheus/tidegauge.rules.test.yml";
/// What the figure's sample is in every test.
const SAMPLE: f64 = 4_321.0;

const HEADER: &str = "\
# Unit tests of tidegauge.rules.yml, generated with it:
#   promtool test rules tidegauge.rules.test.yml

rule_files:
  - tidegauge.rules.yml
evaluation_interval: 1m

";

/// The unit tests of [`super::rules`], to stand in the same folder; none without
/// objectives, or where no value can be made up that the scope's patterns accept.
pub fn rule_tests(inputs: &Inputs<'_>) -> Vec<Artifact> {
    let Some(target) = inputs.scope.example().filter(|_| !inputs.objectives.is_empty()) else {
        return Vec::new();
    };
    let mut text = format!("{HEADER}tests:\n");
    for objective in inputs.objectives {
        let case = Case::new(inputs, objective, &target);
        case.one_of_two_misses(&mut text);
        case.only_an_unready_one_misses(&mut text);
        case.all_restart(&mut text);
        if objective.is_literal() {
            case.unknown_for_long(&mut text);
            if case.subject.kpi.share == Some(Share::OfEarlier) {
                case.outside_its_window_for_long(&mut text);
            }
        }
    }
    vec![Artifact { path: PATH.to_owned(), text }]
}

struct Case<'a> {
    subject: Subject<'a>,
    /// Labels of the deployment that the tests are about.
    target: &'a [(&'a str, String)],
    /// The slice values that the tests are about.
    values: Vec<String>,
    /// Minutes until a miss fires.
    hold: i64,
    /// Minutes that the alert outlives its expression.
    keep: i64,
    /// A figure that misses.
    missing: f64,
}

impl<'a> Case<'a> {
    fn new(
        inputs: &Inputs<'a>,
        objective: &'a ObjectiveSpec,
        target: &'a [(&'a str, String)],
    ) -> Self {
        let subject = Subject::new(inputs, objective);
        let values = objective
            .selector
            .iter()
            .map(|selected| selected.clone().unwrap_or_else(|| "spring sale".to_owned()))
            .collect();
        let missing = match objective.target {
            Target::AtMost(0.0) => 1.0,
            Target::AtLeast(0.0) => -1.0,
            Target::AtMost(bound) | Target::Between(_, bound) => bound + bound.abs(),
            Target::AtLeast(bound) => bound - bound.abs() / 2.0,
        };
        let (hold, keep) = (words::minutes(objective.hold), words::minutes(objective.keep_firing));
        Case { subject, target, values, hold, keep, missing }
    }

    fn start(&self, text: &mut String, what: &str) {
        let name = format!("{}: {what}", self.subject.objective.id);
        let _ = writeln!(text, "  - name: {}\n    interval: 1m\n    input_series:", scalar(&name));
    }

    /// The samples of one series of one instance of the deployment.
    fn series(
        &self,
        text: &mut String,
        family: &Family,
        instance: &str,
        own: &[(&str, &str)],
        values: Option<&[String]>,
        samples: &str,
    ) {
        self.series_of_target(text, family, (instance, self.target), own, values, samples);
    }

    fn series_of_target(
        &self,
        text: &mut String,
        family: &Family,
        (instance, target): (&str, &[(&str, String)]),
        own: &[(&str, &str)],
        values: Option<&[String]>,
        samples: &str,
    ) {
        let names = slice_labels(self.subject.slice);
        let mut labels = vec![("job", "tidegauge".to_owned()), ("instance", instance.to_owned())];
        for (name, value) in target {
            labels.retain(|(usual, _)| usual != name);
            labels.push((name, value.clone()));
        }
        labels.extend(own.iter().map(|&(name, value)| (name, value.to_owned())));
        if let Some(values) = values {
            let slice = self.subject.slice;
            labels.push(("objective", self.subject.objective.id.clone()));
            labels.push(("slice", slice.name.clone()));
            labels.extend(names.iter().map(String::as_str).zip(values.iter().cloned()));
        }
        let matchers: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
        let series = format!("{}{{{}}}", family.name, matchers.join(","));
        let _ = writeln!(
            text,
            "      - series: {}\n        values: {}",
            scalar(&series),
            scalar(samples)
        );
    }

    fn ready(&self, text: &mut String, instance: &str, samples: &str) {
        self.series(text, &catalog::READY, instance, &[], None, samples);
    }

    fn state(
        &self,
        text: &mut String,
        instance: &str,
        state: State,
        values: &[String],
        samples: &str,
    ) {
        let own = [("state", state.name())];
        self.series(text, &catalog::OBJECTIVE_STATE, instance, &own, Some(values), samples);
    }

    /// Other deployments, each of which differs in one of the labels that are kept:
    /// an instance of the same name is ready and misses nothing.
    fn elsewhere(&self, text: &mut String, samples: &str) {
        for (place, (label, _)) in self.target.iter().enumerate() {
            if !self.subject.scope.kept().iter().any(|kept| kept == label) {
                continue;
            }
            let mut target = self.target.to_vec();
            target[place].1 = "elsewhere".to_owned();
            let ready = format!("1+0{samples}");
            let instance = ("a", target.as_slice());
            self.series_of_target(text, &catalog::READY, instance, &[], None, &ready);
            let own = [("state", State::Missed.name())];
            let met = format!("0+0{samples}");
            let values = Some(self.values.as_slice());
            let family = &catalog::OBJECTIVE_STATE;
            self.series_of_target(text, family, instance, &own, values, &met);
        }
    }

    /// The figure that misses and its sample, on one instance; `samples` writes a
    /// constant value over time.
    fn figures(&self, text: &mut String, instance: &str, samples: impl Fn(f64) -> String) {
        let values = Some(self.values.as_slice());
        self.series(text, &catalog::OBJECTIVE_VALUE, instance, &[], values, &samples(self.missing));
        if self.subject.kpi.sample.is_some() {
            self.series(text, &catalog::OBJECTIVE_SAMPLE, instance, &[], values, &samples(SAMPLE));
        }
    }

    fn one_of_two_misses(&self, text: &mut String) {
        self.start(text, "one of two ready instances says missed");
        let long = format!("x{}", self.hold + 10);
        for (instance, missed) in [("a", 1), ("b", 0)] {
            self.ready(text, instance, &format!("1+0{long}"));
            self.state(text, instance, State::Missed, &self.values, &format!("{missed}+0{long}"));
        }
        if let Some(others) = self.other_values() {
            for instance in ["a", "b"] {
                self.state(text, instance, State::Missed, &others, &format!("0+0{long}"));
            }
        }
        self.figures(text, "a", |value| format!("{value}+0{long}"));
        self.elsewhere(text, &long);
        text.push_str("    alert_rule_test:\n");
        if self.hold > 0 {
            self.silent(text, OBJECTIVE_MISSED, self.hold - 1);
        }
        self.missed(text, self.hold + 1, true);
    }

    fn only_an_unready_one_misses(&self, text: &mut String) {
        self.start(text, "only an instance that is not ready says missed");
        let long = format!("x{}", self.hold + 10);
        for (instance, ready, missed) in [("a", 0, 1), ("b", 1, 0)] {
            self.ready(text, instance, &format!("{ready}+0{long}"));
            self.state(text, instance, State::Missed, &self.values, &format!("{missed}+0{long}"));
        }
        self.elsewhere(text, &long);
        text.push_str("    alert_rule_test:\n");
        self.silent(text, OBJECTIVE_MISSED, self.hold + 5);
    }

    /// Missed until the hold is over; ten minutes not ready; ten minutes gone; five
    /// minutes missed again; then unknown.
    fn all_restart(&self, text: &mut String) {
        self.start(text, "stays while no instance is ready, until a ready one says unknown");
        let first = self.hold + 2;
        let last = self.keep + 10;
        self.ready(text, "a", &format!("1+0x{first} 0+0x9 stale _x9 1+0x4 1+0x{last}"));
        let missed = format!("1+0x{first} 0+0x9 stale _x9 1+0x4 0+0x{last}");
        self.state(text, "a", State::Missed, &self.values, &missed);
        let unknown = format!("0+0x{first} 1+0x9 stale _x9 0+0x4 1+0x{last}");
        self.state(text, "a", State::Unknown, &self.values, &unknown);
        self.figures(text, "a", |value| {
            format!("{value}+0x{} stale _x9 {value}+0x{}", first + 10, last + 5)
        });
        self.elsewhere(text, &format!("x{}", first + 25 + last));
        text.push_str("    alert_rule_test:\n");
        self.missed(text, first, true);
        self.missed(text, first + 10, false);
        self.missed(text, first + 20, false);
        self.missed(text, first + 25, true);
        self.silent(text, OBJECTIVE_MISSED, first + 25 + self.keep + 2);
    }

    fn unknown_for_long(&self, text: &mut String) {
        let reason = UnknownReason::NoData;
        self.unknown(text, "unknown on ready instances for 15 minutes", reason);
        let hold = words::minutes(UNKNOWN_HOLD);
        self.silent(text, OBJECTIVE_UNKNOWN, hold - 1);
        let moment = Moment { reason: reason.name().to_owned(), ..self.moment(false) };
        let annotations = self.subject.unknown_text(&moment, str::to_owned);
        self.expect(text, OBJECTIVE_UNKNOWN, hold + 1, Severity::Low, &annotations);
        self.silent(text, OBJECTIVE_MISSED, hold + 1);
    }

    fn outside_its_window_for_long(&self, text: &mut String) {
        let reason = UnknownReason::OutsideWindow;
        self.unknown(
            text,
            "above 1 for half an hour, since the window holds answers alone",
            reason,
        );
        self.silent(text, OBJECTIVE_UNKNOWN, words::minutes(UNKNOWN_HOLD) + 10);
    }

    /// Half an hour in which one ready instance can say nothing.
    fn unknown(&self, text: &mut String, what: &str, reason: UnknownReason) {
        self.start(text, what);
        self.ready(text, "a", "1+0x30");
        self.state(text, "a", State::Unknown, &self.values, "1+0x30");
        let own = [("reason", reason.name())];
        let values = Some(self.values.as_slice());
        self.series(text, &catalog::OBJECTIVE_UNKNOWN, "a", &own, values, "1+0x30");
        self.elsewhere(text, "x30");
        text.push_str("    alert_rule_test:\n");
    }

    /// Values of the slice that the alert must not be about; `None` where there are
    /// no others.
    fn other_values(&self) -> Option<Vec<String>> {
        let free = self.subject.objective.selector.iter().position(Option::is_none)?;
        let mut others = self.values.clone();
        others[free] = "autumn".to_owned();
        Some(others)
    }

    /// The labels that alerts say of where they are from.
    fn told(&self) -> impl Iterator<Item = (&str, &str)> {
        let told = self.subject.scope.told();
        let is_told = move |name: &str| told.iter().any(|(label, _)| *label == name);
        let target = self.target.iter().map(|(name, value)| (*name, value.as_str()));
        target.filter(move |(name, _)| is_told(name))
    }

    fn moment(&self, figure: bool) -> Moment {
        let told = || self.told().filter(|(_, value)| !value.is_empty());
        let known = |text: String| if figure { text } else { NO_FIGURE.to_owned() };
        Moment {
            values: self.values.clone(),
            escaped_values: self.values.iter().map(|value| query_escape(value)).collect(),
            whence: told().map(|(name, value)| format!(", {name} {value}")).collect(),
            variables: self
                .told()
                .map(|(name, value)| format!("&var-{name}={}", query_escape(value)))
                .collect(),
            figure: known(self.subject.style().show(self.missing)),
            sample: self.subject.sample_style().map(|style| known(style.show(SAMPLE))),
            reason: String::new(),
        }
    }

    fn silent(&self, text: &mut String, alert: &str, minute: i64) {
        let _ = writeln!(
            text,
            "      - eval_time: {minute}m\n        alertname: {alert}\n        exp_alerts: []"
        );
    }

    fn missed(&self, text: &mut String, minute: i64, figure: bool) {
        let annotations = self.subject.missed_text(&self.moment(figure), str::to_owned);
        let severity = self.subject.objective.severity;
        self.expect(text, OBJECTIVE_MISSED, minute, severity, &annotations);
    }

    fn expect(
        &self,
        text: &mut String,
        alert: &str,
        minute: i64,
        severity: Severity,
        annotations: &[(&str, String)],
    ) {
        let _ = writeln!(
            text,
            "      - eval_time: {minute}m\n        alertname: {alert}\n        exp_alerts:\n          \
             - exp_labels:"
        );
        let mut labels = self.subject.labels(severity);
        labels
            .extend(slice_labels(self.subject.slice).into_iter().zip(self.values.iter().cloned()));
        for (name, value) in self.told() {
            if !value.is_empty() && !labels.iter().any(|(label, _)| label == name) {
                labels.push((name.to_owned(), value.to_owned()));
            }
        }
        for (name, value) in labels {
            let _ = writeln!(text, "              {name}: {}", scalar(&value));
        }
        text.push_str("            exp_annotations:\n");
        for (name, value) in annotations {
            let _ = writeln!(text, "              {name}: {}", scalar(value));
        }
    }
}
