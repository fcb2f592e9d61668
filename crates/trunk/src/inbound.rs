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
pub struct InboundCall {
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
pub fn inbound(profile: &Profile, request: &Message) -> Result<InboundCall, Refusal> {
    Ok(InboundCall { called: called(profile, request)?, caller: caller(profile, request) })
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
