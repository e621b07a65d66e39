//! Formulas over the measures of one window.
//!
//! Rules for what has no data: a count, a sum or a distinct count without data is 0
//! as long as some operand of the formula has data (delivered, and nobody
//! unsubscribed: 0); where none has, nor has the result. A mean or a level without
//! data leaves the whole without. `or(a, b)` is b where a has no value. x/0 has no
//! value. `+`, `-` and `*` stay exact for as long as the result fits.

use crate::event::Decimal;
use crate::kpi::{Formula, MeasureIndex, Operator, Quantity};

/// What one window says of a measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operand {
    /// A value.
    Value(Quantity),
    /// No data, of a measure whose nothing is 0: a count, a sum, a distinct count.
    Nothing,
    /// No data, of a mean or a level.
    Absent,
    /// There may be data, but the state can no longer say: no figure may rest on it.
    Unknown,
}

impl Operand {
    /// A value, unless it rests on a sum that was too large.
    pub(super) fn of(value: Quantity) -> Self {
        let known = match value {
            Quantity::Exact(sum) => sum.is_known(),
            Quantity::Real(mean) => mean.is_finite(),
        };
        if known { Operand::Value(value) } else { Operand::Unknown }
    }
}

impl Formula {
    /// The value over `operands`; `None` is no data. Never NaN or infinite.
    pub fn evaluate(&self, operands: &impl Fn(MeasureIndex) -> Operand) -> Option<Quantity> {
        if self.names(&|measure| operands(measure) == Operand::Unknown) {
            return None;
        }
        let has_data = self.names(&|measure| matches!(operands(measure), Operand::Value(_)));
        self.evaluate_with(operands, has_data)
    }

    /// Whether it names a measure for which `test` holds.
    fn names(&self, test: &impl Fn(MeasureIndex) -> bool) -> bool {
        match self {
            Formula::Constant(_) => false,
            Formula::Measure(measure) => test(*measure),
            Formula::Binary(left, _, right) | Formula::Or(left, right) => {
                left.names(test) || right.names(test)
            }
        }
    }

    fn evaluate_with(
        &self,
        operands: &impl Fn(MeasureIndex) -> Operand,
        nothing_is_zero: bool,
    ) -> Option<Quantity> {
        match self {
            Formula::Constant(constant) => Some(Quantity::Exact(*constant)),
            Formula::Measure(measure) => match operands(*measure) {
                Operand::Value(value) => Some(value),
                Operand::Nothing if nothing_is_zero => Some(Quantity::Exact(Decimal::ZERO)),
                Operand::Nothing | Operand::Absent | Operand::Unknown => None,
            },
            Formula::Binary(left, operator, right) => {
                let left = left.evaluate_with(operands, nothing_is_zero)?;
                let right = right.evaluate_with(operands, nothing_is_zero)?;
                apply(left, *operator, right)
            }
            Formula::Or(first, second) => {
                first.evaluate(operands).or_else(|| second.evaluate_with(operands, nothing_is_zero))
            }
        }
    }
}

fn apply(left: Quantity, operator: Operator, right: Quantity) -> Option<Quantity> {
    if let (Quantity::Exact(left), Quantity::Exact(right)) = (left, right)
        && let Some(exact) = apply_exactly(left, operator, right)
    {
        return Some(Quantity::Exact(exact));
    }
    let (left, right) = (left.to_f64(), right.to_f64());
    let result = match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
    };
    result.is_finite().then_some(Quantity::Real(result))
}

fn apply_exactly(left: Decimal, operator: Operator, right: Decimal) -> Option<Decimal> {
    let raw = match operator {
        Operator::Add => left.raw().checked_add(right.raw()),
        Operator::Subtract => left.raw().checked_sub(right.raw()),
        Operator::Multiply => {
            let product = left.raw().checked_mul(right.raw())?;
            (product % Decimal::ONE.raw() == 0).then(|| product / Decimal::ONE.raw())
        }
        Operator::Divide => None,
    };
    raw.map(Decimal::from_raw).filter(|result| result.is_known())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(left: Formula, operator: Operator, right: Formula) -> Formula {
        Formula::Binary(Box::new(left), operator, Box::new(right))
    }

    fn or(first: Formula, second: Formula) -> Formula {
        Formula::Or(Box::new(first), Box::new(second))
    }

    const A: Formula = Formula::Measure(0);
    const B: Formula = Formula::Measure(1);
    const C: Formula = Formula::Measure(2);

    /// `measures`: a number, `-` for nothing, `x` for an absent mean or level, `?` for unknown.
    #[track_caller]
    fn check(formula: &Formula, measures: &str, expected: &str) {
        let operands: Vec<Operand> = measures
            .split_whitespace()
            .map(|text| match text {
                "-" => Operand::Nothing,
                "x" => Operand::Absent,
                "?" => Operand::Unknown,
                number => {
                    Operand::Value(Quantity::Exact(Decimal::parse(number).expect("a number")))
                }
            })
            .collect();
        let shown = match formula.evaluate(&|measure| operands[measure]) {
            Some(Quantity::Exact(exact)) => format!("{exact}"),
            Some(Quantity::Real(real)) => format!("~{real}"),
            None => "none".to_owned(),
        };
        assert_eq!(shown, expected, "{formula:?} of {measures}");
    }

    #[test]
    fn nothing_is_zero_beside_something() {
        let ratio = binary(A, Operator::Divide, B);
        check(&ratio, "1 4", "~0.25");
        check(&ratio, "- 4", "~0");
        check(&ratio, "1 -", "none");
        check(&ratio, "0 0", "none");
        check(&ratio, "- -", "none");
        check(&A, "-", "none");
        check(&A, "0", "0");
    }

    #[test]
    fn an_absent_mean_or_level_leaves_the_whole_without() {
        check(&binary(A, Operator::Divide, B), "5 x", "none");
        check(&binary(A, Operator::Add, B), "x 5", "none");
    }

    #[test]
    fn or_takes_the_second_where_the_first_has_no_data() {
        let rate = binary(A, Operator::Divide, or(B, C));
        check(&rate, "1 4 8", "~0.25");
        check(&rate, "1 - 8", "~0.125");
        check(&rate, "1 x 8", "~0.125");
        check(&rate, "1 - -", "none");
        check(&rate, "- 0 8", "none");
        check(&rate, "1 ? 8", "none");
        check(&or(A, Formula::Constant(Decimal::ONE)), "-", "1");
    }

    #[test]
    fn results_are_exact_while_they_fit_and_never_infinite() {
        let product = binary(A, Operator::Multiply, B);
        check(&binary(A, Operator::Add, B), "0.1 0.2", "0.3");
        check(&binary(A, Operator::Subtract, B), "9007199254740993 1", "9007199254740992");
        check(&product, "1.5 3", "4.5");
        check(&product, "0.000000001 0.5", "~0.0000000005");
        check(
            &product,
            "100000000000000000000 100000000000000000000",
            "~10000000000000000000000000000000000000000",
        );
        check(&binary(A, Operator::Add, Formula::Constant(Decimal::ONE)), "-", "none");
    }
}
