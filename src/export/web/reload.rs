//! Following the files: what has changed takes force, if it is whole.
//!
//! They are read again every other second and compared by their contents. So it does not
//! matter how they are changed: written over, renamed into place, or by a link that a
//! cluster lets point elsewhere. What is new has to be the same at two looks: a file of
//! which half is written may be a file that says less. And nothing takes force that asks
//! nobody any more who they are, or speaks no TLS any more: that looks the same as an
//! accident, and has to be meant, by a restart.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::files::Seen;
use super::spec::{self, Reading};
use super::{Web, now};
use crate::config::{Place, Problem};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How far the following is.
pub(super) struct Progress {
    in_force: Seen,
    /// What was there instead at the last look, and whether it was told that it cannot be
    /// taken up.
    other: Option<(Seen, bool)>,
}

impl Progress {
    pub(super) fn begun_with(seen: Seen) -> Progress {
        Progress { in_force: seen, other: None }
    }
}

/// What a look at the files leads to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Nothing is new, or it may be another thing in a moment: files are written in pieces,
    /// and a certificate and its key are two.
    Stay,
    /// It was something else, and is again as what is in force.
    Return,
    /// It is new and right, and was so at the last look.
    TakeUp,
    /// It cannot be taken up, and was the same at the last look.
    Tell,
}

impl Progress {
    fn step(&mut self, seen: Seen, is_right: bool) -> Step {
        if seen == self.in_force {
            return self.other.take().map_or(Step::Stay, |_| Step::Return);
        }
        match self.other {
            Some((other, _)) if other == seen && is_right => {
                *self = Progress::begun_with(seen);
                Step::TakeUp
            }
            Some((other, told)) if other == seen => {
                self.other = Some((seen, true));
                if told { Step::Stay } else { Step::Tell }
            }
            _ => {
                self.other = Some((seen, false));
                Step::Stay
            }
        }
    }
}

impl Web {
    /// Looks at the files again and again, for as long as it is awaited.
    pub(in crate::export) async fn follow(self: Arc<Web>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let web = Arc::clone(&self);
            // Only a defect can end it, which is told by the panic; the next look is another.
            let _ = spawn_blocking(move || web.look()).await;
        }
    }

    /// Reads the files once, and takes up what is new.
    fn look(&self) {
        let mut reading = spec::read(&self.path, now());
        if let Some(why) = reading.in_force.as_ref().and_then(|new| new.opens(&self.current())) {
            let at = Place::file(&self.path.to_string_lossy());
            let remedy = "if that is meant, restart the instance".to_owned();
            reading.problems.push(Problem { at, what: why.to_owned(), remedy: Some(remedy) });
            reading.in_force = None;
        }
        let is_right = reading.in_force.is_some();
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let step = progress.step(reading.seen, is_right);
        drop(progress);
        match step {
            Step::Stay => {}
            Step::Return => {
                if !self.up_to_date.swap(true, Relaxed) {
                    tracing::info!(file = %self.path.display(), "the web configuration is again what is in force");
                }
            }
            Step::TakeUp => self.take_up(reading),
            Step::Tell => {
                self.up_to_date.store(false, Relaxed);
                let problems: Vec<String> =
                    reading.problems.iter().map(|problem| problem.one_line()).collect();
                tracing::error!(
                    "the web configuration has changed and cannot be taken up; what was in force stays so: {}",
                    problems.join("; ")
                );
            }
        }
    }

    fn take_up(&self, reading: Reading) {
        let Some(in_force) = reading.in_force else { return };
        for problem in reading.warnings.iter().chain(&reading.dated) {
            tracing::warn!("{}", problem.one_line());
        }
        self.passwords.keep(&in_force.users);
        let expires = in_force.tls.as_ref().map(|tls| tls.expires.to_string());
        self.in_force.send_replace(Arc::new(in_force));
        self.up_to_date.store(true, Relaxed);
        tracing::info!(
            file = %self.path.display(),
            certificate_expires = expires.as_deref().unwrap_or("without TLS"),
            "the web configuration has changed and is in force"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_is_told_once_and_what_is_right_takes_force() {
        let seen = |number: u8| [number; 32];
        let mut progress = Progress::begun_with(seen(1));
        let mut step = |number, is_right| progress.step(seen(number), is_right);
        assert_eq!(step(1, true), Step::Stay);
        // A certificate without its key, for a moment.
        assert_eq!(step(2, false), Step::Stay);
        assert_eq!(step(3, true), Step::Stay);
        assert_eq!(step(3, true), Step::TakeUp);
        // A half that is right by itself, for a moment.
        assert_eq!(step(2, true), Step::Stay);
        assert_eq!(step(3, true), Step::Return);
        assert_eq!(step(4, false), Step::Stay);
        assert_eq!(step(4, false), Step::Tell);
        assert_eq!(step(4, false), Step::Stay);
        assert_eq!(step(5, false), Step::Stay);
        assert_eq!(step(5, false), Step::Tell);
        assert_eq!(step(3, true), Step::Return);
        assert_eq!(step(3, true), Step::Stay);
        assert_eq!(step(6, false), Step::Stay);
        assert_eq!(step(3, true), Step::Return);
        assert_eq!(step(7, true), Step::Stay);
        assert_eq!(step(7, true), Step::TakeUp);
    }
}
