//! Compacted logs: what they are read for, and what is refused.
//!
//! Compaction keeps the newest record of each key. A level needs no more than that. What
//! adds up would depend on when it was read, so that it is refused, or allowed by name,
//! and then claims nothing from before the reading began.

use super::{Engine, PartitionState, TopicState};
use crate::event::EventTime;
use crate::kafka::CompactionSign;

/// Measures that a message names; the rest is only counted.
const NAMED: usize = 5;

impl Engine {
    /// The log of a topic is compacted.
    ///
    /// # Errors
    /// Measures add up over it, nothing of any topic is read yet, and nobody has allowed it:
    /// the start is refused. Later the source leaves such a topic out.
    pub fn compacted(
        &mut self,
        name: &str,
        sign: CompactionSign,
        now: EventTime,
    ) -> Result<(), String> {
        let role = self.roles.role(name);
        let (adds_up, allowed) = (!role.adds_up.is_empty(), role.allow_compacted);
        let topic = self.topics.entry(name.into()).or_default();
        topic.compacted = true;
        if !adds_up {
            return Ok(());
        }
        let is_read = |of: &PartitionState| of.dead_letters_from.is_some();
        let begun = |topic: &TopicState| topic.partitions.values().any(is_read);
        let partitions: Vec<i32> = topic.partitions.keys().copied().collect();
        let (is_begun, any_begun) = (begun(topic), self.topics.values().any(begun));
        match sign {
            CompactionSign::Changed => tracing::warn!(
                topic = name,
                "its log is compacted from now on: figures that add up over it stay right while \
                 it is read ahead of that; unless it is allowed, the next start refuses it"
            ),
            // It may have been so all along.
            CompactionSign::Declared if is_begun => {
                for partition in partitions {
                    self.holes(name, partition, allowed, now);
                }
            }
            CompactionSign::Declared if allowed => {}
            CompactionSign::Declared if any_begun => {
                tracing::error!(topic = name, "it is left out: {}", self.refuses(name));
            }
            CompactionSign::Declared => return Err(self.refuses(name)),
            CompactionSign::Holes { partition } => self.holes(name, partition, allowed, now),
        }
        Ok(())
    }

    /// Whether what a topic holds is added up though its log is compacted.
    pub(super) fn adds_up_compacted(&self, name: &str) -> bool {
        let compacted = self.topics.get(name).is_some_and(|topic| topic.compacted);
        compacted && !self.roles.role(name).adds_up.is_empty()
    }

    /// Records are gone from what was read: nothing from before now is whole.
    fn holes(&mut self, name: &str, partition: i32, expected: bool, now: EventTime) {
        self.progress.uncover(name, partition, now);
        self.settled.clear();
        let Some(topic) = self.topics.get_mut(name) else { return };
        if !expected {
            topic.losses.entry(partition).or_default().gaps += 1;
            tracing::error!(
                topic = name,
                partition,
                "records are gone from between others that were read: the log is compacted, and \
                 what adds up over it is whole from now on only; read such a topic for levels, or \
                 say `allow_compacted = true` of it"
            );
        }
    }

    fn refuses(&self, name: &str) -> String {
        let declarations = self.plan.declarations();
        let adds_up = &self.roles.role(name).adds_up;
        let named = adds_up.iter().map(|of| format!("`{}`", declarations.measures[*of].id));
        let named: Vec<String> = named.take(NAMED).collect();
        let more = match adds_up.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more measures"),
        };
        format!(
            "the log of topic `{name}` is compacted, so that of several events with one key only \
             the newest is kept: {}{more} would add up what happens to be left of it. Use `last` \
             measures over it, or a format that gives their types only, or a topic with \
             `cleanup.policy=delete`; or say `allow_compacted = true` in its [[topics]], and \
             figures then begin when it is first read",
            named.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, begins, engine_over};
    use super::*;
    use crate::kafka::CompactionSign::{Declared, Holes};

    #[test]
    fn what_adds_up_over_a_compacted_log_is_refused_or_begins_now() {
        let covered = |allowed: bool, adds_up: bool, signs: &[CompactionSign]| {
            let mut engine = engine_over("u", allowed, adds_up);
            let mut begun = false;
            for sign in signs {
                if !matches!(sign, Declared) && !begun {
                    engine.partition(&begins("u", 0, None), at(10_000));
                    begun = true;
                }
                engine.compacted("u", *sign, at(10_000))?;
            }
            if !begun {
                engine.partition(&begins("u", 0, None), at(10_000));
            }
            let gaps = engine.missing().values().map(|of| of.gaps).sum::<u64>();
            Ok::<_, String>((engine.covered_from(), gaps))
        };
        let now = Some(at(10_000));
        let holes = Holes { partition: 0 };
        assert!(covered(false, true, &[Declared]).is_err_and(|text| text.contains("`m0`")));
        assert_eq!(covered(true, true, &[Declared]), Ok((now, 0)));
        assert_eq!(covered(false, false, &[Declared]), Ok((None, 0)), "levels need no more");
        assert_eq!(covered(false, false, &[holes]), Ok((None, 0)));
        assert_eq!(covered(false, true, &[holes]), Ok((now, 1)));
        assert_eq!(covered(true, true, &[holes]), Ok((now, 0)));
        assert_eq!(covered(false, true, &[holes, Declared]), Ok((now, 2)), "perhaps all along");
        assert_eq!(covered(false, false, &[holes, Declared]), Ok((None, 0)));
        let changed = CompactionSign::Changed;
        assert_eq!(covered(false, true, &[changed]), Ok((None, 0)), "nothing is gone yet");
    }

    #[test]
    fn a_running_instance_goes_on_without_a_compacted_topic_that_appears() {
        let mut engine = engine_over("u", false, true);
        engine.partition(&begins("t", 0, None), at(10_000));
        assert_eq!(engine.compacted("u", Declared, at(10_001)), Ok(()));
        assert_eq!(engine.covered_from(), None);
        assert!(engine.adds_up_compacted("u"), "it is said");
    }
}
