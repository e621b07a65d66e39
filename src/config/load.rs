//! A configuration from the disk or from a text: the one place of `config` that
//! touches a disk and asks this host for its name and the time.

use std::collections::BTreeMap;
use std::fs::{self, File, FileType};
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::files::{Files, matches};
use super::problem::ProblemList;
use super::read::{read, read_export};
use super::spec::{Config, ExportSpec};
use super::world::World;
use crate::event::EventTime;

/// Files on the disk.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

/// A file of more than this is no configuration.
const LARGEST: u64 = 16 << 20;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<String, String> {
        let says = |error: io::Error| error.to_string();
        // Opening a pipe waits for whoever writes to it, and a device may never end.
        let kind = fs::metadata(path).map_err(says)?.file_type();
        if !kind.is_file() {
            return Err(format!("it is {}, and only regular files are read", name(kind)));
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(says)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(says)?;
        if bytes.len() as u64 > LARGEST {
            return Err(format!(
                "it has more than {} MiB, more than a configuration can have",
                LARGEST >> 20
            ));
        }
        String::from_utf8(bytes)
            .map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to() + 1))
    }

    fn list(&self, pattern: &str) -> Result<Vec<String>, String> {
        if !pattern.contains('*') {
            return Ok(vec![pattern.to_owned()]);
        }
        let folder = pattern.rsplit_once('/').map_or("", |(folder, _)| folder);
        let looked_at = match (folder.is_empty(), pattern.starts_with('/')) {
            (true, true) => "/",
            (true, false) => ".",
            (false, _) => folder,
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(looked_at).map_err(|error| error.to_string())? {
            let name = entry.map_err(|error| error.to_string())?.file_name();
            let Some(name) = name.to_str() else { continue };
            let path = match pattern.rsplit_once('/') {
                Some((folder, _)) => format!("{folder}/{name}"),
                None => name.to_owned(),
            };
            if matches(pattern, &path) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

/// What a file is that is no regular one.
fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// Reads a configuration from a text that includes no files; `file` is its name in
/// messages.
pub fn parse(
    file: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ProblemList> {
    let files = BTreeMap::from([(file.to_owned(), text.to_owned())]);
    let host = host();
    let (processors, now) = (processors(), now());
    read(file, &World { files: &files, environment, host: &host, processors, now })
}

/// Reads a configuration from the disk, with this process' environment; the error is
/// every problem of it.
pub fn load(path: &Path) -> Result<Config, ProblemList> {
    on_disk(|world| read(&path.to_string_lossy(), world))
}

/// Where the configuration at `path` on the disk is served, whatever else is wrong with it.
pub fn load_export(path: &Path) -> Option<ExportSpec> {
    on_disk(|world| read_export(&path.to_string_lossy(), world))
}

fn on_disk<T>(read: impl FnOnce(&World<'_>) -> T) -> T {
    let host = host();
    let environment = |name: &str| std::env::var(name).ok();
    let (processors, now) = (processors(), now());
    let world = World { files: &Disk, environment: &environment, host: &host, processors, now };
    read(&world)
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default()
}

fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
