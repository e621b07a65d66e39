use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Mixes a small number into 64 bits (SplitMix64), as a keyed hash would.
fn item(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn all(sightings: &[(u64, i32)], present: i32) -> Distinct {
    let mut distinct = Distinct::default();
    for &(number, tick) in sightings {
        distinct.observe(item(number), Tick::new(tick), Tick::new(present));
    }
    distinct
}

const STARTS: [i32; 5] = [95, 80, 50, 10, 0];

fn read(distinct: &mut Distinct, end: i32) -> Option<Vec<u64>> {
    let starts = STARTS.map(Tick::new);
    distinct.read(Tick::new(end), &starts).map(<[u64]>::to_vec)
}

fn recount(sightings: &[(u64, i32)], end: i32) -> Vec<u64> {
    STARTS
        .iter()
        .map(|start| {
            let inside: BTreeSet<u64> = sightings
                .iter()
                .filter(|(_, tick)| (*start..=end).contains(tick))
                .map(|(number, _)| *number)
                .collect();
            inside.len() as u64
        })
        .collect()
}

#[track_caller]
fn check_near(estimated: &[u64], exact: &[u64]) {
    for (estimated, exact) in estimated.iter().zip(exact) {
        let error = *estimated as f64 / (*exact).max(1) as f64 - 1.0;
        assert!(
            *exact == *estimated || error.abs() < 5.0 * STANDARD_ERROR,
            "{estimated} for {exact} is {:.1} % off",
            error * 100.0
        );
    }
}

#[test]
fn windows_after_the_cutoff_are_exact_and_others_near() {
    for most in [10, 400, 3_000, 40_000, 300_000] {
        let sightings: Vec<(u64, i32)> = (0..most)
            .map(|number| (item(number) % most, (item(number ^ 7) % 100) as i32))
            .collect();
        let counts = read(&mut all(&sightings, 100), 99).expect("a figure");
        check_near(&counts, &recount(&sightings, 99));
        if most <= 400 {
            assert_eq!(counts, recount(&sightings, 99));
        }
    }
}

#[test]
fn the_error_is_as_stated_over_many_sets() {
    let mut squares = 0.0;
    let sets = 60;
    for set in 0..sets {
        let sightings: Vec<(u64, i32)> =
            (0..20_000).map(|number| (set * 1_000_000 + number, (number % 90) as i32)).collect();
        let counts = read(&mut all(&sightings, 100), 99).expect("a figure");
        squares += (counts[4] as f64 / 20_000.0 - 1.0).powi(2);
    }
    let error = (squares / sets as f64).sqrt();
    assert!(error < 1.3 * STANDARD_ERROR, "the root mean square error is {error}");
}

#[test]
fn an_end_before_what_was_taken_in_has_no_figure() {
    let mut distinct = all(&[(1, 50), (2, 60)], 60);
    assert_eq!(read(&mut distinct, 59), None);
    assert_eq!(read(&mut distinct, 60), Some(vec![0, 0, 2, 2, 2]));
}

#[test]
fn a_distant_future_does_not_push_the_present_out() {
    let mut sightings: Vec<(u64, i32)> =
        (0..200).map(|number| (number, 1_000_000 + number as i32)).collect();
    sightings.push((7, 61));
    let mut distinct = all(&sightings, 60);
    assert_eq!(read(&mut distinct, 61), Some(vec![0, 0, 1, 1, 1]));
}

#[test]
fn ageing_forgets_only_what_is_older() {
    let sightings: Vec<(u64, i32)> =
        (0..5_000).map(|number| (number, number as i32 / 50)).collect();
    let mut aged = all(&sightings, 100);
    aged.age(Tick::new(50));
    let whole = read(&mut all(&sightings, 100), 100).expect("a figure");
    let kept = read(&mut aged, 100).expect("a figure");
    assert_eq!(kept[..3], whole[..3]);
    assert!(kept[4] <= kept[2] + 1);
    aged.age(Tick::new(200));
    assert!(aged.is_empty());
}

fn sightings() -> impl Strategy<Value = Vec<(u64, i32)>> {
    let spread =
        prop_oneof![Just((40_u64, 100)), Just((900, 100)), Just((3_000, 3)), Just((5_000, 100))];
    spread.prop_flat_map(|(items, ticks)| prop::collection::vec((0..items, 0..ticks), 0..3_000))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn order_splitting_and_waiting_do_not_matter(
        (sightings, at) in sightings().prop_flat_map(|all| { let n = all.len(); (Just(all), 0..=n) }),
        present in 0..120_i32,
    ) {
        let direct = read(&mut all(&sightings, 100), 100);
        let exact = recount(&sightings, 100);
        check_near(direct.as_deref().unwrap_or_default(), &exact);

        let mut reversed = sightings.clone();
        reversed.reverse();
        prop_assert_eq!(&read(&mut all(&reversed, 100), 100), &direct);

        let by_tick: BTreeMap<(i32, u64), ()> =
            sightings.iter().map(|&(number, tick)| ((tick, number), ())).collect();
        let sorted: Vec<(u64, i32)> = by_tick.keys().map(|&(tick, number)| (number, tick)).collect();
        prop_assert_eq!(&read(&mut all(&sorted, present), 100), &direct);

        let (left, right) = sightings.split_at(at);
        for (one, two) in [(left, right), (right, left)] {
            let mut merged = all(one, present);
            merged.merge(&all(two, present));
            prop_assert_eq!(&read(&mut merged, 100), &direct);
        }
    }
}
