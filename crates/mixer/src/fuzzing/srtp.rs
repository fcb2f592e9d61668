//! A sender, a receiver, and a network that does what the input says.

use super::records;
use crate::srtp::{Keys, Mki, Rejected, Rekeyed, Srtp, Suite};

/// Packets lost in a row after which the rollover counter cannot be guessed any more (RFC 3711 section 3.3.1), with a margin.
const GUESSABLE: u32 = 0x7000;

/// Any operations on both ends of an SRTP stream: no panic; what the sender sent is taken once and comes out as it went in;
/// whatever else arrives is refused and disturbs nothing.
pub fn srtp(input: &[u8]) {
    let Some(([kind, first, start], rest)) = input.split_first_chunk() else { return };
    let mkis = [None, Mki::new(1, 1).ok(), Mki::new(5, 4).ok(), Mki::new(7, 128).ok()];
    let (suite, mki) = (Suite::ALL[usize::from(kind % 4)], mkis[usize::from(kind >> 2 & 3)]);
    let mut road = Road {
        sender: Srtp::new(keys(suite, mki, *first)),
        receiver: Srtp::new(keys(suite, mki, *first)),
        sequence: u16::from_be_bytes([*start, 0xf0]),
        lost: 0,
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
    sequence: u16,
    lost: u32,
    sent: Vec<Sent>,
}

struct Sent {
    plain: Vec<u8>,
    wire: Vec<u8>,
    rtcp: bool,
    taken: bool,
}

impl Road {
    fn step(&mut self, operation: u8, number: u8, bytes: &[u8]) {
        let rtcp = operation & 0x80 != 0;
        match operation % 7 {
            0 => assert!(self.arrive(&mut bytes.to_vec(), rtcp).is_err(), "nobody sent this"),
            1 => {
                self.send(u32::from(number) + 1, rtcp, bytes);
                assert!(self.deliver(self.sent.len() - 1), "the newest packet is taken");
            }
            2 if self.lost == 0 => {
                self.send(u32::from(number) * 64 + 1, rtcp, bytes);
                assert!(self.deliver(self.sent.len() - 1), "the newest packet is taken");
            }
            3 if self.lost < GUESSABLE => self.send(u32::from(number) + 1, rtcp, bytes),
            4 if !self.sent.is_empty() => {
                let sent = &self.sent[usize::from(number) % self.sent.len()];
                let (mut wire, rtcp) = (sent.wire.clone(), sent.rtcp);
                let place = bytes.iter().fold(0, |sum: usize, byte| sum.wrapping_mul(7) ^ usize::from(*byte));
                let bit = place % (wire.len() * 8);
                wire[bit / 8] ^= 1 << (bit % 8);
                assert!(self.arrive(&mut wire, rtcp).is_err(), "nobody sent this");
            }
            5 if !self.sent.is_empty() => {
                self.deliver(usize::from(number) % self.sent.len());
            }
            6 => self.rekey(number),
            _ => {}
        }
        if self.sent.len() > 256 {
            self.sent.drain(..128);
        }
    }

    fn send(&mut self, gap: u32, rtcp: bool, bytes: &[u8]) {
        let mut plain = if rtcp { vec![0x80, 201, 0, 1] } else { vec![0x80, 0] };
        if rtcp {
            plain.extend([0, 0, 0, 9]);
        } else {
            self.sequence = self.sequence.wrapping_add(gap as u16);
            self.lost += gap;
            plain.extend(self.sequence.to_be_bytes());
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
        self.sent.push(Sent { plain, wire, rtcp, taken: false });
    }

    /// True when it was taken.
    fn deliver(&mut self, n: usize) -> bool {
        let (mut wire, rtcp) = (self.sent[n].wire.clone(), self.sent[n].rtcp);
        let result = self.arrive(&mut wire, rtcp);
        let sent = &mut self.sent[n];
        match result {
            Ok(length) => {
                assert!(!sent.taken, "nothing is taken twice");
                assert_eq!(wire[..length], sent.plain);
                sent.taken = true;
                if !rtcp {
                    self.lost = 0;
                }
                true
            }
            Err(rejected) => {
                assert_eq!(rejected, Rejected::Replayed, "authentic, so at most too old");
                false
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
            self.lost = 0;
            self.sent.clear();
        }
    }
}

fn keys(suite: Suite, mki: Option<Mki>, seed: u8) -> Keys {
    Keys::new(suite, &[seed; 64][..suite.master_len()], mki).expect("of the right length")
}
