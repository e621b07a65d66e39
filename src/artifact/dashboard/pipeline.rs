//! The health of the pipeline: is it fresh, what becomes of what comes in, and what
//! it costs.

use super::access;
use super::board::Board;
use super::chosen::Chosen;
use super::panel::{Panel, Shape};
use crate::catalog::{self, Family};

pub(super) fn board(chosen: Chosen<'_>) -> Board<'_> {
    let mut board = Board::new(
        chosen,
        super::PIPELINE_UID,
        "Tidegauge / Pipeline",
        "Is it fresh, what becomes of every record and event, and what does it cost.",
    );
    now(&mut board, chosen);
    freshness(&mut board, chosen);
    ingest(&mut board, chosen);
    state(&mut board, chosen);
    duplicates(&mut board, chosen);
    figures(&mut board, chosen);
    access::section(&mut board, chosen);
    process(&mut board, chosen);
    board
}

fn now(board: &mut Board<'_>, chosen: Chosen<'_>) {
    board.section("Now");
    let bad_from_one: &[(Option<f64>, &str)] = &[(None, "green"), (Some(1.0), "red")];
    let good_from_one: &[(Option<f64>, &str)] = &[(None, "red"), (Some(1.0), "green")];
    let missing = format!("{} == 1", chosen.merged("max", "topic", &catalog::TOPIC_MISSING));
    let gaps = format!("increase({}[1d])", chosen.all(&catalog::PARTITION_GAPS));
    let lossy = format!("{} > 0", chosen.scope.aggregate("max", "topic, partition", &gaps));
    let stats = [
        (
            "Ready instances",
            "Only what they say counts.",
            chosen.merged("sum", "", &catalog::READY),
            good_from_one,
        ),
        (
            "Broker",
            "1 while a broker answers every instance.",
            chosen.merged("min", "", &catalog::BROKERS_UP),
            good_from_one,
        ),
        (
            "Complete",
            "0 while some partition has been unreadable for more than a minute.",
            chosen.merged("min", "", &catalog::COMPLETE),
            good_from_one,
        ),
        (
            "Missing topics",
            "Declared, but the broker does not have them.",
            chosen.or_zero(&chosen.count(&missing)),
            bad_from_one,
        ),
        (
            "Dead letters blocked",
            "1 while consumption is paused because the dead-letter topic refuses.",
            chosen.merged("max", "", &catalog::DEAD_LETTERS_BLOCKED),
            bad_from_one,
        ),
        (
            "State blocked",
            "1 while consumption is paused because the state cannot be written.",
            chosen.or_zero(&chosen.merged("max", "", &catalog::STATE_BLOCKED)),
            bad_from_one,
        ),
        (
            "Partitions with losses",
            "Records were gone before they were read, within the last day.",
            chosen.or_zero(&chosen.count(&lossy)),
            bad_from_one,
        ),
        (
            "Configurations",
            "More than one means that replicas disagree.",
            chosen.count(&chosen.merged("count", "fingerprint", &catalog::CONFIG_INFO)),
            &[(None, "green"), (Some(2.0), "red")],
        ),
    ];
    for (title, help, expr, colours) in stats {
        board.add(Panel::new(Shape::Stat, title, help).ask(expr, title).colours(colours), 3, 4);
    }
    let given = chosen.merged("max", "instance, reason", &catalog::NOT_READY);
    let reasons = chosen.or_zero(&format!("{given} == 1"));
    board.add(
        Panel::new(
            Shape::Lines,
            "Why not ready",
            "1 for each reason; /readyz says it in a sentence.",
        )
        .ask(reasons, "{{instance}} {{reason}}"),
        24,
        5,
    );
}

fn freshness(board: &mut Board<'_>, chosen: Chosen<'_>) {
    board.section("Freshness");
    board.add(
        Panel::new(
            Shape::Lines,
            "Age of the figures",
            "How far as_of is behind the clock, by instance.",
        )
        .ask(format!("time() - {}", chosen.all(&catalog::AS_OF)), "{{instance}}")
        .unit("s"),
        8,
        8,
    );
    board.add(
        Panel::new(Shape::Lines, "Lag by partition", "Records not folded yet.").ask(
            chosen.merged("max", "topic, partition", &catalog::LAG_RECORDS),
            "{{topic}}/{{partition}}",
        ),
        8,
        8,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Age of the frontier by partition",
            "The partition that is furthest behind holds the figures back.",
        )
        .ask(
            format!("time() - {}", chosen.merged("min", "topic, partition", &catalog::FRONTIER)),
            "{{topic}}/{{partition}}",
        )
        .unit("s"),
        8,
        8,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "How far topics are behind",
            "Beyond its `stale_after` nothing that rests on a topic is judged.",
        )
        .ask(chosen.merged("min", "topic", &catalog::TOPIC_BEHIND), "{{topic}}")
        .ask(chosen.merged("max", "topic", &catalog::TOPIC_STALE_AFTER), "{{topic}} may be")
        .unit("s"),
        12,
        8,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Open transactions by partition",
            "For how long nothing can be read because the next transaction is open.",
        )
        .ask(
            chosen.merged("min", "topic, partition", &catalog::OPEN_TRANSACTION),
            "{{topic}}/{{partition}}",
        )
        .unit("s"),
        12,
        8,
    );
}

fn ingest(board: &mut Board<'_>, chosen: Chosen<'_>) {
    board.section("What came in");
    let recent = |family: &Family, whole: &str| {
        let parts = chosen.series(family, &format!("outcome!~\"{whole}|unknown_type\""));
        chosen.furthest("outcome", &parts)
    };
    let unknown = chosen.series(&catalog::RECENT_EVENTS, "outcome=\"unknown_type\"");
    let rejected = |family: &Family| {
        let series = chosen.series(family, "outcome=\"rejected\"");
        format!("sort_desc({} > 0)", chosen.scope.aggregate("sum", "reason", &series))
    };
    board.add(
        Panel::new(
            Shape::Stacked,
            "Records of the last five minutes, by outcome",
            "By record timestamp; what was read is the sum.",
        )
        .ask(recent(&catalog::RECENT_RECORDS, "read"), "{{outcome}}"),
        12,
        8,
    );
    board.add(
        Panel::new(
            Shape::Stacked,
            "Events of the last five minutes, by outcome",
            "By record timestamp; what was decoded is the sum.",
        )
        .ask(recent(&catalog::RECENT_EVENTS, "decoded"), "{{outcome}}"),
        12,
        8,
    );
    board.add(
        Panel::new(
            Shape::Stacked,
            "Records a second, by topic",
            "As of the checkpoints on the disk; needs saved state.",
        )
        .ask(rates(chosen, &catalog::RECORDS, "topic"), "{{topic}}"),
        12,
        8,
    );
    board.add(
        Panel::new(
            Shape::Stacked,
            "Events a second, by outcome",
            "As of the checkpoints on the disk; needs saved state.",
        )
        .ask(rates(chosen, &catalog::EVENTS, "outcome"), "{{outcome}}"),
        12,
        8,
    );
    board.add(
        Panel::new(
            Shape::Bars,
            "Rejected since the state began, by reason",
            "Records refused whole, and events refused within records.",
        )
        .ask(chosen.or_zero(&rejected(&catalog::LEDGER_RECORDS)), "record: {{reason}}")
        .ask(chosen.or_zero(&rejected(&catalog::LEDGER_EVENTS)), "event: {{reason}}")
        .colours(&[(None, "green"), (Some(1.0), "orange")]),
        12,
        8,
    );
    board.add(
        Panel::new(
            Shape::Table,
            "Ledgers since the state began, by topic",
            "Records and events by what became of them, as one instance counted.",
        )
        .ask(chosen.furthest("topic, outcome", &chosen.all(&catalog::LEDGER_RECORDS)), "")
        .ask(chosen.furthest("topic, outcome", &chosen.all(&catalog::LEDGER_EVENTS)), "")
        .columns(&["Time"], &[("Value #A", "records"), ("Value #B", "events")]),
        12,
        8,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Types that nobody knows",
            "Events of the last five minutes that were passed over for their type.",
        )
        .ask(chosen.or_zero(&chosen.scope.aggregate("max", "topic", &unknown)), "{{topic}}"),
        8,
        7,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Events without an id",
            "Counted, but copies of them cannot be told. A second; needs saved state.",
        )
        .ask(rates(chosen, &catalog::UNIDENTIFIED, "topic"), "{{topic}}"),
        8,
        7,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Dead letters",
            "Since the start; pending ones are not acknowledged yet.",
        )
        .ask(chosen.merged("sum", "state", &catalog::DEAD_LETTERS), "{{state}}"),
        8,
        7,
    );
}

/// A counter's increase a second, as the instance counted that is furthest.
fn rates(chosen: Chosen<'_>, family: &Family, by: &str) -> String {
    chosen.furthest(by, &format!("rate({}[5m])", chosen.all(family)))
}

fn state(board: &mut Board<'_>, chosen: Chosen<'_>) {
    board.section("Saved state");
    let lost = chosen.merged("max", "topic, partition", &catalog::PARTITION_LOST);
    let done = chosen.series(&catalog::BACKFILL_RECORDS, "state=\"done\"");
    board.add(
        Panel::new(
            Shape::Lines,
            "Age of the newest checkpoint",
            "After a crash, what came since is read again.",
        )
        .ask(format!("time() - {}", chosen.all(&catalog::STATE_SAVED)), "{{instance}}")
        .unit("s"),
        6,
        8,
    );
    board.add(
        Panel::new(Shape::Lines, "Written a second", "For checkpoints, by instance.")
            .ask(format!("rate({}[5m])", chosen.all(&catalog::STATE_WRITTEN)), "{{instance}}")
            .unit("Bps"),
        6,
        8,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "A checkpoint takes",
            "The newest one, the wait for the disk included.",
        )
        .ask(chosen.all(&catalog::STATE_CHECKPOINT_SECONDS), "{{instance}}")
        .unit("s"),
        6,
        8,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "On the disk",
            "It rises and falls: what is out of date goes a cycle at a time.",
        )
        .ask(chosen.all(&catalog::STATE_DISK), "{{instance}}")
        .unit("bytes"),
        6,
        8,
    );
    board.add(
        Panel::new(
            Shape::Bars,
            "Records lost, by partition",
            "Gone before they were read, as far as offsets tell. Since the state began.",
        )
        .ask(chosen.or_zero(&format!("{lost} > 0")), "{{topic}}/{{partition}}")
        .colours(&[(None, "green"), (Some(1.0), "red")]),
        12,
        7,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Filling of new declarations",
            "How much of what the topics still hold has been read for them.",
        )
        .ask(
            format!(
                "{} / {}",
                chosen.scope.aggregate("sum", "instance", &done),
                chosen.merged("sum", "instance", &catalog::BACKFILL_RECORDS)
            ),
            "{{instance}}",
        )
        .unit("percentunit")
        .scale(0.0, 1.0),
        12,
        7,
    );
}

fn duplicates(board: &mut Board<'_>, chosen: Chosen<'_>) {
    board.section("Duplicates");
    let copies = format!(
        "{} / {} ({} > 0)",
        chosen.series(&catalog::RECENT_EVENTS, "outcome=\"duplicate\""),
        chosen.scope.on("job, instance, topic"),
        chosen.series(&catalog::RECENT_EVENTS, "outcome=\"decoded\"")
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Share of copies",
            "Of the events of the last five minutes; they do not count.",
        )
        .ask(chosen.scope.aggregate("max", "topic", &copies), "{{topic}}")
        .unit("percentunit"),
        8,
        7,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Remembered ids",
            "They are forgotten a sixteenth of the horizon at a time.",
        )
        .ask(chosen.all(&catalog::REMEMBERED_IDS), "{{instance}}"),
        8,
        7,
    );
    board.add(
        Panel::new(Shape::Lines, "Memory of the ids", "By instance.")
            .ask(chosen.all(&catalog::REMEMBERED_IDS_BYTES), "{{instance}}")
            .unit("bytes"),
        8,
        7,
    );
}

fn figures(board: &mut Board<'_>, chosen: Chosen<'_>) {
    board.section("Figures");
    let filled = format!(
        "{} / {}",
        chosen.all(&catalog::SLICE_SERIES),
        chosen.all(&catalog::SLICE_SERIES_LIMIT)
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Coverage by window",
            "Below an objective's minimum, its verdict is unknown.",
        )
        .ask(chosen.merged("max", "slice, window", &catalog::COVERAGE), "{{slice}} {{window}}")
        .unit("percentunit"),
        8,
        8,
    );
    board.add(
        Panel::new(
            Shape::Bars,
            "Series of a slice, of its cap",
            "At the cap, further values are folded.",
        )
        .ask(chosen.scope.aggregate("max", "slice", &filled), "{{slice}}")
        .unit("percentunit")
        .scale(0.0, 1.0)
        .colours(&[(None, "green"), (Some(0.8), "orange"), (Some(1.0), "red")]),
        8,
        8,
    );
    board.add(
        Panel::new(Shape::Lines, "Folded", "Values without series of their own, and their events.")
            .ask(chosen.merged("max", "slice", &catalog::SLICE_FOLDED_VALUES), "{{slice}}: values")
            .ask(chosen.merged("max", "slice", &catalog::SLICE_FOLDED_EVENTS), "{{slice}}: events"),
        8,
        8,
    );
}

fn process(board: &mut Board<'_>, chosen: Chosen<'_>) {
    board.section("Process");
    board.add(
        Panel::new(Shape::Lines, "Memory", "Resident, by instance.")
            .ask(chosen.all(&catalog::MEMORY), "{{instance}}")
            .unit("bytes"),
        6,
        7,
    );
    board.add(
        Panel::new(Shape::Lines, "Processors in use", "By instance.")
            .ask(format!("rate({}[5m])", chosen.all(&catalog::CPU)), "{{instance}}"),
        6,
        7,
    );
    board.add(
        Panel::new(Shape::Lines, "Snapshot", "How long the newest one took to make.")
            .ask(chosen.all(&catalog::SNAPSHOT_SECONDS), "{{instance}}")
            .unit("s"),
        6,
        7,
    );
    board.add(
        Panel::new(Shape::Lines, "Uptime", "A fall is a restart.")
            .ask(format!("time() - {}", chosen.all(&catalog::START_TIME)), "{{instance}}")
            .unit("s"),
        6,
        7,
    );
}
