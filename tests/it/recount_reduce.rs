//! What happens to an event before it reaches a cell.

use std::sync::Arc;

use tidegauge::admit::{Admission, Sighting};
use tidegauge::aggregate::HashKey;
use tidegauge::event::EventTime;
use tidegauge::kpi::{EventBatch, KpiSnapshot, Plan, Store};

use crate::recount_model::{Act, MEASURES, declare, fold, slice, store};

const NOW: i64 = 1_781_006_400;

fn sent(campaign: &str) -> Act {
    let campaign = Some(campaign.to_owned());
    Act { at: NOW, kind: "email.sent", campaign, count: 1, ..Act::default() }
}

fn names(snapshot: &KpiSnapshot) -> Vec<String> {
    snapshot.slices[0].series.iter().map(|series| series.values.join(" / ")).collect()
}

fn snapshot(store: &mut Store) -> KpiSnapshot {
    store.advance(EventTime::from_secs(NOW), Some(EventTime::from_secs(NOW)));
    store.snapshot(EventTime::from_secs(NOW), None)
}

#[test]
fn only_what_counts_touches_a_cell() {
    let declarations = declare(vec![slice("all", &[], &[300], 1)]);
    let (plan, _) = store(&declarations);
    let act = sent("spring");
    let event = act.event(&declarations.vocabulary);
    for (record_after, admission) in [
        (0, Admission::Counted),
        (-300, Admission::Counted),
        (-301, Admission::Future),
        (400 * 86_400, Admission::Counted),
        (400 * 86_400 + 1, Admission::Late),
    ] {
        let mut batch = EventBatch::default();
        let record = EventTime::from_secs(NOW + record_after);
        assert_eq!(plan.reduce(&event, Some(record), &mut batch), admission);
        assert_eq!(batch.is_empty(), admission != Admission::Counted);
    }
}

#[test]
fn a_plan_names_the_attributes_that_somebody_asks_for() {
    let declarations = declare(vec![slice("region", &["campaign", "region"], &[300], 1)]);
    let (plan, _) = store(&declarations);
    let wanted: Vec<String> = plan.wanted_attributes().into_iter().collect();
    assert_eq!(wanted, ["class", "region"]);
}

#[test]
fn money_of_another_currency_is_left_out_and_counted() {
    let declarations = declare(vec![slice("all", &[], &[300], 1)]);
    let (plan, mut store) = store(&declarations);
    let paid = |foreign| Act { kind: "commerce.order_paid", cents: Some(5), foreign, ..sent("x") };
    fold(&plan, &mut store, &[paid(true), paid(false), paid(true)], 2);
    let counted: Vec<u64> =
        (0..MEASURES.len()).map(|measure| store.foreign_currency(measure)).collect();
    assert_eq!(counted, [0, 0, 0, 0, 2, 2, 0, 0]);
}

#[test]
fn a_copy_touches_no_cell_and_counts_nowhere() {
    let declarations = declare(vec![slice("all", &[], &[300], 1)]);
    let vocabulary = &declarations.vocabulary;
    let paid = |foreign| Act { kind: "commerce.order_paid", cents: Some(5), foreign, ..sent("x") };
    // Some touch no cell, some are of a foreign currency only.
    let acts = [paid(true), sent("x"), paid(false), paid(true), sent("x"), paid(false)];
    for copies in [&[][..], &[0], &[1, 2], &[5], &[0, 3], &[0, 1, 2, 3, 4, 5]] {
        let (plan, mut left_out) = store(&declarations);
        let (_, mut without) = store(&declarations);
        let mut batch = EventBatch::default();
        let mut alone = EventBatch::default();
        for (index, act) in acts.iter().enumerate() {
            let event = act.event(vocabulary);
            plan.reduce(&event, None, &mut batch);
            if !copies.contains(&index) {
                plan.reduce(&event, None, &mut alone);
            }
        }
        batch.judge(|index, mark| {
            assert_eq!(mark.seen_at, EventTime::from_secs(NOW));
            if copies.contains(&index) { Sighting::Copy } else { Sighting::First }
        });
        left_out.fold(&batch);
        without.fold(&alone);
        let figures = |store: &mut Store| format!("{:?}", snapshot(store));
        assert_eq!(figures(&mut left_out), figures(&mut without), "{copies:?}");
        for measure in 0..MEASURES.len() {
            let foreign = left_out.foreign_currency(measure);
            assert_eq!(foreign, without.foreign_currency(measure), "{copies:?}");
        }
    }
}

#[test]
fn a_fingerprint_is_of_source_and_id_and_of_nothing_else() {
    let declarations = declare(vec![slice("all", &[], &[300], 1)]);
    let (plan, _) = store(&declarations);
    let fingerprint = |source: &'static str, id: Option<&'static str>, campaign| {
        let act = sent(campaign);
        let mut event = act.event(&declarations.vocabulary);
        (event.source, event.id) = (source.into(), id.map(Into::into));
        let mut batch = EventBatch::default();
        plan.reduce(&event, None, &mut batch);
        batch.marks()[0].fingerprint
    };
    let one = fingerprint("mailer", Some("17"), "spring");
    assert_eq!(one, fingerprint("mailer", Some("17"), "autumn"));
    for (source, id) in [("mailer1", "7"), ("maile", "r17"), ("mailer", "18"), ("crm", "17")] {
        assert_ne!(one, fingerprint(source, Some(id), "spring"), "{source} {id}");
    }
    assert_eq!(fingerprint("mailer", None, "spring"), None);
}

#[test]
fn where_every_copy_counts_nothing_has_a_fingerprint() {
    let declarations = declare(vec![slice("all", &[], &[300], 1)]);
    let plan = Plan::new(Arc::clone(&declarations), HashKey::from_bytes([7; 16])).counting_copies();
    let act = sent("spring");
    let mut event = act.event(&declarations.vocabulary);
    event.id = Some("17".into());
    let mut batch = EventBatch::default();
    plan.reduce(&event, None, &mut batch);
    assert_eq!(batch.marks()[0].fingerprint, None);
}

#[test]
fn values_become_labels_in_order_of_names() {
    let declarations = declare(vec![slice("campaign", &["campaign"], &[300], 10)]);
    let (plan, mut store) = store(&declarations);
    let long = "x".repeat(10_000);
    let acts: Vec<Act> =
        ["b \"quoted\"", "a\nb", "", &long, "a\nb"].into_iter().map(sent).collect();
    fold(&plan, &mut store, &acts, 2);
    let names = names(&snapshot(&mut store));
    assert_eq!(names[..3], ["__none__", "a\u{FFFD}b", "b \"quoted\""]);
    assert!(names.len() == 4 && names[3].len() <= 200 && names[3].contains("…#"));
}

#[test]
fn values_of_several_fields_do_not_run_together() {
    let declarations = declare(vec![slice("both", &["campaign", "region"], &[300], 10)]);
    let (plan, mut store) = store(&declarations);
    let of = |campaign, region: &str| Act { region: Some(region.to_owned()), ..sent(campaign) };
    fold(&plan, &mut store, &[of("ab", "c"), of("a", "bc"), of("ab\0c", "d")], 9);
    assert_eq!(names(&snapshot(&mut store)), ["a / bc", "ab / c", "ab\u{FFFD}c / d"]);
}
