//! A start with much saved state, with the real program: it is there from the first
//! moment on, says how far it is, and can be stopped.

use std::time::{Duration, Instant};

use crate::state_cli::Place;
use crate::support::instance::{Instance, Metrics};

/// Enough that reading them takes a second or so.
const IDS: u64 = 16_000_000;

fn with_ids(ids: u64) -> Place {
    let place = Place::alone();
    place.begin_a_state();
    place.remember(ids);
    place
}

/// What a page answers first; none of them is asked for sooner than it can be.
#[track_caller]
fn first_answer(instance: &Instance, path: &str) -> (u16, String) {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if let Some(answer) = instance.get(path) {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("nothing listens; the log:\n{}", instance.log());
}

#[test]
fn while_the_state_is_loaded_pages_say_so() {
    let place = with_ids(IDS);
    let instance = Instance::start(&place.text);
    assert_eq!(first_answer(&instance, "/healthz"), (200, "alive\n".to_owned()));
    let (status, text) = first_answer(&instance, "/readyz");
    assert!(status == 503 && text.starts_with("loading: the saved state is being read"), "{text}");
    let (_, page) = first_answer(&instance, "/metrics");
    let metrics = Metrics::parse(&page);
    assert_eq!(metrics.one("tidegauge_ready", &[]), Some(0.0), "{page}");
    let reasons = metrics
        .samples()
        .filter(|(family, _, value)| *family == "tidegauge_not_ready" && *value != 0.0);
    let reasons: Vec<&str> = reasons.map(|(_, labels, _)| labels["reason"].as_str()).collect();
    assert_eq!(reasons, ["loading"]);
    assert!(page.contains("tidegauge_build_info{"), "{page}");
    assert!(!page.contains("tidegauge_as_of") && !page.contains("tidegauge_ledger"), "{page}");

    let mut shares = Vec::new();
    loop {
        let (_, text) = first_answer(&instance, "/readyz");
        let Some(rest) = text.strip_prefix("loading: the saved state is being read") else { break };
        if let Some(share) = rest.strip_prefix(": ") {
            let (_, board) = first_answer(&instance, "/api/status.html");
            shares.push((share.trim().to_owned(), board.contains("of 128.0 MB (")));
        }
    }
    assert!(shares.iter().any(|(share, _)| share.contains(" of 128.0 MB (")), "{shares:?}");
    assert!(shares.iter().any(|(_, board)| *board), "{shares:?}");
    let (status, log) = instance.terminate();
    assert!(status.success() && log.contains("the saved state is loaded"), "{status}\n{log}");
}

#[test]
fn a_stop_does_not_wait_for_the_state() {
    let place = with_ids(IDS);
    let instance = Instance::start(&place.text);
    let (_, text) = first_answer(&instance, "/readyz");
    assert!(text.starts_with("loading: "), "{text}");
    let (status, log) = instance.terminate();
    assert!(status.success() && log.contains("stopping"), "{status}\n{log}");
    assert!(!log.contains("the saved state is loaded"), "{log}");
    assert_eq!(place.show()["checkpoint"]["ids"]["remembered"], IDS);
}

#[test]
fn a_state_that_cannot_be_loaded_ends_it() {
    let place = with_ids(1_000);
    place.damage_ids();
    let (status, log) = Instance::start(&place.text).wait_for_end(Duration::from_secs(60));
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("error: ") && log.contains("the checksum of the 1000 items"), "{log}");
}
