//! A peer's description, with limits and with the meaning of each payload type.

use super::{Codec, Direction, MAX_BYTES, MAX_MEDIA, MAX_PAYLOAD_TYPES, SdpError};
use sdp_types::{Attribute, Connection, Media, Session};
use std::net::{IpAddr, SocketAddr};

/// What a payload type means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Audio(Codec),
    TelephoneEvent { clock_rate: u32 },
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
    pub(super) fn stream<'a>(&'a self, media: &'a Media) -> Result<Stream<'a>, SdpError> {
        if media.media != "audio" || media.port == 0 {
            return Err(SdpError::NoAudio);
        }
        // AVPF differs in RTCP timing only, which is ours to choose when the peer asks for no feedback.
        if !matches!(media.proto.as_str(), "RTP/AVP" | "RTP/AVPF") {
            return Err(SdpError::Transport(shown(&media.proto)));
        }
        let (formats, meanings) = payload_types(media)?;
        Ok(Stream { session: &self.session, media, formats, meanings })
    }
}

/// One audio m-line of a description.
pub(super) struct Stream<'a> {
    session: &'a Session,
    media: &'a Media,
    /// Payload types in the order of the m-line.
    formats: Vec<u8>,
    meanings: Vec<Meaning>,
}

impl Stream<'_> {
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

    fn find(&self, wanted: impl Fn(Meaning) -> bool) -> Option<u8> {
        self.formats.iter().zip(&self.meanings).find(|(_, meaning)| wanted(**meaning)).map(|(&pt, _)| pt)
    }

    /// The peer's direction, as the peer sees it: the media's attribute, else the session's, else sendrecv.
    pub(super) fn direction(&self) -> Direction {
        let last =
            |attributes: &[Attribute]| attributes.iter().rev().find_map(|a| Direction::parse(&a.attribute));
        last(&self.media.attributes).or_else(|| last(&self.session.attributes)).unwrap_or_default()
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.media
            .attributes
            .iter()
            .find(|a| a.attribute == name)
            .map(|a| a.value.as_deref().unwrap_or_default())
    }

    /// Whether RTCP shall share the RTP port (RFC 5761).
    pub(super) fn rtcp_mux(&self) -> bool {
        self.attribute("rtcp-mux").is_some()
    }

    /// ptime and maxptime in whole milliseconds; fractions are cut.
    pub(super) fn packet_times(&self) -> (Option<u32>, Option<u32>) {
        let read = |name| {
            let text: &str = self.attribute(name)?;
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
        let by_number = || Codec::from_static(pt).map_or(Meaning::Unknown, Meaning::Audio);
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
    let mono = parts.next().is_none_or(|channels| channels == "1");
    let meaning = if name.eq_ignore_ascii_case("telephone-event") && pt >= 96 {
        Meaning::TelephoneEvent { clock_rate }
    } else if mono && let Some(codec) = Codec::from_encoding(name, clock_rate) {
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
