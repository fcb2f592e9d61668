//! Who may do what: tokens with a role, of one tenant or of the whole node.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota};
use routing::TenantId;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use super::Doors;

/// What a token allows. Each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Acts on meetings and calls people too, which costs money.
    Operator,
    /// Acts on the node too.
    Admin,
}

impl Role {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    const fn from_rank(rank: u8) -> Self {
        match rank {
            VIEWER => Self::Viewer,
            OPERATOR => Self::Operator,
            _ => Self::Admin,
        }
    }
}

/// Rank of [`Role::Viewer`].
pub(super) const VIEWER: u8 = Role::Viewer as u8;
/// Rank of [`Role::Operator`].
pub(super) const OPERATOR: u8 = Role::Operator as u8;
/// Rank of [`Role::Admin`].
pub(super) const ADMIN: u8 = Role::Admin as u8;

/// A bearer token as the configuration knows it: never itself, only what it hashes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its name, for the log.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Whose meetings it sees; `None`: everybody's, and the node's own affairs.
    pub tenant: Option<TenantId>,
    /// It shows what is for outsiders: where numbers are masked for them, none.
    pub outside: bool,
    /// Its SHA-256.
    ///
    /// A plain hash is right here, where it would be wrong for a password: a token is 256 random bits, so there is no list of
    /// likely ones to try against a file that was stolen, and a slow hash would only make each request slow.
    pub digest: [u8; 32],
    /// From when on it is worth nothing.
    pub expires: Option<SystemTime>,
}

/// SHA-256 of a token as it is sent.
pub fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Why a request has no token that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoToken {
    Missing,
    Unknown,
    Expired,
}

/// A token and how fast its holder may ask.
pub(super) struct Holder {
    pub(super) token: Arc<Token>,
    pub(super) requests_per_second: u32,
    pace: DefaultDirectRateLimiter,
}

impl Holder {
    fn new(token: Arc<Token>, per_second: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(per_second.saturating_add(per_second.get()));
        let pace = DefaultDirectRateLimiter::direct(quota);
        Self { token, requests_per_second: per_second.get(), pace }
    }

    /// Whether one more request is welcome now; else after how many seconds.
    pub(super) fn admit(&self) -> Result<(), u64> {
        let clock = self.pace.clock();
        self.pace.check().map_err(|not_yet| not_yet.wait_time_from(clock.now()).as_secs() + 1)
    }
}

/// The tokens in force. Others may take their place; whoever reads the event stream waits for that.
pub struct Holders {
    per_second: NonZeroU32,
    all: watch::Sender<Arc<[Arc<Holder>]>>,
}

impl Holders {
    /// One for each token; each may send so many requests a second, and twice as many at once.
    pub fn new(tokens: &[Arc<Token>], requests_per_second: u32) -> Arc<Self> {
        let per_second = NonZeroU32::new(requests_per_second).unwrap_or(NonZeroU32::MIN);
        let holder = |token: &Arc<Token>| Arc::new(Holder::new(Arc::clone(token), per_second));
        let (all, _) = watch::channel(tokens.iter().map(holder).collect());
        Arc::new(Self { per_second, all })
    }

    /// From now on these are all. Who was there before, and is what he was, goes on at the pace that he had.
    pub(crate) fn change(&self, tokens: &[Arc<Token>]) {
        let before = Arc::clone(&self.all.borrow());
        let holder = |token: &Arc<Token>| {
            let known = before.iter().find(|holder| holder.token == *token).map(Arc::clone);
            known.unwrap_or_else(|| Arc::new(Holder::new(Arc::clone(token), self.per_second)))
        };
        self.all.send_replace(tokens.iter().map(holder).collect());
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.borrow().is_empty()
    }

    /// Tells of every change; what it was until now is seen.
    pub(super) fn changes(&self) -> watch::Receiver<Arc<[Arc<Holder>]>> {
        let mut changes = self.all.subscribe();
        changes.mark_unchanged();
        changes
    }

    /// Whose token a request carries.
    pub(super) fn of(&self, headers: &HeaderMap, now: SystemTime) -> Result<Arc<Holder>, NoToken> {
        let given = digest(bearer(headers).ok_or(NoToken::Missing)?);
        // All are compared, each in constant time: how long it takes tells neither which is right nor how much of it.
        let mut found = None;
        for holder in self.all.borrow().iter() {
            if bool::from(holder.token.digest.ct_eq(&given)) {
                found = Some(Arc::clone(holder));
            }
        }
        let holder = found.ok_or(NoToken::Unknown)?;
        if holder.token.expires.is_some_and(|at| at <= now) {
            return Err(NoToken::Expired);
        }
        Ok(holder)
    }
}

/// Whether a token is still one of these, with the same role, tenant and expiry.
pub(super) fn is_held(holders: &[Arc<Holder>], token: &Token) -> bool {
    holders.iter().any(|holder| *holder.token == *token)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    // RFC 9110 section 11.1: the scheme is not case-sensitive.
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// A request whose token has at least the role of this rank; an operation takes it as its first argument.
pub(super) struct By<const RANK: u8>(pub(super) Arc<Token>);

impl<const RANK: u8> FromRequestParts<Arc<Doors>> for By<RANK> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, doors: &Arc<Doors>) -> Result<Self, Response> {
        let Some(token) = parts.extensions.get::<Arc<Token>>() else {
            return Err(doors.refuse(StatusCode::UNAUTHORIZED, "this request carries no token"));
        };
        let least = Role::from_rank(RANK);
        if token.role < least {
            let detail = format!(
                "the token {:?} is a {}'s, and this wants an {}'s",
                token.name,
                token.role.as_str(),
                least.as_str()
            );
            return Err(doors.refuse(StatusCode::FORBIDDEN, &detail));
        }
        Ok(Self(Arc::clone(token)))
    }
}

impl Token {
    /// Whether what belongs to this tenant may be seen.
    pub fn sees(&self, tenant: &str) -> bool {
        self.tenant.as_ref().is_none_or(|own| own.as_str() == tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use std::time::Duration;

    fn token(name: &str, secret: &str, expires: Option<SystemTime>) -> Arc<Token> {
        let (role, tenant) = (Role::Viewer, None);
        Arc::new(Token {
            name: name.to_owned(),
            role,
            tenant,
            outside: false,
            digest: digest(secret),
            expires,
        })
    }

    fn sent(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_token_is_known_by_its_hash_until_it_expires() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_hours(12);
        let tokens = Holders::new(&[token("a", "first", None), token("b", "second", Some(noon))], 1);
        let of = |value, now| tokens.of(&sent(value), now).map(|holder| holder.token.name.clone());
        let name = |value, now| {
            of(value, now).as_deref().map(|name| if name == "a" { "a" } else { "b" }).map_err(|why| *why)
        };
        let before = noon - Duration::from_secs(1);
        assert_eq!(name("Bearer first", noon), Ok("a"));
        assert_eq!(name("bEARER  second ", before), Ok("b"));
        assert_eq!(name("Bearer second", noon), Err(NoToken::Expired));
        for wrong in ["Bearer ", "Bearer firs", "Bearer first2", "Bearer FIRST"] {
            assert_eq!(name(wrong, before), Err(NoToken::Unknown), "{wrong}");
        }
        for none in ["first", "Basic first", ""] {
            assert_eq!(name(none, before), Err(NoToken::Missing), "{none}");
        }
        tokens.change(&[]);
        assert_eq!(name("Bearer first", before), Err(NoToken::Unknown));
    }

    #[test]
    fn the_hash_is_plain_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert!(digest("abc").starts_with(&[0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]));
    }

    #[test]
    fn who_asks_too_fast_is_told_when_to_come_again_and_others_are_not() {
        let tokens = [token("a", "first", None), token("b", "second", None)];
        let holders = Holders::new(&tokens, 1);
        let admit = |header| holders.of(&sent(header), SystemTime::UNIX_EPOCH).expect("a token").admit();
        assert_eq!([admit("Bearer first"), admit("Bearer first")], [Ok(()), Ok(())]);
        assert_eq!(admit("Bearer first"), Err(1));
        assert_eq!(admit("Bearer second"), Ok(()));
        holders.change(&tokens);
        assert_eq!(admit("Bearer first"), Err(1), "reading the file again gives nobody more");
    }

    #[test]
    fn roles_grow() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            assert_eq!(Role::from_rank(role as u8), role);
        }
    }
}
