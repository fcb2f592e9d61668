//! Session keys from a master key (RFC 3711 section 4.3; RFC 7714 section 11 for GCM).

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit as _, KeyInit as _, StreamCipher as _};
use aes::{Aes128Enc, Aes256Enc};
use ctr::CtrCore;
use zeroize::{Zeroize as _, Zeroizing};

use super::keys::Keys;

/// Bytes of the key of HMAC-SHA1 (RFC 3711 section 5.2).
pub(super) const AUTH_KEY: usize = 20;

/// Bytes of the longest session key.
const MAX_KEY: usize = 32;

/// Bytes of the longest session salt.
pub(super) const MAX_SALT: usize = 14;

/// What a set of session keys is for. RTP and RTCP have their own (RFC 3711 section 4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rtp,
    Rtcp,
}

/// The keys of one kind of packets. They live only until the ciphers are made.
pub(super) struct SessionKeys {
    key: Zeroizing<[u8; MAX_KEY]>,
    key_len: usize,
    /// For HMAC; GCM needs none.
    pub(super) auth: Zeroizing<[u8; AUTH_KEY]>,
    /// GCM uses the first twelve bytes.
    pub(super) salt: Zeroizing<[u8; MAX_SALT]>,
}

impl SessionKeys {
    pub(super) fn derive(keys: &Keys, kind: Kind) -> Self {
        let mut session = Self::empty(keys.key().len());
        let label = match kind {
            Kind::Rtp => 0,
            Kind::Rtcp => 3,
        };
        let Self { key, key_len, auth, salt } = &mut session;
        key_stream(keys, label, &mut key[..*key_len]);
        key_stream(keys, label + 1, &mut auth[..]);
        key_stream(keys, label + 2, &mut salt[..keys.salt().len()]);
        session
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key[..self.key_len]
    }

    fn empty(key_len: usize) -> Self {
        let (key, auth, salt) = ([0; MAX_KEY], [0; AUTH_KEY], [0; MAX_SALT]);
        Self { key: Zeroizing::new(key), key_len, auth: Zeroizing::new(auth), salt: Zeroizing::new(salt) }
    }

    #[cfg(test)]
    pub(super) fn of(key: &[u8], auth: &[u8], salt: &[u8]) -> Self {
        let mut session = Self::empty(key.len());
        session.key[..key.len()].copy_from_slice(key);
        session.auth[..auth.len()].copy_from_slice(auth);
        session.salt[..salt.len()].copy_from_slice(salt);
        session
    }
}

/// The pseudo-random function: AES in counter mode under the master key, started at the label (RFC 3711 section 4.3.3). With a
/// derivation rate of zero the label stands alone, in the eighth byte. A salt of 96 bits is on the left, where the IV of 112
/// bits begins (RFC 7714 section 11).
fn key_stream(keys: &Keys, label: u8, out: &mut [u8]) {
    let mut iv = [0; 16];
    iv[..keys.salt().len()].copy_from_slice(keys.salt());
    iv[7] ^= label;
    match <[u8; 16]>::try_from(keys.key()) {
        Ok(key) => run(&Aes128Enc::new(&key.into()), iv, out),
        Err(_) => {
            run(&Aes256Enc::new_from_slice(keys.key()).expect("16 or 32 bytes, as `Suite` says"), iv, out);
        }
    }
    iv.zeroize();
}

fn run<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(cipher: &C, iv: [u8; 16], out: &mut [u8]) {
    out.fill(0);
    ctr::Ctr128BE::from_core(CtrCore::inner_iv_init(cipher, &iv.into())).apply_keystream(out);
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;
    use crate::srtp::Suite;

    #[test]
    fn rfc_3711_appendix_b3() {
        let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let keys = Keys::new(Suite::AesCm128HmacSha1_80, &master, None).expect("30 bytes");
        let session = SessionKeys::derive(&keys, Kind::Rtp);
        assert_eq!(session.key(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(session.salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(session.auth[..], hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
        let mut long = [0; 94];
        key_stream(&keys, 1, &mut long);
        assert_eq!(
            long[..],
            hex(
                "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098 \
                 6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2"
            )
        );
    }
}
