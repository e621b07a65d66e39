//! A record as Kafka delivered it, borrowed from the batch that it came in.

use super::EventTime;

/// A record header: its key, and its value unless that is null.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// One Kafka record, untouched.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// The topic it was read from.
    pub topic: &'a str,
    /// The partition it was read from.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// Its timestamp, unless the producer gave none that can be used.
    pub timestamp: Option<EventTime>,
    /// Its key, unless null.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order; names may repeat and vary in case.
    pub headers: &'a [Header<'a>],
}

impl<'a> RawRecord<'a> {
    /// The value of the first header of that name, whatever its case: bridges from
    /// HTTP change the case of vendors' header names.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| *value)
    }
}
