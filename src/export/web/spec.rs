//! The file's form: what it may say, and everything that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr as _;

use axum::http::{HeaderName, HeaderValue};
use bcrypt::HashParts;

use super::files::{Around, Seen};
use super::rate::Rate;
use super::tls::{self, Tls};
use super::tokens::{self, TokenHash};
use super::yaml::{Document, Table, Value, shown};
use crate::config::{Place, Problem, Problems, parse_duration};
use crate::event::{EventTime, Span};

/// What a password's hash may cost: below, guessing is cheap; above, a sign-in is not.
const COSTS: std::ops::RangeInclusive<u32> = 10..=14;

/// What is in force: a file that was read and found right.
pub(super) struct InForce {
    pub(super) tls: Option<Tls>,
    /// The bcrypt hash of each user's password.
    pub(super) users: BTreeMap<String, String>,
    pub(super) tokens: Vec<TokenHash>,
    /// Sent with every answer, beside those that always are.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) rate: Option<Rate>,
}

/// What a reading of the file found.
pub(super) struct Reading {
    /// `None` where there are problems.
    pub(super) in_force: Option<InForce>,
    pub(super) problems: Vec<Problem>,
    /// What is wrong with the time at which it is read.
    pub(super) dated: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) seen: Seen,
}

/// Reads the file at `path` and those that it names.
pub(super) fn read(path: &Path, now: EventTime) -> Reading {
    let (problems, dated) = (Problems::default(), Problems::default());
    let around = Around::new(path, &problems, &dated, now);
    let name = path.to_string_lossy();
    let in_force = match around.read(path) {
        Ok(text) => Document::parse(&name, &text, &problems)
            .and_then(|document| in_force(document.table(&problems)?, &around)),
        Err(why) => {
            problems.add_with(
                Place::file(&name),
                format!("cannot be read: {why}"),
                "`[export] web_config` names it, relative to the configuration file",
            );
            None
        }
    };
    let seen = around.seen();
    let warnings = problems.warnings();
    let in_force = in_force.filter(|_| problems.is_empty());
    let (problems, dated) = (problems.into_sorted(), dated.into_sorted());
    Reading { in_force, problems, dated, warnings, seen }
}

fn in_force(mut root: Table<'_>, around: &Around<'_>) -> Option<InForce> {
    for key in ["tls_server_config", "basic_auth_users", "bearer_tokens"] {
        root.refuse_empty(key);
    }
    let has_tls = root.optional("tls_server_config").is_some();
    let tls = root.table("tls_server_config").and_then(|table| tls::read(table, around));
    let headers = root.table("http_server_config").map(http).unwrap_or_default();
    let users = root.table("basic_auth_users").map(|table| users(&table)).unwrap_or_default();
    let tokens = root.table("bearer_tokens").map(|table| tokens::read(&table, around));
    let rate = root.table("rate_limit").and_then(rate);
    root.finish();
    if has_tls && tls.is_none() {
        return None;
    }
    Some(InForce { tls, users, tokens: tokens.unwrap_or_default(), headers, rate })
}

fn users(table: &Table<'_>) -> BTreeMap<String, String> {
    let mut users = BTreeMap::new();
    for (name, value) in table.entries() {
        if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
            value.problem(
                format!("nobody can sign in as `{}`", shown(name)),
                "a user's name has neither colons nor control characters",
            );
            continue;
        }
        let Some(hash) = value.text() else { continue };
        const MAKE: &str = "make one with `tidegauge hash-password`";
        match HashParts::from_str(hash) {
            Ok(parts) if COSTS.contains(&parts.get_cost()) => {
                users.insert(name.to_owned(), hash.to_owned());
            }
            Ok(parts) => value.problem(
                format!(
                    "`{}` has the cost {}, and from {} to {} is right",
                    value.name(),
                    parts.get_cost(),
                    COSTS.start(),
                    COSTS.end()
                ),
                MAKE,
            ),
            Err(_) => value.problem(format!("`{}` is no bcrypt hash", value.name()), MAKE),
        }
    }
    let costs = users.values().filter_map(|hash| HashParts::from_str(hash).ok());
    let costs: BTreeSet<u32> = costs.map(|parts| parts.get_cost()).collect();
    if costs.len() > 1 {
        table.warn(
            "hashes of different costs let a guesser tell by the time which users there are",
            "make all of them with the same --cost",
        );
    }
    users
}

/// Reads `http_server_config`; gives the headers.
fn http(mut table: Table<'_>) -> Vec<(HeaderName, HeaderValue)> {
    // Accepted for the sake of files that are shared with exporters: HTTP/1.1 is spoken.
    table.optional("http2").map(|value| value.boolean());
    let mut headers = Vec::new();
    if let Some(mut table) = table.table("headers") {
        if let Some(value) = table.optional("Content-Security-Policy") {
            value.problem(
                "the pages have a policy of their own, which allows nothing but themselves",
                "leave it out",
            );
        }
        for (key, name, right) in HEADERS {
            let Some(value) = table.optional(key) else { continue };
            let Some(text) = value.text() else { continue };
            let lower = text.to_ascii_lowercase();
            match HeaderValue::from_str(text) {
                Ok(header) if right.is_empty() || right.contains(&lower.as_str()) => {
                    headers.push((HeaderName::from_static(name), header));
                }
                _ => value.problem(
                    format!("`{key}` cannot have this value"),
                    match right {
                        [] => "write it as it goes over the line, in plain ASCII".to_owned(),
                        right => format!("it can be {}", right.join(" or ")),
                    },
                ),
            }
        }
        table.finish();
    }
    table.finish();
    headers
}

/// Headers that a file may set: key, name, values that are right, all if there are none.
const HEADERS: [(&str, &str, &[&str]); 4] = [
    ("X-Frame-Options", "x-frame-options", &["deny", "sameorigin"]),
    ("X-Content-Type-Options", "x-content-type-options", &["nosniff"]),
    ("X-XSS-Protection", "x-xss-protection", &[]),
    ("Strict-Transport-Security", "strict-transport-security", &[]),
];

fn rate(mut table: Table<'_>) -> Option<Rate> {
    let interval = table.optional("interval");
    let burst = table.optional("burst");
    table.finish();
    let interval = interval.map_or(Some(Span::ZERO), |value| interval_of(&value));
    let burst = burst.map_or(Some(1), |value| value.integer(1, 1_000_000));
    let (interval, burst) = (interval?, burst?);
    (interval > Span::ZERO).then(|| Rate::new(interval, u32::try_from(burst).unwrap_or(1)))
}

fn interval_of(value: &Value<'_>) -> Option<Span> {
    if value.is_zero() {
        return Some(Span::ZERO);
    }
    let span = parse_duration(value.text()?).ok().filter(|span| *span <= Span::from_secs(3_600));
    if span.is_none() {
        value.problem(
            format!("`{}` is no time between two requests", value.name()),
            "write it as \"100ms\" or \"1s\", an hour at most; 0 for no limit",
        );
    }
    span
}
