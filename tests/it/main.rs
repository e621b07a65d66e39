//! The one integration binary, so that librdkafka is linked once.

mod export;
mod layers;
mod kafka;
mod kafka_dead_letters;
mod support;
