//! The vocabulary that every other module speaks.
//!
//! In: nothing; this is the bottom of the house. Out: the raw record as Kafka
//! delivered it, the canonical event that a format makes of it, event time,
//! decimals, the known event types, and the closed list of outcomes. Nothing here
//! parses vendor data, keeps state, or reads a clock.

mod canonical;
mod decimal;
mod outcome;
mod record;
mod time;
mod vocabulary;

pub use canonical::{Currency, Event, Field};
pub use decimal::{Decimal, DecimalError};
pub use outcome::{IgnoreReason, RejectReason, Rejection};
pub use record::{Header, RawRecord};
pub use time::{EventTime, Span, TimeRangeError};
pub use vocabulary::{CANONICAL_TYPES, Says, TypeId, Vocabulary, valid_type_name};
