//! The engine's state on its way into a checkpoint, and back.
//!
//! A cut is taken between two batches: the changes of the cells, the ids seen, and a
//! head with the offsets that all of it stands for. Nothing of it is ever made of two
//! moments.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::filling::Begun;
use super::{Engine, Losses, PartitionState, TopicState};
use crate::admit::{Ledger, SeenIds};
use crate::app::engine::head::{Gone, Head, PartitionHead, TopicHead};
use crate::checkpoint::{ListAddition, ListName};
use crate::event::{EventTime, Span};
use crate::kafka::{Folded, Resume};
use crate::kpi::{Damaged, KpiSnapshot, Store};

/// One consistent cut of the engine's state.
pub struct Cut {
    /// As [`crate::checkpoint::Step::head`].
    pub head: Vec<u8>,
    /// As [`crate::checkpoint::Step::changes`].
    pub changes: Vec<u8>,
    /// Whether a cycle is complete with it.
    pub completes_cycle: bool,
    /// Ids that were first seen.
    pub additions: Vec<ListAddition>,
    /// Lists of ids that are forgotten.
    pub dropped: Vec<ListName>,
    /// Where each partition is folded to.
    pub folded: Vec<Folded>,
    /// The ledgers, in order of topics.
    pub ledgers: Vec<(String, Ledger)>,
    /// What was missing of each partition.
    pub missing: Missing,
}

/// By topic and partition.
pub type Missing = BTreeMap<(String, i32), Losses>;

impl Engine {
    /// From now on ids are kept for the next [`Engine::cut`]; before any is restored.
    pub fn keep_ids_journal(&mut self) {
        if let Some(ids) = &mut self.seen {
            ids.keep_journal(true);
        }
    }

    /// From now on changes of cells are kept for the next [`Engine::cut`].
    pub fn keep_journal(&mut self) {
        self.store.keep_journal();
    }

    /// The next cut holds everything, not only what has changed.
    pub fn save_everything(&mut self) {
        self.store.image_everything();
    }

    /// Lists that the next cut drops, beside those of ids that are forgotten.
    pub fn drop_lists(&mut self, lists: Vec<ListName>) {
        self.superfluous_lists = lists;
    }

    /// Equal for equal hash keys; says nothing of the key.
    pub fn key_check(&self) -> u64 {
        self.plan.key_check()
    }

    /// How far ahead of its record an event may lie.
    pub fn future_tolerance(&self) -> Span {
        self.plan.declarations().future_tolerance
    }

    /// The parts that are restored side by side.
    pub fn store_and_ids(&mut self) -> (&mut Store, Option<&mut SeenIds>) {
        (&mut self.store, self.seen.as_mut())
    }

    /// The ledgers, in order of topics.
    pub fn ledgers(&self) -> Vec<(String, Ledger)> {
        let named =
            self.topics.iter().map(|(name, topic)| (name.to_string(), topic.ledger.clone()));
        named.collect()
    }

    /// To be said once all changes are restored: what was kept, begins, or is dropped
    /// goes into the log.
    ///
    /// # Errors
    /// What was restored is not whole.
    pub fn restored(&mut self, head: &Head, as_of: EventTime) -> Result<(), Damaged> {
        let kept = self.store.restored(as_of)?;
        for (slice, measures) in by_slice(kept.dropped) {
            tracing::warn!(%slice, ?measures, "no longer declared: what was saved is dropped");
        }
        let declarations = self.plan.declarations();
        let mut half_filled = Vec::new();
        for slice in 0..declarations.slices.len() {
            for measure in declarations.measures_of_slice(slice) {
                let column = (slice, measure);
                if !kept.new.contains(&column) && head.filling.contains(&self.names(column)) {
                    half_filled.push(column);
                }
            }
        }
        for (slice, measures) in by_slice(kept.new.iter().map(|column| self.names(*column))) {
            tracing::info!(%slice, ?measures, "new since the state was saved");
        }
        let mut columns: Vec<(usize, usize)> = kept.new;
        columns.extend(&half_filled);
        columns.sort_unstable();
        self.begun = Begun { columns, half_filled, at: Some(as_of) };
        Ok(())
    }

    /// How [`Cut::changes`] are to be read.
    pub fn schema(&self) -> Vec<u8> {
        self.store.schema()
    }

    /// Everything that has changed since the cut before.
    pub fn cut(&mut self) -> Cut {
        let changes = self.store.take_changes();
        let (mut additions, mut dropped) = (Vec::new(), Vec::new());
        if let Some(ids) = &mut self.seen {
            let named =
                |(length, number): (Span, i64)| ListName { family: length.micros(), number };
            additions = ids
                .take_added()
                .into_iter()
                .map(|(list, items)| ListAddition { list: named(list), items })
                .collect();
            dropped = ids.take_dropped().into_iter().map(named).collect();
        }
        dropped.append(&mut self.superfluous_lists);
        Cut {
            head: self.head().encode(),
            changes: changes.bytes,
            completes_cycle: changes.completes_cycle,
            additions,
            dropped,
            folded: self.folded_everywhere(),
            ledgers: self.ledgers(),
            missing: self.missing(),
        }
    }

    /// What was missing of each partition.
    pub fn missing(&self) -> Missing {
        let mut missing = Missing::new();
        for (topic, state) in &self.topics {
            for (&partition, losses) in &state.losses {
                missing.insert((topic.to_string(), partition), *losses);
            }
        }
        missing
    }

    /// Where each partition is folded to.
    fn folded_everywhere(&self) -> Vec<Folded> {
        let of_topic = |(topic, state): (&Arc<str>, &TopicState)| {
            let topic = Arc::clone(topic);
            let partitions = state.partitions.iter().map(move |(&partition, at)| Folded {
                topic: Arc::clone(&topic),
                partition,
                next_offset: at.folded,
            });
            partitions.collect::<Vec<_>>()
        };
        self.topics.iter().flat_map(of_topic).collect()
    }

    fn head(&self) -> Head {
        let topics = self.topics.iter().map(|(name, topic)| {
            let mut head = TopicHead::new(name, &topic.ledger, &topic.recent);
            for (&partition, state) in &topic.partitions {
                let Some(reached) = self.progress.reached(name, partition) else { continue };
                let losses = topic.losses.get(&partition).copied().unwrap_or_default();
                head.partitions.push(PartitionHead {
                    folded_below: state.folded,
                    topic_id: state.topic_id.clone(),
                    gaps: losses.gaps,
                    lost_records: losses.records,
                    passed_over: state.passed_over,
                    ..PartitionHead::new(partition, reached)
                });
            }
            head
        });
        let mut gone = self.missing();
        gone.retain(|(topic, partition), _| {
            !self.topics[topic.as_str()].partitions.contains_key(partition)
        });
        let gone = gone
            .into_iter()
            .map(|((topic, partition), of)| (topic, partition, of.gaps, of.records))
            .collect();
        Head {
            cluster: self.cluster.clone(),
            key_check: self.plan.key_check(),
            as_of: self.last.map(|(as_of, _)| as_of.micros()),
            start_from: self.start_from.map(EventTime::micros),
            ids_step: self.seen.as_ref().map(|ids| ids.step().micros()),
            ids_present: self.seen.as_ref().and_then(SeenIds::present).map(EventTime::micros),
            filling: self.filling.iter().cloned().collect(),
            topics: topics.collect(),
            gone: Gone { missing_until: self.missing_until.map(EventTime::micros), losses: gone },
        }
    }

    /// Takes over what a checkpoint's head says of the topics that are `declared`;
    /// the others are named in the answer.
    ///
    /// # Errors
    /// What this version cannot read.
    pub fn resume(
        &mut self,
        head: &Head,
        declared: impl Fn(&str) -> bool,
        now: EventTime,
    ) -> Result<Vec<String>, String> {
        let mut dropped = Vec::new();
        self.cluster.clone_from(&head.cluster);
        self.start_from = head.start_from.map(EventTime::from_micros);
        // Saved under a clock that was ahead, it says nothing.
        let as_of = head.as_of.map(EventTime::from_micros).filter(|as_of| *as_of <= now);
        self.last = as_of.map(|as_of| (as_of, now));
        for topic in &head.topics {
            if !declared(&topic.name) {
                dropped.push(topic.name.clone());
                continue;
            }
            let name: Arc<str> = topic.name.as_str().into();
            let (ledger, recent) =
                topic.ledgers().map_err(|error| format!("topic `{name}`: {error}"))?;
            let (mut partitions, mut losses) = (BTreeMap::new(), BTreeMap::new());
            for saved in &topic.partitions {
                self.progress.resume_partition(&name, saved.partition, saved.reached(), now);
                let state = PartitionState {
                    dead_letters_from: None,
                    folded: saved.folded_below,
                    passed_over: saved.passed_over,
                    topic_id: saved.topic_id.clone(),
                };
                if saved.gaps > 0 {
                    let of = Losses { gaps: saved.gaps, records: saved.lost_records };
                    losses.insert(saved.partition, of);
                }
                partitions.insert(saved.partition, state);
            }
            let state = TopicState { ledger, recent, partitions, losses, compacted: false };
            self.topics.insert(name, state);
        }
        self.missing_until = head.gone.missing_until.map(EventTime::from_micros);
        for (topic, partition, gaps, records) in &head.gone.losses {
            if let Some(topic) = self.topics.get_mut(topic.as_str()) {
                topic.losses.insert(*partition, Losses { gaps: *gaps, records: *records });
            }
        }
        Ok(dropped)
    }

    /// Where topics begin that were not read yet, if somebody asked for a time.
    pub fn start_from(&self) -> Option<EventTime> {
        self.start_from
    }

    /// Topics that were not read yet are to begin at this time.
    pub fn begin_at(&mut self, from: EventTime) {
        self.start_from = Some(from);
    }

    /// Every figure of a state that was restored, at the moment for which it was saved.
    pub fn figures_at(&mut self, as_of: EventTime) -> KpiSnapshot {
        self.store.advance(as_of, self.progress.highest_read());
        self.store.snapshot(as_of, self.covered_from())
    }

    /// Where the source is to go on.
    pub fn resume_at(&self) -> BTreeMap<(Arc<str>, i32), Resume> {
        let mut resume = BTreeMap::new();
        for (topic, state) in &self.topics {
            for (&partition, of) in &state.partitions {
                let started = self.progress.reached(topic, partition).map(|reached| reached.start);
                let at = Resume {
                    next_offset: of.folded,
                    covered_from: started.and_then(|started| started.covered_from),
                    topic_id: of.topic_id.clone(),
                };
                resume.insert((Arc::clone(topic), partition), at);
            }
        }
        resume
    }
}

/// The measures of each slice, by names: one line of the log for each slice.
fn by_slice(names: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut slices: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (slice, measure) in names {
        slices.entry(slice).or_default().push(measure);
    }
    slices
}
