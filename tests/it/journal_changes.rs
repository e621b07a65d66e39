//! Saved state under other declarations than it was saved for, as a home for what
//! was read later, and damaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use tidegauge::event::EventTime;
use tidegauge::kpi::{Declarations, Formula, KpiSnapshot, MeasureIndex, SliceIndex, Store};

use crate::journal::{fold, plan};
use crate::recount::{START, act};
use crate::recount_model::{Act, KPIS, declare, slice};

const FIELDS: [(&str, &[&str]); 3] =
    [("all", &[]), ("campaign", &["campaign"]), ("both", &["campaign", "region"])];
const WINDOWS: [&[i64]; 4] = [&[300], &[10, 300, 3_600], &[300, 3_600, 21_600], &[86_400]];

/// One choice of what is declared.
#[derive(Debug, Clone)]
struct Choice {
    /// By slice of `FIELDS`: its place in `WINDOWS`, if it is declared.
    slices: [Option<usize>; 3],
    /// By KPI: whether it is declared.
    kpis: Vec<bool>,
    /// By how many places the measures are moved.
    turned: usize,
    cap: usize,
}

fn choice() -> impl Strategy<Value = Choice> {
    let slice = prop::option::weighted(0.8, 0..WINDOWS.len());
    let slices = prop::array::uniform3(slice);
    let kpis = prop::collection::vec(prop::bool::weighted(0.7), KPIS.len());
    (slices, kpis, 0..8_usize, 900..1_000_usize).prop_map(|(slices, kpis, turned, cap)| Choice {
        slices,
        kpis,
        turned,
        cap,
    })
}

fn turned(formula: &Formula, turn: &dyn Fn(MeasureIndex) -> MeasureIndex) -> Formula {
    match formula {
        Formula::Constant(constant) => Formula::Constant(*constant),
        Formula::Measure(measure) => Formula::Measure(turn(*measure)),
        Formula::Binary(left, operator, right) => {
            Formula::Binary(turned(left, turn).into(), *operator, turned(right, turn).into())
        }
        Formula::Or(left, right) => {
            Formula::Or(turned(left, turn).into(), turned(right, turn).into())
        }
    }
}

impl Choice {
    fn declare(&self) -> Arc<Declarations> {
        let slices = FIELDS.iter().zip(self.slices).filter_map(|((name, fields), windows)| {
            Some(slice(name, fields, WINDOWS[windows?], self.cap))
        });
        let mut declarations = Arc::unwrap_or_clone(declare(slices.collect()));
        let measures = declarations.measures.len();
        declarations.measures.rotate_right(self.turned);
        let turn = |measure| (measure + self.turned) % measures;
        for kpi in &mut declarations.kpis {
            kpi.formula = turned(&kpi.formula, &turn);
            kpi.sample.iter_mut().for_each(|sample| sample.of = turned(&sample.of, &turn));
        }
        let mut chosen = self.kpis.iter();
        declarations.kpis.retain(|_| *chosen.next().expect("one for each"));
        Arc::new(declarations)
    }

    fn windows(&self, name: &str) -> Option<&'static [i64]> {
        let place = FIELDS.iter().position(|(of, _)| *of == name)?;
        Some(WINDOWS[self.slices[place]?])
    }
}

/// The measures of a slice by name.
fn measures(declarations: &Declarations, slice: SliceIndex) -> Vec<String> {
    let measures = declarations.measures_of_slice(slice).into_iter();
    measures.map(|measure| declarations.measures[measure].id.clone()).collect()
}

fn names(declarations: &Declarations) -> Vec<(String, String)> {
    let slices = declarations.slices.iter().enumerate();
    let names = slices.flat_map(|(at, slice)| {
        measures(declarations, at).into_iter().map(|measure| (slice.name.clone(), measure))
    });
    names.collect()
}

/// The figures of one measure in one window, by value.
fn figures(
    declarations: &Declarations,
    snapshot: &KpiSnapshot,
    slice: SliceIndex,
    measure: usize,
    window: usize,
) -> BTreeMap<String, String> {
    let columns = declarations.measures_of_slice(slice).len();
    let of = snapshot.slices[slice].series.iter().filter_map(|series| {
        let figure = series.measures[window * columns + measure]?;
        Some((series.values.join("/"), format!("{figure:?}")))
    });
    of.collect()
}

fn strike(bytes: &mut [u8], damage: &[(Index, u8)]) {
    for (at, with) in damage {
        let at = at.index(bytes.len());
        bytes[at] = *with;
    }
}

fn advance(store: &mut Store, to: i64) {
    store.advance(EventTime::from_secs(to), Some(EventTime::from_secs(to)));
}

fn snapshot(store: &mut Store, at: i64) -> KpiSnapshot {
    store.snapshot(EventTime::from_secs(at), None)
}

/// Folds acts in their order of time, and lets time go on with them.
fn live(store: &mut Store, declarations: &Arc<Declarations>, acts: &[Act]) {
    let plan = plan(declarations);
    for act in acts {
        fold(&plan, store, std::slice::from_ref(act));
        advance(store, act.at);
    }
}

fn sorted(acts: Vec<Act>) -> Vec<Act> {
    let mut acts = acts;
    acts.sort_by_key(|act| act.at);
    acts
}

/// Holds `said` against what `truth` says.
fn check(
    (before, now): (&Choice, &Choice),
    said: &KpiSnapshot,
    (kept, new): (&KpiSnapshot, &KpiSnapshot),
    outgrown: bool,
) -> Result<(), TestCaseError> {
    let (old, declarations) = (before.declare(), now.declare());
    let old = names(&old);
    for (index, spec) in declarations.slices.iter().enumerate() {
        for (window, size) in spec.windows.iter().enumerate() {
            for (place, measure) in measures(&declarations, index).into_iter().enumerate() {
                let name = (spec.name.clone(), measure);
                let was_there = old.contains(&name);
                let truth = if was_there { kept } else { new };
                let of = |snapshot| figures(&declarations, snapshot, index, place, window);
                let (said_of, truth) = (of(said), of(truth));
                let same = before.windows(&spec.name) == now.windows(&spec.name);
                if same || outgrown || !was_there {
                    // A level may be older than the time in which its measure is new.
                    prop_assert_eq!(said_of, truth, "{:?} over {}", name, size);
                } else if said.slices[index].coverage[window] == 1.0 {
                    for (value, figure) in &said_of {
                        prop_assert_eq!(Some(figure), truth.get(value), "{:?} over {}", name, size);
                    }
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// What is declared as before goes on as if nothing had changed; what is new is
    /// as if it had begun with the restart; what is gone is named.
    #[test]
    fn changed_declarations_keep_what_is_unchanged(
        (before, now) in (choice(), choice()),
        first in prop::collection::vec(act(9_000, 4), 1..120).prop_map(sorted),
        second in prop::collection::vec(act(9_000, 4), 1..60).prop_map(sorted),
        much_later in prop::collection::vec(act(9_000, 4), 1..30).prop_map(sorted),
    ) {
        let later = |acts: Vec<Act>, by: i64| -> Vec<Act> {
            acts.into_iter().map(|act| Act { at: act.at + by, ..act }).collect()
        };
        let second = later(second, 9_000);
        let (old, declarations) = (before.declare(), now.declare());
        let mut store = Store::new(plan(&old));
        store.keep_journal();
        live(&mut store, &old, &first);
        let half = store.take_changes();
        advance(&mut store, START + 9_000);
        let rest = store.take_changes();

        let mut restored = Store::new(plan(&declarations));
        for changes in [half, rest] {
            restored.restore(&store.schema(), &changes.bytes).expect("what was saved");
        }
        let kept = restored.restored(EventTime::from_secs(START + 9_000)).expect("whole");
        let (old_names, new_names) = (names(&old), names(&declarations));
        let dropped: Vec<_> = old_names.iter().filter(|name| !new_names.contains(name)).cloned().collect();
        prop_assert_eq!(&kept.dropped, &dropped);
        prop_assert_eq!(kept.kept, old_names.len() - dropped.len());
        prop_assert_eq!(kept.new.len(), new_names.len() - kept.kept);

        let mut whole = Store::new(plan(&declarations));
        live(&mut whole, &declarations, &first);
        let mut late = Store::new(plan(&declarations));
        for store in [&mut restored, &mut whole, &mut late] {
            advance(store, START + 9_000);
            live(store, &declarations, &second);
            advance(store, START + 18_000);
        }
        let end = START + 18_000;
        let said = snapshot(&mut restored, end);
        let truth = (&snapshot(&mut whole, end), &snapshot(&mut late, end));
        check((&before, &now), &said, truth, false)?;
        for (index, slice) in said.slices.iter().enumerate() {
            let name = &declarations.slices[index].name;
            let goes_on = |measure| old_names.contains(&(name.clone(), measure));
            let goes_on = measures(&declarations, index).into_iter().any(goes_on);
            let whole = slice.coverage.iter().all(|share| *share == 1.0);
            let same_windows = before.windows(name) == now.windows(name);
            prop_assert!(whole || !goes_on || !same_windows, "coverage of {}", name);
        }
        // A restart amid it, under the same declarations.
        let mut again = Store::new(plan(&declarations));
        restored.keep_journal();
        restored.image_everything();
        let changes = restored.take_changes();
        prop_assert!(changes.completes_cycle);
        again.restore(&restored.schema(), &changes.bytes).expect("what was saved");
        again.restored(EventTime::from_secs(end)).expect("whole");
        prop_assert_eq!(format!("{:?}", snapshot(&mut again, end)), format!("{said:?}"));

        // Once every window has left the change behind, it leaves no trace.
        let much_later = later(much_later, 200_000);
        for store in [&mut again, &mut whole, &mut late] {
            live(store, &declarations, &much_later);
            advance(store, START + 210_000);
        }
        let end = START + 210_000;
        let said = snapshot(&mut again, end);
        let truth = (&snapshot(&mut whole, end), &snapshot(&mut late, end));
        check((&before, &now), &said, truth, true)?;
        prop_assert!(said.slices.iter().flat_map(|slice| &slice.kpi_coverage).all(|share| *share == 1.0));
    }

    /// What a second store read of the past is added as if it had been read here.
    #[test]
    fn merged_columns_are_as_if_read_here(
        past in prop::collection::vec(act(9_000, 6), 1..100).prop_map(sorted),
        present in prop::collection::vec(act(9_000, 6), 1..100).prop_map(sorted),
        cap in prop_oneof![Just(1_000_usize), Just(3)],
    ) {
        let choice = Choice { slices: [Some(1), Some(2), Some(1)], kpis: vec![true; KPIS.len()], turned: 0, cap };
        let declarations = choice.declare();
        let end = START + 9_000;
        let mut stores = [0; 3].map(|_| Store::new(plan(&declarations)));
        let [mine, theirs, whole] = &mut stores;
        mine.keep_journal();
        live(mine, &declarations, &present);
        live(theirs, &declarations, &past);
        let all = sorted(past.iter().chain(&present).cloned().collect());
        live(whole, &declarations, &all);
        stores.iter_mut().for_each(|store| advance(store, end));
        let [mut mine, theirs, mut whole] = stores;
        let columns: Vec<(SliceIndex, MeasureIndex)> = (0..declarations.slices.len())
            .flat_map(|slice| declarations.measures_of_slice(slice).into_iter().map(move |of| (slice, of)))
            .collect();
        let saved = mine.take_changes();
        let schema = mine.schema();
        mine.merge_columns(theirs, &columns, None);
        let merged = mine.take_changes();
        let mut again = Store::new(plan(&declarations));
        for changes in [&saved, &merged] {
            again.restore(&schema, &changes.bytes).expect("what was saved");
        }
        again.restored(EventTime::from_secs(end)).expect("whole");
        for store in [&mut mine, &mut again] {
            let said = snapshot(store, end);
            let whole = snapshot(&mut whole, end);
            if cap == 1_000 {
                check((&choice, &choice), &said, (&whole, &whole), false)?;
                continue;
            }
            for (slice, spec) in declarations.slices.iter().enumerate() {
                for window in 0..spec.windows.len() {
                    let said = figures(&declarations, &said, slice, 0, window);
                    let right = figures(&declarations, &whole, slice, 0, window);
                    for (value, figure) in &said {
                        if let Some(right) = right.get(value).filter(|_| !value.contains("__other__")) {
                            prop_assert_eq!(figure, right, "sent of {} in {}", value, spec.name);
                        }
                    }
                }
            }
        }
        mine.clear_columns(&columns, Some(EventTime::from_secs(end)));
        let said = snapshot(&mut mine, end);
        let empty = said.slices.iter().flat_map(|slice| &slice.series).all(|series| {
            series.measures.iter().all(Option::is_none)
        });
        prop_assert!(empty && said.slices[0].coverage[2] < 0.05);
    }

    /// No bytes panic; what is not refused can be used.
    #[test]
    fn damage_is_refused_or_harmless(
        acts in prop::collection::vec(act(9_000, 6), 1..80).prop_map(sorted),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<Index>()),
        noise in prop::collection::vec(any::<u8>(), 0..60),
        which in 0..3,
    ) {
        let choice = Choice { slices: [Some(1), Some(2), Some(1)], kpis: vec![true; KPIS.len()], turned: 0, cap: 3 };
        let declarations = choice.declare();
        let mut store = Store::new(plan(&declarations));
        store.keep_journal();
        live(&mut store, &declarations, &acts);
        let (mut schema, mut bytes) = (store.schema(), store.take_changes().bytes);
        match which {
            0 => {
                let at = cut.map_or(bytes.len(), |cut| cut.index(bytes.len()));
                bytes.splice(at.., noise);
            }
            1 => strike(&mut schema, &damage),
            _ => strike(&mut bytes, &damage),
        }
        let mut again = Store::new(plan(&declarations));
        if again.restore(&schema, &bytes).is_ok()
            && again.restored(EventTime::from_secs(START + 9_000)).is_ok()
        {
            again.keep_journal();
            live(&mut again, &declarations, &acts);
            again.take_changes();
            snapshot(&mut again, START + 9_300);
        }
    }
}
