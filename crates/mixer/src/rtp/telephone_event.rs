//! Telephone events in, as peers really send them (RFC 4733 section 2): every press becomes one digit, said at its first packet.
//!
//! The RFC's rule is simple: one event, one timestamp. Peers break it, so [`Detector`] also looks at duration, marker and the time
//! of arrival. What it copes with, each with a scenario in `tests/telephone_events.rs`: no marker, no end packet, ends repeated
//! with new timestamps, every packet with a new timestamp, ends with the same sequence number, another SSRC than the audio, the
//! same digit twice in a row, long gaps before the end, segments of a long press, a recording that is played twice.

use std::time::{Duration, Instant};

use crate::units::RtpTime;

/// The payload of one telephone-event packet (RFC 4733 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPayload {
    /// The event code; 0..=15 are the digits.
    pub event: u8,
    /// The E bit: the event is over.
    pub end: bool,
    /// 0..=63: power of the tone in -dBm0.
    pub volume: u8,
    /// How long the event lasts so far, in clock-rate units.
    pub duration: u16,
}

impl EventPayload {
    /// Reads the first event of a payload; `None` when it is too short. More than one event per packet is not sent in practice.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let [event, flags, high, low] = *payload.first_chunk::<4>()?;
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// As on the wire; the reserved bit is zero.
    pub const fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, if self.end { 0x80 } else { 0 } | self.volume & 0x3f, high, low]
    }
}

/// In what an event is counted, in Hz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The clock of its payload type: durations.
    pub event: u32,
    /// The clock of the stream that it is part of, which is the audio's: timestamps.
    pub stream: u32,
}

impl Clocks {
    /// How far apart the timestamps of a press's segments can be: the longest duration, in either clock, since some peers give
    /// their timestamps in the event's.
    fn longest(self) -> i64 {
        let event = self.event.max(1);
        i64::from(u16::MAX) * i64::from(self.stream.max(event)) / i64::from(event)
    }

    /// A duration from which on a segment may be full: 100 ms before it cannot grow any more, since updates come that seldom.
    fn nearly_full(self) -> u16 {
        0xfff0_u16.saturating_sub(u16::try_from(self.event / 10).unwrap_or(u16::MAX))
    }
}

/// Turns the packets of one leg into presses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detector {
    last: Option<Press>,
}

/// The press that is being sent, or was last.
#[derive(Clone, Copy, Debug)]
struct Press {
    event: u8,
    timestamp: RtpTime,
    duration: u16,
    heard: Instant,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Packets of it still come.
    Held,
    /// Its end packet came, at that time.
    Ended(Instant),
    /// Its end packet is missing, but audio came after it, or nothing for long.
    Lost,
}

/// Repetitions of an end come within this time of the first one. A person needs longer between two presses, and a machine's next
/// press begins with packets that are not ends.
const MERGE: Duration = Duration::from_millis(150);

/// Three packets of the longest usual interval (50 ms): a press that is silent for longer is over (RFC 4733 section 2.5.1.4).
const MISSED: Duration = Duration::from_millis(150);

/// The longest gap seen before an end packet is 320 ms; nobody presses again that fast without a packet that is not an end.
const GAP: Duration = Duration::from_millis(500);

impl Detector {
    /// An event packet arrived; the event code is given back when it begins a press.
    pub fn handle_event(
        &mut self,
        arrival: Instant,
        marker: bool,
        timestamp: RtpTime,
        payload: EventPayload,
        clocks: Clocks,
    ) -> Option<u8> {
        let Some(last) = self.last.as_mut().filter(|last| last.event == payload.event) else {
            return Some(self.begin(arrival, timestamp, payload));
        };
        let quiet = arrival.saturating_duration_since(last.heard);
        if last.state == State::Held && quiet > MISSED && !payload.end {
            last.state = State::Lost;
        }
        let same = if timestamp == last.timestamp {
            is_repetition(last, arrival, payload)
        } else {
            is_continuation(last, arrival, marker, timestamp, payload, clocks)
        };
        if !same {
            return Some(self.begin(arrival, timestamp, payload));
        }
        last.heard = arrival;
        last.duration = last.duration.max(payload.duration);
        if timestamp != last.timestamp && !payload.end {
            // A segment, or a sender that renews the timestamp: compare with the newest from now on.
            last.timestamp = timestamp;
            last.duration = payload.duration;
        }
        if payload.end && !matches!(last.state, State::Ended(_)) {
            last.state = State::Ended(arrival);
        } else if !payload.end && last.state == State::Lost {
            last.state = State::Held;
        }
        None
    }

    /// Audio of the same stream arrived: a press without an end packet is over.
    pub fn handle_audio(&mut self) {
        if let Some(last) = self.last.as_mut().filter(|last| last.state == State::Held) {
            last.state = State::Lost;
        }
    }

    /// True while a key is being held at `now`.
    pub fn is_held(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| {
            last.state == State::Held && now.saturating_duration_since(last.heard) <= MISSED
        })
    }

    fn begin(&mut self, arrival: Instant, timestamp: RtpTime, payload: EventPayload) -> u8 {
        self.last = Some(Press {
            event: payload.event,
            timestamp,
            duration: payload.duration,
            heard: arrival,
            state: if payload.end { State::Ended(arrival) } else { State::Held },
        });
        payload.event
    }
}

/// Same event, same timestamp: the same press, unless a recording is played again, which starts over with a short duration a good
/// while after the end.
fn is_repetition(last: &Press, arrival: Instant, payload: EventPayload) -> bool {
    if payload.end || payload.duration > last.duration {
        return true;
    }
    match last.state {
        State::Held => true, // reordered
        State::Ended(at) => arrival.saturating_duration_since(at) <= MERGE,
        State::Lost => arrival.saturating_duration_since(last.heard) <= MERGE,
    }
}

/// Same event, other timestamp: a new press, except for what broken senders do.
fn is_continuation(
    last: &Press,
    arrival: Instant,
    marker: bool,
    timestamp: RtpTime,
    payload: EventPayload,
    clocks: Clocks,
) -> bool {
    let recent = arrival.saturating_duration_since(last.heard) <= MISSED;
    let ahead = timestamp.ahead_of(last.timestamp);
    match last.state {
        // The end with a new timestamp, even after a gap: the duration is that of the press, not of a new one.
        State::Held if payload.end => {
            arrival.saturating_duration_since(last.heard) <= GAP && payload.duration >= last.duration
        }
        State::Ended(at) if payload.end => {
            arrival.saturating_duration_since(at) <= MERGE && payload.duration >= last.duration
        }
        // RFC 4733 section 2.5.1.3: the next segment of a press that is longer than a duration can say.
        State::Held
            if ahead > 0
                && i64::from(ahead) <= clocks.longest()
                && last.duration >= clocks.nearly_full()
                && !marker =>
        {
            true
        }
        // A sender that renews the timestamp in every packet: the duration grows on.
        State::Held => recent && !marker && ahead > 0 && payload.duration > last.duration,
        // A late packet of the press before its end.
        State::Ended(at) => ahead < 0 && arrival.saturating_duration_since(at) <= MERGE,
        State::Lost => false,
    }
}
