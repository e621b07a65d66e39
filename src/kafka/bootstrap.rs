//! Names a client its brokers again when none has answered for a while.
//!
//! A broker that is starting or stopping may answer with metadata in which there are
//! topics but no brokers. librdkafka then parts with every broker that it knows, and has
//! nobody left to ask for others: it never connects again, whatever
//! `metadata.recovery.strategy` says (confluentinc/librdkafka, issue 5301; seen with
//! 2.12.1). rdkafka has no call to add brokers, librdkafka has.

use std::ffi::CString;
use std::time::{Duration, Instant};

use rdkafka::bindings as native;
use rdkafka::client::{Client, ClientContext};

/// An election or a restart of a broker is over by then.
const SILENT_FOR: Duration = Duration::from_secs(5);
/// librdkafka keeps what it is given each time: a long outage must not make it large.
const AGAIN: Duration = Duration::from_secs(30);

/// Of one client.
pub(super) struct Bootstrap {
    brokers: CString,
    /// Since when nobody has answered, and when the brokers were named for that.
    silent_since: Option<Instant>,
    named_at: Option<Instant>,
}

impl Bootstrap {
    /// `brokers` as in `bootstrap.servers`.
    pub(super) fn new(brokers: &str) -> Self {
        // A text with a zero byte was refused by librdkafka before.
        let brokers = CString::new(brokers).unwrap_or_default();
        Bootstrap { brokers, silent_since: None, named_at: None }
    }

    /// A broker has answered.
    pub(super) fn answered(&mut self) {
        (self.silent_since, self.named_at) = (None, None);
    }

    /// No broker has answered: after a while, and now and then from then on, they are
    /// named again. Brokers that the client still knows stay as they are.
    pub(super) fn silent<C: ClientContext>(&mut self, client: &Client<C>) {
        if self.is_due(Instant::now()) {
            self.name_to(client);
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let since = *self.silent_since.get_or_insert(now);
        let due = match self.named_at {
            None => now.duration_since(since) >= SILENT_FOR,
            Some(named) => now.duration_since(named) >= AGAIN,
        };
        if due {
            self.named_at = Some(now);
        }
        due
    }

    #[allow(unsafe_code)]
    fn name_to<C: ClientContext>(&self, client: &Client<C>) {
        // SAFETY: the client is alive, being borrowed; the text is zero-terminated and is
        // copied by the call.
        let known =
            unsafe { native::rd_kafka_brokers_add(client.native_ptr(), self.brokers.as_ptr()) };
        tracing::debug!(known, "no broker answers: naming them to the client again");
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[test]
    fn brokers_are_named_after_a_while_and_then_now_and_again() {
        let mut bootstrap = Bootstrap::new("localhost:9092");
        let start = Instant::now();
        let due =
            |bootstrap: &mut Bootstrap, secs| bootstrap.is_due(start + Duration::from_secs(secs));
        let at: Vec<u64> = (0..70).filter(|secs| due(&mut bootstrap, *secs)).collect();
        assert_eq!(at, [5, 35, 65]);
        bootstrap.answered();
        assert!(!due(&mut bootstrap, 100) && !due(&mut bootstrap, 104) && due(&mut bootstrap, 105));
    }

    #[test]
    fn a_client_that_knows_no_broker_finds_them_once_they_are_named() {
        let broker = MockCluster::new(1).expect("a broker in this process");
        // One that never had any is as one that has parted with all.
        let client: BaseConsumer = ClientConfig::new().create().expect("a client");
        let ask = |wait| client.fetch_metadata(None, Duration::from_millis(wait));
        assert!(ask(300).is_err());
        Bootstrap::new(&broker.bootstrap_servers()).name_to(client.client());
        assert_eq!(ask(10_000).expect("an answer").brokers().len(), 1);
    }
}
