//! What a KPI is a share of, and so which figures it cannot have.

/// What a KPI is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Of what the same window holds: every event above the line is one below it.
    OfWindow,
    /// Of what came earlier: what is above the line answers events below it, and the
    /// window may hold the answer alone.
    OfEarlier,
}

/// Why a figure is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoShare {
    /// The events contradict what is declared.
    Inconsistent,
    /// More was answered than the window holds.
    OutsideWindow,
}

impl Share {
    /// What is wrong with a figure; nothing is from 0 to 1, both included.
    pub fn fault(self, value: f64) -> Option<NoShare> {
        match self {
            _ if value < 0.0 => Some(NoShare::Inconsistent),
            _ if value <= 1.0 => None,
            Share::OfWindow => Some(NoShare::Inconsistent),
            Share::OfEarlier => Some(NoShare::OutsideWindow),
        }
    }
}
