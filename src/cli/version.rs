//! What `--version` says: the version, and what it was built from.

use std::sync::LazyLock;

use tidegauge::app::{COMMIT, features};
use tidegauge::kafka::librdkafka_version;

/// `0.1.0 (commit 1a2b3c4; features: aws; librdkafka 2.12.1)`.
pub(super) fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| {
        let from = COMMIT.map_or("built from source".to_owned(), |at| format!("commit {at}"));
        let features = match features() {
            none if none.is_empty() => "none".to_owned(),
            some => some.join(", "),
        };
        let librdkafka = librdkafka_version();
        let version = env!("CARGO_PKG_VERSION");
        format!("{version} ({from}; features: {features}; librdkafka {librdkafka})")
    });
    &LONG
}
