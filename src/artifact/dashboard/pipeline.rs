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
            "Configurations",
            "More than one means that replicas disagree.",
            format!("count(count by (fingerprint) ({}))", all(&catalog::CONFIG_INFO)),
            &[(None, "green"), (Some(2.0), "red")],
        ),
    ];
    for (title, help, expr, colours) in stats {
        board.add(Panel::new(Shape::Stat, title, help).ask(expr, title).colours(colours), 4, 4);
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
            Shape::Bars,
            "Rejected since the start, by reason",
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
            "Ledgers since the start, by topic",
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
            "Counted, but copies of them cannot be told. Since the start.",
        )
        .ask(format!("max by (topic) ({})", all(&catalog::UNIDENTIFIED)), "{{topic}}"),
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
    let cpu = chosen(&catalog::CPU, "");
    board.add(
        Panel::new(Shape::Lines, "Memory", "Resident, by instance.")
            .ask(all(&catalog::MEMORY), "{{instance}}")
            .unit("bytes"),
        6,
        7,
    );
    board.add(
        Panel::new(Shape::Lines, "Processors in use", "By instance.")
            .ask(format!("clamp_min(deriv({cpu}[5m]), 0)"), "{{instance}}"),
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
