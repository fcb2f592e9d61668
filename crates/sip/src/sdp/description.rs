//! A peer's description, with limits and with the meaning of each payload type.

use super::crypto::Line;
use super::{
    AudioLevel, Codec, Direction, MAX_BYTES, MAX_CRYPTO, MAX_MEDIA, MAX_PAYLOAD_TYPES, OpusParameters,
    SdpError, Srtp,
};
use sdp_types::{Attribute, Connection, Media, Session};
use std::net::{IpAddr, SocketAddr};

/// The static payload type of comfort noise (RFC 3551 section 6). Nobody was seen to use another at a clock of 8000.
pub(super) const COMFORT_NOISE: u8 = 13;

/// Payload types that nobody may use for RTP: with the marker they cannot be told from RTCP (RFC 5761 section 4).
const LOOKS_LIKE_RTCP: std::ops::RangeInclusive<u8> = 64..=95;

/// What a payload type means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Audio(Codec),
    TelephoneEvent { clock_rate: u32 },
    ComfortNoise,
    Unknown,
}

/// A checked description.
pub(super) struct Description {
    session: Session,
}

impl Description {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        if bytes.len() > MAX_BYTES {
            return Err(SdpError::TooLarge(bytes.len()));
        }
        let media = bytes.split(|&b| b == b'\n').filter(|line| line.starts_with(b"m=")).count();
        if media > MAX_MEDIA {
            return Err(SdpError::TooManyMedia(media));
        }
        let session = Session::parse(bytes).map_err(|e| SdpError::Syntax(shown(&e.to_string())))?;
        for media in &session.medias {
            let formats = media.fmt.split_ascii_whitespace().count();
            if formats > MAX_PAYLOAD_TYPES {
                return Err(SdpError::TooManyPayloadTypes(formats));
            }
        }
        Ok(Self { session })
    }

    pub(super) fn media(&self) -> &[Media] {
        &self.session.medias
    }

    /// The stream of m-line `media`, if it is audio that we could speak.
    pub(super) fn stream<'a>(&'a self, media: &'a Media, srtp: Srtp) -> Result<Stream<'a>, SdpError> {
        if media.media != "audio" || media.port == 0 {
            return Err(SdpError::NoAudio);
        }
        // AVPF differs in RTCP timing only, which is ours to choose when the peer asks for no feedback.
        let secure = match media.proto.as_str() {
            "RTP/AVP" | "RTP/AVPF" => false,
            "RTP/SAVP" | "RTP/SAVPF" => true,
            other if srtp == Srtp::Off => return Err(SdpError::Encrypted(shown(other))),
            other => return Err(SdpError::Transport(shown(other))),
        };
        let (formats, meanings) = payload_types(media)?;
        Ok(Stream { session: &self.session, media, secure, formats, meanings })
    }
}

/// One audio m-line of a description.
pub(super) struct Stream<'a> {
    session: &'a Session,
    media: &'a Media,
    /// It is RTP/SAVP or RTP/SAVPF.
    secure: bool,
    /// Payload types in the order of the m-line.
    formats: Vec<u8>,
    meanings: Vec<Meaning>,
}

impl Stream<'_> {
    /// The m-line's protocol, as it is written.
    pub(super) fn protocol(&self) -> &str {
        &self.media.proto
    }

    /// Whether the m-line itself asks for SRTP.
    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// What the peer wants of Opus under a payload type: its first fmtp there.
    pub(super) fn opus(&self, payload_type: u8) -> OpusParameters {
        let parameters = self.attributes("fmtp").find_map(|value| {
            let (pt, parameters) = value.trim_start().split_once(' ')?;
            (pt.parse() == Ok(payload_type)).then_some(parameters)
        });
        OpusParameters::parse(parameters.unwrap_or_default())
    }

    /// The audio level's extension, as the peer sees it: the media's, else the session's (RFC 8285 section 5). An ID that is
    /// given to two extensions belongs to nobody.
    pub(super) fn audio_level(&self) -> Option<AudioLevel> {
        let of = |attributes: &[Attribute]| {
            let maps =
                || attributes.iter().filter(|a| a.attribute == "extmap").filter_map(|a| a.value.as_deref());
            let level = maps().find_map(AudioLevel::parse)?;
            let same =
                |value: &&str| value.split([' ', '/']).next().is_some_and(|id| id.parse() == Ok(level.id));
            (maps().filter(same).count() == 1).then_some(level)
        };
        of(&self.media.attributes).or_else(|| of(&self.session.attributes))
    }

    /// Whether there is any `a=crypto`.
    pub(super) fn has_crypto(&self) -> bool {
        self.attribute("crypto").is_some()
    }

    /// The lines of `a=crypto`, each with a tag of its own, and why the others cannot be used.
    pub(super) fn crypto(&self) -> (Vec<Line>, Vec<String>) {
        let (mut lines, mut refused): (Vec<Line>, Vec<String>) = (Vec::new(), Vec::new());
        for value in self.attributes("crypto").take(MAX_CRYPTO) {
            match Line::parse(value) {
                Ok(line) if lines.iter().any(|other| other.tag == line.tag) => {
                    refused.push(format!("line {} is there twice", line.tag));
                }
                Ok(line) => lines.push(line),
                Err(why) => refused.push(why),
            }
        }
        (lines, refused)
    }

    /// The payload type of a codec, if it is there.
    pub(super) fn payload_type(&self, codec: Codec) -> Option<u8> {
        self.find(|meaning| meaning == Meaning::Audio(codec))
    }

    /// The first codec of the m-line that `wanted` has.
    pub(super) fn first_codec(&self, wanted: &[Codec]) -> Option<(Codec, u8)> {
        self.formats.iter().zip(&self.meanings).find_map(|(&pt, meaning)| match meaning {
            Meaning::Audio(codec) if wanted.contains(codec) => Some((*codec, pt)),
            _ => None,
        })
    }

    /// The payload type of telephone-event at this clock rate (RFC 4733 section 2.1: that of the audio).
    pub(super) fn event_payload_type(&self, clock_rate: u32) -> Option<u8> {
        self.find(|meaning| meaning == Meaning::TelephoneEvent { clock_rate })
    }

    /// Whether comfort noise at a clock of 8000 is there under its static payload type.
    pub(super) fn has_comfort_noise(&self) -> bool {
        self.find(|meaning| meaning == Meaning::ComfortNoise).is_some()
    }

    fn find(&self, wanted: impl Fn(Meaning) -> bool) -> Option<u8> {
        self.formats.iter().zip(&self.meanings).find(|(_, meaning)| wanted(**meaning)).map(|(&pt, _)| pt)
    }

    /// The peer's direction, as the peer sees it: the media's attribute, else the session's, else sendrecv.
    pub(super) fn direction(&self) -> Direction {
        let last =
            |attributes: &[Attribute]| attributes.iter().rev().find_map(|a| Direction::parse(&a.attribute));
        last(&self.media.attributes).or_else(|| last(&self.session.attributes)).unwrap_or_default()
    }

    fn attribute<'s>(&'s self, name: &'s str) -> Option<&'s str> {
        self.attributes(name).next()
    }

    fn attributes<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        let named = self.media.attributes.iter().filter(move |a| a.attribute == name);
        named.map(|a| a.value.as_deref().unwrap_or_default())
    }

    /// Whether RTCP shall share the RTP port (RFC 5761).
    pub(super) fn rtcp_mux(&self) -> bool {
        self.attribute("rtcp-mux").is_some()
    }

    /// ptime and maxptime in whole milliseconds; fractions are cut.
    pub(super) fn packet_times(&self) -> (Option<u32>, Option<u32>) {
        let read = |name: &'static str| {
            let text = self.attribute(name)?;
            let whole = text.trim().split('.').next()?;
            whole.parse::<u32>().ok().filter(|&ms| ms > 0)
        };
        (read("ptime"), read("maxptime"))
    }

    /// The address of the media's c= line, else of the session's.
    pub(super) fn connection_address(&self) -> Result<IpAddr, SdpError> {
        let connection = self.media.connections.first().or(self.session.connection.as_ref());
        address(connection.ok_or_else(|| SdpError::Address("there is none".into()))?)
    }

    /// Where RTP goes, and whether that is a null address (hold as in RFC 2543).
    pub(super) fn rtp_address(&self, ours: IpAddr) -> Result<(SocketAddr, bool), SdpError> {
        let ip = self.connection_address()?;
        let null = ip.is_unspecified();
        if !null {
            check_unicast(ip, ours)?;
        }
        Ok((SocketAddr::new(ip, self.media.port), null))
    }

    /// Where RTCP goes when it is not multiplexed: `a=rtcp` (RFC 3605), else the next port.
    pub(super) fn rtcp_address(&self, rtp: SocketAddr, ours: IpAddr) -> Result<SocketAddr, SdpError> {
        let next = SocketAddr::new(rtp.ip(), rtp.port().checked_add(1).unwrap_or(rtp.port()));
        let Some(value) = self.attribute("rtcp") else { return Ok(next) };
        let mut words = value.split_ascii_whitespace();
        let port = words.next().and_then(|w| w.parse::<u16>().ok());
        let port = match port.ok_or_else(|| SdpError::Syntax("a=rtcp needs a port".into()))? {
            0 => next.port(),
            port => port,
        };
        // "IN IP4 address" may follow; an address that is no use does not cost the call, RTCP then goes where RTP goes.
        let usable = |ip: &IpAddr| !ip.is_unspecified() && check_unicast(*ip, ours).is_ok();
        let stated = words.nth(2).and_then(|w| w.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical());
        Ok(SocketAddr::new(stated.filter(usable).unwrap_or(rtp.ip()), port))
    }
}

/// Media must go to one machine of our family: a stream sent to a group or broadcast address is an attack on others.
fn check_unicast(ip: IpAddr, ours: IpAddr) -> Result<(), SdpError> {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_multicast() || broadcast {
        return Err(SdpError::Address(ip.to_string()));
    }
    if ip.is_ipv4() != ours.to_canonical().is_ipv4() {
        return Err(SdpError::Family(ip, if ours.to_canonical().is_ipv4() { "IPv4" } else { "IPv6" }));
    }
    Ok(())
}

fn address(connection: &Connection) -> Result<IpAddr, SdpError> {
    let text = connection.connection_address.split('/').next().unwrap_or_default();
    // RFC 5118 section 4.9: an IPv4-mapped IPv6 address is an IPv4 peer.
    text.parse::<IpAddr>().map(|ip| ip.to_canonical()).map_err(|_| SdpError::Address(shown(text)))
}

/// The m-line's payload types and what each means: its rtpmap, or its static assignment (RFC 3551).
fn payload_types(media: &Media) -> Result<(Vec<u8>, Vec<Meaning>), SdpError> {
    let mut mapped: [Option<Meaning>; 128] = [None; 128];
    for value in
        media.attributes.iter().filter(|a| a.attribute == "rtpmap").filter_map(|a| a.value.as_deref())
    {
        let Some((pt, meaning)) = rtpmap(value) else { continue };
        let Some(slot) = mapped.get_mut(usize::from(pt)) else { continue };
        if slot.is_some_and(|before| before != meaning) {
            return Err(SdpError::DuplicatePayloadType(pt));
        }
        *slot = Some(meaning);
    }
    let mut formats = Vec::new();
    let mut meanings = Vec::new();
    let mut seen = [false; 128];
    for word in media.fmt.split_ascii_whitespace() {
        let bad = || SdpError::Syntax(format!("{} is no payload type", shown(word)));
        let pt = word.parse::<u8>().map_err(|_| bad())?;
        let slot = seen.get_mut(usize::from(pt)).ok_or_else(bad)?;
        if std::mem::replace(slot, true) {
            return Err(SdpError::DuplicatePayloadType(pt));
        }
        let known = mapped.get(usize::from(pt)).copied().flatten();
        let by_number = || match pt {
            COMFORT_NOISE => Meaning::ComfortNoise,
            _ => Codec::from_static(pt).map_or(Meaning::Unknown, Meaning::Audio),
        };
        formats.push(pt);
        meanings.push(known.unwrap_or_else(by_number));
    }
    Ok((formats, meanings))
}

/// `payload-type encoding/clock[/channels]`; `None` for what cannot be read, which then has no meaning for us.
fn rtpmap(value: &str) -> Option<(u8, Meaning)> {
    let mut words = value.split_ascii_whitespace();
    let pt = words.next()?.parse().ok()?;
    let mut parts = words.next()?.split('/');
    let name = parts.next()?;
    let clock_rate = parts.next()?.parse().ok()?;
    let meaning = if LOOKS_LIKE_RTCP.contains(&pt) {
        Meaning::Unknown
    } else if name.eq_ignore_ascii_case("telephone-event") && pt >= 96 {
        Meaning::TelephoneEvent { clock_rate }
    } else if name.eq_ignore_ascii_case("CN") && clock_rate == 8000 && pt == COMFORT_NOISE {
        Meaning::ComfortNoise
    } else if let Some(codec) = Codec::from_encoding(name, clock_rate, parts.next()) {
        Meaning::Audio(codec)
    } else {
        Meaning::Unknown
    };
    Some((pt, meaning))
}

/// A peer's word for an error message: short and without controls.
fn shown(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_control() { '?' } else { c }).collect()
}
