//! The alert rules of declared objectives.
//!
//! One alert for each objective and slice value, however many instances there are:
//! verdicts of ready instances are joined by job and instance, and the worst counts.
//! Where labels of the targets are kept, one alert for each of their values too.

use super::expression::query;
use super::rule::{Rule, template_of};
use super::scope::Scope;
use super::words::{self, Style};
use super::{Inputs, OBJECTIVE_MISSED, OBJECTIVE_UNKNOWN};
use crate::catalog;
use crate::event::Span;
use crate::kpi::{Declarations, KpiSpec, Share, SliceSpec};
use crate::objective::{ObjectiveSpec, Severity, State, Target, UnknownReason};

/// How long nothing must be known of a literal objective before somebody is told.
pub(super) const UNKNOWN_HOLD: Span = Span::from_secs(15 * 60);

/// What the text of an alert says of the moment: templates in the rule file, the
/// expected result in its tests.
pub(super) struct Moment {
    /// For each field of the slice, its value.
    pub(super) values: Vec<String>,
    /// The same, as they stand in an address.
    pub(super) escaped_values: Vec<String>,
    /// What the place is followed by where deployments are told apart.
    pub(super) whence: String,
    /// The same, as variables of a dashboard.
    pub(super) variables: String,
    /// The figure that is judged.
    pub(super) figure: String,
    /// The sample behind it; `None` where the KPI has none.
    pub(super) sample: Option<String>,
    /// Why nothing can be said.
    pub(super) reason: String,
}

/// One objective with what it refers to.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) scope: &'a Scope,
    pub(super) declarations: &'a Declarations,
    pub(super) objective: &'a ObjectiveSpec,
    pub(super) kpi: &'a KpiSpec,
    pub(super) slice: &'a SliceSpec,
}

impl<'a> Subject<'a> {
    pub(super) fn new(inputs: &Inputs<'a>, objective: &'a ObjectiveSpec) -> Self {
        let declarations = inputs.declarations;
        Subject {
            scope: inputs.scope,
            declarations,
            objective,
            kpi: &declarations.kpis[objective.kpi],
            slice: &declarations.slices[objective.slice],
        }
    }

    pub(super) fn window(&self) -> String {
        self.slice.windows[self.objective.window].to_string()
    }

    pub(super) fn style(&self) -> Style {
        Style::of_kpi(self.declarations, self.kpi)
    }

    pub(super) fn sample_style(&self) -> Option<Style> {
        Style::of_sample(self.declarations, self.kpi)
    }

    /// The labels that the rule adds; those of the expression stand beside them.
    pub(super) fn labels(&self, severity: Severity) -> Vec<(String, String)> {
        let mut labels = vec![
            ("objective", self.objective.id.clone()),
            ("kpi", self.kpi.id.clone()),
            ("slice", self.slice.name.clone()),
            ("window", self.window()),
            ("owner", self.objective.owner.clone()),
            ("severity", severity.name().to_owned()),
        ];
        if !self.objective.serves.is_empty() {
            labels.push(("serves", self.objective.serves.clone()));
        }
        labels.extend(self.scope.fixed().map(|(label, value)| (label, value.to_owned())));
        labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The annotations of a miss. Everything from declarations passes `plain`,
    /// which makes a template of it or leaves it as it is.
    pub(super) fn missed_text(
        &self,
        moment: &Moment,
        plain: fn(&str) -> String,
    ) -> Vec<(&'static str, String)> {
        let objective = self.objective;
        let target = words::target(objective.target, &self.style());
        let place = self.place(moment);
        let title = words::title(&self.kpi.id);
        let window = self.window();
        let figure = &moment.figure;
        let sample = match &moment.sample {
            Some(sample) => format!(", from a sample of {sample}"),
            None => String::new(),
        };
        let serves = match objective.serves.as_str() {
            "" => String::new(),
            serves => format!(" Serves: {}", plain(&words::sentence(serves))),
        };
        let mut text = vec![
            (
                "summary",
                format!("{title} of {place} is {figure} over {window}; the target is {target}"),
            ),
            (
                "description",
                format!(
                    "{} Over the last {window} of event time, {} of {place} is {figure}{sample}; \
                     the target is {target}. Owner: {}{serves} Look at the dashboard of {place}, \
                     then at whether the source changed what it sends.",
                    plain(&words::sentence(&objective.help)),
                    self.kpi.id,
                    plain(&words::sentence(&objective.owner)),
                ),
            ),
            ("figure", figure.clone()),
            ("target", target),
        ];
        text.extend(moment.sample.clone().map(|sample| ("sample", sample)));
        text.extend(self.links(moment, plain));
        text
    }

    /// The annotations of an objective of which nothing is known for long.
    pub(super) fn unknown_text(
        &self,
        moment: &Moment,
        plain: fn(&str) -> String,
    ) -> Vec<(&'static str, String)> {
        let place = self.place(moment);
        let inconsistent = match self.kpi.share {
            Some(_) => " inconsistent: does the source send what the KPI is a share of?",
            None => "",
        };
        let mut text = vec![
            (
                "summary",
                format!(
                    "Nothing can be said of {} of {place} for 15 minutes: {}",
                    self.kpi.id, moment.reason
                ),
            ),
            (
                "description",
                format!(
                    "Objective {}: {} Its verdict over {} is unknown, reason {}. no_data: does the \
                     source still send, and under this name? small_sample: is the minimum sample \
                     too high for this traffic? warming_up: the window reaches back beyond what \
                     was read.{inconsistent}",
                    self.objective.id,
                    plain(&words::sentence(&self.objective.help)),
                    self.window(),
                    moment.reason,
                ),
            ),
        ];
        text.extend(self.links(moment, plain));
        text
    }

    fn place(&self, moment: &Moment) -> String {
        words::place(self.slice, &moment.values) + &moment.whence
    }

    fn links(&self, moment: &Moment, plain: fn(&str) -> String) -> Vec<(&'static str, String)> {
        let mut dashboard = format!(
            "/d/{}?var-window={}",
            super::dashboard::uid_of_slice(self.slice),
            self.window()
        );
        for (label, value) in catalog::slice_labels(self.slice).iter().zip(&moment.escaped_values) {
            dashboard.push_str(&format!("&var-{label}={value}"));
        }
        dashboard.push_str(&moment.variables);
        let mut links = vec![("dashboard", dashboard)];
        links.extend(self.objective.runbook.as_ref().map(|url| ("runbook_url", plain(url))));
        links
    }

    /// The moment as templates.
    fn templates(&self) -> Moment {
        let labels: Vec<String> = catalog::slice_labels(self.slice)
            .iter()
            .map(|label| format!("$labels.{label}"))
            .collect();
        let worst = match self.objective.target {
            Target::AtLeast(_) => "min",
            Target::AtMost(_) | Target::Between(..) => "max",
        };
        let figure = self.template_of_family(&catalog::OBJECTIVE_VALUE, worst, &self.style());
        let sample = self
            .sample_style()
            .map(|style| self.template_of_family(&catalog::OBJECTIVE_SAMPLE, "max", &style));
        Moment {
            values: labels.iter().map(|label| format!("{{{{ {label} }}}}")).collect(),
            escaped_values: labels
                .iter()
                .map(|label| format!("{{{{ {label} | urlquery }}}}"))
                .collect(),
            whence: self.scope.whence(),
            variables: self.scope.variables(),
            figure,
            sample,
            reason: self.template_of_reason(),
        }
    }

    /// A family's series for the alert's own slice value, for a [`query`].
    fn own_series(&self, family: &catalog::Family) -> String {
        let mut matchers = format!("objective=\"{}\"", self.objective.id);
        let own = self.scope.own(&catalog::slice_labels(self.slice).join(", "));
        if !own.is_empty() {
            matchers.push_str(&format!(",{own}"));
        }
        self.scope.series(family, &matchers)
    }

    fn template_of_family(&self, family: &catalog::Family, worst: &str, style: &Style) -> String {
        let figure = format!("{worst}({})", self.scope.of_ready(&self.own_series(family)));
        format!(
            "{{{{ with {} }}}}{{{{ . | first | value | {} }}}}{}\
             {{{{ else }}}}{NO_FIGURE}{{{{ end }}}}",
            query(&figure),
            style.pipe(),
            style.tail(),
        )
    }

    fn template_of_reason(&self) -> String {
        let reason = format!("{} == 1", self.own_series(&catalog::OBJECTIVE_UNKNOWN));
        format!(
            "{{{{ with {} }}}}{{{{ . | first | label \"reason\" }}}}\
             {{{{ else }}}}not given{{{{ end }}}}",
            query(&self.scope.of_ready(&reason)),
        )
    }
}

/// What stands for a figure while no ready instance exports it.
pub(super) const NO_FIGURE: &str = "not known at present";

/// The rules of all objectives: those of misses, then those of what is unknown.
pub(super) fn rules(inputs: &Inputs<'_>) -> Vec<Rule> {
    let subjects = || inputs.objectives.iter().map(|objective| Subject::new(inputs, objective));
    let missed = subjects().map(|subject| missed_rule(&subject));
    let unknown = subjects()
        .filter(|subject| subject.objective.is_literal())
        .map(|subject| unknown_rule(&subject));
    missed.chain(unknown).collect()
}

fn state_matchers(objective: &ObjectiveSpec, state: State) -> String {
    format!("objective=\"{}\",state=\"{}\"", objective.id, state.name())
}

fn missed_rule(subject: &Subject<'_>) -> Rule {
    let (objective, scope) = (subject.objective, subject.scope);
    let identity = Scope::identity(subject.slice);
    let state = scope.series(&catalog::OBJECTIVE_STATE, &state_matchers(objective, State::Missed));
    let ready = scope.ready();
    let missed = scope.aggregate(
        "max",
        &identity,
        &format!("\n    {state}\n    and {} ({ready})\n  ", scope.on("job, instance")),
    );
    let alerts = scope.alerts(&format!(
        "alertname=\"{OBJECTIVE_MISSED}\",objective=\"{}\",alertstate=\"firing\"",
        objective.id
    ));
    let fired = scope.aggregate("max", &identity, &format!("\n    {alerts}\n  "));
    let of_known = match scope.known() {
        Some(known) => format!("\n  and {} ({known})", scope.on("")),
        None => String::new(),
    };
    Rule {
        alert: OBJECTIVE_MISSED,
        expr: format!(
            "(\n  {missed} == 1\n)\nor\n(\n  {fired}\n  unless {} ({ready}){of_known}\n)",
            scope.on("")
        ),
        hold: objective.hold,
        keep_firing: objective.keep_firing,
        labels: subject.labels(objective.severity),
        annotations: subject.missed_text(&subject.templates(), template_of),
    }
}

fn unknown_rule(subject: &Subject<'_>) -> Rule {
    let scope = subject.scope;
    let state =
        scope.series(&catalog::OBJECTIVE_STATE, &state_matchers(subject.objective, State::Unknown));
    let by = Scope::identity(subject.slice);
    let of_ready = |series: &str| {
        let on = scope.on("job, instance");
        format!("\n  {series}\n  and {on} ({})\n", scope.ready())
    };
    let mut expr = format!("{} == 1", scope.aggregate("min", &by, &of_ready(&state)));
    // Nothing is wrong with a window that holds answers alone.
    if subject.kpi.share == Some(Share::OfEarlier) {
        let reason = UnknownReason::OutsideWindow.name();
        let matchers = format!("objective=\"{}\",reason=\"{reason}\"", subject.objective.id);
        let outside = scope.series(&catalog::OBJECTIVE_UNKNOWN, &matchers);
        let outside = scope.aggregate("max", &by, &of_ready(&outside));
        expr.push_str(&format!("\nunless\n{outside} == 1"));
    }
    Rule {
        alert: OBJECTIVE_UNKNOWN,
        expr,
        hold: UNKNOWN_HOLD,
        keep_firing: Span::ZERO,
        labels: subject.labels(Severity::Low),
        annotations: subject.unknown_text(&subject.templates(), template_of),
    }
}
