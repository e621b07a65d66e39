//! The one table of every exported metric family.
//!
//! Names are written here and nowhere else: the pages, the alert rules, the
//! dashboards and the metrics reference are all made from this table. One family
//! per KPI and per measure is named by [`kpi_family`] and [`measure_family`], the
//! labels of a slice's fields by [`slice_labels`].

mod labels;

pub use labels::{TAKEN_LABELS, slice_labels};

use crate::kpi::{KpiSpec, MeasureSpec, Unit};

/// How Prometheus is to read a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// May go up and down.
    Gauge,
    /// Only goes up, but for a reset; its name ends in `_total`.
    Counter,
    /// Always 1; says something in its labels.
    Info,
}

/// One family of fixed name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The full name, unit included.
    pub name: &'static str,
    /// How to read it.
    pub kind: Kind,
    /// The unit, which then ends the name, but for a counter's `_total`; empty for none.
    pub unit: &'static str,
    /// One sentence for an operator.
    pub help: &'static str,
    /// Its own labels, beside those of the slice where it has one.
    pub labels: &'static [&'static str],
    /// Whether the labels of a slice (`slice` and its fields) come with it.
    pub sliced: bool,
}

impl Family {
    /// The name under which OpenMetrics describes the family: that of its samples
    /// without the suffix that a counter's and an info's samples carry.
    pub fn described_name(&self) -> &'static str {
        described_name(self.name, self.kind)
    }
}

/// See [`Family::described_name`].
pub fn described_name(name: &str, kind: Kind) -> &str {
    let suffix = match kind {
        Kind::Gauge => "",
        Kind::Counter => "_total",
        Kind::Info => "_info",
    };
    name.strip_suffix(suffix).unwrap_or(name)
}

macro_rules! families {
    ($($(#[$doc:meta])* $ident:ident = $kind:ident $name:literal $unit:literal $labels:expr, $sliced:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $ident: Family = Family {
                name: $name, kind: Kind::$kind, unit: $unit, help: $help, labels: &$labels, sliced: $sliced,
            };
        )*
        /// Every family of fixed name, in the order of the page.
        pub const FAMILIES: &[Family] = &[$($ident),*];
    };
}

families! {
    AS_OF = Gauge "tidegauge_as_of_timestamp_seconds" "seconds" [], false,
        "The moment for which every figure on this page holds.";
    READY = Gauge "tidegauge_ready" "" [], false,
        "1 while this instance is consuming, caught up and complete; only then do its verdicts count.";
    NOT_READY = Gauge "tidegauge_not_ready" "" ["reason"], false,
        "1 for each reason why this instance is not ready.";
    COMPLETE = Gauge "tidegauge_snapshot_complete" "" [], false,
        "0 while some partition has been unreadable for more than a minute.";
    COVERAGE = Gauge "tidegauge_coverage_ratio" "ratio" ["slice", "window"], false,
        "The share of a window's span that was read; below an objective's minimum its verdict is unknown.";
    OBJECTIVE_STATE = Gauge "tidegauge_objective_state" "" ["objective", "state"], true,
        "1 for the state in which an objective is, 0 for the other states.";
    OBJECTIVE_UNKNOWN = Gauge "tidegauge_objective_unknown" "" ["objective", "reason"], true,
        "1 with the reason why nothing can be said of an objective.";
    OBJECTIVE_VALUE = Gauge "tidegauge_objective_value" "" ["objective"], true,
        "The figure that an objective judges, in the KPI's unit.";
    OBJECTIVE_SAMPLE = Gauge "tidegauge_objective_sample" "" ["objective"], true,
        "How much stands behind the figure that an objective judges.";
    OBJECTIVE_ATTAINMENT = Gauge "tidegauge_objective_attainment_ratio" "ratio" ["objective"], true,
        "How much of the target is reached: 1 is exactly the target, above 1 is better.";
    OBJECTIVE_REMAINING = Gauge "tidegauge_objective_remaining" "" ["objective"], true,
        "What is missing to the target, in the KPI's unit; 0 when it is met.";
    OBJECTIVE_TARGET = Gauge "tidegauge_objective_target" "" ["objective", "bound"], false,
        "The declared target, in the KPI's unit: bound is `min` or `max`.";
    OBJECTIVE_INFO = Info "tidegauge_objective_info" "" ["objective", "kpi", "slice", "window", "owner", "severity", "serves"], false,
        "What is declared of an objective.";
    KPI_COVERAGE = Gauge "tidegauge_kpi_coverage_ratio" "ratio" ["kpi", "slice", "window"], false,
        "The share of a window's span that was read for a KPI; only for KPIs that have less of it than their slice, such as new ones.";
    SLICE_SERIES = Gauge "tidegauge_slice_series" "" ["slice"], false,
        "Values of a slice that have series of their own.";
    SLICE_SERIES_LIMIT = Gauge "tidegauge_slice_series_limit" "" ["slice"], false,
        "How many values of a slice may have series of their own.";
    SLICE_FOLDED_VALUES = Gauge "tidegauge_slice_folded_values" "" ["slice"], false,
        "Values of a slice without series of their own, as far as they are remembered; 0 when nothing is folded.";
    SLICE_FOLDED_EVENTS = Gauge "tidegauge_slice_folded_events" "" ["slice"], false,
        "Events held in the series `__other__` of a slice.";
    INCONSISTENT_FIGURES = Gauge "tidegauge_inconsistent_figures" "" ["kpi", "slice"], false,
        "Figures that a KPI which is declared to be a share cannot have, over all windows and values of a slice: nothing is judged by them.";
    OTHER_CURRENCY = Gauge "tidegauge_other_currency_events" "" ["measure"], false,
        "Events since the state began (or the process, where none is saved) that a measure of money left out because they are in another currency.";
    OVERFULL_LEVEL = Gauge "tidegauge_overfull_level" "" ["slice", "measure"], false,
        "1 for a level without a figure because one of its values has more keys than are kept.";
    LEDGER_RECORDS = Gauge "tidegauge_ledger_records" "" ["topic", "outcome", "reason"], false,
        "Records since the state began (or the process, where none is saved), by what became of them; live, so that it may go back over a crash; outcome `read` is the sum of the others.";
    LEDGER_EVENTS = Gauge "tidegauge_ledger_events" "" ["topic", "outcome", "reason"], false,
        "Events since the state began (or the process, where none is saved), by what became of them; live, so that it may go back over a crash; outcome `decoded` is the sum of the others.";
    LEDGER_UNIDENTIFIED = Gauge "tidegauge_ledger_unidentified_events" "" ["topic"], false,
        "Events since the state began (or the process, where none is saved) that counted without an id, so that copies could not be told; live, so that it may go back over a crash.";
    RECORDS = Counter "tidegauge_records_total" "" ["topic", "outcome", "reason"], false,
        "Records by what became of them, as of the newest checkpoint on the disk: never goes back over a crash; the sum over all outcomes is what was read.";
    EVENTS = Counter "tidegauge_events_total" "" ["topic", "outcome", "reason"], false,
        "Events by what became of them, as of the newest checkpoint on the disk: never goes back over a crash; the sum over all outcomes is what was decoded.";
    UNIDENTIFIED = Counter "tidegauge_unidentified_events_total" "" ["topic"], false,
        "Events that counted without an id, so that copies could not be told, as of the newest checkpoint on the disk.";
    RECENT_RECORDS = Gauge "tidegauge_recent_records" "" ["topic", "outcome"], false,
        "Records with a timestamp in the last five minutes, by what became of them.";
    RECENT_EVENTS = Gauge "tidegauge_recent_events" "" ["topic", "outcome"], false,
        "Events of records with a timestamp in the last five minutes, by what became of them; `unknown_type` is a part of `ignored`.";
    LAG_RECORDS = Gauge "tidegauge_partition_lag_records" "records" ["topic", "partition"], false,
        "Records of a partition that are not folded yet; absent while the broker does not say.";
    FRONTIER = Gauge "tidegauge_partition_frontier_timestamp_seconds" "seconds" ["topic", "partition"], false,
        "The moment up to which a partition is known to be read.";
    TOPIC_BEHIND = Gauge "tidegauge_topic_behind_seconds" "seconds" ["topic"], false,
        "How long ago the moment is up to which all of a topic is known to be read.";
    TOPIC_STALE_AFTER = Gauge "tidegauge_topic_stale_after_seconds" "seconds" ["topic"], false,
        "How far a topic may be behind, as declared: beyond it, objectives that rest on it are unknown.";
    STALE_AFTER = Gauge "tidegauge_stale_after_seconds" "seconds" [], false,
        "How far the figures may be behind, the longest of all topics: beyond it, no objective is judged.";
    OPEN_TRANSACTION = Gauge "tidegauge_partition_open_transaction_seconds" "seconds" ["topic", "partition"], false,
        "For how long nothing of a partition can be read because the next transaction in it is open; absent while that is not so.";
    PASSED_OVER = Gauge "tidegauge_partition_passed_over_records" "records" ["topic", "partition"], false,
        "Offsets of a partition that no window reached back to when its reading began: at most so many records are passed over on purpose.";
    TOPIC_COMPACTED = Gauge "tidegauge_topic_compacted" "" ["topic"], false,
        "1 for a topic over which something is added up though its log is compacted: what was not read before is missing.";
    PARTITION_GAPS = Counter "tidegauge_partition_gaps_total" "" ["topic", "partition"], false,
        "How often records of a partition were gone before they were read, or its topic was created anew.";
    PARTITION_LOST = Counter "tidegauge_partition_lost_records_total" "records" ["topic", "partition"], false,
        "Records of a partition that were gone before they were read, as far as offsets tell.";
    COVERED_FROM = Gauge "tidegauge_covered_from_timestamp_seconds" "seconds" [], false,
        "The moment from which everything was read; absent where the topics were read from their beginning.";
    TOPIC_MISSING = Gauge "tidegauge_topic_missing" "" ["topic"], false,
        "1 for a declared topic that does not exist.";
    BROKERS_UP = Gauge "tidegauge_brokers_up" "" [], false,
        "1 while a broker answers, 0 while none does.";
    DEAD_LETTERS = Gauge "tidegauge_dead_letters" "" ["state"], false,
        "Dead letters since this process started: `written` are acknowledged, `pending` are not yet.";
    DEAD_LETTERS_BLOCKED = Gauge "tidegauge_dead_letters_blocked" "" [], false,
        "1 while the dead-letter topic refuses and consumption is therefore paused.";
    STATE_SAVED = Gauge "tidegauge_state_saved_timestamp_seconds" "seconds" [], false,
        "The moment of the newest checkpoint on the disk: after a crash reading goes on from there.";
    STATE_INTERVAL = Gauge "tidegauge_state_checkpoint_interval_seconds" "seconds" [], false,
        "How often a checkpoint is declared to be made at the latest.";
    STATE_CHECKPOINTS = Counter "tidegauge_state_checkpoints_total" "" [], false,
        "Checkpoints that this process brought to the disk.";
    STATE_WRITTEN = Counter "tidegauge_state_written_bytes_total" "bytes" [], false,
        "Bytes that this process wrote for checkpoints.";
    STATE_CHECKPOINT_BYTES = Gauge "tidegauge_state_checkpoint_bytes" "bytes" [], false,
        "Bytes of the newest checkpoint.";
    STATE_CHECKPOINT_SECONDS = Gauge "tidegauge_state_checkpoint_duration_seconds" "seconds" [], false,
        "How long writing the newest checkpoint took, the wait for the disk included.";
    STATE_DISK = Gauge "tidegauge_state_disk_bytes" "bytes" [], false,
        "Bytes that the state takes on the disk.";
    STATE_BLOCKED = Gauge "tidegauge_state_blocked" "" [], false,
        "1 while the state cannot be written and consumption is therefore paused.";
    REMEMBERED_IDS = Gauge "tidegauge_remembered_ids" "" [], false,
        "Ids of events that are remembered, by which copies are told.";
    REMEMBERED_IDS_BYTES = Gauge "tidegauge_remembered_ids_bytes" "bytes" [], false,
        "Memory that the remembered ids take.";
    DUPLICATE_HORIZON = Gauge "tidegauge_duplicate_horizon_seconds" "seconds" [], false,
        "How long an id is remembered at least, by the time of the record in which it was first seen.";
    BACKFILL_RUNNING = Gauge "tidegauge_backfill_running" "" [], false,
        "1 while new declarations are being filled from the topics, 0 when all are.";
    BACKFILL_COLUMNS = Gauge "tidegauge_backfill_columns" "" [], false,
        "Measures of slices that are, or were, filled from the topics since this process started.";
    BACKFILL_RECORDS = Gauge "tidegauge_backfill_records" "records" ["state"], false,
        "Records for the filling of new declarations: `done` are read, `remaining` are not yet.";
    WEB_CONFIG_UP_TO_DATE = Gauge "tidegauge_web_config_up_to_date" "" [], false,
        "0 while the web configuration on the disk, or a file that it names, could not be taken up, so that an older one is in force; absent without one.";
    CERTIFICATE_EXPIRES = Gauge "tidegauge_tls_certificate_expires_timestamp_seconds" "seconds" [], false,
        "When the TLS certificate that this instance shows expires, or one that it was issued by; absent without TLS.";
    REFUSED_CLIENTS = Counter "tidegauge_refused_clients_total" "" ["reason"], false,
        "Requests and connections that were refused because their client did not sign in, by reason; absent without a web configuration.";
    SNAPSHOT_SECONDS = Gauge "tidegauge_snapshot_duration_seconds" "seconds" [], false,
        "How long the newest snapshot took to make.";
    START_TIME = Gauge "tidegauge_start_time_seconds" "seconds" [], false,
        "When this process started.";
    BUILD_INFO = Info "tidegauge_build_info" "" ["version", "commit"], false,
        "The version of this program, and the commit that it was built from, if that is known.";
    CONFIG_INFO = Info "tidegauge_config_info" "" ["fingerprint"], false,
        "The fingerprint of the declarations: equal on replicas that compute the same.";
    MEMORY = Gauge "tidegauge_resident_memory_bytes" "bytes" [], false,
        "Memory that this process holds.";
    CPU = Counter "tidegauge_cpu_seconds_total" "seconds" [], false,
        "Processor time that this process has used.";
}

fn with_suffix(base: String, unit: &Unit) -> String {
    let suffix = unit.suffix();
    if base == suffix || base.ends_with(&format!("_{suffix}")) {
        base
    } else {
        format!("{base}_{suffix}")
    }
}

/// The family of a KPI: `tidegauge_<id>_<unit>`, the unit not said twice.
///
/// Its labels are `slice`, the slice's fields, and `window`.
pub fn kpi_family(kpi: &KpiSpec) -> String {
    with_suffix(format!("tidegauge_{}", kpi.id), &kpi.unit)
}

/// The family of a measure: `tidegauge_measure_<id>_<unit>`, the unit not said
/// twice.
///
/// Its labels are `slice`, the slice's fields, and `window`.
pub fn measure_family(measure: &MeasureSpec) -> String {
    with_suffix(format!("tidegauge_measure_{}", measure.id), &measure.unit)
}
