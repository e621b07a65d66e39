//! Append-only lists of numbers, each in a file of its own: a header, then the items
//! as little-endian 64-bit numbers. How many of them count, and their checksum, stands
//! in the frames; what lies beyond belongs to a step that never became durable.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::OpenError;
use super::files::{Files, OpenFile};
use super::frame::CountedList;
use super::recover::{Watch, tell};
use super::step::ListName;
use super::version::{FILE_HEADER, FileKind, Format};

const ITEM: u64 = 8;
/// Items read at once.
const CHUNK: u64 = 8_192;

/// The name of a list's file.
pub(super) fn file_name(name: ListName, created: u64) -> String {
    format!("list.{}.{}.{created}", name.family, name.number)
}

/// The inverse of [`file_name`]: the step that began the list, if this is a list.
pub(super) fn created_by(file_name: &str) -> Option<u64> {
    let mut parts = file_name.strip_prefix("list.")?.split('.');
    let _family: i64 = parts.next()?.parse().ok()?;
    let _number: i64 = parts.next()?.parse().ok()?;
    let created = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(created)
}

/// Bytes of a file with so many items.
pub(super) fn file_len(items: u64) -> u64 {
    FILE_HEADER.saturating_add(items.saturating_mul(ITEM))
}

/// Items as bytes.
pub(super) fn encode(items: &[u64], to: &mut Vec<u8>) {
    to.reserve(items.len() * ITEM as usize);
    for item in items {
        to.extend_from_slice(&item.to_le_bytes());
    }
}

/// Reads one saved list, as far as it counts, in bounded memory. Its file is open only
/// between the first items and the last: there may be more lists than a process may
/// have open files. So a list of a directory that is only looked at may be gone before
/// it is read; how long it is stays known.
pub struct ListReader {
    counted: CountedList,
    files: Arc<dyn Files>,
    file: Option<Box<dyn OpenFile>>,
    read: u64,
    crc: crc32fast::Hasher,
    bytes: Vec<u8>,
    items: Vec<u64>,
    watch: Option<Watch>,
}

impl ListReader {
    /// For a list that a frame counts: it is there, and at least as long as counted.
    pub(super) fn new(
        files: &Arc<dyn Files>,
        counted: CountedList,
    ) -> Result<(ListReader, Format), OpenError> {
        let reader = ListReader {
            counted,
            files: Arc::clone(files),
            file: None,
            read: 0,
            crc: crc32fast::Hasher::new(),
            bytes: Vec::new(),
            items: Vec::new(),
            watch: None,
        };
        let path = reader.path();
        let file = reader.open()?;
        let len = file.len().map_err(OpenError::io(&path, "asking for the length"))?;
        if len < file_len(counted.items) {
            let what = format!(
                "the file ends here, and {} items up to byte {} were saved",
                counted.items,
                file_len(counted.items)
            );
            return Err(OpenError::damaged(&path, len, what));
        }
        let mut header = [0; FILE_HEADER as usize];
        file.read_at(0, &mut header).map_err(OpenError::io(&path, "reading"))?;
        let format = FileKind::List.read_header(&header, &path)?;
        Ok((reader, format))
    }

    fn path(&self) -> PathBuf {
        self.files.path().join(file_name(self.counted.name(), self.counted.created))
    }

    fn open(&self) -> Result<Box<dyn OpenFile>, OpenError> {
        let name = file_name(self.counted.name(), self.counted.created);
        self.files.open_to_read(&name).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                OpenError::damaged(&self.path(), 0, "the file is missing")
            }
            _ => OpenError::Io { path: self.path(), doing: "opening", source },
        })
    }

    /// Which list it is.
    pub fn name(&self) -> ListName {
        self.counted.name()
    }

    /// Items in all.
    pub fn len(&self) -> u64 {
        self.counted.items
    }

    /// Bytes of its items.
    pub(super) fn bytes(&self) -> u64 {
        self.counted.items.saturating_mul(ITEM)
    }

    pub(super) fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// Whether it has no items.
    pub fn is_empty(&self) -> bool {
        self.counted.items == 0
    }

    /// The next items, in the order of appending; `None` after the last.
    ///
    /// # Errors
    /// When reading fails, and, after the last item, when the checksum of all of them
    /// is not what was saved: then what was read before must not be used either.
    pub fn next_items(&mut self) -> Result<Option<&[u64]>, OpenError> {
        let count = CHUNK.min(self.counted.items - self.read);
        if count == 0 {
            self.file = None;
            if self.crc.clone().finalize() != self.counted.crc {
                let what = format!(
                    "the checksum of the {} items from here on is wrong",
                    self.counted.items
                );
                return Err(OpenError::damaged(&self.path(), FILE_HEADER, what));
            }
            return Ok(None);
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => self.open()?,
        };
        self.bytes.resize((count * ITEM) as usize, 0);
        file.read_at(file_len(self.read), &mut self.bytes).map_err(|source| OpenError::Io {
            path: self.path(),
            doing: "reading",
            source,
        })?;
        self.file = Some(file);
        tell(self.watch.as_ref(), self.bytes.len() as u64)?;
        self.crc.update(&self.bytes);
        self.read += count;
        self.items.clear();
        self.items.extend(
            self.bytes
                .as_chunks::<{ ITEM as usize }>()
                .0
                .iter()
                .map(|item| u64::from_le_bytes(*item)),
        );
        Ok(Some(&self.items))
    }
}
