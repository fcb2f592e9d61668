//! The checks of what concerns media: codecs and their settings, encryption.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use routing::Spanned;
use sip::sdp::{Codec, Srtp, Suite};

use super::Check;
use crate::profile::{MediaAddress, OpusSettings};
use crate::source::{CodecName, OpusSource, SrtpName, SuiteName};

/// RFC 7587 section 6.1 begins at 6000; above 128000 one voice gains nothing.
const BITRATES: RangeInclusive<u32> = 6000..=128_000;

/// The word in the signalling engine's terms.
pub(crate) fn srtp(written: SrtpName) -> Srtp {
    match written {
        SrtpName::Off => Srtp::Off,
        SrtpName::Optional => Srtp::Optional,
        SrtpName::Mandatory => Srtp::Mandatory,
    }
}

impl Check<'_> {
    pub(crate) fn codecs(
        &mut self,
        written: Option<&Spanned<Vec<CodecName>>>,
        default: &[Codec],
    ) -> Vec<Codec> {
        let codec = |name: &CodecName| match name {
            CodecName::Pcmu => Codec::Pcmu,
            CodecName::Pcma => Codec::Pcma,
            CodecName::G722 => Codec::G722,
            CodecName::Opus => Codec::Opus,
        };
        let expected = "at least one of \"opus\", \"g722\", \"pcma\", \"pcmu\"";
        self.once_each("codecs", written, codec, default, expected)
    }

    pub(crate) fn suites(
        &mut self,
        written: Option<&Spanned<Vec<SuiteName>>>,
        default: &[Suite],
    ) -> Vec<Suite> {
        let suite = |name: &SuiteName| match name {
            SuiteName::AesCm128HmacSha1_80 => Suite::AesCm128HmacSha1_80,
            SuiteName::AesCm128HmacSha1_32 => Suite::AesCm128HmacSha1_32,
            SuiteName::AeadAes128Gcm => Suite::AeadAes128Gcm,
            SuiteName::AeadAes256Gcm => Suite::AeadAes256Gcm,
        };
        let expected = "at least one suite, as \"AES_CM_128_HMAC_SHA1_80\"; for no SRTP say srtp = \"off\"";
        self.once_each("srtp_suites", written, suite, default, expected)
    }

    /// Where this trunk's media comes to, and what SDP says of it: both of one family, and addresses of one machine.
    pub(crate) fn media_address(
        &mut self,
        bind: Option<&Spanned<IpAddr>>,
        told: Option<&Spanned<IpAddr>>,
    ) -> Option<MediaAddress> {
        let several = |ip: &IpAddr| ip.is_multicast() || *ip == IpAddr::from(Ipv4Addr::BROADCAST);
        let Some(bind) = bind else {
            if let Some(told) = told {
                let expected = "media_address with it: where this trunk's media is received";
                self.refuse(Some(told.span()), "media_advertise", told.get_ref().to_string(), expected);
            }
            return None;
        };
        if several(bind.get_ref()) {
            let expected = "the address of one machine";
            self.refuse(Some(bind.span()), "media_address", bind.get_ref().to_string(), expected);
        }
        let said = told.unwrap_or(bind);
        let (ip, key) = (said.get_ref(), if told.is_some() { "media_advertise" } else { "media_address" });
        if several(ip) || ip.is_unspecified() {
            let expected = "the address of one machine, which SDP can name (media_advertise)";
            self.refuse(Some(said.span()), key, ip.to_string(), expected);
        }
        if ip.is_ipv4() != bind.get_ref().is_ipv4() {
            let expected = "an address of the family of media_address";
            self.refuse(Some(said.span()), key, ip.to_string(), expected);
        }
        Some(MediaAddress { bind: *bind.get_ref(), told: *ip })
    }

    /// The list as it is written, each entry where it stands first.
    fn once_each<N, T: Copy + PartialEq>(
        &mut self,
        key: &str,
        written: Option<&Spanned<Vec<N>>>,
        meant: impl Fn(&N) -> T,
        default: &[T],
        expected: &str,
    ) -> Vec<T> {
        let Some(names) = written else { return default.to_vec() };
        let mut found: Vec<T> = Vec::new();
        for one in names.get_ref().iter().map(meant) {
            if !found.contains(&one) {
                found.push(one);
            }
        }
        if found.is_empty() {
            self.refuse(Some(names.span()), key, "[]", expected);
        }
        found
    }

    pub(crate) fn opus(&mut self, written: Option<&OpusSource>) -> OpusSettings {
        let default = OpusSettings::default();
        let Some(source) = written else { return default };
        if let Some(rate) =
            source.max_rate.as_ref().filter(|rate| ![8000, 16_000, 48_000].contains(rate.get_ref()))
        {
            let found = rate.get_ref().to_string();
            self.refuse(Some(rate.span()), "opus.max_rate", found, "8000, 16000 or 48000");
        }
        let complexity = self.number("opus.complexity", source.complexity.as_ref(), 0..=10);
        OpusSettings {
            bitrate: self
                .number("opus.bitrate", source.bitrate.as_ref(), BITRATES)
                .unwrap_or(default.bitrate),
            complexity: complexity.map_or(default.complexity, |complexity| complexity as u8),
            fec: source.fec.unwrap_or(default.fec),
            dtx: source.dtx.unwrap_or(default.dtx),
            max_rate: source.max_rate.as_ref().map_or(default.max_rate, |rate| *rate.get_ref()),
        }
    }
}
