//! The engine, the threads, the channels, shutdown.
