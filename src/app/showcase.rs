//! `tidegauge demo`: an embedded broker, the simulated campaigns, and the whole
//! service, in one process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::app::clock;
use crate::app::demo::{self, Feed, SimulatedRecord, Step};
use crate::app::service::{Service, ServiceError};
use crate::config::{Config, LogSpec};
use crate::event::Header;
use crate::export::Report;
use crate::kafka::{DemoBroker, Producer};

/// The same campaigns at each start.
pub(super) const SEED: u64 = 2_026;
/// Enough for a little parallelism, and for the mock broker's limit on each.
const PARTITIONS: i32 = 2;

/// A running demo.
pub struct Demo {
    service: Service,
    feeder: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    /// Dropped last: everything else speaks to it.
    _broker: DemoBroker,
}

impl Demo {
    /// The demo's configuration for a broker and an address.
    pub fn config(brokers: &str, listen: SocketAddr) -> Result<Config, ServiceError> {
        let environment = |name: &str| match name {
            "DEMO_BROKERS" => Some(brokers.to_owned()),
            "DEMO_LISTEN" => Some(listen.to_string()),
            _ => None,
        };
        crate::config::parse("demo.toml", demo::CONFIG, &environment)
            .map_err(|problems| ServiceError::Demo(problems.to_string()))
    }

    /// How the demo logs, without starting it.
    pub fn log() -> LogSpec {
        LogSpec { level: "warn".to_owned(), ..LogSpec::default() }
    }

    /// Starts the broker, the service, and the campaigns.
    pub fn start(listen: SocketAddr) -> Result<Demo, ServiceError> {
        let broker = DemoBroker::start().map_err(ServiceError::Demo)?;
        for topic in demo::TOPICS {
            broker.create_topic(topic, PARTITIONS).map_err(ServiceError::Demo)?;
        }
        broker.create_topic(demo::DEAD_LETTERS, 1).map_err(ServiceError::Demo)?;
        let producer = Producer::connect(broker.bootstrap(), &[]).map_err(ServiceError::Demo)?;
        let config = Demo::config(broker.bootstrap(), listen)?;
        // The mock broker answers a look-up by time with the end of the partition.
        let service = Service::start_from_beginning(&config)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, reports) = (Arc::clone(&stop), service.reports());
        let feeder = std::thread::Builder::new()
            .name("campaigns".to_owned())
            .spawn(move || feed(&producer, &reports, &stopped))?;
        Ok(Demo { service, feeder, stop, _broker: broker })
    }

    /// Where the page is.
    pub fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// Runs until Ctrl-C or the end of `limit`.
    pub fn wait(self, limit: Option<Duration>) -> Result<(), ServiceError> {
        let outcome = self.service.wait(limit);
        self.stop.store(true, Ordering::Relaxed);
        self.feeder.join().map_err(|_| ServiceError::Panicked)?;
        outcome
    }
}

/// Brings the campaigns to the broker until it is told to stop.
fn feed(producer: &Producer, reports: &watch::Receiver<Option<Arc<Report>>>, stop: &AtomicBool) {
    let mut feed = Feed::new(SEED, clock::now());
    while !stop.load(Ordering::Relaxed) {
        let report = reports.borrow().clone();
        let read = |topic: &str| records_read(report.as_deref(), topic);
        match feed.step(clock::now(), read, |record| send(producer, record)) {
            Ok(Step::Behind) => {}
            Ok(Step::Waits) => std::thread::sleep(Duration::from_millis(20)),
            Ok(Step::UpToDate) => std::thread::sleep(Duration::from_millis(100)),
            Err(error) => {
                tracing::error!(%error, "the campaigns have stopped: the demo's broker refuses");
                return;
            }
        }
    }
}

fn records_read(report: Option<&Report>, topic: &str) -> u64 {
    let topics = report.map_or(&[][..], |report| &report.topics);
    topics.iter().find(|of| of.topic == topic).map_or(0, |of| of.ledger.records.read)
}

fn send(producer: &Producer, record: &SimulatedRecord) -> Result<(), String> {
    let headers: Vec<Header<'_>> =
        record.headers.iter().map(|(name, value)| (name.as_str(), Some(&value[..]))).collect();
    let key = record.key.as_ref().map(|key| key.as_bytes());
    producer.send(record.topic, key, Some(&record.value), &headers, Some(record.time))
}
