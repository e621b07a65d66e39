//! The dead letters of an instance: each refused record at least once, and nothing
//! else.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::log::Place;
use super::world::{World, dead_letters};

/// The places that the letters of an instance name, repeats dropped; and how many
/// letters there are.
pub(super) fn read(world: &World, instance: &str) -> (BTreeSet<Place>, usize) {
    let topic = dead_letters(instance);
    let consumer = world.kafka.consumer("letters");
    let wait = Duration::from_secs(20);
    let (first, end) = consumer.fetch_watermarks(&topic, 0, wait).expect("the topic's end");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(first)).expect("an offset");
    consumer.assign(&list).expect("an assignment");
    let mut places = BTreeSet::new();
    let mut letters = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut next = first;
    while next < end {
        assert!(Instant::now() < deadline, "the dead letters could not be read back");
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
        next = message.offset() + 1;
        letters += 1;
        let name = header(&message, "tidegauge.topic");
        let of = world.topics.iter().position(|topic| topic.name == name);
        let of = of.unwrap_or_else(|| panic!("a dead letter of the topic {name}"));
        let number = |key| header(&message, key).parse::<i64>().expect("a number");
        let partition = number("tidegauge.partition") as i32;
        places.insert((of, partition, number("tidegauge.offset")));
    }
    (places, letters)
}

fn header(message: &BorrowedMessage<'_>, key: &str) -> String {
    let value = message
        .headers()
        .and_then(|headers| headers.iter().find(|header| header.key == key)?.value)
        .unwrap_or_else(|| panic!("a dead letter without the header {key}"));
    String::from_utf8_lossy(value).into_owned()
}
