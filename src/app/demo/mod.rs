//! The demo's world: simulated live campaigns, and what watches them.
//!
//! Takes a seed and a moment, gives records in the formats of several vendors
//! ([`Simulator`]), brings them to a broker at the consumer's pace ([`Feed`]), and
//! holds the configuration that goes with them ([`CONFIG`]). Half a minute into
//! live traffic the readers of one campaign leave in numbers, for three quarters of
//! a minute. Pure: the clock, the broker and the waiting belong to whoever runs it.

mod campaigns;
mod feed;
mod random;
mod simulator;
mod wire;

#[cfg(test)]
mod tests;

pub use campaigns::{
    Deed, QUIET_UNSUBSCRIBES, SPIKE_AFTER, SPIKE_LASTS, SPIKE_UNSUBSCRIBES, SPIKING, System,
};
pub use feed::{Feed, HISTORY, MOST_UNREAD, Step};
pub use simulator::{Act, SimulatedRecord, Simulator, Truth};

/// The demo's configuration, as `config` reads it. Its one variable,
/// [`BROKERS_VARIABLE`], is the address of the demo's broker.
pub const CONFIG: &str = include_str!("demo.toml");
/// What stands for the address of the demo's broker in [`CONFIG`].
pub const BROKERS_VARIABLE: &str = "TIDEGAUGE_DEMO_BROKERS";
