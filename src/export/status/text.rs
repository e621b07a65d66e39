//! Text for people: escaped, bounded, and with numbers that can be read from afar.

use std::fmt::Write;

use crate::event::{EventTime, Span};
use crate::kpi::{NONE, OTHER, Unit};

/// Longest text that is shown whole, in characters: a campaign's name may have ten
/// thousand.
const LONGEST: usize = 120;

/// For HTML text and quoted attributes. Control characters are shown as such rather
/// than obeyed, and so are those that reverse the direction of writing.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Unicode has a picture of each of the first 32.
            '\0'..='\u{1f}' => escaped.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// `text`, cut where it is too long to be shown.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
        None => text.to_owned(),
    }
}

/// The value of a slice's field, as people call it.
pub(super) fn value_name(field: &str, value: &str) -> String {
    match value {
        OTHER => "everything else".to_owned(),
        NONE => format!("without {field}"),
        "" => format!("empty {field}"),
        _ => cut(value),
    }
}

/// A figure in its unit: `1.23 %`, `EUR 23,456`, `1,234`, `0.5`.
pub(super) fn figure(value: f64, unit: &Unit) -> String {
    match unit {
        Unit::Ratio => format!("{}\u{202f}%", number(value * 100.0)),
        // Cents count where there are few units of money.
        Unit::Money(currency) if value.abs() < 999.995 => {
            format!("{currency}\u{202f}{}", separated(&format!("{value:.2}")))
        }
        Unit::Money(currency) => format!("{currency}\u{202f}{}", number(value)),
        Unit::Of(_) => number(value),
    }
}

/// Three digits that count below a thousand, whole numbers with separators above,
/// millions as such.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "\u{2013}".to_owned();
    }
    let magnitude = value.abs();
    let (value, suffix) = match magnitude {
        _ if magnitude >= 999_500_000.0 => (value / 1e9, "\u{202f}B"),
        _ if magnitude >= 9_999_500.0 => (value / 1e6, "\u{202f}M"),
        _ => (value, ""),
    };
    let magnitude = value.abs();
    let digits = match magnitude {
        _ if magnitude >= 99.95 || magnitude == 0.0 => 0,
        _ if magnitude >= 9.995 => 1,
        _ if magnitude >= 0.0995 => 2,
        _ if magnitude >= 0.00995 => 3,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let text = match text.split_once('.') {
        Some((_, fraction)) if suffix.is_empty() && !fraction.bytes().any(|it| it != b'0') => {
            text[..text.len() - fraction.len() - 1].to_owned()
        }
        _ => text,
    };
    format!("{}{suffix}", separated(&text))
}

/// An amount of memory or disk, in powers of a thousand: `18.3 MB`.
pub(super) fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    let (value, unit) = match bytes {
        _ if bytes >= 999.5e6 => (bytes / 1e9, "GB"),
        _ if bytes >= 999.5e3 => (bytes / 1e6, "MB"),
        _ if bytes >= 999.5 => (bytes / 1e3, "kB"),
        _ => (bytes, "bytes"),
    };
    format!("{}\u{202f}{unit}", number(value))
}

/// Commas between the thousands.
fn separated(text: &str) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("\u{2212}", rest));
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut separated = String::from(sign);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            separated.push(',');
        }
        separated.push(digit);
    }
    separated.push_str(fraction);
    separated
}

/// A length of time to the precision that people use: `8 s`, `4 min`, `2 h 10 min`.
pub(super) fn duration(span: Span) -> String {
    let secs = span.secs().max(0);
    match secs {
        0..=119 => format!("{secs}\u{202f}s"),
        120..=7_199 => format!("{}\u{202f}min", secs / 60),
        7_200..=172_799 => {
            let mut text = format!("{}\u{202f}h", secs / 3_600);
            if secs % 3_600 >= 60 {
                let _ = write!(text, " {}\u{202f}min", secs % 3_600 / 60);
            }
            text
        }
        _ => format!("{}\u{202f}d", secs / 86_400),
    }
}

/// The time of day in UTC, without fractions: `09:30:00`.
pub(super) fn clock(time: EventTime) -> String {
    let text = time.floor(Span::from_secs(1)).to_string();
    match text.split_once('T') {
        Some((_, clock)) => clock.trim_end_matches('Z').to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_shown_not_obeyed() {
        let shown = escape("<script>alert('1')</script> & \"x\"\n\0\u{202e}");
        assert_eq!(
            shown,
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;\u{240a}\u{2400}\u{fffd}"
        );
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ü".repeat(500)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn numbers_have_the_digits_that_count() {
        let shown = [0.0, 0.00031, 0.0123, 0.5, 1.0, 9.876, 42.0, 98.51, 999.6, 1_234.5, -23_456.0]
            .map(number);
        assert_eq!(
            shown,
            [
                "0",
                "0.0003",
                "0.012",
                "0.50",
                "1",
                "9.88",
                "42",
                "98.5",
                "1,000",
                "1,234",
                "\u{2212}23,456"
            ]
        );
        assert_eq!(number(12_345_678.0), "12.3\u{202f}M");
        assert_eq!(number(4e12), "4,000\u{202f}B");
        let sizes = [0, 999, 41_120, 999_900, 18_300_000, 1_500_000_000].map(bytes);
        let expected = ["0 bytes", "999 bytes", "41.1 kB", "1 MB", "18.3 MB", "1.50 GB"];
        assert_eq!(sizes.map(|size| size.replace('\u{202f}', " ")), expected);
        assert_eq!(figure(0.0123, &Unit::Ratio), "1.23\u{202f}%");
        let euro = Unit::Money(crate::event::Currency::parse("EUR").expect("a currency"));
        assert_eq!(figure(43.8, &euro), "EUR\u{202f}43.80");
        assert_eq!(figure(17_097.4, &euro), "EUR\u{202f}17,097");
    }

    #[test]
    fn lengths_of_time_read_as_people_say_them() {
        let shown = [0, 90, 240, 7_800, 10_800, 200_000]
            .map(|secs| duration(Span::from_secs(secs)).replace('\u{202f}', " "));
        assert_eq!(shown, ["0 s", "90 s", "4 min", "2 h 10 min", "3 h", "2 d"]);
        assert_eq!(clock(EventTime::from_micros(1_776_159_000_900_000)), "09:30:00");
    }
}
