//! Moments as microseconds since 1970, and how events write them; nothing of the
//! product's own is used, so that a mistake there cannot hide here.

/// Microseconds since 1970, UTC.
pub(super) type Micros = i64;

pub(super) const SECOND: Micros = 1_000_000;
pub(super) const MINUTE: Micros = 60 * SECOND;
pub(super) const HOUR: Micros = 60 * MINUTE;
pub(super) const DAY: Micros = 24 * HOUR;

pub(super) fn now() -> Micros {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("a clock after 1970").as_micros() as Micros
}

/// The greatest multiple of `step` that is at most `at`.
pub(super) fn floor(at: Micros, step: Micros) -> Micros {
    at - at.rem_euclid(step)
}

/// RFC 3339 in UTC, to the microsecond.
pub(super) fn shown(at: Micros) -> String {
    let (days, rest) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    let (year, month, day) = date(days);
    let (hour, minute) = (rest / HOUR, rest % HOUR / MINUTE);
    let (second, micros) = (rest % MINUTE / SECOND, rest % SECOND);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Reads what [`shown`] writes from 1970 on; `None` for anything else.
pub(super) fn read(text: &str) -> Option<Micros> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    if text.len() != 27 || !text.ends_with('Z') {
        return None;
    }
    let year = number(0, 4).filter(|year| *year >= 1970)?;
    let days = days(year, number(5, 7)?, number(8, 10)?);
    let clock = number(11, 13)? * HOUR + number(14, 16)? * MINUTE + number(17, 19)? * SECOND;
    Some(days * DAY + clock + number(20, 26)?)
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counted year by year and month by month: slow and plain.
fn date(mut days: i64) -> (i64, i64, i64) {
    let mut year = 1970;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let mut month = 1;
    while days >= days_of_month(year, month) {
        days -= days_of_month(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let years: i64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let months: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_it_was_written() {
        assert_eq!(shown(1_709_164_799_000_001), "2024-02-28T23:59:59.000001Z");
        assert_eq!(shown(1_709_251_200_000_000), "2024-03-01T00:00:00.000000Z");
        for at in [0, 1_709_164_799_000_001, 1_709_251_200_000_000, 4_102_444_799_999_999] {
            assert_eq!(read(&shown(at)), Some(at), "{}", shown(at));
        }
    }
}
