//! Files that the web configuration names, and whether anything in them has changed.

use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::yaml::{Value, shown};
use crate::config::{Disk, Files as _, Problems};
use crate::event::EventTime;

/// Equal for readings that found the same contents in the same files.
pub(super) type Seen = [u8; 32];

/// What one reading has at hand.
pub(super) struct Around<'r> {
    /// The folder of the file, where relative paths begin.
    folder: PathBuf,
    seen: RefCell<Sha256>,
    pub(super) problems: &'r Problems,
    /// What passes, or comes, with time: problems for `check`, warnings for a start.
    pub(super) dated: &'r Problems,
    pub(super) now: EventTime,
}

impl<'r> Around<'r> {
    pub(super) fn new(
        file: &Path,
        problems: &'r Problems,
        dated: &'r Problems,
        now: EventTime,
    ) -> Around<'r> {
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        Around { folder, seen: RefCell::default(), problems, dated, now }
    }

    /// The text of a file, or why it cannot be read.
    pub(super) fn read(&self, path: &Path) -> Result<String, String> {
        let text = Disk.read(&path.to_string_lossy());
        let (kind, content) = match &text {
            Ok(text) => (b'+', text),
            Err(why) => (b'-', why),
        };
        let mut seen = self.seen.borrow_mut();
        seen.update([kind]);
        seen.update((content.len() as u64).to_be_bytes());
        seen.update(content);
        drop(seen);
        text
    }

    /// The text of the file that `value` names; a problem where it cannot be read.
    pub(super) fn named(&self, value: &Value<'_>) -> Option<Named> {
        let name = value.text()?;
        let path = self.folder.join(name);
        match self.read(&path) {
            Ok(text) => Some(Named { path, text }),
            Err(why) => {
                value.problem(
                    format!("cannot read `{}`: {why}", shown(name)),
                    "name a file that this user may read; relative paths begin at this file's folder",
                );
                None
            }
        }
    }

    /// What was read so far.
    pub(super) fn seen(&self) -> Seen {
        self.seen.borrow().clone().finalize().into()
    }
}

/// A file that was read; its text may be a secret.
pub(super) struct Named {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Named {
    /// Warns where it is a secret that other users of the machine can read.
    pub(super) fn warn_if_open(&self, value: &Value<'_>) {
        const OTHERS_READ: u32 = 0o004;
        let mode = std::fs::metadata(&self.path).map_or(0, |meta| meta.permissions().mode());
        if mode & OTHERS_READ != 0 {
            value.warn(
                format!("every user of this machine can read `{}`", self.path.display()),
                "take that right away: `chmod o-rwx`, or `defaultMode: 0440` of a mounted secret",
            );
        }
    }
}
