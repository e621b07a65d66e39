//! The pages, from a report to what a client receives.

mod crowd;
mod fixture;
mod http;
mod pages;
mod status;
