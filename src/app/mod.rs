//! The engine, the threads, the channels, shutdown.

pub mod demo;
