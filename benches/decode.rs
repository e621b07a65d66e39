//! What decoding costs, by format, against the floor: serde_json's borrowed parse of
//! the same bytes into a struct with the fields that are needed.
//!
//! `cargo bench --bench decode`

#![allow(missing_docs)]

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidegauge::config::shipped_formats;
use tidegauge::event::{EventTime, RawRecord, Vocabulary};
use tidegauge::format::{Decoder, Element, Format, Limits, Wanted};

const CANONICAL: &str = concat!(
    r#"{"id":"5f0c2d1e-7a55-4a0e-9d6f-3a1f0b8c9d11","type":"email.clicked","#,
    r#""time":"2026-03-01T12:00:00.123Z","campaign":"Spring sale 2026","channel":"email","#,
    r#""source":"mailer-eu-1","user":"reader-18273645","message":"m-99887766","machine":false,"#,
    r#""attributes":{"link":"https://example.org/offer?id=42","position":"3"}}"#,
);

const SENDGRID: &str = concat!(
    r#"[{"email":"reader@example.org","timestamp":1772366400,"smtp-id":"<1.2@example.org>","#,
    r#""event":"click","category":["Spring sale 2026"],"sg_event_id":"Zm9vYmFyYmF6cXV4Cg==","#,
    r#""sg_message_id":"14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0","#,
    r#""useragent":"Mozilla/5.0","ip":"192.0.2.7","url":"https://example.org/offer?id=42"}]"#,
);

const SNS: &str = concat!(
    r#"{"Type":"Notification","MessageId":"n-1","Message":"{\"eventType\":\"Open\",\"mail\":"#,
    r#"{\"timestamp\":\"2026-03-01T12:00:00.000Z\",\"messageId\":\"a-1\",\"destination\":"#,
    r#"[\"reader@example.org\"],\"tags\":{\"campaign\":[\"Spring sale\"]}},\"open\":"#,
    r#"{\"timestamp\":\"2026-03-01T12:06:00.000Z\"}}","Timestamp":"2026-03-01T12:06:01.000Z"}"#,
);

#[derive(serde::Deserialize)]
struct Floor<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    campaign: Cow<'a, str>,
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    machine: bool,
    #[serde(borrow)]
    attributes: FloorAttributes<'a>,
}

#[derive(serde::Deserialize)]
struct FloorAttributes<'a> {
    #[serde(borrow)]
    link: Cow<'a, str>,
}

fn decoder(name: &str) -> Decoder {
    let spec = shipped_formats().into_iter().find(|spec| spec.name == name).expect("shipped");
    let wanted = Wanted::Named(["class", "link", "goal"].map(str::to_owned).into());
    let format = Format::compile(&spec, &Vocabulary::canonical(), &wanted);
    Decoder::new(Arc::new(format), Limits::default())
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (case, format, text) in [
        ("canonical", "canonical", CANONICAL),
        ("sendgrid", "sendgrid", SENDGRID),
        ("amazon_ses in SNS", "amazon_ses", SNS),
    ] {
        let mut decoder = decoder(format);
        let record = RawRecord {
            topic: "t",
            partition: 0,
            offset: 0,
            timestamp: Some(EventTime::from_secs(1_772_366_400)),
            key: None,
            value: Some(text.as_bytes()),
            headers: &[],
        };
        let mut events = 0;
        decoder.decode(&record, &mut |element| {
            events += usize::from(matches!(element, Element::Event(_)));
        });
        assert_eq!(events, 1, "{case} decodes into one event");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(case, |bencher| {
            bencher.iter(|| {
                decoder.decode(black_box(&record), &mut |element| {
                    black_box(&element);
                })
            });
        });
    }
    group.throughput(Throughput::Bytes(CANONICAL.len() as u64));
    group.bench_function("floor: serde_json into a struct", |bencher| {
        bencher.iter(|| {
            let bytes = black_box(CANONICAL.as_bytes());
            let floor: Floor<'_> = serde_json::from_slice(bytes).expect("sound JSON");
            black_box(&floor.attributes.link);
            black_box((&floor.id, &floor.kind, &floor.time, &floor.campaign, &floor.channel));
            black_box((&floor.source, &floor.user, &floor.message, floor.machine));
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
