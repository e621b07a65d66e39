//! What is refused, on either side, is told with its cause and what to do about it.

use std::sync::Arc;
use std::time::Duration;

use tidegauge::config;
use tidegauge::kafka::{Access, StartAt};

use crate::kafka_sign_in::provider;
use crate::support::kafka::unique;
use crate::support::reading::{Reading, Seen, settings};
use crate::support::secured::Secured;
use crate::support::tokens::Provider;

/// A source that reads a topic with what is declared.
fn reading(brokers: &str, access: &str) -> Reading {
    let topic = unique("refused");
    let text = format!(
        "[kafka]\nbrokers = \"{brokers}\"\n{access}\n[[topics]]\nname = \"{topic}\"\nformat = \
         \"canonical\"\n"
    );
    let path = Secured::shared().file(&format!("{topic}.toml"), &text);
    let config = config::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
    let mut settings = settings(brokers, &[&topic], StartAt::Beginning);
    settings.access = Access::new(&config.kafka);
    settings.properties = config.kafka.properties.clone();
    Reading::of(settings)
}

#[track_caller]
fn told(listener: &str, access: &str, what: impl Fn(&Seen) -> Option<&String>, parts: &[&str]) {
    let brokers = match listener {
        "plain" => Secured::shared().kafka.bootstrap(),
        _ => Secured::shared().listener(listener),
    };
    let mut reading = reading(&brokers, access);
    reading.until("what is refused", |seen| what(seen).is_some());
    let text = what(&reading.seen).expect("a text").clone();
    eprintln!("{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("never-shown"), "{text}");
}

/// It ends with a message that says so.
#[track_caller]
fn is_fatal(listener: &str, access: &str, parts: &[&str]) {
    told(listener, access, |seen| seen.fatal.as_ref(), parts);
}

/// It waits, and says why no broker answers.
#[track_caller]
fn is_silence(listener: &str, access: &str, parts: &[&str]) {
    told(listener, access, |seen| seen.silence.as_ref(), parts);
}

fn ca(of: &std::path::Path) -> String {
    format!("[kafka.tls]\nca = \"{}\"\n", of.display())
}

fn trusting() -> String {
    ca(&Secured::shared().authority.file)
}

fn password(mechanism: &str, name: &str, password: &str) -> String {
    format!(
        "{}[kafka.sign_in]\nmechanism = \"{mechanism}\"\nusername = \"{name}\"\npassword = \
         \"{password}\"\n",
        trusting()
    )
}

#[test]
fn a_wrong_password_and_an_unknown_user() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        for name in ["gauge", "nobody"] {
            is_fatal(
                "LOGIN",
                &password(mechanism, name, "hunter2"),
                &[&format!("do not let in `User:{name}`"), "the password is wrong", "`password`"],
            );
        }
    }
}

#[test]
fn a_mechanism_that_the_listener_does_not_offer() {
    is_fatal(
        "SCRAM",
        &password("PLAIN", "gauge", "secret"),
        &["does not offer PLAIN but SCRAM-SHA-512", "another mechanism in [kafka.sign_in]"],
    );
    is_fatal("TLS", &password("PLAIN", "gauge", "secret"), &["this listener knows no sign-in"]);
}

#[test]
fn a_token_for_somebody_else() {
    let secured = Secured::shared();
    let token = secured.signer.token("gauge", "another-audience", Duration::from_secs(60));
    let file = secured.file(&unique("token"), &token);
    let access = format!(
        "{}[kafka.sign_in]\nmechanism = \"OAUTHBEARER\"\ntoken_file = \"{}\"\n",
        trusting(),
        file.display()
    );
    is_fatal("LOGIN", &access, &["they refuse the token", "audience"]);
}

#[test]
fn a_certificate_of_an_unknown_authority() {
    let foreign = &Secured::shared().foreign.file;
    is_silence("TLS", &ca(foreign), &["not from an authority in", "foreign.pem", "`ca`"]);
    is_silence(
        "TLS",
        "[kafka.tls]\n",
        &["not from an authority that this system trusts", "as `ca` in [kafka.tls]"],
    );
}

#[test]
fn an_expired_certificate() {
    is_silence("OLD", &trusting(), &["has expired: it was valid until 2020-01-01T00:00:00Z"]);
}

#[test]
fn a_certificate_for_another_name() {
    is_silence("NAMED", &trusting(), &["is not for `127.0.0.1`, but for", "kafka.example.com"]);
}

#[test]
fn no_certificate_where_one_is_asked_for() {
    is_silence("MUTUAL", &trusting(), &["asks for a certificate, and none is declared"]);
    let client = &Secured::shared().foreign_client;
    let own = format!(
        "certificate = \"{}\"\nkey = \"{}\"\n",
        client.certificate.display(),
        client.key.display()
    );
    is_silence(
        "MUTUAL",
        &(trusting() + &own),
        &["does not accept the certificate in", "an authority that the broker trusts"],
    );
}

#[test]
fn a_listener_of_another_kind() {
    is_silence("TLS", "", &["speaks TLS, and the connection is plain", "write [kafka.tls]"]);
    is_silence("plain", &trusting(), &["speaks no TLS", "leave [kafka.tls] out"]);
    is_silence(
        "LOGIN",
        &trusting(),
        &["takes connections and does not answer", "write [kafka.sign_in]"],
    );
}

#[test]
fn a_provider_that_gives_no_token() {
    let signer = Arc::clone(&Secured::shared().signer);
    let provided = Provider::start(signer, Duration::from_secs(60), None);
    let (url, access) = (provided.url(), provider(&provided.url(), ""));
    let wrong = access.replace("client_id = \"gauge\"", "client_id = \"another\"");
    is_silence(
        "LOGIN",
        &wrong,
        &[&url, "401", "invalid_client: no such client", "look at `client_id`"],
    );
    provided.answer(Some((200, "<html>welcome</html>")));
    is_silence("LOGIN", &access, &["without an `access_token`", "`token_url`"]);
    provided.answer(Some((302, "")));
    is_silence("LOGIN", &access, &["302", "`token_url`"]);
    let nobody = provider("http://localhost:1/token", "");
    is_silence("LOGIN", &nobody, &["http://localhost:1/token does not answer"]);
}
