//! Panes, cells, rolling windows and `as_of`.

mod ageing;
mod bounds;
mod progress;
mod spec;

pub use ageing::{Ageing, AgeingImage};
pub use bounds::Bounds;
pub use progress::{Pending, Progress, Reached, StartedAt};
pub use spec::{BASE_PANE, LADDER, WindowSpec};
