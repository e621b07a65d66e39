//! Stores that change under their state: cap, windows, a past that is filled in.

use std::sync::Arc;

use super::*;
use crate::aggregate::HashKey;
use crate::event::{Decimal, Event, EventTime, Field, Span, Vocabulary};
use crate::window::WindowSpec;

fn declare(fields: &[Field], windows: &[i64], cap: usize, level: Option<i64>) -> Arc<Plan> {
    let vocabulary = Vocabulary::canonical();
    let types = ["email.delivered", "email.opened"].map(|name| vocabulary.get(name));
    let unit = || Unit::Of("things".to_owned());
    let measure = |index: usize| MeasureSpec {
        id: format!("m{index}"),
        help: String::new(),
        aggregate: match level {
            Some(secs) if index == 1 => {
                AggregateSpec::Last { amount: Amount::Count, max_age: Span::from_secs(secs) }
            }
            _ => AggregateSpec::Count,
        },
        types: types[index].into_iter().collect(),
        filters: Vec::new(),
        unit: unit(),
    };
    let kpi = |index: usize| KpiSpec {
        id: format!("k{index}"),
        help: String::new(),
        formula: Formula::Measure(index),
        unit: unit(),
        direction: Direction::Neutral,
        share: None,
        sample: None,
        slices: vec![0],
        group: String::new(),
        kind: String::new(),
    };
    let windows =
        windows.iter().map(|w| WindowSpec::new(Span::from_secs(*w)).expect("a window")).collect();
    let slice = SliceSpec { name: "s".into(), fields: fields.to_vec(), windows, cap };
    let declarations = Declarations {
        vocabulary,
        measures: (0..2).map(measure).collect(),
        kpis: (0..2).map(kpi).collect(),
        slices: vec![slice],
        lateness: Span::from_secs(100 * 86_400),
        future_tolerance: Span::from_secs(300),
    };
    Arc::new(Plan::new(Arc::new(declarations), HashKey::from_bytes([0; 16])))
}

fn at(secs: i64) -> EventTime {
    EventTime::from_secs(secs)
}

/// Type 0 delivered, 1 opened.
fn fold<N: Into<Decimal> + Copy>(
    store: &mut Store,
    plan: &Plan,
    events: &[(usize, &str, i64, &str, N)],
) {
    let mut batch = EventBatch::default();
    for (kind, campaign, time, key, count) in events {
        let name = ["email.delivered", "email.opened"][*kind];
        let event = Event {
            id: None,
            kind: plan.declarations().vocabulary.get(name).expect("a type"),
            time: at(*time),
            campaign: Some((*campaign).into()),
            channel: "email".into(),
            source: "mailer".into(),
            user: None,
            message: None,
            value: None,
            currency: None,
            count: (*count).into(),
            key: Some((*key).into()),
            machine: None,
            attributes: Vec::new(),
        };
        plan.reduce(&event, None, &mut batch);
    }
    store.fold(&batch);
}

fn advance(store: &mut Store, to: i64) {
    store.advance(at(to), Some(at(to)));
}

fn shown(snapshot: &KpiSnapshot, value: &str, place: usize) -> Option<f64> {
    let series = snapshot.slices[0].series.iter();
    let mut of = series.filter(|series| series.values.join("/") == value);
    of.next()?.measures[place].map(Quantity::to_f64)
}

/// All changes so far, taken up by the store of another run.
fn next_run(plan: &Arc<Plan>, saved: &[(Vec<u8>, Vec<u8>)], to: i64) -> Store {
    let mut store = Store::new(Arc::clone(plan));
    for (schema, changes) in saved {
        store.restore(schema, changes).expect("whole");
    }
    store.restored(at(to)).expect("whole");
    store.keep_journal();
    store
}

fn save(store: &mut Store) -> (Vec<u8>, Vec<u8>) {
    (store.schema(), store.take_changes().bytes)
}

#[test]
fn a_past_that_was_filled_into_the_other_series_is_not_forgotten() {
    let plan = declare(&[Field::Campaign], &[3_600], 2, None);
    let mut mine = Store::new(Arc::clone(&plan));
    mine.keep_journal();
    fold(&mut mine, &plan, &[(0, "c", 9_990, "", 1), (0, "d", 9_990, "", 1)]);
    advance(&mut mine, 10_000);
    let mut past = Store::new(Arc::clone(&plan));
    fold(&mut past, &plan, &[(1, "a", 9_000, "", 5)]);
    advance(&mut past, 9_500);
    mine.merge_columns(past, &[(0, 1)], None);
    let saved = [save(&mut mine)];

    // With a higher cap the value gets a series: five of its six events lie elsewhere.
    let plan = declare(&[Field::Campaign], &[3_600], 100, None);
    let mut next = next_run(&plan, &saved, 10_000);
    fold(&mut next, &plan, &[(1, "a", 10_005, "", 1)]);
    advance(&mut next, 10_010);
    let snapshot = next.snapshot(at(10_010), None);
    assert_eq!((shown(&snapshot, "a", 1), shown(&snapshot, OTHER, 1)), (None, Some(5.0)));
}

#[test]
fn windows_that_change_twice_show_no_part_of_a_joined_pane() {
    const DAY: i64 = 86_400;
    const NOW: i64 = 10_000_000;
    let mut events: Vec<_> =
        (NOW - 10 * DAY..NOW).step_by(600).map(|when| (0, "x", when, "", 1)).collect();
    let plan = declare(&[], &[90 * DAY], 10, None);
    let mut first = next_run(&plan, &[], NOW);
    fold(&mut first, &plan, &events);
    advance(&mut first, NOW);
    let mut saved = vec![save(&mut first)];

    let plan = declare(&[], &[7 * DAY], 10, None);
    let mut second = next_run(&plan, &saved, NOW);
    events.push((0, "x", NOW + 5, "", 1));
    fold(&mut second, &plan, &events[events.len() - 1..]);
    advance(&mut second, NOW + 10);
    saved.push(save(&mut second));

    // All days were joined for the quarter: a week has a figure only where it begins with
    // one, until it has left them behind.
    let plan = declare(&[], &[3_600, 7 * DAY], 10, None);
    let mut third = next_run(&plan, &saved, NOW);
    let mut figures = 0;
    for later in (20..9 * DAY).step_by(1_800) {
        let now = NOW + later;
        events.push((0, "x", now, "", 1));
        fold(&mut third, &plan, &events[events.len() - 1..]);
        advance(&mut third, now);
        let snapshot = third.snapshot(at(now), None);
        let begin = (now - 7 * DAY).div_euclid(7_200) * 7_200;
        let truth = events.iter().filter(|event| event.2 >= begin).count() as f64;
        let figure = shown(&snapshot, "", 2);
        assert!(figure.is_none_or(|figure| figure == truth), "{figure:?} of {truth} {later} later");
        figures += usize::from(figure.is_some());
    }
    assert!(figures > 96, "{figures}");
}

#[test]
fn levels_that_are_past_do_not_count_while_changes_are_read_back() {
    let plan = declare(&[Field::Campaign], &[300], 1, Some(600));
    let mut live = next_run(&plan, &[], 0);
    fold(&mut live, &plan, &[(0, "a", 9_990, "", 1)]);
    advance(&mut live, 10_000);
    let mut saved = vec![save(&mut live)];
    // As many levels in the other series as there may be, but for one.
    let keys: Vec<String> = (0..99_999).map(|key| format!("k{key}")).collect();
    let old: Vec<_> = keys.iter().map(|key| (1, "b", 10_000, key.as_str(), 1)).collect();
    fold(&mut live, &plan, &old);
    advance(&mut live, 10_010);
    saved.push(save(&mut live));
    for to in (10_520..11_400).step_by(10) {
        if to % 100 == 0 {
            fold(&mut live, &plan, &[(0, "a", to, "", 1), (1, "c", to, "young", 1)]);
        }
        advance(&mut live, to);
        saved.push(save(&mut live));
    }
    // They are past when `a`, which `c` now outweighs, brings two of its own.
    fold(&mut live, &plan, &[(1, "a", 11_395, "one", 3), (1, "a", 11_395, "two", 4)]);
    fold(&mut live, &plan, &vec![(0, "c", 11_396, "", 1); 400]);
    for to in (11_400..11_600).step_by(10) {
        advance(&mut live, to);
    }
    saved.push(save(&mut live));
    let mut replayed = next_run(&plan, &saved, 11_590);
    let [live, replayed] =
        [&mut live, &mut replayed].map(|store| shown(&store.snapshot(at(11_590), None), OTHER, 1));
    assert_eq!((live, replayed), (Some(8.0), Some(8.0)));
}

#[test]
fn a_sum_that_is_too_large_has_no_figure_until_its_window_has_passed() {
    let plan = declare(&[], &[300], 10, None);
    let mut store = next_run(&plan, &[], 10_000);
    let most = Decimal::from_raw(i128::MAX);
    fold(&mut store, &plan, &[(0, "", 9_990, "", most), (1, "", 9_990, "", Decimal::ONE)]);
    let figures = |store: &mut Store, to: i64| {
        advance(store, to);
        let snapshot = store.snapshot(at(to), None);
        (shown(&snapshot, "", 0), shown(&snapshot, "", 1))
    };
    assert_eq!(figures(&mut store, 10_000), (Some(most.to_f64()), Some(1.0)));
    // In another pane, and taken back in a third: no order of adding up makes it a figure.
    fold(&mut store, &plan, &[(0, "", 10_000, "", Decimal::ONE), (0, "", 10_010, "", -most)]);
    fold(&mut store, &plan, &[(0, "", 9_990, "", Decimal::ONE)]);
    assert_eq!(figures(&mut store, 10_020), (None, Some(1.0)));
    let mut next = next_run(&plan, &[save(&mut store)], 10_020);
    assert_eq!(figures(&mut next, 10_020), (None, Some(1.0)));
    fold(&mut next, &plan, &[(0, "", 10_315, "", Decimal::ONE)]);
    assert_eq!(figures(&mut next, 10_320), (Some(1.0), None));
}
