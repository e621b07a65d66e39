//! One step as bytes, with what is needed to tell whether they are all there.
//!
//! Version 1: a header of 36 bytes, then the body. Header, little-endian: magic (8),
//! sequence (8), length of the table (4), length of the body (8), checksum of the body
//! (4), checksum of the 32 bytes before (4). Body: the table (postcard: [`Table`]), the
//! schema if it differs from that of the frame before in the same file, the head, the
//! changes. A closing frame is a header with another magic and no body: it says with
//! which sequence the next segment begins, so that a lost one is missed.

use serde::{Deserialize, Serialize};

use super::step::{ListName, Step};

const STEP: &[u8; 8] = b"TIDEGFRM";
const CLOSING: &[u8; 8] = b"TIDEGEND";

/// Bytes of a frame's header.
pub(super) const FRAME_HEADER: usize = 36;

/// What a frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameHeader {
    Step(StepHeader),
    Closing { next: u64 },
}

/// The header of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepHeader {
    pub(super) sequence: u64,
    pub(super) table_len: u32,
    pub(super) body_len: u64,
    pub(super) body_crc: u32,
}

/// What a frame says besides the contents of its step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    /// Microseconds since the epoch.
    pub(super) made_at: i64,
    /// The first sequence that is needed from here on.
    pub(super) base: u64,
    pub(super) begins_cycle: bool,
    pub(super) schema_len: Option<u64>,
    pub(super) head_len: u64,
    /// All lists as they are with this step.
    pub(super) lists: Vec<CountedList>,
}

/// How much of a list counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CountedList {
    pub(super) family: i64,
    pub(super) number: i64,
    /// The step that began it: a list of the same name may be begun anew.
    pub(super) created: u64,
    pub(super) items: u64,
    /// Of all items.
    pub(super) crc: u32,
}

impl CountedList {
    pub(super) fn name(&self) -> ListName {
        ListName { family: self.family, number: self.number }
    }
}

/// A frame's body, cut into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body<'a> {
    pub(super) table: Table,
    pub(super) schema: Option<&'a [u8]>,
    pub(super) head: &'a [u8],
    pub(super) changes: &'a [u8],
}

impl FrameHeader {
    /// `None`: these bytes are no header.
    pub(super) fn read(bytes: &[u8; FRAME_HEADER]) -> Option<FrameHeader> {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let closing = match &bytes[..8] {
            magic if magic == STEP => false,
            magic if magic == CLOSING => true,
            _ => return None,
        };
        if u32_at(32) != crc32fast::hash(&bytes[..32]) {
            return None;
        }
        let sequence = u64_at(8);
        Some(match closing {
            true => FrameHeader::Closing { next: sequence },
            false => FrameHeader::Step(StepHeader {
                sequence,
                table_len: u32_at(16),
                body_len: u64_at(20),
                body_crc: u32_at(28),
            }),
        })
    }

    fn write(self, to: &mut [u8]) {
        let (magic, header) = match self {
            FrameHeader::Step(header) => (STEP, header),
            FrameHeader::Closing { next } => {
                (CLOSING, StepHeader { sequence: next, table_len: 0, body_len: 0, body_crc: 0 })
            }
        };
        to[..8].copy_from_slice(magic);
        to[8..16].copy_from_slice(&header.sequence.to_le_bytes());
        to[16..20].copy_from_slice(&header.table_len.to_le_bytes());
        to[20..28].copy_from_slice(&header.body_len.to_le_bytes());
        to[28..32].copy_from_slice(&header.body_crc.to_le_bytes());
        let crc = crc32fast::hash(&to[..32]);
        to[32..36].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Whether a header could begin here: cheap, for looking through many bytes.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    bytes.starts_with(STEP) || bytes.starts_with(CLOSING)
}

/// The frame that closes a segment.
pub(super) fn closing(next: u64) -> [u8; FRAME_HEADER] {
    let mut bytes = [0; FRAME_HEADER];
    FrameHeader::Closing { next }.write(&mut bytes);
    bytes
}

/// Appends the frame of a step to a buffer.
pub(super) fn encode(step: &Step, table: &Table, to: &mut Vec<u8>) {
    let start = to.len();
    let body = start + FRAME_HEADER;
    to.resize(body, 0);
    let table_bytes =
        postcard::to_stdvec(table).expect("numbers into memory: there is nothing that could fail");
    to.extend_from_slice(&table_bytes);
    if table.schema_len.is_some() {
        to.extend_from_slice(&step.schema);
    }
    to.extend_from_slice(&step.head);
    to.extend_from_slice(&step.changes);
    let header = StepHeader {
        sequence: step.sequence,
        table_len: table_bytes.len() as u32,
        body_len: (to.len() - body) as u64,
        body_crc: crc32fast::hash(&to[body..]),
    };
    FrameHeader::Step(header).write(&mut to[start..body]);
}

/// `None`: these bytes are no table.
pub(super) fn decode_table(bytes: &[u8]) -> Option<Table> {
    postcard::from_bytes(bytes).ok()
}

/// Cuts a body into its parts. `None`: they do not fit, which a body that was written
/// whole never does.
pub(super) fn decode<'a>(header: &StepHeader, body: &'a [u8]) -> Option<Body<'a>> {
    if crc32fast::hash(body) != header.body_crc {
        return None;
    }
    let (table, rest) = body.split_at_checked(header.table_len as usize)?;
    let table = decode_table(table)?;
    let schema_len = usize::try_from(table.schema_len.unwrap_or(0)).ok()?;
    let (schema, rest) = rest.split_at_checked(schema_len)?;
    let (head, changes) = rest.split_at_checked(usize::try_from(table.head_len).ok()?)?;
    let schema = table.schema_len.map(|_| schema);
    Some(Body { table, schema, head, changes })
}
