//! A capture file of SIP messages, written from inside: what tcpdump would have seen, without its rights and, over TLS, with
//! what it could not have read.
//!
//! The classic format (magic a1b2c3d4, microseconds) with raw IP packets (link type 101). A datagram is a UDP packet; what
//! went over a stream, encrypted or not, is TCP segments whose sequence numbers continue in each direction. Addresses and
//! ports are the real ones. Of an RTP packet that was cut in memory the beginning is here, with the lengths of the whole.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use sip::Transport;

use super::{Passage, Sound};

/// Raw IPv4 or IPv6, told apart by the version.
const LINK_RAW: u32 = 101;
const SNAP: u32 = 262_144;
/// The payload of one UDP datagram over IPv4.
const DATAGRAM: usize = 65_507;
/// The payload of one TCP segment; a message that is longer takes several.
const SEGMENT: usize = 32 * 1024;
const UDP: u8 = 17;
const TCP: u8 = 6;

/// The whole file.
pub fn write<'a>(messages: impl IntoIterator<Item = &'a Passage>) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, SNAP, LINK_RAW] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    let mut streams = HashMap::new();
    for message in messages {
        frames(&mut out, message, &mut streams);
    }
    out
}

/// The whole file of a call: its messages, and its RTP packets between them, each as a datagram.
pub fn write_call(messages: &[Passage], sounds: &[Sound]) -> Vec<u8> {
    let mut out = write(&[]);
    let mut streams = HashMap::new();
    let mut sounds = sounds.iter().peekable();
    for message in messages {
        while let Some(sound) = sounds.next_if(|sound| sound.at < message.at) {
            datagram(&mut out, sound);
        }
        frames(&mut out, message, &mut streams);
    }
    sounds.for_each(|sound| datagram(&mut out, sound));
    out
}

fn datagram(out: &mut Vec<u8>, sound: &Sound) {
    let (from, to) = if sound.ingress { (sound.remote, sound.local) } else { (sound.local, sound.remote) };
    let missing = sound.length.min(DATAGRAM).saturating_sub(sound.bytes.len());
    record(out, sound.at, (from, to), UDP, &udp(from, to, &sound.bytes, missing), missing);
}

/// The next sequence number of each direction of a stream.
type Streams = HashMap<(SocketAddr, SocketAddr), u32>;

fn frames(out: &mut Vec<u8>, message: &Passage, streams: &mut Streams) {
    let (from, to) = message.ends();
    if message.flow.transport == Transport::Udp {
        let payload = &message.bytes[..message.bytes.len().min(DATAGRAM)];
        return record(out, message.at, (from, to), UDP, &udp(from, to, payload, 0), 0);
    }
    for part in message.bytes.chunks(SEGMENT) {
        let acknowledged = *streams.entry((to, from)).or_insert(1);
        let sequence = streams.entry((from, to)).or_insert(1);
        let segment = tcp(from, to, *sequence, acknowledged, part);
        *sequence = sequence.wrapping_add(part.len() as u32);
        record(out, message.at, (from, to), TCP, &segment, 0);
    }
}

/// `missing` octets of the payload are not here.
fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8], missing: usize) -> Vec<u8> {
    let length = (payload.len() + missing + 8) as u16;
    let mut packet = Vec::with_capacity(payload.len() + 8);
    for field in [from.port(), to.port(), length, 0] {
        packet.extend_from_slice(&field.to_be_bytes());
    }
    packet.extend_from_slice(payload);
    if missing > 0 && from.is_ipv4() && to.is_ipv4() {
        // RFC 768: none. What is not here cannot be summed up.
        return packet;
    }
    // Over IPv6 "none" would be wrong (RFC 8200 section 8.1), so what is missing counts as zeros: of a packet that was cut
    // nobody can check it.
    let sum = transport_checksum(from, to, UDP, &packet, missing);
    // RFC 768: a sum of zero is sent as all ones; zero means none.
    packet[6..8].copy_from_slice(&(if sum == 0 { 0xffff } else { sum }).to_be_bytes());
    packet
}

fn tcp(from: SocketAddr, to: SocketAddr, sequence: u32, acknowledged: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(payload.len() + 20);
    packet.extend_from_slice(&from.port().to_be_bytes());
    packet.extend_from_slice(&to.port().to_be_bytes());
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&acknowledged.to_be_bytes());
    // Five words of header; PSH and ACK; a full window; no checksum yet, nothing urgent.
    packet.extend_from_slice(&[0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend_from_slice(payload);
    let sum = transport_checksum(from, to, TCP, &packet, 0);
    packet[16..18].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// From where and to where `ends`; `missing` octets are behind the payload and not here.
fn record(
    out: &mut Vec<u8>,
    at: SystemTime,
    ends: (SocketAddr, SocketAddr),
    protocol: u8,
    payload: &[u8],
    missing: usize,
) {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let packet = ip(ends.0.ip(), ends.1.ip(), protocol, payload, missing);
    let (kept, length) = (packet.len() as u32, (packet.len() + missing) as u32);
    for word in [since.as_secs() as u32, since.subsec_micros(), kept, length] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&packet);
}

fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8], missing: usize) -> Vec<u8> {
    let mut packet = Vec::with_capacity(payload.len() + 40);
    if let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) {
        let length = ((payload.len() + missing + 20) as u16).to_be_bytes();
        packet.extend_from_slice(&[0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, protocol, 0, 0]);
        packet.extend_from_slice(&from.octets());
        packet.extend_from_slice(&to.octets());
        let sum = fold(add(0, &packet));
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        let length = ((payload.len() + missing) as u16).to_be_bytes();
        packet.extend_from_slice(&[0x60, 0, 0, 0, length[0], length[1], protocol, 64]);
        packet.extend_from_slice(&octets(from));
        packet.extend_from_slice(&octets(to));
    }
    packet.extend_from_slice(payload);
    packet
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// Over the pseudo header, the header and the payload with `missing` zeros behind it (RFC 1071, RFC 8200 section 8.1).
fn transport_checksum(from: SocketAddr, to: SocketAddr, protocol: u8, packet: &[u8], missing: usize) -> u16 {
    let sum = add(add(0, &octets(from.ip())), &octets(to.ip()));
    fold(add(sum + u64::from(protocol) + (packet.len() + missing) as u64, packet))
}

fn add(sum: u64, bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    sum + bytes.chunks(2).map(word).sum::<u64>()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sip::Flow;

    use super::*;

    fn passage(
        transport: Transport,
        ingress: bool,
        local: &str,
        remote: &str,
        text: &'static str,
    ) -> Passage {
        Passage {
            at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456),
            ingress,
            flow: Flow {
                transport,
                local: local.parse().unwrap(),
                remote: remote.parse().unwrap(),
                connection: 0,
            },
            bytes: text.as_bytes().into(),
        }
    }

    #[test]
    fn a_datagram_is_the_packet_that_was_on_the_wire() {
        // Written by hand after RFC 791 and RFC 768; both checksums worked out on paper.
        let file = write([&passage(Transport::Udp, true, "127.0.0.1:5060", "127.0.0.2:5061", "AB")]);
        let mut expected =
            vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
        expected
            .extend_from_slice(&[0x00, 0xf1, 0x53, 0x65, 0x40, 0xe2, 0x01, 0x00, 30, 0, 0, 0, 30, 0, 0, 0]);
        expected.extend_from_slice(&[
            0x45, 0, 0, 30, 0, 0, 0x40, 0, 64, 17, 0x3c, 0xcc, 127, 0, 0, 2, 127, 0, 0, 1,
        ]);
        expected.extend_from_slice(&[0x13, 0xc5, 0x13, 0xc4, 0, 10, 0x99, 0x0b, b'A', b'B']);
        assert_eq!(file, expected);
    }

    #[test]
    fn a_stream_goes_on_in_both_directions_and_a_long_message_takes_several_segments() {
        let long: &'static str = "x".repeat(SEGMENT + 5).leak();
        let one = |ingress, text| {
            passage(Transport::Tls, ingress, "[2001:db8::1]:5061", "[2001:db8::2]:40000", text)
        };
        let file = write([&one(true, long), &one(false, "abc"), &one(true, "d")]);
        let (mut at, mut seen) = (24, Vec::new());
        while at < file.len() {
            let length = u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
            let packet = &file[at + 16..at + 16 + length];
            let number = |from: usize| u32::from_be_bytes(packet[from..from + 4].try_into().unwrap());
            assert_eq!((packet[0], packet[6]), (0x60, TCP));
            seen.push((number(44), number(48), length - 60));
            at += 16 + length;
        }
        let (after, end) = (SEGMENT as u32 + 1, SEGMENT as u32 + 6);
        assert_eq!(seen, [(1, 1, SEGMENT), (after, 1, 5), (1, end, 3), (end, 4, 1)]);
    }

    #[test]
    fn a_packet_that_was_cut_says_how_long_it_was_and_has_no_checksum_that_would_be_wrong() {
        let cut = |local: &str, remote: &str| {
            let sound = Sound {
                at: SystemTime::UNIX_EPOCH,
                ingress: true,
                local: local.parse().unwrap(),
                remote: remote.parse().unwrap(),
                length: 1412,
                bytes: vec![0x80; 560].into(),
            };
            let file = write_call(&[], &[sound]);
            let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            (word(32), word(36), file[40..].to_vec())
        };
        let (here, length, packet) = cut("127.0.0.1:20000", "127.0.0.2:30000");
        assert_eq!((here, length, packet.len()), (588, 1440, 588));
        assert_eq!(packet[2..4], 1440_u16.to_be_bytes(), "the length of IP");
        assert_eq!(fold(add(0, &packet[..20])), 0, "the header's own sum is right");
        assert_eq!(packet[24..26], 1420_u16.to_be_bytes(), "the length of UDP");
        assert_eq!(packet[26..28], [0, 0], "no checksum (RFC 768)");
        let (here, length, packet) = cut("[2001:db8::1]:20000", "[2001:db8::2]:30000");
        assert_eq!((here, length, packet.len()), (608, 1460, 608));
        assert_eq!(packet[4..6], 1420_u16.to_be_bytes(), "the payload of IP");
        assert_eq!(packet[44..46], 1420_u16.to_be_bytes(), "the length of UDP");
        assert_ne!(packet[46..48], [0, 0], "over IPv6 there is always a checksum (RFC 8200 section 8.1)");
    }

    #[test]
    fn addresses_of_two_families_become_one() {
        let file = write([&passage(Transport::Udp, false, "[::]:5060", "192.0.2.1:5060", "A")]);
        assert_eq!(file[40], 0x60);
        assert_eq!(file[40 + 24..40 + 40], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
    }
}
