//! `/metrics`, health, and the status page.

mod report;

pub use report::{DeadLetterReport, NotReady, PartitionReport, Report, TopicReport};
