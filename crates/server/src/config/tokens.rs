//! `[[api_token]]` and `http.token_file`: who may use the API.

use std::path::Path;
use std::sync::Arc;

use routing::Spanned;
use routing::TenantId;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::value::Datetime;

use super::check::Check;
use crate::http::{Role, Token, digest};

/// The name of the token in `http.token_file`.
const OF_THE_FILE: &str = "http.token_file";

/// `[[api_token]]`
#[derive(Debug, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiToken {
    /// What the log calls it; unique.
    pub name: Spanned<String>,
    /// What it allows; each role may do what the ones before it may.
    pub role: Role,
    /// Whose meetings it sees; default: everybody's.
    #[serde(default)]
    pub tenant: Option<String>,
    /// It is for outsiders, a display on a wall say: where `mask_pstn_numbers` is `external`, it shows no numbers.
    #[serde(default)]
    pub outside: bool,
    /// The SHA-256 of the token, in hexadecimal.
    pub sha256: Spanned<String>,
    /// From when on it is worth nothing, with an offset; default: never.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub expires: Option<Spanned<Datetime>>,
}

impl Check<'_> {
    /// Every token of the API.
    pub(super) fn tokens(&mut self, written: &[ApiToken], file: Option<&Path>) -> Vec<Arc<Token>> {
        let mut tokens: Vec<Arc<Token>> = Vec::with_capacity(written.len() + 1);
        tokens.extend(self.token(file).map(|token| {
            let (name, role, tenant) = (OF_THE_FILE.to_owned(), Role::Admin, None);
            Arc::new(Token { name, role, tenant, outside: false, digest: digest(&token), expires: None })
        }));
        for source in written {
            let Some(token) = self.api_token(source) else { continue };
            if tokens.iter().any(|known| known.name == token.name) {
                let found = format!("a second token called {:?}", token.name);
                self.problem(source.name.span(), "api_token.name", found, "a name of its own");
            } else if tokens.iter().any(|known| known.digest == token.digest) {
                let found = "the hash of a token that has a name already".to_owned();
                self.problem(
                    source.sha256.span(),
                    "api_token.sha256",
                    found,
                    "a token of its own: partyline token new",
                );
            } else {
                tokens.push(Arc::new(token));
            }
        }
        tokens
    }

    fn api_token(&mut self, source: &ApiToken) -> Option<Token> {
        let name = source.name.get_ref();
        let good = (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic());
        if !good {
            let found = format!("{name:?}");
            self.problem(
                source.name.span(),
                "api_token.name",
                found,
                "1 to 64 letters, digits and signs, no blanks",
            );
        }
        let hash = sha256(source.sha256.get_ref());
        if hash.is_none() {
            // Perhaps the token itself stands there: it is not repeated.
            let expected =
                "64 hexadecimal digits, as `partyline token new` prints them (the hash, never the token)";
            self.problem(source.sha256.span(), "api_token.sha256", "not a SHA-256".to_owned(), expected);
        }
        let expires = match &source.expires {
            None => None,
            Some(written) => {
                let read = bridge::utc(written.get_ref());
                if read.is_none() {
                    let found = written.get_ref().to_string();
                    let expected = "a date and time with an offset, from 1970 on: 2027-01-31T00:00:00Z";
                    self.problem(written.span(), "api_token.expires", found, expected);
                }
                Some(read?)
            }
        };
        let tenant = source.tenant.as_deref().map(TenantId::from);
        let (name, role, outside) = (name.clone(), source.role, source.outside);
        good.then_some(Token { name, role, tenant, outside, digest: hash?, expires })
    }

    fn token(&mut self, file: Option<&Path>) -> Option<String> {
        let file = self.resolve(file?);
        let read =
            std::fs::read_to_string(&file).map(|text| text.lines().next().unwrap_or("").trim().to_owned());
        match read {
            Ok(token) if token.len() >= 16 => Some(token),
            Ok(_) => {
                let found = format!("the first line of {} is too short", file.display());
                self.problem(0..0, "http.token_file", found, "a secret of at least 16 characters");
                None
            }
            Err(error) => {
                let found = format!("{}: {error}", file.display());
                self.problem(
                    0..0,
                    "http.token_file",
                    found,
                    "a readable file with the token on its first line",
                );
                None
            }
        }
    }
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn load(text: &str) -> Result<Config, Vec<String>> {
        Config::parse(Path::new("p.toml"), text)
            .map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_token_is_read_with_its_role_tenant_and_expiry() {
        let text = format!(
            "[[api_token]]\nname = \"desk\"\nrole = \"operator\"\ntenant = \"contoso\"\nsha256 = \"{ABC}\"\n\
             expires = 2027-01-31T00:00:00Z\n"
        );
        let config = load(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let [token] = &config.tokens[..] else { panic!("{:?}", config.tokens) };
        assert_eq!((token.name.as_str(), token.role, token.digest), ("desk", Role::Operator, digest("abc")));
        assert!(token.sees("contoso") && !token.sees("fabrikam"));
        assert!(token.expires.is_some());
    }

    #[test]
    fn what_is_wrong_with_a_token_is_said_with_line_and_key_and_without_the_token() {
        let base = |line: &str| format!("[[api_token]]\nrole = \"viewer\"\n{line}\n");
        for (line, said) in [
            (
                "name = \"a b\"\nsha256 = \"@\"",
                "p.toml:3:8: `api_token.name`: \"a b\"; expected 1 to 64 letters, digits and signs, no blanks",
            ),
            (
                "name = \"a\"\nsha256 = \"secret\"",
                "p.toml:4:10: `api_token.sha256`: not a SHA-256; expected 64 hexadecimal digits, as `partyline token new` \
                 prints them (the hash, never the token)",
            ),
            (
                "name = \"a\"\nsha256 = \"@\"\nexpires = 2027-01-31",
                "p.toml:5:11: `api_token.expires`: 2027-01-31; expected a date and time with an offset, from 1970 on: \
                 2027-01-31T00:00:00Z",
            ),
        ] {
            let found = load(&base(&line.replace('@', ABC))).map(|_| ()).expect_err(line);
            assert_eq!(found, [said]);
        }
        let twice = format!("{0}{0}", base(&format!("name = \"a\"\nsha256 = \"{ABC}\"")));
        assert!(load(&twice).map(|_| ()).expect_err("twice")[0].contains("a second token called \"a\""));
        let shared = twice.replacen("\"a\"", "\"b\"", 1);
        assert!(
            load(&shared).map(|_| ()).expect_err("shared")[0]
                .contains("`api_token.sha256`: the hash of a token")
        );
    }
}
