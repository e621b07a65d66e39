//! `man`: a manual page for each command, made from what `--help` says.
//!
//! clap_mangen fills the examples of a command into one paragraph; here they keep their
//! lines.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, Failure, print_line, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge man | man -l -                       the page of the program itself
  tidegauge man /usr/local/share/man/man1        one page for each command

Debian's package brings them.";

#[derive(Args)]
pub(super) struct ManArgs {
    /// The folder to write tidegauge.1, tidegauge-run.1 and so on into; without it, the
    /// page of the program goes to standard output.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let Some(folder) = &args.folder else {
        return print_line(page(&program)?.1.trim_end());
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut commands = vec![&program];
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands().filter(|command| !command.is_hide_set()));
        let (name, text) = page(command)?;
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        say(&format!("wrote {}", path.display()));
    }
    Ok(())
}

/// The name and the text of a command's page.
fn page(command: &Command) -> anyhow::Result<(String, String)> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command.clone().after_help(None::<&str>))
        .manual("Tidegauge")
        .source(concat!("tidegauge ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut text = String::from_utf8(page)?;
    text.push_str(&examples(&after));
    Ok((man.get_filename(), text))
}

/// The examples with their lines as they are, and what is said after them as text.
fn examples(after: &str) -> String {
    let mut text = String::new();
    for (number, part) in after.split("\n\n").enumerate() {
        match part.strip_prefix("Examples:\n") {
            Some(lines) => text.push_str(&format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", escaped(lines))),
            None if number == 0 => text.push_str(&format!(".SH NOTES\n{}\n", escaped(part))),
            None => text.push_str(&format!(".PP\n{}\n", escaped(part))),
        }
    }
    text
}

/// A backslash, and a full stop or an apostrophe at the beginning of a line, would be taken
/// for a request; a hyphen for one that is not to be copied.
fn escaped(text: &str) -> String {
    let line = |line: &str| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_keep_their_lines_and_mean_what_they_say() {
        let page = examples("Examples:\n  a --b \\\n  .c\n\n.d is 'said'\n'e");
        assert_eq!(
            page,
            ".SH EXAMPLES\n.nf\n  a \\-\\-b \\e\n  .c\n.fi\n.PP\n\\&.d is 'said'\n\\&'e\n"
        );
    }
}
