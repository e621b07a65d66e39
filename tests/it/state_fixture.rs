//! A whole state as the first version saved it, which every later version has to read.
//!
//! `tests/fixtures/state/v1-engine` was written by the first version: cells of all
//! kinds, a slice above its cap, ids, ledgers, offsets, over several cycles. It is made
//! anew only where it is missing and `UPDATE_EXPECT=1` is said; what is read from it is
//! beside it, as text.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegauge::admit::{EventLedger, Ledger, RecordLedger};
use tidegauge::aggregate::HashKey;
use tidegauge::app::saved::{self, Loaded};
use tidegauge::app::{DecodedBatch, Engine, LedgerPart};
use tidegauge::checkpoint::{Directory, Home as _, Step};
use tidegauge::event::{EventTime, Span};
use tidegauge::export::DeadLetterReport;
use tidegauge::kafka::{PartitionEnd, PartitionStart, Position};
use tidegauge::kpi::Plan;

use crate::recount_model::{Act, KINDS, MEASURES, declare, slice};

/// 2026-06-09T12:00:00Z.
const NOW: i64 = 1_781_006_400;
const HORIZON: Span = Span::from_secs(72 * 3_600);
const CHECKPOINTS: i64 = 40;
const A_CHECKPOINT: i64 = 150;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state")
}

fn at(secs: i64) -> EventTime {
    EventTime::from_secs(secs)
}

fn engine() -> (Arc<Plan>, Engine) {
    let declared = declare(vec![
        slice("all", &[], &[300, 3_600, 86_400], 1),
        slice("campaign", &["campaign"], &[3_600], 3),
        slice("area", &["campaign", "region"], &[600, 86_400], 100),
    ]);
    let plan = Arc::new(Plan::new(declared, HashKey::from_bytes([7; 16])));
    let engine = Engine::new(Arc::clone(&plan), Arc::default(), Some(HORIZON), at(NOW));
    (plan, engine)
}

/// The acts of one checkpoint: some of everything.
fn acts(checkpoint: i64) -> Vec<Act> {
    let act = |number: i64| {
        let kind = KINDS[(number % KINDS.len() as i64) as usize];
        Act {
            at: NOW + checkpoint * 7 - number % 900,
            kind,
            campaign: (number % 11 != 0).then(|| format!("campaign {}", number % 6)),
            region: (number % 3 != 0).then(|| format!("region {}", number % 2)),
            user: Some(format!("user {}", number * 13 % 1_500)),
            count: 1 + number % 4,
            cents: (kind == "commerce.order_paid").then_some(number * 17 % 9_999),
            foreign: number % 29 == 0,
            key: (kind == "email.list_size").then(|| format!("list {}", number % 5)),
            id: Some(format!("id {}", number * 10 / 11)),
            class: (number % 2 == 0).then_some("hard"),
            machine: Some(number % 4 == 0),
        }
    };
    (checkpoint * A_CHECKPOINT..(checkpoint + 1) * A_CHECKPOINT).map(act).collect()
}

fn save(path: &Path) {
    let (plan, mut engine) = engine();
    engine.keep_ids_journal();
    engine.keep_journal();
    engine.store_and_ids().0.set_shortest_cycle(20_000);
    engine.cluster("the-first-cluster").expect("no other was known");
    for partition in 0..2 {
        let start = PartitionStart {
            topic: "events".into(),
            partition,
            start_offset: 0,
            first_offset: 0,
            covered_from: (partition == 1).then(|| at(NOW - 80_000)),
            committed: None,
            topic_id: Some("the-first-topic".to_owned()),
            resumed: false,
        };
        engine.partition(&start, at(NOW));
    }
    let mut directory = Directory::open(path, Some(1)).expect("a directory");
    assert!(directory.recover().expect("a directory").is_none(), "it is new");
    let schema: Arc<[u8]> = engine.schema().into();
    let mut begins_cycle = true;
    let mut cycles = 0;
    for checkpoint in 0..CHECKPOINTS {
        let now = at(NOW + checkpoint * 7);
        let mut batch = DecodedBatch::default();
        let acts = acts(checkpoint);
        for act in &acts {
            let event = act.event(&plan.declarations().vocabulary);
            plan.reduce(&event, Some(now), &mut batch.events);
        }
        let count = acts.len() as u64;
        let records = RecordLedger { read: count, decoded: count, ..RecordLedger::default() };
        let events = EventLedger { decoded: count, counted: count, ..EventLedger::default() };
        let ledger = Ledger { records, events };
        batch.ledgers.push(LedgerPart { topic: "events".into(), minute: Some(now), ledger });
        batch.counted_in.push((acts.len(), 0));
        let partition = (checkpoint % 2) as i32;
        let next_offset = (checkpoint + 1) * A_CHECKPOINT;
        batch.positions.push(Position {
            topic: "events".into(),
            partition,
            next_offset,
            highest_timestamp: Some(now),
            records: count,
        });
        engine.fold(batch, now);
        let end = PartitionEnd {
            topic: "events".into(),
            partition,
            end_offset: next_offset,
            stable_offset: next_offset,
            position: next_offset,
        };
        engine.ends(&[end], now, now);
        engine.report(now, DeadLetterReport::default(), false);
        let cut = engine.cut();
        let step = Step {
            sequence: checkpoint as u64 + 1,
            made_at: now,
            schema: Arc::clone(&schema),
            head: cut.head,
            changes: cut.changes,
            additions: cut.additions,
            dropped: cut.dropped,
            begins_cycle,
        };
        begins_cycle = cut.completes_cycle;
        cycles += u32::from(begins_cycle);
        directory.append(&step).expect("written");
    }
    assert!(cycles > 2, "only {cycles} cycles");
    drop(directory);
    fs::remove_file(path.join("lock")).expect("a lock");
}

/// What can be asked of the state, as text.
fn read(path: &Path) -> String {
    let (_, mut engine) = engine();
    engine.keep_ids_journal();
    let mut directory = Directory::open_read_only(path).expect("a directory");
    let recovered = directory.recover().expect("whole").expect("a checkpoint");
    let now = at(NOW + CHECKPOINTS * 7);
    let loaded = saved::load(path, recovered, &mut engine, |_| true, now).expect("it is read");
    assert_eq!(loaded, Loaded::SameDeclarations);
    let mut text = String::new();
    for ((topic, partition), at) in engine.resume_at() {
        writeln!(text, "{topic} {partition}: {at:?}").expect("text");
    }
    for (topic, mut ledger) in engine.ledgers() {
        assert!(ledger.balances(), "{topic}");
        ledger.each_count(|name, count| {
            if *count > 0 {
                writeln!(text, "{topic} {} {}: {count}", name.ledger, name.outcome).expect("text");
            }
        });
    }
    let ids = engine.store_and_ids().1.expect("ids are remembered").len();
    writeln!(text, "{ids} ids").expect("text");
    let report = engine.report(now, DeadLetterReport::default(), false);
    let snapshot = report.snapshot.expect("figures");
    writeln!(text, "as of {}", snapshot.as_of).expect("text");
    for of in &snapshot.slices {
        writeln!(text, "slice {}: {} values folded", of.slice, of.folded_values).expect("text");
        for series in &of.series {
            let values: Vec<&str> = series.values.iter().map(AsRef::as_ref).collect();
            for (place, figure) in series.measures.iter().enumerate() {
                let (window, measure) = (place / MEASURES.len(), MEASURES[place % MEASURES.len()]);
                let figure =
                    figure.map_or("absent".to_owned(), |figure| figure.to_f64().to_string());
                writeln!(text, "{values:?} {window} {measure} {figure}").expect("text");
            }
        }
    }
    text
}

#[test]
fn the_first_versions_state_is_read() {
    let (state, expected) = (folder().join("v1-engine"), folder().join("v1-engine.txt"));
    if std::env::var_os("UPDATE_EXPECT").is_some() && !state.exists() {
        save(&state);
        fs::write(&expected, read(&state)).expect("written");
    }
    let expected = fs::read_to_string(&expected).expect("what it says");
    assert!(expected.lines().count() > 100, "a whole state");
    assert_eq!(read(&state), expected);
}
