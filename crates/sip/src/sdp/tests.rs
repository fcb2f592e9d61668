use super::*;
mod codecs;
mod srtp;

use std::fmt::Write as _;

fn caps() -> Capabilities {
    Capabilities::default()
}

fn local() -> LocalMedia {
    LocalMedia {
        address: IpAddr::from([192, 0, 2, 9]),
        port: 40_000,
        rtcp_port: 40_001,
        session_id: 7,
        session_version: 1,
        direction: Direction::SendRecv,
        keys: Vec::new(),
    }
}

/// An offer whose media part is `media`, with c=192.0.2.1 at session level.
fn body(media: &str) -> String {
    let media = media.trim().lines().map(str::trim).collect::<Vec<_>>().join("\r\n");
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}\r\n")
}

fn answered(media: &str) -> (String, Negotiated) {
    let (bytes, agreed) = answer(body(media).as_bytes(), &local(), &caps()).expect("acceptable");
    (String::from_utf8(bytes.to_vec()).expect("text"), agreed)
}

fn refused(media: &str) -> SdpError {
    answer(body(media).as_bytes(), &local(), &caps()).expect_err("not acceptable")
}

#[test]
fn a_payload_type_that_looks_like_rtcp_is_no_codec() {
    for (number, accepted) in [(63, true), (64, false), (72, false), (95, false), (96, true)] {
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP {number}\r\n\
             a=rtpmap:{number} PCMA/8000\r\n"
        );
        let answered = answer(offer.as_bytes(), &local(), &Capabilities::default());
        assert_eq!(answered.is_ok(), accepted, "{number}: {answered:?}");
    }
}

#[test]
fn a_static_payload_type_needs_no_rtpmap() {
    let (text, agreed) = answered("m=audio 5000 RTP/AVP 0");
    assert_eq!((agreed.codec, agreed.audio_pt, agreed.event_pt), (Codec::Pcmu, 0, None));
    assert_eq!(agreed.remote_rtp.to_string(), "192.0.2.1:5000");
    assert_eq!(agreed.remote_rtcp.to_string(), "192.0.2.1:5001");
    assert_eq!(
        text,
        "v=0\r\no=- 7 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    );
}

#[test]
fn our_preference_decides_among_the_offered_codecs() {
    let (_, agreed) = answered("m=audio 5000 RTP/AVP 18 0 8\na=rtpmap:18 G729/8000");
    assert_eq!(agreed.codec, Codec::Pcma);
}

#[test]
fn a_codec_is_found_under_a_dynamic_payload_type_and_a_static_one_can_be_renamed() {
    let (text, agreed) = answered("m=audio 5000 RTP/AVP 97 0\na=rtpmap:97 pcma/8000/1\na=rtpmap:0 L16/8000");
    assert_eq!((agreed.codec, agreed.audio_pt), (Codec::Pcma, 97));
    assert!(text.contains("m=audio 40000 RTP/AVP 97\r\na=rtpmap:97 PCMA/8000\r\n"), "{text}");
    assert!(matches!(refused("m=audio 5000 RTP/AVP 0\na=rtpmap:0 L16/8000"), SdpError::NoCodec(_)));
}

#[test]
fn telephone_event_is_taken_at_any_dynamic_type_with_the_clock_of_the_audio() {
    for pt in [96, 101, 127] {
        let (text, agreed) = answered(&format!(
            "m=audio 5000 RTP/AVP 8 98 {pt}\na=rtpmap:98 telephone-event/48000\na=rtpmap:{pt} telephone-event/8000"
        ));
        assert_eq!(agreed.event_pt, Some(pt));
        assert!(
            text.contains(&format!("a=rtpmap:{pt} telephone-event/8000\r\na=fmtp:{pt} 0-15\r\n")),
            "{text}"
        );
    }
    let (_, agreed) = answered("m=audio 5000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/16000");
    assert_eq!(agreed.event_pt, None, "a clock rate that is not the audio's");
    let (_, agreed) = answered("m=audio 5000 RTP/AVP 8 101");
    assert_eq!(agreed.event_pt, None, "101 means nothing without its rtpmap");
}

#[test]
fn further_streams_are_rejected_in_their_place_with_port_0() {
    let (text, agreed) = answered(
        "m=video 6000 RTP/AVP 31 34
         m=image 0 udptl t38
         m=audio 5000 RTP/AVP 8
         m=audio 5002 RTP/AVP 0
         m=application 9 UDP/BFCP *",
    );
    let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("m=")).collect();
    let expected = [
        "m=video 0 RTP/AVP 31",
        "m=image 0 udptl t38",
        "m=audio 40000 RTP/AVP 8",
        "m=audio 0 RTP/AVP 0",
        "m=application 0 UDP/BFCP *",
    ];
    assert_eq!(lines, expected);
    assert_eq!(agreed.remote_rtp.port(), 5000);
}

#[test]
fn plain_rtp_beside_srtp_is_taken_and_srtp_alone_is_refused_by_name() {
    let (text, agreed) = answered("m=audio 5000 RTP/SAVP 8\nm=audio 5002 RTP/AVP 8");
    assert_eq!(agreed.remote_rtp.port(), 5002);
    assert!(text.contains("m=audio 0 RTP/SAVP 8\r\nm=audio 40000 RTP/AVP 8\r\n"), "{text}");
    for proto in ["RTP/SAVP", "UDP/TLS/RTP/SAVP"] {
        let error = refused(&format!("m=audio 5000 {proto} 8"));
        assert_eq!(error.status(), 488);
        assert_eq!(
            error.to_string(),
            format!("the audio stream wants {proto}; this trunk speaks plain RTP, offer RTP/AVP")
        );
    }
}

#[test]
fn hold_is_understood_in_all_its_forms() {
    let all = [
        ("a=sendonly", Direction::RecvOnly, true),
        ("a=recvonly", Direction::SendOnly, true),
        ("a=inactive", Direction::Inactive, true),
        ("a=sendrecv", Direction::SendRecv, false),
        ("a=ptime:20", Direction::SendRecv, false),
        ("c=IN IP4 0.0.0.0", Direction::RecvOnly, true),
        ("c=IN IP4 0.0.0.0\na=inactive", Direction::Inactive, true),
        ("c=IN IP6 ::", Direction::RecvOnly, true),
    ];
    for (line, direction, on_hold) in all {
        let (text, agreed) = answered(&format!("m=audio 5000 RTP/AVP 8\n{line}"));
        assert_eq!((agreed.direction, agreed.on_hold), (direction, on_hold), "{line}");
        assert!(text.contains(&format!("a={}\r\n", direction.as_str())), "{text}");
    }
}

#[test]
fn a_direction_of_the_session_holds_unless_the_media_says_otherwise() {
    let session = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=sendonly\r\nm=audio 5000 RTP/AVP 8\r\n";
    let (_, agreed) = answer(session.as_bytes(), &local(), &caps()).expect("acceptable");
    assert_eq!(agreed.direction, Direction::RecvOnly);
    let (_, agreed) =
        answer(format!("{session}a=sendrecv\r\n").as_bytes(), &local(), &caps()).expect("acceptable");
    assert_eq!(agreed.direction, Direction::SendRecv);
}

#[test]
fn we_never_agree_to_more_than_we_want() {
    let listening = LocalMedia { direction: Direction::RecvOnly, ..local() };
    let (_, agreed) =
        answer(body("m=audio 5000 RTP/AVP 8").as_bytes(), &listening, &caps()).expect("acceptable");
    assert_eq!((agreed.direction, agreed.on_hold), (Direction::RecvOnly, false));
}

#[test]
fn ptime_follows_the_peer_within_what_we_can_and_under_its_maximum() {
    let all = [
        ("", 20),
        ("a=ptime:30", 30),
        ("a=ptime:10", 10),
        ("a=ptime:60.0", 60),
        ("a=ptime:25", 20),
        ("a=ptime:200", 20),
        ("a=ptime:0", 20),
        ("a=ptime:4294967296", 20),
        ("a=maxptime:15", 10),
        ("a=ptime:40\na=maxptime:30", 30),
        ("a=ptime", 20),
    ];
    for (lines, expected) in all {
        let (text, agreed) = answered(&format!("m=audio 5000 RTP/AVP 8\n{lines}"));
        assert_eq!(agreed.ptime_ms, expected, "{lines}");
        assert!(text.contains(&format!("a=ptime:{expected}\r\n")), "{text}");
    }
}

#[test]
fn rtcp_goes_where_the_peer_says() {
    let rtcp = |lines: &str| answered(&format!("m=audio 5000 RTP/AVP 8\n{lines}")).1.remote_rtcp.to_string();
    assert_eq!(rtcp("a=rtcp:5555"), "192.0.2.1:5555");
    assert_eq!(rtcp("a=rtcp:5555 IN IP4 192.0.2.77"), "192.0.2.77:5555");
    assert_eq!(rtcp("a=rtcp:0"), "192.0.2.1:5001");
    for useless in ["sbc.example", "224.0.0.1", "0.0.0.0", "2001:db8::1"] {
        assert_eq!(rtcp(&format!("a=rtcp:5555 IN IP4 {useless}")), "192.0.2.1:5555");
    }
    let (text, agreed) = answered("m=audio 5000 RTP/AVP 8\na=rtcp:5000\na=rtcp-mux");
    assert!(agreed.rtcp_mux && agreed.remote_rtcp == agreed.remote_rtp);
    assert!(text.contains("a=rtcp-mux\r\n"), "{text}");
    assert_eq!(answered("m=audio 65535 RTP/AVP 8").1.remote_rtcp.port(), 65535);
    let elsewhere = LocalMedia { rtcp_port: 40_007, ..local() };
    let (bytes, _) =
        answer(body("m=audio 5000 RTP/AVP 8").as_bytes(), &elsewhere, &caps()).expect("acceptable");
    assert!(String::from_utf8_lossy(&bytes).contains("a=rtcp:40007\r\n"));
}

#[test]
fn the_address_of_the_media_wins_over_that_of_the_session() {
    assert_eq!(
        answered("m=audio 5000 RTP/AVP 8\nc=IN IP4 192.0.2.50").1.remote_rtp.to_string(),
        "192.0.2.50:5000"
    );
}

#[test]
fn media_goes_to_one_machine_of_our_family() {
    for address in
        ["IP4 224.0.0.1/127", "IP4 255.255.255.255", "IP4 sbc.example", "IP6 2001:db8::1", "IP6 ff02::1"]
    {
        let error = refused(&format!("m=audio 5000 RTP/AVP 8\nc=IN {address}"));
        assert!(matches!(error, SdpError::Address(_) | SdpError::Family(..)), "{address}: {error}");
        assert_eq!(error.status(), 488);
    }
    let mapped = answered("m=audio 5000 RTP/AVP 8\nc=IN IP6 ::ffff:192.0.2.50").1;
    assert_eq!(mapped.remote_rtp.to_string(), "192.0.2.50:5000");
    let six = LocalMedia { address: "2001:db8::9".parse().expect("an address"), ..local() };
    let offer = body("m=audio 5000 RTP/AVP 8\nc=IN IP6 2001:db8::1");
    let (bytes, agreed) = answer(offer.as_bytes(), &six, &caps()).expect("acceptable");
    assert_eq!(agreed.remote_rtp.to_string(), "[2001:db8::1]:5000");
    assert!(String::from_utf8_lossy(&bytes).contains("c=IN IP6 2001:db8::9\r\n"));
    let without = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 5000 RTP/AVP 8\r\n";
    assert_eq!(answer(without.as_bytes(), &local(), &caps()).expect_err("no c=").status(), 488);
}

#[test]
fn a_payload_type_has_one_meaning() {
    assert_eq!(refused("m=audio 5000 RTP/AVP 8 0 8"), SdpError::DuplicatePayloadType(8));
    assert_eq!(
        refused("m=audio 5000 RTP/AVP 8 97\na=rtpmap:97 PCMU/8000\na=rtpmap:97 PCMA/8000"),
        SdpError::DuplicatePayloadType(97)
    );
    assert_eq!(answered("m=audio 5000 RTP/AVP 8\na=rtpmap:8 PCMA/8000\na=rtpmap:8 PCMA/8000").1.audio_pt, 8);
}

#[test]
fn our_offer_and_its_answers() {
    let ours = offer(&local(), &caps());
    let text = String::from_utf8(ours.to_vec()).expect("text");
    assert!(text.contains("m=audio 40000 RTP/AVP 8 0 101\r\n"), "{text}");
    assert!(!text.contains("rtcp"), "{text}");
    let take = |media: &str| accept_answer(&ours, body(media).as_bytes(), &caps());
    let agreed = take("m=audio 5000 RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000")
        .expect("several codecs are tolerated");
    assert_eq!((agreed.codec, agreed.event_pt), (Codec::Pcmu, Some(101)));
    assert_eq!(take("m=audio 5000 RTP/AVP 0\na=sendonly").expect("hold").direction, Direction::RecvOnly);
    assert!(!take("m=audio 5000 RTP/AVP 0\na=rtcp-mux").expect("muxed unasked").rtcp_mux);
    for media in ["m=audio 0 RTP/AVP 0", "", "m=audio 5000 RTP/AVP 0\nm=video 0 RTP/AVP 31"] {
        assert_eq!(take(media).expect_err("not our one stream"), SdpError::NotAccepted);
    }
    assert!(matches!(take("m=audio 5000 RTP/AVP 18").expect_err("never offered"), SdpError::NoCodec(_)));
    let six =
        LocalMedia { address: "2001:db8::9".parse().expect("an address"), rtcp_port: 40_000, ..local() };
    let ours = offer(&six, &caps());
    let answer = body("m=audio 5000 RTP/AVP 8\nc=IN IP6 2001:db8::1\na=rtcp-mux");
    assert!(accept_answer(&ours, answer.as_bytes(), &caps()).expect("acceptable").rtcp_mux);
}

#[test]
fn the_two_halves_agree_with_each_other() {
    let ours = offer(&local(), &caps());
    let far = LocalMedia { address: IpAddr::from([198, 51, 100, 1]), port: 6000, rtcp_port: 6001, ..local() };
    let (back, theirs) = answer(&ours, &far, &caps()).expect("acceptable");
    let here = accept_answer(&ours, &back, &caps()).expect("acceptable");
    assert_eq!((here.codec, here.audio_pt, here.event_pt), (theirs.codec, theirs.audio_pt, theirs.event_pt));
    assert_eq!((here.remote_rtp.port(), theirs.remote_rtp.port()), (6000, 40_000));
}

#[test]
fn a_re_offer_is_read_for_what_it_says_not_for_its_version() {
    let first = body("m=audio 5000 RTP/AVP 8");
    let hold = body("m=audio 5000 RTP/AVP 8\na=sendonly");
    let on_hold = |body: &str| answer(body.as_bytes(), &local(), &caps()).expect("acceptable").1.on_hold;
    assert!(!on_hold(&first));
    assert!(on_hold(&hold), "the same version, and yet a hold");
}

#[test]
fn when_asked_to_offer_again_we_offer_what_was_agreed_without_the_peers_hold() {
    let held = "m=video 4000 RTP/AVP 31\nm=audio 5000 RTP/AVP 97 96\na=rtpmap:97 PCMA/8000\n\
                a=rtpmap:96 telephone-event/8000\na=sendonly";
    let (ours, agreed) = answered(held);
    assert_eq!(agreed.direction, Direction::RecvOnly);
    let later = LocalMedia { session_version: 2, ..local() };
    let offered = reoffer(ours.as_bytes(), &later).expect("our own description");
    let expected = ours.replace("o=- 7 1", "o=- 7 2").replace("a=recvonly", "a=sendrecv");
    assert_eq!(String::from_utf8(offered.to_vec()).expect("text"), expected);
    let resumed = body("m=video 0 RTP/AVP 31\nm=audio 5000 RTP/AVP 97\na=rtpmap:97 PCMA/8000");
    let agreed = accept_answer(&offered, resumed.as_bytes(), &caps()).expect("acceptable");
    assert_eq!((agreed.audio_pt, agreed.direction, agreed.on_hold), (97, Direction::SendRecv, false));
    let dropped = body("m=audio 5000 RTP/AVP 97\na=rtpmap:97 PCMA/8000");
    assert_eq!(accept_answer(&offered, dropped.as_bytes(), &caps()), Err(SdpError::NotAccepted));
}

#[test]
fn hostile_bodies_are_refused_cheaply() {
    let status = |text: &str| answer(text.as_bytes(), &local(), &caps()).expect_err("hostile").status();
    assert_eq!(status(&body("m=audio 4294967296 RTP/AVP 8")), 400);
    assert_eq!(status(&body("m=audio 70000 RTP/AVP 8")), 400);
    assert_eq!(status(&body("m=audio 5000 RTP/AVP 8\na=fmtp\0")), 400);
    assert_eq!(status(&body("m=audio 5000 RTP/AVP 300")), 400);
    assert_eq!(status(&body("m=audio 5000 RTP/AVP 128")), 400);
    assert_eq!(status(&body("m=audio 5000 RTP/AVP 8\na=rtcp:99999")), 400);
    assert_eq!(status(""), 400);
    assert_eq!(status(&"a=x\r\n".repeat(100_000)), 413);
    assert_eq!(status(&body(&"m=video 0 RTP/AVP 31\n".repeat(33))), 488);
    let mut many = String::from("m=audio 5000 RTP/AVP");
    for pt in 0..65 {
        let _ = write!(many, " {pt}");
    }
    assert_eq!(refused(&many), SdpError::TooManyPayloadTypes(65));
    // A body of 64 kB full of rtpmaps is read once, not once for each payload type.
    let mut maps = String::from("m=audio 5000 RTP/AVP 8\n");
    while maps.len() < 60_000 {
        maps.push_str("a=rtpmap:99 x/1\n");
    }
    assert_eq!(answered(&maps).1.codec, Codec::Pcma);
}

#[test]
fn a_refusal_shows_no_control_characters_of_the_peer() {
    let error = refused("m=audio 5000 RTP/\u{1b}[31mAVP 8");
    assert!(!error.to_string().chars().any(char::is_control), "{error}");
}

#[test]
fn a_peer_that_gives_our_key_back_as_its_own_is_refused() {
    let ours = MasterKey::generate(Suite::AesCm128HmacSha1_80, |key| key.fill(7));
    let local = LocalMedia { keys: vec![ours], ..local() };
    let caps = Capabilities { srtp: Srtp::Mandatory, suites: vec![ours.suite()], ..Capabilities::default() };
    let offered = offer(&local, &caps);
    let text = String::from_utf8(offered.to_vec()).expect("text").replace("192.0.2.", "198.51.100.");
    for refused in [
        accept_answer(&offered, text.as_bytes(), &caps),
        answer(text.as_bytes(), &local, &caps).map(|it| it.1),
    ] {
        assert!(refused.as_ref().is_err_and(|why| why.to_string().contains("our own key")), "{refused:?}");
    }
}
