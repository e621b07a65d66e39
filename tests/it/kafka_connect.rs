//! `check --connect` on a real Apache Kafka: what is as it has to be, and each thing that is
//! not.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;

use crate::cli::tidegauge;
use crate::support::acl::{DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE, allow_group, allow_topic};
use crate::support::kafka::{free_port, unique};
use crate::support::reading::now;
use crate::support::secured::Secured;

/// A configuration of `gauge`, on a listener that asks for a password.
fn configuration(password: &str, topics: &[&str], dead_letters: &str, group: &str) -> String {
    let secured = Secured::shared();
    let topics: String = topics
        .iter()
        .map(|name| format!("[[topics]]\nname = \"{name}\"\nformat = \"sendgrid\"\n"))
        .collect();
    format!(
        "instance = \"a\"\n[kafka]\nbrokers = \"{}\"\ngroup = \"{group}\"\ndead_letters = \
         \"{dead_letters}\"\n[kafka.tls]\nca = \"{}\"\n[kafka.sign_in]\nmechanism = \
         \"PLAIN\"\nusername = \"gauge\"\npassword = \"{password}\"\n{topics}",
        secured.listener("LOGIN"),
        secured.authority.file.display()
    )
}

/// Exit code, and what is printed after the line on the configuration.
fn connect(configuration: &str, more: &[&str]) -> (Option<i32>, String) {
    let path = Secured::shared().file(&unique("connect.toml"), configuration);
    run(&path, more)
}

fn run(path: &Path, more: &[&str]) -> (Option<i32>, String) {
    let path = path.to_string_lossy();
    let arguments = [&["check", "--connect", "--config", &*path], more].concat();
    let Output { status, stdout, stderr } = tidegauge(&arguments, "");
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    eprintln!("{out}{err}");
    assert!(!out.contains("secret") && !err.contains("secret"), "a password is not shown");
    let said = out.split_once("objectives\n").map_or("", |(_, said)| said);
    (status.code(), said.to_owned())
}

#[test]
fn where_all_is_as_it_has_to_be_that_is_said_and_nothing_is_written() {
    let kafka = &Secured::shared().kafka;
    let topic = kafka.topic("connect", 3, &[]);
    let dead = kafka.topic("connect-dead", 1, &[]);
    allow_topic(kafka, "User:gauge", &topic, &[READ, DESCRIBE_CONFIGS]);
    allow_topic(kafka, "User:gauge", &dead, &[WRITE]);
    allow_group(kafka, "User:gauge", &topic, &[READ]);
    kafka.fill(&topic, 1, 5, now());
    let text = configuration("secret", &[&topic], &dead, &topic);
    let (code, said) = connect(&text, &[]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((code, lines.len()), (Some(0), 4), "{said}");
    assert!(lines[0].starts_with("ok       brokers: 1 broker of the cluster "), "{said}");
    assert!(lines[0].ends_with("`User:gauge` is let in"), "{said}");
    let of_topic = format!("ok       topic `{topic}`: 3 partitions, not compacted, newest record ");
    assert!(lines[1].starts_with(&of_topic), "{said}");
    assert_eq!(lines[2], format!("ok       group `{topic}.a`: offsets may be committed"));
    assert_eq!(lines[3], format!("ok       dead letters `{dead}`: they may be written"));
    assert_eq!(kafka.committed(&format!("{topic}.a"), &topic, 1), None);
    let empty = kafka.consumer("ends").fetch_watermarks(&dead, 0, Duration::from_secs(10));
    assert_eq!(empty.expect("its ends"), (0, 0));
}

#[test]
fn each_missing_right_is_named_in_one_run() {
    let kafka = &Secured::shared().kafka;
    let unseen = kafka.topic("unseen", 1, &[]);
    let unread = kafka.topic("unread", 1, &[]);
    let read = kafka.topic("read", 1, &[]);
    let dead = kafka.topic("unwritten", 1, &[]);
    allow_topic(kafka, "User:gauge", &unread, &[DESCRIBE]);
    allow_topic(kafka, "User:gauge", &read, &[READ]);
    allow_topic(kafka, "User:gauge", &dead, &[DESCRIBE]);
    let group = unique("no-group");
    let text = configuration("secret", &[&unseen, &unread, &read], &dead, &group);
    let (code, said) = connect(&text, &[]);
    assert_eq!(code, Some(1), "{said}");
    for (line, remedy) in [
        (
            format!("missing  topic `{unseen}`: it may not be seen"),
            format!("the rights READ and DESCRIBE on the topic `{unseen}`"),
        ),
        (
            format!("missing  topic `{unread}`: it may not be read"),
            format!("the right READ on the topic `{unread}`"),
        ),
        (
            format!("better   topic `{read}`: whether it is compacted is not said"),
            format!("the right DESCRIBE_CONFIGS on the topic `{read}`"),
        ),
        (
            format!("missing  group `{group}.a`: no offset may be committed"),
            format!("the right READ on the group `{group}.a`"),
        ),
        (
            format!("missing  dead letters `{dead}`: they may not be written"),
            format!("the right WRITE on the topic `{dead}`"),
        ),
    ] {
        let whole = format!("{line}\n           help: give `User:gauge` {remedy}\n");
        assert!(said.contains(&whole), "{whole} is not in\n{said}");
    }
    assert!(
        said.contains(&format!("ok       topic `{read}`: 1 partition, no record yet")),
        "{said}"
    );
}

#[test]
fn topics_that_are_not_there_or_compacted_are_told() {
    let kafka = &Secured::shared().kafka;
    let compacted = kafka.topic("compacted", 1, &[("cleanup.policy", "compact")]);
    let absent = unique("absent");
    let text = format!(
        "instance = \"a\"\n[kafka]\nbrokers = \"{}\"\n[[topics]]\nname = [\"{compacted}\", \
         \"{absent}\", \"^nothing-.*\", \"^{compacted}$\"]\nformat = \"sendgrid\"\n",
        kafka.bootstrap()
    );
    let (code, said) = connect(&text, &[]);
    assert_eq!(code, Some(1), "{said}");
    for part in [
        format!("missing  topic `{compacted}`: its log is compacted"),
        format!("missing  topic `{absent}`: it does not exist\n           help: create it"),
        "better   topics ^nothing-.*: no topic matches that can be seen".to_owned(),
        format!("ok       topics ^{compacted}$: matched by {compacted}"),
    ] {
        assert!(said.contains(&part), "{part} is not in\n{said}");
    }
}

#[test]
fn brokers_that_do_not_let_in_or_do_not_answer_are_told_within_the_time() {
    let text = configuration("another-secret", &["any"], "off", "any");
    let (code, said) = connect(&text, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("missing  brokers: not let in: the brokers do not let in"), "{said}");
    assert!(said.contains("the password is wrong"), "{said}");
    let text = format!(
        "[kafka]\nbrokers = \"127.0.0.1:{}\"\n[[topics]]\nname = \"any\"\nformat = \"sendgrid\"\n",
        free_port()
    );
    let begun = Instant::now();
    let (code, said) = connect(&text, &["--timeout", "2"]);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("missing  brokers: none answers within 2s: "), "{said}");
    assert!(said.contains("Connection refused"), "{said}");
}
