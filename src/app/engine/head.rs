//! What a checkpoint says beside the cells: how far every partition is read, and
//! what became of what was read.
//!
//! Counts are saved by name, so that a list of reasons may grow. Everything here is
//! small, and is saved whole at each checkpoint.

use serde::{Deserialize, Serialize};

use crate::admit::{Ledger, RecentLedger};
use crate::event::EventTime;
use crate::window::{Reached, StartedAt};

/// The head of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The cluster that everything was read from, once it is known.
    pub cluster: Option<String>,
    /// Equal for equal hash keys; says nothing of the key.
    pub key_check: u64,
    /// The moment for which the saved figures hold; microseconds.
    pub as_of: Option<i64>,
    /// Topics that are not here yet begin at this time, as `state reset --from` asked;
    /// microseconds.
    pub start_from: Option<i64>,
    /// The length of a sixteenth of the horizon in which ids are remembered;
    /// microseconds.
    pub ids_step: Option<i64>,
    /// The moment by which ids were forgotten last; microseconds.
    pub ids_present: Option<i64>,
    /// Measures that were being filled from the topics, by the names of slice and
    /// measure: what is held of them is not whole.
    pub filling: Vec<(String, String)>,
    /// In order of names.
    pub topics: Vec<TopicHead>,
    /// What partitions that are gone have left.
    #[serde(skip)]
    pub gone: Gone,
}

/// What partitions that are gone have left. It stands behind everything else: the first
/// heads that were written have none, and a program that does not know it leaves it
/// unread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Up to this moment some of their records are missing; microseconds.
    pub missing_until: Option<i64>,
    /// Topic, partition, how often records were gone before they were read, and how many.
    pub losses: Vec<(String, i32, u64, u64)>,
}

/// One topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicHead {
    /// Its name.
    pub name: String,
    /// What became of its records and events.
    pub counts: Counts,
    /// The same by minute of record time (seconds), of the last minutes.
    pub recent: Vec<(i64, Counts)>,
    /// In order of numbers.
    pub partitions: Vec<PartitionHead>,
}

/// One partition; times in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionHead {
    /// Its number.
    pub partition: i32,
    /// The first offset that was read.
    pub start_offset: i64,
    /// From when on everything was read.
    pub covered_from: Option<i64>,
    /// Everything below is folded.
    pub folded_below: i64,
    /// The moment up to which it is known to be read.
    pub frontier: Option<i64>,
    /// The highest record timestamp that was not above the clock.
    pub highest_record: Option<i64>,
    /// Tells the topic from a later one of the same name.
    pub topic_id: Option<String>,
    /// How often records were missing.
    pub gaps: u64,
    /// Records that were missing, as far as offsets tell.
    pub lost_records: u64,
    /// Offsets that no window reached back to when its reading began.
    pub passed_over: u64,
}

/// A ledger's counts that are not 0, by ledger, outcome and reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts(Vec<(String, String, String, u64)>);

impl Counts {
    /// Of a ledger.
    pub fn of(ledger: &Ledger) -> Counts {
        let some = ledger.counts().into_iter().filter(|(_, count)| *count > 0);
        let named = some.map(|(name, count)| {
            (name.ledger.into(), name.outcome.into(), name.reason.into(), count)
        });
        Counts(named.collect())
    }

    /// The ledger of these counts.
    ///
    /// # Errors
    /// A count whose name this version does not know.
    pub fn ledger(&self) -> Result<Ledger, String> {
        let mut ledger = Ledger::default();
        let mut taken = 0;
        ledger.each_count(|name, count| {
            let is_it = |(ledger, outcome, reason, _): &&(String, String, String, u64)| {
                *ledger == name.ledger && *outcome == name.outcome && *reason == name.reason
            };
            if let Some((_, _, _, saved)) = self.0.iter().find(is_it) {
                *count = *saved;
                taken += 1;
            }
        });
        if taken < self.0.len() {
            let names = self.0.iter().map(|(ledger, outcome, reason, _)| {
                format!("{ledger} {outcome} {reason}").trim_end().to_owned()
            });
            return Err(format!(
                "a ledger has a count that this version does not know; it knows part of: {}",
                names.collect::<Vec<_>>().join(", ")
            ));
        }
        Ok(ledger)
    }
}

impl TopicHead {
    /// What is saved of a topic's ledgers.
    pub(super) fn new(name: &str, ledger: &Ledger, recent: &RecentLedger) -> TopicHead {
        TopicHead {
            name: name.to_owned(),
            counts: Counts::of(ledger),
            recent: recent
                .minutes()
                .map(|(minute, ledger)| (minute.micros().div_euclid(1_000_000), Counts::of(ledger)))
                .collect(),
            partitions: Vec::new(),
        }
    }

    /// The ledgers back from it.
    pub(super) fn ledgers(&self) -> Result<(Ledger, RecentLedger), String> {
        let mut recent = RecentLedger::default();
        for (minute, counts) in &self.recent {
            recent.add(EventTime::from_secs(*minute), &counts.ledger()?);
        }
        Ok((self.counts.ledger()?, recent))
    }
}

impl PartitionHead {
    /// What is saved of how far a partition is read.
    pub(super) fn new(partition: i32, reached: Reached) -> PartitionHead {
        PartitionHead {
            partition,
            start_offset: reached.start.offset,
            covered_from: reached.start.covered_from.map(EventTime::micros),
            folded_below: reached.folded_below,
            frontier: reached.frontier.map(EventTime::micros),
            highest_record: reached.highest_record.map(EventTime::micros),
            ..PartitionHead::default()
        }
    }

    /// How far it is read.
    pub fn reached(&self) -> Reached {
        let time = |micros: Option<i64>| micros.map(EventTime::from_micros);
        Reached {
            start: StartedAt { offset: self.start_offset, covered_from: time(self.covered_from) },
            folded_below: self.folded_below,
            frontier: time(self.frontier),
            highest_record: time(self.highest_record),
        }
    }
}

impl Head {
    /// As bytes of a checkpoint.
    pub fn encode(&self) -> Vec<u8> {
        // Writing into a growing vector cannot fail.
        let head = postcard::to_stdvec(self).unwrap_or_default();
        postcard::to_extend(&self.gone, head).unwrap_or_default()
    }

    /// From the bytes of a checkpoint.
    ///
    /// # Errors
    /// Bytes that are no head: a defect of the program that wrote them.
    pub fn decode(bytes: &[u8]) -> Result<Head, String> {
        let unreadable = |error| format!("the head cannot be read: {error}");
        let (mut head, rest): (Head, _) = postcard::take_from_bytes(bytes).map_err(unreadable)?;
        if !rest.is_empty() {
            head.gone = postcard::from_bytes(rest).map_err(unreadable)?;
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_comes_back_under_its_name() {
        let mut ledger = Ledger::default();
        let mut number = 0;
        ledger.each_count(|_, count| {
            number += 1;
            *count = number;
        });
        assert!(number > 40, "both ledgers with their reasons: {number}");
        assert_eq!(Counts::of(&ledger).ledger(), Ok(ledger));
        assert_eq!(Counts::default().ledger(), Ok(Ledger::default()));
    }

    #[test]
    fn a_count_of_a_later_version_is_not_dropped_in_silence() {
        let later = ("events".into(), "rejected".into(), "too_odd".into(), 3);
        assert!(Counts(vec![later]).ledger().is_err_and(|text| text.contains("too_odd")));
    }

    #[test]
    fn a_head_survives_its_bytes() {
        let mut topic = TopicHead::new("mail", &Ledger::default(), &RecentLedger::default());
        topic.partitions.push(PartitionHead { partition: 3, gaps: 1, ..PartitionHead::default() });
        let gone = Gone { missing_until: Some(5), losses: vec![("web".to_owned(), 2, 1, 40)] };
        let head = Head { topics: vec![topic], as_of: Some(7), gone, ..Head::default() };
        assert_eq!(Head::decode(&head.encode()).as_ref(), Ok(&head));
        let first = postcard::to_stdvec(&head).expect("as the first program wrote it");
        assert_eq!(Head::decode(&first), Ok(Head { gone: Gone::default(), ..head.clone() }));
        let read: Head = postcard::from_bytes(&head.encode()).expect("as the first one reads it");
        assert_eq!(read, Head { gone: Gone::default(), ..head });
        assert!(Head::decode(&[0xFF; 9]).is_err());
    }
}
