//! `[kafka]` and `[[topics]]`: where events come from.

use std::collections::BTreeMap;

use super::reader::{Table, Value, shown};
use super::sign_in::{self, SignInSpec, TokenSpec};
use super::spec::{DeadLetterSpec, KafkaSpec, TopicSpec};
use super::tls::{self, TlsSpec};
use super::world::World;
use super::{did_you_mean, service};
use crate::event::Span;

/// Settings of librdkafka that are set here, with what to do instead.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "write `brokers` in [kafka]"),
    ("metadata.broker.list", "write `brokers` in [kafka]"),
    ("group.id", "offsets are committed under `<group>.<instance>`: write `group` in [kafka]"),
    ("group.instance.id", "there is no group membership: every instance reads all partitions"),
    ("group.protocol", "there is no group membership: every instance reads all partitions"),
    (
        "partition.assignment.strategy",
        "there is no group membership: every instance reads all partitions",
    ),
    ("enable.auto.commit", "offsets are committed when what they stand for is folded"),
    ("auto.commit.interval.ms", "offsets are committed when what they stand for is folded"),
    ("enable.auto.offset.store", "offsets are committed when what they stand for is folded"),
    ("auto.offset.reset", "where reading begins follows from the longest window"),
    ("enable.partition.eof", "the ends of partitions are asked for in another way"),
    (
        "isolation.level",
        "only what is committed counts: what a transaction took back never happened",
    ),
    ("allow.auto.create.topics", "reading must not create a topic; a missing one is named"),
    ("statistics.interval.ms", "statistics are read by this program itself"),
    ("topic.blacklist", "name the topics that are read under [[topics]]"),
];

/// Reads `[kafka]` and `[[topics]]` of the top level; `formats` are the known names,
/// `stale_after` the default of a topic's own.
///
/// What is wrong is noted, and stands in the answer as nothing.
pub(super) fn read(
    root: &mut Table<'_>,
    world: &World<'_>,
    file: &str,
    formats: &[String],
    stale_after: Span,
) -> KafkaSpec {
    let mut spec = KafkaSpec {
        brokers: String::new(),
        group: "tidegauge".to_owned(),
        tls: None,
        sign_in: None,
        properties: BTreeMap::new(),
        topics: topics(root, formats, stale_after),
        dead_letters: DeadLetterSpec::Off,
    };
    let Some(value) = root.optional("kafka") else {
        root.problems().add_with(
            root.at(),
            "no broker is named",
            "write [kafka] with `brokers = \"host:port\"`",
        );
        return spec;
    };
    let Some(mut table) = value.clone().table() else { return spec };
    spec.brokers = table.required("brokers").and_then(|value| brokers(&value)).unwrap_or_default();
    if let Some(value) = table.optional("group") {
        spec.group = value.text().filter(|name| part_of_group(&value, name)).unwrap_or_default();
    }
    if let Some(value) = table.optional("dead_letters") {
        spec.dead_letters = dead_letters(&value, &spec.topics);
    }
    let tls = table.optional("tls").and_then(|value| tls::read(value, world, file));
    let sign_in = table.optional("sign_in");
    let declared = Declared { tls: tls.is_some(), sign_in: sign_in.is_some() };
    spec.tls = tls.map(|(tls, _)| tls);
    let place = sign_in.clone();
    spec.sign_in =
        sign_in.and_then(Value::table).and_then(|table| sign_in::read(table, world, file));
    if let Some(mut properties) = table.table("properties") {
        for (key, value) in properties.entries() {
            property(&key.name, value, world, file, declared, &mut spec.properties);
        }
    }
    if matches!(spec.sign_in, Some(SignInSpec::Token(TokenSpec::AwsMskIam { .. }))) {
        spec.tls.get_or_insert_with(TlsSpec::default);
    }
    warn_of_plain_connections(&spec, place.unwrap_or(value));
    table.finish();
    spec
}

/// What is declared in tables of their own, and so not among the properties.
#[derive(Clone, Copy)]
struct Declared {
    tls: bool,
    sign_in: bool,
}

impl Declared {
    /// The table in which that property of librdkafka is said already.
    fn says(self, name: &str) -> Option<&'static str> {
        let of_tls = ["ssl.ca.", "ssl.certificate.", "ssl.key.", "ssl.keystore."];
        let is_of_tls = of_tls.iter().any(|prefix| name.starts_with(prefix));
        let is_of_sign_in = name.starts_with("sasl.") && !name.starts_with("sasl.kerberos.");
        match name {
            "security.protocol" if self.tls => Some("[kafka.tls]"),
            _ if self.tls && is_of_tls => Some("[kafka.tls]"),
            _ if self.sign_in && is_of_sign_in => Some("[kafka.sign_in]"),
            _ => None,
        }
    }
}

/// Says where a password or a token can be heard on its way to another machine.
fn warn_of_plain_connections(spec: &KafkaSpec, at: Value<'_>) {
    let property = |name: &str| spec.properties.get(name).map(|text| text.to_ascii_uppercase());
    let is_encrypted = property("security.protocol").is_some_and(|of| of.ends_with("SSL"));
    let (mechanism, as_it_is) = match &spec.sign_in {
        Some(sign_in) if spec.tls.is_none() && !is_encrypted => {
            (sign_in.mechanism().to_owned(), sign_in.is_told_as_it_is())
        }
        None if property("security.protocol").as_deref() == Some("SASL_PLAINTEXT") => {
            let named = property("sasl.mechanism").or_else(|| property("sasl.mechanisms"));
            let mechanism = named.unwrap_or_default();
            let as_it_is = matches!(mechanism.as_str(), "PLAIN" | "OAUTHBEARER");
            (mechanism, as_it_is)
        }
        _ => return,
    };
    let far = spec.brokers.split(',').find(|broker| !sign_in::is_loopback(broker));
    let Some(far) = far.filter(|far| !far.is_empty()) else { return };
    let heard = if as_it_is {
        "whoever listens on the way can sign in with it"
    } else {
        "whoever listens on the way can read every record and try passwords"
    };
    at.warn(
        format!("{mechanism} over a plain connection to `{}`: {heard}", shown(far)),
        "use a listener with TLS, and write [kafka.tls]",
    );
}

/// Whether a name may be a part of `<group>.<instance>`; notes why not.
pub(super) fn part_of_group(value: &Value<'_>, name: &str) -> bool {
    let valid = !name.is_empty()
        && name.len() <= 100
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if !valid {
        value.problem_with(
            format!("`{}` cannot be a part of a group id", shown(name)),
            "it has 1 to 100 letters, digits, dots, underscores and hyphens",
        );
    }
    valid
}

fn brokers(value: &Value<'_>) -> Option<String> {
    let values = value.one_or_more();
    let mut brokers = Vec::new();
    for value in &values {
        for broker in value.text()?.split(',').map(str::trim) {
            let port =
                broker.rsplit_once(':').map(|(host, port)| (!host.is_empty(), port.parse::<u16>()));
            let valid = matches!(port, None | Some((true, Ok(1..)))) && !broker.is_empty();
            if !valid || broker.contains(char::is_whitespace) {
                value.problem_with(
                    format!("`{}` is no broker", shown(broker)),
                    "a broker is `host:port`; several are separated by commas",
                );
                return None;
            }
            brokers.push(broker.to_owned());
        }
    }
    if brokers.is_empty() {
        value.problem("at least one broker is needed");
        return None;
    }
    Some(brokers.join(","))
}

fn topics(root: &mut Table<'_>, formats: &[String], stale_after: Span) -> Vec<TopicSpec> {
    let Some(list) = root.optional("topics") else {
        root.problems().add_with(
            root.at(),
            "no topic is named",
            "write [[topics]] with `name` and `format`",
        );
        return Vec::new();
    };
    let entries = list.list().unwrap_or_default();
    if list.is_list() && entries.is_empty() {
        list.problem_with("no topic is named", "write [[topics]] with `name` and `format`");
    }
    let mut topics: Vec<TopicSpec> = Vec::new();
    for mut table in entries.into_iter().filter_map(Value::table) {
        let names = table.required("name").map(|value| value.one_or_more()).unwrap_or_default();
        let format = table.required("format").and_then(|value| {
            let name = value.text()?;
            if !formats.contains(&name) {
                value.problem_maybe(
                    format!("no format is called `{}`", shown(&name)),
                    did_you_mean(&name, formats.iter().map(String::as_str)),
                );
            }
            Some(name)
        });
        let stale_after = service::stale_after(&mut table).unwrap_or(stale_after);
        let allow_compacted =
            table.optional("allow_compacted").and_then(|value| value.boolean()).unwrap_or(false);
        for value in names {
            let Some(name) = value.text().filter(|name| topic_name(&value, name)) else { continue };
            if topics.iter().any(|topic| topic.name == name) {
                value.problem(format!("the topic `{}` is bound twice", shown(&name)));
            }
            let format = format.clone().unwrap_or_default();
            topics.push(TopicSpec { name, format, stale_after, allow_compacted });
        }
        table.finish();
    }
    topics
}

/// Whether a name may be one of a topic, or a pattern; notes why not.
fn topic_name(value: &Value<'_>, name: &str) -> bool {
    if name.starts_with('^') {
        let parsed = regex::Regex::new(name);
        if let Err(error) = &parsed {
            // The last line of the message says what; those before it draw the place.
            let message = error.to_string();
            let what = message.lines().last().unwrap_or_default();
            value.problem(format!(
                "`{}` is no pattern: {}",
                shown(name),
                what.trim_start_matches("error: ")
            ));
        }
        return parsed.is_ok();
    }
    plain_topic(value, name)
}

fn plain_topic(value: &Value<'_>, name: &str) -> bool {
    let valid = !name.is_empty()
        && name.len() <= 249
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if !valid {
        value.problem_with(
            format!("`{}` cannot be a topic", shown(name)),
            "a topic has 1 to 249 letters, digits, dots, underscores and hyphens; a pattern begins with ^",
        );
    }
    valid
}

fn dead_letters(value: &Value<'_>, topics: &[TopicSpec]) -> DeadLetterSpec {
    let Some(name) = value.text().filter(|name| plain_topic(value, name)) else {
        return DeadLetterSpec::Off;
    };
    if name == "off" {
        return DeadLetterSpec::Off;
    }
    if topics.iter().any(|topic| topic.name == name) {
        value.problem_with(
            format!("`{name}` is read as well: each refused record would be refused for ever"),
            "choose a topic of its own",
        );
    }
    DeadLetterSpec::Topic(name)
}

fn property(
    name: &str,
    value: Value<'_>,
    world: &World<'_>,
    file: &str,
    declared: Declared,
    properties: &mut BTreeMap<String, String>,
) {
    if value.is_table() && !is_secret(&value) {
        // `security.protocol = ...` without quotes is a table to TOML.
        for (key, inner) in value.table().map(|mut table| table.entries()).unwrap_or_default() {
            property(&format!("{name}.{}", key.name), inner, world, file, declared, properties);
        }
        return;
    }
    if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| *owned == name) {
        value.problem_with(format!("`{name}` is set by Tidegauge"), *instead);
        return;
    }
    if let Some(table) = declared.says(name) {
        value.problem_with(format!("`{name}` is said by {table} already"), "leave one out");
        return;
    }
    let place = value.clone();
    let text = if value.is_table() {
        secret(value, world, file).map(|secret| secret.expose().to_owned())
    } else {
        value.scalar_text()
    };
    if let Some(text) = text {
        warn_of_unverified_brokers(name, &text, &place);
        properties.insert(name.to_owned(), text);
    }
}

/// Says where whoever stands between can pose as a broker, TLS or not.
fn warn_of_unverified_brokers(name: &str, text: &str, at: &Value<'_>) {
    let text = text.to_ascii_lowercase();
    let (what, remedy) = match (name, text.as_str()) {
        ("enable.ssl.certificate.verification", "false" | "f" | "0") => (
            "certificates of brokers are not verified: whoever stands between can pose as one",
            "leave it out, and name the authority of the brokers as `ca` in [kafka.tls]",
        ),
        ("ssl.endpoint.identification.algorithm", "none") => (
            "names in certificates of brokers are not verified: whoever has any certificate of \
             that authority can pose as one",
            "leave it out, and write in `brokers` names for which the certificates are",
        ),
        _ => return,
    };
    at.warn(what, remedy);
}

fn is_secret(value: &Value<'_>) -> bool {
    value.clone().table().is_some_and(|table| table.has("file"))
}

/// A secret: a string, or `{ file = "..." }`, of which the newline at the end is
/// left out.
pub(super) fn secret(value: Value<'_>, world: &World<'_>, file: &str) -> Option<super::Secret> {
    if !value.is_table() {
        return value.name_text().map(super::Secret::new);
    }
    let mut table = value.table()?;
    let path = table.required("file");
    let text = path.as_ref().and_then(|value| {
        let path = super::files::beside(file, &value.text()?);
        match world.files.read(&path) {
            Ok(text) => Some(text),
            Err(why) => {
                value.problem(format!("cannot read `{}`: {why}", shown(&path)));
                None
            }
        }
    });
    table.finish();
    let text = text?.trim_end_matches(['\r', '\n']).to_owned();
    if text.is_empty() {
        if let Some(path) = path {
            path.problem("the file is empty");
        }
        return None;
    }
    Some(super::Secret::new(text))
}
