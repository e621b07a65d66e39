//! `generate`: alert rules, dashboards and documents, from the declarations.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tidegauge::artifact::{self, Artifact};

use super::{ConfigArg, Failure, print_line};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge generate rules --config tidegauge.toml                    to standard output
  tidegauge generate rules --config tidegauge.toml --out deploy       into a folder
  tidegauge generate rules --config tidegauge.toml --out deploy --check   in CI

With --check nothing is written: exit code 2 says that files on disk differ.";

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Prometheus alert rules, and unit tests of them for promtool.
    Rules,
    /// Grafana dashboards.
    Dashboards,
    /// The reference of metrics, KPIs and objectives.
    Docs,
}

#[derive(Args)]
pub(super) struct GenerateArgs {
    /// What to generate.
    what: What,
    #[command(flatten)]
    config: ConfigArg,
    /// The folder to write into; without it, everything goes to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compare with the files in DIR instead of writing them.
    #[arg(long, requires = "out")]
    check: bool,
}

pub(super) fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    let config = super::run::load(&args.config)?;
    let (declarations, objectives) = (&config.declarations, &config.objectives[..]);
    let artifacts = match args.what {
        What::Rules => {
            let mut artifacts = artifact::rules(declarations, objectives);
            artifacts.extend(artifact::rule_tests(declarations, objectives));
            artifacts
        }
        What::Dashboards => artifact::dashboards(declarations, objectives),
        What::Docs => artifact::docs(declarations, objectives),
    };
    match &args.out {
        None => artifacts.iter().try_for_each(|artifact| print_line(artifact.text.trim_end())),
        Some(folder) if args.check => compare(folder, &artifacts),
        Some(folder) => Ok(write(folder, &artifacts)?),
    }
}

fn write(folder: &Path, artifacts: &[Artifact]) -> anyhow::Result<()> {
    for artifact in artifacts {
        let path = folder.join(&artifact.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        fs::write(&path, &artifact.text)
            .with_context(|| format!("cannot write {}", path.display()))?;
        super::say(&format!("wrote {}", path.display()));
    }
    Ok(())
}

fn compare(folder: &Path, artifacts: &[Artifact]) -> Result<(), Failure> {
    let stale: Vec<String> = artifacts
        .iter()
        .map(|artifact| (folder.join(&artifact.path), &artifact.text))
        .filter_map(|(path, text)| match fs::read_to_string(&path) {
            Ok(there) if there == *text => None,
            Ok(_) => Some(format!("{}: differs from what the declarations say", path.display())),
            Err(error) => Some(format!("{}: {error}", path.display())),
        })
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "{}\nhelp: run the same command without --check, and look at the difference",
        stale.join("\n")
    )))
}
