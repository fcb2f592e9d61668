//! The client's side: answers a 401 or 407 with the trunk's credentials.
//!
//! Credentials belong to one trunk. They answer only the realm that the profile names, or, where it names none, the
//! first realm that challenged the INVITE which began the dialog; and they are only ever written into a request that goes
//! to that trunk. A challenge from elsewhere, say from a third party that a re-INVITE passes through, is never answered.

use std::fmt;
use std::net::IpAddr;

use super::algorithm::{Algorithm, Parts};
use super::fields::{self, quoted};
use crate::endpoint::Neighbors;
use crate::wire::Message;

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
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// Whether `auth` is among the offered qualities of protection; `None` = RFC 2069, no qop at all.
    qop_auth: Option<bool>,
    /// As written, since some servers compare the case; `None` = absent, MD5 is meant.
    written: Option<String>,
    /// `None`: one that we do not know.
    algorithm: Option<Algorithm>,
    stale: bool,
}

/// Answers challenges for one dialog and signs its requests.
#[derive(Debug, Clone)]
pub(crate) struct Authorizer {
    credentials: Credentials,
    /// The trunk's address that the first request went to.
    home: IpAddr,
    realm: Option<String>,
    active: Option<Active>,
}

#[derive(Debug, Clone)]
struct Active {
    challenge: Challenge,
    algorithm: Algorithm,
    header: &'static str,
    count: u32,
    /// The Request-URI and the cnonce signed last.
    last: Option<(String, String)>,
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
    /// For requests to the trunk of which `home` is an address.
    pub(crate) fn new(credentials: Credentials, home: IpAddr) -> Self {
        let realm = credentials.realm.clone();
        Self { credentials, home, realm, active: None }
    }

    /// Reads the challenges in a 401 or 407. `attempts` counts the challenges this request has met before.
    pub(crate) fn consider(&mut self, response: &Message, attempts: u8) -> Verdict {
        let proxy = response.status().is_some_and(|status| status.code() == 407);
        let (name, header) = if proxy {
            ("Proxy-Authenticate", "Proxy-Authorization")
        } else {
            ("WWW-Authenticate", "Authorization")
        };
        // Who has asked for a strong hash once is not talked down to a weak one by somebody in between.
        let least = self.active.as_ref().map_or(Algorithm::Md5, |active| active.algorithm);
        let mut best: Option<(Algorithm, Challenge)> = None;
        for challenge in response.headers().all(name).filter_map(parse_challenge) {
            let ours = self.realm.as_ref().is_none_or(|realm| *realm == challenge.realm);
            let Some(algorithm) = challenge.usable().filter(|algorithm| ours && *algorithm >= least) else {
                continue;
            };
            // The strongest; among equals the first (RFC 8760 section 2.4).
            if best.as_ref().is_none_or(|(other, _)| algorithm > *other) {
                best = Some((algorithm, challenge));
            }
        }
        let Some((algorithm, challenge)) = best else {
            return Verdict::GiveUp(
                "no challenge for the realm of this trunk's credentials with MD5, SHA-256 or SHA-512-256",
            );
        };
        // First challenge, or a nonce that has aged, or one-time nonces: go on. A second fresh nonce for the same
        // request means that the password is wrong; a third of any kind means a loop.
        if attempts >= 3 || (attempts >= 1 && !challenge.stale) {
            return Verdict::GiveUp("the credentials were refused");
        }
        self.realm = Some(challenge.realm.clone());
        self.active = Some(Active { challenge, algorithm, header, count: 0, last: None });
        Verdict::Retry
    }

    /// Adds the credentials to a request, if a challenge has been met before and the request goes to the trunk.
    /// `cnonce` is fresh random text.
    pub(crate) fn sign(&mut self, request: &mut Message, to: IpAddr, neighbors: &Neighbors, cnonce: &str) {
        if !neighbors.are_one_trunk(self.home, to) {
            return;
        }
        let Some(active) = &mut self.active else { return };
        let Some(uri) = request.uri().map(ToString::to_string) else { return };
        let method = request.method().as_str().to_owned();
        active.count = active.count.saturating_add(1);
        let value = active.authorize(&self.credentials, &uri, &method, cnonce);
        active.last = Some((uri, cnonce.to_owned()));
        let header = active.header;
        request.headers_mut().set(header, value);
    }

    /// Reads the Authentication-Info of a 2xx (RFC 7615): the nonce for the next request. Where the server proves that
    /// it knows the password (`rspauth`), a wrong proof makes the rest void.
    pub(crate) fn learn(&mut self, response: &Message) {
        let Some(active) = &mut self.active else { return };
        let name = if active.header == "Authorization" {
            "Authentication-Info"
        } else {
            "Proxy-Authentication-Info"
        };
        let values: Vec<&str> = response.headers().all(name).collect();
        let Some(found) = fields::list(&values.join(",")) else { return };
        let field = |name: &str| found.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
        if let Some(proof) = field("rspauth")
            && active.proof(&self.credentials).is_some_and(|ours| !proof.eq_ignore_ascii_case(&ours))
        {
            return;
        }
        if let Some(nonce) = field("nextnonce").filter(|nonce| !nonce.is_empty()) {
            nonce.clone_into(&mut active.challenge.nonce);
            active.count = 0;
        }
    }
}

impl Active {
    fn respond(&self, credentials: &Credentials, uri: &str, method: &str, cnonce: &str) -> String {
        self.algorithm.respond(&Parts {
            username: &credentials.username,
            realm: &self.challenge.realm,
            password: &credentials.password,
            method,
            uri,
            nonce: &self.challenge.nonce,
            qop: (self.challenge.qop_auth == Some(true)).then_some((self.count, cnonce)),
        })
    }

    /// What `rspauth` must be for the request signed last.
    fn proof(&self, credentials: &Credentials) -> Option<String> {
        let (uri, cnonce) = self.last.as_ref()?;
        Some(self.respond(credentials, uri, "", cnonce))
    }

    fn authorize(&self, credentials: &Credentials, uri: &str, method: &str, cnonce: &str) -> String {
        let response = self.respond(credentials, uri, method, cnonce);
        let Challenge { realm, nonce, opaque, qop_auth, written, .. } = &self.challenge;
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(&credentials.username),
            quoted(realm),
            quoted(nonce),
            quoted(uri),
        );
        if let Some(algorithm) = written {
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
    /// Its algorithm, if we can answer it.
    fn usable(&self) -> Option<Algorithm> {
        self.algorithm.filter(|_| self.qop_auth != Some(false))
    }
}

/// Anything unreadable makes the challenge void, never an error.
pub(super) fn parse_challenge(value: &str) -> Option<Challenge> {
    let (mut realm, mut nonce, mut opaque, mut qop_auth, mut written, mut stale) =
        (None, None, None, None, None, false);
    for (name, value) in fields::parameters(value)? {
        match name.as_str() {
            "realm" => realm = Some(value),
            "nonce" => nonce = Some(value),
            "opaque" => opaque = Some(value),
            "algorithm" => written = Some(value),
            "stale" => stale = value.eq_ignore_ascii_case("true"),
            "qop" => qop_auth = Some(value.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"))),
            _ => {}
        }
    }
    let algorithm = written.as_deref().map_or(Some(Algorithm::Md5), Algorithm::of);
    Some(Challenge { realm: realm?, nonce: nonce?, opaque, qop_auth, written, algorithm, stale })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{HeaderName, Method, Uri};

    fn credentials(realm: Option<&str>) -> Credentials {
        Credentials {
            username: "Mufasa".to_owned(),
            password: "Circle Of Life".to_owned(),
            realm: realm.map(str::to_owned),
        }
    }

    fn home() -> IpAddr {
        [192, 0, 2, 9].into()
    }

    fn active(challenge: &str, count: u32) -> Active {
        let challenge = parse_challenge(challenge).expect("a challenge");
        let algorithm = challenge.usable().expect("an algorithm of ours");
        Active { challenge, algorithm, header: "Authorization", count, last: None }
    }

    fn invite() -> Message {
        Message::request(Method::INVITE, Uri::parse("sip:a@192.0.2.9").expect("a URI"))
    }

    fn unauthorized(challenges: &[&str]) -> Message {
        let mut response = Message::response_to(&invite(), 401, None);
        for challenge in challenges {
            response.headers_mut().push("WWW-Authenticate", *challenge);
        }
        response
    }

    fn signed(authorizer: &mut Authorizer) -> String {
        let mut request = invite();
        authorizer.sign(&mut request, home(), &Neighbors::default(), "c");
        request.headers().get(HeaderName::Authorization).unwrap_or_default().to_owned()
    }

    #[test]
    fn the_digest_is_the_one_of_rfc_2617_section_3_5() {
        let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        // The example of the RFC is a GET; with INVITE in its place the digest was computed by hand with md5sum.
        let value =
            active(challenge, 1).authorize(&credentials(None), "/dir/index.html", "INVITE", "0a4f113b");
        assert!(value.contains("nc=00000001, cnonce=\"0a4f113b\""), "{value}");
        assert!(value.contains("response=\"65ec046479396d60f5eaa08006a1c351\""), "{value}");
        let value =
            active(challenge, 10).authorize(&credentials(None), "/dir/index.html", "INVITE", "0a4f113b");
        assert!(value.contains("nc=0000000a"), "{value}");
        assert!(value.contains("response=\"069c00586bdabfad12b232b5c9500797\""), "{value}");
    }

    #[test]
    fn a_challenge_without_qop_is_answered_as_rfc_2069_did() {
        let active = active("DIGEST nonce=abc,realm=\"r\\\"x\" ,  algorithm=md5", 1);
        let value = active.authorize(&credentials(None), "sip:a@b", "BYE", "x");
        assert!(!value.contains("cnonce"), "{value}");
        assert!(value.contains("realm=\"r\\\"x\""), "{value}");
        assert!(value.contains("algorithm=md5"), "{value}");
    }

    #[test]
    fn other_algorithms_and_qualities_are_passed_over() {
        for text in [
            "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-3",
            "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"",
        ] {
            assert_eq!(parse_challenge(text).expect("a challenge").usable(), None, "{text}");
        }
        for text in ["Basic realm=\"r\"", "Digest", "Digest realm=\"r\"", "Digest realm=\"r, nonce=\"", ""] {
            assert_eq!(parse_challenge(text), None, "{text}");
        }
    }

    #[test]
    fn of_several_challenges_the_strongest_that_we_know_is_answered() {
        let (md5, sha) = (
            "Digest realm=\"r\", nonce=\"m\", qop=\"auth\"",
            "Digest realm=\"r\", nonce=\"s\", qop=\"auth\", algorithm=SHA-256",
        );
        for challenges in [[md5, sha], [sha, md5]] {
            let mut authorizer = Authorizer::new(credentials(None), home());
            assert_eq!(authorizer.consider(&unauthorized(&challenges), 0), Verdict::Retry);
            let value = signed(&mut authorizer);
            assert!(value.contains("nonce=\"s\"") && value.contains("algorithm=SHA-256"), "{value}");
        }
    }

    #[test]
    fn a_dialog_that_began_with_a_strong_hash_is_not_talked_down_to_a_weak_one() {
        let mut authorizer = Authorizer::new(credentials(None), home());
        let sha = "Digest realm=\"r\", nonce=\"s\", qop=\"auth\", algorithm=SHA-256";
        assert_eq!(authorizer.consider(&unauthorized(&[sha]), 0), Verdict::Retry);
        let weak = "Digest realm=\"r\", nonce=\"m\", qop=\"auth\", stale=true";
        assert!(matches!(authorizer.consider(&unauthorized(&[weak]), 0), Verdict::GiveUp(_)));
        assert!(signed(&mut authorizer).contains("nonce=\"s\""));
    }

    #[test]
    fn nothing_is_signed_that_goes_to_another_host() {
        let mut authorizer = Authorizer::new(credentials(None), home());
        authorizer.consider(&unauthorized(&["Digest realm=\"r\", nonce=\"n\""]), 0);
        for (to, own) in [([192, 0, 2, 9], true), ([198, 51, 100, 66], false)] {
            let mut request = invite();
            authorizer.sign(&mut request, to.into(), &Neighbors::default(), "c");
            assert_eq!(request.headers().contains(HeaderName::Authorization), own, "{to:?}");
        }
    }

    #[test]
    fn the_next_nonce_is_taken_and_counted_from_one() {
        let mut authorizer = Authorizer::new(credentials(None), home());
        authorizer.consider(&unauthorized(&["Digest realm=\"r\", nonce=\"n1\", qop=\"auth\""]), 0);
        assert!(signed(&mut authorizer).contains("nc=00000001"));
        assert!(signed(&mut authorizer).contains("nc=00000002"));
        let mut ok = Message::response_to(&invite(), 200, None);
        ok.headers_mut().push("Authentication-Info", "qop=auth, nextnonce=\"n2\"");
        authorizer.learn(&ok);
        let value = signed(&mut authorizer);
        assert!(value.contains("nonce=\"n2\"") && value.contains("nc=00000001"), "{value}");
    }

    #[test]
    fn a_wrong_proof_of_the_server_makes_its_next_nonce_void() {
        let mut authorizer = Authorizer::new(credentials(None), home());
        authorizer.consider(&unauthorized(&["Digest realm=\"r\", nonce=\"n1\", qop=\"auth\""]), 0);
        signed(&mut authorizer);
        let proof = authorizer.active.as_ref().and_then(|active| active.proof(&authorizer.credentials));
        let proof = proof.expect("a proof");
        for (rspauth, nonce) in [("0".repeat(32), "n1"), (proof, "n2")] {
            let mut ok = Message::response_to(&invite(), 200, None);
            ok.headers_mut().push("Authentication-Info", format!("rspauth=\"{rspauth}\", nextnonce=\"n2\""));
            authorizer.learn(&ok);
            let active = authorizer.active.as_ref().expect("a challenge");
            assert_eq!(active.challenge.nonce, nonce);
        }
    }

    #[test]
    fn the_password_is_not_printed() {
        assert!(!format!("{:?}", Authorizer::new(credentials(None), home())).contains("Circle"));
    }
}
