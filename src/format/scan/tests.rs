use proptest::prelude::*;

use super::super::path::Path;
use super::super::trie::Trie;
use super::super::walk::walk_closely;
use super::*;

const WANTED: [&str; 4] = ["a", "b.c", "b.long key beyond eight", "é"];

/// A trie, and the slots in which the wanted values will stand.
fn trie() -> (Trie, Vec<usize>) {
    let mut trie = Trie::default();
    let scope = trie.add_scope();
    let places = WANTED.map(|path| {
        let steps = Path::parse(path).expect("a path").steps;
        let node = trie.descend(scope, 0, &steps, false);
        usize::from(trie.capture(scope, node).slot)
    });
    trie.finish();
    (trie, places.into())
}

/// What stands in the wanted places, by the scan and by the walk.
fn both(text: &str) -> (Option<Vec<&str>>, Option<Vec<&str>>) {
    let (trie, places) = trie();
    let slots = vec![Slot::default(); usize::from(trie.scopes[0].slots)];
    let found = |slots: &[Slot]| places.iter().map(|at| &text[slots[*at].range()]).collect();
    let mut scanned = slots.clone();
    let scan = scan(&trie.nodes, 0, &mut scanned, text, 0, false);
    let mut walked = slots;
    let walk = walk_closely(&trie.nodes, 0, &mut walked, &mut Vec::new(), text, text, false);
    (scan.ok().map(|()| found(&scanned)), walk.ok().map(|()| found(&walked)))
}

#[track_caller]
fn check(text: &str, expected: Option<[&str; 4]>) {
    let (scanned, walked) = both(text);
    assert_eq!(scanned.as_deref(), expected.as_ref().map(|all| &all[..]), "scanning {text}");
    if expected.is_some() {
        assert_eq!(scanned, walked, "scanning {text}");
    }
}

#[test]
fn remembers_where_the_wanted_values_stand() {
    check("{}", Some(["", "", "", ""]));
    check(r#" {"a":1}"#.trim_start(), Some(["1", "", "", ""]));
    check(
        r#"{ "x": [1, {"a": "\"}"}], "é" :null , "b": {"c":"\u00e9 \\\" and on", "d":{}} } "#,
        Some(["", r#""\u00e9 \\\" and on""#, "", "null"]),
    );
    check(
        r#"{"b":{"long key beyond eight":[-0.5e+3,0]},"a":{"b":true}}"#,
        Some([r#"{"b":true}"#, "", "[-0.5e+3,0]", ""]),
    );
}

#[test]
fn gives_up_where_the_walk_has_more_to_say() {
    for text in [
        "",
        "[]",
        "1",
        "{",
        r#"{"a":1"#,
        r#"{"a":1}}"#,
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{a:1}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":-}"#,
        r#"{"a":1e}"#,
        r#"{"a":nul}"#,
        r#"{"a":"\q"}"#,
        r#"{"a":"\u12g4"}"#,
        "{\"a\":\"tab\there\"}",
        r#"{"a":1,"a":2}"#,
        r#"{"\u0061":1}"#,
        r#"{"b":{"c":1,"c":1}}"#,
        r#"{"a":[1 2]}"#,
    ] {
        check(text, None);
    }
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(127), "]".repeat(127));
    check(&deep, None);
}

fn json_or_nearly() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-0",
        "01",
        "-0.5e+3",
        "1e400",
        "1.",
        "true",
        "null",
        "nul",
        "\"\"",
        "\"plain\"",
        "\"longer than eight \\n bytes é\"",
        "\"\\ud800\"",
        "\"\\u00e9\"",
        "\"\\q\"",
        "\"control \u{1}\"",
        "\"open",
        "",
    ]);
    let key = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "é",
        "x",
        "long key beyond eight",
        "\\u0061",
        "\\ud800",
    ]);
    let space = prop::sample::select(vec!["", "", "", " ", "\n\t\r", "\u{c}"]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 5, move |inner| {
        let member = (key.clone(), space.clone(), inner.clone())
            .prop_map(|(key, space, value)| format!("\"{key}\"{space}:{space}{value}"));
        prop_oneof![
            3 => prop::collection::vec(member, 0..5)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => prop::collection::vec(inner, 0..4)
                .prop_map(|items| format!("[{}]", items.join(" ,"))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn accepts_nothing_that_the_walk_refuses_and_finds_the_same(text in json_or_nearly()) {
        let (scanned, walked) = both(&text);
        if scanned.is_some() {
            prop_assert_eq!(scanned, walked);
        }
    }
}
