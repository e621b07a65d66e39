//! The source behind a network that is slow, or cut: everything once, and caught up
//! within seconds of its return.

use std::time::{Duration, Instant};

use tidegauge::kafka::{Producer, StartAt};

use crate::support::kafka::{Kafka, free_address};
use crate::support::proxy::{Network, Proxy};
use crate::support::reading::{Reading, assert_filled, now, settings};

/// Writes `value-<number>` to partition 0.
fn write(producer: &Producer, topic: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let value = format!("value-{number}");
        producer
            .send_to(topic, Some(0), None, Some(value.as_bytes()), &[], Some(now()))
            .expect("send");
    }
    producer.flush(Duration::from_secs(30)).expect("written");
}

/// Cuts the network for that long, and says how long it takes after its return until
/// the source is caught up with what `write` wrote meanwhile.
fn cut(
    reading: &mut Reading,
    proxy: &Proxy,
    network: Network,
    lasting: Duration,
    write: impl FnOnce(),
) -> Duration {
    proxy.set(network);
    write();
    reading.during(lasting);
    proxy.set(Network::Clear);
    let back = Instant::now();
    reading.until_caught_up();
    back.elapsed()
}

#[test]
fn a_cut_network_is_made_up_for_within_seconds_and_a_slow_one_costs_nothing() {
    let proxy = Proxy::start(free_address());
    let kafka = Kafka::start_behind(&proxy);
    let topic = kafka.topic("network", 2, &[]);
    let producer = kafka.producer(&[]);
    write(&producer, &topic, 0..1_000);
    let settings = settings(&proxy.address().to_string(), &[&topic], StartAt::Beginning);
    let mut reading = Reading::of(settings);
    reading.until_caught_up();
    let mut written = 1_000;
    for (network, seconds, at_most) in [
        (Network::Stalled, 2, 6),
        (Network::Refused, 3, 6),
        (Network::Stalled, 12, 6),
        (Network::Refused, 12, 6),
        // That nothing comes any more is believed after 20 s.
        (Network::Lost, 12, 18),
    ] {
        let (from, lasting) = (written, Duration::from_secs(seconds));
        written += 1_000;
        let took = cut(&mut reading, &proxy, network, lasting, || {
            write(&producer, &topic, from..from + 1_000);
        });
        eprintln!("after {seconds} s of {network:?}: {took:?}");
        assert!(took < Duration::from_secs(at_most), "{network:?} for {seconds} s: {took:?}");
    }
    let slow = Network::Slow { delay: Duration::from_millis(50), bytes_per_second: 200_000 };
    proxy.set(slow);
    write(&producer, &topic, written..written + 1_000);
    written += 1_000;
    reading.until_caught_up();
    assert_filled(&reading.finish(), &topic, 0, 0..written);
}
