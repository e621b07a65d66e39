//! Saved state: one atomic step after another, into a home that survives a crash.
//!
//! In: [`Step`]s, each the difference to the one before and the offsets that it
//! stands for, as bytes that only their makers understand. Out: after a restart, all
//! that the newest durable step and those before it said. Kept: nothing in memory
//! but lengths. What the bytes mean is not known here; that they are whole, in order
//! and of a version that can be read is all that is promised.
//!
//! A [`Home`] takes steps; [`Directory`] is the one on a disk. A [`Writer`] feeds a
//! home from a thread of its own. What a crash may do to files is played through in
//! the tests, on simulated [`files`]. DESIGN.md says why no ready-made store is used.

mod directory;
mod error;
mod files;
mod frame;
mod home;
mod list;
mod lock;
mod recover;
mod segment;
mod step;
mod version;
mod writer;

#[cfg(test)]
mod tests;

pub use directory::Directory;
pub use error::OpenError;
pub use home::{Home, Written};
pub use list::ListReader;
pub use recover::{Recovered, Watch};
pub use segment::{SavedStep, StepReader};
pub use step::{ListAddition, ListName, Step};
pub use version::{NEWEST, READABLE, WRITABLE};
pub use writer::{Durable, Submission, Writer, WriterStatus};
