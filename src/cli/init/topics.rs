//! Which topics are read, and in which formats: what was asked for, what is in the topics,
//! and what follows.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use tidegauge::config::{did_you_mean, shipped_formats};
use tidegauge::format::{Choice, Fit, Fitting, FormatSpec, choose as choose_format};
use tidegauge::kafka::{TopicThere, Visit, VisitError};
use tidegauge::starter::Topic;

use super::{ask, check_topic};
use crate::cli::{Failure, say};

/// So many of the newest records tell a format.
const RECORDS: usize = 50;
/// So many topics are looked at where none is named.
const MOST_TOPICS: usize = 50;
/// So many topics of a pattern tell its format.
const OF_A_PATTERN: usize = 3;

static FORMATS: LazyLock<Vec<FormatSpec>> = LazyLock::new(shipped_formats);

/// A topic, or a pattern, and its format if that is known.
pub(super) struct Wanted {
    name: String,
    format: Option<Told>,
}

/// A format, and the domains of types that were seen with it if anybody looked.
#[derive(Clone)]
struct Told {
    format: String,
    domains: Option<BTreeSet<String>>,
}

impl Told {
    fn by_somebody(format: &str) -> Told {
        Told { format: format.to_owned(), domains: None }
    }

    fn by_records(fit: &Fit) -> Told {
        let domain = |kind: &String| kind.split('.').next().unwrap_or_default().to_owned();
        Told { format: fit.format.clone(), domains: Some(fit.types.keys().map(domain).collect()) }
    }
}

/// Reads `NAME[=FORMAT]`.
pub(super) fn wanted(text: &str) -> Result<Wanted, Failure> {
    let (name, format) = match text.rsplit_once('=') {
        Some((name, format)) => (name, Some(format)),
        None => (text, None),
    };
    check_topic(name)?;
    if let Some(format) = format {
        known(format).map_err(|why| Failure::Refused(format!("error: --topic {text}: {why}")))?;
    }
    Ok(Wanted { name: name.to_owned(), format: format.map(Told::by_somebody) })
}

/// Whether a format is in the program.
fn known(format: &str) -> Result<(), String> {
    let names: Vec<&str> = FORMATS.iter().map(|spec| spec.name.as_str()).collect();
    if names.contains(&format) {
        return Ok(());
    }
    let remedy = did_you_mean(format, names).unwrap_or_default();
    Err(format!(
        "no format `{format}` comes with the program\n  help: {remedy}\n  help: for one of your \
         own take any of them now, and change tidegauge.toml as docs/formats.md shows"
    ))
}

/// The topics with their formats.
pub(super) fn choose(
    wanted: Vec<Wanted>,
    visit: Option<&Visit>,
    asks: bool,
) -> Result<Vec<Topic>, Failure> {
    let there = match visit {
        Some(visit) => visit.topics().map_err(failed)?,
        None => Vec::new(),
    };
    let wanted = match wanted.is_empty() {
        false => wanted,
        true => proposed(visit, &there, asks)?,
    };
    let mut chosen = Vec::new();
    let mut faults = Vec::new();
    for Wanted { name, format } in wanted {
        let found = match format {
            Some(told) => Ok(told),
            None => look_for_format(&name, visit, &there)?,
        };
        match found {
            Ok(told) => chosen.push(topic(name, told)),
            Err(fault) if asks => {
                say(&fault);
                let told = Told::by_somebody(&ask_format(&name)?);
                chosen.push(topic(name, told));
            }
            Err(fault) => faults.push(format!(
                "error: --topic {name}: {fault}\n  help: write --topic '{name}=FORMAT'"
            )),
        }
    }
    if !faults.is_empty() {
        return Err(Failure::Refused(faults.join("\n")));
    }
    if chosen.is_empty() {
        return Err(Failure::Refused(
            "error: there is no topic to read\n  help: name some with --topic NAME=FORMAT".into(),
        ));
    }
    Ok(chosen)
}

fn topic(name: String, Told { format, domains }: Told) -> Topic {
    Topic { name, format, domains }
}

/// What to read where nothing was named: what some format fits, unless somebody chooses.
fn proposed(
    visit: Option<&Visit>,
    there: &[TopicThere],
    asks: bool,
) -> Result<Vec<Wanted>, Failure> {
    let mut fitting = Vec::new();
    // Names that begin with an underscore are by custom those of tools.
    let theirs: Vec<&TopicThere> =
        there.iter().filter(|topic| !topic.name.starts_with('_')).collect();
    if let Some(visit) = visit {
        say(&format!("{} topics; the newest records of each say:", theirs.len()));
        for topic in theirs.iter().take(MOST_TOPICS) {
            // One that may not be read, or has no leader just now, keeps nobody from the others.
            let fits = match look(visit, &[topic]) {
                Ok(fits) => fits,
                Err(error) => {
                    say(&format!("  {}: cannot be looked at: {error}", topic.name));
                    continue;
                }
            };
            say(&format!("  {}: {}", topic.name, described(&fits)));
            if let Choice::One(best) = choose_format(&fits) {
                fitting.push(Wanted {
                    name: topic.name.clone(),
                    format: Some(Told::by_records(best)),
                });
            }
        }
        if theirs.len() > MOST_TOPICS {
            say(&format!(
                "  and {} more, not looked at: name those that are meant with --topic",
                theirs.len() - MOST_TOPICS
            ));
        }
    }
    if !asks {
        return Ok(fitting);
    }
    let names: Vec<&str> = fitting.iter().map(|wanted| wanted.name.as_str()).collect();
    let proposal = (!names.is_empty()).then(|| names.join(", "));
    let answer = ask::text("Topics to read", proposal.as_deref())?;
    let named = answer.split(',').map(str::trim).filter(|name| !name.is_empty());
    named
        .map(|name| {
            let mut wanted = wanted(name)?;
            if wanted.format.is_none() {
                let known = fitting.iter().find(|fitting| fitting.name == wanted.name);
                wanted.format = known.and_then(|known| known.format.clone());
            }
            Ok(wanted)
        })
        .collect()
}

/// The format of a topic, by its records, or why it is not known.
fn look_for_format(
    name: &str,
    visit: Option<&Visit>,
    there: &[TopicThere],
) -> Result<Result<Told, String>, Failure> {
    let Some(visit) = visit else {
        return Ok(Err("its format is not known, since the brokers could not be asked".to_owned()));
    };
    let pattern = check_topic(name)?;
    let matching = there.iter().filter(|topic| pattern.matches(&topic.name));
    let matching: Vec<&TopicThere> = matching.take(OF_A_PATTERN).collect();
    if matching.is_empty() {
        return Ok(Err("there is no such topic yet, so that its format is not known".to_owned()));
    }
    let fits = look(visit, &matching).map_err(failed)?;
    let said = described(&fits);
    Ok(match choose_format(&fits) {
        Choice::One(best) => {
            say(&format!("{name}: {said}"));
            Ok(Told::by_records(best))
        }
        _ => Err(said),
    })
}

fn ask_format(name: &str) -> Result<String, Failure> {
    loop {
        let format = ask::text(&format!("Format of `{name}`"), None)?;
        match known(&format) {
            Ok(()) => return Ok(format),
            Err(why) => say(&why),
        }
    }
}

fn look(visit: &Visit, topics: &[&TopicThere]) -> Result<Vec<Fit>, VisitError> {
    let mut fitting = Fitting::new(&FORMATS);
    for topic in topics {
        for record in visit.newest(topic, RECORDS)? {
            record.as_raw(&topic.name, |record| fitting.add(record));
        }
    }
    Ok(fitting.finish())
}

fn failed(error: VisitError) -> Failure {
    Failure::Failed(anyhow::Error::new(error))
}

/// What was found in records, in a sentence.
fn described(fits: &[Fit]) -> String {
    match choose_format(fits) {
        Choice::One(best) => format!(
            "`{}` reads {} of {} records ({}){}",
            best.format,
            best.read,
            best.records,
            first(best.types.iter().map(|(kind, count)| format!("{kind} {count}"))),
            match best.campaigns.is_empty() {
                true => String::new(),
                false => format!("; campaigns {}", first(best.campaigns.iter().cloned())),
            }
        ),
        Choice::Several(fits) => {
            let names: Vec<&str> = fits.iter().map(|fit| fit.format.as_str()).collect();
            format!("read equally well by {}", names.join(" and "))
        }
        Choice::NoneFits => "no format that comes with the program makes an event of its \
                             records; docs/formats.md shows how to write one"
            .to_owned(),
        Choice::NoRecord => "it holds no record by which to tell its format".to_owned(),
    }
}

/// The first few of them.
fn first(all: impl ExactSizeIterator<Item = String>) -> String {
    const MOST: usize = 4;
    const LONGEST: usize = 60;
    let more = all.len().saturating_sub(MOST);
    // They are anybody's who can reach the topic: none of them may speak to the terminal.
    let shown = |name: String| name.escape_debug().take(LONGEST).collect::<String>();
    let mut text = all.take(MOST).map(shown).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
