//! `run`: the service.

use clap::{ArgAction, Args};
use tidegauge::app::{NewMeasures, Service};
use tidegauge::config::Config;

use super::{ConfigArg, Failure, logging};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge run --config tidegauge.toml
  tidegauge run --config tidegauge.toml --backfill false
  RUST_LOG=debug tidegauge run --config tidegauge.toml

It serves /metrics, /healthz, /readyz and a status page at the configured address (by
default http://127.0.0.1:9184/). SIGTERM and Ctrl-C stop it cleanly.";

#[derive(Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Fill KPIs and slices that are new since the state was saved from what the topics
    /// still hold.
    ///
    /// It happens in the background, once the figures are up to date, and changes none of
    /// the others; the log, the status page and tidegauge_backfill_records say how far it
    /// is. With `false` what is new has coverage 0 at first and is whole once its windows
    /// lie behind the restart.
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set)]
    backfill: bool,
}

/// Reads the configuration; every mistake in it is one refusal.
pub(super) fn load(arg: &ConfigArg) -> Result<Config, Failure> {
    tidegauge::config::load(&arg.config).map_err(|problems| Failure::Refused(problems.to_string()))
}

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = load(&args.config)?;
    logging::start(&config.log);
    for warning in &config.warnings {
        tracing::warn!("{}", warning.one_line());
    }
    let new = if args.backfill { NewMeasures::FilledFromTopics } else { NewMeasures::WithoutPast };
    let service = Service::start(&config, new).map_err(anyhow::Error::new)?;
    service.wait(None).map_err(|error| Failure::Failed(anyhow::Error::new(error)))
}
