//! The limits on nesting and on the number of elements, checked before parsing.
//!
//! Nearly every record is far below both, so a plain count of brackets (which the
//! compiler turns into vector instructions) settles it; only a record with more
//! brackets or commas than the limit is scanned exactly.

use crate::event::{RejectReason, Rejection};

use super::Limits;

/// Refuses a text that nests too deep or holds too many elements.
///
/// Cost: one vectorised pass; a second, byte by byte, only near the limits.
pub(super) fn check(text: &str, limits: &Limits) -> Result<(), Rejection> {
    let bytes = text.as_bytes();
    let maybe_deep = bytes.len() > limits.depth && openings(bytes) > limits.depth;
    let maybe_many = bytes.len() > limits.elements && commas(bytes) > limits.elements;
    if !maybe_deep && !maybe_many {
        return Ok(());
    }
    let exact = scan(bytes);
    if exact.depth > limits.depth {
        let detail = format!("nests deeper than {} levels", limits.depth);
        return Err(Rejection::new(RejectReason::TooDeep, detail));
    }
    if exact.commas > limits.elements {
        let detail = format!("holds more than {} elements", limits.elements);
        return Err(Rejection::new(RejectReason::TooManyElements, detail));
    }
    Ok(())
}

/// How many `{` and `[` there are, those in texts included.
fn openings(bytes: &[u8]) -> usize {
    // `{` and `[` differ in one bit only; a chunk of 255 cannot overflow its u8.
    count(bytes, |byte| byte | 0x20 == b'{')
}

fn commas(bytes: &[u8]) -> usize {
    count(bytes, |byte| byte == b',')
}

fn count(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    bytes
        .chunks(255)
        .map(|chunk| usize::from(chunk.iter().map(|byte| u8::from(wanted(*byte))).sum::<u8>()))
        .sum()
}

struct Exact {
    depth: usize,
    commas: usize,
}

fn scan(bytes: &[u8]) -> Exact {
    let mut exact = Exact { depth: 0, commas: 0 };
    let mut open: usize = 0;
    let mut in_text = false;
    let mut escaped = false;
    for byte in bytes {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                open += 1;
                exact.depth = exact.depth.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            b',' => exact.commas += 1,
            _ => {}
        }
    }
    exact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_reason(text: &str, expected: Option<RejectReason>) {
        let limits = Limits { depth: 3, elements: 4, ..Limits::default() };
        let found = check(text, &limits).err().map(|rejection| rejection.reason);
        assert_eq!(found, expected, "checking {text}");
    }

    #[test]
    fn depth_counts_brackets_outside_texts_only() {
        check_reason("[[[1]]]", None);
        check_reason("[[[[1]]]]", Some(RejectReason::TooDeep));
        check_reason(r#"[{"a":{"b":[]}}]"#, Some(RejectReason::TooDeep));
        check_reason(r#"["[[[[[[[["]"#, None);
        check_reason(r#"["\"[[[[[[[["]"#, None);
        check_reason("[[],[],[],[],[]]", None);
    }

    #[test]
    fn elements_count_commas_outside_texts_only() {
        check_reason("[1,2,3,4,5]", None);
        check_reason("[1,2,3,4,5,6]", Some(RejectReason::TooManyElements));
        check_reason(r#"[",,,,,,,"]"#, None);
    }
}
