//! What is done between the start of an instance and its first record: the saved state
//! is loaded, the brokers are asked, the threads are started.
//!
//! In: a configuration. Out: the engine's thread at its work, or why not. It is done on
//! that thread, so that pages are answered meanwhile, and ends early if it is to stop.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;
use tokio::sync::watch;

use crate::aggregate::HashKey;
use crate::app::backfill::Backfill;
use crate::app::build::COMMIT;
use crate::app::clock;
use crate::app::decoding::RecordDecoder;
use crate::app::engine::Engine;
use crate::app::loading::Loading;
use crate::app::memory;
use crate::app::pipeline::{EngineThread, start_decoders};
use crate::app::roles::TopicRoles;
use crate::app::routes::Routes;
use crate::app::saved::{self, SavedStateError};
use crate::app::service::{NewMeasures, ServiceError};
use crate::checkpoint::OpenError;
use crate::config::{Config, DeadLetterSpec};
use crate::event::Span;
use crate::export::{self, Report, Site};
use crate::format::{Format, Wanted};
use crate::kafka::{
    self, Access, DeadLetterSettings, DeadLetters, SourceSettings, StartAt, TopicPattern,
};
use crate::kpi::{AggregateSpec, Declarations, Plan};
use crate::objective::ObjectiveSpec;
use crate::window::BASE_PANE;

/// All that the engine's thread begins with.
pub(super) struct Beginning {
    config: Config,
    declarations: Arc<Declarations>,
    objectives: Arc<[ObjectiveSpec]>,
    start: StartAt,
    new: NewMeasures,
    publish: watch::Sender<Option<Arc<Report>>>,
    stopping: Receiver<Instant>,
    loading: Arc<Loading>,
}

impl Beginning {
    /// Nothing is done yet. `publish` takes the reports, `stopping` says by when to stop.
    pub(super) fn new(
        config: &Config,
        start: StartAt,
        new: NewMeasures,
        publish: watch::Sender<Option<Arc<Report>>>,
        stopping: Receiver<Instant>,
    ) -> Beginning {
        let loading = Arc::new(Loading::new(stopping.clone()));
        if config.state.directory.is_some() {
            loading.begin();
        }
        Beginning {
            declarations: Arc::new(config.declarations.clone()),
            objectives: config.objectives.clone().into(),
            config: config.clone(),
            start,
            new,
            publish,
            stopping,
            loading,
        }
    }

    /// The fixed part of the pages.
    pub(super) fn site(&self) -> Arc<Site> {
        let site = Site::new(
            Arc::clone(&self.declarations),
            Arc::clone(&self.objectives),
            format!("{:016x}", self.config.fingerprint),
            env!("CARGO_PKG_VERSION"),
            self.config.instance.as_str(),
        );
        Arc::new(site.built_from(COMMIT.unwrap_or_default()))
    }

    /// How far the saved state is read, for the pages.
    pub(super) fn loading(&self) -> Arc<export::Loading> {
        self.loading.seen()
    }

    /// Begins, and then folds and reports until it is told to stop.
    ///
    /// # Errors
    /// A state that cannot be taken up, what the brokers say that only a person can put
    /// right, and defects.
    pub(super) fn run(self) -> Result<(), ServiceError> {
        let Beginning { config, declarations, objectives, start, new, .. } = self;
        let plan = Plan::new(declarations, hash_key(&config));
        let plan = Arc::new(match config.duplicates {
            Some(_) => plan,
            None => plan.counting_copies(),
        });
        let topics = patterns(&config)?;
        let roles = TopicRoles::of(&config, &topics);
        let mut engine =
            Engine::new(Arc::clone(&plan), objectives, config.duplicates, clock::now())
                .bound(roles);
        let routes = Arc::new(routes(&config, topics.clone(), &plan));
        let access = Access::new(&config.kafka);
        let mut settings = source_settings(&config, access.clone(), topics, start);
        settings.headers_of = routes.reading_headers();
        settings.leave_out_compacted = engine.roles().refuse_compacted();
        let checkpoints = match &config.state.directory {
            Some(path) => {
                let declared = |topic: &str| settings.reads(topic);
                let spec = &config.state;
                match saved::take_up(path, spec, &mut engine, declared, clock::now(), &self.loading)
                {
                    Ok(checkpoints) => Some(checkpoints),
                    Err(SavedStateError::Directory(OpenError::Stopped)) => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            }
            None => None,
        };
        self.loading.end();
        settings.start = engine.start_from().map_or(start, StartAt::Time);
        let backfill = match new {
            NewMeasures::FilledFromTopics => {
                let decoder = RecordDecoder::new(Arc::clone(&plan), Arc::clone(&routes), false);
                backfill(settings.clone(), config.duplicates, decoder, &mut engine)
            }
            NewMeasures::WithoutPast => None,
        };
        settings.resume = engine.resume_at();
        let dead_letters = dead_letter_settings(&config, access);
        if dead_letters.is_some() {
            // Each has the headers of its record, and any record may be refused.
            settings.headers_of = settings.topics.clone();
        }
        let (source, events) = kafka::start(settings, clock::now).map_err(ServiceError::Kafka)?;
        let dead_letters = match dead_letters {
            Some(settings) => Some(DeadLetters::start(settings).map_err(ServiceError::Kafka)?),
            None => None,
        };
        let (inbox, decoders) = start_decoders(config.decoders, events, || {
            RecordDecoder::new(Arc::clone(&plan), Arc::clone(&routes), dead_letters.is_some())
        })?;
        let thread = EngineThread {
            engine,
            inbox,
            source,
            dead_letters,
            publish: self.publish,
            every: config.snapshot_every,
            stopping: self.stopping,
            letters: Default::default(),
            letters_at_once: LETTERS_AT_ONCE,
            memory_limit: config.memory_limit.unwrap_or_else(memory::default_limit),
            memory_full: false,
            checkpoints,
            backfill,
        };
        thread.run().map_err(ServiceError::Kafka)?;
        for decoder in decoders {
            if decoder.is_finished() && decoder.join().is_err() {
                return Err(ServiceError::Panicked);
            }
        }
        Ok(())
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

pub(super) fn hash_key(config: &Config) -> HashKey {
    match &config.hash_key {
        Some(secret) => HashKey::from_secret(secret.expose().as_bytes()),
        // Equal on all replicas of a group, without asking a broker that may be down.
        None => HashKey::from_secret(config.kafka.group.as_bytes()),
    }
}

/// The declared topics, in their order.
pub(super) fn patterns(config: &Config) -> Result<Vec<TopicPattern>, ServiceError> {
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
pub(super) fn start_at(config: &Config) -> StartAt {
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

pub(super) fn source_settings(
    config: &Config,
    access: Access,
    topics: Vec<TopicPattern>,
    start: StartAt,
) -> SourceSettings {
    let group_id = format!("{}.{}", config.kafka.group, config.instance);
    let mut settings = SourceSettings::new(&config.kafka.brokers, group_id, topics, start);
    settings.properties = config.kafka.properties.clone();
    settings.access = access;
    if let DeadLetterSpec::Topic(topic) = &config.kafka.dead_letters {
        settings.excluded_topics.push(topic.clone());
    }
    settings
}

/// Dead letters that may be with the writer at a time.
const LETTERS_AT_ONCE: usize = 1_000;

fn dead_letter_settings(config: &Config, access: Access) -> Option<DeadLetterSettings> {
    let DeadLetterSpec::Topic(topic) = &config.kafka.dead_letters else { return None };
    let mut settings = DeadLetterSettings::new(&config.kafka.brokers, topic);
    settings.properties = config.kafka.properties.clone();
    settings.access = access;
    settings.queue = LETTERS_AT_ONCE;
    Some(settings)
}
