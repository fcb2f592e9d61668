//! What a hostile peer would try, each as a test: injection through echoed values, smuggling, controls, overlong
//! numbers, unbalanced quotes, depth, and input made to be slow.

use super::*;
use bytes::Bytes;

/// A request with these lines besides Via, From, To, Call-ID and CSeq.
fn request(lines: &str) -> String {
    format!(
        "INVITE sip:a@b.example SIP/2.0\r\nVia: SIP/2.0/UDP c.example;branch=z9hG4bK1\r\nFrom: <sip:d@c.example>;tag=1\r\n\
         To: <sip:a@b.example>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{lines}\r\n"
    )
}

fn read(text: &str) -> Result<Message, Malformed> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()), Framing::Datagram)
}

fn status(text: &str) -> u16 {
    read(text).map_or_else(|e| e.status, |m| panic!("accepted: {m:?}"))
}

fn text_of(message: &Message) -> String {
    String::from_utf8(message.to_bytes().to_vec()).expect("text")
}

#[test]
fn no_value_can_add_a_line() {
    let evil = "x\r\nEvil: 1\r\n\r\nbody\nEvil: 2\rEvil: 3\0";
    let mut message = Message::request(
        Method::INVITE,
        Uri::sip(Some(evil), HostPort { host: Host::Name("b".into()), port: None }),
    );
    let uri =
        Uri::parse("sip:a@b").expect("well formed").with_param("p", Some(evil)).with_param(evil, Some("1"));
    let address = NameAddr::new(uri).with_display(evil).with_tag(evil).with_param(evil, None);
    message.headers_mut().push(HeaderName::From, &address);
    message.headers_mut().set("Subject", evil);
    message.headers_mut().push(evil, evil);
    message.headers_mut().push_front("Via", evil);
    message.set_body(evil, "");
    let mut response = Message::response_to(&message, 486, Some(evil));
    response.set_to_tag(evil);
    for text in [text_of(&message), text_of(&response)] {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(body.is_empty());
        let lines: Vec<&str> = head.split("\r\n").collect();
        assert!(
            lines.iter().all(|line| !line.contains(['\r', '\n', '\0']) && !line.starts_with("Evil")),
            "{text}"
        );
    }
}

#[test]
fn a_decoded_escape_stays_one_value() {
    let read = read(&request("Contact: <sip:x%0d%0aEvil%3A%201@h>\r\n")).expect("well formed");
    let user = read
        .contacts()
        .expect("well formed")
        .first()
        .and_then(|c| c.uri().user().map(std::borrow::Cow::into_owned));
    assert_eq!(user.as_deref(), Some("x\r\nEvil: 1"), "the caller sees what was meant");
    let mut message = Message::response_to(&read, 200, None);
    message.headers_mut().push("X-User", user.unwrap_or_default());
    assert!(!text_of(&message).contains("\nEvil"));
}

#[test]
fn a_header_cannot_hide_behind_blanks_folds_or_case() {
    for line in ["X-Bypass : 1", "x-bypass\t:1", "X-BYPASS\r\n : 1", "X-Bypass:\r\n 1"] {
        assert_eq!(
            read(&request(&format!("{line}\r\n"))).expect("legal").headers().get("X-Bypass"),
            Some("1"),
            "{line}"
        );
    }
    for line in [
        "X-Bypass\u{b}: 1",
        " X-Bypass: 1\r\n: 2",
        "X-Bypass",
        ": 1",
        "X Bypass: 1",
        "X-Byp\u{e4}ss: 1",
        "\"X\": 1",
    ] {
        assert_eq!(status(&request(&format!("{line}\r\n"))), 400, "{line}");
    }
}

#[test]
fn line_ends_that_two_readers_could_see_differently_are_refused() {
    for line in [
        "X: 1\nEvil: 1",
        "X: 1\rEvil: 1",
        "X: 1\n\nEvil: 1",
        "X: 1\r\r\nEvil: 1",
        "X: 1\r\n \r\nEvil: 1",
        "X: 1\n\r\nEvil: 1",
    ] {
        assert_eq!(status(&request(&format!("{line}\r\n"))), 400, "{line:?}");
    }
    // What is echoed into the refusal has no such line ends any more.
    let refused =
        read(&request("").replace("c.example;branch", "c.example;x=1\rEvil: 1;branch")).expect_err("refused");
    let response = Message::response_to(&refused.partial.expect("headers"), 400, None);
    assert!(!text_of(&response).replace("\r\n", "").contains(['\r', '\n']));
}

#[test]
fn controls_are_legal_only_behind_a_backslash_in_quotes() {
    let contact = |display: &str| request(&format!("Contact: {display}<sip:a@b>\r\n"));
    assert!(read(&contact("\"a\\\0b\\\u{1b}\"")).is_ok());
    for display in ["\"a\0b\"", "\"a\u{1b}[31m\"", "a\u{7f} ", "\"a\\\\\0\"", "\\\0"] {
        assert_eq!(status(&contact(display)), 400, "{display:?}");
    }
}

#[test]
fn a_header_that_two_readers_could_read_differently_is_refused() {
    for lines in [
        "To: <sip:other@b>\r\n",
        "t: <sip:other@b>\r\n",
        "CSeq: 2 INVITE\r\n",
        "i: 2\r\n",
        "Max-Forwards: 70\r\nMax-Forwards: 1\r\n",
        "Content-Type: a/b\r\nc: application/sdp\r\n",
        "Content-Length: 0\r\nl: 1\r\n",
        "Session-Expires: 90\r\nx: 1800\r\n",
    ] {
        assert_eq!(status(&request(lines)), 400, "{lines}");
    }
    let with = |from: &str, to: &str| status(&request("").replace(from, to));
    assert_eq!(with(";tag=1", ";tag=1;Tag=2"), 400);
    assert_eq!(with("branch=z9hG4bK1", "branch=z9hG4bK1;BRANCH=z9hG4bK2"), 400);
    assert_eq!(with(";tag=1", ";tag=1, <sip:e@f>;tag=2"), 400);
    assert_eq!(with("Call-ID: 1", "Call-ID: 1, 2"), 400);
    assert_eq!(with("1 INVITE", "1 INVITE, 2 INVITE"), 400);
    // Found by the differential test: whose is what stands before the @?
    assert!(NameAddr::parse("sip:u;x=y@example.com;tag=1").is_err());
    assert_eq!(NameAddr::parse("<sip:u;x=y@example.com>").expect("brackets").uri().user_raw(), Some("u;x=y"));
    assert!(NameAddr::parse("sip:user@example.com;tag=a@b").is_ok(), "here there is no doubt");
}

#[test]
fn numbers_do_not_wrap() {
    let nines = "9".repeat(8000);
    for number in
        ["4294967296", "2147483648", "18446744073709551616", &nines, "-1", "+1", "0x1", "1e1", "1 1"]
    {
        assert_eq!(status(&request("").replace("CSeq: 1 ", &format!("CSeq: {number} "))), 400, "{number}");
        assert_eq!(status(&request(&format!("Content-Length: {number}\r\n"))), 400, "{number}");
        assert_eq!(status(&request(&format!("Max-Forwards: {number}\r\n"))), 400, "{number}");
        assert!(Uri::parse(&format!("sip:a@b:{number}")).is_err(), "{number}");
    }
    let zeros = format!("Content-Length: {}0\r\n", "0".repeat(8000));
    assert!(read(&request(&zeros)).is_ok());
    assert!(Uri::parse("sip:a@b:65536").is_err());
}

#[test]
fn quotes_and_brackets_that_do_not_close_are_refused_not_guessed() {
    for from in [
        "\"a <sip:d@c>;tag=1",
        "\"a\\\" <sip:d@c>;tag=1",
        "<sip:d@c;tag=1",
        "<<sip:d@c>>;tag=1",
        "a \"b\" <sip:d@c>;tag=1",
        "<sip:d@c>;tag=\"1",
        "<sip:d@c>x;tag=1",
        "\"a\" \"b\" <sip:d@c>;tag=1",
        "<sip:d@c>;;tag=1",
        "<sip:d@c>;tag=",
        "<>;tag=1",
        "sip:d@c>;tag=1",
        "<sip:d@c@e>;tag=1",
        "<sip:@c>;tag=1",
        "<sip:d@>;tag=1",
        "<sip:d%4@c>;tag=1",
        "<sip:d@[::1>;tag=1",
    ] {
        assert_eq!(status(&request("").replace("<sip:d@c.example>;tag=1", from)), 400, "{from}");
    }
    let list = "Contact: \"a\\\", <b>\" <sip:a@b>;x=\",\", <sip:c,d@e>\r\n";
    assert_eq!(read(&request(list)).expect("legal").contacts().map(|c| c.len()), Ok(2));
}

#[test]
fn each_limit_has_its_answer() {
    read(&request(&"Z: 1\r\n".repeat(limits::HEADERS - 5))).expect("legal");
    assert_eq!(status(&request(&"Z: 1\r\n".repeat(limits::HEADERS - 4))), 513);
    assert!(read(&request(&format!("Z: {}\r\n", "x".repeat(limits::HEADER - 3)))).is_ok());
    assert_eq!(status(&request(&format!("Z: {}\r\n", "x".repeat(limits::HEADER - 2)))), 513);
    assert_eq!(status(&request(&format!("X:{}\r\n", "\r\n x".repeat(2048)))), 513);
    assert!(read(&request(&"Via: SIP/2.0/UDP h;branch=z9hG4bK2\r\n".repeat(limits::VIAS - 1))).is_ok());
    assert_eq!(status(&request(&"v: SIP/2.0/UDP h,SIP/2.0/UDP h\r\n".repeat(limits::VIAS / 2))), 483);
    let long = format!("sip:{}@b", "a".repeat(limits::REQUEST_URI));
    assert_eq!(status(&request("").replace("sip:a@b.example SIP", &format!("{long} SIP"))), 414);
    let large = format!("{}{}", request(""), "x".repeat(limits::MESSAGE));
    assert_eq!(status(&large), 513);
    for size in [1, 255, 256, 1024, 8000] {
        let name = "n".repeat(size);
        assert_eq!(
            read(&request(&format!("{name}: 1\r\n"))).expect("legal").headers().get(name.as_str()),
            Some("1")
        );
    }
    let contacts = format!("Contact: {}\r\n", "<a:b>,".repeat(limits::ADDRESSES + 1));
    assert!(read(&request(&contacts)).expect("legal").contacts().is_err());
}

#[test]
fn depth_is_only_length() {
    for piece in ["(", "<", "\"\\\"", "[", "%25", ";a", ",", "\\", "<\"", "\r\n "] {
        let deep = piece.repeat(60_000 / piece.len());
        for text in [format!("Contact: {deep}\r\n"), format!("X: {deep}\r\nTo: {deep}\r\n")] {
            let _ = read(&request(&text));
        }
        let _ = (
            Uri::parse(&format!("sip:{deep}")),
            NameAddr::parse(&deep),
            Via::parse(&format!("SIP/2.0/UDP h{deep}")),
        );
        let _ = (Uri::parse(&deep), Params::parse(&deep), Host::parse(&format!("[{deep}")));
    }
}

/// Not timed, because an engine has no clock: anything worse than linear makes this test hang.
#[test]
fn no_input_of_64_kb_is_slow() {
    for piece in [
        ";a=b",
        ",<sip:a@b>",
        "\"a\",",
        "a:b\r\n",
        "Via: SIP/2.0/UDP h,h\r\n",
        "Contact: <a:b>,<a:b>\r\n",
        "a=\";\";",
        "\",\"",
    ] {
        for lead in ["Contact: <sip:a@b>", "Via: SIP/2.0/UDP h", "From: \"", ""] {
            let text = request(&format!("{lead}{}\r\n", piece.repeat(60_000 / piece.len())));
            if let Ok(message) = read(&text) {
                let _ = (message.contacts(), message.headers().all("Via").count(), message.to_bytes());
            }
        }
        let deep = piece.repeat(60_000 / piece.len());
        let _ = (
            NameAddr::parse(&deep),
            Via::parse(&deep),
            Params::parse(&format!(";a{deep}")),
            Uri::parse(&deep),
        );
    }
}

#[test]
fn the_source_is_noted_over_whatever_the_sender_claims() {
    let noted = |via: &str| {
        let mut message = read(&request("").replace("c.example;branch=z9hG4bK1", via)).expect("legal");
        message.note_source(([192, 0, 2, 7], 5062).into());
        let via = message.via_top().expect("still readable");
        (via.received().map(|ip| ip.to_string()), via.rport())
    };
    let seen = Some("192.0.2.7".to_owned());
    assert_eq!(noted("192.0.2.7;branch=z9hG4bK1"), (None, None));
    assert_eq!(noted("192.0.2.7;received=203.0.113.1;branch=z9hG4bK1"), (seen.clone(), None));
    assert_eq!(
        noted("192.0.2.8;rport=1;received=203.0.113.1;branch=z9hG4bK1"),
        (seen.clone(), Some(Some(5062)))
    );
    assert_eq!(noted("a.example;rport;branch=z9hG4bK1"), (seen, Some(Some(5062))));
}
