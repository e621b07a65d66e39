//! Compacted logs: what they are read for, and what is refused.
//!
//! Compaction keeps the newest record of each key. A level needs no more than that. What
//! adds up would depend on when it was read, so that it is refused, or allowed by name,
//! and then claims nothing from before the reading began.

use super::{Engine, PartitionState};
use crate::event::EventTime;
use crate::kafka::CompactionSign;

/// Measures that a message names; the rest is only counted.
const NAMED: usize = 5;

impl Engine {
    /// The log of a topic is compacted.
    ///
    /// # Errors
    /// Measures add up over it, nothing of it is read yet, and nobody has allowed it.
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
        let begun = topic.partitions.values().any(is_read);
        match sign {
            CompactionSign::Declared if allowed => Ok(()),
            CompactionSign::Declared if begun => {
                tracing::warn!(
                    topic = name,
                    "its log is compacted from now on: figures that add up over it stay right \
                     while it is read ahead of that, and the next start refuses it"
                );
                Ok(())
            }
            CompactionSign::Declared => Err(self.refuses(name)),
            CompactionSign::Holes { partition } => {
                self.holes(name, partition, allowed, now);
                Ok(())
            }
        }
    }

    /// Whether what a topic holds is added up though its log is compacted.
    pub(super) fn adds_up_compacted(&self, name: &str) -> bool {
        let compacted = self.topics.get(name).is_some_and(|topic| topic.compacted);
        compacted && !self.roles.role(name).adds_up.is_empty()
    }

    /// Records are gone from what was read: nothing from before now is whole.
    fn holes(&mut self, name: &str, partition: i32, expected: bool, now: EventTime) {
        self.progress.uncover(name, partition, now);
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
                if matches!(sign, Holes { .. }) && !begun {
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
        assert_eq!(covered(false, true, &[holes, Declared]), Ok((now, 1)), "it is being read");
    }
}
