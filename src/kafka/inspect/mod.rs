//! A look at what the brokers let this program do, before it does any of it.
//!
//! In: the settings of a source, and the topic of dead letters. Out: one [`Finding`] for
//! each thing that has to be so, all of them in one run. Nothing is written: rights are
//! asked for, and the right to read is tried by reading.

mod rights;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;

use super::access::unusable;
use super::client::{self, Consumer, REQUEST_TIMEOUT};
use super::compaction;
use super::events::SourceEvent;
use super::lookup;
use super::peek::Peeker;
use super::refusal::{NOT_LET_IN, principal};
use super::settings::{SourceSettings, TopicPattern};
use super::shared::{Note, Shared};
use crate::event::EventTime;
use rights::Rights;

/// How one thing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, such as "topic `mail`".
    pub about: String,
    /// How it is.
    pub outcome: Outcome,
}

/// How a thing is, and what to do where it is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it has to be.
    Fine(String),
    /// It will run so, and yet something had better be otherwise.
    Better {
        /// What is not as it could be.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// It will not run so.
    Missing {
        /// What is missing.
        what: String,
        /// What to do.
        remedy: String,
    },
}

fn fine(about: &str, what: impl Into<String>) -> Finding {
    Finding { about: about.to_owned(), outcome: Outcome::Fine(what.into()) }
}

fn better(about: &str, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    let outcome = Outcome::Better { what: what.into(), remedy: remedy.into() };
    Finding { about: about.to_owned(), outcome }
}

fn missing(about: &str, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    let outcome = Outcome::Missing { what: what.into(), remedy: remedy.into() };
    Finding { about: about.to_owned(), outcome }
}

/// Looks at everything; waits for a first answer as long as is said, and for each further
/// one for some seconds.
///
/// # Errors
/// Settings that librdkafka refuses.
pub fn inspect(
    settings: &SourceSettings,
    dead_letters: Option<&str>,
    now: EventTime,
    patience: Duration,
) -> Result<Vec<Finding>, String> {
    let (shared, notes, _woken) = Shared::new(settings);
    let shared = Arc::new(shared);
    let client = client::prober(settings, &shared)
        .map_err(|error| format!("the settings for Kafka do not hold: {}", unusable(error)))?;
    let metadata = match first_answer(&client, &shared, &notes, patience) {
        Ok(metadata) => metadata,
        Err(why) => {
            let remedy = "nothing else can be looked at until they answer";
            return Ok(vec![missing("brokers", why, remedy)]);
        }
    };
    let who = who(settings);
    let look = Look { settings, shared: &shared, client: &client, metadata: &metadata, now, who };
    let mut findings = vec![look.brokers()];
    findings.extend(look.topics());
    findings.push(look.group());
    findings.extend(dead_letters.map(|topic| look.dead_letters(topic)));
    Ok(findings)
}

/// What the brokers say first, or why they say nothing.
fn first_answer(
    client: &Consumer,
    shared: &Shared,
    notes: &Receiver<Note>,
    patience: Duration,
) -> Result<Metadata, String> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = client.fetch_metadata(None, left.min(Duration::from_secs(1)));
        // What librdkafka says of its connections is heard here.
        while client.poll(Duration::ZERO).is_some() {}
        let refused = notes.try_iter().find_map(|note| match note {
            // A right that is missing is found below, with all others.
            Note::Say(SourceEvent::Fatal(text)) if text.starts_with(NOT_LET_IN) => Some(text),
            _ => None,
        });
        match (answer, refused) {
            (_, Some(text)) => return Err(text),
            (Ok(metadata), None) if !metadata.brokers().is_empty() => return Ok(metadata),
            (answer, None) if left.is_zero() => {
                let said = match answer {
                    Ok(_) => "there are none".to_owned(),
                    Err(error) => error.to_string(),
                };
                let why = shared.why_silent().unwrap_or(said);
                return Err(format!("none answers within {patience:?}: {why}"));
            }
            _ => {}
        }
    }
}

/// Who this program is, in a sentence.
fn who(settings: &SourceSettings) -> String {
    let access = &settings.access;
    let is_known = access.sign_in().is_some()
        || access.tls().is_some_and(|tls| tls.identity.is_some())
        || settings.properties.contains_key("sasl.username");
    if is_known { principal(access, &settings.properties) } else { "this client".to_owned() }
}

struct Look<'a> {
    settings: &'a SourceSettings,
    shared: &'a Arc<Shared>,
    client: &'a Consumer,
    metadata: &'a Metadata,
    now: EventTime,
    /// In a sentence.
    who: String,
}

/// Whether a topic is there.
enum There {
    Partitions(Vec<i32>),
    No,
    NotAllowed,
    Unclear(String),
}

impl Look<'_> {
    fn brokers(&self) -> Finding {
        let count = self.metadata.brokers().len();
        let cluster = self.client.client().fetch_cluster_id(REQUEST_TIMEOUT);
        let of = cluster.map(|id| format!(" of the cluster {id}")).unwrap_or_default();
        let brokers = if count == 1 { "1 broker".to_owned() } else { format!("{count} brokers") };
        fine("brokers", format!("{brokers}{of}, and {} is let in", self.who))
    }

    fn topics(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for pattern in &self.settings.topics {
            match pattern {
                TopicPattern::Exact(name) => names.push(name.clone()),
                TopicPattern::Pattern(regex) => {
                    let about = format!("topics {}", regex.as_str());
                    let known = self.metadata.topics().iter().map(|topic| topic.name());
                    let found: Vec<String> = known
                        .filter(|topic| self.settings.means(pattern, topic))
                        .map(str::to_owned)
                        .collect();
                    findings.push(match found.len() {
                        0 => better(
                            &about,
                            "no topic matches that can be seen",
                            format!(
                                "if there are some, give {} the rights READ and DESCRIBE on them",
                                self.who
                            ),
                        ),
                        _ => fine(&about, format!("matched by {}", found.join(", "))),
                    });
                    names.extend(found);
                }
            }
        }
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        let listed: Vec<&str> = names.iter().map(String::as_str).collect();
        let policies = compaction::policies(self.settings, &listed);
        for name in &names {
            let compacted = policies.get(name).copied();
            findings.extend(self.topic(name, compacted));
        }
        findings
    }

    fn topic(&self, name: &str, compacted: Option<bool>) -> Vec<Finding> {
        let about = format!("topic `{name}`");
        let who = &self.who;
        let partitions = match self.there(name) {
            There::Partitions(partitions) => partitions,
            absent => return vec![self.absent(&about, name, "READ and DESCRIBE", absent)],
        };
        let rights = self.rights(name);
        if rights.is_some_and(|rights| !rights.read) {
            let remedy = format!("give {who} the right READ on the topic `{name}`");
            return vec![missing(&about, "it may not be read", remedy)];
        }
        let mut findings = Vec::new();
        if compacted == Some(true) && self.settings.leaves_out_compacted(name) {
            findings.push(missing(
                &about,
                "its log is compacted, and there are measures that add up over it",
                "see `allow_compacted` in the documents, or keep all of its records: \
                 `cleanup.policy=delete`",
            ));
        }
        match self.newest(name, &partitions) {
            Ok(newest) => {
                let count = partitions.len();
                let partitions = if count == 1 {
                    "1 partition".to_owned()
                } else {
                    format!("{count} partitions")
                };
                let policy = match compacted {
                    Some(true) => ", compacted",
                    Some(false) => ", not compacted",
                    None => "",
                };
                findings.push(fine(&about, format!("{partitions}{policy}, {newest}")));
            }
            Err(why) => {
                let remedy =
                    format!("give {who} the rights READ and DESCRIBE on the topic `{name}`");
                findings.push(missing(&about, format!("it cannot be read: {why}"), remedy));
            }
        }
        if compacted.is_none() {
            findings.push(better(
                &about,
                "whether it is compacted is not said",
                format!("give {who} the right DESCRIBE_CONFIGS on the topic `{name}`"),
            ));
        }
        findings
    }

    fn absent(&self, about: &str, name: &str, rights: &str, there: There) -> Finding {
        let grant = format!("give {} the rights {rights} on the topic `{name}`", self.who);
        match there {
            There::NotAllowed => missing(about, "it may not be seen", grant),
            There::Unclear(why) => {
                missing(about, format!("nobody says how it is: {why}"), "try again")
            }
            There::No | There::Partitions(_) => {
                missing(about, "it does not exist", "create it: nothing here does")
            }
        }
    }

    fn there(&self, name: &str) -> There {
        let asked = match self.client.fetch_metadata(Some(name), REQUEST_TIMEOUT) {
            Ok(asked) => asked,
            Err(error) => return There::Unclear(error.to_string()),
        };
        let Some(topic) = asked.topics().first() else { return There::No };
        match topic.error().map(RDKafkaErrorCode::from) {
            None => There::Partitions(topic.partitions().iter().map(|of| of.id()).collect()),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                There::No
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => There::NotAllowed,
            Some(other) => There::Unclear(other.to_string()),
        }
    }

    /// How old the newest record is.
    fn newest(&self, name: &str, partitions: &[i32]) -> Result<String, String> {
        let says = |error: rdkafka::error::KafkaError| error.to_string();
        let peeker = Peeker::new(self.settings, self.shared, name);
        let (held, newest) =
            lookup::newest_record(&peeker, self.client, name, partitions).map_err(says)?;
        match newest {
            Some(newest) => {
                let age = (self.now - newest).secs().max(0);
                Ok(format!("newest record {} old", crate::event::Span::from_secs(age)))
            }
            None if held => Err("none of its records came within some seconds".to_owned()),
            None => Ok("no record yet".to_owned()),
        }
    }

    fn rights(&self, topic: &str) -> Option<Rights> {
        let broker = self.metadata.brokers().first().map(|broker| broker.id())?;
        rights::on_topic(self.client, broker, topic)
            .inspect_err(|error| tracing::debug!("rights on `{topic}` are not said: {error}"))
            .ok()?
    }

    fn group(&self) -> Finding {
        let group = &self.settings.group_id;
        let about = format!("group `{group}`");
        let remedy = format!("give {} the right READ on the group `{group}`", self.who);
        match rights::on_group(self.client, group) {
            Ok(Some(Rights { read: true, .. })) => fine(&about, "offsets may be committed"),
            Ok(Some(_)) | Err(RDKafkaErrorCode::GroupAuthorizationFailed) => {
                missing(&about, "no offset may be committed", remedy)
            }
            Ok(None) => better(&about, "the brokers do not say what may be done", remedy),
            Err(code) => better(&about, format!("nobody says what may be done: {code}"), remedy),
        }
    }

    fn dead_letters(&self, name: &str) -> Finding {
        let about = format!("dead letters `{name}`");
        let remedy = format!("give {} the right WRITE on the topic `{name}`", self.who);
        match self.there(name) {
            There::Partitions(_) => match self.rights(name) {
                Some(rights) if rights.write => fine(&about, "they may be written"),
                Some(_) => missing(&about, "they may not be written", remedy),
                None => {
                    better(&about, "the brokers do not say whether they may be written", remedy)
                }
            },
            absent => self.absent(&about, name, "WRITE and DESCRIBE", absent),
        }
    }
}
