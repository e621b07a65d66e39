//! Crashes, full disks and failures at every single operation.

use std::sync::Arc;

use super::model::{self, append, check_exact};
use super::simulated::{Fault, Simulated};
use crate::checkpoint::{Directory, Home};

/// Steps of the script: five cycles, lists begun and dropped.
const STEPS: u64 = 19;
/// What survives a loss of power; 0 and 1 are nothing and everything.
const SEEDS: u64 = 8;

fn open(files: &Simulated) -> Directory {
    Directory::on(Arc::new(files.clone()))
}

/// Recovers and appends up to the last step, or until something goes wrong; the newest
/// step that was reported as durable.
fn run(files: &Simulated) -> u64 {
    let mut directory = open(files);
    let Ok(mut reported) = check_exact(&mut directory) else { return 0 };
    while reported < STEPS && directory.append(&model::step(reported + 1)).is_ok() {
        reported += 1;
    }
    reported
}

fn operations_of_a_run() -> usize {
    let files = Simulated::default();
    assert_eq!(run(&files), STEPS);
    files.operations()
}

/// What is there is exactly the state after a step that was submitted, none that was
/// reported is lost, and work goes on from it.
#[track_caller]
fn check_whole(files: &Simulated, reported: u64, place: &str) {
    let mut directory = open(files);
    let found = match check_exact(&mut directory) {
        Ok(found) => found,
        Err(error) => panic!("{place}: {error}"),
    };
    assert!((reported..=reported + 1).contains(&found), "{place}: {found}, not {reported}");
    append(&mut directory, found + 1..=found + 9);
    files.lose_power(0);
    assert_eq!(check_exact(&mut open(files)).unwrap(), found + 9, "{place}: going on");
}

#[test]
fn power_may_go_at_every_operation() {
    for at in 0..operations_of_a_run() {
        for seed in 0..SEEDS {
            let files = Simulated::default();
            files.set_fault(Some(Fault::Stop { at }));
            let reported = run(&files);
            files.lose_power(seed);
            check_whole(&files, reported, &format!("operation {at}, seed {seed}"));
        }
    }
}

#[test]
fn power_may_go_again_while_recovering() {
    for at in 0..operations_of_a_run() {
        for again in 0..6 {
            let files = Simulated::default();
            files.set_fault(Some(Fault::Stop { at }));
            let reported = run(&files);
            files.lose_power(2 + again as u64);
            let second = files.operations() + again;
            files.set_fault(Some(Fault::Stop { at: second }));
            let found = run(&files).max(reported);
            files.lose_power(9 + again as u64);
            let place = format!("operation {at}, and {again} of the next run");
            check_whole(&files, found, &place);
        }
    }
}

#[test]
fn a_killed_process_may_be_followed_by_a_loss_of_power() {
    for at in 0..operations_of_a_run() {
        for seed in 0..4 {
            let files = Simulated::default();
            files.set_fault(Some(Fault::Stop { at }));
            let reported = run(&files);
            // The system still has what the process had written.
            files.set_fault(None);
            let found = check_exact(&mut open(&files)).unwrap();
            assert!((reported..=reported + 1).contains(&found), "operation {at}");
            files.lose_power(seed);
            let after = check_exact(&mut open(&files)).unwrap();
            assert_eq!(after, found, "operation {at}, seed {seed}: relied on and lost");
        }
    }
}

/// Appends all steps, each until it works, with one fault on the way.
#[track_caller]
fn check_retried(fault: Fault) {
    for seed in 0..3 {
        let files = Simulated::default();
        let mut directory = open(&files);
        assert_eq!(check_exact(&mut directory).unwrap(), 0);
        files.set_fault(Some(fault));
        for sequence in 1..=STEPS {
            let attempts =
                (0..20).take_while(|_| directory.append(&model::step(sequence)).is_err()).count();
            assert!(attempts < 20, "{fault:?}: step {sequence} never works");
        }
        files.lose_power(seed);
        let found =
            check_exact(&mut open(&files)).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(found, STEPS, "{fault:?}");
    }
}

#[test]
fn a_step_that_failed_is_appended_again() {
    for at in 0..operations_of_a_run() {
        check_retried(Fault::Broken { at });
        for times in [1, 2, 7] {
            check_retried(Fault::Full { at, times });
        }
    }
}

#[test]
fn power_may_go_while_the_disk_is_full() {
    for at in 0..operations_of_a_run() {
        for seed in 0..SEEDS {
            let files = Simulated::default();
            files.set_fault(Some(Fault::Full { at, times: usize::MAX / 2 }));
            let mut directory = open(&files);
            let Ok(mut reported) = check_exact(&mut directory) else { continue };
            while reported < STEPS && directory.append(&model::step(reported + 1)).is_ok() {
                reported += 1;
            }
            assert!(directory.append(&model::step(reported + 1)).is_err() || reported == STEPS);
            files.lose_power(seed);
            check_whole(&files, reported, &format!("full from {at}, seed {seed}"));
        }
    }
}

#[test]
fn nothing_of_a_failed_step_is_left_behind() {
    // Two operations for the list, two for the frame.
    for at in 0..4 {
        let files = Simulated::default();
        let mut directory = open(&files);
        directory.recover().unwrap();
        append(&mut directory, 1..=2);
        files.set_fault(Some(Fault::Broken { at: files.operations() + at }));
        let mut step = model::step(3);
        directory.append(&step).unwrap_err();
        step.changes.clear();
        step.additions[1].items.truncate(1);
        directory.append(&step).unwrap();
        let len: usize = files.snapshot().values().map(Vec::len).sum();
        assert_eq!(len as u64, directory.disk_bytes(), "failed at {at}");
    }
}
