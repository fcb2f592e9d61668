//! The speaking half of a simulated telephone: one frame every 20 ms, silence when there is nothing to say, keys as RFC 4733
//! events. Pure: the caller's media task sends what a tick returns.

use std::{collections::VecDeque, sync::Arc};

use super::{
    g711::Law,
    rtp::{Packet, telephone_event},
};

/// Samples in one frame: 20 ms at 8 kHz.
pub const FRAME: usize = 160;
/// A key is held for five frames and followed by three of silence: slow enough for every keypad detector.
const HELD: u16 = 5;
const RELEASED: u16 = 3;
/// The last packet of an event is sent three times (RFC 4733 section 2.5.1.4).
const ENDS: usize = 3;

/// How the stream looks on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// The codec, with its static payload type.
    pub law: Law,
    /// Payload type of the audio.
    pub audio: u8,
    /// Payload type of telephone events, where agreed.
    pub events: Option<u8>,
    /// Whose stream.
    pub ssrc: u32,
    /// First sequence number.
    pub sequence: u16,
    /// First timestamp.
    pub timestamp: u32,
}

/// Something to do, one after the other.
#[derive(Debug)]
enum Act {
    Say { samples: Arc<[i16]>, next: usize, ticket: u64 },
    Key { key: char, marked: bool, frames: u16, started: u32, ticket: u64 },
}

/// The speaking half.
#[derive(Debug)]
pub struct Speaker {
    stream: Stream,
    acts: VecDeque<Act>,
    said: Vec<i16>,
    tickets: u64,
    finished: u64,
}

impl Speaker {
    /// A telephone that sends silence until told otherwise.
    pub fn new(stream: Stream) -> Self {
        Self { stream, acts: VecDeque::new(), said: Vec::new(), tickets: 0, finished: 0 }
    }

    /// Says these samples after everything that is already queued. The ticket is what [`Speaker::finished`] reaches then.
    pub fn say(&mut self, samples: Arc<[i16]>) -> u64 {
        self.tickets += 1;
        self.acts.push_back(Act::Say { samples, next: 0, ticket: self.tickets });
        self.tickets
    }

    /// Presses these keys after everything that is already queued; characters that are no keys are left out.
    pub fn key(&mut self, keys: &str) -> u64 {
        self.press(keys, true)
    }

    /// The same with or without the marker bit that begins an event (RFC 4733 section 2.5.1.2): some gateways leave it out.
    pub fn press(&mut self, keys: &str, marked: bool) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        let keys = keys.chars().filter(|key| telephone_event(*key, false, 0).is_some());
        self.acts.extend(keys.map(|key| Act::Key { key, marked, frames: 0, started: 0, ticket }));
        ticket
    }

    /// The highest ticket done, with everything before it.
    pub fn finished(&self) -> u64 {
        if self.acts.is_empty() { self.tickets } else { self.finished }
    }

    /// Everything said so far, one sample for every sample time since the first tick (silence and keys as zeros).
    pub fn said(&self) -> &[i16] {
        &self.said
    }

    /// The datagrams of the next 20 ms.
    pub fn tick(&mut self) -> Vec<Vec<u8>> {
        let mut frame = [0; FRAME];
        let event = self.next_frame(&mut frame);
        self.said.extend(&frame);
        let datagrams = if let Some(event) = event {
            self.event(event)
        } else {
            let payload = frame.map(|sample| self.stream.law.encode(sample));
            let marker = self.said.len() == FRAME;
            vec![self.packet(self.stream.audio, self.stream.timestamp, marker, &payload)]
        };
        self.stream.timestamp = self.stream.timestamp.wrapping_add(FRAME as u32);
        datagrams
    }

    /// Fills the frame with what is said, or returns the key that is held instead.
    fn next_frame(&mut self, frame: &mut [i16; FRAME]) -> Option<Held> {
        let act = self.acts.front_mut()?;
        let (held, done) = match act {
            Act::Say { samples, next, ticket } => {
                let part = samples.get(*next..).unwrap_or_default();
                let part = &part[..part.len().min(FRAME)];
                frame[..part.len()].copy_from_slice(part);
                *next += FRAME;
                (None, (*next >= samples.len()).then_some(*ticket))
            }
            Act::Key { key, marked, frames, started, ticket } => {
                if *frames == 0 {
                    *started = self.stream.timestamp;
                }
                *frames += 1;
                let done = (*frames >= HELD + RELEASED).then_some(*ticket);
                let held = (*frames <= HELD).then_some(Held {
                    key: *key,
                    marked: *marked,
                    frames: *frames,
                    started: *started,
                });
                (held, done)
            }
        };
        if let Some(ticket) = done {
            self.acts.pop_front();
            let more = self.acts.front().map(|act| match act {
                Act::Say { ticket, .. } | Act::Key { ticket, .. } => *ticket,
            });
            if more != Some(ticket) {
                self.finished = ticket;
            }
        }
        held
    }

    fn event(&mut self, Held { key, marked, frames, started }: Held) -> Vec<Vec<u8>> {
        let Some(payload_type) = self.stream.events else { return Vec::new() };
        let end = frames == HELD;
        let payload = telephone_event(key, end, frames * FRAME as u16).unwrap_or_default();
        let copies = if end { ENDS } else { 1 };
        let marker = marked && frames == 1;
        (0..copies).map(|_| self.packet(payload_type, started, marker, &payload)).collect()
    }

    fn packet(&mut self, payload_type: u8, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
        let sequence = self.stream.sequence;
        self.stream.sequence = sequence.wrapping_add(1);
        Packet { ssrc: self.stream.ssrc, sequence, timestamp, payload_type, marker, payload }.to_bytes()
    }
}

struct Held {
    key: char,
    marked: bool,
    frames: u16,
    started: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker() -> Speaker {
        Speaker::new(Stream {
            law: Law::A,
            audio: 8,
            events: Some(101),
            ssrc: 7,
            sequence: 65534,
            timestamp: u32::MAX - 100,
        })
    }

    #[test]
    fn silence_goes_out_at_the_pace_of_speech_and_wraps() {
        let mut speaker = speaker();
        let packets: Vec<Vec<u8>> = (0..3).flat_map(|_| speaker.tick()).collect();
        let parsed: Vec<Packet<'_>> = packets.iter().filter_map(|bytes| Packet::parse(bytes)).collect();
        assert_eq!(parsed.iter().map(|p| p.sequence).collect::<Vec<_>>(), [65534, 65535, 0]);
        assert_eq!(parsed[1].timestamp, parsed[0].timestamp.wrapping_add(160));
        assert!(parsed[0].marker && !parsed[1].marker);
        assert!(parsed.iter().all(|p| p.payload == [0xd5; FRAME]));
    }

    #[test]
    fn what_is_said_arrives_and_is_remembered_and_the_ticket_comes_due() {
        let mut speaker = speaker();
        let samples: Vec<i16> = (0..400).map(|n| n * 40).collect();
        speaker.tick();
        let ticket = speaker.say(samples.clone().into());
        let mut heard = Vec::new();
        while speaker.finished() < ticket {
            for datagram in speaker.tick() {
                heard.extend(
                    Packet::parse(&datagram).unwrap().payload.iter().map(|octet| Law::A.decode(*octet)),
                );
            }
        }
        assert_eq!(heard.len(), 480, "three frames");
        assert!(heard.iter().zip(&samples).all(|(a, b)| (a - b).abs() < 600));
        assert_eq!(&speaker.said()[160..560], &samples[..]);
    }

    #[test]
    fn a_key_is_one_event_with_one_timestamp_and_three_ends() {
        let mut speaker = speaker();
        let ticket = speaker.key("1?#");
        let mut events = Vec::new();
        while speaker.finished() < ticket {
            events.extend(speaker.tick());
        }
        let events: Vec<Packet<'_>> = events
            .iter()
            .filter_map(|bytes| Packet::parse(bytes))
            .filter(|packet| packet.payload_type == 101)
            .collect();
        assert_eq!(events.len(), 2 * (4 + ENDS));
        let first = &events[..4 + ENDS];
        assert!(first.iter().all(|packet| packet.timestamp == first[0].timestamp));
        assert_eq!(first.iter().filter(|packet| packet.marker).count(), 1);
        assert_eq!(first.iter().filter(|packet| packet.payload[1] & 0x80 != 0).count(), ENDS);
        assert_eq!(first[6].payload, [1, 0x8a, 3, 0x20]);
        assert_eq!(events[7].payload[0], 11);
        assert_eq!(events[7].timestamp, events[0].timestamp.wrapping_add(8 * 160));
    }

    #[test]
    fn a_key_without_a_marker_is_the_same_event_but_for_the_bit() {
        let keyed = |marked: bool| {
            let mut speaker = speaker();
            let ticket = speaker.press("5", marked);
            let mut sent = Vec::new();
            while speaker.finished() < ticket {
                sent.extend(speaker.tick());
            }
            sent
        };
        let (mut marked, unmarked) = (keyed(true), keyed(false));
        assert_eq!(marked[0][1], 0xe5, "101 with the marker");
        marked[0][1] = 101;
        assert_eq!(marked, unmarked);
    }

    #[test]
    fn sound_and_time_stay_together_while_keys_are_pressed() {
        let mut speaker = speaker();
        let ticket = speaker.key("12");
        let mut ticks = 0;
        while speaker.finished() < ticket {
            speaker.tick();
            ticks += 1;
        }
        assert_eq!(ticks, 16);
        assert_eq!(speaker.said().len(), 16 * FRAME);
    }
}
