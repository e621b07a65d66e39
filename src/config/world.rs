//! What a configuration takes from its surroundings, so that reading it stays pure.

use super::files::Files;
use crate::event::EventTime;

/// Files, environment and host.
#[derive(Clone, Copy)]
pub struct World<'w> {
    /// Where files come from.
    pub files: &'w dyn Files,
    /// The value of an environment variable.
    pub environment: &'w dyn Fn(&str) -> Option<String>,
    /// The host's name: the default of `instance`.
    pub host: &'w str,
    /// How many processors there are, for the default of `run.decoders`.
    pub processors: usize,
    /// The time, by which certificates may have expired.
    pub now: EventTime,
}
