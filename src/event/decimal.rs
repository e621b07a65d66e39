//! Exact decimals, for money and for counts that are not whole.
//!
//! Why own code: the aggregates need addition that is associative and
//! commutative to the last digit, so that replicas, replays and merges agree.
//! Floating decimals (`rust_decimal`, `bigdecimal`) round once a sum outgrows
//! their mantissa, or grow without bound. A fixed point cannot do either.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};

/// A decimal with nine places, stored as a whole number of 10^-9.
///
/// An input may be at most 10^20 in magnitude (so every 64-bit integer is
/// welcome), and 10^9 of the largest still add up without overflow. A sum beyond
/// that is [`Decimal::OVERFLOWN`], and so is whatever is added to it: nobody takes it
/// for a figure. Digits after the ninth place are rounded half to even when the input
/// is read, never later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(i128);

/// Why a text is not a decimal that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not `-12.5`, `3`, `1e3` or the like; `NaN` and `inf` are among these.
    #[error("is not a decimal number")]
    Syntax,
    /// Larger than 10^20 in magnitude.
    #[error("is larger than 10^20 in magnitude")]
    TooLarge,
}

const PLACES: i32 = 9;
const UNIT: i128 = 1_000_000_000;
const LARGEST: i128 = 100_000_000_000_000_000_000 * UNIT;
/// More digits than any sane producer writes; a longer text is refused unread.
const LONGEST_TEXT: usize = 400;

impl Decimal {
    /// Nothing.
    pub const ZERO: Decimal = Decimal(0);
    /// One whole.
    pub const ONE: Decimal = Decimal(UNIT);

    /// What a sum is that is too large to be held.
    pub const OVERFLOWN: Decimal = Decimal(i128::MIN);

    /// A whole number.
    pub const fn from_int(whole: i64) -> Self {
        Decimal(whole as i128 * UNIT)
    }

    /// From the stored form: a whole number of 10^-9.
    pub const fn from_raw(raw: i128) -> Self {
        Decimal(raw)
    }

    /// The stored form: a whole number of 10^-9.
    pub const fn raw(self) -> i128 {
        self.0
    }

    /// Reads JSON's number syntax, with an optional leading `+`; cost is one pass.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        Self::parse_scaled(text, 0)
    }

    /// Reads a number that counts 10^-`places` units: 2 for cents, 6 for micros.
    pub fn parse_scaled(text: &str, places: u8) -> Result<Self, DecimalError> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > LONGEST_TEXT {
            return Err(DecimalError::Syntax);
        }
        let (negative, rest) = match bytes[0] {
            b'-' => (true, &bytes[1..]),
            b'+' => (false, &bytes[1..]),
            _ => (false, bytes),
        };
        let scan = scan(rest)?;
        let exponent = scan.exponent.saturating_sub(i64::from(places));
        let magnitude = scan.scaled(exponent)?;
        Ok(Decimal(if negative { -magnitude } else { magnitude }))
    }

    /// The nearest `f64`, for export; exact up to 15 digits. NaN if it is overflown.
    pub fn to_f64(self) -> f64 {
        if !self.is_known() {
            return f64::NAN;
        }
        // Whole numbers of 10^-9 above 2^53 lose digits when divided as floats,
        // so the whole part and the fraction go over separately.
        let whole = self.0 / UNIT;
        let fraction = self.0 % UNIT;
        if fraction == 0 { whole as f64 } else { self.to_string().parse().unwrap_or(whole as f64) }
    }

    /// Whether it is a number; not so once a sum was too large.
    pub const fn is_known(self) -> bool {
        self.0 != Self::OVERFLOWN.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// The digits of a number without its sign.
struct Scan<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

fn scan(text: &[u8]) -> Result<Scan<'_>, DecimalError> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (whole, mut rest) = text.split_at(digits(text));
    let mut fraction: &[u8] = &[];
    if let [b'.', after @ ..] = rest {
        (fraction, rest) = after.split_at(digits(after));
        if fraction.is_empty() {
            return Err(DecimalError::Syntax);
        }
    }
    if whole.is_empty() {
        return Err(DecimalError::Syntax);
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', exponent @ ..] => parse_exponent(exponent)?,
        _ => return Err(DecimalError::Syntax),
    };
    Ok(Scan { whole, fraction, exponent })
}

fn parse_exponent(text: &[u8]) -> Result<i64, DecimalError> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::Syntax);
    }
    let magnitude = digits
        .iter()
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    Ok(if negative { -magnitude } else { magnitude })
}

impl Scan<'_> {
    /// The magnitude as a whole number of 10^-9, rounded half to even.
    fn scaled(&self, exponent: i64) -> Result<i128, DecimalError> {
        // `position` is the power of ten of the next digit, in units of 10^-9.
        let mut position = (self.whole.len() as i64 - 1)
            .saturating_add(exponent)
            .saturating_add(i64::from(PLACES));
        let mut magnitude: i128 = 0;
        let mut below: Option<u8> = None;
        let mut beyond_half = false;
        for digit in self.whole.iter().chain(self.fraction).map(|byte| byte - b'0') {
            if position >= 0 {
                if digit != 0 {
                    if position > 29 {
                        return Err(DecimalError::TooLarge);
                    }
                    magnitude += i128::from(digit) * 10_i128.pow(position as u32);
                }
            } else if position == -1 {
                below = Some(digit);
            } else if digit != 0 {
                beyond_half = true;
            }
            position = position.saturating_sub(1);
        }
        let round_up = match below {
            Some(digit) if digit > 5 => true,
            Some(5) => beyond_half || magnitude % 2 == 1,
            _ => false,
        };
        magnitude += i128::from(round_up);
        if magnitude > LARGEST {
            return Err(DecimalError::TooLarge);
        }
        Ok(magnitude)
    }
}

impl Add for Decimal {
    type Output = Decimal;
    fn add(self, other: Decimal) -> Decimal {
        match self.0.checked_add(other.0) {
            Some(sum) if self.is_known() && other.is_known() => Decimal(sum),
            _ => Decimal::OVERFLOWN,
        }
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, other: Decimal) {
        *self = *self + other;
    }
}

impl Sub for Decimal {
    type Output = Decimal;
    fn sub(self, other: Decimal) -> Decimal {
        self + -other
    }
}

impl Neg for Decimal {
    type Output = Decimal;
    fn neg(self) -> Decimal {
        // What is overflown has no opposite, and stays so.
        Decimal(self.0.wrapping_neg())
    }
}

impl Sum for Decimal {
    fn sum<I: Iterator<Item = Decimal>>(items: I) -> Decimal {
        items.fold(Decimal::ZERO, Add::add)
    }
}

impl From<u32> for Decimal {
    fn from(whole: u32) -> Self {
        Decimal::from_int(i64::from(whole))
    }
}

/// Plain digits, without trailing zeros and without an exponent.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (whole, fraction) = (magnitude / UNIT as u128, magnitude % UNIT as u128);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{fraction:09}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = match Decimal::parse(text) {
            Ok(decimal) => decimal.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "reading {text:?}");
    }

    #[test]
    fn reads_what_vendors_send() {
        check("398.00", "398");
        check("-0", "0");
        check("1594.31", "1594.31");
        check("9007199254740993", "9007199254740993");
        check("18446744073709551616", "18446744073709551616");
        check("107.5300000000000335346", "107.53");
        check("6.623899", "6.623899");
        check("1e3", "1000");
        check("12E-1", "1.2");
        check("0.000000000000000000001", "0");
        check("0e999999999999999999999", "0");
    }

    #[test]
    fn rounds_half_to_even_at_the_ninth_place() {
        check("0.0000000005", "0");
        check("0.0000000015", "0.000000002");
        check("0.00000000050001", "0.000000001");
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in ["", "-", "NaN", "inf", "1.", ".5", "1e", "0x1", "1 ", "1,5", "--1"] {
            check(text, "is not a decimal number");
        }
        check("1e400", "is larger than 10^20 in magnitude");
    }

    #[test]
    fn scaled_units_are_minor_units_and_micros() {
        let cents = Decimal::parse_scaled("1999", 2).map(|decimal| decimal.to_string());
        assert_eq!(cents.as_deref(), Ok("19.99"));
        let micros = Decimal::parse_scaled("1500000", 6).map(|decimal| decimal.to_string());
        assert_eq!(micros.as_deref(), Ok("1.5"));
    }

    #[test]
    fn a_sum_that_is_too_large_is_no_number_any_more() {
        let (most, one) = (Decimal::from_raw(i128::MAX), Decimal::from_raw(1));
        assert!(most.is_known() && (most - one).is_known());
        for overflown in [most + one, -most - one - one, Decimal::OVERFLOWN] {
            assert!(!overflown.is_known() && overflown.to_f64().is_nan());
            for sum in [overflown + one, overflown - most, -overflown, most - overflown] {
                assert!(!sum.is_known());
            }
        }
    }

    #[test]
    fn export_is_the_nearest_float() {
        for text in ["0.1", "19.99", "123456789.123456", "-3.5", "1000000"] {
            let decimal = Decimal::parse(text).expect("a decimal");
            assert_eq!(decimal.to_f64(), text.parse::<f64>().expect("a float"));
        }
    }
}
