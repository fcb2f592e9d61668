//! The hash functions of digest authentication and what is computed with them (RFC 7616 section 3.4, RFC 8760).

use std::fmt::Write as _;

use sha2::Digest as _;

/// A hash function that both sides must know, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// What every SIP device knows.
    Md5,
    /// RFC 8760.
    Sha256,
    /// SHA-512 cut to 256 bits (RFC 8760).
    Sha512T256,
}

/// What one response to a challenge is made of.
pub(super) struct Parts<'a> {
    pub(super) username: &'a str,
    pub(super) realm: &'a str,
    pub(super) password: &'a str,
    /// The method; empty for `rspauth` (RFC 7616 section 3.5).
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) nonce: &'a str,
    /// The nonce count and the cnonce of `qop=auth`; `None` = RFC 2069.
    pub(super) qop: Option<(u32, &'a str)>,
}

impl Algorithm {
    /// The token in a header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512T256 => "SHA-512-256",
        }
    }

    /// The algorithm of this name, in any case.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256, Self::Sha512T256]
            .into_iter()
            .find(|one| one.name().eq_ignore_ascii_case(name))
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&md5::Md5::digest(text)),
            Self::Sha256 => hex(&sha2::Sha256::digest(text)),
            Self::Sha512T256 => hex(&sha2::Sha512_256::digest(text)),
        }
    }

    /// The `response`, in lower-case hexadecimal.
    pub(super) fn respond(self, parts: &Parts<'_>) -> String {
        let Parts { username, realm, password, method, uri, nonce, qop } = parts;
        let secret = self.hash(&format!("{username}:{realm}:{password}"));
        let what = self.hash(&format!("{method}:{uri}"));
        self.hash(&match qop {
            Some((count, cnonce)) => format!("{secret}:{nonce}:{count:08x}:{cnonce}:auth:{what}"),
            None => format!("{secret}:{nonce}:{what}"),
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7616_section_3_9_come_out() {
        let parts = |username, realm, password, nonce, cnonce| Parts {
            username,
            realm,
            password,
            method: "GET",
            uri: "/dir/index.html",
            nonce,
            qop: Some((1, cnonce)),
        };
        let both = parts(
            "Mufasa",
            "http-auth@example.org",
            "Circle of Life",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        );
        assert_eq!(Algorithm::Md5.respond(&both), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            Algorithm::Sha256.respond(&both),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
        // The example with SHA-512-256 prints a wrong digest (errata 4897); this one is by OpenSSL's SHA512-256.
        assert_eq!(Algorithm::Sha512T256.respond(&both).len(), 64);
        assert_eq!(
            Algorithm::Sha512T256.hash("abc"),
            "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
            "FIPS 180-4, the example of SHA-512/256"
        );
    }

    #[test]
    fn names_are_read_in_any_case_and_unknown_ones_are_none() {
        assert_eq!(Algorithm::of("sha-256"), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::of("MD5-sess"), None);
        assert!(Algorithm::Md5 < Algorithm::Sha256 && Algorithm::Sha256 < Algorithm::Sha512T256);
    }
}
