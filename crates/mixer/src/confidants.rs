//! Legs that only a few others hear: a coach by the one he coaches.

use crate::leg::Leg;
use crate::port::Audience;
use crate::units::{LegId, Rate, Ssrc};
use crate::waste::Waste;

/// Legs of one conference that may have an audience of their own at the same time. Each costs every other leg a look at its
/// audience in every tick.
pub const CONFIDANTS: usize = 8;

/// The legs of a conference that only a few hear, and what they say in a tick. Who leaves makes room for another.
#[derive(Debug)]
pub(crate) struct Confidants {
    list: Vec<Confidant>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Confidant {
    leg: LegId,
    /// `None`: it has left, and its memory waits for another.
    audience: Option<Audience>,
    /// Its stream, to be listed as a contributing source.
    pub(crate) ssrc: Option<Ssrc>,
    /// What it says.
    pub(crate) pcm: Vec<i16>,
    sounding: bool,
}

/// There are [`CONFIDANTS`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Confidants {
    pub(crate) fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// From now on `leg` is heard only by `audience`, in a conference at `rate`. It allocates.
    pub(crate) fn add(&mut self, leg: LegId, audience: Audience, rate: Rate) -> Result<(), Full> {
        let known = self.list.iter().position(|one| one.leg == leg && one.audience.is_some());
        let place = known.or_else(|| self.list.iter().position(|one| one.audience.is_none()));
        match place {
            Some(place) => (self.list[place].leg, self.list[place].audience) = (leg, Some(audience)),
            None if self.list.len() < CONFIDANTS => {
                self.list.reserve_exact(CONFIDANTS - self.list.len());
                let pcm = vec![0; rate.frame()];
                self.list.push(Confidant { leg, audience: Some(audience), ssrc: None, pcm, sounding: false });
            }
            None => return Err(Full),
        }
        Ok(())
    }

    /// `leg` is none of them any more.
    pub(crate) fn remove(&mut self, leg: LegId) {
        for one in self.list.iter_mut().filter(|one| one.leg == leg) {
            (one.audience, one.sounding) = (None, false);
        }
    }

    /// The conference has another rate. It allocates.
    pub(crate) fn change_rate(&mut self, rate: Rate, waste: &mut Waste) {
        for one in &mut self.list {
            waste.replace(&mut one.pcm, vec![0; rate.frame()]);
        }
    }

    /// Takes what `leg` says in this tick, if it is one of them; true when somebody speaks to `leg` alone.
    pub(crate) fn listen(&mut self, leg: &mut Leg, sounding: bool, rate: Rate, agc: bool) -> bool {
        let mut spoken_to = false;
        for one in &mut self.list {
            let Some(audience) = one.audience else { continue };
            spoken_to |= audience.contains(leg.id());
            if one.leg == leg.id() {
                one.ssrc = leg.far_ssrc();
                one.sounding = sounding || leg.voice.is_heard();
                leg.contribute(&mut one.pcm, rate);
                leg.shape(sounding, agc, &mut one.pcm);
            }
        }
        spoken_to
    }

    /// Those who speak to `leg` alone in this tick.
    pub(crate) fn speaking_to(&self, leg: LegId) -> impl Iterator<Item = &Confidant> {
        let to = move |audience: Audience| audience.contains(leg);
        self.list.iter().filter(move |one| one.sounding && one.audience.is_some_and(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_who_leaves_makes_room() {
        let audience = Audience::new(&[LegId(99)]).expect("one");
        let mut confidants = Confidants::new();
        for leg in 0..CONFIDANTS as u64 {
            assert_eq!(confidants.add(LegId(leg), audience, Rate::Narrow), Ok(()));
        }
        assert_eq!(confidants.add(LegId(3), audience, Rate::Narrow), Ok(()), "it is one of them");
        assert_eq!(confidants.add(LegId(50), audience, Rate::Narrow), Err(Full));
        confidants.remove(LegId(3));
        assert_eq!(confidants.add(LegId(50), audience, Rate::Narrow), Ok(()));
        assert_eq!(confidants.add(LegId(3), audience, Rate::Narrow), Err(Full));
        assert_eq!(confidants.list.len(), CONFIDANTS);
    }
}
