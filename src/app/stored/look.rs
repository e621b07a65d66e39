//! Looking into a directory, also while an instance writes to it.

use std::path::Path;
use std::time::Duration;

use super::view::{Beside, CheckpointView, StateView, UsedBy};
use crate::app::engine::Head;
use crate::app::saved::SavedStateError;
use crate::checkpoint::{Directory, Home, ListReader, OpenError, Recovered, SavedStep};
use crate::event::EventTime;
use crate::kpi::names_of_schema;

/// How often to look again when an instance has written meanwhile.
const TRIES: usize = 20;

/// What is saved in a directory. Cost: everything saved but the ids is read once, so
/// that damage is found.
///
/// # Errors
/// No such directory, damage, or a version that this program does not read.
pub fn look(path: &Path, now: EventTime) -> Result<StateView, SavedStateError> {
    let (directory, found) = open(path)?;
    let checkpoint = match found {
        Some(mut found) => {
            let head = head(path, &found)?;
            Some(read(path, &mut found, &head, now, |_| Ok(()))?)
        }
        None => None,
    };
    Ok(view(&directory, checkpoint))
}

/// Opens a directory only to look at it, and finds the newest checkpoint.
pub(super) fn open(path: &Path) -> Result<(Directory, Option<Recovered>), OpenError> {
    let mut tries = 0;
    loop {
        let mut directory = Directory::open_read_only(path)?;
        match directory.recover() {
            Ok(found) => return Ok((directory, found)),
            Err(OpenError::Changed { .. }) if tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a directory says, with what its newest checkpoint does.
pub(super) fn view(directory: &Directory, checkpoint: Option<CheckpointView>) -> StateView {
    StateView {
        directory: directory.path().display().to_string(),
        used_by: directory.in_use().map(|pid| UsedBy { pid }),
        disk_bytes: directory.disk_bytes(),
        checkpoint,
    }
}

/// The head of a checkpoint.
pub(super) fn head(path: &Path, found: &Recovered) -> Result<Head, SavedStateError> {
    Head::decode(&found.head).map_err(|what| SavedStateError::damaged(path, &what))
}

/// Reads all steps of a checkpoint, gives each away, and says what they hold together.
pub(super) fn read(
    path: &Path,
    found: &mut Recovered,
    head: &Head,
    now: EventTime,
    mut each: impl FnMut(&SavedStep<'_>) -> Result<(), String>,
) -> Result<CheckpointView, SavedStateError> {
    let damaged = |what: String| SavedStateError::damaged(path, &what);
    let mut schema = Vec::new();
    while let Some(step) = found.steps.next_step()? {
        if step.schema != schema {
            schema = step.schema.to_vec();
        }
        each(&step).map_err(|what| damaged(format!("checkpoint {}: {what}", step.sequence)))?;
    }
    let beside = Beside {
        version: found.version,
        sequence: found.sequence,
        saved_at: found.saved_at,
        ids: found.lists.iter().map(ListReader::len).sum(),
        held: names_of_schema(&schema).map_err(|error| damaged(error.to_string()))?,
    };
    CheckpointView::new(head, beside, now).map_err(damaged)
}
