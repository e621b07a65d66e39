//! Finding the newest durable step, and what belongs to it, after a restart.
//!
//! In: the files of a directory. Out: [`Recovered`], whose readers stream, and
//! [`Kept`], from which appending goes on. The structure of all segments is checked
//! here, by headers; contents are checked while they are read. What a step that never
//! became durable has left behind is cut off, unless the directory is only read.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::error::OpenError;
use super::files::{Files, OpenFile};
use super::frame::{self, CountedList};
use super::list::{self, ListReader};
use super::segment::{self, Placed, Segment, StepReader, Tail};
use super::step::ListName;
use super::version::Format;
use crate::event::EventTime;

/// Told, by several readers at once, how many more bytes were read; false ends the
/// reading with [`OpenError::Stopped`].
pub type Watch = Arc<dyn Fn(u64) -> bool + Send + Sync>;

/// Tells of bytes that were read.
pub(super) fn tell(watch: Option<&Watch>, bytes: u64) -> Result<(), OpenError> {
    let goes_on = watch.is_none_or(|watch| watch(bytes));
    goes_on.then_some(()).ok_or(OpenError::Stopped)
}

/// The newest durable step and all that it rests on.
pub struct Recovered {
    /// Of the newest durable step.
    pub sequence: u64,
    /// When it was made.
    pub saved_at: EventTime,
    /// Its head.
    pub head: Vec<u8>,
    /// The steps from which the state is built anew, oldest first.
    pub steps: StepReader,
    /// All lists, in order of names.
    pub lists: Vec<ListReader>,
    /// The version in which it was written.
    pub version: u32,
}

impl Recovered {
    /// Bytes of all that is to be read.
    pub fn total_bytes(&self) -> u64 {
        self.steps.total_bytes() + self.lists.iter().map(ListReader::bytes).sum::<u64>()
    }

    /// Has `watch` told of everything that is read; reading ends where it says so.
    pub fn watch(&mut self, watch: Watch) {
        for list in &mut self.lists {
            list.watch(Arc::clone(&watch));
        }
        self.steps.watch(watch);
    }
}

/// What appending must know of what is there.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Of the newest durable step; 0 before the first.
    pub(super) sequence: u64,
    /// The first sequence that is still needed.
    pub(super) base: u64,
    /// The newest step that began a cycle: with the next one that does, it is whole,
    /// however many processes have written it.
    pub(super) cycle: Option<u64>,
    pub(super) segments: VecDeque<KeptSegment>,
    pub(super) lists: BTreeMap<ListName, KeptList>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct KeptSegment {
    pub(super) first: u64,
    pub(super) bytes: u64,
    pub(super) format: Format,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct KeptList {
    pub(super) counted: CountedList,
    pub(super) format: Format,
}

/// Whether what is left over may be cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Read,
}

/// Names of what is there, told apart.
struct Found {
    segments: Vec<u64>,
    lists: Vec<(String, u64)>,
    unfinished: bool,
}

pub(super) fn recover(
    shared: &Arc<dyn Files>,
    access: Access,
) -> Result<(Option<Recovered>, Kept), OpenError> {
    let files = shared.as_ref();
    let found = find(files)?;
    let Some(&newest) = found.segments.last() else {
        check_lists_beyond(files, &found, 0)?;
        if access == Access::Write {
            remove_others(files, &found, &Kept::default())?;
        }
        return Ok((None, Kept::default()));
    };
    let last_segment = open_segment(files, newest)?;
    let (placed, body) = newest_step(&last_segment)?;
    let damaged = || last_segment.damaged(&placed);
    let body = frame::decode(&placed.header, &body).ok_or_else(damaged)?;
    let sequence = placed.header.sequence;
    let head = body.head.to_vec();
    let version = last_segment.format.number();

    let segments = open_needed(files, &found, body.table.base, last_segment)?;
    check_lists_beyond(files, &found, sequence)?;
    let mut kept = Kept {
        sequence,
        base: body.table.base,
        cycle: newest_cycle(&segments)?,
        segments: segments.iter().map(kept_segment).collect(),
        lists: BTreeMap::new(),
    };
    if let Some(last) = kept.segments.back_mut() {
        last.bytes = placed.end();
    }
    let mut lists = Vec::new();
    for counted in body.table.lists {
        let (reader, format) = ListReader::new(shared, counted)?;
        kept.lists.insert(counted.name(), KeptList { counted, format });
        lists.push(reader);
    }
    lists.sort_by_key(ListReader::name);
    if access == Access::Write {
        settle_all(files, &kept)?;
        remove_others(files, &found, &kept)?;
    }
    let recovered = Recovered {
        sequence,
        saved_at: EventTime::from_micros(body.table.made_at),
        head,
        steps: StepReader::new(segments, sequence),
        lists,
        version,
    };
    Ok((Some(recovered), kept))
}

fn find(files: &dyn Files) -> Result<Found, OpenError> {
    let mut found = Found { segments: Vec::new(), lists: Vec::new(), unfinished: false };
    for (name, _) in files.list().map_err(OpenError::io(files.path(), "listing"))? {
        if let Some(first) = segment::first_of(&name) {
            found.segments.push(first);
        } else if let Some(created) = list::created_by(&name) {
            found.lists.push((name, created));
        } else if name == segment::UNFINISHED {
            found.unfinished = true;
        }
    }
    found.segments.sort_unstable();
    Ok(found)
}

fn open_segment(files: &dyn Files, first: u64) -> Result<Segment, OpenError> {
    let name = segment::file_name(first);
    let path = files.path().join(&name);
    let file = files.open_to_read(&name).map_err(OpenError::io(&path, "opening"))?;
    Segment::open(file, path, first)
}

/// The newest durable step of the last segment, and its body. What was half written
/// after it does not count.
fn newest_step(segment: &Segment) -> Result<(Placed, Vec<u8>), OpenError> {
    let outline = segment.outline(None)?;
    let last = outline.last;
    let mut body = Vec::new();
    segment.read_body(&last, &mut body)?;
    let is_whole = frame::decode(&last.header, &body).is_some();
    match (outline.tail, is_whole, outline.before) {
        (Tail::Closed, ..) => Err(missing_after(segment, last.header.sequence)),
        (Tail::Nothing, true, _) => Ok((last, body)),
        (Tail::Nothing, false, Some(before)) => {
            segment.read_body(&before, &mut body)?;
            if frame::decode(&before.header, &body).is_none() {
                return Err(segment.damaged(&before));
            }
            Ok((before, body))
        }
        (Tail::Unreadable, true, _) => {
            let torn = last.header.sequence + 1;
            if segment.has_frame_beyond(last.end(), torn)? {
                return Err(segment::damaged_step(&segment.path, last.end(), torn));
            }
            Ok((last, body))
        }
        // The first frame was durable before the segment got its name, and one that
        // another follows was durable before that was begun.
        (Tail::Nothing, false, None) | (Tail::Unreadable, false, _) => Err(segment.damaged(&last)),
    }
}

/// Cuts off what a step that never became durable has left, and makes the rest durable:
/// a process that was killed may have left it to the system to write, and from here on
/// everybody relies on it.
fn settle(file: &dyn OpenFile, len: u64) -> io::Result<()> {
    if file.len()? > len {
        file.truncate(len)?;
    }
    file.sync()
}

fn settle_all(files: &dyn Files, kept: &Kept) -> Result<(), OpenError> {
    let segments =
        kept.segments.iter().map(|segment| (segment::file_name(segment.first), segment.bytes));
    let lists = kept.lists.iter().map(|(name, list)| {
        (list::file_name(*name, list.counted.created), list::file_len(list.counted.items))
    });
    for (name, len) in segments.chain(lists) {
        let path = files.path().join(&name);
        files
            .open(&name)
            .and_then(|file| settle(file.as_ref(), len))
            .map_err(OpenError::io(&path, "making what is saved durable"))?;
    }
    files.sync_names().map_err(OpenError::io(files.path(), "making names durable"))
}

fn missing_after(segment: &Segment, sequence: u64) -> OpenError {
    let missing = segment.path.with_file_name(segment::file_name(sequence + 1));
    OpenError::damaged(&missing, 0, "the file is missing")
}

/// Opens all segments from the base on and checks that they follow one another.
fn open_needed(
    files: &dyn Files,
    found: &Found,
    base: u64,
    last: Segment,
) -> Result<VecDeque<Segment>, OpenError> {
    let needed: Vec<u64> =
        found.segments.iter().copied().filter(|first| (base..last.first).contains(first)).collect();
    let mut segments = VecDeque::new();
    for first in needed {
        segments.push_back(open_segment(files, first)?);
    }
    segments.push_back(last);
    if segments[0].first != base {
        let missing = files.path().join(segment::file_name(base));
        return Err(OpenError::damaged(&missing, 0, "the file is missing"));
    }
    for place in 1..segments.len() {
        let (segment, next) = (&segments[place - 1], segments[place].first);
        let outline = segment.outline(Some(next - 1))?;
        let reached = outline.last.header.sequence;
        if reached + 1 == next {
            continue;
        }
        return Err(match outline.tail {
            Tail::Closed => missing_after(segment, reached),
            Tail::Nothing | Tail::Unreadable => {
                segment::damaged_step(&segment.path, outline.last.end(), reached + 1)
            }
        });
    }
    Ok(segments)
}

/// The newest step that began a cycle. Its table is not checked yet: whoever reads the
/// steps does that.
fn newest_cycle(segments: &VecDeque<Segment>) -> Result<Option<u64>, OpenError> {
    for segment in segments.iter().rev() {
        if segment.begins_cycle()? {
            return Ok(Some(segment.first));
        }
    }
    Ok(None)
}

/// A list that a later step began says that this step is missing.
fn check_lists_beyond(files: &dyn Files, found: &Found, sequence: u64) -> Result<(), OpenError> {
    for (name, created) in &found.lists {
        // The step after the newest may have begun lists without becoming durable.
        if *created > sequence + 1 {
            let what = format!(
                "checkpoint {created} began this list, but the newest that can be read is {sequence}"
            );
            return Err(OpenError::damaged(&files.path().join(name), 0, what));
        }
    }
    Ok(())
}

fn kept_segment(segment: &Segment) -> KeptSegment {
    KeptSegment { first: segment.first, bytes: segment.len, format: segment.format }
}

/// Removes what nothing rests on: segments before the base, lists that were dropped or
/// never counted. Removing may have been forgotten by a crash, so it is done again.
fn remove_others(files: &dyn Files, found: &Found, kept: &Kept) -> Result<(), OpenError> {
    let counted: Vec<String> = kept
        .lists
        .iter()
        .map(|(name, list)| list::file_name(*name, list.counted.created))
        .collect();
    let segments = found
        .segments
        .iter()
        .filter(|first| **first < kept.base)
        .map(|first| segment::file_name(*first));
    let lists =
        found.lists.iter().map(|(name, _)| name.clone()).filter(|name| !counted.contains(name));
    let unfinished = found.unfinished.then(|| segment::UNFINISHED.to_owned());
    for name in segments.chain(lists).chain(unfinished) {
        files
            .remove(&name)
            .map_err(OpenError::io(&files.path().join(&name), "removing what is not needed"))?;
    }
    Ok(())
}
