//! A stream of one leg's own, for what nobody else hears: the mix without its own voice, a prompt, a whisper.

use crate::ahead;
use crate::codec::{Codec, Encoder, MAX_PAYLOAD};
use crate::gain::glide;
use crate::limiter::Limiter;
use crate::resample::Resampler;
use crate::rest::Rest;
use crate::sum::Sum;
use crate::units::{MAX_FRAME, Rate};
use crate::waste::Waste;

/// Ticks for which a leg stays on its own stream after it could share again, while its encoder's state and the shared one's, which
/// now encode the same, become alike.
const fn settling(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu | Codec::Pcma => 0,
        Codec::G722 => 10,
        Codec::Opus(_) => 3,
    }
}

/// The longest that a leg waits for a good moment to share again: two seconds and a half. Where none has come by then, the change is
/// heard for less than 60 ms, less loud than what G.711 adds to the same sound all the time.
const PATIENCE: u8 = 125;

/// From the sum of a tick to a payload: one limiter and one encoder.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own")]
pub(crate) struct Own {
    pub(super) limiter: Limiter,
    /// From the conference's rate to the codec's.
    pub(super) converter: Resampler,
    pub(super) encoder: Encoder,
    /// In use, instead of the shared stream.
    on: bool,
    /// Needed in this tick.
    needed: bool,
    /// Ticks to stay after it was needed last, and ticks waited beyond that.
    settle: u8,
    waited: u8,
    leaving: bool,
    /// What comes next does not continue what was heard before.
    fresh: bool,
    /// The encoder is new: its stream begins.
    begins: bool,
    /// Other filters took the place of those that held this, or of the shared ones: it is heard under what comes next.
    rest: Option<Box<Rest>>,
    shares_rest: bool,
    /// It has not been needed since.
    arriving: bool,
    /// The kind of sound in the last tick: a clip, or the mix.
    clip: bool,
}

/// Room for what one leg hears, on its way.
#[derive(Debug)]
pub(crate) struct Bench {
    /// What the leg is to hear.
    pub(crate) heard: Sum,
    /// The same after the limiter, at the conference's rate.
    pub(crate) pcm: Vec<i16>,
    /// The same at the codec's rate, where that is another.
    converted: Box<[i16; MAX_FRAME]>,
    /// The same, encoded.
    pub(crate) payload: [u8; MAX_PAYLOAD],
}

impl Bench {
    /// It allocates.
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            heard: Sum::new(rate),
            pcm: vec![0; rate.frame()],
            converted: Box::new([0; MAX_FRAME]),
            payload: [0; MAX_PAYLOAD],
        }
    }
}

impl Own {
    /// For a leg with this codec, in a conference at the codec's own rate until [`Own::enter`]. It allocates.
    pub(crate) fn new(codec: Codec) -> Self {
        Self {
            limiter: Limiter::new(codec.rate()),
            converter: Resampler::new(codec.rate(), codec.rate()),
            encoder: Encoder::new(codec),
            on: true,
            needed: false,
            settle: 0,
            waited: 0,
            leaving: false,
            fresh: false,
            begins: false,
            rest: None,
            shares_rest: false,
            arriving: false,
            clip: false,
        }
    }

    /// See [`crate::ahead`].
    pub(crate) fn fetch(&self) {
        ahead::fetch(&self.settle);
        ahead::fetch(&self.waited);
        if self.on {
            self.limiter.fetch();
            ahead::fetch(&self.encoder);
        }
    }

    /// Another codec from now on. It allocates.
    pub(crate) fn change_codec(&mut self, codec: Codec, waste: &mut Waste) {
        if codec != self.encoder.codec() {
            waste.replace(&mut self.encoder, Encoder::new(codec));
            // Between the laws of G.711 the sound goes on: neither has a memory.
            self.begins |= settling(codec) > 0 || self.converter.to() != codec.rate();
        }
    }

    /// The leg sits down in a conference of this rate, or that rate changes: what it heard before fades out, what it hears from
    /// now on fades in.
    pub(crate) fn enter(&mut self, rate: Rate) {
        let to = self.encoder.codec().rate();
        if (self.limiter.rate(), self.converter.to()) == (rate, to) {
            self.limiter.fade_out();
        } else {
            let rest = self.rest.get_or_insert_with(|| Box::new(Rest::nothing()));
            if self.converter.to() != to || self.begins {
                rest.clear();
            } else if rest.is_empty() {
                rest.drain(&mut self.limiter, Some(&mut self.converter));
            }
            self.limiter.change_rate(rate);
            self.converter = Resampler::new(rate, to);
        }
        self.fresh = true;
        self.settle();
    }

    /// The leg has another codec in the same conference: what it hears goes on through the same filters, where they fit.
    pub(crate) fn go_on(&mut self, rate: Rate) {
        if self.limiter.rate() != rate {
            self.enter(rate);
            return;
        }
        let to = self.encoder.codec().rate();
        if (self.converter.from(), self.converter.to()) != (rate, to) {
            self.converter = Resampler::new(rate, to);
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.arriving = true;
        self.on = true;
        self.settle = 1 + settling(self.encoder.codec()); // at least the tick that fades
        self.waited = 0;
    }

    /// The shared filters, which it goes on with, took the place of others in this tick.
    pub(super) fn share_rest(&mut self) {
        self.shares_rest = true;
    }

    /// True when the far end's decoder, which builds on what this stream sent before, would hear in mid-sound that another goes on.
    /// With Opus nothing of that can be measured after a frame of overlap; and who has just come does not wait for a pause.
    pub(super) fn waits_for_pause(&self) -> bool {
        self.encoder.codec() == Codec::G722 && !self.arriving
    }

    /// The rate of what it encodes.
    pub(super) fn rate(&self) -> Rate {
        self.encoder.codec().rate()
    }

    /// True while the leg is on its own stream.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// The leg needs its own stream in this tick.
    pub(super) fn start(&mut self) {
        self.on = true;
        self.needed = true;
        self.arriving = false;
        self.settle = settling(self.encoder.codec());
        self.waited = 0;
    }

    /// Whether the leg goes on with its own stream in this tick; otherwise it would share again, if the shared one is `ready`.
    pub(crate) fn stays(&mut self, ready: bool) -> bool {
        self.leaving = false;
        if std::mem::take(&mut self.needed) {
            return true;
        }
        if self.on && self.settle > 0 {
            self.settle -= 1;
            self.leaving = self.settle == 0 && settling(self.encoder.codec()) > 0;
            return true;
        }
        if self.on && !ready && self.waited < PATIENCE {
            self.waited += 1;
            self.leaving = settling(self.encoder.codec()) > 0;
            return true;
        }
        false
    }

    /// True when the next tick may be the shared stream's, whose encoder is to be warm then.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// The leg shares again.
    pub(super) fn stop(&mut self) {
        self.on = false;
    }

    /// Encodes what is in `bench.heard`; `clip` says whether that is a clip or the mix; `rest` is that of the shared filters. Gives
    /// the bytes of the payload; 0 means that nothing is to be sent.
    pub(crate) fn encode(&mut self, bench: &mut Bench, clip: bool, rest: Option<&Rest>) -> usize {
        if self.clip != clip {
            self.clip = clip;
            self.limiter.fade_out();
            self.fresh = true;
        }
        if std::mem::take(&mut self.fresh) {
            bench.heard.fade_in();
        }
        self.limiter.run(bench.heard.samples(), &mut bench.pcm);
        let pcm = if self.converter.from() == self.converter.to() {
            &mut bench.pcm[..]
        } else {
            let converted = &mut bench.converted[..self.converter.to().frame()];
            self.converter.frame(&bench.pcm, converted);
            converted
        };
        if let Some(own) = &mut self.rest {
            own.add_to(pcm);
            own.clear();
        }
        if let Some(rest) = rest.filter(|_| std::mem::take(&mut self.shares_rest)) {
            rest.add_to(pcm);
        }
        if std::mem::take(&mut self.begins) {
            let over = pcm.len() / 4;
            glide(pcm, 0.0, 1.0, over);
        }
        self.encoder.encode(pcm, &mut bench.payload)
    }

    /// What was encoded last, in this tick.
    pub(super) fn encoded<'a>(&self, bench: &'a Bench) -> &'a [i16] {
        if self.converter.from() == self.converter.to() {
            &bench.pcm
        } else {
            &bench.converted[..self.converter.to().frame()]
        }
    }
}
