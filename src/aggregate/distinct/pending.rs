//! The items of one tick ahead of the present.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::EXACT_ITEMS;
use super::fronts::{REGISTERS, place_of};

/// The set itself while it is small, else its HyperLogLog.
///
/// More than [`EXACT_ITEMS`] in one tick move the cutoff beyond that tick when they
/// are taken in, so that nothing is lost by keeping ranks alone.
#[derive(Debug, Clone)]
pub(super) enum Pending {
    Few(HashTable<u64>),
    Many(Box<[u8; REGISTERS]>),
}

impl Default for Pending {
    fn default() -> Self {
        Pending::Few(HashTable::new())
    }
}

impl Pending {
    /// Whether that says anything new.
    pub(super) fn insert(&mut self, item: u64) -> bool {
        match self {
            Pending::Few(items) => {
                let Entry::Vacant(place) = items.entry(item, |held| *held == item, |held| *held)
                else {
                    return false;
                };
                place.insert(item);
                if items.len() > EXACT_ITEMS {
                    self.registers();
                }
                true
            }
            Pending::Many(registers) => raise(registers, place_of(item)),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match other {
            Pending::Few(items) => items.iter().for_each(|&item| {
                self.insert(item);
            }),
            Pending::Many(more) => {
                let registers = self.registers();
                more.iter().enumerate().for_each(|(at, &rank)| {
                    raise(registers, (at, rank));
                });
            }
        }
    }

    /// Turns the set into registers, if it is not yet.
    fn registers(&mut self) -> &mut [u8; REGISTERS] {
        if let Pending::Few(items) = self {
            let mut registers = Box::new([0; REGISTERS]);
            items.iter().for_each(|&item| {
                raise(&mut registers, place_of(item));
            });
            *self = Pending::Many(registers);
        }
        match self {
            Pending::Many(registers) => registers,
            Pending::Few(_) => unreachable!("the set was just turned into registers"),
        }
    }
}

fn raise(registers: &mut [u8; REGISTERS], (register, rank): (usize, u8)) -> bool {
    let raised = registers[register] < rank;
    registers[register] = registers[register].max(rank);
    raised
}
