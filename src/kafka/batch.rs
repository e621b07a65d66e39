//! Records copied out of librdkafka, many to an allocation.
//!
//! A batch owns three buffers: the bytes of keys, values and header values, the
//! names of headers, and an index. They go back to the source when the batch is
//! dropped, so that in steady flow nothing is allocated for each batch.

use std::ops::Range;
use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::event::{EventTime, Header, RawRecord};

/// Records of one or more partitions, in the order in which they were read.
#[derive(Debug, Default)]
pub struct RecordBatch {
    /// Counts up from 0 without a gap.
    pub sequence: u64,
    buffers: Buffers,
    home: Option<Sender<Buffers>>,
}

/// How far a batch brings one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its number.
    pub partition: i32,
    /// The offset after the batch's last record of this partition.
    pub next_offset: i64,
    /// The highest record timestamp of this partition in the batch that was not
    /// above the clock when it was read.
    pub highest_timestamp: Option<EventTime>,
    /// Records of this partition in the batch.
    pub records: u64,
}

#[derive(Debug, Default)]
pub(super) struct Buffers {
    bytes: Vec<u8>,
    names: String,
    headers: Vec<HeaderEntry>,
    records: Vec<Entry>,
    positions: Vec<Position>,
}

#[derive(Debug)]
struct Entry {
    position: u32,
    offset: i64,
    timestamp: Option<EventTime>,
    key: Option<Range<u32>>,
    value: Option<Range<u32>>,
    headers: Range<u32>,
}

#[derive(Debug)]
struct HeaderEntry {
    name: Range<u32>,
    value: Option<Range<u32>>,
}

/// The parts of a record, for [`RecordBatch::push`].
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) offset: i64,
    pub(super) timestamp: Option<EventTime>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

fn append(bytes: &mut Vec<u8>, part: Option<&[u8]>) -> Option<Range<u32>> {
    let part = part?;
    let start = bytes.len() as u32;
    bytes.extend_from_slice(part);
    Some(start..bytes.len() as u32)
}

fn wide(part: &Range<u32>) -> Range<usize> {
    part.start as usize..part.end as usize
}

impl RecordBatch {
    pub(super) fn new(sequence: u64, buffers: Buffers, home: Sender<Buffers>) -> Self {
        RecordBatch { sequence, buffers, home: Some(home) }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.buffers.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.buffers.records.is_empty()
    }

    /// Bytes of keys, values and headers.
    pub fn byte_len(&self) -> usize {
        self.buffers.bytes.len() + self.buffers.names.len()
    }

    /// How far the batch brings each of its partitions, in order of first appearance.
    pub fn positions(&self) -> &[Position] {
        &self.buffers.positions
    }

    /// The headers of all records, to be lent to [`RecordBatch::records`]. Allocates
    /// only when there are any.
    pub fn headers(&self) -> Vec<Header<'_>> {
        let buffers = &self.buffers;
        let resolve = |entry: &HeaderEntry| {
            let name = &buffers.names[wide(&entry.name)];
            let value = entry.value.as_ref().map(|value| &buffers.bytes[wide(value)]);
            (name, value)
        };
        buffers.headers.iter().map(resolve).collect()
    }

    /// The records in the order in which they were read. `headers` is what
    /// [`RecordBatch::headers`] gave.
    pub fn records<'a>(&'a self, headers: &'a [Header<'a>]) -> Records<'a> {
        Records { batch: self, headers, next: 0 }
    }

    /// The first record of that partition opens a position, which later records name.
    pub(super) fn open_position(&mut self, topic: &Arc<str>, partition: i32) -> u32 {
        let positions = &mut self.buffers.positions;
        positions.push(Position {
            topic: Arc::clone(topic),
            partition,
            next_offset: 0,
            highest_timestamp: None,
            records: 0,
        });
        positions.len() as u32 - 1
    }

    /// Adds a record. Its timestamp raises the position's highest if it `counts`:
    /// if it is not above the clock.
    pub(super) fn push<'h>(
        &mut self,
        position: u32,
        parts: &Parts<'_>,
        headers: impl Iterator<Item = Header<'h>>,
        counts: bool,
    ) {
        let buffers = &mut self.buffers;
        let first_header = buffers.headers.len() as u32;
        let key = append(&mut buffers.bytes, parts.key);
        let value = append(&mut buffers.bytes, parts.value);
        for (name, value) in headers {
            let start = buffers.names.len() as u32;
            buffers.names.push_str(name);
            let name = start..buffers.names.len() as u32;
            let value = append(&mut buffers.bytes, value);
            buffers.headers.push(HeaderEntry { name, value });
        }
        buffers.records.push(Entry {
            position,
            offset: parts.offset,
            timestamp: parts.timestamp,
            key,
            value,
            headers: first_header..buffers.headers.len() as u32,
        });
        let at = &mut buffers.positions[position as usize];
        at.next_offset = parts.offset + 1;
        at.records += 1;
        if counts {
            at.highest_timestamp = at.highest_timestamp.max(parts.timestamp);
        }
    }
}

/// Hands the buffers back for the next batch.
impl Drop for RecordBatch {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            let mut buffers = std::mem::take(&mut self.buffers);
            buffers.bytes.clear();
            buffers.names.clear();
            buffers.headers.clear();
            buffers.records.clear();
            buffers.positions.clear();
            // Home is full or gone: then they are simply freed.
            let _ = home.try_send(buffers);
        }
    }
}

/// The records of a batch.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    batch: &'a RecordBatch,
    headers: &'a [Header<'a>],
    next: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = RawRecord<'a>;

    fn next(&mut self) -> Option<RawRecord<'a>> {
        let batch = self.batch;
        let buffers = &batch.buffers;
        let entry = buffers.records.get(self.next)?;
        self.next += 1;
        let position = &buffers.positions[entry.position as usize];
        let bytes = |part| &buffers.bytes[wide(part)];
        Some(RawRecord {
            topic: &position.topic,
            partition: position.partition,
            offset: entry.offset,
            timestamp: entry.timestamp,
            key: entry.key.as_ref().map(bytes),
            value: entry.value.as_ref().map(bytes),
            headers: &self.headers[wide(&entry.headers)],
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Records<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(offset: i64, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Parts<'a> {
        Parts { offset, timestamp: Some(EventTime::from_secs(offset)), key, value }
    }

    #[test]
    fn records_come_back_as_they_were_pushed() {
        let (home, returned) = crossbeam_channel::bounded(1);
        let mut batch = RecordBatch::new(7, Buffers::default(), home);
        let topic: Arc<str> = "mail".into();
        let a = batch.open_position(&topic, 0);
        let b = batch.open_position(&topic, 3);
        let traced: [Header<'_>; 2] = [("trace", Some(b"abc")), ("flag", None)];
        batch.push(a, &parts(10, Some(b"k"), Some(b"one")), traced.into_iter(), true);
        batch.push(b, &parts(4, None, None), std::iter::empty(), true);
        batch.push(a, &parts(12, None, Some(b"")), std::iter::empty(), false);

        let headers = batch.headers();
        let read: Vec<_> = batch.records(&headers).collect();
        assert_eq!(read.len(), 3);
        assert_eq!((read[0].topic, read[0].partition, read[0].offset), ("mail", 0, 10));
        assert_eq!((read[0].key, read[0].value), (Some(&b"k"[..]), Some(&b"one"[..])));
        assert_eq!(read[0].headers, &traced);
        assert_eq!((read[1].partition, read[1].key, read[1].value), (3, None, None));
        assert_eq!(read[2].value, Some(&b""[..]), "an empty value is no tombstone");
        assert!(read[2].headers.is_empty());

        let positions = batch.positions();
        assert_eq!((positions[0].next_offset, positions[0].records), (13, 2));
        assert_eq!(positions[0].highest_timestamp, Some(EventTime::from_secs(10)));
        assert_eq!((positions[1].next_offset, positions[1].records), (5, 1));

        drop(headers);
        drop(batch);
        assert!(returned.try_recv().is_ok(), "the buffers go home");
    }
}
