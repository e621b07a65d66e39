//! A saved state as its operator sees it: looked at, written out, begun anew.
//!
//! In: a directory, and for figures a configuration. Out: a [`StateView`] as data or as
//! text, figures as lines of JSON, or an empty directory. Looking and writing out work
//! beside a running instance and change nothing; only [`Reset`] holds the directory
//! and removes what is in it. Never shown: people, in no form, and no fingerprint of
//! an id, only how many there are.

mod figures;
mod look;
mod reset;
mod text;
mod view;

pub use figures::export;
pub use look::{Extent, look};
pub use reset::{Lost, Reset};
pub use text::{losses, table};
pub use view::{
    CheckpointView, CountView, GoneView, HeldView, IdsView, PartitionView, StateView, TopicView,
    UsedBy,
};

use std::sync::Arc;

use crate::app::beginning::hash_key;
use crate::app::engine::Engine;
use crate::config::Config;
use crate::event::{EventTime, Span};
use crate::kpi::Plan;

/// What is saved, as one JSON document.
pub fn json(view: &StateView) -> String {
    // It is made of numbers and texts, which are always valid JSON.
    serde_json::to_string(view).unwrap_or_default()
}

/// An engine of a configuration that has read nothing; it remembers ids for `horizon`.
fn empty_engine(config: &Config, horizon: Option<Span>, now: EventTime) -> Engine {
    let plan = Plan::new(Arc::new(config.declarations.clone()), hash_key(config));
    Engine::new(Arc::new(plan), config.objectives.clone().into(), horizon, now)
}
