//! Saved state: one atomic step after another, into a home that survives a crash.
//!
//! In: [`Step`]s, each the difference to the one before and the offsets that it
//! stands for, as bytes that only their makers understand. Out: after a restart, all
//! that the newest durable step and those before it said. Kept: nothing in memory.
//! What the bytes mean is not known here; that they are whole, in order and of a
//! version that can be read is all that is promised.

mod step;

pub use step::{ListAddition, ListName, Step};
