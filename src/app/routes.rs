//! Which format reads which topic.

use std::sync::Arc;

use crate::format::{Decoder, Format, Limits};
use crate::kafka::TopicPattern;

/// The bindings of topics to formats, in the order of the configuration.
pub struct Routes {
    bindings: Vec<(TopicPattern, Arc<Format>)>,
    limits: Limits,
}

impl Routes {
    /// Bindings, of which there is at least one; a topic goes to the first that
    /// matches it.
    pub fn new(bindings: Vec<(TopicPattern, Arc<Format>)>, limits: Limits) -> Self {
        Routes { bindings, limits }
    }

    /// The topics whose formats look at headers.
    pub fn reading_headers(&self) -> Vec<TopicPattern> {
        let reading = self.bindings.iter().filter(|(_, format)| format.reads_headers());
        reading.map(|(pattern, _)| pattern.clone()).collect()
    }

    /// A decoder for a topic. The source only reads topics that a binding matches,
    /// so the last binding stands in for "none".
    pub fn decoder(&self, topic: &str) -> Decoder {
        let format = self
            .bindings
            .iter()
            .find(|(pattern, _)| pattern.matches(topic))
            .or(self.bindings.last())
            .map(|(_, format)| Arc::clone(format))
            .expect("a configuration binds at least one topic");
        Decoder::new(format, self.limits)
    }
}
