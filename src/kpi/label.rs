//! Texts of events made fit to be label values.

/// Label values are at most this long, in bytes.
pub const LONGEST_LABEL: usize = 200;

/// Appends the label value that stands for `text`: control characters become
/// U+FFFD, and what is longer than [`LONGEST_LABEL`] is cut and gets `…#` with
/// eight digits of a hash of the whole (FNV-1a), so that different texts stay
/// different.
pub(super) fn push_label(text: &str, into: &mut String) {
    let plain = text.len() <= LONGEST_LABEL
        && text.bytes().all(|byte| byte >= b' ' && byte != 0x7F && byte != 0xC2);
    // U+0080 to U+009F, which begin with C2, are control characters too.
    if plain {
        into.push_str(text);
        return;
    }
    let begin = into.len();
    let mark_len = "…#".len() + 8;
    for shown in text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
    {
        into.push(shown);
        if into.len() - begin > LONGEST_LABEL {
            break;
        }
    }
    if into.len() - begin <= LONGEST_LABEL {
        return;
    }
    let mut end = begin + LONGEST_LABEL - mark_len;
    while !into.is_char_boundary(end) {
        end -= 1;
    }
    into.truncate(end);
    let digits = format!("…#{:08x}", fnv1a(text.as_bytes()));
    into.push_str(&digits);
}

/// The label value that stands for `text`.
pub fn label_of(text: &str) -> String {
    let mut label = String::with_capacity(text.len().min(LONGEST_LABEL + 4));
    push_label(text, &mut label);
    label
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0x811C_9DC5, |hash: u32, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(label_of(text), expected);
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        check("spring sale \"2026\" \\ é 春", "spring sale \"2026\" \\ é 春");
        check(&"x".repeat(200), &"x".repeat(200));
    }

    #[test]
    fn control_characters_are_replaced() {
        check("a\nb\u{0}c\u{7f}\u{85}", "a\u{FFFD}b\u{FFFD}c\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let (one, two) = ("é".repeat(5_000) + "1", "é".repeat(5_000) + "2");
        assert!(label_of(&one).len() <= LONGEST_LABEL);
        assert_ne!(label_of(&one), label_of(&two));
        assert!(label_of(&one).starts_with("éé"));
        check(&"x".repeat(201), &format!("{}…#ce0b7927", "x".repeat(188)));
    }
}
