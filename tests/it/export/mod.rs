//! The pages, from a report to what a client receives.

mod crowd;
mod fixture;
mod http;
mod pages;
mod secure;
mod sign_in;
mod status;
mod web_file;
