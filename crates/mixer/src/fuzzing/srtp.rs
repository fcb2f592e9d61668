//! A sender, a receiver, and a network that does what the input says.

use super::records;
use crate::srtp::{Keys, Mki, Rejected, Rekeyed, Srtp, Suite, WINDOW};

/// Packets lost in a row after which the rollover counter cannot be guessed any more (RFC 3711 section 3.3.1), with a margin.
const GUESSABLE: u64 = 0x7000;

/// Any operations on both ends of an SRTP stream: no panic; what the sender sent is taken once and comes out as it went in;
/// whatever else arrives is refused and disturbs nothing.
pub fn srtp(input: &[u8]) {
    let Some(([kind, first, start], rest)) = input.split_first_chunk() else { return };
    let mkis = [None, Mki::new(1, 1).ok(), Mki::new(5, 4).ok(), Mki::new(7, 128).ok()];
    let (suite, mki) = (Suite::ALL[usize::from(kind % 4)], mkis[usize::from(kind >> 2 & 3)]);
    let start = u64::from(u16::from_be_bytes([*start, 0xf0]));
    let mut road = Road {
        sender: Srtp::new(keys(suite, mki, *first)),
        receiver: Srtp::new(keys(suite, mki, *first)),
        last: start,
        newest: None,
        start,
        sent: Vec::new(),
    };
    for record in records(rest) {
        let Some(([operation, number], bytes)) = record.split_first_chunk() else { continue };
        road.step(*operation, *number, bytes);
    }
}

struct Road {
    sender: Srtp,
    receiver: Srtp,
    /// The index of the last RTP packet that was sent, of the newest that was taken, and before the first of this key.
    last: u64,
    newest: Option<u64>,
    start: u64,
    sent: Vec<Sent>,
}

struct Sent {
    plain: Vec<u8>,
    wire: Vec<u8>,
    /// Of RTP; `None` for RTCP.
    index: Option<u64>,
    taken: bool,
}

impl Road {
    fn step(&mut self, operation: u8, number: u8, bytes: &[u8]) {
        let rtcp = operation & 0x80 != 0;
        match operation % 7 {
            0 => assert!(self.arrive(&mut bytes.to_vec(), rtcp).is_err(), "nobody sent this"),
            1 => {
                self.send(u64::from(number) + 1, rtcp, bytes);
                self.deliver(self.sent.len() - 1);
            }
            2 if self.lost() == 0 => {
                self.send(u64::from(number) * 64 + 1, rtcp, bytes);
                self.deliver(self.sent.len() - 1);
            }
            3 if self.lost() < GUESSABLE => self.send(u64::from(number) + 1, rtcp, bytes),
            4 if !self.sent.is_empty() => {
                let sent = &self.sent[usize::from(number) % self.sent.len()];
                let (mut wire, rtcp) = (sent.wire.clone(), sent.index.is_none());
                let place = bytes.iter().fold(0, |sum: usize, byte| sum.wrapping_mul(7) ^ usize::from(*byte));
                let bit = place % (wire.len() * 8);
                wire[bit / 8] ^= 1 << (bit % 8);
                assert!(self.arrive(&mut wire, rtcp).is_err(), "nobody sent this");
            }
            5 if !self.sent.is_empty() => self.deliver(usize::from(number) % self.sent.len()),
            6 => self.rekey(number),
            _ => {}
        }
        if self.sent.len() > 256 {
            self.sent.drain(..128);
        }
    }

    /// How far the receiver is behind the sender, in RTP packets.
    fn lost(&self) -> u64 {
        self.last - self.newest.unwrap_or(self.start)
    }

    fn send(&mut self, gap: u64, rtcp: bool, bytes: &[u8]) {
        let mut plain = if rtcp { vec![0x80, 201, 0, 1] } else { vec![0x80, 0] };
        if rtcp {
            plain.extend([0, 0, 0, 9]);
        } else {
            self.last += gap;
            plain.extend((self.last as u16).to_be_bytes());
            plain.extend([0, 0, 0, 1, 0, 0, 0, 9]);
        }
        plain.extend(bytes);
        let keys = self.sender.keys();
        let mut wire = plain.clone();
        wire.resize(plain.len() + if rtcp { keys.rtcp_overhead() } else { keys.overhead() }, 0);
        let sealed = if rtcp {
            self.sender.protect_rtcp(&mut wire, plain.len())
        } else {
            self.sender.protect(&mut wire, plain.len())
        };
        assert_eq!(sealed, Ok(wire.len()), "a new sequence number and enough room");
        self.sent.push(Sent { plain, wire, index: (!rtcp).then_some(self.last), taken: false });
    }

    /// What is newer than all, or in the window and not taken yet, is taken. Older RTP is refused as what it looks like: where
    /// it lies more than half a turn of the sequence number behind, its index is guessed wrong and it seems forged.
    fn deliver(&mut self, n: usize) {
        let (mut wire, index) = (self.sent[n].wire.clone(), self.sent[n].index);
        let result = self.arrive(&mut wire, index.is_none());
        let sent = &mut self.sent[n];
        match result {
            Ok(length) => {
                assert!(!sent.taken, "nothing is taken twice");
                assert_eq!(wire[..length], sent.plain);
                sent.taken = true;
                self.newest = self.newest.max(index);
            }
            Err(rejected) => {
                let behind = index.and_then(|index| self.newest.map(|newest| newest.saturating_sub(index)));
                assert!(sent.taken || index.is_none() || behind >= Some(WINDOW), "it is fresh");
                let guessable = behind.is_none_or(|behind| behind < GUESSABLE);
                assert!(rejected == Rejected::Replayed || !guessable, "authentic, so at most too old");
            }
        }
    }

    fn arrive(&mut self, datagram: &mut [u8], rtcp: bool) -> Result<usize, Rejected> {
        if rtcp { self.receiver.unprotect_rtcp(datagram) } else { self.receiver.unprotect(datagram) }
    }

    fn rekey(&mut self, seed: u8) {
        let old = self.sender.keys();
        let new = keys(old.suite(), old.mki(), seed);
        let (ours, theirs) = (self.sender.rekey(&new), self.receiver.rekey(&new));
        assert_eq!(ours, theirs);
        if ours == Rekeyed::Renewed {
            // Rollover counter zero, and the sequence number goes on.
            self.start = self.last & 0xffff;
            self.last = self.start;
            self.newest = None;
            self.sent.clear();
        }
    }
}

fn keys(suite: Suite, mki: Option<Mki>, seed: u8) -> Keys {
    Keys::new(suite, &[seed; 64][..suite.master_len()], mki).expect("of the right length")
}
