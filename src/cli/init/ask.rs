//! Questions to the person at the terminal.

use std::io::Write;

use anyhow::{Context, anyhow};

/// The answer to a question; an empty one means the proposal, if there is one.
pub(super) fn text(question: &str, proposal: Option<&str>) -> anyhow::Result<String> {
    loop {
        let shown = proposal.map_or_else(String::new, |proposal| format!(" [{proposal}]"));
        let _ = write!(std::io::stderr(), "{question}{shown}: ");
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer).context("cannot read the answer")?;
        if read == 0 {
            return Err(anyhow!("nothing was answered, and nothing written"));
        }
        match (answer.trim(), proposal) {
            ("", Some(proposal)) => return Ok(proposal.to_owned()),
            ("", None) => {}
            (answer, _) => return Ok(answer.to_owned()),
        }
    }
}
