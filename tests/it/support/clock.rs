//! A wall clock of a process's own, which a test sets while the process runs.
//!
//! A small library, made by the C compiler that librdkafka needs as well, stands before
//! the system's. It tells the program another time; what measures durations or waits is
//! left alone, since a clock that is set changes nothing of that. (libfaketime leaves the
//! waits of C11 as they are and changes the times that they wait for, so that
//! librdkafka turns in circles.)

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use tidegauge::event::Span;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/clock.c");

/// One for each process; it is right at first.
pub(crate) struct Clock {
    folder: TempDir,
    file: File,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        let folder = TempDir::new().expect("a folder");
        let file = File::create(folder.path().join("clock")).expect("a file");
        let clock = Clock { folder, file };
        clock.set(Span::ZERO);
        clock
    }

    /// From now on it is ahead by so much.
    pub(crate) fn set(&self, ahead: Span) {
        let nanos = ahead.micros() * 1_000;
        self.file.write_all_at(&nanos.to_ne_bytes(), 0).expect("it is set");
    }

    /// The process that is about to be started has this clock.
    pub(crate) fn of(&self, process: &mut Command) {
        process.env("LD_PRELOAD", library()).env("WRONG_CLOCK", self.folder.path().join("clock"));
    }
}

/// Made once.
fn library() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(folder).expect("a folder");
        let made = folder.join("clock.so");
        // Another process may be making it as well.
        let new = folder.join(format!("clock.{}.so", std::process::id()));
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([new.as_path(), Path::new(SOURCE)])
            .arg("-ldl")
            .status()
            .expect("a C compiler (Debian: apt-get install build-essential)");
        assert!(status.success(), "{SOURCE} cannot be compiled");
        fs::rename(&new, &made).expect("it is in its place");
        made
    })
}
