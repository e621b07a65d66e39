//! Whatever the clock says for a while: once it is right, every event counts once, and
//! figures are those of an instance whose clock was right all the time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::aggregate::HashKey;
use crate::app::decoding::LedgerPart;
use crate::config;
use crate::event::{Decimal, Event, Vocabulary};
use crate::export::{DeadLetterReport, Report};
use crate::kafka::Position;

const CONFIG: &str = "[kafka]\nbrokers = \"127.0.0.1:1\"\n\
    [[topics]]\nname = \"t\"\nformat = \"canonical\"\n";
const HORIZON: Span = Span::from_secs(16 * 60);
/// When all that is read at first is written.
const NOW: i64 = 1_781_006_400;
const DAY: i64 = 86_400;

/// By partition: ids and seconds before [`NOW`], each in order of time.
type Logs = Vec<Vec<(u64, i64)>>;

/// Clocks by turns: from which on each is ahead by so many seconds.
type Clocks = Vec<(usize, i64)>;

struct Instance {
    plan: Arc<Plan>,
    engine: Engine,
    /// What is on the disk.
    head: Vec<u8>,
    changes: Vec<(Vec<u8>, Vec<u8>)>,
    lists: BTreeMap<ListName, Vec<u64>>,
}

fn begun(plan: &Arc<Plan>) -> Engine {
    let mut engine = Engine::new(Arc::clone(plan), Arc::default(), Some(HORIZON), at(NOW));
    engine.keep_ids_journal();
    engine
}

fn at(secs: i64) -> EventTime {
    EventTime::from_secs(secs)
}

impl Instance {
    fn new(plan: &Arc<Plan>, partitions: usize, now: EventTime) -> Instance {
        let mut engine = begun(plan);
        engine.keep_journal();
        let (head, changes, lists) = Default::default();
        let mut instance = Instance { plan: Arc::clone(plan), engine, head, changes, lists };
        instance.engine.found("t", &(0..partitions as i32).collect::<Vec<_>>(), now);
        instance.start(partitions, false, now);
        instance
    }

    fn start(&mut self, partitions: usize, resumed: bool, now: EventTime) {
        for partition in 0..partitions as i32 {
            let start = PartitionStart {
                topic: "t".into(),
                partition,
                start_offset: 0,
                first_offset: 0,
                covered_from: None,
                committed: None,
                topic_id: None,
                resumed,
            };
            self.engine.partition(&start, now);
        }
    }

    fn read(&mut self, partition: usize, offset: usize, id: u64, secs: i64, now: EventTime) {
        let event = Event {
            id: Some(id.to_string().into()),
            kind: Vocabulary::canonical().get("email.opened").expect("a type"),
            time: at(secs),
            campaign: Some("spring".into()),
            channel: "email".into(),
            source: "mailer".into(),
            user: Some((id % 7).to_string().into()),
            message: None,
            value: None,
            currency: None,
            count: Decimal::ONE,
            key: None,
            machine: None,
            attributes: Vec::new(),
        };
        let mut batch = DecodedBatch::default();
        self.plan.reduce(&event, Some(at(secs)), &mut batch.events);
        let mut ledger = Ledger::default();
        ledger.events.decoded = 1;
        ledger.events.counted = 1;
        batch.ledgers.push(LedgerPart { topic: "t".into(), minute: None, ledger });
        batch.counted_in.push((1, 0));
        batch.positions.push(Position {
            topic: "t".into(),
            partition: partition as i32,
            next_offset: offset as i64 + 1,
            highest_timestamp: Some(at(secs)),
            records: 1,
        });
        self.engine.fold(batch, now);
    }

    fn ends(&mut self, logs: &Logs, read: &[usize], now: EventTime) {
        let ends: Vec<PartitionEnd> = (0..logs.len())
            .map(|partition| PartitionEnd {
                topic: "t".into(),
                partition: partition as i32,
                position: read[partition] as i64,
                end_offset: logs[partition].len() as i64,
                stable_offset: logs[partition].len() as i64,
            })
            .collect();
        self.engine.ends(&ends, now, now);
    }

    fn report(&mut self, now: EventTime) -> Report {
        self.engine.report(now, DeadLetterReport::default(), false)
    }

    /// It is saved, killed, and begun anew from what was saved.
    fn restart(&mut self, partitions: usize, now: EventTime) {
        let cut = self.engine.cut();
        for list in cut.dropped {
            self.lists.remove(&list);
        }
        for addition in cut.additions {
            self.lists.entry(addition.list).or_default().extend(addition.items);
        }
        self.changes.push((self.engine.schema(), cut.changes));
        self.head = cut.head;
        let head = Head::decode(&self.head).expect("a head");
        self.engine = begun(&self.plan);
        let (store, ids) = self.engine.store_and_ids();
        for (schema, changes) in &self.changes {
            store.restore(schema, changes).expect("it is whole");
        }
        let ids = ids.expect("they are remembered");
        if let Some(present) = head.ids_present {
            ids.go_on_from(EventTime::from_micros(present));
        }
        for (ListName { family, number }, items) in &self.lists {
            ids.restore(Span::from_micros(*family), *number, items);
        }
        ids.restored();
        self.engine.restored(&head, now).expect("it is whole");
        self.engine.resume(&head, |_| true, now).expect("it is of this version");
        self.engine.keep_journal();
        self.start(partitions, true, now);
    }

    fn counted(&self) -> u64 {
        self.engine.ledgers()[0].1.events.counted
    }
}

/// Reads everything, some of it again, and gives what counted and all figures.
fn run(logs: &Logs, clocks: &Clocks, order: u64) -> (u64, String) {
    let config = config::parse("t.toml", CONFIG, &|_| None).expect("a configuration");
    let plan = Arc::new(Plan::new(Arc::new(config.declarations), HashKey::from_bytes([3; 16])));
    let ahead = |turn: usize| {
        let since = clocks.iter().rev().find(|(from, _)| *from <= turn);
        since.map_or(0, |(_, ahead)| *ahead)
    };
    let clock = |turn: usize| at(NOW + turn as i64 / 20 + ahead(turn));
    let mut logs = logs.clone();
    let mut instance = Instance::new(&plan, logs.len(), clock(0));
    let mut read = vec![0; logs.len()];
    let mut random = order;
    for turn in 0.. {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (now, decides) = (clock(turn), (random >> 33) as usize);
        let partition = decides % logs.len();
        if let Some(&(id, before)) = logs[partition].get(read[partition]) {
            instance.read(partition, read[partition], id, NOW - before, now);
            read[partition] += 1;
        }
        match decides / 8 % 40 {
            0..6 => drop(instance.report(now)),
            6..12 => instance.ends(&logs, &read, now),
            12 => instance.restart(logs.len(), now),
            _ => {}
        }
        let is_right = clocks.last().is_none_or(|(from, _)| *from <= turn);
        if is_right && read.iter().zip(&logs).all(|(read, log)| *read == log.len()) {
            break;
        }
    }
    // The clock is right: all that is within the horizon comes again, to anywhere.
    let recent = logs.iter().flatten().filter(|(_, before)| *before < HORIZON.micros() / 1_100_000);
    let again: BTreeSet<u64> = recent.map(|(id, _)| *id).collect();
    let now = at(NOW + 60);
    instance.ends(&logs, &read, now);
    instance.report(now);
    for id in again {
        let partition = (id % logs.len() as u64) as usize;
        logs[partition].push((id, -60));
        instance.read(partition, read[partition], id, NOW + 60, now);
        read[partition] += 1;
        instance.ends(&logs, &read, now);
        instance.report(now);
    }
    let counted = instance.counted();
    let figures = instance.report(now).snapshot.expect("all is read");
    assert_eq!(figures.as_of, now);
    (counted, format!("{:?}", figures.slices))
}

/// Ids in up to four partitions, each in rounds that lie further apart than the horizon,
/// by anything up to three years.
fn logs() -> impl Strategy<Value = (Logs, u64)> {
    let rounds = prop_oneof![0..4i64, 0..30i64, 0..30_000i64];
    let sightings = prop::collection::vec((rounds, 0..840i64, 0..4usize), 1..5);
    prop::collection::vec(sightings, 1..40).prop_map(|ids| {
        let mut logs = vec![Vec::new(); 4];
        let mut acts = 0;
        for (id, sightings) in ids.into_iter().enumerate() {
            let rounds: BTreeSet<i64> = sightings.iter().map(|(round, _, _)| *round).collect();
            acts += rounds.len() as u64;
            for (round, before, partition) in sightings {
                logs[partition].push((id as u64, round * 3_600 + before));
            }
        }
        logs.iter_mut().for_each(|log| log.sort_by_key(|(_, before)| -before));
        (logs, acts)
    })
}

/// Clocks that are wrong for a while, once or several times.
fn clocks() -> impl Strategy<Value = Clocks> {
    let ahead = prop_oneof![
        Just(-NOW),
        Just(73 * 366 * DAY),
        -900 * DAY..900 * DAY,
        -10 * DAY..10 * DAY,
        -3_600..3_600i64,
    ];
    prop::collection::vec((0..120usize, 1..120usize, ahead), 1..4).prop_map(|wrong| {
        let mut clocks = Vec::new();
        let mut turn = 0;
        for (after, turns, ahead) in wrong {
            // The first is wrong from the start as often as not.
            turn += after / 2 * 2 % 61;
            clocks.push((turn, ahead));
            turn += turns;
            clocks.push((turn, 0));
        }
        clocks
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_clock_that_is_wrong_for_a_while_changes_nothing_once_it_is_right(
        (logs, acts) in logs(),
        clocks in clocks(),
        order in any::<u64>(),
    ) {
        let (counted, figures) = run(&logs, &clocks, order);
        prop_assert_eq!(counted, acts);
        let (right, as_they_are) = run(&logs, &Vec::new(), order);
        prop_assert_eq!(right, acts);
        prop_assert_eq!(figures, as_they_are);
    }
}
