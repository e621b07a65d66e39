//! `tidegauge demo --brokers`: the simulated campaigns alone, into brokers of somebody's
//! own, for instances and a Prometheus beside it to watch.
//!
//! In: where to, and how much of the past. Out: the demo's topics, made where they are
//! missing, filled with the past and then with what happens live, and lines that say how
//! it goes. A start after another writes the same records again for the time that both
//! simulate; they have the same ids and count once. Never done: writing into a topic that
//! holds records of somebody else's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::app::clock;
use crate::app::demo::{self, Feed, SimulatedRecord, Simulator, Spikes, Step};
use crate::app::service::{ServiceError, stop_signal};
use crate::app::showcase::SEED;
use crate::event::{EventTime, Header, Span};
use crate::kafka::{Access, Producer, Visit, VisitError};

/// Old records are of no use to anybody, and a demo that is forgotten must not fill a disk.
const TOPIC_SETTINGS: &[(&str, &str)] = &[("retention.ms", "86400000")];
/// Records that are on their way at most; the producer would take five times as many.
const MOST_WAITING: u64 = 20_000;
/// How often what lasts is said again.
const SAY_AGAIN: Duration = Duration::from_secs(10);
/// How often it says how much is written.
const EVERY_MINUTE: Duration = Duration::from_secs(60);
/// How long what is on its way may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// A broker that is restarted takes its records later: none is given up.
const PRODUCER: &[(&str, &str)] = &[("message.timeout.ms", "0")];

/// Where the campaigns go, and how.
#[derive(Debug, Clone)]
pub struct CampaignsSpec {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// The user's settings of librdkafka.
    pub properties: BTreeMap<String, String>,
    /// What lets the simulator in.
    pub access: Access,
    /// Of a topic that has to be made.
    pub partitions: i32,
    /// Copies of such a topic; `None` leaves it to the brokers.
    pub replication: Option<i32>,
    /// How much of the past is written first.
    pub history: Span,
    /// When it ends by itself, after the start.
    pub limit: Option<Duration>,
}

/// Waits for the brokers, makes the topics, writes the past and then what happens, until
/// SIGTERM, Ctrl-C or the end of the limit; `say` is given a line for each step.
///
/// # Errors
/// What the brokers say that only a person can put right, and topics that hold records of
/// somebody else's.
pub fn run_campaigns(spec: &CampaignsSpec, say: &dyn Fn(&str)) -> Result<(), ServiceError> {
    let stop = Stop::new(spec.limit)?;
    if !wait_for_topics(spec, &stop, say)? {
        return Ok(());
    }
    let mut settings: Vec<(&str, &str)> =
        spec.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    settings.extend(PRODUCER);
    let producer = Producer::connect_by(&spec.access, &spec.brokers, &settings)
        .map_err(ServiceError::Kafka)?;
    Campaigns::new(spec, producer, &stop, say).run()
}

/// Whether it is time to stop.
struct Stop {
    asked: Arc<AtomicBool>,
    at: Option<Instant>,
    _signals: Runtime,
}

impl Stop {
    fn new(limit: Option<Duration>) -> Result<Stop, ServiceError> {
        let signals = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("signals")
            .enable_all()
            .build()?;
        let asked = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&asked);
        signals.spawn(async move {
            stop_signal().await;
            heard.store(true, Ordering::Relaxed);
        });
        Ok(Stop { asked, at: limit.map(|limit| Instant::now() + limit), _signals: signals })
    }

    fn is_due(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.at.is_some_and(|at| Instant::now() >= at)
    }
}

/// Waits until every topic is there; false if it was to stop before that.
fn wait_for_topics(
    spec: &CampaignsSpec,
    stop: &Stop,
    say: &dyn Fn(&str),
) -> Result<bool, ServiceError> {
    let mut said: Option<Instant> = None;
    while !stop.is_due() {
        let visit = Visit::connect(&spec.brokers, &spec.properties, &spec.access);
        match visit.and_then(|visit| prepare_topics(spec, &visit, say)) {
            Ok(()) => return Ok(true),
            Err(VisitError::Refused(why)) => return Err(ServiceError::Kafka(why)),
            Err(error) => {
                if said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
                    say(&format!("waiting: {error}"));
                    said = Some(Instant::now());
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
    Ok(false)
}

/// Makes the topics that are missing, once it is sure that all others are the demo's.
fn prepare_topics(
    spec: &CampaignsSpec,
    visit: &Visit,
    say: &dyn Fn(&str),
) -> Result<(), VisitError> {
    let there = visit.topics()?;
    for topic in there.iter().filter(|topic| demo::TOPICS.contains(&topic.name.as_str())) {
        let newest = visit.newest(topic, 1)?;
        if newest.iter().any(|record| !record.has_header(demo::MARK)) {
            return Err(VisitError::Refused(format!(
                "the topic `{}` at {} holds records that no demo has written: simulated campaigns \
                 would mix with real ones. Give the demo brokers of its own",
                topic.name, spec.brokers
            )));
        }
    }
    let is_missing = |topic: &str| !there.iter().any(|of| of.name == topic);
    let mut made = Vec::new();
    for topic in demo::TOPICS.into_iter().filter(|topic| is_missing(topic)) {
        visit.create(topic, spec.partitions, spec.replication, TOPIC_SETTINGS)?;
        made.push(topic);
    }
    if is_missing(demo::DEAD_LETTERS) {
        visit.create(demo::DEAD_LETTERS, 1, spec.replication, TOPIC_SETTINGS)?;
        made.push(demo::DEAD_LETTERS);
    }
    say(&match made.is_empty() {
        true => format!("the topics of the demo are there at {}", spec.brokers),
        false => format!("made at {}: {}", spec.brokers, made.join(", ")),
    });
    Ok(())
}

/// Campaigns under way.
struct Campaigns<'a> {
    producer: Producer,
    feed: Feed,
    history: Span,
    /// Where live traffic begins.
    start: EventTime,
    stop: &'a Stop,
    say: &'a dyn Fn(&str),
    sent: u64,
    flow: Flow,
}

/// Whether the brokers take what is sent.
struct Flow {
    written: u64,
    since: Instant,
}

impl<'a> Campaigns<'a> {
    fn new(
        spec: &CampaignsSpec,
        producer: Producer,
        stop: &'a Stop,
        say: &'a dyn Fn(&str),
    ) -> Self {
        let start = clock::now().floor(Span::from_secs(1));
        let simulator = Simulator::spiking(SEED, start, Spikes::RECURRING);
        Campaigns {
            producer,
            feed: Feed::of(simulator, start - spec.history),
            history: spec.history,
            start,
            stop,
            say,
            sent: 0,
            flow: Flow { written: 0, since: Instant::now() },
        }
    }

    fn run(mut self) -> Result<(), ServiceError> {
        let began = Instant::now();
        while self.feed.upto() < self.start && !self.stop.is_due() {
            self.step(self.start)?;
        }
        if !self.stop.is_due() {
            let (sent, took) = (self.sent, began.elapsed().as_secs_f64());
            self.say(&format!("wrote the last {}: {sent} records in {took:.1} s", self.history));
            self.say("live now; Ctrl-C ends it");
            self.live()?;
        }
        let unwritten = self.producer.flush(LAST_WORDS);
        self.say(&format!("stopped: {} records in all", self.sent));
        unwritten.map_err(|unwritten| {
            ServiceError::Kafka(format!("{unwritten}: the brokers did not take them in time"))
        })
    }

    fn live(&mut self) -> Result<(), ServiceError> {
        let mut was_on = false;
        let (mut minute, mut sent) = (Instant::now(), self.sent);
        self.say(&self.next_spike(clock::now()));
        while !self.stop.is_due() {
            let now = clock::now();
            self.step(now)?;
            let is_on = Spikes::RECURRING.is_on(now - self.start);
            if is_on != was_on {
                self.say(&match is_on {
                    true => format!(
                        "{}: the spike begins: for {} the readers of `{}` leave",
                        second(now),
                        demo::SPIKE_LASTS,
                        demo::SPIKING
                    ),
                    false => format!("{}: the spike is over", second(now)),
                });
                if !is_on {
                    self.say(&self.next_spike(now));
                }
                was_on = is_on;
            }
            if minute.elapsed() >= EVERY_MINUTE {
                let (of_minute, all) = (self.sent - sent, self.sent);
                self.say(&format!(
                    "{}: {of_minute} records in the last minute, {all} in all",
                    second(now)
                ));
                (minute, sent) = (Instant::now(), self.sent);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn next_spike(&self, now: EventTime) -> String {
        let Some(next) = Spikes::RECURRING.next(now - self.start) else { return String::new() };
        let at = self.start + next;
        format!(
            "the next spike begins at {at}, in {} s: the objective `{}` will be missed",
            (at - now).secs(),
            demo::MISSED
        )
    }

    /// Sends the next minute, or what has happened until `now`, unless the brokers have
    /// enough to take as it is.
    fn step(&mut self, now: EventTime) -> Result<(), ServiceError> {
        if let Some(why) = self.producer.failure() {
            return Err(ServiceError::Kafka(format!("the brokers refuse a record: {why}")));
        }
        let waiting = self.producer.waiting();
        let written = self.sent - waiting.min(self.sent);
        if waiting == 0 || written != self.flow.written {
            self.flow = Flow { written, since: Instant::now() };
        } else if self.flow.since.elapsed() >= SAY_AGAIN {
            self.say(&format!("waiting: the brokers take nothing, and {waiting} records wait"));
            self.flow.since = Instant::now();
        }
        if waiting > MOST_WAITING {
            std::thread::sleep(Duration::from_millis(20));
            return Ok(());
        }
        let (producer, sent) = (&self.producer, &mut self.sent);
        let done = self.feed.step(
            now,
            |_| u64::MAX,
            |record| {
                *sent += 1;
                send(producer, record)
            },
        );
        done.map(|_: Step| ()).map_err(ServiceError::Kafka)
    }

    fn say(&self, line: &str) {
        (self.say)(line);
    }
}

fn second(time: EventTime) -> EventTime {
    time.floor(Span::from_secs(1))
}

fn send(producer: &Producer, record: &SimulatedRecord) -> Result<(), String> {
    let mut headers: Vec<Header<'_>> =
        record.headers.iter().map(|(name, value)| (name.as_str(), Some(&value[..]))).collect();
    headers.push((demo::MARK, Some(b"1")));
    let key = record.key.as_ref().map(|key| key.as_bytes());
    producer.send(record.topic, key, Some(&record.value), &headers, Some(record.time))
}
