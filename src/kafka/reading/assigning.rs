//! What is read: partitions begin, are gone, and go on behind gaps.

use std::sync::Arc;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Assigned, Over, Reading};
use crate::event::EventTime;
use crate::kafka::events::{Gap, GapReason, SourceEvent};
use crate::kafka::shared::{Begin, Key, Note, lock};

impl<C: Fn() -> EventTime> Reading<C> {
    pub(super) fn take_note(&mut self, note: Note) -> Result<(), Over> {
        self.send_batch()?;
        match note {
            Note::Say(event) => self.send(event),
            Note::Start(starts) => self.start(starts),
            Note::Gone(keys) => self.part_with(keys),
            Note::Left(key) => {
                self.give_up(&[key]);
                Ok(())
            }
            Note::Gaps(gaps) => self.go_on_behind(gaps),
            Note::Is { topic, id } => {
                self.know_id(&topic, id.clone());
                self.send(SourceEvent::TopicId { topic, id })
            }
        }
    }

    fn start(&mut self, begins: Vec<Begin>) -> Result<(), Over> {
        let mut wanted = Vec::new();
        for Begin { start, gap } in begins {
            if self.assigned.iter().all(|assigned| assigned.key.0 != start.topic) {
                // It was gone meanwhile: what was in doubt then is settled.
                self.held.remove(&*start.topic);
            }
            if let Some(id) = &start.topic_id {
                self.ids.insert(Arc::clone(&start.topic), id.clone());
            }
            let key: Key = (Arc::clone(&start.topic), start.partition);
            let place = self.assigned.len();
            let of_topic = self.places.entry(Arc::clone(&key.0)).or_default();
            if of_topic.insert(key.1, place).is_some() {
                tracing::error!("partition {} of `{}` was started twice", key.1, key.0);
            }
            let position = gap.as_ref().map_or(start.start_offset, |gap| gap.to_offset);
            wanted.push((key.clone(), position));
            let headers = self.settings.takes_headers_of(&key.0);
            self.assigned.push(Assigned::new(key, position, headers));
            self.send(SourceEvent::Partition(start))?;
            if let Some(gap) = gap {
                warn_of(&gap);
                self.send(SourceEvent::Gap(gap))?;
            }
        }
        self.publish_positions();
        self.assign(&wanted);
        Ok(())
    }

    fn assign(&self, wanted: &[(Key, i64)]) {
        let lead_here = || {
            for ((topic, partition), _) in wanted {
                self.records.lead_here(topic, *partition);
            }
        };
        let assigned = listed(wanted).and_then(|list| {
            lead_here();
            self.reader.incremental_assign(&list)?;
            lead_here();
            if self.paused { self.reader.pause(&list) } else { Ok(()) }
        });
        if let Err(error) = assigned {
            for (key, _) in wanted {
                self.shared.unreadable(key, &error.to_string());
            }
        }
    }

    fn unassign(&self, parted: &[(Key, i64)]) {
        let done = listed(parted).and_then(|list| self.reader.incremental_unassign(&list));
        if let Err(error) = done {
            tracing::warn!("partitions could not be given up: {error}");
        }
    }

    /// What was fetched of these and not taken is thrown away.
    pub(super) fn fetch_anew(&mut self, wanted: &[(Key, i64)]) {
        if wanted.is_empty() {
            return;
        }
        self.unassign(wanted);
        self.assign(wanted);
        for ((topic, partition), position) in wanted {
            if let Some(assigned) = self.find(topic, *partition) {
                let Assigned { ref key, headers, in_batch, .. } = *assigned;
                *assigned = Assigned { in_batch, ..Assigned::new(key.clone(), *position, headers) };
            }
        }
        lock(&self.shared.truncated).retain(|cut| wanted.iter().all(|(key, _)| key != cut));
    }

    fn give_up(&mut self, keys: &[Key]) {
        let parted: Vec<(Key, i64)> = keys
            .iter()
            .filter(|(topic, partition)| {
                self.places.get(topic).is_some_and(|of| of.contains_key(partition))
            })
            .map(|key| (key.clone(), 0))
            .collect();
        self.unassign(&parted);
        self.assigned.retain(|assigned| !keys.contains(&assigned.key));
        self.places.clear();
        for (place, assigned) in self.assigned.iter().enumerate() {
            let (topic, partition) = &assigned.key;
            self.places.entry(Arc::clone(topic)).or_default().insert(*partition, place);
        }
        self.publish_positions();
        lock(&self.shared.truncated).retain(|cut| !keys.contains(cut));
    }

    fn part_with(&mut self, keys: Vec<Key>) -> Result<(), Over> {
        self.give_up(&keys);
        self.shared.forget_commits(&keys);
        for (topic, partition) in keys {
            tracing::warn!("partition {partition} of `{topic}` is gone");
            self.send(SourceEvent::PartitionGone { topic, partition })?;
        }
        Ok(())
    }

    fn go_on_behind(&mut self, gaps: Vec<Gap>) -> Result<(), Over> {
        let mut behind = Vec::new();
        for mut gap in gaps {
            if let Some(id) = &gap.topic_id {
                self.ids.insert(Arc::clone(&gap.topic), id.clone());
                if self.held.get(&*gap.topic) == Some(id) {
                    self.held.remove(&*gap.topic);
                }
            }
            let Some(assigned) = self.find(&gap.topic, gap.partition) else { continue };
            match gap.reason {
                // It may have gone on since, in what is another topic.
                GapReason::Recreated => gap.from_offset = assigned.position,
                // What was fetched before the log was cut may have been taken since.
                GapReason::BeyondEnd if assigned.truncated => {
                    gap.from_offset = assigned.position;
                }
                _ if assigned.position != gap.from_offset => continue,
                GapReason::Retention | GapReason::BeyondEnd => {}
            }
            let wanted = [(assigned.key.clone(), gap.to_offset)];
            warn_of(&gap);
            if gap.to_offset < gap.from_offset {
                self.shared.forget_commits(std::slice::from_ref(&wanted[0].0));
            }
            self.fetch_anew(&wanted);
            behind.push(gap);
        }
        self.publish_positions();
        behind.into_iter().try_for_each(|gap| self.send(SourceEvent::Gap(gap)))
    }

    fn know_id(&mut self, topic: &Arc<str>, id: String) {
        let Some(known) = self.ids.get(topic) else {
            self.ids.insert(Arc::clone(topic), id);
            return;
        };
        if *known == id && self.held.get(&**topic) == Some(&id) {
            self.held.remove(&**topic);
            // What came while it was held was thrown away.
            let of_topic = self.assigned.iter().filter(|assigned| assigned.key.0 == *topic);
            let wanted: Vec<(Key, i64)> =
                of_topic.map(|assigned| (assigned.key.clone(), assigned.position)).collect();
            self.fetch_anew(&wanted);
        }
    }
}

fn warn_of(gap: &Gap) {
    let Gap { topic, partition, from_offset, to_offset, .. } = gap;
    match gap.reason {
        GapReason::Retention => tracing::error!(
            "records {from_offset} to {} of partition {partition} of `{topic}` were deleted \
             before they could be read: coverage begins behind them",
            to_offset - 1
        ),
        GapReason::Recreated => tracing::error!(
            "the topic `{topic}` was deleted and created again: partition {partition} is read \
             from offset {to_offset} instead of {from_offset}; what was not read before is gone, \
             and coverage begins now"
        ),
        GapReason::BeyondEnd => tracing::error!(
            "partition {partition} of `{topic}` ends before offset {from_offset}, up to which \
             it was read: it lost records, or was created anew, and is read from offset \
             {to_offset}"
        ),
    }
}

fn listed(wanted: &[(Key, i64)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(wanted.len());
    for ((topic, partition), offset) in wanted {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}
