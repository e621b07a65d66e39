//! The part of the pipeline's dashboard on TLS and signing in.

use super::board::Board;
use super::chosen::Chosen;
use super::panel::{Panel, Shape};
use crate::catalog;

pub(super) fn section(board: &mut Board<'_>, chosen: Chosen<'_>) {
    board.section("Access");
    let refused = format!("rate({}[5m])", chosen.all(&catalog::REFUSED_CLIENTS));
    board.add(
        Panel::new(
            Shape::Lines,
            "Refused clients",
            "A second, by instance and reason; nothing without a web configuration.",
        )
        .ask(refused, "{{instance}} {{reason}}"),
        12,
        7,
    );
    let left = format!("{} - time()", chosen.all(&catalog::CERTIFICATE_EXPIRES));
    board.add(
        Panel::new(
            Shape::Lines,
            "Life of the certificate",
            "How long the TLS certificate is valid yet, by instance.",
        )
        .ask(left, "{{instance}}")
        .unit("s"),
        6,
        7,
    );
    board.add(
        Panel::new(
            Shape::Lines,
            "Web configuration",
            "0 while what is on the disk could not be taken up, by instance.",
        )
        .ask(chosen.all(&catalog::WEB_CONFIG_UP_TO_DATE), "{{instance}}"),
        6,
        7,
    );
}
