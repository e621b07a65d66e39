//! The handle on a source, and the threads behind it.
//!
//! One thread reads ([`Reading`]), one looks for topics and partitions, one asks for
//! the ends, one commits. Closing keeps its deadline whatever the brokers do: a thread
//! that still waits for one is left to end by itself.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use rdkafka::error::KafkaError;

use super::access::unusable;
use super::bootstrap::Bootstrap;
use super::client::{self, Consumer};
use super::compaction::Policies;
use super::discovery::Discovery;
use super::ends::{Asked, AskingEnds, Committing};
use super::events::{Folded, SourceEvent};
use super::reading::Reading;
use super::settings::SourceSettings;
use super::shared::{Note, Shared, lock};
use crate::event::EventTime;

/// A running source. Dropping it without [`Source::close`] abandons its threads.
#[derive(Debug)]
pub struct Source {
    shared: SharedHandle,
    threads: Vec<JoinHandle<()>>,
}

struct SharedHandle(Arc<Shared>);

impl std::fmt::Debug for SharedHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

/// Starts reading in threads of its own; works without a broker until one answers.
/// `clock` is the wall clock. Fails only on settings that librdkafka refuses; the
/// text says which.
pub fn start<C>(
    settings: SourceSettings,
    clock: C,
) -> Result<(Source, Receiver<SourceEvent>), String>
where
    C: Fn() -> EventTime + Send + Sync + 'static,
{
    let settings = Arc::new(settings);
    let clock = Arc::new(clock);
    let (shared, noted, woken) = Shared::new(&settings);
    let shared = Arc::new(shared);
    let says =
        |error: KafkaError| format!("the settings for Kafka do not hold: {}", unusable(error));
    let reader = Arc::new(client::reader(&settings, &shared).map_err(says)?);
    let prober = Arc::new(client::prober(&settings, &shared).map_err(says)?);
    let watermarks = Arc::new(client::watermarks(&settings, &shared).map_err(says)?);
    let (events, received) = bounded(settings.channel_batches.max(1));

    let discovery = Discovery {
        settings: Arc::clone(&settings),
        shared: Arc::clone(&shared),
        reader: Arc::clone(&reader),
        prober: Arc::clone(&prober),
        watermarks: Arc::clone(&watermarks),
        reader_bootstrap: Bootstrap::new(&settings.brokers),
        prober_bootstrap: Bootstrap::new(&settings.brokers),
        clock: Arc::clone(&clock),
        topics: HashMap::new(),
        missing: BTreeSet::new(),
        patterns_looked: false,
        resume: settings.resume.clone(),
        answered: false,
        cluster: None,
        silent_once: false,
        silent_since: None,
        policies: Policies::default(),
        beyond_end: HashMap::new(),
    };
    let committing = Committing { shared: Arc::clone(&shared), prober: Arc::clone(&prober) };
    let asked = |client: Arc<Consumer>| {
        let bootstrap = Bootstrap::new(&settings.brokers);
        Asked { client, bootstrap }
    };
    let ends = AskingEnds {
        shared: Arc::clone(&shared),
        clock: Arc::clone(&clock),
        watermarks: asked(watermarks),
        stable: asked(prober),
    };
    let reading = Reading::new(settings, Arc::clone(&shared), reader, clock, noted, events);
    let spawn = |name: &'static str, body: Box<dyn FnOnce() + Send>| {
        let shared = Arc::clone(&shared);
        let guarded = move || {
            // Without it the others would go on as if nothing were new.
            if catch_unwind(AssertUnwindSafe(body)).is_err() {
                shared.note(Note::Say(SourceEvent::Fatal(format!(
                    "the thread {name} failed unexpectedly: start again, and please report this \
                     with the log"
                ))));
            }
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(guarded)
            .map_err(|error| error.to_string())
    };
    let threads = vec![
        spawn("kafka-read", Box::new(move || reading.run()))?,
        spawn("kafka-discovery", Box::new(move || discovery.run(&woken)))?,
        spawn("kafka-ends", Box::new(move || ends.run()))?,
        spawn("kafka-commit", Box::new(move || committing.run()))?,
    ];
    Ok((Source { shared: SharedHandle(shared), threads }, received))
}

impl Source {
    /// Takes over how far partitions are folded and flushed; committed within a
    /// second or so, under the group id of the settings. Never blocks.
    pub fn commit(&self, folded: Vec<Folded>) {
        self.shared.0.want_committed(folded);
    }

    /// Reads that partition no further: the application has seen enough of it. Nothing
    /// more is said of it, but for what is under way. Never blocks.
    pub fn leave(&self, topic: &Arc<str>, partition: i32) {
        let key = (Arc::clone(topic), partition);
        lock(&self.shared.0.left).insert(key.clone());
        self.shared.0.note(Note::Left(key));
    }

    /// Stops fetching and throws away what was fetched ahead; for long stops only.
    pub fn pause(&self) {
        self.shared.0.paused.store(true, Ordering::Release);
    }

    /// Goes on after [`Source::pause`] with the record that would have been next.
    pub fn resume(&self) {
        self.shared.0.paused.store(false, Ordering::Release);
    }

    /// Reads no further. What was read is still handed over, then
    /// [`SourceEvent::Closed`]. Offsets are committed until [`Source::close`].
    pub fn stop(&self) {
        self.shared.0.stop();
    }

    /// Commits what was asked for and ends the threads, within the deadline whatever
    /// the brokers do. Says whether all of that succeeded in time.
    pub fn close(mut self, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        let shared = &self.shared.0;
        shared.stop();
        while !shared.all_committed() && Instant::now() + Duration::from_millis(100) < until {
            thread::sleep(Duration::from_millis(5));
        }
        let committed = shared.all_committed();
        shared.abandon();
        while self.threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        let mut ended = true;
        for thread in self.threads.drain(..) {
            // One that waits for a broker ends by itself when its request times out.
            ended &= thread.is_finished() && thread.join().is_ok();
        }
        committed && ended
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shared.0.abandon();
    }
}
