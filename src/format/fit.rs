//! In which of several formats records are written, as far as a few of them tell.
//!
//! In: formats, and records of one topic. Out: for each format how much of the records
//! becomes events, the best first, and whether that is a choice. A format fits by what it
//! can make of a record, never by its name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Decoder, Element, Format, FormatSpec, Limits, RecordOutcome, Wanted};
use crate::event::{Event, RawRecord, Vocabulary};

/// What a format makes of the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// Its name.
    pub format: String,
    /// Records that were looked at, without empty ones.
    pub records: usize,
    /// Records of which at least one event came.
    pub read: usize,
    /// Records and elements of them that it refuses.
    pub refused: usize,
    /// How many events came of each canonical type.
    pub types: BTreeMap<String, usize>,
    /// The campaigns that they name.
    pub campaigns: BTreeSet<String>,
    /// Fields that the events have beyond type and time: of two formats that both give
    /// events, the one that was meant says more.
    pub fields: usize,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'f> {
    /// This one.
    One(&'f Fit),
    /// These say the same of the records.
    Several(Vec<&'f Fit>),
    /// None gives an event.
    NoneFits,
    /// There was no record to look at.
    NoRecord,
}

/// Formats on trial.
pub struct Fitting {
    vocabulary: Vocabulary,
    trials: Vec<(Fit, Decoder)>,
}

impl Fitting {
    /// Tries these, which know the canonical types.
    pub fn new(formats: &[FormatSpec]) -> Fitting {
        let vocabulary = Vocabulary::canonical();
        let trial = |spec: &FormatSpec| {
            let format = Format::compile(spec, &vocabulary, &Wanted::All);
            let fit = Fit {
                format: spec.name.clone(),
                records: 0,
                read: 0,
                refused: 0,
                types: BTreeMap::new(),
                campaigns: BTreeSet::new(),
                fields: 0,
            };
            (fit, Decoder::new(Arc::new(format), Limits::default()))
        };
        let trials = formats.iter().map(trial).collect();
        Fitting { vocabulary, trials }
    }

    /// Looks at a record. Cost: decoding it once with each format.
    pub fn add(&mut self, record: &RawRecord<'_>) {
        for (fit, decoder) in &mut self.trials {
            let mut events = 0;
            let outcome = decoder.decode(record, &mut |element| match element {
                Element::Event(event) => {
                    events += 1;
                    *fit.types.entry(self.vocabulary.name(event.kind).to_owned()).or_default() += 1;
                    fit.campaigns.extend(event.campaign.as_deref().map(str::to_owned));
                    fit.fields += fields(event);
                }
                Element::Rejected(_) => fit.refused += 1,
                Element::Ignored { .. } => {}
            });
            fit.records += usize::from(outcome != RecordOutcome::Empty);
            fit.read += usize::from(events > 0);
            fit.refused += usize::from(matches!(outcome, RecordOutcome::Rejected(_)));
        }
    }

    /// What each made of them, the best first.
    pub fn finish(self) -> Vec<Fit> {
        let mut fits: Vec<Fit> = self.trials.into_iter().map(|(fit, _)| fit).collect();
        fits.sort_by(|one, other| rank(other).cmp(&rank(one)).then(one.format.cmp(&other.format)));
        fits
    }
}

fn fields(event: &Event<'_>) -> usize {
    let texts = [&event.id, &event.campaign, &event.user, &event.message];
    texts.into_iter().flatten().count() + event.attributes.len()
}

fn rank(fit: &Fit) -> (usize, std::cmp::Reverse<usize>, usize) {
    (fit.read, std::cmp::Reverse(fit.refused), fit.fields)
}

/// The choice that follows from what [`Fitting::finish`] gave.
pub fn choose(fits: &[Fit]) -> Choice<'_> {
    let Some(best) = fits.first() else { return Choice::NoneFits };
    if best.records == 0 {
        return Choice::NoRecord;
    }
    if best.read == 0 {
        return Choice::NoneFits;
    }
    match fits.iter().filter(|fit| rank(fit) == rank(best)).collect::<Vec<_>>() {
        several if several.len() > 1 => Choice::Several(several),
        _ => Choice::One(best),
    }
}
