use super::super::ProblemList;
use super::*;

/// Reads `text` with `read`, and compares what it answers and the problems.
#[track_caller]
fn check<T: std::fmt::Debug>(
    text: &str,
    read: impl FnOnce(&mut Table<'_>) -> T,
    expected: &str,
    problems_expected: &[&str],
) {
    let problems = Problems::default();
    let environment = |name: &str| (name == "HOST").then(|| "kafka-1".to_owned());
    let context = Context { problems: &problems, environment: &environment };
    let document = Document::parse("t.toml", text, &context);
    let mut table = document.table();
    let answer = format!("{:?}", read(&mut table));
    table.finish();
    drop(document);
    assert_eq!(answer, expected);
    let problems: Vec<String> =
        ProblemList::from(problems).as_slice().iter().map(ToString::to_string).collect();
    assert_eq!(problems, problems_expected);
}

#[test]
fn typed_reads_give_values() {
    check(
        "a = \"x\"\nb = 3\nc = 0.5\nd = \"90s\"\ne = [\"p\", \"q\"]\n",
        |table| {
            (
                table.text("a"),
                table.optional("b").and_then(|value| value.integer(0, 9)),
                table.optional("c").and_then(|value| value.decimal()),
                table.optional("d").and_then(|value| value.duration()),
                table.optional("e").map(|value| value.texts()),
            )
        },
        "(Some(\"x\"), Some(3), Some(0.5), Some(90s), Some([\"p\", \"q\"]))",
        &[],
    );
}

#[test]
fn every_mistake_is_noted_with_its_place() {
    check(
        "a = 1\nb = 30\nd = \"5 m\"\nnmae = 2\n[t]\nx = 1\n",
        |table| {
            (
                table.text("a"),
                table.optional("b").and_then(|value| value.integer(0, 9)),
                table.optional("d").and_then(|value| value.duration()),
                table.required("name").and_then(|value| value.text()),
                table.table("t").map(Table::finish),
            )
        },
        "(None, None, None, None, Some(()))",
        &[
            "t.toml:1:1: `name` is missing in the top level",
            "t.toml:1:5: `a` has to be a string, but is a whole number",
            "t.toml:2:5: `b` has to be from 0 to 9",
            "t.toml:3:5: `5 m` is no duration\n  help: a duration is a whole number with a unit, such as \"30s\", \"5m\", \"24h\", \"7d\" or \"1h30m\"",
            "t.toml:4:1: unknown key `nmae` in the top level\n  help: did you mean `name`?",
            "t.toml:6:1: unknown key `x` in [t]",
        ],
    );
}

#[test]
fn tables_in_lists_stand_where_their_header_is() {
    check(
        "[[t]]\nname = \"a\"\n\n[[t]]\n",
        |table| {
            let names: Vec<_> = table
                .tables("t")
                .into_iter()
                .map(|mut table| table.required("name").and_then(|value| value.text()))
                .collect();
            names
        },
        "[Some(\"a\"), None]",
        &["t.toml:4:1: `name` is missing in [t]"],
    );
}

#[test]
fn entries_keep_the_order_of_the_file() {
    check(
        "[t.b]\n[t.a]\n",
        |table| {
            let keys: Vec<_> = table
                .entries_of("t")
                .into_iter()
                .map(|(key, value)| (key.name, value.at().line))
                .collect();
            keys
        },
        "[(\"b\", 1), (\"a\", 2)]",
        &[],
    );
}

#[test]
fn all_syntax_errors_are_noted() {
    check(
        "a = \nb = 1\nc = ]\nb = 2\n",
        |table| table.entries().len(),
        "3",
        &[
            "t.toml:1:5: string values must be quoted, expected literal string",
            "t.toml:3:5: missing array opening, expected `[`",
            "t.toml:4:1: `b` is there twice",
        ],
    );
}

#[test]
fn environment_variables_are_put_in() {
    check(
        "a = \"${HOST}:9092\"\nb = \"$${HOST}\"\nc = \"${PORT}\"\nd = \"${\"\n",
        |table| ["a", "b", "c", "d"].map(|key| table.text(key)),
        "[Some(\"kafka-1:9092\"), Some(\"${HOST}\"), None, None]",
        &[
            "t.toml:3:5: the environment variable `PORT` is not set\n  help: set it, or write `$${` for the characters `${`",
            "t.toml:4:5: `${` does not begin the name of an environment variable\n  help: write `${NAME}`, or `$${` for the characters themselves",
        ],
    );
}

#[test]
fn a_character_of_a_text_has_a_place() {
    check(
        "a = \"sent / x\"\nb = \"\"\"sent\"\"\"\n",
        |table| {
            ["a", "b"].map(|key| table.optional(key).map(|value| value.at_character(7).to_string()))
        },
        "[Some(\"t.toml:1:13\"), Some(\"t.toml:2:5\")]",
        &[],
    );
}
