//! The server's side: challenges the requests of a trunk that has to prove who it is.
//!
//! A nonce is the time it was made, a serial number, and an HMAC over both: nothing is remembered of a challenge that is
//! never answered. Remembered is, for every nonce that was answered with the right password, the highest nonce count, so
//! that no answer is taken twice; the table is bounded, and what falls out of it is told to ask anew (`stale`).

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::algorithm::{Algorithm, Parts, hex};
use super::fields::{self, quoted};
use crate::wire::{HeaderName, Message};

/// How long a nonce may be answered.
const LIFE: Duration = Duration::from_mins(5);
/// Nonces in use that are remembered.
const MAX_USED: usize = 10_000;

/// What a trunk has to prove that it knows.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundCredentials {
    /// The user name.
    pub username: String,
    /// The password; never written anywhere.
    pub password: String,
    /// The realm of our challenges.
    pub realm: String,
    /// What may be answered with, in the order of the challenges; at least one.
    pub algorithms: Vec<Algorithm>,
}

impl fmt::Debug for InboundCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundCredentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// A 401 to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The headers it needs, as name and value.
    pub headers: Vec<(String, String)>,
    /// What was wrong with the credentials; `None`: there were none, or they are too old, as happens in good order.
    pub wrong: Option<&'static str>,
}

/// Makes challenges and checks what comes back.
pub struct Challenger {
    key: [u8; 32],
    origin: Instant,
    serial: u64,
    /// By serial number: when it was made, and the highest count that was taken.
    used: BTreeMap<u64, (Duration, u32)>,
    /// Nonces up to this one may have been forgotten.
    floor: u64,
}

impl fmt::Debug for Challenger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenger").field("used", &self.used.len()).finish_non_exhaustive()
    }
}

/// What credentials came to.
enum Refused {
    /// None for our realm.
    Missing,
    /// Right, but the nonce is too old or its count was used.
    Stale,
    Wrong(&'static str),
}

/// A nonce of ours.
struct Nonce {
    serial: u64,
    made: Duration,
}

impl Challenger {
    /// `key` is random and this process' own: after a restart every old nonce is stale.
    pub fn new(now: Instant, key: [u8; 32]) -> Self {
        Self { key, origin: now, serial: 0, used: BTreeMap::new(), floor: 0 }
    }

    /// Whether a request carries the credentials that are expected of its sender; `Err` is the 401 to answer. `whose`
    /// binds a nonce to one trunk. Do not ask about ACK and CANCEL: they cannot be sent again (RFC 3261 section 22.1).
    ///
    /// The URI in the credentials is the one that was signed, and need not be the Request-URI: proxies on the way
    /// change that. What is signed counts once, whatever it is about.
    pub fn check(
        &mut self,
        now: Instant,
        request: &Message,
        whose: &str,
        expected: &InboundCredentials,
    ) -> Result<(), Challenge> {
        let age = now.saturating_duration_since(self.origin);
        let refused = match self.judge(age, request, whose, expected) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let stale = matches!(refused, Refused::Stale);
        let nonce = self.fresh(age, whose);
        let challenge = |algorithm: &Algorithm| {
            let (realm, name) = (quoted(&expected.realm), algorithm.name());
            let stale = if stale { ", stale=true" } else { "" };
            let value =
                format!("Digest realm={realm}, nonce=\"{nonce}\", qop=\"auth\", algorithm={name}{stale}");
            ("WWW-Authenticate".to_owned(), value)
        };
        let headers = expected.algorithms.iter().map(challenge).collect();
        let wrong = if let Refused::Wrong(why) = refused { Some(why) } else { None };
        Err(Challenge { headers, wrong })
    }

    fn judge(
        &mut self,
        age: Duration,
        request: &Message,
        whose: &str,
        expected: &InboundCredentials,
    ) -> Result<(), Refused> {
        let given = request
            .headers()
            .all(HeaderName::Authorization)
            .filter_map(fields::parameters)
            .find(|given| given.iter().any(|(name, value)| name == "realm" && *value == expected.realm))
            .ok_or(Refused::Missing)?;
        let field = |name: &str| given.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
        let algorithm = field("algorithm")
            .map_or(Some(Algorithm::Md5), Algorithm::of)
            .filter(|algorithm| expected.algorithms.contains(algorithm))
            .ok_or(Refused::Wrong("an algorithm that the challenge did not offer"))?;
        let count = field("qop")
            .filter(|qop| qop.eq_ignore_ascii_case("auth"))
            .and_then(|_| field("nc").filter(|count| count.len() == 8))
            .and_then(|count| u32::from_str_radix(count, 16).ok())
            .filter(|count| *count > 0)
            .ok_or(Refused::Wrong("no qop=auth with a nonce count, so that it could be replayed"))?;
        let text = |name: &str| field(name).unwrap_or_default();
        let ours = algorithm.respond(&Parts {
            username: &expected.username,
            realm: &expected.realm,
            password: &expected.password,
            method: request.method().as_str(),
            uri: text("uri"),
            nonce: text("nonce"),
            qop: Some((count, text("cnonce"))),
        });
        let theirs = text("response").to_ascii_lowercase();
        // Both comparisons are made, and take as long whether they fail at the first octet or at the last.
        let right = ours.as_bytes().ct_eq(theirs.as_bytes())
            & expected.username.as_bytes().ct_eq(text("username").as_bytes());
        if !bool::from(right) {
            return Err(Refused::Wrong("a wrong user name or password"));
        }
        let nonce = self.read(text("nonce"), whose).ok_or(Refused::Stale)?;
        if age.saturating_sub(nonce.made) > LIFE || !self.take(age, &nonce, count) {
            return Err(Refused::Stale);
        }
        Ok(())
    }

    fn fresh(&mut self, age: Duration, whose: &str) -> String {
        self.serial += 1;
        let mut plain = [0; 16];
        plain[..8].copy_from_slice(&(age.as_millis() as u64).to_be_bytes());
        plain[8..].copy_from_slice(&self.serial.to_be_bytes());
        format!("{}{}", hex(&plain), hex(&self.seal(&plain, whose)))
    }

    fn seal(&self, plain: &[u8; 16], whose: &str) -> [u8; 16] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(plain);
        mac.update(whose.as_bytes());
        let full = mac.finalize().into_bytes();
        std::array::from_fn(|at| full[at])
    }

    /// A nonce of ours for this trunk; anything else is `None`.
    fn read(&self, text: &str, whose: &str) -> Option<Nonce> {
        let (plain, seal) = text.split_at_checked(32)?;
        let plain = u128::from_str_radix(plain, 16).ok()?;
        let bytes = plain.to_be_bytes();
        let ours = hex(&self.seal(&bytes, whose));
        bool::from(ours.as_bytes().ct_eq(seal.as_bytes()))
            .then(|| Nonce { serial: plain as u64, made: Duration::from_millis((plain >> 64) as u64) })
    }

    /// Takes a count of a nonce; `false`: it, or one above it, was taken before.
    fn take(&mut self, age: Duration, nonce: &Nonce, count: u32) -> bool {
        while let Some((&serial, &(made, _))) = self.used.first_key_value() {
            let over = self.used.len() >= MAX_USED && !self.used.contains_key(&nonce.serial);
            if !over && age.saturating_sub(made) <= LIFE {
                break;
            }
            self.used.pop_first();
            self.floor = self.floor.max(serial);
        }
        if nonce.serial <= self.floor {
            return false;
        }
        let (_, highest) = self.used.entry(nonce.serial).or_insert((nonce.made, 0));
        if count <= *highest {
            return false;
        }
        *highest = count;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Method, Uri};

    fn expected() -> InboundCredentials {
        InboundCredentials {
            username: "carrier".to_owned(),
            password: "secret".to_owned(),
            realm: "bridge.example".to_owned(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
        }
    }

    fn invite(authorization: Option<&str>) -> Message {
        let mut request = Message::request(Method::INVITE, Uri::parse("sip:1@192.0.2.1").expect("a URI"));
        if let Some(value) = authorization {
            request.headers_mut().push(HeaderName::Authorization, value);
        }
        request
    }

    fn nonce_in(challenge: &Challenge) -> String {
        let fields = fields::parameters(&challenge.headers[0].1).expect("a challenge");
        fields.into_iter().find(|(name, _)| name == "nonce").expect("a nonce").1
    }

    fn credentials(algorithm: Algorithm, password: &str, nonce: &str, count: u32) -> String {
        let response = algorithm.respond(&Parts {
            username: "carrier",
            realm: "bridge.example",
            password,
            method: "INVITE",
            uri: "sip:1@192.0.2.1",
            nonce,
            qop: Some((count, "c")),
        });
        format!(
            "Digest username=\"carrier\", realm=\"bridge.example\", nonce=\"{nonce}\", uri=\"sip:1@192.0.2.1\", \
             response=\"{response}\", algorithm={}, qop=auth, nc={count:08x}, cnonce=\"c\"",
            algorithm.name()
        )
    }

    struct Bench {
        challenger: Challenger,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let now = crate::transaction::test_epoch();
            Self { challenger: Challenger::new(now, [7; 32]), now }
        }

        fn ask(&mut self, authorization: Option<&str>) -> Result<(), Challenge> {
            self.challenger.check(self.now, &invite(authorization), "acme", &expected())
        }

        fn nonce(&mut self) -> String {
            nonce_in(&self.ask(None).expect_err("no credentials yet"))
        }
    }

    #[test]
    fn a_request_without_credentials_is_challenged_with_every_algorithm() {
        let challenge = Bench::new().ask(None).expect_err("a challenge");
        assert_eq!(challenge.wrong, None);
        let [(name, sha), (_, md5)] = challenge.headers.as_slice() else { panic!("{challenge:?}") };
        assert_eq!(name, "WWW-Authenticate");
        assert!(
            sha.starts_with("Digest realm=\"bridge.example\", nonce=\"")
                && sha.ends_with("algorithm=SHA-256")
        );
        assert!(md5.contains("qop=\"auth\"") && md5.ends_with("algorithm=MD5"), "{md5}");
    }

    #[test]
    fn either_algorithm_is_taken_and_every_count_once() {
        let mut bench = Bench::new();
        let nonce = bench.nonce();
        for (algorithm, count) in [(Algorithm::Sha256, 1), (Algorithm::Md5, 2), (Algorithm::Md5, 9)] {
            assert_eq!(bench.ask(Some(&credentials(algorithm, "secret", &nonce, count))), Ok(()));
        }
        for count in [1, 2, 5, 9] {
            let challenge = bench.ask(Some(&credentials(Algorithm::Md5, "secret", &nonce, count)));
            let challenge = challenge.expect_err("a replay");
            assert!(challenge.headers[0].1.ends_with(", stale=true"), "{count}: {challenge:?}");
            assert_eq!(challenge.wrong, None);
        }
    }

    #[test]
    fn a_wrong_password_is_challenged_anew_and_not_called_stale() {
        let mut bench = Bench::new();
        let nonce = bench.nonce();
        let challenge = bench.ask(Some(&credentials(Algorithm::Md5, "guess", &nonce, 1))).expect_err("wrong");
        assert!(!challenge.headers[0].1.contains("stale"));
        assert_eq!(challenge.wrong, Some("a wrong user name or password"));
        assert_eq!(
            bench.ask(Some(&credentials(Algorithm::Md5, "secret", &nonce, 1))),
            Ok(()),
            "not used up by that"
        );
    }

    #[test]
    fn a_nonce_ages() {
        let mut bench = Bench::new();
        let nonce = bench.nonce();
        bench.now += LIFE;
        assert_eq!(bench.ask(Some(&credentials(Algorithm::Md5, "secret", &nonce, 1))), Ok(()));
        bench.now += Duration::from_millis(1);
        let challenge = bench.ask(Some(&credentials(Algorithm::Md5, "secret", &nonce, 2))).expect_err("aged");
        assert!(challenge.headers[0].1.ends_with(", stale=true"));
    }

    #[test]
    fn a_nonce_that_is_not_ours_or_another_trunks_is_stale() {
        let mut bench = Bench::new();
        let other = bench.challenger.fresh(Duration::ZERO, "other");
        let nonce = bench.nonce();
        let forged = format!("{}{}", &nonce[..31], if nonce.ends_with('0') { "1" } else { "0" });
        let long = format!("{nonce}0");
        for nonce in [
            other.as_str(),
            &forged,
            &long,
            "",
            "x",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            let challenge =
                bench.ask(Some(&credentials(Algorithm::Md5, "secret", nonce, 1))).expect_err(nonce);
            assert!(challenge.headers[0].1.ends_with(", stale=true"), "{nonce}");
        }
    }

    #[test]
    fn what_could_be_replayed_or_was_not_offered_is_refused() {
        let mut bench = Bench::new();
        let nonce = bench.nonce();
        let right = credentials(Algorithm::Md5, "secret", &nonce, 1);
        for (from, to) in [
            (", qop=auth", ""),
            ("qop=auth", "qop=auth-int"),
            ("nc=00000001", "nc=1"),
            ("nc=00000001", "nc=00000000"),
            ("algorithm=MD5", "algorithm=SHA-512-256"),
            ("algorithm=MD5", "algorithm=MD5-sess"),
            ("username=\"carrier\"", "username=\"other\""),
            ("realm=\"bridge.example\"", "realm=\"elsewhere.example\""),
            ("Digest ", "Basic "),
        ] {
            assert!(right.contains(from));
            assert!(bench.ask(Some(&right.replacen(from, to, 1))).is_err(), "{from} -> {to}");
        }
        assert_eq!(bench.ask(Some(&right)), Ok(()));
    }

    #[test]
    fn the_table_of_used_nonces_is_bounded_and_what_falls_out_cannot_be_replayed() {
        let mut bench = Bench::new();
        let first = bench.nonce();
        assert_eq!(bench.ask(Some(&credentials(Algorithm::Md5, "secret", &first, 1))), Ok(()));
        for _ in 0..MAX_USED {
            let nonce = bench.nonce();
            assert_eq!(bench.ask(Some(&credentials(Algorithm::Md5, "secret", &nonce, 1))), Ok(()));
        }
        assert_eq!(bench.challenger.used.len(), MAX_USED);
        assert!(bench.ask(Some(&credentials(Algorithm::Md5, "secret", &first, 1))).is_err());
        bench.now += LIFE * 2;
        let nonce = bench.nonce();
        assert_eq!(bench.ask(Some(&credentials(Algorithm::Md5, "secret", &nonce, 1))), Ok(()));
        assert_eq!(bench.challenger.used.len(), 1, "those that have aged are forgotten");
    }

    #[test]
    fn the_password_is_not_printed() {
        assert!(!format!("{:?}", expected()).contains("secret"));
    }
}
