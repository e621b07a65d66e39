//! What several tests need: real servers and small stand-ins.
//!
//! Everything listens on the loopback only, waits for readiness with a deadline, and
//! is ended by its own handle.

pub(crate) mod acl;
pub(crate) mod alertmanager;
pub(crate) mod certificates;
pub(crate) mod clock;
pub(crate) mod dashboards;
pub(crate) mod filed;
pub(crate) mod http;
pub(crate) mod instance;
pub(crate) mod kafka;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod proxy;
pub(crate) mod reading;
pub(crate) mod secured;
pub(crate) mod tokens;
pub(crate) mod transactions;
pub(crate) mod webhook;
