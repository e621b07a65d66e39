//! What a source needs to know.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use super::access::Access;
use crate::event::{EventTime, Span};

/// What a source needs to know.
#[derive(Clone)]
pub struct SourceSettings {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// `<group>.<instance>`: no other process may use it.
    pub group_id: String,
    /// Passed through to librdkafka (TLS, SASL, fetch sizes). The few on which
    /// correctness hangs are set after these.
    pub properties: BTreeMap<String, String>,
    /// What lets clients in, set after these.
    pub access: Access,
    /// What to read.
    pub topics: Vec<TopicPattern>,
    /// Topics that no pattern matches, such as that of the dead letters.
    pub excluded_topics: Vec<String>,
    /// Whether topics are left out if their logs are compacted: the first that matches
    /// counts, and what none matches is read. That they are compacted is said.
    pub leave_out_compacted: Vec<(TopicPattern, bool)>,
    /// Of which topics records are taken with their headers: to ask librdkafka for those
    /// of a record costs an allocation, even if it has none.
    pub headers_of: Vec<TopicPattern>,
    /// Where partitions begin that are there at the first look; later ones are read
    /// from their beginning.
    pub start: StartAt,
    /// Where an earlier run stood, by topic and partition. Partitions of a topic that is
    /// here which are not here themselves are new: they are read from their beginning.
    /// Topics that are not here start as `start` says.
    pub resume: BTreeMap<(Arc<str>, i32), Resume>,
    /// A batch holds at most this many records.
    pub batch_records: usize,
    /// A batch is sent on when it reaches this many bytes.
    pub batch_bytes: usize,
    /// Batches that wait in the channel at most; then polling stops.
    pub channel_batches: usize,
    /// How often topics and partitions are looked for.
    pub discovery_interval: Duration,
}

impl SourceSettings {
    /// Records with their headers, and the usual sizes: batches of 1,000 records or 1 MiB, 16 of them waiting, a look
    /// for new partitions every 3 seconds.
    pub fn new(
        brokers: impl Into<String>,
        group_id: impl Into<String>,
        topics: Vec<TopicPattern>,
        start: StartAt,
    ) -> Self {
        SourceSettings {
            brokers: brokers.into(),
            group_id: group_id.into(),
            properties: BTreeMap::new(),
            access: Access::default(),
            leave_out_compacted: Vec::new(),
            headers_of: topics.clone(),
            topics,
            excluded_topics: Vec::new(),
            start,
            resume: BTreeMap::new(),
            batch_records: 1_000,
            batch_bytes: 1 << 20,
            channel_batches: 16,
            discovery_interval: Duration::from_secs(3),
        }
    }

    /// Whether a pattern of the settings means a topic: one that is excluded has to be
    /// named to be meant.
    pub(super) fn means(&self, pattern: &TopicPattern, topic: &str) -> bool {
        let named = matches!(pattern, TopicPattern::Exact(_));
        pattern.matches(topic) && (named || !self.excluded_topics.iter().any(|out| out == topic))
    }

    /// Whether a topic is left out if its log is compacted.
    pub(super) fn leaves_out_compacted(&self, topic: &str) -> bool {
        let first = self.leave_out_compacted.iter().find(|(pattern, _)| pattern.matches(topic));
        first.is_some_and(|(_, leave_out)| *leave_out)
    }

    /// Whether records of a topic are taken with their headers.
    pub(super) fn takes_headers_of(&self, topic: &str) -> bool {
        self.headers_of.iter().any(|pattern| pattern.matches(topic))
    }

    /// Whether a topic is read if it exists.
    pub fn reads(&self, topic: &str) -> bool {
        self.topics.iter().any(|pattern| self.means(pattern, topic))
    }
}

/// Without the values of the properties: passwords are among them.
impl fmt::Debug for SourceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSettings")
            .field("brokers", &self.brokers)
            .field("group_id", &self.group_id)
            .field("properties", &self.properties.keys())
            .field("topics", &self.topics)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// Where an earlier run stood in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The offset after the last record that is folded.
    pub next_offset: i64,
    /// From when on everything was read.
    pub covered_from: Option<EventTime>,
    /// The topic's id then, if it was known.
    pub topic_id: Option<String>,
}

/// Where a partition that exists at the first look begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record whose timestamp is not before this time.
    Time(EventTime),
    /// So far back from now; or from the newest record, where that is older, since then
    /// nobody can tell an idle topic from a clock that is ahead.
    Back(Span),
    /// At the oldest record.
    Beginning,
}

/// One topic by name, or all that match.
#[derive(Debug, Clone)]
pub enum TopicPattern {
    /// By name.
    Exact(String),
    /// All whose names match. Kafka's own (`__...`) are never meant.
    Pattern(Regex),
}

impl TopicPattern {
    /// A text that begins with `^` is a regular expression, as everywhere in Kafka's
    /// clients; every other is a name.
    pub fn parse(text: &str) -> Result<TopicPattern, String> {
        if text.starts_with('^') {
            let regex = Regex::new(text).map_err(|error| error.to_string())?;
            return Ok(TopicPattern::Pattern(regex));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.is_empty() || text.len() > 249 || text == "." || text == ".." {
            return Err("a topic's name has 1 to 249 characters and is not `.` or `..`".to_owned());
        }
        match text.chars().find(|c| !legal(*c)) {
            Some(c) => Err(format!(
                "`{c}` cannot stand in a topic's name; a regular expression begins with `^`"
            )),
            None => Ok(TopicPattern::Exact(text.to_owned())),
        }
    }

    /// Whether it means the topic of that name.
    pub fn matches(&self, topic: &str) -> bool {
        match self {
            TopicPattern::Exact(name) => name == topic,
            TopicPattern::Pattern(regex) => !topic.starts_with("__") && regex.is_match(topic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_makes_a_pattern_and_everything_else_is_a_name() {
        let means =
            |text: &str, topic: &str| TopicPattern::parse(text).expect("valid").matches(topic);
        assert!(means("mail.events", "mail.events"));
        assert!(!means("mail.events", "mailxevents"));
        assert!(means("^mail\\..*", "mail.events"));
        assert!(!means("^.*", "__consumer_offsets"), "Kafka's own topics are never meant");
    }

    #[test]
    fn a_password_is_not_printed() {
        let mut settings = SourceSettings::new("b:1", "g", Vec::new(), StartAt::Beginning);
        settings.properties.insert("sasl.password".to_owned(), "hunter2".to_owned());
        let shown = format!("{settings:?}");
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_cannot_be_a_topic_is_refused() {
        for text in ["", "..", "mail events", "mail*", "^(", &"x".repeat(250)] {
            assert!(TopicPattern::parse(text).is_err(), "{text:?} was accepted");
        }
    }
}
