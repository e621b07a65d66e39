//! The health of the pipeline: is it fresh, what becomes of what comes in, and what
//! it costs.

use super::board::Board;
use super::chosen;
use super::panel::{Panel, Shape};
use crate::catalog::{self, Family};

pub(super) fn board() -> Board {
    let mut board = Board::new(
        super::PIPELINE_UID,
        "Tidegauge / Pipeline",
        "Is it fresh, what becomes of every record and event, and what does it cost.",
    );
    now(&mut board);
    freshness(&mut board);
    ingest(&mut board);
    state(&mut board);
    duplicates(&mut board);
    figures(&mut board);
    process(&mut board);
    board
}

/// A number that is 0 where no series exists.
fn or_zero(expr: &str) -> String {
    format!("{expr} or vector(0)")
}

fn all(family: &Family) -> String {
    chosen(family, "")
}

fn now(board: &mut Board) {
    board.section("Now");
    let bad_from_one: &[(Option<f64>, &str)] = &[(None, "green"), (Some(1.0), "red")];
    let good_from_one: &[(Option<f64>, &str)] = &[(None, "red"), (Some(1.0), "green")];
    let stats = [
        (
            "Ready instances",
            "Only what they say counts.",
            format!("sum({})", all(&catalog::READY)),
            good_from_one,
        ),
        (
            "Broker",
            "1 while a broker answers every instance.",
            format!("min({})", all(&catalog::BROKERS_UP)),
            good_from_one,
        ),
        (
            "Complete",
            "0 while some partition has been unreadable for more than a minute.",
            format!("min({})", all(&catalog::COMPLETE)),
            good_from_one,
        ),
        (
            "Missing topics",
            "Declared, but the broker does not have them.",
            or_zero(&format!("count(max by (topic) ({}) == 1)", all(&catalog::TOPIC_MISSING))),
            bad_from_one,
        ),
        (
            "Dead letters blocked",
            "1 while consumption is paused because the dead-letter topic refuses.",
            format!("max({})", all(&catalog::DEAD_LETTERS_BLOCKED)),
            bad_from_one,
        ),
        (
            "State blocked",
            "1 while consumption is paused because the state cannot be written.",
            or_zero(&format!("max({})", all(&catalog::STATE_BLOCKED))),
            bad_from_one,
        ),
        (
            "Partitions with losses",
            "Records were gone before they were read, within the last day.",
            or_zero(&format!(
                "count(max by (topic, partition) (increase({}[1d])) > 0)",
                all(&catalog::PARTITION_GAPS)
            )),
            bad_from_one,
        ),
        (
            "Configurations",
            "More than one means that replicas disagree.",
            format!("count(count by (fingerprint) ({}))", all(&catalog::CONFIG_INFO)),
            &[(None, "green"), (Some(2.0), "red")],
        ),
    ];
    for (title, help, expr, colours) in stats {
        board.add(Panel::new(Shape::Stat, title, help).ask(expr, title).colours(colours), 3, 4);
    }
    let reasons =
        or_zero(&format!("max by (instance, reason) ({}) == 1", all(&catalog::NOT_READY)));
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

fn freshness(board: &mut Board) {
    board.section("Freshness");
    board.add(
        Panel::new(
            Shape::Lines,
            "Age of the figures",
            "How far as_of is behind the clock, by instance.",
        )
        .ask(format!("time() - {}", all(&catalog::AS_OF)), "{{instance}}")
        .unit("s"),
        8,
        8,
    );
    board.add(
        Panel::new(Shape::Lines, "Lag by partition", "Records not folded yet.").ask(
            format!("max by (topic, partition) ({})", all(&catalog::LAG_RECORDS)),
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
            format!("time() - min by (topic, partition) ({})", all(&catalog::FRONTIER)),
            "{{topic}}/{{partition}}",
        )
        .unit("s"),
        8,
        8,
    );
}

fn ingest(board: &mut Board) {
    board.section("What came in");
    let recent = |family: &Family, whole: &str| {
        let parts = chosen(family, &format!("outcome!~\"{whole}|unknown_type\""));
        format!("max by (outcome) (sum by (job, instance, outcome) ({parts}))")
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
        .ask(rates(&catalog::RECORDS, "topic"), "{{topic}}"),
        12,
        8,
    );
    board.add(
        Panel::new(
            Shape::Stacked,
            "Events a second, by outcome",
            "As of the checkpoints on the disk; needs saved state.",
        )
        .ask(rates(&catalog::EVENTS, "outcome"), "{{outcome}}"),
        12,
        8,
    );
    board.add(
        Panel::new(
            Shape::Bars,
            "Rejected since the state began, by reason",
            "Records refused whole, and events refused within records.",
        )
        .ask(
            or_zero(&format!(
                "sort_desc(sum by (reason) ({}) > 0)",
                chosen(&catalog::LEDGER_RECORDS, "outcome=\"rejected\"")
            )),
            "record: {{reason}}",
        )
        .ask(
            or_zero(&format!(
                "sort_desc(sum by (reason) ({}) > 0)",
                chosen(&catalog::LEDGER_EVENTS, "outcome=\"rejected\"")
            )),
            "event: {{reason}}",
        )
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
        .ask(
            format!(
                "max by (topic, outcome) (sum by (job, instance, topic, outcome) ({}))",
                all(&catalog::LEDGER_RECORDS)
            ),
            "",
        )
        .ask(
            format!(
                "max by (topic, outcome) (sum by (job, instance, topic, outcome) ({}))",
                all(&catalog::LEDGER_EVENTS)
            ),
            "",
        )
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
        .ask(
            or_zero(&format!(
                "max by (topic) ({})",
                chosen(&catalog::RECENT_EVENTS, "outcome=\"unknown_type\"")
            )),
            "{{topic}}",
        ),
        8,
        7,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Events without an id",
            "Counted, but copies of them cannot be told. A second; needs saved state.",
        )
        .ask(rates(&catalog::UNIDENTIFIED, "topic"), "{{topic}}"),
        8,
        7,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Dead letters",
            "Since the start; pending ones are not acknowledged yet.",
        )
        .ask(format!("sum by (state) ({})", all(&catalog::DEAD_LETTERS)), "{{state}}"),
        8,
        7,
    );
}

/// A counter's increase a second, as the instance counted that is furthest.
fn rates(family: &Family, by: &str) -> String {
    format!("max by ({by}) (sum by (job, instance, {by}) (rate({}[5m])))", all(family))
}

fn state(board: &mut Board) {
    board.section("Saved state");
    board.add(
        Panel::new(
            Shape::Lines,
            "Age of the newest checkpoint",
            "After a crash, what came since is read again.",
        )
        .ask(format!("time() - {}", all(&catalog::STATE_SAVED)), "{{instance}}")
        .unit("s"),
        6,
        8,
    );
    board.add(
        Panel::new(Shape::Lines, "Written a second", "For checkpoints, by instance.")
            .ask(format!("rate({}[5m])", all(&catalog::STATE_WRITTEN)), "{{instance}}")
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
        .ask(all(&catalog::STATE_CHECKPOINT_SECONDS), "{{instance}}")
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
        .ask(all(&catalog::STATE_DISK), "{{instance}}")
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
        .ask(
            or_zero(&format!("max by (topic, partition) ({}) > 0", all(&catalog::PARTITION_LOST))),
            "{{topic}}/{{partition}}",
        )
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
                "sum by (instance) ({}) / sum by (instance) ({})",
                chosen(&catalog::BACKFILL_RECORDS, "state=\"done\""),
                all(&catalog::BACKFILL_RECORDS)
            ),
            "{{instance}}",
        )
        .unit("percentunit")
        .scale(0.0, 1.0),
        12,
        7,
    );
}

fn duplicates(board: &mut Board) {
    board.section("Duplicates");
    board.add(
        Panel::new(
            Shape::Lines,
            "Share of copies",
            "Of the events of the last five minutes; they do not count.",
        )
        .ask(
            format!(
                "max by (topic) ({} / on (job, instance, topic) ({} > 0))",
                chosen(&catalog::RECENT_EVENTS, "outcome=\"duplicate\""),
                chosen(&catalog::RECENT_EVENTS, "outcome=\"decoded\"")
            ),
            "{{topic}}",
        )
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
        .ask(all(&catalog::REMEMBERED_IDS), "{{instance}}"),
        8,
        7,
    );
    board.add(
        Panel::new(Shape::Lines, "Memory of the ids", "By instance.")
            .ask(all(&catalog::REMEMBERED_IDS_BYTES), "{{instance}}")
            .unit("bytes"),
        8,
        7,
    );
}

fn figures(board: &mut Board) {
    board.section("Figures");
    board.add(
        Panel::new(
            Shape::Lines,
            "Coverage by window",
            "Below an objective's minimum, its verdict is unknown.",
        )
        .ask(
            format!("max by (slice, window) ({})", all(&catalog::COVERAGE)),
            "{{slice}} {{window}}",
        )
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
        .ask(
            format!(
                "max by (slice) ({} / {})",
                all(&catalog::SLICE_SERIES),
                all(&catalog::SLICE_SERIES_LIMIT)
            ),
            "{{slice}}",
        )
        .unit("percentunit")
        .scale(0.0, 1.0)
        .colours(&[(None, "green"), (Some(0.8), "orange"), (Some(1.0), "red")]),
        8,
        8,
    );
    board.add(
        Panel::new(Shape::Lines, "Folded", "Values without series of their own, and their events.")
            .ask(
                format!("max by (slice) ({})", all(&catalog::SLICE_FOLDED_VALUES)),
                "{{slice}}: values",
            )
            .ask(
                format!("max by (slice) ({})", all(&catalog::SLICE_FOLDED_EVENTS)),
                "{{slice}}: events",
            ),
        8,
        8,
    );
}

fn process(board: &mut Board) {
    board.section("Process");
    board.add(
        Panel::new(Shape::Lines, "Memory", "Resident, by instance.")
            .ask(all(&catalog::MEMORY), "{{instance}}")
            .unit("bytes"),
        6,
        7,
    );
    board.add(
        Panel::new(Shape::Lines, "Processors in use", "By instance.")
            .ask(format!("rate({}[5m])", all(&catalog::CPU)), "{{instance}}"),
        6,
        7,
    );
    board.add(
        Panel::new(Shape::Lines, "Snapshot", "How long the newest one took to make.")
            .ask(all(&catalog::SNAPSHOT_SECONDS), "{{instance}}")
            .unit("s"),
        6,
        7,
    );
    board.add(
        Panel::new(Shape::Lines, "Uptime", "A fall is a restart.")
            .ask(format!("time() - {}", all(&catalog::START_TIME)), "{{instance}}")
            .unit("s"),
        6,
        7,
    );
}
