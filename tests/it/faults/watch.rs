//! Looks at the pages of all instances all the time: no counter ever goes back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::instance::{Metrics, get};

/// How often.
const EVERY: Duration = Duration::from_millis(400);

/// The counters that outlive a process.
const COUNTERS: [&str; 5] = [
    "tidegauge_records_total",
    "tidegauge_events_total",
    "tidegauge_unidentified_events_total",
    "tidegauge_partition_gaps_total",
    "tidegauge_partition_lost_records_total",
];

#[derive(Default)]
struct Seen {
    /// By instance, then by series.
    highest: Vec<BTreeMap<String, f64>>,
    wrong: Vec<String>,
    pages: u64,
}

/// A thread that scrapes.
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(addresses: Vec<String>) -> Watch {
        let highest = addresses.iter().map(|_| BTreeMap::new()).collect();
        let seen = Arc::new(Mutex::new(Seen { highest, ..Seen::default() }));
        let over = Arc::new(AtomicBool::new(false));
        let (noted, stop) = (Arc::clone(&seen), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for (instance, address) in addresses.iter().enumerate() {
                    // Asked for under the lock, so that `forget` cannot come between the
                    // page and its noting.
                    let mut noted = noted.lock().expect("nobody panics with it");
                    if let Some((200, page)) = get(&format!("http://{address}/metrics")) {
                        noted.look(instance, &page);
                    }
                }
                std::thread::sleep(EVERY);
            }
        });
        Watch { seen, over, thread: Some(thread) }
    }

    /// The counters of an instance may begin anew: its state was taken away.
    pub(super) fn forget(&self, instance: usize) {
        self.seen.lock().expect("nobody panics with it").highest[instance].clear();
    }

    /// How many pages were looked at.
    pub(super) fn pages(&self) -> u64 {
        self.seen.lock().expect("nobody panics with it").pages
    }

    /// What was wrong so far.
    pub(super) fn wrong(&self) -> Vec<String> {
        self.seen.lock().expect("nobody panics with it").wrong.clone()
    }
}

impl Seen {
    fn look(&mut self, instance: usize, page: &str) {
        self.pages += 1;
        let metrics = Metrics::parse(page);
        for (family, labels, value) in metrics.samples() {
            if !COUNTERS.contains(&family) {
                continue;
            }
            let series = format!("{family}{labels:?}");
            let highest = self.highest[instance].entry(series.clone()).or_insert(value);
            if value < *highest && self.wrong.len() < 20 {
                self.wrong
                    .push(format!("{series} of instance {instance}: {highest}, then {value}"));
            }
            *highest = value.max(*highest);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
