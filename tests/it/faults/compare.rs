//! A page held against the recount: every series, none missing, none too many.

use std::collections::BTreeMap;

use super::declared::{Declared, Slice, What};
use super::judge::{Element, Judged, Nanos, Seen};
use super::log::Log;
use super::moment::{Micros, SECOND};
use super::recount::{self, Number, Said};
use super::world::Topic;
use crate::support::instance::Metrics;

/// Labels in the order of their names, as one text.
pub(super) type Series = (String, String);

/// The relative standard error of an estimated distinct count.
const STANDARD_ERROR: f64 = 1.04 / 64.0;
/// Differences that are told of one page.
const MOST_TOLD: usize = 12;

/// The recount of everything that lies in the topics.
pub(super) struct Truth<'a> {
    log: &'a Log,
    topics: &'a [Topic],
    declared: &'a Declared,
    counted: Vec<&'a Seen>,
}

/// What a page differs in, and how much was compared.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) compared: usize,
    pub(super) differences: Vec<String>,
}

impl Comparison {
    pub(super) fn append(&mut self, other: Comparison) {
        self.compared += other.compared;
        self.differences.extend(other.differences);
    }

    fn check(&mut self, holds: bool, tell: impl FnOnce() -> String) {
        self.compared += 1;
        if !holds && self.differences.len() < MOST_TOLD {
            self.differences.push(tell());
        }
    }
}

/// The figures of a page: what has both a slice and a window.
pub(super) fn figures(page: &Metrics) -> BTreeMap<Series, f64> {
    page.samples()
        .filter(|(family, labels, _)| {
            labels.contains_key("slice")
                && labels.contains_key("window")
                && !family.ends_with("_coverage_ratio")
        })
        .map(|(family, labels, value)| ((family.to_owned(), format!("{labels:?}")), value))
        .collect()
}

pub(super) fn as_of(page: &Metrics) -> Option<Micros> {
    let seconds = page.one("tidegauge_as_of_timestamp_seconds", &[])?;
    Some((seconds * SECOND as f64).round() as Micros)
}

impl<'a> Truth<'a> {
    pub(super) fn of(log: &'a Log, topics: &'a [Topic], declared: &'a Declared) -> Truth<'a> {
        Truth { log, topics, declared, counted: log.counted() }
    }

    /// How many events count.
    pub(super) fn events(&self) -> usize {
        self.counted.len()
    }

    /// Holds a page against the recount at the page's own `as_of`.
    pub(super) fn compare(&self, page: &Metrics) -> Comparison {
        let mut comparison = Comparison::default();
        let Some(as_of) = as_of(page) else {
            comparison.check(false, || "the page has no as_of".to_owned());
            return comparison;
        };
        let mut shown = figures(page);
        for slice in &self.declared.slices {
            match slice.cap {
                None => self.whole_slice(slice, as_of, &mut shown, &mut comparison),
                Some(_) => self.capped_slice(slice, as_of, page, &mut shown, &mut comparison),
            }
        }
        for ((family, labels), value) in shown {
            comparison.check(false, || format!("{family}{labels} {value} is not in the recount"));
        }
        let ledgers = ["tidegauge_ledger_records", "tidegauge_ledger_events"];
        self.ledgers(page, ledgers, true, &mut comparison);
        self.unidentified(page, "tidegauge_ledger_unidentified_events", &mut comparison);
        self.beside(page, &mut comparison);
        comparison
    }

    fn whole_slice(
        &self,
        slice: &Slice,
        as_of: Micros,
        shown: &mut BTreeMap<Series, f64>,
        comparison: &mut Comparison,
    ) {
        for value in recount::values(slice, &self.counted) {
            self.value(slice, &value, as_of, shown, comparison, true);
        }
    }

    /// All figures of one value; `needed` where none may be missing.
    fn value(
        &self,
        slice: &Slice,
        value: &[String],
        as_of: Micros,
        shown: &mut BTreeMap<Series, f64>,
        comparison: &mut Comparison,
        needed: bool,
    ) {
        let mine: Vec<&Seen> = self
            .counted
            .iter()
            .copied()
            .filter(|seen| recount::labels(slice, seen) == value)
            .collect();
        for &window in &slice.windows {
            let needed = needed && slice.coarse != Some(window.0);
            let mut said: BTreeMap<&str, Number> = BTreeMap::new();
            for measure in self.declared.measures_of(slice) {
                let series = series(measure.family(), slice, value, window.0);
                let there = shown.remove(&series);
                let told = recount::measure(measure, slice, None, window, as_of, &mine);
                if there.is_none() && !needed {
                    continue;
                }
                match told {
                    Said::Nothing => comparison.check(there.is_none(), || {
                        format!("{}{}: {there:?}, and the recount has nothing", series.0, series.1)
                    }),
                    Said::Value(number) => {
                        said.insert(measure.name, number);
                        let wanted = number.real();
                        comparison.check(there == Some(wanted), || {
                            format!("{}{}: {there:?}, recounted {wanted}", series.0, series.1)
                        });
                    }
                    Said::About(wanted) => {
                        let near = |value: f64| {
                            (value - wanted).abs() <= 5.0 * STANDARD_ERROR * wanted + 1.0
                        };
                        comparison.check(there.is_some_and(near), || {
                            format!("{}{}: {there:?}, recounted about {wanted}", series.0, series.1)
                        });
                        if let Some(there) = there {
                            said.insert(
                                measure.name,
                                Number::Exact(there as Nanos * 1_000_000_000),
                            );
                        }
                    }
                }
            }
            for kpi in &self.declared.kpis {
                if !self.declared.slices_of(kpi).any(|of| of.name == slice.name) {
                    continue;
                }
                let series = series(kpi.family(), slice, value, window.0);
                let there = shown.remove(&series);
                if there.is_none() && !needed {
                    continue;
                }
                let said = |name: &str| said.get(name).copied();
                let wanted = recount::formula(self.declared, &kpi.formula, &said);
                let wanted = wanted.map(Number::real);
                comparison.check(there == wanted, || {
                    format!("{}{}: {there:?}, recounted {wanted:?}", series.0, series.1)
                });
            }
        }
    }

    /// Which values have series of their own depends on the order of reading, and some
    /// hide what they had in `__other__`: what is shown must be right, and as long as
    /// nothing is hidden, own and other add up.
    fn capped_slice(
        &self,
        slice: &Slice,
        as_of: Micros,
        page: &Metrics,
        shown: &mut BTreeMap<Series, f64>,
        comparison: &mut Comparison,
    ) {
        let all = recount::values(slice, &self.counted);
        let mut own: Vec<Vec<String>> = Vec::new();
        for value in &all {
            let text = label_text(slice, value, "");
            let text = text.trim_end_matches("\"\"}").to_owned();
            if shown.keys().any(|(_, labels)| labels.starts_with(&text)) {
                own.push(value.clone());
            }
        }
        let series_limit = slice.cap.unwrap_or(usize::MAX);
        comparison.check(own.len() <= series_limit, || {
            format!("{} values of {} have series of their own", own.len(), slice.name)
        });
        let counted = page.one("tidegauge_slice_series", &[("slice", slice.name)]).unwrap_or(0.0);
        let other: Vec<String> = slice.by.iter().map(|_| "__other__".to_owned()).collect();
        for &window in &slice.windows {
            for measure in self.declared.measures_of(slice) {
                let additive = matches!(measure.what, What::Count | What::Sum(_));
                let other_series = series(measure.family(), slice, &other, window.0);
                let other_shown = shown.remove(&other_series);
                if !additive {
                    continue;
                }
                // Ten decimal places are more than a sum can have.
                let nanos = |value: f64| (value * 1e9).round() as Nanos;
                let mut sum = other_shown.map_or(0, nanos);
                for value in &own {
                    let series = series(measure.family(), slice, value, window.0);
                    sum += shown.get(&series).copied().map_or(0, nanos);
                }
                let told = recount::measure(measure, slice, None, window, as_of, &self.counted);
                let Said::Value(wanted) = told else { continue };
                let wanted = nanos(wanted.real());
                let near = (sum - wanted).abs() <= wanted.abs() / 1_000_000_000_000 + 1_000;
                if own.len() as f64 == counted && self.none_hidden(slice, &own, as_of, shown) {
                    comparison.check(near, || {
                        format!(
                            "{} of {} in {}: own and other add up to {sum}, recounted {wanted}",
                            measure.name, slice.name, window.0
                        )
                    });
                }
            }
            for kpi in &self.declared.kpis {
                shown.remove(&series(kpi.family(), slice, &other, window.0));
            }
        }
        for value in &own {
            self.value(slice, value, as_of, shown, comparison, false);
        }
    }

    /// Whether every own value shows its longest window whole.
    fn none_hidden(
        &self,
        slice: &Slice,
        own: &[Vec<String>],
        as_of: Micros,
        shown: &BTreeMap<Series, f64>,
    ) -> bool {
        let Some(&window) = slice.windows.last() else { return false };
        let measures = self.declared.measures_of(slice);
        own.iter().all(|value| {
            measures.iter().all(|measure| {
                let said =
                    recount::measure(measure, slice, Some(value), window, as_of, &self.counted);
                said == Said::Nothing
                    || shown.contains_key(&series(measure.family(), slice, value, window.0))
            })
        })
    }

    /// Both ledgers. Which of two topics has the duplicate depends on the order of
    /// reading; the sum does not.
    fn ledgers(
        &self,
        page: &Metrics,
        [records, events]: [&str; 2],
        with_sums: bool,
        comparison: &mut Comparison,
    ) {
        let mut wanted: BTreeMap<(&str, String, String, &str), f64> = BTreeMap::new();
        let mut admitted = 0.0;
        for record in &self.log.records {
            let topic = &self.topics[record.place.0].name;
            let mut add = |family, outcome: &str, reason: &'static str| {
                let place = (family, topic.clone(), outcome.to_owned(), reason);
                *wanted.entry(place).or_insert(0.0) += 1.0;
            };
            if with_sums {
                add(records, "read", "");
            }
            match &record.judged {
                Judged::Empty => add(records, "empty", ""),
                Judged::Rejected(reason) => add(records, "rejected", reason),
                Judged::Decoded(elements) => {
                    add(records, "decoded", "");
                    for element in elements {
                        if with_sums {
                            add(events, "decoded", "");
                        }
                        match element {
                            Element::Ignored(reason) => add(events, "ignored", reason),
                            Element::Rejected(reason) => add(events, "rejected", reason),
                            Element::Event(seen) => match record.outcome(seen) {
                                Some(why) => add(events, why, ""),
                                None => {
                                    admitted += 1.0;
                                    add(events, "counted or duplicate", "");
                                }
                            },
                        }
                    }
                }
            }
        }
        let mut there: BTreeMap<(&str, String, String, String), f64> = BTreeMap::new();
        let mut counted = 0.0;
        for (family, labels, value) in page.samples() {
            let family = if family == records {
                records
            } else if family == events {
                events
            } else {
                continue;
            };
            let mut outcome = labels["outcome"].clone();
            if family == events && outcome == "counted" {
                counted += value;
            }
            if family == events && (outcome == "counted" || outcome == "duplicate") {
                outcome = "counted or duplicate".to_owned();
            }
            let reason = labels.get("reason").cloned().unwrap_or_default();
            *there.entry((family, labels["topic"].clone(), outcome, reason)).or_insert(0.0) +=
                value;
        }
        for ((family, topic, outcome, reason), wanted) in wanted {
            let key = (family, topic, outcome, reason.to_owned());
            let value = there.remove(&key);
            comparison
                .check(value == Some(wanted), || format!("{key:?}: {value:?}, recounted {wanted}"));
        }
        for (key, value) in there {
            comparison.check(value == 0.0, || format!("{key:?}: {value}, recounted 0"));
        }
        let events_counted = self.counted.len() as f64;
        comparison.check(counted == events_counted, || {
            format!("{events}: {counted} of {admitted} counted, recounted {events_counted}")
        });
    }

    /// The counters of the newest checkpoint on the disk, once it holds everything.
    pub(super) fn counters(&self, page: &Metrics, comparison: &mut Comparison) {
        let ledgers = ["tidegauge_records_total", "tidegauge_events_total"];
        self.ledgers(page, ledgers, false, comparison);
        self.unidentified(page, "tidegauge_unidentified_events_total", comparison);
    }

    fn unidentified(&self, page: &Metrics, family: &str, comparison: &mut Comparison) {
        for (index, topic) in self.topics.iter().enumerate() {
            let of_topic = self.log.admitted().filter(|(record, _)| record.place.0 == index);
            let wanted = of_topic.filter(|(_, seen)| seen.id.is_none()).count() as f64;
            let there = page.one(family, &[("topic", &topic.name)]);
            comparison.check(there == Some(wanted), || {
                format!("{family} of {}: {there:?}, recounted {wanted}", topic.name)
            });
        }
    }

    fn beside(&self, page: &Metrics, comparison: &mut Comparison) {
        for measure in &self.declared.measures {
            let wanted = recount::foreign(measure, &self.counted).map(|count| count as f64);
            let there = page.one("tidegauge_other_currency_events", &[("measure", measure.name)]);
            comparison.check(there == wanted, || {
                format!("other currencies of {}: {there:?}, recounted {wanted:?}", measure.name)
            });
        }
        for (family, labels, value) in page.samples() {
            let wanted = match family {
                "tidegauge_coverage_ratio" | "tidegauge_kpi_coverage_ratio" => {
                    let coarse = self.declared.slices.iter().any(|slice| {
                        slice.name == labels["slice"] && slice.coarse == Some(&labels["window"])
                    });
                    // Without a figure nothing of it is covered.
                    if coarse && value == 0.0 { 0.0 } else { 1.0 }
                }
                "tidegauge_snapshot_complete" => 1.0,
                "tidegauge_partition_lag_records"
                | "tidegauge_topic_missing"
                | "tidegauge_dead_letters_blocked"
                | "tidegauge_state_blocked"
                | "tidegauge_partition_gaps_total"
                | "tidegauge_partition_lost_records_total" => 0.0,
                "tidegauge_slice_series_limit" => {
                    let slice = self.declared.slices.iter().find(|of| of.name == labels["slice"]);
                    slice.and_then(|slice| slice.cap).unwrap_or(2_000) as f64
                }
                _ => continue,
            };
            comparison
                .check(value == wanted, || format!("{family}{labels:?}: {value}, not {wanted}"));
        }
    }
}

fn label_text(slice: &Slice, value: &[String], window: &str) -> String {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    labels.insert("slice".to_owned(), slice.name.to_owned());
    labels.insert("window".to_owned(), window.to_owned());
    for (field, value) in slice.by.iter().zip(value) {
        labels.insert((*field).to_owned(), value.clone());
    }
    format!("{labels:?}")
}

fn series(family: String, slice: &Slice, value: &[String], window: &str) -> Series {
    (family, label_text(slice, value, window))
}

/// What two pages of one pane differ in. Nothing may, but in slices with a cap, and in
/// a window that one of them may have kept finer panes for.
pub(super) fn between(declared: &Declared, one: &Metrics, other: &Metrics) -> Comparison {
    let mut comparison = Comparison::default();
    let (one, mut other) = (figures(one), figures(other));
    let slice_of = |labels: &str| {
        let is_it = |slice: &&Slice| labels.contains(&format!("\"slice\": \"{}\"", slice.name));
        declared.slices.iter().find(is_it)
    };
    let capped = |labels: &str| slice_of(labels).is_some_and(|slice| slice.cap.is_some());
    let coarse = |labels: &str| {
        let window = slice_of(labels).and_then(|slice| slice.coarse);
        window.is_some_and(|window| labels.contains(&format!("\"window\": \"{window}\"")))
    };
    for (series, value) in one {
        let there = other.remove(&series);
        let finer = there.is_none() || series.0.ends_with("_coverage_ratio");
        if capped(&series.1) || (finer && coarse(&series.1)) {
            continue;
        }
        comparison.check(there.map(f64::to_bits) == Some(value.to_bits()), || {
            format!("{}{}: {value} on one, {there:?} on the other", series.0, series.1)
        });
    }
    for ((family, labels), value) in other {
        if !capped(&labels) && !coarse(&labels) {
            comparison.check(false, || format!("{family}{labels}: {value} on the other alone"));
        }
    }
    comparison
}
