//! `demo`: see it at work, by itself or with brokers of one's own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use tidegauge::app::{CampaignsSpec, Demo, run_campaigns};
use tidegauge::event::Span;
use tidegauge::kafka::Access;

use super::{ConfigArg, Failure, duration, logging, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge demo                              until Ctrl-C
  tidegauge demo --for 60s
  tidegauge demo --listen 127.0.0.1:9999
  tidegauge demo --brokers localhost:9092     the campaigns alone, into a Kafka of yours
  tidegauge demo --config tidegauge.toml      the same, with the brokers and the sign-in of [kafka]

Without brokers everything is in this process: hours of history are there at once; about 30
seconds after the start the unsubscribe rate of one campaign jumps, its objective turns
`missed` within seconds, and it has recovered two minutes later.

With brokers only the simulated campaigns run here. The topics email.sendgrid, email.ses,
web.segment, web.ga4, web.cloudevents, social.meta, crm.canonical and
tidegauge.dead-letters are made where they are missing, and keep a day. The last half hour
is written, then live traffic; the rate jumps after a minute and a half, and then every ten
minutes. It waits for brokers that are not up yet. A topic in which there are records that
no demo has written is left alone: the demo then ends with exit code 1.";

#[derive(Args)]
#[command(group = ArgGroup::new("cluster"))]
pub(super) struct DemoArgs {
    /// End by itself after this long, such as 60s or 5m.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    limit: Option<Duration>,
    /// The address of the status page and of /metrics.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9184", conflicts_with = "cluster")]
    listen: SocketAddr,
    /// Write the simulated campaigns into the Kafka at these brokers, and serve nothing.
    #[arg(long, value_name = "HOST:PORT[,...]", group = "cluster")]
    brokers: Option<String>,
    /// The same, to the brokers of a configuration, signed in as it says.
    #[arg(long, short, value_name = "FILE", group = "cluster")]
    config: Option<PathBuf>,
    /// How many partitions a topic gets that has to be made.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        value_parser = clap::value_parser!(i32).range(1..=1_000),
        requires = "cluster"
    )]
    partitions: i32,
    /// How many copies such a topic has; by default the brokers choose.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(i32).range(1..=100),
        requires = "cluster"
    )]
    replication: Option<i32>,
    /// How much of the past is written first.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30m",
        value_parser = duration,
        requires = "cluster"
    )]
    history: Duration,
}

pub(super) fn demo(args: &DemoArgs) -> Result<(), Failure> {
    logging::start(&Demo::log());
    let kafka = match (&args.brokers, &args.config) {
        (Some(brokers), _) => Some((brokers.clone(), Default::default(), Access::default())),
        (None, Some(config)) => {
            let kafka = super::run::load(&ConfigArg { config: config.clone() })?.kafka;
            let access = Access::new(&kafka);
            Some((kafka.brokers, kafka.properties, access))
        }
        (None, None) => None,
    };
    if let Some((brokers, properties, access)) = kafka {
        let spec = CampaignsSpec {
            brokers,
            properties,
            access,
            partitions: args.partitions,
            replication: args.replication,
            history: Span::from_micros(i64::try_from(args.history.as_micros()).unwrap_or(i64::MAX)),
            limit: args.limit,
        };
        return run_campaigns(&spec, &say).map_err(|error| Failure::Failed(error.into()));
    }
    let demo = Demo::start(args.listen).map_err(anyhow::Error::new)?;
    say(&format!(
        "Tidegauge demo at http://{}/ (metrics at /metrics). Ctrl-C ends it.",
        demo.address()
    ));
    say("Watch the objectives: about 30 seconds from now one campaign's unsubscribes spike.");
    demo.wait(args.limit).map_err(|error| Failure::Failed(anyhow::Error::new(error)))
}
