//! Logs go to standard error, as text for people or as JSON for collectors.

use std::io::IsTerminal;

use tidegauge::config::{LogFormat, LogSpec};
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Where these libraries trace, they show what goes over the wire: passwords and tokens.
const TELL_SECRETS: &[&str] = &["ureq", "aws_", "hyper", "rustls", "h2"];

/// Whether a line can be logged at all, whatever level is asked for.
fn is_without_secrets(target: &str, level: Level) -> bool {
    level != Level::TRACE || !TELL_SECRETS.iter().any(|of| target.starts_with(of))
}

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
    let untold = filter_fn(|of: &Metadata<'_>| is_without_secrets(of.target(), *of.level()));
    // A second start (a test, the demo) keeps the first.
    let _ = match spec.format {
        LogFormat::Json => builder.json().flatten_event(true).finish().with(untold).try_init(),
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .finish()
            .with(untold)
            .try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_over_the_wire_is_traced_of_nobody() {
        for target in ["ureq::run", "ureq_proto::util", "aws_sigv4::http_request::sign"] {
            assert!(!is_without_secrets(target, Level::TRACE), "{target}");
            assert!(is_without_secrets(target, Level::DEBUG), "{target}");
        }
        assert!(is_without_secrets("tidegauge::kafka::client", Level::TRACE));
        assert!(is_without_secrets("librdkafka", Level::TRACE));
    }
}
