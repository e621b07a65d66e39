//! Logs go to standard error, as text for people or as JSON for collectors.

use std::io::IsTerminal;

use tidegauge::config::{LogFormat, LogSpec};
use tracing_subscriber::EnvFilter;

/// Starts logging; `RUST_LOG` overrides the configured level.
pub(super) fn start(spec: &LogSpec) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{},librdkafka=warn,rdkafka=warn", spec.level)));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would tell of a log that cannot be written, such as one on a full disk, on
        // the very same standard error, and end the thread by failing to.
        .log_internal_errors(false)
        .with_target(false);
    // A second start (a test, the demo) keeps the first.
    let _ = match spec.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .try_init(),
    };
}
