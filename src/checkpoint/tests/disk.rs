//! The directory on a real disk: reading back, holding, damage, messages.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use super::model::{self, append, check_exact};
use crate::checkpoint::{Directory, Home, OpenError};

fn open(path: &Path) -> Directory {
    Directory::open(path, None).unwrap()
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_prefix_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/state");
    for sequence in 1..=40 {
        let mut directory = open(&path);
        assert_eq!(check_exact(&mut directory).unwrap(), sequence - 1);
        append(&mut directory, sequence..=sequence);
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_came_before_the_last_whole_cycle_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut directory = open(folder.path());
    assert!(directory.recover().unwrap().is_none());
    append(&mut directory, 1..=14);
    let names = names(folder.path());
    assert_eq!(
        names,
        [
            "list.7.2.5",
            "list.7.3.10",
            "lock",
            "segment.00000000000000000009",
            "segment.00000000000000000013"
        ]
    );
    let on_disk: u64 = names
        .iter()
        .filter(|name| *name != "lock")
        .map(|name| fs::metadata(folder.path().join(name)).unwrap().len())
        .sum();
    assert_eq!(directory.disk_bytes(), on_disk);
}

#[test]
fn a_cycle_goes_on_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut directory = open(folder.path());
    directory.recover().unwrap();
    append(&mut directory, 1..=6);
    drop(directory);
    let mut directory = open(folder.path());
    directory.recover().unwrap();
    for (appended, first) in [(7, 1), (8, 1), (9, 5)] {
        append(&mut directory, appended..=appended);
        let mut steps = directory.recover().unwrap().unwrap().steps;
        let oldest = steps.next_step().unwrap().unwrap().sequence;
        assert_eq!(oldest, first, "the cycle that step 5 began is whole with step 9");
    }
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let refusal = Directory::open(folder.path(), None).err().unwrap().to_string();
    let expected = format!(
        "{} is used by another process (process {}): stop that one first, or give each instance a \
         [state] directory of its own",
        folder.path().display(),
        std::process::id()
    );
    assert_eq!(refusal, expected);
    drop(first);
    open(folder.path());
}

#[test]
fn it_can_be_looked_at_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writing = open(folder.path());
    writing.recover().unwrap();
    append(&mut writing, 1..=6);
    let mut looking = Directory::open_read_only(folder.path()).unwrap();
    assert_eq!(looking.in_use(), Some(Some(std::process::id())));
    let mut recovered = looking.recover().unwrap().unwrap();
    append(&mut writing, 7..=12);
    for sequence in 1..=6 {
        let step = recovered.steps.next_step().unwrap().unwrap();
        assert_eq!((step.sequence, step.changes), (sequence, &*model::step(sequence).changes));
    }
    assert!(recovered.steps.next_step().unwrap().is_none());
    let before = names(folder.path());
    assert_eq!(check_exact(&mut looking).unwrap(), 12);
    assert!(looking.append(&model::step(13)).is_err());
    assert!(looking.erase().is_err());
    assert_eq!(names(folder.path()), before);
}

#[test]
fn nothing_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let refusal = Directory::open_read_only(&path).err().unwrap().to_string();
    assert_eq!(
        refusal,
        format!(
            "{} holds no saved state: there is no directory of that name; look at --directory, \
             or at [state] directory in the configuration",
            path.display()
        )
    );
}

#[test]
fn an_unknown_version_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = Directory::open(folder.path(), Some(2)).err().unwrap().to_string();
    assert_eq!(refusal, "[state] version = 2 cannot be written: this program writes version 1");
}

#[test]
fn erased_state_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut directory = open(folder.path());
    directory.recover().unwrap();
    append(&mut directory, 1..=11);
    directory.erase().unwrap();
    assert_eq!(names(folder.path()), ["lock"]);
    assert_eq!(check_exact(&mut directory).unwrap(), 0);
    append(&mut directory, 1..=2);
    assert_eq!(check_exact(&mut directory).unwrap(), 2);
}

#[test]
fn steps_come_in_order_and_after_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let mut directory = open(folder.path());
    assert!(directory.append(&model::step(1)).is_err());
    directory.recover().unwrap();
    assert!(directory.append(&model::step(2)).is_err());
    append(&mut directory, 1..=1);
    assert!(directory.append(&model::step(1)).is_err());
}

/// Eleven steps in two segments, changed by `damage`, are refused with this message.
#[track_caller]
fn check_refused(damage: impl FnOnce(&Path), expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut directory = open(folder.path());
    directory.recover().unwrap();
    append(&mut directory, 1..=11);
    drop(directory);
    damage(folder.path());
    let refusal = check_exact(&mut open(folder.path())).unwrap_err();
    let text = refusal.to_string().replace(&format!("{}/", folder.path().display()), "");
    match refusal {
        OpenError::Damaged { .. } => {
            let (what, remedy) = text.split_once(". ").unwrap();
            assert_eq!(what, expected);
            assert_eq!(
                remedy,
                "Nothing of this saved state is used. Restore a copy of the whole directory, or take \
                 that of another replica while it is stopped, or run `tidegauge state reset`: the \
                 figures then begin anew from what the topics still hold"
            );
        }
        _ => assert_eq!(text, expected),
    }
    // Being refused changes nothing.
    let again = check_exact(&mut open(folder.path())).unwrap_err().to_string();
    assert_eq!(again.replace(&format!("{}/", folder.path().display()), ""), text);
}

fn overwrite(path: &Path, name: &str, offset: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path.join(name)).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

fn shorten(path: &Path, name: &str, len: u64) {
    OpenOptions::new().write(true).open(path.join(name)).unwrap().set_len(len).unwrap();
}

#[test]
fn damage_is_refused() {
    const OLD: &str = "segment.00000000000000000005";
    const NEW: &str = "segment.00000000000000000009";
    check_refused(
        |path| overwrite(path, OLD, 60, b"?"),
        &format!("{OLD}, byte 16: checkpoint 5 is damaged"),
    );
    check_refused(
        |path| overwrite(path, NEW, 20, b"?"),
        &format!("{NEW}, byte 16: checkpoint 9 is damaged"),
    );
    check_refused(
        |path| overwrite(path, NEW, 60, b"?"),
        &format!("{NEW}, byte 16: checkpoint 9 is damaged"),
    );
    // The header of a frame that another one follows.
    check_refused(
        |path| {
            let bytes = fs::read(path.join(NEW)).unwrap();
            let headers: Vec<usize> =
                (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"TIDEGFRM")).collect();
            assert_eq!(headers.len(), 3);
            overwrite(path, NEW, headers[1] as u64 + 9, b"?");
        },
        &format!("{NEW}, byte 138: checkpoint 10 is damaged"),
    );
    check_refused(
        |path| fs::remove_file(path.join(OLD)).unwrap(),
        &format!("{OLD}, byte 0: the file is missing"),
    );
    check_refused(
        |path| fs::remove_file(path.join(NEW)).unwrap(),
        &format!("{NEW}, byte 0: the file is missing"),
    );
    check_refused(
        |path| shorten(path, NEW, 30),
        &format!("{NEW}, byte 16: checkpoint 9 is damaged"),
    );
    check_refused(
        |path| shorten(path, OLD, 3),
        &format!("{OLD}, byte 3: the file ends within its first bytes"),
    );
    check_refused(
        |path| overwrite(path, OLD, 9, b"?"),
        &format!("{OLD}, byte 0: the file does not begin as it was written"),
    );
    check_refused(
        |path| overwrite(path, "list.7.2.5", 20, b"?"),
        "list.7.2.5, byte 16: the checksum of the 15 items from here on is wrong",
    );
    check_refused(
        |path| shorten(path, "list.7.2.5", 90),
        "list.7.2.5, byte 90: the file ends here, and 15 items up to byte 136 were saved",
    );
    check_refused(
        |path| fs::remove_file(path.join("list.7.2.5")).unwrap(),
        "list.7.2.5, byte 0: the file is missing",
    );
    check_refused(
        |path| {
            fs::remove_file(path.join(OLD)).unwrap();
            fs::remove_file(path.join(NEW)).unwrap();
        },
        "list.7.2.5, byte 0: checkpoint 5 began this list, but the newest that can be read is 0",
    );
}

#[test]
fn a_newer_version_is_refused() {
    let mut header = *b"TIDEGSEG\x02\0\0\0????";
    let checksum = crc32fast::hash(&header[..12]);
    header[12..].copy_from_slice(&checksum.to_le_bytes());
    check_refused(
        |path| overwrite(path, "segment.00000000000000000009", 0, &header),
        "segment.00000000000000000009 has version 2 of the saved state, and this program reads \
         version 1: run the newer program (to go back, let it first write version 1 for a while: \
         [state] version = 1), or run `tidegauge state reset`: the figures then begin anew from what \
         the topics still hold",
    );
}

#[test]
fn runs_that_are_shorter_than_two_cycles_leave_no_more_behind_than_long_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut sequence = 0;
    // A cycle is four steps.
    for steps in [4, 1, 2, 3, 5, 4, 1, 1, 1, 6, 3, 2] {
        let mut directory = open(folder.path());
        assert_eq!(check_exact(&mut directory).unwrap(), sequence);
        append(&mut directory, sequence + 1..=sequence + steps);
        sequence += steps;
        let segments = names(folder.path()).iter().filter(|name| name.starts_with("seg")).count();
        assert!(segments <= 3, "{segments} segments after {sequence} steps");
    }
}
