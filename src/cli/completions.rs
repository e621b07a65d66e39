//! `completions`: what a shell has to know to complete a command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure, print_line};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge completions bash > /etc/bash_completion.d/tidegauge
  tidegauge completions zsh > ~/.zfunc/_tidegauge
  tidegauge completions fish > ~/.config/fish/completions/tidegauge.fish

Debian's package brings those of bash, zsh and fish.";

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tidegauge", &mut script);
    print_line(String::from_utf8_lossy(&script).trim_end())
}
