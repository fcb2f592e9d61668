//! What is on its way in a tick and nobody needs after it: one for all conferences of a thread, so that it stays in the processor's
//! nearest cache from one to the next, where that of each would have to be fetched again.

use crate::own::Bench;
use crate::sum::Sum;
use crate::units::Rate;

/// Room for one conference's tick at a time, at every rate.
#[derive(Debug)]
pub struct Desk {
    places: [Place; Rate::ALL.len()],
}

/// The room at one rate.
#[derive(Debug)]
pub(crate) struct Place {
    /// All that is heard in the conference.
    pub(crate) sum: Sum,
    /// What one leg hears of it.
    pub(crate) bench: Bench,
}

impl Desk {
    /// It allocates.
    pub fn new() -> Self {
        Self { places: Rate::ALL.map(|rate| Place { sum: Sum::new(rate), bench: Bench::new(rate) }) }
    }

    pub(crate) fn at(&mut self, rate: Rate) -> &mut Place {
        &mut self.places[rate.index()]
    }

    /// All that was heard in the tick that ended last, at the rate of its conference, before any limit.
    pub(crate) fn sum(&self, rate: Rate) -> &[i32] {
        self.places[rate.index()].sum.samples()
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}
