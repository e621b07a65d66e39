use std::thread;

use super::super::client;
use super::super::events::PartitionStart;
use super::super::{DemoBroker, Producer, StartAt};
use super::*;
use crate::kafka::events::{Gap, GapReason};
use crate::kafka::shared::Begin;

type Clock = fn() -> EventTime;

/// One that reads partition 0 of `mail`, of that id, from its beginning, with so many
/// places in its channel.
fn reading(
    brokers: &str,
    id: Option<&str>,
    places: usize,
) -> (Reading<Clock>, Receiver<SourceEvent>) {
    let settings = SourceSettings::new(brokers, "tidegauge.test", vec![], StartAt::Beginning);
    let settings = Arc::new(settings);
    let (shared, noted, _) = Shared::new(&settings);
    let shared = Arc::new(shared);
    let reader = Arc::new(client::reader(&settings, &shared).expect("a client"));
    let (events, received) = bounded(places);
    let clock: Clock = || EventTime::from_secs(1);
    let start = PartitionStart {
        topic: "mail".into(),
        partition: 0,
        start_offset: 0,
        first_offset: 0,
        covered_from: None,
        committed: None,
        topic_id: id.map(str::to_owned),
        resumed: false,
    };
    shared.note(Note::Start(vec![Begin { start, gap: None }]));
    (Reading::new(settings, shared, reader, Arc::new(clock), noted, events), received)
}

/// One that is at offset 100, and hears nothing from any broker.
fn at_100() -> (Reading<Clock>, Receiver<SourceEvent>) {
    let (mut reading, received) = reading("127.0.0.1:1", Some("A"), 100);
    let start = reading.noted.recv().expect("a note");
    assert!(reading.take_note(start).is_ok());
    reading.assigned[0].position = 100;
    // It is never closed: closing throws away what is queued of partitions, and where that
    // is the last of them librdkafka 2.12.1 writes a line of its log into the very queue
    // that it has locked.
    std::mem::forget(Arc::clone(&reading.reader));
    (reading, received)
}

fn begins_anew(reading: &mut Reading<Clock>, id: &str) {
    let gap = Gap {
        topic: "mail".into(),
        partition: 0,
        from_offset: 0,
        to_offset: 0,
        covered_from: None,
        reason: GapReason::Recreated,
        lost: None,
        topic_id: Some(id.into()),
    };
    assert!(reading.take_note(Note::Gaps(vec![gap])).is_ok());
}

fn says(reading: &mut Reading<Clock>, id: &str) {
    reading.heed(vec![Told::Replaced { topic: "mail".into(), id: id.into() }]);
}

fn discovery_says(reading: &mut Reading<Clock>, id: &str) {
    assert!(reading.take_note(Note::Is { topic: "mail".into(), id: id.into() }).is_ok());
}

fn is_held(reading: &Reading<Clock>) -> bool {
    reading.held.contains_key("mail")
}

#[test]
fn a_topic_is_not_held_for_ever_when_a_broker_says_its_old_id_once_more() {
    let (mut reading, _received) = at_100();
    says(&mut reading, "B");
    assert!(is_held(&reading));
    begins_anew(&mut reading, "B");
    assert!(!is_held(&reading));
    reading.assigned[0].position = 7;
    says(&mut reading, "A");
    assert!(is_held(&reading));
    discovery_says(&mut reading, "B");
    assert!(is_held(&reading), "the reader is still told another");
    says(&mut reading, "B");
    assert!(is_held(&reading), "one broker's word");
    let begun = reading.assigned[0].begun;
    discovery_says(&mut reading, "B");
    assert!(!is_held(&reading));
    assert_eq!(reading.assigned[0].position, 7);
    assert!(reading.assigned[0].begun > begun, "what was thrown away is fetched again");
}

#[test]
fn an_end_that_was_reached_before_fetching_began_anew_is_not_taken_however_late() {
    let (mut reading, _received) = at_100();
    let reaches = |reading: &mut Reading<Clock>, at| {
        let (topic, partition, offset) = ("mail".to_owned(), 0, 100);
        reading.ends_reached = vec![EndReached { topic, partition, offset, at }];
        reading.apply_ends_reached();
        reading.assigned[0].position
    };
    let before = Instant::now();
    begins_anew(&mut reading, "B");
    // Nobody took the gap for long.
    thread::sleep(STALE_STATISTICS + Duration::from_millis(100));
    assert_eq!(reaches(&mut reading, before), 0);
    assert_eq!(reaches(&mut reading, Instant::now()), 100);
}

#[test]
fn a_partition_whose_fetching_failed_goes_on_after_a_pause_where_it_stood() {
    let (mut reading, _received) = at_100();
    let begins_anew_after_a_pause = |reading: &mut Reading<Clock>| {
        let begun = reading.assigned[0].begun;
        reading.pause(true);
        reading.pause(false);
        assert_eq!(reading.assigned[0].position, 100);
        reading.assigned[0].begun > begun
    };
    assert!(!begins_anew_after_a_pause(&mut reading));
    let failed = FetchError {
        code: RDKafkaErrorCode::Unknown,
        reason: "the broker failed".to_owned(),
        of: Some(("mail".to_owned(), 0)),
    };
    reading.take_fetch_error(&failed);
    assert!(begins_anew_after_a_pause(&mut reading));
    assert!(!begins_anew_after_a_pause(&mut reading), "once");
}

#[test]
fn a_log_that_was_cut_before_fetching_began_anew_is_not_begun_again() {
    let (mut reading, _received) = at_100();
    let cut = |reading: &mut Reading<Clock>, after| {
        reading.heed(vec![Told::Truncated { topic: "mail".into(), partition: 0, after }]);
        lock(&reading.shared.truncated).len()
    };
    let before = Instant::now();
    begins_anew(&mut reading, "B");
    assert_eq!(cut(&mut reading, before), 0);
    assert_eq!(cut(&mut reading, Instant::now()), 1);
    begins_anew(&mut reading, "C");
    assert!(lock(&reading.shared.truncated).is_empty());
}

#[test]
fn what_librdkafka_says_does_not_pile_up_while_nothing_is_taken() {
    let broker = DemoBroker::start().expect("a broker");
    broker.create_topic("mail", 1).expect("a topic");
    let producer = Producer::connect(broker.bootstrap(), &[]).expect("a producer");
    for _ in 0..3_000 {
        producer.send("mail", None, Some(b"x"), &[], None).expect("send");
    }
    producer.flush(Duration::from_secs(20)).expect("written");
    let (reading, received) = reading(broker.bootstrap(), None, 1);
    let (shared, reader) = (Arc::clone(&reading.shared), Arc::clone(&reading.reader));
    reader.fetch_metadata(Some("mail"), Duration::from_secs(20)).expect("a topic");
    let thread = thread::spawn(move || reading.run());
    let first = received.recv_timeout(Duration::from_secs(20));
    assert!(matches!(first, Ok(SourceEvent::Partition(_))), "{first:?}");
    // The first batch fills the channel.
    thread::sleep(HELD_UP + Duration::from_secs(2));
    assert!(received.is_full());
    let served = reader.client().context().served();
    thread::sleep(Duration::from_secs(2));
    assert!(reader.client().context().served() >= served + 3, "statistics come twice a second");
    assert!(reader.client().context().take_ends_reached().len() < 3);
    // Nothing of what was fetched before is lost, or taken twice.
    let mut next = 0;
    while next < 3_000 {
        let event = received.recv_timeout(Duration::from_secs(20)).expect("records");
        let SourceEvent::Batch(batch) = event else { continue };
        let headers = batch.headers();
        for record in batch.records(&headers) {
            assert_eq!(record.offset, next);
            next += 1;
        }
    }
    shared.abandon();
    drop(received);
    thread.join().expect("no panic");
}
