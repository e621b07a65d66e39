//! Chance without state: the same inputs give the same numbers, on any machine.
//!
//! Everything the simulator decides is drawn from a hash of where it stands (the
//! seed, the second, the stream), so that any stretch of time can be made again,
//! in pieces of any size. Only integer arithmetic and `+ - *` on floats are used:
//! both are the same everywhere, which library functions such as sine are not.

/// A sequence of random numbers: splitmix64 (Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Dice {
    /// A sequence of its own for each list of numbers.
    pub(super) fn at(place: &[u64]) -> Self {
        let mut dice = Dice(0x7469_6465_6761_7567);
        for part in place {
            dice.0 ^= part.wrapping_mul(GOLDEN);
            dice.0 = dice.next();
        }
        dice
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// One of `0..sides`, evenly enough for a show.
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.next() % sides.max(1)
    }

    /// From 0 up to 1, without 1.
    pub(super) fn share(&mut self) -> f64 {
        unit(self.next())
    }
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Rounds a rate per second to a whole count for this second, so that the counts
/// of any run of seconds add up to the rate to within a few.
///
/// The rounding threshold walks along the multiples of the golden ratio (a
/// low-discrepancy sequence). Independent draws would scatter a rare act such as
/// an unsubscribe so widely that an honest objective would be missed by chance.
pub(super) fn spread(rate: f64, second: i64, offset: u64) -> u64 {
    let threshold = unit((second as u64).wrapping_mul(GOLDEN).wrapping_add(offset));
    (rate.max(0.0) + threshold) as u64
}

/// A number from -1 to 1 that drifts: straight lines between random knots.
pub(super) fn drift(seed: u64, second: i64, knot_every: i64) -> f64 {
    let knot = second.div_euclid(knot_every);
    let at = |knot: i64| Dice::at(&[seed, knot as u64]).share() * 2.0 - 1.0;
    let way = second.rem_euclid(knot_every) as f64 / knot_every as f64;
    at(knot) * (1.0 - way) + at(knot + 1) * way
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_counts_add_up_to_the_rate_in_any_minute() {
        for rate in [0.02, 0.35, 4.2] {
            for start in [0, 17, 1_700_000_003] {
                let sum: u64 = (start..start + 60).map(|second| spread(rate, second, 99)).sum();
                let off = (sum as f64 - rate * 60.0).abs();
                assert!(off < 2.0, "rate {rate} from {start}: {sum} is off by {off}");
            }
        }
    }

    #[test]
    fn drift_has_no_jumps_and_stays_within_one() {
        for second in 0..2_000 {
            let (here, next) = (drift(7, second, 60), drift(7, second + 1, 60));
            assert!(here.abs() <= 1.0 && (here - next).abs() <= 2.0 / 60.0 + 1e-9);
        }
    }

    #[test]
    fn dice_of_one_place_repeat_and_of_two_places_differ() {
        assert_eq!(Dice::at(&[1, 2]).next(), Dice::at(&[1, 2]).next());
        assert_ne!(Dice::at(&[1, 2]).next(), Dice::at(&[2, 1]).next());
    }
}
