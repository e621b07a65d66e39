//! The data of the page's section on the pipeline: slices, topics, and what is kept
//! over a restart.

use serde::Serialize;

use super::data::Moment;
use crate::admit::Ledger;
use crate::export::{BackfillReport, DuplicatesReport, Report, Site, StateReport, TopicReport};

#[derive(Debug, Serialize)]
pub(super) struct SliceStatus<'a> {
    pub(super) slice: &'a str,
    /// The share of each window that was read.
    pub(super) coverage: Vec<(&'a str, f64)>,
    /// KPIs that are less covered than the slice: their names, windows and shares.
    pub(super) less_covered_kpis: Vec<(&'a str, &'a str, f64)>,
    pub(super) series: usize,
    pub(super) series_limit: usize,
    pub(super) folded_values: u64,
    pub(super) folded_events: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct TopicStatus<'a> {
    pub(super) topic: &'a str,
    pub(super) records: Counts,
    pub(super) events: Counts,
    pub(super) recent_records: Counts,
    pub(super) recent_events: Counts,
    pub(super) unidentified: u64,
    pub(super) partitions: usize,
    /// Over the partitions for which the broker says it.
    pub(super) lag_records: Option<u64>,
    pub(super) partitions_without_lag: usize,
    /// The least over the partitions.
    pub(super) frontier: Option<Moment>,
    /// How far it may be behind.
    pub(super) stale_after_seconds: f64,
    /// Whether it is further behind.
    pub(super) stale: bool,
    /// Whether its log is compacted.
    pub(super) compacted: bool,
    /// Which partitions wait behind open transactions.
    pub(super) held: Option<String>,
    /// Offsets that no window reached back to at the start.
    pub(super) passed_over: u64,
    /// The partitions from which records are missing, the worst first.
    pub(super) gaps: Vec<GapStatus>,
}

/// A partition from which records are missing.
#[derive(Debug, Serialize)]
pub(super) struct GapStatus {
    pub(super) partition: i32,
    pub(super) gaps: u64,
    pub(super) lost_records: u64,
}

/// Counts by outcome; `all` is what the others add up to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) all: u64,
    pub(super) counted: u64,
    pub(super) empty: u64,
    pub(super) duplicate: u64,
    pub(super) late: u64,
    pub(super) future: u64,
    pub(super) ignored: u64,
    pub(super) rejected: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct DeadLetters {
    pub(super) written: u64,
    pub(super) pending: u64,
    pub(super) blocked: bool,
}

/// How the checkpoints are doing.
#[derive(Debug, Serialize)]
pub(super) struct StateStatus<'a> {
    pub(super) saved_at: Option<Moment>,
    pub(super) every_seconds: f64,
    pub(super) checkpoint_bytes: u64,
    pub(super) checkpoint_seconds: f64,
    pub(super) disk_bytes: u64,
    /// Why nothing can be written.
    pub(super) blocked: Option<&'a str>,
}

impl<'a> StateStatus<'a> {
    pub(super) fn of(report: &'a StateReport) -> Self {
        StateStatus {
            saved_at: report.saved_at.map(Moment),
            every_seconds: report.every.as_secs_f64(),
            checkpoint_bytes: report.checkpoint_bytes,
            checkpoint_seconds: report.checkpoint_took.as_secs_f64(),
            disk_bytes: report.disk_bytes,
            blocked: report.blocked.as_deref(),
        }
    }
}

/// The ids by which copies are told.
#[derive(Debug, Serialize)]
pub(super) struct DuplicatesStatus {
    pub(super) ids: u64,
    pub(super) bytes: u64,
    pub(super) horizon_seconds: f64,
}

impl From<&DuplicatesReport> for DuplicatesStatus {
    fn from(report: &DuplicatesReport) -> Self {
        DuplicatesStatus {
            ids: report.ids,
            bytes: report.bytes,
            horizon_seconds: report.horizon.as_secs_f64(),
        }
    }
}

/// How far new declarations are filled from the topics.
#[derive(Debug, Serialize)]
pub(super) struct BackfillStatus {
    pub(super) running: bool,
    pub(super) columns: u64,
    pub(super) done_records: u64,
    pub(super) total_records: u64,
}

impl From<&BackfillReport> for BackfillStatus {
    fn from(report: &BackfillReport) -> Self {
        BackfillStatus {
            running: !report.finished,
            columns: report.columns,
            done_records: report.done_records,
            // Brokers tell how many there are before they are all known.
            total_records: report.total_records.max(report.done_records),
        }
    }
}

pub(super) fn slices<'a>(site: &'a Site, report: Option<&Report>) -> Vec<SliceStatus<'a>> {
    let snapshots = report.and_then(|report| report.snapshot.as_deref());
    let snapshots = snapshots.map_or(&[][..], |snapshot| &snapshot.slices);
    snapshots
        .iter()
        .map(|snapshot| {
            let layout = &site.slices[snapshot.slice];
            let windows = layout.windows.iter().map(String::as_str);
            SliceStatus {
                slice: &layout.name,
                coverage: windows.zip(snapshot.coverage.iter().copied()).collect(),
                less_covered_kpis: snapshot
                    .less_covered_kpis(&layout.kpis)
                    .map(|(kpi, window, share)| {
                        let kpi = site.declarations.kpis[kpi].id.as_str();
                        (kpi, layout.windows[window].as_str(), share)
                    })
                    .collect(),
                series: snapshot.series.iter().filter(|series| !series.other).count(),
                series_limit: site.declarations.slices[snapshot.slice].cap,
                folded_values: snapshot.folded_values,
                folded_events: snapshot.folded_events,
            }
        })
        .collect()
}

pub(super) fn topic<'a>(topic: &'a TopicReport, report: &Report) -> TopicStatus<'a> {
    let recent = topic.recent.at(report.made_at);
    let lags = topic.partitions.iter().filter_map(|partition| partition.lag);
    let known = lags.clone().count();
    TopicStatus {
        topic: &topic.topic,
        records: records(&topic.ledger),
        events: events(&topic.ledger),
        recent_records: records(&recent),
        recent_events: events(&recent),
        unidentified: topic.ledger.events.unidentified,
        partitions: topic.partitions.len(),
        lag_records: (known > 0).then(|| lags.sum()),
        partitions_without_lag: topic.partitions.len() - known,
        frontier: topic
            .partitions
            .iter()
            .map(|partition| partition.frontier)
            .min()
            .flatten()
            .map(Moment),
        stale_after_seconds: topic.stale_after.as_secs_f64(),
        stale: topic.stale,
        compacted: topic.compacted,
        held: topic.held(),
        passed_over: topic.partitions.iter().map(|partition| partition.passed_over).sum(),
        gaps: gaps(topic),
    }
}

fn gaps(topic: &TopicReport) -> Vec<GapStatus> {
    let mut gaps: Vec<GapStatus> = topic
        .partitions
        .iter()
        .filter(|partition| partition.gaps > 0)
        .map(|it| GapStatus {
            partition: it.partition,
            gaps: it.gaps,
            lost_records: it.lost_records,
        })
        .collect();
    gaps.sort_by_key(|gap| (std::cmp::Reverse((gap.lost_records, gap.gaps)), gap.partition));
    gaps
}

fn records(ledger: &Ledger) -> Counts {
    let records = &ledger.records;
    Counts {
        all: records.read,
        counted: records.decoded,
        empty: records.empty,
        ignored: records.ignored.iter().sum(),
        rejected: records.rejected.iter().sum(),
        ..Counts::default()
    }
}

fn events(ledger: &Ledger) -> Counts {
    let events = &ledger.events;
    Counts {
        all: events.decoded,
        counted: events.counted,
        duplicate: events.duplicate,
        late: events.late,
        future: events.future,
        ignored: events.ignored.iter().sum(),
        rejected: events.rejected.iter().sum(),
        ..Counts::default()
    }
}
