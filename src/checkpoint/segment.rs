//! Segments: files of frames, one after another. A segment begins with a cycle.
//!
//! Only the very last frame of the last segment can be half written, because every
//! frame before it was synced before the next was begun, and because a segment gets
//! its name when its first frame is durable. Anything else that does not read as it
//! was written is damage.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::files::OpenFile;
use super::frame::{self, FRAME_HEADER, FrameHeader, StepHeader};
use super::recover::{Watch, tell};
use super::version::{FILE_HEADER, FileKind, Format};
use crate::event::EventTime;

/// The name that a segment has until its first frame is durable.
pub(super) const UNFINISHED: &str = "segment.new";

/// The name of the segment that begins with this sequence.
pub(super) fn file_name(first: u64) -> String {
    format!("segment.{first:020}")
}

/// The inverse of [`file_name`].
pub(super) fn first_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_prefix("segment.")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// One segment, open for reading.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) first: u64,
    pub(super) file: Box<dyn OpenFile>,
    pub(super) len: u64,
    pub(super) format: Format,
}

/// A frame and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) offset: u64,
    pub(super) header: StepHeader,
}

impl Placed {
    pub(super) fn end(&self) -> u64 {
        self.offset + FRAME_HEADER as u64 + self.header.body_len
    }
}

/// The frames of a segment, by their headers alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outline {
    pub(super) last: Placed,
    /// The one before the last, if there is one.
    pub(super) before: Option<Placed>,
    pub(super) tail: Tail,
}

/// What follows the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    Nothing,
    Closed,
    /// Bytes that are no frame.
    Unreadable,
}

impl Segment {
    pub(super) fn open(
        file: Box<dyn OpenFile>,
        path: PathBuf,
        first: u64,
    ) -> Result<Segment, OpenError> {
        let len = file.len().map_err(OpenError::io(&path, "asking for the length"))?;
        if len < FILE_HEADER {
            return Err(OpenError::damaged(&path, len, "the file ends within its first bytes"));
        }
        let mut header = [0; FILE_HEADER as usize];
        file.read_at(0, &mut header).map_err(OpenError::io(&path, "reading"))?;
        let format = FileKind::Segment.read_header(&header, &path)?;
        Ok(Segment { path, first, file, len, format })
    }

    /// Walks from header to header, up to the frame of sequence `until` if there is one.
    pub(super) fn outline(&self, until: Option<u64>) -> Result<Outline, OpenError> {
        let mut offset = FILE_HEADER;
        let mut expected = self.first;
        let (mut last, mut before) = (None, None);
        let tail = loop {
            if offset == self.len || until.is_some_and(|until| expected > until) {
                break Tail::Nothing;
            }
            match self.header_at(offset)? {
                Some(FrameHeader::Step(header)) if header.sequence == expected => {
                    let placed = Placed { offset, header };
                    if placed.header.body_len > self.len - offset || placed.end() > self.len {
                        break Tail::Unreadable;
                    }
                    before = last.replace(placed);
                    offset = placed.end();
                    expected += 1;
                }
                Some(FrameHeader::Closing { next }) if next == expected => break Tail::Closed,
                _ => break Tail::Unreadable,
            }
        };
        let last = last.ok_or_else(|| {
            OpenError::damaged(
                &self.path,
                FILE_HEADER,
                format!("checkpoint {} is damaged", self.first),
            )
        })?;
        Ok(Outline { last, before, tail })
    }

    /// Whether its first frame says that a cycle begins.
    pub(super) fn begins_cycle(&self) -> Result<bool, OpenError> {
        let Some(FrameHeader::Step(first)) = self.header_at(FILE_HEADER)? else { return Ok(false) };
        let offset = FILE_HEADER + FRAME_HEADER as u64;
        if u64::from(first.table_len) > self.len - offset {
            return Ok(false);
        }
        let mut table = vec![0; first.table_len as usize];
        self.file.read_at(offset, &mut table).map_err(OpenError::io(&self.path, "reading"))?;
        Ok(frame::decode_table(&table).is_some_and(|table| table.begins_cycle))
    }

    /// The header at a place; `None` if there is none.
    fn header_at(&self, offset: u64) -> Result<Option<FrameHeader>, OpenError> {
        if self.len - offset < FRAME_HEADER as u64 {
            return Ok(None);
        }
        let mut bytes = [0; FRAME_HEADER];
        self.file.read_at(offset, &mut bytes).map_err(OpenError::io(&self.path, "reading"))?;
        Ok(FrameHeader::read(&bytes))
    }

    /// Reads the body of a frame; it is checked by [`frame::decode`].
    pub(super) fn read_body(&self, placed: &Placed, buffer: &mut Vec<u8>) -> Result<(), OpenError> {
        buffer.resize(placed.header.body_len as usize, 0);
        self.file
            .read_at(placed.offset + FRAME_HEADER as u64, buffer)
            .map_err(OpenError::io(&self.path, "reading"))
    }

    /// Looks for a frame from `offset` on that cannot be part of the half-written frame
    /// of sequence `torn`.
    pub(super) fn has_frame_beyond(&self, offset: u64, torn: u64) -> Result<bool, OpenError> {
        const WINDOW: usize = 1 << 20;
        let mut buffer = Vec::new();
        let mut start = offset;
        while start < self.len {
            let end = self.len.min(start + WINDOW as u64);
            buffer.resize((end - start) as usize, 0);
            self.file.read_at(start, &mut buffer).map_err(OpenError::io(&self.path, "reading"))?;
            for bytes in buffer.windows(FRAME_HEADER).filter(|bytes| frame::may_begin(bytes)) {
                let mut header = [0; FRAME_HEADER];
                header.copy_from_slice(bytes);
                match FrameHeader::read(&header) {
                    Some(FrameHeader::Step(header)) if header.sequence == torn => {}
                    Some(_) => return Ok(true),
                    None => {}
                }
            }
            if end == self.len {
                break;
            }
            start = end - (FRAME_HEADER as u64 - 1);
        }
        Ok(false)
    }

    pub(super) fn damaged(&self, placed: &Placed) -> OpenError {
        damaged_step(&self.path, placed.offset, placed.header.sequence)
    }
}

pub(super) fn damaged_step(path: &Path, offset: u64, sequence: u64) -> OpenError {
    OpenError::damaged(path, offset, format!("checkpoint {sequence} is damaged"))
}

/// One saved step, as far as it is of use after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedStep<'a> {
    /// Counts up by one from step to step.
    pub sequence: u64,
    /// When it was made.
    pub made_at: EventTime,
    /// Whether a cycle begins with it.
    pub begins_cycle: bool,
    /// How `changes` are to be read.
    pub schema: &'a [u8],
    /// What had changed since the step before.
    pub changes: &'a [u8],
}

/// Reads the saved steps that are needed, oldest first, one at a time in memory.
pub struct StepReader {
    segments: VecDeque<Segment>,
    offset: u64,
    next: u64,
    last: u64,
    body: Vec<u8>,
    schema: Option<Vec<u8>>,
    watch: Option<Watch>,
}

impl StepReader {
    /// Segments in order, without a gap between them, up to the step `last`.
    pub(super) fn new(segments: VecDeque<Segment>, last: u64) -> StepReader {
        let next = segments.front().map_or(last + 1, |segment| segment.first);
        StepReader {
            segments,
            offset: FILE_HEADER,
            next,
            last,
            body: Vec::new(),
            schema: None,
            watch: None,
        }
    }

    pub(super) fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
    }

    /// Bytes of all that is to be read.
    pub fn total_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// The next step; `None` after the newest.
    ///
    /// # Errors
    /// When it cannot be read or is not what was written: then the steps before it must
    /// not be used either.
    pub fn next_step(&mut self) -> Result<Option<SavedStep<'_>>, OpenError> {
        if self.next > self.last {
            return Ok(None);
        }
        if self.segments.get(1).is_some_and(|segment| segment.first == self.next) {
            self.segments.pop_front();
            self.offset = FILE_HEADER;
            self.schema = None;
        }
        let Some(segment) = self.segments.front() else { return Ok(None) };
        let damaged = || damaged_step(&segment.path, self.offset, self.next);
        let header = match segment.header_at(self.offset)? {
            Some(FrameHeader::Step(header)) if header.sequence == self.next => header,
            _ => return Err(damaged()),
        };
        let placed = Placed { offset: self.offset, header };
        if header.body_len > segment.len || placed.end() > segment.len {
            return Err(damaged());
        }
        segment.read_body(&placed, &mut self.body)?;
        tell(self.watch.as_ref(), placed.end() - placed.offset)?;
        let body = frame::decode(&header, &self.body).ok_or_else(damaged)?;
        if let Some(schema) = body.schema {
            self.schema = Some(schema.to_vec());
        }
        let schema = self.schema.as_deref().ok_or_else(damaged)?;
        self.offset = placed.end();
        self.next += 1;
        Ok(Some(SavedStep {
            sequence: header.sequence,
            made_at: EventTime::from_micros(body.table.made_at),
            begins_cycle: body.table.begins_cycle,
            schema,
            changes: body.changes,
        }))
    }
}
