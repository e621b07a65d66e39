//! The pages over HTTP: paths, formats, compression, readiness, limits.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tidegauge::export::{Hosts, Loading, NotReady, Report, Served, Web, listen, serve};
use tokio::sync::{oneshot, watch};

use super::fixture;

/// A server on a free local port; it stops when this is dropped.
pub(super) struct Server {
    address: SocketAddr,
    reports: watch::Sender<Option<Arc<Report>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Server {
    pub(super) fn start(report: Option<Report>) -> Self {
        Self::start_loading(report, Arc::default())
    }

    /// A server of an instance that loads its saved state.
    pub(super) fn start_loading(report: Option<Report>, loading: Arc<Loading>) -> Self {
        let server = Self::launch(report, loading, None);
        server.settle();
        server
    }

    /// One with a web configuration; what it shows is not waited for.
    pub(super) fn start_web(report: Option<Report>, web: Web) -> Self {
        Self::launch(report, Arc::default(), Some(Arc::new(web)))
    }

    fn launch(report: Option<Report>, loading: Arc<Loading>, web: Option<Arc<Web>>) -> Self {
        let (reports, receiver) = watch::channel(report.map(Arc::new));
        let (stop, stopped) = oneshot::channel();
        let (tell, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
                let address = listener.local_addr()?;
                let _ = tell.send(address);
                let served = Served {
                    site: Arc::new(fixture::site()),
                    reports: receiver,
                    loading,
                    hosts: Hosts::new(address.ip(), &[]),
                    web,
                };
                let shutdown = async {
                    let _ = stopped.await;
                };
                serve(listener, served, shutdown).await
            })
        });
        let address = address.recv().expect("the server listens");
        Server { address, reports, stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the pages show the newest report.
    fn settle(&self) {
        let expected = self.reports.borrow().as_ref().map(|report| report.not_ready.is_empty());
        for _ in 0..500 {
            let (status, _, text) = self.get("/readyz", &[]);
            let starting = text.starts_with("starting") || text.starts_with("loading");
            let shown = (!starting).then_some(status == 200);
            if shown == expected {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the pages never showed the report");
    }

    /// Status, headers as text, body.
    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
    ) -> (u16, String, Vec<u8>) {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        self.exchange(&head)
    }

    /// The answer to a head.
    fn exchange(&self, head: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.write_all(head.as_bytes()).expect("the request is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the answer is read");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let mut body = answer.split_off(end + 4);
        if head.contains("transfer-encoding: chunked") {
            body = unchunked(&body);
        }
        (status, head, body)
    }

    pub(super) fn get(&self, path: &str, headers: &[&str]) -> (u16, String, String) {
        let (status, head, body) = self.request("GET", path, headers);
        (status, head, String::from_utf8(body).expect("text"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join().expect("the server does not panic");
            assert!(ended.is_ok(), "{ended:?}");
        }
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    whole
}

fn spring() -> Report {
    fixture::story(&fixture::site(), 0)
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let server = Server::start(Some(spring()));
    let (status, head, body) = server.get("/metrics", &[]);
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(body.starts_with("# HELP tidegauge_ready "), "{body}");
    let (_, head, body) =
        server.get("/metrics", &["Accept: application/openmetrics-text;version=1.0.0"]);
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(body.ends_with("\n# EOF\n"));
}

#[test]
fn an_openmetrics_page_has_a_version_that_the_client_takes() {
    let server = Server::start(Some(spring()));
    let page = |accept: &str| {
        let (_, head, body) = server.get("/metrics", &[&format!("Accept: {accept}")]);
        let (_, kind) = head.split_once("content-type: ").expect("a content type");
        (kind.lines().next().unwrap_or_default().to_owned(), body)
    };
    let (kind, draft) = page("application/openmetrics-text; version=0.0.1");
    assert_eq!(kind, "application/openmetrics-text; version=0.0.1; charset=utf-8");
    let (kind, one) = page(
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    );
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(draft, one);
}

#[test]
fn only_its_own_names_lead_to_a_server_on_the_loopback() {
    let server = Server::start(Some(spring()));
    let port = server.address.port();
    let own = [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "[::1]".to_owned()];
    for path in ["/", "/metrics", "/healthz", "/readyz", "/api/status.json", "/nothing"] {
        for host in &own {
            let (status, ..) = server.exchange(&format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            ));
            assert_eq!(status, if path == "/nothing" { 404 } else { 200 }, "{path} of {host}");
        }
        for names in [
            format!("Host: evil.example:{port}"),
            "Host: localhost.evil.example".to_owned(),
            "Host: ".to_owned(),
            "X-Host: localhost".to_owned(),
            "Host: localhost\r\nHost: evil.example".to_owned(),
        ] {
            let head = format!("GET {path} HTTP/1.1\r\n{names}\r\nConnection: close\r\n\r\n");
            let (status, _, body) = server.exchange(&head);
            let body = String::from_utf8(body).expect("text");
            assert_eq!(status, 421, "{path} of {names}");
            assert!(body.contains("[export] hosts") && !body.contains("Spring"), "{body}");
        }
        let (status, ..) = server.exchange(&format!(
            "GET http://evil.example{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ));
        assert_eq!(status, 421, "{path} in full");
    }
    assert_eq!(server.exchange("GET /healthz HTTP/1.0\r\n\r\n").0, 200);
}

#[test]
fn every_answer_tells_browsers_to_make_nothing_more_of_it() {
    let server = Server::start(Some(spring()));
    let request = |method: &str, path: &str, host: &str| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let (status, head, _) = server.exchange(&head);
        (status, head)
    };
    for (method, path, host, status) in [
        ("GET", "/", "localhost", 200),
        ("GET", "/metrics", "localhost", 200),
        ("GET", "/healthz", "localhost", 200),
        ("GET", "/readyz", "localhost", 200),
        ("GET", "/api/status.json", "localhost", 200),
        ("GET", "/api/status.html", "localhost", 200),
        ("HEAD", "/metrics", "localhost", 200),
        ("GET", "/nothing", "localhost", 404),
        ("POST", "/metrics", "localhost", 405),
        ("OPTIONS", "/", "localhost", 405),
        ("GET", "/metrics", "evil.example", 421),
    ] {
        let (answered, head) = request(method, path, host);
        assert_eq!(answered, status, "{method} {path}");
        for header in [
            "content-security-policy: default-src 'none';",
            "x-content-type-options: nosniff",
            "x-frame-options: sameorigin",
            "referrer-policy: no-referrer",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{method} {path} lacks {header}:\n{head}");
        }
        assert!(!head.contains("access-control-"), "{head}");
    }
}

#[test]
fn metrics_are_compressed_where_the_client_can_read_it() {
    let server = Server::start(Some(spring()));
    let (_, head, plain) = server.get("/metrics", &[]);
    assert!(!head.contains("content-encoding"), "{head}");
    let (status, head, packed) = server.request("GET", "/metrics", &["Accept-Encoding: gzip"]);
    assert_eq!(status, 200);
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(packed.len() * 4 < plain.len(), "{} of {} bytes", packed.len(), plain.len());
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip runs: install it with `apt-get install gzip`");
    let mut stdin = gzip.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(&packed));
    let unpacked = gzip.wait_with_output().expect("gzip ends").stdout;
    writer.join().expect("no panic").expect("gzip reads all of it");
    assert_eq!(String::from_utf8_lossy(&unpacked), plain);
}

#[test]
fn a_page_shows_the_newest_report() {
    let server = Server::start(None);
    let (_, _, body) = server.get("/metrics", &[]);
    assert!(body.contains("\ntidegauge_ready 0\n"), "{body}");
    assert!(!body.contains("tidegauge_as_of_timestamp_seconds"), "{body}");
    server.reports.send_replace(Some(Arc::new(spring())));
    server.settle();
    let (_, _, body) = server.get("/metrics", &[]);
    assert!(body.contains("\ntidegauge_ready 1\n"), "{body}");
    assert!(body.contains("\ntidegauge_as_of_timestamp_seconds 1776158999\n"), "{body}");
}

#[test]
fn readiness_says_why_not() {
    let server = Server::start(None);
    assert_eq!(server.get("/healthz", &[]).0, 200);
    let (status, _, body) = server.get("/readyz", &[]);
    assert_eq!(status, 503);
    assert_eq!(body, "starting: not every partition has been looked at yet\n");

    let mut report = spring();
    report.not_ready = vec![NotReady::BrokerDown, NotReady::CatchingUp];
    server.reports.send_replace(Some(Arc::new(report)));
    server.settle();
    let (status, _, body) = server.get("/readyz", &[]);
    assert_eq!(status, 503);
    assert_eq!(
        body,
        "broker_down: no broker answers: figures stay right, for an older moment\n\
         catching_up: the figures are older than any topic may be behind (`stale_after`): \
         partition 1 of `email-events` has waited 8s behind an open transaction\n"
    );
    let (_, head, body) = server.get("/readyz", &["Accept: application/json"]);
    assert!(head.contains("content-type: application/json"), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["ready"], false);
    assert_eq!(body["reasons"][1]["reason"], "catching_up");

    server.reports.send_replace(Some(Arc::new(spring())));
    server.settle();
    assert_eq!(server.get("/readyz", &[]), (200, server.get("/readyz", &[]).1, "ready\n".into()));
}

#[test]
fn while_the_state_is_loaded_pages_say_how_far_it_is() {
    let loading = Arc::new(Loading::default());
    loading.begin();
    let server = Server::start_loading(None, Arc::clone(&loading));
    let says = |expected: &str| {
        assert_eq!(server.get("/readyz", &[]).2, format!("loading: {expected}\n"));
        let (status, _, body) = server.get("/readyz", &["Accept: application/json"]);
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, &body["reasons"][0]["says"]), (503, &expected.into()));
        assert!(server.get("/", &[]).2.contains(expected));
        let (_, _, page) = server.get("/metrics", &[]);
        assert!(page.contains("tidegauge_not_ready{reason=\"loading\"} 1"), "{page}");
        assert!(page.contains("tidegauge_not_ready{reason=\"starting\"} 0"), "{page}");
    };
    says("the saved state is being read");
    loading.expect(2_000_000_000);
    loading.advance(300_000_000);
    says("the saved state is being read: 300.0 of 2000.0 MB (15 %)");
    loading.end();
    assert!(server.get("/readyz", &[]).2.starts_with("starting: "));
    server.reports.send_replace(Some(Arc::new(spring())));
    server.settle();
}

#[test]
fn heads_and_unknown_paths_and_methods_are_answered() {
    let server = Server::start(Some(spring()));
    for path in ["/", "/metrics", "/healthz", "/readyz", "/api/status.json"] {
        let (status, _, body) = server.request("HEAD", path, &[]);
        assert_eq!((status, body.len()), (200, 0), "HEAD {path}");
    }
    let (status, _, body) = server.get("/metric", &[]);
    assert_eq!(status, 404);
    assert!(body.contains("/metrics ") && body.contains("/readyz "), "{body}");
    let (status, head, _) = server.request("POST", "/metrics", &["Content-Length: 0"]);
    assert_eq!(status, 405);
    assert!(head.contains("allow: get,head"), "{head}");
}

#[test]
fn a_head_without_end_is_refused() {
    let server = Server::start(Some(spring()));
    let mut stream = TcpStream::connect(server.address).expect("a connection");
    let header = format!("X-Long: {}\r\n", "x".repeat(8_000));
    let mut sent = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
    for _ in 0..20 {
        sent = sent.and_then(|()| stream.write_all(header.as_bytes()));
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        sent.is_err() || answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "the server read on: {answer}"
    );
    assert_eq!(server.get("/healthz", &[]).0, 200);
}

#[test]
fn stopping_does_not_wait_for_idle_connections() {
    let server = Server::start(Some(spring()));
    let idle = TcpStream::connect(server.address).expect("a connection");
    let begun = std::time::Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(3), "took {:?}", begun.elapsed());
    drop(idle);
}
