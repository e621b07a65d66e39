//! `/metrics`, health, and the status page; who may see them.
//!
//! In: a [`Report`] after each snapshot, over a watch channel, how far the [`Loading`]
//! before the first is, and the [`Site`] that stays. Out: pages over HTTP. Kept: the newest report, its encoded pages, when
//! each verdict last changed, and a bounded history of the figures that the status
//! page draws. Never done here: computing a figure or a verdict, or writing a
//! metric name; those come from the snapshot and from [`crate::catalog`].

mod format;
mod health;
mod loading;
mod model;
mod neighbourhood;
mod openmetrics;
mod pages;
mod process;
mod report;
mod serve;
mod site;
mod status;
mod web;

pub use format::{OpenMetricsVersion, PageFormat};
pub use health::{Probe, ProbeAnswer, ProbeError};
pub use loading::{LoadedShare, Loading};
pub use pages::encode;
pub use process::ProcessUse;
pub use report::{
    BackfillReport, DeadLetterReport, DuplicatesReport, NotReady, PartitionReport, Report,
    StateReport, TopicReport,
};
pub use serve::{Hosts, Served, listen, serve};
pub use site::Site;
pub use web::{
    Refusal, RefusalCounts, Web, WebCheck, WebReport, check_web, hash_password, new_token,
};
