//! What this program was built from.

/// The commit, if whoever built it said which (`TIDEGAUGE_COMMIT`).
pub const COMMIT: Option<&str> = option_env!("TIDEGAUGE_COMMIT");

/// The features that are in it and can be left out.
pub fn features() -> Vec<&'static str> {
    [("aws", cfg!(feature = "aws"))]
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name))
        .collect()
}
