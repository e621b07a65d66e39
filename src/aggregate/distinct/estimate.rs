//! From the registers of a HyperLogLog to a count.
//!
//! Ertl's improved estimator (arXiv 1702.01284, algorithm 6): unbiased over the
//! whole range, with neither thresholds nor tables.

/// Bits of a hash that choose the register.
pub(super) const INDEX_BITS: u32 = 12;
/// Bits of a hash that give the rank.
const RANK_BITS: usize = 64 - INDEX_BITS as usize;
const REGISTERS: f64 = (1 << INDEX_BITS) as f64;

/// How many registers have each rank, 0 (never hit) to 53.
#[derive(Debug, Clone)]
pub(super) struct Histogram([u32; RANK_BITS + 2]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; RANK_BITS + 2])
    }
}

impl Histogram {
    pub(super) fn add(&mut self, rank: u8) {
        self.0[usize::from(rank).min(RANK_BITS + 1)] += 1;
    }

    /// The estimate, to the nearest whole number; 0 only when no register was hit.
    pub(super) fn estimate(&self) -> u64 {
        let share = |rank: usize| f64::from(self.0[rank]) / REGISTERS;
        if self.0[0] as f64 == REGISTERS {
            return 0;
        }
        let mut z = REGISTERS * tau(1.0 - share(RANK_BITS + 1));
        for rank in (1..=RANK_BITS).rev() {
            z = 0.5 * (z + f64::from(self.0[rank]));
        }
        z += REGISTERS * sigma(share(0));
        let estimate = REGISTERS * REGISTERS / (2.0 * std::f64::consts::LN_2 * z);
        (estimate.round() as u64).max(1)
    }
}

/// x + the sum over k >= 1 of x^(2^k) 2^(k-1), for x below 1.
fn sigma(mut x: f64) -> f64 {
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// A third of (1 - x - the sum over k >= 1 of (1 - x^(2^-k))^2 2^-k).
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
