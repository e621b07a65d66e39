//! Which sixteenths there are ids of, until when each is kept, and what has to be
//! written down of them.

use std::collections::BTreeMap;

use super::SIXTEENTHS;

/// All sixteenths with ids, by number.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: BTreeMap<i64, List>,
    journal: bool,
    dropped: Vec<i64>,
}

#[derive(Debug, Default)]
struct List {
    /// The last present at which it is kept.
    until: i64,
    /// Whether some of it has been handed out to be written, or came from there.
    written: bool,
    added: Vec<u64>,
}

impl Lists {
    pub(super) fn keep_journal(&mut self, keep: bool) {
        self.journal = keep;
    }

    pub(super) fn contains(&self, number: i64) -> bool {
        self.lists.contains_key(&number)
    }

    pub(super) fn newest(&self) -> Option<i64> {
        self.lists.keys().next_back().copied()
    }

    /// Notes an id that was seen in that sixteenth.
    pub(super) fn add(&mut self, number: i64, present: i64, fingerprint: u64) {
        let list = self.lists.entry(number).or_insert_with(|| {
            // One that is there again before anybody heard that it is not needed goes
            // on where it was.
            let pending = self.dropped.iter().position(|dropped| *dropped == number);
            let written = pending.map(|at| self.dropped.swap_remove(at)).is_some();
            List { written, ..List::default() }
        });
        // What comes far behind the present is kept as long as if it came now.
        let from = if number + SIXTEENTHS < present { present } else { number };
        list.until = list.until.max(from + SIXTEENTHS);
        if self.journal {
            list.added.push(fingerprint);
        }
    }

    /// Notes a sixteenth that was written before.
    pub(super) fn restored(&mut self, number: i64) {
        let list = self.lists.entry(number).or_default();
        list.until = list.until.max(number + SIXTEENTHS);
        list.written = true;
    }

    /// Keeps what was restored, and would be gone already, as long as if it came now:
    /// why it was kept is not known any more.
    pub(super) fn extend(&mut self, present: i64, from: i64) {
        for (_, list) in self.lists.range_mut(from..).filter(|(_, list)| list.until < present) {
            list.until = present + SIXTEENTHS;
        }
    }

    /// Forgets what is not kept at that present; whether there was any.
    pub(super) fn expire(&mut self, present: i64) -> bool {
        let before = self.lists.len();
        let dropped = &mut self.dropped;
        self.lists.retain(|number, list| {
            let kept = list.until >= present;
            if !kept && list.written {
                dropped.push(*number);
            }
            kept
        });
        self.lists.len() < before
    }

    /// Takes out a list whose ids get another number.
    pub(super) fn remove(&mut self, number: i64) {
        if self.lists.remove(&number).is_some_and(|list| list.written) {
            self.dropped.push(number);
        }
    }

    pub(super) fn take_added(&mut self) -> Vec<(i64, Vec<u64>)> {
        let changed = self.lists.iter_mut().filter(|(_, list)| !list.added.is_empty());
        changed
            .map(|(number, list)| {
                list.written = true;
                (*number, std::mem::take(&mut list.added))
            })
            .collect()
    }

    pub(super) fn take_dropped(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.dropped)
    }
}
