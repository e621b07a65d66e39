//! Text scenarios: what happens, and what is said of it.
//!
//! One file of `tests/scenarios` is one story. Its lines:
//!
//! ```text
//! # a comment
//! slice campaign by campaign windows 5m 1h cap 2
//! objective spike unsubscribe_per_delivered campaign * 5m at_most 0.02 margin 0.1 sample 10
//! start 2026-06-09T12:00:00Z
//! +10s 40x email.delivered campaign=spring user=ann
//! advance 1m
//! covered from -2h
//! expect unsubscribe_per_delivered campaign=spring 5m 0.025
//! expect emails_sent all 1h absent
//! verdict spike campaign=spring missed
//! ```
//!
//! Each story is also told with a crash and a restart from the saved state after every
//! line, and at many moments between two.
//!
//! An event's time counts from the present, which `advance` moves; `NNx` repeats it
//! (and numbers its user); `advance to` a moment may go back. A word of `expect` and
//! `verdict` names a slice value: `all`, or `field=value` joined by `,`. Measures and
//! KPIs are those of `recount_model`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tidegauge::event::{Decimal, EventTime, Span};
use tidegauge::kpi::{Declarations, KpiSnapshot, Plan, SliceSpec, Store};
use tidegauge::objective::{self, Freshness, ObjectiveSpec, Severity, Target, Verdict};

use crate::recount_model::{Act, KINDS, KPIS, MEASURES, declare, fold, slice, store};

/// The state of a story while it is told.
struct Story {
    slices: Vec<SliceSpec>,
    objective_lines: Vec<String>,
    engine: Option<Engine>,
    now: i64,
    covered_from: Option<EventTime>,
    freshness: Freshness,
    /// Where the state is saved, and taken from again after every line and at many
    /// moments between; `None` runs through.
    cuts: Option<Cuts>,
    /// In how many steps the time advances.
    steps: i64,
}

/// Everything that was saved of a story: the last whole cycle, and what followed.
#[derive(Default)]
struct Cuts {
    cycles: Vec<Vec<(Vec<u8>, Vec<u8>)>>,
    begins_cycle: bool,
    taken: usize,
}

impl Cuts {
    /// The store as it is after a crash and a restart.
    fn crash(&mut self, engine: &mut Engine, now: i64) -> Result<(), String> {
        let changes = engine.store.take_changes();
        if self.begins_cycle || self.cycles.is_empty() {
            self.cycles.push(Vec::new());
        }
        self.begins_cycle = changes.completes_cycle;
        // The cycle before the last one is whole.
        let dispensable = self.cycles.len().saturating_sub(2);
        self.cycles.drain(..dispensable);
        let step = (engine.store.schema(), changes.bytes);
        self.cycles.last_mut().expect("one was begun").push(step);
        let mut again = Store::new(Arc::clone(&engine.plan));
        for (schema, changes) in self.cycles.iter().flatten() {
            again.restore(schema, changes).map_err(|error| error.to_string())?;
        }
        again.restored(EventTime::from_secs(now)).map_err(|error| error.to_string())?;
        again.set_shortest_cycle(SHORT_CYCLE);
        again.keep_journal();
        engine.store = again;
        self.taken += 1;
        Ok(())
    }
}

/// So few bytes that even a short story goes through several cycles.
const SHORT_CYCLE: u64 = 2_000;
/// Steps of one advance of the time, where the state is to be cut in between.
const STEPS: i64 = 20;

struct Engine {
    declarations: Arc<Declarations>,
    objectives: Vec<ObjectiveSpec>,
    plan: Arc<Plan>,
    store: Store,
}

fn seconds(text: &str) -> Result<i64, String> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.trim_start_matches('+')),
    };
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        other => return Err(format!("unit `{other}` is none of s, m, h, d")),
    };
    let number: i64 = digits.parse().map_err(|_| format!("`{text}` is no length of time"))?;
    Ok(sign * number * unit)
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn moment(text: &str) -> Result<i64, String> {
    let micros =
        tidegauge::format::rfc3339_micros(text).ok_or_else(|| format!("`{text}` is no time"))?;
    Ok((micros / 1_000_000) as i64)
}

/// `all` or `campaign=spring,region=north`, as the slice's fields and their values.
fn slice_value(text: &str) -> (Vec<String>, Vec<String>) {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(field, value)| (field.to_owned(), value.to_owned())).unzip()
}

impl Story {
    fn line(&mut self, line: &str) -> Result<(), String> {
        self.tell_line(line)?;
        self.cut()
    }

    fn cut(&mut self) -> Result<(), String> {
        match (&mut self.cuts, &mut self.engine) {
            (Some(cuts), Some(engine)) => cuts.crash(engine, self.now),
            _ => Ok(()),
        }
    }

    fn tell_line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => Ok(()),
            ["slice", name, rest @ ..] => {
                self.slices.push(slice_of(name, rest)?);
                Ok(())
            }
            ["objective", ..] => {
                self.objective_lines.push(line.to_owned());
                Ok(())
            }
            ["start", at] => self.start(moment(at)?),
            ["advance", "to", at] => self.advance(moment(at)?),
            ["advance", by] => self.advance(self.now + seconds(by)?),
            ["covered", "from", by] => {
                self.covered_from = Some(EventTime::from_secs(self.now + seconds(by)?));
                Ok(())
            }
            ["stale"] => {
                self.freshness.stale = true;
                Ok(())
            }
            ["incomplete"] => {
                self.freshness.incomplete = true;
                Ok(())
            }
            ["fresh"] => {
                self.freshness = Freshness::default();
                Ok(())
            }
            ["expect", what, value, window, expected] => self.expect(what, value, window, expected),
            ["coverage", name, window, expected] => self.coverage(name, window, expected),
            ["verdict", objective, value, expected @ ..] => {
                self.verdict(objective, value, expected)
            }
            [at, act @ ..] => self.act(seconds(at)?, act),
        }
    }

    fn engine(&mut self) -> Result<&mut Engine, String> {
        self.engine.as_mut().ok_or_else(|| "the story has not started".to_owned())
    }

    fn start(&mut self, now: i64) -> Result<(), String> {
        let declarations = declare(self.slices.clone());
        let objectives: Result<Vec<ObjectiveSpec>, String> =
            self.objective_lines.iter().map(|line| objective_of(line, &declarations)).collect();
        let (plan, store) = store(&declarations);
        let mut engine = Engine { objectives: objectives?, declarations, plan, store };
        if self.cuts.is_some() {
            engine.store.set_shortest_cycle(SHORT_CYCLE);
            engine.store.keep_journal();
        }
        self.engine = Some(engine);
        self.advance(now)
    }

    fn advance(&mut self, to: i64) -> Result<(), String> {
        let from = self.now;
        for step in 1..if from > 0 { self.steps } else { 1 } {
            self.advance_at_once(from + (to - from) * step / self.steps)?;
            self.cut()?;
        }
        self.advance_at_once(to)
    }

    fn advance_at_once(&mut self, to: i64) -> Result<(), String> {
        self.now = to;
        let to = EventTime::from_secs(to);
        self.engine()?.store.advance(to, Some(to));
        Ok(())
    }

    fn act(&mut self, at: i64, words: &[&str]) -> Result<(), String> {
        let (times, words) = match words {
            [times, rest @ ..] if times.ends_with('x') => {
                (times.trim_end_matches('x').parse().map_err(|_| format!("`{times}`?"))?, rest)
            }
            words => (1, words),
        };
        let [kind, fields @ ..] = words else { return Err("an event needs a type".to_owned()) };
        let kind = KINDS.into_iter().find(|known| known == kind);
        let kind = kind.ok_or_else(|| format!("the model knows {}", KINDS.join(", ")))?;
        let mut act = Act { at: self.now + at, kind, count: 1, ..Act::default() };
        for field in fields {
            set(&mut act, field)?;
        }
        let acts: Vec<Act> = (0..times)
            .map(|number: u32| {
                let user = act
                    .user
                    .as_ref()
                    .map(|user| if times == 1 { user.clone() } else { format!("{user} {number}") });
                Act { user, ..act.clone() }
            })
            .collect();
        let engine = self.engine()?;
        fold(&engine.plan, &mut engine.store, &acts, 100);
        Ok(())
    }

    fn snapshot(&mut self) -> Result<KpiSnapshot, String> {
        let (now, covered_from) = (EventTime::from_secs(self.now), self.covered_from);
        Ok(self.engine()?.store.snapshot(now, covered_from))
    }

    fn expect(
        &mut self,
        what: &str,
        value: &str,
        window: &str,
        expected: &str,
    ) -> Result<(), String> {
        let snapshot = self.snapshot()?;
        let (fields, values) = slice_value(value);
        let declarations = &self.engine()?.declarations;
        let index = declarations
            .slices
            .iter()
            .position(|slice| slice.fields.iter().map(|field| field.name()).eq(fields.iter()))
            .ok_or("no such slice")?;
        let window = window_of(declarations, index, window)?;
        let series = snapshot.slices[index].series.iter().find(|series| {
            series.values.iter().map(AsRef::as_ref).eq(values.iter().map(String::as_str))
        });
        let said = series.and_then(|series| {
            if let Some(place) = KPIS.iter().position(|kpi| *kpi == what) {
                return series.kpis[window * KPIS.len() + place].map(|figure| figure.value);
            }
            let place = MEASURES.iter().position(|measure| *measure == what)?;
            series.measures[window * MEASURES.len() + place].map(|value| value.to_f64())
        });
        let right = match (expected, said) {
            ("absent", said) => said.is_none(),
            (_, None) => false,
            (expected, Some(said)) => (said - number(expected)?).abs() < 1e-9,
        };
        if right { Ok(()) } else { Err(format!("it is {said:?}")) }
    }

    fn coverage(&mut self, name: &str, window: &str, expected: &str) -> Result<(), String> {
        let snapshot = self.snapshot()?;
        let declarations = &self.engine()?.declarations;
        let index = declarations
            .slices
            .iter()
            .position(|slice| slice.name == name)
            .ok_or("no such slice")?;
        let said = snapshot.slices[index].coverage[window_of(declarations, index, window)?];
        if (said - number(expected)?).abs() < 1e-3 { Ok(()) } else { Err(format!("it is {said}")) }
    }

    fn verdict(&mut self, id: &str, value: &str, expected: &[&str]) -> Result<(), String> {
        let snapshot = self.snapshot()?;
        let freshness = self.freshness;
        let engine = self.engine()?;
        let freshness = vec![freshness; engine.objectives.len()];
        let verdicts =
            objective::judge(&engine.objectives, &engine.declarations, &snapshot, &freshness);
        let (_, values) = slice_value(value);
        let of = |verdict: &&Verdict| {
            engine.objectives[verdict.objective].id == id
                && verdict.values.iter().map(AsRef::as_ref).eq(values.iter().map(String::as_str))
        };
        let said = match verdicts.iter().find(of) {
            None => "none".to_owned(),
            Some(verdict) => match verdict.unknown {
                Some(reason) => format!("unknown {}", reason.name()),
                None => verdict.state.name().to_owned(),
            },
        };
        if said == expected.join(" ") { Ok(()) } else { Err(format!("it is {said}")) }
    }
}

fn window_of(declarations: &Declarations, slice: usize, text: &str) -> Result<usize, String> {
    let size = Span::from_secs(seconds(text)?);
    let windows = &declarations.slices[slice].windows;
    windows
        .iter()
        .position(|window| window.size() == size)
        .ok_or_else(|| "no such window".to_owned())
}

fn set(act: &mut Act, field: &str) -> Result<(), String> {
    let (name, value) =
        field.split_once('=').ok_or_else(|| format!("`{field}` is no field=value"))?;
    let text = || Some(value.to_owned());
    let integer = || value.parse::<i64>().map_err(|_| format!("`{value}` is no whole number"));
    match name {
        "campaign" => act.campaign = text(),
        "region" => act.region = text(),
        "user" => act.user = text(),
        "key" => act.key = text(),
        "id" => act.id = text(),
        "count" => act.count = integer()?,
        "cents" => act.cents = Some(integer()?),
        "currency" => act.foreign = value != "EUR",
        "class" => act.class = Some(if value == "hard" { "hard" } else { "soft" }),
        "machine" => act.machine = Some(value == "true"),
        other => return Err(format!("the model knows no field {other}")),
    }
    Ok(())
}

fn slice_of(name: &str, words: &[&str]) -> Result<SliceSpec, String> {
    let (mut fields, mut windows, mut cap, mut list) = (Vec::new(), Vec::new(), 1_000, "");
    for word in words {
        match (*word, list) {
            ("by" | "windows" | "cap", _) => list = word,
            (field, "by") => fields.push(field),
            (window, "windows") => windows.push(seconds(window)?),
            (most, "cap") => cap = number(most)? as usize,
            (other, _) => return Err(format!("`{other}`?")),
        }
    }
    Ok(slice(name, &fields, &windows, cap))
}

fn objective_of(line: &str, declarations: &Declarations) -> Result<ObjectiveSpec, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, id, kpi, slice, rest @ ..] = words.as_slice() else {
        return Err("too short".to_owned());
    };
    let slice =
        declarations.slices.iter().position(|of| of.name == *slice).ok_or("no such slice")?;
    let (selector, rest) = rest.split_at(declarations.slices[slice].fields.len());
    let [window, kind, bound, rest @ ..] = rest else { return Err("too short".to_owned()) };
    let bound = number(bound)?;
    let (target, mut rest) = match (*kind, rest) {
        ("at_least", rest) => (Target::AtLeast(bound), rest),
        ("at_most", rest) => (Target::AtMost(bound), rest),
        ("between", [most, rest @ ..]) => (Target::Between(bound, number(most)?), rest),
        _ => return Err(format!("`{kind}` is none of at_least, at_most, between")),
    };
    let mut spec = ObjectiveSpec {
        id: (*id).to_owned(),
        help: "For tests.".to_owned(),
        kpi: KPIS.iter().position(|known| known == kpi).ok_or("no such KPI")?,
        slice,
        selector: selector.iter().map(|text| (*text != "*").then(|| (*text).to_owned())).collect(),
        window: window_of(declarations, slice, window)?,
        target,
        margin: 0.0,
        minimum_sample: None,
        minimum_coverage: 0.99,
        owner: "tests".to_owned(),
        serves: String::new(),
        severity: Severity::Warning,
        runbook: None,
        hold: Span::ZERO,
        keep_firing: Span::ZERO,
    };
    while let [name, value, more @ ..] = rest {
        match *name {
            "margin" => spec.margin = number(value)?,
            "sample" => spec.minimum_sample = Some(Decimal::from_int(number(value)? as i64)),
            other => return Err(format!("`{other}` is none of margin, sample")),
        }
        rest = more;
    }
    Ok(spec)
}

fn tell(text: &str) -> Vec<String> {
    tell_with(text, None, 1)
}

fn tell_with(text: &str, cuts: Option<Cuts>, steps: i64) -> Vec<String> {
    let mut story = Story {
        slices: Vec::new(),
        objective_lines: Vec::new(),
        engine: None,
        now: 0,
        covered_from: None,
        freshness: Freshness::default(),
        cuts,
        steps,
    };
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Err(fault) = story.line(line) {
            faults.push(format!("line {}: {line}\n    {fault}", number + 1));
        }
    }
    if let Some(cuts) = story.cuts {
        assert!(cuts.taken >= 5, "only {} cuts", cuts.taken);
    }
    faults
}

#[test]
fn every_story_ends_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut faults = Vec::new();
    let mut stories = 0;
    for entry in fs::read_dir(folder).expect("tests/scenarios").flatten() {
        let text = fs::read_to_string(entry.path()).expect("a scenario");
        assert!(
            text.contains("\nexpect ") || text.contains("\nverdict "),
            "{:?} expects nothing",
            entry.path()
        );
        let name = entry.file_name().to_string_lossy().into_owned();
        faults.extend(tell(&text).into_iter().map(|fault| format!("{name}, {fault}")));
        let cut = tell_with(&text, Some(Cuts::default()), 1);
        faults.extend(cut.into_iter().map(|fault| format!("{name}, cut and resumed, {fault}")));
        // Time that passes in steps may end the story otherwise, but a cut may not.
        let (uncut, cut) =
            (tell_with(&text, None, STEPS), tell_with(&text, Some(Cuts::default()), STEPS));
        assert_eq!(cut, uncut, "{name}, in steps");
        stories += 1;
    }
    assert!(stories >= 5, "only {stories} stories");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_story_that_is_wrong_says_where() {
    let story = "slice all windows 5m\nstart 2026-06-09T12:00:00Z\n-1s email.sent\nexpect emails_sent all 5m 2";
    assert_eq!(tell(story), ["line 4: expect emails_sent all 5m 2\n    it is Some(1.0)"]);
}
