//! Why saved state cannot be used, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::version::{NEWEST, READABLE, WRITABLE};

/// Saved state cannot be opened or read. Nothing of it may be used then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused.
    #[error("{}: {doing} failed; the directory of the saved state has to be one that this user may read and write", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "{} is used by another process{}: stop that one first, or give each instance a [state] directory of its own",
        directory.display(), holder(*pid)
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The process that holds it, if its lock says so.
        pid: Option<u32>,
    },
    /// There is no such directory.
    #[error(
        "{} holds no saved state: there is no directory of that name; look at --directory, or at [state] \
         directory in the configuration",
        directory.display()
    )]
    Missing {
        /// The directory.
        directory: PathBuf,
    },
    /// What was written is not what is there now.
    #[error(
        "{}, byte {byte}: {what}. Nothing of this saved state is used. Restore a copy of the whole \
         directory, or take that of another replica while it is stopped, or run `tidegauge state reset`: \
         the figures then begin anew from what the topics still hold",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where in it, from 0.
        byte: u64,
        /// What is wrong there.
        what: String,
    },
    /// Written by a later program.
    #[error(
        "{} has version {found} of the saved state, and this program reads {}: run the newer program \
         (to go back, let it first write version {NEWEST} for a while: [state] version = {NEWEST}), or run \
         `tidegauge state reset`: the figures then begin anew from what the topics still hold",
        file.display(), versions(READABLE)
    )]
    Version {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u32,
    },
    /// This program does not write the version that was asked for.
    #[error(
        "[state] version = {asked} cannot be written: this program writes {}",
        versions(WRITABLE)
    )]
    NotWritable {
        /// What was asked for.
        asked: u32,
    },
    /// Read without being held, it was changed by the process that holds it.
    #[error("{} changed while it was read: an instance is writing to it; try again", directory.display())]
    Changed {
        /// The directory.
        directory: PathBuf,
    },
    /// Whoever watched the reading said that it is to stop.
    #[error("reading the saved state was stopped")]
    Stopped,
}

impl OpenError {
    pub(super) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> OpenError {
        move |source| OpenError::Io { path: path.to_owned(), doing, source }
    }

    pub(super) fn damaged(file: &Path, byte: u64, what: impl Into<String>) -> OpenError {
        OpenError::Damaged { file: file.to_owned(), byte, what: what.into() }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

fn versions(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    format!("version{} {}", if numbers.len() == 1 { "" } else { "s" }, numbers.join(" and "))
}
