//! The format parameters of Opus (RFC 7587 section 6.1): what the one who writes them wants to receive.

use std::fmt;

/// What a side says about the Opus it wants to receive, and (`sprop`) about the one it is going to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter of its own in RFC 7587")]
pub struct OpusParameters {
    /// `maxplaybackrate`: the highest sampling rate it can play, in Hz, 8000 to 48000.
    pub max_playback_rate: u32,
    /// `sprop-maxcapturerate`: the highest sampling rate it sends, in Hz, 8000 to 48000.
    pub max_capture_rate: u32,
    /// `maxaveragebitrate`: the most it wants to receive, in bit/s, 6000 to 510000; `None`: the sender chooses.
    pub max_average_bitrate: Option<u32>,
    /// `stereo`: it plays stereo. We send mono, which is always allowed.
    pub stereo: bool,
    /// `sprop-stereo`: it is likely to send stereo, which we mix down.
    pub sends_stereo: bool,
    /// `cbr`: it wants a constant bit rate.
    pub constant_bitrate: bool,
    /// `useinbandfec`: it makes use of in-band FEC.
    pub in_band_fec: bool,
    /// `usedtx`: it would rather have nothing than silence.
    pub dtx: bool,
}

impl Default for OpusParameters {
    /// What holds for a side that says nothing.
    fn default() -> Self {
        Self {
            max_playback_rate: *RATES.end(),
            max_capture_rate: *RATES.end(),
            max_average_bitrate: None,
            stereo: false,
            sends_stereo: false,
            constant_bitrate: false,
            in_band_fec: false,
            dtx: false,
        }
    }
}

const RATES: std::ops::RangeInclusive<u32> = 8000..=48_000;
const BITRATES: std::ops::RangeInclusive<u32> = 6000..=510_000;

impl OpusParameters {
    /// Reads what follows the payload type in `a=fmtp`. A number out of bounds counts as the nearest bound; a parameter that
    /// is unknown or cannot be read is as if it were not there (RFC 7587 section 7.1).
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for parameter in text.split(';') {
            let Some((name, value)) = parameter.split_once('=') else { continue };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            let number = |bounds: &std::ops::RangeInclusive<u32>| {
                value.parse::<u32>().ok().map(|number| number.clamp(*bounds.start(), *bounds.end()))
            };
            let flag = |default: bool| match value {
                "0" => false,
                "1" => true,
                _ => default,
            };
            match name.as_str() {
                "maxplaybackrate" => {
                    found.max_playback_rate = number(&RATES).unwrap_or(found.max_playback_rate);
                }
                "sprop-maxcapturerate" => {
                    found.max_capture_rate = number(&RATES).unwrap_or(found.max_capture_rate);
                }
                "maxaveragebitrate" => {
                    found.max_average_bitrate = number(&BITRATES).or(found.max_average_bitrate);
                }
                "stereo" => found.stereo = flag(found.stereo),
                "sprop-stereo" => found.sends_stereo = flag(found.sends_stereo),
                "cbr" => found.constant_bitrate = flag(found.constant_bitrate),
                "useinbandfec" => found.in_band_fec = flag(found.in_band_fec),
                "usedtx" => found.dtx = flag(found.dtx),
                _ => {}
            }
        }
        found
    }
}

impl fmt::Display for OpusParameters {
    /// As in `a=fmtp`: what differs from the defaults; nothing at all where nothing does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        let rate = |name, rate: u32, usual: u32| (rate != usual).then(|| format!("{name}={rate}"));
        let flag = |name, set: bool| set.then(|| format!("{name}=1"));
        let parameters = [
            rate("maxplaybackrate", self.max_playback_rate, default.max_playback_rate),
            rate("sprop-maxcapturerate", self.max_capture_rate, default.max_capture_rate),
            self.max_average_bitrate.map(|bitrate| format!("maxaveragebitrate={bitrate}")),
            flag("stereo", self.stereo),
            flag("sprop-stereo", self.sends_stereo),
            flag("cbr", self.constant_bitrate),
            flag("useinbandfec", self.in_band_fec),
            flag("usedtx", self.dtx),
        ];
        f.write_str(&parameters.into_iter().flatten().collect::<Vec<_>>().join(";"))
    }
}

/// What both sides said about Opus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OpusTerms {
    /// The peer's wishes: they bind what we send.
    pub egress: OpusParameters,
    /// Our wishes: they bind what the peer sends.
    pub ingress: OpusParameters,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_read_and_written() {
        let text = "maxplaybackrate=16000;sprop-maxcapturerate=8000;maxaveragebitrate=20000;stereo=1;\
                    sprop-stereo=1;cbr=1;useinbandfec=1;usedtx=1";
        let found = OpusParameters::parse(text);
        let expected = OpusParameters {
            max_playback_rate: 16_000,
            max_capture_rate: 8000,
            max_average_bitrate: Some(20_000),
            stereo: true,
            sends_stereo: true,
            constant_bitrate: true,
            in_band_fec: true,
            dtx: true,
        };
        assert_eq!(found, expected);
        assert_eq!(found.to_string(), text);
    }

    #[test]
    fn who_says_nothing_plays_48_khz_without_fec_and_dtx() {
        let silent = OpusParameters::parse("");
        assert_eq!(silent, OpusParameters::default());
        assert_eq!((silent.max_playback_rate, silent.in_band_fec, silent.dtx), (48_000, false, false));
        assert_eq!(silent.to_string(), "");
    }

    #[test]
    fn blanks_case_and_unknown_parameters_do_not_matter() {
        let found =
            OpusParameters::parse(" UseInbandFec = 1 ; minptime=10;x;=; maxplaybackrate=  24000;;y=\u{fc}");
        let expected =
            OpusParameters { in_band_fec: true, max_playback_rate: 24_000, ..OpusParameters::default() };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_number_out_of_bounds_is_the_nearest_bound_and_nonsense_is_nothing() {
        // (what is written, the playback rate, the bit rate)
        let table = [
            ("maxplaybackrate=1;maxaveragebitrate=1", 8000, Some(6000)),
            ("maxplaybackrate=96000;maxaveragebitrate=4294967295", 48_000, Some(510_000)),
            ("maxplaybackrate=99999999999;maxaveragebitrate=-1", 48_000, None),
            ("maxplaybackrate=;maxaveragebitrate=x", 48_000, None),
        ];
        for (text, rate, bitrate) in table {
            let found = OpusParameters::parse(text);
            assert_eq!((found.max_playback_rate, found.max_average_bitrate), (rate, bitrate), "{text}");
        }
        assert!(!OpusParameters::parse("useinbandfec=yes").in_band_fec);
    }
}
