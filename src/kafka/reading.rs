//! The reading thread.
//!
//! It takes what is fetched, copies records into batches and sends them, with everything
//! else that happens, through one bounded channel. It takes none while the channel
//! is full: that is the back-pressure, and `queued.*` bounds what is fetched meanwhile.
//! When that lasts, fetching is paused and only what is said beside the records is taken.
//! Under own assignment no poll interval is enforced.

mod assigning;
mod density;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use rdkafka::client::ClientContext as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;

use super::batch::{Buffers, Parts, RecordBatch};
use super::client::{Consumer, EndReached, Told};
use super::events::{PartitionEnd, SourceEvent};
use super::queue::{FetchError, Record, RecordQueue, Taken};
use super::settings::SourceSettings;
use super::shared::{Holes, Key, Note, Shared, lock};
use crate::event::EventTime;
use density::Density;

/// A partition that stands still below its end for this long is assigned anew: after
/// an offset was out of range librdkafka does not go on by itself, and does not say
/// which partition it was.
const STALLED: Duration = Duration::from_secs(30);

/// The longest wait for a record before notes are looked at.
const IDLE: Duration = Duration::from_millis(20);

/// A batch waits this long for more records, so that a stream of single records does
/// not become a stream of batches of one.
const LINGER: Duration = Duration::from_millis(5);

/// Statistics that are made this soon after fetching began anew may be of before.
const STALE_STATISTICS: Duration = Duration::from_secs(3);

/// When nothing is taken for this long, fetching is paused, so that what librdkafka says
/// beside the records can be taken off its queue. It has no bound of its own.
const HELD_UP: Duration = Duration::from_secs(5);

/// A partition that is read.
struct Assigned {
    key: Key,
    /// The offset that is read next.
    position: i64,
    /// Whether its records are taken with their headers.
    headers: bool,
    /// Its place in the batch of that number.
    in_batch: (u64, u32),
    /// When its fetching began, or began anew.
    begun: Instant,
    /// Ends that were reached before this moment may be of another assignment.
    ends_from: Instant,
    /// Its log was cut: it is read no further until it is known where it begins.
    truncated: bool,
    density: Density,
    /// Its fetching failed. librdkafka before 2.13.2 counts the error among the records
    /// taken (its issue 4844), and would leave one out after a pause.
    astray: bool,
    /// Where it stood, and since when, when its end was last passed on.
    stood: (i64, Instant),
}

impl Assigned {
    fn new(key: Key, position: i64, headers: bool) -> Self {
        let now = Instant::now();
        Assigned {
            key,
            position,
            headers,
            in_batch: (u64::MAX, 0),
            begun: now,
            ends_from: now + STALE_STATISTICS,
            truncated: false,
            density: Density::default(),
            astray: false,
            stood: (position, now),
        }
    }
}

struct Building {
    batch: RecordBatch,
    since: Instant,
}

pub(super) struct Reading<C> {
    settings: Arc<SourceSettings>,
    shared: Arc<Shared>,
    reader: Arc<Consumer>,
    records: Arc<RecordQueue>,
    clock: Arc<C>,
    noted: Receiver<Note>,
    events: Sender<SourceEvent>,
    home: Sender<Buffers>,
    buffers: Receiver<Buffers>,
    /// Topic and partition to the place in `assigned`.
    places: HashMap<Arc<str>, HashMap<i32, usize>>,
    assigned: Vec<Assigned>,
    /// What is read, as far as the brokers say.
    ids: HashMap<Arc<str>, String>,
    /// Topics that were created anew, and their ids: nothing of them is taken until it
    /// is known where they begin.
    held: HashMap<String, String>,
    /// Records come in runs of one partition.
    last_place: usize,
    batch: Option<Building>,
    sequence: u64,
    now: EventTime,
    paused: bool,
    ends_reached: Vec<EndReached>,
    header_trouble_said: bool,
}

/// The receiver is gone, or the source was abandoned.
struct Over;

impl<C: Fn() -> EventTime> Reading<C> {
    pub(super) fn new(
        settings: Arc<SourceSettings>,
        shared: Arc<Shared>,
        reader: Arc<Consumer>,
        clock: Arc<C>,
        noted: Receiver<Note>,
        events: Sender<SourceEvent>,
    ) -> Self {
        // The batches that wait, the one that is filled, and some being decoded.
        let (home, buffers) = bounded(settings.channel_batches.max(1) + 4);
        Reading {
            settings,
            shared,
            records: Arc::new(RecordQueue::new(Arc::clone(&reader))),
            reader,
            clock,
            noted,
            events,
            home,
            buffers,
            places: HashMap::new(),
            assigned: Vec::new(),
            ids: HashMap::new(),
            held: HashMap::new(),
            last_place: 0,
            batch: None,
            sequence: 0,
            now: EventTime::from_micros(0),
            paused: false,
            ends_reached: Vec::new(),
            header_trouble_said: false,
        }
    }

    pub(super) fn run(mut self) {
        let stopped = self.read();
        if stopped.is_ok() {
            let _ = self.send_batch().and_then(|()| self.send(SourceEvent::Closed));
        }
        self.shared.stop();
    }

    fn read(&mut self) -> Result<(), Over> {
        while !self.shared.stopped() {
            while let Ok(note) = self.noted.try_recv() {
                self.take_note(note)?;
            }
            self.follow_pause();
            self.pass_ends_on()?;
            self.poll()?;
        }
        Ok(())
    }

    fn send(&mut self, event: SourceEvent) -> Result<(), Over> {
        let mut event = event;
        let since = Instant::now();
        loop {
            match self.events.send_timeout(event, Duration::from_millis(100)) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Disconnected(_)) => return Err(Over),
                Err(SendTimeoutError::Timeout(_)) if self.shared.abandoned() => return Err(Over),
                Err(SendTimeoutError::Timeout(back)) => event = back,
            }
            if !self.paused && since.elapsed() >= HELD_UP {
                // Until `follow_pause` finds that nobody wishes it.
                self.pause(true);
            }
            if self.paused {
                self.serve();
            }
        }
    }

    /// Takes off the queue what is said while nothing is fetched.
    fn serve(&mut self) {
        self.hear();
        // Where fetching goes back, they say nothing.
        drop(self.reader.client().context().take_ends_reached());
    }

    fn fetch_again(&mut self, topic: &str, partition: i32) {
        if let Some(of) = self.find(topic, partition).map(|of| (of.key.clone(), of.position)) {
            self.fetch_anew(&[of]);
        }
    }

    /// Hears all that librdkafka has to say beside the records.
    fn hear(&mut self) {
        let reader = Arc::clone(&self.reader);
        let context = reader.client().context();
        loop {
            let served = context.served();
            let polled = reader.poll(Duration::ZERO);
            self.heed(context.take_told());
            match polled {
                // It was not led to the queue of the records, and would be lost.
                Some(Ok(record)) => self.fetch_again(record.topic(), record.partition()),
                Some(Err(error)) => self.take_error(&error),
                None if served == context.served() => break,
                None => {}
            }
        }
    }

    fn send_batch(&mut self) -> Result<(), Over> {
        match self.batch.take() {
            Some(building) => {
                self.sequence += 1;
                self.send(SourceEvent::Batch(building.batch))
            }
            None => Ok(()),
        }
    }

    /// Takes records until the batch is full or there are none.
    fn poll(&mut self) -> Result<(), Over> {
        let staged = self.reader.client().context().take_ends_reached();
        if !staged.is_empty() {
            self.ends_reached = staged;
        }
        let records = Arc::clone(&self.records);
        let mut taken = records.poll(Duration::ZERO);
        let all = taken.all;
        if taken.is_empty() {
            let wait = match &self.batch {
                None => IDLE,
                Some(building) => LINGER.saturating_sub(building.since.elapsed()),
            };
            if !wait.is_zero() {
                drop(taken);
                taken = records.poll(wait);
            }
        }
        // What was said before these were fetched is heeded before they are taken.
        self.hear();
        self.take_all(&taken)?;
        drop(taken);
        if all {
            // All that was fetched before those ends were reached is taken.
            self.apply_ends_reached();
        }
        let lingered = self.batch.as_ref().is_some_and(|b| b.since.elapsed() >= LINGER);
        if lingered { self.send_batch() } else { Ok(()) }
    }

    fn take_all(&mut self, taken: &Taken<'_>) -> Result<(), Over> {
        for record in taken.records() {
            match record {
                Ok(record) => self.take(&record),
                Err(error) => self.take_fetch_error(&error),
            }
            let full = self.batch.as_ref().is_some_and(|building| {
                building.batch.len() >= self.settings.batch_records
                    || building.batch.byte_len() >= self.settings.batch_bytes
            });
            if full {
                self.send_batch()?;
            }
        }
        Ok(())
    }

    fn heed(&mut self, told: Vec<Told>) {
        for told in told {
            match told {
                Told::Replaced { topic, id } => self.hold(topic, id),
                Told::Truncated { topic, partition, after } => {
                    self.heed_truncation(&topic, partition, after);
                }
            }
        }
    }

    fn hold(&mut self, topic: String, id: String) {
        let Some(known) = self.ids.get(topic.as_str()) else { return };
        // A broker that lags behind the others says the old id once more. That the known
        // one is back is for the discovery to say, too: see `Note::Is`.
        if *known != id || self.held.contains_key(&topic) {
            self.shared.doubt_id(&topic);
            self.held.insert(topic, id);
        }
    }

    fn heed_truncation(&mut self, topic: &str, partition: i32, after: Instant) {
        let Some(assigned) = self.find(topic, partition) else { return };
        if after < assigned.begun {
            // Of the fetching before: where it begins now was asked later.
            return;
        }
        assigned.truncated = true;
        let key = assigned.key.clone();
        self.publish_positions();
        lock(&self.shared.truncated).insert(key);
        self.shared.suspect_gap();
    }

    fn find(&mut self, topic: &str, partition: i32) -> Option<&mut Assigned> {
        let place = *self.places.get(topic)?.get(&partition)?;
        self.assigned.get_mut(place)
    }

    fn take(&mut self, message: &Record<'_>) {
        let (topic, partition) = (message.topic(), message.partition());
        if !self.held.is_empty() && self.held.contains_key(topic) {
            return;
        }
        let is_last = |a: &Assigned| a.key.1 == partition && *a.key.0 == *topic;
        if !self.assigned.get(self.last_place).is_some_and(is_last) {
            let place = self.places.get(topic).and_then(|of| of.get(&partition).copied());
            let Some(place) = place else { return };
            self.last_place = place;
        }
        let Some(assigned) = self.assigned.get_mut(self.last_place) else { return };
        let offset = message.offset();
        if offset < assigned.position {
            return;
        }
        let sequence = self.sequence;
        let (buffers, home, clock) = (&self.buffers, &self.home, &self.clock);
        let building = self.batch.get_or_insert_with(|| {
            let buffers = buffers.try_recv().unwrap_or_default();
            Building {
                batch: RecordBatch::new(sequence, buffers, home.clone()),
                since: Instant::now(),
            }
        });
        if assigned.in_batch.0 != sequence {
            let position = building.batch.open_position(&assigned.key.0, assigned.key.1);
            assigned.in_batch = (sequence, position);
        }
        if assigned.density.read(offset - assigned.position) {
            let key = assigned.key.clone();
            self.shared.suspect_compaction(Holes { key, below: offset });
        }
        assigned.position = offset + 1;
        let timestamp = message.timestamp().and_then(EventTime::of_record);
        if timestamp.is_some_and(|timestamp| timestamp > self.now) {
            self.now = clock();
        }
        let known = timestamp.is_some_and(|timestamp| timestamp <= self.now);
        let parts = Parts { offset, timestamp, key: message.key(), value: message.value() };
        let headers = match assigned.headers {
            true => message.headers(&mut self.header_trouble_said),
            false => Vec::new(),
        };
        building.batch.push(assigned.in_batch.1, &parts, headers.into_iter(), known);
    }

    fn take_fetch_error(&mut self, failed: &FetchError) {
        let error = KafkaError::Global(failed.code);
        self.reader.client().context().error(error.clone(), &failed.reason);
        self.take_error(&error);
        if let Some((topic, partition)) = &failed.of
            && let Some(assigned) = self.find(topic, *partition)
        {
            assigned.astray = true;
        }
    }

    fn take_error(&mut self, error: &KafkaError) {
        // Refusals were seen by the context, which knows the broker's words.
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.publish_positions();
                self.shared.suspect_gap();
            }
            _ => tracing::debug!("while reading: {error}"),
        }
    }

    fn apply_ends_reached(&mut self) {
        let ends = std::mem::take(&mut self.ends_reached);
        if self.paused {
            // What was fetched ahead is thrown away, so that nothing of it is taken.
            return;
        }
        for end in ends {
            if self.held.contains_key(&end.topic) {
                continue;
            }
            if let Some(assigned) = self.find(&end.topic, end.partition)
                && assigned.ends_from <= end.at
            {
                assigned.position = assigned.position.max(end.offset);
            }
        }
    }

    fn publish_positions(&self) {
        let mut positions = lock(&self.shared.positions);
        positions.clear();
        positions.extend(self.assigned.iter().map(|a| (a.key.clone(), a.position)));
    }

    fn pass_ends_on(&mut self) -> Result<(), Over> {
        let Some(ends) = lock(&self.shared.ends).take() else { return Ok(()) };
        self.send_batch()?;
        self.publish_positions();
        let mut answer = Vec::with_capacity(ends.ends.len());
        let mut stalled = Vec::new();
        for ((topic, partition), end) in ends.ends {
            if self.held.contains_key(&*topic) {
                continue;
            }
            let paused = self.paused;
            if let Some(assigned) = self.find(&topic, partition) {
                let position = assigned.position;
                let waits = position >= end.stable || paused || assigned.truncated;
                if position != assigned.stood.0 || waits {
                    assigned.stood = (position, Instant::now());
                } else if assigned.stood.1.elapsed() >= STALLED {
                    stalled.push((assigned.key.clone(), position));
                }
                answer.push(PartitionEnd {
                    topic,
                    partition,
                    end_offset: end.log,
                    stable_offset: end.stable,
                    position,
                });
            }
        }
        if !stalled.is_empty() {
            tracing::info!(
                "partitions stood still and are read anew from where they are: {stalled:?}"
            );
            self.fetch_anew(&stalled);
        }
        self.send(SourceEvent::Ends { at: ends.at, ends: answer })
    }

    fn follow_pause(&mut self) {
        let wanted = self.shared.paused.load(Ordering::Acquire);
        if wanted != self.paused {
            self.pause(wanted);
        }
    }

    fn pause(&mut self, wanted: bool) {
        self.paused = wanted;
        for assigned in &mut self.assigned {
            assigned.ends_from = Instant::now() + STALE_STATISTICS;
        }
        let done = self.reader.assignment().and_then(|assignment| {
            if wanted {
                self.reader.pause(&assignment)
            } else {
                // What librdkafka fetched ahead is gone; it goes on from where the
                // application is.
                self.reader.resume(&assignment)
            }
        });
        if let Err(error) = done {
            tracing::warn!("reading could not be paused or resumed: {error}");
        }
        if !wanted {
            // A log that was cut is gone on with by the discovery.
            let astray = self.assigned.iter().filter(|of| of.astray && !of.truncated);
            let astray: Vec<_> = astray.map(|of| (of.key.clone(), of.position)).collect();
            self.fetch_anew(&astray);
        }
    }
}

#[cfg(test)]
mod tests;
