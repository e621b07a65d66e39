//! The one integration binary, so that librdkafka is linked once.

mod artifacts;
mod artifacts_fixture;
mod artifacts_live;
mod artifacts_page;
mod artifacts_shipped;
mod bad_input;
mod cli;
mod config;
mod demo;
mod documents;
mod export;
mod faults;
mod formats;
mod journal;
mod kafka;
mod kafka_dead_letters;
mod kafka_network;
mod kafka_resume;
mod layers;
mod recount;
mod recount_model;
mod recount_reduce;
mod scenarios;
mod service;
mod spike;
mod support;
