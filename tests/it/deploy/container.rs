//! The image: its root filesystem is made by the Containerfile's own step, and started as
//! the Containerfile says, by a user without rights, in nothing but these files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::mail::{configuration, deliver, wait_delivered};
use super::network::{Network, Service, give, may_mount};
use super::tools::{output, packaged, root, said, text};
use crate::support::kafka::{Kafka, free_port};

/// The instructions of the Containerfile, each on one line: name and rest.
fn instructions() -> Vec<(String, String)> {
    let text = text("deploy/container/Containerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once(' ').expect(line))
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

/// What is said of the image itself, in the last stage.
#[track_caller]
fn image(name: &str) -> String {
    let all = instructions();
    let last = all.iter().rposition(|(name, _)| name == "FROM").expect("a stage");
    let of_image: Vec<&String> =
        all[last..].iter().filter(|(one, _)| one == name).map(|(_, rest)| rest).collect();
    assert_eq!(of_image.len(), 1, "{name}: {of_image:?}");
    of_image[0].clone()
}

fn words(json: &str) -> Vec<String> {
    serde_json::from_str(json).expect("words in JSON")
}

/// Does what the build stage does with the program that it has built.
#[track_caller]
fn make_root(folder: &Path) {
    let all = instructions();
    let step = all.iter().find(|(name, rest)| name == "RUN" && rest.contains("/rootfs "));
    let (_, step) = step.expect("a step that makes the root filesystem");
    let mut step = step.split_whitespace();
    let mut script = Command::new(root(step.next().expect("a script")));
    assert_eq!(step.next(), Some("/rootfs"), "into the folder that is copied");
    script.arg(folder).args(step).current_dir(root(""));
    output(&mut script);
}

#[test]
fn the_image_asks_for_no_rights_and_stops_as_it_is_told() {
    let last = instructions().iter().rev().find(|(name, _)| name == "FROM").cloned();
    assert_eq!(last.expect("a stage").1, "scratch", "nothing that could be used against it");
    assert_eq!(image("USER"), "65532:65532");
    assert_eq!(image("STOPSIGNAL"), "SIGTERM");
}

#[test]
fn the_image_is_small_and_counts_on_a_read_only_root() {
    if !may_mount() {
        return;
    }
    packaged();
    let mut network = Network::of_this_machine();
    let files = network.folder("image");
    make_root(&files);
    let bytes = output(Command::new("du").args(["-s", "-B1"]).arg(&files));
    let bytes: u64 = bytes.split_whitespace().next().expect("a number").parse().expect("a number");
    assert!(bytes <= 40_000_000, "{bytes} bytes");
    let state = files.join(image("VOLUME").trim_start_matches('/'));
    let owner = fs::metadata(&state).expect("the folder of the state");
    assert_eq!((owner.uid(), owner.gid(), owner.mode() & 0o777), (65532, 65532, 0o700));

    let kafka = Kafka::shared();
    let topic = kafka.topic("image", 1, &[]);
    deliver(kafka, &topic, "1");

    let port = free_port();
    let folder = network.folder("configuration");
    let configuration = configuration(kafka, &topic, port);
    fs::write(folder.join("tidegauge.toml"), configuration).expect("a file");
    let volume = network.folder("volume");
    give(&volume, &image("USER"));
    let mut service = Service {
        name: "image".to_owned(),
        user: image("USER"),
        command: [words(&image("ENTRYPOINT")), words(&image("CMD"))].concat(),
        mounts: vec![
            (folder, "/etc/tidegauge".to_owned(), true),
            (volume.clone(), image("VOLUME"), false),
        ],
        read_only: true,
        image: Some(files),
        ..Service::default()
    };
    network.run(&service);
    wait_delivered(port, 1.0, || network.logs());
    let saved = fs::read_dir(&volume).expect("the volume").count();
    assert!(saved > 0, "the state lies in the volume");

    service.name = "health".to_owned();
    service.command = words(image("HEALTHCHECK").split_once("CMD ").expect("a command").1);
    output(&mut network.command(&service));

    service.name = "writer".to_owned();
    service.command = words(r#"["/usr/bin/tidegauge", "generate", "docs", "--config"]"#);
    service.command.push("/etc/tidegauge/tidegauge.toml".to_owned());
    service.command.extend(["--out".to_owned(), "/usr".to_owned()]);
    let (done, told) = said(&mut network.command(&service));
    assert!(!done && told.contains("Read-only file system"), "{told}");
}
