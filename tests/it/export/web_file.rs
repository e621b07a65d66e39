//! The form of the web configuration: what it takes, and every mistake with its place.

use std::net::SocketAddr;

use tempfile::TempDir;
use tidegauge::config::Problem;
use tidegauge::export::{Web, check_web};

use super::sign_in::write;
use crate::support::certificates::Authority;

const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let authority = Authority::new("the house");
    authority.issue(&["localhost"]).write(folder.path(), "server");
    authority.issue(&["localhost"]).write(folder.path(), "other");
    authority.issue_for(&["localhost"], (2_000, 2_020)).write(folder.path(), "expired");
    authority.issue_for(&["localhost"], (2_090, 2_100)).write(folder.path(), "early");
    for (name, text) in [
        ("ca.crt", authority.pem()),
        ("empty", String::new()),
        ("token", "a-token-that-nobody-guesses\n".to_owned()),
        ("short", "short\n".to_owned()),
    ] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn texts(folder: &TempDir, problems: &[Problem]) -> String {
    let folder = format!("{}/", folder.path().display());
    problems.iter().map(|problem| format!("{problem}\n").replace(&folder, "")).collect()
}

/// What is said of a file on an address: mistakes, what is out of its time, warnings.
#[track_caller]
fn check(text: &str, listen: &str, expected: [&str; 3]) {
    let folder = folder();
    let path = write(&folder, text);
    let listen: SocketAddr = listen.parse().expect("an address");
    let found = check_web(&path, listen);
    let said = [&found.problems, &found.dated, &found.warnings].map(|of| texts(&folder, of));
    for (said, expected) in said.iter().zip(expected) {
        assert_eq!(said, expected, "of\n{text}");
    }
    assert_eq!(Web::open(&path).is_ok(), found.problems.is_empty());
}

const LOOPBACK: &str = "127.0.0.1:9184";
const PUBLIC: &str = "0.0.0.0:9184";

#[test]
fn a_file_of_the_exporter_toolkit_is_taken_as_it_is() {
    let text = format!(
        "tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [scraper.example]
  min_version: TLS12
  max_version: TLS13
  cipher_suites:
    - TLS_AES_128_GCM_SHA256
    - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
  prefer_server_cipher_suites: true
  curve_preferences: [CurveP256, X25519]
http_server_config:
  http2: true
  headers:
    X-Frame-Options: deny
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  alice: {HASH}
bearer_tokens:
  agent: {{ file: token }}
rate_limit:
  interval: 1s
  burst: 20
"
    );
    let open = "web.yml:22:18: every user of this machine can read `token`\n  help: take that \
                right away: `chmod o-rwx`, or `defaultMode: 0440` of a mounted secret\n";
    check(&text, PUBLIC, ["", "", open]);
    check("", LOOPBACK, ["", "", ""]);
    check("# nothing yet\n", LOOPBACK, ["", "", ""]);
}

#[test]
fn every_mistake_has_its_place_and_a_remedy() {
    let text = "tls_server_config:
  cert_file: server.crt
  key_file: none.key
  client_auth_type: RequireAnyClientCert
  client_allowed_sans: scraper
  min_version: TLS11
  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]
  curve_preferences: [CurveP521]
  ca_file: ca.crt
http_server_config:
  headers:
    Content-Security-Policy: default-src *
    X-Frame-Options: allow-all
basic_auth_user:
  a: b
basic_auth_users:
  'a:b': x
  bob: never-shown
  eve: $2y$05$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG
  max: $2y$18$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG
bearer_tokens:
  plain: never-shown
  both: { file: token, sha256: ab }
  short: { file: short }
  hash: { sha256: never-shown }
rate_limit:
  interval: often
  burst: 0
";
    let made = "  help: make one with `tidegauge hash-password`\n";
    let form = "  help: write { file: PATH } or { sha256: HEX }; `tidegauge hash-password --token` makes both\n";
    let expected = format!(
        "web.yml:3:13: cannot read `none.key`: No such file or directory (os error 2)
  help: name a file that this user may read; relative paths begin at this file's folder
web.yml:4:21: a certificate that is not verified says nothing about a client
  help: set `client_auth_type` to RequireAndVerifyClientCert or VerifyClientCertIfGiven
web.yml:5:24: `tls_server_config.client_allowed_sans` has to be a list, but is a text
web.yml:6:16: TLS 1.0 and 1.1 are broken, and not spoken here
  help: write TLS12 or TLS13
web.yml:7:19: the cipher suite `TLS_RSA_WITH_AES_128_CBC_SHA` is not spoken here
  help: there are TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
web.yml:8:23: the curve `CurveP521` is not spoken here
  help: there are X25519, CurveP256 and CurveP384
web.yml:9:3: unknown key `ca_file` in `tls_server_config`
  help: did you mean `cert_file`?
web.yml:12:30: the pages have a policy of their own, which allows nothing but themselves
  help: leave it out
web.yml:13:22: `X-Frame-Options` cannot have this value
  help: it can be deny or sameorigin
web.yml:14:1: unknown key `basic_auth_user` in the top level
  help: did you mean `basic_auth_users`?
web.yml:17:10: nobody can sign in as `a:b`
  help: a user's name has neither colons nor control characters
web.yml:18:8: `basic_auth_users.bob` is no bcrypt hash
{made}web.yml:19:8: `basic_auth_users.eve` has the cost 5, and from 10 to 14 is right
{made}web.yml:20:8: `basic_auth_users.max` has the cost 18, and from 10 to 14 is right
{made}web.yml:22:10: `bearer_tokens.plain` has to be a table: no token stands here
{form}web.yml:23:9: `bearer_tokens.both` needs either `file` or `sha256`
{form}web.yml:24:18: there is no token of at least 16 characters in it
  help: one word alone on one line; `tidegauge hash-password --token` makes one
web.yml:25:19: `bearer_tokens.hash.sha256` is no SHA-256 of 64 hexadecimal digits
{form}web.yml:27:13: `rate_limit.interval` is no time between two requests
  help: write it as \"100ms\" or \"1s\", an hour at most; 0 for no limit
web.yml:28:10: `rate_limit.burst` has to be from 1 to 1000000
"
    );
    let open = "web.yml:24:18: every user of this machine can read `short`\n  help: take that \
                right away: `chmod o-rwx`, or `defaultMode: 0440` of a mounted secret\n";
    check(text, LOOPBACK, [&expected, "", open]);
}

#[test]
fn a_certificate_has_its_key_and_its_time() {
    let tls = |certificate: &str, key: &str, more: &str| {
        format!("tls_server_config:\n  cert_file: {certificate}\n  key_file: {key}\n{more}")
    };
    let renew = "  help: put a new one in its place; it is taken up without a restart\n";
    check(&tls("server.crt", "server.key", ""), PUBLIC, ["", "", &exposed("nobody")]);
    check(
        &tls("server.crt", "other.key", ""),
        LOOPBACK,
        [
            "web.yml:3:13: it is not the key of the certificate\n  help: name the key with which \
             this certificate was asked for\n",
            "",
            "",
        ],
    );
    let past = format!(
        "web.yml:2:14: the certificate expired at 2020-01-01T00:00:00Z: clients that look refuse it\n{renew}"
    );
    check(&tls("expired.crt", "expired.key", ""), LOOPBACK, ["", &past, ""]);
    check(
        &tls("early.crt", "early.key", ""),
        LOOPBACK,
        [
            "",
            "web.yml:2:14: the certificate is not valid before 2090-01-01T00:00:00Z\n  help: wait, \
             or correct the clock of this machine or of the issuer\n",
            "",
        ],
    );
    let pem = "  help: it has to be PEM: `-----BEGIN CERTIFICATE-----` and so on\n";
    let swapped = format!(
        "web.yml:2:14: there is no certificate in it\n{pem}web.yml:3:13: there is no private key in \
         it that can be read without a passphrase\n  help: it has to be PEM, `-----BEGIN PRIVATE \
         KEY-----` and so on; `openssl pkey` takes a passphrase off\n"
    );
    check(&tls("server.key", "empty", ""), LOOPBACK, [&swapped, "", &readable("empty", "3:13")]);
    check(
        &tls("server.crt", "server.key", "  client_auth_type: VerifyClientCertIfGiven\n"),
        LOOPBACK,
        [
            "web.yml:2:3: clients are asked for certificates, and nobody is named who issues them\n  \
             help: name the issuers with `client_ca_file`\n",
            "",
            "",
        ],
    );
    check(
        &tls("server.crt", "server.key", "  client_ca_file: ca.crt\n"),
        LOOPBACK,
        [
            "web.yml:4:19: it issues certificates that no client is asked for\n  help: set \
             `client_auth_type` to RequireAndVerifyClientCert or VerifyClientCertIfGiven\n",
            "",
            "",
        ],
    );
}

fn readable(file: &str, at: &str) -> String {
    format!(
        "web.yml:{at}: every user of this machine can read `{file}`\n  help: take that right away: \
         `chmod o-rwx`, or `defaultMode: 0440` of a mounted secret\n"
    )
}

fn exposed(what: &str) -> String {
    match what {
        "nobody" => {
            "web.yml: whoever reaches 0.0.0.0:9184 reads every figure: nobody is asked who they \
             are\n  help: declare `basic_auth_users`, `bearer_tokens` or certificates of clients\n"
        }
        _ => {
            "web.yml: whoever is on the way to 0.0.0.0:9184 reads passwords, tokens and figures: \
             they travel in plain text\n  help: declare `tls_server_config`, or listen on 127.0.0.1 \
             behind a proxy that speaks TLS\n"
        }
    }
    .to_owned()
}

#[test]
fn on_a_public_address_what_others_can_read_is_told() {
    let users = format!("basic_auth_users:\n  alice: {HASH}\n");
    check("", PUBLIC, ["", "", &exposed("nobody")]);
    check(&users, PUBLIC, ["", "", &exposed("passwords")]);
    check(&users, LOOPBACK, ["", "", ""]);
    let tls = "tls_server_config: { cert_file: server.crt, key_file: server.key }\n";
    check(&format!("{users}{tls}"), PUBLIC, ["", "", ""]);
}

#[test]
fn what_is_declared_and_empty_is_a_mistake() {
    let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let clients = "  client_ca_file: ca.crt\n  client_auth_type: VerifyClientCertIfGiven\n";
    for (text, key) in [
        ("basic_auth_users:\n".to_owned(), "basic_auth_users"),
        ("basic_auth_users: {}\n".to_owned(), "basic_auth_users"),
        ("bearer_tokens: {}\n".to_owned(), "bearer_tokens"),
        ("tls_server_config:\n".to_owned(), "tls_server_config"),
        (format!("{tls}{clients}  client_allowed_sans: []\n"), "client_allowed_sans"),
    ] {
        let folder = folder();
        let found = check_web(&write(&folder, &text), LOOPBACK.parse().expect("an address"));
        let said = texts(&folder, &found.problems);
        let expected = format!("`{key}` is there and holds nothing");
        assert!(said.contains(&expected), "of\n{text}{said}");
    }
}
