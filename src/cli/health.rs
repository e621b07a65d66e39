//! `health`: how an instance on this machine is, for containers and service managers.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidegauge::export::Probe;

use super::{ConfigArg, Failure, duration, print_line};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge health --config tidegauge.toml              does it live?
  tidegauge health --config tidegauge.toml --ready      do its verdicts count?
  tidegauge health --config tidegauge.toml --client-cert probe.crt --client-key probe.key

It asks /healthz or /readyz where `[export] listen` says, over TLS where that is spoken,
prints one line, and needs no shell. Exit code 0 if the answer is good, else 1.";

#[derive(Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Ask whether it is ready, rather than whether it lives.
    #[arg(long)]
    ready: bool,
    /// How long all of it may take.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    timeout: Duration,
    /// A certificate to show, where the instance demands one.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

pub(super) fn health(args: &HealthArgs) -> Result<(), Failure> {
    let path = args.config.config.display();
    // A running instance may have been started with a configuration that is broken by now.
    let export = tidegauge::config::load_export(&args.config.config)
        .ok_or_else(|| Failure::Refused(format!("{path}: cannot be read")))?;
    let probe = Probe {
        listen: export.listen,
        may_speak_tls: export.web_config.is_some(),
        path: if args.ready { "/readyz" } else { "/healthz" },
        limit: args.timeout,
        certificate: args.client_cert.clone().zip(args.client_key.clone()),
    };
    let answer = probe.ask().map_err(anyhow::Error::new)?;
    match answer.status {
        200 => print_line(&answer.text),
        status => Err(Failure::Failed(anyhow::anyhow!("{status}: {}", answer.text))),
    }
}
