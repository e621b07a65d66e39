//! Everything that speaks to a broker.
//!
//! In: topics to read, and where to begin. Out: one closed enum of
//! [`SourceEvent`]s on a bounded channel, dead letters in their topic, offsets
//! committed under a group id of the instance's own. Kept: which partitions exist,
//! how far each was read, which dead letters are not acknowledged yet.
//!
//! There is no group membership and so no rebalance: a source assigns itself all
//! partitions of its topics. Nothing here looks into a record, and nothing is
//! skipped without an event that says so. `rdkafka` is named in this module only.

mod access;
mod batch;
mod bootstrap;
mod client;
mod compaction;
mod dead_letters;
mod discovery;
mod ends;
mod events;
mod gaps;
mod handshake;
mod inspect;
mod lookup;
mod mock;
mod peek;
mod queue;
mod reading;
mod refusal;
mod settings;
mod shared;
mod silence;
mod source;
mod token;
mod topic_id;
mod truncate;
mod visit;

pub use access::Access;
pub use batch::{Position, RecordBatch, Records};
pub use client::{fault_of, faults_of_properties, librdkafka_version};
pub use dead_letters::{DeadLetter, DeadLetterSettings, DeadLetterState, DeadLetters, Stopped};
pub use events::{
    CompactionSign, Folded, Gap, GapReason, PartitionEnd, PartitionStart, SourceEvent,
};
pub use inspect::{Finding, Outcome, inspect};
pub use mock::{DemoBroker, Producer};
pub use settings::{Resume, SourceSettings, StartAt, TopicPattern};
pub use source::{Source, start};
pub use truncate::MOST_ELEMENTS;
pub use visit::{SeenRecord, TopicThere, Visit, VisitError};
