//! Mergeable aggregates and their laws.
//!
//! In: amounts and hashed values, each with the [`Tick`] of event time in which it
//! happened. Out: the aggregate over any window, as long as the state reaches back
//! far enough. Every aggregate is a function of the set of what it was given: order
//! and grouping do not matter, and merging is associative and commutative. What a
//! state forgets is said by its owner ([`crate::window`]); nothing here reads a
//! clock or knows which windows there are.

mod distinct;
mod hash_key;
mod last;
mod panes;
mod tick;
mod wire;

pub use distinct::{Distinct, DistinctImage, EXACT_ITEMS, STANDARD_ERROR};
pub use hash_key::HashKey;
pub use last::{Last, LastImage, Level, LevelRecord, MOST_KEYS, Noted};
pub use panes::{Additive, Averaged, Gathered, Panes};
pub use tick::{TICK, Tick};
pub use wire::{AmountRecord, Impossible, TickSteps};
