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
use super::client::{Consumer, REQUEST_TIMEOUT};
use super::refusal::refusal;
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
                // As soon as there is a partition.
                let begun = Instant::now();
                if self.ask_ends() {
                    next = begun + INTERVAL;
                }
            }
            // Keeps the queues of log lines empty.
            let _ = self.stable.client.poll(STEP);
            while self.watermarks.client.poll(Duration::ZERO).is_some() {}
        }
    }

    /// Whether there was anything to ask for.
    fn ask_ends(&mut self) -> bool {
        let positions: Vec<(Key, i64)> =
            lock(&self.shared.positions).iter().map(|(key, at)| (key.clone(), *at)).collect();
        if positions.is_empty() {
            return false;
        }
        let at = (self.clock)();
        let Some(said) = self.ends(&positions) else {
            self.shared.doubt_brokers();
            return true;
        };
        let mut ends = Vec::with_capacity(said.len());
        for (key, end) in said {
            match end {
                Ok(end) => {
                    self.shared.readable(&key);
                    ends.push((key, end));
                }
                Err(error) => self.shared.unreadable(&key, &error),
            }
        }
        *lock(&self.shared.ends) = Some(Ends { at, ends });
        true
    }

    /// Where partitions end that are read up to there, or why that is not said; `None` if no
    /// broker answers.
    fn ends(&mut self, positions: &[(Key, i64)]) -> Option<Vec<(Key, Result<End, String>)>> {
        let keys: Vec<&Key> = positions.iter().map(|(key, _)| key).collect();
        let mut logs = self.watermarks.ends_of(&keys, &self.shared)?;
        // Of what was read to the end, no transaction holds anything back.
        let is_open = |(key, at): &&(Key, i64)| {
            logs.get(key).is_some_and(|log| log.as_ref().is_ok_and(|log| at < log))
        };
        let open: Vec<&Key> = positions.iter().filter(is_open).map(|(key, _)| key).collect();
        let mut stable = match open.is_empty() {
            true => HashMap::new(),
            false => self.stable.ends_of(&open, &self.shared)?,
        };
        let end = |(key, _): &(Key, i64)| {
            let end = match (logs.remove(key)?, stable.remove(key)) {
                // Asked later, it may already be beyond that end.
                (Ok(log), Some(Ok(stable))) => Ok(End { log, stable: stable.min(log) }),
                (Ok(log), None) => Ok(End { log, stable: log }),
                (Err(error), _) | (_, Some(Err(error))) => Err(error),
            };
            Some((key.clone(), end))
        };
        Some(positions.iter().filter_map(end).collect())
    }
}

/// What a broker says of an offset, or why it does not.
type Said = Result<i64, String>;

impl Asked {
    /// The ends of partitions, as far as the brokers say them; `None` if none answers.
    fn ends_of(&mut self, keys: &[&Key], shared: &Shared) -> Option<HashMap<Key, Said>> {
        match self.answers(keys) {
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

    fn answers(&self, keys: &[&Key]) -> KafkaResult<HashMap<Key, Said>> {
        let mut asked = TopicPartitionList::with_capacity(keys.len());
        for (topic, partition) in keys {
            asked.add_partition_offset(topic, *partition, Offset::End)?;
        }
        let answers = self.client.offsets_for_times(asked, REQUEST_TIMEOUT)?;
        let by_name: HashMap<(&str, i32), &Key> =
            keys.iter().map(|key| ((&*key.0, key.1), *key)).collect();
        let mut ends = HashMap::with_capacity(keys.len());
        for answer in answers.elements() {
            let Some(key) = by_name.get(&(answer.topic(), answer.partition())) else { continue };
            let said = match (answer.error(), answer.offset()) {
                (Ok(()), Offset::Offset(end)) => Ok(end),
                (Ok(()), _) => Err("the broker did not say its end".to_owned()),
                (Err(error), _) => Err(says(&error)),
            };
            ends.insert((*key).clone(), said);
        }
        Ok(ends)
    }
}

fn says(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}
