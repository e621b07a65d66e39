//! `generate`: alert rules, dashboards and documents, from the declarations.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tidegauge::artifact::{self, Artifact, Inputs, Scope, ScopeFault};
use tidegauge::config::Config;

use super::{ConfigArg, Failure, print_line};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge generate rules --config tidegauge.toml                    to standard output
  tidegauge generate rules --config tidegauge.toml --out deploy       into a folder
  tidegauge generate rules --config tidegauge.toml --out deploy --check   in CI
  tidegauge generate rules --config tidegauge.toml --keep env         for each env by itself
  tidegauge generate rules --config tidegauge.toml --match 'env=\"production\"'   for that one

With --check nothing is written: exit code 2 says that files on disk differ.

Several deployments in one Prometheus, such as staging and production, are told apart by a
label that their targets have: --keep has each speak for itself, --match speaks of one
only. Give dashboards the same. What a flag says takes the place of what [generate] in the
configuration says.";

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
    /// A label of the scrape targets, such as env, that alerts and panels keep; may be
    /// repeated.
    #[arg(long, value_name = "LABEL")]
    keep: Vec<String>,
    /// A matcher that every selector gets, such as 'env="production"'; may be repeated.
    #[arg(long = "match", value_name = "MATCHER")]
    matchers: Vec<String>,
    /// The folder to write into; without it, everything goes to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Compare with the files in DIR instead of writing them.
    #[arg(long, requires = "out")]
    check: bool,
}

pub(super) fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    let config = super::run::load(&args.config)?;
    let scope = scope(args, &config)?;
    let inputs = Inputs { scope: &scope, ..config.artifact_inputs() };
    let artifacts = match args.what {
        What::Rules => {
            let mut artifacts = artifact::rules(&inputs);
            artifacts.extend(artifact::rule_tests(&inputs));
            artifacts
        }
        What::Dashboards => artifact::dashboards(&inputs),
        What::Docs => artifact::docs(&inputs),
    };
    match &args.out {
        None => artifacts.iter().try_for_each(|artifact| print_line(artifact.text.trim_end())),
        Some(folder) if args.check => compare(folder, &artifacts),
        Some(folder) => Ok(write(folder, &artifacts)?),
    }
}

/// The scope of the configuration, with what the command line says instead.
fn scope(args: &GenerateArgs, config: &Config) -> Result<Scope, Failure> {
    let mut scope = config.scope.clone();
    let slices = &config.declarations.slices;
    let refused = |flag: &str, fault: ScopeFault| Failure::Refused(format!("{flag}: {fault}"));
    scope.keep_instead(&args.keep, slices).map_err(|fault| refused("--keep", fault))?;
    scope.select_instead(&args.matchers, slices).map_err(|fault| refused("--match", fault))?;
    Ok(scope)
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
