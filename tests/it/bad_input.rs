//! What may stand in a record and must never stop anything: each has its named
//! outcome. At the level of the decoder; the whole path has tests of its own.

use std::sync::Arc;

use tidegauge::config::shipped_formats;
use tidegauge::event::{RawRecord, Vocabulary};
use tidegauge::format::{Decoder, Element, Format, Limits, RecordOutcome, Wanted};

use crate::formats::record;

/// The outcome of a record, or of each of its elements, in one line.
fn outcome(decoder: &mut Decoder, value: Option<&[u8]>) -> String {
    let mut elements = Vec::new();
    let outcome = decoder.decode(&RawRecord { value, ..record(b"") }, &mut |element| {
        elements.push(match element {
            Element::Event(_) => "event",
            Element::Ignored { reason, .. } => reason.name(),
            Element::Rejected(rejection) => rejection.reason.name(),
        });
    });
    match outcome {
        RecordOutcome::Decoded => elements.join(" "),
        RecordOutcome::Empty => "empty".to_owned(),
        RecordOutcome::Ignored(reason) => format!("record {}", reason.name()),
        RecordOutcome::Rejected(rejection) => format!("record {}", rejection.reason.name()),
    }
}

fn canonical(limits: Limits) -> Decoder {
    let spec = shipped_formats().into_iter().find(|spec| spec.name == "canonical");
    let vocabulary = Vocabulary::canonical();
    let spec = spec.expect("canonical is shipped");
    Decoder::new(Arc::new(Format::compile(&spec, &vocabulary, &Wanted::All)), limits)
}

#[track_caller]
fn check(value: impl AsRef<[u8]>, expected: &str) {
    let value = value.as_ref();
    let found = outcome(&mut canonical(Limits::default()), Some(value));
    let head = String::from_utf8_lossy(&value[..value.len().min(120)]);
    assert_eq!(found, expected, "decoding {head}");
}

/// An event whose other fields are sound.
fn with(fields: &str) -> String {
    format!(r#"{{"type":"commerce.order_paid","time":"2026-03-01T12:00:00Z",{fields}}}"#)
}

fn at(time: &str) -> String {
    format!(r#"{{"type":"email.sent","time":{time}}}"#)
}

#[test]
fn text_that_is_not_json() {
    check("hello", "record not_json");
    check(r#"{"type":"email.sent","time":"2026-03-0"#, "record not_json");
    check(r#"{"type":"email.sent"} {"type":"email.sent"}"#, "record not_json");
    check(r#"{"type":NaN}"#, "record not_json");
    check(r#"{"count":Infinity}"#, "record not_json");
    check("{\"type\":\"a\u{1}b\"}", "record not_json");
    check("[1,2", "record not_json");
}

#[test]
fn bytes_that_are_not_utf_8() {
    check(b"{\"type\":\"email.sent\xff\"}", "record not_utf8");
    check(b"\xff\xfe{\0", "record not_utf8");
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    check(format!("\u{feff}{}", at(r#""2026-03-01T12:00:00Z""#)), "event");
}

#[test]
fn nothing_is_empty() {
    assert_eq!(outcome(&mut canonical(Limits::default()), None), "empty");
    for nothing in ["", " \n", "null", "[]", " [ ] ", "\u{feff}"] {
        check(nothing, "empty");
    }
}

#[test]
fn valid_json_of_another_shape() {
    for other in ["17", "\"text\"", "true", "1e400"] {
        check(other, "record wrong_shape");
    }
    check("{}", "missing_type");
    check("[17,{}]", "wrong_shape missing_type");
}

#[test]
fn nesting_has_a_limit_and_costs_no_stack() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        with(&format!(r#""attributes":{{"x":{open}{close}}}"#))
    };
    check(nested(62), "event");
    check(nested(63), "record too_deep");
    check("[".repeat(500_000), "record too_deep");
    check(r#"{"a":"[[[[[[[[[["#.repeat(100), "record too_deep");
    // With the limit off, a deep record is skipped over all the same.
    let limits = Limits { depth: usize::MAX, ..Limits::default() };
    assert_eq!(outcome(&mut canonical(limits), Some(nested(100_000).as_bytes())), "event");
}

#[test]
fn size_has_a_limit() {
    let filler = "x".repeat(1 << 20);
    check(with(&format!(r#""other":"{filler}""#)), "record too_large");
    check(with(&format!(r#""other":"{}""#, &filler[..1_000_000])), "event");
}

#[test]
fn a_list_of_a_million_elements_is_one_rejected_record() {
    let million = format!("[{}0]", "0,".repeat(999_999));
    check(&million, "record too_large");
    let limits = Limits { record_bytes: 1 << 24, ..Limits::default() };
    let found = outcome(&mut canonical(limits), Some(million.as_bytes()));
    assert_eq!(found, "record too_many_elements");
}

#[test]
fn one_bad_element_among_a_thousand_good_ones() {
    let good = at(r#""2026-03-01T12:00:00Z""#);
    let mut elements = vec![good.as_str(); 1_001];
    elements[500] = r#"{"type":"email.sent","time":"never"}"#;
    let mut expected = vec!["event"; 1_001];
    expected[500] = "bad_time";
    check(format!("[{}]", elements.join(",")), &expected.join(" "));
}

#[test]
fn a_key_that_stands_twice() {
    check(r#"{"type":"email.sent","type":"email.opened"}"#, "record duplicate_key");
    check(with(r#""other":1,"other":2"#), "event");
    check(with(r#""attributes":{"a":1,"a":2}"#), "duplicate_key");
    let good = at(r#""2026-03-01T12:00:00Z""#);
    check(format!(r#"[{good},{{"type":"a","type":"b"}},{good}]"#), "event duplicate_key event");
}

#[test]
fn half_of_a_surrogate_pair() {
    check(with(r#""campaign":"\ud800""#), "bad_text");
    check(with(r#""campaign":"\ud83d\ude00""#), "event");
    check(with(r#""other":"\ud800""#), "event");
    check(with(r#""\ud800":1"#), "record bad_text");
    check(r#"{"type":"\udc00","time":"2026-03-01T12:00:00Z"}"#, "bad_text");
}

#[test]
fn numbers_at_the_edges() {
    let money = |amount: &str| with(&format!(r#""value":{amount},"currency":"EUR""#));
    check(money("1e400"), "bad_number");
    check(money("\"1e400\""), "bad_number");
    check(money("-0"), "event");
    check(money("9007199254740993"), "event");
    check(money("18446744073709551616"), "event");
    check(money("\"NaN\""), "bad_number");
    check(money("\"inf\""), "bad_number");
    check(money("[1]"), "bad_number");
    check(with(r#""count":1e400"#), "bad_number");
    check(with(r#""count":-0"#), "event");
    // Where an object is expected, a number that fits no float is no object.
    check(with(r#""attributes":1e400"#), "event");
}

/// A restated total whose other fields are sound.
fn total(kind: &str, fields: &str) -> String {
    format!(r#"{{"type":"{kind}","time":"2026-03-01T12:00:00Z","key":"k",{fields}}}"#)
}

#[test]
fn a_count_is_not_negative_and_has_an_end() {
    let counted = |count: &str| with(&format!(r#""count":{count}"#));
    check(counted("-500"), "bad_number");
    check(counted("\"-1\""), "bad_number");
    check(counted("-0.000000001"), "bad_number");
    check(counted("1e20"), "bad_number");
    check(counted("1000000000000.000000001"), "bad_number");
    check(counted("1000000000000"), "event");
    check(counted("0"), "event");
    // One of them leaves the others alone.
    let (good, bad) = (counted("1"), counted("-1"));
    check(format!("[{good},{bad},{good}]"), "event bad_number event");
    // Of a type that nobody asks for, nobody asks for the number.
    check(r#"{"type":"email.teleported","count":-1}"#, "unknown_type");
}

#[test]
fn money_is_not_negative() {
    let money = |amount: &str| with(&format!(r#""value":{amount},"currency":"EUR""#));
    check(money("-0.01"), "bad_number");
    check(money("\"-19.99\""), "bad_number");
    check(money("-1e-10"), "event");
    check(money("0"), "event");
}

#[test]
fn restated_flows_may_be_negative_and_levels_may_not() {
    check(total("spend.clicks", r#""count":-3"#), "event");
    check(total("social.impressions", r#""count":-3"#), "event");
    check(total("spend.cost", r#""value":-3.5,"currency":"EUR""#), "event");
    check(total("spend.clicks", r#""count":-1000000000000.1"#), "bad_number");
    check(total("spend.clicks", r#""count":1e13"#), "bad_number");
    for level in ["email.list_size", "social.followers", "web.search_rank"] {
        check(total(level, r#""count":-3"#), "bad_number");
        check(total(level, r#""count":3"#), "event");
    }
}

#[test]
fn large_whole_numbers_keep_every_digit() {
    for digits in ["9007199254740993", "18446744073709551616", "12345678901234567890"] {
        let text = with(&format!(r#""user":{digits},"value":{digits},"currency":"EUR""#));
        let mut seen = Vec::new();
        canonical(Limits::default()).decode(&record(text.as_bytes()), &mut |element| {
            if let Element::Event(event) = element {
                let value = event.value.expect("a value");
                seen.push((event.user.clone().unwrap_or_default().into_owned(), value));
            }
        });
        let seen: Vec<_> =
            seen.into_iter().map(|(user, value)| (user, value.to_string())).collect();
        assert_eq!(seen, [(digits.to_owned(), digits.to_owned())]);
    }
}

#[test]
fn times_that_cannot_be() {
    check(r#"{"type":"email.sent"}"#, "missing_time");
    for missing in ["null", "\"\""] {
        check(at(missing), "missing_time");
    }
    for bad in ["\"yesterday\"", "\"2026-02-30T00:00:00Z\"", "1772366400", "true", "{}", "[1]"] {
        check(at(bad), "bad_time");
    }
    check(at("\"1600-01-01T00:00:00Z\""), "time_range");
    check(at("\"9999-12-31T23:59:59Z\""), "time_range");
    // An hour in the future can be read; what it means is judged where the clock is.
    check(at("\"2026-03-01T13:00:00Z\""), "event");
}

#[test]
fn types_that_nobody_knows() {
    check(r#"{"type":"email.teleported"}"#, "unknown_type");
    check(r#"{"type":"drop table"}"#, "unknown_type");
    check(r#"{"type":""}"#, "missing_type");
    check(r#"{"type":{"name":"email.sent"}}"#, "missing_type");
    // What a mapping file may say, a record may not.
    check(r#"{"type":"ignore"}"#, "unknown_type");
}

#[test]
fn long_and_odd_texts_are_texts() {
    let long = "n\\n\\\"\\u0007".repeat(1_500);
    check(with(&format!(r#""campaign":"{long}","attributes":{{"a\nb":"{long}"}}"#)), "event");
    let longer = "x".repeat((64 << 10) + 1);
    check(with(&format!(r#""campaign":"{longer}""#)), "bad_text");
    check(with(&format!(r#""other":"{longer}""#)), "event");
}
