//! A leg that sends back what it was sent: a loudspeaker near its microphone, or a hybrid on its way.
//!
//! How loud a leg is should have nothing to do with how loud everybody else was a moment ago. Each tick remembers both as
//! logarithms, in which an echo is the same curve again, later and lower. One delay is tried per tick; when the best of a round is
//! alike enough, fresh sound has to confirm it, by its loudness and by its brightness, which two people who happen to
//! speak in the same rhythm do not share. From then on it is known how loud the echo will be, and what is no louder is not heard.

mod likeness;

use std::time::Duration;

use crate::ahead;
use crate::frame::TICK;
use crate::select::Voice;

pub(crate) use likeness::Trace;

use likeness::{DECIBEL, Likeness, logarithm};

/// Ticks between what was sent and what comes back: the jitter buffer, the way there and back and the far end are in it.
const SHORTEST: usize = 2;
const LONGEST: usize = 36;

/// Ticks that are looked at: 2.56 s.
const WINDOW: usize = 128;

/// Ticks with sound on the way out that a likeness must rest on, in the window and in its confirmation: 1 s.
const ENOUGH: u32 = 50;

/// How alike loudness has to be, as a coefficient of correlation, of the best delay of a round.
const ALIKE: f32 = 0.8;

/// How alike fresh loudness and fresh brightness must be to confirm it; two different voices hardly ever reach half of either.
const CONFIRMED: f32 = 0.7;
const AS_BRIGHT: f32 = 0.6;

/// How alike loudness must be to stay an echo.
const STILL_ALIKE: f32 = 0.6;

/// What comes back must stand out of its noise by 8 dB, and what is sent must swell and fade by 2.5 dB (root mean square).
const RANGE: u8 = (8.0 * DECIBEL) as u8;
const SWELL: f32 = 2.5 * DECIBEL * 2.5 * DECIBEL;

/// Brightness that varies by less than 1 dB says nothing.
const GLITTER: f32 = DECIBEL * DECIBEL;

/// Sound on its way out below this is none: about -52 dBm0.
const FAINT: u8 = 80;

/// What is louder than the echo is expected to be by 6 dB is the far end's own, at once by 10 dB.
const LOUDER: i16 = (6.0 * DECIBEL) as i16;
const MUCH_LOUDER: i16 = (10.0 * DECIBEL) as i16;

/// An echo is no more than 6 dB louder than what was sent.
const LOUDEST: f32 = 6.0 * DECIBEL;

/// An echo dies away by at least 1.5 dB a tick.
const DYING: i16 = (1.5 * DECIBEL) as i16;

/// Ticks for which the far end's own voice is let through once it was louder: 80 ms.
const OPEN: u8 = 4;

/// Ticks with evidence, and without likeness, after which it is no echo any more: 4 s.
const GONE: u16 = 200;

/// What is known so far.
#[derive(Clone, Copy, Debug)]
enum State {
    /// No delay looks like an echo's.
    Searching,
    /// One does; fresh sound is awaited to tell.
    Confirming { delay: u8, loudness: Likeness, brightness: Likeness },
    /// It is one.
    Echoing(Echo),
}

#[derive(Clone, Copy, Debug)]
struct Echo {
    delay: u8,
    /// How much louder it comes back than it was sent, in units of [`Trace`].
    gain: i16,
    /// How loud it is expected at present.
    expected: i16,
    /// Ticks for which what comes is the far end's own, and ticks it has been louder than expected.
    open: u8,
    louder: u8,
    /// Ticks of evidence against it.
    missing: u16,
    /// Of the last ticks, those with the far end's own voice: while it speaks, there is no evidence.
    own: u8,
}

/// One search through all delays.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// The delay that is tried next; 0 between two rounds.
    next: u8,
    /// Loudness below which sound counts as none, on the way out and back.
    floors: [u8; 2],
    /// The best so far, and how alike, and how much louder.
    best: u8,
    likeness: f32,
    gain: f32,
    /// How alike it is at the delay known so far, or next to it, and how much louder.
    here: f32,
    here_gain: f32,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) delay: Duration,
    pub(crate) on: bool,
}

/// The detector of one leg.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    /// How loud it was what went out and what came back, the latest at the end.
    sent: [u8; WINDOW + LONGEST],
    back: [u8; WINDOW],
    /// How bright it was what went out.
    bright: [u8; LONGEST + 1],
    /// What comes back in this tick, and whether its brightness is known.
    now: Trace,
    is_bright: bool,
    /// How loud the noise is that it stands out of.
    noise: u8,
    /// Ticks without sound coming back.
    quiet: u8,
    /// Ticks until it is worth looking again.
    rest: u8,
    round: Round,
    state: State,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            sent: [0; WINDOW + LONGEST],
            back: [0; WINDOW],
            bright: [128; LONGEST + 1],
            now: Trace::SILENCE,
            is_bright: false,
            noise: 0,
            quiet: WINDOW as u8,
            rest: 0,
            round: Round::new(0, [0; 2]),
            state: State::Searching,
        }
    }
}

impl Detector {
    /// Takes what comes back in this tick: how it sounds, and the samples if they were decoded. True when it is no more than the
    /// echo of what was sent.
    pub(crate) fn hear(&mut self, voice: Voice, samples: Option<&[i16]>) -> bool {
        let sounding = voice.is_sounding();
        self.quiet = if sounding { 0 } else { self.quiet.saturating_add(1).min(WINDOW as u8) };
        self.noise = logarithm(u32::from(voice.threshold() / 2));
        self.now = Trace { loudness: logarithm(u32::from(voice.now())), brightness: 128 };
        self.is_bright = false;
        let sent = &self.sent;
        match &mut self.state {
            State::Searching => false,
            State::Confirming { .. } => {
                if let Some(samples) = samples.filter(|_| sounding) {
                    self.now.brightness = Trace::of(samples).brightness;
                    self.is_bright = true;
                }
                false
            }
            State::Echoing(echo) => {
                let latest = sent.len() - usize::from(echo.delay);
                let loudest =
                    sent[latest - 1..=latest + 1].iter().fold(0, |most: u8, level| most.max(*level));
                echo.explains(loudest, i16::from(self.now.loudness))
            }
        }
    }

    /// See [`crate::ahead`].
    pub(crate) fn fetch(&self) {
        ahead::fetch(&self.state);
        ahead::fetch(&self.round);
        ahead::fetch(&self.quiet);
    }

    /// The same for what it compares while somebody speaks; itself must be there.
    pub(crate) fn fetch_traces(&self) {
        if usize::from(self.quiet) < WINDOW {
            ahead::fetch(&self.sent);
            ahead::fetch(&self.back);
            ahead::fetch(&self.bright);
        }
    }

    /// True while it compares the samples themselves of what comes back.
    pub(crate) fn is_confirming(&self) -> bool {
        matches!(self.state, State::Confirming { .. })
    }

    /// False while there is nothing to look at: nobody cares what a leg is sent that says nothing.
    pub(crate) fn is_needed(&mut self) -> bool {
        let needed = usize::from(self.quiet) < WINDOW || matches!(self.state, State::Echoing(_));
        if !needed {
            self.state = State::Searching;
            self.round.next = 0;
        }
        needed
    }

    /// Takes what the leg is sent in this tick, after [`Detector::hear`], while that [is needed](Detector::is_needed).
    pub(crate) fn tick(&mut self, sent: Trace) -> Option<Change> {
        push(&mut self.sent, sent.loudness);
        push(&mut self.bright, sent.brightness);
        push(&mut self.back, self.now.loudness);
        if let State::Confirming { .. } = self.state {
            return self.confirm();
        }
        if self.round.next > 0 {
            self.try_delay();
            return if usize::from(self.round.next) > LONGEST { self.end_round() } else { None };
        }
        self.rest = self.rest.saturating_sub(1);
        if self.rest == 0 { self.begin_round() } else { None }
    }

    /// How late the echo is, while there is one.
    pub(crate) fn delay(&self) -> Option<Duration> {
        match self.state {
            State::Echoing(echo) => Some(TICK * u32::from(echo.delay)),
            _ => None,
        }
    }

    /// A round begins when there is sound enough both ways.
    fn begin_round(&mut self) -> Option<Change> {
        let noise = self.noise;
        self.rest = 8;
        let highest = |trace: &[u8]| trace.iter().fold(0, |highest: u8, level| highest.max(*level));
        let range = highest(&self.back).saturating_sub(noise);
        let loudest = highest(&self.sent);
        let floor = loudest.saturating_sub(range.max(RANGE)).max(FAINT);
        let sounding = self.sent[LONGEST..].iter().map(|level| u32::from(*level > floor)).sum::<u32>();
        if sounding < ENOUGH || loudest < floor {
            return None;
        }
        if range < RANGE {
            return self.miss(8);
        }
        self.round = Round::new(SHORTEST as u8, [floor, noise]);
        None
    }

    fn try_delay(&mut self) {
        let delay = usize::from(self.round.next);
        let likeness = Likeness::of(&self.sent[LONGEST - delay..][..WINDOW], &self.back, self.round.floors);
        let here = match self.state {
            State::Echoing(echo) => usize::from(echo.delay).abs_diff(delay) <= 1,
            _ => false,
        };
        self.round.take(likeness, here);
    }

    fn end_round(&mut self) -> Option<Change> {
        let Round { best, likeness, gain, here, here_gain, .. } = self.round;
        self.round.next = 0;
        self.rest = 1;
        match &mut self.state {
            State::Echoing(echo) if here >= STILL_ALIKE && here >= likeness - 0.1 => {
                echo.missing = 0;
                if here >= ALIKE {
                    echo.gain = here_gain.round() as i16;
                }
                None
            }
            State::Echoing(echo) if likeness >= ALIKE && gain <= LOUDEST => {
                (echo.delay, echo.gain) = (best, gain.round() as i16);
                echo.missing = 0;
                None
            }
            State::Echoing(_) => self.miss((LONGEST - SHORTEST) as u16),
            _ if likeness >= ALIKE && gain <= LOUDEST => {
                let (loudness, brightness) = (Likeness::default(), Likeness::default());
                self.state = State::Confirming { delay: best, loudness, brightness };
                None
            }
            _ => None,
        }
    }

    /// Sound went out and nothing like it came back.
    fn miss(&mut self, ticks: u16) -> Option<Change> {
        let State::Echoing(echo) = &mut self.state else { return None };
        if echo.own < WINDOW as u8 / 8 {
            echo.missing += ticks;
        }
        if echo.missing < GONE {
            return None;
        }
        let delay = TICK * u32::from(echo.delay);
        self.state = State::Searching;
        Some(Change { delay, on: false })
    }

    fn confirm(&mut self) -> Option<Change> {
        let State::Confirming { delay, loudness, brightness } = &mut self.state else { return None };
        let ago = usize::from(*delay) + 1;
        let (sent, bright) = (self.sent[self.sent.len() - ago], self.bright[self.bright.len() - ago]);
        let [floor, noise] = self.round.floors;
        if sent > floor {
            loudness.add(sent, self.now.loudness.max(noise));
            if self.is_bright {
                brightness.add(bright, self.now.brightness);
            }
        }
        if loudness.count < ENOUGH {
            return None;
        }
        let (delay, gain) = (*delay, loudness.gain());
        let alike = loudness.coefficient(SWELL) >= CONFIRMED && gain <= LOUDEST;
        if alike && brightness.count >= ENOUGH / 2 && brightness.coefficient(GLITTER) >= AS_BRIGHT {
            self.state = State::Echoing(Echo::new(delay, gain.round() as i16));
            return Some(Change { delay: TICK * u32::from(delay), on: true });
        }
        self.state = State::Searching;
        None
    }
}

impl Echo {
    fn new(delay: u8, gain: i16) -> Self {
        Self { delay, gain, expected: 0, open: 0, louder: 0, missing: 0, own: 0 }
    }

    /// True when what comes back is no louder than the echo of what was sent.
    fn explains(&mut self, sent: u8, back: i16) -> bool {
        self.expected = (i16::from(sent) + self.gain).max(self.expected - DYING).max(0);
        let over = back - self.expected;
        self.louder = if over > LOUDER { self.louder.saturating_add(1) } else { 0 };
        if over > MUCH_LOUDER || self.louder >= 2 {
            self.open = OPEN;
        } else {
            self.open = self.open.saturating_sub(1);
        }
        self.own = if self.open > 0 { (self.own + 1).min(WINDOW as u8) } else { self.own.saturating_sub(1) };
        self.open == 0
    }
}

impl Round {
    const fn new(next: u8, floors: [u8; 2]) -> Self {
        Self { next, floors, best: 0, likeness: 0.0, gain: 0.0, here: 0.0, here_gain: 0.0 }
    }

    fn take(&mut self, likeness: Likeness, here: bool) {
        let delay = self.next;
        self.next += 1;
        if likeness.count < ENOUGH {
            return;
        }
        let coefficient = likeness.coefficient(SWELL);
        if coefficient > self.likeness {
            (self.best, self.likeness, self.gain) = (delay, coefficient, likeness.gain());
        }
        if here && coefficient > self.here {
            (self.here, self.here_gain) = (coefficient, likeness.gain());
        }
    }
}

fn push<const N: usize>(trace: &mut [u8; N], level: u8) {
    trace.copy_within(1.., 0);
    trace[N - 1] = level;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How loud and bright somebody is over time: syllables and pauses at random.
    fn rhythm(seed: u32, ticks: usize) -> Vec<Trace> {
        let mut state = seed.wrapping_mul(747_796_405) | 1;
        let mut below = |bound: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % bound
        };
        let mut traces = Vec::new();
        while traces.len() < ticks {
            let (loudness, brightness) = (130 + below(60) as u8, 90 + below(70) as u8);
            traces.extend(
                (0..3 + below(7)).map(|_| Trace { loudness: loudness - below(12) as u8, brightness }),
            );
            let pause = if below(5) == 0 { 20 } else { 1 };
            traces.extend((0..pause).map(|_| Trace { loudness: 40, brightness: 128 }));
        }
        traces
    }

    /// A frame that is so loud and bright, more or less: a square wave.
    fn frame(trace: Trace) -> Vec<i16> {
        let amplitude = (f32::from(trace.loudness) / 16.0).exp2();
        let half = (2.0 / (f32::from(trace.brightness) / 16.0 - 8.0).exp2()).round().max(1.0) as usize;
        (0..160_usize)
            .map(|n| if (n / half).is_multiple_of(2) { amplitude as i16 } else { -amplitude as i16 })
            .collect()
    }

    /// Runs a leg that is sent `sent` and sends `back`: what changed, and in how many ticks it was only an echo.
    fn run(
        detector: &mut Detector,
        voice: &mut Voice,
        sent: &[Trace],
        back: &[Trace],
    ) -> (Vec<Change>, usize) {
        let (mut changes, mut echoes) = (Vec::new(), 0);
        for (sent, back) in sent.iter().zip(back) {
            let samples = frame(*back);
            voice.listen((f32::from(back.loudness) / 16.0).exp2() as u16);
            echoes += usize::from(detector.hear(*voice, Some(&samples)));
            if detector.is_needed() {
                changes.extend(detector.tick(*sent));
            }
        }
        (changes, echoes)
    }

    /// The same later, and lower by so many units.
    fn echo(sent: &[Trace], ticks: usize, lower: u8) -> Vec<Trace> {
        let before = std::iter::repeat_n(Trace::SILENCE, ticks);
        let later =
            sent.iter().map(|trace| Trace { loudness: trace.loudness.saturating_sub(lower), ..*trace });
        before.chain(later).collect()
    }

    #[test]
    fn the_delay_of_an_echo_is_found_whatever_it_is_and_no_tick_of_it_is_taken_for_a_voice() {
        for delay in SHORTEST..=LONGEST {
            let sent = rhythm(delay as u32, 1_000);
            let (mut detector, mut voice) = (Detector::default(), Voice::default());
            let (found, rest) = sent.split_at(400);
            let back = echo(&sent, delay, 30);
            let (changes, _) = run(&mut detector, &mut voice, found, &back);
            assert_eq!(changes, [Change { delay: TICK * delay as u32, on: true }]);
            let (changes, echoes) = run(&mut detector, &mut voice, rest, &back[400..]);
            assert_eq!((changes.len(), echoes), (0, rest.len()), "{delay}");
        }
    }

    #[test]
    fn two_who_know_nothing_of_each_other_are_no_echo_in_an_hour() {
        let (mut detector, mut voice) = (Detector::default(), Voice::default());
        let hour = 60 * 60 * 50;
        let (changes, _) = run(&mut detector, &mut voice, &rhythm(1, hour), &rhythm(2, hour));
        assert!(changes.is_empty(), "{changes:?}");
    }

    #[test]
    fn the_same_rhythm_drummed_on_a_table_is_no_echo() {
        let sent = rhythm(1, 5_000);
        let mut back = echo(&sent, 10, 20);
        for trace in &mut back {
            trace.brightness = 140;
        }
        let (changes, _) = run(&mut Detector::default(), &mut Voice::default(), &sent, &back);
        assert!(changes.is_empty(), "{changes:?}");
    }

    #[test]
    fn what_is_clearly_louder_than_the_echo_is_a_voice() {
        let mut echo = Echo::new(5, -30);
        assert!(echo.explains(180, 150) && echo.explains(180, 150 + LOUDER));
        assert!(echo.explains(180, 151 + LOUDER), "one tick alone may be a mistake");
        assert!(!echo.explains(180, 151 + LOUDER));
        for _ in 1..OPEN {
            assert!(!echo.explains(180, 150));
        }
        assert!(echo.explains(180, 150));
        assert!(!echo.explains(180, 151 + MUCH_LOUDER));
        // In a room it takes a while until it is silent again.
        let mut echo = Echo::new(5, 0);
        assert!(
            echo.explains(180, 180) && echo.explains(0, 180 - DYING) && echo.explains(0, 180 - 2 * DYING)
        );
    }

    #[test]
    fn a_detector_is_small_and_idle_on_a_leg_that_says_nothing() {
        assert!(size_of::<Detector>() <= 420, "{}", size_of::<Detector>());
        let mut detector = Detector::default();
        detector.hear(Voice::default(), None);
        assert!(!detector.is_needed());
    }
}
