//! The sections that say how the service runs: `[duplicates]`, `[export]`, `[limits]`,
//! `[log]`, `[run]`, `[state]`, `[time]`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::Secret;
use super::files::beside;
use super::kafka::{part_of_group, secret};
use super::reader::{Table, Value, shown};
use super::spec::{ExportSpec, LogFormat, LogSpec, STATE_VERSIONS, StateSpec};
use super::world::World;
use crate::event::Span;
use crate::format::Limits;

/// The default directory of the state, beside the configuration file.
const STATE_DIRECTORY: &str = "tidegauge-data";

/// `[run]`.
pub(super) struct Run {
    pub(super) snapshot_every: Span,
    pub(super) decoders: usize,
    pub(super) memory_limit: Option<u64>,
    pub(super) shutdown_deadline: Span,
    pub(super) hash_key: Option<Secret>,
}

/// The default of `[time] stale_after`.
const STALE_AFTER: Span = Span::from_secs(60);

/// `[time]`; no lateness means the longest window.
pub(super) struct Tolerances {
    pub(super) lateness: Option<Span>,
    pub(super) future_tolerance: Span,
    pub(super) stale_after: Span,
}

/// The instance's name; default: the host's, with what cannot stand in a group id
/// replaced by hyphens.
pub(super) fn instance(root: &mut Table<'_>, world: &World<'_>) -> String {
    if let Some(value) = root.optional("instance") {
        return value.text().filter(|name| part_of_group(&value, name)).unwrap_or_default();
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let host: String =
        world.host.trim().chars().take(100).map(|c| if fits(c) { c } else { '-' }).collect();
    if host.is_empty() { "tidegauge".to_owned() } else { host }
}

/// Reads `[export]` of the configuration at `path`.
pub(super) fn export(root: &mut Table<'_>, path: &str) -> ExportSpec {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 9184));
    let mut spec = ExportSpec { listen, hosts: Vec::new(), web_config: None };
    let Some(mut table) = root.table("export") else { return spec };
    if let Some(value) = table.optional("web_config") {
        spec.web_config = value.name_text().map(|named| PathBuf::from(beside(path, &named)));
    }
    if let Some(value) = table.optional("listen") {
        let text = value.text();
        match text.as_deref().map(str::parse) {
            Some(Ok(address)) => {
                spec.listen = address;
                // With a web configuration it depends on that, see `export::check_web`.
                if !address.ip().to_canonical().is_loopback() && spec.web_config.is_none() {
                    value.warn(
                        format!("whoever reaches {address} reads every figure: nobody is asked who they are"),
                        "let `web_config` name a file that asks them, or listen on 127.0.0.1 behind a proxy that does",
                    );
                }
            }
            Some(Err(_)) => value.problem_with(
                format!("`{}` is no address to listen on", shown(&text.unwrap_or_default())),
                "write an IP address and a port, such as \"127.0.0.1:9184\", \"0.0.0.0:9184\" or \"[::]:9184\"",
            ),
            None => {}
        }
    }
    for value in table.optional("hosts").map(|list| list.one_or_more()).unwrap_or_default() {
        let Some(name) = value.text() else { continue };
        if is_host(&name) {
            spec.hosts.push(name);
        } else {
            value.problem_with(
                format!("`{}` is no name of a host", shown(&name)),
                "write it as it stands in the address, without scheme, port or path, such as \"kpis.example.com\"",
            );
        }
    }
    table.finish();
    spec
}

/// Whether it is a name or an address by which a host is asked for.
fn is_host(name: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.chars().all(of_name),
    }
}

/// Reads `[limits]`.
pub(super) fn limits(root: &mut Table<'_>) -> Limits {
    let mut limits = Limits::default();
    let Some(mut table) = root.table("limits") else { return limits };
    let mut read = |key: &str, least: i64, most: i64, limit: &mut usize| {
        let value = table.optional(key).and_then(|value| value.integer(least, most));
        if let Some(value) = value.and_then(|value| usize::try_from(value).ok()) {
            *limit = value;
        }
    };
    read("record_bytes", 1_000, 1 << 30, &mut limits.record_bytes);
    read("depth", 1, 1_000, &mut limits.depth);
    read("elements", 1, 100_000_000, &mut limits.elements);
    read("text_bytes", 64, 1 << 24, &mut limits.text_bytes);
    table.finish();
    limits
}

/// Reads `[log]`.
pub(super) fn log(root: &mut Table<'_>) -> LogSpec {
    let mut spec = LogSpec::default();
    let Some(mut table) = root.table("log") else { return spec };
    if let Some(value) = table.optional("format") {
        let format = value.one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        spec.format = format.unwrap_or(spec.format);
    }
    if let Some(value) = table.optional("level") {
        const LEVELS: [(&str, &str); 5] = [
            ("error", "error"),
            ("warn", "warn"),
            ("info", "info"),
            ("debug", "debug"),
            ("trace", "trace"),
        ];
        spec.level = value.one_of(&LEVELS).unwrap_or("info").to_owned();
    }
    table.finish();
    spec
}

/// Reads `[run]`.
pub(super) fn run(root: &mut Table<'_>, world: &World<'_>, file: &str) -> Run {
    let mut run = Run {
        snapshot_every: Span::from_secs(1),
        decoders: world.processors.saturating_sub(1).clamp(1, 64),
        memory_limit: None,
        shutdown_deadline: Span::from_secs(20),
        hash_key: None,
    };
    let Some(mut table) = root.table("run") else { return run };
    let minute = Span::from_secs(60);
    if let Some(span) = span(&mut table, "snapshot_every", Span::from_millis(100), minute) {
        run.snapshot_every = span;
    }
    if let Some(span) =
        span(&mut table, "shutdown_deadline", Span::from_secs(1), Span::from_secs(600))
    {
        run.shutdown_deadline = span;
    }
    let decoders = table.optional("decoders").and_then(|value| value.integer(1, 64));
    if let Some(decoders) = decoders.and_then(|decoders| usize::try_from(decoders).ok()) {
        run.decoders = decoders;
    }
    if let Some(value) = table.optional("memory_limit") {
        run.memory_limit = memory(&value);
    }
    if let Some(value) = table.optional("hash_key") {
        let place = value.clone();
        run.hash_key = secret(value, world, file);
        if run.hash_key.as_ref().is_some_and(|key| key.expose().len() < 16) {
            place.problem_with(
                "a hash key of fewer than 16 bytes can be guessed",
                "make one with `openssl rand -hex 32`",
            );
        }
    }
    table.finish();
    run
}

/// An amount of memory such as "512MiB" or "4GiB".
fn memory(value: &Value<'_>) -> Option<u64> {
    let text = value.text()?;
    let bytes = [("MiB", 20), ("GiB", 30)].into_iter().find_map(|(unit, shift)| {
        let amount: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        amount.checked_mul(1 << shift)
    });
    if bytes.is_none_or(|bytes| bytes < 64 << 20) {
        value.problem_with(
            format!("`{}` is no amount of memory from 64MiB on", shown(&text)),
            "write it as \"512MiB\" or \"4GiB\"",
        );
        return None;
    }
    bytes
}

/// Reads `[time]`.
pub(super) fn time(root: &mut Table<'_>) -> Tolerances {
    let mut tolerances = Tolerances {
        lateness: None,
        future_tolerance: Span::from_secs(300),
        stale_after: STALE_AFTER,
    };
    let Some(mut table) = root.table("time") else { return tolerances };
    let longest = Span::from_secs(400 * 86_400);
    tolerances.lateness = span(&mut table, "lateness", Span::ZERO, longest);
    if let Some(span) = span(&mut table, "future_tolerance", Span::ZERO, Span::from_secs(86_400)) {
        tolerances.future_tolerance = span;
    }
    if let Some(span) = stale_after(&mut table) {
        tolerances.stale_after = span;
    }
    table.finish();
    tolerances
}

/// The key `stale_after`: long enough for the ends of partitions to be asked a few times.
pub(super) fn stale_after(table: &mut Table<'_>) -> Option<Span> {
    span(table, "stale_after", Span::from_secs(5), Span::from_secs(86_400))
}

/// Reads `[state]`; a relative directory is one beside the configuration file.
pub(super) fn state(root: &mut Table<'_>, path: &str) -> StateSpec {
    let place = |directory: &str| Some(PathBuf::from(beside(path, directory)));
    let mut spec = StateSpec { directory: place(STATE_DIRECTORY), ..StateSpec::default() };
    let Some(mut table) = root.table("state") else { return spec };
    if let Some(value) = table.optional("directory") {
        spec.directory = directory(&value).and_then(|named| place(&named));
    }
    if let Some(every) =
        span(&mut table, "checkpoint_every", Span::from_millis(100), Span::from_secs(600))
    {
        spec.every = every;
    }
    if let Some(events) =
        table.optional("checkpoint_events").and_then(|value| value.integer(1_000, 1 << 40))
    {
        spec.events = events.unsigned_abs();
    }
    if let Some(value) = table.optional("version")
        && let Some(version) = value.integer(0, i64::from(u32::MAX))
    {
        spec.version = u32::try_from(version).ok().filter(|of| STATE_VERSIONS.contains(of));
        if spec.version.is_none() {
            let written: Vec<String> = STATE_VERSIONS.map(|of| of.to_string()).collect();
            value.problem_with(
                format!("`state.version` cannot be {version}"),
                format!(
                    "this program writes {}; leave the key out for the newest",
                    written.join(" and ")
                ),
            );
        }
    }
    table.finish();
    spec
}

/// A directory's name; none where it is switched off, or no directory was meant.
fn directory(value: &Value<'_>) -> Option<String> {
    const OFF: &str = "write \"off\" to keep no state";
    let text = value.text()?;
    if text == "off" {
        return None;
    }
    let meant_off = ["", "off", "none", "no", "false", "never", "disabled"]
        .contains(&&*text.trim().to_lowercase());
    if meant_off {
        let remedy = match text.trim() {
            "" => OFF.to_owned(),
            name => format!("{OFF}, or \"./{name}\" for a directory of that name"),
        };
        value.problem_with(format!("`{}` is no directory", shown(&text)), remedy);
        return None;
    }
    if text == "~" || text.starts_with("~/") {
        value.problem_with(
            "`~` is not replaced by anything here",
            "write the path in full, or ${HOME}",
        );
        return None;
    }
    Some(text)
}

/// Reads `[duplicates]`: how long ids are remembered, if at all.
pub(super) fn duplicates(root: &mut Table<'_>) -> Option<Span> {
    let mut horizon = Some(Span::from_secs(72 * 3_600));
    let Some(mut table) = root.table("duplicates") else { return horizon };
    if let Some(value) = table.optional("horizon") {
        if value.is_text() && value.text().as_deref() == Some("off") {
            horizon = None;
        } else if let Some(span) = value.duration() {
            let (least, most) = (Span::from_secs(60), Span::from_secs(90 * 86_400));
            if span < least || span > most {
                let name = value.name();
                value.problem(format!("`{name}` has to be from {least} to {most}, or \"off\""));
            }
            horizon = Some(span);
        }
    }
    table.finish();
    horizon
}

fn span(table: &mut Table<'_>, key: &str, least: Span, most: Span) -> Option<Span> {
    let value = table.optional(key)?;
    let span = value.duration()?;
    if span < least || span > most {
        value.problem(format!("`{}` has to be from {least} to {most}", value.name()));
        return None;
    }
    Some(span)
}
