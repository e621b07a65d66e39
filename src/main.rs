//! The command line of Tidegauge: commands, messages, exit codes.
//!
//! Exit codes: 0 done; 1 it could not be done; 2 the configuration or the command
//! line is wrong, or generated files differ from those on disk.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
