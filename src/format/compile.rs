//! From a mapping to its compiled form: paths become slots of a trie, names of
//! types their ids, and what nobody asks for is left out.

use crate::event::{TypeId, Vocabulary};

use super::Wanted;
use super::path::{Anchor, Path, Step};
use super::plan;
use super::spec::{self, FormatSpec};
use super::trie::{NodeId, SlotRef, Trie};

/// Where paths of an anchor start: a scope and a node in it.
#[derive(Debug, Clone, Copy)]
struct Place {
    scope: u16,
    node: NodeId,
}

struct Compiler<'s> {
    trie: Trie,
    vocabulary: &'s Vocabulary,
    wanted: &'s Wanted,
    /// The record, then where each `each` path ended.
    levels: Vec<Place>,
    item: Option<Place>,
    reads_headers: bool,
}

pub(super) fn compile(spec: &FormatSpec, vocabulary: &Vocabulary, wanted: &Wanted) -> plan::Format {
    let mut trie = Trie::default();
    let scope = trie.add_scope();
    let record = Place { scope, node: trie.scopes[0].root };
    let levels = vec![record];
    let mut compiler =
        Compiler { trie, vocabulary, wanted, levels, item: None, reads_headers: false };
    let variants = spec.variants.iter().map(|variant| compiler.variant(variant)).collect();
    compiler.trie.finish();
    plan::Format {
        name: spec.name.as_str().into(),
        vocabulary: vocabulary.clone(),
        trie: compiler.trie,
        variants,
        reads_headers: compiler.reads_headers,
    }
}

impl Compiler<'_> {
    fn variant(&mut self, variant: &spec::Variant) -> plan::Variant {
        self.levels.truncate(1);
        self.item = None;
        let when = self.conditions(&variant.when);
        let mut of_list = false;
        let action = match &variant.action {
            spec::Action::Ignore => plan::Action::Ignore,
            spec::Action::Reject(text) => plan::Action::Reject(text.as_str().into()),
            spec::Action::Read { each, split, fields } => {
                of_list = each.first().is_some_and(|path| path.steps.first() == Some(&Step::Items));
                plan::Action::Read(Box::new(self.reader(each, split, fields)))
            }
        };
        plan::Variant { when, of_list, action }
    }

    fn reader(&mut self, each: &[Path], split: &[Path], fields: &spec::Fields) -> plan::Reader {
        let mut levels = Vec::new();
        let mut texts = Vec::new();
        for path in each {
            let mut at = *self.levels.last().expect("the record is always a level");
            for steps in path.steps.split_inclusive(|step| *step == Step::Items) {
                let through = (0..steps.len()).filter(|place| steps[*place] == Step::Json);
                for place in through.filter(|_| at.scope == 0) {
                    let text = self.trie.descend(0, at.node, &steps[..place], true);
                    texts.push(self.trie.node(text).slot);
                }
                let node = self.trie.descend(at.scope, at.node, steps, true);
                at = Place { scope: at.scope, node };
                if steps.last() == Some(&Step::Items) {
                    let list = self.trie.list(at.scope, node);
                    let label = self.trie.node(node).label.clone();
                    let scope = self.trie.add_scope();
                    levels.push(plan::Level { list, scope, label });
                    at = Place { scope, node: self.trie.scopes[usize::from(scope)].root };
                }
            }
            self.levels.push(at);
        }
        let mut lists = Vec::new();
        let mut item_scope = 0;
        if !split.is_empty() {
            let element = *self.levels.last().expect("the record is always a level");
            item_scope = self.trie.add_scope();
            let node = self.trie.scopes[usize::from(item_scope)].root;
            self.item = Some(Place { scope: item_scope, node });
            for path in split {
                let node = self.trie.descend(element.scope, element.node, &path.steps, false);
                lists.push(self.trie.list(element.scope, node));
            }
        }
        let fields = self.fields(fields);
        plan::Reader { levels, texts, split: lists, item_scope, fields }
    }

    fn fields(&mut self, fields: &spec::Fields) -> plan::Fields {
        let attributes = fields
            .attributes
            .iter()
            .filter(|(name, _)| self.wanted.contains(name))
            .cloned()
            .collect::<Vec<_>>();
        let mut compiled = plan::Fields {
            kind: self.sources(&fields.kind),
            time: fields.time.iter().map(|time| self.time(time)).collect(),
            id: self.sources(&fields.id),
            campaign: self.sources(&fields.campaign),
            channel: self.sources(&fields.channel),
            source: self.sources(&fields.source),
            user: self.sources(&fields.user),
            message: self.sources(&fields.message),
            value: fields.value.iter().map(|money| self.money(money)).collect(),
            currency: self.sources(&fields.currency),
            count: self.sources(&fields.count),
            key: self.sources(&fields.key),
            machine: self.sources(&fields.machine),
            attributes: attributes
                .iter()
                .map(|(name, sources)| (name.as_str().into(), self.sources(sources)))
                .collect(),
            attribute_objects: Vec::new(),
        };
        for path in &fields.attributes_from {
            self.attributes_from(path, &mut compiled);
        }
        compiled
    }

    /// Where names are known, each becomes a path of its own, so that the one walk
    /// over the record finds them all.
    fn attributes_from(&mut self, path: &Path, compiled: &mut plan::Fields) {
        match self.wanted {
            Wanted::All => compiled.attribute_objects.extend(self.slot(path)),
            Wanted::Named(names) => {
                for name in names {
                    let mut path = path.clone();
                    path.steps.push(Step::Key(name.clone()));
                    let source = self.source(&spec::Source::from(spec::From::Path(path)));
                    match compiled.attributes.iter_mut().find(|(known, _)| **known == **name) {
                        Some((_, sources)) => sources.push(source),
                        None => compiled.attributes.push((name.as_str().into(), vec![source])),
                    }
                }
            }
        }
    }

    fn sources(&mut self, sources: &[spec::Source]) -> Vec<plan::Source> {
        sources.iter().map(|source| self.source(source)).collect()
    }

    fn source(&mut self, source: &spec::Source) -> plan::Source {
        let from = self.from(&source.from);
        let as_it_is = source.when.is_empty()
            && source.only_for.is_empty()
            && source.before.is_none()
            && source.trim.is_none()
            && source.map.is_none();
        let plain = match from {
            plan::From::Slot(slot) if as_it_is => Some(slot),
            _ => None,
        };
        plan::Source {
            from,
            plain,
            label: label(&source.from),
            when: self.conditions(&source.when),
            only_for: self.types(&source.only_for),
            before: source.before.as_deref().map(Into::into),
            trim: source.trim.as_deref().map(|chars| chars.chars().collect()),
            map: source.map.as_ref().map(|map| self.map(map)),
        }
    }

    fn from(&mut self, from: &spec::From) -> plan::From {
        match from {
            spec::From::Path(path) => self.slot(path).map_or(plan::From::Nothing, plan::From::Slot),
            spec::From::Header(name) => {
                self.reads_headers = true;
                plan::From::Header(name.as_str().into())
            }
            spec::From::Constant(text) => plan::From::Constant(text.as_str().into()),
            spec::From::Hash(parts) => {
                let (needed, also) = (self.sources(&parts.needed), self.sources(&parts.also));
                plan::From::Hash(plan::HashOf { needed, also })
            }
            spec::From::Index => plan::From::Index,
        }
    }

    fn slot(&mut self, path: &Path) -> Option<SlotRef> {
        let start = match path.anchor {
            Anchor::Element => self.levels.last().copied(),
            Anchor::Enclosing(levels) => {
                self.levels.len().checked_sub(1 + levels).map(|level| self.levels[level])
            }
            Anchor::Record => self.levels.first().copied(),
            Anchor::Item => self.item,
        }?;
        if path.steps.contains(&Step::Items) {
            return None;
        }
        let node = self.trie.descend(start.scope, start.node, &path.steps, false);
        Some(self.trie.capture(start.scope, node))
    }

    fn map(&mut self, map: &spec::Map) -> plan::Map {
        let values =
            map.values.iter().map(|(text, to)| (text.as_str().into(), self.mapped(to))).collect();
        let otherwise = match &map.otherwise {
            spec::Otherwise::Nothing => plan::Otherwise::Nothing,
            spec::Otherwise::Keep => plan::Otherwise::Keep,
            spec::Otherwise::Mapped(to) => plan::Otherwise::Mapped(self.mapped(to)),
        };
        plan::Map { values, otherwise }
    }

    fn mapped(&mut self, to: &spec::Mapped) -> plan::Mapped {
        match to {
            spec::Mapped::Text(text) => plan::Mapped::Text(text.as_str().into()),
            spec::Mapped::Sources(sources) => plan::Mapped::Sources(self.sources(sources)),
        }
    }

    fn time(&mut self, time: &spec::Time) -> plan::Time {
        let from = match &time.from {
            spec::TimeFrom::Record => plan::TimeFrom::Record,
            spec::TimeFrom::Text(from, reading) => plan::TimeFrom::Text(
                Box::new(self.source(&spec::Source::from(from.clone()))),
                reading.clone(),
            ),
        };
        plan::Time { from, when: self.conditions(&time.when), only_for: self.types(&time.only_for) }
    }

    fn money(&mut self, money: &spec::Money) -> plan::Money {
        plan::Money { source: self.source(&money.source), unit: money.unit }
    }

    fn conditions(&mut self, conditions: &[spec::Condition]) -> Vec<plan::Condition> {
        conditions
            .iter()
            .map(|condition| plan::Condition {
                from: self.from(&condition.from),
                label: label(&condition.from),
                test: condition.test.clone(),
            })
            .collect()
    }

    fn types(&self, names: &[String]) -> Option<Vec<TypeId>> {
        if names.is_empty() {
            return None;
        }
        Some(names.iter().filter_map(|name| self.vocabulary.get(name)).collect())
    }
}

fn label(from: &spec::From) -> Box<str> {
    match from {
        spec::From::Path(path) if path.anchor == Anchor::Item && path.steps.is_empty() => {
            "split item `@`".into()
        }
        spec::From::Path(path) => format!("field `{path}`").into(),
        spec::From::Header(name) => format!("header `{name}`").into(),
        spec::From::Constant(_) => "constant".into(),
        spec::From::Hash(_) => "hash".into(),
        spec::From::Index => "index".into(),
    }
}
