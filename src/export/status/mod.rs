//! The status page: what it says, how it has been of late, and how it looks.
//!
//! In: a report, the site, and a bounded history that is fed with every report.
//! Out: [`Status`], which goes out as JSON, and is written as HTML by `html`. The
//! history is all that is kept: some two hundred short lines and, for each verdict,
//! since when it stands. Never done here: judging; a figure that the report does not
//! have is "no data" on the page.

mod board;
mod data;
mod history;
mod html;
mod pipeline;
mod pipeline_html;
mod spark;
mod text;

pub(super) use data::Status;
pub(super) use history::History;
pub(super) use html::{fragment, page};
