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

/// How much of what is saved is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything but the ids: of them only how many there are.
    WithoutIds,
    /// Everything that a start reads.
    Everything,
}

/// What is saved in a directory. Cost: everything of the extent is read once, so that
/// damage is found.
///
/// # Errors
/// No such directory, damage, or a version that this program does not read.
pub fn look(path: &Path, extent: Extent, now: EventTime) -> Result<StateView, SavedStateError> {
    let mut tries = 0;
    loop {
        let (directory, found) = open(path)?;
        let Some(mut found) = found else { return Ok(view(&directory, None)) };
        let head = head(path, &found)?;
        let mut checkpoint = read(path, &mut found, &head, now, |_| Ok(()))?;
        if extent == Extent::Everything {
            match read_ids(&mut found.lists) {
                Ok(()) => checkpoint.ids.iter_mut().for_each(|ids| ids.looked_at = true),
                // An instance drops lists while they are looked at.
                Err(_) if tries < TRIES && goes_on(path, found.sequence) => {
                    tries += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
        }
        return Ok(view(&directory, Some(checkpoint)));
    }
}

/// Reads all ids, to see whether they are what was saved.
fn read_ids(lists: &mut [ListReader]) -> Result<(), OpenError> {
    for list in lists {
        while list.next_items()?.is_some() {}
    }
    Ok(())
}

/// Whether an instance has saved something since a checkpoint.
fn goes_on(path: &Path, sequence: u64) -> bool {
    open(path).is_ok_and(|(_, found)| found.is_some_and(|found| found.sequence > sequence))
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
