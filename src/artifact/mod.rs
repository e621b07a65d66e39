//! Alert rules, dashboards and reference documents, as pure text.
