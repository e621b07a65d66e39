//! Mapping files read into [`FormatSpec`]s.
//!
//! In: the top table of one file of `formats/`. Out: a specification that compiles
//! without surprises, or problems with their places. The language itself is
//! described in `config/formats/canonical.toml` and the files beside it.

use jiff::tz::TimeZone;

use crate::event::valid_type_name;
use crate::format::{
    Action, Anchor, Condition, Fields, FormatSpec, From, HashOf, IGNORE, Map, Mapped, Money,
    MoneyUnit, Otherwise, Path, Reading, Source, Step, Test, Time, TimeFrom, Variant,
};

use super::reader::{Table, Value, shown};

/// Reads a mapping file; `None` if there is anything wrong with it, which is then
/// among the problems.
pub fn read_format(mut table: Table<'_>) -> Option<FormatSpec> {
    let before = table.problems().len();
    let problems = table.problems();
    let name = table.required("name").and_then(|value| value.name_text());
    let about = table.text("about").unwrap_or_default();
    let mut base = FieldsReader::default();
    base.read(&mut table);
    let set = base.set.clone();
    let mut variants = Vec::new();
    for (place, variant) in table.tables("variants").into_iter().enumerate() {
        variants.push(read_variant(variant, place, &base));
    }
    if variants.is_empty() && !table.has("variants") {
        let shape = Shape::default();
        base.check(&shape, &[]);
        variants.push(Variant {
            name: "object".to_owned(),
            when: Vec::new(),
            action: Action::Read {
                each: Vec::new(),
                split: Vec::new(),
                fields: Box::new(base.fields),
            },
        });
    }
    for variant in &variants {
        if let Action::Read { fields, .. } = &variant.action {
            for (missing, name) in
                [(fields.kind.is_empty(), "type"), (fields.time.is_empty(), "time")]
            {
                // What is there but wrong has been noted already.
                if missing && !set.iter().any(|known| known == name) {
                    let what = format!("`{name}` is missing in [fields]: no event is without one");
                    problems.add(table.at(), what);
                }
            }
        }
    }
    table.finish();
    (problems.len() == before).then_some(FormatSpec { name: name?, about, variants })
}

/// What paths of a variant may refer to.
#[derive(Default)]
struct Shape {
    levels: usize,
    splits: bool,
    /// Conditions of a variant look at the record.
    record_only: bool,
}

/// A path that was read, for a check once the variant is known.
struct Use<'d> {
    field: String,
    path: Path,
    value: Value<'d>,
}

#[derive(Default)]
struct FieldsReader<'d> {
    fields: Fields,
    uses: Vec<Use<'d>>,
    /// The field that is being read.
    field: String,
    set: Vec<String>,
}

fn read_variant(mut table: Table<'_>, place: usize, base: &FieldsReader<'_>) -> Variant {
    let name = table.text("name").unwrap_or_else(|| format!("variant {}", place + 1));
    let mut reader = FieldsReader { fields: base.fields.clone(), ..FieldsReader::default() };
    let when = table.optional("when").map(|value| reader.conditions(&value)).unwrap_or_default();
    reader.check(&Shape { record_only: true, ..Shape::default() }, &[]);
    reader.uses.clear();
    let ignore = table.optional("ignore").and_then(|value| value.boolean()).unwrap_or(false);
    let reject = table.text("reject");
    let each = read_lists(&mut table, "each", false);
    let split = read_lists(&mut table, "split", true);
    reader.read(&mut table);
    table.finish();
    let action = match (ignore, reject) {
        (true, _) => Action::Ignore,
        (false, Some(text)) => Action::Reject(text),
        (false, None) => {
            let shape = Shape { levels: each.len(), splits: !split.is_empty(), record_only: false };
            reader.check(&shape, &[]);
            base.check(&shape, &reader.set);
            Action::Read { each, split, fields: Box::new(reader.fields) }
        }
    };
    Variant { name, when, action }
}

/// The paths of `each`, or of `split`, which all have to end in `[]`.
fn read_lists(table: &mut Table<'_>, key: &str, ends_in_items: bool) -> Vec<Path> {
    let Some(value) = table.optional(key) else {
        return Vec::new();
    };
    let mut paths = Vec::new();
    for value in value.one_or_more() {
        let Some(path) = read_path(&value) else { continue };
        let inner = path.steps.split_last().map_or(&[][..], |(_, inner)| inner);
        if path.anchor != Anchor::Element {
            value.problem_with(
                format!("a path of `{key}` cannot start with `/`, `^` or `@`"),
                "it goes on from where the path before ended, at first from the record",
            );
        } else if path.steps.is_empty() {
            value.problem(format!("a path of `{key}` cannot be empty"));
        } else if ends_in_items
            && (path.steps.last() != Some(&Step::Items) || inner.contains(&Step::Items))
        {
            value.problem_with(
                format!("`{path}` names no list"),
                "end it with `[]`, and nowhere else".to_owned(),
            );
        } else if !ends_in_items && inner.contains(&Step::Items) {
            value.problem_with(
                format!("`{path}` has `[]` in its middle"),
                "write two paths, the first ending in `[]`".to_owned(),
            );
        }
        paths.push(path);
    }
    paths
}

fn read_path(value: &Value<'_>) -> Option<Path> {
    let text = value.text()?;
    Path::parse(&text)
        .map_err(|error| value.problem(format!("the path `{}`: {error}", shown(&text))))
        .ok()
}

impl<'d> FieldsReader<'d> {
    /// Reads `[fields]` and `[attributes]`; what is there replaces what was.
    fn read(&mut self, table: &mut Table<'d>) {
        if let Some(mut fields) = table.table("fields") {
            self.read_fields(&mut fields);
            fields.finish();
        }
        for (key, value) in table.entries_of("attributes") {
            self.field = format!("attributes.{}", key.name);
            self.set.push(self.field.clone());
            let sources = self.sources(&value, Kind::Text);
            self.fields.attributes.retain(|(known, _)| *known != key.name);
            self.fields.attributes.push((key.name, sources));
        }
    }

    fn read_fields(&mut self, table: &mut Table<'d>) {
        if let Some(value) = self.begin(table, "type") {
            self.fields.kind = self.sources(&value, Kind::Type);
        }
        if let Some(value) = self.begin(table, "time") {
            self.fields.time = self.list(&value, Self::time);
        }
        if let Some(value) = self.begin(table, "value") {
            self.fields.value = self.list(&value, Self::money);
        }
        for name in [
            "id", "campaign", "channel", "source", "user", "message", "currency", "count", "key",
            "machine",
        ] {
            let Some(value) = self.begin(table, name) else { continue };
            let sources = self.sources(&value, Kind::Text);
            *match name {
                "id" => &mut self.fields.id,
                "campaign" => &mut self.fields.campaign,
                "channel" => &mut self.fields.channel,
                "source" => &mut self.fields.source,
                "user" => &mut self.fields.user,
                "message" => &mut self.fields.message,
                "currency" => &mut self.fields.currency,
                "count" => &mut self.fields.count,
                "key" => &mut self.fields.key,
                _ => &mut self.fields.machine,
            } = sources;
        }
        if let Some(value) = self.begin(table, "attributes_from") {
            self.fields.attributes_from = self.list(&value, Self::path);
        }
    }

    fn begin(&mut self, table: &mut Table<'d>, name: &str) -> Option<Value<'d>> {
        let value = table.optional(name)?;
        self.field = name.to_owned();
        self.set.push(name.to_owned());
        Some(value)
    }

    /// One or more of something; what is wrong is noted and left out.
    fn list<T>(
        &mut self,
        value: &Value<'d>,
        read: impl Fn(&mut Self, &Value<'d>) -> Option<T>,
    ) -> Vec<T> {
        value.one_or_more().iter().filter_map(|value| read(self, value)).collect()
    }

    fn sources(&mut self, value: &Value<'d>, kind: Kind) -> Vec<Source> {
        self.list(value, |reader, value| reader.source(value, kind))
    }

    fn path(&mut self, value: &Value<'d>) -> Option<Path> {
        let path = read_path(value)?;
        let uses = Use { field: self.field.clone(), path: path.clone(), value: value.clone() };
        self.uses.push(uses);
        Some(path)
    }

    fn source(&mut self, value: &Value<'d>, kind: Kind) -> Option<Source> {
        if value.is_text() {
            return Some(Source::from(From::Path(self.path(value)?)));
        }
        let mut table = self.source_table(value)?;
        let source = self.source_of(&mut table, value, kind);
        table.finish();
        source
    }

    fn source_table(&self, value: &Value<'d>) -> Option<Table<'d>> {
        if !value.is_table() {
            return value.expected("a path, or a table such as { header = \"ce_id\" }");
        }
        value.clone().table()
    }

    fn source_of(
        &mut self,
        table: &mut Table<'d>,
        value: &Value<'d>,
        kind: Kind,
    ) -> Option<Source> {
        let from = self.from(table, value, kind);
        let source = Source {
            when: table.optional("when").map(|when| self.conditions(&when)).unwrap_or_default(),
            only_for: self.only_for(table),
            before: table.text("before"),
            trim: table.text("trim"),
            map: self.map(table, kind),
            ..Source::from(from?)
        };
        Some(source)
    }

    /// Where a source stands: exactly one of the keys.
    fn from(&mut self, table: &mut Table<'d>, value: &Value<'d>, kind: Kind) -> Option<From> {
        let mut found = Vec::new();
        if let Some(path) = table.optional("path") {
            found.push(self.path(&path).map(From::Path));
        }
        if let Some(name) = table.optional("header") {
            found.push(name.name_text().map(From::Header));
        }
        if let Some(text) = table.optional("constant") {
            found.push(self.constant(&text, kind).map(From::Constant));
        }
        if let Some(parts) = table.optional("hash") {
            let needed = self.sources(&parts, Kind::Text);
            let also = table.optional("also");
            let also = also.map(|parts| self.sources(&parts, Kind::Text)).unwrap_or_default();
            found.push(Some(From::Hash(HashOf { needed, also })));
        }
        if let Some(index) = table.optional("index") {
            found.push((index.boolean() == Some(true)).then_some(From::Index));
        }
        if found.len() != 1 {
            value.problem_with(
                format!("`{}` has to say one place, and says {}", value.name(), found.len()),
                "give one of `path`, `header`, `constant`, `hash`, `index`",
            );
            return None;
        }
        found.remove(0)
    }

    /// A text of the file itself; a type has to read like one.
    fn constant(&self, value: &Value<'d>, kind: Kind) -> Option<String> {
        let text = value.text()?;
        if matches!(kind, Kind::Type) && text != IGNORE && !valid_type_name(&text) {
            value.problem_with(
                format!("`{}` is no type", shown(&text)),
                "write `<domain>.<name>` in lower-case letters, digits and underscores, or `ignore`",
            );
            return None;
        }
        Some(text)
    }

    fn only_for(&self, table: &mut Table<'d>) -> Vec<String> {
        let Some(value) = table.optional("for") else {
            return Vec::new();
        };
        let mut types = Vec::new();
        for value in value.one_or_more() {
            types.extend(self.constant(&value, Kind::Type));
        }
        types
    }

    fn map(&mut self, table: &mut Table<'d>, kind: Kind) -> Option<Map> {
        let otherwise = table.optional("otherwise");
        let keep = table.optional("keep").and_then(|value| value.boolean()).unwrap_or(false);
        if !table.has("map") {
            if let Some(value) = otherwise {
                value.problem("`otherwise` is for what `map` does not name, and there is no `map`");
            }
            return None;
        }
        let values = table
            .entries_of("map")
            .into_iter()
            .filter_map(|(key, value)| Some((key.name, self.mapped(&value, kind)?)))
            .collect();
        let otherwise = match otherwise {
            Some(value) => self.mapped(&value, kind).map_or(Otherwise::Nothing, Otherwise::Mapped),
            None if keep => Otherwise::Keep,
            None => Otherwise::Nothing,
        };
        Some(Map { values, otherwise })
    }

    fn mapped(&mut self, value: &Value<'d>, kind: Kind) -> Option<Mapped> {
        if value.is_text() {
            return self.constant(value, kind).map(Mapped::Text);
        }
        Some(Mapped::Sources(self.sources(value, kind)))
    }

    fn time(&mut self, value: &Value<'d>) -> Option<Time> {
        let plain = |from| Time { from, when: Vec::new(), only_for: Vec::new() };
        if value.is_text() {
            let path = From::Path(self.path(value)?);
            return Some(plain(TimeFrom::Text(path, Reading::Rfc3339)));
        }
        let mut table = self.source_table(value)?;
        let record = table.optional("record").and_then(|value| value.boolean()).unwrap_or(false);
        let from = if record {
            Some(TimeFrom::Record)
        } else {
            let from = self.from(&mut table, value, Kind::Text);
            let reading = self.reading(&mut table);
            from.zip(reading).map(|(from, reading)| TimeFrom::Text(from, reading))
        };
        let when = table.optional("when").map(|when| self.conditions(&when)).unwrap_or_default();
        let only_for = self.only_for(&mut table);
        table.finish();
        Some(Time { when, only_for, ..plain(from?) })
    }

    fn reading(&self, table: &mut Table<'d>) -> Option<Reading> {
        let Some(pattern) = table.optional("pattern") else {
            let Some(encoding) = table.optional("as") else {
                return Some(Reading::Rfc3339);
            };
            const UNIX: [(&str, Option<u8>); 5] = [
                ("rfc3339", None),
                ("unix_s", Some(0)),
                ("unix_ms", Some(3)),
                ("unix_us", Some(6)),
                ("unix_ns", Some(9)),
            ];
            let places = encoding.one_of(&UNIX)?;
            return Some(places.map_or(Reading::Rfc3339, |places| Reading::Unix { places }));
        };
        let text = pattern.name_text()?;
        if let Err(error) = jiff::fmt::strtime::format(&text, &jiff::Zoned::default()) {
            pattern.problem(format!("the pattern `{}`: {error}", shown(&text)));
            return None;
        }
        let zone = match table.optional("zone") {
            Some(value) => {
                let name = value.text()?;
                match TimeZone::get(&name) {
                    Ok(zone) => zone,
                    Err(_) => {
                        value.problem_with(
                            format!("no time zone `{}` is known", shown(&name)),
                            "write an IANA name such as `Europe/Paris`, or `UTC`",
                        );
                        return None;
                    }
                }
            }
            None if text.contains("%z") || text.contains("%:z") => TimeZone::UTC,
            None => {
                pattern.problem_with(
                    "a pattern without offset needs a zone",
                    "add `zone = \"UTC\"`, or the zone that the source writes in",
                );
                return None;
            }
        };
        Some(Reading::Pattern { pattern: text, zone })
    }

    fn money(&mut self, value: &Value<'d>) -> Option<Money> {
        if value.is_text() {
            let source = Source::from(From::Path(self.path(value)?));
            return Some(Money { source, unit: MoneyUnit::Major });
        }
        let mut table = self.source_table(value)?;
        let units = [
            ("units", MoneyUnit::Major),
            ("minor", MoneyUnit::Minor),
            ("micros", MoneyUnit::Micros),
        ];
        let unit = match table.optional("in") {
            Some(value) => value.one_of(&units),
            None => Some(MoneyUnit::Major),
        };
        let source = self.source_of(&mut table, value, Kind::Text);
        table.finish();
        Some(Money { source: source?, unit: unit? })
    }

    fn conditions(&mut self, value: &Value<'d>) -> Vec<Condition> {
        self.list(value, Self::condition)
    }

    fn condition(&mut self, value: &Value<'d>) -> Option<Condition> {
        if !value.is_table() {
            return value.expected("a condition such as { path = \"type\", is = \"blocked\" }");
        }
        let mut table = value.clone().table()?;
        let from = self.from(&mut table, value, Kind::Text);
        let mut tests = Vec::new();
        if let Some(value) = table.optional("is") {
            tests.push(Test::Is(value.texts()));
        }
        if let Some(value) = table.optional("is_not") {
            tests.push(Test::IsNot(value.texts()));
        }
        if let Some(value) = table.optional("starts_with") {
            tests.push(Test::StartsWith(value.texts()));
        }
        if let Some(present) = table.optional("present").and_then(|value| value.boolean()) {
            tests.push(if present { Test::Present } else { Test::Absent });
        }
        table.finish();
        if tests.len() != 1 {
            value.problem_with(
                format!("a condition asks one thing, and this one asks {}", tests.len()),
                "give one of `is`, `is_not`, `starts_with`, `present`",
            );
            return None;
        }
        Some(Condition { from: from?, test: tests.remove(0) })
    }

    /// Whether each path starts somewhere that the variant has.
    fn check(&self, shape: &Shape, replaced: &[String]) {
        for Use { field, path, value } in &self.uses {
            if replaced.contains(field) {
                continue;
            }
            if path.steps.contains(&Step::Items) {
                value.problem_with(
                    format!("`{path}` would give many values"),
                    "`[]` is for `each` and `split`; write an index such as `[0]`",
                );
                continue;
            }
            match path.anchor {
                Anchor::Element | Anchor::Record => {}
                Anchor::Enclosing(_) | Anchor::Item if shape.record_only => {
                    value.problem("what decides on a variant starts at the record");
                }
                Anchor::Enclosing(levels) if levels > shape.levels => {
                    value.problem_with(
                        format!("`{path}` goes up {levels}, and `each` has {} paths", shape.levels),
                        "each `^` goes back over one path of `each`",
                    );
                }
                Anchor::Item if !shape.splits => {
                    value.problem("`@` is the item of a `split`, and there is no `split`");
                }
                Anchor::Enclosing(_) | Anchor::Item => {}
            }
        }
    }
}

/// What a source is for.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Type,
}
