//! G.722, Opus, telephone-event beside them, comfort noise, audio levels.

use super::*;

fn wideband() -> Capabilities {
    let opus =
        OpusParameters { in_band_fec: true, max_average_bitrate: Some(32_000), ..OpusParameters::default() };
    Capabilities {
        codecs: vec![Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu],
        opus,
        audio_level: true,
        ..Capabilities::default()
    }
}

fn wide_answer(media: &str) -> (String, Negotiated) {
    let (bytes, agreed) = answer(body(media).as_bytes(), &local(), &wideband()).expect("acceptable");
    (String::from_utf8(bytes.to_vec()).expect("text"), agreed)
}

#[test]
fn our_offer_has_every_codec_with_its_parameters_and_telephone_event_at_both_clocks() {
    let text = String::from_utf8(offer(&local(), &wideband()).to_vec()).expect("text");
    let expected = "m=audio 40000 RTP/AVP 111 9 8 0 101 110\r\n\
                    a=rtpmap:111 opus/48000/2\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\n\
                    a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
                    a=rtpmap:110 telephone-event/48000\r\na=fmtp:111 maxaveragebitrate=32000;useinbandfec=1\r\n\
                    a=fmtp:101 0-15\r\na=fmtp:110 0-15\r\na=ptime:20\r\na=sendrecv\r\n\
                    a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";
    assert!(text.ends_with(expected), "{text}");
    let alone = Capabilities { codecs: vec![Codec::Opus], ..Capabilities::default() };
    let text = String::from_utf8(offer(&local(), &alone).to_vec()).expect("text");
    assert!(text.contains("m=audio 40000 RTP/AVP 111 110\r\n") && !text.contains("a=fmtp:111"), "{text}");
}

#[test]
fn g722_is_static_9_with_a_clock_of_8000_although_it_samples_at_16000() {
    for offered in ["m=audio 5000 RTP/AVP 9 0", "m=audio 5000 RTP/AVP 0 9\na=rtpmap:9 g722/8000/1"] {
        let (text, agreed) = wide_answer(offered);
        assert_eq!((agreed.codec, agreed.audio_pt, agreed.opus), (Codec::G722, 9, None));
        assert!(text.contains("m=audio 40000 RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n"), "{text}");
    }
    let wrong = "m=audio 5000 RTP/AVP 96 0\na=rtpmap:96 G722/16000";
    assert_eq!(wide_answer(wrong).1.codec, Codec::Pcmu, "that name would be another codec");
}

#[test]
fn opus_is_agreed_with_what_each_side_wants_to_receive() {
    let (text, agreed) = wide_answer(
        "m=audio 5000 RTP/AVP 96 0 97\na=rtpmap:96 opus/48000/2\na=fmtp:96 maxplaybackrate=16000;usedtx=1;stereo=1\n\
         a=rtpmap:97 telephone-event/48000\na=ptime:40",
    );
    assert_eq!((agreed.codec, agreed.audio_pt, agreed.ptime_ms), (Codec::Opus, 96, 20));
    let terms = agreed.opus.expect("the terms of Opus");
    assert_eq!((terms.egress.max_playback_rate, terms.egress.dtx, terms.egress.stereo), (16_000, true, true));
    assert_eq!(terms.ingress, wideband().opus);
    assert_eq!((agreed.event_pt, agreed.event_clock_rate), (Some(97), 48_000));
    assert!(text.contains("a=rtpmap:96 opus/48000/2\r\n"), "{text}");
    assert!(text.contains("a=fmtp:96 maxaveragebitrate=32000;useinbandfec=1\r\n"), "{text}");
    assert!(text.contains("a=ptime:20\r\n"), "an Opus packet is 20 ms: {text}");
}

#[test]
fn opus_without_channels_is_opus_and_with_another_clock_is_not() {
    for map in ["opus/48000", "OPUS/48000/1", "opus/48000/2"] {
        let (text, agreed) = wide_answer(&format!("m=audio 5000 RTP/AVP 96\na=rtpmap:96 {map}"));
        assert_eq!(
            (agreed.codec, agreed.opus.expect("terms").egress),
            (Codec::Opus, OpusParameters::default())
        );
        assert!(text.contains("a=rtpmap:96 opus/48000/2\r\n"), "{text}");
    }
    for map in ["opus/16000/2", "opus/48000/6", "opus"] {
        let media = format!("m=audio 5000 RTP/AVP 96 8\na=rtpmap:96 {map}");
        assert_eq!(wide_answer(&media).1.codec, Codec::Pcma, "{map}");
    }
    let narrow = "m=audio 5000 RTP/AVP 96 8\na=rtpmap:96 opus/48000/2\na=maxptime:10";
    assert_eq!(wide_answer(narrow).1.codec, Codec::Pcma, "20 ms do not fit into its packets");
}

#[test]
fn telephone_event_follows_the_codec_and_a_peer_that_knows_8000_alone_is_heard_beside_opus() {
    let opus = "a=rtpmap:96 opus/48000/2";
    // (formats, further lines, payload type and clock of the events)
    let table = [
        (
            "96 101 110",
            "a=rtpmap:101 telephone-event/8000\na=rtpmap:110 telephone-event/48000",
            Some(110),
            48_000,
        ),
        ("96 101", "a=rtpmap:101 telephone-event/8000", Some(101), 8000),
        ("96 101", "a=rtpmap:101 telephone-event/16000", None, 48_000),
        (
            "0 101 110",
            "a=rtpmap:101 telephone-event/8000\na=rtpmap:110 telephone-event/48000",
            Some(101),
            8000,
        ),
        ("0 110", "a=rtpmap:110 telephone-event/48000", None, 8000),
    ];
    for (formats, lines, event_pt, clock) in table {
        let maps = if formats.starts_with("96") { opus } else { "" };
        let (text, agreed) = wide_answer(&format!("m=audio 5000 RTP/AVP {formats}\n{maps}\n{lines}"));
        assert_eq!((agreed.event_pt, agreed.event_clock_rate), (event_pt, clock), "{formats} {lines}");
        let written = event_pt.map(|pt| format!("a=rtpmap:{pt} telephone-event/{clock}\r\n"));
        assert!(written.is_none_or(|line| text.contains(&line)), "{text}");
    }
}

#[test]
fn comfort_noise_is_agreed_where_it_is_offered_beside_a_clock_of_8000() {
    let (text, agreed) = wide_answer("m=audio 5000 RTP/AVP 0 13");
    assert!(agreed.comfort_noise);
    assert!(
        text.contains("m=audio 40000 RTP/AVP 0 13\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:13 CN/8000\r\n"),
        "{text}"
    );
    assert!(wide_answer("m=audio 5000 RTP/AVP 9 13\na=rtpmap:13 CN/8000").1.comfort_noise);
    assert!(!wide_answer("m=audio 5000 RTP/AVP 9 98\na=rtpmap:98 CN/32000").1.comfort_noise);
    let (text, agreed) = wide_answer("m=audio 5000 RTP/AVP 96 13\na=rtpmap:96 opus/48000/2");
    assert!(!agreed.comfort_noise, "Opus has its own: {text}");
    let without = Capabilities { comfort_noise: false, ..wideband() };
    let (bytes, _) =
        answer(body("m=audio 5000 RTP/AVP 0 13").as_bytes(), &local(), &without).expect("acceptable");
    assert!(!String::from_utf8_lossy(&bytes).contains("13"));
    assert!(!String::from_utf8_lossy(&offer(&local(), &wideband())).contains("CN/8000"), "never asked for");
}

const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

#[test]
fn audio_levels_are_answered_under_the_offered_id_in_the_direction_that_is_left() {
    // (as offered, as answered)
    let table = [
        ("3", "3"),
        ("14/sendonly", "14/recvonly"),
        ("1/recvonly", "1/sendonly"),
        ("2/inactive", "2/inactive"),
        ("5/sendrecv", "5"),
    ];
    for (offered, answered) in table {
        let (text, agreed) = wide_answer(&format!("m=audio 5000 RTP/AVP 0\na=extmap:{offered} {LEVEL}"));
        assert!(text.contains(&format!("a=extmap:{answered} {LEVEL}\r\n")), "{text}");
        let id: u8 = offered.split('/').next().and_then(|id| id.parse().ok()).expect("an ID");
        assert_eq!(agreed.audio_level.map(|level| level.id), Some(id));
    }
    let off = wide_answer(&format!("m=audio 5000 RTP/AVP 0\na=extmap:1 {LEVEL} vad=off"));
    assert!(off.0.contains(&format!("a=extmap:1 {LEVEL} vad=off\r\n")), "{}", off.0);
}

#[test]
fn levels_that_are_not_offered_not_wanted_or_not_clear_are_not_answered() {
    for lines in [
        String::new(),
        format!("a=extmap:15 {LEVEL}"),
        format!("a=extmap:4096 {LEVEL}"),
        "a=extmap:1 urn:ietf:params:rtp-hdrext:csrc-audio-level".to_owned(),
        format!("a=extmap:1 {LEVEL}\na=extmap:1 urn:ietf:params:rtp-hdrext:toffset"),
    ] {
        let (text, agreed) = wide_answer(&format!("m=audio 5000 RTP/AVP 0\n{lines}"));
        assert!(agreed.audio_level.is_none() && !text.contains("extmap"), "{lines}: {text}");
    }
    let (text, agreed) = answered(&format!("m=audio 5000 RTP/AVP 0\na=extmap:1 {LEVEL}"));
    assert!(
        agreed.audio_level.is_none() && !text.contains("extmap"),
        "the trunk has it switched off: {text}"
    );
    let session = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=extmap:7 {LEVEL}\r\nm=audio 5000 RTP/AVP 8\r\n"
    );
    let (_, agreed) = answer(session.as_bytes(), &local(), &wideband()).expect("acceptable");
    assert_eq!(agreed.audio_level.map(|level| level.id), Some(7), "an extmap of the session");
}

#[test]
fn an_answer_says_what_the_peer_wants_of_the_opus_that_was_offered() {
    let ours = offer(&local(), &wideband());
    let take = |media: &str| accept_answer(&ours, body(media).as_bytes(), &wideband()).expect("acceptable");
    let agreed = take(&format!(
        "m=audio 5000 RTP/AVP 111 110\na=rtpmap:111 opus/48000/2\na=fmtp:111 maxplaybackrate=8000;cbr=1\n\
         a=rtpmap:110 telephone-event/48000\na=extmap:1/sendonly {LEVEL}"
    ));
    let terms = agreed.opus.expect("terms");
    assert_eq!((terms.egress.max_playback_rate, terms.egress.constant_bitrate), (8000, true));
    assert_eq!(terms.ingress, wideband().opus, "what our offer said");
    assert_eq!((agreed.event_pt, agreed.event_clock_rate), (Some(110), 48_000));
    assert_eq!(agreed.audio_level.map(|level| level.direction), Some(Direction::RecvOnly));
    let several =
        take(&format!("m=audio 5000 RTP/AVP 9 111 8\na=rtpmap:111 opus/48000/2\na=extmap:2 {LEVEL}"));
    assert_eq!((several.codec, several.opus), (Codec::G722, None), "the first counts");
    assert_eq!(several.audio_level, None, "an ID that was never offered");
}

#[test]
fn a_change_of_codec_by_re_offer_keeps_each_payload_type_with_its_meaning() {
    let first = "m=audio 5000 RTP/AVP 96 9\na=rtpmap:96 opus/48000/2";
    let (ours, agreed) = wide_answer(first);
    assert_eq!((agreed.codec, agreed.audio_pt), (Codec::Opus, 96));
    let (_, agreed) = wide_answer("m=audio 5000 RTP/AVP 9");
    assert_eq!((agreed.codec, agreed.audio_pt), (Codec::G722, 9));
    let offered = reoffer(ours.as_bytes(), &local()).expect("our own description");
    let text = String::from_utf8(offered.to_vec()).expect("text");
    assert!(text.contains("RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 "), "{text}");
}

#[test]
fn the_documented_offer_of_the_microsoft_gateway_is_answered_with_g722_and_comfort_noise() {
    let offer = "m=audio 52884 RTP/AVP 111 103 104 9 0 8 106 13 110 112 113 126\nc=IN IP4 192.0.2.50\na=rtcp:52885\n\
                 a=rtpmap:111 SIREN/16000\na=fmtp:111 bitrate=16000\na=rtpmap:103 SILK/8000\na=rtpmap:104 SILK/16000\n\
                 a=rtpmap:9 G722/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:106 CN/32000\n\
                 a=rtpmap:13 CN/8000\na=rtpmap:110 telephone-event/48000\na=rtpmap:112 telephone-event/32000\n\
                 a=rtpmap:113 telephone-event/16000\na=rtpmap:126 telephone-event/8000\na=ptime:20\na=maxptime:200";
    let (text, agreed) = wide_answer(offer);
    assert_eq!((agreed.codec, agreed.audio_pt), (Codec::G722, 9), "111 is no Opus here");
    assert_eq!((agreed.event_pt, agreed.comfort_noise), (Some(126), true));
    assert!(text.contains("m=audio 40000 RTP/AVP 9 13 126\r\n"), "{text}");
}
