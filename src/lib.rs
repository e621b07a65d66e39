//! Tidegauge reads marketing events from Kafka, keeps exact rolling-window KPIs
//! in memory, holds them against declared objectives, and exports the result as
//! Prometheus metrics.
//!
//! The modules stand in the order in which data flows, which is also the order
//! of importing: a module imports only modules above it (`tests/it/layers.rs`
//! holds that). Everything down to [`starter`] is pure: it takes the time as an
//! argument and neither waits, logs, opens a socket nor reads a clock.

pub mod event;
pub mod format;
pub mod admit;
pub mod aggregate;
pub mod window;
pub mod kpi;
pub mod objective;
pub mod catalog;
pub mod artifact;
pub mod config;
pub mod starter;
pub mod checkpoint;
pub mod socket;
pub mod kafka;
pub mod export;
pub mod app;
