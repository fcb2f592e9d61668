use super::{
    Capabilities, Codec, Direction, LocalMedia, Negotiated, SdpError,
    description::{Description, Stream},
};
use bytes::Bytes;
use sdp_types::{Attribute, Connection, Media, Origin, Session, Time};

/// The payload type we give telephone-event in our own offers.
const OUR_EVENT_PT: u8 = 101;

/// Answers a peer's offer: the first audio stream that we can speak is taken, every other m-line is rejected with
/// port 0 in its place (RFC 3264 section 6).
///
/// # Errors
/// [`SdpError`] when no stream can be taken; the reason is that of the first audio stream.
pub fn answer(
    offer: &[u8],
    local: &LocalMedia,
    caps: &Capabilities,
) -> Result<(Bytes, Negotiated), SdpError> {
    let description = Description::parse(offer)?;
    let mut refusal = SdpError::NoAudio;
    for (index, media) in description.media().iter().enumerate() {
        let agreed = description.stream(media).and_then(|stream| {
            let codec = caps.codecs.iter().find_map(|&codec| Some((codec, stream.payload_type(codec)?)));
            negotiate(&stream, codec, local, caps, true)
        });
        match agreed {
            Ok(agreed) => {
                return Ok((write_answer(description.media(), index, &agreed, local), agreed));
            }
            Err(error) if refusal == SdpError::NoAudio => refusal = error,
            Err(_) => {}
        }
    }
    Err(refusal)
}

/// Our offer: one audio stream with all our codecs, telephone-event and ptime.
pub fn offer(local: &LocalMedia, caps: &Capabilities) -> Bytes {
    let mut formats: Vec<(u8, String)> =
        caps.codecs.iter().map(|c| (c.static_payload_type(), rtpmap_of(*c))).collect();
    if caps.telephone_event {
        let clock_rate = caps.codecs.first().map_or(8000, |c| c.clock_rate());
        formats.push((OUR_EVENT_PT, format!("telephone-event/{clock_rate}")));
    }
    let event = caps.telephone_event.then_some(OUR_EVENT_PT);
    let mux = local.rtcp_port == local.port;
    let media = audio_media("RTP/AVP", &formats, event, caps.ptime_ms, local.direction, mux, local);
    write(local, vec![media])
}

/// What we offer when the peer asks for it in mid-dialog (RFC 3261 section 14.2): `previous`, the description of ours that
/// holds, with its m-lines and payload types as agreed (RFC 3264 section 8), in the direction that `local` wants. A hold
/// that the peer asked for earlier binds our answer to it and no later offer of ours, or nobody could end it this way.
///
/// # Errors
/// [`SdpError`] when `previous` is no description.
pub fn reoffer(previous: &[u8], local: &LocalMedia) -> Result<Bytes, SdpError> {
    let mut medias = Description::parse(previous)?.media().to_vec();
    for media in medias.iter_mut().filter(|media| media.port != 0) {
        for attribute in &mut media.attributes {
            if Direction::parse(&attribute.attribute).is_some() {
                *attribute = Attribute::new(local.direction.as_str());
            }
        }
    }
    Ok(write(local, medias))
}

/// Reads the answer to our own offer. An answer with several codecs is tolerated: its first that we offered counts.
///
/// # Errors
/// [`SdpError`] when the answer does not take the stream as offered; the call must then be ended.
pub fn accept_answer(offered: &[u8], answer: &[u8], caps: &Capabilities) -> Result<Negotiated, SdpError> {
    let ours = Description::parse(offered)?;
    let theirs = Description::parse(answer)?;
    // Ours has one stream; in a re-offer, those that were rejected before it keep their places.
    let mut pairs = ours.media().iter().zip(theirs.media()).filter(|(our_media, _)| our_media.port != 0);
    let (Some((our_media, media)), true) = (pairs.next(), ours.media().len() == theirs.media().len()) else {
        return Err(SdpError::NotAccepted);
    };
    if media.port == 0 {
        return Err(SdpError::NotAccepted);
    }
    let our_stream = ours.stream(our_media)?;
    let offered_codecs: Vec<Codec> =
        caps.codecs.iter().copied().filter(|&codec| our_stream.payload_type(codec).is_some()).collect();
    let stream = theirs.stream(media)?;
    let local = LocalMedia {
        address: our_stream.connection_address()?,
        port: our_media.port,
        rtcp_port: our_media.port,
        session_id: 0,
        session_version: 0,
        direction: our_stream.direction(),
    };
    negotiate(&stream, stream.first_codec(&offered_codecs), &local, caps, our_stream.rtcp_mux())
}

fn negotiate(
    stream: &Stream<'_>,
    codec: Option<(Codec, u8)>,
    local: &LocalMedia,
    caps: &Capabilities,
    mux_allowed: bool,
) -> Result<Negotiated, SdpError> {
    let (codec, audio_pt) = codec.ok_or_else(|| SdpError::NoCodec(codec_names(caps)))?;
    let (remote_rtp, null) = stream.rtp_address(local.address)?;
    let rtcp_mux = mux_allowed && stream.rtcp_mux();
    let remote_rtcp = if rtcp_mux { remote_rtp } else { stream.rtcp_address(remote_rtp, local.address)? };
    let theirs = stream.direction();
    let event_pt = stream.event_payload_type(codec.clock_rate()).filter(|_| caps.telephone_event);
    Ok(Negotiated {
        remote_rtp,
        remote_rtcp,
        rtcp_mux,
        codec,
        audio_pt,
        event_pt,
        ptime_ms: packet_time(stream.packet_times(), caps.ptime_ms),
        // What they receive is what we may send; a null address receives nothing (RFC 3264 section 8.4).
        direction: Direction::from_flags(
            local.direction.sends() && theirs.receives() && !null,
            local.direction.receives() && theirs.sends(),
        ),
        on_hold: null || theirs != Direction::SendRecv,
    })
}

/// What the peer asked for where we can do it (10 to 60 ms in tens), never above its maxptime, else our own.
fn packet_time((ptime, maxptime): (Option<u32>, Option<u32>), ours: u8) -> u8 {
    let limit = maxptime.map_or(60, |max| (max / 10 * 10).clamp(10, 60));
    let wanted = ptime.filter(|ms| ms % 10 == 0 && (10..=60).contains(ms)).unwrap_or(u32::from(ours));
    wanted.min(limit) as u8
}

fn codec_names(caps: &Capabilities) -> String {
    caps.codecs.iter().map(|c| c.name()).collect::<Vec<_>>().join(", ")
}

fn rtpmap_of(codec: Codec) -> String {
    format!("{}/{}", codec.name(), codec.clock_rate())
}

fn write_answer(offered: &[Media], taken: usize, agreed: &Negotiated, local: &LocalMedia) -> Bytes {
    let mut formats = vec![(agreed.audio_pt, rtpmap_of(agreed.codec))];
    if let Some(pt) = agreed.event_pt {
        formats.push((pt, format!("telephone-event/{}", agreed.codec.clock_rate())));
    }
    let media = offered.iter().enumerate().map(|(index, media)| {
        if index == taken {
            audio_media(
                &media.proto,
                &formats,
                agreed.event_pt,
                // What we want to receive is what we send, so that both directions are alike.
                agreed.ptime_ms,
                agreed.direction,
                agreed.rtcp_mux,
                local,
            )
        } else {
            rejected(media)
        }
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

fn audio_media(
    proto: &str,
    formats: &[(u8, String)],
    event_pt: Option<u8>,
    ptime_ms: u8,
    direction: Direction,
    rtcp_mux: bool,
    local: &LocalMedia,
) -> Media {
    let list = formats.iter().map(|(pt, _)| pt.to_string()).collect::<Vec<_>>().join(" ");
    let mut media = blank_media("audio", local.port, proto, list);
    let attributes = &mut media.attributes;
    for (pt, map) in formats {
        attributes.push(Attribute::with_value("rtpmap", format!("{pt} {map}")));
    }
    if let Some(pt) = event_pt {
        // The sixteen events of a telephone keypad (RFC 4733 section 3.2).
        attributes.push(Attribute::with_value("fmtp", format!("{pt} 0-15")));
    }
    attributes.push(Attribute::with_value("ptime", ptime_ms));
    attributes.push(Attribute::new(direction.as_str()));
    if rtcp_mux {
        attributes.push(Attribute::new("rtcp-mux"));
    } else if local.port.checked_add(1) != Some(local.rtcp_port) {
        attributes.push(Attribute::with_value("rtcp", local.rtcp_port));
    }
    media
}

fn write(local: &LocalMedia, medias: Vec<Media>) -> Bytes {
    let mut session =
        Session::new(Origin::with_ip_addr(local.session_id, local.session_version, local.address), "-");
    session.connection = Some(Connection::from_ip_addr(local.address));
    session.times = vec![Time::new(0, 0)];
    session.medias = medias;
    let mut out = Vec::with_capacity(320);
    session.write(&mut out).unwrap_or_else(|_| unreachable!("writing to memory cannot fail"));
    out.into()
}
