//! Alert rules on the service itself: is it there, is it fresh, does what comes in
//! make sense.
//!
//! What comes in is judged by the last five minutes by record time, which is the same
//! on every replica and after every restart; the ledgers themselves may leap.
//!
//! Selectors, aggregations and joins are asked of the [`Scope`], which keeps
//! deployments apart that stand in one Prometheus.

mod access;

use super::Inputs;
use super::expression::query;
use super::rule::Rule;
use super::scope::Scope;
use crate::catalog::{self, Family};
use crate::event::Span;
use crate::objective::Severity;

const MINUTE: i64 = 60;
/// Of fewer events in five minutes a share says nothing.
const FEW_EVENTS: u32 = 100;
/// Figures are called stale when they are older by this than they may be: verdicts are
/// `unknown` from there on.
const STALE_BEYOND: i64 = MINUTE;

struct ServiceRule {
    alert: &'static str,
    severity: Severity,
    hold: Span,
    /// Of what a [`Scope`] gives: no family, aggregation or join by itself.
    expr: String,
    /// A template; where deployments are told apart, what follows says which.
    summary: &'static str,
    /// A template, in which [`filled`] knows some words that begin with `$`.
    description: &'static str,
}

/// All of them, the loudest first.
pub(super) fn rules(inputs: &Inputs<'_>) -> Vec<Rule> {
    let scope = inputs.scope;
    let stale_after = inputs.stale_after.secs() + STALE_BEYOND;
    [
        liveness(scope, stale_after),
        source(scope),
        topics(scope),
        state(scope),
        access::rules(scope),
        ingest(scope),
        figures(scope),
    ]
    .into_iter()
    .flatten()
    .map(|rule| rule.made_for(inputs))
    .collect()
}

impl ServiceRule {
    fn made_for(self, inputs: &Inputs<'_>) -> Rule {
        let scope = inputs.scope;
        let severity = ("severity".to_owned(), self.severity.name().to_owned());
        let fixed = scope.fixed().map(|(label, value)| (label.to_owned(), value.to_owned()));
        let dashboard = format!("/d/{}", super::dashboard::PIPELINE_UID);
        Rule {
            alert: self.alert,
            expr: self.expr,
            hold: self.hold,
            keep_firing: Span::ZERO,
            labels: std::iter::once(severity).chain(fixed).collect(),
            annotations: vec![
                ("summary", self.summary.to_owned() + &scope.whence()),
                ("description", filled(self.description, inputs)),
                ("dashboard", dashboard + &scope.variables().replacen('&', "?", 1)),
            ],
        }
    }
}

/// Fills in what a text asks for when it is rendered, and what becomes of refused
/// records.
fn filled(text: &str, inputs: &Inputs<'_>) -> String {
    let scope = inputs.scope;
    let own = |family: &Family, labels: &str| scope.series(family, &scope.own(labels));
    let not_ready = format!("{} == 1", own(&catalog::NOT_READY, "job, instance"));
    let covered = scope.aggregate("max", "window", &own(&catalog::COVERAGE, "slice"));
    let lost = own(&catalog::PARTITION_LOST, "job, instance, topic");
    let kept = match inputs.dead_letters {
        Some(topic) => {
            format!("the topic {topic} holds the records with the reason in their headers")
        }
        None => "the records themselves are not kept, since no topic is declared for \
                 `dead_letters`"
            .to_owned(),
    };
    [
        ("$NOT_READY", query(&not_ready)),
        ("$COVERAGE_LOW", query(&format!("{covered} < 0.99"))),
        ("$LOST_RECORDS", query(&scope.aggregate("sum", "instance", &lost))),
        ("$DEAD_LETTERS", kept),
    ]
    .iter()
    .fold(text.to_owned(), |text, (place, filling)| text.replace(place, filling))
}

fn minutes(minutes: i64) -> Span {
    Span::from_secs(minutes * MINUTE)
}

fn liveness(scope: &Scope, stale_seconds: i64) -> Vec<ServiceRule> {
    let ready = scope.all(&catalog::READY);
    let build = scope.all(&catalog::BUILD_INFO);
    let as_of = scope.all(&catalog::AS_OF);
    let fingerprints =
        scope.aggregate("count", "job, fingerprint", &scope.all(&catalog::CONFIG_INFO));
    vec![
        ServiceRule {
            alert: "TidegaugeNoInstanceReady",
            severity: Severity::Critical,
            hold: minutes(2),
            expr: scope.none(&format!("{ready} == 1")),
            summary: "No Tidegauge instance is ready",
            description: "No verdict counts until one is: alerts on objectives stay as they are, \
                          and new misses go unseen. Ask /readyz of each instance for the reason.",
        },
        ServiceRule {
            alert: "TidegaugeKpisStale",
            severity: Severity::Critical,
            hold: minutes(1),
            expr: format!(
                "time() - {} > {stale_seconds}\nor\n{}",
                scope.aggregate("max", "", &as_of),
                scope.none(&as_of)
            ),
            summary: "The KPIs are stale on every instance",
            description: "The newest figures of any instance hold for a moment more than a minute \
                          further ago than any topic may be behind, or there are none. They stay \
                          right for that moment. Look at the lag by partition, at open \
                          transactions, and at whether the broker answers.",
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
                "{} == 0\nand {} (present_over_time({build}[1d]) or {})",
                scope.named("up", ""),
                scope.on("job, instance"),
                scope.up_of_job()
            ),
            summary: "{{ $labels.instance }} cannot be scraped",
            description: "Prometheus has not reached this instance for five minutes. Alerts on \
                          objectives do not depend on one instance and are not held back by this.",
        },
        ServiceRule {
            alert: "TidegaugeConfigurationsDiffer",
            severity: Severity::Warning,
            hold: minutes(10),
            expr: format!("{} > 1", scope.aggregate("count", "job", &fingerprints)),
            summary: "Instances of {{ $labels.job }} run different declarations",
            description: "{{ $value }} fingerprints are in use, so replicas may answer \
                          differently. Roll the same configuration out to all of them.",
        },
    ]
}

const NOT_READY_TEXT: &str = "Its verdicts do not count meanwhile. Reasons: \
    {{ range $NOT_READY }}{{ .Labels.reason }} {{ else }}not given {{ end }}\
    (/readyz says more).";

fn source(scope: &Scope) -> Vec<ServiceRule> {
    vec![
        ServiceRule {
            alert: "TidegaugeBrokerDown",
            severity: Severity::Critical,
            hold: minutes(1),
            expr: format!("{} == 0", scope.all(&catalog::BROKERS_UP)),
            summary: "{{ $labels.instance }} reaches no Kafka broker",
            description: "It keeps trying. Figures stay right for an older moment, and once that is \
                          too long ago (`stale_after`, a minute by default) every objective is \
                          unknown on this instance.",
        },
        ServiceRule {
            alert: "TidegaugeDeadLettersBlocked",
            severity: Severity::Critical,
            hold: minutes(1),
            expr: format!("{} == 1", scope.all(&catalog::DEAD_LETTERS_BLOCKED)),
            summary: "{{ $labels.instance }} has paused: the dead-letter topic refuses",
            description: "Rejected records cannot be kept, so nothing is read until they can. \
                          Does the dead-letter topic exist, and may this client write to it?",
        },
        ServiceRule {
            alert: "TidegaugeMemoryFull",
            severity: Severity::Critical,
            hold: minutes(1),
            expr: format!("{} == 1", scope.series(&catalog::NOT_READY, "reason=\"memory_full\"")),
            summary: "{{ $labels.instance }} has paused: its memory is at the limit",
            description: "Nothing is read until there is room. Too many values have series of \
                          their own, or windows reach too far back: lower the caps or the windows, \
                          or give it more memory and raise `memory_limit`.",
        },
        ServiceRule {
            alert: "TidegaugeTopicMissing",
            severity: Severity::Warning,
            hold: minutes(1),
            expr: format!(
                "{} == 1",
                scope.aggregate("max", "topic", &scope.all(&catalog::TOPIC_MISSING))
            ),
            summary: "The declared topic {{ $labels.topic }} does not exist",
            description: "Nothing is counted from it, and nothing waits for it. Create it, or \
                          correct its name in the configuration.",
        },
        ServiceRule {
            alert: "TidegaugeSnapshotIncomplete",
            severity: Severity::Warning,
            hold: minutes(1),
            expr: format!("{} == 0", scope.all(&catalog::COMPLETE)),
            summary: "{{ $labels.instance }} cannot read some partition",
            description: "A partition has been unreadable for more than a minute, so that \
                          objectives that rest on its topic are unknown on this instance, and \
                          none of its verdicts counts. Which one: see the frontier and lag by \
                          partition.",
        },
    ]
}

fn topics(scope: &Scope) -> Vec<ServiceRule> {
    let least = |labels: &str, family: &Family| scope.aggregate("min", labels, &scope.all(family));
    let may_be = scope.aggregate("max", "topic", &scope.all(&catalog::TOPIC_STALE_AFTER));
    let on = scope.on("topic");
    vec![
        ServiceRule {
            alert: "TidegaugeTopicStale",
            severity: Severity::Warning,
            hold: minutes(1),
            expr: format!("{} > {on} {may_be}", least("topic", &catalog::TOPIC_BEHIND)),
            summary: "Topic {{ $labels.topic }} is behind by {{ $value | humanizeDuration }}",
            description: "That is further than its `stale_after` on every instance, so that \
                          objectives that rest on it are unknown. Is it read, is it read fast \
                          enough, does a transaction hold it back? See the lag, the frontier and \
                          the open transactions by partition.",
        },
        ServiceRule {
            alert: "TidegaugeOpenTransaction",
            severity: Severity::Warning,
            hold: Span::ZERO,
            expr: format!(
                "{} > {on} group_left () {may_be}",
                least("topic, partition", &catalog::OPEN_TRANSACTION)
            ),
            summary: "An open transaction holds back partition {{ $labels.partition }} of topic \
                      {{ $labels.topic }}",
            description: "Nothing behind it can be read for {{ $value | humanizeDuration }}, longer \
                          than the topic may be behind. Which producer writes to it, and does it \
                          still live? The brokers abort the transaction of one that has crashed \
                          after its `transaction.timeout.ms`; kafka-transactions.sh lists and \
                          aborts those that hang. A sink that commits more rarely than the topic's \
                          `stale_after` needs a longer one.",
        },
        ServiceRule {
            alert: "TidegaugeTopicCompacted",
            severity: Severity::Low,
            hold: minutes(5),
            expr: format!(
                "{} == 1",
                scope.aggregate("max", "topic", &scope.all(&catalog::TOPIC_COMPACTED))
            ),
            summary: "Figures are added up over topic {{ $labels.topic }}, whose log is compacted",
            description: "The brokers keep the newest record of each key only: what was not read \
                          before is missing, and another instance may say something else. Use \
                          levels (`last`) over such a topic, or set its cleanup.policy to delete.",
        },
    ]
}

/// Where a count is higher than an hour ago. `increase` alone would not see a series
/// that begins above 0, nor one that rose while nothing was scraped.
fn grew_within_an_hour(scope: &Scope, family: &Family) -> String {
    let count = scope.all(family);
    format!(
        "increase({count}[1h]) > 0\nor\n\
         {count} > (last_over_time({count}[1h] offset 1h) or 0 * {count})"
    )
}

fn state(scope: &Scope) -> Vec<ServiceRule> {
    let blocked = scope.all(&catalog::STATE_BLOCKED);
    let saved = scope.all(&catalog::STATE_SAVED);
    let started = scope.all(&catalog::START_TIME);
    let interval = scope.all(&catalog::STATE_INTERVAL);
    let running = scope.all(&catalog::BACKFILL_RUNNING);
    let read = scope.series(&catalog::BACKFILL_RECORDS, "state=\"done\"");
    let same_instance = scope.on("job, instance");
    let lost = grew_within_an_hour(scope, &catalog::PARTITION_GAPS);
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
                "(time() - ({saved} or {started} and {same_instance} {blocked}))\n\
                 > {same_instance} ({MINUTE} + 2 * {interval})\n\
                 unless {same_instance} {blocked} == 1"
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
            expr: scope.aggregate("count", "job, instance, topic", &format!("\n{lost}\n")),
            summary: "Records of topic {{ $labels.topic }} were gone before {{ $labels.instance }} read them",
            description: LOST_TEXT,
        },
        ServiceRule {
            alert: "TidegaugeBackfillStuck",
            severity: Severity::Low,
            hold: minutes(15),
            expr: format!(
                "{} == 0\nand {same_instance} {running} == 1",
                scope.aggregate("max", "job, instance", &format!("changes({read}[15m])"))
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
    state began, as far as offsets tell: {{ range $LOST_RECORDS }}{{ printf `%.0f` .Value }}\
    {{ else }}unknown{{ end }}. \
    If the lag is high, read faster or keep the topic longer before more goes.";

fn ingest(scope: &Scope) -> Vec<ServiceRule> {
    let recent =
        |family: &Family, outcome: &str| scope.series(family, &format!("outcome=\"{outcome}\""));
    let by_topic = |expr: &str| scope.aggregate("max", "topic", expr);
    let records = &catalog::RECENT_RECORDS;
    let events = &catalog::RECENT_EVENTS;
    let decoded = recent(events, "decoded");
    let late_or_future = scope.series(events, "outcome=~\"late|future\"");
    let out_of_time = scope.aggregate("sum", "job, instance, topic", &late_or_future);
    let same_topic = scope.on("job, instance, topic");
    let copies = format!("{} / {same_topic} {decoded}", recent(events, "duplicate"));
    vec![
        ServiceRule {
            alert: "TidegaugeRecordsRejected",
            severity: Severity::Warning,
            hold: minutes(2),
            expr: format!("{} > 0", by_topic(&recent(records, "rejected"))),
            summary: "Records of topic {{ $labels.topic }} are being rejected",
            description: "{{ printf \"%.0f\" $value }} in the last five minutes. The ledger of \
                          records names the reasons; $DEAD_LETTERS.",
        },
        ServiceRule {
            alert: "TidegaugeEventsRejected",
            severity: Severity::Warning,
            hold: minutes(2),
            expr: format!("{} > 0", by_topic(&recent(events, "rejected"))),
            summary: "Events of topic {{ $labels.topic }} are being rejected",
            description: "{{ printf \"%.0f\" $value }} in the last five minutes, in records whose \
                          other events count. The ledger of events names the reasons; \
                          $DEAD_LETTERS.",
        },
        ServiceRule {
            alert: "TidegaugeUnknownTypes",
            severity: Severity::Low,
            hold: minutes(5),
            expr: format!("{} > 0", by_topic(&recent(events, "unknown_type"))),
            summary: "Topic {{ $labels.topic }} sends event types that nobody knows",
            description: "{{ printf \"%.0f\" $value }} events in the last five minutes were \
                          passed over. Map their type in the format, or have the format ignore \
                          them on purpose.",
        },
        ServiceRule {
            alert: "TidegaugeEventsOutOfTime",
            severity: Severity::Low,
            hold: minutes(5),
            expr: format!("{}\n> 0.05 *\n{}", by_topic(&out_of_time), by_topic(&decoded)),
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
                "{} > 0.2\nand {} {} >= {FEW_EVENTS}",
                by_topic(&copies),
                scope.on("topic"),
                by_topic(&decoded)
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

fn figures(scope: &Scope) -> Vec<ServiceRule> {
    let by_slice =
        |labels: &str, family: &Family| scope.aggregate("max", labels, &scope.all(family));
    let covered = by_slice("slice, window", &catalog::COVERAGE);
    let other_currency = grew_within_an_hour(scope, &catalog::OTHER_CURRENCY);
    vec![
        ServiceRule {
            alert: "TidegaugeSeriesFolded",
            severity: Severity::Low,
            hold: minutes(5),
            expr: format!("{} > 0", by_slice("slice", &catalog::SLICE_FOLDED_VALUES)),
            summary: "Slice {{ $labels.slice }} is over its cap of series",
            description: "{{ printf \"%.0f\" $value }} values are folded into one series and have \
                          no figures of their own; totals stay exact. Raise the cap of the slice, \
                          or find out who sends so many values.",
        },
        ServiceRule {
            alert: "TidegaugeCoverageLow",
            severity: Severity::Low,
            hold: minutes(15),
            expr: format!("{} < 0.99", scope.aggregate("min", "slice", &covered)),
            summary: "Windows of slice {{ $labels.slice }} reach back beyond what was read",
            description: COVERAGE_TEXT,
        },
        ServiceRule {
            alert: "TidegaugeFiguresInconsistent",
            severity: Severity::Warning,
            hold: minutes(5),
            expr: format!("{} > 0", by_slice("kpi, slice", &catalog::INCONSISTENT_FIGURES)),
            summary: "{{ $labels.kpi }} cannot be the share that it is declared to be in slice \
                      {{ $labels.slice }}",
            description: "{{ printf \"%.0f\" $value }} of its figures are below 0, or above 1 \
                          though all that is above the line should be counted below it as well. \
                          Nothing is judged by them. The series of the KPI say which they are: \
                          does the source leave out what it is a share of, do the two measures \
                          ask for different events, or does a type in `signed_types` take back \
                          more than came?",
        },
        ServiceRule {
            alert: "TidegaugeOtherCurrency",
            severity: Severity::Low,
            hold: minutes(5),
            expr: scope.aggregate("count", "measure", &format!("\n{other_currency}\n")),
            summary: "Amounts in another currency are left out of {{ $labels.measure }}",
            description: "Money is never added across currencies, so the measure lacks what came \
                          in another one. Declare a measure for that currency beside it, or have \
                          the source send the currency that is declared.",
        },
        ServiceRule {
            alert: "TidegaugeLevelOverfull",
            severity: Severity::Low,
            hold: minutes(5),
            expr: format!("{} == 1", by_slice("slice, measure", &catalog::OVERFULL_LEVEL)),
            summary: "The level {{ $labels.measure }} has no figure in slice {{ $labels.slice }}",
            description: "A level is the sum of the newest amounts of its keys, and one of its \
                          values has more keys than are kept. Do its events have a `key` that \
                          names a thing, such as a list or an account, and not a person or a \
                          message?",
        },
    ]
}

const COVERAGE_TEXT: &str = "Objectives on them are unknown until they fill, or until the topics \
    keep more history. Short of it: {{ range $COVERAGE_LOW }}{{ .Labels.window }} at \
    {{ .Value | humanizePercentage }}. {{ end }}";
