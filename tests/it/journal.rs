//! Saved state: cut anywhere, restored and gone on, it says to the last bit what the
//! uncut run says.

use std::sync::Arc;

use proptest::prelude::*;
use tidegauge::aggregate::HashKey;
use tidegauge::event::EventTime;
use tidegauge::kpi::{Changes, Declarations, EventBatch, Plan, SliceSpec, Store};

use crate::recount::{START, act};
use crate::recount_model::{Act, declare, slice};

/// What a disk holds: all since the newest complete cycle began.
#[derive(Default)]
struct Saved {
    steps: Vec<(Vec<u8>, Changes)>,
    /// Where the last complete cycle begins, and where the next one does.
    complete: usize,
    next: usize,
}

impl Saved {
    fn save(&mut self, store: &mut Store) {
        let changes = store.take_changes();
        let completes = changes.completes_cycle;
        self.steps.push((store.schema(), changes));
        if completes {
            self.complete = self.next;
            self.next = self.steps.len();
        }
    }

    /// A store that goes on from here, as after a crash.
    fn restore(&self, plan: &Arc<Plan>, as_of: i64) -> Store {
        let mut store = Store::new(Arc::clone(plan));
        for (schema, changes) in &self.steps[self.complete..] {
            store.restore(schema, &changes.bytes).expect("what was saved");
        }
        store.restored(EventTime::from_secs(as_of)).expect("whole");
        store
    }
}

pub(crate) fn plan(declarations: &Arc<Declarations>) -> Arc<Plan> {
    Arc::new(Plan::new(Arc::clone(declarations), HashKey::from_bytes([7; 16])))
}

pub(crate) fn fold(plan: &Plan, store: &mut Store, acts: &[Act]) {
    let mut batch = EventBatch::default();
    for act in acts {
        plan.reduce(&act.event(&plan.declarations().vocabulary), None, &mut batch);
    }
    store.fold(&batch);
}

/// One thing that happens to a store.
#[derive(Debug, Clone)]
enum Step {
    Fold(Vec<Act>),
    /// Time goes on, or back.
    Advance(i64),
    Snapshot,
    /// What has changed is taken.
    Save,
    /// The process ends, and goes on from what was saved.
    Cut,
}

fn step(reach: i64, campaigns: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(act(reach, campaigns), 1..30).prop_map(Step::Fold),
        4 => prop_oneof![4 => 0..400_i64, 1 => -300..0_i64, 1 => 0..5_000_i64].prop_map(Step::Advance),
        1 => Just(Step::Snapshot),
        3 => Just(Step::Save),
        2 => Just(Step::Cut),
    ]
}

fn slices(cap: usize) -> Vec<SliceSpec> {
    vec![
        slice("all", &[], &[10, 300, 3_600], cap),
        slice("campaign", &["campaign"], &[300, 3_600], cap),
        slice("both", &["campaign", "region"], &[1_800], cap),
    ]
}

/// Does the steps; `cut` says whether a cut cuts.
fn run(steps: &[Step], cap: usize, shortest: u64, cut: bool) -> Vec<String> {
    let declarations = declare(slices(cap));
    let plan = plan(&declarations);
    let begin = |store: &mut Store| {
        store.keep_journal();
        store.set_shortest_cycle(shortest);
    };
    let mut store = Store::new(Arc::clone(&plan));
    begin(&mut store);
    let mut saved = Saved::default();
    let mut now = START;
    let mut said = Vec::new();
    let mut say = |store: &mut Store, now: i64| {
        said.push(format!("{:?}", store.snapshot(EventTime::from_secs(now), None)));
    };
    for step in steps {
        match step {
            Step::Fold(acts) => {
                let acts: Vec<Act> = acts
                    .iter()
                    .map(|act| Act { at: act.at - START + now - 2_000, ..act.clone() })
                    .collect();
                fold(&plan, &mut store, &acts);
            }
            Step::Advance(by) => {
                now += by;
                store.advance(EventTime::from_secs(now), Some(EventTime::from_secs(now)));
            }
            Step::Snapshot => say(&mut store, now),
            Step::Save if cut => saved.save(&mut store),
            Step::Save => {}
            Step::Cut if cut => {
                saved.save(&mut store);
                store = saved.restore(&plan, now);
                begin(&mut store);
                say(&mut store, now);
            }
            Step::Cut => say(&mut store, now),
        }
    }
    say(&mut store, now);
    store.advance(EventTime::from_secs(now + 100), Some(EventTime::from_secs(now + 100)));
    say(&mut store, now + 100);
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn cut_anywhere_and_gone_on_is_as_if_uncut(
        steps in prop::collection::vec(step(2_300, 9), 1..60),
        cap in prop_oneof![Just(3_usize), Just(1_000)],
        shortest in prop_oneof![Just(0_u64), Just(9_000), Just(60_000)],
    ) {
        let (uncut, cut) = (run(&steps, cap, shortest, false), run(&steps, cap, shortest, true));
        for (number, (uncut, cut)) in uncut.iter().zip(&cut).enumerate() {
            prop_assert_eq!(uncut, cut, "snapshot {}", number);
        }
    }
}
