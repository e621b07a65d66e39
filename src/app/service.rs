//! A running instance: everything started, and stopped again in flow order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

use crate::app::beginning::{Beginning, start_at};
use crate::app::saved::SavedStateError;
use crate::app::supervised::{self, Supervised};
use crate::config::{Config, ProblemList};
use crate::export::{self, Hosts, Report, Served, Web};
use crate::kafka::StartAt;

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
    /// What says who may sign in is wrong.
    #[error("{0}")]
    Web(ProblemList),
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
    engine: JoinHandle<Result<(), ServiceError>>,
    /// `None` where nobody supervises it.
    supervised: Option<Supervised>,
    deadline: Duration,
}

impl Service {
    /// Binds the address and serves from then on, while the saved state is loaded and
    /// the brokers are asked; figures follow when the partitions have been found. What
    /// goes wrong after the binding is told by [`Service::wait`].
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
        let web = config.export.web_config.as_deref().map(Web::open).transpose();
        let web = web.map_err(ServiceError::Web)?.map(Arc::new);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("http")
            .enable_all()
            .build()?;
        let address = config.export.listen;
        let listener = runtime.block_on(async {
            outlive_file_limits();
            export::listen(address).map_err(|source| ServiceError::Bind { address, source })
        })?;
        let address = listener.local_addr()?;

        let (publish, reports) = watch::channel(None);
        let (stop_engine, stopping) = bounded(1);
        let beginning = Beginning::new(config, start, new, publish, stopping);
        let (stop_http, stopped) = oneshot::channel::<()>();
        let served = Served {
            site: beginning.site(),
            reports: reports.clone(),
            loading: beginning.loading(),
            hosts: Hosts::new(address.ip(), &config.export.hosts),
            web,
        };
        let http = runtime.spawn(export::serve(listener, served, async {
            // A dropped sender stops the server as well.
            let _ = stopped.await;
        }));
        tracing::info!(%address, instance = %config.instance, "serving /metrics, /healthz, /readyz and the status page");
        let supervised =
            Supervised::start(reports.clone(), beginning.loading(), config.snapshot_every)?;
        let engine =
            std::thread::Builder::new().name("engine".to_owned()).spawn(move || beginning.run())?;
        let deadline = Duration::from_micros(config.shutdown_deadline.micros().unsigned_abs());
        Ok(Service {
            runtime,
            address,
            reports,
            stop_engine,
            stop_http,
            http,
            engine,
            supervised,
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
        if let Some(supervised) = self.supervised {
            supervised.stopping();
        }
        // The engine may have ended already, by a fatal error.
        let _ = self.stop_engine.send(deadline);
        let outcome = self.engine.join().map_err(|_| ServiceError::Panicked).flatten();
        if let Err(error) = &outcome {
            supervised::failed(&error.to_string());
        }
        let _ = self.stop_http.send(());
        let grace =
            deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(200));
        let _ = self.runtime.block_on(async { tokio::time::timeout(grace, self.http).await });
        self.runtime.shutdown_timeout(Duration::from_millis(200));
        outcome
    }
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

/// Ends when SIGTERM or Ctrl-C comes.
pub(super) async fn stop_signal() {
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
