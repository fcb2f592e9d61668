//! Master keys, as SDP carries them.

use std::fmt;

use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::Zeroizing;

use super::suite::Suite;

/// Bytes of the longest master key with its salt.
pub const MAX_MASTER: usize = Suite::AeadAes256Gcm.master_len();

/// Bytes that protection adds to an RTCP packet at most: the tag of GCM, the word with the index, the longest MKI.
pub const MAX_RTCP_OVERHEAD: usize = Suite::AeadAes256Gcm.rtcp_tag_len() + 4 + Mki::MAX_LENGTH;

/// A master key with its suite. Its bytes are erased when it is dropped and never appear in `Debug` output.
///
/// Two keys are equal when suite, bytes and MKI are; the comparison takes the same time whatever the bytes are.
#[derive(Clone)]
pub struct Keys {
    suite: Suite,
    master: Zeroizing<[u8; MAX_MASTER]>,
    mki: Option<Mki>,
}

/// Why bytes are not [`Keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeysError {
    /// Wrong number of bytes.
    #[error("{} takes {} bytes of key and salt, not {got}", .suite.name(), .suite.master_len())]
    Length {
        /// For this suite.
        suite: Suite,
        /// That many were given.
        got: usize,
    },
}

impl Keys {
    /// From master key and salt in one piece, as `inline:` carries them, and the MKI if one was agreed on.
    pub fn new(suite: Suite, master: &[u8], mki: Option<Mki>) -> Result<Self, KeysError> {
        if master.len() != suite.master_len() {
            return Err(KeysError::Length { suite, got: master.len() });
        }
        let mut bytes = Zeroizing::new([0; MAX_MASTER]);
        bytes[..master.len()].copy_from_slice(master);
        Ok(Self { suite, master: bytes, mki })
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Master key and salt in one piece: for the SDP that we send, and for nothing else.
    pub fn master(&self) -> &[u8] {
        &self.master[..self.suite.master_len()]
    }

    /// The master key identifier that every packet carries.
    pub fn mki(&self) -> Option<Mki> {
        self.mki
    }

    /// Bytes that protection adds to an RTP packet.
    pub fn overhead(&self) -> usize {
        self.suite.tag_len() + self.mki_len()
    }

    /// Bytes that protection adds to an RTCP packet.
    pub fn rtcp_overhead(&self) -> usize {
        self.suite.rtcp_tag_len() + 4 + self.mki_len()
    }

    /// True when master key and salt are the same, whatever suite and MKI are.
    pub(super) fn same_master(&self, other: &Self) -> bool {
        self.master().ct_eq(other.master()).into()
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.master[..self.suite.key_len()]
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.master()[self.suite.key_len()..]
    }

    pub(super) fn mki_len(&self) -> usize {
        self.mki.map_or(0, |mki| usize::from(mki.length))
    }

    /// Writes the MKI, if there is one, to `place`, which is exactly as long.
    pub(super) fn write_mki(&self, place: &mut [u8]) {
        if let Some(mki) = self.mki {
            mki.write(place);
        }
    }

    /// True when `place`, which is exactly as long, carries our MKI. It is public, so an ordinary comparison does.
    pub(super) fn is_mki(&self, place: &[u8]) -> bool {
        self.mki.is_none_or(|mki| mki.is_at(place))
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.suite == other.suite && self.mki == other.mki && self.same_master(other)
    }
}

impl Eq for Keys {}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("suite", &self.suite).field("mki", &self.mki).finish_non_exhaustive()
    }
}

/// A master key identifier (RFC 3711 section 3.1): a number that every packet carries in so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mki {
    value: u128,
    length: u8,
}

/// Why two numbers are not an [`Mki`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MkiError {
    /// RFC 4568 section 6.1 allows 1 to 128 bytes.
    #[error("an MKI has 1 to {max} bytes, not {got}", max = Mki::MAX_LENGTH)]
    Length {
        /// That many were asked for.
        got: u16,
    },
    /// The value has more bytes.
    #[error("the MKI {value} does not fit into {length} bytes")]
    Value {
        /// This number,
        value: u128,
        /// that many bytes.
        length: u8,
    },
}

impl Mki {
    /// Bytes of the longest MKI (RFC 4568 section 6.1).
    pub const MAX_LENGTH: usize = 128;

    /// The number `value`, in `length` bytes.
    pub fn new(value: u128, length: u16) -> Result<Self, MkiError> {
        if length == 0 || usize::from(length) > Self::MAX_LENGTH {
            return Err(MkiError::Length { got: length });
        }
        let length = length as u8;
        if length < 16 && value >> (8 * length) != 0 {
            return Err(MkiError::Value { value, length });
        }
        Ok(Self { value, length })
    }

    /// The number.
    pub fn value(self) -> u128 {
        self.value
    }

    /// Its bytes in a packet.
    pub fn length(self) -> u8 {
        self.length
    }

    fn write(self, place: &mut [u8]) {
        place.fill(0);
        let value = self.value.to_be_bytes();
        let bytes = place.len().min(value.len());
        let start = place.len() - bytes;
        place[start..].copy_from_slice(&value[value.len() - bytes..]);
    }

    fn is_at(self, place: &[u8]) -> bool {
        let mut own = [0; Self::MAX_LENGTH];
        let own = &mut own[..usize::from(self.length)];
        self.write(own);
        place == own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_length_of_their_suite() {
        for suite in Suite::ALL {
            for length in 0..64 {
                let keys = Keys::new(suite, &vec![7; length], None);
                assert_eq!(keys.is_ok(), length == suite.master_len(), "{suite:?} {length}");
            }
        }
        let error = Keys::new(Suite::AeadAes128Gcm, &[0; 30], None).expect_err("too long");
        assert_eq!(error.to_string(), "AEAD_AES_128_GCM takes 28 bytes of key and salt, not 30");
    }

    #[test]
    fn keys_never_show_themselves() {
        let master: Vec<u8> = (200..230).collect();
        let keys = Keys::new(Suite::AesCm128HmacSha1_80, &master, Mki::new(1, 1).ok()).expect("30 bytes");
        let shown = format!("{keys:?} {:?}", crate::srtp::Srtp::new(keys.clone()));
        assert!(master.iter().all(|byte| !shown.contains(&byte.to_string())), "{shown}");
        assert!(shown.contains("AesCm128HmacSha1_80"), "{shown}");
    }

    #[test]
    fn keys_are_the_same_when_suite_bytes_and_mki_are() {
        let keys = |suite, byte, mki| Keys::new(suite, &[byte; 30], mki).expect("30 bytes");
        let (long, short) = (Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32);
        assert_eq!(keys(long, 1, None), keys(long, 1, None));
        assert_ne!(keys(long, 1, None), keys(long, 2, None));
        assert_ne!(keys(long, 1, None), keys(short, 1, None));
        assert_ne!(keys(long, 1, None), keys(long, 1, Mki::new(1, 1).ok()));
        assert!(keys(long, 1, None).same_master(&keys(short, 1, Mki::new(1, 1).ok())));
    }

    #[test]
    fn an_mki_is_a_number_in_so_many_bytes() {
        let mut place = [9; 20];
        Mki::new(0x0102, 20).expect("valid").write(&mut place);
        assert_eq!(place[..18], [0; 18]);
        assert_eq!(place[18..], [1, 2]);
        let short = Mki::new(0x0102, 2).expect("valid");
        assert!(short.is_at(&[1, 2]));
        assert!(!short.is_at(&[2, 1]));
        assert_eq!(Mki::new(256, 1), Err(MkiError::Value { value: 256, length: 1 }));
        assert_eq!(Mki::new(1, 0), Err(MkiError::Length { got: 0 }));
        assert_eq!(Mki::new(1, 129), Err(MkiError::Length { got: 129 }));
        assert!(Mki::new(u128::MAX, 16).is_ok());
        assert!(Mki::new(1, 128).is_ok());
    }
}
