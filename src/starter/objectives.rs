//! Objectives to start from: those of `config/objectives` that the chosen topics can feed
//! and that need no knowledge of anybody's campaigns.

use std::collections::BTreeMap;

use super::{Answers, OBJECTIVES, Topic};
use crate::config::{self, Config, World};
use crate::event::EventTime;
use crate::kpi::MeasureIndex;
use crate::objective::ObjectiveSpec;

const EXAMPLES: &str = include_str!("../../config/objectives/example.toml");

const HEADER: &str = "\
# Objectives to start from, made by `tidegauge init`: those whose events your topics can
# give, with the thresholds that mailbox providers and most teams use. Drop what nobody
# would act on, and give each a `runbook = \"https://...\"`.
#
# An objective names a KPI, where it is judged (a slice, and for each of its fields
# one value, or \"*\" for each value there is), a window, and one of
#     at_most = 0.003    at_least = 0.02    between = [0.1, 0.4]
# Ratios are from 0 to 1: 0.5 % is 0.005. After a change:
#     tidegauge check --config tidegauge.toml
#     tidegauge generate rules --config tidegauge.toml --out deploy
";

const NONE: &str = "
# None of the usual objectives can be fed by these topics alone. One of your own:
# [objectives.posts_are_answered]
# help = \"People should do something about the posts.\"
# kpi = \"social_engagement\"
# slice = \"all\"
# window = \"24h\"
# at_least = 100
# owner = \"OWNER\"
";

/// The text of the file of objectives.
pub fn objectives(answers: &Answers) -> String {
    let mut text = HEADER.to_owned();
    let kept = fed(answers);
    for block in EXAMPLES.split("\n\n").filter(|block| kept.iter().any(|id| names(block, id))) {
        text.push('\n');
        for line in block.lines().filter(|line| !line.starts_with("runbook = ")) {
            match line.starts_with("owner = ") {
                true => text.push_str(&format!("owner = {}", super::quoted(&answers.owner))),
                false => text.push_str(line),
            }
            text.push('\n');
        }
    }
    if kept.is_empty() {
        text.push_str(&NONE.replace("\"OWNER\"", &super::quoted(&answers.owner)));
    }
    text
}

fn names(block: &str, id: &str) -> bool {
    block.lines().any(|line| line == format!("[objectives.{id}]"))
}

/// The ids of the examples whose every measure some topic can feed, and that name no
/// campaign.
fn fed(answers: &Answers) -> Vec<String> {
    let topics = Answers { properties: Vec::new(), ..answers.clone() };
    let files = BTreeMap::from([
        (super::CONFIGURATION.to_owned(), super::configuration(&topics)),
        (OBJECTIVES.to_owned(), EXAMPLES.to_owned()),
    ]);
    let world = World {
        files: &files,
        environment: &|_| None,
        host: "",
        processors: 1,
        now: EventTime::MIN,
    };
    // Whoever reads what is written hears of every mistake in the answers.
    let Ok(config) = config::read(super::CONFIGURATION, &world) else { return Vec::new() };
    let kept = config.objectives.iter().filter(|objective| {
        objective.selector.iter().all(Option::is_none)
            && is_fed(objective, &config, &answers.topics)
    });
    kept.map(|objective| objective.id.clone()).collect()
}

fn is_fed(objective: &ObjectiveSpec, config: &Config, topics: &[Topic]) -> bool {
    let declarations = &config.declarations;
    let gives = |topic: &Topic, kind: &str| {
        let domain = kind.split('.').next().unwrap_or_default();
        let format = config.formats.iter().find(|format| format.name == topic.format);
        format.is_some_and(|format| format.can_give(kind))
            && topic.domains.as_ref().is_none_or(|seen| seen.contains(domain))
    };
    let fed = |measure: MeasureIndex| {
        let mut types = declarations.measures[measure].types.iter();
        types.any(|kind| {
            let kind = declarations.vocabulary.name(*kind);
            topics.iter().any(|topic| gives(topic, kind))
        })
    };
    declarations.kpis[objective.kpi].formula.measures().into_iter().all(fed)
}
