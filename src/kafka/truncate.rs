//! A dead letter as a Kafka record: the original beside headers that say where it
//! comes from and what is wrong, cut down to what a topic takes.
//!
//! The value is cut first, then the original headers go, then the key is cut;
//! `tidegauge.truncated` says what.

use std::fmt::Write as _;

use rdkafka::message::{Header as KafkaHeader, OwnedHeaders};

use super::DeadLetter;

/// What a record costs beside its parts: lengths, timestamp, offset, the batch.
const OVERHEAD: usize = 512;

/// The list of bad elements is cut to this many.
pub const MOST_ELEMENTS: usize = 200;

/// The text is cut to this many bytes.
const MAX_TEXT: usize = 2_000;

/// The parts of a record to be written.
pub(super) struct Encoded<'a> {
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: OwnedHeaders,
}

/// Within `limit` bytes, as long as that is more than our own headers need.
pub(super) fn encode(letter: &DeadLetter, limit: usize) -> Encoded<'_> {
    let mut ours: Vec<(&str, String)> = vec![
        ("tidegauge.topic", letter.topic.to_string()),
        ("tidegauge.partition", letter.partition.to_string()),
        ("tidegauge.offset", letter.offset.to_string()),
        ("tidegauge.reason", letter.reason.name().to_owned()),
        ("tidegauge.text", cut_text(&letter.text, MAX_TEXT).to_owned()),
    ];
    let mut cuts = Vec::new();
    if letter.text.len() > MAX_TEXT {
        cuts.push("text".to_owned());
    }
    if !letter.elements.is_empty() {
        ours.push(("tidegauge.elements", elements(letter)));
        if letter.elements.len() > MOST_ELEMENTS {
            cuts.push(format!("elements: the first {MOST_ELEMENTS}"));
        }
    }
    let our_size: usize = ours.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
    let mut room = limit.saturating_sub(our_size + OVERHEAD);

    let size_of = |name: &String, value: &Option<Vec<u8>>| {
        name.len() + value.as_ref().map_or(0, Vec::len) + 10
    };
    let theirs: usize = letter.headers.iter().map(|(name, value)| size_of(name, value)).sum();
    let key_size = letter.key.as_ref().map_or(0, Vec::len);

    let mut key = letter.key.as_deref();
    let mut headers_kept = letter.headers.len();
    if key_size + theirs > room {
        if key_size > room {
            key = key.map(|key| &key[..room]);
            cuts.push(format!("key: {room} of {key_size} bytes"));
        }
        room -= key_size.min(room);
        headers_kept = 0;
        for (name, value) in &letter.headers {
            let size = size_of(name, value);
            if size > room {
                break;
            }
            room -= size;
            headers_kept += 1;
        }
        cuts.push(format!("headers: {headers_kept} of {}", letter.headers.len()));
    } else {
        room -= key_size + theirs;
    }
    let mut value = letter.value.as_deref();
    if let Some(whole) = value
        && whole.len() > room
    {
        value = Some(&whole[..room]);
        cuts.push(format!("value: {room} of {} bytes", whole.len()));
    }
    if !cuts.is_empty() {
        ours.push(("tidegauge.truncated", cuts.join(", ")));
    }

    let mut headers = OwnedHeaders::new_with_capacity(headers_kept + ours.len());
    for (name, value) in &letter.headers[..headers_kept] {
        headers = headers.insert(KafkaHeader { key: name, value: value.as_ref() });
    }
    for (name, value) in &ours {
        headers = headers.insert(KafkaHeader { key: name, value: Some(value) });
    }
    Encoded { key, value, headers }
}

/// `[{"index":3,"reason":"bad_time"}]`; the names of reasons need no escaping.
fn elements(letter: &DeadLetter) -> String {
    let mut list = String::from("[");
    for (place, (index, reason)) in letter.elements.iter().take(MOST_ELEMENTS).enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let name = reason.name();
        // Writing to a string cannot fail.
        let _ = write!(list, r#"{comma}{{"index":{index},"reason":"{name}"}}"#);
    }
    list.push(']');
    list
}

fn cut_text(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers as _;

    use super::*;
    use crate::event::RejectReason;

    fn letter(value: usize, elements: usize) -> DeadLetter {
        DeadLetter {
            topic: "mail".into(),
            partition: 3,
            offset: 17,
            key: Some(b"key".to_vec()),
            value: Some(vec![b'x'; value]),
            headers: vec![("trace".to_owned(), Some(b"abc".to_vec()))],
            timestamp: None,
            reason: RejectReason::NotJson,
            text: "not JSON at byte 4".to_owned(),
            elements: (0..elements).map(|index| (index as u64, RejectReason::BadTime)).collect(),
        }
    }

    fn headers(encoded: &Encoded<'_>) -> Vec<(String, String)> {
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into();
        encoded.headers.iter().map(|h| (h.key.to_owned(), text(h.value))).collect()
    }

    #[test]
    fn what_fits_is_unchanged() {
        let letter = letter(100, 2);
        let encoded = encode(&letter, 1_000_000);
        assert_eq!(encoded.key, letter.key.as_deref());
        assert_eq!(encoded.value, letter.value.as_deref());
        let expected = [
            ("trace", "abc"),
            ("tidegauge.topic", "mail"),
            ("tidegauge.partition", "3"),
            ("tidegauge.offset", "17"),
            ("tidegauge.reason", "not_json"),
            ("tidegauge.text", "not JSON at byte 4"),
            (
                "tidegauge.elements",
                r#"[{"index":0,"reason":"bad_time"},{"index":1,"reason":"bad_time"}]"#,
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers(&encoded), expected);
    }

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        let check = |letter: &DeadLetter, limit: usize, says: &str| {
            let encoded = encode(letter, limit);
            let truncated = headers(&encoded).pop().expect("headers");
            assert_eq!(truncated.0, "tidegauge.truncated");
            assert!(truncated.1.contains(says), "{} does not say {says}", truncated.1);
            let size = encoded.key.map_or(0, <[u8]>::len) + encoded.value.map_or(0, <[u8]>::len);
            assert!(size <= limit);
        };
        check(&letter(5_000, 0), 2_000, "of 5000 bytes");
        check(&letter(10, 300), 100_000, "elements: the first 200");
        let mut wide = letter(10, 0);
        wide.headers.push(("big".to_owned(), Some(vec![b'y'; 3_000])));
        check(&wide, 2_000, "headers: 1 of 2");
        let mut keyed = letter(10, 0);
        keyed.key = Some(vec![b'k'; 3_000]);
        check(&keyed, 2_000, "of 3000 bytes");
        check(&letter(10, 0), 0, "value: 0 of 10 bytes");
        let mut wordy = letter(10, 0);
        wordy.text = "ä".repeat(3_000);
        check(&wordy, 100_000, "text");
    }

    #[test]
    fn a_tombstone_stays_one() {
        let mut letter = letter(0, 0);
        letter.value = None;
        assert_eq!(encode(&letter, 1_000_000).value, None);
    }
}
