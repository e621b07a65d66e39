//! TLS: which connections are made, which certificates of clients are taken, and that
//! handshakes keep nobody out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegauge::export::Web;

use super::http::Server;
use super::sign_in::{report, write};
use crate::support::certificates::{Authority, Identity, TlsClient};

/// A folder with a certificate of the server, its issuer, and a web configuration.
struct House {
    folder: TempDir,
    authority: Authority,
}

impl House {
    fn new() -> House {
        let folder = TempDir::new().expect("a folder");
        let authority = Authority::new("the house");
        authority.issue(&["localhost"]).write(folder.path(), "server");
        std::fs::write(folder.path().join("ca.crt"), authority.pem()).expect("a file");
        House { folder, authority }
    }

    fn server(&self, more: &str) -> Server {
        let text =
            format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{more}");
        let path = write(&self.folder, &text);
        let web = Web::open(&path).unwrap_or_else(|problems| panic!("{problems}"));
        Server::start_web(Some(report()), web)
    }

    fn client(&self, identity: Option<&Identity>) -> TlsClient {
        TlsClient::new(&self.authority.pem(), identity)
    }
}

const CLIENTS: &str = "  client_ca_file: ca.crt\n  client_auth_type: ";

/// The status of `/metrics`, or why there is none.
#[track_caller]
fn check(server: &Server, client: &TlsClient, path: &str, expected: &str) {
    let answer = match client.get(server.address(), path, &[]) {
        Ok(answer) => answer.lines().next().unwrap_or("nothing").to_owned(),
        Err(error) => error.to_string(),
    };
    assert!(answer.contains(expected), "{path}: {answer}, not {expected}");
}

#[test]
fn a_page_comes_over_tls_and_only_so() {
    let house = House::new();
    let server = house.server("");
    let client = house.client(None);
    let answer = client.get(server.address(), "/metrics", &[]).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let whole = client.get(server.address(), "/metrics", &[]).expect("an answer");
    assert!(whole.contains("\ntidegauge_web_config_up_to_date 1\n"), "{whole}");
    assert!(
        whole.contains("\ntidegauge_tls_certificate_expires_timestamp_seconds 4102444800\n"),
        "{whole}"
    );
    let (status, head, body) = server.get("/metrics", &[]);
    assert_eq!(status, 400);
    assert!(body.contains("https://") && head.contains("content-security-policy:"), "{head}{body}");
    check(&server, &TlsClient::new(&Authority::new("another").pem(), None), "/", "UnknownIssuer");
}

/// The head of a handshake of TLS 1.1, without extensions.
fn hello_of_old() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]);
    let mut record = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    record.extend(body);
    record
}

#[test]
fn what_is_older_than_tls_12_is_refused() {
    let house = House::new();
    let server = house.server("");
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    stream.write_all(&hello_of_old()).expect("it is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it is closed");
    // A fatal alert that says protocol_version, or handshake_failure.
    assert!(matches!(answer[..], [21, 3, _, 0, 2, 2, 70 | 40]), "{answer:?}");
    let page = house.client(None).get(server.address(), "/metrics", &[]).expect("an answer");
    assert!(page.contains("tidegauge_refused_clients_total{reason=\"handshake\"} 1\n"), "{page}");
}

#[test]
fn a_certificate_is_demanded_of_all_or_one_way_to_sign_in() {
    let house = House::new();
    let stranger = Authority::new("somebody else");
    let right = house.client(Some(&house.authority.issue(&["scraper.example"])));
    let foreign = house.client(Some(&stranger.issue(&["scraper.example"])));
    let expired = house.client(Some(&house.authority.issue_for(&["s"], (2_000, 2_020))));
    let early = house.client(Some(&house.authority.issue_for(&["s"], (2_090, 2_100))));
    let none = house.client(None);

    let server = house.server(&format!("{CLIENTS}RequireAndVerifyClientCert\n"));
    check(&server, &right, "/metrics", "200 OK");
    check(&server, &none, "/metrics", "CertificateRequired");
    check(&server, &none, "/healthz", "CertificateRequired");
    for (client, alert) in [
        (&foreign, "DecryptError"),
        (&expired, "CertificateExpired"),
        (&early, "CertificateExpired"),
    ] {
        let error = client.get(server.address(), "/metrics", &[]).expect_err("no answer");
        let error = error.to_string();
        assert!(error.contains(alert) || error.contains("UnknownCA"), "{error}");
    }
    let page = right.get(server.address(), "/metrics", &[]).expect("an answer");
    for line in ["{reason=\"no_certificate\"} 2\n", "{reason=\"bad_certificate\"} 3\n"] {
        assert!(page.contains(line), "{line} is not in {page}");
    }

    let server = house.server(&format!("{CLIENTS}VerifyClientCertIfGiven\n"));
    check(&server, &right, "/metrics", "200 OK");
    check(&server, &none, "/metrics", "403 Forbidden");
    check(&server, &none, "/healthz", "200 OK");
    assert!(foreign.get(server.address(), "/healthz", &[]).is_err());
    let names =
        format!("{CLIENTS}RequireAndVerifyClientCert\n  client_allowed_sans: [\"other\"]\n");
    let server = house.server(&names);
    check(&server, &right, "/metrics", "AccessDenied");
    check(&server, &house.client(Some(&house.authority.issue(&["other"]))), "/", "200 OK");
}

#[test]
fn where_both_are_declared_a_certificate_does_not_spare_the_password() {
    let house = House::new();
    let hash = tidegauge::export::hash_password("x", 10).expect("a hash");
    let users = format!("basic_auth_users: {{ a: \"{hash}\" }}\n");
    let right = house.client(Some(&house.authority.issue(&["scraper.example"])));
    let password = "Authorization: Basic YTp4";
    let server = house.server(&format!("{CLIENTS}RequireAndVerifyClientCert\n{users}"));
    check(&server, &right, "/metrics", "401 Unauthorized");
    let answer = right.get(server.address(), "/metrics", &[password]).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(house.client(None).get(server.address(), "/metrics", &[password]).is_err());
    // As one of several ways it does.
    let server = house.server(&format!("{CLIENTS}VerifyClientCertIfGiven\n{users}"));
    check(&server, &right, "/metrics", "200 OK");
    check(&server, &house.client(None), "/metrics", "401 Unauthorized");
}

#[test]
fn slow_handshakes_keep_nobody_else_from_an_answer() {
    let house = House::new();
    let server = house.server("");
    let client = house.client(None);
    let mut crowd = Vec::new();
    for number in 0..500 {
        let Ok(mut stream) = TcpStream::connect(server.address()) else { continue };
        if number % 2 == 0 {
            let _ = stream.write_all(&[22, 3, 1, 1]);
        }
        crowd.push(stream);
        if number % 50 == 49 {
            let begun = Instant::now();
            check(&server, &client, "/metrics", "200 OK");
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(2), "after {number}: {took:?}");
        }
    }
    // Those that are left are closed before long.
    let mut last = crowd.pop().expect("one");
    last.set_read_timeout(Some(Duration::from_secs(12))).expect("a socket");
    let closed = last.read(&mut [0; 100]);
    let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(closed.as_ref().map_or_else(reset, |read| *read == 0), "{closed:?}");
}
