use super::*;
use crate::admit::EventLedger;
use crate::aggregate::HashKey;
use crate::app::decoding::LedgerPart;
use crate::app::roles::TopicRole;
use crate::event::Vocabulary;
use crate::export::DeadLetterReport;
use crate::kafka::{GapReason, Position, TopicPattern};
use crate::kpi::{AggregateSpec, Declarations, MeasureSpec, Unit};

fn engine(committed: i64) -> Engine {
    let declarations = Declarations {
        vocabulary: Vocabulary::canonical(),
        measures: Vec::new(),
        kpis: Vec::new(),
        slices: Vec::new(),
        lateness: Span::from_secs(60),
        future_tolerance: Span::ZERO,
    };
    let plan = Plan::new(Arc::new(declarations), HashKey::from_bytes([0; 16]));
    let mut engine = Engine::new(Arc::new(plan), Arc::default(), None, at(0));
    let start = PartitionStart {
        topic: "t".into(),
        partition: 0,
        start_offset: 100,
        first_offset: 0,
        covered_from: None,
        committed: Some(committed),
        topic_id: None,
        resumed: false,
    };
    engine.partition(&start, at(0));
    engine
}

pub(super) fn at(secs: i64) -> EventTime {
    EventTime::from_secs(secs)
}

/// An engine that counts `m0` over a topic, or nothing.
pub(super) fn engine_over(topic: &str, allow_compacted: bool, adds_up: bool) -> Engine {
    let vocabulary = Vocabulary::canonical();
    let measure = MeasureSpec {
        id: "m0".to_owned(),
        help: String::new(),
        aggregate: AggregateSpec::Count,
        types: vocabulary.get("email.opened").into_iter().collect(),
        filters: Vec::new(),
        unit: Unit::Of("things".to_owned()),
    };
    let declarations = Declarations {
        vocabulary,
        measures: vec![measure],
        kpis: Vec::new(),
        slices: Vec::new(),
        lateness: Span::from_secs(60),
        future_tolerance: Span::ZERO,
    };
    let plan = Plan::new(Arc::new(declarations), HashKey::from_bytes([0; 16]));
    let role = TopicRole {
        stale_after: Span::from_secs(60),
        bears: Vec::new(),
        adds_up: if adds_up { vec![0] } else { Vec::new() },
        allow_compacted,
    };
    let bound = (TopicPattern::Exact(topic.to_owned()), Arc::new(role));
    Engine::new(Arc::new(plan), Arc::default(), None, at(0))
        .bound(TopicRoles::new(vec![bound], Span::from_secs(60)))
}

fn read_up_to(next_offset: i64) -> DecodedBatch {
    let position = Position {
        topic: "t".into(),
        partition: 0,
        next_offset,
        highest_timestamp: None,
        records: 1,
    };
    DecodedBatch { positions: vec![position], ..DecodedBatch::default() }
}

#[track_caller]
fn may_commit(engine: &Engine, unwritten: Option<i64>, expected: i64) {
    assert_eq!(engine.folded(|_, _| unwritten)[0].next_offset, expected);
}

#[test]
fn what_an_earlier_run_committed_is_not_taken_back_by_reading_below_it() {
    let mut engine = engine(1_000);
    may_commit(&engine, None, 1_000);
    engine.fold(read_up_to(600), at(1));
    may_commit(&engine, None, 1_000);
    engine.fold(read_up_to(1_200), at(2));
    may_commit(&engine, Some(1_100), 1_100);
    may_commit(&engine, None, 1_200);
    let gap = Gap {
        topic: "t".into(),
        partition: 0,
        from_offset: 1_200,
        to_offset: 0,
        covered_from: None,
        reason: GapReason::Recreated,
        lost: None,
        topic_id: None,
    };
    engine.gap(&gap, at(3));
    may_commit(&engine, None, 0);
}

pub(super) fn begins(topic: &str, offset: i64, covered_from: Option<i64>) -> PartitionStart {
    PartitionStart {
        topic: topic.into(),
        partition: 0,
        start_offset: offset,
        first_offset: offset,
        covered_from: covered_from.map(at),
        committed: None,
        topic_id: None,
        resumed: false,
    }
}

fn ends(topic: &str, position: i64, end_offset: i64) -> PartitionEnd {
    PartitionEnd {
        topic: topic.into(),
        partition: 0,
        position,
        end_offset,
        stable_offset: end_offset,
    }
}

/// A topic beside that of [`engine`] is read up to `read` of 1,000, and is gone.
#[track_caller]
fn check_gone(covered_from: Option<i64>, read: i64, expected: Option<i64>, losses: &[Losses]) {
    let mut engine = engine(0);
    engine.partition(&begins("u", 500, covered_from), at(10_000));
    engine.ends(&[ends("t", 100, 100), ends("u", read, 1_000)], at(10_000), at(10_000));
    engine.partition_gone("u", 0, at(10_001));
    let report = engine.report(at(10_001), DeadLetterReport::default(), false);
    assert_eq!(report.snapshot.map(|of| of.as_of), Some(at(10_001)));
    assert_eq!(report.covered_from, expected.map(at));
    assert_eq!(engine.missing().into_values().collect::<Vec<_>>(), losses);

    // So it is after a restart, and when the topic is there again.
    let head = Head::decode(&engine.cut().head).expect("a head");
    let mut later = super::tests::engine(0);
    later.resume(&head, |_| true, at(10_002)).expect("it is of this version");
    assert_eq!((later.covered_from(), later.missing()), (expected.map(at), engine.missing()));
    later.partition(&begins("u", 0, None), at(10_003));
    assert_eq!((later.covered_from(), later.missing()), (expected.map(at), engine.missing()));
}

#[test]
fn what_is_missing_of_a_partition_that_is_gone_is_missing_still() {
    check_gone(None, 1_000, None, &[]);
    check_gone(Some(9_000), 1_000, Some(9_000), &[]);
    check_gone(Some(9_000), 600, Some(10_001), &[Losses { gaps: 1, records: 400 }]);
    check_gone(None, 999, Some(10_001), &[Losses { gaps: 1, records: 1 }]);
}

#[test]
fn an_id_that_comes_late_is_saved() {
    let saved = |engine: &mut Engine| {
        let head = Head::decode(&engine.cut().head).expect("a head");
        head.topics[0].partitions[0].topic_id.clone()
    };
    let mut engine = engine(0);
    assert_eq!(saved(&mut engine), None);
    for id in ["first", "another"] {
        engine.topic_id("t", id);
        // Another one would come with a gap.
        assert_eq!(saved(&mut engine).as_deref(), Some("first"));
    }
}

#[test]
fn a_timestamp_above_the_clock_does_not_hide_what_is_recent() {
    let mut engine = engine(0);
    let rejected_at = |minute| {
        let events = EventLedger { decoded: 1, late: 1, ..EventLedger::default() };
        let ledger = Ledger { events, ..Ledger::default() };
        let part = LedgerPart { topic: "t".into(), minute: Some(at(minute)), ledger };
        DecodedBatch { ledgers: vec![part], ..DecodedBatch::default() }
    };
    for minute in 0..6 {
        engine.fold(rejected_at(4_000_000_000 + 60 * minute), at(6_000));
    }
    engine.fold(rejected_at(6_000), at(6_001));
    let report = engine.report(at(6_001), DeadLetterReport::default(), false);
    assert_eq!(report.topics[0].recent.at(at(6_001)).events.late, 7);
}
