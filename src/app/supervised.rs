//! What systemd hears of an instance: that it serves, how it is, that it stops, and a sign
//! of life as long as its engine makes progress.
//!
//! In: the reports, and how far the loading before the first is. Out: datagrams, if there
//! is anybody who asked for them (`NOTIFY_SOCKET`); else nothing is started. A sign of life
//! is given at half of the watchdog's time, and says that the engine has published or
//! loaded something since. It comes from a thread that never logs: a log that hangs holds
//! up the engine, and that has to be noticed.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::event::Span;
use crate::export::{LoadedShare, Loading, NotReady, Report};
use crate::objective::State;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

/// Tells systemd of an instance until it is stopped.
pub(super) struct Supervised {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Supervised {
    /// Says that the instance serves, and goes on; `None` where nobody supervises it.
    /// `every` is the time between two reports.
    pub(super) fn start(
        reports: watch::Receiver<Option<Arc<Report>>>,
        loading: Arc<Loading>,
        every: Span,
    ) -> std::io::Result<Option<Supervised>> {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Ok(None);
        }
        let (stop, stopped) = bounded(1);
        let every = Duration::from_micros(every.micros().unsigned_abs());
        let watchdog = sd_notify::watchdog_enabled();
        let mut watcher = Watcher {
            reports,
            loading,
            watchdog: watchdog.map(|limit| Watchdog::new(limit, every, Instant::now())),
            said: String::new(),
            loaded: None,
        };
        watcher.tell(&[NotifyState::Ready]);
        let thread = std::thread::Builder::new()
            .name("supervised".to_owned())
            .spawn(move || watcher.run(&stopped))?;
        Ok(Some(Supervised { stop, thread }))
    }

    /// Says that the instance stops; nothing is said from then on but by [`failed`].
    pub(super) fn stopping(self) {
        drop(self.stop);
        // It has panicked at worst, and then there is nothing to wait for.
        let _ = self.thread.join();
    }
}

/// Says why an instance ends, so that it stands beside its name.
pub(super) fn failed(why: &str) {
    let _ = sd_notify::notify(&[NotifyState::Status(&format!("failed: {}", one_line(why)))]);
}

struct Watcher {
    reports: watch::Receiver<Option<Arc<Report>>>,
    loading: Arc<Loading>,
    watchdog: Option<Watchdog>,
    /// The status that was said last.
    said: String,
    /// How much was loaded at the last look.
    loaded: Option<LoadedShare>,
}

impl Watcher {
    fn run(&mut self, stopped: &Receiver<()>) {
        loop {
            self.look(Instant::now());
            match stopped.recv_timeout(self.watchdog.as_ref().map_or(LOOK, Watchdog::look)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    fn look(&mut self, now: Instant) {
        let loaded = self.loading.share();
        let reported = self.reports.has_changed().unwrap_or(false);
        let progress = reported || loaded != self.loaded;
        self.loaded = loaded;
        let report = self.reports.borrow_and_update().clone();
        let mut status = status(report.as_deref(), loaded);
        if let Some(watchdog) = &mut self.watchdog {
            let alive = watchdog.look_at(progress, now);
            if watchdog.stalled(now) {
                status = format!("stalled: {}", NotReady::Stalled.says());
            }
            if alive {
                self.tell(&[NotifyState::Watchdog]);
            }
        }
        if status != self.said {
            self.tell(&[NotifyState::Status(&status)]);
            self.said = status;
        }
    }

    /// Nobody can be told of an error here: whoever it would be told to does not listen.
    fn tell(&self, what: &[NotifyState<'_>]) {
        let _ = sd_notify::notify(what);
    }
}

/// When a sign of life is due, and whether it may be given.
#[derive(Debug)]
struct Watchdog {
    half: Duration,
    /// So long after the last progress nobody is alive.
    patience: Duration,
    progress_at: Instant,
    told_at: Option<Instant>,
}

impl Watchdog {
    /// Of one that bites after `limit`, where a report is due every so often.
    fn new(limit: Duration, every: Duration, now: Instant) -> Watchdog {
        let half = limit / 2;
        // Declarations may ask for reports more rarely than signs of life are due.
        Watchdog { half, patience: half.max(every * 3), progress_at: now, told_at: None }
    }

    /// How long until the next look.
    fn look(&self) -> Duration {
        LOOK.min(self.half / 2).max(Duration::from_millis(10))
    }

    /// Whether a sign of life is to be given now.
    fn look_at(&mut self, progress: bool, now: Instant) -> bool {
        if progress {
            self.progress_at = now;
        }
        let due = self.told_at.is_none_or(|at| now.duration_since(at) >= self.half);
        if due && !self.stalled(now) {
            self.told_at = Some(now);
            return true;
        }
        false
    }

    fn stalled(&self, now: Instant) -> bool {
        now.duration_since(self.progress_at) > self.patience
    }
}

/// The state of an instance in one line.
fn status(report: Option<&Report>, loaded: Option<LoadedShare>) -> String {
    let Some(report) = report else {
        return match loaded {
            Some(share) if share.total > 0 => format!("loading the saved state: {share}"),
            Some(_) => "loading the saved state".to_owned(),
            None => "starting".to_owned(),
        };
    };
    let Some(reason) = report.not_ready.first() else {
        let missed = report.verdicts.iter().filter(|it| it.state == State::Missed).count();
        return format!("ready; {missed} of {} verdicts are missed", report.verdicts.len());
    };
    let says = report.detail(*reason).unwrap_or_else(|| reason.says().to_owned());
    format!("not ready: {}: {}", reason.name(), one_line(&says))
}

/// A line break would end the status, and what follows would be taken for a message.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When signs of life are given, in milliseconds, with progress at these times.
    fn signs(limit: u64, every: u64, progress: &[u64], until: u64) -> Vec<u64> {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut watchdog =
            Watchdog::new(Duration::from_millis(limit), Duration::from_millis(every), begin);
        let looks = (0..until).step_by(100);
        looks.filter(|now| watchdog.look_at(progress.contains(now), at(*now))).collect()
    }

    #[test]
    fn a_stalled_engine_is_not_kept_alive() {
        let all: Vec<u64> = (0..10_000).step_by(1_000).collect();
        assert_eq!(signs(4_000, 1_000, &all, 7_000), [0, 2_000, 4_000, 6_000]);
        assert_eq!(signs(4_000, 1_000, &[1_000, 2_000], 20_000), [0, 2_000, 4_000]);
        let back = [1_000, 12_300];
        assert_eq!(signs(4_000, 1_000, &back, 14_000), [0, 2_000, 4_000, 12_300]);
    }

    #[test]
    fn reports_may_be_rarer_than_signs_of_life() {
        let rare = [10_000, 20_000];
        let given = signs(4_000, 10_000, &rare, 30_000);
        assert_eq!(given, (0..30_000).step_by(2_000).collect::<Vec<_>>());
    }

    #[test]
    fn before_the_first_report_it_says_how_far_the_loading_is() {
        assert_eq!(status(None, None), "starting");
        let share = LoadedShare { done: 1_000_000, total: 4_000_000 };
        assert_eq!(status(None, Some(share)), "loading the saved state: 1.0 of 4.0 MB (25 %)");
        assert_eq!(one_line("a\n b"), "a b");
    }
}
