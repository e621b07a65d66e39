//! Damage to the files of a saved state, while no instance runs on it.

use std::fs;
use std::path::{Path, PathBuf};

/// How the end of the newest segment looks now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Torn {
    /// There is no state.
    Untouched,
    /// What was never written to its end stands behind it.
    Lengthened,
    /// Its last bytes are missing.
    Shortened,
}

/// The files whose names begin so, in the order of their names.
fn files(state: &Path, prefix: &str) -> impl Iterator<Item = PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(state)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.into_iter()
}

/// The file that steps were appended to last.
fn newest_segment(state: &Path) -> Option<PathBuf> {
    files(state, "segment.0").last()
}

/// Where the frames of a segment begin: behind 16 bytes of its own, each a header of
/// 36 bytes with the length of its body at 20.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut begins = Vec::new();
    let mut at = 16;
    while let Some(length) = bytes.get(at + 20..at + 28) {
        begins.push(at);
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
        at = at.saturating_add(36).saturating_add(length as usize);
    }
    begins
}

/// Leaves the end of the newest segment as a crash in the midst of a write would: a
/// part of the last frame, unless that is the only one, which is there as a whole
/// before the segment has its name; or something behind it that was never synced.
pub(super) fn tear(state: &Path, detail: u64) -> Torn {
    let Some(file) = newest_segment(state) else { return Torn::Untouched };
    let mut bytes = fs::read(&file).expect("a segment");
    let torn = match frames(&bytes).as_slice() {
        [_, .., last] if !detail.is_multiple_of(2) => {
            let keeps = detail as usize / 2 % (bytes.len() - last);
            bytes.truncate(last + keeps);
            Torn::Shortened
        }
        _ => {
            let count = 1 + detail / 2 % 300;
            bytes.extend((0..count).map(|place| (place * 37 + detail) as u8));
            Torn::Lengthened
        }
    };
    fs::write(&file, bytes).expect("the torn segment");
    torn
}

/// Turns one bit of what is saved for good, and tells in which file: of the newest
/// segment, before its last frame unless that is the only one, or of a list of ids.
pub(super) fn damage(state: &Path, detail: u64) -> Option<String> {
    let segment = newest_segment(state)?;
    let lists: Vec<PathBuf> = files(state, "list.").collect();
    let file = match lists.as_slice() {
        [first, ..] if detail.is_multiple_of(3) => first.clone(),
        _ => segment,
    };
    let mut bytes = fs::read(&file).expect("a file of the state");
    let whole = match frames(&bytes).as_slice() {
        [_, .., last] if !lists.contains(&file) => *last,
        _ => bytes.len(),
    };
    // What stands at the end of a list may not be counted yet.
    let before = if lists.contains(&file) { whole / 2 } else { whole };
    *bytes.get_mut(detail as usize % before.max(1))? ^= 1 << (detail % 8);
    fs::write(&file, bytes).expect("the damaged file");
    Some(file.file_name()?.to_string_lossy().into_owned())
}
