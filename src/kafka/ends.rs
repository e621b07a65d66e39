//! Once a second, each in a thread of its own: where the partitions end, and the
//! commit of what is folded.
//!
//! One request per broker says all the ends, another where what may be read ends: before
//! the first transaction that is open, if the consumer reads committed records only. The
//! first is asked first, so that the second is below it only where a transaction really is
//! open. The offsets to commit are those that
//! the application handed in last; committing goes without membership in the group,
//! and waits for its answer, because librdkafka reports none of a commit that does not
//! (only its own automatic ones have a callback in the bindings).

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::bootstrap::Bootstrap;
use super::client::{Consumer, REQUEST_TIMEOUT, refusal};
use super::shared::{End, Ends, Key, Shared, lock};
use crate::event::EventTime;

/// How often the ends are asked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// The wait for callbacks between two looks at the wish to stop.
const STEP: Duration = Duration::from_millis(50);

/// Asks for the ends.
pub(super) struct AskingEnds<C> {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<C>,
    /// Is told where the logs end.
    pub(super) watermarks: Asked,
    /// Is told where what may be read ends.
    pub(super) stable: Asked,
}

/// A client that asks, and is named its brokers again when they do not answer.
pub(super) struct Asked {
    pub(super) client: Arc<Consumer>,
    pub(super) bootstrap: Bootstrap,
}

/// Commits.
pub(super) struct Committing {
    pub(super) shared: Arc<Shared>,
    pub(super) prober: Arc<Consumer>,
}

impl Committing {
    /// Runs until the source is closed; without a coordinator, for as long as its last
    /// request takes to time out.
    pub(super) fn run(self) {
        let mut next = Instant::now();
        while !self.shared.abandoned() {
            if Instant::now() >= next || self.shared.stopped() {
                next = Instant::now() + INTERVAL;
                self.commit();
            }
            thread::sleep(STEP);
        }
    }

    fn commit(&self) {
        let offsets = self.shared.next_commit();
        if offsets.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        let mut filled = Ok(());
        for ((topic, partition), offset) in &offsets {
            let added = list.add_partition_offset(topic, *partition, Offset::Offset(*offset));
            filled = filled.and(added);
        }
        let result = filled.and_then(|()| self.prober.commit(&list, CommitMode::Sync));
        self.shared.committed(offsets, result);
    }
}

impl<C: Fn() -> EventTime> AskingEnds<C> {
    /// Runs until the source stops.
    pub(super) fn run(mut self) {
        let mut next = Instant::now();
        while !self.shared.abandoned() {
            if Instant::now() >= next && !self.shared.stopped() {
                next = Instant::now() + INTERVAL;
                self.ask_ends();
            }
            // Keeps the queues of log lines empty.
            let _ = self.stable.client.poll(STEP);
            while self.watermarks.client.poll(Duration::ZERO).is_some() {}
        }
    }

    fn ask_ends(&mut self) {
        let keys: Vec<Key> = lock(&self.shared.positions).keys().cloned().collect();
        if keys.is_empty() {
            return;
        }
        let at = (self.clock)();
        let logs = self.watermarks.ends_of(&keys, &self.shared);
        let ends = logs.and_then(|logs| Some((logs, self.stable.ends_of(&keys, &self.shared)?)));
        match ends {
            Some((logs, stable)) => {
                let end = |(key, log): (Key, i64)| {
                    // Asked later, it may already be beyond that end.
                    let stable = stable.get(&key)?.min(&log);
                    Some((key, End { log, stable: *stable }))
                };
                let ends = logs.into_iter().filter_map(end).collect();
                *lock(&self.shared.ends) = Some(Ends { at, ends });
            }
            None => self.shared.doubt_brokers(),
        }
    }
}

impl Asked {
    /// Those of the ends that the brokers say; `None` if none answers.
    fn ends_of(&mut self, keys: &[Key], shared: &Shared) -> Option<HashMap<Key, i64>> {
        match self.answers(keys, shared) {
            Ok(ends) => {
                self.bootstrap.answered();
                Some(ends)
            }
            Err(error) => {
                if let Some(refusal) = error.rdkafka_error_code().and_then(refusal) {
                    shared.fatal(refusal, None, &error.to_string());
                }
                tracing::debug!("where the partitions end is not known: {error}");
                self.bootstrap.silent(self.client.client());
                None
            }
        }
    }

    fn answers(&self, keys: &[Key], shared: &Shared) -> KafkaResult<HashMap<Key, i64>> {
        let mut asked = TopicPartitionList::with_capacity(keys.len());
        for (topic, partition) in keys {
            asked.add_partition_offset(topic, *partition, Offset::End)?;
        }
        let answers = self.client.offsets_for_times(asked, REQUEST_TIMEOUT)?;
        let by_name: HashMap<(&str, i32), &Key> =
            keys.iter().map(|key| ((&*key.0, key.1), key)).collect();
        let mut ends = HashMap::with_capacity(keys.len());
        for answer in answers.elements() {
            let Some(key) = by_name.get(&(answer.topic(), answer.partition())) else { continue };
            match (answer.error(), answer.offset()) {
                (Ok(()), Offset::Offset(end)) => {
                    shared.readable(key);
                    ends.insert((*key).clone(), end);
                }
                (Ok(()), _) => shared.unreadable(key, "the broker did not say its end"),
                (Err(error), _) => shared.unreadable(key, &says(&error)),
            }
        }
        Ok(ends)
    }
}

fn says(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}
