//! Versions of what is written, and the first bytes of every file.
//!
//! The rule: a program reads its own version and the one before, and writes either,
//! so that an upgrade can be rolled back. There has been one version so far. A second
//! is a second [`Format`], named in the two lists here; what differs is decided where
//! a `match` on the format then asks for it. A file is of one version; a segment of
//! another version than the one to be written is not continued, a new one is begun.

use std::path::Path;

use super::error::OpenError;

/// The versions that this program reads.
pub const READABLE: &[u32] = &[1];
/// The versions that this program can write.
pub const WRITABLE: &[u32] = &[1];
/// The version that is written unless another is asked for.
pub const NEWEST: u32 = 1;

/// Bytes of a file before its content: magic (8), version (4), checksum of both (4).
pub(super) const FILE_HEADER: u64 = 16;

/// How contents are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V1,
}

impl Format {
    /// The one that an operator asked for, or the newest.
    pub(super) fn to_write(asked: Option<u32>) -> Result<Format, OpenError> {
        let number = asked.unwrap_or(NEWEST);
        Format::of(number)
            .filter(|_| WRITABLE.contains(&number))
            .ok_or(OpenError::NotWritable { asked: number })
    }

    fn of(number: u32) -> Option<Format> {
        match number {
            1 => Some(Format::V1),
            _ => None,
        }
    }

    pub(super) fn number(self) -> u32 {
        match self {
            Format::V1 => 1,
        }
    }
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Segment,
    List,
}

impl FileKind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            FileKind::Segment => b"TIDEGSEG",
            FileKind::List => b"TIDEGLST",
        }
    }

    pub(super) fn header(self, format: Format) -> [u8; FILE_HEADER as usize] {
        let mut header = [0; FILE_HEADER as usize];
        header[..8].copy_from_slice(self.magic());
        header[8..12].copy_from_slice(&format.number().to_le_bytes());
        let checksum = crc32fast::hash(&header[..12]);
        header[12..].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    pub(super) fn read_header(
        self,
        header: &[u8; FILE_HEADER as usize],
        file: &Path,
    ) -> Result<Format, OpenError> {
        let (content, checksum) = header.split_at(12);
        if crc32fast::hash(content).to_le_bytes() != checksum || content[..8] != *self.magic() {
            return Err(OpenError::damaged(file, 0, "the file does not begin as it was written"));
        }
        let found = u32::from_le_bytes([content[8], content[9], content[10], content[11]]);
        Format::of(found)
            .filter(|_| READABLE.contains(&found))
            .ok_or_else(|| OpenError::Version { file: file.to_owned(), found })
    }
}
