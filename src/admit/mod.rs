//! What may count: time bounds and duplicates; restated totals and sessions have
//! their place here. Keeps the ledgers.

mod bounds;
mod ids;
mod ledger;
mod recent;

pub use bounds::{Admission, judge};
pub use ids::{SeenIds, Sighting};
pub use ledger::{CountName, EventLedger, IgnoreCounts, Ledger, RecordLedger, RejectCounts};
pub use recent::RecentLedger;
