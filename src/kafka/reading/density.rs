//! How many offsets of a partition hold no record: markers of transactions, aborted ones,
//! and what compaction took.

use crate::kafka::shared::MANY_HOLES;

/// Records that were read of a partition, and offsets between them that hold none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Density {
    records: i64,
    holes: i64,
    /// So many holes more than records are looked into.
    tolerated: i64,
}

impl Default for Density {
    fn default() -> Self {
        Density { records: 0, holes: 0, tolerated: MANY_HOLES }
    }
}

impl Density {
    /// A record is read after so many offsets without one; whether the holes are to be
    /// looked into. They are again only when they have doubled, so that a log is looked
    /// into a few times, however long it is.
    pub(super) fn read(&mut self, missing: i64) -> bool {
        self.records += 1;
        self.holes += missing.max(0);
        let more = self.holes - self.records;
        let many = more > self.tolerated;
        if many {
            self.tolerated = 2 * more;
        }
        many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_looked_into_when_they_are_many_and_then_when_they_have_doubled() {
        let looks = |missing: i64, records: usize| {
            let mut density = Density::default();
            (0..records).filter(|_| density.read(missing)).count()
        };
        assert_eq!(looks(0, 1_000_000), 0);
        assert_eq!(looks(1, 1_000_000), 0, "a transaction for each record");
        assert_eq!(looks(300, 1), 1);
        assert!((10..20).contains(&looks(9, 1_000_000)), "{}", looks(9, 1_000_000));
    }
}
