//! A HyperLogLog over every window at once.
//!
//! Each register keeps, instead of its greatest rank, the Pareto front of (tick,
//! rank): a rank only as long as no later sighting has at least as great a one. The
//! register of any window is then the greatest rank on the front from the window's
//! start on (Chabchoub and Hebrail, "Sliding HyperLogLog", 2010,
//! doi 10.1109/ICDMW.2010.18). What is kept depends on the set of sightings alone.

use super::estimate::{Histogram, INDEX_BITS};
use crate::aggregate::Tick;

/// How many registers there are.
pub(super) const REGISTERS: usize = 1 << INDEX_BITS;
/// The rank of an item whose other bits are all zeros.
pub(super) const HIGHEST_RANK: u8 = (64 - INDEX_BITS + 1) as u8;
const NIL: u32 = (1 << RANK_SHIFT) - 1;
const RANK_SHIFT: u32 = 26;

/// The register of an item, and its rank there: one more than the zeros that lead
/// the rest of its hash.
pub(super) fn place_of(item: u64) -> (usize, u8) {
    let register = (item >> (64 - INDEX_BITS)) as usize;
    let guard = 1_u64 << (INDEX_BITS - 1);
    let rank = ((item << INDEX_BITS) | guard).leading_zeros() + 1;
    (register, rank as u8)
}

/// One sighting on a front; the rank and the place of the next older one share 32
/// bits.
#[derive(Debug, Clone, Copy)]
struct Node {
    tick: Tick,
    link: u32,
}

impl Node {
    fn new(tick: Tick, rank: u8, older: u32) -> Self {
        Node { tick, link: u32::from(rank) << RANK_SHIFT | older }
    }

    fn rank(self) -> u8 {
        (self.link >> RANK_SHIFT) as u8
    }

    fn older(self) -> u32 {
        self.link & NIL
    }
}

/// The fronts of all registers: newest first, ranks growing with age.
#[derive(Debug, Clone)]
pub(super) struct Fronts {
    heads: Box<[u32]>,
    nodes: Vec<Node>,
    /// The first of the unused nodes, which are chained as well.
    free: u32,
    used: usize,
}

impl Default for Fronts {
    fn default() -> Self {
        Fronts {
            heads: vec![NIL; REGISTERS].into(),
            nodes: Vec::with_capacity(EXPECTED_NODES),
            free: NIL,
            used: 0,
        }
    }
}

const EXPECTED_NODES: usize = 1_024;

impl Fronts {
    /// Whether that says anything new.
    pub(super) fn insert_item(&mut self, item: u64, tick: Tick) -> bool {
        let (register, rank) = place_of(item);
        self.insert(register, rank, tick)
    }

    /// Whether that says anything new.
    pub(super) fn insert(&mut self, register: usize, rank: u8, tick: Tick) -> bool {
        let mut newer = NIL;
        let mut at = self.heads[register];
        while at != NIL {
            let node = self.nodes[at as usize];
            if node.tick >= tick && node.rank() >= rank {
                return false;
            }
            if node.tick <= tick {
                break;
            }
            (newer, at) = (at, node.older());
        }
        while at != NIL && self.nodes[at as usize].rank() <= rank {
            at = self.release(at);
        }
        let made = self.make(Node::new(tick, rank, at));
        self.link(register, newer, made);
        true
    }

    /// Makes `at` the next older of `newer`, or the newest where that is none.
    fn link(&mut self, register: usize, newer: u32, at: u32) {
        if newer == NIL {
            self.heads[register] = at;
        } else {
            let node = &mut self.nodes[newer as usize];
            *node = Node::new(node.tick, node.rank(), at);
        }
    }

    fn make(&mut self, node: Node) -> u32 {
        self.used += 1;
        if self.free == NIL {
            self.nodes.push(node);
            return (self.nodes.len() - 1) as u32;
        }
        let at = self.free;
        self.free = self.nodes[at as usize].older();
        self.nodes[at as usize] = node;
        at
    }

    /// Gives a node back; returns the next older one.
    fn release(&mut self, at: u32) -> u32 {
        let older = self.nodes[at as usize].older();
        self.nodes[at as usize] = Node::new(Tick::MIN, 0, self.free);
        self.free = at;
        self.used -= 1;
        older
    }

    /// Forgets what was seen before `keep_from`.
    pub(super) fn age(&mut self, keep_from: Tick) {
        for register in 0..REGISTERS {
            let mut newer = NIL;
            let mut at = self.heads[register];
            while at != NIL && self.nodes[at as usize].tick >= keep_from {
                (newer, at) = (at, self.nodes[at as usize].older());
            }
            if at == NIL {
                continue;
            }
            self.link(register, newer, NIL);
            while at != NIL {
                at = self.release(at);
            }
        }
    }

    pub(super) fn each(&self, mut give: impl FnMut(usize, u8, Tick)) {
        for (register, &head) in self.heads.iter().enumerate() {
            let mut at = head;
            while at != NIL {
                let node = self.nodes[at as usize];
                give(register, node.rank(), node.tick);
                at = node.older();
            }
        }
    }

    /// The registers from each of `starts` (newest first) on, each at least as in
    /// `floor`, counted by rank.
    pub(super) fn histograms(
        &self,
        starts: &[Tick],
        floor: &[u8; REGISTERS],
        histograms: &mut [Histogram],
    ) {
        for (&head, &floor) in self.heads.iter().zip(floor) {
            let mut rank = floor;
            let mut window = 0;
            let mut at = head;
            while at != NIL {
                let node = self.nodes[at as usize];
                while window < starts.len() && node.tick < starts[window] {
                    histograms[window].add(rank);
                    window += 1;
                }
                if window == starts.len() {
                    break;
                }
                rank = rank.max(node.rank());
                at = node.older();
            }
            for histogram in &mut histograms[window..] {
                histogram.add(rank);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }
}
