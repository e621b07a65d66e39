//! What an engine says of itself each second: figures, verdicts, readiness, ledgers.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Engine, TopicState};
use crate::event::{EventTime, Span};
use crate::export::{
    DeadLetterReport, DuplicatesReport, NotReady, PartitionReport, Report, TopicReport,
};
use crate::kpi::{KpiSnapshot, MeasureIndex};
use crate::objective::judge;
use crate::window::BASE_PANE;

/// How long settled figures are kept: longer than a partition passes for caught up by an end
/// that was reported.
const KEPT: Span = Span::from_secs(4);
/// So many series are kept of them besides the newest: they take some kilobytes each.
const KEPT_SERIES: usize = 50_000;

/// The last moment before the pane of another.
fn last_whole_pane(at: EventTime) -> EventTime {
    at.floor(BASE_PANE) - Span::from_micros(1)
}

impl Engine {
    /// Ages the state and says what holds at this moment.
    ///
    /// `memory_full` says whether consumption is paused because memory is at its limit.
    pub fn report(
        &mut self,
        now: EventTime,
        dead_letters: DeadLetterReport,
        memory_full: bool,
    ) -> Report {
        let as_of = self.as_of(now);
        let complete = self.progress.complete(now);
        let covered_from = self.covered_from();
        let snapshot = as_of.map(|as_of| self.figures(as_of, now, covered_from));
        self.forget_ids(now);
        let reached = as_of.max(self.progress.as_of(now));
        let stale = reached.is_some_and(|reached| self.is_stale(reached, now));
        let verdicts = snapshot.as_deref().map_or_else(Vec::new, |snapshot| {
            let freshness = self.freshness(stale, now);
            judge(&self.objectives, self.plan.declarations(), snapshot, &freshness)
        });
        let nothing_there =
            !self.missing_topics.is_empty() && self.progress.names().next().is_none();
        // Saved figures are right, for an older moment; how much was written since, only the
        // brokers can say.
        let all_started = self
            .topics
            .values()
            .flat_map(|topic| topic.partitions.values())
            .all(|partition| partition.dead_letters_from.is_some());
        let not_ready = [
            (as_of.is_some() && !all_started, NotReady::Starting),
            (as_of.is_none() && nothing_there, NotReady::NoTopic),
            (as_of.is_none() && !nothing_there, NotReady::Starting),
            (!self.brokers_up, NotReady::BrokerDown),
            (stale, NotReady::CatchingUp),
            (as_of.is_some() && !complete, NotReady::Incomplete),
            (dead_letters.blocked, NotReady::DeadLettersBlocked),
            (memory_full, NotReady::MemoryFull),
            (self.stopping, NotReady::Stopping),
        ];
        Report {
            made_at: now,
            started_at: self.started_at,
            snapshot,
            verdicts,
            not_ready: not_ready
                .into_iter()
                .filter(|(holds, _)| *holds)
                .map(|(_, why)| why)
                .collect(),
            complete,
            covered_from,
            topics: self
                .topics
                .iter()
                .map(|(name, topic)| self.topic_report(name, topic, now))
                .collect(),
            missing_topics: self.missing_topics.iter().cloned().collect(),
            brokers_up: self.brokers_up,
            brokers_why: self.brokers_why.clone(),
            dead_letters,
            other_currency: self.other_currency(),
            overfull_levels: self.store.overfull_levels(),
            snapshot_took: Span::ZERO,
            state: None,
            stale_after: self.roles.longest_stale_after(),
            duplicates: self.duplicates(),
            backfill: None,
        }
    }

    /// Ids are forgotten as reading proceeds: of a topic found later, with a past of
    /// its own, the copies are told as well, though `as_of` does not go back for it. The
    /// clock says no more than which of them lie ahead of it, and that only while there
    /// is nothing left to read that could show it wrong.
    fn forget_ids(&mut self, now: EventTime) {
        if let Some(seen) = &mut self.seen
            && let Some(as_of) = self.progress.as_of(now)
            && let Some(read_up_to) = self.progress.highest_read()
        {
            seen.advance(as_of.min(read_up_to), (as_of == now).then_some(now));
        }
    }

    fn duplicates(&self) -> Option<DuplicatesReport> {
        let (seen, horizon) = (self.seen.as_ref()?, self.horizon?);
        Some(DuplicatesReport { ids: seen.len(), bytes: seen.memory_bytes(), horizon })
    }

    fn other_currency(&self) -> Vec<(MeasureIndex, u64)> {
        let measures = self.plan.declarations().measures.iter().enumerate();
        measures
            .filter(|(_, measure)| measure.currency().is_some())
            .map(|(index, _)| (index, self.store.foreign_currency(index)))
            .collect()
    }

    /// The figures of a moment. Once they were made while there was nothing to be read, they
    /// stand still for as long as the moment does: what is read since came after it.
    fn figures(
        &mut self,
        as_of: EventTime,
        now: EventTime,
        covered_from: Option<EventTime>,
    ) -> Arc<KpiSnapshot> {
        self.store.advance(as_of, self.progress.highest_read());
        let stands = |settled: &&Arc<KpiSnapshot>| settled.as_of == as_of && as_of < now;
        if let Some(settled) = self.settled.iter().rev().find(stands) {
            return Arc::clone(settled);
        }
        let figures = Arc::new(self.store.snapshot(as_of, covered_from));
        if !self.progress.pending(now).reading {
            self.settled.retain(|settled| settled.as_of < as_of && as_of - settled.as_of <= KEPT);
            let series =
                |of: &KpiSnapshot| of.slices.iter().map(|of| of.series.len()).sum::<usize>();
            if series(&figures) * self.settled.len() > KEPT_SERIES {
                self.settled.clear();
            }
            self.settled.push_back(Arc::clone(&figures));
        }
        figures
    }

    /// `as_of` goes back with the clock, and otherwise by some seconds at most: a partition
    /// found later, with a past of its own, holds it where it is until that is read.
    ///
    /// While some partition cannot be read to its end, it is at most the last moment before
    /// the pane in which that one's frontier lies: others are beyond it, and half a pane of
    /// one topic beside a whole one of another would be no figure.
    fn as_of(&mut self, now: EventTime) -> Option<EventTime> {
        let reached = self.progress.as_of(now);
        let before = self.last.filter(|(_, made_at)| *made_at <= now).map(|(as_of, _)| as_of);
        let pending = self.progress.pending(now);
        let reached = if pending.held { reached.map(last_whole_pane) } else { reached };
        let as_of = reached.max(before).map(|as_of| match self.known_of_open() {
            Some(known) => as_of.min(known),
            None => as_of,
        });
        self.last = as_of.map(|as_of| (as_of, now));
        as_of
    }

    /// The last moment for which figures lack nothing that an open transaction holds back.
    /// What was shown since, before anybody knew of that, is taken back.
    fn known_of_open(&self) -> Option<EventTime> {
        let known = self.progress.known_of_open()?;
        let mut settled = self.settled.iter().map(|settled| settled.as_of);
        let later = settled.clone().find(|as_of| *as_of > known);
        let settled = settled.rfind(|as_of| *as_of <= known).or(later);
        settled.max(Some(last_whole_pane(known)))
    }

    fn topic_report(&self, name: &Arc<str>, topic: &TopicState, now: EventTime) -> TopicReport {
        let numbers: BTreeSet<i32> =
            topic.partitions.keys().chain(topic.losses.keys()).copied().collect();
        let partitions = numbers.into_iter().map(|partition| {
            let losses = topic.losses.get(&partition).copied().unwrap_or_default();
            let of = topic.partitions.get(&partition);
            PartitionReport {
                partition,
                passed_over: of.map_or(0, |of| of.passed_over),
                lag: self.progress.lag(name, partition, now),
                frontier: self.progress.frontier(name, partition),
                held_for: self.progress.held_since(name, partition).map(|since| now - since),
                gaps: losses.gaps,
                lost_records: losses.records,
            }
        });
        let standing = self.standing(name, now);
        TopicReport {
            topic: name.to_string(),
            compacted: self.adds_up_compacted(name),
            behind: standing.behind,
            stale: standing.stale(),
            stale_after: standing.role.stale_after,
            ledger: topic.ledger.clone(),
            recent: topic.recent.clone(),
            partitions: partitions.collect(),
        }
    }
}
