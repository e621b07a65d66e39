//! Where files come from: a disk, or a test's memory.

use std::collections::BTreeMap;

/// Reads the files that a configuration names.
pub trait Files {
    /// The text of a file; the error is one line for people.
    fn read(&self, path: &str) -> Result<String, String>;

    /// The files that match a pattern, in order of names: `*` in the last part of
    /// the path stands for any characters. Without `*` it is the path itself,
    /// whether or not there is such a file.
    fn list(&self, pattern: &str) -> Result<Vec<String>, String>;
}

/// Files that a test or the demo holds in memory, by path.
impl Files for BTreeMap<String, String> {
    fn read(&self, path: &str) -> Result<String, String> {
        self.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }

    fn list(&self, pattern: &str) -> Result<Vec<String>, String> {
        if !pattern.contains('*') {
            return Ok(vec![pattern.to_owned()]);
        }
        Ok(self.keys().filter(|path| matches(pattern, path)).cloned().collect())
    }
}

/// Whether a path matches; `*` stands for any characters but `/`.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == path;
    };
    let Some(mut left) = path.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    // Each part where it first occurs; the last one at the end.
    for part in parts {
        match left.find(part) {
            Some(at) if !left[..at].contains('/') => left = &left[at + part.len()..],
            _ => return false,
        }
    }
    left.strip_suffix(last).is_some_and(|between| !between.contains('/'))
}

/// The path of `named`, a path that stands in the file `from`.
pub(super) fn beside(from: &str, named: &str) -> String {
    match from.rsplit_once('/') {
        Some((folder, _)) if !named.starts_with('/') => format!("{folder}/{named}"),
        _ => named.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_characters_of_one_part() {
        for (pattern, path, expected) in [
            ("kpis/*.toml", "kpis/a.toml", true),
            ("kpis/*.toml", "kpis/.toml", true),
            ("kpis/*.toml", "kpis/a/b.toml", false),
            ("kpis/*.toml", "kpis/a.txt", false),
            ("k*-*.toml", "k1-2.toml", true),
            ("k*-*.toml", "k1.toml", false),
            ("a.toml", "a.toml", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_named_file_stands_beside_the_one_that_names_it() {
        assert_eq!(beside("etc/t.toml", "k.toml"), "etc/k.toml");
        assert_eq!(beside("t.toml", "k.toml"), "k.toml");
        assert_eq!(beside("etc/t.toml", "/k.toml"), "/k.toml");
    }
}
