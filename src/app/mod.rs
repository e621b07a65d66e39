//! The engine, the threads, the channels, and shutdown.
//!
//! In: a [`Config`](crate::config::Config). Out: a running [`Service`] that
//! publishes a report each second and serves it over HTTP. The threads are the
//! source's (which polls), the decoders', the engine's, and the HTTP runtime's;
//! every queue between them is bounded, so that the slowest sets the pace.
//! Stopping closes in flow order, with a deadline. [`Demo`] is all of it with an
//! embedded broker and simulated campaigns, [`run_campaigns`] the campaigns alone.

mod backfill;
mod beginning;
mod build;
mod campaigns;
mod changes;
mod checkpoints;
mod clock;
mod decoding;
pub mod demo;
mod due;
mod engine;
mod inspection;
mod loading;
mod memory;
mod pipeline;
mod roles;
mod routes;
pub mod saved;
mod service;
mod showcase;
pub mod stored;
mod supervised;

pub use build::{COMMIT, features};
pub use campaigns::{CampaignsSpec, run_campaigns};
pub use clock::now;
pub use decoding::{DecodedBatch, LedgerPart, RecordDecoder};
pub use engine::{Counts, Cut, Engine, Head, Missing, PartitionHead, TopicHead};
pub use inspection::inspect;
pub use roles::{TopicRole, TopicRoles};
pub use routes::Routes;
pub use saved::SavedStateError;
pub use service::{NewMeasures, Service, ServiceError};
pub use showcase::Demo;
