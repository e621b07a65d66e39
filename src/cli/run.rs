//! `run`: the service.

use clap::{ArgAction, Args};
use tidegauge::app::{NewMeasures, Service};
use tidegauge::config::{Config, Problem, ProblemList};
use tidegauge::export::check_web;

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

/// Whether certificates out of their time are mistakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutOfTime {
    Refused,
    /// So that nobody is left without figures for one.
    Warned,
}

/// Reads the configuration and the web configuration that it names; every mistake in both
/// is one refusal. Gives the warnings of both.
pub(super) fn load_all(
    arg: &ConfigArg,
    out_of_time: OutOfTime,
) -> Result<(Config, Vec<Problem>), Failure> {
    let config = tidegauge::config::load(&arg.config);
    let export = match &config {
        Ok(config) => Some(config.export.clone()),
        Err(_) => tidegauge::config::load_export(&arg.config),
    };
    let web = export.and_then(|of| Some(check_web(&of.web_config?, of.listen)));
    let mut web = web.unwrap_or_default();
    match out_of_time {
        OutOfTime::Refused => web.problems.append(&mut web.dated),
        OutOfTime::Warned => web.warnings.append(&mut web.dated),
    }
    let mut problems = web.problems;
    match config {
        Ok(config) if problems.is_empty() => {
            let mut warnings = config.warnings.clone();
            warnings.append(&mut web.warnings);
            return Ok((config, warnings));
        }
        Ok(_) => {}
        Err(found) => problems.extend_from_slice(found.as_slice()),
    }
    Err(Failure::Refused(ProblemList::from(problems).to_string()))
}

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let (config, warnings) = load_all(&args.config, OutOfTime::Warned)?;
    logging::start(&config.log);
    for warning in &warnings {
        tracing::warn!("{}", warning.one_line());
    }
    let new = if args.backfill { NewMeasures::FilledFromTopics } else { NewMeasures::WithoutPast };
    let service = Service::start(&config, new).map_err(anyhow::Error::new)?;
    service.wait(None).map_err(|error| Failure::Failed(anyhow::Error::new(error)))
}
