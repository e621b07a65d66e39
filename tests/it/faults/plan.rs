//! Which faults a run has, when, and how long: all of it from the seed.
//!
//! Every kind comes up before any comes up again. Faults of one round overlap unless
//! they hit the same instance, or both the broker or its network.

use super::event::Burst;
use super::random::Random;

/// What can go wrong, or merely change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Kill,
    Terminate,
    Pause,
    /// Killed, and begun anew under a clock that is wrong for a while.
    WrongClock,
    BrokerKill,
    BrokerRestart,
    Stalled,
    Refused,
    Slow,
    AddPartition,
    AddTopic,
    Burst(Burst),
    /// One that is open meanwhile, and ends in whatever way.
    Transaction,
    ChangeConfiguration,
    FullDisk,
    TornStore,
    DamagedStore,
}

const KINDS: &[Kind] = &[
    Kind::Kill,
    Kind::Terminate,
    Kind::Pause,
    Kind::WrongClock,
    Kind::BrokerKill,
    Kind::BrokerRestart,
    Kind::Stalled,
    Kind::Refused,
    Kind::Slow,
    Kind::AddPartition,
    Kind::AddTopic,
    Kind::Burst(Burst::Copies),
    Kind::Burst(Burst::Late),
    Kind::Burst(Burst::Future),
    Kind::Burst(Burst::Poison),
    Kind::Transaction,
    Kind::ChangeConfiguration,
    Kind::FullDisk,
    Kind::TornStore,
    Kind::DamagedStore,
];

/// One fault. Times are counted in batches of the producer, a tenth of a second each.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    /// Its number in the run, from 1.
    pub(super) number: usize,
    pub(super) kind: Kind,
    /// Which instance.
    pub(super) replica: usize,
    pub(super) begins: u64,
    pub(super) ends: u64,
    /// For whatever else is to be decided.
    pub(super) detail: u64,
}

/// A stretch of production with faults, ending in a quiet point.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) batches: u64,
    pub(super) faults: Vec<Fault>,
    /// The instance that is killed at the quiet point.
    pub(super) killed_after: usize,
}

/// What cannot be hit by two faults at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Replica(usize),
    Broker,
    Production,
}

impl Kind {
    fn lanes(self, replica: usize) -> Vec<Lane> {
        match self {
            Kind::Kill
            | Kind::Terminate
            | Kind::Pause
            | Kind::WrongClock
            | Kind::FullDisk
            | Kind::TornStore
            | Kind::DamagedStore => vec![Lane::Replica(replica)],
            Kind::ChangeConfiguration => vec![Lane::Replica(0), Lane::Replica(1)],
            Kind::BrokerKill | Kind::BrokerRestart | Kind::Stalled | Kind::Refused | Kind::Slow => {
                vec![Lane::Broker]
            }
            Kind::AddPartition | Kind::AddTopic => vec![Lane::Broker, Lane::Production],
            // Its own producer is not one that outlives the broker.
            Kind::Transaction => vec![Lane::Broker],
            Kind::Burst(_) => vec![Lane::Production],
        }
    }

    /// The shortest and the longest, in batches.
    fn length(self) -> (i64, i64) {
        match self {
            Kind::Pause => (10, 150),
            Kind::WrongClock => (5, 60),
            Kind::Transaction => (1, 60),
            Kind::Stalled | Kind::Refused | Kind::Slow => (10, 80),
            Kind::Burst(_) => (10, 30),
            Kind::FullDisk => (20, 60),
            Kind::Kill
            | Kind::Terminate
            | Kind::BrokerKill
            | Kind::BrokerRestart
            | Kind::TornStore
            | Kind::DamagedStore => (0, 25),
            Kind::AddPartition | Kind::AddTopic | Kind::ChangeConfiguration => (0, 0),
        }
    }
}

/// Rounds with `count` faults in all.
pub(super) fn rounds(random: &mut Random, count: usize) -> Vec<Round> {
    let mut deck: Vec<Kind> = Vec::new();
    let mut rounds = Vec::new();
    let mut number = 0;
    while number < count {
        let of_round = (random.between(1, 3) as usize).min(count - number);
        let mut free = vec![
            (Lane::Replica(0), 0),
            (Lane::Replica(1), 0),
            (Lane::Broker, 0),
            (Lane::Production, 0),
        ];
        let mut faults = Vec::new();
        for _ in 0..of_round {
            if deck.is_empty() {
                deck = KINDS.to_vec();
                random.shuffle(&mut deck);
            }
            let kind = deck.pop().expect("it was just filled");
            number += 1;
            let replica = random.below(2) as usize;
            let lanes = kind.lanes(replica);
            let busy =
                free.iter().filter(|(lane, _)| lanes.contains(lane)).map(|(_, until)| *until);
            let begins = busy.max().unwrap_or(0) + random.between(2, 20) as u64;
            let (shortest, longest) = kind.length();
            let ends = begins + random.between(shortest, longest) as u64;
            for (lane, until) in &mut free {
                if lanes.contains(lane) {
                    *until = ends;
                }
            }
            faults.push(Fault { number, kind, replica, begins, ends, detail: random.next() });
        }
        let last = faults.iter().map(|fault| fault.ends).max().unwrap_or(0);
        rounds.push(Round {
            batches: last + random.between(5, 15) as u64,
            faults,
            killed_after: random.below(2) as usize,
        });
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_in_which_every_kind_comes_up() {
        let plan = |seed| rounds(&mut Random::new(seed), 40);
        assert_eq!(format!("{:?}", plan(7)), format!("{:?}", plan(7)));
        let faults: Vec<Fault> = plan(7).into_iter().flat_map(|round| round.faults).collect();
        assert_eq!(faults.len(), 40);
        for kind in KINDS {
            assert!(faults.iter().any(|fault| fault.kind == *kind), "{kind:?}");
        }
    }
}
