//! One process per directory: a lock that goes with its process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use super::error::OpenError;

/// The file that is locked; it holds the number of the process that locked it last.
const NAME: &str = "lock";

/// Held for as long as this lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Whether somebody holds a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    Process(Option<u32>),
}

impl Lock {
    /// Takes the lock of a directory.
    pub(super) fn take(directory: &Path) -> Result<Lock, OpenError> {
        let path = directory.join(NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(OpenError::io(&path, "opening the lock"))?;
        match lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    directory: directory.to_owned(),
                    pid: written_pid(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(OpenError::Io { path, doing: "locking", source });
            }
        }
        // Only told in a message: a full disk must not keep a process from starting.
        let told = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = told {
            tracing::debug!(%error, "the lock does not say whose it is");
        }
        Ok(Lock { _file: file })
    }

    /// Who holds a directory, without keeping anybody from it.
    pub(super) fn holder(directory: &Path) -> Holder {
        let Ok(mut file) = File::open(directory.join(NAME)) else { return Holder::Nobody };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Holder::Process(written_pid(&mut file)),
            _ => Holder::Nobody,
        }
    }
}

/// Tries for a moment: whoever only looks ([`Lock::holder`]) has it for an instant.
fn lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..5 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            done => return done,
        }
    }
    file.try_lock()
}

fn written_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
