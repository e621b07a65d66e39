//! Properties: whatever comes, in whatever order, the engine says what a slow
//! recount of all events says, or nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegauge::event::EventTime;
use tidegauge::kpi::{KpiSnapshot, SliceSpec, Store};

use crate::recount_model::{
    Act, KINDS, KPIS, MEASURES, declare, fold, kpis_of, recount, slice, store,
};

/// A Tuesday at noon.
pub(crate) const START: i64 = 1_781_006_400;

pub(crate) fn act(reach: i64, campaigns: usize) -> impl Strategy<Value = Act> {
    let what = (0..KINDS.len(), 0..reach, 0..=campaigns, 0..3_usize);
    let who = (0..40_u32, 0..4_i64, any::<Option<bool>>(), any::<bool>());
    (what, who).prop_map(move |((kind, at, campaign, region), (user, count, machine, flag))| {
        let kind = KINDS[kind];
        let paid = kind == "commerce.order_paid";
        Act {
            at: START + at,
            kind,
            campaign: (campaign < campaigns).then(|| format!("campaign {campaign}")),
            region: (region > 0).then(|| format!("region {region}")),
            user: (user > 3).then(|| format!("user {user}")),
            count: if kind == "email.list_size" { 1_000 + i64::from(user) } else { count },
            cents: paid.then_some(i64::from(user) * 101 - 700),
            foreign: paid && flag && user % 5 == 0,
            key: (kind == "email.list_size").then(|| format!("list {}", user % 3)),
            id: None,
            class: (kind == "email.bounced").then_some(if flag { "hard" } else { "soft" }),
            machine,
        }
    })
}

type Figures = Vec<Option<f64>>;

/// What a snapshot says of one window of one value; `None` where the value has no
/// series.
fn said(
    snapshot: &KpiSnapshot,
    slice: usize,
    value: &[String],
    window: usize,
) -> Option<(Figures, Figures)> {
    let series = snapshot.slices[slice].series.iter().find(|series| {
        series.values.iter().map(AsRef::as_ref).eq(value.iter().map(String::as_str))
    })?;
    let measures = &series.measures[window * MEASURES.len()..][..MEASURES.len()];
    let kpis = &series.kpis[window * KPIS.len()..][..KPIS.len()];
    Some((
        measures.iter().map(|value| value.map(|value| value.to_f64())).collect(),
        kpis.iter().map(|figure| figure.map(|figure| figure.value)).collect(),
    ))
}

/// How strictly figures are held against the recount.
#[derive(Clone, Copy, PartialEq)]
enum Hold {
    /// The same figures are there and absent.
    Equal,
    /// A figure is right or absent.
    RightOrAbsent,
}

fn near(one: Option<f64>, two: Option<f64>) -> bool {
    match (one, two) {
        (Some(one), Some(two)) => (one - two).abs() <= 1e-9 * two.abs().max(1.0),
        (None, None) => true,
        _ => false,
    }
}

fn check(
    store: &mut Store,
    slices: &[(&[&str], &[i64])],
    acts: &[Act],
    as_of: i64,
    hold: Hold,
) -> Result<usize, TestCaseError> {
    let snapshot = store.snapshot(EventTime::from_secs(as_of), None);
    let mut figures = 0;
    for (index, (fields, windows)) in slices.iter().enumerate() {
        let mut by_value: BTreeMap<Vec<String>, Vec<&Act>> = BTreeMap::new();
        for act in acts {
            by_value.entry(act.value_in(fields)).or_default().push(act);
        }
        for (value, acts) in &by_value {
            for (place, window) in windows.iter().enumerate() {
                let measures = recount(acts, *window, as_of);
                let kpis = kpis_of(&measures);
                let (said_measures, said_kpis) = said(&snapshot, index, value, place)
                    .unwrap_or((vec![None; MEASURES.len()], vec![None; KPIS.len()]));
                let names = MEASURES.iter().chain(&KPIS);
                let pairs = said_measures
                    .into_iter()
                    .chain(said_kpis)
                    .zip(measures.into_iter().chain(kpis));
                for (name, (said, exact)) in names.zip(pairs) {
                    let right =
                        near(said, exact) || (said.is_none() && hold == Hold::RightOrAbsent);
                    prop_assert!(
                        right,
                        "{name} of {value:?} over {window} s at {as_of}: engine {said:?}, recount {exact:?}"
                    );
                    figures += usize::from(said.is_some());
                }
            }
        }
    }
    Ok(figures)
}

const WINDOWS: &[i64] = &[10, 300, 1_000, 3_600, 21_600, 86_400];
const SLICES: &[(&[&str], &[i64])] =
    &[(&[], WINDOWS), (&["campaign"], &[300, 3_600]), (&["campaign", "region"], &[1_800, 86_400])];

fn slices(cap: usize) -> Vec<SliceSpec> {
    let names = ["all", "campaign", "campaign_region"];
    names
        .iter()
        .zip(SLICES)
        .map(|(name, (fields, windows))| slice(name, fields, windows, cap))
        .collect()
}

/// Moments, in order, at which the store is advanced between batches.
fn steps(reach: i64) -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0..reach, 0..12).prop_map(|mut steps| {
        steps.sort_unstable();
        steps
    })
}

fn advance(store: &mut Store, to: i64) {
    store.advance(EventTime::from_secs(to), Some(EventTime::from_secs(to)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Events come in any order, so early, late and very late ones, while time goes on.
    #[test]
    fn figures_equal_a_recount(
        reach in prop_oneof![Just(400_i64), Just(9_000), Just(200_000)],
        seed in prop::collection::vec((act(200_000, 3), 0..12_usize), 1..250),
        times in steps(200_000),
    ) {
        let acts: Vec<(Act, usize)> = seed
            .into_iter()
            .map(|(act, when)| (Act { at: START + (act.at - START) % reach, ..act }, when))
            .collect();
        let declarations = declare(slices(1_000));
        let (plan, mut engine) = store(&declarations);
        let mut folded: Vec<Act> = Vec::new();
        let mut now = START - 1;
        advance(&mut engine, now);
        for step in 0..12 {
            let arriving: Vec<Act> =
                acts.iter().filter(|(_, when)| *when == step).map(|(act, _)| act.clone()).collect();
            fold(&plan, &mut engine, &arriving, 7);
            folded.extend(arriving);
            if let Some(time) = times.get(step) {
                now = now.max(START + time % reach);
                advance(&mut engine, now);
            }
            check(&mut engine, SLICES, &folded, now, Hold::Equal)?;
        }
        advance(&mut engine, START + reach);
        check(&mut engine, SLICES, &folded, START + reach, Hold::Equal)?;
        advance(&mut engine, START + reach + 130_000);
        check(&mut engine, SLICES, &folded, START + reach + 130_000, Hold::Equal)?;
    }

    /// The order and the batches in which events come leave no trace.
    #[test]
    fn order_does_not_matter(
        acts in prop::collection::vec(act(9_000, 3), 1..200),
        shuffled in any::<u64>(),
        size in 1..50_usize,
    ) {
        let declarations = declare(slices(1_000));
        let mut order: Vec<usize> = (0..acts.len()).collect();
        order.sort_by_key(|place| (*place as u64 + 1).wrapping_mul(shuffled | 1).rotate_left(17));
        let other: Vec<Act> = order.into_iter().map(|place| acts[place].clone()).collect();
        let mut shown = Vec::new();
        for (acts, size) in [(&acts, size), (&other, 1_000)] {
            let (plan, mut engine) = store(&declarations);
            advance(&mut engine, START);
            fold(&plan, &mut engine, acts, size);
            advance(&mut engine, START + 8_000);
            let snapshot = engine.snapshot(EventTime::from_secs(START + 8_000), None);
            shown.push(format!("{snapshot:?}"));
        }
        prop_assert_eq!(&shown[0], &shown[1]);
    }

    /// A clock that steps back a little does no harm to what only adds; further back
    /// there is no figure rather than a wrong one.
    #[test]
    fn a_clock_that_steps_back_makes_no_wrong_figure(
        acts in prop::collection::vec(act(90_000, 3), 1..200),
        reached in 0..100_000_i64,
        back in prop_oneof![0..120_i64, 0..90_000_i64],
    ) {
        let declarations = declare(slices(1_000));
        let (plan, mut engine) = store(&declarations);
        fold(&plan, &mut engine, &acts, 11);
        advance(&mut engine, START + reached);
        let stepped = START + reached - back;
        engine.advance(EventTime::from_secs(stepped), Some(EventTime::from_secs(stepped)));
        check(&mut engine, SLICES, &acts, stepped, Hold::RightOrAbsent)?;
        let later: Vec<Act> = acts.iter().take(20).map(|act| Act { at: act.at + 7, ..act.clone() }).collect();
        fold(&plan, &mut engine, &later, 11);
        let all: Vec<Act> = acts.iter().chain(&later).cloned().collect();
        check(&mut engine, SLICES, &all, stepped, Hold::RightOrAbsent)?;
        advance(&mut engine, START + 100_000);
        let figures = check(&mut engine, SLICES, &all, START + 100_000, Hold::RightOrAbsent)?;
        let reached = engine.snapshot(EventTime::from_secs(START + 100_000), None);
        prop_assert!(figures > 0 || reached.slices[0].series.is_empty());
    }

    /// Over the cap: own and other add up to the whole, and an own figure is right or
    /// absent.
    #[test]
    fn own_and_other_add_up(
        acts in prop::collection::vec(act(6_000, 12), 1..300),
        cap in 1..6_usize,
        heavy in 0..12_usize,
    ) {
        let windows: &[i64] = &[300, 3_600, 21_600];
        let declarations = declare(vec![slice("campaign", &["campaign"], windows, cap)]);
        let (plan, mut engine) = store(&declarations);
        advance(&mut engine, START);
        let mut folded: Vec<Act> = Vec::new();
        for minute in 0..100 {
            let mut arriving: Vec<Act> =
                acts.iter().filter(|act| (act.at - START) / 60 == minute).cloned().collect();
            arriving.extend((0..5).map(|_| Act {
                at: START + minute * 60 + 30,
                kind: "email.sent",
                campaign: Some(format!("campaign {heavy}")),
                count: 1,
                ..Act::default()
            }));
            fold(&plan, &mut engine, &arriving, 9);
            folded.extend(arriving);
            advance(&mut engine, START + minute * 60 + 60);
        }
        let end = START + 6_000;
        check(&mut engine, &[(&["campaign"], windows)], &folded, end, Hold::RightOrAbsent)?;
        // An hour and ten minutes later nobody's window reaches back beyond an exchange.
        let silent = END_OF_EXCHANGES;
        let late: Vec<Act> = acts.iter().map(|act| Act { at: act.at + silent, ..act.clone() }).collect();
        fold(&plan, &mut engine, &late, 9);
        folded.extend(late);
        let as_of = EventTime::from_secs(START + silent + 3_000);
        let snapshot = engine.snapshot(as_of, None);
        let whole = recount(&folded.iter().collect::<Vec<_>>(), 3_600, START + silent + 3_000);
        for measure in 0..5 {
            let said: Vec<f64> = snapshot.slices[0]
                .series
                .iter()
                .filter_map(|series| series.measures[MEASURES.len() + measure])
                .map(|value| value.to_f64())
                .collect();
            let sum = (!said.is_empty()).then(|| said.iter().sum());
            prop_assert!(near(sum, whole[measure]), "{}: {sum:?}, recount {:?}", MEASURES[measure], whole[measure]);
        }
    }
}

const END_OF_EXCHANGES: i64 = 12_000;

/// A million names: bounded series, and totals to the last one.
#[test]
fn a_million_names_stay_within_the_cap() {
    let windows: &[i64] = &[300, 3_600];
    let declarations = declare(vec![
        slice("all", &[], windows, 1),
        slice("campaign", &["campaign"], windows, 1_000),
    ]);
    let (plan, mut engine) = store(&declarations);
    let mut batch = tidegauge::kpi::EventBatch::default();
    let vocabulary = &declarations.vocabulary;
    for chunk in 0..1_000_i64 {
        batch.clear();
        for number in 0..1_000 {
            let act = Act {
                at: START + chunk,
                kind: "email.sent",
                campaign: Some(format!("name {}", chunk * 1_000 + number)),
                count: 1,
                ..Act::default()
            };
            plan.reduce(&act.event(vocabulary), None, &mut batch);
        }
        engine.fold(&batch);
        advance(&mut engine, START + chunk);
    }
    let snapshot = engine.snapshot(EventTime::from_secs(START + 999), None);
    let slice = &snapshot.slices[1];
    assert_eq!(slice.series.len(), 1_001);
    let sums: f64 = slice
        .series
        .iter()
        .filter_map(|series| series.measures[MEASURES.len()])
        .map(|sum| sum.to_f64())
        .sum();
    assert_eq!(sums, 1_000_000.0);
    assert_eq!(slice.folded_events, 999_000);
    let off = slice.folded_values as f64 / 999_000.0 - 1.0;
    assert!(off.abs() < 0.08, "{} folded values", slice.folded_values);
}

/// A value that an objective names keeps its figures, whoever came before it and
/// however heavy others are.
#[test]
fn a_named_value_has_a_place_beyond_the_cap() {
    let windows: &[i64] = &[300, 3_600];
    let declarations =
        declare(vec![slice("all", &[], windows, 1), slice("campaign", &["campaign"], windows, 2)]);
    let (plan, mut engine) = store(&declarations);
    engine.reserve(1, ["spring"]);
    let vocabulary = &declarations.vocabulary;
    let mut batch = tidegauge::kpi::EventBatch::default();
    for minute in 0..10_i64 {
        batch.clear();
        for name in ["first", "second", "third", "fourth", "spring"] {
            let often = if name == "spring" { 1 } else { 50 };
            for _ in 0..often {
                let act = Act {
                    at: START + 60 * minute,
                    kind: "email.sent",
                    campaign: Some(name.to_owned()),
                    count: 1,
                    ..Act::default()
                };
                plan.reduce(&act.event(vocabulary), None, &mut batch);
            }
        }
        engine.fold(&batch);
        advance(&mut engine, START + 60 * minute);
    }
    let snapshot = engine.snapshot(EventTime::from_secs(START + 599), None);
    let series = &snapshot.slices[1].series;
    assert_eq!(series.len(), 4, "two within the cap, the named one, and the rest");
    let spring = series.iter().find(|series| *series.values[0] == *"spring").expect("its series");
    let hour = spring.measures[MEASURES.len()].expect("a figure");
    assert_eq!(hour.to_f64(), 10.0);
}
