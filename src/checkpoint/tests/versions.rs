//! State that earlier versions of the program wrote is read for ever.
//!
//! `tests/fixtures/state/v1` was written by the first version: eleven steps, of which
//! two cycles are there, with a list that was dropped. It must never be written again;
//! `UPDATE_EXPECT=1` makes a fixture only where there is none.

use std::fs;
use std::path::PathBuf;

use super::model::{append, read};
use crate::checkpoint::Directory;

#[track_caller]
fn check_version(version: u32) {
    let state = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state");
    let folder = state.join(format!("v{version}"));
    let expected = state.join(format!("v{version}.txt"));
    if std::env::var_os("UPDATE_EXPECT").is_some() && !folder.exists() {
        let mut directory = Directory::open(&folder, Some(version)).unwrap();
        directory.recover().unwrap();
        append(&mut directory, 1..=11);
        fs::remove_file(folder.join("lock")).unwrap();
        let (_, text) = read(directory.recover().unwrap().unwrap()).unwrap();
        fs::write(&expected, text).unwrap();
    }
    let mut directory = Directory::open_read_only(&folder).unwrap();
    let recovered = directory.recover().unwrap().unwrap();
    assert_eq!(recovered.version, version);
    let (_, text) = read(recovered).unwrap();
    assert_eq!(text, fs::read_to_string(&expected).unwrap());
}

#[test]
fn version_1_is_read() {
    check_version(1);
}
