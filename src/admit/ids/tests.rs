use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

/// Sixteenths are minutes.
const HORIZON: Span = Span::from_secs(16 * 60);

fn minute(minute: i64) -> EventTime {
    EventTime::from_secs(1_781_006_400 + minute * 60)
}

/// A fingerprint for each number, spread as a keyed hash spreads them.
fn fingerprint(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Everything in the table, by the first sixteenth of what it belongs to: what it is
/// equal to another by.
fn contents(seen: &SeenIds) -> BTreeSet<(i64, u64)> {
    let mut all = BTreeSet::new();
    for (index, shard) in seen.shards.iter().enumerate() {
        for (rest, number) in shard.entries() {
            if let Some(stretch) = seen.lists.stretch(number) {
                all.insert((stretch.first, (index as u64) << REST_BITS | rest));
            }
        }
    }
    all
}

/// Words: `a3` is the id a at minute 3, `>20` moves the present there, `!20` as well, with
/// nothing left to read at minute 100 by the clock; what is a copy is marked by `=`.
#[track_caller]
fn check(story: &str) {
    let mut seen = SeenIds::new(HORIZON);
    for word in story.split_whitespace() {
        let (word, expected) = match word.strip_suffix('=') {
            Some(word) => (word, Sighting::Copy),
            None => (word, Sighting::First),
        };
        let (id, at) = word.split_at(1);
        let at = minute(at.parse().expect("a number"));
        match id {
            ">" => seen.advance(at, None),
            "!" => seen.advance(at, Some(minute(100))),
            id => {
                let id = fingerprint(id.as_bytes()[0].into());
                assert_eq!(seen.observe(id, at), expected, "{word} in {story}");
            }
        }
    }
}

#[test]
fn a_copy_within_the_horizon_is_told() {
    check("a0 b0 a0= a7= b16= c16");
    check("a0 a17 a17= a33= a34");
}

#[test]
fn the_horizon_begins_with_the_first_sight_not_with_the_last() {
    check("a0 a10= a20 a30=");
}

#[test]
fn the_order_in_which_partitions_are_read_does_not_matter() {
    check("a10 a0= a16= a17");
    check("a20 a10= a27");
    check("a0 a30 a0= a30= a40=");
    check("a30 a0 a30= a0= a10=");
}

#[test]
fn what_is_older_than_the_horizon_is_forgotten() {
    check("a0 >16 a16= >17 a17");
    check("a0 >5000 b0 a5000 b0=");
}

#[test]
fn the_present_may_go_back() {
    check("a10 >10 >2 b2 a10= b3= >10 b12=");
}

#[test]
fn what_comes_long_after_its_record_is_remembered_as_long() {
    check(">3000 a0 a1= >3010 a2= b2 >3016 a3= >3030 a4 b4");
}

#[test]
fn however_far_apart_all_is_seen_when_its_record_says() {
    check("a-90000 b900000 c0 a-90000= b900000= c0= a-89984= b900016= a-89983 b900017");
    check(">0 a90000 >89000 b90000 a90000= >90016 a90016= >90017 a90017");
    check(">0 a-90000 >1 a-90000= >16 a-90000= >17 a-90000");
    check("a0 >0 b900000 >3 a3= >20 a20 b900000=");
}

#[test]
fn a_present_that_was_not_known_makes_nothing_forgotten() {
    // Before the clock is set, nothing says how far reading has come.
    check("a0 b5000 a0= >5000 b5001= a5001 b5016=");
    check("a0 >-90000 b0 >0 a16= b16=");
    check("a0 b10 >-90000 >10 >-90000 >10 a10= b10= >17 a17 b17=");
}

#[test]
fn what_is_ahead_of_the_clock_is_forgotten_two_horizons_of_reading_later() {
    // By how often reading goes on, not by how far.
    let moves = |from: i64, to: i64, step: usize| -> String {
        (from..=to).step_by(step).map(|at| format!("!{at} ")).collect()
    };
    check(&format!("!0 a90000 {}a90000= !34 a90000", moves(1, 33, 1)));
    check(&format!("!0 a90000 {}a90000= !100 a90000", moves(3, 99, 3)));
    check("!0 a90000 !99 a90000= !-90000 a90000= !99 a90000=");
    // Others are not forgotten for it, and what is not ahead of the clock stays.
    check(&format!("!0 a90000 b80 c0 !16 c16= b80= {}b80=", moves(17, 96, 1)));
    // Not while there is anything to read.
    check(&format!("!0 a90000 >40 a90000= >90 a90000= {}a90000=", moves(91, 99, 1)));
    check(&format!(">0 a90000 {}", moves(1, 60, 1).replace('!', ">") + "a90000="));
}

#[test]
fn what_is_seen_after_a_restart_is_seen_when_its_record_says() {
    let (mut seen, mut disk) = (SeenIds::new(HORIZON), Disk::default());
    seen.keep_journal(true);
    seen.observe(fingerprint(0), minute(0));
    write(&mut seen, &mut disk);
    let mut seen = read(&disk, HORIZON);
    assert_eq!(seen.observe(fingerprint(0), minute(20)), Sighting::First);
    assert_eq!(seen.observe(fingerprint(1), minute(0)), Sighting::First);
    assert_eq!(seen.observe(fingerprint(1), minute(20)), Sighting::First);
    assert_eq!(seen.observe(fingerprint(1), minute(16)), Sighting::Copy);
    let expected = [(0, 0), (20, 0), (0, 1), (20, 1)];
    let number = |at| minute(at).micros().div_euclid(60_000_000);
    let expected = expected.map(|(at, id)| (number(at), fingerprint(id)));
    assert_eq!(contents(&seen), expected.into_iter().collect());
}

fn forgotten(seen: &mut SeenIds, at: EventTime) {
    (0..=64).for_each(|_| seen.advance(at, None));
}

#[test]
fn the_room_of_what_is_forgotten_is_given_back() {
    let mut seen = SeenIds::new(HORIZON);
    for number in 0..200_000 {
        seen.observe(fingerprint(number), minute((number / 20_000) as i64));
    }
    let full = seen.memory_bytes();
    forgotten(&mut seen, minute(20));
    assert_eq!(seen.len(), 120_000);
    assert!(seen.memory_bytes() < full * 3 / 4, "{} of {full}", seen.memory_bytes());
    forgotten(&mut seen, minute(100));
    assert_eq!(seen.len(), 0);
    assert_eq!(seen.observe(fingerprint(7), minute(100)), Sighting::First);
}

/// From a million on, at every sixty-fourth of growth.
#[test]
fn an_id_never_takes_more_than_twelve_bytes_and_growing_has_no_jumps() {
    const MILLION: u64 = 1_000_000;
    let mut seen = SeenIds::new(HORIZON);
    let mut next = MILLION;
    let mut before = 0;
    for number in 0..3 * MILLION {
        seen.observe(fingerprint(number), minute(number as i64 * 16 / (3 * MILLION as i64)));
        if number + 1 == next {
            let bytes = seen.memory_bytes();
            assert!(bytes <= 12 * next, "{bytes} for {next}");
            assert!(before == 0 || bytes < before * 11 / 10, "from {before} to {bytes}");
            before = bytes;
            next += next / 64;
        }
    }
    assert_eq!(seen.len(), 3 * MILLION);
}

/// A million and a sixteenth, of which the oldest sixteenth goes as the next comes.
#[test]
fn ids_that_come_and_go_take_no_more_room_than_those_that_stay() {
    const SIXTEENTH: u64 = 70_000;
    let mut seen = SeenIds::new(HORIZON);
    for number in 0..40 * SIXTEENTH {
        let at = (number / SIXTEENTH) as i64;
        seen.observe(fingerprint(number), minute(at));
        if number % SIXTEENTH == SIXTEENTH - 1 {
            forgotten(&mut seen, minute(at));
            let (bytes, ids) = (seen.memory_bytes(), seen.len());
            assert_eq!(ids, (number + 1).min(17 * SIXTEENTH));
            assert!(at < 16 || bytes <= 12 * ids, "{bytes} for {ids}");
        }
    }
}

#[test]
fn lists_put_back_hold_each_id_once_and_take_no_more_room() {
    const MILLION: u64 = 1_000_000;
    let mut seen = SeenIds::new(HORIZON);
    // Some are known already, and each list is given twice, by parts that overlap.
    (0..100).for_each(|number| _ = seen.observe(fingerprint(number), minute(0)));
    let first = seen.sixteenth(minute(0));
    for list in 0..16 {
        let ids: Vec<u64> = (0..MILLION).filter(|id| id % 16 == list).map(fingerprint).collect();
        let (middle, number) = (ids.len() / 2, first + list as i64);
        seen.restore(seen.step(), number, &ids[..middle + 10]);
        seen.restore(seen.step(), number, &ids[middle..]);
    }
    seen.restored();
    // Those that were known, but not by the first list, are there twice.
    let twice = (0..100).filter(|id| id % 16 != 0).count() as u64;
    assert_eq!(seen.len(), MILLION + twice);
    assert_eq!(seen.len(), contents(&seen).len() as u64);
    assert!(seen.memory_bytes() <= 12 * MILLION, "{}", seen.memory_bytes());
    for id in (0..2 * MILLION).step_by(997) {
        let expected = if id < MILLION { Sighting::Copy } else { Sighting::First };
        assert_eq!(seen.observe(fingerprint(id), minute(15)), expected, "{id}");
    }
}

/// With all bits but `bits` equal, a new id is taken for a copy as often as
/// `remembered / 2^bits` says.
#[test]
fn a_new_id_is_taken_for_a_copy_as_seldom_as_its_bits_allow() {
    let bits = 24;
    let few = |number: u64| fingerprint(number) >> (64 - bits) << (64 - bits);
    let mut seen = SeenIds::new(HORIZON);
    let (remembered, tried) = (100_000, 200_000);
    for number in 0..remembered {
        seen.observe(few(number), minute(0));
    }
    let mut wrong = 0;
    for number in remembered..remembered + tried {
        let before = seen.len();
        wrong += u64::from(seen.observe(few(number), minute(0)) == Sighting::Copy);
        assert!(seen.len() >= before);
    }
    // The remembered grow while it is tried: on average half of what is added.
    let expected = tried as f64 * (remembered + tried / 2) as f64 / 2f64.powi(bits);
    let ratio = wrong as f64 / expected;
    assert!((0.9..1.1).contains(&ratio), "{wrong} instead of {expected}");
}

#[test]
fn every_bit_of_a_fingerprint_counts() {
    let mut seen = SeenIds::new(HORIZON);
    let id = fingerprint(1);
    assert_eq!(seen.observe(id, minute(0)), Sighting::First);
    for bit in 0..64 {
        assert_eq!(seen.observe(id ^ 1 << bit, minute(0)), Sighting::First, "bit {bit}");
    }
    for id in [0, u64::MAX] {
        assert_eq!(seen.observe(id, minute(0)), Sighting::First);
        assert_eq!(seen.observe(id, minute(1)), Sighting::Copy);
    }
}

/// What is on the disk.
#[derive(Debug, Clone, Default)]
struct Disk {
    lists: BTreeMap<(Span, i64), Vec<u64>>,
    present: Option<EventTime>,
}

fn write(seen: &mut SeenIds, disk: &mut Disk) {
    for (list, items) in seen.take_added() {
        disk.lists.entry(list).or_default().extend(items);
    }
    for list in seen.take_dropped() {
        assert!(disk.lists.remove(&list).is_some(), "{list:?} was never written");
    }
    disk.present = seen.present();
}

fn read(disk: &Disk, horizon: Span) -> SeenIds {
    let mut seen = SeenIds::new(horizon);
    seen.keep_journal(true);
    if let Some(present) = disk.present {
        seen.go_on_from(present);
    }
    for ((length, number), items) in &disk.lists {
        seen.restore(*length, *number, items);
    }
    seen.restored();
    seen
}

fn begun_anew(mut seen: SeenIds, disk: &mut Disk) -> SeenIds {
    write(&mut seen, disk);
    read(disk, HORIZON)
}

#[derive(Debug, Clone)]
enum Act {
    See { id: u64, minute: i64 },
    Advance(i64),
    Restart,
}

/// Sightings up to so many minutes behind the present, which goes back by so many.
fn acts(behind: i64, back: i64) -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        20 => (0..40u64, -behind..10i64).prop_map(|(id, minute)| Act::See { id, minute }),
        2 => (1..6i64).prop_map(Act::Advance),
        1 => (-back..60i64).prop_map(Act::Advance),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..300)
}

/// Some that lie near each other, and some that lie years apart.
fn rounds() -> impl Strategy<Value = i64> {
    prop_oneof![0..3i64, -50_000..50_000i64]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The table made anew from its lists is the one that wrote them, whatever was
    /// seen in whatever order, and the two go on alike.
    #[test]
    fn restored_is_the_same_as_never_stopped(acts in acts(16, 0)) {
        let (mut seen, mut disk) = (SeenIds::new(HORIZON), Disk::default());
        let mut other = SeenIds::new(HORIZON);
        seen.keep_journal(true);
        let mut present = 0;
        for act in acts {
            match act {
                Act::See { id, minute: at } => {
                    let at = minute(present + at);
                    let (one, two) = (fingerprint(id), fingerprint(id));
                    prop_assert_eq!(seen.observe(one, at), other.observe(two, at));
                }
                Act::Advance(by) => {
                    present += by;
                    seen.advance(minute(present), None);
                    other.advance(minute(present), None);
                }
                Act::Restart => {
                    write(&mut seen, &mut disk);
                    let before = contents(&seen);
                    seen = read(&disk, HORIZON);
                    prop_assert_eq!(contents(&seen), before);
                    let lists: BTreeSet<(i64, u64)> = disk
                        .lists
                        .iter()
                        .flat_map(|((_, number), items)| items.iter().map(|item| (*number, *item)))
                        .collect();
                    prop_assert_eq!(contents(&seen), lists);
                }
            }
        }
    }

    /// What comes after its sixteenth was forgotten may find more when it is restored,
    /// since the list may not have been dropped yet, but never less.
    #[test]
    fn restored_knows_all_that_is_to_be_known(acts in acts(60, 5)) {
        let (mut seen, mut disk) = (SeenIds::new(HORIZON), Disk::default());
        seen.keep_journal(true);
        let mut present = 0;
        for act in acts {
            match act {
                Act::See { id, minute: at } => {
                    seen.observe(fingerprint(id), minute(present + at));
                }
                Act::Advance(by) => {
                    present += by;
                    seen.advance(minute(present), None);
                }
                Act::Restart => {
                    write(&mut seen, &mut disk);
                    let before = contents(&seen);
                    seen = read(&disk, HORIZON);
                    prop_assert!(contents(&seen).is_superset(&before));
                }
            }
        }
    }

    /// Held against a plain record of all sightings: any order of copies, those within
    /// the horizon clear of its edge, those beyond it as well, by years; and whenever it
    /// is begun anew from what is written.
    #[test]
    fn in_any_order_each_act_counts_once(
        ids in prop::collection::vec(
            (0..1_000i64, prop::collection::vec((rounds(), 0..14i64), 1..6)),
            1..60,
        ),
        seed in any::<u64>(),
    ) {
        // By id: rounds that lie far apart, and copies near each other within a round.
        let mut sightings = Vec::new();
        let mut rounds: HashMap<usize, BTreeSet<i64>> = HashMap::new();
        for (id, (first, copies)) in ids.iter().enumerate() {
            for (round, after) in copies {
                sightings.push((id, first + round * 60 + after));
                rounds.entry(id).or_default().insert(*round);
            }
        }
        // Partitions: each in order of time, interleaved anyhow.
        let partition = |number: usize| fingerprint(seed ^ number as u64) % 3;
        let mut partitions: Vec<Vec<(usize, i64)>> = vec![Vec::new(); 3];
        for (number, sighting) in sightings.iter().enumerate() {
            partitions[partition(number) as usize].push(*sighting);
        }
        partitions.iter_mut().for_each(|partition| partition.sort_by_key(|(_, at)| *at));
        let (mut seen, mut disk) = (SeenIds::new(HORIZON), Disk::default());
        seen.keep_journal(true);
        let mut counted: HashMap<usize, usize> = HashMap::new();
        let mut read = [0; 3];
        let mut turn = 0;
        while read.iter().zip(&partitions).any(|(read, all)| *read < all.len()) {
            turn += 1;
            if fingerprint(seed ^ turn << 32).is_multiple_of(20) {
                seen = begun_anew(seen, &mut disk);
            }
            let which = (fingerprint(seed.wrapping_add(turn)) % 3) as usize;
            let Some((id, at)) = partitions[which].get(read[which]) else { continue };
            read[which] += 1;
            if seen.observe(fingerprint(*id as u64), minute(*at)) == Sighting::First {
                *counted.entry(*id).or_default() += 1;
            }
            // The present is what all partitions have reached.
            let frontiers = partitions.iter().zip(read);
            let least = frontiers.filter_map(|(all, read)| all.get(read)).map(|(_, at)| *at).min();
            if let Some(least) = least {
                seen.advance(minute(least), None);
            }
        }
        for (id, rounds) in rounds {
            prop_assert_eq!(counted[&id], rounds.len(), "id {}", id);
        }
    }
}

#[test]
fn with_another_horizon_nothing_is_forgotten_too_early_and_all_is_written_anew() {
    let mut seen = SeenIds::new(HORIZON);
    let mut disk = Disk::default();
    seen.keep_journal(true);
    for id in 0..10 {
        seen.observe(fingerprint(id), minute(id as i64));
    }
    write(&mut seen, &mut disk);
    // What has another length is written anew; twice as long, it is as two that are joined.
    for (horizon, last, step) in [(2 * 16, 32, 120), (24, 24, 90), (8, 8, 60)] {
        let mut disk = disk.clone();
        let mut seen = read(&disk, Span::from_secs(horizon * 60));
        write(&mut seen, &mut disk);
        assert!(disk.lists.keys().all(|(of, _)| *of == Span::from_secs(step)), "{disk:?}");
        assert_eq!(disk.lists.values().map(Vec::len).sum::<usize>(), 10);
        assert_eq!(contents(&read(&disk, Span::from_secs(horizon * 60))), contents(&seen));
        for id in 0..10 {
            seen.advance(minute(id), None);
            let at = minute(id + last);
            assert_eq!(seen.observe(fingerprint(id as u64), at), Sighting::Copy, "{horizon}: {id}");
        }
    }
}

#[test]
fn what_was_first_seen_far_behind_the_present_outlives_a_restart() {
    let (mut seen, mut disk) = (SeenIds::new(HORIZON), Disk::default());
    seen.keep_journal(true);
    seen.advance(minute(5_000), None);
    assert_eq!(seen.observe(fingerprint(1), minute(100)), Sighting::First);
    write(&mut seen, &mut disk);
    let mut back = read(&disk, HORIZON);
    for seen in [&mut seen, &mut back] {
        // The clock is wrong for a while.
        seen.advance(minute(-90_000), None);
        seen.advance(minute(5_001), None);
        assert_eq!(seen.observe(fingerprint(1), minute(101)), Sighting::Copy);
        seen.advance(minute(5_017), None);
        assert_eq!(seen.observe(fingerprint(1), minute(101)), Sighting::First);
    }
}

/// What [`Disk`] has fewer lists than.
const MOST_LISTS: usize = 4_096;

#[test]
fn more_sixteenths_than_there_are_numbers_are_joined_far_from_the_present() {
    const IDS: u64 = 10_000;
    let at = |id: u64| 3 * id as i64;
    let (mut seen, mut disk) = (SeenIds::new(HORIZON), Disk::default());
    seen.keep_journal(true);
    seen.advance(minute(0), None);
    for id in 0..IDS {
        assert_eq!(seen.observe(fingerprint(id), minute(at(id))), Sighting::First);
        if id.is_multiple_of(999) {
            write(&mut seen, &mut disk);
        }
    }
    write(&mut seen, &mut disk);
    assert!(disk.lists.len() < MOST_LISTS, "{}", disk.lists.len());
    let mut again = read(&disk, HORIZON);
    assert_eq!(contents(&again), contents(&seen));
    for seen in [&mut seen, &mut again] {
        for id in 0..IDS {
            let copy = minute(at(id) + (id % 17) as i64);
            assert_eq!(seen.observe(fingerprint(id), copy), Sighting::Copy, "{id}");
        }
        // Near the present nothing is joined; far from it, a little.
        assert_eq!(seen.observe(fingerprint(0), minute(17)), Sighting::First);
        assert_eq!(seen.observe(fingerprint(100), minute(317)), Sighting::First);
        assert_eq!(seen.observe(fingerprint(9_999), minute(31_000)), Sighting::First);
        assert_eq!(seen.observe(fingerprint(9_999), minute(29_000)), Sighting::First);
        // What is joined is forgotten as reading passes it.
        forgotten(seen, minute(15_000));
        assert!(seen.len() < 6_000, "{}", seen.len());
        assert_eq!(seen.observe(fingerprint(9_998), minute(at(9_998))), Sighting::Copy);
        forgotten(seen, minute(40_000));
        assert_eq!(seen.len(), 0);
    }
    write(&mut again, &mut disk);
    assert!(disk.lists.is_empty(), "{disk:?}");
}

/// Records of a hundred years, of which most lie ahead of the clock.
#[test]
fn nobody_is_forgotten_for_others_from_all_times() {
    let (mut seen, mut disk) = (SeenIds::new(HORIZON), Disk::default());
    seen.keep_journal(true);
    seen.advance(minute(0), Some(minute(0)));
    for id in 0..1_000 {
        seen.observe(fingerprint(id), minute(id as i64 % 17 - 16));
    }
    for id in 1_000..21_000 {
        let at = minute((fingerprint(id) % 50_000_000) as i64 - 13_000_000);
        assert_eq!(seen.observe(fingerprint(id), at), Sighting::First);
        assert_eq!(seen.observe(fingerprint(id), at), Sighting::Copy);
    }
    write(&mut seen, &mut disk);
    assert!(disk.lists.len() < MOST_LISTS, "{}", disk.lists.len());
    for id in 0..1_000 {
        assert_eq!(seen.observe(fingerprint(id), minute(0)), Sighting::Copy);
        let at = minute(id as i64 % 17 + 1);
        assert_eq!(seen.observe(fingerprint(id), at), Sighting::First, "{id}");
    }
    (1..=80).for_each(|at| seen.advance(minute(at), Some(minute(at))));
    forgotten(&mut seen, minute(81));
    assert_eq!(seen.len(), 0);
}
