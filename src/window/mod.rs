//! Panes, cells, rolling windows and `as_of`.

mod spec;

pub use spec::{BASE_PANE, LADDER, WindowSpec};
