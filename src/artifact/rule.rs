//! One alert rule, and how it is written as YAML.
//!
//! Expressions stand as blocks, other texts as quoted scalars, so that nothing that
//! a declaration contains can change the structure of the file.

use std::fmt::Write;

use crate::event::Span;

/// An alert rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// The name of the alert.
    pub(super) alert: &'static str,
    /// When it fires; may have several lines, without control characters.
    pub(super) expr: String,
    /// How long the expression must hold.
    pub(super) hold: Span,
    /// How long the alert outlives its expression.
    pub(super) keep_firing: Span,
    /// Labels beside those of the expression. Plain text, no template.
    pub(super) labels: Vec<(String, String)>,
    /// Templates.
    pub(super) annotations: Vec<(&'static str, String)>,
}

/// Appends a rule group.
pub(super) fn write_group(text: &mut String, name: &str, rules: &[Rule]) {
    let _ = writeln!(text, "  - name: {}\n    rules:", scalar(name));
    for rule in rules {
        write_rule(text, rule);
    }
}

fn write_rule(text: &mut String, rule: &Rule) {
    let _ = writeln!(text, "      - alert: {}\n        expr: |-", rule.alert);
    for line in rule.expr.lines() {
        let _ = writeln!(text, "          {line}");
    }
    if rule.hold > Span::ZERO {
        let _ = writeln!(text, "        for: {}", rule.hold);
    }
    if rule.keep_firing > Span::ZERO {
        let _ = writeln!(text, "        keep_firing_for: {}", rule.keep_firing);
    }
    text.push_str("        labels:\n");
    for (name, value) in &rule.labels {
        let _ = writeln!(text, "          {name}: {}", scalar(&template_of(value)));
    }
    text.push_str("        annotations:\n");
    for (name, value) in &rule.annotations {
        let _ = writeln!(text, "          {name}: {}", scalar(value));
    }
}

/// A YAML scalar that is a text whatever it contains: in single quotes, which leave
/// expressions readable, or in double quotes where something has to be escaped.
pub(super) fn scalar(text: &str) -> String {
    if text.chars().all(is_plain) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        quoted(text)
    }
}

/// A text in double quotes, as both YAML and PromQL read it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            char if is_plain(char) => quoted.push(char),
            char if (char as u32) <= 0xFFFF => {
                let _ = write!(quoted, "\\u{:04X}", char as u32);
            }
            char => {
                let _ = write!(quoted, "\\U{:08X}", char as u32);
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Letters and digits of any script, and what ASCII can print: nothing that YAML
/// takes for a line break or refuses.
fn is_plain(char: char) -> bool {
    char.is_alphanumeric() || char == ' ' || char.is_ascii_graphic()
}

/// A plain text as a Go template that says just that.
pub(super) fn template_of(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(scalar(text), expected, "of {text:?}");
    }

    #[test]
    fn a_scalar_stays_a_text_whatever_it_contains() {
        check("5m", "'5m'");
        check("it's: \"fine\" # no comment", "'it''s: \"fine\" # no comment'");
        check("Grüße", "'Grüße'");
        check("two\nlines\\", r#""two\nlines\\""#);
        check("\u{85}\u{1F600}\0", r#""\u0085\U0001F600\u0000""#);
    }

    #[test]
    fn braces_of_a_declaration_are_no_template() {
        assert_eq!(template_of("a {{ b"), "a {{ \"{{\" }} b");
    }
}
