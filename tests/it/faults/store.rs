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

/// The file that steps were appended to last.
fn newest_segment(state: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(state).ok()?.flatten().map(|entry| entry.path());
    let numbered = files.filter(|file| {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| {
            name.strip_prefix("segment.").is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
    });
    numbered.max()
}

/// Leaves the end of the newest segment as a crash in the midst of a write would.
pub(super) fn tear(state: &Path, detail: u64) -> Torn {
    let Some(file) = newest_segment(state) else { return Torn::Untouched };
    let mut bytes = fs::read(&file).expect("a segment");
    let torn = if detail.is_multiple_of(2) {
        let count = 1 + detail / 2 % 300;
        bytes.extend((0..count).map(|place| (place * 37 + detail) as u8));
        Torn::Lengthened
    } else {
        let count = 1 + detail as usize / 2 % (bytes.len() / 3).max(1);
        bytes.truncate(bytes.len().saturating_sub(count));
        Torn::Shortened
    };
    fs::write(&file, bytes).expect("the torn segment");
    torn
}

/// Turns one bit in the first half of the newest segment; its name, if there is one.
pub(super) fn damage(state: &Path, detail: u64) -> Option<String> {
    let file = newest_segment(state)?;
    let mut bytes = fs::read(&file).expect("a segment");
    let place = detail as usize % (bytes.len() / 2).max(1);
    *bytes.get_mut(place)? ^= 1 << (detail % 8);
    fs::write(&file, bytes).expect("the damaged segment");
    Some(file.file_name()?.to_string_lossy().into_owned())
}
