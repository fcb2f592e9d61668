//! The whole transform: against the vectors of RFC 7714, against another implementation, and against the network.

mod differential;
mod network;
mod vectors;

use super::{Keys, Mki, Srtp, Suite};

/// Bytes from hexadecimal digits; spaces are for the reader.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Keys that depend on `seed` only.
fn keys(suite: Suite, seed: u8, mki: Option<Mki>) -> Keys {
    let master: Vec<u8> =
        (0..suite.master_len()).map(|n| (n as u8).wrapping_mul(29).wrapping_add(seed)).collect();
    Keys::new(suite, &master, mki).expect("of the right length")
}

/// The two ends of one direction.
fn ends(suite: Suite, mki: Option<Mki>) -> (Srtp, Srtp) {
    (Srtp::new(keys(suite, 1, mki)), Srtp::new(keys(suite, 1, mki)))
}

/// An RTP packet of 20 ms PCMU.
fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160).map(|n| (n as u8).wrapping_add(sequence as u8)));
    packet
}

/// A receiver report with one block.
fn rtcp(ssrc: u32, tag: u8) -> Vec<u8> {
    let mut packet = vec![0x81, 201, 0, 7];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([tag; 24]);
    packet
}

/// What a packet becomes on the wire.
fn sealed(sender: &mut Srtp, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + sender.keys().overhead(), 0xaa);
    let length = sender.protect(&mut buffer, packet.len()).expect("it may be sent");
    assert_eq!(length, buffer.len());
    buffer
}

fn sealed_rtcp(sender: &mut Srtp, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + sender.keys().rtcp_overhead(), 0xaa);
    let length = sender.protect_rtcp(&mut buffer, packet.len()).expect("it may be sent");
    assert_eq!(length, buffer.len());
    buffer
}

/// What a datagram becomes again.
fn opened(receiver: &mut Srtp, datagram: &[u8]) -> Result<Vec<u8>, super::Rejected> {
    let mut buffer = datagram.to_vec();
    let length = receiver.unprotect(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn opened_rtcp(receiver: &mut Srtp, datagram: &[u8]) -> Result<Vec<u8>, super::Rejected> {
    let mut buffer = datagram.to_vec();
    let length = receiver.unprotect_rtcp(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}
