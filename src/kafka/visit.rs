//! A short visit to a cluster: which topics there are, what their newest records say, and
//! the making of topics that are missing.
//!
//! It is for commands, whose user waits: every call gives an answer or an error within
//! seconds. Nothing is committed, no group is joined, and nothing is changed but by
//! [`Visit::create`].

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::access::{Access, unusable};
use super::client::{REQUEST_TIMEOUT, base_config};
use super::refusal::{Refusal, explain, one_line, refusal};
use super::shared::lock;
use super::token::Admitted;
use crate::event::{EventTime, Header, RawRecord};

/// The longest wait for records.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many partitions of a topic say what the topic holds.
const PARTITIONS_LOOKED_AT: usize = 32;
/// librdkafka wants a name where partitions are assigned; nothing is stored under it.
const GROUP: &str = "tidegauge-visit";

/// Why a visit came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// Nobody answers; another attempt may do.
    #[error("no broker answers at {brokers}: {reason}")]
    Unreachable {
        /// Who was asked.
        brokers: String,
        /// What librdkafka says.
        reason: String,
    },
    /// An answer that may be another one in a while: brokers come up one after another.
    #[error("{0}")]
    NotYet(String),
    /// An answer, or a setting, that no waiting mends.
    #[error("{0}")]
    Refused(String),
}

/// A topic and the numbers of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicThere {
    /// Its name.
    pub name: String,
    /// In ascending order.
    pub partitions: Vec<i32>,
}

/// A record as it lies in the log.
#[derive(Debug, Clone)]
pub struct SeenRecord {
    partition: i32,
    offset: i64,
    timestamp: Option<EventTime>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl SeenRecord {
    /// Whether it has a header of that name.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(key, _)| key == name)
    }

    /// What `look` makes of it, as of a record of that topic.
    pub fn as_raw<T>(&self, topic: &str, look: impl FnOnce(&RawRecord<'_>) -> T) -> T {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        look(&RawRecord {
            topic,
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
        })
    }
}

/// A cluster that answers.
pub struct Visit {
    brokers: String,
    properties: BTreeMap<String, String>,
    access: Access,
    consumer: Admitted<BaseConsumer<Noting>>,
    admin: OnceLock<Admitted<AdminClient<DefaultClientContext>>>,
}

impl Visit {
    /// Asks the brokers for an answer, with the user's settings of librdkafka and what lets
    /// a client in.
    ///
    /// # Errors
    /// They do not answer within some seconds, or let nobody in under this name.
    pub fn connect(
        brokers: &str,
        properties: &BTreeMap<String, String>,
        access: &Access,
    ) -> Result<Visit, VisitError> {
        let mut config = base_config(brokers, properties, access);
        config
            .set("group.id", GROUP)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .set("allow.auto.create.topics", "false")
            .set("auto.offset.reset", "latest")
            .set("fetch.wait.max.ms", "20");
        let native = |client: &BaseConsumer<Noting>| client.client().native_ptr();
        let consumer = access.create(&config, Noting::default(), native).map_err(refused)?;
        let visit = Visit {
            brokers: brokers.to_owned(),
            properties: properties.clone(),
            access: access.clone(),
            consumer,
            admin: OnceLock::new(),
        };
        visit.topics()?;
        Ok(visit)
    }

    /// The topics of the cluster, without Kafka's own, in order of names.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub fn topics(&self) -> Result<Vec<TopicThere>, VisitError> {
        let answer = self.consumer.fetch_metadata(None, REQUEST_TIMEOUT);
        let metadata = answer.map_err(|error| self.error(&error))?;
        let mut topics: Vec<TopicThere> = metadata
            .topics()
            .iter()
            .filter(|topic| !topic.name().starts_with("__") && topic.error().is_none())
            .map(|topic| {
                let mut partitions: Vec<i32> =
                    topic.partitions().iter().map(|partition| partition.id()).collect();
                partitions.sort_unstable();
                TopicThere { name: topic.name().to_owned(), partitions }
            })
            .collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// About so many of the newest records that are committed, one of each partition at
    /// least, of the first [`PARTITIONS_LOOKED_AT`] partitions; fewer where there are not
    /// as many, or where they do not come in time.
    ///
    /// # Errors
    /// The brokers do not answer, or not in time, or the topic may not be read.
    pub fn newest(&self, topic: &TopicThere, most: usize) -> Result<Vec<SeenRecord>, VisitError> {
        let partitions = topic.partitions.iter().take(PARTITIONS_LOOKED_AT);
        let each = most.div_ceil(partitions.len().max(1)).max(1);
        let mut assignment = TopicPartitionList::new();
        let mut open: BTreeMap<i32, i64> = BTreeMap::new();
        for partition in partitions {
            let ends = self.consumer.fetch_watermarks(&topic.name, *partition, REQUEST_TIMEOUT);
            let (first, end) = ends.map_err(|error| self.error(&error))?;
            if end > first {
                let from = first.max(end - i64::try_from(each).unwrap_or(i64::MAX));
                assignment
                    .add_partition_offset(&topic.name, *partition, Offset::Offset(from))
                    .map_err(|error| self.error(&error))?;
                open.insert(*partition, end - 1);
            }
        }
        self.consumer.assign(&assignment).map_err(|error| self.error(&error))?;
        let mut seen = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while !open.is_empty() && Instant::now() < deadline {
            match self.consumer.poll(Duration::from_millis(50)) {
                Some(Ok(message)) => {
                    if open.get(&message.partition()).is_some_and(|last| message.offset() >= *last)
                    {
                        open.remove(&message.partition());
                    }
                    seen.push(copied(&message));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(error)) => {
                    let code = error.rdkafka_error_code();
                    if code.and_then(refusal) == Some(Refusal::Topic) {
                        let _ = self.consumer.unassign();
                        return Err(self.error(&error));
                    }
                }
                None => {}
            }
        }
        self.consumer.unassign().map_err(|error| self.error(&error))?;
        if seen.is_empty() && !open.is_empty() {
            // Nobody may take it for a topic in which there is nothing.
            return Err(VisitError::NotYet(format!(
                "the newest records of `{}` did not come within {} s",
                topic.name,
                PATIENCE.as_secs()
            )));
        }
        Ok(seen)
    }

    /// Makes a topic with so many partitions; without `replication` in as many copies as
    /// the brokers choose, and with settings of the topic. One that is there already stays
    /// as it is.
    ///
    /// # Errors
    /// The brokers do not answer, or refuse.
    pub fn create(
        &self,
        topic: &str,
        partitions: i32,
        replication: Option<i32>,
        settings: &[(&str, &str)],
    ) -> Result<(), VisitError> {
        let copies = TopicReplication::Fixed(replication.unwrap_or(-1));
        let mut new = NewTopic::new(topic, partitions, copies);
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let options = AdminOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .operation_timeout(Some(REQUEST_TIMEOUT));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| VisitError::Refused(error.to_string()))?;
        let done = runtime.block_on(self.admin()?.create_topics(&[new], &options));
        match done.map_err(|error| self.error(&error))?.into_iter().next() {
            None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => {
                let says = format!("the topic `{topic}` cannot be made: {code}");
                let lasts = matches!(
                    code,
                    RDKafkaErrorCode::InvalidTopic | RDKafkaErrorCode::PolicyViolation
                );
                match lasts || refusal(code).is_some() {
                    true => Err(VisitError::Refused(says)),
                    false => Err(VisitError::NotYet(says)),
                }
            }
        }
    }

    fn admin(&self) -> Result<&Admitted<AdminClient<DefaultClientContext>>, VisitError> {
        if let Some(admin) = self.admin.get() {
            return Ok(admin);
        }
        let config: ClientConfig = base_config(&self.brokers, &self.properties, &self.access);
        let native = |client: &AdminClient<DefaultClientContext>| client.inner().native_ptr();
        let made = self.access.create(&config, DefaultClientContext, native).map_err(refused)?;
        Ok(self.admin.get_or_init(|| made))
    }

    /// An error of a request, with what was heard besides: the reason proper often comes
    /// by another way.
    fn error(&self, error: &KafkaError) -> VisitError {
        while self.consumer.poll(Duration::from_millis(20)).is_some() {}
        let heard = lock(&self.consumer.context().heard).clone();
        let code = error.rdkafka_error_code();
        let refusal = heard.refusal.or(code.and_then(refusal));
        let reason = heard.reason.unwrap_or_else(|| error.to_string());
        match refusal {
            Some(refusal) => VisitError::Refused(explain(
                refusal,
                None,
                GROUP,
                &self.access,
                &self.properties,
                &reason,
            )),
            None => VisitError::Unreachable { brokers: self.brokers.clone(), reason },
        }
    }
}

fn refused(error: KafkaError) -> VisitError {
    VisitError::Refused(unusable(error))
}

fn copied(message: &BorrowedMessage<'_>) -> SeenRecord {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    SeenRecord {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().and_then(EventTime::of_record),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect(),
    }
}

/// Remembers what librdkafka says outside of answers.
#[derive(Default)]
struct Noting {
    heard: Mutex<Heard>,
}

#[derive(Debug, Clone, Default)]
struct Heard {
    refusal: Option<Refusal>,
    reason: Option<String>,
}

impl ClientContext for Noting {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(target: "librdkafka", facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        let refusal = code.and_then(refusal).filter(|refusal| *refusal != Refusal::Group);
        let mut heard = lock(&self.heard);
        // That all are down says less than what was said of each.
        if code != Some(RDKafkaErrorCode::AllBrokersDown) && heard.refusal.is_none() {
            *heard = Heard { refusal, reason: Some(one_line(reason)) };
        }
    }
}

impl ConsumerContext for Noting {}
