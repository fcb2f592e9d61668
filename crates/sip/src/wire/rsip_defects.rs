//! Why `rsip` 0.4.0 lends us its vocabulary and does not read or write our wire: ten defects that were found by running
//! it. Each test shows that ours is right; where it is cheap it shows what `rsip` does, so that an update that mends it
//! is noticed.

use super::*;
use bytes::Bytes;
use rsip::headers::UntypedHeader as _;
use std::net::IpAddr;

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn rsip_uri(text: &str) -> Result<rsip::Uri, rsip::Error> {
    rsip::Uri::try_from(text)
}

fn message(extra: &str, body: &str) -> String {
    format!(
        "INVITE sip:a@b.example SIP/2.0\r\nVia: SIP/2.0/UDP c.example;branch=z9hG4bK1\r\nFrom: <sip:d@c.example>;tag=1\r\n\
         To: <sip:a@b.example>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{extra}\r\n{body}"
    )
}

fn ours(text: &str) -> Result<Message, Malformed> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()), Framing::Datagram)
}

fn rsip_message(text: &str) -> Result<rsip::SipMessage, rsip::Error> {
    rsip::SipMessage::try_from(text.as_bytes())
}

#[test]
fn defect_1_a_user_may_have_dots() {
    let parsed = uri("sip:john.doe@example.com");
    assert_eq!(parsed.user().as_deref(), Some("john.doe"));
    assert_eq!(parsed.host().map(ToString::to_string).as_deref(), Some("example.com"));
    let theirs = rsip_uri("sip:john.doe@example.com").expect("rsip takes it, wrongly");
    assert_eq!(theirs.user(), None);
}

#[test]
fn defect_2_ipv6_is_read_and_written_with_brackets() {
    let parsed = uri("sip:a@[2001:db8::1]:5060");
    assert_eq!(parsed.host().and_then(Host::ip), "2001:db8::1".parse::<IpAddr>().ok());
    assert_eq!(parsed.port(), Some(5060));
    let address: std::net::SocketAddr = "[2001:db8::1]:5060".parse().expect("an address");
    assert_eq!(Uri::sip(Some("a"), address).as_str(), "sip:a@[2001:db8::1]:5060");
    assert!(rsip_uri("sip:a@[2001:db8::1]:5060").is_err());
    let theirs = rsip::Host::IpAddr(address.ip());
    assert_eq!(theirs.to_string(), "2001:db8::1", "without brackets the port cannot be told apart");
}

#[test]
fn defect_3_tel_uris_keep_their_plus() {
    let parsed = uri("tel:+33123;ext=5");
    assert_eq!((parsed.scheme(), parsed.number().as_deref()), (&Scheme::Tel, Some("+33123")));
    assert_eq!((parsed.as_str(), parsed.host()), ("tel:+33123;ext=5", None));
    assert_eq!(rsip_uri("tel:+33123").expect("rsip takes it, wrongly").to_string(), "tel:33123");
    assert!(rsip_uri("tel:+33123456789").is_err());
}

#[test]
fn defect_4_folds_blanks_before_colons_and_compact_forms_are_headers_like_others() {
    let text = message("Subject :\r\n folded\r\n", "")
        .replace("Via:", "v:")
        .replace("From:", "f:")
        .replace("To:", "t:")
        .replace("Call-ID:", "i:");
    let read = ours(&text).expect("well formed");
    assert_eq!(read.headers().get(HeaderName::Subject), Some("folded"));
    assert_eq!(
        (read.call_id(), read.from().and_then(|f| f.tag().map(str::to_owned))),
        (Some("1"), Some("1".into()))
    );
    assert!(rsip_message(&text).is_err());
}

#[test]
fn defect_5_unknown_methods_are_kept_so_that_501_can_be_sent() {
    let text = message("", "").replace("INVITE", "NOVELTY");
    assert_eq!(ours(&text).expect("well formed").method(), &Method::Other("NOVELTY".into()));
    assert!(rsip_message(&text).is_err());
    assert_eq!(KnownMethod::all().len(), 14, "a closed list");
}

#[test]
fn defect_6_comma_lists_and_quoted_parameters_are_read() {
    let contacts = "Contact: \"A <x@y>; q, r\" <sip:a@h>;+sip.instance=\"<urn:uuid:1,2>\", <sip:b@h>\r\n";
    let read = ours(&message(contacts, "")).expect("well formed").contacts().expect("two contacts");
    let users: Vec<_> = read.iter().map(|c| c.uri().user_raw()).collect();
    assert_eq!(users, [Some("a"), Some("b")]);
    assert_eq!(read.first().and_then(NameAddr::display), Some("A <x@y>; q, r"));
    assert_eq!(
        read.first().and_then(|c| c.params().unquoted("+sip.instance")).as_deref(),
        Some("<urn:uuid:1,2>")
    );
    let theirs = rsip::headers::untyped::Contact::new("\"A <x@y>; q\" <sip:a@h>");
    assert!(rsip::typed::Contact::try_from(theirs).is_err());
}

#[test]
fn defect_7_uri_headers_are_headers() {
    let refer_to = NameAddr::parse("<sip:a@b?Replaces=1%3Bto-tag%3D2&X=y>").expect("well formed");
    let headers: Vec<_> = refer_to.uri().headers().collect();
    assert_eq!(headers, [("Replaces".into(), "1;to-tag=2".into()), ("X".into(), "y".into())]);
    assert_eq!(refer_to.uri().host().map(ToString::to_string).as_deref(), Some("b"));
    // In a Request-URI they are not allowed at all.
    let refusal =
        ours(&message("", "").replace("a@b.example SIP", "a@b.example?X=y SIP")).expect_err("refused");
    assert_eq!(refusal.status, 400);
    assert_ne!(rsip_uri("sip:a@b?Replaces=1").map(|u| u.host().to_string()).ok().as_deref(), Some("b"));
}

#[test]
fn defect_8_content_length_decides_where_the_message_ends() {
    assert_eq!(ours(&message("Content-Length: 2\r\n", "abcd")).expect("the rest is ignored").body(), "ab");
    assert_eq!(ours(&message("Content-Length: 9\r\n", "abcd")).expect_err("cut off").status, 400);
    let headless = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK1\r\nCall-ID: 1\r\n";
    assert!(ours(headless).is_err());
    let theirs = rsip_message(&message("Content-Length: 9\r\n", "abcd")).expect("rsip takes it, wrongly");
    assert!(matches!(theirs, rsip::SipMessage::Request(request) if request.body.len() == 4));
    assert!(rsip_message(headless).is_ok());
}

#[test]
fn defect_9_a_challenge_is_given_whole_to_who_can_read_its_algorithm() {
    let challenge = "Digest realm=\"a,b\", nonce=\"c\", algorithm=SHA-256, qop=\"auth,auth-int\"";
    let read = ours(&message(&format!("WWW-Authenticate: {challenge}\r\n"), "")).expect("well formed");
    // Its commas separate parameters, not values.
    assert_eq!(read.headers().all("WWW-Authenticate").collect::<Vec<_>>(), [challenge]);
    let theirs = rsip::headers::untyped::WwwAuthenticate::new(challenge);
    assert!(rsip::typed::WwwAuthenticate::try_from(theirs).is_err());
}

#[test]
fn defect_10_a_binary_body_survives() {
    let mut bytes = message("Content-Length: 3\r\n", "").into_bytes();
    bytes.extend([0xff, 0x00, 0xfe]);
    let read = Message::parse(Bytes::copy_from_slice(&bytes), Framing::Stream).expect("well formed");
    assert_eq!(read.to_bytes(), bytes);
    let theirs: Vec<u8> = rsip::SipMessage::try_from(bytes.as_slice()).expect("rsip reads it").into();
    assert_ne!(theirs, bytes);
}

#[test]
fn header_names_are_spelled_as_rsip_spells_them() {
    use rsip::headers::untyped as u;
    let theirs = [
        rsip::Header::CallId(u::CallId::new("1")),
        rsip::Header::CSeq(u::CSeq::new("1")),
        rsip::Header::MaxForwards(u::MaxForwards::new("1")),
        rsip::Header::WwwAuthenticate(u::WwwAuthenticate::new("1")),
        rsip::Header::ContentLength(u::ContentLength::new("1")),
    ];
    for header in theirs {
        let text = header.to_string();
        let (name, _) = text.split_once(':').expect("a header line");
        assert_eq!(HeaderName::parse(name).map(HeaderName::as_str), Some(name));
    }
}
