//! The label names of a slice.
//!
//! A slice may group by any attribute, and an attribute may have any name; a
//! label may not. In: a slice. Out: one valid, unique label name for each of its
//! fields, which never collides with a label of the families themselves.

use crate::kpi::SliceSpec;

/// Labels that families, rules or Prometheus itself put beside those of a slice.
pub const TAKEN_LABELS: &[&str] = &[
    "slice",
    "window",
    "objective",
    "state",
    "reason",
    "job",
    "instance",
    "alertname",
    "severity",
    "owner",
    "le",
    "quantile",
];

/// The label names of a slice's fields, in their order; empty for `all`.
///
/// `slice` itself is not among them. A name that is no label name is made one
/// (`utm.source` is `utm_source`), a name that is taken is prefixed (`window` is
/// `field_window`), and of two that come out equal the later is numbered.
pub fn slice_labels(slice: &SliceSpec) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(slice.fields.len());
    for field in &slice.fields {
        let label = label_name(field.name());
        let mut unique = label.clone();
        let mut number = 2;
        while labels.contains(&unique) {
            unique = format!("{label}_{number}");
            number += 1;
        }
        labels.push(unique);
    }
    labels
}

fn label_name(name: &str) -> String {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let label: String = name.chars().map(|c| if valid(c) { c } else { '_' }).collect();
    // Names that begin with two underscores belong to Prometheus.
    let unusable = label.is_empty()
        || label.starts_with("__")
        || label.starts_with(|c: char| c.is_ascii_digit())
        || TAKEN_LABELS.contains(&label.as_str());
    if unusable { format!("field_{label}") } else { label }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Field;

    #[track_caller]
    fn check(fields: &[&str], labels: &[&str]) {
        let fields = fields.iter().map(|name| Field::from_name(name)).collect();
        let slice = SliceSpec { name: "s".to_owned(), fields, windows: Vec::new(), cap: 1 };
        assert_eq!(slice_labels(&slice), labels);
    }

    #[test]
    fn a_field_keeps_its_name_where_that_is_a_label_name() {
        check(&["campaign", "region", "_x", "a9"], &["campaign", "region", "_x", "a9"]);
    }

    #[test]
    fn any_attribute_gets_a_valid_unique_label() {
        check(&["utm.source", "utm-source"], &["utm_source", "utm_source_2"]);
        check(&["", "9a", "__x", "é"], &["field_", "field_9a", "field___x", "_"]);
        check(&["window", "job", "field_window"], &["field_window", "field_job", "field_window_2"]);
    }
}
