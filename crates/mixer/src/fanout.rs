//! Encoding by what is heard, not by leg: all listeners on the same codec share one encode.

use crate::codec::g711::G711;
use crate::frame::{FRAME, Frame};
use crate::rtp::MAX_CSRC;
use crate::sum::Sum;
use crate::units::Ssrc;

/// The encoded mixes of one tick.
#[derive(Debug)]
pub(crate) struct Fanout {
    silent: bool,
    tone: bool,
    shared: [[u8; FRAME]; G711::ALL.len()],
    /// Whether `shared` holds this tick's mix, per law.
    encoded: [bool; G711::ALL.len()],
    own: [u8; FRAME],
    all_csrcs: Csrcs,
    own_csrcs: Csrcs,
    encodes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Csrcs {
    list: [Ssrc; MAX_CSRC],
    length: usize,
}

impl Csrcs {
    const NONE: Self = Self { list: [Ssrc::new(0); MAX_CSRC], length: 0 };

    fn of(talkers: &[(usize, Option<Ssrc>)], without: Option<usize>) -> Self {
        let mut csrcs = Self::NONE;
        let others =
            talkers.iter().filter(|(number, _)| Some(*number) != without).filter_map(|(_, ssrc)| *ssrc);
        for (place, ssrc) in csrcs.list.iter_mut().zip(others) {
            *place = ssrc;
            csrcs.length += 1;
        }
        csrcs
    }

    fn as_slice(&self) -> &[Ssrc] {
        &self.list[..self.length]
    }
}

const SILENCE: [[u8; FRAME]; G711::ALL.len()] =
    [[G711::Pcmu.silence(); FRAME], [G711::Pcma.silence(); FRAME]];

impl Default for Fanout {
    fn default() -> Self {
        Self {
            silent: true,
            tone: false,
            shared: SILENCE,
            encoded: [false; 2],
            own: [0; FRAME],
            all_csrcs: Csrcs::NONE,
            own_csrcs: Csrcs::NONE,
            encodes: 0,
        }
    }
}

impl Fanout {
    /// A tick with these talkers, and whether a clip is mixed in.
    pub(crate) fn begin_tick(&mut self, talkers: &[(usize, Option<Ssrc>)], tone: bool) {
        self.silent = talkers.is_empty() && !tone;
        self.tone = tone;
        self.encoded = [false; 2];
        self.all_csrcs = Csrcs::of(talkers, None);
    }

    /// True when the last tick had a clip mixed in.
    pub(crate) fn has_tone(&self) -> bool {
        self.tone
    }

    /// How many mixes were encoded so far.
    pub(crate) fn encodes(&self) -> u64 {
        self.encodes
    }

    /// What every listener hears.
    pub(crate) fn shared(&mut self, sum: &Sum, law: G711) -> (&[u8; FRAME], &[Ssrc]) {
        let place = law.index();
        if self.silent {
            return (&SILENCE[place], &[]);
        }
        if !self.encoded[place] {
            law.encode(sum.whole().samples(), &mut self.shared[place]);
            self.encoded[place] = true;
            self.encodes += 1;
        }
        (&self.shared[place], self.all_csrcs.as_slice())
    }

    /// What one talker hears.
    pub(crate) fn own(
        &mut self,
        heard: &Frame,
        law: G711,
        talkers: &[(usize, Option<Ssrc>)],
        number: usize,
    ) -> (&[u8; FRAME], &[Ssrc]) {
        law.encode(heard.samples(), &mut self.own);
        self.encodes += 1;
        self.own_csrcs = Csrcs::of(talkers, Some(number));
        (&self.own, self.own_csrcs.as_slice())
    }

    /// A clip for one leg alone: nobody contributes to it.
    pub(crate) fn clip(&mut self, clip: &[i16], law: G711) -> (&[u8; FRAME], &[Ssrc]) {
        law.encode(clip, &mut self.own);
        self.encodes += 1;
        (&self.own, &[])
    }
}
