//! What is kept over a restart: checkpoints, remembered ids, and the filling of new
//! declarations.

use super::pipeline::{flag, single};
use super::{Samples, Source};
use crate::catalog;
use crate::export::{BackfillReport, DuplicatesReport, StateReport};

pub(super) fn visit(source: Source<'_>, sink: &mut dyn FnMut(Samples)) {
    let Some(report) = source.report else { return };
    if let Some(state) = &report.state {
        checkpoints(state, sink);
    }
    if let Some(duplicates) = &report.duplicates {
        remembered(duplicates, sink);
    }
    if let Some(backfill) = &report.backfill {
        filling(backfill, sink);
    }
}

fn checkpoints(state: &StateReport, sink: &mut dyn FnMut(Samples)) {
    let saved_at = state.saved_at.map(|time| time.as_secs_f64());
    sink(single(&catalog::STATE_SAVED, saved_at));
    sink(single(&catalog::STATE_INTERVAL, Some(state.every.as_secs_f64())));
    sink(single(&catalog::STATE_CHECKPOINTS, Some(state.checkpoints as f64)));
    sink(single(&catalog::STATE_WRITTEN, Some(state.written_bytes as f64)));
    // Before the first there is nothing to say of the newest.
    let newest = state.saved_at.filter(|_| state.checkpoints > 0);
    let bytes = newest.map(|_| state.checkpoint_bytes as f64);
    sink(single(&catalog::STATE_CHECKPOINT_BYTES, bytes));
    let took = newest.map(|_| state.checkpoint_took.as_secs_f64());
    sink(single(&catalog::STATE_CHECKPOINT_SECONDS, took));
    sink(single(&catalog::STATE_DISK, Some(state.disk_bytes as f64)));
    sink(flag(&catalog::STATE_BLOCKED, state.blocked.is_some()));
}

fn remembered(duplicates: &DuplicatesReport, sink: &mut dyn FnMut(Samples)) {
    sink(single(&catalog::REMEMBERED_IDS, Some(duplicates.ids as f64)));
    sink(single(&catalog::REMEMBERED_IDS_BYTES, Some(duplicates.bytes as f64)));
    sink(single(&catalog::DUPLICATE_HORIZON, Some(duplicates.horizon.as_secs_f64())));
}

fn filling(backfill: &BackfillReport, sink: &mut dyn FnMut(Samples)) {
    sink(flag(&catalog::BACKFILL_RUNNING, !backfill.finished));
    sink(single(&catalog::BACKFILL_COLUMNS, Some(backfill.columns as f64)));
    let mut records = Samples::of(&catalog::BACKFILL_RECORDS);
    let remaining = backfill.total_records.saturating_sub(backfill.done_records);
    records.add([("state", "done")], backfill.done_records as f64);
    records.add([("state", "remaining")], remaining as f64);
    sink(records);
}
