//! The shipped formats on invented records, each beside the lines that `decode`
//! shows for it.
//!
//! `tests/fixtures/formats/FORMAT/CASE.jsonl` holds a record a line, with
//! `CASE.headers` for all of them if there is one, and `CASE.expected` the outcomes,
//! with an empty line between records. `UPDATE_EXPECT=1` rewrites what is expected,
//! except where `CI` is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use tidegauge::config::shipped_formats;
use tidegauge::event::{EventTime, RawRecord, Vocabulary};
use tidegauge::format::{
    Action, Decoder, Element, Format, FormatSpec, Limits, RecordOutcome, Wanted, show,
};

/// When the records of all cases were written, 2026-03-01T12:00:00Z.
pub(crate) const WRITTEN: EventTime = EventTime::from_secs(1_772_366_400);

/// A decoder of a shipped format.
pub(crate) fn decoder(name: &str, wanted: &Wanted) -> Decoder {
    static SPECS: LazyLock<Vec<FormatSpec>> = LazyLock::new(shipped_formats);
    let spec = SPECS.iter().find(|spec| spec.name == name);
    let spec = spec.unwrap_or_else(|| panic!("no format {name}"));
    let format = Format::compile(spec, &Vocabulary::canonical(), wanted);
    Decoder::new(Arc::new(format), Limits::default())
}

/// A record with that value.
pub(crate) fn record(value: &[u8]) -> RawRecord<'_> {
    RawRecord {
        topic: "t",
        partition: 0,
        offset: 0,
        timestamp: Some(WRITTEN),
        key: None,
        value: Some(value),
        headers: &[],
    }
}

/// What `decode` shows of a record, a line for each outcome.
pub(crate) fn shown(decoder: &mut Decoder, record: &RawRecord<'_>) -> Vec<String> {
    let vocabulary = Vocabulary::canonical();
    let mut lines = Vec::new();
    let outcome = decoder.decode(record, &mut |element| {
        lines.push(show::element_json(&element, &vocabulary).to_string());
    });
    let whole = show::record_json(&outcome);
    assert!(whole.is_none() || lines.is_empty(), "elements of a record that is {outcome:?}");
    assert!(outcome != RecordOutcome::Decoded || !lines.is_empty(), "decoded into nothing");
    lines.extend(whole.map(|line| line.to_string()));
    lines
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats")
}

/// Every `(format, records, headers)` of the fixtures.
pub(crate) fn cases() -> Vec<(String, PathBuf, String)> {
    let mut cases = Vec::new();
    for folder in fs::read_dir(fixtures()).expect("the fixtures").flatten() {
        let format = folder.file_name().to_string_lossy().into_owned();
        for file in fs::read_dir(folder.path()).expect("a format's fixtures").flatten() {
            let path = file.path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                let headers = fs::read_to_string(path.with_extension("headers"));
                cases.push((format.clone(), path, headers.unwrap_or_default()));
            }
        }
    }
    cases.sort();
    assert!(cases.len() >= 8, "a case for each format");
    cases
}

fn decode_case(format: &str, records: &str, headers: &str) -> String {
    let headers: Vec<(&str, Option<&[u8]>)> = headers
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name, Some(value.as_bytes())))
        .collect();
    let mut decoder = decoder(format, &Wanted::All);
    let blocks: Vec<String> = records
        .lines()
        .map(|line| {
            let record = RawRecord { headers: &headers, ..record(line.as_bytes()) };
            shown(&mut decoder, &record).iter().map(|line| format!("{line}\n")).collect()
        })
        .collect();
    blocks.join("\n")
}

#[test]
fn records_of_every_format_have_the_expected_outcomes() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    assert!(!update || std::env::var_os("CI").is_none(), "UPDATE_EXPECT is not for CI");
    let mut faults = Vec::new();
    for (format, path, headers) in cases() {
        let records = fs::read_to_string(&path).expect("records");
        let found = decode_case(&format, &records, &headers);
        let beside = path.with_extension("expected");
        if update {
            fs::write(&beside, &found).expect("a writable fixture");
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        for (place, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            if found != expected {
                let at = format!("{}:{}", beside.display(), place + 1);
                faults.push(format!("{at}\n  expected {expected}\n  found    {found}"));
            }
        }
        if found.lines().count() != expected.lines().count() {
            faults.push(format!("{}: another number of lines", beside.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_nobody_asks_for_changes_nothing_else() {
    let wanted = Wanted::Named(["link".to_owned(), "class".to_owned()].into());
    for (format, path, _) in cases() {
        let records = fs::read_to_string(&path).expect("records");
        let (mut all, mut some) = (decoder(&format, &Wanted::All), decoder(&format, &wanted));
        for line in records.lines() {
            let mut of_all = Vec::new();
            let mut of_some = Vec::new();
            let all = all.decode(&record(line.as_bytes()), &mut |element| {
                of_all.push(without_other_attributes(&element));
            });
            let some = some.decode(&record(line.as_bytes()), &mut |element| {
                of_some.push(without_other_attributes(&element));
            });
            assert_eq!((all, of_all), (some, of_some), "{format}: {line}");
        }
    }
}

fn without_other_attributes(element: &Element<'_>) -> String {
    match element {
        Element::Event(event) => {
            let mut event = (*event).clone();
            event.attributes.retain(|(name, _)| name == "link" || name == "class");
            event.attributes.sort();
            format!("{event:?}")
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn canonical_reads_back_what_is_shown() {
    for (format, path, headers) in cases() {
        let records = fs::read_to_string(&path).expect("records");
        let shown_first = decode_case(&format, &records, &headers);
        for line in shown_first.lines().filter(|line| line.contains("\"outcome\":\"event\"")) {
            let event = line
                .strip_prefix("{\"outcome\":\"event\",\"event\":")
                .and_then(|line| line.strip_suffix("}"))
                .expect("an event");
            let mut canonical = decoder("canonical", &Wanted::All);
            assert_eq!(shown(&mut canonical, &record(event.as_bytes())), [line]);
        }
    }
}

#[test]
fn a_mapping_takes_the_sign_off_what_a_vendor_writes_below_0() {
    let mut spec = shipped_formats().into_iter().find(|spec| spec.name == "canonical").expect("it");
    for variant in &mut spec.variants {
        let Action::Read { fields, .. } = &mut variant.action else { continue };
        fields.value.iter_mut().for_each(|money| money.source.trim = Some("-".to_owned()));
    }
    let format = Format::compile(&spec, &Vocabulary::canonical(), &Wanted::All);
    let mut decoder = Decoder::new(Arc::new(format), Limits::default());
    for amount in ["-19.99", r#""-19.99""#, "19.99"] {
        let refund = format!(
            r#"{{"type":"commerce.refunded","time":"2026-03-01T12:00:00Z","value":{amount},"currency":"EUR"}}"#
        );
        let lines = shown(&mut decoder, &record(refund.as_bytes()));
        assert!(lines[0].contains(r#""value":"19.99""#), "{lines:?}");
    }
}

#[test]
fn synthesised_ids_never_change() {
    let record_of = r#"{"specversion":"1.0","id":"1","source":"s","type":"email.sent"}"#;
    let lines = shown(&mut decoder("cloudevents", &Wanted::All), &record(record_of.as_bytes()));
    assert!(lines[0].contains(r#""id":"cbaf24125fa96bccac9e7acc7084109f""#), "{lines:?}");
}

/// A valid record of some format, as bytes.
fn valid_record() -> impl Strategy<Value = (String, Vec<u8>)> {
    let records: Vec<(String, Vec<u8>)> = cases()
        .into_iter()
        .flat_map(|(format, path, _)| {
            let records = fs::read_to_string(path).expect("records");
            records
                .lines()
                .map(|line| (format.clone(), line.as_bytes().to_vec()))
                .collect::<Vec<_>>()
        })
        .collect();
    proptest::sample::select(records)
}

/// A change of one place of a record.
fn mutate(bytes: &mut Vec<u8>, place: usize, with: &[u8], kind: u8) {
    let at = place % (bytes.len() + 1);
    match kind % 3 {
        0 => drop(bytes.splice(at..at, with.iter().copied())),
        1 => bytes.truncate(at),
        _ => {
            let end = (at + with.len()).min(bytes.len());
            drop(bytes.splice(at..end, with.iter().copied()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_have_an_outcome(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for name in ["canonical", "amazon_ses"] {
            shown(&mut decoder(name, &Wanted::All), &record(&bytes));
        }
    }

    #[test]
    fn any_change_of_a_record_has_an_outcome(
        (format, bytes) in valid_record(),
        changes in prop::collection::vec(
            (any::<usize>(), prop::sample::select(vec![
                &b"\""[..], b"{", b"}", b"[", b"]", b",", b":", b"\\ud800", b"\\", b"null",
                b"1e400", b"NaN", b"-0", b"[[[[", b"\xff", b"\xef\xbb\xbf", b"|", b"\n", b"{}",
            ]), any::<u8>()),
            1..5,
        ),
    ) {
        let mut decoder = decoder(&format, &Wanted::All);
        let mut changed = bytes.clone();
        for (place, with, kind) in changes {
            mutate(&mut changed, place, with, kind);
        }
        shown(&mut decoder, &record(&changed));
        // What a record leaves in the scratch buffers does not show in the next.
        let after = shown(&mut decoder, &record(&bytes));
        let fresh = shown(&mut self::decoder(&format, &Wanted::All), &record(&bytes));
        prop_assert_eq!(after, fresh);
    }
}
