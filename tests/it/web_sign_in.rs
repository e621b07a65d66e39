//! TLS and signing in as its users meet them: the program with a web configuration, a real
//! Prometheus that scrapes it, certificates that are renewed, and health checks.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::cli::{check, tidegauge};
use crate::support::certificates::{Authority, TlsClient};
use crate::support::instance::Instance;
use crate::support::process::wait_until;
use crate::support::prometheus::{PrometheusServer, PrometheusSpec};

const PASSWORD: &str = "never-shown-password";
const TOKEN: &str = "never-shown-token-of-some-length";
const SOON: Duration = Duration::from_secs(20);

/// A folder with a certificate of the server, its issuer, and secrets.
struct House {
    folder: TempDir,
    authority: Authority,
    hash: String,
}

impl House {
    fn new() -> House {
        let folder = TempDir::new().expect("a folder");
        let authority = Authority::new("the house");
        authority.issue(&["localhost", "127.0.0.1"]).write(folder.path(), "server");
        authority.issue(&["scraper.example"]).write(folder.path(), "prometheus");
        let (hash, _) = hashed(PASSWORD);
        let house = House { folder, authority, hash };
        house.put("ca.crt", &house.authority.pem());
        house.put("prometheus.password", PASSWORD);
        house.put("prometheus.token", TOKEN);
        house
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file in its place in one step.
    fn put(&self, name: &str, text: &str) {
        let draft = self.path().join(format!("{name}.draft"));
        std::fs::write(&draft, text).expect("a file");
        std::fs::rename(&draft, self.path().join(name)).expect("it can be replaced");
    }

    /// What `clients` says of certificates, and all ways to sign in.
    fn put_web(&self, clients: &str) {
        let hash = &self.hash;
        self.put(
            "web.yml",
            &format!(
                "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{clients}\
                 basic_auth_users:\n  prometheus: {hash}\n\
                 bearer_tokens:\n  prometheus: {{ file: prometheus.token }}\n"
            ),
        );
    }

    fn configuration(&self) -> String {
        format!(
            "[kafka]\nbrokers = \"127.0.0.1:1\"\n[[topics]]\nname = \"t\"\nformat = \"canonical\"\n\
             [state]\ndirectory = \"off\"\n[log]\nlevel = \"trace\"\n\
             [export]\nlisten = \"$LISTEN\"\nweb_config = \"{}/web.yml\"\n",
            self.path().display()
        )
    }

    fn start(&self) -> (Instance, SocketAddr) {
        let instance = Instance::start(&self.configuration());
        let address = instance.address.parse().expect("an address");
        let client = TlsClient::new(&self.authority.pem(), Some(&self.scraper()));
        wait_until(SOON, || client.get(address, "/healthz", &[]).ok(), || instance.log());
        (instance, address)
    }

    fn scraper(&self) -> crate::support::certificates::Identity {
        let read = |name: &str| std::fs::read_to_string(self.path().join(name)).expect("a file");
        crate::support::certificates::Identity {
            certificate: read("prometheus.crt"),
            key: read("prometheus.key"),
        }
    }

    fn client(&self) -> TlsClient {
        TlsClient::new(&self.authority.pem(), None)
    }
}

const IF_GIVEN: &str = "  client_ca_file: ca.crt\n  client_auth_type: VerifyClientCertIfGiven\n";
const REQUIRED: &str = "  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n";

fn hashed(password: &str) -> (String, String) {
    let output = tidegauge(&["hash-password", "--cost", "10"], &format!("{password}\n"));
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let hash = line.split('"').nth(3).unwrap_or_default().to_owned();
    (hash, line)
}

fn with_token(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// The jobs of the page on operations, each for one way to sign in.
fn jobs() -> Vec<String> {
    let page = include_str!("../../docs/operations.md");
    let section = page.split("\n## TLS and signing in\n").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut jobs: Vec<String> = Vec::new();
    for line in section.lines().filter_map(|line| line.strip_prefix("    ")) {
        if line.starts_with("- job_name:") {
            jobs.push(String::new());
        }
        if let Some(job) = jobs.last_mut().filter(|_| line.starts_with(['-', ' '])) {
            job.push_str(&format!("  {line}\n"));
        }
    }
    jobs
}

#[test]
fn prometheus_scrapes_by_every_way_that_the_documentation_shows() {
    let house = House::new();
    house.put_web(IF_GIVEN);
    let (instance, _) = house.start();
    let jobs = jobs();
    for way in ["basic_auth", "authorization", "cert_file"] {
        let job = jobs.iter().find(|job| job.contains(way)).unwrap_or_else(|| panic!("{jobs:?}"));
        let prometheus = PrometheusServer::start(PrometheusSpec {
            targets: std::slice::from_ref(&instance.address),
            interval: Some("1s"),
            job: Some((job, house.path())),
            ..PrometheusSpec::default()
        });
        let seen = prometheus
            .wait_for("tidegauge_web_config_up_to_date == 1", SOON, |found| !found.is_empty());
        assert_eq!(seen.len(), 1, "{way}: {seen:?}");
    }
    // One that does not sign in is told so.
    let job = jobs.iter().find(|job| job.contains("basic_auth")).expect("a job");
    let job: String = job
        .lines()
        .filter(|line| !line.contains("basic_auth"))
        .fold(String::new(), |text, line| text + line + "\n");
    let prometheus = PrometheusServer::start(PrometheusSpec {
        targets: std::slice::from_ref(&instance.address),
        interval: Some("1s"),
        job: Some((&job, house.path())),
        ..PrometheusSpec::default()
    });
    prometheus.wait_for("up == 0", SOON, |found| !found.is_empty());
    let log = instance.log();
    assert!(log.contains("it came without a password, a token or a certificate"), "{log}");
}

#[test]
fn what_changes_takes_force_and_what_is_broken_does_not() {
    let house = House::new();
    // As a cluster mounts secrets: a link to a folder, which is replaced by another.
    let versions = ["one", "two", "three"].map(|name| house.path().join(name));
    versions.iter().for_each(|folder| std::fs::create_dir(folder).expect("a folder"));
    let link = |version: &Path| {
        let draft = house.path().join("draft");
        std::os::unix::fs::symlink(version, &draft).expect("a link");
        std::fs::rename(&draft, house.path().join("now")).expect("it can be replaced");
    };
    house.authority.issue(&["localhost"]).write(&versions[0], "server");
    let renewed = Authority::new("the new house");
    renewed.issue_for(&["localhost"], (2_000, 2_050)).write(&versions[1], "server");
    renewed.issue(&["localhost"]).write(&versions[2], "server");
    // A certificate without its key.
    std::fs::copy(versions[1].join("server.key"), versions[2].join("server.key")).expect("a copy");
    link(&versions[0]);
    let web = |token: &str| {
        let hash = tidegauge(&["hash-password"], "x");
        let hash = String::from_utf8_lossy(&hash.stdout).into_owned();
        house.put("prometheus.token", token);
        house.put(
            "web.yml",
            &format!(
                "tls_server_config:\n  cert_file: now/server.crt\n  key_file: now/server.key\n\
                 basic_auth_users:\n{hash}bearer_tokens:\n  agent: {{ file: prometheus.token }}\n"
            ),
        );
    };
    web(TOKEN);
    let (instance, address) = house.start();
    let (old, new) = (house.client(), TlsClient::new(&renewed.pem(), None));
    let page =
        |client: &TlsClient, token: &str| client.get(address, "/metrics", &[&with_token(token)]);
    let is = |answer: std::io::Result<String>, part: &str| {
        answer.ok().filter(|answer| answer.contains(part))
    };
    let up_to_date = |value: u8| format!("\ntidegauge_web_config_up_to_date {value}\n");
    assert!(is(page(&old, TOKEN), &up_to_date(1)).is_some());

    link(&versions[1]);
    let expires = "\ntidegauge_tls_certificate_expires_timestamp_seconds 2524608000\n";
    wait_until(SOON, || is(page(&new, TOKEN), expires), || instance.log());
    assert!(page(&old, TOKEN).is_err());

    let another = "another-token-that-is-long-enough";
    web(another);
    wait_until(SOON, || is(page(&new, another), "200 OK"), || instance.log());
    assert!(is(page(&new, TOKEN), "401 Unauthorized").is_some());

    link(&versions[2]);
    wait_until(SOON, || is(page(&new, another), &up_to_date(0)), || instance.log());
    let log = instance.log();
    assert!(log.contains("it is not the key of the certificate"), "{log}");
    link(&versions[1]);
    wait_until(SOON, || is(page(&new, another), &up_to_date(1)), || instance.log());

    house.put("web.yml", "basic_auth_users: [");
    wait_until(SOON, || is(page(&new, another), &up_to_date(0)), || instance.log());
    assert_eq!(instance.log().matches("cannot be taken up").count(), 2);
}

#[test]
fn secrets_are_in_no_log_and_on_no_page() {
    let house = House::new();
    house.put_web(IF_GIVEN);
    let (instance, address) = house.start();
    let client = house.client();
    // "tried" with the password "tried-password".
    let wrong = "Authorization: Basic dHJpZWQ6dHJpZWQtcGFzc3dvcmQ=";
    assert!(client.get(address, "/", &[wrong]).is_ok_and(|answer| answer.contains("401")));
    let wrong = with_token("tried-token");
    assert!(client.get(address, "/", &[&wrong]).is_ok_and(|answer| answer.contains("401")));
    let foreign = Authority::new("another").issue(&["x"]);
    let foreign = TlsClient::new(&house.authority.pem(), Some(&foreign));
    assert!(foreign.get(address, "/", &[]).is_err());
    let mut said = String::new();
    for path in ["/", "/metrics", "/api/status.json", "/readyz"] {
        said += &client.get(address, path, &[&with_token(TOKEN)]).expect("an answer");
    }
    let config = tidegauge::config::load_export(&house.path().join("none.toml"));
    said += &format!("{config:?}");
    let log = wait_until(
        SOON,
        || Some(instance.log()).filter(|log| log.contains("not in `client_ca_file`")),
        || instance.log(),
    );
    for told in ["the name or the password is wrong", "the token is wrong", "peer=127.0.0.1:"] {
        assert!(log.contains(told), "{told} is not in {log}");
    }
    let key = std::fs::read_to_string(house.path().join("server.key")).expect("a file");
    let key = key.lines().nth(1).expect("a line").to_owned();
    for secret in [PASSWORD, TOKEN, &house.hash, &key, "tried", "dHJpZWQ"] {
        assert!(!log.contains(secret) && !said.contains(secret), "{secret} is shown");
    }
}

#[test]
fn health_is_asked_as_the_instance_is_reached() {
    let house = House::new();
    house.put_web("");
    let (instance, _) = house.start();
    let config = house.path().join("tidegauge.toml");
    let address = |of: &str| {
        let text = house.configuration().replace("$LISTEN", of);
        std::fs::write(&config, text).expect("a file");
    };
    let path = config.to_string_lossy();
    let health = ["health", "--config", &path];
    address(&instance.address.replace("127.0.0.1", "0.0.0.0"));
    check(&health, "", 0, &["alive\n"], &[]);
    check(&[&health[..], &["--ready"]].concat(), "", 1, &[], &["503: "]);
    // Another certificate than that of the file.
    house.authority.issue(&["localhost"]).write(house.path(), "server");
    check(&health, "", 0, &["alive\n"], &[]);
    // What is broken on the disk is not what is served.
    house.put_web("nonsense: [");
    check(&health, "", 0, &["alive\n"], &[]);
    let port = instance.address.clone();
    drop(instance);
    check(&health, "", 1, &[], &["error: no answer from ", &port[10..]]);

    // A web configuration may be one without TLS.
    house.put("web.yml", &format!("basic_auth_users:\n  prometheus: {}\n", house.hash));
    let instance = Instance::start(&house.configuration());
    address(&instance.address);
    wait_until(SOON, || tidegauge(&health, "").status.success().then_some(()), || instance.log());
    drop(instance);

    house.put_web(REQUIRED);
    let (instance, _) = house.start();
    address(&instance.address);
    check(&health, "", 1, &[], &["--client-cert"]);
    let file = |name: &str| house.path().join(name).to_string_lossy().into_owned();
    let (certificate, key) = (file("prometheus.crt"), file("prometheus.key"));
    let shown = ["--client-cert", &certificate, "--client-key", &key];
    check(&[&health[..], &shown].concat(), "", 0, &["alive\n"], &[]);
    Authority::new("another").issue(&["x"]).write(house.path(), "foreign");
    let (certificate, key) = (file("foreign.crt"), file("foreign.key"));
    let shown = ["--client-cert", &certificate, "--client-key", &key];
    check(&[&health[..], &shown].concat(), "", 1, &[], &["does not accept the certificate"]);
}

#[test]
fn check_and_run_refuse_what_is_wrong_in_either_file() {
    let house = House::new();
    let config = house.path().join("tidegauge.toml");
    let text = house.configuration().replace("$LISTEN", "0.0.0.0:9184");
    let path = config.to_string_lossy();
    std::fs::write(&config, format!("nonsense = 1\n{text}")).expect("a file");
    house.put("web.yml", "basic_auth_users: { a: b }\n");
    for command in ["check", "run"] {
        let said =
            ["unknown key `nonsense`", "web.yml:1:24: `basic_auth_users.a` is no bcrypt hash"];
        check(&[command, "--config", &path], "", 2, &[], &said);
    }
    std::fs::write(&config, &text).expect("a file");
    house.put_web("");
    check(&["check", "--config", &path], "", 0, &["is fine"], &[]);
    house.put("web.yml", "");
    check(&["check", "--config", &path], "", 0, &["is fine"], &["warning: ", "nobody is asked"]);
    std::fs::write(&config, text.replace("web_config", "#")).expect("a file");
    check(&["check", "--config", &path], "", 0, &["is fine"], &["warning: ", "`web_config` name"]);

    // An expired certificate leaves nobody without figures.
    std::fs::write(&config, &text).expect("a file");
    let expired = house.authority.issue_for(&["localhost"], (2_000, 2_020));
    expired.write(house.path(), "server");
    house.put_web("");
    check(&["check", "--config", &path], "", 2, &[], &["the certificate expired at 2020-01-01"]);
    let instance = Instance::start(&house.configuration());
    let started = || Some(instance.log()).filter(|log| log.contains("serving /metrics"));
    let log = wait_until(SOON, started, || instance.log());
    assert!(log.contains("WARN") && log.contains("the certificate expired at 2020-01-01"), "{log}");
}

#[test]
fn hashes_and_tokens_are_made_as_the_file_takes_them() {
    let (hash, line) = hashed(PASSWORD);
    assert!(hash.starts_with("$2b$10$") && hash.len() == 60, "{line}");
    let output = tidegauge(&["hash-password", "--token", "--user", "a b"], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (token, entry) = text.split_once('\n').expect("two lines");
    assert_eq!(token.len(), 43);
    assert!(entry.starts_with("  \"a b\": { sha256: \""), "{entry}");
    let house = House::new();
    house.put("web.yml", &format!("basic_auth_users:\n{line}bearer_tokens:\n{entry}"));
    let found = tidegauge::export::check_web(
        &house.path().join("web.yml"),
        "[::1]:1".parse().expect("an address"),
    );
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    check(&["hash-password"], "", 1, &[], &["the password is empty"]);
    check(&["hash-password"], &"x".repeat(73), 1, &[], &["72 bytes"]);
    check(&["hash-password", "--cost", "4"], "x", 2, &[], &["10..=14"]);
}

#[test]
fn what_would_open_it_is_not_taken_up() {
    let house = House::new();
    house.put_web("");
    let (instance, address) = house.start();
    let good = std::fs::read_to_string(house.path().join("web.yml")).expect("the file");
    let closed = || {
        let answer = house.client().get(address, "/metrics", &[]).expect("an answer over TLS");
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    };
    let tls: String = good.lines().take(3).map(|line| format!("{line}\n")).collect();
    for (open, why) in [("", "nobody would be asked"), (&tls[..], "nobody would be asked")] {
        let before = instance.log().matches(why).count();
        house.put("web.yml", open);
        let told = || (instance.log().matches(why).count() > before).then_some(());
        wait_until(SOON, told, || instance.log());
        closed();
        house.put("web.yml", &good);
        let back = || {
            let page = instance.log().matches("is again what is in force").count();
            (page > 0).then_some(())
        };
        wait_until(SOON, back, || instance.log());
        closed();
    }
}
