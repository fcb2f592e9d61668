//! What an INVITE says: which of our numbers was called, and by whom.
//!
//! Everything here is the peer's word. The called number is checked by `routing`; the caller's number is believed from
//! P-Asserted-Identity only where the profile trusts it, and display names lose their control characters.

use std::borrow::Cow;

use routing::E164;
use sip::{Message, NameAddr, Uri};
use thiserror::Error;

use crate::profile::{CalledFrom, Profile};
use crate::shape::clean;

/// A dial-in leg before anybody decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialIn {
    /// The bridge number that was called.
    pub called: E164,
    /// Who calls.
    pub caller: Caller,
}

/// The calling party, as far as it may be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The number. It is there for the usage record even when the caller is anonymous: check `anonymous` before you
    /// show or speak it.
    pub number: Option<E164>,
    /// The name beside it, at most 64 characters, none of them control characters. Absent when anonymous.
    pub display: Option<String>,
    /// The caller asked not to be shown (RFC 3323, RFC 3325), or the network does not know him.
    pub anonymous: bool,
}

/// The INVITE cannot be served: the answer, and why for the log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("answered {status}: {because}")]
pub struct Refusal {
    /// The SIP status to answer.
    pub status: u16,
    /// What was wrong and what to change.
    pub because: String,
}

/// Reads the called number and the caller out of an INVITE of this trunk.
pub fn dial_in(profile: &Profile, request: &Message) -> Result<DialIn, Refusal> {
    Ok(DialIn { called: called(profile, request)?, caller: caller(profile, request) })
}

/// The called number, from the header that the profile names and then from the plain places.
fn called(profile: &Profile, request: &Message) -> Result<E164, Refusal> {
    let to = || request.to().map(|to| to.uri().clone());
    let plain = [request.uri().cloned(), to()];
    let places: Vec<Uri> = match profile.called_from {
        CalledFrom::RequestUri => plain.into_iter().flatten().collect(),
        CalledFrom::To => plain.into_iter().rev().flatten().collect(),
        CalledFrom::Diversion => {
            last_address(request, "Diversion").into_iter().chain(plain.into_iter().flatten()).collect()
        }
        CalledFrom::HistoryInfo => {
            first_address(request, "History-Info").into_iter().chain(plain.into_iter().flatten()).collect()
        }
    };
    let mut why = String::from("neither Request-URI nor To can be read");
    for (place, uri) in places.iter().enumerate() {
        match profile.numbers.read(&written(uri)) {
            Ok(number) => return Ok(number),
            Err(reason) if place == 0 => why = reason,
            Err(_) => {}
        }
    }
    Err(Refusal {
        status: 404,
        because: format!("no bridge number in the INVITE of trunk {}: {why}", profile.id),
    })
}

/// RFC 5806 section 5.1: the newest diversion is on top, so the last one was first called.
fn last_address(request: &Message, header: &str) -> Option<Uri> {
    let value = request.headers().all(header).last()?;
    NameAddr::parse(value).ok().map(|address| address.uri().clone())
}

/// RFC 7044 section 5: entries are in the order in which they were tried, so the first one was first called.
fn first_address(request: &Message, header: &str) -> Option<Uri> {
    let value = request.headers().all(header).next()?;
    NameAddr::parse(value).ok().map(|address| address.uri().clone())
}

/// The caller: P-Asserted-Identity where it is trusted, else From.
fn caller(profile: &Profile, request: &Message) -> Caller {
    let from = request.from();
    let asserted: Vec<NameAddr> = if profile.trust_pai {
        request.headers().all("P-Asserted-Identity").take(2).filter_map(|v| NameAddr::parse(v).ok()).collect()
    } else {
        Vec::new()
    };
    let nobody = from.as_ref().is_none_or(|from| is_nobody(from.uri()));
    let number = |address: &NameAddr| profile.numbers.read(&written(address.uri())).ok();
    let number = asserted.iter().find_map(number).or_else(|| from.as_ref().and_then(number));
    let anonymous = asks_privacy(request) || (nobody && asserted.is_empty());
    let display = asserted.iter().chain(&from).find_map(NameAddr::display).map(clean);
    Caller { number, display: display.filter(|name| !anonymous && !name.is_empty()), anonymous }
}

/// RFC 3323 section 4.2 and RFC 3325 section 9.3: `id`, `user` and `header` hide the caller, `none` asks for nothing.
fn asks_privacy(request: &Message) -> bool {
    request.headers().all("Privacy").any(|value| {
        value
            .split([';', ','])
            .any(|word| matches!(word.trim().to_ascii_lowercase().as_str(), "id" | "user" | "header"))
    })
}

/// RFC 3323 section 4.1.1.3: `sip:anonymous@anonymous.invalid`, and what gateways make of it.
fn is_nobody(uri: &Uri) -> bool {
    let host = uri.host().is_some_and(|host| host.to_string().eq_ignore_ascii_case("anonymous.invalid"));
    let nameless = |user: &str| {
        ["anonymous", "unavailable", "restricted", "unknown"].iter().any(|w| user.eq_ignore_ascii_case(w))
    };
    host || uri.user().is_none_or(|user| nameless(&user))
}

/// The number of a URI as it is written: the user part of a sip URI, the whole of a tel URI.
fn written(uri: &Uri) -> Cow<'_, str> {
    if uri.is_sip() { uri.user().unwrap_or_default() } else { Cow::Borrowed(uri.as_str()) }
}

#[cfg(test)]
mod tests {
    use sip::Framing;

    use super::*;
    use crate::testing::{MICROSOFT, OPERATOR, profile};

    /// An INVITE with this Request-URI, To, From and these further headers.
    fn invite(uri: &str, to: &str, from: &str, headers: &str) -> Message {
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.10;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: {from};tag=a\r\nTo: {to}\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into_bytes().into(), Framing::Datagram).expect("the test's INVITE is well formed")
    }

    fn called_with(lines: &str, uri: &str, to: &str, headers: &str) -> Option<String> {
        let message = invite(uri, to, "<sip:+4930555@x>", headers);
        let call = dial_in(&profile(&format!("{OPERATOR}{lines}")), &message);
        call.ok().map(|call| call.called.to_string())
    }

    fn caller_with(lines: &str, from: &str, headers: &str) -> Caller {
        let message = invite("sip:+493012345678@us", "<sip:+493012345678@us>", from, headers);
        dial_in(&profile(&format!("{OPERATOR}{lines}")), &message).unwrap().caller
    }

    const TO: &str = "<sip:+4930999999@us>";

    #[test]
    fn the_called_number_is_that_of_the_request_uri_and_else_that_of_to() {
        // (Request-URI, number)
        let table = [
            ("sip:+493012345678@us;user=phone", "+493012345678"),
            ("sip:+493012345678@us:5060;transport=udp", "+493012345678"),
            ("sip:+49-30-12345678@us", "+493012345678"),
            ("sip:+493012345678;npdi@us;user=phone", "+493012345678"),
            ("sip:%2B493012345678@us", "+493012345678"),
            ("sips:+493012345678@us", "+493012345678"),
            ("tel:+49-30-12345678", "+493012345678"),
            ("sip:00493012345678@us", "+493012345678"),
            ("sip:us", "+4930999999"),
            ("sip:bridge@us", "+4930999999"),
            ("sip:03012345678@us", "+4930999999"),
        ];
        for (uri, number) in table {
            assert_eq!(called_with("", uri, TO, "").as_deref(), Some(number), "{uri}");
        }
    }

    #[test]
    fn national_numbers_are_read_with_the_country_of_the_profile() {
        let german = "country_code = \"49\"\n";
        assert_eq!(called_with(german, "sip:03012345678@us", TO, "").as_deref(), Some("+493012345678"));
        let plain = "number_format = \"plain\"\n";
        assert_eq!(called_with(plain, "sip:493012345678@us", TO, "").as_deref(), Some("+493012345678"));
        let american = "country_code = \"1\"\n";
        assert_eq!(called_with(american, "sip:14255550100@us", TO, "").as_deref(), Some("+14255550100"));
    }

    #[test]
    fn diversion_and_history_info_are_read_only_when_the_profile_says_so() {
        let diversion =
            "Diversion: <sip:+4930111111@x>;reason=unconditional, <tel:+4930222222>;counter=1\r\n";
        let history = "History-Info: <sip:+4930333333@x;user=phone?Reason=SIP%3Bcause%3D302>;index=1\r\n\
                       History-Info: <sip:+4930444444@x>;index=1.1\r\n";
        let both = format!("{diversion}{history}");
        let uri = "sip:+493012345678@us";
        assert_eq!(called_with("", uri, TO, &both).as_deref(), Some("+493012345678"));
        let called =
            |from: &str, headers: &str| called_with(&format!("called_from = \"{from}\"\n"), uri, TO, headers);
        assert_eq!(called("to", &both).as_deref(), Some("+4930999999"));
        assert_eq!(
            called("diversion", &both).as_deref(),
            Some("+4930222222"),
            "the first diversion is the last entry"
        );
        assert_eq!(
            called("history-info", &both).as_deref(),
            Some("+4930333333"),
            "the first entry was called first"
        );
        for from in ["diversion", "history-info"] {
            assert_eq!(called(from, "").as_deref(), Some("+493012345678"), "{from} without the header");
        }
        assert_eq!(called("diversion", "Diversion: <<\r\n").as_deref(), Some("+493012345678"));
    }

    #[test]
    fn an_invite_without_a_number_is_404_and_says_why() {
        let message = invite("sip:bridge@us", "<sip:bridge@us>", "<sip:+4930555@x>", "");
        let refused = dial_in(&profile(OPERATOR), &message).unwrap_err();
        assert_eq!(refused.status, 404);
        assert!(refused.because.contains("trunk acme") && refused.because.contains("bridge"), "{refused}");
    }

    #[test]
    fn p_asserted_identity_is_believed_only_from_a_trusted_trunk() {
        let pai = "P-Asserted-Identity: \"Real\" <sip:+4930777777@x>, <tel:+4930777777>\r\n";
        let from = "\"Claimed\" <sip:+4930555555@x>";
        let believed = caller_with("trust_pai = true\n", from, pai);
        assert_eq!(believed.number.unwrap().as_str(), "+4930777777");
        assert_eq!(believed.display.as_deref(), Some("Real"));
        let claimed = caller_with("", from, pai);
        assert_eq!(claimed.number.unwrap().as_str(), "+4930555555");
        assert_eq!(claimed.display.as_deref(), Some("Claimed"));
        let teams = profile(MICROSOFT);
        let message = invite("sip:+493012345678@us", TO, from, pai);
        let caller = dial_in(&teams, &message).unwrap().caller;
        assert_eq!(caller.number.unwrap().as_str(), "+4930555555", "Microsoft too must be declared trusted");
    }

    #[test]
    fn a_broken_p_asserted_identity_falls_back_to_from() {
        let caller = caller_with("trust_pai = true\n", "<sip:+4930555555@x>", "P-Asserted-Identity: <<>\r\n");
        assert_eq!(caller.number.unwrap().as_str(), "+4930555555");
    }

    #[test]
    fn a_caller_who_asks_for_privacy_is_anonymous_and_his_number_stays_for_the_record() {
        let pai = "P-Asserted-Identity: \"Real\" <sip:+4930777777@x>\r\n";
        // (From, Privacy, anonymous, number)
        let table = [
            ("\"A\" <sip:+4930555555@x>", "", false, Some("+4930777777")),
            ("\"A\" <sip:+4930555555@x>", "Privacy: none\r\n", false, Some("+4930777777")),
            ("\"A\" <sip:+4930555555@x>", "Privacy: critical\r\n", false, Some("+4930777777")),
            ("\"A\" <sip:+4930555555@x>", "Privacy: id\r\n", true, Some("+4930777777")),
            ("\"A\" <sip:+4930555555@x>", "Privacy: user;id\r\n", true, Some("+4930777777")),
            ("\"A\" <sip:+4930555555@x>", "Privacy: HEADER\r\n", true, Some("+4930777777")),
            ("\"Anonymous\" <sip:anonymous@anonymous.invalid>", "Privacy: id\r\n", true, Some("+4930777777")),
        ];
        for (from, privacy, anonymous, number) in table {
            let caller = caller_with("trust_pai = true\n", from, &format!("{pai}{privacy}"));
            assert_eq!(caller.anonymous, anonymous, "{from} {privacy}");
            assert_eq!(caller.number.as_ref().map(E164::as_str), number, "{from} {privacy}");
            assert_eq!(caller.display.is_none(), anonymous, "{from} {privacy}");
        }
    }

    #[test]
    fn an_anonymous_from_without_a_trusted_identity_is_nobody() {
        for from in [
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
            "<sip:anonymous@sbc.acme.example>",
            "<sip:Restricted@x>",
            "<sip:x>",
        ] {
            let caller = caller_with("", from, "P-Asserted-Identity: <sip:+4930777777@x>\r\n");
            assert_eq!(caller, Caller { number: None, display: None, anonymous: true }, "{from}");
        }
    }

    #[test]
    fn a_display_name_loses_control_characters_and_length() {
        let caller = caller_with("", "\"a\tb\u{85}c\" <sip:+4930555555@x>", "");
        assert_eq!(caller.display.as_deref(), Some("abc"));
        let caller = caller_with("", &format!("\"{}\" <sip:+4930555555@x>", "y".repeat(500)), "");
        assert_eq!(caller.display.unwrap().len(), 64);
    }
}
