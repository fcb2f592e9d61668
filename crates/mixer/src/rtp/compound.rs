//! RTCP as bytes (RFC 3550 section 6): a compound packet that arrived, checked as a whole and read where it lies, and the packets
//! that we send, written into memory of fixed size. Nothing here allocates, because both happen on a media thread.
//!
//! Guarantee: [`Compound::parse`] never panics and looks at every byte at most twice; what it accepts, `rtc-rtcp` reads the same
//! way. The tests below and the fuzz target `rtcp` try to break this.

use std::ops::Deref;

use thiserror::Error;

use super::reception::ReceptionBlock;
use crate::srtp::MAX_RTCP_OVERHEAD;
use crate::units::Ssrc;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

/// The item of a description that is the canonical name (section 6.5.1), and the longest text of an item.
const CNAME: u8 = 1;
const MAX_TEXT: usize = 255;

/// Bytes of the header of each packet, of a sender's own part of its report, and of a report block.
const HEADER: usize = 4;
const SENDER: usize = 24;
const BLOCK: usize = 24;

/// The marks of a version and of padding in the first byte.
const VERSION: u8 = 2;
const PADDED: u8 = 0x20;

/// Why a datagram is not RTCP. It is dropped and counted, whole: nothing of it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MalformedRtcp {
    /// No bytes.
    #[error("the datagram is empty")]
    Empty,
    /// Version other than 2.
    #[error("RTCP version {0} instead of 2")]
    Version(u8),
    /// The check of appendix A.2: what the headers say is not what came.
    #[error("the lengths of the RTCP packets do not add up to that of the datagram")]
    Length,
    /// Padding of length zero, longer than its packet, or elsewhere than in the last one (section 6.4.1).
    #[error("the RTCP padding is empty, too long, or not at the end")]
    Padding,
    /// A packet of this type announces more reports, sources or text than it has bytes for.
    #[error("an RTCP packet of type {0} is too short for what it announces")]
    Short(u8),
}

/// A checked view of a compound RTCP packet. It need not begin with a report: a packet of reduced size (RFC 5506) does not, and
/// nothing that is read here could do harm.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'a> {
    datagram: &'a [u8],
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Section 6.4.1: `ntp` is when the sender sent it, in 32.32 fixed point.
    SenderReport {
        /// The time of day at the sender.
        ntp: u64,
        /// What it receives.
        blocks: Blocks<'a>,
    },
    /// Section 6.4.2.
    ReceiverReport {
        /// What it receives.
        blocks: Blocks<'a>,
    },
    /// Section 6.6.
    Goodbye {
        /// Who leaves.
        sources: Sources<'a>,
    },
    /// A packet of any other type, by its number: descriptions, feedback and extended reports say nothing that we act on.
    Other(u8),
}

/// The blocks of a report; at most 31.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a>(&'a [[u8; BLOCK]]);

/// The sources of a goodbye; at most 31.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a>(&'a [[u8; 4]]);

/// A block of a report (section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// What was received.
    pub reception: ReceptionBlock,
    /// The middle 32 bits of the NTP time in the latest sender report; zero without one.
    pub last_report: u32,
    /// How long ago that came, in 1/65536 s.
    pub delay: u32,
}

impl<'a> Compound<'a> {
    /// Checks the whole datagram once: versions, lengths, padding, and that each packet holds what it announces.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, MalformedRtcp> {
        if datagram.is_empty() {
            return Err(MalformedRtcp::Empty);
        }
        let mut rest = datagram;
        while !rest.is_empty() {
            (_, rest) = next(rest)?;
        }
        Ok(Self { datagram })
    }

    /// Its packets, in order.
    pub fn parts(self) -> impl Iterator<Item = Part<'a>> {
        let mut rest = self.datagram;
        std::iter::from_fn(move || {
            let (part, after) = next(rest).ok()?; // it was checked; at the end there is none
            rest = after;
            Some(part)
        })
    }
}

impl<'a> Blocks<'a> {
    fn first(count: usize, of: &'a [u8]) -> Option<Self> {
        of.as_chunks().0.get(..count).map(Self)
    }

    /// All of them.
    pub fn iter(self) -> impl ExactSizeIterator<Item = ReportBlock> + use<'a> {
        self.0.iter().map(ReportBlock::read)
    }
}

impl<'a> Sources<'a> {
    /// All of them.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Ssrc> + use<'a> {
        self.0.iter().map(|source| Ssrc::new(u32::from_be_bytes(*source)))
    }
}

impl ReportBlock {
    fn read(bytes: &[u8; BLOCK]) -> Self {
        Self {
            reception: ReceptionBlock {
                ssrc: Ssrc::new(word(bytes, 0)),
                fraction_lost: bytes[4],
                total_lost: word(bytes, 1) & 0x00ff_ffff,
                highest: word(bytes, 2),
                jitter: word(bytes, 3),
            },
            last_report: word(bytes, 4),
            delay: word(bytes, 5),
        }
    }
}

/// The first packet of what is left of a datagram, and what follows it.
fn next(rest: &[u8]) -> Result<(Part<'_>, &[u8]), MalformedRtcp> {
    let [first, kind, high, low] = *rest.first_chunk().ok_or(MalformedRtcp::Length)?;
    if first >> 6 != VERSION {
        return Err(MalformedRtcp::Version(first >> 6));
    }
    let length = HEADER + 4 * usize::from(u16::from_be_bytes([high, low]));
    let (packet, after) = rest.split_at_checked(length).ok_or(MalformedRtcp::Length)?;
    let mut body = &packet[HEADER..];
    if first & PADDED != 0 {
        let padding = body.last().map(|count| usize::from(*count)).filter(|count| *count > 0);
        let kept = padding.filter(|_| after.is_empty()).and_then(|count| body.len().checked_sub(count));
        body = &body[..kept.ok_or(MalformedRtcp::Padding)?];
    }
    let part = part(kind, usize::from(first & 0x1f), body).ok_or(MalformedRtcp::Short(kind))?;
    Ok((part, after))
}

/// A packet from what follows its header, without padding; what follows the blocks of a report is an extension of some profile.
fn part(kind: u8, count: usize, body: &[u8]) -> Option<Part<'_>> {
    Some(match kind {
        SENDER_REPORT => {
            let (sender, blocks) = body.split_first_chunk::<SENDER>()?;
            let ntp = u64::from(word(sender, 1)) << 32 | u64::from(word(sender, 2));
            Part::SenderReport { ntp, blocks: Blocks::first(count, blocks)? }
        }
        RECEIVER_REPORT => Part::ReceiverReport { blocks: Blocks::first(count, body.get(4..)?)? },
        GOODBYE => {
            let (sources, reason) = body.split_at_checked(4 * count)?;
            if let Some((length, text)) = reason.split_first() {
                text.get(..usize::from(*length))?;
            }
            Part::Goodbye { sources: Sources(sources.as_chunks().0) }
        }
        other => Part::Other(other),
    })
}

/// A word of 32 bits by its number; zero behind the end.
fn word(bytes: &[u8], number: usize) -> u32 {
    bytes.as_chunks().0.get(number).map_or(0, |word| u32::from_be_bytes(*word))
}

/// Room for the longest compound packet of ours: a sender report with one block and our description, as SRTCP.
const ROOM: usize = HEADER + SENDER + BLOCK + DESCRIBED + MAX_RTCP_OVERHEAD;

/// Bytes of a description with the longest name.
const DESCRIBED: usize = HEADER + chunk(MAX_TEXT);

/// Bytes of a description's chunk with a name of this length: the source, the item, and zeros up to the next word, at least one.
const fn chunk(name: usize) -> usize {
    (4 + 2 + name + 1).next_multiple_of(4)
}

/// A compound packet of ours, in the clear or as SRTCP, in memory of its own.
#[derive(Clone, Debug)]
pub struct RtcpPacket {
    bytes: [u8; ROOM],
    length: usize,
}

/// What a sender says about itself in a report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    pub(super) ntp: u64,
    pub(super) timestamp: u32,
    pub(super) packets: u32,
    pub(super) octets: u32,
}

impl RtcpPacket {
    /// A report of `ssrc`, a sender's or a receiver's, and its name, of which 255 bytes are sent at most.
    pub(super) fn report(
        ssrc: Ssrc,
        sender: Option<Sender>,
        block: Option<ReportBlock>,
        cname: &str,
    ) -> Self {
        let mut packet = Self { bytes: [0; ROOM], length: 0 };
        let blocks = if block.is_some() { BLOCK } else { 0 };
        let count = u8::from(block.is_some());
        if let Some(sender) = sender {
            packet.begin(SENDER_REPORT, count, SENDER + blocks);
            packet.words(&[ssrc.to_wire(), (sender.ntp >> 32) as u32, sender.ntp as u32]);
            packet.words(&[sender.timestamp, sender.packets, sender.octets]);
        } else {
            packet.begin(RECEIVER_REPORT, count, 4 + blocks);
            packet.words(&[ssrc.to_wire()]);
        }
        if let Some(ReportBlock { reception, last_report, delay }) = block {
            let lost = u32::from(reception.fraction_lost) << 24 | reception.total_lost & 0x00ff_ffff;
            packet.words(&[reception.ssrc.to_wire(), lost, reception.highest, reception.jitter]);
            packet.words(&[last_report, delay]);
        }
        packet.describe(ssrc, cname);
        packet
    }

    /// A goodbye of `ssrc`, behind an empty report and its name, as a compound has to begin (section 6.1).
    pub(super) fn goodbye(ssrc: Ssrc, cname: &str) -> Self {
        let mut packet = Self::report(ssrc, None, None, cname);
        packet.begin(GOODBYE, 1, 4);
        packet.words(&[ssrc.to_wire()]);
        packet
    }

    /// Protects it in place; `by` gets room behind it and says how long it is then. False, and nothing is left of it, where that
    /// is refused.
    pub(crate) fn protect<E>(&mut self, by: impl FnOnce(&mut [u8], usize) -> Result<usize, E>) -> bool {
        self.length = by(&mut self.bytes, self.length).unwrap_or(0);
        self.length > 0
    }

    fn describe(&mut self, ssrc: Ssrc, cname: &str) {
        let text = &cname.as_bytes()[..cname.len().min(MAX_TEXT)];
        self.begin(DESCRIPTION, 1, chunk(text.len()));
        let end = self.length + chunk(text.len());
        self.words(&[ssrc.to_wire()]);
        self.push(&[CNAME, text.len() as u8]);
        self.push(text);
        self.length = end; // the rest is zeros
    }

    /// The header of a packet with so many bytes behind it, a multiple of four.
    fn begin(&mut self, kind: u8, count: u8, body: usize) {
        let [high, low] = ((body / 4) as u16).to_be_bytes();
        self.push(&[VERSION << 6 | count, kind, high, low]);
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.push(&word.to_be_bytes());
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        // There is room for the longest: see `ROOM`.
        self.bytes[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

impl Deref for RtcpPacket {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests;
