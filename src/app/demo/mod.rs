//! The demo's world: simulated live campaigns, and what watches them.
//!
//! Takes a seed and a moment, gives records in the formats of several vendors
//! ([`Simulator`]), brings them to a broker at the consumer's pace ([`Feed`]), and
//! holds the configuration that goes with them ([`CONFIG`]). Half a minute into
//! live traffic the readers of one campaign leave in numbers, for three quarters of
//! a minute, once or again and again ([`Spikes`]). Pure: the clock, the broker and the waiting belong to whoever runs it.

mod campaigns;
mod feed;
mod random;
mod simulator;
mod wire;

#[cfg(test)]
mod tests;

pub use campaigns::{
    Deed, QUIET_UNSUBSCRIBES, SPIKE_AFTER, SPIKE_LASTS, SPIKE_UNSUBSCRIBES, SPIKING, Spikes, System,
};
pub use feed::{Feed, HISTORY, MOST_UNREAD, Step};
pub use simulator::{Act, SimulatedRecord, Simulator, Truth};

/// The demo's configuration, as `config` reads it. Its variables: `DEMO_BROKERS`, the
/// address of the demo's broker, and `DEMO_LISTEN`, where its page is served.
pub const CONFIG: &str = include_str!("demo.toml");

/// The topics that the simulated systems write to.
pub const TOPICS: [&str; 7] = [
    System::SendGrid.topic(),
    System::AmazonSes.topic(),
    System::Segment.topic(),
    System::Ga4.topic(),
    System::CloudEvents.topic(),
    System::Meta.topic(),
    System::Canonical.topic(),
];

/// The objective of [`CONFIG`] that the spike misses.
pub const MISSED: &str = "spring_sale_unsubscribes";

/// A header of every record that the demo writes into a broker of somebody else's, by
/// which its own records are told from real ones.
pub const MARK: &str = "tidegauge-demo";

/// Where [`CONFIG`] sends what has to be refused.
pub const DEAD_LETTERS: &str = "tidegauge.dead-letters";
