//! Programs that look at what is shipped; `tests/run` installs them below `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the repository.
pub(super) fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Its text.
#[track_caller]
pub(super) fn text(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A program in `target/tools/bin`.
#[track_caller]
pub(super) fn tool(name: &str) -> Command {
    let program = root("target/tools/bin").join(name);
    assert!(program.is_file(), "{name} is missing: tests/run installs it");
    Command::new(program)
}

/// A Python module of `target/python-tools`, as a program.
#[track_caller]
pub(super) fn python(module: &str) -> Command {
    let modules = root("target/python-tools");
    assert!(modules.join(module).is_dir(), "{module} is missing: tests/run installs it");
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", modules).args(["-m", module]);
    command
}

/// Runs a command; standard output, or a panic with everything that it said.
#[track_caller]
pub(super) fn output(command: &mut Command) -> String {
    let done = said(command);
    assert!(done.0, "{command:?}: {}", done.1);
    done.1
}

/// Whether it succeeded, and standard output, with standard error behind it where it did
/// not.
#[track_caller]
pub(super) fn said(command: &mut Command) -> (bool, String) {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() {
        text.push_str(&String::from_utf8_lossy(&done.stderr));
    }
    (done.status.success(), text)
}

/// The shipped program, as `deploy/dist/build` leaves it.
#[track_caller]
pub(super) fn packaged() -> PathBuf {
    let program = root("target/package/tidegauge");
    assert!(program.is_file(), "target/package is missing: deploy/dist/build makes it");
    program
}
