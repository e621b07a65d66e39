//! Which topics have compacted logs: of several records with one key the brokers keep the
//! newest only, sooner or later.
//!
//! What adds up over such a log depends on when it is read. The topics' configuration
//! says so, where rights allow asking for it, and holes between records do. Markers of
//! transactions leave holes as well, but one for each transaction, which nearly always has
//! a record at least: many more holes than records are none.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::client::{self, REQUEST_TIMEOUT};
use super::discovery::Discovery;
use super::events::{CompactionSign, SourceEvent};
use super::lookup;
use super::peek::{Peeker, Place};
use super::settings::SourceSettings;
use super::shared::{Holes, MANY_HOLES, Note};
use super::token::Admitted;
use crate::event::EventTime;

/// How often a topic's configuration is asked for: it may change.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// The same after no answer.
const RETRY: Duration = Duration::from_secs(10);

/// Offsets that are looked at for holes.
const LOOKED_AT: i64 = 2_000;

/// What is known of the topics' configurations.
#[derive(Default)]
pub(super) struct Policies {
    admin: Option<Admitted<AdminClient<Quiet>>>,
    /// When each topic is asked about again.
    due: HashMap<String, Instant>,
    /// Whether each is compacted, of those of which that is known.
    known: HashMap<String, bool>,
    refusal_said: bool,
}

/// The log of a client that only asks is nobody's concern.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::trace!(target: "librdkafka", facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::trace!(target: "librdkafka", %error, "{reason}");
    }
}

/// Whether each of the topics is compacted, and why that may not be known of some.
fn ask(
    admin: &AdminClient<Quiet>,
    topics: &[&str],
) -> KafkaResult<(HashMap<String, bool>, Option<RDKafkaErrorCode>)> {
    let specifiers: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| KafkaError::AdminOpCreation(error.to_string()))?;
    let answers = runtime.block_on(admin.describe_configs(&specifiers, &options))?;
    let (mut answered, mut refused) = (HashMap::new(), None);
    for answer in answers {
        match answer {
            Ok(of) => {
                let policy = of.get("cleanup.policy").and_then(|entry| entry.value.clone());
                // rdkafka gives a topic without the right as one without settings.
                let Some(policy) = policy else {
                    refused = Some(RDKafkaErrorCode::TopicAuthorizationFailed);
                    continue;
                };
                if let OwnedResourceSpecifier::Topic(topic) = of.specifier {
                    answered.insert(topic, policy.contains("compact"));
                }
            }
            Err(code) => refused = Some(code),
        }
    }
    Ok((answered, refused))
}

/// Whether each of the topics is compacted, as far as that is said.
pub(super) fn policies(settings: &SourceSettings, topics: &[&str]) -> HashMap<String, bool> {
    let mut policies = Policies::default();
    if topics.is_empty() {
        return HashMap::new();
    }
    let answer = policies.admin(settings).and_then(|admin| ask(admin, topics));
    answer.map(|(answered, _)| answered).unwrap_or_default()
}

impl Policies {
    /// Whether a topic is known to be compacted.
    pub(super) fn is_compacted(&self, topic: &str) -> bool {
        self.known.get(topic) == Some(&true)
    }

    /// Of these topics, those of which it is known only now that they are compacted, and how.
    /// Asks for those of which that was not asked for a minute, and waits for the answer.
    fn newly_compacted(
        &mut self,
        settings: &SourceSettings,
        topics: &[&str],
    ) -> Vec<(String, CompactionSign)> {
        let now = Instant::now();
        let is_due = |topic: &&&str| self.due.get(**topic).is_none_or(|due| *due <= now);
        let due: Vec<&str> = topics.iter().filter(is_due).copied().collect();
        if due.is_empty() {
            return Vec::new();
        }
        let answer = self.admin(settings).and_then(|admin| ask(admin, &due));
        let next = now + if answer.is_ok() { ASK_AGAIN } else { RETRY };
        self.due.extend(due.iter().map(|topic| ((*topic).to_owned(), next)));
        let (answered, refused) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!("the configuration of topics is not known: {error}");
                return Vec::new();
            }
        };
        if let Some(code) = refused.filter(|_| !self.refusal_said) {
            self.refusal_said = true;
            tracing::info!(
                "whether topics are compacted is not known ({code}): with the right \
                 DESCRIBE_CONFIGS on them it would be; holes in their logs are noticed anyway"
            );
        }
        let mut newly = Vec::new();
        for (topic, is_compacted) in answered {
            let before = self.known.insert(topic.clone(), is_compacted);
            match (is_compacted, before) {
                (true, None) => newly.push((topic, CompactionSign::Declared)),
                (true, Some(false)) => newly.push((topic, CompactionSign::Changed)),
                _ => {}
            }
        }
        newly
    }

    fn admin(&mut self, settings: &SourceSettings) -> KafkaResult<&AdminClient<Quiet>> {
        if self.admin.is_none() {
            let access = &settings.access;
            let config = client::base_config(&settings.brokers, &settings.properties, access);
            let native = |admin: &AdminClient<Quiet>| admin.inner().native_ptr();
            self.admin = Some(access.create(&config, Quiet, native)?);
        }
        self.admin.as_deref().ok_or(KafkaError::AdminOpCreation("no client".to_owned()))
    }
}

impl<C: Fn() -> EventTime> Discovery<C> {
    /// Says which of these topics are compacted, before anything else is said of them.
    pub(super) fn hear_policies(&mut self, topics: &[&str]) {
        let settings = Arc::clone(&self.settings);
        for (topic, sign) in self.policies.newly_compacted(&settings, topics) {
            self.say_compacted(&topic, sign);
        }
    }

    /// Whether a topic is left out because it is compacted. One that is being read is gone on
    /// with.
    pub(super) fn leaves_out(&self, topic: &str) -> bool {
        let read = self.topics.get(topic).is_some_and(|topic| !topic.reading.is_empty());
        !read && self.policies.is_compacted(topic) && self.settings.leaves_out_compacted(topic)
    }

    /// Looks at logs with many holes again, as they are without regard to transactions.
    pub(super) fn look_at_holes(&mut self) {
        for Holes { key: (topic, partition), below } in self.shared.take_holes() {
            if self.policies.is_compacted(&topic) {
                // They are to be expected.
                continue;
            }
            match self.is_compacted(&topic, partition, below) {
                Ok(true) => self.say_compacted(&topic, CompactionSign::Holes { partition }),
                Ok(false) => {}
                Err(error) => tracing::debug!("holes of `{topic}` are not understood: {error}"),
            }
        }
    }

    fn is_compacted(&self, topic: &str, partition: i32, below: i64) -> KafkaResult<bool> {
        let ranges = lookup::ranges(&self.watermarks, topic, &[partition])?;
        let first = ranges.get(&partition).map_or(below, |range| range.first);
        let from = (below - LOOKED_AT).max(first);
        let most = usize::try_from(below - from).unwrap_or(0);
        let peeker = Peeker::new(&self.settings, &self.shared, topic);
        let seen = peeker.look(&[Place { partition, from, below, most }])?;
        let records = seen.get(&partition).map_or(&[][..], Vec::as_slice);
        // Where not all came in time, what is behind the last one is not known.
        let end = records.last().map_or(from, |last| below.min(last.offset + 1));
        let records = records.iter().filter(|record| record.offset < below).count() as i64;
        Ok(end - from - records > records + MANY_HOLES)
    }

    fn say_compacted(&self, topic: &str, sign: CompactionSign) {
        self.shared.note(Note::Say(SourceEvent::Compacted { topic: topic.into(), sign }));
    }
}
