//! How a run goes on, for people: one line that changes on a terminal, else lines;
//! and what a failed run needs to be run again.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Instant;

pub(super) struct Progress {
    count: usize,
    seed: u64,
    begun: Instant,
    terminal: bool,
    step: String,
}

impl Progress {
    pub(super) fn new(count: usize, seed: u64) -> Progress {
        let progress = Progress {
            count,
            seed,
            begun: Instant::now(),
            terminal: stderr().is_terminal(),
            step: "the start".to_owned(),
        };
        progress.line(&format!("{count} faults, seed {seed}"));
        progress
    }

    /// What is done now.
    pub(super) fn step(&mut self, number: usize, what: String) {
        self.step = format!("step {number} of {}: {what}", self.count);
        if self.terminal {
            let seconds = self.begun.elapsed().as_secs();
            eprint!("\r\x1b[K[{seconds:>4} s] {}", self.step);
            let _ = stderr().flush();
        } else {
            self.line(&self.step);
        }
    }

    /// Something to keep.
    pub(super) fn line(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        eprintln!("{clear}[{:>4} s] {text}", self.begun.elapsed().as_secs());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.line(&format!("failed with seed {} at {}", self.seed, self.step));
            self.line(&format!(
                "the same decisions again: tests/run faults --count {} --seed {}",
                self.count, self.seed
            ));
        }
    }
}
