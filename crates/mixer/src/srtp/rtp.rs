//! RTP packets (RFC 3711 section 3.3, RFC 7714 section 8).
//!
//! ```text
//! counter mode:  header | payload, encrypted | MKI | tag      the tag covers header, payload and rollover counter
//! GCM:           header | payload, encrypted | tag | MKI      the tag covers header and payload
//! ```

use super::cipher::{Cipher, GCM_TAG, rtp_nonce};
use super::replay::LAST_INDEX;
use super::{Refused, Rejected, Srtp};

/// The longest datagram of a new stream for which both rollover counters are tried where that needs a copy.
const COPIED: usize = 2_048;

/// What the header tells: it is never encrypted.
#[derive(Clone, Copy, Debug)]
struct Header {
    /// Where the payload begins.
    length: usize,
    sequence: u16,
    ssrc: u32,
}

impl Header {
    /// Of a packet without its tag; `None` when it is not RTP.
    fn parse(packet: &[u8]) -> Option<Self> {
        let (fixed, rest) = packet.split_first_chunk::<12>()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let mut length = 12 + 4 * usize::from(fixed[0] & 0x0f);
        if fixed[0] & 0x10 != 0 {
            let extension = rest.get(length - 12..)?.first_chunk::<4>()?;
            length += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        }
        (length <= packet.len()).then_some(Self {
            length,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        })
    }
}

impl Srtp {
    /// Protects the RTP packet in the first `length` bytes of `buffer`, which has room for [`super::Keys::overhead`] more, and
    /// gives its new length. Sequence numbers may leave gaps but never go back.
    pub fn protect(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, Refused> {
        let header = buffer.get(..length).and_then(Header::parse).ok_or(Refused::Malformed)?;
        let packet = buffer.get_mut(..length + self.keys.overhead()).ok_or(Refused::NoRoom)?;
        let index = self.next_index(header)?;
        match &self.rtp {
            Cipher::Counter(counter) => {
                counter.apply(header.ssrc, index, &mut packet[header.length..length]);
                let (signed, trailer) = packet.split_at_mut(length);
                let (mki, tag) = trailer.split_at_mut(self.keys.mki_len());
                self.keys.write_mki(mki);
                counter.sign(signed, &roc(index), tag);
            }
            Cipher::Gcm(gcm) => {
                let (aad, rest) = packet.split_at_mut(header.length);
                let (payload, trailer) = rest.split_at_mut(length - header.length);
                let (tag, mki) = trailer.split_at_mut(GCM_TAG);
                tag.copy_from_slice(&gcm.seal(rtp_nonce(header.ssrc, index), aad, payload));
                self.keys.write_mki(mki);
            }
        }
        self.rtp_streams.take(header.ssrc, index);
        self.rtp_sent += 1;
        Ok(packet.len())
    }

    /// Checks and decrypts an RTP packet in place and gives its length without tag and MKI. What is left of a packet that is
    /// not taken means nothing.
    pub fn unprotect(&mut self, datagram: &mut [u8]) -> Result<usize, Rejected> {
        let result = self.open(datagram).map(|(length, ssrc, index)| {
            self.rtp_streams.take(ssrc, index);
            length
        });
        self.counted(result)
    }

    /// True for an RTP packet that would be taken; nothing is noted. What is left in `datagram` means nothing.
    pub fn is_authentic(&self, datagram: &mut [u8]) -> bool {
        self.open(datagram).is_ok()
    }

    fn next_index(&self, header: Header) -> Result<u64, Refused> {
        let index = match self.rtp_streams.window(header.ssrc) {
            Some(window) => window
                .index_of(header.sequence)
                .filter(|index| window.is_newer(*index))
                .ok_or(Refused::Reused)?,
            None if self.rtp_streams.is_full() => return Err(Refused::TooManyStreams),
            None => u64::from(header.sequence),
        };
        if index > LAST_INDEX || self.rtp_sent > LAST_INDEX {
            return Err(Refused::Exhausted);
        }
        Ok(index)
    }

    /// Gives the length without tag and MKI, the stream and the index.
    fn open(&self, datagram: &mut [u8]) -> Result<(usize, u32, u64), Rejected> {
        let length = datagram.len().checked_sub(self.keys.overhead()).ok_or(Rejected::Malformed)?;
        let header = Header::parse(&datagram[..length]).ok_or(Rejected::Malformed)?;
        let index = if let Some(window) = self.rtp_streams.window(header.ssrc) {
            let index = window
                .index_of(header.sequence)
                .filter(|index| *index <= LAST_INDEX && window.is_fresh(*index))
                .ok_or(Rejected::Replayed)?;
            self.open_as(index, header, datagram).then_some(index)
        } else {
            self.open_first(header, datagram)
        };
        Ok((length, header.ssrc, index.ok_or(Rejected::Forged)?))
    }

    /// The first packet of a stream that we see; gives its index. The rollover counter begins at zero, but the sender's first
    /// packets may have come before we had its key (it sends as soon as it has our answer) and its sequence number may have
    /// wrapped meanwhile; with zero alone such a stream would stay unreadable for ever.
    fn open_first(&self, header: Header, datagram: &mut [u8]) -> Option<u64> {
        let zero = u64::from(header.sequence);
        let one = (1 << 16) | zero;
        let may_have_wrapped = header.sequence < 0x8000;
        let mut copy = [0; COPIED];
        // Counter mode looks before it touches anything; GCM spoils what it cannot open.
        let copy = match self.rtp {
            Cipher::Gcm(_) if may_have_wrapped => copy.get_mut(..datagram.len()),
            _ => None,
        };
        let Some(copy) = copy else {
            return [Some(zero), may_have_wrapped.then_some(one)]
                .into_iter()
                .flatten()
                .find(|index| self.open_as(*index, header, datagram));
        };
        copy.copy_from_slice(datagram);
        if self.open_as(zero, header, datagram) {
            return Some(zero);
        }
        datagram.copy_from_slice(copy);
        self.open_as(one, header, datagram).then_some(one)
    }

    /// Decrypts a packet if it is authentic under this index.
    fn open_as(&self, index: u64, header: Header, datagram: &mut [u8]) -> bool {
        let length = datagram.len() - self.keys.overhead();
        match &self.rtp {
            Cipher::Counter(counter) => {
                let (signed, trailer) = datagram.split_at_mut(length);
                let (mki, tag) = trailer.split_at(self.keys.mki_len());
                let authentic = self.keys.is_mki(mki) && counter.is_signed(signed, &roc(index), tag);
                if authentic {
                    counter.apply(header.ssrc, index, &mut signed[header.length..]);
                }
                authentic
            }
            Cipher::Gcm(gcm) => {
                let (sealed, mki) = datagram.split_at_mut(length + GCM_TAG);
                let (aad, payload) = sealed.split_at_mut(header.length);
                self.keys.is_mki(mki) && gcm.open(rtp_nonce(header.ssrc, index), aad, payload)
            }
        }
    }
}

fn roc(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}
