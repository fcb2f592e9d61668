//! Encoding by what is heard, not by leg: all listeners on the same codec share one encode.
//!
//! The shared mix goes through one limiter and one encoder for each codec that is in use; a leg that hears something else has an
//! [`Own`] of each. The states follow the listener: who leaves the shared stream continues with a copy of its state, and where
//! nobody was left on it, who comes back first brings its own along.

use crate::codec::{Codec, Encoder, MAX_PAYLOAD};
use crate::echo::Trace;
use crate::limiter::Limiter;
use crate::own::{Bench, Own};
use crate::resample::Resampler;
use crate::rest::Rest;
use crate::rtp::MAX_CSRC;
use crate::sum::Sum;
use crate::talkers::Talker;
use crate::units::{MAX_FRAME, Rate, Ssrc};
use crate::waste::Waste;

/// Mean absolute sample value up to which the mix is a pause between words: about -50 dBm0.
const QUIET: u32 = 45;

/// Ticks of that after which two encoders with memory are in like states: 60 ms.
const HUSH: u8 = 3;

/// The encoded mixes of one conference.
#[derive(Debug)]
pub(crate) struct Fanout {
    /// Counts ticks, so that it is known what of the last one is still there.
    tick: u64,
    rate: Rate,
    limiter: Limiter,
    /// The shared mix after the limiter.
    pcm: Vec<i16>,
    /// The tick that it is of.
    limited: u64,
    /// What the filters of another rate still held, at the rate of each codec, and the tick in which it is heard.
    rests: [Option<Box<Rest>>; Rate::ALL.len()],
    seam: u64,
    /// The same at the other rates, where a codec needs one.
    converted: [Option<Box<Converted>>; Rate::ALL.len()],
    /// There is nothing in it.
    quiet: bool,
    /// For how many ticks it has been quiet.
    hushed: u8,
    /// How loud that is, once somebody asked.
    level: Option<u8>,
    streams: Vec<Stream>,
    all_csrcs: Csrcs,
    encodes: u64,
}

/// The shared mix at the rate of some codecs.
#[derive(Debug)]
struct Converted {
    resampler: Resampler,
    pcm: [i16; MAX_FRAME],
    /// The tick that `pcm` is of.
    tick: u64,
}

/// One codec's encoding of the shared mix.
#[derive(Debug)]
struct Stream {
    encoder: Encoder,
    /// Legs with this codec.
    legs: usize,
    payload: [u8; MAX_PAYLOAD],
    length: usize,
    /// The tick that `payload` is of.
    encoded: u64,
    /// How it sounds, once somebody asked.
    trace: Option<Trace>,
    /// `payload` is silence of a codec without memory: it need not be made again.
    silent: bool,
}

/// What a leg wants to know of what it hears.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) level: bool,
    pub(crate) trace: bool,
}

/// What a leg sends in a tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<'a> {
    /// Empty when the codec has nothing to send.
    pub(crate) payload: &'a [u8],
    pub(crate) csrcs: &'a [Ssrc],
    /// How loud it is, as RFC 6464 section 3 says it, where that was asked for.
    pub(crate) level: Option<u8>,
    /// How it sounds, where that was asked for.
    pub(crate) trace: Option<Trace>,
}

impl Converted {
    /// The mix of a tick, converted once; under it, what other filters held.
    fn at(&mut self, tick: u64, mix: &[i16], rest: Option<&Rest>) -> &[i16] {
        let pcm = &mut self.pcm[..self.resampler.to().frame()];
        if self.tick != tick {
            self.resampler.frame(mix, pcm);
            self.tick = tick;
            if let Some(rest) = rest {
                rest.add_to(pcm);
            }
        }
        pcm
    }
}

/// Contributing sources of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Csrcs {
    list: [Ssrc; MAX_CSRC],
    length: usize,
}

impl Csrcs {
    pub(crate) const NONE: Self = Self { list: [Ssrc::new(0); MAX_CSRC], length: 0 };

    /// The talkers, without the one in seat `without`.
    pub(crate) fn of(talkers: &[Talker], without: Option<usize>) -> Self {
        let mut csrcs = Self::NONE;
        talkers
            .iter()
            .filter(|talker| Some(talker.seat) != without)
            .for_each(|talker| csrcs.push(talker.ssrc));
        csrcs
    }

    /// One more, if there is room.
    pub(crate) fn push(&mut self, ssrc: Option<Ssrc>) {
        if let (Some(ssrc), Some(place)) = (ssrc, self.list.get_mut(self.length)) {
            *place = ssrc;
            self.length += 1;
        }
    }

    pub(crate) fn as_slice(&self) -> &[Ssrc] {
        &self.list[..self.length]
    }
}

impl Fanout {
    /// For a conference at `rate`. It allocates.
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            tick: 1,
            rate,
            rests: [const { None }; Rate::ALL.len()],
            seam: 0,
            converted: [const { None }; Rate::ALL.len()],
            limiter: Limiter::new(rate),
            pcm: vec![0; rate.frame()],
            limited: 0,
            quiet: false,
            hushed: 0,
            level: None,
            streams: Vec::new(),
            all_csrcs: Csrcs::NONE,
            encodes: 0,
        }
    }

    /// A leg with this codec sits down: the number of its stream. It allocates.
    pub(crate) fn admit(&mut self, codec: Codec, waste: &mut Waste) -> usize {
        let known = self.streams.iter().position(|stream| stream.legs > 0 && stream.encoder.codec() == codec);
        let place = known.or_else(|| self.streams.iter().position(|stream| stream.legs == 0));
        let place = place.unwrap_or(self.streams.len());
        if known.is_none() {
            let stream = Stream {
                encoder: Encoder::new(codec),
                legs: 0,
                payload: [0; MAX_PAYLOAD],
                length: 0,
                encoded: 0,
                trace: None,
                silent: false,
            };
            if let Some(free) = self.streams.get_mut(place) {
                waste.replace(free, stream);
            } else {
                waste.reserve(&mut self.streams, 1);
                self.streams.push(stream);
            }
        }
        self.streams[place].legs += 1;
        self.prepare(codec.rate());
        place
    }

    /// From now on at another rate: what has not left fades out, and the next sum is to fade in. It allocates.
    pub(crate) fn change_rate(&mut self, rate: Rate, waste: &mut Waste) {
        if self.seam <= self.tick {
            self.drain();
        }
        self.rate = rate;
        self.limiter.change_rate(rate);
        waste.replace(&mut self.pcm, vec![0; rate.frame()]);
        waste.replace(&mut self.converted, [const { None }; Rate::ALL.len()]);
        for place in 0..self.streams.len() {
            self.prepare(self.streams[place].encoder.codec().rate());
        }
    }

    /// Keeps what the filters hold, at the rate of each codec that was heard in the last tick, for the next one.
    fn drain(&mut self) {
        for other in Rate::ALL {
            let place = other.index();
            let converted = self.converted[place].as_deref_mut();
            let tick = converted.as_ref().map_or(self.limited, |converted| converted.tick);
            if (tick, self.limited) == (self.tick, self.tick) && (converted.is_some() || other == self.rate) {
                let rest = self.rests[place].get_or_insert_with(|| Box::new(Rest::nothing()));
                rest.drain(&mut self.limiter.clone(), converted.map(|converted| &mut converted.resampler));
            } else {
                self.rests[place].as_deref_mut().into_iter().for_each(Rest::clear);
            }
        }
        self.seam = self.tick + 1;
    }

    /// Where a rest is to be added, the mix at that rate is a copy: what is converted from it must not hold that.
    fn prepare(&mut self, to: Rate) {
        if to != self.rate || self.rests[to.index()].is_some() {
            self.converted[to.index()].get_or_insert_with(|| {
                let resampler = Resampler::new(self.rate, to);
                Box::new(Converted { resampler, pcm: [0; MAX_FRAME], tick: self.limited })
            });
        }
    }

    /// A leg on that stream gets up.
    pub(crate) fn dismiss(&mut self, stream: usize) {
        self.streams[stream].legs -= 1;
    }

    /// A tick begins.
    pub(crate) fn begin_tick(&mut self) {
        self.tick += 1;
        self.level = None;
    }

    /// Who is in the shared mix.
    pub(crate) fn set_talkers(&mut self, talkers: &[Talker]) {
        self.all_csrcs = Csrcs::of(talkers, None);
    }

    /// How many mixes were encoded so far.
    pub(crate) fn encodes(&self) -> u64 {
        self.encodes
    }

    /// A leg on `stream` needs its own one in this tick; before anything is encoded in it. It goes on where the shared one is.
    pub(crate) fn lend(&mut self, stream: usize, own: &mut Own) {
        let last = self.tick - 1;
        self.hand_over(stream, own, last);
        own.start();
    }

    /// A leg on `stream` gets up, between two ticks: what it heard last is what it goes on with elsewhere.
    pub(crate) fn release(&mut self, stream: usize, own: &mut Own) {
        let last = self.tick;
        self.hand_over(stream, own, last);
    }

    fn hand_over(&mut self, stream: usize, own: &mut Own, last: u64) {
        let shared = &self.streams[stream];
        if own.is_on() || self.limited != last || shared.encoded != last {
            return; // nothing newer than its own
        }
        own.limiter.copy_from(&self.limiter);
        let rate = shared.encoder.codec().rate();
        if self.seam == self.tick {
            own.share_rest(); // it sits where the filters have changed
        }
        let converted = self.converted[rate.index()].as_deref();
        match converted {
            Some(converted) => own.converter.clone_from(&converted.resampler),
            None => own.converter = Resampler::new(rate, rate),
        }
        if !own.encoder.copy_state_from(&shared.encoder) {
            // One frame of overlap: it encodes what was sent last, for nobody, and begins with that behind it.
            let last = converted.map_or(&self.pcm[..], |converted| &converted.pcm[..rate.frame()]);
            own.encoder.encode(last, &mut [0; MAX_PAYLOAD]);
        }
    }

    /// True when a leg that shares again would not hear it: nobody else shares, so that it brings its own states along; or the
    /// limiters do not differ, and for G.722 it is quiet, which makes its states alike.
    pub(crate) fn is_ready(&self, stream: usize, own: &Own) -> bool {
        let alone = self.streams[stream].encoded + 1 < self.tick && self.limited + 1 < self.tick;
        let alike = self.limiter.is_open() && own.limiter.is_open();
        alone || alike && (!own.waits_for_pause() || self.hushed >= HUSH)
    }

    /// A leg shares again in this tick. If nobody else does, the shared stream goes on where its own one is.
    pub(crate) fn take_back(&mut self, stream: usize, own: &mut Own) {
        if self.limited + 1 < self.tick {
            self.limiter.copy_from(&own.limiter);
        }
        let shared = &mut self.streams[stream];
        if let Some(converted) = &mut self.converted[shared.encoder.codec().rate().index()]
            && converted.tick + 1 < self.tick
        {
            converted.resampler.clone_from(&own.converter);
        }
        if shared.encoded + 1 < self.tick {
            shared.silent = false;
            let _copied = shared.encoder.copy_state_from(&own.encoder); // else it was warmed: see `Own::is_leaving`
        }
        own.stop();
    }

    /// What every listener hears.
    pub(crate) fn shared(&mut self, sum: &Sum, stream: usize, wish: Wish) -> Heard<'_> {
        if self.limited != self.tick {
            self.quiet = sum.is_silent() && self.limiter.is_silent();
            self.limiter.run(sum.samples(), &mut self.pcm);
            self.limited = self.tick;
            self.hushed = if mean_abs(&self.pcm) <= QUIET { self.hushed.saturating_add(1) } else { 0 };
        }
        let shared = &mut self.streams[stream];
        if shared.encoded != self.tick {
            let rate = shared.encoder.codec().rate();
            let rest = self.rests[rate.index()].as_deref().filter(|_| self.seam == self.tick);
            let pcm = match self.converted[rate.index()].as_deref_mut() {
                Some(converted) => converted.at(self.tick, &self.pcm, rest),
                None => &self.pcm,
            };
            let silent = self.quiet
                && rate == self.rate
                && matches!(shared.encoder.codec(), Codec::Pcmu | Codec::Pcma);
            if !(silent && shared.silent) {
                shared.length = shared.encoder.encode(pcm, &mut shared.payload);
                self.encodes += 1;
            }
            shared.silent = silent;
            shared.encoded = self.tick;
            shared.trace = None;
        }
        let level = wish.level.then(|| *self.level.get_or_insert_with(|| level(&self.pcm)));
        let trace = wish.trace.then(|| {
            let rate = shared.encoder.codec().rate();
            let converted = self.converted[rate.index()].as_deref();
            let pcm = converted.map_or(&self.pcm[..], |converted| &converted.pcm[..rate.frame()]);
            *shared.trace.get_or_insert_with(|| Trace::of(pcm))
        });
        let payload = &shared.payload[..shared.length];
        Heard { payload, csrcs: self.all_csrcs.as_slice(), level, trace }
    }

    /// What one leg hears: what is in the `bench`'s `heard`, a clip or the mix, with these sources in it.
    pub(crate) fn own<'a>(
        &'a mut self,
        own: &mut Own,
        bench: &'a mut Bench,
        clip: bool,
        csrcs: &'a Csrcs,
        wish: Wish,
    ) -> Heard<'a> {
        let rest = self.rests[own.rate().index()].as_deref().filter(|_| self.seam == self.tick);
        let length = own.encode(bench, clip, rest);
        self.encodes += 1;
        let level = wish.level.then(|| level(&bench.pcm));
        let trace = wish.trace.then(|| Trace::of(own.encoded(bench)));
        Heard { payload: &bench.payload[..length], csrcs: csrcs.as_slice(), level, trace }
    }
}

fn mean_abs(pcm: &[i16]) -> u32 {
    pcm.iter().map(|&sample| u32::from(sample.unsigned_abs())).sum::<u32>() / pcm.len() as u32
}

/// The level of RFC 6464 section 3: root mean square below full scale, in decibels, 127 for silence.
fn level(pcm: &[i16]) -> u8 {
    let energy: i64 = pcm.iter().map(|&sample| i64::from(sample) * i64::from(sample)).sum();
    let power = energy as f32 / pcm.len() as f32 / (32_768.0 * 32_768.0);
    (-10.0 * power.max(1e-13).log10()).round().clamp(0.0, 127.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FRAME;

    #[test]
    fn the_level_is_in_decibels_below_full_scale() {
        for (amplitude, expected) in [(32_767, 0), (16_384, 6), (3_277, 20), (33, 60), (0, 127)] {
            assert_eq!(level(&[amplitude; FRAME]), expected);
        }
    }

    #[test]
    fn a_stream_is_made_for_each_codec_and_its_place_used_again() {
        let mut fanout = Fanout::new(Rate::Narrow);
        let mut waste = Waste::default();
        let mut admit = |fanout: &mut Fanout, codec| fanout.admit(codec, &mut waste);
        assert_eq!([Codec::Pcmu, Codec::Pcma, Codec::Pcmu].map(|codec| admit(&mut fanout, codec)), [0, 1, 0]);
        fanout.dismiss(1);
        assert_eq!(admit(&mut fanout, Codec::G722), 1);
        assert_eq!(fanout.streams.len(), 2);
    }
}
