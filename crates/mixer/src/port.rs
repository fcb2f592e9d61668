//! The only doors into and out of a media thread: [`Command`] from the control loop, [`Report`] to it. Everything that owns
//! heap memory enters built and leaves whole, so that a media thread neither allocates nor frees it in the tick; and what it
//! allocates between ticks it does not free.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::leg::{Direction, Leg, MediaConfig};
use crate::sound::{Clip, Sound};
use crate::srtp::LegSrtp;
use crate::tap::Tap;
use crate::units::{ConferenceId, LegId};
use crate::waste::Waste;

/// A leg and what it sends and receives through. It moves by value (boxed) between conferences and shards: ownership is the
/// synchronization. `IO` is the sockets in the server, addresses in the simulation.
#[derive(Debug)]
pub struct Seat<IO> {
    /// The media state.
    pub leg: Leg,
    /// The way to the far end.
    pub io: IO,
}

/// What the control loop asks of a shard. Commands are applied between ticks, never during one.
#[derive(Debug)]
pub enum Command<IO> {
    /// A new, empty conference with room for `seats` legs; more may join, at the price of an allocation when they do.
    Open {
        /// Its identity; opening one twice changes nothing.
        conference: ConferenceId,
        /// Legs to make room for.
        seats: usize,
    },
    /// The conference ends; legs still in it come back as [`Report::Returned`].
    Close {
        /// Which.
        conference: ConferenceId,
    },
    /// Hands what is said in a conference to whoever holds the other end, from its next tick on. The tap before it, if there is
    /// one, comes back as [`Report::Untapped`]; this one too, when there is no such conference.
    Tap {
        /// Which.
        conference: ConferenceId,
        /// The mixer's end.
        tap: Box<Tap>,
    },
    /// The end of [`Command::Tap`]; the tap comes back as [`Report::Untapped`].
    Untap {
        /// Which.
        conference: ConferenceId,
    },
    /// What is said in a conference is not handed out for now, or is again: see [`crate::Tapped::part`].
    PauseTap {
        /// Which.
        conference: ConferenceId,
        /// Not, or again.
        paused: bool,
    },
    /// A leg sits down. When there is no such conference it comes back as [`Report::Returned`].
    Seat {
        /// Where.
        conference: ConferenceId,
        /// The leg and its sockets.
        seat: Box<Seat<IO>>,
    },
    /// A leg changes to another conference of this shard. To reach another shard: `Remove`, then `Seat` there.
    Move {
        /// Who.
        leg: LegId,
        /// Where to; when there is no such conference the leg comes back as [`Report::Returned`].
        to: ConferenceId,
    },
    /// A leg leaves; it comes back as [`Report::Returned`].
    Remove {
        /// Who.
        leg: LegId,
    },
    /// Plays a clip to one leg, in place of the mix, after the clips already waiting for it.
    Play {
        /// To whom.
        leg: LegId,
        /// What; it comes back as [`Report::ClipEnded`].
        clip: Clip,
        /// Ends what is playing and waiting first.
        interrupt: bool,
    },
    /// Ends all clips of one leg.
    Stop {
        /// Whose.
        leg: LegId,
    },
    /// Mixes a clip into what one leg hears, after the clips already waiting for it: an announcement or a whisper to it alone.
    Whisper {
        /// To whom.
        leg: LegId,
        /// What; it comes back as [`Report::ClipEnded`].
        clip: Clip,
    },
    /// From now on a leg is heard only by a few: a coach by the one he coaches. It hears what it heard before. At most
    /// [`crate::CONFIDANTS`] legs of a conference can have that at the same time; for one more it is
    /// [`Report::AudienceRefused`].
    Audience {
        /// Who is heard by a few only.
        leg: LegId,
        /// By whom; `None`: by all again.
        audience: Option<Audience>,
    },
    /// Mixes a clip into a conference, after those already waiting there.
    PlayAll {
        /// Where.
        conference: ConferenceId,
        /// What; it comes back as [`Report::ConferenceClipEnded`].
        clip: Clip,
        /// The one leg that does not hear it (who just joined need not hear his own entry tone).
        except: Option<LegId>,
    },
    /// A muted leg is received (its digits count) but not mixed.
    Mute {
        /// Who.
        leg: LegId,
        /// On or off.
        muted: bool,
    },
    /// Hold and resume.
    Direction {
        /// Who.
        leg: LegId,
        /// What we may do from now on.
        direction: Direction,
    },
    /// A new offer/answer changed the media format.
    Reconfigure {
        /// Who.
        leg: LegId,
        /// The new format.
        media: MediaConfig,
    },
    /// The leg speaks SRTP from now on, with these keys; also at every later offer and answer, with the same keys or new ones.
    Secure {
        /// Who.
        leg: LegId,
        /// The keys, built by control. The box before it comes home as [`Report::SrtpRetired`].
        srtp: Box<LegSrtp>,
    },
    /// Sends digits to the far end as telephone events (RFC 4733), after those still being sent.
    SendDigits {
        /// To whom.
        leg: LegId,
        /// Which.
        digits: Digits,
    },
}

/// What a shard tells the control loop.
#[derive(Debug)]
pub enum Report<IO> {
    /// The first media packet of a leg arrived: it can hear, so greet it now.
    MediaStarted {
        /// Whose.
        leg: LegId,
    },
    /// Nothing arrived for the configured time, although we expect to receive. Said once per silence.
    MediaSilent {
        /// Who.
        leg: LegId,
        /// Since the last packet (or since the leg sat down).
        silent_for: Duration,
    },
    /// Packets again after [`Report::MediaSilent`].
    MediaResumed {
        /// Whose.
        leg: LegId,
    },
    /// A digit was pressed: `0`-`9`, `*`, `#`, `A`-`D`. Each press is reported once, at its first packet.
    Digit {
        /// By whom.
        leg: LegId,
        /// Which.
        digit: char,
    },
    /// A leg sends back what it is sent, or does so no more. While it does, its echo is kept out of the mix.
    Echo {
        /// Who.
        leg: LegId,
        /// How much later, with our jitter buffer; in steps of 20 ms.
        delay: Duration,
        /// True at its begin.
        on: bool,
    },
    /// A leg cannot have its audience: [`crate::CONFIDANTS`] others of its conference have one. After [`Command::Audience`] it is
    /// heard by whom it was heard before; after a move to this conference by nobody, since what was meant for a few must not
    /// reach all. Take the audience from another leg and ask again, or set it to none.
    AudienceRefused {
        /// Who.
        leg: LegId,
    },
    /// All digits of [`Command::SendDigits`] so far have been sent.
    DigitsSent {
        /// To whom.
        leg: LegId,
    },
    /// A clip played to one leg is over.
    ClipEnded {
        /// Whose.
        leg: LegId,
        /// The clip's own number.
        token: u64,
        /// False when it was stopped, interrupted or could not be played.
        finished: bool,
        /// The sound comes home, so that it is not freed on the media thread.
        sound: Arc<Sound>,
    },
    /// A clip played to a conference is over.
    ConferenceClipEnded {
        /// Which conference.
        conference: ConferenceId,
        /// The clip's own number.
        token: u64,
        /// False when the conference ended first or does not exist.
        finished: bool,
        /// The sound comes home.
        sound: Arc<Sound>,
    },
    /// Keys that are not used any more come home, so that they are not freed on the media thread.
    SrtpRetired {
        /// Whose.
        leg: LegId,
        /// The box.
        srtp: Box<LegSrtp>,
    },
    /// A tap that was taken off, or whose conference is over.
    Untapped {
        /// Which conference.
        conference: ConferenceId,
        /// The box comes home, so that it is not freed on the media thread.
        tap: Box<Tap>,
    },
    /// A leg that was removed, or that had nowhere to sit.
    Returned {
        /// Who.
        leg: LegId,
        /// The box comes home, so that it is not freed on the media thread.
        seat: Box<Seat<IO>>,
    },
    /// What nobody needs any more: conferences that are over, encoders and decoders of codecs that changed, lists that have grown.
    /// To be dropped, on any other thread.
    Spent(Waste),
}

/// A few legs, without heap memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Audience {
    legs: [u64; Self::MAX],
    length: u8,
}

impl Audience {
    /// The most legs in one.
    pub const MAX: usize = 8;

    /// These legs; `None` when they are more than [`Audience::MAX`].
    pub fn new(legs: &[LegId]) -> Option<Self> {
        let mut audience = Self::default();
        for (place, leg) in audience.legs.get_mut(..legs.len())?.iter_mut().zip(legs) {
            *place = leg.0;
        }
        audience.length = legs.len() as u8;
        Some(audience)
    }

    /// True when `leg` is one of them.
    pub fn contains(&self, leg: LegId) -> bool {
        self.legs[..usize::from(self.length)].contains(&leg.0)
    }
}

/// Up to 32 digits to send, without heap memory. They may be a PIN, so they do not show themselves in debug output.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Digits {
    events: [u8; Self::MAX],
    length: u8,
}

impl fmt::Debug for Digits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Digits(_)")
    }
}

/// Why a text is not [`Digits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DigitsError {
    /// Not a key of a telephone.
    #[error("{0:?} is not a telephone key; use 0-9, *, #, A-D")]
    Key(char),
    /// More than 32.
    #[error("more than {} digits; send them in several steps", Digits::MAX)]
    TooMany,
}

impl Digits {
    /// Digits in one command.
    pub const MAX: usize = 32;

    /// From a text of `0`-`9`, `*`, `#`, `A`-`D`.
    pub fn parse(text: &str) -> Result<Self, DigitsError> {
        let mut digits = Self::default();
        for key in text.chars() {
            let event = event_of(key).ok_or(DigitsError::Key(key))?;
            let place = digits.events.get_mut(usize::from(digits.length)).ok_or(DigitsError::TooMany)?;
            *place = event;
            digits.length += 1;
        }
        Ok(digits)
    }

    /// The event codes of RFC 4733 section 3.2, in order.
    pub fn events(&self) -> &[u8] {
        &self.events[..usize::from(self.length)]
    }
}

/// The event code of a key (RFC 4733 section 3.2, table 3).
pub(crate) fn event_of(key: char) -> Option<u8> {
    KEYS.iter().position(|candidate| *candidate == key.to_ascii_uppercase()).map(|event| event as u8)
}

/// The key of an event code; codes from 16 on are not digits.
pub(crate) fn key_of(event: u8) -> Option<char> {
    KEYS.get(usize::from(event)).copied()
}

const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_event_codes() {
        assert_eq!(Digits::parse("109*#Ad").expect("all keys").events(), [1, 0, 9, 10, 11, 12, 13 + 2]);
        assert_eq!(format!("{:?}", Digits::parse("27182")), "Ok(Digits(_))");
        assert_eq!(Digits::parse("1 2"), Err(DigitsError::Key(' ')));
        assert_eq!(Digits::parse(&"1".repeat(33)), Err(DigitsError::TooMany));
    }

    #[test]
    fn event_codes_become_keys() {
        assert_eq!((0..=255).filter_map(key_of).collect::<String>(), "0123456789*#ABCD");
    }
}
