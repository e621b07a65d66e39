//! The thread that writes: one step at a time, and again until it works.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::model;
use crate::checkpoint::{Home, Step, Submission, Writer, Written};

const LONG: Duration = Duration::from_secs(60);

/// A home that does what the test says next.
struct Told {
    outcomes: Receiver<io::Result<u64>>,
    /// The step that is now waiting for an outcome.
    attempts: Sender<u64>,
}

impl Home for Told {
    fn append(&mut self, step: &Step) -> io::Result<Written> {
        self.attempts.send(step.sequence).ok();
        let outcome = self.outcomes.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        outcome.map(|bytes| Written { bytes })
    }

    fn disk_bytes(&self) -> u64 {
        4_000
    }
}

fn told() -> (Writer, Sender<io::Result<u64>>, Receiver<u64>) {
    let (outcome, outcomes) = channel();
    let (attempt, attempts) = channel();
    let home = Told { outcomes, attempts: attempt };
    (Writer::start_with(Box::new(home), Duration::from_millis(1)).unwrap(), outcome, attempts)
}

fn wait_until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !what() {
        assert!(Instant::now() < deadline, "it never comes");
        std::thread::yield_now();
    }
}

#[test]
fn one_step_is_under_way_at_a_time() {
    let (writer, outcome, attempts) = told();
    assert!(writer.is_idle());
    assert!(matches!(writer.submit(model::step(1)), Submission::Accepted));
    assert!(!writer.is_idle());
    assert_eq!(attempts.recv_timeout(LONG), Ok(1));
    match writer.submit(model::step(2)) {
        Submission::Busy(step) => assert_eq!(step.sequence, 2),
        other => panic!("{other:?}"),
    }
    assert_eq!(writer.status().durable, None);
    outcome.send(Ok(700)).unwrap();
    wait_until(|| writer.is_idle());
    let status = writer.status();
    assert_eq!(status.durable.map(|durable| durable.sequence), Some(1));
    assert_eq!(status.durable.map(|durable| durable.made_at), Some(model::step(1).made_at));
    assert_eq!((status.checkpoints, status.written_bytes, status.disk_bytes), (1, 700, 4_000));
    assert!(writer.close(Instant::now() + LONG));
}

/// A failure of this kind blocks with this text until writing works again.
#[track_caller]
fn check_blocked(kind: io::ErrorKind, expected: &str) {
    let (writer, outcome, attempts) = told();
    assert!(matches!(writer.submit(model::step(1)), Submission::Accepted));
    assert_eq!(attempts.recv_timeout(LONG), Ok(1));
    outcome.send(Err(io::Error::new(kind, "state/segment: so it is"))).unwrap();
    // The second attempt says that the first has been judged.
    assert_eq!(attempts.recv_timeout(LONG), Ok(1));
    assert_eq!(writer.status().blocked.as_deref(), Some(expected));
    assert!(!writer.is_idle());
    outcome.send(Ok(1)).unwrap();
    wait_until(|| writer.is_idle());
    assert_eq!(writer.status().blocked, None);
    assert_eq!(writer.status().checkpoints, 1);
}

#[test]
fn what_cannot_be_written_is_tried_again() {
    check_blocked(
        io::ErrorKind::StorageFull,
        "the disk is full; make room (state/segment: so it is)",
    );
    check_blocked(
        io::ErrorKind::PermissionDenied,
        "there is no right to write; give it back (state/segment: so it is)",
    );
    check_blocked(
        io::ErrorKind::NotFound,
        "files have gone; was the directory removed or unmounted? (state/segment: so it is)",
    );
    check_blocked(
        io::ErrorKind::Other,
        "writing failed; look at the disk (state/segment: so it is)",
    );
}

#[test]
fn closing_waits_for_what_was_submitted() {
    let (writer, outcome, _attempts) = told();
    outcome.send(Ok(1)).unwrap();
    assert!(matches!(writer.submit(model::step(1)), Submission::Accepted));
    assert!(writer.close(Instant::now() + LONG));
}

#[test]
fn closing_says_what_is_lost() {
    let (writer, outcome, attempts) = told();
    assert!(matches!(writer.submit(model::step(1)), Submission::Accepted));
    assert_eq!(attempts.recv_timeout(LONG), Ok(1));
    assert!(!writer.close(Instant::now()));
    // The thread gives up, and with it goes the home.
    outcome.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    assert!(attempts.recv_timeout(LONG).is_err());
}
