//! The status page: what it says, and that nothing in a name can say more.

use std::sync::Arc;

use tidegauge::event::Span;
use tidegauge::export::{NotReady, Report};

use super::fixture;
use super::http::Server;

fn spring() -> Report {
    fixture::story(&fixture::site(), 0)
}

fn with_campaign(name: &str) -> Report {
    let mut report = spring();
    let values: Arc<[Box<str>]> = Arc::new([name.into()]);
    let snapshot = Arc::make_mut(report.snapshot.as_mut().expect("a snapshot"));
    snapshot.slices[1].series[0].values = values.clone();
    report.verdicts[0].values = values;
    report.topics[0].topic = name.to_owned();
    report.missing_topics = vec![name.to_owned()];
    report
}

fn json(server: &Server) -> serde_json::Value {
    let (status, head, body) = server.get("/api/status.json", &[]);
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json"), "{head}");
    serde_json::from_str(&body).expect("JSON")
}

/// The page's text without its markup, style and script.
fn words(page: &str) -> String {
    let main = page.split_once("<main>").and_then(|(_, rest)| rest.split_once("</main>"));
    let main = main.map_or(page, |(main, _)| main);
    let mut words = String::new();
    for piece in main.split('<') {
        words.push(' ');
        words.push_str(piece.split_once('>').map_or(piece, |(_, text)| text));
    }
    let words = words.replace('\u{202f}', " ").replace("&quot;", "\"");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_tells_the_story() {
    let server = Server::start(Some(spring()));
    let (status, head, page) = server.get("/", &[]);
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/html; charset=utf-8"), "{head}");
    let words = words(&page);
    for expected in [
        "Ready. Every figure holds for 09:29:59 UTC , 1 s ago.",
        "2 missed",
        "missed critical unsubscribe spike Spring sale · unsubscribe per delivered, 5m",
        "target at most 0.50 %",
        "owner lifecycle",
        "at risk critical unsubscribe spike Garden week",
        "unknown low opens as usual Autumn preview · open rate, 1h – no data",
        "because there is no data",
        "KPIs by campaign, 5m",
        "missed:",
        "email-events 12 records 09:30:00 UTC, 0 s ago",
        "crm-events does not exist; it is being looked for",
        "3 records, 1 of 2 unknown",
        "12 more values folded (4,711 events)",
        "everything else",
        "only in part: conversion rate 1h 51.3 %",
        "records gone before they were read · partition 1: 1,204, once",
        "saved 0 s ago, 18.3 MB on the disk",
        "told by 1,480,000 ids, remembered for 3 d, 14.7 MB of memory",
        "42 % 3 new measures, 170,000 of 400,000 records read",
    ] {
        assert!(words.contains(expected), "{expected:?} is not in: {words}");
    }
    let missed = page.find("class=\"card missed\"");
    assert!(missed < page.find("class=\"card at_risk\""), "the missed come first");
}

#[test]
fn what_its_script_fetches_is_what_the_page_shows() {
    let server = Server::start(Some(spring()));
    let (_, _, page) = server.get("/", &[]);
    let (_, _, fragment) = server.get("/api/status.html", &[]);
    assert!(page.contains(&format!("<main>{fragment}</main>")));
    assert!(page.contains("<noscript><meta http-equiv=\"refresh\""));
}

#[test]
fn the_page_says_plainly_why_it_is_not_ready() {
    let server = Server::start(None);
    let (_, _, page) = server.get("/", &[]);
    let text = words(&page);
    assert!(text.contains("Not ready: verdicts of this instance do not count now."), "{text}");
    assert!(text.contains("starting: not every partition has been looked at yet"), "{text}");
    assert!(text.contains("There are no figures yet."), "{text}");
    let mut report = spring();
    report.not_ready = vec![NotReady::DeadLettersBlocked];
    report.dead_letters.blocked = true;
    let server = Server::start(Some(report));
    let text = words(&server.get("/", &[]).2);
    assert!(text.contains("dead letters blocked: the dead-letter topic refuses"), "{text}");
    assert!(text.contains("refused, consumption is paused"), "{text}");
}

#[test]
fn the_page_says_plainly_that_the_state_cannot_be_written() {
    let mut report = spring();
    report.not_ready = vec![NotReady::StateBlocked];
    let state = report.state.as_mut().expect("a state");
    state.blocked = Some("No space <left> on device".to_owned());
    state.saved_at = Some(report.made_at - Span::from_secs(300));
    let server = Server::start(Some(report));
    let page = server.get("/", &[]).2;
    let text = words(&page);
    assert!(text.contains("state blocked: the state cannot be written"), "{text}");
    assert!(page.contains("cannot be written: No space &lt;left&gt; on device."), "{page}");
    assert!(text.contains("saved 5 min ago"), "{text}");
    assert_eq!(json(&server)["state"]["blocked"], "No space <left> on device");
}

#[test]
fn what_is_not_kept_is_said() {
    let mut report = spring();
    (report.state, report.duplicates, report.backfill) = (None, None, None);
    let text = words(&Server::start(Some(report)).get("/", &[]).2);
    assert!(text.contains("not saved: a restart reads the topics again"), "{text}");
    assert!(text.contains("copies not looked for"), "{text}");
    assert!(!text.contains("filling"), "{text}");
}

#[test]
fn no_data_is_never_a_number() {
    let mut report = spring();
    let snapshot = Arc::make_mut(report.snapshot.as_mut().expect("a snapshot"));
    for series in &mut snapshot.slices[1].series {
        series.kpis.fill(None);
    }
    let server = Server::start(Some(report));
    let figures = &json(&server)["figures"];
    let rows = figures["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 7);
    for row in &rows[1..] {
        for cell in row["cells"].as_array().expect("cells") {
            assert!(cell["value"].is_null(), "{row}");
        }
    }
    let words = words(&server.get("/", &[]).2);
    assert!(words.contains("Garden week – no data – no data – no data"), "{words}");
}

#[test]
fn a_hostile_name_is_only_ever_text() {
    for name in [
        "<script>alert(1)</script>",
        "</title></main><img src=x onerror=alert(1)>",
        "\"><a href='javascript:alert(1)'>x</a>",
        "{main}{script}{nonce}",
        "nul\u{0}bell\u{7}\u{202e}esrever\u{2028}",
        "'\"&amp;\\u003cb\\u003e\\",
        &"long ".repeat(2_048),
    ] {
        let server = Server::start(Some(with_campaign(name)));
        let (status, _, page) = server.get("/", &[]);
        assert_eq!(status, 200);
        for forbidden in ["<script>alert", "<img", "<a href='java", "\u{0}", "\u{7}", "\u{202e}"] {
            assert!(!page.contains(forbidden), "{name:?} puts {forbidden:?} into the page");
        }
        assert_eq!(page.matches("<script").count(), 1, "{name:?}");
        assert_eq!(page.matches("<main>").count(), 1, "{name:?}");
        let json = json(&server);
        assert_eq!(json["topics"][0]["topic"], name);
        let listed = json["objectives"].as_array().expect("objectives");
        assert!(listed.iter().any(|it| it["values"]["campaign"] == name), "{name:?}");
    }
}

#[test]
fn the_page_asks_nobody_else_for_anything() {
    let server = Server::start(Some(spring()));
    let (_, head, page) = server.get("/", &[]);
    let (_, policy) = head.split_once("content-security-policy: ").expect("a policy");
    let policy = policy.lines().next().expect("a line");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let (_, nonce) = policy.split_once("script-src 'nonce-").expect("a nonce");
    let nonce = nonce.split('\'').next().expect("a nonce");
    assert_eq!(nonce.len(), 32);
    assert!(page.contains(&format!("<script nonce=\"{nonce}\">")));
    assert!(page.contains(&format!("<style nonce=\"{nonce}\">")));
    assert!(!server.get("/", &[]).2.contains(nonce), "a nonce is used once");
    for asset in [" src=", "@import", "url(", "<link rel=\"stylesheet\"", "style=\""] {
        assert!(!page.contains(asset), "the page has {asset:?}");
    }
}

#[test]
fn a_runbook_is_a_link() {
    let (_, _, page) = Server::start(Some(spring())).get("/", &[]);
    assert!(page.contains("href=\"https://runbooks.example.com/unsubscribes?x=1&amp;y=2\""));
}
