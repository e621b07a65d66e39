//! Beginning anew: what is saved goes, also what is damaged or of a newer version.
//!
//! The directory is held from before anybody is asked until it is done, so that what
//! was shown is what goes. Only files of the saved state are removed.

use std::path::Path;
use std::sync::Arc;

use super::view::StateView;
use super::{Extent, empty_engine, look};
use crate::app::saved::SavedStateError;
use crate::checkpoint::{Directory, Home, OpenError, Step};
use crate::config::Config;
use crate::event::EventTime;

/// What goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Lost {
    /// Nothing is saved.
    Nothing,
    /// This.
    State(Box<StateView>),
    /// Nobody knows what: it cannot be read, for this reason.
    Unreadable(String),
}

/// A directory that is held to be emptied.
pub struct Reset {
    directory: Directory,
    lost: Lost,
}

impl Reset {
    /// Takes hold of a directory, and looks what is in it; one that is not there is
    /// made. A first checkpoint will be written in `version`, or in the newest.
    ///
    /// # Errors
    /// An instance uses it, or the system refuses.
    pub fn prepare(
        path: &Path,
        version: Option<u32>,
        now: EventTime,
    ) -> Result<Reset, SavedStateError> {
        let directory = Directory::open(path, version)?;
        let lost = match look(path, Extent::WithoutIds, now) {
            Ok(view) if view.checkpoint.is_none() => Lost::Nothing,
            Ok(view) => Lost::State(Box::new(view)),
            Err(SavedStateError::Directory(error @ OpenError::Io { .. })) => {
                return Err(error.into());
            }
            Err(error) => Lost::Unreadable(error.to_string()),
        };
        Ok(Reset { directory, lost })
    }

    /// What goes.
    pub fn lost(&self) -> &Lost {
        &self.lost
    }

    /// Removes everything that is saved. An error leaves a state that no instance
    /// takes up; doing it again goes on where it stopped.
    ///
    /// # Errors
    /// The system refuses.
    pub fn erase(&mut self) -> Result<(), SavedStateError> {
        let erased = self.directory.erase();
        erased.map_err(|source| self.failed("removing what is saved", source))
    }

    /// Saves a first checkpoint, in which nothing is counted: the next start begins
    /// to read at `from`. After [`Reset::erase`].
    ///
    /// # Errors
    /// The system refuses.
    pub fn begin(
        &mut self,
        config: &Config,
        from: EventTime,
        now: EventTime,
    ) -> Result<(), SavedStateError> {
        self.directory.recover()?;
        let begun = self.directory.append(&first_step(config, from, now));
        begun.map(|_| ()).map_err(|source| self.failed("saving where to begin", source))
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> SavedStateError {
        OpenError::Io { path: self.directory.path().to_owned(), doing, source }.into()
    }
}

/// Everything is declared and nothing is counted: what is declared has the same past
/// as the topics, and nothing of it is filled from before.
fn first_step(config: &Config, from: EventTime, now: EventTime) -> Step {
    let mut engine = empty_engine(config, config.duplicates, now);
    engine.begin_at(from);
    engine.keep_journal();
    engine.save_everything();
    let cut = engine.cut();
    Step {
        sequence: 1,
        made_at: now,
        schema: Arc::from(engine.schema()),
        head: cut.head,
        changes: cut.changes,
        additions: Vec::new(),
        dropped: Vec::new(),
        begins_cycle: true,
    }
}
