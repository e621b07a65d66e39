//! Formulas over measures: `+ - * /`, parentheses, constants, and `or(a, b)`.

use crate::event::Decimal;
use crate::kpi::MeasureIndex;

/// A formula whose measures are resolved.
#[derive(Debug, Clone, PartialEq)]
pub enum Formula {
    /// A number.
    Constant(Decimal),
    /// The value of a measure.
    Measure(MeasureIndex),
    /// Two formulas and what joins them.
    Binary(Box<Formula>, Operator, Box<Formula>),
    /// The second where the first has no data.
    Or(Box<Formula>, Box<Formula>),
}

/// What joins two formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

/// The value of a measure or a formula: exact for as long as it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A count, a sum, a distinct count, and what `+ -` make of them.
    Exact(Decimal),
    /// What a division, or a product that does not fit, makes of them.
    Real(f64),
}

impl Quantity {
    /// The nearest float, for export and for judging.
    pub fn to_f64(self) -> f64 {
        match self {
            Quantity::Exact(decimal) => decimal.to_f64(),
            Quantity::Real(real) => real,
        }
    }
}

impl Formula {
    /// The measures that it names, in order, repeats included.
    pub fn measures(&self) -> Vec<MeasureIndex> {
        match self {
            Formula::Constant(_) => Vec::new(),
            Formula::Measure(measure) => vec![*measure],
            Formula::Binary(left, _, right) | Formula::Or(left, right) => {
                let mut measures = left.measures();
                measures.extend(right.measures());
                measures
            }
        }
    }
}
