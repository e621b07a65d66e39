//! How ticks and amounts are written down: small, since most are near the last one
//! or whole.

use serde::{Deserialize, Serialize};

use crate::aggregate::Tick;
use crate::event::Decimal;

/// What was written cannot be an aggregate; says what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Impossible(pub &'static str);

/// Ticks as steps from one to the next. Both sides begin at the same tick.
#[derive(Debug, Clone, Copy)]
pub struct TickSteps {
    last: i32,
}

impl TickSteps {
    /// Steps that begin at `base`.
    pub fn from(base: Tick) -> Self {
        TickSteps { last: base.number() }
    }

    /// The step that leads to `tick`.
    pub fn to(&mut self, tick: Tick) -> i32 {
        let step = tick.number().wrapping_sub(self.last);
        self.last = tick.number();
        step
    }

    /// Where a step leads. Any step leads somewhere.
    pub fn take(&mut self, step: i32) -> Tick {
        self.last = self.last.wrapping_add(step);
        Tick::new(self.last)
    }
}

/// A decimal; whole ones in few bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum AmountRecord {
    /// A whole number.
    Whole(i64),
    /// Any other, as it is stored.
    Exact(i128),
}

impl From<Decimal> for AmountRecord {
    fn from(amount: Decimal) -> Self {
        let whole = amount.raw() / Decimal::ONE.raw();
        match i64::try_from(whole) {
            Ok(whole) if Decimal::from_int(whole) == amount => AmountRecord::Whole(whole),
            _ => AmountRecord::Exact(amount.raw()),
        }
    }
}

impl From<AmountRecord> for Decimal {
    fn from(record: AmountRecord) -> Self {
        match record {
            AmountRecord::Whole(whole) => Decimal::from_int(whole),
            AmountRecord::Exact(raw) => Decimal::from_raw(raw),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for raw in [0, 1, -1, 1_000_000_000, -7_000_000_000, i128::MAX, i128::MIN] {
            let amount = Decimal::from_raw(raw);
            assert_eq!(Decimal::from(AmountRecord::from(amount)), amount);
        }
        let ticks = [Tick::MIN, Tick::new(5), Tick::MAX, Tick::MIN, Tick::new(0)];
        let (mut there, mut back) = (TickSteps::from(Tick::MIN), TickSteps::from(Tick::MIN));
        for tick in ticks {
            assert_eq!(back.take(there.to(tick)), tick);
        }
    }
}
