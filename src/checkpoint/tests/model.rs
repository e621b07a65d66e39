//! A script of steps, and what must be recovered after each of them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use crate::checkpoint::{Directory, Home, ListAddition, ListName, OpenError, Recovered, Step};
use crate::event::EventTime;

/// How many steps make a cycle in the script.
const CYCLE: u64 = 4;

/// The step of a number: cycles of four, one schema for three cycles, two to four
/// lists of which the oldest goes now and then.
pub(super) fn step(sequence: u64) -> Step {
    let list = |number: u64| ListName { family: 7, number: number as i64 };
    let oldest = sequence / 5;
    let items = |count: u64| (0..count).map(|item| sequence * 1_000_003 + item).collect();
    Step {
        sequence,
        made_at: EventTime::from_secs(1_000_000_000 + sequence as i64),
        schema: Arc::from(format!("schema {}", sequence / (3 * CYCLE)).into_bytes()),
        head: format!("head {sequence} {}", "h".repeat(sequence as usize % 7)).into_bytes(),
        changes: format!("changes {sequence} {}", "c".repeat(sequence as usize * 13 % 90))
            .into_bytes(),
        additions: vec![
            ListAddition { list: list(oldest), items: items(sequence % 3) },
            ListAddition { list: list(oldest + 1), items: items(1 + sequence % 4) },
        ],
        dropped: if sequence.is_multiple_of(5) && oldest > 0 {
            vec![list(oldest - 1)]
        } else {
            vec![]
        },
        begins_cycle: sequence % CYCLE == 1,
    }
}

/// What the lists hold after a step.
fn lists_after(sequence: u64) -> BTreeMap<ListName, Vec<u64>> {
    let mut lists = BTreeMap::<ListName, Vec<u64>>::new();
    for step in (1..=sequence).map(step) {
        for name in &step.dropped {
            lists.remove(name);
        }
        for addition in step.additions.iter().filter(|addition| !addition.items.is_empty()) {
            lists.entry(addition.list).or_default().extend(&addition.items);
        }
    }
    lists
}

/// The truth after a step: `from` is the oldest step that is still there.
pub(super) fn expected(from: u64, sequence: u64) -> String {
    let mut text = String::new();
    let newest = step(sequence);
    writeln!(text, "{sequence} at {} {:?}", newest.made_at.micros(), text_of(&newest.head))
        .unwrap();
    for step in (from..=sequence).map(step) {
        let (schema, changes) = (text_of(&step.schema), text_of(&step.changes));
        let cycle = if step.begins_cycle { "cycle" } else { "step" };
        writeln!(text, "{cycle} {} {schema:?} {changes:?}", step.sequence).unwrap();
    }
    for (name, items) in lists_after(sequence) {
        writeln!(text, "list {}.{} {items:?}", name.family, name.number).unwrap();
    }
    text
}

/// All of what was recovered.
pub(super) fn read(recovered: Recovered) -> Result<(u64, String), OpenError> {
    let mut text = String::new();
    let head = text_of(&recovered.head);
    writeln!(text, "{} at {} {head:?}", recovered.sequence, recovered.saved_at.micros()).unwrap();
    let mut steps = recovered.steps;
    let mut first = None;
    while let Some(step) = steps.next_step()? {
        first.get_or_insert(step.sequence);
        let (schema, changes) = (text_of(step.schema), text_of(step.changes));
        let cycle = if step.begins_cycle { "cycle" } else { "step" };
        writeln!(text, "{cycle} {} {schema:?} {changes:?}", step.sequence).unwrap();
    }
    for mut list in recovered.lists {
        let mut items = Vec::new();
        while let Some(more) = list.next_items()? {
            items.extend_from_slice(more);
        }
        assert_eq!(list.len(), items.len() as u64);
        let name = list.name();
        writeln!(text, "list {}.{} {items:?}", name.family, name.number).unwrap();
    }
    Ok((first.unwrap_or(0), text))
}

/// Recovers and checks that this is exactly the state after some step; says which.
/// At most two cycles and what a restart left unfinished may be there.
pub(super) fn check_exact(directory: &mut Directory) -> Result<u64, OpenError> {
    let Some(recovered) = directory.recover()? else { return Ok(0) };
    let sequence = recovered.sequence;
    let (first, text) = read(recovered)?;
    assert_eq!(text, expected(first, sequence));
    assert!(step(first).begins_cycle, "{first} begins no cycle");
    Ok(sequence)
}

/// Appends steps.
pub(super) fn append(directory: &mut Directory, sequences: std::ops::RangeInclusive<u64>) {
    for sequence in sequences {
        directory.append(&step(sequence)).unwrap();
    }
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
