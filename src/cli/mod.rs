//! Arguments, and what each command does with them.

mod check;
mod completions;
mod decode;
mod demo;
mod generate;
mod hash_password;
mod health;
mod init;
mod logging;
mod man;
mod run;
mod state;
mod version;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tidegauge::config::parse_duration;

/// Exact rolling-window marketing KPIs from Kafka, for Prometheus.
///
/// Tidegauge reads email, web and social events from Kafka, keeps rolling-window
/// KPIs in memory, holds them against declared objectives, and exports Prometheus
/// metrics, with the alert rules and dashboards that go with them.
#[derive(Parser)]
#[command(
    name = "tidegauge",
    version,
    long_version = version::long(),
    propagate_version = true,
    after_help = EXAMPLES
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tidegauge demo                                   see it at work, without a Kafka of your own
  tidegauge init                                   a configuration for your own Kafka
  tidegauge check --config tidegauge.toml          find every mistake before it runs
  tidegauge run --config tidegauge.toml            the service
  tidegauge decode --format sendgrid event.json    what a format makes of a record
  tidegauge generate rules --config tidegauge.toml --out deploy
  tidegauge state show --config tidegauge.toml     what is saved, and how far it goes

Exit codes: 0 done; 1 it could not be done; 2 the configuration or the command line
is wrong, or files on disk differ from what would be generated.";

#[derive(Subcommand)]
enum Command {
    /// Begin: look at your topics, and write a configuration and what goes with it.
    #[command(after_help = init::EXAMPLES)]
    Init(init::InitArgs),
    /// Run the service: consume, compute, judge, export.
    #[command(after_help = run::EXAMPLES)]
    Run(run::RunArgs),
    /// Find every mistake in the configuration, its formats, KPIs and objectives at once.
    #[command(after_help = check::EXAMPLES)]
    Check(check::CheckArgs),
    /// Show what a format makes of a record: one JSON line for each outcome.
    #[command(after_help = decode::EXAMPLES)]
    Decode(decode::DecodeArgs),
    /// Write alert rules, dashboards or reference documents from the declarations.
    #[command(after_help = generate::EXAMPLES)]
    Generate(generate::GenerateArgs),
    /// See it at work: an embedded broker, live campaigns, and a spike after 30 seconds.
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::DemoArgs),
    /// Ask a running instance on this machine whether it is well, for health checks.
    #[command(after_help = health::EXAMPLES)]
    Health(health::HealthArgs),
    /// Make the hash of a password, or a token, for the web configuration.
    #[command(after_help = hash_password::EXAMPLES)]
    HashPassword(hash_password::HashPasswordArgs),
    /// Look at the saved state, write out its figures, or begin anew.
    #[command(after_help = state::EXAMPLES)]
    State(state::StateArgs),
    /// Write what a shell needs to complete command lines.
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArgs),
    /// Write manual pages, one for each command.
    #[command(after_help = man::EXAMPLES)]
    Man(man::ManArgs),
}

/// Where the configuration is.
#[derive(Args)]
struct ConfigArg {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", env = "TIDEGAUGE_CONFIG")]
    config: PathBuf,
}

/// A duration of the command line, written as in the configuration.
fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .map(|span| Duration::from_micros(span.micros().unsigned_abs()))
        .map_err(|error| error.to_string())
}

/// What a command can end with, beside success.
enum Failure {
    /// It could not be done: exit code 1.
    Failed(anyhow::Error),
    /// The user has something to put right, which has been said: exit code 2.
    Refused(String),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Failed(error)
    }
}

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Init(args) => init::init(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Decode(args) => decode::decode(&args),
        Command::Generate(args) => generate::generate(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Health(args) => health::health(&args),
        Command::HashPassword(args) => hash_password::hash_password(&args),
        Command::State(args) => state::state(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => {
            // The chain of causes is printed once, here.
            say(&format!("{}: {error:#}", red("error")));
            ExitCode::FAILURE
        }
        Err(Failure::Refused(text)) => {
            say(&text);
            ExitCode::from(2)
        }
    }
}

fn red(text: &str) -> String {
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\u{1b}[31m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// Says something to the person at the terminal; a closed terminal is no error.
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes a line of output; a reader that has gone away ends the output quietly.
fn print_line(text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(|error| Failure::Failed(anyhow::Error::new(error))),
    }
}
