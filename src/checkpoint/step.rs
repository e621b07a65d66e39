//! One atomic step.

use std::sync::Arc;

use crate::event::EventTime;

/// Names an append-only list of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListName {
    /// Lists of one family share it: the length of a sixteenth in microseconds.
    pub family: i64,
    /// Its number within the family, growing with time.
    pub number: i64,
}

/// What is appended to one list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListAddition {
    /// To which.
    pub list: ListName,
    /// In no particular order.
    pub items: Vec<u64>,
}

/// One atomic step: all of it survives a crash, or nothing.
#[derive(Debug, Clone)]
pub struct Step {
    /// Counts up by one from 1, over restarts.
    pub sequence: u64,
    /// When it was made, by the clock.
    pub made_at: EventTime,
    /// How `changes` are to be read; constant within a cycle as a rule, because it is
    /// written only where it differs from that of the step before.
    pub schema: Arc<[u8]>,
    /// Replaces that of the step before: offsets, progress, ledgers.
    pub head: Vec<u8>,
    /// What has changed since the step before.
    pub changes: Vec<u8>,
    /// What is appended to lists.
    pub additions: Vec<ListAddition>,
    /// Lists that are not needed any more. They go before anything is added: a list
    /// that is dropped and added to in one step begins anew.
    pub dropped: Vec<ListName>,
    /// Whether a cycle begins with this step: the changes of a whole cycle, and of all
    /// steps after it, are enough to build the state anew, so that what came before
    /// the last whole cycle may go. So the cycle before this step is whole, whichever
    /// process began it, or this step alone has everything.
    pub begins_cycle: bool,
}
