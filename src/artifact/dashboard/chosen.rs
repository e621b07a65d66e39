//! What panels ask: PromQL over the instances that the variables of a dashboard choose.

use crate::artifact::scope::Scope;
use crate::catalog::{self, Family};
use crate::kpi::KpiSpec;
use crate::objective::State;

/// The series of the instances that are chosen, within a scope.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chosen<'a> {
    pub(super) scope: &'a Scope,
}

impl Chosen<'_> {
    /// What every selector starts with: the job, the instance, and what tells
    /// deployments apart.
    fn instances(&self) -> String {
        let mut matchers = vec!["job=~\"$job\"".to_owned(), "instance=~\"$instance\"".to_owned()];
        matchers.extend(self.variables().map(|label| format!("{label}=~\"${label}\"")));
        matchers.join(",")
    }

    /// The labels that are kept and have a variable of their own.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.scope.kept().iter().map(String::as_str).filter(|label| *label != "job")
    }

    /// The series of a name, ready or not.
    pub(super) fn named(&self, name: &str, matchers: &str) -> String {
        let comma = if matchers.is_empty() { "" } else { "," };
        self.scope.named(name, &format!("{}{comma}{matchers}", self.instances()))
    }

    /// The series of a family, ready or not.
    pub(super) fn series(&self, family: &Family, matchers: &str) -> String {
        self.named(family.name, matchers)
    }

    /// The series of a family, ready or not, whatever else they say.
    pub(super) fn all(&self, family: &Family) -> String {
        self.series(family, "")
    }

    /// The series of a family, aggregated: `max by (labels) (...)`.
    pub(super) fn merged(&self, function: &str, labels: &str, family: &Family) -> String {
        self.scope.aggregate(function, labels, &self.all(family))
    }

    /// How many elements an expression has; of each deployment, where they are told
    /// apart.
    pub(super) fn count(&self, expr: &str) -> String {
        self.scope.aggregate("count", "", expr)
    }

    /// What each instance counted by `labels`, of the one that is furthest.
    pub(super) fn furthest(&self, labels: &str, expr: &str) -> String {
        let of_each = self.scope.aggregate("sum", &format!("job, instance, {labels}"), expr);
        self.scope.aggregate("max", labels, &of_each)
    }

    /// What ready instances say, merged by `labels`.
    pub(super) fn of_ready(&self, labels: &str, series: &str) -> String {
        self.scope.aggregate("max", labels, &self.scope.of_ready(series))
    }

    /// A KPI's figures by `labels`, merged over ready instances.
    pub(super) fn figures(&self, kpi: &KpiSpec, matchers: &str, labels: &str) -> String {
        self.of_ready(labels, &self.named(&catalog::kpi_family(kpi), matchers))
    }

    /// Verdicts as a number by `labels`: what is worse is higher, unknown is 0.
    pub(super) fn state_code(&self, matchers: &str, labels: &str) -> String {
        let states: Vec<String> = State::ALL
            .into_iter()
            .map(|state| {
                let matchers = format!("{matchers}state=\"{}\"", state.name());
                let series = self.series(&catalog::OBJECTIVE_STATE, &matchers);
                format!("{} * ({series} == 1)", super::code(state))
            })
            .collect();
        self.of_ready(labels, &format!("({})", states.join(" or ")))
    }

    /// A number that is 0 where no series exists; of each deployment, where they are
    /// told apart.
    pub(super) fn or_zero(&self, expr: &str) -> String {
        if self.scope.kept().is_empty() {
            return format!("{expr} or vector(0)");
        }
        let zero = self.merged("max", "", &catalog::READY);
        format!("{expr} or {} 0 * {zero}", self.scope.on(""))
    }
}
