//! Which format fits: asked of the records that the shipped formats are tested with.

use std::fs;

use tidegauge::config::shipped_formats;
use tidegauge::event::RawRecord;
use tidegauge::format::{Choice, Fit, Fitting, FormatSpec, choose};

use crate::formats::{cases, record};

fn fits(formats: &[FormatSpec], records: &str, headers: &str) -> Vec<Fit> {
    let headers: Vec<(&str, Option<&[u8]>)> = headers
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name, Some(value.as_bytes())))
        .collect();
    let mut fitting = Fitting::new(formats);
    for line in records.lines() {
        fitting.add(&RawRecord { headers: &headers, ..record(line.as_bytes()) });
    }
    fitting.finish()
}

#[test]
fn every_shipped_format_is_found_by_its_records() {
    let formats = shipped_formats();
    for (format, path, headers) in cases() {
        let fits = fits(&formats, &fs::read_to_string(&path).expect("records"), &headers);
        match choose(&fits) {
            Choice::One(best) => assert_eq!(best.format, format, "{}: {fits:#?}", path.display()),
            other => panic!("{}: {other:#?}", path.display()),
        }
    }
}

#[test]
fn what_was_seen_is_counted() {
    let event = |kind: &str, campaign: &str| {
        format!(
            r#"{{"id":"1","type":"{kind}","time":"2026-03-01T12:00:00Z","campaign":"{campaign}"}}"#
        )
    };
    let records = [
        event("email.opened", "spring"),
        event("email.opened", "autumn"),
        event("email.clicked", "spring"),
        event("nobody.knows", "spring"),
        "no JSON".to_owned(),
        String::new(),
    ];
    let fits = fits(&shipped_formats(), &records.join("\n"), "");
    let best = &fits[0];
    assert_eq!(
        (best.format.as_str(), best.records, best.read, best.refused),
        ("canonical", 5, 3, 1)
    );
    assert_eq!(best.types.values().sum::<usize>(), 3);
    assert_eq!(best.campaigns.iter().collect::<Vec<_>>(), ["autumn", "spring"]);
}

#[test]
fn ties_and_foreign_records_are_said() {
    let formats = shipped_formats();
    assert_eq!(choose(&fits(&formats, "{\"a\":1}\nhello", "")), Choice::NoneFits);
    assert_eq!(choose(&fits(&formats, "", "")), Choice::NoRecord);
    let canonical = formats.iter().find(|format| format.name == "canonical").expect("shipped");
    let twin = FormatSpec { name: "twin".to_owned(), ..canonical.clone() };
    let record = r#"{"id":"1","type":"email.opened","time":"2026-03-01T12:00:00Z"}"#;
    match choose(&fits(&[canonical.clone(), twin], record, "")) {
        Choice::Several(fits) => {
            let names: Vec<&str> = fits.iter().map(|fit| fit.format.as_str()).collect();
            assert_eq!(names, ["canonical", "twin"]);
        }
        other => panic!("{other:?}"),
    }
}
