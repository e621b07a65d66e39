//! Mergeable aggregates and their laws.
