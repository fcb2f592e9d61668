//! The client's side of digest authentication (RFC 3261 section 22, RFC 2617, RFC 8760): MD5, with `qop=auth` or
//! without. A challenge for another algorithm next to an MD5 one is passed over (RFC 8760 section 2.4).
//!
//! Credentials belong to one trunk. They answer only the realm that the profile names, or, where it names none, the
//! first realm that challenged the INVITE which began the dialog; a challenge from elsewhere, say from a third party
//! that a re-INVITE passes through, is never answered.

use std::fmt;

use rsip::common::uri::{Domain, Host, HostWithPort};
use rsip::headers::auth::Algorithm;
use rsip::services::DigestGenerator;

use crate::wire::{KnownMethod, Message, Method};

/// What a trunk's operator gave us to prove who we are.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name in the digest.
    pub username: String,
    /// The password; never written anywhere.
    pub password: String,
    /// The only realm to which they may be shown; `None` = the first that asks.
    pub realm: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("password", &"(hidden)")
            .field("realm", &self.realm)
            .finish()
    }
}

/// One challenge of a 401 or 407.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// Whether `auth` is among the offered qualities of protection; `None` = RFC 2069, no qop at all.
    qop_auth: Option<bool>,
    /// As written, since some servers compare the case; `None` = absent, MD5 is meant.
    algorithm: Option<String>,
    stale: bool,
}

/// Answers challenges for one dialog and signs its requests.
#[derive(Debug, Clone)]
pub(crate) struct Authorizer {
    credentials: Credentials,
    realm: Option<String>,
    active: Option<Active>,
}

#[derive(Debug, Clone)]
struct Active {
    challenge: Challenge,
    header: &'static str,
    count: u32,
}

/// Whether a challenge was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Sign the request and send it again.
    Retry,
    /// Treat the 401 or 407 as the final answer; the text is for the log.
    GiveUp(&'static str),
}

impl Authorizer {
    pub(crate) fn new(credentials: Credentials) -> Self {
        let realm = credentials.realm.clone();
        Self { credentials, realm, active: None }
    }

    /// Reads the challenges in a 401 or 407. `attempts` counts the challenges this request has met before.
    pub(crate) fn consider(&mut self, response: &Message, attempts: u8) -> Verdict {
        let proxy = response.status().is_some_and(|status| status.code() == 407);
        let (name, header) = if proxy {
            ("Proxy-Authenticate", "Proxy-Authorization")
        } else {
            ("WWW-Authenticate", "Authorization")
        };
        let challenges: Vec<Challenge> = response.headers().all(name).filter_map(parse_challenge).collect();
        let ours = challenges.into_iter().find(|challenge| {
            self.realm.as_ref().is_none_or(|realm| *realm == challenge.realm) && challenge.is_answerable()
        });
        let Some(challenge) = ours else {
            return Verdict::GiveUp("no MD5 challenge for the realm of this trunk's credentials");
        };
        // First challenge, or a nonce that has aged, or one-time nonces: go on. A second fresh nonce for the same
        // request means that the password is wrong; a third of any kind means a loop.
        if attempts >= 3 || (attempts >= 1 && !challenge.stale) {
            return Verdict::GiveUp("the credentials were refused");
        }
        self.realm = Some(challenge.realm.clone());
        self.active = Some(Active { challenge, header, count: 0 });
        Verdict::Retry
    }

    /// Adds the credentials to a request, if a challenge has been met before. `cnonce` is fresh random text.
    pub(crate) fn sign(&mut self, request: &mut Message, cnonce: &str) {
        let Some(active) = &mut self.active else { return };
        let Some(uri) = request.uri().map(ToString::to_string) else { return };
        let Method::Known(method) = *request.method() else { return };
        active.count = active.count.saturating_add(1);
        let value = active.respond(&self.credentials, &uri, method, cnonce);
        let header = active.header;
        request.headers_mut().set(header, value);
    }
}

impl Active {
    fn respond(&self, credentials: &Credentials, uri: &str, method: KnownMethod, cnonce: &str) -> String {
        let Challenge { realm, nonce, opaque, qop_auth, algorithm, .. } = &self.challenge;
        // rsip prints the nonce count in decimal where RFC 2617 section 3.2.2 wants hexadecimal, so the whole middle
        // of the digest goes in as its nonce; and its Uri cannot carry every URI, so the exact text goes in as a host.
        let middle = match qop_auth {
            Some(true) => format!("{nonce}:{:08x}:{cnonce}:auth", self.count),
            _ => nonce.clone(),
        };
        let host = HostWithPort { host: Host::Domain(Domain::new(uri.to_owned())), port: None };
        let response = DigestGenerator {
            username: &credentials.username,
            password: &credentials.password,
            nonce: &middle,
            uri: &rsip::Uri { host_with_port: host, ..rsip::Uri::default() },
            realm,
            method: &method,
            qop: None,
            algorithm: Algorithm::Md5,
        }
        .compute();
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(&credentials.username),
            quoted(realm),
            quoted(nonce),
            quoted(uri),
        );
        if let Some(algorithm) = algorithm {
            value.push_str(", algorithm=");
            value.push_str(algorithm);
        }
        if *qop_auth == Some(true) {
            let (count, cnonce) = (self.count, quoted(cnonce));
            for part in [", qop=auth, nc=", &format!("{count:08x}"), ", cnonce=", &cnonce] {
                value.push_str(part);
            }
        }
        if let Some(opaque) = opaque {
            value.push_str(", opaque=");
            value.push_str(&quoted(opaque));
        }
        value
    }
}

impl Challenge {
    fn is_answerable(&self) -> bool {
        let md5 = self.algorithm.as_ref().is_none_or(|name| name.eq_ignore_ascii_case("MD5"));
        md5 && self.qop_auth != Some(false)
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// `Digest name=value, name="value", ...`; anything unreadable makes the challenge void, never an error.
fn parse_challenge(value: &str) -> Option<Challenge> {
    let value = value.trim();
    let (scheme, rest) = value.split_once(|c: char| c.is_ascii_whitespace())?;
    if !scheme.eq_ignore_ascii_case("Digest") {
        return None;
    }
    let (mut realm, mut nonce, mut opaque, mut qop_auth, mut algorithm, mut stale) =
        (None, None, None, None, None, false);
    let mut rest = rest;
    while let Some((name, value, after)) = next_parameter(rest) {
        match name.to_ascii_lowercase().as_str() {
            "realm" => realm = Some(value),
            "nonce" => nonce = Some(value),
            "opaque" => opaque = Some(value),
            "algorithm" => algorithm = Some(value),
            "stale" => stale = value.eq_ignore_ascii_case("true"),
            "qop" => qop_auth = Some(value.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"))),
            _ => {}
        }
        rest = after;
    }
    Some(Challenge { realm: realm?, nonce: nonce?, opaque, qop_auth, algorithm, stale })
}

/// Splits off one `name=token` or `name="quoted"`, and the comma behind it.
fn next_parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches([' ', '\t', ',', '\r', '\n']);
    let (name, after) = text.split_once('=')?;
    let after = after.trim_start();
    let Some(inner) = after.strip_prefix('"') else {
        let end = after.find(',').unwrap_or(after.len());
        return Some((name.trim(), after.get(..end)?.trim().to_owned(), after.get(end..)?));
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((name.trim(), value, inner.get(at + 1..)?)),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(realm: Option<&str>) -> Credentials {
        Credentials {
            username: "Mufasa".to_owned(),
            password: "Circle Of Life".to_owned(),
            realm: realm.map(str::to_owned),
        }
    }

    #[test]
    fn the_digest_is_the_one_of_rfc_2617_section_3_5() {
        let challenge = parse_challenge(
            "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        )
        .expect("a challenge");
        assert_eq!(challenge.qop_auth, Some(true));
        // The example of the RFC is a GET; with INVITE in its place the digest was computed by hand with md5sum.
        let active = Active { challenge, header: "Authorization", count: 1 };
        let value = active.respond(&credentials(None), "/dir/index.html", KnownMethod::Invite, "0a4f113b");
        assert!(value.contains("nc=00000001, cnonce=\"0a4f113b\""), "{value}");
        assert!(value.contains("response=\"65ec046479396d60f5eaa08006a1c351\""), "{value}");
        let active = Active { count: 10, ..active };
        let value = active.respond(&credentials(None), "/dir/index.html", KnownMethod::Invite, "0a4f113b");
        assert!(value.contains("nc=0000000a"), "{value}");
        assert!(value.contains("response=\"069c00586bdabfad12b232b5c9500797\""), "{value}");
    }

    #[test]
    fn a_challenge_without_qop_is_answered_as_rfc_2069_did() {
        let challenge =
            parse_challenge("DIGEST nonce=abc,realm=\"r\\\"x\" ,  algorithm=md5").expect("a challenge");
        assert_eq!(challenge.realm, "r\"x");
        assert!(challenge.is_answerable());
        let active = Active { challenge, header: "Authorization", count: 1 };
        let value = active.respond(&credentials(None), "sip:a@b", KnownMethod::Bye, "x");
        assert!(!value.contains("cnonce"), "{value}");
        assert!(value.contains("realm=\"r\\\"x\""), "{value}");
        assert!(value.contains("algorithm=md5"), "{value}");
    }

    #[test]
    fn other_algorithms_and_qualities_are_passed_over() {
        for text in [
            "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256",
            "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"",
        ] {
            assert!(!parse_challenge(text).expect("a challenge").is_answerable(), "{text}");
        }
        for text in ["Basic realm=\"r\"", "Digest", "Digest realm=\"r\"", "Digest realm=\"r, nonce=\"", ""] {
            assert_eq!(parse_challenge(text), None, "{text}");
        }
    }

    #[test]
    fn the_password_is_not_printed() {
        assert!(!format!("{:?}", Authorizer::new(credentials(None))).contains("Circle"));
    }
}
