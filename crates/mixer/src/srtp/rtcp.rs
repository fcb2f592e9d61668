//! RTCP packets (RFC 3711 section 3.4, RFC 7714 section 9).
//!
//! ```text
//! counter mode:  header | rest, encrypted | E and index | MKI | tag     the tag covers all up to the index
//! GCM:           header | rest, encrypted | tag | E and index | MKI     the tag covers the same
//! ```
//!
//! We always encrypt. What the peer sends with E = 0 is taken if it is authentic: it comes from the peer all the same.

use super::cipher::{Cipher, GCM_TAG, rtcp_nonce};
use super::{Refused, Rejected, Srtp};

/// The first 8 bytes, header and SSRC of the sender, stay readable.
const HEADER: usize = 8;

/// Bytes of the word with E and the index.
const WORD: usize = 4;

/// E: the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// The last index: 31 bits.
const LAST_INDEX: u64 = (1 << 31) - 1;

impl Srtp {
    /// Protects the RTCP packet in the first `length` bytes of `buffer`, which has room for [`super::Keys::rtcp_overhead`] more,
    /// and gives its new length.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Refused> {
        let ssrc = buffer.get(..length).and_then(sender).ok_or(Refused::Malformed)?;
        let packet = buffer.get_mut(..length + self.keys.rtcp_overhead()).ok_or(Refused::NoRoom)?;
        if self.rtcp_sent > LAST_INDEX {
            return Err(Refused::Exhausted);
        }
        let index = self.rtcp_sent as u32;
        let word = (ENCRYPTED | index).to_be_bytes();
        match &self.rtcp {
            Cipher::Counter(counter) => {
                counter.apply(ssrc, u64::from(index), &mut packet[HEADER..length]);
                packet[length..][..WORD].copy_from_slice(&word);
                let (signed, trailer) = packet.split_at_mut(length + WORD);
                let (mki, tag) = trailer.split_at_mut(self.keys.mki_len());
                self.keys.write_mki(mki);
                counter.sign(signed, &[], tag);
            }
            Cipher::Gcm(gcm) => {
                let (header, rest) = packet.split_at_mut(HEADER);
                let (body, trailer) = rest.split_at_mut(length - HEADER);
                let (tag, trailer) = trailer.split_at_mut(GCM_TAG);
                let (place, mki) = trailer.split_at_mut(WORD);
                tag.copy_from_slice(&gcm.seal(rtcp_nonce(ssrc, index), &aad(header, word), body));
                place.copy_from_slice(&word);
                self.keys.write_mki(mki);
            }
        }
        self.rtcp_sent += 1;
        Ok(packet.len())
    }

    /// Checks and decrypts an RTCP packet in place and gives its length without tag, index and MKI. What is left of a packet
    /// that is not taken means nothing.
    pub fn unprotect_rtcp(&mut self, datagram: &mut [u8]) -> Result<usize, Rejected> {
        let result = self.open_rtcp(datagram);
        self.counted(result)
    }

    fn open_rtcp(&mut self, datagram: &mut [u8]) -> Result<usize, Rejected> {
        let length = datagram.len().checked_sub(self.keys.rtcp_overhead()).ok_or(Rejected::Malformed)?;
        let ssrc = sender(&datagram[..length]).ok_or(Rejected::Malformed)?;
        let place = match &self.rtcp {
            Cipher::Counter(_) => length,
            Cipher::Gcm(_) => length + GCM_TAG,
        };
        let word: [u8; WORD] = *datagram[place..].first_chunk().ok_or(Rejected::Malformed)?;
        let number = u32::from_be_bytes(word);
        let (encrypted, index) = (number & ENCRYPTED != 0, number & !ENCRYPTED);
        if self.rtcp_streams.window(ssrc).is_some_and(|window| !window.is_fresh(u64::from(index))) {
            return Err(Rejected::Replayed);
        }
        let authentic = match &self.rtcp {
            Cipher::Counter(counter) => {
                let (signed, trailer) = datagram.split_at_mut(length + WORD);
                let (mki, tag) = trailer.split_at(self.keys.mki_len());
                let authentic = self.keys.is_mki(mki) && counter.is_signed(signed, &[], tag);
                if authentic && encrypted {
                    counter.apply(ssrc, u64::from(index), &mut signed[HEADER..length]);
                }
                authentic
            }
            Cipher::Gcm(gcm) => {
                let (sealed, trailer) = datagram.split_at_mut(length + GCM_TAG);
                let nonce = rtcp_nonce(ssrc, index);
                if !self.keys.is_mki(&trailer[WORD..]) {
                    false
                } else if encrypted {
                    let (header, body) = sealed.split_at_mut(HEADER);
                    gcm.open(nonce, &aad(header, word), body)
                } else {
                    // Nothing is encrypted, and the tag covers the packet and the word. They must stand side by side for that,
                    // so the word takes the place of the tag.
                    let (bytes, place) = sealed.split_at_mut(length);
                    let mut tag = [0; GCM_TAG];
                    tag.copy_from_slice(place);
                    place[..WORD].copy_from_slice(&word);
                    let covered = bytes.len() + WORD;
                    gcm.open(nonce, &sealed[..covered], &mut tag)
                }
            }
        };
        if !authentic {
            return Err(Rejected::Forged);
        }
        self.rtcp_streams.take(ssrc, u64::from(index));
        Ok(length)
    }
}

/// The SSRC of the sender; `None` when it is not RTCP.
fn sender(packet: &[u8]) -> Option<u32> {
    let header = packet.first_chunk::<HEADER>()?;
    (header[0] >> 6 == 2).then(|| u32::from_be_bytes([header[4], header[5], header[6], header[7]]))
}

/// What GCM authenticates besides the body (RFC 7714 section 9.2).
fn aad(header: &[u8], word: [u8; WORD]) -> [u8; HEADER + WORD] {
    let mut aad = [0; HEADER + WORD];
    aad[..HEADER].copy_from_slice(header);
    aad[HEADER..].copy_from_slice(&word);
    aad
}
