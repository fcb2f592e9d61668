//! Keys for SRTP in SDP: the `a=crypto` attribute (RFC 4568; RFC 7714 section 14.2 for GCM).

use super::base64;
use std::fmt;

/// Lines of `a=crypto` that are read of one m-line; what follows them is as if it were not there.
pub const MAX_CRYPTO: usize = 16;
/// The longest master key and salt, in bytes.
const MAX_MASTER: usize = 44;
/// SRTP packets that may be protected with one master key (RFC 3711 section 9.2, RFC 7714 section 12).
const LONGEST_LIFE: u64 = 1 << 48;

/// How SRTP encrypts and authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES in counter mode, an authentication tag of 80 bits (RFC 3711, RFC 4568 section 6.2).
    AesCm128HmacSha1_80,
    /// The same with a tag of 32 bits on SRTP.
    AesCm128HmacSha1_32,
    /// AES-GCM with a key of 128 bits (RFC 7714).
    AeadAes128Gcm,
    /// AES-GCM with a key of 256 bits (RFC 7714).
    AeadAes256Gcm,
}

impl Suite {
    /// Every suite there is.
    pub const ALL: [Self; 4] =
        [Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32, Self::AeadAes128Gcm, Self::AeadAes256Gcm];

    /// The crypto-suite of `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of the master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            _ => 16,
        }
    }

    /// Bytes of the master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Bytes of both together, as `inline:` carries them.
    pub const fn master_len(self) -> usize {
        self.key_len() + self.salt_len()
    }

    /// The suite of a name; names are written in capitals (RFC 4568 section 9.1 has no others).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The master key identifier that stands in every packet under this key (RFC 3711 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mki {
    /// Its value, big endian on the wire.
    pub value: u64,
    /// Its bytes on the wire, 1 to 128.
    pub length: u8,
}

/// A master key and salt of one direction. Its `Debug` shows the suite alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    bytes: [u8; MAX_MASTER],
    mki: Option<Mki>,
}

impl MasterKey {
    /// A key of our own, without an identifier; `fill` must fill the slice with unpredictable bytes.
    pub fn generate(suite: Suite, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = [0; MAX_MASTER];
        fill(&mut bytes[..suite.master_len()]);
        Self { suite, bytes, mki: None }
    }

    fn new(suite: Suite, master: &[u8], mki: Option<Mki>) -> Option<Self> {
        let mut bytes = [0; MAX_MASTER];
        bytes
            .get_mut(..suite.master_len())
            .filter(|room| room.len() == master.len())?
            .copy_from_slice(master);
        Some(Self { suite, bytes, mki })
    }

    /// What it is for.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The key, and after it the salt.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.suite.master_len()]
    }

    /// The identifier in the packets, if they carry one.
    pub const fn mki(&self) -> Option<Mki> {
        self.mki
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// The keys that both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// The tag of the line that was chosen, the same in offer and answer.
    pub tag: u32,
    /// What we send is under this.
    pub ours: MasterKey,
    /// What the peer sends is under this.
    pub theirs: MasterKey,
    /// Keys of the peer's line after the first. They are not used: packets under them will not be heard.
    pub unused_keys: usize,
}

impl Crypto {
    /// How both directions are encrypted.
    pub const fn suite(&self) -> Suite {
        self.ours.suite
    }
}

/// One `a=crypto` line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) tag: u32,
    pub(super) key: MasterKey,
    /// Keys after the first.
    pub(super) unused_keys: usize,
}

impl Line {
    /// Reads `tag suite key-params [session-params]`.
    ///
    /// # Errors
    /// Why the line cannot be used, for the peer's engineer; nothing of a key is in it.
    pub(super) fn parse(value: &str) -> Result<Self, String> {
        let mut words = value.split_ascii_whitespace();
        let tag = words
            .next()
            .filter(|tag| (1..=9).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_digit()));
        let tag: u32 = tag.and_then(|tag| tag.parse().ok()).ok_or("a line without a tag of digits")?;
        let say = |why: &str| format!("line {tag} {why}");
        let name = words.next().ok_or_else(|| say("has no suite"))?;
        let suite = Suite::parse(name).ok_or_else(|| say("has an unknown suite"))?;
        let mut keys = words.next().ok_or_else(|| say("has no key"))?.split(';');
        let first = keys.next().unwrap_or_default();
        let key = inline(suite, first).map_err(&say)?;
        for parameter in words {
            session_parameter(parameter).map_err(&say)?;
        }
        Ok(Self { tag, key, unused_keys: keys.count() })
    }

    /// The value of `a=crypto`. Without lifetime and identifier: nobody needs them, and some peers cannot read them.
    pub(super) fn write(tag: u32, key: &MasterKey, pad: bool) -> String {
        format!("{tag} {} inline:{}", key.suite, base64::encode(key.bytes(), pad))
    }
}

/// `inline:` key and salt in base64, `|` lifetime, `|` identifier `:` its length; the latter two as one likes.
fn inline(suite: Suite, text: &str) -> Result<MasterKey, &'static str> {
    // The key method is a word of the ABNF and so in any case (RFC 4568 section 9.1, RFC 5234 section 2.3).
    let (method, rest) = text.split_once(':').ok_or("has no key method")?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err("has another key method than inline");
    }
    let mut parts = rest.split('|');
    let key = parts.next().unwrap_or_default();
    let master = base64::decode(key).ok_or("has a key that is not base64")?;
    let mut mki = None;
    for (place, part) in parts.enumerate() {
        match part.split_once(':') {
            Some((value, length)) if mki.is_none() => mki = Some(identifier(value, length)?),
            None if place == 0 => lifetime(part)?,
            _ => return Err("has a key with more than a lifetime and an identifier"),
        }
    }
    MasterKey::new(suite, &master, mki).ok_or("has a key of the wrong length")
}

/// A lifetime is checked and not kept: at 50 packets a second the shortest that is useful, 2^16, is 22 minutes; RTP wraps its
/// sequence number then, and a peer that meant it would send a new key in a re-INVITE.
///
/// It counts packets: one at least, and never more than a key may protect (RFC 4568 section 6.1), which for every suite that we
/// know is [`LONGEST_LIFE`]. Who says otherwise does not mean what we would do.
fn lifetime(text: &str) -> Result<(), &'static str> {
    let (digits, power) = text.strip_prefix("2^").map_or((text, false), |digits| (digits, true));
    let fine = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| fine).ok_or("has a lifetime that is no number")?;
    let packets = if power {
        u32::try_from(number).ok().and_then(|bits| 1_u64.checked_shl(bits))
    } else {
        Some(number)
    };
    match packets {
        Some(0) => Err("has a lifetime of no packet at all"),
        Some(1..=LONGEST_LIFE) => Ok(()),
        _ => Err("has a lifetime beyond 2^48, more packets than a key may protect"),
    }
}

fn identifier(value: &str, length: &str) -> Result<Mki, &'static str> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let read = || {
        let value: u64 = digits(value).then(|| value.parse().ok())??;
        let length: u8 = digits(length).then(|| length.parse().ok())??;
        let fits = (1..=128).contains(&length) && (length >= 8 || value >> (8 * u32::from(length)) == 0);
        fits.then_some(Mki { value, length })
    };
    read().ok_or("has a master key identifier that does not fit its length")
}

/// What changes the packets is refused; a hint may stand, and so may what the peer marks as not needed with `-`
/// (RFC 4568 section 6.3.7).
fn session_parameter(text: &str) -> Result<(), &'static str> {
    let name = text.split('=').next().unwrap_or_default();
    match name {
        "UNENCRYPTED_SRTP" => Err("wants UNENCRYPTED_SRTP"),
        "UNENCRYPTED_SRTCP" => Err("wants UNENCRYPTED_SRTCP"),
        "UNAUTHENTICATED_SRTP" => Err("wants UNAUTHENTICATED_SRTP"),
        "FEC_ORDER" | "FEC_KEY" => Err("wants forward error correction under SRTP"),
        "KDR" if text != "KDR=0" => Err("wants keys to be derived anew (KDR)"),
        "KDR" | "WSH" => Ok(()),
        _ if name.starts_with('-') => Ok(()),
        _ => Err("has a session parameter that is unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the example in RFC 4568 section 5.1.
    const KEY: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

    fn read(rest: &str) -> Result<Line, String> {
        Line::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 {rest}"))
    }

    #[test]
    fn keys_are_read_with_and_without_lifetime_and_identifier() {
        // (after the key, the identifier)
        let table = [
            ("", None),
            ("|2^20", None),
            ("|2^31", None),
            ("|1048576", None),
            ("|1", None),
            ("|2^0", None),
            ("|2^48", None),
            ("|281474976710656", None),
            ("|2^20|1:32", Some(Mki { value: 1, length: 32 })),
            ("|2^31|1:1", Some(Mki { value: 1, length: 1 })),
            ("|1:4", Some(Mki { value: 1, length: 4 })),
            ("|255:1", Some(Mki { value: 255, length: 1 })),
        ];
        for (after, mki) in table {
            let line = read(&format!("inline:{KEY}{after}")).unwrap_or_else(|why| panic!("{after}: {why}"));
            assert_eq!((line.tag, line.key.mki(), line.unused_keys), (1, mki, 0), "{after}");
            assert_eq!(line.key.bytes(), b"=-n@%^x!Bjufr9)?,#5h\\`=&]{qiPQ");
        }
    }

    #[test]
    fn every_suite_has_its_length_and_padding_is_as_one_likes() {
        for suite in Suite::ALL {
            let key = MasterKey::generate(suite, |bytes| bytes.fill(7));
            for pad in [false, true] {
                let text = Line::write(42, &key, pad);
                let line = Line::parse(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
                assert_eq!((line.tag, line.key), (42, key));
            }
            assert!(read(&format!("inline:{KEY}AAAA")).is_err_and(|why| why.contains("wrong length")));
            assert_eq!(Suite::parse(suite.name()), Some(suite));
        }
    }

    #[test]
    fn of_several_keys_the_first_counts_and_the_others_are_told() {
        let line = read(&format!("inline:{KEY}|2^20|1:4;inline:AAAA|2^20|2:4;x")).expect("the first is fine");
        assert_eq!((line.unused_keys, line.key.mki()), (2, Some(Mki { value: 1, length: 4 })));
    }

    #[test]
    fn what_cannot_be_used_says_why_and_never_shows_the_key() {
        // (the whole line, a part of the reason)
        let table = [
            (String::new(), "tag"),
            (format!("x AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), "tag"),
            (format!("1234567890 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), "tag"),
            ("7".into(), "line 7 has no suite"),
            (format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"), "unknown suite"),
            (format!("1 aes_cm_128_hmac_sha1_80 inline:{KEY}"), "unknown suite"),
            ("1 AES_CM_128_HMAC_SHA1_80".into(), "no key"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}"), "key method"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}"), "another key method"),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:".into(), "wrong length"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}!"), "not base64"),
            (format!("1 AEAD_AES_128_GCM inline:{KEY}"), "wrong length"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|"), "lifetime"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^x"), "lifetime"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|0"), "no packet at all"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|000|1:4"), "no packet at all"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^49"), "beyond 2^48"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^64"), "beyond 2^48"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^999"), "beyond 2^48"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^999999999999999"), "beyond 2^48"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|281474976710657"), "beyond 2^48"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|9999999999999999"), "no number"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|256:1"), "identifier"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:0"), "identifier"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:129"), "identifier"),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:1|2:1"), "more than"),
        ];
        for (line, reason) in table {
            let why = Line::parse(&line).expect_err(&line);
            assert!(why.contains(reason) && !why.contains(KEY), "{line}: {why}");
        }
    }

    #[test]
    fn session_parameters_that_change_the_packets_are_refused_and_hints_are_not() {
        for refused in [
            "UNENCRYPTED_SRTP",
            "UNENCRYPTED_SRTCP",
            "UNAUTHENTICATED_SRTP",
            "FEC_ORDER=FEC_SRTP",
            "FEC_KEY=inline:x",
            "KDR=3",
            "NEW=1",
            "WSH=64 UNENCRYPTED_SRTCP",
        ] {
            assert!(read(&format!("inline:{KEY} {refused}")).is_err(), "{refused}");
        }
        for fine in ["WSH=64", "KDR=0", "-NEW=1", "KDR=0 WSH=128"] {
            read(&format!("inline:{KEY} {fine}")).unwrap_or_else(|why| panic!("{fine}: {why}"));
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let line = read(&format!("inline:{KEY}")).expect("fine");
        assert_eq!(format!("{:?}", line.key), "MasterKey { suite: AesCm128HmacSha1_80, .. }");
    }
}
