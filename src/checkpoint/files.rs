//! The few things that are asked of a file system, so that the tests can put one
//! beneath that tears, reorders, forgets and runs full.
//!
//! Nothing is durable until it is synced: contents by [`OpenFile::sync`], names by
//! [`Files::sync_names`]. Writing is at a place, never "at the end", so that a second
//! attempt at the same step writes the same bytes to the same place.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// One folder of files.
pub(super) trait Files: Send + Sync {
    /// Where it is, for messages.
    fn path(&self) -> &Path;
    /// Names and lengths of all files.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    /// An empty file; what had the name is gone.
    fn create(&self, name: &str) -> io::Result<Box<dyn OpenFile>>;
    /// A file that is there, for reading and writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn OpenFile>>;
    /// A file that is there, for reading.
    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn OpenFile>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creating, renaming and removing durable.
    fn sync_names(&self) -> io::Result<()>;
}

/// One open file.
pub(super) trait OpenFile: Send {
    fn len(&self) -> io::Result<u64>;
    /// Fills the buffer or fails with [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Makes contents and length durable.
    fn sync(&self) -> io::Result<()>;
}

/// The file system of the machine.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
}

impl Disk {
    pub(super) fn new(path: &Path) -> Disk {
        Disk { path: path.to_owned() }
    }

    fn open_with(&self, options: &OpenOptions, name: &str) -> io::Result<Box<dyn OpenFile>> {
        Ok(Box::new(options.open(self.path.join(name))?))
    }
}

impl Files for Disk {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // A name that is not UTF-8 was not given by this program; a file may go
            // between being listed and being asked for its length.
            let Ok(name) = entry.file_name().into_string() else { continue };
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => files.push((name, metadata.len())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        self.open_with(
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600),
            name,
        )
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        self.open_with(OpenOptions::new().read(true).write(true), name)
    }

    fn open_to_read(&self, name: &str) -> io::Result<Box<dyn OpenFile>> {
        self.open_with(OpenOptions::new().read(true), name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl OpenFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
