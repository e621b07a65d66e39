//! `tidegauge init`: what it writes, what the judges of those files say, and what an
//! instance makes of it on a real Kafka.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tidegauge::app::demo::{Simulator, System};
use tidegauge::event::{EventTime, Header, Span};

use crate::artifacts::tool;
use crate::cli::{check, tidegauge};
use crate::support::instance::{Metrics, get};
use crate::support::kafka::{Kafka, free_port};
use crate::support::process::{installed, wait_until};
use crate::support::prometheus::program;

/// Ten minutes of what a system of the demo's world reports, in a topic.
fn fill(kafka: &Kafka, topic: &str, system: System) {
    let now = EventTime::from_micros(jiff::Timestamp::now().as_microsecond());
    let simulator = Simulator::new(7, now);
    let producer = kafka.producer(&[]);
    let records = simulator.records(now - Span::from_secs(600), now);
    for record in records.filter(|record| record.topic == system.topic()) {
        let headers: Vec<Header<'_>> =
            record.headers.iter().map(|(name, value)| (name.as_str(), Some(&value[..]))).collect();
        producer.send(topic, None, Some(&record.value), &headers, Some(record.time)).expect("sent");
    }
    producer.flush(Duration::from_secs(30)).expect("written");
}

fn text(folder: &Path, path: &str) -> String {
    std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The command in a new folder, with the flags that all tests have.
fn init(kafka: &str, more: &[&str]) -> (TempDir, std::process::Output) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().to_string_lossy().into_owned();
    let mut arguments = vec!["init", path.as_str(), "--brokers", kafka, "--owner", "crm-team"];
    arguments.extend(more);
    let output = tidegauge(&arguments, "");
    (folder, output)
}

/// What promtool, amtool and `check` say of everything that was written.
#[track_caller]
fn accepted(folder: &Path) {
    let configuration = folder.join("tidegauge.toml").to_string_lossy().into_owned();
    check(&["check", "--config", &configuration], "", 0, &["is fine"], &[]);
    let deploy = folder.join("deploy");
    let promtool = program("promtool");
    tool(&promtool, &["check", "config"], &deploy.join("prometheus/prometheus.yml"));
    let tests = deploy.join("prometheus/tidegauge.rules.test.yml");
    let has_objectives = text(folder, "objectives.toml").contains("\n[objectives.");
    assert_eq!(tests.exists(), has_objectives, "rules on objectives have tests");
    if has_objectives {
        tool(&promtool, &["test", "rules"], &tests);
    }
    let amtool = installed("amtool", "prometheus-alertmanager");
    tool(&amtool, &["check-config"], &deploy.join("alertmanager/alertmanager.yml"));
    let out = deploy.to_string_lossy().into_owned();
    for what in ["rules", "dashboards"] {
        let generate = ["generate", what, "--config", &configuration, "--out", &out, "--check"];
        check(&generate, "", 0, &[], &[]);
    }
}

#[test]
fn what_it_writes_is_accepted_and_an_instance_shows_a_kpi() {
    let kafka = Kafka::shared();
    let mail = kafka.topic("init.mail", 3, &[]);
    let web = kafka.topic("init.web", 2, &[]);
    fill(kafka, &mail, System::SendGrid);
    fill(kafka, &web, System::CloudEvents);
    let listen = format!("127.0.0.1:{}", free_port());
    let flags = ["--topic", &mail, "--topic", &web, "--listen", &listen, "--group", "newcomer"];
    let (folder, output) = init(&kafka.bootstrap(), &flags);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("{mail}: `sendgrid` reads ")), "{said}");
    assert!(said.contains(&format!("{web}: `cloudevents` reads ")), "{said}");
    assert!(said.contains("campaigns ") && said.contains("spring_sale"), "{said}");
    let next = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(next.contains("tidegauge run --config") && next.contains(&listen), "{next}");

    let folder = folder.path();
    accepted(folder);
    let written = text(folder, "tidegauge.toml");
    assert!(written.contains("group = \"newcomer\""), "{written}");
    assert!(written.lines().filter(|line| !line.is_empty()).count() <= 16, "{written}");
    let objectives = text(folder, "objectives.toml");
    for (id, is_there) in [
        ("unsubscribe_spike", true),
        ("site_converts", true),
        // The topics give no posts, and nobody's campaign is known.
        ("social_engages", false),
        ("newsletter_clicks", false),
    ] {
        assert_eq!(objectives.contains(&format!("[objectives.{id}]")), is_there, "{objectives}");
    }
    assert!(objectives.contains("owner = \"crm-team\"") && !objectives.contains("email-team"));
    assert!(text(folder, "deploy/prometheus/targets/tidegauge.yml").contains(&listen));
    assert!(text(folder, "deploy/alertmanager/alertmanager.yml").contains("owner = \"crm-team\""));
    let unit = text(folder, "deploy/systemd/tidegauge.service");
    for part in [
        format!("{}/tidegauge.toml", folder.display()),
        format!("ReadWritePaths={}/tidegauge-data", folder.display()),
        format!("ExecStart={} run", env!("CARGO_BIN_EXE_tidegauge")),
    ] {
        assert!(unit.contains(&part), "{part} in {unit}");
    }

    let mut instance = Command::new(env!("CARGO_BIN_EXE_tidegauge"))
        .args(["run", "--config"])
        .arg(folder.join("tidegauge.toml"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let figures = wait_until_or_end(&mut instance, || {
        let (_, page) = get(&format!("http://{listen}/metrics"))?;
        let page = Metrics::parse(&page);
        let of = |family: &str| page.one(family, &[("slice", "all"), ("window", "1h")]);
        Some((of("tidegauge_emails_sent_messages")?, of("tidegauge_visitors_people")?))
    });
    assert!(figures.0 > 1_000.0 && figures.1 > 10.0, "{figures:?}");
}

/// Waits for something of a process, and ends it in any case.
#[track_caller]
fn wait_until_or_end<T>(
    process: &mut std::process::Child,
    look: impl FnMut() -> Option<T> + std::panic::UnwindSafe,
) -> T {
    let found = std::panic::catch_unwind(|| {
        wait_until(Duration::from_secs(60), look, || "the first figures".to_owned())
    });
    let _ = process.kill();
    let _ = process.wait();
    found.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[test]
fn nothing_is_overwritten_unless_that_is_meant() {
    let (folder, first) = init("127.0.0.1:1", &["--topic", "email=sendgrid"]);
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(first.status.success(), "{said}");
    assert!(said.contains("warning: no broker answers at 127.0.0.1:1"), "{said}");
    accepted(folder.path());
    let kept = folder.path().join("objectives.toml");
    std::fs::write(&kept, "# mine\n").expect("a file");
    let path = folder.path().to_string_lossy().into_owned();
    let again = ["init", &path, "--brokers", "127.0.0.1:1", "--owner", "b", "--topic", "w=segment"];
    check(&again, "", 2, &[], &["these files are there already", "objectives.toml", "--force"]);
    assert_eq!(std::fs::read_to_string(&kept).expect("it is there"), "# mine\n");
    assert!(text(folder.path(), "tidegauge.toml").contains("sendgrid"), "nothing was written");
    let mut forced = again.to_vec();
    forced.push("--force");
    // What a link points at is somebody else's.
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&kept, &elsewhere).expect("a file");
    std::os::unix::fs::symlink(&elsewhere, &kept).expect("a link");
    check(&forced, "", 0, &["Next:"], &[]);
    accepted(folder.path());
    assert_eq!(std::fs::read_to_string(&elsewhere).expect("it is there"), "# mine\n");
    assert!(text(folder.path(), "tidegauge.toml").contains("segment"));
}

#[test]
fn topics_that_feed_no_usual_objective_are_accepted_too() {
    let (folder, output) =
        init("127.0.0.1:1", &["--topic", "posts=meta", "--listen", "0.0.0.0:80"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    accepted(folder.path());
    assert!(text(folder.path(), "objectives.toml").contains("# owner = \"crm-team\""));
    let targets = text(folder.path(), "deploy/prometheus/targets/tidegauge.yml");
    assert!(targets.contains("- 127.0.0.1:80"), "{targets}");
}

#[test]
fn addresses_of_ipv6_are_targets_too() {
    let (folder, output) = init("127.0.0.1:1", &["--topic", "t=meta", "--listen", "[::]:9999"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    accepted(folder.path());
    let targets = text(folder.path(), "deploy/prometheus/targets/tidegauge.yml");
    assert!(targets.contains("- \"[::1]:9999\""), "{targets}");
}

#[test]
fn what_is_missing_or_wrong_is_said_at_once() {
    check(
        &["init", "/nowhere"],
        "",
        2,
        &[],
        &["--brokers HOST:PORT, --topic NAME[=FORMAT], --owner TEAM", "--yes"],
    );
    let refused = |more: &[&str], parts: &[&str]| {
        let (folder, output) = init("127.0.0.1:1", more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{more:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{more:?}: {part:?} in {said}");
        }
        assert!(!folder.path().join("tidegauge.toml").exists());
        said
    };
    refused(
        &["--topic", "a", "--topic", "b"],
        &["--topic a: ", "--topic b: ", "no broker answers"],
    );
    refused(&["--topic", "a=sendgird"], &["did you mean `sendgrid`?"]);
    refused(&["--topic", "a b=segment"], &["cannot stand in a topic's name"]);
    refused(&["--yes"], &["there is no topic to read"]);
    refused(&["--topic", "a=segment", "--property", "security.protocl=SSL"], &["security.protocl"]);
    let secret = ["--topic", "a=segment", "--property", "sasl.password=hunter2"];
    let said = refused(&secret, &["sasl.password", "=@FILE"]);
    assert!(!said.contains("hunter2"), "{said}");
    refused(
        &["--topic", "a=segment", "--property", "sasl.password=@/nowhere/password"],
        &["/nowhere/password"],
    );
}

#[test]
fn a_password_stays_in_its_file() {
    let secrets = TempDir::new().expect("a folder");
    let file = secrets.path().join("password");
    std::fs::write(&file, "hunter2\n").expect("a file");
    let property = format!("sasl.password=@{}", file.display());
    let flags = ["--topic", "a=segment", "--property", "sasl.username=me", "--property", &property];
    let (folder, output) = init("127.0.0.1:1", &flags);
    let said = format!("{output:?}");
    assert!(output.status.success() && !said.contains("hunter2"), "{said}");
    accepted(folder.path());
    let written = text(folder.path(), "tidegauge.toml");
    let named = format!("sasl.password = {{ file = \"{}\" }}", file.display());
    assert!(written.contains(&named) && !written.contains("hunter2"), "{written}");
}

/// `script` gives the program a terminal.
#[test]
fn at_a_terminal_it_asks_and_proposes() {
    let kafka = Kafka::start();
    for topic in ["mail", "odd", "empty", "_theirs"] {
        kafka.create_topic(topic, 2, &[]);
    }
    fill(&kafka, "mail", System::SendGrid);
    fill(&kafka, "_theirs", System::Segment);
    let producer = kafka.producer(&[]);
    producer.send("odd", None, Some(b"hello"), &[], None).expect("sent");
    producer.flush(Duration::from_secs(30)).expect("written");

    let folder = TempDir::new().expect("a folder");
    let command = format!("{} init {}", env!("CARGO_BIN_EXE_tidegauge"), folder.path().display());
    let mut terminal = Command::new(installed("script", "bsdutils"))
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a terminal");
    // Brokers; the topics, one of them of a format that has to be asked; the owner.
    let answers = format!("{}\nmail, odd\nsegmnt\nsegment\ncrm-team\n", kafka.bootstrap());
    terminal.stdin.take().expect("a pipe").write_all(answers.as_bytes()).expect("answered");
    let output = terminal.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "Brokers of your Kafka [localhost:9092]:",
        "3 topics; the newest records of each say:",
        "empty: it holds no record",
        "mail: `sendgrid` reads ",
        "odd: no format that comes with the program",
        "Topics to read [mail]:",
        "Format of `odd`:",
        "did you mean `segment`?",
        "Next:",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    assert!(output.status.success(), "{said}");
    let written = text(folder.path(), "tidegauge.toml");
    assert!(written.contains("name = \"odd\"\nformat = \"segment\""), "{written}");

    let (everything, output) = init(&kafka.bootstrap(), &["--yes"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let written = text(everything.path(), "tidegauge.toml");
    assert_eq!(written.matches("[[topics]]").count(), 1, "{written}");
    accepted(everything.path());
}
