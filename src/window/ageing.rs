//! How state grows coarser with age, and what can still be answered from it.
//!
//! In: the windows of a slice, and the moment by which state ages. Out: for each
//! tick the pane that holds it, and whether a window may begin or end at a tick.
//! Panes of one step are joined to the next of [`LADDER`] once no window can begin
//! inside the result any more. Two minutes of margin let the clock step back a
//! little; a window that would have to cut a joined pane has no figure.
//!
//! When the windows of a slice change, what was joined stays joined and what was
//! dropped stays dropped ([`Inherited`]), until time has outgrown it.

use serde::{Deserialize, Serialize};

use crate::aggregate::{TICK, Tick};
use crate::event::{EventTime, Span};
use crate::window::{LADDER, WindowSpec};

/// How far the clock may step back without any effect.
const MARGIN: Span = Span::from_secs(120);

const fn ticks(step: Span) -> i32 {
    (step.micros() / TICK.micros()) as i32
}

/// For each step of [`LADDER`]: panes before this are joined to panes of that step, so
/// that it is a multiple of the step. Not increasing.
type Joined = [Tick; LADDER.len()];

/// As far as whole panes go.
fn whole(mut joined: Joined) -> Joined {
    joined.iter_mut().zip(LADDER).for_each(|(before, step)| *before = before.floor(ticks(step)));
    joined
}

/// How coarse the panes of a slice are, by age.
#[derive(Debug, Clone)]
pub struct Ageing {
    windows: Vec<WindowSpec>,
    reached: Option<Tick>,
    joined: Joined,
    keep_from: Tick,
    settled: Tick,
    inherited: Option<Inherited>,
}

/// What other windows have left.
#[derive(Debug, Clone, Copy)]
struct Inherited {
    /// Nothing from before this tick was held when the windows changed.
    held_from: Tick,
    /// As [`Ageing::joined`], for what was held.
    joined: Joined,
}

/// An [`Ageing`] as it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgeingImage {
    /// In microseconds.
    windows: Vec<i64>,
    reached: Option<i32>,
    joined: [i32; LADDER.len()],
    keep_from: i32,
    settled: i32,
    inherited: Option<(i32, [i32; LADDER.len()])>,
}

impl Ageing {
    /// For the windows of a slice, before any time has passed.
    pub fn new(windows: Vec<WindowSpec>) -> Self {
        Ageing {
            windows,
            reached: None,
            joined: [Tick::MIN; LADDER.len()],
            keep_from: Tick::MIN,
            settled: Tick::MIN,
            inherited: None,
        }
    }

    /// Lets state age up to a moment; never back. Returns whether that is in a later
    /// tick than before.
    pub fn advance(&mut self, to: EventTime) -> bool {
        let tick = Tick::of(to);
        if self.reached.is_some_and(|reached| tick <= reached) {
            return false;
        }
        self.reached = Some(tick);
        self.compute(tick);
        self.inherited = self.inherited.filter(|inherited| {
            let outgrown =
                self.joined.iter().zip(&inherited.joined).all(|(mine, left)| mine >= left);
            !outgrown || inherited.held_from >= self.keep_from
        });
        self.keep_whole_panes();
        true
    }

    fn compute(&mut self, tick: Tick) {
        let oldest_as_of = tick.start() - MARGIN;
        self.settled = Tick::of(oldest_as_of);
        let start_of = |window: &WindowSpec| window.bounds(oldest_as_of).start;
        for (joined, step) in self.joined.iter_mut().zip(LADDER).skip(1) {
            let finer = self.windows.iter().filter(|window| window.resolution() < step);
            *joined = finer.map(start_of).fold(self.settled, Tick::min);
        }
        self.joined = whole(self.joined);
        self.keep_from = self.windows.iter().map(start_of).fold(self.settled, Tick::min);
    }

    /// From where on anything is held, where the windows reach back further because
    /// they have changed.
    pub fn held_from(&self) -> Option<EventTime> {
        self.inherited.map(|inherited| inherited.held_from.start())
    }

    /// As it is written down.
    pub fn image(&self) -> AgeingImage {
        let numbers = |joined: &Joined| joined.map(Tick::number);
        AgeingImage {
            windows: self.windows.iter().map(|window| window.size().micros()).collect(),
            reached: self.reached.map(Tick::number),
            joined: numbers(&self.joined),
            keep_from: self.keep_from.number(),
            settled: self.settled.number(),
            inherited: self.inherited.map(|of| (of.held_from.number(), numbers(&of.joined))),
        }
    }

    /// Goes on from what is written, whatever windows it was written for.
    pub fn go_on_from(&mut self, image: &AgeingImage) {
        let ticks = |numbers: &[i32; LADDER.len()]| whole(numbers.map(Tick::new));
        let inherited = image.inherited.map(|(held_from, joined)| Inherited {
            held_from: Tick::new(held_from),
            joined: ticks(&joined),
        });
        self.reached = image.reached.map(Tick::new);
        let sizes = self.windows.iter().map(|window| window.size().micros());
        if sizes.eq(image.windows.iter().copied()) {
            self.joined = ticks(&image.joined);
            self.keep_from = Tick::new(image.keep_from);
            self.settled = Tick::new(image.settled);
            self.inherited = inherited;
            return;
        }
        let Some(reached) = self.reached else { return };
        self.compute(reached);
        let mut joined = ticks(&image.joined);
        let mut held_from = Tick::new(image.keep_from);
        if let Some(before) = inherited {
            held_from = held_from.max(before.held_from);
            joined.iter_mut().zip(before.joined).for_each(|(mine, left)| *mine = left.max(*mine));
        }
        self.inherited = Some(Inherited { held_from, joined });
        self.keep_whole_panes();
    }

    /// A pane that was joined for other windows is held as a whole, until the last of it
    /// is past: what is dropped before that would not be missed by windows that come
    /// later.
    fn keep_whole_panes(&mut self) {
        self.keep_from = self.floor(self.keep_from);
    }

    /// The first tick of the pane that holds `tick`. Does not decrease.
    pub fn floor(&self, tick: Tick) -> Tick {
        let inherited = self.inherited.filter(|inherited| inherited.held_from <= tick);
        let joined = |place: &usize| {
            let left = inherited.map_or(Tick::MIN, |inherited| inherited.joined[*place]);
            self.joined[*place].max(left)
        };
        let joined = (1..LADDER.len()).take_while(|place| tick < joined(place)).last();
        let Some(place) = joined else { return tick };
        let first = tick.floor(ticks(LADDER[place]));
        // What was held is never joined with what came from before it.
        inherited.map_or(first, |inherited| first.max(inherited.held_from))
    }

    /// Whether state is kept so finely that a window may begin with `tick`, or end
    /// just before it.
    pub fn can_cut_before(&self, tick: Tick) -> bool {
        tick >= self.keep_from && self.floor(tick) == tick
    }

    /// The first tick that any window can still ask for; all before may go.
    pub fn keep_from(&self) -> Tick {
        self.keep_from
    }

    /// The earliest last tick of a window that is still answered in full.
    pub fn settled(&self) -> Tick {
        self.settled
    }

    /// The tick up to which state has aged.
    pub fn reached(&self) -> Option<Tick> {
        self.reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ageing(sizes: &[i64], at: i64) -> Ageing {
        let windows = sizes
            .iter()
            .map(|&secs| WindowSpec::new(Span::from_secs(secs)).expect("a window"))
            .collect();
        let mut ageing = Ageing::new(windows);
        ageing.advance(EventTime::from_secs(at));
        ageing
    }

    #[test]
    fn every_window_can_be_cut_at_any_moment_within_the_margin_and_after() {
        let sizes = [10, 300, 3_600, 21_600, 86_400, 604_800];
        for at in (1_000_000..1_020_000).step_by(170) {
            let ageing = ageing(&sizes, at);
            for as_of in (at - 120..at + 9_000).step_by(310) {
                for window in &ageing.windows {
                    let bounds = window.bounds(EventTime::from_secs(as_of));
                    assert!(
                        ageing.can_cut_before(bounds.start),
                        "{window} at {as_of}, aged to {at}"
                    );
                    assert!(ageing.can_cut_before(bounds.end.next()));
                }
            }
        }
    }

    #[test]
    fn panes_grow_with_age_and_their_number_is_bounded() {
        let ageing = ageing(&[300, 3_600, 86_400, 604_800], 10_000_000);
        let panes: std::collections::BTreeSet<Tick> = (ageing.keep_from().number()..=1_000_000)
            .map(|number| ageing.floor(Tick::new(number)))
            .collect();
        assert!(panes.len() < 300, "{} panes for a week", panes.len());
        let floors: Vec<Tick> = (900_000..1_000_000).map(|n| ageing.floor(Tick::new(n))).collect();
        assert!(floors.is_sorted());
    }

    #[test]
    fn a_clock_that_steps_far_back_finds_no_boundary() {
        let ageing = ageing(&[86_400], 1_000_000);
        let window = ageing.windows[0];
        let back = EventTime::from_secs(1_000_000 - 1_000);
        assert!(!ageing.can_cut_before(window.bounds(back).end.next()));
    }
}
