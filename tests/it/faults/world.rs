//! A broker behind a network that can be cut, its topics, and two instances.

use rdkafka::consumer::Consumer as _;

use super::declared::Declared;
use super::event::RECORD_BYTES;
use super::moment::{MINUTE, SECOND};
use crate::support::kafka::{Kafka, free_address};
use crate::support::proxy::Proxy;

/// The type whose amounts may be below 0: orders of this shop are also corrected.
pub(super) const SIGNED: &str = "commerce.order_paid";

/// What the records of a topic look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Canonical,
    /// SendGrid's lists of events.
    Vendor,
}

/// How records find their partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    User,
    None,
    Random,
}

#[derive(Debug, Clone)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) form: Form,
    pub(super) keys: Keys,
    pub(super) partitions: i32,
}

impl Topic {
    fn new(name: &str, form: Form, keys: Keys, partitions: i32) -> Topic {
        Topic { name: name.to_owned(), form, keys, partitions }
    }
}

/// Everything around the instances.
pub(super) struct World {
    pub(super) kafka: Kafka,
    pub(super) proxy: Proxy,
    pub(super) topics: Vec<Topic>,
    pub(super) declared: Declared,
}

/// The topic that is added while the instances run.
const ADDED: &str = "later";

impl World {
    /// For the instances of these names.
    pub(super) fn start(instances: &[&str]) -> World {
        let proxy = Proxy::start(free_address());
        let kafka = Kafka::start_behind(&proxy);
        let topics = vec![
            Topic::new("by-user", Form::Canonical, Keys::User, 3),
            Topic::new("unkeyed", Form::Canonical, Keys::None, 2),
            Topic::new("scattered", Form::Canonical, Keys::Random, 4),
            Topic::new("vendor", Form::Vendor, Keys::None, 2),
        ];
        for topic in &topics {
            kafka.create_topic(&topic.name, topic.partitions, &[]);
        }
        for instance in instances {
            kafka.create_topic(&dead_letters(instance), 1, &[]);
        }
        World { kafka, proxy, topics, declared: Declared::new() }
    }

    /// Adds a topic that a pattern of the instances' configuration fits; only once.
    pub(super) fn add_topic(&mut self) {
        if self.topics.iter().all(|topic| topic.name != ADDED) {
            let topic = Topic::new(ADDED, Form::Canonical, Keys::User, 2);
            self.kafka.create_topic(&topic.name, topic.partitions, &[]);
            self.topics.push(topic);
        }
    }

    /// Adds a partition to a topic.
    pub(super) fn add_partition(&mut self, topic: usize) {
        let topic = &mut self.topics[topic];
        topic.partitions += 1;
        self.kafka.grow_topic(&topic.name, topic.partitions);
    }

    /// The configuration of an instance; `$LISTEN` and `$STATE` are for its address and
    /// its directory.
    pub(super) fn configuration(&self, instance: &str) -> String {
        format!(
            "instance = \"{instance}\"
signed_types = [\"{SIGNED}\"]

[kafka]
brokers = \"{}\"
group = \"faults\"
dead_letters = \"{}\"

[[topics]]
name = [\"by-user\", \"unkeyed\"]
format = \"canonical\"

[[topics]]
name = \"vendor\"
format = \"sendgrid\"

[[topics]]
name = \"^(scattered|{ADDED})$\"
format = \"canonical\"

[export]
listen = \"$LISTEN\"

[limits]
record_bytes = {RECORD_BYTES}

[time]
lateness = \"{}m\"
future_tolerance = \"{}s\"

[run]
snapshot_every = \"500ms\"
shutdown_deadline = \"5s\"

[duplicates]
horizon = \"{}m\"

[state]
directory = \"$STATE\"

{}",
            self.proxy.address(),
            dead_letters(instance),
            super::event::LATENESS / MINUTE,
            super::event::TOLERANCE / SECOND,
            super::event::HORIZON / MINUTE,
            self.declared.toml()
        )
    }

    /// Waits until the broker answers for every topic.
    pub(super) fn wait_for_topics(&self) {
        for topic in &self.topics {
            crate::support::kafka::wait_for("the topics after a restart of the broker", || {
                let consumer = self.kafka.consumer("looker");
                let wait = std::time::Duration::from_secs(5);
                (0..topic.partitions)
                    .all(|partition| {
                        consumer.fetch_watermarks(&topic.name, partition, wait).is_ok()
                    })
                    .then_some(())
            });
        }
    }
}

/// The topic of an instance's dead letters.
pub(super) fn dead_letters(instance: &str) -> String {
    format!("dead-letters-{instance}")
}
