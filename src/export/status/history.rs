//! How the shown figures have been, and since when each verdict stands.
//!
//! All lines share one axis of at most 120 moments. When it is full, every second
//! moment is dropped and the distance doubles, up to a minute: so that a page shows
//! the first seconds after a start as well as, later, the last hour or two, at a
//! fixed cost.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::board;
use crate::event::{EventTime, Span};
use crate::export::{Report, Site};
use crate::kpi::{KpiIndex, SliceIndex};
use crate::objective::{ObjectiveIndex, State, Verdict};

/// Moments on the axis.
const POINTS: usize = 120;
/// Distance of two moments, at first and at most.
const FINEST: Span = Span::from_secs(1);
const COARSEST: Span = Span::from_secs(60);

/// What a line shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::export) enum LineKey {
    /// The figure that an objective judges.
    Objective(ObjectiveIndex, Arc<[Box<str>]>),
    /// A KPI in a slice, in the window of the table.
    Kpi(SliceIndex, KpiIndex, Arc<[Box<str>]>),
}

/// An objective and the slice values that it is judged in.
type VerdictKey = (ObjectiveIndex, Arc<[Box<str>]>);

/// Since when a verdict has been in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) struct Since {
    pub(super) state: State,
    pub(super) at: EventTime,
    /// Whether the change was seen; otherwise it has been so for longer.
    pub(super) seen: bool,
}

/// The memory of the status page; bounded, and lost with the process.
#[derive(Debug)]
pub(in crate::export) struct History {
    moments: VecDeque<EventTime>,
    distance: Span,
    /// Each as long as `moments`; `None` is no data.
    lines: HashMap<LineKey, VecDeque<Option<f64>>>,
    since: HashMap<VerdictKey, Since>,
}

impl Default for History {
    fn default() -> Self {
        History {
            moments: VecDeque::new(),
            distance: FINEST,
            lines: HashMap::new(),
            since: HashMap::new(),
        }
    }
}

impl History {
    /// Takes in a report; cost is one pass over verdicts and series.
    pub(in crate::export) fn take_in(&mut self, site: &Site, report: &Report) {
        self.note_states(report);
        // Reports come about once a distance, so half of it decides.
        let half = Span::from_micros(self.distance.micros() / 2);
        let due = |last: &EventTime| report.made_at - *last + half >= self.distance;
        match self.moments.back() {
            // The clock went back: what follows could not be drawn.
            Some(last) if *last > report.made_at => {
                self.moments.clear();
                self.lines.clear();
            }
            Some(last) if !due(last) => return,
            _ => {}
        }
        self.extend(shown(site, report), report.made_at);
        if self.moments.len() >= POINTS {
            self.thin();
        }
    }

    fn note_states(&mut self, report: &Report) {
        let known = std::mem::take(&mut self.since);
        for verdict in &report.verdicts {
            let key = (verdict.objective, Arc::clone(&verdict.values));
            let now =
                Since { state: verdict.state, at: report.made_at, seen: known.contains_key(&key) };
            let since = match known.get(&key) {
                Some(before) if before.state == verdict.state => *before,
                _ => now,
            };
            self.since.insert(key, since);
        }
    }

    fn extend(&mut self, shown: Vec<(LineKey, Option<f64>)>, at: EventTime) {
        let mut before = std::mem::take(&mut self.lines);
        for (key, value) in shown {
            let mut line = before
                .remove(&key)
                .unwrap_or_else(|| std::iter::repeat_n(None, self.moments.len()).collect());
            line.push_back(value);
            self.lines.insert(key, line);
        }
        self.moments.push_back(at);
    }

    fn thin(&mut self) {
        if self.distance >= COARSEST {
            self.moments.pop_front();
            for line in self.lines.values_mut() {
                line.pop_front();
            }
            return;
        }
        self.distance = Span::from_micros((self.distance.micros() * 2).min(COARSEST.micros()));
        every_second(&mut self.moments);
        self.lines.values_mut().for_each(every_second);
    }

    /// The line of `key` and, last, its value now.
    pub(super) fn line(&self, key: &LineKey, now: Option<f64>) -> Vec<Option<f64>> {
        let mut line: Vec<_> = self.lines.get(key).into_iter().flatten().copied().collect();
        line.push(now);
        line
    }

    /// How far back the lines reach.
    pub(super) fn reach(&self) -> Span {
        match (self.moments.front(), self.moments.back()) {
            (Some(first), Some(last)) => *last - *first,
            _ => Span::ZERO,
        }
    }

    /// Since when a verdict has been as it is.
    pub(super) fn since(&self, verdict: &Verdict) -> Option<Since> {
        self.since.get(&(verdict.objective, Arc::clone(&verdict.values))).copied()
    }
}

/// Keeps the newest, the one before the one before it, and so on.
fn every_second<T>(of: &mut VecDeque<T>) {
    let mut drop = of.len() % 2 == 1;
    of.retain(|_| {
        drop = !drop;
        !drop
    });
}

/// The lines that the page shows, with their values in this report.
fn shown(site: &Site, report: &Report) -> Vec<(LineKey, Option<f64>)> {
    let mut shown: Vec<_> = board::verdicts(site, report)
        .into_iter()
        .take(board::VERDICTS)
        .map(|verdict| {
            let values = Arc::clone(&verdict.values);
            (LineKey::Objective(verdict.objective, values), verdict.value)
        })
        .collect();
    let (Some(board), Some(snapshot)) = (board::choose(site, report), &report.snapshot) else {
        return shown;
    };
    for slice in &snapshot.slices {
        let (window, rows): (usize, Vec<usize>) = match board.all {
            Some((all, window)) if slice.slice == all => {
                (window, (0..slice.series.len().min(1)).collect())
            }
            _ if slice.slice == board.slice => (board.window, board.rows.clone()),
            _ => continue,
        };
        for series in rows.iter().map(|&row| &slice.series[row]) {
            for &kpi in &board.kpis {
                let key = LineKey::Kpi(slice.slice, kpi, Arc::clone(&series.values));
                shown.push((key, board::figure(site, slice.slice, window, kpi, series)));
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_newest() {
        for (before, after) in
            [(vec![1, 2, 3, 4], vec![2, 4]), (vec![1, 2, 3], vec![1, 3]), (vec![], vec![])]
        {
            let mut line = VecDeque::from(before);
            every_second(&mut line);
            assert_eq!(line, after);
        }
    }

    #[test]
    fn the_axis_is_bounded_and_lines_stay_aligned() {
        let mut history = History::default();
        let key = |number| LineKey::Kpi(0, number, Arc::new([]));
        for second in 0..100_000_i64 {
            let at = EventTime::from_secs(second);
            let due = history.moments.back().is_none_or(|last| at - *last >= history.distance);
            if due {
                let late = (second > 500).then_some((key(1), Some(1.0)));
                let shown = [(key(0), Some(second as f64))].into_iter().chain(late).collect();
                history.extend(shown, at);
                if history.moments.len() >= POINTS {
                    history.thin();
                }
            }
        }
        assert!(history.moments.len() < POINTS);
        assert_eq!(history.distance, COARSEST);
        assert!(history.lines.values().all(|line| line.len() == history.moments.len()));
        let drawn = history.line(&key(0), None);
        let expected = history.moments.iter().map(|at| Some(at.as_secs_f64()));
        assert!(drawn[..drawn.len() - 1].iter().copied().eq(expected));
    }
}
