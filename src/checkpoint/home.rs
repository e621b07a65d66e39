//! What takes steps and keeps them: a directory; later perhaps a snapshot topic.

use std::io;

use super::step::Step;

/// What was written for one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes, all of them: those of lists and what surrounds the contents too.
    pub bytes: u64,
}

/// A home of saved state.
pub trait Home: Send {
    /// Makes a step durable: once this returns, the step survives a crash. Blocks for
    /// as long as the disk takes.
    ///
    /// # Errors
    /// Nothing of the step counts then, and the same step may be appended again.
    fn append(&mut self, step: &Step) -> io::Result<Written>;

    /// Bytes that all of it takes now.
    fn disk_bytes(&self) -> u64;
}
