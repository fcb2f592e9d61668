//! A phone's SRTP: keys in SDP, and packets by somebody else's implementation (`rtc-srtp`), so that one mistake cannot hide
//! another.

use bytes::Bytes;
use rtc_crypto::providers::AwsLcRsCrypto;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

/// How a phone encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// AES-CM with a tag of 80 bits.
    Cm80,
    /// AES-CM with a tag of 32 bits.
    Cm32,
    /// AES-GCM with a key of 128 bits.
    Gcm128,
    /// AES-GCM with a key of 256 bits.
    Gcm256,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cm80, Self::Cm32, Self::Gcm128, Self::Gcm256];

    /// Its name in SDP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cm80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Cm32 => "AES_CM_128_HMAC_SHA1_32",
            Self::Gcm128 => "AEAD_AES_128_GCM",
            Self::Gcm256 => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    fn profile(self) -> ProtectionProfile {
        match self {
            Self::Cm80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::Cm32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::Gcm128 => ProtectionProfile::AeadAes128Gcm,
            Self::Gcm256 => ProtectionProfile::AeadAes256Gcm,
        }
    }

    /// Bytes of key and of salt.
    fn lengths(self) -> (usize, usize) {
        match self {
            Self::Cm80 | Self::Cm32 => (16, 14),
            Self::Gcm128 => (16, 12),
            Self::Gcm256 => (32, 12),
        }
    }

    fn context(self, master: &[u8]) -> Context {
        let (key, salt) = self.lengths();
        assert_eq!(master.len(), key + salt, "a key of {}", self.name());
        let (key, salt) = master.split_at(key);
        Context::new(key, salt, self.profile(), None, None, &AwsLcRsCrypto).expect("keys of the right length")
    }
}

/// What a phone offers.
#[derive(Clone, Debug)]
pub struct Security {
    /// `RTP/SAVP`; otherwise `a=crypto` stands under `RTP/AVP`, and plain RTP will do.
    pub mandatory: bool,
    /// One line for each, tagged from 1.
    pub suites: Vec<Suite>,
    /// Another number makes other keys; set it before a re-INVITE.
    pub generation: u8,
    /// It sends under a key that it never told.
    pub lies: bool,
    /// The bridge's line that it answers, where the bridge has offered.
    pub answers: Option<(u32, Suite)>,
}

impl Security {
    /// `RTP/SAVP` with these suites.
    pub fn mandatory(suites: &[Suite]) -> Self {
        Self { mandatory: true, suites: suites.to_vec(), generation: 1, lies: false, answers: None }
    }

    /// `RTP/AVP` with `a=crypto`.
    pub fn optional(suites: &[Suite]) -> Self {
        Self { mandatory: false, ..Self::mandatory(suites) }
    }

    /// The protocol of the m-line.
    pub fn protocol(&self) -> &'static str {
        if self.mandatory { "RTP/SAVP" } else { "RTP/AVP" }
    }

    fn master(&self, suite: Suite) -> Vec<u8> {
        let (key, salt) = suite.lengths();
        (0..key + salt)
            .map(|at| (at as u8).wrapping_mul(31) ^ self.generation.wrapping_mul(77) ^ suite as u8)
            .collect()
    }

    /// Chooses among the lines of the bridge's offer.
    pub fn choose(&mut self, lines: &[String]) {
        self.answers = lines.iter().find_map(|line| {
            let (tag, rest) = line.split_once(' ')?;
            let suite = Suite::of(rest.split(' ').next()?).filter(|suite| self.suites.contains(suite))?;
            Some((tag.parse().ok()?, suite))
        });
    }

    /// The `a=crypto` lines: of an answer the one that was chosen, of an offer one for each suite.
    pub fn lines(&self) -> Vec<String> {
        let line = |(tag, suite): (u32, Suite)| {
            format!("a=crypto:{tag} {} inline:{}", suite.name(), base64(&self.master(suite)))
        };
        match self.answers {
            Some(chosen) => vec![line(chosen)],
            None => (1..).zip(self.suites.iter().copied()).map(line).collect(),
        }
    }
}

/// One direction under one key.
struct Way {
    master: Vec<u8>,
    context: Context,
}

impl Way {
    fn go_on(before: Option<Self>, suite: Suite, master: Vec<u8>) -> Self {
        match before {
            // The same key goes on where it was, with its rollover counter.
            Some(before) if before.master == master => before,
            _ => Self { context: suite.context(&master), master },
        }
    }
}

/// The keys in use.
pub struct Keyed {
    /// How both ways are encrypted.
    pub suite: Suite,
    egress: Way,
    ingress: Way,
    /// What came and was not authentic.
    pub rejected: u64,
    /// Keys of the bridge's so far, one after the other.
    pub bridge_keys: usize,
}

impl Keyed {
    /// What was agreed: the bridge's `a=crypto` line, which answers one of ours or was chosen by us.
    pub fn agree(before: Option<Self>, own: &Security, line: &str) -> Self {
        let mut words = line.split(' ');
        let tag: usize = words.next().and_then(|tag| tag.parse().ok()).expect("a tag");
        let suite = words.next().and_then(Suite::of).expect("a suite");
        let key = words.next().and_then(|key| key.strip_prefix("inline:")).expect("an inline key");
        let offered = own.suites.get(tag.wrapping_sub(1)) == Some(&suite);
        assert!(offered || own.answers.is_some(), "the bridge answers a tag of ours with its suite: {tag}");
        let (rejected, bridge_keys) =
            before.as_ref().map_or((0, 0), |before| (before.rejected, before.bridge_keys));
        let (egress, ingress) = before.map(|before| (before.egress, before.ingress)).unzip();
        let theirs = from_base64(key);
        let renewed = ingress.as_ref().is_none_or(|before: &Way| before.master != theirs);
        let mut master = own.master(suite);
        if own.lies {
            master.fill(0xEE);
        }
        Self {
            suite,
            egress: Way::go_on(egress, suite, master),
            ingress: Way::go_on(ingress, suite, theirs),
            rejected,
            bridge_keys: bridge_keys + usize::from(renewed),
        }
    }

    /// A packet of ours, encrypted.
    pub fn seal(&mut self, packet: &[u8]) -> Bytes {
        self.egress.context.encrypt_rtp(packet).expect("a packet of ours").freeze()
    }

    /// A packet of the bridge, decrypted; `None` where it is not authentic.
    pub fn open(&mut self, packet: &[u8]) -> Option<Bytes> {
        let opened = self.ingress.context.decrypt_rtp(packet).ok();
        self.rejected += u64::from(opened.is_none());
        opened.map(bytes::BytesMut::freeze)
    }

    /// The same for RTCP.
    pub fn open_rtcp(&mut self, packet: &[u8]) -> Option<Bytes> {
        let opened = self.ingress.context.decrypt_rtcp(packet).ok();
        self.rejected += u64::from(opened.is_none());
        opened.map(bytes::BytesMut::freeze)
    }
}

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding, bit by bit.
fn base64(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter = |six: &[u8]| {
        let value = (0..6).fold(0, |value, at| value << 1 | six.get(at).copied().unwrap_or(0));
        char::from(ALPHABET.as_bytes()[usize::from(value)])
    };
    let mut text: String = bits.chunks(6).map(letter).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn from_base64(text: &str) -> Vec<u8> {
    let letters = text.trim_end_matches('=').chars();
    let bits: Vec<u8> = letters
        .map(|letter| ALPHABET.find(letter).expect("a letter of base64") as u8)
        .flat_map(|value| (0..6).rev().map(move |bit| value >> bit & 1))
        .collect();
    bits.chunks_exact(8).map(|eight| eight.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
}
