//! A [`Distinct`] as it is written down, and read again.

use serde::{Deserialize, Serialize};

use super::fronts::{self, Fronts, REGISTERS};
use super::pending::Pending;
use super::{Distinct, MOST_PENDING, MOST_RECENT};
use crate::aggregate::{Impossible, Tick, TickSteps};

/// All that a [`Distinct`] keeps, as it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DistinctImage {
    newest: i32,
    cutoff: i32,
    recent: Vec<(i32, [u8; 8])>,
    /// By register, newest first: how many registers later, the rank, the tick.
    older: Option<Vec<(u16, u8, i32)>>,
    pending: Vec<(i32, PendingImage)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum PendingImage {
    Few(Vec<[u8; 8]>),
    Many(Vec<u8>),
}

impl Distinct {
    /// All that is kept, ticks as steps from `base`.
    pub fn image(&self, base: Tick) -> DistinctImage {
        let mut steps = TickSteps::from(base);
        let newest = steps.to(self.newest);
        let cutoff = steps.to(self.cutoff);
        let mut steps = TickSteps::from(base);
        let recent = self.recent.iter();
        let recent = recent.map(|seen| (steps.to(seen.tick), seen.item.to_le_bytes())).collect();
        let older = self.older.as_ref().map(|older| {
            let (mut nodes, mut last) = (Vec::new(), 0);
            let mut steps = TickSteps::from(base);
            older.each(|register, rank, tick| {
                nodes.push(((register - last) as u16, rank, steps.to(tick)));
                last = register;
            });
            nodes
        });
        let mut steps = TickSteps::from(base);
        let pending = self.pending.iter();
        let pending = pending.map(|(tick, pending)| (steps.to(*tick), image_of(pending))).collect();
        DistinctImage { newest, cutoff, recent, older, pending }
    }

    /// What an image shows.
    pub fn from_image(image: DistinctImage, base: Tick) -> Result<Self, Impossible> {
        let mut steps = TickSteps::from(base);
        let newest = steps.take(image.newest);
        let mut distinct = Distinct { cutoff: steps.take(image.cutoff), ..Distinct::default() };
        if image.recent.len() > MOST_RECENT || image.pending.len() > MOST_PENDING {
            return Err(Impossible("more items than are ever kept"));
        }
        if let Some(nodes) = image.older {
            distinct.older = Some(Box::new(older_of(&nodes, base)?));
        }
        let mut steps = TickSteps::from(base);
        for (step, item) in image.recent {
            distinct.take_in(u64::from_le_bytes(item), steps.take(step));
        }
        let mut steps = TickSteps::from(base);
        for (step, pending) in image.pending {
            distinct.pending.insert(steps.take(step), pending_of(pending)?);
        }
        distinct.newest = newest;
        Ok(distinct)
    }
}

fn image_of(pending: &Pending) -> PendingImage {
    match pending {
        Pending::Few(items) => {
            PendingImage::Few(items.iter().map(|item| item.to_le_bytes()).collect())
        }
        Pending::Many(registers) => PendingImage::Many(registers.to_vec()),
    }
}

fn pending_of(image: PendingImage) -> Result<Pending, Impossible> {
    match image {
        PendingImage::Few(items) => {
            let mut pending = Pending::default();
            for item in items {
                pending.insert(u64::from_le_bytes(item));
            }
            Ok(pending)
        }
        PendingImage::Many(registers) => match <Box<[u8; REGISTERS]>>::try_from(registers) {
            Ok(registers) if registers.iter().all(|rank| *rank <= fronts::HIGHEST_RANK) => {
                Ok(Pending::Many(registers))
            }
            _ => Err(Impossible("registers that no set of items makes")),
        },
    }
}

fn older_of(nodes: &[(u16, u8, i32)], base: Tick) -> Result<Fronts, Impossible> {
    let mut older = Fronts::default();
    let mut steps = TickSteps::from(base);
    let mut register = 0;
    for &(step, rank, tick) in nodes {
        register += usize::from(step);
        if register >= REGISTERS || !(1..=fronts::HIGHEST_RANK).contains(&rank) {
            return Err(Impossible("a register or a rank that there is not"));
        }
        older.insert(register, rank, steps.take(tick));
    }
    Ok(older)
}
