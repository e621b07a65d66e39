//! The simulator: any stretch of time in, the records that the vendors would have
//! written then out, in the order of their timestamps.
//!
//! It has no state that moves. A second is made from the seed and the second
//! alone, so history and live traffic are one and the same thing, and two
//! overlapping stretches agree where they overlap. Every record carries the truth
//! about itself, against which the whole pipeline can be held.

use super::campaigns::{Deed, Spikes, Stream, System, streams};
use super::random::{Dice, spread};
use super::wire;
use crate::event::{EventTime, Span};

/// A source of live campaigns that never were.
#[derive(Debug, Clone)]
pub struct Simulator {
    seed: u64,
    start: EventTime,
    spikes: Spikes,
    streams: Vec<Stream>,
}

/// Something that happened, before a vendor put it into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// What.
    pub deed: Deed,
    /// In which campaign, where the system that reports it knows.
    pub campaign: Option<&'static str>,
    /// When; a vendor may report it in whole seconds.
    pub time: EventTime,
    /// Names the act.
    pub number: u64,
    /// Who did it, or the list that was counted.
    pub user: u64,
    /// How many: 1, but for the size of a list.
    pub count: u64,
}

/// What a record holds in truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// These acts, in the order in which they stand in it.
    Acts(Vec<Act>),
    /// Something broken: the record, or its one event, is refused.
    Broken,
    /// An event of a type that nobody knows.
    Unknown,
}

/// One record, as a producer would send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedRecord {
    /// Where it goes.
    pub topic: &'static str,
    /// Its key, unless null.
    pub key: Option<String>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Its value.
    pub value: Vec<u8>,
    /// Its timestamp.
    pub time: EventTime,
    /// What it holds, in truth.
    pub truth: Truth,
}

/// The mailing lists whose size is stated twice a minute, and about how long they
/// are.
pub(super) const LISTS: [(&str, u64); 2] = [("newsletter", 148_200), ("customers", 61_900)];
const SECOND: i64 = 1_000_000;
const LIST_COUNTED_EVERY: i64 = 30;
/// On average one record in so many seconds is broken or of an unknown type.
const ODD_EVERY: u64 = 25;
/// One in so many pages is reported by a phone that was offline.
const LATE_ONE_IN: u64 = 40;

impl Simulator {
    /// A simulator whose live traffic starts at `start`: the spike is placed by it, and
    /// there is one.
    pub fn new(seed: u64, start: EventTime) -> Self {
        Self::spiking(seed, start, Spikes::ONCE)
    }

    /// As [`Simulator::new`], with other spikes.
    pub fn spiking(seed: u64, start: EventTime, spikes: Spikes) -> Self {
        Simulator { seed, start, spikes, streams: streams(seed) }
    }

    /// All records that belong to [from, to), in the order of their timestamps.
    ///
    /// A second costs some 100 us at full traffic.
    pub fn records(
        &self,
        from: EventTime,
        to: EventTime,
    ) -> impl Iterator<Item = SimulatedRecord> + '_ {
        let first = from.micros().div_euclid(SECOND);
        let after = (to.micros() + SECOND - 1).div_euclid(SECOND);
        (first..after)
            .flat_map(|second| self.second(second))
            .filter(move |record| record.time >= from && record.time < to)
    }

    fn second(&self, second: i64) -> Vec<SimulatedRecord> {
        let mut records = Vec::new();
        for system in System::ALL {
            let mut acts = self.acts(system, second);
            acts.sort_by_key(|(reported, act)| (*reported, act.number));
            wire::write(system, acts, &mut records);
        }
        records.extend(self.oddity(second));
        records.sort_by_key(|record| record.time);
        records
    }

    /// What one system reports in a second, with the time of the report.
    fn acts(&self, system: System, second: i64) -> Vec<(EventTime, Act)> {
        let mut acts = Vec::new();
        for (place, stream) in self.streams.iter().enumerate() {
            if stream.system != system {
                continue;
            }
            let times = spread(stream.rate(second, self.start, self.spikes), second, stream.offset);
            for nth in 0..times {
                let dice = Dice::at(&[self.seed, second as u64, place as u64, nth]);
                acts.push(act_of(stream, second, dice));
            }
        }
        if system == System::Canonical {
            acts.extend(self.list_sizes(second));
        }
        acts
    }

    fn list_sizes(&self, second: i64) -> Vec<(EventTime, Act)> {
        if second.rem_euclid(LIST_COUNTED_EVERY) != 0 {
            return Vec::new();
        }
        let counted = |(list, (_, size)): (usize, &(&str, u64))| {
            let mut dice = Dice::at(&[self.seed, second as u64, 3, list as u64]);
            let time = EventTime::from_secs(second) + Span::from_millis(40 * list as i64);
            let act = Act {
                deed: Deed::ListCounted,
                campaign: None,
                time,
                number: dice.next(),
                user: list as u64,
                count: size + dice.below(60),
            };
            (time, act)
        };
        LISTS.iter().enumerate().map(counted).collect()
    }

    /// A trickle of what every pipeline meets: broken records and new types.
    fn oddity(&self, second: i64) -> Option<SimulatedRecord> {
        let mut dice = Dice::at(&[self.seed, second as u64, 4]);
        if dice.below(ODD_EVERY) != 0 {
            return None;
        }
        let time = EventTime::from_secs(second) + Span::from_millis(dice.below(1_000) as i64);
        Some(wire::odd(time, &mut dice))
    }
}

fn act_of(stream: &Stream, second: i64, mut dice: Dice) -> (EventTime, Act) {
    let reported = EventTime::from_secs(second) + Span::from_millis(dice.below(1_000) as i64);
    let number = dice.next();
    // As many people as make the shares of different people look like life.
    let user = match stream.system {
        System::SendGrid | System::AmazonSes => dice.below(60_000),
        System::Segment | System::Ga4 | System::CloudEvents => dice.below(9_000),
        System::Meta | System::Canonical => dice.below(20_000),
    };
    let offline = stream.system == System::Segment && dice.below(LATE_ONE_IN) == 0;
    let ago =
        if offline { Span::from_secs(120 + dice.below(1_200) as i64) } else { Span::default() };
    let act = Act {
        deed: stream.deed,
        campaign: stream.campaign,
        time: reported - ago,
        number,
        user,
        count: 1,
    };
    (reported, act)
}
