//! Numbers with their unit as a type. Wire number, extended number and duration are three types; none of them derefs to the
//! raw integer, so that a conversion is always a named method.

use std::fmt;

/// Samples in a 20 ms frame at the highest [`Rate`].
pub const MAX_FRAME: usize = 960;

/// PCM samples per second, of a codec or of a conference. Not to be confused with a clock rate, which counts RTP timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Rate {
    /// 8 kHz: the telephone.
    #[default]
    Narrow,
    /// 16 kHz: wideband speech.
    Wide,
    /// 48 kHz: full band.
    Full,
}

impl Rate {
    /// All of them, from the lowest to the highest.
    pub const ALL: [Self; 3] = [Self::Narrow, Self::Wide, Self::Full];

    /// Samples per second.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Narrow => 8_000,
            Self::Wide => 16_000,
            Self::Full => 48_000,
        }
    }

    /// Samples in 20 ms.
    pub const fn frame(self) -> usize {
        self.hz() as usize / 50
    }

    /// 0, 1, 2 from the lowest to the highest: for arrays with an element per rate.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Identity of one leg for its whole life, whoever owns it at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// Identity of one conference for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConferenceId(pub u64);

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leg {}", self.0)
    }
}

impl fmt::Display for ConferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conference {}", self.0)
    }
}

/// Synchronization source of an RTP stream (RFC 3550 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ssrc(u32);

impl Ssrc {
    /// From the number on the wire.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number on the wire.
    pub const fn to_wire(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// RTP payload type, 0..=127 (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PayloadType(u8);

impl PayloadType {
    /// PCMU/8000, static (RFC 3551 table 4).
    pub const PCMU: Self = Self(0);
    /// PCMA/8000, static (RFC 3551 table 4).
    pub const PCMA: Self = Self(8);
    /// Comfort noise, static (RFC 3389).
    pub const COMFORT_NOISE: Self = Self(13);

    /// The low seven bits of `value`; the eighth bit on the wire is the marker.
    pub const fn new(value: u8) -> Self {
        Self(value & 0x7f)
    }

    /// The number on the wire, 0..=127.
    pub const fn to_wire(self) -> u8 {
        self.0
    }
}

/// RTP sequence number as on the wire; it wraps at 65,536 (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeqNo(u16);

impl SeqNo {
    /// From the number on the wire.
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// The number on the wire.
    pub const fn to_wire(self) -> u16 {
        self.0
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// How far this number is ahead of `other`, by the shorter way round: -32,768..=32,767.
    pub const fn ahead_of(self, other: Self) -> i16 {
        self.0.wrapping_sub(other.0) as i16
    }

    /// The extended number nearest to `reference` whose low bits are this number.
    pub const fn extend(self, reference: ExtSeqNo) -> ExtSeqNo {
        ExtSeqNo(reference.0.saturating_add(self.ahead_of(reference.truncate()) as i64))
    }
}

/// Sequence number extended by its wraps; it never wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtSeqNo(i64);

impl ExtSeqNo {
    /// From a count.
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// The whole number.
    pub const fn to_i64(self) -> i64 {
        self.0
    }

    /// The wire form.
    pub const fn truncate(self) -> SeqNo {
        SeqNo(self.0 as u16)
    }

    /// This number plus `packets`.
    #[must_use]
    pub const fn plus(self, packets: i64) -> Self {
        Self(self.0.saturating_add(packets))
    }

    /// Packets from `earlier` to here; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// RTP timestamp as on the wire, in clock-rate units; it wraps at 2^32 (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RtpTime(u32);

impl RtpTime {
    /// From the number on the wire.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number on the wire.
    pub const fn to_wire(self) -> u32 {
        self.0
    }

    /// This time plus `ticks` of the clock rate, wrapping.
    #[must_use]
    pub const fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    /// How far this time is ahead of `other` in clock-rate units, by the shorter way round.
    pub const fn ahead_of(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// The extended time nearest to `reference` whose low bits are this time.
    pub const fn extend(self, reference: ExtRtpTime) -> ExtRtpTime {
        ExtRtpTime(reference.0.saturating_add(self.ahead_of(reference.truncate()) as i64))
    }
}

/// RTP timestamp extended by its wraps, in clock-rate units; it never wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtRtpTime(i64);

impl ExtRtpTime {
    /// From a count of clock-rate units.
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// The whole number, in clock-rate units.
    pub const fn to_i64(self) -> i64 {
        self.0
    }

    /// The wire form.
    pub const fn truncate(self) -> RtpTime {
        RtpTime(self.0 as u32)
    }
}

/// How much audio one of our packets carries. The tick is 20 ms, so it is a multiple of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ptime {
    /// One frame per packet.
    #[default]
    Ms20,
    /// Two frames per packet.
    Ms40,
    /// Three frames per packet.
    Ms60,
}

impl Ptime {
    /// The nearest packet time we can send that is not longer than the peer's wish, and 20 ms where the wish is shorter.
    pub const fn nearest(millis: u8) -> Self {
        match millis {
            0..40 => Self::Ms20,
            40..60 => Self::Ms40,
            _ => Self::Ms60,
        }
    }

    /// Frames of 20 ms in a packet: 1, 2 or 3.
    pub const fn frames(self) -> usize {
        match self {
            Self::Ms20 => 1,
            Self::Ms40 => 2,
            Self::Ms60 => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_extends_across_the_wrap_in_both_directions() {
        for (wire, reference, extended) in [
            (5, 3, 5),
            (0, 65_535, 65_536),
            (65_535, 65_536, 65_535),
            (10, 131_070, 131_082),
            (65_530, 2, -6),
        ] {
            assert_eq!(SeqNo::new(wire).extend(ExtSeqNo::new(reference)), ExtSeqNo::new(extended));
        }
    }

    #[test]
    fn a_timestamp_extends_across_the_wrap_in_both_directions() {
        let high = i64::from(u32::MAX);
        for (wire, reference, extended) in
            [(160, 0, 160), (100, high, high + 101), (u32::MAX, high + 5, high), (u32::MAX, 3, -1)]
        {
            assert_eq!(RtpTime::new(wire).extend(ExtRtpTime::new(reference)), ExtRtpTime::new(extended));
        }
    }

    #[test]
    fn a_rate_knows_its_frame() {
        assert_eq!(Rate::ALL.map(Rate::frame), [160, 320, MAX_FRAME]);
        assert_eq!(Rate::ALL.map(Rate::index), [0, 1, 2]);
        assert!(Rate::ALL.is_sorted());
    }

    #[test]
    fn our_packet_time_is_never_longer_than_the_peers_wish_unless_it_is_below_20_ms() {
        for (wish, frames) in [(0, 1), (10, 1), (20, 1), (30, 1), (40, 2), (50, 2), (60, 3), (120, 3)] {
            assert_eq!(Ptime::nearest(wish).frames(), frames);
        }
    }
}
