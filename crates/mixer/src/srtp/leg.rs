//! SRTP of one leg, both directions: what stands between its sockets and its streams, and how it changes keys.

use std::fmt;
use std::time::{Duration, Instant};

use super::{Keys, Rejected, Rejections, Rekeyed, Srtp};
use crate::rtp::RtcpPacket;

/// The largest datagram that is taken or sent.
const DATAGRAM: usize = 1_500;

/// How long packets under the old key are taken after a change of keys, unless one under the new key comes first.
///
/// The peer changes its key when it has our answer. What it sent before that is still on its way, and our answer may be lost: a
/// 200 is repeated after 0.5, 1.5 and 3.5 s (RFC 3261 section 13.3.1.4). Without a grace every change of keys would be a gap.
/// With it nobody can do anything that he could not do before: who knows the old key is the peer.
pub const GRACE: Duration = Duration::from_secs(4);

/// The keys of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpConfig {
    /// Of what arrives: the peer's.
    pub ingress: Keys,
    /// Of what leaves: ours.
    pub egress: Keys,
}

/// Figures of the SRTP of a leg since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SrtpStats {
    /// What arrived and was not taken.
    pub rejected: Rejections,
    /// Packets of ours that could not be sent: the key has come to the end of its life.
    pub refused: u64,
}

/// SRTP of one leg. Control builds it whole, in a box, for each offer and answer; the leg takes over from the one before what
/// the keys allow.
pub struct LegSrtp {
    ingress: Srtp,
    egress: Srtp,
    /// What was before, while its key of ingress is still good.
    former: Option<(Box<Self>, Instant)>,
    /// What arrived, decrypted. The datagram itself stays as it came, so that another key can be tried.
    arrived: [u8; DATAGRAM],
    /// How much of it the last packet was that was taken.
    opened: usize,
    /// What leaves, encrypted.
    leaving: [u8; DATAGRAM],
    /// Bytes of the packet of this tick; zero without one.
    ready: usize,
    refused: u64,
}

impl LegSrtp {
    /// Derives the session keys of both directions. Allocates: not for the tick.
    pub fn new(config: SrtpConfig) -> Box<Self> {
        Box::new(Self {
            ingress: Srtp::new(config.ingress),
            egress: Srtp::new(config.egress),
            former: None,
            arrived: [0; DATAGRAM],
            opened: 0,
            leaving: [0; DATAGRAM],
            ready: 0,
            refused: 0,
        })
    }

    /// Figures since the leg was made.
    pub fn stats(&self) -> SrtpStats {
        SrtpStats { rejected: self.ingress.rejections(), refused: self.refused }
    }

    /// Takes over from the SRTP before it, at `now`. A box that is not needed any more comes back, to be freed where that does
    /// not hurt.
    pub(crate) fn succeed(&mut self, now: Instant, mut former: Box<Self>) -> Option<Box<Self>> {
        let rekeyed = self.ingress.inherit(&former.ingress);
        self.egress.inherit(&former.egress);
        self.refused = former.refused;
        let before = former.former.take();
        match rekeyed {
            Rekeyed::Kept => {
                self.former = before;
                Some(former)
            }
            Rekeyed::Renewed => {
                self.former = Some((former, now + GRACE));
                before.map(|(before, _)| before)
            }
        }
    }

    /// True when there is one before it whose key is not good any more.
    pub(crate) fn is_former_over(&self, now: Instant) -> bool {
        self.former.as_ref().is_some_and(|(_, until)| *until <= now)
    }

    /// The one before it, to be freed where that does not hurt.
    pub(crate) fn take_former(&mut self) -> Option<Box<Self>> {
        self.former.take().map(|(former, _)| former)
    }

    /// What arrived on the RTP port, in the clear.
    pub(crate) fn open(&mut self, arrival: Instant, datagram: &[u8]) -> Result<&[u8], Rejected> {
        self.open_by(arrival, datagram, Srtp::unprotect)
    }

    /// What arrived as RTCP, in the clear.
    pub(crate) fn open_rtcp(&mut self, arrival: Instant, datagram: &[u8]) -> Result<&[u8], Rejected> {
        self.open_by(arrival, datagram, Srtp::unprotect_rtcp)
    }

    /// The last packet that was taken, in the clear.
    pub(crate) fn opened(&self) -> &[u8] {
        &self.arrived[..self.opened]
    }

    /// True for RTP that [`Self::open`] would take; nothing is noted.
    pub(crate) fn is_authentic(&mut self, datagram: &[u8]) -> bool {
        let Some(place) = self.arrived.get_mut(..datagram.len()) else { return false };
        place.copy_from_slice(datagram);
        self.ingress.is_authentic(place)
    }

    /// Makes the packet of this tick ready to leave, if there is one.
    pub(crate) fn seal(&mut self, packet: Option<&[u8]>) {
        let Some(packet) = packet else {
            self.ready = 0;
            return;
        };
        self.ready = match self.leaving.get_mut(..packet.len()) {
            Some(plain) => {
                plain.copy_from_slice(packet);
                self.egress.protect(&mut self.leaving, packet.len()).unwrap_or(0)
            }
            None => 0,
        };
        self.refused += u64::from(self.ready == 0);
    }

    /// The packet of this tick.
    pub(crate) fn ready(&self) -> Option<&[u8]> {
        (self.ready > 0).then(|| &self.leaving[..self.ready])
    }

    /// A packet of RTCP as it leaves; false when it may not be sent.
    pub(crate) fn seal_rtcp(&mut self, packet: &mut RtcpPacket) -> bool {
        let sealed = packet.protect(|room, length| self.egress.protect_rtcp(room, length));
        self.refused += u64::from(!sealed);
        sealed
    }

    fn open_by(
        &mut self,
        arrival: Instant,
        datagram: &[u8],
        unprotect: Unprotect,
    ) -> Result<&[u8], Rejected> {
        let Some(place) = self.arrived.get_mut(..datagram.len()) else {
            return self.ingress.counted(Err(Rejected::Malformed));
        };
        if let Some((former, until)) = &mut self.former
            && arrival < *until
        {
            place.copy_from_slice(datagram);
            if let Ok(length) = unprotect(&mut former.ingress, place) {
                self.opened = length;
                return Ok(&self.arrived[..length]);
            }
        }
        place.copy_from_slice(datagram);
        let length = unprotect(&mut self.ingress, place)?;
        if let Some((_, until)) = &mut self.former {
            *until = arrival.min(*until);
        }
        self.opened = length;
        Ok(&self.arrived[..length])
    }
}

impl fmt::Debug for LegSrtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegSrtp")
            .field("ingress", self.ingress.keys())
            .field("egress", self.egress.keys())
            .field("former", &self.former.is_some())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

type Unprotect = fn(&mut Srtp, &mut [u8]) -> Result<usize, Rejected>;
