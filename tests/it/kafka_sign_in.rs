//! Signing in to a real Apache Kafka, by each mechanism: a whole instance reads a topic to
//! its figures, writes a dead letter, and commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tidegauge::event::EventTime;
use tidegauge::kafka::Producer;

use crate::support::acl::{DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE, allow_group, allow_topic};
use crate::support::instance::Instance;
use crate::support::kafka::{unique, wait_for};
use crate::support::secured::Secured;
use crate::support::tokens::{AUDIENCE, CLIENT, Provider};

/// A topic that `gauge` may read, another for its dead letters, and the text of a
/// configuration; `access` is what is declared of signing in.
struct Place {
    topic: String,
    configuration: String,
    producer: Producer,
    written: usize,
}

impl Place {
    fn new(listener: &str, access: &str) -> Place {
        let secured = Secured::shared();
        let kafka = &secured.kafka;
        let topic = kafka.topic("signed-in", 2, &[]);
        let dead = format!("{topic}.dead");
        kafka.create_topic(&dead, 1, &[]);
        allow_topic(kafka, "User:gauge", &topic, &[READ, DESCRIBE, DESCRIBE_CONFIGS]);
        allow_topic(kafka, "User:gauge", &dead, &[WRITE, DESCRIBE]);
        allow_group(kafka, "User:gauge", &format!("{topic}."), &[READ]);
        let configuration = format!(
            "instance = \"a\"\n[kafka]\nbrokers = \"{}\"\ngroup = \"{topic}\"\ndead_letters = \
             \"{dead}\"\n{access}\n[export]\nlisten = \"$LISTEN\"\n[[topics]]\nname = \
             \"{topic}\"\nformat = \"canonical\"\n",
            secured.listener(listener)
        );
        let producer = kafka.producer(&[]);
        Place { topic, configuration, producer, written: 0 }
    }

    fn write(&mut self, events: usize) {
        let now = Timestamp::now();
        let at = Some(EventTime::from_millis(now.as_millisecond()));
        for _ in 0..events {
            let id = self.written;
            self.written += 1;
            let event = format!(r#"{{"id":"{id}","type":"email.delivered","time":"{now}"}}"#);
            self.producer.send(&self.topic, None, Some(event.as_bytes()), &[], at).expect("sent");
        }
        self.producer.flush(Duration::from_secs(30)).expect("written");
    }

    fn refuse_one(&self) {
        self.producer.send(&self.topic, None, Some(b"no event"), &[], None).expect("sent");
        self.producer.flush(Duration::from_secs(30)).expect("written");
    }

    fn wait_counted(&self, instance: &Instance) {
        instance.wait_metrics("all events", |metrics| {
            let counted = metrics.sum("tidegauge_ledger_events", &[("outcome", "counted")]);
            (counted == self.written as f64).then_some(())
        });
    }

    /// An instance reads all, writes the dead letter and commits.
    fn works(&mut self) -> Instance {
        self.write(20);
        self.refuse_one();
        let mut instance = Instance::start(&self.configuration);
        instance.wait_ready();
        self.wait_counted(&instance);
        instance.wait_metrics("the dead letter", |metrics| {
            (metrics.sum("tidegauge_dead_letters", &[("state", "written")]) == 1.0).then_some(())
        });
        let group = format!("{}.a", self.topic);
        wait_for("the commit", || {
            let committed = |of| Secured::shared().kafka.committed(&group, &self.topic, of);
            (committed(0).unwrap_or(0) + committed(1).unwrap_or(0) == 21).then_some(())
        });
        instance
    }
}

#[track_caller]
fn works(listener: &str, access: &str) {
    let instance = Place::new(listener, access).works();
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
    assert!(!log.contains("WARN") && !log.contains("secret"), "{log}");
}

fn tls() -> String {
    format!("[kafka.tls]\nca = \"{}\"\n", Secured::shared().authority.file.display())
}

fn password(mechanism: &str) -> String {
    let file = Secured::shared().file(&unique("password"), "secret\n");
    format!(
        "{}[kafka.sign_in]\nmechanism = \"{mechanism}\"\nusername = \"gauge\"\npassword = {{ file \
         = \"{}\" }}\n",
        tls(),
        file.display()
    )
}

#[test]
fn over_tls() {
    works("TLS", &tls());
}

#[test]
fn by_a_certificate() {
    let client = &Secured::shared().client;
    let (certificate, key) = (client.certificate.display(), client.key.display());
    let own = format!("certificate = \"{certificate}\"\nkey = \"{key}\"\n");
    works("MUTUAL", &(tls() + &own));
}

#[test]
fn by_a_password() {
    works("LOGIN", &password("PLAIN"));
}

#[test]
fn by_scram() {
    works("LOGIN", &password("SCRAM-SHA-256"));
    works("SCRAM", &password("SCRAM-SHA-512"));
}

/// What is declared of a provider of tokens.
pub(crate) fn provider(url: &str, more: &str) -> String {
    let secret = Secured::shared().file(&unique("client-secret"), CLIENT.1);
    format!(
        "{}[kafka.sign_in]\nmechanism = \"OAUTHBEARER\"\ntoken_url = \"{url}\"\nclient_id = \
         \"{}\"\nclient_secret = {{ file = \"{}\" }}\nscope = \"kafka read\"\n{more}\n",
        tls(),
        CLIENT.0,
        secret.display()
    )
}

/// The broker ends each connection with the token that opened it.
#[test]
fn by_tokens_that_are_renewed_while_it_runs() {
    let secured = Secured::shared();
    let good_for = Duration::from_secs(12);
    let issuer = secured.authority.issue(
        secured.authority.file.parent().expect("a folder"),
        "provider",
        "localhost",
        false,
    );
    let provided = Provider::start(Arc::clone(&secured.signer), good_for, Some(&issuer));
    let more = format!(
        "token_ca = \"{}\"\nextensions = {{ logicalCluster = \"lkc-1\" }}",
        secured.authority.file.display()
    );
    let mut place = Place::new("LOGIN", &provider(&provided.url(), &more));
    let instance = place.works();
    let one = provided.given();
    assert!(one <= 3, "one token is for all clients, not {one}");
    let begun = Instant::now();
    while begun.elapsed() < good_for * 5 / 2 {
        place.write(1);
        place.wait_counted(&instance);
    }
    let given = provided.given() - one;
    assert!((2..=5).contains(&given), "{given} tokens in {:?}", begun.elapsed());
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
    assert!(!log.contains("WARN") && !log.contains(CLIENT.1), "{log}");
}

/// A token for `gauge` that is good for so long.
fn token(secs: u64) -> String {
    Secured::shared().signer.token("gauge", AUDIENCE, Duration::from_secs(secs))
}

/// A place whose instance signs in by a token that is good for so long, in a file, and the
/// name of that file.
fn by_token_file(secs: u64) -> (String, Place) {
    let name = unique("token");
    let file = Secured::shared().file(&name, &token(secs));
    let access = format!(
        "{}[kafka.sign_in]\nmechanism = \"OAUTHBEARER\"\ntoken_file = \"{}\"\n",
        tls(),
        file.display()
    );
    (name, Place::new("LOGIN", &access))
}

#[test]
fn by_a_token_that_somebody_keeps_fresh_in_a_file() {
    let secured = Secured::shared();
    let (name, mut place) = by_token_file(15);
    let instance = place.works();
    secured.file(&name, &token(600));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        place.write(1);
        place.wait_counted(&instance);
    }
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
}

#[test]
fn a_token_that_ends_before_there_is_another_is_waited_for() {
    let secured = Secured::shared();
    let (name, mut place) = by_token_file(12);
    let instance = place.works();
    for gone in ["", "never-shown-token"] {
        secured.file(&name, gone);
        wait_for("that no broker lets it in", || {
            let (_, text) = instance.get("/readyz")?;
            text.contains("broker_down").then_some(())
        });
        secured.file(&name, &token(12));
        place.write(3);
        place.wait_counted(&instance);
    }
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
    assert!(!log.contains("never-shown-token"), "{log}");
}

#[test]
fn a_provider_that_fails_is_told_and_waited_for() {
    let secured = Secured::shared();
    let good_for = Duration::from_secs(60);
    let provided = Provider::start(Arc::clone(&secured.signer), good_for, None);
    provided.answer(Some((
        503,
        r#"{"error":"unavailable","error_description":"no token today: never-shown-secret"}"#,
    )));
    let mut place = Place::new("LOGIN", &provider(&provided.url(), ""));
    place.write(5);
    let instance = Instance::start(&place.configuration);
    let told = wait_for("why it is not ready", || {
        let (_, text) = instance.get("/readyz")?;
        text.contains("503").then_some(text)
    });
    assert!(told.contains("there is no token to sign in with"), "{told}");
    assert!(told.contains(&provided.url()) && told.contains("no token today: ***"), "{told}");
    provided.answer(None);
    place.wait_counted(&instance);
    let (status, log) = instance.terminate();
    assert!(status.success(), "{status}\n{log}");
    assert!(!log.contains(CLIENT.1), "{log}");
}
