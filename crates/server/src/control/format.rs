//! What offer and answer agreed on, in the mixer's words.

use mixer::srtp::{Keys, LegSrtp, Mki, SrtpConfig, Suite};
use mixer::{OpusFormat, Rate};
use sip::sdp::{self, Crypto, MasterKey, Negotiated, OpusTerms};
use trunk::Profile;

/// The share of lost packets, in percent, that the FEC of Opus prepares for. It costs bits, so it is what a line that needs
/// FEC at all may lose, and not the worst.
const PREPARED_LOSS: u8 = 5;

/// The format of a leg's media.
pub(super) fn media(negotiated: &Negotiated, profile: &Profile) -> mixer::MediaConfig {
    mixer::MediaConfig {
        codec: codec(negotiated, profile),
        audio_pt: mixer::PayloadType::new(negotiated.audio_pt),
        event_pt: negotiated.event_pt.map(mixer::PayloadType::new),
        event_clock_rate: negotiated.event_clock_rate,
        ptime: mixer::Ptime::nearest(negotiated.ptime_ms),
        audio_level: negotiated.audio_level.filter(|level| level.direction.sends()).map(|level| level.id),
    }
}

/// Which way media flows.
pub(super) fn direction(direction: sdp::Direction) -> mixer::Direction {
    match direction {
        sdp::Direction::SendRecv => mixer::Direction::SendRecv,
        sdp::Direction::SendOnly => mixer::Direction::SendOnly,
        sdp::Direction::RecvOnly => mixer::Direction::RecvOnly,
        sdp::Direction::Inactive => mixer::Direction::Inactive,
    }
}

/// The keys of a leg, made ready for use.
pub(super) fn srtp(crypto: &Crypto) -> Box<LegSrtp> {
    LegSrtp::new(SrtpConfig { ingress: keys(&crypto.theirs), egress: keys(&crypto.ours) })
}

/// A master key of SDP in the form of the mixer.
pub(crate) fn keys(master: &MasterKey) -> Keys {
    let suite = match master.suite() {
        sdp::Suite::AesCm128HmacSha1_80 => Suite::AesCm128HmacSha1_80,
        sdp::Suite::AesCm128HmacSha1_32 => Suite::AesCm128HmacSha1_32,
        sdp::Suite::AeadAes128Gcm => Suite::AeadAes128Gcm,
        sdp::Suite::AeadAes256Gcm => Suite::AeadAes256Gcm,
    };
    let mki = master.mki().map(|mki| Mki::new(u128::from(mki.value), u16::from(mki.length)));
    let mki = mki.map(|mki| mki.expect("SDP checked that the value fits and has 1 to 128 bytes"));
    Keys::new(suite, master.bytes(), mki).expect("SDP checked the length of the key")
}

/// The codec with everything that its encoder must know.
fn codec(negotiated: &Negotiated, profile: &Profile) -> mixer::Codec {
    match negotiated.codec {
        sdp::Codec::Pcmu => mixer::Codec::Pcmu,
        sdp::Codec::Pcma => mixer::Codec::Pcma,
        sdp::Codec::G722 => mixer::Codec::G722,
        sdp::Codec::Opus => mixer::Codec::Opus(opus(&negotiated.opus.unwrap_or_default(), profile)),
    }
}

/// The peer's wishes can only lower what the trunk's settings say.
fn opus(terms: &OpusTerms, profile: &Profile) -> OpusFormat {
    let (ours, wish) = (&profile.opus, &terms.egress);
    let fec = ours.fec && wish.in_band_fec;
    OpusFormat {
        rate: rate(ours.max_rate.min(wish.max_playback_rate)),
        bitrate: ours.bitrate.min(wish.max_average_bitrate.unwrap_or(u32::MAX)),
        complexity: ours.complexity,
        fec,
        dtx: ours.dtx && wish.dtx,
        cbr: wish.constant_bitrate,
        loss_percent: if fec { PREPARED_LOSS } else { 0 },
    }
}

/// The highest of our rates that is not above `hz`.
fn rate(hz: u32) -> Rate {
    match hz {
        48_000.. => Rate::Full,
        16_000.. => Rate::Wide,
        _ => Rate::Narrow,
    }
}

#[cfg(test)]
mod tests {
    use sip::sdp::OpusParameters;

    use super::*;

    fn agreed(trunk: &str, wish: &str) -> OpusFormat {
        let text =
            format!("id = \"a\"\nkind = \"operator\"\npeers = [{{ address = \"192.0.2.1\" }}]\n{trunk}\n");
        let profile = toml::from_str::<trunk::ProfileSource>(&text).unwrap().build().unwrap();
        let terms = OpusTerms { egress: OpusParameters::parse(wish), ingress: profile.capabilities().opus };
        opus(&terms, &profile)
    }

    #[test]
    fn a_peer_without_wishes_gets_what_the_trunk_says_but_no_fec() {
        let expected = OpusFormat {
            rate: Rate::Full,
            bitrate: 40_000,
            complexity: 6,
            fec: false,
            dtx: false,
            cbr: false,
            loss_percent: 0,
        };
        assert_eq!(agreed("", ""), expected);
        let told = agreed("", "useinbandfec=1");
        assert_eq!((told.fec, told.loss_percent), (true, PREPARED_LOSS));
    }

    #[test]
    fn the_peer_can_lower_and_not_raise() {
        let low = "opus = { bitrate = 20000, max_rate = 16000, fec = false, dtx = true, complexity = 9 }";
        let wishes = "maxplaybackrate=48000;maxaveragebitrate=64000;useinbandfec=1;usedtx=1;cbr=1";
        let expected = OpusFormat {
            rate: Rate::Wide,
            bitrate: 20_000,
            complexity: 9,
            fec: false,
            dtx: true,
            cbr: true,
            loss_percent: 0,
        };
        assert_eq!(agreed(low, wishes), expected);
        let lowered = agreed("", "maxplaybackrate=8000;maxaveragebitrate=12000;usedtx=1");
        assert_eq!((lowered.rate, lowered.bitrate, lowered.dtx), (Rate::Narrow, 12_000, false));
    }

    #[test]
    fn every_suite_of_sdp_has_its_keys_in_the_mixer_whatever_their_identifier() {
        for suite in sdp::Suite::ALL {
            let master = MasterKey::generate(suite, |bytes| bytes.fill(9));
            let keys = keys(&master);
            assert_eq!((keys.suite().name(), keys.master()), (suite.name(), master.bytes()));
        }
        let key = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
        for (value, length) in [(1_u64, 1_u16), (255, 1), (u64::MAX, 8), (7, 128)] {
            let offer = format!(
                "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 5000 RTP/SAVP 8\r\n\
                 a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31|{value}:{length}\r\n"
            );
            let local = sdp::LocalMedia {
                address: [192, 0, 2, 9].into(),
                port: 40_000,
                rtcp_port: 40_001,
                session_id: 1,
                session_version: 1,
                direction: sdp::Direction::SendRecv,
                keys: sdp::Suite::ALL.map(|suite| MasterKey::generate(suite, |key| key.fill(1))).to_vec(),
            };
            let caps = sdp::Capabilities {
                srtp: sdp::Srtp::Mandatory,
                suites: sdp::Suite::ALL.to_vec(),
                ..sdp::Capabilities::default()
            };
            let (_, agreed) = sdp::answer(offer.as_bytes(), &local, &caps).expect("acceptable");
            let mki = keys(&agreed.crypto.expect("encrypted").theirs).mki();
            assert_eq!(mki, Some(Mki::new(u128::from(value), length).expect("it fits")));
        }
    }

    #[test]
    fn a_rate_between_ours_is_the_one_below() {
        let rates = [8000, 12_000, 16_000, 24_000, 47_999, 48_000].map(rate);
        let expected = [Rate::Narrow, Rate::Narrow, Rate::Wide, Rate::Wide, Rate::Wide, Rate::Full];
        assert_eq!(rates, expected);
    }
}
