//! HEP version 3: one SIP message as one datagram for Homer, heplify-server or `sngrep -L`.
//!
//! `HEP3`, the length of all, then chunks of vendor, type, length and payload, all big endian (the "HEP3 Network Protocol
//! Specification", revision 36).

use std::net::IpAddr;
use std::time::SystemTime;

use sip::Transport;

use super::mask::masked;
use super::{Passage, call_id};

/// The largest payload of a UDP datagram.
const DATAGRAM: usize = 65_507;
/// What is ahead of the first chunk.
const HEAD: usize = 6;

/// The chunk types of vendor 0 that are written.
mod chunk {
    pub(super) const FAMILY: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const SOURCE_4: u16 = 3;
    pub(super) const DESTINATION_4: u16 = 4;
    pub(super) const SOURCE_6: u16 = 5;
    pub(super) const DESTINATION_6: u16 = 6;
    pub(super) const SOURCE_PORT: u16 = 7;
    pub(super) const DESTINATION_PORT: u16 = 8;
    pub(super) const SECONDS: u16 = 9;
    pub(super) const MICROSECONDS: u16 = 10;
    pub(super) const KIND: u16 = 11;
    pub(super) const CAPTURE_ID: u16 = 12;
    pub(super) const PASSWORD: u16 = 14;
    pub(super) const PAYLOAD: u16 = 15;
    pub(super) const CORRELATION: u16 = 17;
}

/// SIP, among the kinds of payload.
const SIP: u8 = 1;

/// Who says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// `capture_id`: which of the collector's sources this bridge is.
    pub capture_id: u32,
    /// What the collector may ask for; at most 255 bytes.
    pub password: Option<String>,
}

/// One datagram, the message in it masked, correlated by its Call-ID; `None` for a message that no datagram can hold.
pub(super) fn packet(message: &Passage, sender: &Sender) -> Option<Vec<u8>> {
    let (from, to) = message.ends();
    let since = message.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut out = b"HEP3\0\0".to_vec();
    let (family, source, destination) = if from.is_ipv4() {
        (2, chunk::SOURCE_4, chunk::DESTINATION_4)
    } else {
        (10, chunk::SOURCE_6, chunk::DESTINATION_6)
    };
    // TLS is told as the TCP that carries it.
    let protocol = if message.flow.transport == Transport::Udp { 17 } else { 6 };
    put(&mut out, chunk::FAMILY, &[family]);
    put(&mut out, chunk::PROTOCOL, &[protocol]);
    put(&mut out, source, &octets(from.ip()));
    put(&mut out, destination, &octets(to.ip()));
    put(&mut out, chunk::SOURCE_PORT, &from.port().to_be_bytes());
    put(&mut out, chunk::DESTINATION_PORT, &to.port().to_be_bytes());
    put(&mut out, chunk::SECONDS, &(since.as_secs() as u32).to_be_bytes());
    put(&mut out, chunk::MICROSECONDS, &since.subsec_micros().to_be_bytes());
    put(&mut out, chunk::KIND, &[SIP]);
    put(&mut out, chunk::CAPTURE_ID, &sender.capture_id.to_be_bytes());
    if let Some(password) = &sender.password {
        put(&mut out, chunk::PASSWORD, password.as_bytes());
    }
    let correlation = call_id(&message.bytes).unwrap_or_default();
    let more = correlation.len() + message.bytes.len() + 2 * HEAD;
    if out.len() + more > DATAGRAM {
        return None;
    }
    if !correlation.is_empty() {
        put(&mut out, chunk::CORRELATION, &correlation);
    }
    put(&mut out, chunk::PAYLOAD, &masked(&message.bytes));
    let length = (out.len() as u16).to_be_bytes();
    out[4..6].copy_from_slice(&length);
    Some(out)
}

fn put(out: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&((payload.len() + HEAD) as u16).to_be_bytes());
    out.extend_from_slice(payload);
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sip::Flow;

    use super::*;

    fn passage(transport: Transport, local: &str, remote: &str, text: &str) -> Passage {
        Passage {
            at: SystemTime::UNIX_EPOCH + Duration::from_micros(0x0102_0304 * 1_000_000 + 5),
            ingress: true,
            flow: Flow {
                transport,
                local: local.parse().unwrap(),
                remote: remote.parse().unwrap(),
                connection: 0,
            },
            bytes: text.to_owned().into(),
        }
    }

    #[test]
    fn a_message_is_the_packet_that_the_specification_says() {
        let sender = Sender { capture_id: 2001, password: Some("pw".to_owned()) };
        let message = passage(Transport::Udp, "127.0.0.1:5060", "192.0.2.9:5061", "A\r\ni:x\r\n\r\n");
        // By hand, chunk by chunk.
        let chunks: [&[u8]; 13] = [
            b"HEP3\0\x7c",
            b"\0\0\0\x01\0\x07\x02",
            b"\0\0\0\x02\0\x07\x11",
            b"\0\0\0\x03\0\x0a\xc0\x00\x02\x09",
            b"\0\0\0\x04\0\x0a\x7f\x00\x00\x01",
            b"\0\0\0\x07\0\x08\x13\xc5",
            b"\0\0\0\x08\0\x08\x13\xc4",
            b"\0\0\0\x09\0\x0a\x01\x02\x03\x04\0\0\0\x0a\0\x0a\0\0\0\x05",
            b"\0\0\0\x0b\0\x07\x01",
            b"\0\0\0\x0c\0\x0a\0\0\x07\xd1",
            b"\0\0\0\x0e\0\x08pw",
            b"\0\0\0\x11\0\x07x",
            b"\0\0\0\x0f\0\x10A\r\ni:x\r\n\r\n",
        ];
        assert_eq!(packet(&message, &sender), Some(chunks.concat()));
    }

    #[test]
    fn tls_is_told_as_tcp_and_secrets_are_masked() {
        let sender = Sender { capture_id: 1, password: None };
        let text = "A\r\nAuthorization: Digest response=\"secret\"\r\n\r\n";
        let message = passage(Transport::Tls, "[2001:db8::1]:5061", "[2001:db8::2]:4", text);
        let packet = packet(&message, &sender).unwrap();
        assert_eq!(packet[6..20], *b"\0\0\0\x01\0\x07\x0a\0\0\0\x02\0\x07\x06");
        assert!(!packet.windows(6).any(|part| part == b"secret"));
    }

    #[test]
    fn what_no_datagram_can_hold_is_not_sent() {
        let sender = Sender { capture_id: 1, password: None };
        let message = |length| passage(Transport::Tcp, "127.0.0.1:1", "127.0.0.1:2", &"x".repeat(length));
        assert_eq!(packet(&message(65_536), &sender), None);
        assert!(packet(&message(65_000), &sender).is_some_and(|packet| packet.len() <= DATAGRAM));
    }
}
