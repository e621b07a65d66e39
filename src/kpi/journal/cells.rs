//! Cells as they are written, and read again.

use super::{AveragedRecord, CellChange, CellImage, averaged_from, averaged_of, panes_record};
use crate::aggregate::{
    Additive, AmountRecord, Averaged, Distinct, Gathered, Impossible, Last, Tick, TickSteps,
};
use crate::event::EventTime;
use crate::kpi::cell::Cell;
use crate::kpi::plan::ColumnKind;

const OTHER_KIND: Impossible = Impossible("a cell of another kind than its measure");

impl Cell {
    /// All that is settled; `None` where there is nothing.
    pub(in crate::kpi) fn image(&self, base: Tick) -> Option<CellImage> {
        Some(match self {
            Cell::Empty => return None,
            Cell::Amounts(amounts) => {
                CellImage::Amounts(panes_record(amounts.settled.as_slice(), base, |of| of.into()))
            }
            Cell::Mean(amounts) => {
                CellImage::Mean(panes_record(amounts.settled.as_slice(), base, averaged_of))
            }
            Cell::Distinct(sightings) => {
                CellImage::Distinct(Box::new(sightings.settled.image(base)))
            }
            Cell::Last(levels) => CellImage::Last(levels.settled.image(base)),
        })
    }

    /// What an image shows; amounts are yet to be settled.
    pub(in crate::kpi) fn from_image(
        kind: ColumnKind,
        image: CellImage,
        base: Tick,
    ) -> Result<Cell, Impossible> {
        let mut cell = Cell::Empty;
        cell.begin(kind);
        match (&mut cell, image) {
            (Cell::Amounts(amounts), CellImage::Amounts(panes)) => {
                add(&mut amounts.fresh, panes, base, |record| Ok(record.into()))?;
            }
            (Cell::Mean(amounts), CellImage::Mean(panes)) => {
                add(&mut amounts.fresh, panes, base, averaged)?;
            }
            (Cell::Distinct(sightings), CellImage::Distinct(image)) => {
                sightings.settled = Distinct::from_image(*image, base)?;
            }
            (Cell::Last(levels), CellImage::Last(image)) => {
                levels.settled = Last::from_image(image, base);
            }
            _ => return Err(OTHER_KIND),
        }
        Ok(cell)
    }

    /// Adds what was added once before; amounts are to be settled then as well.
    pub(in crate::kpi) fn apply(
        &mut self,
        kind: ColumnKind,
        change: CellChange,
        base: Tick,
        present: Tick,
    ) -> Result<(), Impossible> {
        self.begin(kind);
        match (self, change) {
            (Cell::Amounts(amounts), CellChange::Amounts(panes)) => {
                add(&mut amounts.fresh, panes, base, |record: AmountRecord| Ok(record.into()))
            }
            (Cell::Mean(amounts), CellChange::Mean(panes)) => {
                add(&mut amounts.fresh, panes, base, averaged)
            }
            (Cell::Distinct(sightings), CellChange::Distinct(added)) => {
                let mut steps = TickSteps::from(base);
                for (step, item) in added {
                    let item = u64::from_le_bytes(item);
                    sightings.settled.observe(item, steps.take(step), present);
                }
                Ok(())
            }
            (Cell::Last(levels), CellChange::Last(added, refused)) => {
                for (key, level) in added {
                    levels.settled.take(u64::from_le_bytes(key), level.into());
                }
                let refused = refused.map(EventTime::from_micros);
                refused.iter().for_each(|time| levels.settled.refuse(*time));
                Ok(())
            }
            _ => Err(OTHER_KIND),
        }
    }
}

fn averaged(record: AveragedRecord) -> Result<Averaged, Impossible> {
    let averaged = averaged_from(record);
    if averaged.events == 0 { Err(Impossible("a mean of no events")) } else { Ok(averaged) }
}

fn add<V: Additive, R>(
    fresh: &mut Gathered<V>,
    added: Vec<(i32, R)>,
    base: Tick,
    amount: impl Fn(R) -> Result<V, Impossible>,
) -> Result<(), Impossible> {
    let mut steps = TickSteps::from(base);
    for (step, record) in added {
        fresh.add(steps.take(step), amount(record)?);
    }
    Ok(())
}
