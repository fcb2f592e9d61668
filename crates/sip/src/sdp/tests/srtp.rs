//! Keys for SRTP: which line is taken, what is answered, what is refused and why.

use super::*;

/// The key of the example in RFC 4568 section 5.1, and another.
const KEY: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
const OTHER: &str = "NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj";

fn trunk(srtp: Srtp) -> Capabilities {
    Capabilities { srtp, suites: Suite::ALL.to_vec(), ..Capabilities::default() }
}

fn keyed() -> LocalMedia {
    let keys = (1..).zip(Suite::ALL).map(|(n, suite)| MasterKey::generate(suite, |key| key.fill(n)));
    LocalMedia { keys: keys.collect(), ..local() }
}

fn try_answer(media: &str, srtp: Srtp) -> Result<(String, Negotiated), SdpError> {
    let (bytes, agreed) = answer(body(media).as_bytes(), &keyed(), &trunk(srtp))?;
    Ok((String::from_utf8(bytes.to_vec()).expect("text"), agreed))
}

fn taken(media: &str, srtp: Srtp) -> (String, Crypto) {
    let (text, agreed) = try_answer(media, srtp).expect("acceptable");
    (text, agreed.crypto.expect("encrypted"))
}

#[test]
fn the_teams_offer_is_answered_by_its_tag_1_with_our_key() {
    let offer = format!(
        "m=audio 52884 RTP/SAVP 111 103 104 9 0 8 106 13 110 112 113 126\n\
         a=crypto:0 AES_CM_128_HMAC_SHA1_32 inline:{OTHER}|2^31\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31\n\
         a=rtcp:52884\na=rtcp-mux\na=rtpmap:111 SIREN/16000\na=rtpmap:126 telephone-event/8000"
    );
    for srtp in [Srtp::Optional, Srtp::Mandatory] {
        let (text, crypto) = taken(&offer, srtp);
        assert_eq!((crypto.tag, crypto.suite()), (1, Suite::AesCm128HmacSha1_80));
        assert_eq!((crypto.theirs.bytes()[0], crypto.ours.bytes()), (b'=', &[1; 30][..]));
        assert!(text.contains("m=audio 40000 RTP/SAVP 8 13 126\r\n"), "{text}");
        // Thirty bytes of 1 in base64.
        let key = "AQEB".repeat(10);
        assert!(text.contains(&format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n")), "{text}");
        assert_eq!(text.matches("a=crypto").count(), 1);
    }
}

#[test]
fn our_order_of_suites_decides_and_a_suite_that_is_not_ours_is_passed_over() {
    let offer = format!(
        "m=audio 5000 RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}\n\
         a=crypto:2 AES_256_CM_HMAC_SHA1_80 inline:{KEY}\na=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:{OTHER}"
    );
    assert_eq!(taken(&offer, Srtp::Mandatory).1.tag, 9);
    let weak = Capabilities { suites: vec![Suite::AesCm128HmacSha1_32], ..trunk(Srtp::Mandatory) };
    let (_, agreed) = answer(body(&offer).as_bytes(), &keyed(), &weak).expect("acceptable");
    assert_eq!(agreed.crypto.map(|crypto| crypto.tag), Some(1));
    let other = Capabilities { suites: vec![Suite::AeadAes256Gcm], ..trunk(Srtp::Mandatory) };
    let error = answer(body(&offer).as_bytes(), &keyed(), &other).expect_err("no suite in common");
    assert_eq!(
        error.to_string(),
        "no a=crypto can be used (line 2 has an unknown suite); send one of AEAD_AES_256_GCM with inline keys"
    );
}

#[test]
fn identifiers_and_further_keys_are_told() {
    let line = format!("inline:{KEY}|2^31|1:1;inline:{OTHER}|2^31|2:1");
    let (text, crypto) = taken(
        &format!("m=audio 5000 RTP/SAVP 8\na=crypto:3 AES_CM_128_HMAC_SHA1_80 {line}"),
        Srtp::Mandatory,
    );
    assert_eq!(crypto.theirs.mki(), Some(Mki { value: 1, length: 1 }));
    assert_eq!((crypto.unused_keys, crypto.ours.mki()), (1, None));
    assert!(!text.contains('|'), "our key needs neither lifetime nor identifier: {text}");
}

#[test]
fn plain_and_encrypted_meet_as_the_trunk_allows() {
    let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
    let unusable = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP");
    // (trunk, protocol, crypto line, encrypted or why not)
    let table = [
        (Srtp::Off, "RTP/AVP", "", Ok(false)),
        (Srtp::Off, "RTP/AVP", crypto.as_str(), Ok(false)),
        (Srtp::Off, "RTP/SAVP", &crypto, Err("this trunk speaks plain RTP, offer RTP/AVP")),
        (Srtp::Optional, "RTP/AVP", "", Ok(false)),
        (Srtp::Optional, "RTP/AVP", &crypto, Ok(true)),
        (Srtp::Optional, "RTP/AVP", &unusable, Ok(false)),
        (Srtp::Optional, "RTP/SAVP", &crypto, Ok(true)),
        (Srtp::Optional, "RTP/SAVPF", &crypto, Ok(true)),
        (Srtp::Optional, "RTP/SAVP", "", Err("(there is none)")),
        (Srtp::Optional, "RTP/SAVP", &unusable, Err("line 1 wants UNENCRYPTED_SRTP")),
        (Srtp::Optional, "UDP/TLS/RTP/SAVP", "", Err("or RTP/SAVP with a=crypto")),
        (
            Srtp::Mandatory,
            "RTP/AVP",
            "",
            Err("this trunk requires SRTP, offer RTP/SAVP with a=crypto of AES_CM"),
        ),
        (Srtp::Mandatory, "RTP/AVP", &unusable, Err("UNENCRYPTED_SRTP")),
        (Srtp::Mandatory, "RTP/AVP", &crypto, Ok(true)),
        (Srtp::Mandatory, "RTP/SAVP", &crypto, Ok(true)),
    ];
    for (srtp, proto, line, expected) in table {
        let found = try_answer(&format!("m=audio 5000 {proto} 8\n{line}"), srtp);
        match (found, expected) {
            (Ok((text, agreed)), Ok(encrypted)) => {
                assert_eq!(agreed.crypto.is_some(), encrypted, "{srtp:?} {proto} {line}");
                assert_eq!(text.contains("a=crypto"), encrypted, "{text}");
                assert!(text.contains(&format!("m=audio 40000 {proto} 8\r\n")), "{text}");
            }
            (Err(error), Err(why)) => {
                assert!(error.to_string().contains(why), "{srtp:?} {proto} {line}: {error}");
                assert_eq!(error.status(), 488);
            }
            (found, _) => panic!("{srtp:?} {proto} {line}: {found:?}"),
        }
    }
}

#[test]
fn a_line_with_a_lifetime_that_cannot_be_is_passed_over_and_the_refusal_says_so() {
    let line = |tag, life| format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{KEY}|{life}");
    for life in ["0", "2^999"] {
        let media = format!("m=audio 5000 RTP/SAVP 8\n{}\n{}", line(1, life), line(2, "2^31"));
        assert_eq!(taken(&media, Srtp::Mandatory).1.tag, 2, "{life}");
        let alone = format!("m=audio 5000 RTP/SAVP 8\n{}", line(1, life));
        let error = try_answer(&alone, Srtp::Mandatory).expect_err("no other line").to_string();
        assert!(error.contains("line 1 has a lifetime") && !error.contains(KEY), "{error}");
    }
}

#[test]
fn of_two_streams_the_one_that_the_trunk_can_speak_is_taken() {
    let media = format!(
        "m=audio 5000 RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\nm=audio 5002 RTP/AVP 8"
    );
    let port = |srtp| try_answer(&media, srtp).expect("acceptable").1.remote_rtp.port();
    assert_eq!([port(Srtp::Off), port(Srtp::Optional), port(Srtp::Mandatory)], [5002, 5000, 5000]);
    let upside_down = "m=audio 5002 RTP/AVP 8\nm=audio 5000 RTP/SAVP 8\n".to_owned()
        + &format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
    assert_eq!(try_answer(&upside_down, Srtp::Mandatory).expect("acceptable").1.remote_rtp.port(), 5000);
}

#[test]
fn our_offer_has_a_line_for_each_suite_with_a_key_of_its_own() {
    let lines = |srtp, pad_keys| -> (String, Vec<String>) {
        let caps = Capabilities { pad_keys, ..trunk(srtp) };
        let text = String::from_utf8(offer(&keyed(), &caps).to_vec()).expect("text");
        let media = text.lines().find(|line| line.starts_with("m=")).unwrap_or_default().to_owned();
        (media, text.lines().filter(|line| line.starts_with("a=crypto")).map(str::to_owned).collect())
    };
    assert_eq!(lines(Srtp::Off, true).1, Vec::<String>::new());
    assert_eq!(lines(Srtp::Optional, true).0, "m=audio 40000 RTP/AVP 8 0 101");
    let (media, keys) = lines(Srtp::Mandatory, true);
    assert_eq!(media, "m=audio 40000 RTP/SAVP 8 0 101");
    let starts: Vec<&str> =
        keys.iter().map(|line| line.split_once(" inline:").unwrap_or_default().0).collect();
    let expected = [
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80",
        "a=crypto:2 AES_CM_128_HMAC_SHA1_32",
        "a=crypto:3 AEAD_AES_128_GCM",
        "a=crypto:4 AEAD_AES_256_GCM",
    ];
    assert_eq!(starts, expected);
    // 30, 30, 28 and 44 bytes.
    let ends = |keys: &[String]| keys.iter().map(|line| line.matches('=').count() - 1).collect::<Vec<_>>();
    assert_eq!(ends(&keys), [0, 0, 2, 1]);
    assert_eq!(ends(&lines(Srtp::Mandatory, false).1), [0, 0, 0, 0], "some peers cannot read padding");
    let unkeyed = offer(&local(), &trunk(Srtp::Optional));
    assert!(!String::from_utf8_lossy(&unkeyed).contains("a=crypto"), "no key, no line");
}

#[test]
fn an_answer_must_take_one_of_the_offered_lines() {
    let take = |srtp, media: &str| {
        let ours = offer(&keyed(), &trunk(srtp));
        accept_answer(&ours, body(media).as_bytes(), &trunk(srtp))
    };
    let line =
        |tag, suite| format!("m=audio 5000 RTP/SAVP 8\na=crypto:{tag} {suite} inline:{OTHER}|2^31|1:1");
    let agreed = take(Srtp::Mandatory, &line(2, "AES_CM_128_HMAC_SHA1_32")).expect("acceptable");
    let crypto = agreed.crypto.expect("encrypted");
    assert_eq!(
        (crypto.tag, crypto.suite(), crypto.ours.bytes()),
        (2, Suite::AesCm128HmacSha1_32, &[2; 30][..])
    );
    assert_eq!(crypto.theirs.mki(), Some(Mki { value: 1, length: 1 }));
    for (tag, suite) in [(1, "AES_CM_128_HMAC_SHA1_32"), (7, "AES_CM_128_HMAC_SHA1_80")] {
        let error = take(Srtp::Mandatory, &line(tag, suite)).expect_err("never offered");
        assert_eq!(error, SdpError::CryptoNotOffered(format!("{tag} {suite}")));
    }
    let plain = "m=audio 5000 RTP/AVP 8";
    assert!(matches!(take(Srtp::Mandatory, plain), Err(SdpError::NotEncrypted(..))));
    assert!(matches!(take(Srtp::Mandatory, "m=audio 5000 RTP/SAVP 8"), Err(SdpError::NoCrypto(..))));
    assert_eq!(take(Srtp::Optional, plain).expect("plain is allowed").crypto, None);
    let best_effort = line(1, "AES_CM_128_HMAC_SHA1_80").replace("SAVP", "AVP");
    assert!(take(Srtp::Optional, &best_effort).expect("acceptable").crypto.is_some());
    assert!(matches!(take(Srtp::Off, &best_effort.replace("AVP", "SAVP")), Err(SdpError::Encrypted(_))));
}

#[test]
fn both_halves_have_each_others_keys() {
    let caps = trunk(Srtp::Mandatory);
    let ours = offer(&keyed(), &caps);
    let keys = Suite::ALL.map(|suite| MasterKey::generate(suite, |key| key.fill(0xAA))).to_vec();
    let far = LocalMedia { address: IpAddr::from([198, 51, 100, 1]), keys, ..local() };
    for suite in Suite::ALL {
        let only = Capabilities { suites: vec![suite], ..trunk(Srtp::Mandatory) };
        let (back, there) = answer(&ours, &far, &only).expect("acceptable");
        let here = accept_answer(&ours, &back, &caps).expect("acceptable").crypto.expect("encrypted");
        let there = there.crypto.expect("encrypted");
        assert_eq!((here.ours, here.theirs), (there.theirs, there.ours));
        assert_eq!(here.suite(), suite);
    }
}

#[test]
fn a_re_offer_with_the_same_keys_is_answered_with_ours_unchanged_and_when_asked_we_offer_them_again() {
    let media = format!("m=audio 5000 RTP/SAVP 8\na=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
    let (first, before) = taken(&media, Srtp::Mandatory);
    let (again, after) = taken(&media, Srtp::Mandatory);
    assert_eq!((first.as_str(), before), (again.as_str(), after));
    let (_, renewed) = taken(&media.replace(KEY, OTHER), Srtp::Mandatory);
    assert_ne!(renewed.theirs, before.theirs);
    let offered = reoffer(first.as_bytes(), &keyed()).expect("our own description");
    assert_eq!(String::from_utf8(offered.to_vec()).expect("text"), first);
    let caps = trunk(Srtp::Mandatory);
    let kept = accept_answer(&offered, body(&media).as_bytes(), &caps).expect("acceptable");
    assert_eq!(kept.crypto, Some(before));
}

#[test]
fn lines_beyond_the_limit_and_repeated_tags_are_not_read() {
    let mut media = String::from("m=audio 5000 RTP/SAVP 8");
    for tag in 0..MAX_CRYPTO {
        let _ = write!(media, "\na=crypto:{tag} F8_128_HMAC_SHA1_80 inline:{KEY}");
    }
    let _ = write!(media, "\na=crypto:99 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
    assert!(matches!(try_answer(&media, Srtp::Optional), Err(SdpError::NoCrypto(..))));
    let twice = format!(
        "m=audio 5000 RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}\n\
         a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{OTHER}"
    );
    assert_eq!(taken(&twice, Srtp::Optional).1.suite(), Suite::AesCm128HmacSha1_32, "the first of a tag");
}

#[test]
fn a_refusal_shows_nothing_of_a_key() {
    let media = format!("m=audio 5000 RTP/SAVP 8\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}AA");
    let error = try_answer(&media, Srtp::Optional).expect_err("too long a key");
    assert!(!error.to_string().contains(&KEY[..8]), "{error}");
}
