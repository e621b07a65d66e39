//! What may count: time bounds now; duplicates, restated totals and sessions have
//! their place here. Keeps the ledgers.

mod bounds;
mod ledger;
mod recent;

pub use bounds::{Admission, judge};
pub use ledger::{EventLedger, IgnoreCounts, Ledger, RecordLedger, RejectCounts};
pub use recent::RecentLedger;
