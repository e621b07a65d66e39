//! The two ledgers of a topic: what became of every record, and of every event.

use crate::event::{IgnoreReason, RejectReason};

/// Counts by reason, in the order of the reason's `ALL`.
pub type RejectCounts = [u64; RejectReason::ALL.len()];
/// Counts by reason, in the order of the reason's `ALL`.
pub type IgnoreCounts = [u64; IgnoreReason::ALL.len()];

/// What became of the records and events of one topic since the process started.
///
/// Ledgers add up by merging: each batch carries one, and the engine adds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Records.
    pub records: RecordLedger,
    /// Events.
    pub events: EventLedger,
}

/// read = decoded + empty + ignored + rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordLedger {
    /// Taken from the topic.
    pub read: u64,
    /// Understood: their events are in the event ledger.
    pub decoded: u64,
    /// Null, empty, or an empty array.
    pub empty: u64,
    /// Passed over, by [`IgnoreReason`].
    pub ignored: IgnoreCounts,
    /// Refused whole, by [`RejectReason`].
    pub rejected: RejectCounts,
}

/// decoded = counted + duplicate + late + future + ignored + rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventLedger {
    /// Elements found in decoded records.
    pub decoded: u64,
    /// Counted in the figures (whether or not a measure asks for them).
    pub counted: u64,
    /// Copies of an event that counted already.
    pub duplicate: u64,
    /// Older than their record by more than the lateness.
    pub late: u64,
    /// Newer than their record by more than the tolerance.
    pub future: u64,
    /// Passed over, by [`IgnoreReason`].
    pub ignored: IgnoreCounts,
    /// Refused, by [`RejectReason`].
    pub rejected: RejectCounts,
    /// Beside the balance: counted without an id, so that copies of them could not
    /// be told.
    pub unidentified: u64,
}

fn add_all<const N: usize>(into: &mut [u64; N], from: &[u64; N]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into += from;
    }
}

impl Ledger {
    /// Adds what another ledger counted.
    pub fn merge(&mut self, other: &Ledger) {
        let (records, more) = (&mut self.records, &other.records);
        records.read += more.read;
        records.decoded += more.decoded;
        records.empty += more.empty;
        add_all(&mut records.ignored, &more.ignored);
        add_all(&mut records.rejected, &more.rejected);
        let (events, more) = (&mut self.events, &other.events);
        events.decoded += more.decoded;
        events.counted += more.counted;
        events.duplicate += more.duplicate;
        events.late += more.late;
        events.future += more.future;
        add_all(&mut events.ignored, &more.ignored);
        add_all(&mut events.rejected, &more.rejected);
        events.unidentified += more.unidentified;
    }

    /// Whether both balances hold.
    pub fn balances(&self) -> bool {
        let records = &self.records;
        let events = &self.events;
        records.read
            == records.decoded
                + records.empty
                + records.ignored.iter().sum::<u64>()
                + records.rejected.iter().sum::<u64>()
            && events.decoded
                == events.counted
                    + events.duplicate
                    + events.late
                    + events.future
                    + events.ignored.iter().sum::<u64>()
                    + events.rejected.iter().sum::<u64>()
    }
}
