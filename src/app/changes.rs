//! What changes from one report to the next, for the log.

use crate::event::Span;
use crate::export::{NotReady, Report};

/// Says when the instance becomes ready or ceases to be, when a topic is further behind than
/// it may be, and when a slice begins to fold values.
pub(super) fn log<'n>(
    before: Option<&Report>,
    report: &Report,
    slice_name: impl Fn(usize) -> &'n str,
) {
    let was_ready = before.is_some_and(|before| before.not_ready.is_empty());
    readiness(before, report, was_ready);
    if was_ready {
        stale_topics(before, report);
    }
    folding(before, report, slice_name);
}

fn readiness(before: Option<&Report>, report: &Report, was_ready: bool) {
    if before.map(|before| &before.not_ready) == Some(&report.not_ready) {
        return;
    }
    let says = |reason: &NotReady| match report.detail(*reason) {
        Some(detail) => format!("{}: {detail}", reason.says()),
        None => reason.says().to_owned(),
    };
    let reasons: Vec<_> = report.not_ready.iter().map(says).collect();
    match reasons.as_slice() {
        [] => tracing::info!("ready: everything is read up to now"),
        // Only what was ready can disappoint: starting and stopping are in order.
        reasons if was_ready && !report.not_ready.contains(&NotReady::Stopping) => {
            tracing::warn!("no longer ready: {}", reasons.join("; "));
        }
        reasons => tracing::info!("not ready: {}", reasons.join("; ")),
    }
}

fn stale_topics(before: Option<&Report>, report: &Report) {
    for topic in report.topics.iter().filter(|topic| topic.stale) {
        let mut of_before = before.iter().flat_map(|before| &before.topics);
        if of_before.any(|of| of.topic == topic.topic && of.stale) {
            continue;
        }
        let behind = Span::from_secs(topic.behind.map_or(0, Span::secs));
        tracing::warn!(
            topic = topic.topic,
            %behind,
            "it is further behind than its `stale_after`, and objectives that rest on it are \
             unknown: {}",
            topic.held().unwrap_or_else(|| {
                "it is read more slowly than written, or not at all".to_owned()
            })
        );
    }
}

fn folding<'n>(before: Option<&Report>, report: &Report, slice_name: impl Fn(usize) -> &'n str) {
    let folds = |report: &Report| -> Vec<bool> {
        let slices = report.snapshot.iter().flat_map(|snapshot| &snapshot.slices);
        slices.map(|slice| slice.folded_values > 0).collect()
    };
    let before = before.map(folds).unwrap_or_default();
    for (slice, folds) in folds(report).into_iter().enumerate() {
        if folds && !before.get(slice).copied().unwrap_or(false) {
            tracing::warn!(
                slice = slice_name(slice),
                "more values than the cap: the lightest are folded into `__other__` and have no \
                 figures of their own"
            );
        }
    }
}
