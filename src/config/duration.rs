//! Lengths of time as people write them: `5m`, `1h30m`, `7d`.

use crate::event::Span;

/// The longest that can be written: ten years.
const LONGEST: i64 = 3_653 * 86_400_000;

/// Reads whole numbers with units `ms`, `s`, `m`, `h`, `d`, `w`, in a row without
/// spaces, at most ten years together.
///
/// The error is what is wrong, as the end of a sentence.
pub fn parse_duration(text: &str) -> Result<Span, String> {
    const HOW: &str = "a duration is a whole number with a unit, such as \"30s\", \"5m\", \"24h\", \"7d\" or \"1h30m\"";
    let mut rest = text;
    let mut millis: i64 = 0;
    if text.is_empty() {
        return Err(HOW.to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let in_millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return Err(HOW.to_owned()),
        };
        if number.is_empty() {
            return Err(HOW.to_owned());
        }
        millis = number
            .parse::<i64>()
            .ok()
            .and_then(|number| number.checked_mul(in_millis))
            .and_then(|part| part.checked_add(millis))
            .filter(|sum| *sum <= LONGEST)
            .ok_or_else(|| "more than ten years cannot be meant".to_owned())?;
        rest = after;
    }
    Ok(Span::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse_duration(text).ok().map(|span| span.micros() / 1_000), expected, "{text}");
    }

    #[test]
    fn numbers_with_units_add_up() {
        check("250ms", Some(250));
        check("90s", Some(90_000));
        check("1h30m", Some(5_400_000));
        check("2w", Some(1_209_600_000));
        check("0s", Some(0));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "5", "m", "5 m", "-5m", "1.5h", "5x", "99999999999999999999d", "11000d", "5m!"]
        {
            check(text, None);
        }
    }
}
