//! What became of the records of the last five minutes, by record time.
//!
//! Alerts need "now", not "since the start": counts since the start leap when a
//! restart reads history again.

use super::Ledger;
use crate::event::EventTime;

const MINUTES: usize = 6;

/// A ring of per-minute ledgers by record timestamp.
#[derive(Debug, Clone, Default)]
pub struct RecentLedger {
    ring: [(i64, Ledger); MINUTES],
}

impl RecentLedger {
    /// Adds what became of a record with that timestamp; older than six minutes
    /// before the newest seen is forgotten.
    pub fn add(&mut self, record_time: EventTime, ledger: &Ledger) {
        let minute = record_time.micros().div_euclid(60_000_000);
        let slot = &mut self.ring[minute.rem_euclid(MINUTES as i64) as usize];
        if slot.0 > minute {
            return;
        }
        if slot.0 < minute {
            *slot = (minute, Ledger::default());
        }
        slot.1.merge(ledger);
    }

    /// What is held, by the beginning of the minute: to be saved, and given to
    /// [`RecentLedger::add`] again.
    pub fn minutes(&self) -> impl Iterator<Item = (EventTime, &Ledger)> {
        self.ring
            .iter()
            .filter(|(_, ledger)| *ledger != Ledger::default())
            .map(|(minute, ledger)| (EventTime::from_secs(minute * 60), ledger))
    }

    /// The sum over the last five whole or begun minutes at `now`.
    pub fn at(&self, now: EventTime) -> Ledger {
        let minute = now.micros().div_euclid(60_000_000);
        let mut sum = Ledger::default();
        for (of, ledger) in &self.ring {
            if *of > minute - 5 && *of <= minute {
                sum.merge(ledger);
            }
        }
        sum
    }
}
