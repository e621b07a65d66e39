//! `check`: every mistake at once.

use clap::Args;

use super::run::{OutOfTime, load_all};
use super::{ConfigArg, Failure, print_line, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge check --config tidegauge.toml

Every mistake is said with file, line and column, and what to do about it. Nothing is
connected to. The web configuration that `[export] web_config` names is read with it, and
an expired certificate in it is a mistake here, while `run` only warns of it. What is allowed and yet unwise is a warning. Exit code 0 when there is no
mistake, else 2.";

#[derive(Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let (config, warnings) = load_all(&args.config, OutOfTime::Refused)?;
    let faults = tidegauge::kafka::faults_of_properties(&config.kafka.properties);
    if !faults.is_empty() {
        let path = args.config.config.display();
        let faults = faults.iter().map(|(name, reason)| {
            format!("{path}: `kafka.properties`: librdkafka refuses `{name}`: {reason}")
        });
        return Err(Failure::Refused(faults.collect::<Vec<_>>().join("\n")));
    }
    for warning in &warnings {
        say(&format!("warning: {warning}"));
    }
    let declarations = &config.declarations;
    print_line(&format!(
        "{} is fine: {} topics, {} formats, {} measures, {} KPIs, {} slices, {} objectives",
        args.config.config.display(),
        config.kafka.topics.len(),
        config.formats.len(),
        declarations.measures.len(),
        declarations.kpis.len(),
        declarations.slices.len(),
        config.objectives.len(),
    ))
}
