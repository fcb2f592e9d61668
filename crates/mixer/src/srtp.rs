//! SRTP and SRTCP (RFC 3711, RFC 7714): media that only the two ends of a leg can read and nobody can forge, with keys that
//! offer and answer agreed on (RFC 4568). In place, and without a single allocation per packet.
//!
//! What it promises, whatever arrives:
//!
//! - A packet that fails authentication raises a counter and changes nothing else: no stream, no window, no rollover counter.
//! - No packet is taken twice, nor one that is 128 packets or more behind the newest (RFC 3711 section 3.3.2).
//! - No key stream is used twice: an index that was sent under a key is never sent again under it, and past the end of a key's
//!   life (2^48 RTP packets, 2^31 RTCP packets, RFC 3711 section 9.2) nothing is.
//! - The same key keeps its streams and their rollover counters; a new key starts new ones at zero (RFC 4568 section 7.1.4).
//!   Peers that see the one where they expect the other go deaf for good at the next re-INVITE, see [`Srtp::rekey`].
//!
//! Key derivation is done once per key (a rate of zero, the only one that RFC 4568 leaves without a session parameter).

mod cipher;
mod derive;
mod keys;
mod leg;
mod replay;
mod rtcp;
mod rtp;
mod suite;
#[cfg(test)]
mod tests;

use thiserror::Error;

use cipher::Cipher;
use derive::{Kind, SessionKeys};
use replay::Streams;

pub use keys::{Keys, KeysError, MAX_MASTER, MAX_RTCP_OVERHEAD, Mki, MkiError};
pub use leg::{GRACE, LegSrtp, SrtpConfig, SrtpStats};
pub use replay::{STREAMS, WINDOW};
pub use suite::Suite;

/// Bytes that protection adds at most: the tag of GCM, the word with the SRTCP index, the longest MKI.
pub const MAX_OVERHEAD: usize = 16 + 4 + Mki::MAX_LENGTH;

/// Why a packet that arrived is not taken. It is counted and dropped: what a stranger can send never ends a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Rejected {
    /// Not RTP or RTCP, or too short for the tag.
    #[error("too short, or no RTP header; the peer may be sending something else to this port")]
    Malformed,
    /// The tag, or the MKI, is not of our key.
    #[error("not authentic; compare the keys of the last offer and answer with what the peer uses")]
    Forged,
    /// Taken before, or too old to know.
    #[error("taken before, or {WINDOW} packets or more behind the newest")]
    Replayed,
}

/// Why a packet of ours cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// Not RTP or RTCP.
    #[error("not a packet; this is a mistake of the caller")]
    Malformed,
    /// The buffer has no room for tag and MKI.
    #[error("no room for tag and MKI; leave `Keys::overhead` or `Keys::rtcp_overhead` bytes")]
    NoRoom,
    /// Its index was sent under this key before: sending it again would give away both packets.
    #[error("a packet with this sequence number or a later one was sent under this key; use a new key")]
    Reused,
    /// More streams than there is room for; forgetting one could repeat its key stream.
    #[error("{STREAMS} streams were sent under this key; use a new key for the next")]
    TooManyStreams,
    /// The key has come to the end of its life.
    #[error("the key has protected as many packets as it may; agree on a new key")]
    Exhausted,
}

/// How many packets were not taken, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    /// See [`Rejected::Malformed`].
    pub malformed: u64,
    /// See [`Rejected::Forged`].
    pub forged: u64,
    /// See [`Rejected::Replayed`].
    pub replayed: u64,
}

impl Rejections {
    /// All of them.
    pub fn total(self) -> u64 {
        self.malformed + self.forged + self.replayed
    }

    fn count(&mut self, rejected: Rejected) {
        match rejected {
            Rejected::Malformed => self.malformed += 1,
            Rejected::Forged => self.forged += 1,
            Rejected::Replayed => self.replayed += 1,
        }
    }
}

/// What became of the streams at a change of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rekeyed {
    /// The key is the same: rollover counters and replay windows go on.
    Kept,
    /// The key is new: every stream begins at rollover counter zero.
    Renewed,
}

/// The crypto state of one direction of a leg, RTP and RTCP. Use it either to protect or to unprotect: the two directions
/// have keys of their own (RFC 4568 section 6.1).
///
/// It is 1.4 KiB, so keep it in a box.
#[derive(Debug)]
pub struct Srtp {
    keys: Keys,
    rtp: Cipher,
    rtcp: Cipher,
    rtp_streams: Streams,
    rtcp_streams: Streams,
    /// RTP packets protected under this key, in all streams.
    rtp_sent: u64,
    /// The index of the next RTCP packet: one count for all streams, so that it is also the count of the key's use.
    rtcp_sent: u64,
    rejections: Rejections,
}

impl Srtp {
    /// Derives the session keys. All memory is allocated here: not for the tick.
    pub fn new(keys: Keys) -> Self {
        let suite = keys.suite();
        Self::of_ciphers(
            Cipher::new(suite, &SessionKeys::derive(&keys, Kind::Rtp), suite.tag_len()),
            Cipher::new(suite, &SessionKeys::derive(&keys, Kind::Rtcp), suite.rtcp_tag_len()),
            keys,
        )
    }

    fn of_ciphers(rtp: Cipher, rtcp: Cipher, keys: Keys) -> Self {
        Self {
            keys,
            rtp,
            rtcp,
            rtp_streams: Streams::default(),
            rtcp_streams: Streams::default(),
            rtp_sent: 0,
            rtcp_sent: 0,
            rejections: Rejections::default(),
        }
    }

    /// Its keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What was not taken since it was made.
    pub fn rejections(&self) -> Rejections {
        self.rejections
    }

    /// The decision at every offer and answer: the same master key goes on where it is, a new one starts anew.
    ///
    /// RFC 3711 section 3.3.1 says never to reset the rollover counter on a change of keys, RFC 4568 section 7.1.4 that a new
    /// key means a new context with counter zero. Peers in the field follow the second: with the key of before (a session
    /// refresh) they go on counting, with a new one they start at zero.
    ///
    /// Allocates: not for the tick. [`Srtp::inherit`] is the part of it that may run between ticks.
    pub fn rekey(&mut self, new: &Keys) -> Rekeyed {
        let mut next = Self::new(new.clone());
        let rekeyed = next.inherit(self);
        *self = next;
        rekeyed
    }

    /// Makes a freshly built context the successor of `former`: it goes on counting rejections, and where the master key is
    /// the same, everything else too, also if suite or MKI changed: under the same master key, index zero would repeat the key
    /// stream.
    pub fn inherit(&mut self, former: &Self) -> Rekeyed {
        self.rejections = former.rejections;
        if !self.keys.same_master(&former.keys) {
            return Rekeyed::Renewed;
        }
        self.rtp_streams = former.rtp_streams;
        self.rtcp_streams = former.rtcp_streams;
        self.rtp_sent = former.rtp_sent;
        self.rtcp_sent = former.rtcp_sent;
        Rekeyed::Kept
    }

    fn counted<T>(&mut self, result: Result<T, Rejected>) -> Result<T, Rejected> {
        if let Err(rejected) = result {
            self.rejections.count(rejected);
        }
        result
    }
}

#[cfg(test)]
impl Srtp {
    /// With session keys instead of a master key, as the vectors of RFC 7714 give them.
    fn of_session(suite: Suite, key: &[u8], salt: &[u8]) -> Self {
        let session = SessionKeys::of(key, &[], salt);
        let keys =
            Keys::new(suite, &[0; MAX_MASTER][..suite.master_len()], None).expect("of the right length");
        Self::of_ciphers(
            Cipher::new(suite, &session, suite.tag_len()),
            Cipher::new(suite, &session, suite.rtcp_tag_len()),
            keys,
        )
    }
}
