//! The OpenMetrics 1.0 text format, over the same model as the text format.
//!
//! In: families of the model. Out: text appended to a buffer. Nothing is kept, no
//! timestamps are written. Own code because the `prometheus` crate only speaks
//! text 0.0.4 and protobuf, and the model must be one for both pages.
//! Specification: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt::Write;

use crate::catalog::{self, Kind};
use crate::export::model::Family;

/// The line that ends every page.
pub(super) const END: &str = "# EOF\n";

/// Appends one family; a family without samples is left out.
pub(super) fn encode(family: &Family, page: &mut String) {
    if family.proto.get_metric().is_empty() {
        return;
    }
    let sample_name = family.proto.name();
    let name = catalog::described_name(sample_name, family.kind);
    let kind = match family.kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
        Kind::Info => "info",
    };
    push(page, &["# TYPE ", name, " ", kind, "\n"]);
    if !family.unit.is_empty() {
        push(page, &["# UNIT ", name, " ", &family.unit, "\n"]);
    }
    push(page, &["# HELP ", name, " "]);
    escape(family.proto.help(), page);
    page.push('\n');
    for metric in family.proto.get_metric() {
        page.push_str(sample_name);
        let mut separator = "{";
        for label in metric.get_label() {
            push(page, &[separator, label.name(), "=\""]);
            escape(label.value(), page);
            page.push('"');
            separator = ",";
        }
        if separator == "," {
            page.push('}');
        }
        let value = match family.kind {
            Kind::Gauge | Kind::Info => metric.get_gauge().get_value(),
            Kind::Counter => metric.get_counter().get_value(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(page, " {value}");
    }
}

fn push(page: &mut String, parts: &[&str]) {
    for part in parts {
        page.push_str(part);
    }
}

/// Appends `text` with its backslashes, quotes and newlines escaped.
fn escape(text: &str, page: &mut String) {
    let mut rest = text;
    while let Some(place) = rest.find(['\\', '"', '\n']) {
        page.push_str(&rest[..place]);
        page.push_str(match rest.as_bytes()[place] {
            b'\\' => r"\\",
            b'"' => r#"\""#,
            _ => r"\n",
        });
        rest = &rest[place + 1..];
    }
    page.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, escaped: &str) {
        let mut page = String::new();
        escape(text, &mut page);
        assert_eq!(page, escaped);
    }

    #[test]
    fn label_values_are_escaped() {
        check("", "");
        check("spring", "spring");
        check("a \"b\"\n\\c", r#"a \"b\"\n\\c"#);
        check("\\\\\n\n", r"\\\\\n\n");
        check("ü\"ü", "ü\\\"ü");
    }
}
