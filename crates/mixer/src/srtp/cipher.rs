//! The two ways to encrypt and authenticate: counter mode with HMAC-SHA1, and Galois/counter mode.

use std::fmt;

use aes::Aes128Enc;
use aes::cipher::{InnerIvInit as _, KeyInit as _, StreamCipher as _};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ctr::CtrCore;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

use super::derive::{MAX_SALT, SessionKeys};
use super::suite::Suite;

/// Bytes of the tag of GCM (RFC 7714 section 13.2: always the full 16).
pub(super) const GCM_TAG: usize = 16;

/// The keyed algorithms of one kind of packets.
#[expect(clippy::large_enum_variant, reason = "one per box; the key of GCM is behind a pointer of its own")]
pub(super) enum Cipher {
    Counter(Counter),
    Gcm(Gcm),
}

impl Cipher {
    /// `tag` is the length of the tag of counter mode in bytes.
    pub(super) fn new(suite: Suite, session: &SessionKeys, tag: usize) -> Self {
        match suite {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                Self::Counter(Counter::new(session, tag))
            }
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => Self::Gcm(Gcm::new(suite, session)),
        }
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter(_) => "Counter",
            Self::Gcm(_) => "Gcm",
        })
    }
}

/// AES-128 in counter mode (RFC 3711 section 4.1.1) with HMAC-SHA1 (section 4.2.1).
pub(super) struct Counter {
    aes: Aes128Enc,
    /// Keyed once; each packet starts with a copy.
    hmac: Hmac<Sha1>,
    salt: [u8; MAX_SALT],
    /// Bytes of the tag.
    pub(super) tag: usize,
}

impl Counter {
    fn new(session: &SessionKeys, tag: usize) -> Self {
        Self {
            aes: Aes128Enc::new_from_slice(session.key()).expect("16 bytes, as `Suite` says"),
            hmac: Hmac::new_from_slice(&session.auth[..]).expect("HMAC takes a key of any length"),
            salt: *session.salt,
            tag,
        }
    }

    /// Encrypts or decrypts, which is the same. `index` is that of the packet: 48 bits for RTP, 31 for RTCP.
    pub(super) fn apply(&self, ssrc: u32, index: u64, bytes: &mut [u8]) {
        // IV = (salt << 16) ^ (SSRC << 64) ^ (index << 16)
        let mut iv = [0; 16];
        iv[..MAX_SALT].copy_from_slice(&self.salt);
        let moving = (u128::from(ssrc) << 64) | (u128::from(index) << 16);
        let iv = (u128::from_be_bytes(iv) ^ moving).to_be_bytes();
        ctr::Ctr128BE::from_core(CtrCore::inner_iv_init(&self.aes, &iv.into())).apply_keystream(bytes);
    }

    /// Writes the tag over `bytes`, followed by `roc` for RTP (nothing for RTCP), to `place`.
    pub(super) fn sign(&self, bytes: &[u8], roc: &[u8], place: &mut [u8]) {
        let tag = self.full_tag(bytes, roc);
        place.copy_from_slice(&tag[..self.tag]);
    }

    /// True when `tag` is right; the time it takes does not tell how much of it is.
    pub(super) fn is_signed(&self, bytes: &[u8], roc: &[u8], tag: &[u8]) -> bool {
        self.full_tag(bytes, roc)[..self.tag].ct_eq(tag).into()
    }

    fn full_tag(&self, bytes: &[u8], roc: &[u8]) -> [u8; 20] {
        let mut hmac = self.hmac.clone();
        hmac.update(bytes);
        hmac.update(roc);
        hmac.finalize().into_bytes().into()
    }
}

/// AES in Galois/counter mode.
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Gcm {
    fn new(suite: Suite, session: &SessionKeys) -> Self {
        let algorithm = if suite == Suite::AeadAes256Gcm { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, session.key()).expect("as many bytes as the algorithm takes");
        let (salt, _) = session.salt.split_first_chunk().expect("14 bytes begin with 12");
        Self { key: LessSafeKey::new(key), salt: *salt }
    }

    /// Encrypts `bytes` and gives the tag over them and `aad`.
    pub(super) fn seal(&self, nonce: [u8; 12], aad: &[u8], bytes: &mut [u8]) -> [u8; GCM_TAG] {
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(nonce), Aad::from(aad), bytes)
            .expect("it fails only beyond 2^36 bytes");
        let mut place = [0; GCM_TAG];
        place.copy_from_slice(tag.as_ref());
        place
    }

    /// Decrypts `bytes`, of which the last 16 are the tag; true when it is right. If not, `bytes` are spoilt.
    pub(super) fn open(&self, nonce: [u8; 12], aad: &[u8], bytes: &mut [u8]) -> bool {
        self.key.open_in_place(self.nonce(nonce), Aad::from(aad), bytes).is_ok()
    }

    fn nonce(&self, moving: [u8; 12]) -> Nonce {
        let mut nonce = self.salt;
        nonce.iter_mut().zip(moving).for_each(|(byte, other)| *byte ^= other);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// The moving part of the nonce of an RTP packet (RFC 7714 section 8.1): two zero bytes, SSRC, rollover counter, sequence number.
pub(super) fn rtp_nonce(ssrc: u32, index: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
    nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
    nonce
}

/// The moving part of the nonce of an RTCP packet (RFC 7714 section 9.1): two zero bytes, SSRC, two zero bytes, index.
pub(super) fn rtcp_nonce(ssrc: u32, index: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
    nonce[8..].copy_from_slice(&index.to_be_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;

    #[test]
    fn rfc_3711_appendix_b2() {
        let session = SessionKeys::of(
            &hex("2B7E151628AED2A6ABF7158809CF4F3C"),
            &[],
            &hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
        );
        let mut stream = vec![0; 0xff02 * 16];
        Counter::new(&session, 10).apply(0, 0, &mut stream);
        for (block, expected) in [
            (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
            (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
            (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
            (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
            (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
            (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
        ] {
            assert_eq!(stream[block * 16..][..16], hex(expected), "block {block:#x}");
        }
    }

    #[test]
    fn rfc_7714_initialization_vectors() {
        let session = SessionKeys::of(&[0; 16], &[], &hex("517569642070726f2071756f"));
        let gcm = Gcm::new(Suite::AeadAes128Gcm, &session);
        let xored = |nonce: [u8; 12]| gcm.nonce(nonce).as_ref().to_vec();
        assert_eq!(xored(rtp_nonce(0x5501_a0b2, 0xf17b)), hex("51753c6580c2726f20718414"));
        assert_eq!(xored(rtcp_nonce(0x4d61_7273, 0x5d4)), hex("517524055203726f207170bb"));
    }
}
