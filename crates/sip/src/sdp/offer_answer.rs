use super::{
    AudioLevel, Capabilities, Codec, Crypto, Direction, LocalMedia, MasterKey, Negotiated, OpusParameters,
    OpusTerms, SdpError, Srtp, Suite,
    crypto::Line,
    description::{Description, Stream},
    write::{Format, Lines, audio_media, write, write_answer},
};
use bytes::Bytes;
use sdp_types::Attribute;

/// The payload types we give telephone-event in our own offers, with the clock rate of each.
const OUR_EVENTS: [(u8, u32); 2] = [(101, 8000), (110, 48_000)];

/// Answers a peer's offer: the first audio stream that we can speak is taken, every other m-line is rejected with
/// port 0 in its place (RFC 3264 section 6). Codec and suite are chosen in our order of preference.
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
        let agreed = description.stream(media, caps.srtp).and_then(|stream| {
            let crypto = choose_crypto(&stream, caps, &local.keys)?;
            let speaks =
                |codec: Codec| codec.is_divisible() || stream.packet_times().1.is_none_or(|max| max >= 20);
            let wanted = caps.codecs.iter().filter(|&&codec| speaks(codec));
            let codec = wanted.into_iter().find_map(|&codec| Some((codec, stream.payload_type(codec)?)));
            let level = stream.audio_level().filter(|_| caps.audio_level).map(AudioLevel::turned);
            let ours = Ours { local, opus: caps.opus, rtcp_mux: true };
            negotiate(&stream, codec, &ours, caps, level, crypto)
        });
        match agreed {
            Ok(agreed) => {
                let answer = write_answer(description.media(), index, &agreed, local, caps.pad_keys);
                return Ok((answer, agreed));
            }
            Err(error) if refusal == SdpError::NoAudio => refusal = error,
            Err(_) => {}
        }
    }
    Err(refusal)
}

/// Our offer: one audio stream with all our codecs, telephone-event at the clock rate of each, ptime, and what else the
/// capabilities have: the audio level's extension, and a line of `a=crypto` for each suite that `local` has a key for.
pub fn offer(local: &LocalMedia, caps: &Capabilities) -> Bytes {
    let mut formats: Vec<Format> =
        caps.codecs.iter().map(|&codec| Format::audio(codec.payload_type(), codec, &caps.opus)).collect();
    if caps.telephone_event {
        let spoken = |rate| caps.codecs.iter().any(|codec| codec.clock_rate() == rate);
        let events = OUR_EVENTS.into_iter().filter(|&(_, rate)| spoken(rate));
        formats.extend(events.map(|(pt, rate)| Format::telephone_event(pt, rate)));
    }
    let keys = caps.suites.iter().filter_map(|&suite| key_for(&local.keys, suite));
    let crypto: Vec<(u32, MasterKey)> =
        if caps.srtp == Srtp::Off { Vec::new() } else { (1..).zip(keys).collect() };
    let lines = Lines {
        proto: if caps.srtp == Srtp::Mandatory { "RTP/SAVP" } else { "RTP/AVP" },
        formats: &formats,
        ptime_ms: caps.ptime_ms,
        direction: local.direction,
        rtcp_mux: local.rtcp_port == local.port,
        audio_level: caps.audio_level.then_some(AudioLevel::OFFERED),
        crypto: &crypto,
        pad_keys: caps.pad_keys,
    };
    write(local, vec![audio_media(&lines, local)])
}

/// What we offer when the peer asks for it in mid-dialog (RFC 3261 section 14.2): `previous`, the description of ours that
/// holds, with its m-lines, payload types and keys as agreed (RFC 3264 section 8), in the direction that `local` wants. A
/// hold that the peer asked for earlier binds our answer to it and no later offer of ours, or nobody could end it this way.
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
    let our_stream = ours.stream(our_media, caps.srtp)?;
    let offered_codecs: Vec<Codec> =
        caps.codecs.iter().copied().filter(|&codec| our_stream.payload_type(codec).is_some()).collect();
    let stream = theirs.stream(media, caps.srtp)?;
    let crypto = accept_crypto(&our_stream, &stream, caps)?;
    let local = LocalMedia {
        address: our_stream.connection_address()?,
        port: our_media.port,
        rtcp_port: our_media.port,
        session_id: 0,
        session_version: 0,
        direction: our_stream.direction(),
        keys: Vec::new(),
    };
    let codec = stream.first_codec(&offered_codecs);
    let opus = our_stream.payload_type(Codec::Opus).map(|pt| our_stream.opus(pt)).unwrap_or_default();
    // The answer may narrow the direction, and must keep the ID.
    let level = our_stream.audio_level().and_then(|offered| {
        let level = stream.audio_level()?.turned();
        (level.id == offered.id).then_some(level)
    });
    let ours = Ours { local: &local, opus, rtcp_mux: our_stream.rtcp_mux() };
    negotiate(&stream, codec, &ours, caps, level, crypto)
}

/// Our half of a negotiation.
struct Ours<'a> {
    local: &'a LocalMedia,
    opus: OpusParameters,
    /// Whether RTCP may share the RTP port.
    rtcp_mux: bool,
}

fn negotiate(
    stream: &Stream<'_>,
    codec: Option<(Codec, u8)>,
    ours: &Ours<'_>,
    caps: &Capabilities,
    audio_level: Option<AudioLevel>,
    crypto: Option<Crypto>,
) -> Result<Negotiated, SdpError> {
    let local = ours.local;
    let (codec, audio_pt) = codec.ok_or_else(|| SdpError::NoCodec(codec_names(caps)))?;
    let (remote_rtp, null) = stream.rtp_address(local.address)?;
    let rtcp_mux = ours.rtcp_mux && stream.rtcp_mux();
    let remote_rtcp = if rtcp_mux { remote_rtp } else { stream.rtcp_address(remote_rtp, local.address)? };
    let theirs = stream.direction();
    // RFC 4733 section 2.1 wants the clock of the audio; some peers know 8000 alone, whatever the audio is.
    let event = [codec.clock_rate(), 8000]
        .into_iter()
        .filter(|_| caps.telephone_event)
        .find_map(|rate| Some((stream.event_payload_type(rate)?, rate)));
    // RFC 3389 section 4: comfort noise has the clock of the audio; Opus has its own.
    let takes_noise = caps.comfort_noise && codec.clock_rate() == 8000;
    Ok(Negotiated {
        remote_rtp,
        remote_rtcp,
        rtcp_mux,
        codec,
        audio_pt,
        opus: (codec == Codec::Opus).then(|| OpusTerms { egress: stream.opus(audio_pt), ingress: ours.opus }),
        event_pt: event.map(|(pt, _)| pt),
        event_clock_rate: event.map_or(codec.clock_rate(), |(_, rate)| rate),
        comfort_noise: takes_noise && stream.has_comfort_noise(),
        ptime_ms: if codec.is_divisible() { packet_time(stream.packet_times(), caps.ptime_ms) } else { 20 },
        // What they receive is what we may send; a null address receives nothing (RFC 3264 section 8.4).
        direction: Direction::from_flags(
            local.direction.sends() && theirs.receives() && !null,
            local.direction.receives() && theirs.sends(),
        ),
        on_hold: null || theirs != Direction::SendRecv,
        audio_level,
        crypto,
    })
}

/// What the peer asked for where we can do it (10 to 60 ms in tens), never above its maxptime, else our own.
fn packet_time((ptime, maxptime): (Option<u32>, Option<u32>), ours: u8) -> u8 {
    let limit = maxptime.map_or(60, |max| (max / 10 * 10).clamp(10, 60));
    let wanted = ptime.filter(|ms| ms % 10 == 0 && (10..=60).contains(ms)).unwrap_or(u32::from(ours));
    wanted.min(limit) as u8
}

/// The line of an offer that we answer, with our key for it (RFC 4568 section 5.1.2); `None` for plain RTP.
fn choose_crypto(
    stream: &Stream<'_>,
    caps: &Capabilities,
    keys: &[MasterKey],
) -> Result<Option<Crypto>, SdpError> {
    if !is_encrypted(stream, caps)? {
        return Ok(None);
    }
    let (lines, refused) = stream.crypto();
    let chosen = caps.suites.iter().find_map(|&suite| {
        let line = lines.iter().find(|line| line.key.suite() == suite)?;
        Some(agreed(line, key_for(keys, suite)?, caps))
    });
    let chosen = chosen.transpose()?;
    if chosen.is_none() && caps.srtp == Srtp::Optional && !stream.is_secure() {
        return Ok(None);
    }
    chosen.map(Some).ok_or_else(|| no_crypto(&lines, &refused, caps))
}

/// The line of an answer, which must be one of ours (RFC 4568 section 5.1.3); `None` for plain RTP.
fn accept_crypto(
    ours: &Stream<'_>,
    stream: &Stream<'_>,
    caps: &Capabilities,
) -> Result<Option<Crypto>, SdpError> {
    if !is_encrypted(stream, caps)? {
        return Ok(None);
    }
    let (lines, refused) = stream.crypto();
    let Some(line) = lines.first() else { return Err(no_crypto(&lines, &refused, caps)) };
    let (offered, _) = ours.crypto();
    let own = offered.iter().find(|own| own.tag == line.tag && own.key.suite() == line.key.suite());
    let own = own.ok_or_else(|| SdpError::CryptoNotOffered(format!("{} {}", line.tag, line.key.suite())))?;
    agreed(line, own.key, caps).map(Some)
}

/// Whether a stream is to be encrypted, by what the peer wrote and what the trunk allows.
fn is_encrypted(stream: &Stream<'_>, caps: &Capabilities) -> Result<bool, SdpError> {
    match caps.srtp {
        Srtp::Off if stream.is_secure() => Err(SdpError::Encrypted(stream.protocol().to_owned())),
        Srtp::Off => Ok(false),
        Srtp::Mandatory if !stream.is_secure() && !stream.has_crypto() => {
            Err(SdpError::NotEncrypted(stream.protocol().to_owned(), suite_names(caps)))
        }
        Srtp::Optional | Srtp::Mandatory => Ok(stream.is_secure() || stream.has_crypto()),
    }
}

/// A peer that gives our key back as its own is refused: whatever we send could be sent back to us and be taken, and both
/// directions would have one key stream (RFC 3711 section 9.1).
fn agreed(line: &Line, ours: MasterKey, caps: &Capabilities) -> Result<Crypto, SdpError> {
    if line.key.bytes() == ours.bytes() {
        return Err(SdpError::NoCrypto(format!("line {} has our own key", line.tag), suite_names(caps)));
    }
    Ok(Crypto { tag: line.tag, ours, theirs: line.key, unused_keys: line.unused_keys })
}

fn no_crypto(lines: &[Line], refused: &[String], caps: &Capabilities) -> SdpError {
    let why = match (lines.first(), refused.first()) {
        (_, Some(why)) => why.clone(),
        (Some(_), None) => "none has a suite of this trunk".to_owned(),
        (None, None) => "there is none".to_owned(),
    };
    SdpError::NoCrypto(why, suite_names(caps))
}

fn key_for(keys: &[MasterKey], suite: Suite) -> Option<MasterKey> {
    keys.iter().find(|key| key.suite() == suite).copied()
}

fn codec_names(caps: &Capabilities) -> String {
    caps.codecs.iter().map(|codec| codec.name()).collect::<Vec<_>>().join(", ")
}

fn suite_names(caps: &Capabilities) -> String {
    caps.suites.iter().map(|suite| suite.name()).collect::<Vec<_>>().join(", ")
}
