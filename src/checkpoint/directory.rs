//! Saved state in a directory of its own: the embedded home.
//!
//! A step goes there in this order: its items to the lists' files, synced; its frame
//! to the segment, synced; only then is anything removed. A frame counts every list,
//! so that frame and lists are one atomic step. A cycle begins a segment, which gets
//! its name when its first frame is durable; the segments before the last whole cycle
//! then go. After an error a step may be appended again: everything is written at the
//! place where it belongs, and what lies beyond is cut off first.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::OpenError;
use super::files::{Disk, Files};
use super::frame::{self, CountedList, Table};
use super::home::{Home, Written};
use super::list;
use super::lock::{Holder, Lock};
use super::recover::{self, Access, Kept, KeptList, KeptSegment, Recovered};
use super::segment;
use super::step::{ListName, Step};
use super::version::{FileKind, Format};

/// A directory of saved state.
pub struct Directory {
    files: Arc<dyn Files>,
    hold: Hold,
    format: Format,
    /// `None` until recovered.
    kept: Option<Kept>,
    /// That of the newest frame of the last segment, if this process wrote it.
    schema: Option<Arc<[u8]>>,
    /// Files that nothing rests on, but which could not be removed so far.
    leftovers: Vec<String>,
    frame: Vec<u8>,
}

enum Hold {
    /// For writing; the lock goes when this goes.
    Own { _lock: Option<Lock> },
    /// For reading only, beside whoever holds it.
    Look(Holder),
}

/// Bytes of the buffer for frames that are kept from step to step.
const KEPT_BUFFER: usize = 4 << 20;

impl Directory {
    /// Opens a directory to read and write it; makes it, with rights for its owner only,
    /// if it is not there. Steps are written in `version`, or in the newest.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if another process has it, [`OpenError::NotWritable`] for a
    /// version that this program does not write.
    pub fn open(path: &Path, version: Option<u32>) -> Result<Directory, OpenError> {
        let format = Format::to_write(version)?;
        make(path).map_err(OpenError::io(path, "making the directory"))?;
        let lock = Lock::take(path)?;
        Ok(Directory::over(Arc::new(Disk::new(path)), Hold::Own { _lock: Some(lock) }, format))
    }

    /// Opens a directory to look at it, also while an instance writes to it; nothing in
    /// it is changed, and nobody is kept from it.
    ///
    /// # Errors
    /// [`OpenError::Missing`] if there is no such directory.
    pub fn open_read_only(path: &Path) -> Result<Directory, OpenError> {
        if !path.is_dir() {
            return Err(OpenError::Missing { directory: path.to_owned() });
        }
        let holder = Lock::holder(path);
        Ok(Directory::over(Arc::new(Disk::new(path)), Hold::Look(holder), Format::to_write(None)?))
    }

    #[cfg(test)]
    pub(super) fn on(files: Arc<dyn Files>) -> Directory {
        Directory::over(files, Hold::Own { _lock: None }, Format::V1)
    }

    fn over(files: Arc<dyn Files>, hold: Hold, format: Format) -> Directory {
        Directory {
            files,
            hold,
            format,
            kept: None,
            schema: None,
            leftovers: Vec::new(),
            frame: Vec::new(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.files.path()
    }

    /// Whether another process held it when it was opened for reading only, and which,
    /// if that is known.
    pub fn in_use(&self) -> Option<Option<u32>> {
        match self.hold {
            Hold::Look(Holder::Process(pid)) => Some(pid),
            Hold::Look(Holder::Nobody) | Hold::Own { .. } => None,
        }
    }

    /// Finds the newest durable step; `None` in a new directory. Must come before the
    /// first step is appended. Its cost is a read of each frame's header.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] and [`OpenError::Version`]: nothing may be used then.
    /// [`OpenError::Changed`] if it was opened for reading only, and an instance wrote to
    /// it meanwhile.
    pub fn recover(&mut self) -> Result<Option<Recovered>, OpenError> {
        self.kept = None;
        let access = match self.hold {
            Hold::Own { .. } => Access::Write,
            Hold::Look(_) => Access::Read,
        };
        let before = self.listing()?;
        let (recovered, kept) = match recover::recover(&self.files, access) {
            Ok(found) => found,
            Err(_) if access == Access::Read && self.listing()? != before => {
                return Err(OpenError::Changed { directory: self.path().to_owned() });
            }
            Err(error) => return Err(error),
        };
        self.kept = Some(kept);
        self.schema = None;
        Ok(recovered)
    }

    /// Removes all saved state; the directory stays, and stays held.
    ///
    /// # Errors
    /// When a file cannot be removed, or the directory is only looked at. Erasing again
    /// goes on where it stopped.
    pub fn erase(&mut self) -> io::Result<()> {
        self.check_own()?;
        self.kept = None;
        self.leftovers.clear();
        let mut names: Vec<String> = self
            .files
            .list()?
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| {
                segment::first_of(name).is_some()
                    || list::created_by(name).is_some()
                    || name == segment::UNFINISHED
            })
            .collect();
        // Lists go before segments, and of these the newest first: what is left after a
        // crash is refused, not taken for an earlier state.
        names.sort_unstable();
        let (lists, segments): (Vec<_>, Vec<_>) =
            names.iter().partition(|name| list::created_by(name).is_some());
        for name in lists.into_iter().chain(segments.into_iter().rev()) {
            self.files.remove(name).map_err(|error| at(&self.files.path().join(name), error))?;
        }
        self.files.sync_names()
    }

    fn listing(&self) -> Result<Vec<(String, u64)>, OpenError> {
        let mut files = self.files.list().map_err(OpenError::io(self.path(), "listing"))?;
        files.sort_unstable();
        Ok(files)
    }

    fn check_own(&self) -> io::Result<()> {
        match self.hold {
            Hold::Own { .. } => Ok(()),
            Hold::Look(_) => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the saved state was opened for reading only",
            )),
        }
    }

    /// Appends items to lists and makes them durable; returns the bytes written.
    fn append_lists(
        &self,
        step: &Step,
        lists: &mut BTreeMap<ListName, KeptList>,
    ) -> io::Result<u64> {
        let mut written = 0;
        let mut is_name_new = false;
        let mut bytes = Vec::new();
        for addition in step.additions.iter().filter(|addition| !addition.items.is_empty()) {
            bytes.clear();
            let mut is_new = false;
            let kept = lists.entry(addition.list).or_insert_with(|| {
                is_new = true;
                new_list(addition.list, step.sequence, self.format)
            });
            let name = list::file_name(addition.list, kept.counted.created);
            let path = self.files.path().join(&name);
            let start = if is_new {
                bytes.extend_from_slice(&FileKind::List.header(kept.format));
                0
            } else {
                list::file_len(kept.counted.items)
            };
            let header = bytes.len();
            list::encode(&addition.items, &mut bytes);
            let write = || {
                let file =
                    if is_new { self.files.create(&name)? } else { self.files.open(&name)? };
                write_at_end(file.as_ref(), start, &bytes)
            };
            write().map_err(|error| at(&path, error))?;
            let mut crc = crc32fast::Hasher::new_with_initial(kept.counted.crc);
            crc.update(&bytes[header..]);
            kept.counted.crc = crc.finalize();
            kept.counted.items += addition.items.len() as u64;
            written += bytes.len() as u64;
            is_name_new |= is_new;
        }
        if is_name_new {
            self.files.sync_names().map_err(|error| at(self.files.path(), error))?;
        }
        Ok(written)
    }

    /// Writes a step's frame and makes it durable: to the last segment, or to a new one.
    fn append_frame(&mut self, target: Target, step: &Step, table: &Table) -> io::Result<u64> {
        // One step of everything must not keep its size for ever.
        if self.frame.capacity() > KEPT_BUFFER {
            self.frame = Vec::new();
        }
        self.frame.clear();
        let (name, start) = match target {
            Target::Last(last) => (segment::file_name(last.first), last.bytes),
            Target::New => {
                self.frame.extend_from_slice(&FileKind::Segment.header(self.format));
                (segment::UNFINISHED.to_owned(), 0)
            }
        };
        frame::encode(step, table, &mut self.frame);
        let path = self.files.path().join(&name);
        let write = || match target {
            Target::Last(_) => write_at_end(self.files.open(&name)?.as_ref(), start, &self.frame),
            Target::New => {
                write_at_end(self.files.create(&name)?.as_ref(), start, &self.frame)?;
                self.files.rename(&name, &segment::file_name(step.sequence))?;
                self.files.sync_names()
            }
        };
        write().map_err(|error| at(&path, error))?;
        Ok(self.frame.len() as u64)
    }

    /// Says at the end of a segment which one follows, so that a lost one is missed.
    /// Nothing rests on these bytes while the next segment is there.
    fn close_segment(&self, closed: &mut KeptSegment, next: u64) {
        let closing = frame::closing(next);
        let name = segment::file_name(closed.first);
        let write = || write_at_end(self.files.open(&name)?.as_ref(), closed.bytes, &closing);
        match write() {
            Ok(()) => closed.bytes += closing.len() as u64,
            Err(error) => tracing::debug!(%error, segment = name, "the segment is not closed"),
        }
    }

    fn remove_leftovers(&mut self) {
        let files = &self.files;
        self.leftovers.retain(|name| match files.remove(name) {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                tracing::debug!(%error, file = name, "not removed; tried again with the next step");
                true
            }
        });
    }
}

/// Where a frame goes.
#[derive(Debug, Clone, Copy)]
enum Target {
    Last(KeptSegment),
    New,
}

impl Home for Directory {
    fn append(&mut self, step: &Step) -> io::Result<Written> {
        self.check_own()?;
        let kept = self.kept.as_ref().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "nothing may be saved before recovery")
        })?;
        if step.sequence != kept.sequence + 1 {
            let what = format!("step {} cannot follow step {}", step.sequence, kept.sequence);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let target = match kept.segments.back() {
            Some(last) if !step.begins_cycle && last.format == self.format => Target::Last(*last),
            _ => Target::New,
        };
        let base = match (kept.segments.is_empty(), step.begins_cycle, kept.cycle) {
            (true, ..) => step.sequence,
            (false, true, Some(whole)) => whole,
            (false, ..) => kept.base,
        };
        let mut lists = kept.lists.clone();
        let mut leftovers: Vec<String> = step
            .dropped
            .iter()
            .filter_map(|name| lists.remove(name))
            .map(|list| list::file_name(list.counted.name(), list.counted.created))
            .collect();

        let mut bytes = self.append_lists(step, &mut lists)?;
        let repeats_schema =
            matches!(target, Target::Last(_)) && self.schema.as_ref() == Some(&step.schema);
        let table = Table {
            made_at: step.made_at.micros(),
            base,
            begins_cycle: step.begins_cycle,
            schema_len: (!repeats_schema).then_some(step.schema.len() as u64),
            head_len: step.head.len() as u64,
            lists: lists.values().map(|list| list.counted).collect(),
        };
        let frame_bytes = self.append_frame(target, step, &table)?;
        bytes += frame_bytes;

        // The step is durable: nothing from here on may fail it.
        let mut kept = self.kept.take().unwrap_or_default();
        kept.sequence = step.sequence;
        kept.base = base;
        kept.lists = lists;
        match target {
            Target::Last(_) => {
                if let Some(last) = kept.segments.back_mut() {
                    last.bytes += frame_bytes;
                }
            }
            Target::New => {
                if let Some(last) = kept.segments.back_mut() {
                    self.close_segment(last, step.sequence);
                }
                kept.segments.push_back(KeptSegment {
                    first: step.sequence,
                    bytes: frame_bytes,
                    format: self.format,
                });
            }
        }
        while let Some(first) = kept.segments.front().map(|segment| segment.first)
            && first < base
        {
            leftovers.push(segment::file_name(first));
            kept.segments.pop_front();
        }
        if step.begins_cycle {
            kept.cycle = Some(step.sequence);
        }
        self.schema = Some(Arc::clone(&step.schema));
        self.kept = Some(kept);
        self.leftovers.append(&mut leftovers);
        self.remove_leftovers();
        Ok(Written { bytes })
    }

    fn disk_bytes(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| {
            let segments: u64 = kept.segments.iter().map(|segment| segment.bytes).sum();
            let lists = kept.lists.values().map(|list| list::file_len(list.counted.items));
            segments + lists.sum::<u64>()
        })
    }
}

/// Makes a directory, with rights for its owner only, and those above it; their names
/// are durable then.
fn make(path: &Path) -> io::Result<()> {
    let new: Vec<&Path> = path.ancestors().take_while(|above| !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for above in new.into_iter().filter_map(Path::parent) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        File::open(above)?.sync_all()?;
    }
    Ok(())
}

fn new_list(name: ListName, created: u64, format: Format) -> KeptList {
    let ListName { family, number } = name;
    KeptList { counted: CountedList { family, number, created, items: 0, crc: 0 }, format }
}

/// Writes bytes behind the first `start`, and makes them durable; what an attempt
/// before has left there is cut off.
fn write_at_end(file: &dyn super::files::OpenFile, start: u64, bytes: &[u8]) -> io::Result<()> {
    let len = file.len()?;
    if len < start {
        let what = format!("the file was cut to {len} bytes by somebody, {start} were saved");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    if len > start {
        file.truncate(start)?;
    }
    file.write_at(start, bytes)?;
    file.sync()
}

fn at(path: &Path, error: io::Error) -> io::Error {
    let path: PathBuf = path.to_owned();
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
