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

/// The name of one count of a [`Ledger`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountName {
    /// `records` or `events`.
    pub ledger: &'static str,
    /// What became of them.
    pub outcome: &'static str,
    /// Why; empty where the outcome says it all.
    pub reason: &'static str,
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

    /// Every count with its name: which ledger, the outcome, and the reason where the
    /// outcome has one. What is saved by these names can be read by any later version.
    pub fn each_count(&mut self, mut give: impl FnMut(CountName, &mut u64)) {
        let (records, events) = (&mut self.records, &mut self.events);
        let plain = [
            ("records", "read", &mut records.read),
            ("records", "decoded", &mut records.decoded),
            ("records", "empty", &mut records.empty),
            ("events", "decoded", &mut events.decoded),
            ("events", "counted", &mut events.counted),
            ("events", "duplicate", &mut events.duplicate),
            ("events", "late", &mut events.late),
            ("events", "future", &mut events.future),
            ("events", "unidentified", &mut events.unidentified),
        ];
        for (ledger, outcome, count) in plain {
            give(CountName { ledger, outcome, reason: "" }, count);
        }
        for (ledger, ignored, rejected) in [
            ("records", &mut records.ignored, &mut records.rejected),
            ("events", &mut events.ignored, &mut events.rejected),
        ] {
            for (reason, count) in IgnoreReason::ALL.iter().zip(ignored) {
                give(CountName { ledger, outcome: "ignored", reason: reason.name() }, count);
            }
            for (reason, count) in RejectReason::ALL.iter().zip(rejected) {
                give(CountName { ledger, outcome: "rejected", reason: reason.name() }, count);
            }
        }
    }

    /// The same, to be read.
    pub fn counts(&self) -> Vec<(CountName, u64)> {
        let mut counts = Vec::new();
        self.clone().each_count(|name, count| counts.push((name, *count)));
        counts
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
