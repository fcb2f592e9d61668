//! One leg: what it says, and what is noted of what it hears.

use std::net::UdpSocket;

use mixer::srtp::{MAX_OVERHEAD, Srtp};

use super::arrivals::{Arrivals, Header, Order};
use super::keypad::Keypad;
use super::probe::{Burst, Clicker, Listener};
use super::speech::Codec;
use super::tones::Repertoire;
use crate::demo::rtp::Packet;

/// The largest payload that is sent.
const LARGEST: usize = 1400;
const HEADER: usize = 12;

/// Where a leg sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Number in the fleet.
    pub(super) leg: usize,
    pub(super) room: usize,
    pub(super) seat: usize,
}

/// What a leg is for.
pub(super) enum Part {
    /// Talks when the plan says so; what it hears is judged.
    Talker,
    /// See [`Clicker`].
    Clicker(Box<Clicker>),
    /// See [`Listener`].
    Listener(Box<Listener>),
}

/// A stretch of what a leg heard, for the ear.
pub(super) struct Window {
    pub(super) place: Place,
    pub(super) scene: u64,
    pub(super) payloads: Vec<Vec<u8>>,
    /// Recorded before it was complete it is of no use after this time.
    pub(super) until: u64,
    /// Recording begins then.
    pub(super) from: u64,
    wanted: usize,
}

impl Window {
    /// One that wants so many packets in a row.
    pub(super) fn new(place: Place, scene: u64, from: u64, until: u64, wanted: usize) -> Self {
        Self { place, scene, payloads: Vec::with_capacity(wanted), until, from, wanted }
    }

    /// True when complete.
    fn add(&mut self, at: u64, order: Order, payload: &[u8]) -> bool {
        match order {
            Order::Old => return false,
            Order::Jump => self.payloads.clear(),
            Order::Next => {}
        }
        if at >= self.from {
            self.payloads.push(payload.to_vec());
        }
        self.payloads.len() == self.wanted
    }
}

/// What differs in the headers of one leg's packets.
#[derive(Clone, Copy)]
struct Head {
    payload_type: u8,
    marker: bool,
}

/// What is counted of a leg beside its arrivals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) send_errors: u64,
    /// Datagrams that are not RTP, or not authentic.
    pub(super) unreadable: u64,
    /// RTP of another payload type than agreed.
    pub(super) other_payloads: u64,
}

/// The crypto state of both directions.
#[derive(Debug)]
pub(super) struct Secrets {
    pub(super) ours: Srtp,
    pub(super) theirs: Srtp,
}

/// What was agreed with the bridge for one leg.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) payload_type: u8,
    pub(super) secrets: Option<Box<Secrets>>,
    /// Keys to press before anything else.
    pub(super) keypad: Option<Keypad>,
}

/// A leg and its socket, apart: a socket is lent out while its leg listens.
pub(super) struct Line {
    pub(super) socket: UdpSocket,
    pub(super) leg: Leg,
}

pub(super) struct Leg {
    pub(super) place: Place,
    pub(super) part: Part,
    /// Whether it has begun to play its part; before, its line is quiet.
    pub(super) talking: bool,
    /// The tone it says now.
    pub(super) tone: Option<usize>,
    keypad: Option<Keypad>,
    secrets: Option<Box<Secrets>>,
    pub(super) arrivals: Arrivals,
    pub(super) tally: Tally,
    pub(super) window: Option<Window>,
    payload_type: u8,
    step: u32,
    header: Header,
    /// Packets sent: the place in the loop.
    beat: usize,
    datagram: Box<[u8; HEADER + LARGEST + MAX_OVERHEAD]>,
}

impl Leg {
    pub(super) fn new(place: Place, part: Part, codec: Codec, agreed: Agreed, first: Header) -> Self {
        Self {
            place,
            part,
            talking: false,
            tone: None,
            keypad: agreed.keypad,
            secrets: agreed.secrets,
            arrivals: Arrivals::new(codec.step()),
            tally: Tally::default(),
            window: None,
            payload_type: agreed.payload_type,
            step: codec.step(),
            header: first,
            beat: usize::from(first.sequence),
            datagram: Box::new([0; HEADER + LARGEST + MAX_OVERHEAD]),
        }
    }

    /// Sends the packet of these 20 ms.
    pub(super) fn speak(
        &mut self,
        socket: &UdpSocket,
        repertoire: &Repertoire,
        now: impl FnOnce() -> u64,
        burst: &mut Burst,
    ) {
        if let Some(press) = self.keypad.as_mut().and_then(|keypad| keypad.next(self.header.timestamp)) {
            let head = Head { payload_type: press.payload_type, marker: press.marker };
            return self.send(socket, head, Some(press.timestamp), &press.payload);
        }
        let head = Head { payload_type: self.payload_type, marker: false };
        match (&mut self.part, self.tone.filter(|_| self.talking)) {
            (Part::Clicker(clicker), _) if self.talking => {
                let payload = clicker.next(now(), burst);
                self.send(socket, head, None, &payload);
            }
            (_, Some(tone)) => self.send(socket, head, None, repertoire.tone(tone).at(self.beat)),
            (_, None) => self.send(socket, head, None, repertoire.quiet.at(self.beat)),
        }
    }

    /// Sends one packet; events repeat an earlier `timestamp`. Time goes on by 20 ms.
    fn send(&mut self, socket: &UdpSocket, head: Head, timestamp: Option<u32>, payload: &[u8]) {
        self.beat += 1;
        let at = self.header.timestamp;
        self.header.timestamp = at.wrapping_add(self.step);
        if payload.is_empty() || payload.len() > LARGEST {
            return;
        }
        let length = HEADER + payload.len();
        let datagram = &mut self.datagram[..length];
        datagram[0] = 0x80;
        datagram[1] = u8::from(head.marker) << 7 | head.payload_type;
        datagram[2..4].copy_from_slice(&self.header.sequence.to_be_bytes());
        datagram[4..8].copy_from_slice(&timestamp.unwrap_or(at).to_be_bytes());
        datagram[8..12].copy_from_slice(&self.header.ssrc.to_be_bytes());
        datagram[HEADER..].copy_from_slice(payload);
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.tally.sent += 1;
        let length = match &mut self.secrets {
            None => length,
            Some(secrets) => {
                // A key is used up after 2^48 packets: no run lasts so long.
                let Ok(length) = secrets.ours.protect(&mut self.datagram[..], length) else { return };
                length
            }
        };
        let datagram = &self.datagram[..length];
        // The error of an earlier datagram (nobody listens there) is told on the next call, once: then this one is sent.
        if socket.send(datagram).is_err() {
            self.tally.send_errors += 1;
            let _ = socket.send(datagram);
        }
    }

    /// One datagram that came `at`, decrypted in place; a window that it completes is returned.
    pub(super) fn hear(&mut self, at: u64, datagram: &mut [u8], burst: Burst) -> Option<Window> {
        let length = match &mut self.secrets {
            None => datagram.len(),
            Some(secrets) => {
                let Ok(length) = secrets.theirs.unprotect(datagram) else {
                    self.tally.unreadable += 1;
                    return None;
                };
                length
            }
        };
        let datagram = &datagram[..length];
        let Some(packet) = Packet::parse(datagram) else {
            self.tally.unreadable += 1;
            return None;
        };
        let header = Header { ssrc: packet.ssrc, sequence: packet.sequence, timestamp: packet.timestamp };
        let order = self.arrivals.add(header, at);
        if packet.payload_type != self.payload_type {
            self.tally.other_payloads += 1;
            return None;
        }
        if let Part::Listener(listener) = &mut self.part {
            listener.hear(at, packet.payload, burst);
        }
        let window = self.window.as_mut()?;
        if at > window.until {
            self.window = None;
            return None;
        }
        if window.add(at, order, packet.payload) { self.window.take() } else { None }
    }

    /// Begins to count.
    pub(super) fn clear(&mut self, burst: Burst) {
        self.arrivals.clear();
        self.tally = Tally::default();
        self.window = None;
        if let Part::Listener(listener) = &mut self.part {
            listener.clear(burst);
        }
    }
}
