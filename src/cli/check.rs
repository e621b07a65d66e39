//! `check`: every mistake at once, and what the brokers say to it.

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use tidegauge::app;
use tidegauge::config::Config;
use tidegauge::kafka::{Finding, Outcome};

use super::run::{OutOfTime, load_all};
use super::{ConfigArg, Failure, print_line, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge check --config tidegauge.toml
  tidegauge check --config tidegauge.toml --connect

Every mistake is said with file, line and column, and what to do about it. Nothing is
connected to, unless --connect is given. The web configuration that `[export] web_config`
names is read with it, and an expired certificate in it is a mistake here, while `run` only
warns of it. What is allowed and yet unwise is a warning. Exit code 0 when there is no
mistake, else 2.

With --connect the brokers, the topics and the rights are looked at as well, and each is
said in a line: ok, what had better be otherwise, or what is missing and what to do. Nothing
is written. Exit code 1 when something is missing.";

#[derive(Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Connect to the brokers too, and say what is missing there.
    #[arg(long)]
    connect: bool,
    /// How long the brokers may take for a first answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600), requires = "connect")]
    timeout: u64,
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
    if let Some(reason) = tidegauge::kafka::fault_of(&config.kafka) {
        let path = args.config.config.display();
        return Err(Failure::Refused(format!(
            "{path}: `kafka`: librdkafka refuses what is declared: {reason}\n  help: look at \
             [kafka.tls] and [kafka.sign_in]: a key has to be of its certificate, and its \
             password the right one"
        )));
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
    ))?;
    if args.connect { connect(&config, Duration::from_secs(args.timeout)) } else { Ok(()) }
}

fn connect(config: &Config, patience: Duration) -> Result<(), Failure> {
    let findings = app::inspect(config, patience).map_err(anyhow::Error::new)?;
    let mut lacking = 0;
    for Finding { about, outcome } in &findings {
        match outcome {
            Outcome::Fine(what) => print_line(&format!("ok       {about}: {what}"))?,
            Outcome::Better { what, remedy } => {
                print_line(&format!("better   {about}: {what}\n           help: {remedy}"))?;
            }
            Outcome::Missing { what, remedy } => {
                lacking += 1;
                print_line(&format!("missing  {about}: {what}\n           help: {remedy}"))?;
            }
        }
    }
    match lacking {
        0 => Ok(()),
        1 => Err(anyhow!("1 thing is missing").into()),
        _ => Err(anyhow!("{lacking} things are missing").into()),
    }
}
