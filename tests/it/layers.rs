//! Imports point one way: a module names only modules that `src/lib.rs` declares
//! above it, and the outside crates that a module owns stay in it.

use std::fs;
use std::path::{Path, PathBuf};

/// Outside crates that only some modules may name.
const OWNED: &[(&str, &[&str])] = &[
    ("serde_json::", &["format", "artifact", "kafka", "app", "export"]),
    ("postcard::", &["aggregate", "kpi", "checkpoint", "app"]),
    ("toml::", &["config"]),
    ("rdkafka::", &["kafka"]),
    ("rustls::", &["kafka", "export"]),
    ("ureq::", &["kafka"]),
    ("x509_parser::", &["config", "export"]),
    ("aws_config::", &["kafka"]),
    ("aws_sigv4::", &["kafka"]),
    ("axum::", &["export"]),
    ("hyper::", &["export"]),
    ("hyper_util::", &["export"]),
    ("tower_http::", &["export"]),
    ("prometheus::", &["export"]),
    ("tokio_rustls::", &["export"]),
    ("bcrypt::", &["export"]),
    ("sha2::", &["export"]),
    ("base64::", &["kafka", "export"]),
    ("serde_saphyr::", &["export"]),
    ("crc32fast::", &["checkpoint"]),
    ("sd_notify::", &["app"]),
    ("tokio::", &["checkpoint", "kafka", "export", "app"]),
    ("tracing::", &["checkpoint", "kafka", "export", "app"]),
    // Of `config` it is what makes its world: whether certificates have expired.
    ("SystemTime::now", &["config", "checkpoint", "kafka", "export", "app"]),
    ("Instant::now", &["checkpoint", "socket", "kafka", "export", "app"]),
];

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn modules_in_order() -> Vec<String> {
    let lib = fs::read_to_string(source_root().join("lib.rs")).expect("src/lib.rs");
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The code of a file, without comments: documentation may name any module.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn modules_import_only_modules_above_them() {
    let modules = modules_in_order();
    assert!(modules.len() > 10, "lib.rs declares the modules one a line: {modules:?}");
    let mut faults = Vec::new();
    for (place, module) in modules.iter().enumerate() {
        for file in files_below(&source_root().join(module)) {
            let code = code_of(&file);
            for below in &modules[place + 1..] {
                if code.contains(&format!("crate::{below}::"))
                    || code.contains(&format!("crate::{below};"))
                {
                    faults.push(format!("{} imports `{below}`, which is below it", file.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn outside_crates_stay_with_their_owners() {
    let mut faults = Vec::new();
    for module in modules_in_order() {
        for file in files_below(&source_root().join(&module)) {
            let code = code_of(&file);
            for (outside, owners) in OWNED {
                if code.contains(outside) && !owners.contains(&module.as_str()) {
                    faults.push(format!("{} names `{outside}`", file.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
