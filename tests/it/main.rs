//! The one integration binary, so that librdkafka is linked once.

mod export;
mod layers;
