//! `init`: the first files of a new user.
//!
//! It asks where somebody can answer, and takes flags everywhere; looks at the topics, where
//! the brokers can be reached; and writes what `starter` makes of the answers.

mod ask;
mod topics;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use tidegauge::artifact::Artifact;
use tidegauge::config::{self, Config, Disk, Files, World};
use tidegauge::kafka::{Access, TopicPattern, Visit, faults_of_properties};
use tidegauge::starter::{self, Answers, CONFIGURATION, OBJECTIVES, Setting, Topic};

use super::{Failure, print_line, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge init                                  asks, and writes into this folder
  tidegauge init marketing --brokers kafka-1:9092,kafka-2:9092
  tidegauge init --brokers localhost:9092 --topic email.events --owner email-team
  tidegauge init --brokers localhost:9092 --topic email.events=sendgrid \\
      --topic '^web\\..*=segment' --owner marketing --listen 0.0.0.0:9184
  tidegauge init --yes --brokers localhost:9092 --owner marketing   what it can read of 50 topics
  tidegauge init --brokers kafka:9093 --owner marketing \\
      --property security.protocol=SASL_SSL --property sasl.mechanism=SCRAM-SHA-512 \\
      --property sasl.username=tidegauge --property sasl.password=@/etc/tidegauge/password

It writes tidegauge.toml, objectives.toml with objectives that your topics can feed, and
deploy/ with what Prometheus, Alertmanager, Grafana and systemd need. A file that is there
already is never overwritten without --force; nothing is written then at all.

Where no format is given, a few of the newest records of the topic are read, without
committing anything, and the format is taken that makes events of most of them. Formats
that come with the program: canonical, cloudevents, sendgrid, amazon_ses, mailgun, segment,
ga4_mp, meta; docs/formats.md shows how to write one. Brokers that cannot be reached are no
obstacle where the flags say everything.";

#[derive(Args)]
pub(super) struct InitArgs {
    /// The folder to write into.
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// The brokers of your Kafka.
    #[arg(long, value_name = "HOST:PORT[,...]")]
    brokers: Option<String>,
    /// A topic to read, or ^PATTERN, and its format if you know it; may be repeated.
    #[arg(long = "topic", value_name = "NAME[=FORMAT]")]
    topics: Vec<String>,
    /// The team that is told when an objective is missed.
    #[arg(long, value_name = "TEAM")]
    owner: Option<String>,
    /// The address of the status page and of /metrics.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9184")]
    listen: SocketAddr,
    /// Offsets are committed under GROUP.INSTANCE.
    #[arg(long, value_name = "GROUP", default_value = "tidegauge")]
    group: String,
    /// A setting of librdkafka, such as for signing in; @FILE for what stands in a file. May
    /// be repeated.
    #[arg(long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// Where the state is saved; by default tidegauge-data beside the configuration, or
    /// /var/lib/tidegauge for a configuration below /etc.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Ask nothing: take what would be proposed.
    #[arg(long)]
    yes: bool,
    /// Overwrite files that are there.
    #[arg(long)]
    force: bool,
}

const BROKERS: &str = "localhost:9092";

pub(super) fn init(args: &InitArgs) -> Result<(), Failure> {
    let asks = !args.yes && std::io::stdin().is_terminal();
    if args.listen.port() == 0 {
        return Err(Failure::Refused(
            "error: --listen with port 0 leaves the port to the system, and Prometheus would not \
             find it\n  help: name a port, such as 127.0.0.1:9184"
                .to_owned(),
        ));
    }
    if !asks {
        refuse_missing(args)?;
    }
    let folder = plain(&args.folder, "the folder")?;
    let state = match &args.state {
        Some(state) => Some(plain(state, "--state")?),
        None => (folder == "/etc" || folder.starts_with("/etc/"))
            .then(|| "/var/lib/tidegauge".to_owned()),
    };
    let mut answers = Answers {
        brokers: match &args.brokers {
            Some(brokers) => brokers.clone(),
            None if asks => ask::text("Brokers of your Kafka", Some(BROKERS))?,
            None => BROKERS.to_owned(),
        },
        properties: args.properties.iter().map(|text| property(text)).collect::<Result<_, _>>()?,
        group: args.group.clone(),
        topics: Vec::new(),
        owner: args.owner.clone().unwrap_or_default(),
        listen: args.listen,
        folder,
        state,
        program: program(),
    };
    let visit = visit(&answers)?;
    let wanted = args.topics.iter().map(|text| topics::wanted(text)).collect::<Result<_, _>>()?;
    answers.topics = topics::choose(wanted, visit.as_ref(), asks)?;
    if answers.owner.is_empty() {
        answers.owner = ask::text("The team that is told when an objective is missed", None)?;
    }
    check_owner(&answers.owner)?;
    let (files, config) = files(&answers)?;
    write(&args.folder, &files, args.force)?;
    finish(&args.folder, &answers, &config)
}

/// Where nobody answers, everything that is missing is said at once.
fn refuse_missing(args: &InitArgs) -> Result<(), Failure> {
    let missing: Vec<&str> = [
        ("--brokers HOST:PORT", args.brokers.is_none() && !args.yes),
        ("--topic NAME[=FORMAT]", args.topics.is_empty() && !args.yes),
        ("--owner TEAM", args.owner.is_none()),
    ]
    .into_iter()
    .filter_map(|(flag, is_missing)| is_missing.then_some(flag))
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "error: nobody can be asked here, and these are missing: {}\n  help: give them, or run \
         it in a terminal; with --yes the brokers are {BROKERS} and every topic is read that \
         some format fits",
        missing.join(", ")
    )))
}

fn check_owner(owner: &str) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !owner.is_empty() && owner.len() <= 100 && owner.chars().all(fits) {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "error: `{owner}` cannot be an owner here\n  help: it becomes a label and the name of a \
         receiver: letters, digits, hyphens, underscores and dots, such as email-team"
    )))
}

/// A path from the root that needs no quoting anywhere.
fn plain(path: &Path, what: &str) -> Result<String, Failure> {
    let from_root = std::path::absolute(path)
        .with_context(|| format!("where is {}?", path.display()))?
        .to_string_lossy()
        .into_owned();
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && !"%\"'\\$".contains(c);
    if from_root.chars().all(fits) {
        return Ok(from_root);
    }
    Err(Failure::Refused(format!(
        "error: {what} `{from_root}` has characters that the files of systemd would have to \
         quote\n  help: choose one without spaces, quotes, backslashes, `%` and `$`"
    )))
}

/// Where this program is, for the unit of systemd.
fn program() -> String {
    let here = std::env::current_exe().ok();
    let plain = here.and_then(|path| plain(&path, "the program").ok());
    plain.unwrap_or_else(|| "/usr/bin/tidegauge".to_owned())
}

fn property(text: &str) -> Result<(String, Setting), Failure> {
    let refused =
        |what: String, help: &str| Err(Failure::Refused(format!("error: {what}\n  help: {help}")));
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| name.chars().all(named))
    else {
        return refused(
            "a setting is given as --property NAME=VALUE".to_owned(),
            "such as --property security.protocol=SSL",
        );
    };
    if let Some(file) = value.strip_prefix('@') {
        let path = plain(Path::new(file), "the file")?;
        return Ok((name.to_owned(), Setting::File(path)));
    }
    let secret =
        ["password", "passphrase", "secret", "key.pem"].iter().any(|part| name.ends_with(part))
            || ["sasl.jaas.config", "sasl.oauthbearer.config"].contains(&name);
    if secret {
        return refused(
            format!("`{name}` on a command line can be read by everybody on this machine"),
            &format!(
                "put it into a file that only its user can read, and say --property {name}=@FILE"
            ),
        );
    }
    Ok((name.to_owned(), Setting::Text(value.to_owned())))
}

/// The cluster, if it answers; that it does not is said.
fn visit(answers: &Answers) -> Result<Option<Visit>, Failure> {
    // What reads the file later reads the sign-in now, so that both mean the same.
    let placeholder =
        Topic { name: "any".to_owned(), format: "canonical".to_owned(), domains: None };
    let text = starter::configuration(&Answers { topics: vec![placeholder], ..answers.clone() });
    let objectives = String::new();
    let config = read(&BTreeMap::from([
        (CONFIGURATION.to_owned(), text),
        (OBJECTIVES.to_owned(), objectives),
    ]))?;
    match Visit::connect(
        &config.kafka.brokers,
        &config.kafka.properties,
        &Access::new(&config.kafka),
    ) {
        Ok(visit) => Ok(Some(visit)),
        Err(error) => {
            say(&format!("warning: {error}"));
            Ok(None)
        }
    }
}

/// Files that are not on the disk yet, and those that are.
struct ToBeWritten<'f>(&'f BTreeMap<String, String>);

impl Files for ToBeWritten<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0.get(path).map_or_else(|| Disk.read(path), |text| Ok(text.clone()))
    }

    fn list(&self, pattern: &str) -> Result<Vec<String>, String> {
        Ok(vec![pattern.to_owned()])
    }
}

fn read(files: &BTreeMap<String, String>) -> Result<Config, Failure> {
    let world = World {
        files: &ToBeWritten(files),
        environment: &|_| None,
        host: "",
        processors: 1,
        now: tidegauge::app::now(),
    };
    let config = config::read(CONFIGURATION, &world)
        .map_err(|problems| Failure::Refused(format!("of what would be written,\n{problems}")))?;
    let faults = faults_of_properties(&config.kafka.properties);
    if faults.is_empty() {
        return Ok(config);
    }
    let faults = faults
        .iter()
        .map(|(name, reason)| format!("error: --property {name}: librdkafka refuses it: {reason}"));
    Err(Failure::Refused(faults.collect::<Vec<_>>().join("\n")))
}

fn files(answers: &Answers) -> Result<(Vec<Artifact>, Config), Failure> {
    let declared = BTreeMap::from([
        (CONFIGURATION.to_owned(), starter::configuration(answers)),
        (OBJECTIVES.to_owned(), starter::objectives(answers)),
    ]);
    let config = read(&declared)?;
    let declared = declared.into_iter().map(|(path, text)| Artifact { path, text });
    let files = declared.chain(starter::deploy(answers, &config)).collect();
    Ok((files, config))
}

fn write(folder: &Path, files: &[Artifact], force: bool) -> Result<(), Failure> {
    let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(&file.path)).collect();
    let there: Vec<String> = paths
        .iter()
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| format!("  {}", path.display()))
        .collect();
    if !there.is_empty() && !force {
        return Err(Failure::Refused(format!(
            "error: these files are there already, and nothing was written:\n{}\n  help: choose \
             another folder, or overwrite them with --force",
            there.join("\n")
        )));
    }
    for (file, path) in files.iter().zip(&paths) {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        put(path, &file.text, force).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Writes a file that is not there, or with `force` one that takes the place of what is,
/// whole or not at all. What a link points at is never written to.
fn put(path: &Path, text: &str, force: bool) -> io::Result<()> {
    let create = |path: &Path| {
        let mut file = File::options().write(true).create_new(true).open(path)?;
        file.write_all(text.as_bytes())
    };
    if !force {
        return create(path);
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create(Path::new(&draft))?;
    fs::rename(&draft, path)
}

fn finish(folder: &Path, answers: &Answers, config: &Config) -> Result<(), Failure> {
    let at = |path: &str| folder.join(path).display().to_string();
    say(&format!(
        "wrote {}, {} with {} objectives, and {}",
        at(CONFIGURATION),
        at(OBJECTIVES),
        config.objectives.len(),
        at("deploy")
    ));
    for warning in &config.warnings {
        say(&format!("warning: {warning}"));
    }
    let configuration = at(CONFIGURATION);
    // As root, by hand, it would leave files that the service may not touch.
    let start = match folder == Path::new("/etc/tidegauge") && has_unit() {
        true => "systemctl enable --now tidegauge".to_owned(),
        false => format!("tidegauge run --config {configuration}"),
    };
    print_line(&format!(
        "Next:\n  tidegauge check --connect --config {configuration}\n  {start}      then look at \
         http://{}/\n  prometheus --config.file={}",
        config::seen_at(answers.listen),
        at("deploy/prometheus/prometheus.yml")
    ))
}

/// Whether the unit of the package is there, which starts it as a user of its own.
fn has_unit() -> bool {
    ["/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system"]
        .iter()
        .any(|folder| Path::new(folder).join("tidegauge.service").exists())
}

/// Whether a text can name a topic or topics.
fn check_topic(name: &str) -> Result<TopicPattern, Failure> {
    TopicPattern::parse(name)
        .map_err(|why| Failure::Refused(format!("error: --topic `{name}`: {why}")))
}
