//! `hash-password`: what the web configuration keeps in the place of passwords and tokens.

use std::io::{IsTerminal, Read};

use clap::Args;
use tidegauge::export::{hash_password as hash, new_token};

use super::{Failure, print_line, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge hash-password                              asks for the password
  tidegauge hash-password --user prometheus < secret   a whole line for basic_auth_users
  tidegauge hash-password --token --user prometheus    a new token, and what to declare

Nothing is written to a file. The hash, and not the password, belongs into the file that
`[export] web_config` names.";

#[derive(Args)]
pub(super) struct HashPasswordArgs {
    /// Make a token instead: a long random word that scrapers show.
    #[arg(long)]
    token: bool,
    /// The name under which it is declared.
    #[arg(long, value_name = "NAME", default_value = "prometheus")]
    user: String,
    /// How much a guess costs: each step more doubles it.
    #[arg(long, value_name = "10..14", default_value_t = 12, value_parser = clap::value_parser!(u32).range(10..=14))]
    cost: u32,
}

pub(super) fn hash_password(args: &HashPasswordArgs) -> Result<(), Failure> {
    if args.user.is_empty() || args.user.contains(':') || args.user.chars().any(char::is_control) {
        return Err(Failure::Refused(format!(
            "error: nobody can sign in as {:?}\n  help: a name has one character or more, and \
             no colon",
            args.user
        )));
    }
    // In double quotes JSON is YAML.
    let name = serde_json::Value::from(args.user.as_str());
    if args.token {
        let (token, hash) = new_token().map_err(anyhow::Error::msg)?;
        say("The token, for the scraper; it is shown this once:");
        print_line(&token)?;
        say("For the web configuration, under `bearer_tokens`:");
        return print_line(&format!("  {name}: {{ sha256: \"{hash}\" }}"));
    }
    let password = password().map_err(anyhow::Error::new)?;
    let hash = hash(&password, args.cost).map_err(anyhow::Error::msg)?;
    say("For the web configuration, under `basic_auth_users`:");
    print_line(&format!("  {name}: \"{hash}\""))
}

/// From the terminal, where it is not shown, or else the first line of standard input.
fn password() -> std::io::Result<String> {
    if std::io::stdin().is_terminal() {
        return rpassword::prompt_password("Password: ");
    }
    let mut text = String::new();
    std::io::stdin().take(10_000).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
