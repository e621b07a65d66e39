//! How far behind each topic is, and what that means for the objectives that rest on it.

use std::sync::Arc;

use super::Engine;
use crate::app::roles::TopicRole;
use crate::event::{EventTime, Span};
use crate::objective::Freshness;

/// How a topic stands at one moment.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) role: Arc<TopicRole>,
    /// How long ago the moment is up to which all of it is known to be read; `None` before
    /// every partition of it was looked at.
    pub(super) behind: Option<Span>,
    /// Whether none of its partitions has been unreadable for more than a minute.
    pub(super) complete: bool,
}

impl Standing {
    /// Whether what rests on it says nothing about now.
    pub(super) fn stale(&self) -> bool {
        self.behind.is_some_and(|behind| behind > self.role.stale_after)
    }
}

impl Engine {
    /// How a topic stands, as of the last `as_of` of [`Engine::progress`].
    pub(super) fn standing(&self, topic: &str, now: EventTime) -> Standing {
        Standing {
            role: Arc::clone(self.roles.role(topic)),
            behind: self.progress.topic_frontier(topic).map(|at| now - at),
            complete: self.progress.topic_complete(topic, now),
        }
    }

    /// Whether the moment up to which all is read is further back than any topic may be.
    pub(super) fn is_stale(&self, reached: EventTime, now: EventTime) -> bool {
        now - reached > self.roles.longest_stale_after()
    }

    /// By objective: whether figures can be judged now; none can be if all are `stale`. One
    /// topic that may be behind for long does not blind what does not rest on it.
    pub(super) fn freshness(&self, stale: bool, now: EventTime) -> Vec<Freshness> {
        let mut freshness = vec![Freshness { stale, incomplete: false }; self.objectives.len()];
        for topic in self.progress.topics() {
            let standing = self.standing(topic, now);
            for (objective, of) in freshness.iter_mut().enumerate() {
                if standing.role.bears(objective) {
                    of.stale |= standing.stale();
                    of.incomplete |= !standing.complete;
                }
            }
        }
        freshness
    }
}
