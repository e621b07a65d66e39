//! Alert rules on the service itself: is it there, is it fresh, does what comes in
//! make sense.
//!
//! What comes in is judged by the last five minutes by record time, which is the same
//! on every replica and after every restart; the ledgers themselves may leap.

use super::rule::Rule;
use crate::catalog::{self, Family};
use crate::event::Span;
use crate::objective::Severity;

const MINUTE: i64 = 60;
/// Of fewer events in five minutes a share says nothing.
const FEW_EVENTS: u32 = 100;
/// Figures older than this are called stale; verdicts are `unknown` from one minute.
const STALE_SECONDS: i64 = 120;

struct ServiceRule {
    alert: &'static str,
    severity: Severity,
    hold: Span,
    expr: String,
    summary: &'static str,
    description: &'static str,
}

/// All of them, the loudest first.
pub(super) fn rules() -> Vec<Rule> {
    [liveness(), source(), state(), ingest(), figures()]
        .into_iter()
        .flatten()
        .map(Rule::from)
        .collect()
}

impl From<ServiceRule> for Rule {
    fn from(rule: ServiceRule) -> Rule {
        Rule {
            alert: rule.alert,
            expr: rule.expr,
            hold: rule.hold,
            keep_firing: Span::ZERO,
            labels: vec![("severity", rule.severity.name().to_owned())],
            annotations: vec![
                ("summary", rule.summary.to_owned()),
                ("description", with_names(rule.description)),
                ("dashboard", format!("/d/{}", super::dashboard::PIPELINE_UID)),
            ],
        }
    }
}

/// Fills in the families that a text asks for when it is rendered.
fn with_names(text: &str) -> String {
    [
        ("$NOT_READY", &catalog::NOT_READY),
        ("$COVERAGE", &catalog::COVERAGE),
        ("$LOST_RECORDS", &catalog::PARTITION_LOST),
    ]
    .iter()
    .fold(text.to_owned(), |text, (place, family)| text.replace(place, family.name))
}

fn minutes(minutes: i64) -> Span {
    Span::from_secs(minutes * MINUTE)
}

fn name(family: &Family) -> &'static str {
    family.name
}

fn liveness() -> Vec<ServiceRule> {
    let ready = name(&catalog::READY);
    let build = name(&catalog::BUILD_INFO);
    let as_of = name(&catalog::AS_OF);
    vec![
        ServiceRule {
            alert: "TidegaugeNoInstanceReady",
            severity: Severity::Critical,
            hold: minutes(2),
            expr: format!("absent({ready} == 1)"),
            summary: "No Tidegauge instance is ready",
            description: "No verdict counts until one is: alerts on objectives stay as they are, \
                          and new misses go unseen. Ask /readyz of each instance for the reason.",
        },
        ServiceRule {
            alert: "TidegaugeKpisStale",
            severity: Severity::Critical,
            hold: minutes(1),
            expr: format!("time() - max({as_of}) > {STALE_SECONDS}\nor\nabsent({as_of})"),
            summary: "The KPIs are stale on every instance",
            description: "The newest figures of any instance hold for a moment more than two \
                          minutes ago, or there are none. They stay right for that moment. Look \
                          at the lag by partition, and at whether the broker answers.",
        },
        ServiceRule {
            alert: "TidegaugeInstanceNotReady",
            severity: Severity::Warning,
            hold: minutes(5),
            expr: format!("{ready} == 0"),
            summary: "{{ $labels.instance }} has not been ready for five minutes",
            description: NOT_READY_TEXT,
        },
        ServiceRule {
            alert: "TidegaugeInstanceDown",
            severity: Severity::Warning,
            hold: minutes(5),
            expr: format!(
                "up == 0\nand on (job, instance) (present_over_time({build}[1d]) or \
                 up{{job=\"tidegauge\"}})"
            ),
            summary: "{{ $labels.instance }} cannot be scraped",
            description: "Prometheus has not reached this instance for five minutes. Alerts on \
                          objectives do not depend on one instance and are not held back by this.",
        },
        ServiceRule {
            alert: "TidegaugeConfigurationsDiffer",
            severity: Severity::Warning,
            hold: minutes(10),
            expr: format!(
                "count by (job) (count by (job, fingerprint) ({})) > 1",
                name(&catalog::CONFIG_INFO)
            ),
            summary: "Instances of {{ $labels.job }} run different declarations",
            description: "{{ $value }} fingerprints are in use, so replicas may answer \
                          differently. Roll the same configuration out to all of them.",
        },
    ]
}

const NOT_READY_TEXT: &str = "Its verdicts do not count meanwhile. Reasons: \
    {{ range printf `$NOT_READY{job=%+q,instance=%+q} == 1` $labels.job $labels.instance \
    | query }}{{ .Labels.reason }} {{ else }}not given {{ end }}(/readyz says more).";

fn source() -> Vec<ServiceRule> {
    vec![
        ServiceRule {
            alert: "TidegaugeBrokerDown",
            severity: Severity::Critical,
            hold: minutes(1),
            expr: format!("{} == 0", name(&catalog::BROKERS_UP)),
            summary: "{{ $labels.instance }} reaches no Kafka broker",
            description: "It keeps trying. Figures stay right for an older moment, and after a \
                          minute every objective is unknown on this instance.",
        },
        ServiceRule {
            alert: "TidegaugeDeadLettersBlocked",
            severity: Severity::Critical,
            hold: minutes(1),
            expr: format!("{} == 1", name(&catalog::DEAD_LETTERS_BLOCKED)),
            summary: "{{ $labels.instance }} has paused: the dead-letter topic refuses",
            description: "Rejected records cannot be kept, so nothing is read until they can. \
                          Does the dead-letter topic exist, and may this client write to it?",
        },
        ServiceRule {
            alert: "TidegaugeMemoryFull",
            severity: Severity::Critical,
            hold: minutes(1),
            expr: format!("{}{{reason=\"memory_full\"}} == 1", name(&catalog::NOT_READY)),
            summary: "{{ $labels.instance }} has paused: its memory is at the limit",
            description: "Nothing is read until there is room. Too many values have series of \
                          their own, or windows reach too far back: lower the caps or the windows, \
                          or give it more memory and raise `memory_limit`.",
        },
        ServiceRule {
            alert: "TidegaugeTopicMissing",
            severity: Severity::Warning,
            hold: minutes(1),
            expr: format!("max by (topic) ({}) == 1", name(&catalog::TOPIC_MISSING)),
            summary: "The declared topic {{ $labels.topic }} does not exist",
            description: "Nothing is counted from it, and nothing waits for it. Create it, or \
                          correct its name in the configuration.",
        },
        ServiceRule {
            alert: "TidegaugeSnapshotIncomplete",
            severity: Severity::Warning,
            hold: minutes(1),
            expr: format!("{} == 0", name(&catalog::COMPLETE)),
            summary: "{{ $labels.instance }} cannot read some partition",
            description: "A partition has been unreadable for more than a minute, so every \
                          objective is unknown on this instance. Which one: see the frontier and \
                          lag by partition.",
        },
    ]
}

/// Where a count is higher than an hour ago. `increase` alone would not see a series
/// that begins above 0, nor one that rose while nothing was scraped.
fn grew_within_an_hour(family: &Family) -> String {
    let name = family.name;
    format!(
        "increase({name}[1h]) > 0\nor\n{name} > (last_over_time({name}[1h] offset 1h) or 0 * {name})"
    )
}

fn state() -> Vec<ServiceRule> {
    let blocked = name(&catalog::STATE_BLOCKED);
    let saved = name(&catalog::STATE_SAVED);
    let started = name(&catalog::START_TIME);
    let interval = name(&catalog::STATE_INTERVAL);
    let running = name(&catalog::BACKFILL_RUNNING);
    let records = name(&catalog::BACKFILL_RECORDS);
    vec![
        ServiceRule {
            alert: "TidegaugeStateBlocked",
            severity: Severity::Critical,
            hold: minutes(1),
            expr: format!("{blocked} == 1"),
            summary: "{{ $labels.instance }} has paused: it cannot write its state",
            description: "Nothing is read until it can, so that nothing is lost or counted twice. \
                          Its log and its status page have the error. Is the disk full, or \
                          mounted read-only, and may the process write to its directory? It goes \
                          on by itself as soon as there is room: no restart is needed.",
        },
        ServiceRule {
            alert: "TidegaugeCheckpointsOld",
            severity: Severity::Warning,
            hold: minutes(1),
            // Before the first checkpoint the start of the process stands for it.
            expr: format!(
                "(time() - ({saved} or {started} and on (job, instance) {blocked}))\n\
                 > on (job, instance) ({MINUTE} + 2 * {interval})\n\
                 unless on (job, instance) {blocked} == 1"
            ),
            summary: "{{ $labels.instance }} has saved nothing for {{ $value | humanizeDuration }}",
            description: "The figures stay right; but after a crash it would have to read again \
                          all that came since. Compare how long a checkpoint takes with the time \
                          between two of them: is the disk slow, or shared with something that \
                          writes a lot?",
        },
        ServiceRule {
            alert: "TidegaugeRecordsLost",
            severity: Severity::Warning,
            hold: Span::ZERO,
            expr: format!(
                "count by (job, instance, topic) (\n{}\n)",
                grew_within_an_hour(&catalog::PARTITION_GAPS)
            ),
            summary: "Records of topic {{ $labels.topic }} were gone before {{ $labels.instance }} read them",
            description: LOST_TEXT,
        },
        ServiceRule {
            alert: "TidegaugeBackfillStuck",
            severity: Severity::Low,
            hold: minutes(15),
            expr: format!(
                "max by (job, instance) (changes({records}{{state=\"done\"}}[15m])) == 0\n\
                 and on (job, instance) {running} == 1"
            ),
            summary: "{{ $labels.instance }} does not get on with filling new declarations",
            description: "It has read nothing for it in a quarter of an hour. What is new stays \
                          unknown meanwhile; all else is as it should be. Can the brokers serve \
                          old records, and does the log name a topic? A restart begins it anew.",
        },
    ]
}

const LOST_TEXT: &str = "In the last hour, on {{ printf `%.0f` $value }} of its partitions: \
    retention deleted them before they were read, or the topic was deleted and created again. \
    They are missing from the figures, and the coverage of the windows says so. Lost since the \
    state began, as far as offsets tell: {{ range printf \
    `sum by (instance) ($LOST_RECORDS{job=%+q,instance=%+q,topic=%+q})` $labels.job \
    $labels.instance $labels.topic | query }}{{ printf `%.0f` .Value }}{{ else }}unknown{{ end }}. \
    If the lag is high, read faster or keep the topic longer before more goes.";

fn ingest() -> Vec<ServiceRule> {
    let recent = |family: &Family, outcome: &str| {
        format!("max by (topic) ({}{{outcome=\"{outcome}\"}}) > 0", family.name)
    };
    let records = &catalog::RECENT_RECORDS;
    let events = &catalog::RECENT_EVENTS;
    vec![
        ServiceRule {
            alert: "TidegaugeRecordsRejected",
            severity: Severity::Warning,
            hold: minutes(2),
            expr: recent(records, "rejected"),
            summary: "Records of topic {{ $labels.topic }} are being rejected",
            description: "{{ printf \"%.0f\" $value }} in the last five minutes. The ledger of \
                          records names the reasons, and the dead-letter topic holds the records \
                          with the reason in their headers.",
        },
        ServiceRule {
            alert: "TidegaugeEventsRejected",
            severity: Severity::Warning,
            hold: minutes(2),
            expr: recent(events, "rejected"),
            summary: "Events of topic {{ $labels.topic }} are being rejected",
            description: "{{ printf \"%.0f\" $value }} in the last five minutes, in records whose \
                          other events count. The ledger of events names the reasons; the \
                          dead-letter topic holds the records.",
        },
        ServiceRule {
            alert: "TidegaugeUnknownTypes",
            severity: Severity::Low,
            hold: minutes(5),
            expr: recent(events, "unknown_type"),
            summary: "Topic {{ $labels.topic }} sends event types that nobody knows",
            description: "{{ printf \"%.0f\" $value }} events in the last five minutes were \
                          passed over. Map their type in the format, or have the format ignore \
                          them on purpose.",
        },
        ServiceRule {
            alert: "TidegaugeEventsOutOfTime",
            severity: Severity::Low,
            hold: minutes(5),
            expr: format!(
                "max by (topic) (sum by (job, instance, topic) \
                 ({0}{{outcome=~\"late|future\"}}))\n> 0.05 *\n\
                 max by (topic) ({0}{{outcome=\"decoded\"}})",
                events.name
            ),
            summary: "Events of topic {{ $labels.topic }} are too late or in the future",
            description: "{{ printf \"%.0f\" $value }} of the last five minutes, more than one in \
                          twenty, lie too far from the time of their record and do not count. Is \
                          a clock wrong, a time zone lost, or the unit of a time mistaken?",
        },
        ServiceRule {
            alert: "TidegaugeDuplicatesHigh",
            severity: Severity::Low,
            hold: minutes(10),
            expr: format!(
                "max by (topic) ({0}{{outcome=\"duplicate\"}} / on (job, instance, topic) \
                 {0}{{outcome=\"decoded\"}}) > 0.2\n\
                 and on (topic) max by (topic) ({0}{{outcome=\"decoded\"}}) >= {FEW_EVENTS}",
                events.name
            ),
            summary: "{{ $value | humanizePercentage }} of the events of topic {{ $labels.topic }} are copies",
            description: "They have an id that was seen before, and are left out: the figures stay \
                          right. For ten minutes more than one in five: does a producer send \
                          everything twice, is history being replayed, or is one id given to many \
                          different events? In the last case events are missing from the figures: \
                          compare a few records with the same id.",
        },
    ]
}

fn figures() -> Vec<ServiceRule> {
    let coverage = name(&catalog::COVERAGE);
    vec![
        ServiceRule {
            alert: "TidegaugeSeriesFolded",
            severity: Severity::Low,
            hold: minutes(5),
            expr: format!("max by (slice) ({}) > 0", name(&catalog::SLICE_FOLDED_VALUES)),
            summary: "Slice {{ $labels.slice }} is over its cap of series",
            description: "{{ printf \"%.0f\" $value }} values are folded into one series and have \
                          no figures of their own; totals stay exact. Raise the cap of the slice, \
                          or find out who sends so many values.",
        },
        ServiceRule {
            alert: "TidegaugeCoverageLow",
            severity: Severity::Low,
            hold: minutes(15),
            expr: format!("min by (slice) (max by (slice, window) ({coverage})) < 0.99"),
            summary: "Windows of slice {{ $labels.slice }} reach back beyond what was read",
            description: COVERAGE_TEXT,
        },
        ServiceRule {
            alert: "TidegaugeOtherCurrency",
            severity: Severity::Low,
            hold: minutes(5),
            expr: format!(
                "count by (measure) (\n{}\n)",
                grew_within_an_hour(&catalog::OTHER_CURRENCY)
            ),
            summary: "Amounts in another currency are left out of {{ $labels.measure }}",
            description: "Money is never added across currencies, so the measure lacks what came \
                          in another one. Declare a measure for that currency beside it, or have \
                          the source send the currency that is declared.",
        },
        ServiceRule {
            alert: "TidegaugeLevelOverfull",
            severity: Severity::Low,
            hold: minutes(5),
            expr: format!("max by (slice, measure) ({}) == 1", name(&catalog::OVERFULL_LEVEL)),
            summary: "The level {{ $labels.measure }} has no figure in slice {{ $labels.slice }}",
            description: "A level is the sum of the newest amounts of its keys, and one of its \
                          values has more keys than are kept. Do its events have a `key` that \
                          names a thing, such as a list or an account, and not a person or a \
                          message?",
        },
    ]
}

const COVERAGE_TEXT: &str = "Objectives on them are unknown until they fill, or until the topics \
    keep more history. Short of it: {{ range printf `max by (window) \
    ($COVERAGE{slice=%+q}) < 0.99` $labels.slice | query }}{{ .Labels.window }} at \
    {{ .Value | humanizePercentage }}. {{ end }}";
