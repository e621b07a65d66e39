//! The program as a user calls it: exit codes, messages, and what goes where.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub(crate) fn tidegauge(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegauge"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("TIDEGAUGE_CONFIG")
        .env_remove("RUST_LOG")
        .spawn()
        .expect("the program starts");
    // A program that refuses its arguments does not read its input.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("the program ends")
}

/// What the program says, as `exit code`, standard output, and standard error.
#[track_caller]
pub(crate) fn check(arguments: &[&str], input: &str, code: i32, out: &[&str], error: &[&str]) {
    let output = tidegauge(arguments, input);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{stdout}\n{stderr}");
    for part in out {
        assert!(stdout.contains(part), "{arguments:?} prints {part:?}, not:\n{stdout}");
    }
    for part in error {
        assert!(stderr.contains(part), "{arguments:?} says {part:?}, not:\n{stderr}");
    }
}

fn configuration(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("tidegauge.toml");
    std::fs::write(&path, text).expect("a file");
    path.to_string_lossy().into_owned()
}

const SMALL: &str = r#"
[kafka]
brokers = "127.0.0.1:9092"

[[topics]]
name = "email"
format = "sendgrid"
"#;

const COMMANDS: [&str; 11] = [
    "init",
    "run",
    "check",
    "decode",
    "generate",
    "demo",
    "health",
    "hash-password",
    "state",
    "completions",
    "man",
];

#[test]
fn help_teaches_and_names_every_command() {
    check(&["--help"], "", 0, &COMMANDS, &[]);
    check(&["--help"], "", 0, &["Exit codes"], &[]);
    for command in COMMANDS {
        check(&[command, "--help"], "", 0, &["Examples:"], &[]);
    }
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    check(&["rnu"], "", 2, &[], &["unrecognized subcommand 'rnu'"]);
    check(&["run"], "", 2, &[], &["--config"]);
    check(&["decode", "--format", "sendgird"], "{}", 2, &[], &["sendgird", "sendgrid"]);
}

#[test]
fn the_version_says_what_it_was_built_from() {
    let version = format!("tidegauge {}", env!("CARGO_PKG_VERSION"));
    check(&["--version"], "", 0, &[&version, "(", "features: ", "librdkafka 2."], &[]);
    let short = tidegauge(&["-V"], "");
    assert_eq!(String::from_utf8_lossy(&short.stdout), format!("{version}\n"));
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        check(&["completions", shell], "", 0, &COMMANDS, &[]);
    }
    check(&["completions", "cmd"], "", 2, &[], &["possible values", "bash"]);
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = TempDir::new().expect("a folder");
    let pages = folder.path().join("man1");
    let into = pages.to_string_lossy().into_owned();
    check(&["man", &into], "", 0, &[], &["wrote"]);
    for command in COMMANDS {
        let page = pages.join(format!("tidegauge-{command}.1"));
        let page = std::fs::read_to_string(page).expect(command);
        assert!(page.contains(".SH EXAMPLES\n.nf\n  tidegauge"), "{page}");
    }
    let whole = tidegauge(&["man"], "").stdout;
    let page = std::fs::read(pages.join("tidegauge.1")).expect("the program's own page");
    assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&page));
    assert!(pages.join("tidegauge-state-reset.1").exists());
    assert!(!pages.join("tidegauge-help.1").exists());
}

#[test]
fn check_accepts_a_ten_line_configuration() {
    let folder = TempDir::new().expect("a folder");
    let path = configuration(&folder, SMALL);
    check(&["check", "--config", &path], "", 0, &["is fine: 1 topics"], &[]);
}

#[test]
fn check_finds_every_mistake_in_one_run() {
    let folder = TempDir::new().expect("a folder");
    let path = configuration(
        &folder,
        &format!(
            "{SMALL}\nbrokr = 1\n\n[objectives.a]\nkpi = \"open_rat\"\nslice = \"all\"\nwindow = \"2h\"\nat_least = 0.2\nowner = \"crm\"\n"
        ),
    );
    check(
        &["check", "--config", &path],
        "",
        2,
        &[],
        &["tidegauge.toml:", "brokr", "open_rat", "did you mean `open_rate`"],
    );
}

#[test]
fn a_missing_configuration_is_said_with_its_name() {
    check(&["check", "--config", "/nowhere/t.toml"], "", 2, &[], &["/nowhere/t.toml"]);
}

#[test]
fn only_regular_files_are_read() {
    let folder = TempDir::new().expect("a folder");
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let pipe = at("pipe.toml");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo (Debian: coreutils)");
    assert!(made.success());
    std::fs::create_dir(at("folder.toml")).expect("a folder");
    std::os::unix::fs::symlink("/dev/zero", at("device.toml")).expect("a link");
    std::fs::write(at("large.toml"), vec![b' '; (16 << 20) + 1]).expect("a file");
    let path = configuration(
        &folder,
        &format!(
            "include = \"*.toml\"\n{SMALL}\n[kafka.properties]\n\
             sasl.password = {{ file = \"pipe.toml\" }}\nssl.key.password = {{ file = \"/dev/zero\" }}\n"
        ),
    );
    let regular = "only regular files are read";
    check(
        &["check", "--config", &path],
        "",
        2,
        &[],
        &[
            &format!("{pipe}`: it is a pipe, and {regular}"),
            &format!("{}`: it is a directory, and {regular}", at("folder.toml")),
            &format!("{}`: it is a device, and {regular}", at("device.toml")),
            &format!("`/dev/zero`: it is a device, and {regular}"),
            "it has more than 16 MiB",
        ],
    );
    check(&["check", "--config", &pipe], "", 2, &[], &[&pipe, "it is a pipe"]);
}

#[test]
fn decode_prints_a_line_for_each_outcome() {
    let input = concat!(
        r#"{"id":"1","type":"email.opened","time":"2026-04-01T10:00:00Z","campaign":"spring"}"#,
        "\n",
        r#"{"id":"2","type":"email.opend","time":"2026-04-01T10:00:00Z"}"#,
        "\n",
        r#"{"id":"3","type":"email.opened","time":"yesterday"}"#,
        "\nnot json\n",
    );
    check(
        &["decode", "--format", "canonical", "--lines"],
        input,
        0,
        &[
            r#""outcome":"event""#,
            r#""campaign":"spring""#,
            r#"{"outcome":"ignored","reason":"unknown_type","type":"email.opend"}"#,
            r#""reason":"bad_time""#,
            r#""reason":"not_json""#,
        ],
        &[],
    );
}

#[test]
fn generated_files_are_compared_with_check() {
    let folder = TempDir::new().expect("a folder");
    let path = configuration(&folder, SMALL);
    let out = folder.path().join("out");
    let out_text = out.to_string_lossy().into_owned();
    for what in ["rules", "dashboards", "docs"] {
        check(&["generate", what, "--config", &path, "--out", &out_text], "", 0, &[], &["wrote"]);
        check(
            &["generate", what, "--config", &path, "--out", &out_text, "--check"],
            "",
            0,
            &[],
            &[],
        );
        let first = first_file(&out);
        std::fs::write(&first, "changed").expect("a file");
        check(
            &["generate", what, "--config", &path, "--out", &out_text, "--check"],
            "",
            2,
            &[],
            &["differs"],
        );
        std::fs::remove_dir_all(&out).expect("the folder goes");
    }
}

#[test]
fn deployments_are_told_apart_by_flags_or_by_the_configuration() {
    let folder = TempDir::new().expect("a folder");
    let plain = configuration(&folder, SMALL);
    let rules = |more: &[&str], out: &[&str]| {
        let mut arguments = vec!["generate", "rules", "--config", plain.as_str()];
        arguments.extend(more);
        check(&arguments, "", 0, out, &[]);
    };
    rules(&[], &["absent(tidegauge_ready == 1)"]);
    rules(&["--keep", "env", "--keep", "site"], &["unless on (env, site) (tidegauge_ready == 1)"]);
    rules(
        &["--match", "env='production'", "--match", "site=~\"a|b\""],
        &["absent(tidegauge_ready{env=\"production\",site=~\"a|b\"} == 1)", "env: 'production'"],
    );
    let told = "\n[generate]\nkeep = \"env\"\nmatch = ['site=\"a\"']\n";
    configuration(&folder, &format!("{SMALL}{told}"));
    rules(&[], &["unless on (env) (tidegauge_ready{site=\"a\"} == 1)"]);
    rules(&["--keep", "zone"], &["unless on (zone) (tidegauge_ready{site=\"a\"} == 1)"]);
    rules(&["--match", "site=\"b\""], &["unless on (env) (tidegauge_ready{site=\"b\"} == 1)"]);
    for (flag, value, fault) in [
        ("--keep", "instance", "--keep: `instance` cannot be kept"),
        ("--keep", "campaign", "--keep: `campaign` is a label of the slice `campaign`"),
        ("--match", "env=production", "--match: `env=production` is no matcher"),
    ] {
        let arguments = ["generate", "dashboards", "--config", &plain, flag, value];
        check(&arguments, "", 2, &[], &[fault, "help: "]);
    }
}

fn first_file(folder: &Path) -> std::path::PathBuf {
    let entry = std::fs::read_dir(folder).expect("a folder").flatten().next().expect("a file");
    if entry.path().is_dir() { first_file(&entry.path()) } else { entry.path() }
}

#[test]
fn an_address_that_is_taken_is_said_and_exits_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    check(
        &["demo", "--for", "5s", "--listen", &address],
        "",
        1,
        &[],
        &["cannot listen on", &address],
    );
}

#[test]
fn a_property_that_is_refused_is_told_without_its_value() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let text = format!(
        "[state]\ndirectory = \"{}\"\n[export]\nlisten = \"127.0.0.1:0\"\n{SMALL}\n\
         [kafka.properties]\n\"sasl.passwrd\" = \"hunter2secret\"\n",
        state.display()
    );
    let path = configuration(&folder, &text);
    for command in ["run", "check"] {
        let output = tidegauge(&[command, "--config", &path], "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("sasl.passwrd") && !said.contains("hunter2"), "{said}");
    }
}
