//! The simulated world against what its tables promise.

use std::collections::BTreeMap;

use super::*;
use crate::event::{EventTime, Span};

/// 2027-03-09T10:00:00Z: any moment will do.
const START: EventTime = EventTime::from_secs(1_804_586_400);
const SEED: u64 = 7;

fn simulator() -> Simulator {
    Simulator::new(SEED, START)
}

fn at(seconds: i64) -> EventTime {
    START + Span::from_secs(seconds)
}

/// How often each deed happened in a campaign, by event time.
fn tally(campaign: &str, from: i64, to: i64) -> BTreeMap<Deed, u64> {
    let mut tally = BTreeMap::new();
    for record in simulator().records(at(from), at(to)) {
        let Truth::Acts(acts) = record.truth else { continue };
        for act in acts.iter().filter(|act| act.campaign == Some(campaign)) {
            *tally.entry(act.deed).or_default() += 1;
        }
    }
    tally
}

fn unsubscribes_per_delivered(campaign: &str, from: i64, to: i64) -> f64 {
    let tally = tally(campaign, from, to);
    let of = |deed| tally.get(&deed).copied().unwrap_or(0) as f64;
    assert!(of(Deed::Delivered) > 0.0, "{campaign} delivers nothing from {from} to {to}");
    of(Deed::Unsubscribed) / of(Deed::Delivered)
}

#[test]
fn the_same_seed_makes_the_same_records_and_another_makes_others() {
    let make = |seed| -> Vec<SimulatedRecord> {
        Simulator::new(seed, START).records(at(-5), at(5)).collect()
    };
    assert_eq!(make(1), make(1));
    assert_ne!(make(1), make(2));
}

#[test]
fn a_stretch_cut_anywhere_is_the_whole_stretch() {
    let whole: Vec<_> = simulator().records(at(25), at(45)).collect();
    let mut parts = Vec::new();
    let cuts = [25_000, 25_001, 29_999, 30_000, 37_123, 45_000];
    for cut in cuts.windows(2) {
        let moment = |millis| START + Span::from_millis(millis);
        parts.extend(simulator().records(moment(cut[0]), moment(cut[1])));
    }
    assert!(whole.len() > 200);
    assert_eq!(whole, parts);
}

#[test]
fn records_come_in_order_of_time_and_events_are_never_newer_than_their_record() {
    let records: Vec<_> = simulator().records(at(-120), at(60)).collect();
    assert!(records.is_sorted_by_key(|record| record.time));
    let mut late = 0;
    for record in &records {
        let Truth::Acts(acts) = &record.truth else { continue };
        assert!(acts.iter().all(|act| act.time <= record.time));
        late += acts.iter().filter(|act| record.time - act.time > Span::from_secs(60)).count();
    }
    assert!((1..40).contains(&late), "{late} late events in three minutes");
}

#[test]
fn the_spike_stands_out_and_ends() {
    let check = |from, to, least: f64, most: f64| {
        let share = unsubscribes_per_delivered(SPIKING, from, to);
        assert!((least..=most).contains(&share), "{share} from {from} s to {to} s");
    };
    check(-300, 30, 0.001, 0.004);
    check(30, 75, 0.05, 0.07);
    check(75, 400, 0.001, 0.004);
    // Within twelve seconds a one-minute window passes one per cent.
    check(-28, 42, 0.01, 0.02);
    // And it is well below again when the spike has left the window.
    check(80, 145, 0.0, 0.006);
}

#[test]
fn spikes_recur_and_the_next_is_known() {
    let at = |seconds| Span::from_secs(seconds);
    let spikes = Spikes { after: at(90), every: Some(at(600)) };
    for (since, on, next) in [
        (-1_800, false, 90),
        (0, false, 90),
        (89, false, 90),
        (90, true, 690),
        (134, true, 690),
        (135, false, 690),
        (689, false, 690),
        (690, true, 1_290),
        (6_700, true, 7_290),
    ] {
        assert_eq!(spikes.is_on(at(since)), on, "{since} s");
        assert_eq!(spikes.next(at(since)), Some(at(next)), "{since} s");
    }
    assert_eq!(Spikes::ONCE.next(at(31)), None);
    assert!(!Spikes::ONCE.is_on(at(630)));
    let simulator = Simulator::spiking(SEED, START, spikes);
    let unsubscribed = |from, to| {
        let records = simulator.records(self::at(from), self::at(to));
        let acts = records.filter_map(|record| match record.truth {
            Truth::Acts(acts) => Some(acts),
            _ => None,
        });
        acts.flatten().filter(|act| act.deed == Deed::Unsubscribed).count()
    };
    for spike in [90, 690, 1_290] {
        assert!(unsubscribed(spike, spike + 45) > 15, "{}", unsubscribed(spike, spike + 45));
        assert!(unsubscribed(spike - 45, spike) < 10, "{}", unsubscribed(spike - 45, spike));
    }
}

#[test]
fn no_quiet_minute_of_the_spiking_campaign_comes_near_its_target() {
    for minute in (-540..-60).step_by(10).chain((80..900).step_by(10)) {
        let share = unsubscribes_per_delivered(SPIKING, minute, minute + 60);
        assert!(share < 0.006, "{share} in the minute from {minute} s");
    }
}

#[test]
fn other_campaigns_do_not_notice_the_spike() {
    for campaign in ["welcome_series", "weekly_digest", "loyalty_club"] {
        let share = unsubscribes_per_delivered(campaign, -3_500, 100);
        assert!(share < 0.004, "{campaign}: {share}");
    }
}

#[test]
fn a_minute_of_the_spiking_campaign_is_a_sample_and_never_more_than_was_sent() {
    for from in (-400..400).step_by(60) {
        let tally = tally(SPIKING, from, from + 60);
        assert!(tally[&Deed::Delivered] > 450, "{tally:?}");
        assert!(tally[&Deed::Delivered] <= tally[&Deed::Sent], "{tally:?}");
    }
}

#[test]
fn live_traffic_is_moderate_and_some_of_it_is_odd() {
    let records: Vec<_> = simulator().records(at(0), at(600)).collect();
    let acts: usize = records
        .iter()
        .map(|record| if let Truth::Acts(acts) = &record.truth { acts.len() } else { 0 })
        .sum();
    let per_second = acts as f64 / 600.0;
    assert!((25.0..200.0).contains(&per_second), "{per_second} events per second");
    let count = |truth: Truth| records.iter().filter(|record| record.truth == truth).count();
    assert!((5..60).contains(&count(Truth::Broken)), "{} broken", count(Truth::Broken));
    assert!((1..20).contains(&count(Truth::Unknown)), "{} unknown", count(Truth::Unknown));
}

/// The demo's broker forgets beyond 5 MiB (compressed) a partition; a topic has two.
#[test]
fn the_whole_history_fits_into_the_broker() {
    let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
    let mut records: BTreeMap<&str, u64> = BTreeMap::new();
    for record in simulator().records(START - HISTORY, START) {
        *bytes.entry(record.topic).or_default() += record.size();
        *records.entry(record.topic).or_default() += 1;
    }
    assert_eq!(bytes.len(), System::ALL.len());
    for (topic, bytes) in bytes {
        let each = bytes / 2;
        assert!(each < 5 << 20, "{topic}: {each} bytes in each of two partitions");
        assert!(records[topic] / 2 < 50_000, "{topic}: {} records", records[topic]);
    }
}

#[test]
fn a_feed_waits_for_the_consumer_and_leaves_nothing_out() {
    let mut feed = Feed::new(SEED, START);
    let now = at(-8_000);
    let mut sent: Vec<SimulatedRecord> = Vec::new();
    let mut read: BTreeMap<String, u64> = BTreeMap::new();
    let mut waited = 0;
    loop {
        let step = feed
            .step(
                now,
                |topic| read.get(topic).copied().unwrap_or(0),
                |record| {
                    sent.push(record.clone());
                    Ok::<(), ()>(())
                },
            )
            .expect("this send never fails");
        match step {
            Step::UpToDate => break,
            Step::Behind => {}
            Step::Waits => waited += 1,
        }
        let mut unread: BTreeMap<&str, u64> = BTreeMap::new();
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        for record in &sent {
            let nth = seen.entry(record.topic).or_default();
            *nth += 1;
            if *nth > read.get(record.topic).copied().unwrap_or(0) {
                *unread.entry(record.topic).or_default() += record.size();
            }
        }
        assert!(unread.values().all(|bytes| *bytes < 5 << 20), "{unread:?}");
        if step == Step::Waits {
            read.extend(seen.into_iter().map(|(topic, records)| (topic.to_owned(), records)));
        }
    }
    let whole: Vec<_> = simulator().records(START - HISTORY, now).collect();
    assert_eq!(sent, whole);
    assert!(waited < 100, "waited {waited} times");
}
