//! `decode`: how a user writes and tries a mapping.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;
use tidegauge::event::{EventTime, RawRecord, Vocabulary};
use tidegauge::format::{Decoder, Format, Limits, Wanted, show};

use super::{Failure, print_line};

pub(super) const EXAMPLES: &str = "\
Examples:
  tidegauge decode --format sendgrid batch.json
  tidegauge decode --format cloudevents --header ce_specversion=1.0 \\
      --header ce_type=email.opened --header ce_source=crm --header ce_id=7 body.json
  kcat -b localhost -t email -C -e | tidegauge decode --format canonical --lines
  tidegauge decode --config tidegauge.toml --format mine record.json

One JSON line for each outcome: an event with its canonical fields, a rejection with
reason and detail, an element passed over, or an empty record. Neither late nor future
is judged. The formats that come with the program: canonical, cloudevents, sendgrid,
amazon_ses, mailgun, segment, ga4_mp, meta; --config adds those of a configuration.";

#[derive(Args)]
pub(super) struct DecodeArgs {
    /// The format to read with.
    #[arg(long, short, value_name = "NAME")]
    format: String,
    /// A configuration whose own formats and event types are known too.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A record header; may be given more than once.
    #[arg(long, value_name = "K=V")]
    header: Vec<String>,
    /// The record's own timestamp, RFC 3339; by default now.
    #[arg(long, value_name = "T")]
    timestamp: Option<String>,
    /// Each line is a record.
    #[arg(long)]
    lines: bool,
    /// The record; standard input without it, or with `-`.
    file: Option<PathBuf>,
}

pub(super) fn decode(args: &DecodeArgs) -> Result<(), Failure> {
    let (formats, vocabulary, limits) = match &args.config {
        Some(path) => {
            let config = tidegauge::config::load(path)
                .map_err(|problems| Failure::Refused(problems.to_string()))?;
            (config.formats, config.declarations.vocabulary, config.limits)
        }
        None => (tidegauge::config::shipped_formats(), Vocabulary::canonical(), Limits::default()),
    };
    let Some(spec) = formats.iter().find(|spec| spec.name == args.format) else {
        let known: Vec<&str> = formats.iter().map(|spec| spec.name.as_str()).collect();
        return Err(Failure::Refused(format!(
            "error: no format is called `{}`\n  help: known are {}",
            args.format,
            known.join(", ")
        )));
    };
    let format = Format::compile(spec, &vocabulary, &Wanted::All);
    let mut decoder = Decoder::new(Arc::new(format), limits);
    let timestamp = match &args.timestamp {
        Some(text) => parse_time(text)?,
        None => tidegauge::app::now(),
    };
    let headers = args
        .header
        .iter()
        .map(|header| header.split_once('=').map(|(key, value)| (key, Some(value.as_bytes()))))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Failure::Refused("error: a header is given as --header KEY=VALUE".into()))?;
    let input = read(args.file.as_deref())?;
    let records: Vec<&[u8]> = if args.lines {
        input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect()
    } else {
        vec![&input]
    };
    for value in records {
        let record = RawRecord {
            topic: "",
            partition: 0,
            offset: 0,
            timestamp: Some(timestamp),
            key: None,
            value: Some(value),
            headers: &headers,
        };
        let mut lines = Vec::new();
        let outcome = decoder.decode(&record, &mut |element| {
            lines.push(show::element_json(&element, &vocabulary));
        });
        lines.extend(show::record_json(&outcome));
        for line in lines {
            print_line(&line)?;
        }
    }
    Ok(())
}

fn parse_time(text: &str) -> Result<EventTime, Failure> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed.map(|time| EventTime::from_micros(time.as_microsecond())).map_err(|_| {
        Failure::Refused(format!(
            "error: `{text}` is not an RFC 3339 time\n  help: write it as 2026-04-01T12:00:00Z"
        ))
    })
}

fn read(file: Option<&std::path::Path>) -> anyhow::Result<Vec<u8>> {
    match file {
        Some(path) if path.as_os_str() != "-" => {
            fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        }
        _ => {
            let mut input = Vec::new();
            std::io::stdin()
                .read_to_end(&mut input)
                .map_err(|error| anyhow!("cannot read standard input: {error}"))?;
            Ok(input)
        }
    }
}
