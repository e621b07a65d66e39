use super::*;

fn at(secs: i64) -> EventTime {
    EventTime::from_secs(secs)
}

fn started(partitions: i32) -> Progress {
    let mut progress = Progress::default();
    for partition in 0..partitions {
        let start = StartedAt { offset: 0, covered_from: None };
        progress.add_partition("t", partition, start, at(1_000));
    }
    progress
}

#[track_caller]
fn check(progress: &mut Progress, now: i64, expected: Option<i64>) {
    assert_eq!(progress.as_of(at(now)), expected.map(at), "as_of at {now}");
}

#[test]
fn an_idle_partition_is_caught_up_while_the_broker_answers() {
    let mut progress = started(2);
    check(&mut progress, 1_000, None);
    progress.end_reported("t", 0, 0, at(1_000));
    check(&mut progress, 1_000, None);
    progress.end_reported("t", 1, 0, at(1_001));
    check(&mut progress, 1_002, Some(1_002));
    progress.end_reported("t", 0, 0, at(1_010));
    check(&mut progress, 1_010, Some(1_002));
    progress.end_reported("t", 1, 0, at(1_011));
    check(&mut progress, 1_011, Some(1_011));
}

#[test]
fn while_reading_the_highest_record_below_the_clock_counts() {
    let mut progress = started(1);
    progress.end_reported("t", 0, 100, at(1_000));
    assert_eq!(progress.unread("t", 0), Some(100));
    check(&mut progress, 1_000, None);
    progress.read("t", 0, Some(at(500)), 10, at(1_001));
    check(&mut progress, 1_001, Some(500));
    progress.read("t", 0, Some(at(9_000)), 20, at(1_001));
    check(&mut progress, 1_001, Some(500));
    progress.read("t", 0, Some(at(400)), 30, at(1_001));
    check(&mut progress, 1_001, Some(500));
    assert_eq!(progress.unread("t", 0), Some(70));
    assert_eq!(progress.highest_read(), Some(at(500)));
    progress.read("t", 0, Some(at(600)), 100, at(1_002));
    check(&mut progress, 1_002, Some(1_002));
    check(&mut progress, 1_003, Some(1_002));
}

#[test]
fn markers_and_compacted_records_at_the_end_count_as_folded() {
    let mut progress = started(1);
    progress.read("t", 0, Some(at(500)), 10, at(1_000));
    progress.end_reported("t", 0, 11, at(1_000));
    check(&mut progress, 1_000, Some(500));
    progress.position("t", 0, 11, at(1_001));
    check(&mut progress, 1_001, Some(1_001));
    assert_eq!(progress.unread("t", 0), Some(0));
}

#[test]
fn behind_an_open_transaction_nothing_is_known_to_be_read() {
    let mut progress = started(2);
    let mut ends = |at_second: i64, end: i64, stable: i64| {
        let at = at(at_second);
        progress.end_reported("t", 1, 0, at);
        progress.end_reported("t", 0, end, at);
        progress.stable_end_reported("t", 0, stable, at);
        progress.position("t", 0, stable.min(10), at);
        progress.as_of(at);
        let Pending { reading, held } = progress.pending(at);
        let since = progress.held_since("t", 0).map(|since| since.micros() / 1_000_000);
        let frontier = progress.topic_frontier("t").map(|at| at.micros() / 1_000_000);
        (frontier, since, (reading, held))
    };
    let (caught_up, waits, both) = ((false, false), (false, true), (true, true));
    assert_eq!(ends(1_000, 5, 5), (Some(1_000), None, caught_up));
    assert_eq!(ends(1_001, 8, 5), (Some(1_000), Some(1_001), waits));
    assert_eq!(ends(1_090, 900, 5), (Some(1_000), Some(1_001), waits));
    assert_eq!(ends(1_091, 900, 9), (Some(1_000), Some(1_091), waits), "the next one");
    assert_eq!(ends(1_092, 900, 50), (Some(1_000), None, both), "some of it can be read");
    assert_eq!(ends(1_093, 900, 900), (Some(1_000), None, (true, false)));
    assert_eq!(ends(1_094, 10, 10), (Some(1_094), None, caught_up));
    assert_eq!(progress.known_of_open(), None);
    assert_eq!(progress.topic_frontier("u"), None);
    assert!(progress.topic_complete("t", at(1_100)) && progress.topic_complete("u", at(1)));
    assert!(!progress.topic_complete("t", at(1_200)));
    progress.as_of(at(1_097));
    let silent = Pending { reading: false, held: true };
    assert_eq!(progress.pending(at(1_097)), silent, "nobody answers");
}

#[test]
fn as_of_goes_back_only_with_the_clock() {
    let mut progress = started(1);
    progress.end_reported("t", 0, 0, at(1_000));
    check(&mut progress, 1_000, Some(1_000));
    progress.end_reported("t", 0, 5, at(1_001));
    check(&mut progress, 1_001, Some(1_000));
    check(&mut progress, 700, Some(700));
}

#[test]
fn a_partition_silent_for_a_minute_makes_it_incomplete() {
    let mut progress = started(2);
    progress.end_reported("t", 0, 0, at(1_060));
    assert!(progress.complete(at(1_060)));
    assert!(!progress.complete(at(1_061)));
    progress.end_reported("t", 1, 0, at(1_061));
    assert!(progress.complete(at(1_061)));
    progress.unreadable("t", 1, at(1_062));
    progress.unreadable("t", 1, at(1_090));
    for second in 1_063..=1_130 {
        progress.end_reported("t", 0, 0, at(second));
        progress.end_reported("t", 1, 0, at(second));
        assert_eq!(progress.complete(at(second)), second <= 1_122, "at {second}");
    }
    progress.readable("t", 1, at(1_130));
    assert!(progress.complete(at(1_130)));
}

#[test]
fn a_clock_that_was_ahead_leaves_nothing_behind() {
    let mut progress = started(1);
    progress.end_reported("t", 0, 0, at(4_600));
    check(&mut progress, 4_600, Some(4_600));
    // It is put right; from now on something is unread.
    check(&mut progress, 1_001, Some(1_001));
    progress.end_reported("t", 0, 100, at(1_002));
    check(&mut progress, 1_002, Some(1_001));
    check(&mut progress, 2_000, Some(1_001));
    assert!(!progress.complete(at(2_000)), "nothing was heard for a quarter of an hour");
}

#[test]
fn what_was_saved_under_a_clock_that_was_ahead_is_not_believed() {
    let mut progress = started(1);
    progress.read("t", 0, Some(at(7_000)), 10, at(90_000));
    progress.end_reported("t", 0, 10, at(90_000));
    let saved = progress.reached("t", 0).expect("it is read");
    let mut later = Progress::default();
    later.resume_partition("t", 0, saved, at(8_000));
    later.end_reported("t", 0, 1_000, at(8_000));
    check(&mut later, 8_000, Some(7_000));
}

#[test]
fn a_partition_that_nobody_can_read_yet_is_waited_for() {
    let mut progress = started(1);
    progress.expect_partition("t", 1, at(1_000));
    progress.end_reported("t", 0, 0, at(1_060));
    check(&mut progress, 1_060, None);
    assert!(progress.complete(at(1_060)));
    progress.expect_partition("t", 1, at(1_060));
    progress.end_reported("t", 0, 0, at(1_061));
    assert!(!progress.complete(at(1_061)), "it was known a minute ago");
    let start = StartedAt { offset: 7, covered_from: Some(at(300)) };
    progress.add_partition("t", 1, start, at(1_061));
    progress.expect_partition("t", 1, at(1_061));
    progress.end_reported("t", 1, 7, at(1_061));
    check(&mut progress, 1_061, Some(1_061));
    assert!(progress.complete(at(1_061)));
}

#[test]
fn coverage_begins_where_the_last_partition_does() {
    let mut progress = started(1);
    assert_eq!(progress.covered_from(), None);
    for (partition, from) in [(1, 300), (2, 200)] {
        let start = StartedAt { offset: 7, covered_from: Some(at(from)) };
        progress.add_partition("t", partition, start, at(1_000));
    }
    assert_eq!(progress.covered_from(), Some(at(300)));
    assert_eq!(progress.folded_below("t", 1), Some(7));
    progress.remove_partition("t", 1);
    assert_eq!(progress.covered_from(), Some(at(200)));
}

#[test]
fn reports_on_unknown_partitions_are_ignored() {
    let mut progress = Progress::default();
    progress.read("gone", 3, Some(at(5)), 7, at(10));
    check(&mut progress, 10, None);
    assert!(progress.complete(at(10)));
    assert_eq!(progress.unread("gone", 3), None);
}

#[test]
fn a_lag_is_told_from_ends_that_are_fresh() {
    let mut progress = started(1);
    progress.end_reported("t", 0, 100, at(1_000));
    assert_eq!(progress.lag("t", 0, at(1_010)), Some(100));
    assert_eq!(progress.lag("t", 0, at(1_011)), None);
    assert_eq!(progress.unread("t", 0), Some(100));
}

#[test]
fn a_pause_of_ones_own_makes_nothing_incomplete() {
    let mut progress = started(1);
    progress.end_reported("t", 0, 0, at(1_000));
    for second in (1_010..1_200).step_by(10) {
        progress.nobody_listens(at(second));
        assert!(progress.complete(at(second)));
    }
    assert!(!progress.complete(at(1_260)));
}
