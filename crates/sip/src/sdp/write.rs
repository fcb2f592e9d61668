//! Our own descriptions, written out.

use super::crypto::Line;
use super::description::COMFORT_NOISE;
use super::{AudioLevel, Codec, Direction, LocalMedia, MasterKey, Negotiated, OpusParameters};
use bytes::Bytes;
use sdp_types::{Attribute, Connection, Media, Origin, Session, Time};

/// One payload type of an m-line.
pub(super) struct Format {
    payload_type: u8,
    rtpmap: String,
    fmtp: String,
}

impl Format {
    pub(super) fn audio(payload_type: u8, codec: Codec, opus: &OpusParameters) -> Self {
        let fmtp = if codec == Codec::Opus { opus.to_string() } else { String::new() };
        Self { payload_type, rtpmap: codec.rtpmap().to_owned(), fmtp }
    }

    pub(super) fn telephone_event(payload_type: u8, clock_rate: u32) -> Self {
        // The sixteen events of a telephone keypad (RFC 4733 section 3.2).
        Self { payload_type, rtpmap: format!("telephone-event/{clock_rate}"), fmtp: "0-15".to_owned() }
    }

    fn comfort_noise() -> Self {
        Self { payload_type: COMFORT_NOISE, rtpmap: "CN/8000".to_owned(), fmtp: String::new() }
    }
}

/// What our m-line says beside its formats.
pub(super) struct Lines<'a> {
    pub(super) proto: &'a str,
    pub(super) formats: &'a [Format],
    pub(super) ptime_ms: u8,
    pub(super) direction: Direction,
    pub(super) rtcp_mux: bool,
    pub(super) audio_level: Option<AudioLevel>,
    pub(super) crypto: &'a [(u32, MasterKey)],
    pub(super) pad_keys: bool,
}

/// Our audio stream.
pub(super) fn audio_media(lines: &Lines<'_>, local: &LocalMedia) -> Media {
    let list = lines.formats.iter().map(|f| f.payload_type.to_string()).collect::<Vec<_>>().join(" ");
    let mut media = blank_media("audio", local.port, lines.proto, list);
    let attributes = &mut media.attributes;
    for Format { payload_type, rtpmap, .. } in lines.formats {
        attributes.push(Attribute::with_value("rtpmap", format!("{payload_type} {rtpmap}")));
    }
    for Format { payload_type, fmtp, .. } in lines.formats.iter().filter(|f| !f.fmtp.is_empty()) {
        attributes.push(Attribute::with_value("fmtp", format!("{payload_type} {fmtp}")));
    }
    for (tag, key) in lines.crypto {
        attributes.push(Attribute::with_value("crypto", Line::write(*tag, key, lines.pad_keys)));
    }
    attributes.push(Attribute::with_value("ptime", lines.ptime_ms));
    attributes.push(Attribute::new(lines.direction.as_str()));
    if lines.rtcp_mux {
        attributes.push(Attribute::new("rtcp-mux"));
    } else if local.port.checked_add(1) != Some(local.rtcp_port) {
        attributes.push(Attribute::with_value("rtcp", local.rtcp_port));
    }
    if let Some(level) = lines.audio_level {
        attributes.push(Attribute::with_value("extmap", level.written()));
    }
    media
}

/// The answer to an offer whose m-line `taken` is the one we speak.
pub(super) fn write_answer(
    offered: &[Media],
    taken: usize,
    agreed: &Negotiated,
    local: &LocalMedia,
    pad_keys: bool,
) -> Bytes {
    let ours = agreed.opus.map(|terms| terms.ingress).unwrap_or_default();
    let mut formats = vec![Format::audio(agreed.audio_pt, agreed.codec, &ours)];
    formats.extend(agreed.comfort_noise.then(Format::comfort_noise));
    formats.extend(agreed.event_pt.map(|pt| Format::telephone_event(pt, agreed.event_clock_rate)));
    let crypto: Vec<_> = agreed.crypto.iter().map(|crypto| (crypto.tag, crypto.ours)).collect();
    let media = offered.iter().enumerate().map(|(index, media)| {
        if index != taken {
            return rejected(media);
        }
        let lines = Lines {
            proto: &media.proto,
            formats: &formats,
            // What we want to receive is what we send, so that both directions are alike.
            ptime_ms: agreed.ptime_ms,
            direction: agreed.direction,
            rtcp_mux: agreed.rtcp_mux,
            audio_level: agreed.audio_level,
            crypto: &crypto,
            pad_keys,
        };
        audio_media(&lines, local)
    });
    write(local, media.collect())
}

/// The m-line of a stream that we do not take: port 0, and one format because the grammar wants one.
fn rejected(media: &Media) -> Media {
    let format = media.fmt.split_ascii_whitespace().next().unwrap_or("0");
    blank_media(&media.media, 0, &media.proto, format.to_owned())
}

fn blank_media(media: &str, port: u16, proto: &str, fmt: String) -> Media {
    Media {
        media: media.to_owned(),
        port,
        num_ports: None,
        proto: proto.to_owned(),
        fmt,
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}

/// A whole description with these m-lines.
pub(super) fn write(local: &LocalMedia, medias: Vec<Media>) -> Bytes {
    let mut session =
        Session::new(Origin::with_ip_addr(local.session_id, local.session_version, local.address), "-");
    session.connection = Some(Connection::from_ip_addr(local.address));
    session.times = vec![Time::new(0, 0)];
    session.medias = medias;
    let mut out = Vec::with_capacity(512);
    session.write(&mut out).unwrap_or_else(|_| unreachable!("writing to memory cannot fail"));
    out.shrink_to_fit(); // it is kept for as long as the call
    out.into()
}
