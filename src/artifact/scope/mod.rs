//! What tells deployments apart that stand in one Prometheus, such as staging and
//! production.
//!
//! Comes in: names of labels that the scrape targets have beside `job` and
//! `instance`, and matchers on such labels. Goes out: one [`Scope`], of which every
//! rule and every panel is made. A label that is kept survives each aggregation and
//! takes part in each join, so that one set of rules speaks for each deployment by
//! itself; a matcher stands in every selector, so that a set of rules speaks for one
//! deployment only. A scope without either is what a single deployment needs.

mod matcher;

use std::fmt;

use self::matcher::Matcher;
use crate::catalog::{FAMILIES, TAKEN_LABELS, slice_labels};
use crate::kpi::SliceSpec;

/// Labels that every target has; alerts may be told apart by the first, never by the
/// second.
const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// Names that Prometheus and the generated dashboards need, beside those of families
/// and rules.
const RESERVED: &[&str] = &["alertstate", "datasource"];

/// The labels that are kept and the matchers that every selector has; by default
/// none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    kept: Vec<String>,
    matchers: Vec<Matcher>,
}

/// What PromQL takes for numbers, in whatever case, also where a label stands.
const NUMBERS: [&str; 2] = ["inf", "nan"];

impl Scope {
    /// Keeps a label of the targets.
    ///
    /// The error is that it is no label, is kept already, or is one that families,
    /// rules or one of the `slices` have themselves.
    pub fn keep<'s>(
        &mut self,
        label: &str,
        slices: impl IntoIterator<Item = &'s SliceSpec>,
    ) -> Result<(), ScopeFault> {
        if label == INSTANCE {
            return Err(ScopeFault {
                what: "`instance` cannot be kept".to_owned(),
                remedy: "instances are replicas, and make one alert; name a label that all \
                         replicas of a deployment share, such as `env`"
                    .to_owned(),
            });
        }
        if NUMBERS.contains(&label.to_ascii_lowercase().as_str()) {
            return Err(ScopeFault {
                what: format!("`{label}` cannot be kept: it is a number to PromQL"),
                remedy: "give the targets a label of another name".to_owned(),
            });
        }
        of_targets(label, slices)?;
        if self.kept.iter().any(|kept| kept == label) {
            return Err(twice(label));
        }
        self.kept.push(label.to_owned());
        Ok(())
    }

    /// Adds a matcher, or several with commas between them, to every selector.
    ///
    /// The error is that it is none, is there already, contradicts another, or is on
    /// a label that families, rules or one of the `slices` have themselves.
    pub fn select<'s>(
        &mut self,
        text: &str,
        slices: impl IntoIterator<Item = &'s SliceSpec> + Clone,
    ) -> Result<(), ScopeFault> {
        for matcher in matcher::parse_list(text)? {
            of_targets(matcher.label(), slices.clone())?;
            if self.matchers.contains(&matcher) {
                return Err(twice(&matcher.to_string()));
            }
            if let Some(other) = self.matchers.iter().find(|other| other.excludes(&matcher)) {
                return Err(ScopeFault {
                    what: format!("`{matcher}` and `{other}` leave nothing to select"),
                    remedy: "write `label=~\"one|other\"` for either of two values".to_owned(),
                });
            }
            self.matchers.push(matcher);
        }
        Ok(())
    }

    /// Keeps these labels instead of those kept so far; none of them changes nothing.
    pub fn keep_instead(
        &mut self,
        labels: &[String],
        slices: &[SliceSpec],
    ) -> Result<(), ScopeFault> {
        if !labels.is_empty() {
            self.kept.clear();
        }
        labels.iter().try_for_each(|label| self.keep(label, slices))
    }

    /// Selects by these matchers instead of those so far; none of them changes nothing.
    pub fn select_instead(
        &mut self,
        matchers: &[String],
        slices: &[SliceSpec],
    ) -> Result<(), ScopeFault> {
        if !matchers.is_empty() {
            self.matchers.clear();
        }
        matchers.iter().try_for_each(|text| self.select(text, slices))
    }

    /// The labels that are kept.
    pub(super) fn kept(&self) -> &[String] {
        &self.kept
    }

    /// The matchers of every selector.
    pub(super) fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// Whether some matcher is on a label.
    pub(super) fn selects_on(&self, label: &str) -> bool {
        self.matchers.iter().any(|matcher| matcher.label() == label)
    }

    /// The matchers that hold for alerts too: those on labels that alerts say.
    pub(super) fn matchers_of_told(&self) -> impl Iterator<Item = &Matcher> {
        let told = self.told();
        let is_told =
            move |matcher: &&Matcher| told.iter().any(|(label, _)| *label == matcher.label());
        self.matchers.iter().filter(is_told)
    }

    /// The labels of which one value only is selected, with that value; an alert says
    /// it, since whatever else it is made of has lost it.
    pub(super) fn fixed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.matchers.iter().filter_map(Matcher::only_value)
    }

    /// The labels by which alerts say where they come from: those that are kept, and
    /// those of which one value is selected. With that value, where it is known.
    pub(super) fn told(&self) -> Vec<(&str, Option<&str>)> {
        let fixed_value =
            |label: &str| self.fixed().find(|(fixed, _)| *fixed == label).map(|(_, value)| value);
        let kept = self.kept.iter().map(|label| (label.as_str(), fixed_value(label)));
        let fixed = self.fixed().filter(|(label, _)| !self.kept.iter().any(|kept| kept == label));
        kept.chain(fixed.map(|(label, value)| (label, Some(value)))).collect()
    }

    /// For each label that is kept or matched, a value that all matchers accept, for
    /// series of tests; empty stands for a series without the label. `None` where none
    /// is found, since a pattern may be anything.
    pub(super) fn example(&self) -> Option<Vec<(&str, String)>> {
        let mut labels: Vec<&str> = self.kept.iter().map(String::as_str).collect();
        for matcher in &self.matchers {
            if !labels.contains(&matcher.label()) {
                labels.push(matcher.label());
            }
        }
        let value_of = |label: &str| {
            let own = || self.matchers.iter().filter(move |matcher| matcher.label() == label);
            let usual = if label == JOB { "tidegauge" } else { "here" };
            let mut candidates = own().flat_map(Matcher::candidates).collect::<Vec<_>>();
            candidates.extend([usual.to_owned(), String::new()]);
            candidates.into_iter().find(|value| own().all(|matcher| matcher.accepts(value)))
        };
        labels.into_iter().map(|label| Some((label, value_of(label)?))).collect()
    }
}

/// Why something cannot be kept or selected by, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeFault {
    /// What is wrong, in one line.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// The fault, and `  help: remedy` on a line of its own.
impl fmt::Display for ScopeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  help: {}", self.what, self.remedy)
    }
}

fn twice(what: &str) -> ScopeFault {
    ScopeFault { what: format!("`{what}` is there twice"), remedy: "once is enough".to_owned() }
}

/// What somebody wrote, on one line; quotes need no escape between back-ticks.
fn shown(text: &str) -> String {
    text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// Whether a label is one that the targets may bring along.
fn of_targets<'s>(
    label: &str,
    slices: impl IntoIterator<Item = &'s SliceSpec>,
) -> Result<(), ScopeFault> {
    let valid = !label.starts_with(|first: char| first.is_ascii_digit())
        && !label.starts_with("__")
        && !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !valid {
        return Err(ScopeFault {
            what: format!("`{}` is no label of a target", shown(label)),
            remedy: "a label has letters, digits and underscores, begins with a letter, and is \
                     given to the targets where they are listed for Prometheus"
                .to_owned(),
        });
    }
    if [JOB, INSTANCE].contains(&label) {
        return Ok(());
    }
    let remedy = "let the targets have a label of another name".to_owned();
    let slice = slices.into_iter().find(|slice| slice_labels(slice).iter().any(|own| own == label));
    if let Some(slice) = slice {
        let what = format!("`{label}` is a label of the slice `{}`", slice.name);
        return Err(ScopeFault { what, remedy });
    }
    let taken = TAKEN_LABELS.contains(&label)
        || RESERVED.contains(&label)
        || FAMILIES.iter().any(|family| family.labels.contains(&label));
    if taken {
        let what = format!("`{label}` is a name of Tidegauge's or Prometheus' own");
        return Err(ScopeFault { what, remedy });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Field;

    fn slices() -> Vec<SliceSpec> {
        vec![SliceSpec {
            name: "place".to_owned(),
            fields: vec![Field::from_name("region")],
            windows: Vec::new(),
            cap: 1,
        }]
    }

    /// What is said against keeping `kept` and selecting by `matchers`, in this order.
    fn fault(kept: &[&str], matchers: &[&str]) -> String {
        let mut scope = Scope::default();
        let kept = kept.iter().try_for_each(|label| scope.keep(label, &slices()));
        let all =
            kept.and_then(|()| matchers.iter().try_for_each(|text| scope.select(text, &slices())));
        all.err().map_or_else(String::new, |fault| fault.what)
    }

    #[test]
    fn what_rules_or_slices_have_themselves_is_refused() {
        assert_eq!(fault(&["env", "job", "_cluster9"], &["env!=\"dev\"", "instance=~\"p.*\""]), "");
        assert_eq!(fault(&["instance"], &[]), "`instance` cannot be kept");
        assert_eq!(fault(&["NaN"], &[]), "`NaN` cannot be kept: it is a number to PromQL");
        assert_eq!(fault(&["env", "env"], &[]), "`env` is there twice");
        assert_eq!(fault(&["region"], &[]), "`region` is a label of the slice `place`");
        for own in ["slice", "topic", "owner", "kpi", "alertstate", "fingerprint", "le"] {
            let what = format!("`{own}` is a name of Tidegauge's or Prometheus' own");
            assert_eq!(fault(&[own], &[]), what);
            assert_eq!(fault(&[], &[&format!("{own}=\"x\"")]), what);
        }
        for none in ["", "a-b", "9a", "__name__", "é", "env=\"x\""] {
            assert_eq!(fault(&[none], &[]), format!("`{none}` is no label of a target"));
        }
    }

    #[test]
    fn matchers_that_leave_nothing_are_refused() {
        assert_eq!(fault(&[], &["env!=\"a\",env!=\"b\""]), "");
        assert_eq!(fault(&[], &["env=\"a\"", "env=\"a\""]), "`env=\"a\"` is there twice");
        assert_eq!(
            fault(&[], &["env=\"a\"", "env=\"b\""]),
            "`env=\"b\"` and `env=\"a\"` leave nothing to select"
        );
        assert_eq!(
            fault(&[], &["env=~\"a.*\"", "env=\"b\""]),
            "`env=\"b\"` and `env=~\"a.*\"` leave nothing to select"
        );
    }

    #[track_caller]
    fn check_example(matchers: &str, expected: Option<&str>) {
        let mut scope = Scope::default();
        scope.select(matchers, &[]).expect("matchers");
        let example = scope.example().map(|values| values[0].1.clone());
        assert_eq!(example.as_deref(), expected, "of {matchers}");
    }

    #[test]
    fn a_value_for_tests_is_one_that_is_selected() {
        check_example("env=\"production\"", Some("production"));
        check_example("env!=\"here\"", Some(""));
        check_example("env!=\"staging\"", Some("here"));
        check_example("env=~\"prod|canary\"", Some("prod"));
        check_example("env=~\"(prod|canary)-.+\"", Some("prod-x"));
        check_example("env=~\"prod.*\",env!=\"prod\"", Some("prodx"));
        check_example("env=~\"[0-9]{4}\"", None);
    }
}
