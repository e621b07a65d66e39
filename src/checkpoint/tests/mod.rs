//! What crashes, full disks, damage and second processes may do to saved state.
//!
//! A script of steps is appended; what is recovered is compared, as text, with what
//! the script says: `model.rs` keeps the truth in the simplest way there is.

#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod disk;
mod model;
mod simulated;
mod versions;
mod writer;
