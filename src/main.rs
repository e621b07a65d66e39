//! The command line of Tidegauge.

fn main() {}
