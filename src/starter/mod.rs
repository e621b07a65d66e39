//! What a new user begins with: a configuration, objectives, and the files of Prometheus,
//! Alertmanager, Grafana and systemd that fit it.
//!
//! In: a few answers. Out: texts. The files under `deploy/` are in the program, and only
//! what the answers decide is changed in them; rules and dashboards are generated from the
//! configuration that is written. Nothing is read or written here.

mod deploy;
mod objectives;

pub use deploy::deploy;
pub use objectives::objectives;

use std::collections::BTreeSet;
use std::net::SocketAddr;

/// What is to be known of a new user's place.
#[derive(Debug, Clone)]
pub struct Answers {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// Settings of librdkafka.
    pub properties: Vec<(String, Setting)>,
    /// Under which offsets are committed.
    pub group: String,
    /// What is read.
    pub topics: Vec<Topic>,
    /// Who is told of the objectives.
    pub owner: String,
    /// Where the pages are served.
    pub listen: SocketAddr,
    /// The folder that is written into, from the root.
    pub folder: String,
    /// Where the state is saved, from the root; `None` is the default, beside the
    /// configuration.
    pub state: Option<String>,
    /// The program, from the root.
    pub program: String,
}

/// A topic, or a pattern of topics, and the format that reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// The format's name.
    pub format: String,
    /// The domains of the event types in it (`email`, `web`), as far as its newest records
    /// tell; `None` if nobody looked. Some formats take any type as it stands: only the
    /// records say which there are.
    pub domains: Option<BTreeSet<String>>,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// As it is.
    Text(String),
    /// What stands in that file.
    File(String),
}

/// The name of the configuration.
pub const CONFIGURATION: &str = "tidegauge.toml";
/// The name of the file of objectives.
pub const OBJECTIVES: &str = "objectives.toml";
/// The default of `[export] listen`, as the files under `deploy/` have it.
const LISTEN: &str = "127.0.0.1:9184";
/// The default of `[kafka] group`.
const GROUP: &str = "tidegauge";

/// The text of [`CONFIGURATION`].
pub fn configuration(answers: &Answers) -> String {
    let mut text = format!(
        "# Made by `tidegauge init`. Every section and key is explained in docs/configuration.md;\n\
         # what is not here has its default.\n\
         include = [{}]\n\n[kafka]\nbrokers = {}\n",
        quoted(OBJECTIVES),
        quoted(&answers.brokers)
    );
    if answers.group != GROUP {
        text.push_str(&format!("group = {}\n", quoted(&answers.group)));
    }
    if !answers.properties.is_empty() {
        text.push_str("\n[kafka.properties]\n");
    }
    for (name, setting) in &answers.properties {
        text.push_str(&match setting {
            Setting::Text(value) => format!("{name} = {}\n", quoted(value)),
            Setting::File(path) => format!("{name} = {{ file = {} }}\n", quoted(path)),
        });
    }
    for Topic { name, format, .. } in &answers.topics {
        text.push_str(&format!(
            "\n[[topics]]\nname = {}\nformat = {}\n",
            quoted(name),
            quoted(format)
        ));
    }
    if answers.listen.to_string() != LISTEN {
        text.push_str(&format!("\n[export]\nlisten = {}\n", quoted(&answers.listen.to_string())));
    }
    if let Some(state) = &answers.state {
        text.push_str(&format!("\n[state]\ndirectory = {}\n", quoted(state)));
    }
    text
}

/// A text of TOML that means these characters and no variable.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted.replace("${", "$${")
}
