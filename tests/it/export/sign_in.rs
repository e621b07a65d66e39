//! Passwords and tokens: who gets in, what everybody sees, and what nobody ever reads.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tidegauge::export::{NotReady, Report, Web, hash_password};

use super::fixture;
use super::http::Server;

const PASSWORD: &str = "correct horse: battery staple";
const TOKEN: &str = "a-token-that-nobody-guesses";

pub(super) fn report() -> Report {
    fixture::story(&fixture::site(), 0)
}

/// A web configuration in a folder of its own.
pub(super) fn write(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("web.yml");
    std::fs::write(&path, text).expect("a file");
    path
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn with_words() -> (TempDir, Web) {
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).expect("a file");
    let hash = hash_password(PASSWORD, 10).expect("a hash");
    let text = format!(
        "basic_auth_users:\n  prometheus: {hash}\nbearer_tokens:\n  agent: {{ file: token }}\n\
         http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=31536000\n"
    );
    let web = Web::open(&write(&folder, &text)).unwrap_or_else(|problems| panic!("{problems}"));
    (folder, web)
}

#[test]
fn only_who_signs_in_gets_in() {
    let (_folder, web) = with_words();
    let server = Server::start_web(Some(report()), web);
    let bearer = format!("Authorization: bearer {TOKEN}");
    let right = basic("prometheus", PASSWORD);
    let pages = ["/", "/metrics", "/api/status.json", "/api/status.html"];
    for (headers, expected) in [
        (vec![], 401),
        (vec![basic("prometheus", "wrong")], 401),
        (vec![basic("nobody", PASSWORD)], 401),
        (vec![basic("prometheus", "")], 401),
        (vec!["Authorization: Basic !!".to_owned()], 401),
        (vec!["Authorization: Digest x".to_owned()], 401),
        (vec!["Authorization: Bearer a-token-that-nobody-guessed".to_owned()], 401),
        (vec!["Authorization: Bearer".to_owned()], 401),
        (vec![right.clone(), bearer.clone()], 401),
        (vec![right.clone(), right.clone()], 401),
        (vec![right.clone()], 200),
        (vec![right.replace("Basic", "bAsIc")], 200),
        (vec![bearer.clone()], 200),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        for path in pages {
            let (status, head, body) = server.get(path, &headers);
            assert_eq!(status, expected, "{path} with {headers:?}");
            if expected == 401 {
                let ways = ["www-authenticate: basic realm=", "www-authenticate: bearer realm="];
                assert!(ways.iter().all(|way| head.contains(way)), "{head}");
                assert!(!body.contains("Spring") && !body.contains("tidegauge_"), "{body}");
            }
        }
    }
    // Nor is anything said of which pages there are.
    assert_eq!(server.get("/nothing", &[]).0, 401);
    assert_eq!(server.get("/nothing", &[&bearer]).0, 404);
    assert_eq!(server.request("POST", "/metrics", &["Content-Length: 0"]).0, 401);
    let (_, _, page) = server.get("/metrics", &[&bearer]);
    for (reason, count) in [
        ("no_credentials", 6.0),
        ("unreadable", 20.0),
        ("wrong_password", 12.0),
        ("wrong_token", 4.0),
    ] {
        let line = format!("tidegauge_refused_clients_total{{reason=\"{reason}\"}} {count}\n");
        assert!(page.contains(&line), "{line} is not in {page}");
    }
}

#[test]
fn every_answer_has_the_headers_of_before_and_those_of_the_file() {
    let (_folder, web) = with_words();
    let server = Server::start_web(Some(report()), web);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for (path, headers, status) in [
        ("/metrics", vec![], 401),
        ("/metrics", vec![bearer.as_str()], 200),
        ("/", vec![bearer.as_str()], 200),
        ("/healthz", vec![], 200),
        ("/nothing", vec![bearer.as_str()], 404),
    ] {
        let (answered, head, _) = server.get(path, &headers);
        assert_eq!(answered, status, "{path}");
        for header in [
            "content-security-policy: default-src 'none';",
            "x-content-type-options: nosniff",
            "x-frame-options: sameorigin",
            "cache-control: no-store",
            "strict-transport-security: max-age=31536000",
        ] {
            assert!(head.contains(header), "{path} lacks {header}:\n{head}");
        }
    }
}

#[test]
fn probes_see_whether_it_is_well_and_no_more() {
    let (_folder, web) = with_words();
    let mut report = report();
    report.not_ready = vec![NotReady::CatchingUp];
    let server = Server::start_web(Some(report), web);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let shown = || server.get("/readyz", &[&bearer]).2;
    let whole = crate::support::process::wait_until(
        std::time::Duration::from_secs(10),
        || Some(shown()).filter(|text| text.starts_with("catching_up")),
        shown,
    );
    assert!(whole.contains("email-events"), "{whole}");
    assert_eq!(server.get("/healthz", &[]).2, "alive\n");
    let (status, _, text) = server.get("/readyz", &[]);
    assert_eq!((status, text.as_str()), (503, "catching_up\n"));
    let (_, _, json) = server.get("/readyz", &["Accept: application/json"]);
    assert_eq!(json, "{\"ready\":false,\"reasons\":[{\"reason\":\"catching_up\"}]}\n");
    let wrong = basic("prometheus", "wrong");
    assert_eq!(server.get("/readyz", &[&wrong]).2, "catching_up\n");
    assert!(shown().contains("email-events"));
}

#[test]
fn more_requests_than_the_file_allows_wait() {
    let folder = TempDir::new().expect("a folder");
    let text = "rate_limit:\n  interval: 1h\n  burst: 2\n";
    let web = Web::open(&write(&folder, text)).unwrap_or_else(|problems| panic!("{problems}"));
    let server = Server::start_web(Some(report()), web);
    assert_eq!([0, 1].map(|_| server.get("/metrics", &[]).0), [200, 200]);
    let (status, head, _) = server.get("/metrics", &[]);
    assert_eq!(status, 429);
    assert!(head.contains("retry-after: 3600") || head.contains("retry-after: 359"), "{head}");
    assert!(head.contains("content-security-policy: "), "{head}");
    assert_eq!(server.get("/healthz", &[]).0, 200);
    // Guesses do not get round it.
    assert_eq!(server.get("/healthz", &[&basic("a", "b")]).0, 429);
}
