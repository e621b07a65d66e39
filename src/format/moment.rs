//! Event time from the encodings that sources use.
//!
//! The fixed common shape of RFC 3339 is read by hand, since nearly every event
//! carries it; every other shape goes to jiff, which is also the judge of the fast
//! path in the tests.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::event::{Decimal, DecimalError, EventTime, RejectReason};

use super::spec::Reading;

/// Why a text is not a time that an event may carry.
pub(super) fn read(text: &str, reading: &Reading) -> Result<EventTime, RejectReason> {
    let micros = match reading {
        Reading::Rfc3339 => rfc3339_micros(text),
        Reading::Unix { places } => unix_micros(text, *places)?,
        Reading::Pattern { pattern, zone } => pattern_micros(text, pattern, zone),
    };
    let micros = micros.ok_or(RejectReason::BadTime)?;
    EventTime::checked_from_micros(micros).map_err(|_| RejectReason::TimeRange)
}

/// The time of an RFC 3339 text in microseconds since 1970; finer fractions are
/// cut off, towards the past.
pub fn rfc3339_micros(text: &str) -> Option<i128> {
    fixed_shape(text).map(i128::from).or_else(|| any_shape(text))
}

fn unix_micros(text: &str, places: u8) -> Result<Option<i128>, RejectReason> {
    // Whole numbers of the usual lengths need no decimal.
    if text.len() <= 17 && places <= 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let scale = 10_i128.pow(u32::from(6 - places));
        return Ok(text.parse::<i64>().ok().map(|count| i128::from(count) * scale));
    }
    match Decimal::parse_scaled(text.trim(), places) {
        Ok(seconds) => Ok(Some(seconds.raw().div_euclid(1_000))),
        Err(DecimalError::TooLarge) => Err(RejectReason::TimeRange),
        Err(DecimalError::Syntax) => Ok(None),
    }
}

fn pattern_micros(text: &str, pattern: &str, zone: &TimeZone) -> Option<i128> {
    let broken = strtime::parse(pattern, text.trim()).ok()?;
    if broken.offset().is_some() {
        return broken.to_timestamp().ok().map(micros_of);
    }
    let civil = broken
        .to_datetime()
        .or_else(|_| broken.to_date().map(|date| date.to_datetime(jiff::civil::Time::midnight())));
    zone.to_timestamp(civil.ok()?).ok().map(micros_of)
}

fn any_shape(text: &str) -> Option<i128> {
    text.trim().parse::<jiff::Timestamp>().ok().map(micros_of)
}

fn micros_of(timestamp: jiff::Timestamp) -> i128 {
    timestamp.as_nanosecond().div_euclid(1_000)
}

/// `YYYY-MM-DDTHH:MM:SS[.f...](Z|+hh:mm|+hhmm)`; `None` for every other shape and
/// for whatever needs a second look (leap seconds, impossible dates).
fn fixed_shape(text: &str) -> Option<i64> {
    let (head, tail) = text.as_bytes().split_first_chunk::<19>()?;
    if head[4] != b'-'
        || head[7] != b'-'
        || !matches!(head[10], b'T' | b't' | b' ')
        || head[13] != b':'
        || head[16] != b':'
    {
        return None;
    }
    let pair = |at: usize| two_digits(head[at], head[at + 1]);
    let year = pair(0)? * 100 + pair(2)?;
    let (month, day) = (pair(5)?, pair(8)?);
    let (hour, minute, second) = (pair(11)?, pair(14)?, pair(17)?);
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in_month(year, month)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let (micros, zone) = fraction(tail)?;
    let offset = match zone {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            let (hours, minutes) = (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3_600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let days = days_since_epoch(year, month, day);
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some(seconds * 1_000_000 + micros)
}

#[inline]
fn two_digits(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then_some(i64::from(tens) * 10 + i64::from(ones))
}

/// Microseconds of a fraction, and what follows it. jiff stops at nine digits; "any
/// fraction" does not.
fn fraction(tail: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', digits @ ..] = tail else {
        return Some((0, tail));
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let mut micros = 0;
    for digit in digits[..count].iter().map(|byte| i64::from(byte - b'0')).chain([0_i64; 6]).take(6)
    {
        micros = micros * 10 + digit;
    }
    Some((micros, &digits[count..]))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar, counting years from
/// March so that the leap day is the last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, reading: &Reading, expected: &str) {
        let shown = match read(text, reading) {
            Ok(time) => time.to_string(),
            Err(reason) => reason.name().to_owned(),
        };
        assert_eq!(shown, expected, "reading {text:?} as {reading:?}");
    }

    fn pattern(pattern: &str, zone: &str) -> Reading {
        let zone = if zone == "UTC" { TimeZone::UTC } else { TimeZone::get(zone).expect("a zone") };
        Reading::Pattern { pattern: pattern.to_owned(), zone }
    }

    #[test]
    fn rfc_3339_with_any_fraction_and_offset() {
        let rfc = &Reading::Rfc3339;
        check("2026-03-01T12:00:00Z", rfc, "2026-03-01T12:00:00Z");
        check("2026-03-01t12:00:00.5z", rfc, "2026-03-01T12:00:00.5Z");
        check("2026-03-01 12:00:00.1234567+05:30", rfc, "2026-03-01T06:30:00.123456Z");
        check("2026-03-01T12:00:00.123456789012-0400", rfc, "2026-03-01T16:00:00.123456Z");
        check("2026-03-01T12:00:00.000+0000", rfc, "2026-03-01T12:00:00Z");
        check("2024-02-29T23:59:60Z", rfc, "2024-02-29T23:59:59Z");
    }

    #[test]
    fn rfc_3339_refuses_what_is_no_point_in_time() {
        let rfc = &Reading::Rfc3339;
        for text in ["", "2026-03-01", "2026-03-01T12:00:00", "2026-02-29T00:00:00Z", "yesterday"] {
            check(text, rfc, "bad_time");
        }
        check("1600-01-01T00:00:00Z", rfc, "time_range");
        check("9999-12-31T23:59:59-05:00", rfc, "time_range");
    }

    #[test]
    fn unix_counts_in_the_declared_unit() {
        let unix = |places| Reading::Unix { places };
        check("1767225600", &unix(0), "2026-01-01T00:00:00Z");
        check("1767225600.389832", &unix(0), "2026-01-01T00:00:00.389832Z");
        check("1767225600123", &unix(3), "2026-01-01T00:00:00.123Z");
        check("1767225600123456", &unix(6), "2026-01-01T00:00:00.123456Z");
        check("1767225600123456789", &unix(9), "2026-01-01T00:00:00.123456Z");
        check("1.7672256e9", &unix(0), "2026-01-01T00:00:00Z");
        check("1767225600123", &unix(0), "time_range");
        check("1e400", &unix(0), "time_range");
        check("-1", &unix(0), "time_range");
        check("soon", &unix(0), "bad_time");
    }

    #[test]
    fn patterns_take_the_zone_unless_the_text_says_one() {
        let plain = pattern("%Y-%m-%d %H:%M:%S", "UTC");
        check("2026-03-26 21:35:57", &plain, "2026-03-26T21:35:57Z");
        check("2026-13-26 21:35:57", &plain, "bad_time");
        let berlin = pattern("%Y-%m-%d %H:%M:%S", "Europe/Berlin");
        check("2026-07-01 12:00:00", &berlin, "2026-07-01T10:00:00Z");
        let offset = pattern("%a %b %d %H:%M:%S %z %Y", "UTC");
        check("Mon Mar 26 16:33:26 +0200 2018", &offset, "2018-03-26T14:33:26Z");
        check("20260116", &pattern("%Y%m%d", "UTC"), "2026-01-16T00:00:00Z");
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_jiff(
            year in 1900_i32..2200, month in 0_u8..14, day in 0_u8..33,
            hour in 0_u8..25, minute in 0_u8..61, second in 0_u8..61,
            fraction in "(\\.[0-9]{1,9})?", zone in "Z|z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9]",
        ) {
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
            );
            if let Some(micros) = fixed_shape(&text) {
                prop_assert_eq!(Some(i128::from(micros)), any_shape(&text), "reading {}", text);
            } else {
                // Left to jiff: only leap seconds can still be a time.
                prop_assert!(any_shape(&text).is_none() || second == 60, "declined {}", text);
            }
        }

        #[test]
        fn any_text_is_a_time_or_a_reason(text in ".{0,40}") {
            for reading in [Reading::Rfc3339, Reading::Unix { places: 0 }, pattern("%Y %H", "UTC")] {
                let _ = read(&text, &reading);
            }
        }
    }
}
