//! `state`: what is saved, as a table, as figures, or removed.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use tidegauge::app::SavedStateError;
use tidegauge::app::stored::{self, Extent, Lost, Reset};
use tidegauge::config::{Config, parse_duration};
use tidegauge::event::EventTime;

use super::{ConfigArg, Failure, print_line, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge state show --config tidegauge.toml               what is saved, and how far it goes
  tidegauge state export --config tidegauge.toml             every saved figure, as lines of JSON
  tidegauge state reset --config tidegauge.toml              begin anew, after asking
  tidegauge state reset --config tidegauge.toml --from 36h   and from what came since then

`show` and `export` change nothing and work beside a running instance; `reset` needs it
stopped. What is promised of saved state, and how to size it, is in docs/state.md.";

const SHOW_EXAMPLES: &str = "\
Examples:
  tidegauge state show --config tidegauge.toml
  tidegauge state show --directory /var/lib/tidegauge/a
  tidegauge state show --config tidegauge.toml --json | jq .checkpoint.age_seconds
  tidegauge state show --directory /backup/a --all

Everything saved, the ids left out, is read and its checksums are compared, so that
damage is found; with --all the ids are as well, as a start would. The output says what
was not looked at. Exit code 0 also for a directory in which nothing is saved yet, 1 when
there is no such directory, or what is saved cannot be read.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  tidegauge state export --config tidegauge.toml --out figures.jsonl
  tidegauge state export --config tidegauge.toml | jq -c 'select(.window == \"1h\") | .kpis'
  tidegauge state export --config tidegauge.toml --directory /backup/a --out figures.jsonl

The first line (\"kind\":\"state\") is what `state show --json` says; one line follows for
each series of each slice and window (\"kind\":\"figures\") at the saved moment. What has no
data is left out. The declarations are those of the configuration: what it no longer
declares is not written. Nothing in it identifies people or events.";

const RESET_EXAMPLES: &str = "\
Examples:
  tidegauge state reset --config tidegauge.toml                               asks first
  tidegauge state reset --config tidegauge.toml --yes                         for scripts
  tidegauge state reset --config tidegauge.toml --from 36h                    begin 36 hours ago
  tidegauge state reset --config tidegauge.toml --from 2026-04-01             from midnight, UTC

It says what is lost and asks; where nobody can answer it needs --yes, and exits with 2
without it. After a no it exits with 1, and nothing has changed. It works on a state that
is damaged or of a newer version, and removes only files of the saved state. Figures then
begin anew from what the topics still hold: as far back as the longest window, or from
--from on. Counters begin at 0. Dead letters of records below the committed offsets are not
written again. Stop the instance first.";

#[derive(Args)]
pub(super) struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Subcommand)]
enum StateCommand {
    /// Show what is saved: how far each partition is read, both ledgers, what is held.
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Write every saved figure as lines of JSON.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Remove what is saved, so that the next start begins anew.
    #[command(after_help = RESET_EXAMPLES)]
    Reset(ResetArgs),
}

#[derive(Args)]
struct ShowArgs {
    /// The configuration file whose `[state] directory` is meant.
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "TIDEGAUGE_CONFIG",
        required_unless_present = "directory"
    )]
    config: Option<PathBuf>,
    /// The directory itself, without a configuration.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// As one JSON document.
    #[arg(long)]
    json: bool,
    /// Read the ids too, by which copies are told: most of what is saved.
    #[arg(long)]
    all: bool,
}

/// The state of a configuration, or another one under its declarations.
#[derive(Args)]
struct Meant {
    #[command(flatten)]
    config: ConfigArg,
    /// A directory in the place of the configuration's `[state] directory`.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Meant {
    fn load(&self) -> Result<(Config, PathBuf), Failure> {
        let config = super::run::load(&self.config)?;
        let directory = match &self.directory {
            Some(directory) => directory.clone(),
            None => directory(&config)?,
        };
        Ok((config, directory))
    }
}

#[derive(Args)]
struct ExportArgs {
    #[command(flatten)]
    meant: Meant,
    /// Where to write it; by default standard output.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct ResetArgs {
    #[command(flatten)]
    meant: Meant,
    /// Where the next start begins to read: an RFC 3339 time, a day, which begins at
    /// midnight in UTC, or a duration such as 36h, which means that long ago.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(super) fn state(args: &StateArgs) -> Result<(), Failure> {
    match &args.command {
        StateCommand::Show(args) => show(args),
        StateCommand::Export(args) => export(args),
        StateCommand::Reset(args) => reset(args),
    }
}

impl From<SavedStateError> for Failure {
    fn from(error: SavedStateError) -> Self {
        Failure::Failed(anyhow::Error::new(error))
    }
}

/// The directory of a configuration.
fn directory(config: &Config) -> Result<PathBuf, Failure> {
    config.state.directory.clone().ok_or_else(|| {
        Failure::Refused(
            "error: this configuration saves no state\n  help: `[state] directory` is \"off\""
                .into(),
        )
    })
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let directory = match (&args.directory, &args.config) {
        (Some(directory), _) => directory.clone(),
        (None, Some(config)) => {
            directory(&super::run::load(&ConfigArg { config: config.clone() })?)?
        }
        // The arguments were refused without either.
        (None, None) => return Ok(()),
    };
    let extent = if args.all { Extent::Everything } else { Extent::WithoutIds };
    let view = stored::look(&directory, extent, tidegauge::app::now())?;
    if args.json {
        print_line(&stored::json(&view))
    } else {
        print_line(stored::table(&view).trim_end())
    }
}

fn export(args: &ExportArgs) -> Result<(), Failure> {
    let (config, directory) = args.meant.load()?;
    let now = tidegauge::app::now();
    let found = match &args.out {
        None => stored::export(&directory, &config, now, print_line)?,
        Some(path) => {
            let failed = || format!("cannot write {}", path.display());
            let mut file = BufWriter::new(File::create(path).with_context(failed)?);
            let found = stored::export(&directory, &config, now, |line| {
                writeln!(file, "{line}").with_context(failed).map_err(Failure::Failed)
            })?;
            file.flush().with_context(failed)?;
            found
        }
    };
    if !found {
        say(&format!("nothing is saved in {} yet", directory.display()));
    }
    Ok(())
}

fn reset(args: &ResetArgs) -> Result<(), Failure> {
    let now = tidegauge::app::now();
    let from = args.from.as_deref().map(|text| begin(text, now)).transpose()?;
    let (config, directory) = args.meant.load()?;
    if from.is_none() && !directory.exists() {
        return print_line(&format!("nothing is saved: there is no {}", directory.display()));
    }
    let mut reset = Reset::prepare(&directory, config.state.version, now)?;
    let lost = lost(reset.lost());
    if from.is_none() && lost.is_none() {
        return print_line(&format!("nothing is saved in {}", directory.display()));
    }
    if let Some(lost) = &lost
        && !args.yes
    {
        confirm(&question(lost, &directory, from))?;
    }
    reset.erase()?;
    if let Some(from) = from {
        reset.begin(&config, from, now)?;
    }
    if let Some(lost) = lost {
        print_line(&format!("removed from {}: {lost}", directory.display()))?;
    }
    print_line(&match from {
        None => "the next start begins anew, as far back as the longest window".to_owned(),
        Some(from) => format!("the next start begins anew with the records since {from}"),
    })
}

/// Where to begin.
fn begin(text: &str, now: EventTime) -> Result<EventTime, Failure> {
    let refused = |what: String, help: &str| {
        Err(Failure::Refused(format!("error: --from {what}\n  help: {help}")))
    };
    let time = text.parse::<jiff::Timestamp>();
    // Of a text with a time of day, a date would take the day alone.
    let day = text.parse::<jiff::civil::Date>().ok().filter(|day| day.to_string() == text);
    let midnight = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let time = time.ok().or(midnight.map(|midnight| midnight.timestamp()));
    let from = match (time, parse_duration(text)) {
        (Some(time), _) => EventTime::from_micros(time.as_microsecond()),
        (_, Ok(ago)) => now - ago,
        (_, Err(how)) => {
            return refused(
                format!("`{text}` is neither a time nor a duration"),
                &format!(
                    "a time is written with its zone, 2026-04-01T12:00:00Z or \
                     2026-04-01T14:00:00+02:00, a day 2026-04-01; {how}"
                ),
            );
        }
    };
    if from > now {
        return refused(format!("{text} lies ahead"), "reading can only begin in the past");
    }
    Ok(from)
}

/// What goes, in the middle of a sentence; nothing where nothing does.
fn lost(lost: &Lost) -> Option<String> {
    match lost {
        Lost::Nothing => None,
        Lost::State(view) => Some(view.checkpoint.as_ref().map(stored::losses).unwrap_or_default()),
        Lost::Unreadable(why) => Some(format!("a state that cannot be read ({why})")),
    }
}

fn question(lost: &str, directory: &Path, from: Option<EventTime>) -> String {
    let begins = from.map_or_else(
        || "as far back as the longest window".to_owned(),
        |from| format!("from {from} on"),
    );
    format!(
        "This removes from {}: {lost}.\n\
         The figures then begin anew from what the topics still hold, {begins}; counters begin \
         at 0. Dead letters of records below the committed offsets are not written again.",
        directory.display()
    )
}

/// Asks at a terminal; everywhere else somebody has to have said `--yes`.
fn confirm(question: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Refused(format!(
            "{question}\nerror: nobody can be asked here\n  help: add --yes if that is what you want"
        )));
    }
    say(question);
    let _ = write!(std::io::stderr(), "Remove it? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    if matches!(answer.trim().to_lowercase().as_str(), "yes" | "y") {
        return Ok(());
    }
    Err(Failure::Failed(anyhow::anyhow!("nothing was removed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<i64, &str>) {
        match (begin(text, EventTime::from_secs(1_000_000)), expected) {
            (Ok(from), Ok(secs)) => assert_eq!(from, EventTime::from_secs(secs), "{text}"),
            (Err(Failure::Refused(said)), Err(part)) => {
                assert!(said.contains(part), "{text}: {said}");
            }
            (Ok(from), Err(_)) => panic!("{text} is {from}"),
            (Err(_), _) => panic!("{text} is refused"),
        }
    }

    #[test]
    fn a_beginning_is_a_time_or_that_long_ago() {
        check("1970-01-02T00:00:00Z", Ok(86_400));
        check("1970-01-02T01:00:00+01:00", Ok(86_400));
        check("36h", Ok(1_000_000 - 36 * 3_600));
        check("1d12h", Ok(1_000_000 - 36 * 3_600));
        check("yesterday", Err("neither a time nor a duration"));
        check("1970-01-02", Ok(86_400));
        check("-1h", Err("neither a time nor a duration"));
        for without_a_zone in ["1970-01-02T08:00:00", "1970-01-02 08:00", "1970-01-02T08"] {
            check(without_a_zone, Err("with its zone"));
        }
        check("1970-01-02T08:00:00[Europe/Paris]", Err("with its zone"));
        check("99999d", Err("more than ten years"));
        check("1970-02-02T00:00:00Z", Err("lies ahead"));
    }
}
