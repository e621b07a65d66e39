//! A running instance: everything started, and stopped again in flow order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use crate::aggregate::HashKey;
use crate::app::backfill::Backfill;
use crate::app::clock;
use crate::app::decoding::RecordDecoder;
use crate::app::engine::Engine;
use crate::app::memory;
use crate::app::pipeline::{EngineThread, start_decoders};
use crate::app::routes::Routes;
use crate::app::saved::{self, SavedStateError};
use crate::config::{Config, DeadLetterSpec};
use crate::event::Span;
use crate::export::{self, Report, Site};
use crate::format::{Format, Wanted};
use crate::kafka::{self, DeadLetterSettings, DeadLetters, SourceSettings, StartAt, TopicPattern};
use crate::kpi::{AggregateSpec, Plan};
use crate::objective::ObjectiveSpec;
use crate::window::BASE_PANE;

/// Why an instance could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The address is taken, or not ours.
    #[error(
        "cannot listen on {address}: is another instance still running? Else choose another address with `[export] listen`"
    )]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused a thread or a runtime.
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    /// What the broker says can only be put right by a person.
    #[error("{0}")]
    Kafka(String),
    /// The saved state cannot be taken up.
    #[error(transparent)]
    State(#[from] SavedStateError),
    /// The demo's own parts do not start.
    #[error("the demo cannot start: {0}")]
    Demo(String),
    /// A thread of the pipeline panicked: a defect of this program.
    #[error("a thread of the pipeline ended unexpectedly; please report this with the log")]
    Panicked,
}

/// What becomes of measures of slices that are declared and that the saved state does
/// not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NewMeasures {
    /// In the background they are filled with what the topics still hold.
    #[default]
    FilledFromTopics,
    /// They begin where the saved state ends; their coverage grows with time.
    WithoutPast,
}

/// A running instance; ends when waited for, or is stopped when dropped.
pub struct Service {
    runtime: Runtime,
    address: SocketAddr,
    reports: watch::Receiver<Option<Arc<Report>>>,
    stop_engine: Sender<Instant>,
    stop_http: oneshot::Sender<()>,
    http: tokio::task::JoinHandle<std::io::Result<()>>,
    engine: JoinHandle<Result<(), String>>,
    decoders: Vec<JoinHandle<()>>,
    deadline: Duration,
}

impl Service {
    /// Binds the address, connects, and starts all threads; figures follow when
    /// the partitions have been found.
    ///
    /// Partitions begin far enough back that every window is whole.
    pub fn start(config: &Config, new: NewMeasures) -> Result<Service, ServiceError> {
        Self::start_from(config, start_at(config), new)
    }

    /// As [`Service::start`], from the beginning of all topics: for a broker that
    /// cannot look up offsets by time.
    pub fn start_from_beginning(config: &Config) -> Result<Service, ServiceError> {
        Self::start_from(config, StartAt::Beginning, NewMeasures::FilledFromTopics)
    }

    fn start_from(
        config: &Config,
        start: StartAt,
        new: NewMeasures,
    ) -> Result<Service, ServiceError> {
        let address = config.export.listen;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("http")
            .enable_all()
            .build()?;
        runtime.block_on(async { outlive_file_limits() });
        let listener = runtime
            .block_on(TcpListener::bind(address))
            .map_err(|source| ServiceError::Bind { address, source })?;
        let address = listener.local_addr()?;

        let declarations = Arc::new(config.declarations.clone());
        let objectives: Arc<[ObjectiveSpec]> = config.objectives.clone().into();
        let plan = Arc::new(Plan::new(Arc::clone(&declarations), hash_key(config)));
        let topics = patterns(config)?;
        let mut engine = Engine::new(
            Arc::clone(&plan),
            Arc::clone(&objectives),
            config.duplicates,
            clock::now(),
        );
        let mut settings = source_settings(config, topics.clone(), start);
        let checkpoints = match &config.state.directory {
            Some(path) => {
                let declared = |topic: &str| settings.reads(topic);
                Some(saved::take_up(path, &config.state, &mut engine, declared, clock::now())?)
            }
            None => None,
        };
        settings.start = engine.start_from().map_or(start, StartAt::Time);
        let routes = Arc::new(routes(config, topics, &plan));
        let backfill = match new {
            NewMeasures::FilledFromTopics => {
                let decoder = RecordDecoder::new(Arc::clone(&plan), Arc::clone(&routes), false);
                backfill(settings.clone(), config.duplicates, decoder, &mut engine)
            }
            NewMeasures::WithoutPast => None,
        };
        settings.resume = engine.resume_at();
        let (source, events) = kafka::start(settings, clock::now).map_err(ServiceError::Kafka)?;
        let dead_letters = match dead_letter_settings(config) {
            Some(settings) => Some(DeadLetters::start(settings).map_err(ServiceError::Kafka)?),
            None => None,
        };

        let (inbox, decoders) = start_decoders(config.decoders, events, || {
            RecordDecoder::new(Arc::clone(&plan), Arc::clone(&routes), dead_letters.is_some())
        })?;
        let (publish, reports) = watch::channel(None);
        let (stop_engine, stopping) = bounded(1);
        let thread = EngineThread {
            engine,
            inbox,
            source,
            dead_letters,
            publish,
            every: config.snapshot_every,
            stopping,
            letters: Default::default(),
            letters_at_once: LETTERS_AT_ONCE,
            memory_limit: config.memory_limit.unwrap_or_else(memory::default_limit),
            memory_full: false,
            checkpoints,
            backfill,
        };
        let engine =
            std::thread::Builder::new().name("engine".to_owned()).spawn(move || thread.run())?;

        let site = Arc::new(Site::new(
            declarations,
            objectives,
            format!("{:016x}", config.fingerprint),
            env!("CARGO_PKG_VERSION"),
            config.instance.as_str(),
        ));
        let (stop_http, stopped) = oneshot::channel::<()>();
        let http = runtime.spawn(export::serve(listener, reports.clone(), site, async {
            // A dropped sender stops the server as well.
            let _ = stopped.await;
        }));
        let deadline = Duration::from_micros(config.shutdown_deadline.micros().unsigned_abs());
        tracing::info!(%address, instance = %config.instance, "serving /metrics, /healthz, /readyz and the status page");
        Ok(Service {
            runtime,
            address,
            reports,
            stop_engine,
            stop_http,
            http,
            engine,
            decoders,
            deadline,
        })
    }

    /// Where it listens: the port is the real one also when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The reports, newest first seen; `None` until the first.
    pub fn reports(&self) -> watch::Receiver<Option<Arc<Report>>> {
        self.reports.clone()
    }

    /// Runs until SIGTERM, Ctrl-C, the end of `limit`, or a fatal error; then
    /// closes in flow order within the configured deadline.
    pub fn wait(self, limit: Option<Duration>) -> Result<(), ServiceError> {
        self.runtime.block_on(async {
            let ended = async {
                while !self.engine.is_finished() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            let limit = async {
                match limit {
                    Some(limit) => tokio::time::sleep(limit).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop_signal() => tracing::info!("stopping"),
                () = limit => tracing::info!("the time is over: stopping"),
                () = ended => {}
            }
        });
        self.stop()
    }

    /// Closes in flow order: source, decoders, engine, dead letters, HTTP.
    pub fn stop(self) -> Result<(), ServiceError> {
        let deadline = Instant::now() + self.deadline;
        // The engine may have ended already, by a fatal error.
        let _ = self.stop_engine.send(deadline);
        let outcome = self.engine.join().map_err(|_| ServiceError::Panicked)?;
        let _ = self.stop_http.send(());
        let grace =
            deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(200));
        let _ = self.runtime.block_on(async { tokio::time::timeout(grace, self.http).await });
        self.runtime.shutdown_timeout(Duration::from_millis(200));
        for decoder in self.decoders {
            if decoder.is_finished() && decoder.join().is_err() {
                return Err(ServiceError::Panicked);
            }
        }
        outcome.map_err(ServiceError::Kafka)
    }
}

/// Begins to fill what is new. Below offsets that nobody has read there is nothing to
/// read again, so that what is new is whole then.
fn backfill(
    settings: SourceSettings,
    horizon: Option<Span>,
    decoder: RecordDecoder,
    engine: &mut Engine,
) -> Option<Backfill> {
    if engine.begun().is_empty() {
        return None;
    }
    engine.begin_filling();
    let mut resume = engine.resume_at();
    resume.retain(|_, at| at.next_offset > 0);
    if resume.is_empty() {
        let nothing = engine.empty_store();
        engine.fill(nothing, None);
        return None;
    }
    Backfill::start(settings, resume, decoder, horizon, engine)
        .inspect_err(|error| {
            tracing::warn!("the new measures of slices are not filled from the topics: {error}");
        })
        .ok()
}

/// Lets a limit on the size of files be an error of the write, as a full disk is: by
/// default the signal that comes with it ends the process without a word.
fn outlive_file_limits() {
    use tokio::signal::unix::{SignalKind, signal};
    /// SIGXFSZ; on Linux on nearly every processor.
    const FILE_SIZE_EXCEEDED: i32 = 25;
    // The handler stays when the stream is gone.
    if let Err(error) = signal(SignalKind::from_raw(FILE_SIZE_EXCEEDED)) {
        tracing::debug!(%error, "a limit on the size of files would end the process");
    }
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        // Without handlers the default action of the signals ends the process.
        Err(_) => std::future::pending().await,
    }
}

pub(super) fn hash_key(config: &Config) -> HashKey {
    match &config.hash_key {
        Some(secret) => HashKey::from_secret(secret.expose().as_bytes()),
        // Equal on all replicas of a group, without asking a broker that may be down.
        None => HashKey::from_secret(config.kafka.group.as_bytes()),
    }
}

/// The declared topics, in their order.
fn patterns(config: &Config) -> Result<Vec<TopicPattern>, ServiceError> {
    let parse = |name: &str| {
        TopicPattern::parse(name)
            .map_err(|error| ServiceError::Kafka(format!("the topic `{name}`: {error}")))
    };
    config.kafka.topics.iter().map(|topic| parse(&topic.name)).collect()
}

fn routes(config: &Config, topics: Vec<TopicPattern>, plan: &Plan) -> Routes {
    let wanted = Wanted::Named(plan.wanted_attributes());
    let vocabulary = &config.declarations.vocabulary;
    let bindings = topics.into_iter().zip(&config.kafka.topics).filter_map(|(pattern, topic)| {
        let spec = config.formats.iter().find(|format| format.name == topic.format)?;
        Some((pattern, Arc::new(Format::compile(spec, vocabulary, &wanted))))
    });
    Routes::new(bindings.collect(), config.limits)
}

/// Far enough back that every window is whole again after a restart.
fn start_at(config: &Config) -> StartAt {
    let windows = config.declarations.slices.iter().flat_map(|slice| &slice.windows);
    let reach = windows.map(|window| window.size() + window.resolution()).max();
    // A level is read at its full age in the shortest of windows.
    let levels =
        config.declarations.measures.iter().filter_map(|measure| match measure.aggregate {
            AggregateSpec::Last { max_age, .. } => Some(max_age + BASE_PANE),
            _ => None,
        });
    let reach = reach.max(levels.max());
    let reach = reach.unwrap_or(Span::ZERO) + config.declarations.future_tolerance;
    StartAt::Back(reach)
}

fn source_settings(config: &Config, topics: Vec<TopicPattern>, start: StartAt) -> SourceSettings {
    let group_id = format!("{}.{}", config.kafka.group, config.instance);
    let mut settings = SourceSettings::new(&config.kafka.brokers, group_id, topics, start);
    settings.properties = config.kafka.properties.clone();
    if let DeadLetterSpec::Topic(topic) = &config.kafka.dead_letters {
        settings.excluded_topics.push(topic.clone());
    }
    settings
}

/// Dead letters that may be with the writer at a time.
const LETTERS_AT_ONCE: usize = 1_000;

fn dead_letter_settings(config: &Config) -> Option<DeadLetterSettings> {
    let DeadLetterSpec::Topic(topic) = &config.kafka.dead_letters else { return None };
    let mut settings = DeadLetterSettings::new(&config.kafka.brokers, topic);
    settings.properties = config.kafka.properties.clone();
    settings.queue = LETTERS_AT_ONCE;
    Some(settings)
}
