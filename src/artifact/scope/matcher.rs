//! A matcher on a label of the targets: read as PromQL writes it, written so that it
//! can stand in a rule, in a template and in a panel's query.

use std::fmt;

use regex::Regex;

use super::{ScopeFault, shown};
use crate::artifact::rule::quoted;

/// What is asked of a label's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Is,
    IsNot,
    IsLike,
    IsUnlike,
}

/// The longer sign first where one begins with the other.
const TESTS: [(&str, Test); 4] =
    [("=~", Test::IsLike), ("!~", Test::IsUnlike), ("!=", Test::IsNot), ("=", Test::Is)];

/// A condition on a label: `env="production"`, `env!="dev"`, `env=~"prod.*"`,
/// `env!~"test|dev"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::artifact) struct Matcher {
    label: String,
    test: Test,
    value: String,
}

impl Matcher {
    /// The label that it is on.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Label and value, where it accepts one value only and a series has to have it.
    pub(super) fn only_value(&self) -> Option<(&str, &str)> {
        (self.test == Test::Is && !self.value.is_empty()).then_some((&self.label, &self.value))
    }

    /// Whether it accepts a value; empty stands for no label.
    pub(super) fn accepts(&self, value: &str) -> bool {
        match self.test {
            Test::Is => value == self.value,
            Test::IsNot => value != self.value,
            Test::IsLike => self.pattern_fits(value),
            Test::IsUnlike => !self.pattern_fits(value),
        }
    }

    /// Whether the two are known to accept no value in common.
    pub(super) fn excludes(&self, other: &Matcher) -> bool {
        let refuses = |one: &Matcher, other: &Matcher| {
            one.test == Test::Is && one.label == other.label && !other.accepts(&one.value)
        };
        refuses(self, other) || refuses(other, self)
    }

    /// Values that it may accept: the value itself, or what a simple pattern allows.
    pub(super) fn candidates(&self) -> Vec<String> {
        if self.test != Test::IsLike {
            return vec![self.value.clone()];
        }
        let plain = |text: &str| text.replace(['(', ')', '\\', '^', '$'], "");
        let (before, after) = match (self.value.find('('), self.value.rfind(')')) {
            (Some(open), Some(close)) if open < close => (open + 1, close),
            _ => (0, self.value.len()),
        };
        let (begin, end) = (plain(&self.value[..before]), plain(&self.value[after..]));
        let alternatives = self.value[before..after].split('|').flat_map(|one| {
            let whole = format!("{begin}{}{end}", plain(one));
            let least = whole.replace(".*", "").replace(".+", "x");
            [least, whole.replace(".*", "x").replace(".+", "x")]
        });
        alternatives.collect()
    }

    fn pattern_fits(&self, value: &str) -> bool {
        pattern(&self.value).is_ok_and(|pattern| pattern.is_match(value))
    }
}

/// As it stands in a selector: in double quotes, without back-ticks, which end the
/// text of a template, and without `$`, which begins a variable of Grafana.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = TESTS.iter().find(|(_, test)| *test == self.test).map_or("", |(sign, _)| sign);
        let value = quoted(&self.value).replace('`', "\\x60").replace('$', "\\x24");
        write!(f, "{}{sign}{value}", self.label)
    }
}

/// Reads one matcher, or several with commas between them.
pub(super) fn parse_list(text: &str) -> Result<Vec<Matcher>, ScopeFault> {
    let mut matchers = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (matcher, after) = parse(rest).ok_or_else(|| no_matcher(text))?;
        matchers.push(matcher);
        rest = after.trim_start();
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix(',').ok_or_else(|| no_matcher(text))?.trim_start();
    }
    for matcher in &matchers {
        let patterned = matches!(matcher.test, Test::IsLike | Test::IsUnlike);
        if patterned && pattern(&matcher.value).is_err() {
            return Err(ScopeFault {
                what: format!("`{}` is no pattern", shown(&matcher.value)),
                remedy: "=~ and !~ take a regular expression for the whole value, as in \
                         `env=~\"production|canary\"`"
                    .to_owned(),
            });
        }
    }
    Ok(matchers)
}

fn no_matcher(text: &str) -> ScopeFault {
    ScopeFault {
        what: format!("`{}` is no matcher", shown(text)),
        remedy: "write a label, one of = != =~ !~, and a value in double quotes, as in \
                 `env=\"production\"`; several are separated by commas"
            .to_owned(),
    }
}

/// A matcher and what follows it.
fn parse(text: &str) -> Option<(Matcher, &str)> {
    let end = text.find(['=', '!'])?;
    let (label, rest) = text.split_at(end);
    let (sign, test) = TESTS.into_iter().find(|(sign, _)| rest.starts_with(sign))?;
    let (value, rest) = unquoted(rest[sign.len()..].trim_start())?;
    Some((Matcher { label: label.trim_end().to_owned(), test, value }, rest))
}

/// What stands between quotes of PromQL, and what follows them. Of its escapes those
/// that somebody writes by hand.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            char if char == quote => return Some((value, &text[at + 1..])),
            '\\' if quote != '`' => match chars.next()?.1 {
                escaped if escaped == quote || escaped == '\\' => value.push(escaped),
                'n' => value.push('\n'),
                't' => value.push('\t'),
                _ => return None,
            },
            char => value.push(char),
        }
    }
    None
}

/// A pattern as Prometheus holds it against a value: all of it, line breaks included.
fn pattern(text: &str) -> Result<Regex, regex::Error> {
    // Compiled by itself first, so that no bracket of it closes ours.
    Regex::new(text)?;
    Regex::new(&format!("^(?s:{text})$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let matchers = parse_list(text).expect("matchers");
        let shown: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
        assert_eq!(shown, expected, "of {text}");
    }

    #[track_caller]
    fn refuse(text: &str) {
        let fault = parse_list(text).expect_err(text);
        assert!(fault.what.starts_with('`'), "{fault}");
    }

    #[test]
    fn a_matcher_is_read_as_promql_writes_it() {
        check("env=\"production\"", &["env=\"production\""]);
        check(" env = 'a' , dc != `b` ", &["env=\"a\"", "dc!=\"b\""]);
        check(r#"env=~"a\\.b|c""#, &[r#"env=~"a\\.b|c""#]);
        check("env!~`a\\.b`", &[r#"env!~"a\\.b""#]);
        check("env=\"\"", &["env=\"\""]);
        check("env=\"it's \\\"quoted\\\", {so}\"", &["env=\"it's \\\"quoted\\\", {so}\""]);
    }

    #[test]
    fn what_templates_and_panels_would_take_for_their_own_is_escaped() {
        check("env=\"a`b$c\u{FFFD}\"", &[r#"env="a\x60b\x24c\uFFFD""#]);
    }

    #[test]
    fn what_is_no_matcher_is_refused() {
        for text in
            ["", "env", "env=", "env=production", "env==\"a\"", "{env=\"a\"}\"", "env~\"a\""]
        {
            refuse(text);
        }
        refuse("env=\"a");
        refuse("env=\"a\" dc=\"b\"");
        refuse("env=\"a\",");
        refuse(r#"env=~"a\.b""#);
        refuse("env=~\"(\"");
        refuse("env=~\")(\"");
    }

    #[test]
    fn a_pattern_is_held_against_the_whole_value() {
        let matcher = parse_list("env=~\"a|b.\"").expect("a matcher").remove(0);
        for (value, accepted) in [("a", true), ("b\n", true), ("ab", false), ("", false)] {
            assert_eq!(matcher.accepts(value), accepted, "{value:?}");
        }
    }
}
