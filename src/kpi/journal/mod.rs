//! The state as it is saved: what has changed since the last time, and in turns all
//! of it.
//!
//! [`crate::kpi::Store::take_changes`] gives operations in the order of time, and after them
//! images of some series, about as many bytes as the operations. In a cycle every
//! series and every slice comes to its image; once a cycle is complete, everything
//! written before it began may go: no save takes long, and no base file is needed.
//! [`crate::kpi::Store::restore`] applies what was taken, in order; [`crate::kpi::Store::restored`] makes the
//! state ready for use and says what became of it under the present declarations.

mod cells;
mod image;
mod op;
mod restore;
mod schema;

pub(super) use op::*;
pub(super) use restore::Loading;
pub use schema::names_of_schema;

use crate::aggregate::Tick;
use crate::kpi::{MeasureIndex, SliceIndex};

/// A cycle of images has at least this many bytes, however small the state is.
const SHORTEST_CYCLE: u64 = 16 << 20;
/// Bytes of images that go with the smallest change.
const LEAST_IMAGES: i64 = 4 << 10;

/// What has changed since the last time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// To be given to [`crate::kpi::Store::restore`]; empty when nothing has changed.
    pub bytes: Vec<u8>,
    /// With these, everything was imaged since the cycle began: what was taken
    /// before it began is no longer needed. The next changes begin the next cycle.
    pub completes_cycle: bool,
}

/// Saved state that cannot be read: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("saved state is damaged at {at}: {why}")]
pub struct Damaged {
    /// `schema`, `byte 123 of the changes`, or `the end`.
    pub at: String,
    /// What is wrong there.
    pub why: String,
}

/// What became of saved state under the present declarations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many measures of slices go on as they were.
    pub kept: usize,
    /// Those that begin empty.
    pub new: Vec<(SliceIndex, MeasureIndex)>,
    /// Those that are no longer declared: names of slice and measure.
    pub dropped: Vec<(String, String)>,
}

/// What is recorded and not yet taken.
#[derive(Debug, Default)]
pub(super) struct Journal {
    kept: bool,
    bytes: Vec<u8>,
    /// Of these bytes.
    base: Option<Tick>,
    present: Option<Tick>,
    slice: Option<SliceIndex>,
    cycle: CycleState,
    /// A cycle is under way.
    begun: bool,
    /// Saved state was restored for the same declarations.
    goes_on: bool,
    image_all: bool,
    /// Bytes of images that are due; below 0 when a long one went before its time.
    due: i64,
    shortest_cycle: Option<u64>,
}

impl Journal {
    /// From where the ticks of changes count, if changes are recorded at all.
    pub(super) fn base(&self) -> Option<Tick> {
        self.base.filter(|_| self.kept)
    }

    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }

    /// What follows happens at `present`.
    pub(super) fn at(&mut self, present: Tick) {
        if !self.kept {
            return;
        }
        if self.base.is_none() {
            let base = if present == Tick::MIN { Tick::new(0) } else { present };
            self.base = Some(base);
            self.slice = None;
            self.present = None;
        }
        self.present_to_record(present);
    }

    fn present_to_record(&mut self, present: Tick) {
        if self.present != Some(present) {
            self.present = Some(present);
            // Written with the next operation: alone it would be no change.
            self.slice = None;
        }
    }

    /// Records a change of a slice.
    pub(super) fn record(&mut self, slice: SliceIndex, op: &Op<'_>) {
        if !self.kept {
            return;
        }
        if self.slice != Some(slice) {
            self.begin_bytes();
            self.slice = Some(slice);
            if let Some(present) = self.present {
                self.write(&Op::Present(present.number()));
            }
            self.write(&Op::Slice(slice as u16));
        }
        self.write(op);
    }

    /// Records a change that belongs to no slice.
    fn record_apart(&mut self, op: &Op<'_>) {
        self.begin_bytes();
        self.write(op);
    }

    fn begin_bytes(&mut self) {
        if !self.bytes.is_empty() {
            return;
        }
        if !self.begun {
            self.begun = true;
            self.cycle = CycleState::default();
            self.write(&Op::CycleBegun);
        }
        if let Some(base) = self.base {
            self.write(&Op::Base(base.number()));
        }
    }

    fn write(&mut self, op: &Op<'_>) {
        let bytes = std::mem::take(&mut self.bytes);
        // What is written has no part whose length is unknown, and a vector grows.
        self.bytes = postcard::to_extend(op, bytes).expect("operations can be written");
    }
}
