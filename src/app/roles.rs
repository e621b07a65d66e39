//! What each topic is for: which objectives rest on it, how far behind it may be, and
//! what is added up over it.
//!
//! In: the configuration. Out: the [`TopicRole`] of any topic, that of the first binding
//! that matches its name. A topic bears an objective if its format can give an event type
//! that a measure of the objective's KPI, or of its sample, asks for: nothing is guessed
//! from what the topic has held so far.

use std::sync::Arc;

use crate::config::{Config, TopicSpec};
use crate::event::{Span, TypeId};
use crate::format::FormatSpec;
use crate::kafka::TopicPattern;
use crate::kpi::{AggregateSpec, Declarations, MeasureIndex};
use crate::objective::{ObjectiveIndex, ObjectiveSpec};

/// What the topics of one binding are for.
#[derive(Debug, Clone)]
pub struct TopicRole {
    /// Further behind than this, nothing that rests on it says anything about now.
    pub stale_after: Span,
    /// By objective: whether it rests on what the topic holds.
    pub bears: Vec<bool>,
    /// The measures that add up what it holds, ascending: all but levels.
    pub adds_up: Vec<MeasureIndex>,
    /// Whether they may do so though its log is compacted.
    pub allow_compacted: bool,
}

impl TopicRole {
    /// Whether an objective rests on what the topic holds.
    pub fn bears(&self, objective: ObjectiveIndex) -> bool {
        self.bears.get(objective).copied().unwrap_or(true)
    }
}

/// The roles of all topics.
#[derive(Debug, Clone)]
pub struct TopicRoles {
    bindings: Vec<(TopicPattern, Arc<TopicRole>)>,
    /// Of topics that no binding matches any more: everything may rest on them.
    unbound: Arc<TopicRole>,
}

impl Default for TopicRoles {
    fn default() -> Self {
        Self::new(Vec::new(), Span::from_secs(60))
    }
}

impl TopicRoles {
    /// Roles by patterns, in the order of the configuration; `stale_after` is that of
    /// topics that none matches.
    pub(super) fn new(bindings: Vec<(TopicPattern, Arc<TopicRole>)>, stale_after: Span) -> Self {
        let unbound = TopicRole {
            stale_after,
            bears: Vec::new(),
            adds_up: Vec::new(),
            allow_compacted: false,
        };
        TopicRoles { bindings, unbound: Arc::new(unbound) }
    }

    /// As declared; `topics` are the patterns of `config.kafka.topics`, in their order.
    pub fn of(config: &Config, topics: &[TopicPattern]) -> Self {
        let bound = topics.iter().zip(&config.kafka.topics).filter_map(|(pattern, topic)| {
            let format = config.formats.iter().find(|format| format.name == topic.format)?;
            let role = role(topic, format, &config.declarations, &config.objectives);
            Some((pattern.clone(), Arc::new(role)))
        });
        Self::new(bound.collect(), config.stale_after)
    }

    /// The role of a topic.
    pub fn role(&self, topic: &str) -> &Arc<TopicRole> {
        let bound = self.bindings.iter().find(|(pattern, _)| pattern.matches(topic));
        bound.map_or(&self.unbound, |(_, role)| role)
    }

    /// Whether topics are refused if their logs are compacted, because something adds up over
    /// them and nobody has allowed it; the first that matches counts.
    pub fn refuse_compacted(&self) -> Vec<(TopicPattern, bool)> {
        let refused = |role: &TopicRole| !role.adds_up.is_empty() && !role.allow_compacted;
        let bound = self.bindings.iter();
        bound.map(|(pattern, role)| (pattern.clone(), refused(role))).collect()
    }

    /// The longest that any topic may be behind: further than that, all figures are of a
    /// moment that is too long ago.
    pub fn longest_stale_after(&self) -> Span {
        let bound = self.bindings.iter().map(|(_, role)| role.stale_after);
        bound.max().unwrap_or(self.unbound.stale_after)
    }
}

fn role(
    topic: &TopicSpec,
    format: &FormatSpec,
    declarations: &Declarations,
    objectives: &[ObjectiveSpec],
) -> TopicRole {
    let gives = |kind: &TypeId| format.can_give(declarations.vocabulary.name(*kind));
    let fed = |measure: MeasureIndex| declarations.measures[measure].types.iter().any(gives);
    let bears = |objective: &ObjectiveSpec| {
        let kpi = &declarations.kpis[objective.kpi];
        let sample = kpi.sample.iter().flat_map(|sample| sample.of.measures());
        kpi.formula.measures().into_iter().chain(sample).any(fed)
    };
    let is_level = |measure: MeasureIndex| {
        matches!(declarations.measures[measure].aggregate, AggregateSpec::Last { .. })
    };
    let used = (0..declarations.slices.len()).flat_map(|of| declarations.measures_of_slice(of));
    let mut adds_up: Vec<MeasureIndex> =
        used.filter(|measure| !is_level(*measure) && fed(*measure)).collect();
    adds_up.sort_unstable();
    adds_up.dedup();
    TopicRole {
        stale_after: topic.stale_after,
        bears: objectives.iter().map(bears).collect(),
        adds_up,
        allow_compacted: topic.allow_compacted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const TEXT: &str = r#"
        [kafka]
        brokers = "b:1"

        [time]
        stale_after = "2m"

        [[topics]]
        name = ["^mail\\..*", "lists"]
        format = "sendgrid"
        stale_after = "10m"

        [[topics]]
        name = "web"
        format = "ga4_mp"
        allow_compacted = true

        [objectives.leaving]
        kpi = "unsubscribe_per_delivered"
        slice = "all"
        window = "1h"
        at_most = 0.005
        owner = "email-team"

        [objectives.views]
        kpi = "page_views"
        slice = "all"
        window = "1h"
        at_least = 10
        owner = "web-team"
    "#;

    fn config() -> Config {
        parse("tidegauge.toml", TEXT, &|_| None).expect("a configuration")
    }

    #[test]
    fn an_objective_rests_on_the_topics_whose_formats_give_its_types() {
        let config = config();
        let pattern = |topic: &TopicSpec| TopicPattern::parse(&topic.name).expect("a pattern");
        let patterns: Vec<TopicPattern> = config.kafka.topics.iter().map(pattern).collect();
        let roles = TopicRoles::of(&config, &patterns);
        let of = |topic: &str| {
            let role = roles.role(topic);
            ((role.bears(0), role.bears(1)), role.stale_after.secs(), role.allow_compacted)
        };
        assert_eq!(of("mail.eu"), ((true, false), 600, false));
        assert_eq!(of("lists"), ((true, false), 600, false));
        assert_eq!(of("web"), ((false, true), 120, true));
        assert_eq!(of("of an older configuration"), ((true, true), 120, false));
        assert_eq!(roles.longest_stale_after().secs(), 600);
        let added_up = |topic: &str| -> Vec<&str> {
            let measures = roles.role(topic).adds_up.iter();
            measures.map(|of| config.declarations.measures[*of].id.as_str()).collect()
        };
        assert!(added_up("web").contains(&"page_views"), "{:?}", added_up("web"));
        assert!(!added_up("web").contains(&"delivered"), "{:?}", added_up("web"));
        assert!(added_up("lists").contains(&"delivered"), "{:?}", added_up("lists"));
    }

    #[test]
    fn a_format_gives_what_its_type_can_become() {
        let config = config();
        let check = |format: &str, gives: &[&str], gives_not: &[&str]| {
            let found = config.formats.iter().find(|of| of.name == format);
            let found = found.expect("it is shipped");
            for kind in gives {
                assert!(found.can_give(kind), "{format} gives {kind}");
            }
            for kind in gives_not {
                assert!(!found.can_give(kind), "{format} does not give {kind}");
            }
        };
        check("canonical", &["email.delivered", "spend.cost", "own.type"], &[]);
        check("sendgrid", &["email.delivered", "email.unsubscribed"], &["web.page_viewed"]);
        check("ga4_mp", &["web.page_viewed"], &["email.delivered"]);
        check("amazon_ses", &["email.bounced"], &["web.page_viewed"]);
    }
}
