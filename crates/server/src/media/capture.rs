//! Packets for the engineer's capture, where the configuration asks for it (`trace.capture_media`): each RTP packet as it is in
//! the clear, copied into a ring. Nothing is allocated for it, and nothing waits: what finds the ring full is counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mixer::{LegId, PayloadType};
use rtrb::{Consumer, Producer, RingBuffer};

/// Packets that may wait for control: a quarter of a second of 160 legs, both ways.
const RING: usize = 4096;
/// Bytes of a packet that are kept: 60 ms of G.711 with the longest header.
pub const KEPT: usize = 560;
/// Octets of an event in a packet of keys; there may be several (RFC 4733 section 2.3).
const EVENT: usize = 4;

/// One packet.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Whose.
    pub leg: LegId,
    /// When it came, or left.
    pub at: Instant,
    /// Towards us, or away from us.
    pub ingress: bool,
    /// Our RTP address.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// How long it was; more than [`KEPT`] where not all of it is here.
    pub length: usize,
    bytes: [u8; KEPT],
}

impl Packet {
    /// The packet, or its beginning.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length.min(KEPT)]
    }
}

/// The thread's end.
#[derive(Debug)]
pub struct Capture {
    packets: Producer<Packet>,
    dropped: Arc<AtomicU64>,
}

/// Control's end.
#[derive(Debug)]
pub struct Captured {
    packets: Consumer<Packet>,
    dropped: Arc<AtomicU64>,
}

/// Both ends.
pub fn capture() -> (Capture, Captured) {
    let (into, out) = RingBuffer::new(RING);
    let dropped = Arc::new(AtomicU64::new(0));
    (Capture { packets: into, dropped: Arc::clone(&dropped) }, Captured { packets: out, dropped })
}

/// What is known of a packet beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Whose.
    pub leg: LegId,
    /// When.
    pub at: Instant,
    /// Towards us.
    pub ingress: bool,
    /// Our address and the peer's; without a peer nothing is noted.
    pub ends: Option<(SocketAddr, SocketAddr)>,
    /// What keys come as: which key it was is not kept.
    pub keys: Option<PayloadType>,
}

impl Capture {
    /// Copies a packet; what is no RTP is passed over, since nobody could say what in it is a key.
    pub fn note(&mut self, about: About, packet: &[u8]) {
        let Some((local, remote)) = about.ends else { return };
        let Ok(parsed) = mixer::rtp::Packet::parse(packet) else { return };
        let mut bytes = [0; KEPT];
        let kept = packet.len().min(KEPT);
        bytes[..kept].copy_from_slice(&packet[..kept]);
        if Some(parsed.payload_type()) == about.keys {
            // Conference IDs and PINs are keyed. Four octets an event, the first says which key (RFC 4733 sections 2.3 and
            // 2.5.1.5); 255 is none (section 3).
            let payload = bytes.iter_mut().skip(parsed.payload_at()).take(parsed.payload().len());
            payload.step_by(EVENT).for_each(|key| *key = 0xff);
        }
        let About { leg, at, ingress, .. } = about;
        let packet = Packet { leg, at, ingress, local, remote, length: packet.len(), bytes };
        if self.packets.push(packet).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Captured {
    /// The next packet.
    pub fn poll(&mut self) -> Option<Packet> {
        self.packets.pop().ok()
    }

    /// Packets that were never here: the ring was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        About {
            leg: LegId(7),
            at: Instant::now(),
            ingress: true,
            ends: Some((address(20_000), address(30_000))),
            keys: Some(PayloadType::new(101)),
        }
    }

    fn rtp(payload_type: u8, payload: &[u8]) -> Vec<u8> {
        [&[0x80, payload_type, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3][..], payload].concat()
    }

    #[test]
    fn a_packet_comes_out_as_it_went_in_but_for_which_key_was_pressed() {
        let (mut into, mut out) = capture();
        let (speech, key) = (rtp(8, &[0xd5; 160]), rtp(101, &[5, 0x8a, 3, 0x20]));
        into.note(about(), &speech);
        into.note(about(), &key);
        into.note(About { ends: None, ..about() }, &speech);
        assert_eq!(out.poll().map(|packet| packet.bytes().to_vec()), Some(speech));
        assert_eq!(out.poll().map(|packet| packet.bytes().to_vec()), Some(rtp(101, &[0xff, 0x8a, 3, 0x20])));
        assert!(out.poll().is_none(), "there was nobody to send it to");
    }

    #[test]
    fn which_key_was_pressed_is_left_out_wherever_the_payload_is() {
        let (sources, extension) = ([[9; 4], [8; 4]].concat(), [0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        let (seven, five) = ([7, 0x8a, 3, 0x20], [5, 0x8a, 3, 0x20]);
        let (masked, padding) = ([0xff, 0x8a, 3, 0x20], [6, 6, 6, 6, 6, 6]);
        // (the first octet of the header, what is before the payload, the payload, what is kept of it, what is behind it)
        for (first, before, keyed, kept, behind) in [
            (0x80, vec![], seven.to_vec(), masked.to_vec(), vec![]),
            (0xa0, vec![], seven.to_vec(), masked.to_vec(), padding.to_vec()),
            (0x90, extension.to_vec(), seven.to_vec(), masked.to_vec(), vec![]),
            (0x82, sources.clone(), seven.to_vec(), masked.to_vec(), vec![]),
            (0xa2, sources.clone(), seven.to_vec(), masked.to_vec(), padding.to_vec()),
            (0xb2, [&sources[..], &extension].concat(), seven.to_vec(), masked.to_vec(), padding.to_vec()),
            (0xa0, vec![], [seven, five].concat(), [masked, masked].concat(), padding.to_vec()),
            (0x80, vec![], vec![7], vec![0xff], vec![]),
            (0x80, vec![], vec![], vec![], vec![]),
        ] {
            let whole = |payload: &[u8]| {
                let mut packet = rtp(101, &[&before, payload, &behind].concat());
                packet[0] = first;
                packet
            };
            let (mut into, mut out) = capture();
            into.note(about(), &whole(&keyed));
            let packet = out.poll().expect("a packet");
            assert_eq!(packet.bytes(), whole(&kept), "{first:#x} {keyed:?}");
        }
    }

    #[test]
    fn a_key_at_the_edge_of_what_is_kept_is_left_out_too() {
        for room in 0..6 {
            let words = (KEPT - 16 - room) / 4;
            let mut key = rtp(101, &[0xbe, 0xde, (words >> 8) as u8, words as u8]);
            key[0] = 0x90;
            key.resize(16 + words * 4, 0);
            key.extend([[7, 0x8a, 3, 0x20], [7, 0x8a, 3, 0x20]].concat());
            let (mut into, mut out) = capture();
            into.note(about(), &key);
            let packet = out.poll().expect("a packet");
            assert!(!packet.bytes()[12..].contains(&7), "{:?}", packet.bytes());
        }
    }

    #[test]
    fn what_cannot_be_taken_apart_is_not_kept() {
        let (mut into, mut out) = capture();
        let mut key = rtp(101, &[7, 0x8a, 3, 0x20]);
        key[0] = 0xa0; // its last octet would be 32 octets of padding
        into.note(about(), &key);
        into.note(about(), &[0x80; 5]);
        assert!(out.poll().is_none());
        assert_eq!(out.dropped(), 0);
    }

    #[test]
    fn who_does_not_read_costs_packets_and_no_wait_and_a_giant_is_cut() {
        let (mut into, mut out) = capture();
        for _ in 0..RING + 3 {
            into.note(about(), &rtp(8, &[0; 1400]));
        }
        assert_eq!(out.dropped(), 3);
        let first = out.poll().expect("a packet");
        assert_eq!((first.length, first.bytes().len()), (1412, KEPT));
    }
}
