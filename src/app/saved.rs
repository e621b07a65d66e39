//! The saved state on its way into an engine, at a start.
//!
//! Cells and ids are read side by side, each in its order. What the checkpoint has and
//! the configuration has not is dropped with a message; what is new starts empty.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::admit::SeenIds;
use crate::app::checkpoints::Checkpoints;
use crate::app::engine::{Engine, Head};
use crate::app::loading::Loading;
use crate::checkpoint::{
    Directory, ListName, ListReader, OpenError, Recovered, StepReader, Writer,
};
use crate::config::StateSpec;
use crate::event::{EventTime, Span};
use crate::kpi::Store;

/// Why the saved state cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum SavedStateError {
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// What is saved there cannot be used.
    #[error("the state in {directory}: {what}")]
    Unusable {
        /// Where it is.
        directory: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The system refused a thread.
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
}

impl SavedStateError {
    pub(super) fn damaged(path: &Path, what: &str) -> SavedStateError {
        let what = format!(
            "{what}; take a copy of the directory, another replica's, or begin anew with `tidegauge state reset`"
        );
        SavedStateError::Unusable { directory: path.display().to_string(), what }
    }

    pub(super) fn other_key(path: &Path) -> SavedStateError {
        let directory = path.display().to_string();
        SavedStateError::Unusable { directory, what: OTHER_KEY.to_owned() }
    }
}

/// Takes up the state of a directory, or begins one, and starts to keep it; tells
/// `loading` how far it is.
///
/// # Errors
/// A directory that cannot be used, a state that is damaged, newer, or of another hash
/// key, and a loading that is to stop: nothing of it is taken then.
pub(crate) fn take_up(
    path: &Path,
    spec: &StateSpec,
    engine: &mut Engine,
    declared: impl Fn(&str) -> bool,
    now: EventTime,
    loading: &Arc<Loading>,
) -> Result<Checkpoints, SavedStateError> {
    let began = Instant::now();
    let mut directory = Directory::open(path, spec.version)?;
    engine.keep_ids_journal();
    let Some(mut recovered) = directory.recover()? else {
        tracing::info!(directory = %path.display(), "no state is saved yet: beginning with the topics");
        engine.keep_journal();
        let writer = Writer::start(Box::new(directory))?;
        let schema = engine.schema();
        return Ok(Checkpoints::new(writer, spec.every, spec.events, 0, schema, true));
    };
    let (last, saved_at) = (recovered.sequence, recovered.saved_at);
    loading.expect(recovered.total_bytes());
    let told = Arc::clone(loading);
    recovered.watch(Arc::new(move |bytes| told.read(bytes)));
    let loaded = load(path, recovered, engine, declared, now)?;
    engine.keep_journal();
    let changed = loaded == Loaded::OtherDeclarations;
    if changed {
        engine.save_everything();
    }
    let writer = Writer::start(Box::new(directory))?;
    let mut checkpoints =
        Checkpoints::new(writer, spec.every, spec.events, last, engine.schema(), changed);
    checkpoints.loaded(saved_at, engine);
    tracing::info!(
        directory = %path.display(), checkpoint = last, %saved_at,
        took_ms = began.elapsed().as_millis(), "the saved state is loaded"
    );
    Ok(checkpoints)
}

/// Under which declarations a state was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// Those of the engine.
    SameDeclarations,
    /// Others: what is still declared was kept.
    OtherDeclarations,
}

/// Loads everything into a new engine, cells and ids side by side; only topics that
/// are `declared` go on.
///
/// # Errors
/// A state that is damaged, or of another hash key: the engine is of no use then.
pub fn load(
    path: &Path,
    recovered: Recovered,
    engine: &mut Engine,
    declared: impl Fn(&str) -> bool,
    now: EventTime,
) -> Result<Loaded, SavedStateError> {
    let damaged = |what: String| SavedStateError::damaged(path, &what);
    let Recovered { head, steps, lists, saved_at, .. } = recovered;
    let head = Head::decode(&head).map_err(damaged)?;
    if head.key_check != engine.key_check() {
        return Err(SavedStateError::other_key(path));
    }
    let schema = engine.schema();
    let (store, mut ids) = engine.store_and_ids();
    if let (Some(ids), Some(present)) = (&mut ids, head.ids_present) {
        ids.go_on_from(EventTime::from_micros(present));
    }
    let loaded = std::thread::scope(|scope| {
        let reading = scope.spawn(move || load_ids(ids, lists));
        let loaded = load_cells(store, steps, &schema).map_err(|error| match error {
            CellsError::Directory(error) => SavedStateError::Directory(error),
            CellsError::Damaged(what) => damaged(what),
        })?;
        let ids = reading.join().map_err(|_| damaged("the ids cannot be read".to_owned()))?;
        ids.map(|superfluous| (loaded, superfluous)).map_err(SavedStateError::Directory)
    });
    let (loaded, superfluous) = loaded?;
    if !superfluous.is_empty() {
        tracing::warn!(
            "copies are no longer looked for: all ids that were remembered are forgotten for good"
        );
    }
    engine.drop_lists(superfluous);
    engine
        .restored(&head, begin_of_new(&head, saved_at, engine, now))
        .map_err(|error| damaged(error.to_string()))?;
    for topic in engine.resume(&head, declared, now).map_err(damaged)? {
        tracing::warn!(%topic, "a topic is no longer declared: its offsets and ledgers are dropped, its events stay counted");
    }
    Ok(loaded)
}

/// From when on what is newly declared misses nothing: some partition may be read far
/// beyond `as_of`, and an event may lie ahead of its record.
fn begin_of_new(head: &Head, saved_at: EventTime, engine: &Engine, now: EventTime) -> EventTime {
    let nothing_read = head.topics.iter().all(|topic| topic.partitions.is_empty());
    if head.as_of.is_none()
        && nothing_read
        && let Some(from) = head.start_from
    {
        // Nothing was read yet.
        return EventTime::from_micros(from);
    }
    let partitions = head.topics.iter().flat_map(|topic| &topic.partitions);
    let reached = partitions.filter_map(|of| of.frontier.max(of.highest_record)).max();
    let reached = reached.max(head.as_of).map_or(now, EventTime::from_micros);
    reached.max(saved_at) + engine.future_tolerance()
}

const OTHER_KEY: &str = "it was saved under another hash key, so that nobody in it would be known again: set \
    `run.hash_key` (or the group, from which it is derived by default) as it was, or begin anew with \
    `tidegauge state reset`";

enum CellsError {
    Directory(OpenError),
    Damaged(String),
}

fn load_cells(
    store: &mut Store,
    mut steps: StepReader,
    schema: &[u8],
) -> Result<Loaded, CellsError> {
    let mut loaded = Loaded::SameDeclarations;
    while let Some(step) = steps.next_step().map_err(CellsError::Directory)? {
        if step.schema != schema {
            loaded = Loaded::OtherDeclarations;
        }
        store.restore(step.schema, step.changes).map_err(|error| {
            CellsError::Damaged(format!("checkpoint {}: {error}", step.sequence))
        })?;
    }
    Ok(loaded)
}

/// Gives the lists that nobody needs, because copies are no longer looked for.
fn load_ids(ids: Option<&mut SeenIds>, lists: Vec<ListReader>) -> Result<Vec<ListName>, OpenError> {
    let Some(ids) = ids else { return Ok(lists.iter().map(ListReader::name).collect()) };
    for mut list in lists {
        let ListName { family, number } = list.name();
        while let Some(items) = list.next_items()? {
            ids.restore(Span::from_micros(family), number, items);
        }
    }
    ids.restored();
    Ok(Vec::new())
}
