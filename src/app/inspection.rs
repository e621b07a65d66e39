//! What an instance would find if it began now: the brokers, its topics, and its rights.
//!
//! In: a configuration. Out: one finding for each thing that has to be so. Nothing is
//! started, saved or written.

use std::time::Duration;

use crate::app::beginning::{patterns, source_settings, start_at};
use crate::app::clock;
use crate::app::roles::TopicRoles;
use crate::app::service::ServiceError;
use crate::config::{Config, DeadLetterSpec};
use crate::kafka::{self, Access, Finding};

/// Connects as the configuration says, and looks at everything; waits for the brokers' first
/// answer as long as is said.
///
/// # Errors
/// Settings that librdkafka refuses.
pub fn inspect(config: &Config, patience: Duration) -> Result<Vec<Finding>, ServiceError> {
    let topics = patterns(config)?;
    let roles = TopicRoles::of(config, &topics);
    let access = Access::new(&config.kafka);
    let mut settings = source_settings(config, access, topics, start_at(config));
    settings.leave_out_compacted = roles.refuse_compacted();
    let dead_letters = match &config.kafka.dead_letters {
        DeadLetterSpec::Topic(topic) => Some(topic.as_str()),
        DeadLetterSpec::Off => None,
    };
    kafka::inspect(&settings, dead_letters, clock::now(), patience).map_err(ServiceError::Kafka)
}
