//! Whatever is changed in the files: what is recovered is exactly the state after some
//! step, or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::model::{append, check_exact};
use super::simulated::Simulated;
use crate::checkpoint::{Directory, OpenError};

/// One change to one file; places are fractions of what is there.
#[derive(Debug, Clone)]
enum Change {
    Flip(u8),
    Cut,
    Remove,
    /// Bytes of one place stand in another.
    Copy(f64),
    Insert(u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (1..=255u8).prop_map(Change::Flip),
        3 => Just(Change::Cut),
        1 => Just(Change::Remove),
        2 => (0.0..1.0).prop_map(Change::Copy),
        1 => any::<u8>().prop_map(Change::Insert),
    ]
}

/// The bytes of eleven steps, those of the last segment from `change`: the newest step
/// that is found is the tenth, and work goes on from there.
#[track_caller]
fn check_torn(whole: &BTreeMap<String, Vec<u8>>, change: impl FnOnce(&mut Vec<u8>)) {
    let mut torn = whole.clone();
    change(torn.last_entry().unwrap().get_mut());
    let files = Simulated::of(&torn);
    let mut directory = Directory::on(Arc::new(files.clone()));
    assert_eq!(check_exact(&mut directory).unwrap(), 10);
    append(&mut directory, 11..=11);
    assert_eq!(check_exact(&mut Directory::on(Arc::new(files))).unwrap(), 11);
}

#[test]
fn the_last_good_step_before_a_torn_one_is_used() {
    let files = Simulated::default();
    let mut directory = Directory::on(Arc::new(files.clone()));
    directory.recover().unwrap();
    append(&mut directory, 1..=10);
    let start = files.snapshot().last_entry().unwrap().get().len();
    append(&mut directory, 11..=11);
    let whole = files.snapshot();
    let end = whole.values().next_back().unwrap().len();
    for place in start..end {
        check_torn(&whole, |bytes| bytes.truncate(place));
        check_torn(&whole, |bytes| bytes[place] ^= 1);
        // The end may reach the disk before the beginning.
        check_torn(&whole, |bytes| bytes[start..=place].fill(0));
        check_torn(&whole, |bytes| bytes[place..].fill(0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn recovers_exactly_or_refuses(
        steps in 1..=22_u64,
        changes in prop::collection::vec((0.0..1.0, 0.0..1.0, change()), 1..=3),
    ) {
        let files = Simulated::default();
        let mut directory = Directory::on(Arc::new(files.clone()));
        directory.recover().unwrap();
        append(&mut directory, 1..=steps);
        let mut files = files.snapshot();
        for (file, place, change) in changes {
            let Some(name) = files.keys().nth((files.len() as f64 * file) as usize).cloned() else {
                continue;
            };
            let bytes = files.get_mut(&name).unwrap();
            let at = (bytes.len() as f64 * place) as usize;
            match change {
                Change::Flip(with) => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= with;
                    }
                }
                Change::Cut => bytes.truncate(at),
                Change::Remove => { files.remove(&name); }
                Change::Copy(from) => {
                    let from = (bytes.len() as f64 * from) as usize;
                    let piece = bytes[from..bytes.len().min(from + 150)].to_vec();
                    bytes.splice(at..at, piece);
                }
                Change::Insert(byte) => bytes.insert(at, byte),
            }
        }
        let has_segment = files.keys().any(|name| name.starts_with("segment."));
        let changed = Simulated::of(&files);
        match check_exact(&mut Directory::on(Arc::new(changed.clone()))) {
            Ok(0) => prop_assert!(!has_segment),
            Ok(found) => prop_assert!(found <= steps),
            Err(OpenError::Damaged { .. } | OpenError::Version { .. }) => {
                let left: Vec<String> = changed.snapshot().into_keys().collect();
                let before: Vec<String> = files.into_keys().collect();
                prop_assert!(left.len() <= before.len());
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
