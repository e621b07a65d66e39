//! `run`: the service.

use clap::Args;
use tidegauge::app::Service;
use tidegauge::config::Config;

use super::{ConfigArg, Failure, logging};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge run --config tidegauge.toml
  RUST_LOG=debug tidegauge run --config tidegauge.toml

It serves /metrics, /healthz, /readyz and a status page at the configured address (by
default http://127.0.0.1:9184/). SIGTERM and Ctrl-C stop it cleanly.";

#[derive(Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
}

/// Reads the configuration; every mistake in it is one refusal.
pub(super) fn load(arg: &ConfigArg) -> Result<Config, Failure> {
    tidegauge::config::load(&arg.config).map_err(|problems| Failure::Refused(problems.to_string()))
}

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    logging::start(&config.log);
    let service = Service::start(&config).map_err(anyhow::Error::new)?;
    service.wait(None).map_err(|error| Failure::Failed(anyhow::Error::new(error)))
}
