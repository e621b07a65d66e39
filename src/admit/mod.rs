//! What may count: time bounds now; duplicates, restated totals and sessions have
//! their place here. Keeps the ledgers.

mod ledger;
mod recent;

pub use ledger::{EventLedger, IgnoreCounts, Ledger, RecordLedger, RejectCounts};
pub use recent::RecentLedger;
