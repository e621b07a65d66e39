//! `demo`: see it at work.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use tidegauge::app::Demo;
use tidegauge::config::parse_duration;

use super::{Failure, logging, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge demo                              until Ctrl-C
  tidegauge demo --for 60s
  tidegauge demo --listen 127.0.0.1:9999

Some hours of history are there at once; about 30 seconds after the start the unsubscribe
rate of one campaign jumps, its objective turns `missed` within seconds, and it has
recovered two minutes later.";

#[derive(Args)]
pub(super) struct DemoArgs {
    /// End by itself after this long, such as 60s or 5m.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    limit: Option<Duration>,
    /// The address of the status page and of /metrics.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9184")]
    listen: SocketAddr,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .map(|span| Duration::from_micros(span.micros().unsigned_abs()))
        .map_err(|error| error.to_string())
}

pub(super) fn demo(args: &DemoArgs) -> Result<(), Failure> {
    logging::start(&Demo::log());
    let demo = Demo::start(args.listen).map_err(anyhow::Error::new)?;
    say(&format!(
        "Tidegauge demo at http://{}/ (metrics at /metrics). Ctrl-C ends it.",
        demo.address()
    ));
    say("Watch the objectives: about 30 seconds from now one campaign's unsubscribes spike.");
    demo.wait(args.limit).map_err(|error| Failure::Failed(anyhow::Error::new(error)))
}
