//! Files in, validated specs or every problem at once out.
//!
//! Pure: files and the environment come in through [`reader::Context`] and the
//! closures behind it, so that a test needs no disk. What a file may say is read
//! through [`reader::Table`], which notes every problem with its place and goes on;
//! nothing here stops at the first mistake, and an unknown key is a mistake.

mod duration;
pub mod problem;
pub mod reader;
mod suggest;

pub use duration::parse_duration;
pub use problem::{Place, Problem, Problems};
pub use suggest::did_you_mean;
