//! PromQL that rules and dashboards share: selectors, aggregations and joins that keep
//! what tells deployments apart, and templates that ask for more when a text is
//! rendered.

use std::fmt::Write;

use super::scope::Scope;
use crate::catalog::{Family, READY, slice_labels};
use crate::kpi::SliceSpec;

/// Stands around a label's name where a rendered text has that label's value. No
/// expression contains it otherwise.
const OWN_VALUE: char = '\0';

impl Scope {
    /// The series of a name: `name{matchers}`, with the scope's own after them.
    pub(super) fn named(&self, name: &str, matchers: &str) -> String {
        let own = self.matchers().iter().map(ToString::to_string);
        let all: Vec<String> = Some(matchers.to_owned())
            .filter(|given| !given.is_empty())
            .into_iter()
            .chain(own)
            .collect();
        if all.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", all.join(",")) }
    }

    /// The series of a family.
    pub(super) fn series(&self, family: &Family, matchers: &str) -> String {
        self.named(family.name, matchers)
    }

    /// The series of a family, whatever else they say.
    pub(super) fn all(&self, family: &Family) -> String {
        self.series(family, "")
    }

    /// Alerts that Prometheus holds. They have lost what is neither kept nor said.
    pub(super) fn alerts(&self, matchers: &str) -> String {
        let mut alerts = format!("ALERTS{{{matchers}");
        for matcher in self.matchers_of_told() {
            let _ = write!(alerts, ",{matcher}");
        }
        alerts + "}"
    }

    /// `tidegauge_ready == 1`: the instances whose figures count.
    pub(super) fn ready(&self) -> String {
        format!("{} == 1", self.all(&READY))
    }

    /// Keeps of `expr` what ready instances say.
    pub(super) fn of_ready(&self, expr: &str) -> String {
        format!("{expr} and {} ({})", self.on("job, instance"), self.ready())
    }

    /// `labels` and those that are kept.
    pub(super) fn with_kept(&self, labels: &str) -> String {
        let mut all: Vec<&str> = labels.split(", ").filter(|label| !label.is_empty()).collect();
        for kept in self.kept() {
            if !all.contains(&kept.as_str()) {
                all.push(kept);
            }
        }
        all.join(", ")
    }

    /// `on (labels)`: a join never crosses deployments.
    pub(super) fn on(&self, labels: &str) -> String {
        format!("on ({})", self.with_kept(labels))
    }

    /// `max by (labels) (expr)`, or `max(expr)` where nothing is told apart.
    pub(super) fn aggregate(&self, function: &str, labels: &str, expr: &str) -> String {
        match self.with_kept(labels) {
            labels if labels.is_empty() => format!("{function}({expr})"),
            labels => format!("{function} by ({labels}) ({expr})"),
        }
    }

    /// The labels that tell the alerts of one objective apart, but for those that are
    /// kept.
    pub(super) fn identity(slice: &SliceSpec) -> String {
        let mut labels = vec!["objective".to_owned(), "slice".to_owned()];
        labels.extend(slice_labels(slice));
        labels.join(", ")
    }

    /// What Prometheus says of scraping instances, for those that nothing was scraped
    /// of: under the usual job, unless a matcher names another.
    pub(super) fn up_of_job(&self) -> String {
        self.named("up", if self.selects_on("job") { "" } else { "job=\"tidegauge\"" })
    }

    /// Where labels are kept, the deployments that there are. Nothing says which ones
    /// there should be: known are those that are scraped, and for a day those that were.
    pub(super) fn known(&self) -> Option<String> {
        let known =
            || format!("present_over_time({}[1d]) or {}", self.all(&READY), self.up_of_job());
        (!self.kept().is_empty()).then(known)
    }

    /// One element where no series fulfils `condition`; where labels are kept, one for
    /// each known deployment of which that is true.
    pub(super) fn none(&self, condition: &str) -> String {
        let Some(known) = self.known() else { return format!("absent({condition})") };
        format!(
            "{} unless {} ({condition})\nor\nabsent({known})",
            self.aggregate("count", "", &known),
            self.on("")
        )
    }

    /// Matchers for the alert's own values of `labels` and of those that are kept, for
    /// an expression that [`query`] takes.
    pub(super) fn own(&self, labels: &str) -> String {
        let labels = self.with_kept(labels);
        let matchers = labels.split(", ").filter(|label| !label.is_empty());
        let matchers = matchers.map(|label| format!("{label}={OWN_VALUE}{label}{OWN_VALUE}"));
        matchers.collect::<Vec<_>>().join(",")
    }

    /// What an alert adds to where it is from, as a template: `, env production`.
    pub(super) fn whence(&self) -> String {
        let mut text = String::new();
        for (label, value) in self.told() {
            let _ = match value {
                Some(value) => write!(text, ", {label} {}", super::rule::template_of(value)),
                None => {
                    write!(text, "{{{{ with $labels.{label} }}}}, {label} {{{{ . }}}}{{{{ end }}}}")
                }
            };
        }
        text
    }

    /// The variables of a dashboard that show where an alert is from, as a template:
    /// `&var-env=production`.
    pub(super) fn variables(&self) -> String {
        let mut text = String::new();
        for (label, value) in self.told() {
            let _ = match value {
                Some(value) => write!(text, "&var-{label}={}", query_escape(value)),
                None => write!(text, "&var-{label}={{{{ $labels.{label} | urlquery }}}}"),
            };
        }
        text
    }
}

/// The pipeline of a template that asks for `expr` when a text is rendered, with the
/// alert's own values in place of [`Scope::own`]. Any value can be asked for: `%+q`
/// writes ASCII only, while PromQL refuses some characters as they are.
pub(super) fn query(expr: &str) -> String {
    let mut format = String::new();
    let mut values = String::new();
    for (place, part) in expr.split(OWN_VALUE).enumerate() {
        if place % 2 == 0 {
            format.push_str(&part.replace('%', "%%"));
        } else {
            format.push_str("%+q");
            let _ = write!(values, " $labels.{part}");
        }
    }
    format!("printf `{format}`{values} | query")
}

/// As Go's `urlquery` writes it.
pub(super) fn query_escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => escaped.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            byte => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(kept: &[&str], matchers: &[&str]) -> Scope {
        let mut scope = Scope::default();
        for label in kept {
            scope.keep(label, &[]).expect("a label");
        }
        for text in matchers {
            scope.select(text, &[]).expect("a matcher");
        }
        scope
    }

    #[test]
    fn without_a_scope_nothing_is_added() {
        let scope = Scope::default();
        assert_eq!(scope.ready(), "tidegauge_ready == 1");
        assert_eq!(scope.aggregate("sum", "", "x"), "sum(x)");
        assert_eq!(scope.on(""), "on ()");
        assert_eq!(scope.none("x == 1"), "absent(x == 1)");
        assert_eq!(scope.whence() + &scope.variables(), "");
    }

    #[test]
    fn what_is_kept_is_named_once_everywhere() {
        let scope = scope(&["env", "job"], &[]);
        assert_eq!(scope.on("job, instance"), "on (job, instance, env)");
        assert_eq!(scope.aggregate("max", "topic", "x"), "max by (topic, env, job) (x)");
        assert_eq!(
            query(&scope.own("job")),
            "printf `job=%+q,env=%+q` $labels.job $labels.env | query"
        );
    }

    #[test]
    fn a_matcher_stands_in_every_selector_and_says_what_it_selects() {
        let scope = scope(&[], &["env=\"50%\",job!=\"x\""]);
        assert_eq!(scope.series(&READY, ""), "tidegauge_ready{env=\"50%\",job!=\"x\"}");
        assert_eq!(scope.up_of_job(), "up{env=\"50%\",job!=\"x\"}");
        assert_eq!(
            query(&scope.ready()),
            "printf `tidegauge_ready{env=\"50%%\",job!=\"x\"} == 1` | query"
        );
        assert_eq!(scope.whence(), ", env 50%");
        assert_eq!(scope.variables(), "&var-env=50%25");
    }

    #[test]
    fn addresses_are_escaped_as_the_templates_do() {
        assert_eq!(query_escape("spring sale & more/ü"), "spring+sale+%26+more%2F%C3%BC");
    }
}
