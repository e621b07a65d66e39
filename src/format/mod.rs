//! Mapping files compiled into an extractor: a record in, events or a refusal out.
