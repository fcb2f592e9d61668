//! The languages that a service number speaks.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most languages of one number: a primary one and four to choose from.
pub const MOST_LANGUAGES: usize = 5;

/// A language as administrators write it: two or three letters and a region, such as `de-DE` or `es-MX` (RFC 5646
/// section 2.2). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language(Arc<str>);

impl Language {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is English, of whatever region.
    pub fn is_english(&self) -> bool {
        self.0.starts_with("en-")
    }
}

/// The text is no language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a language with its region, such as en-US or de-DE")]
pub struct NotALanguage;

impl FromStr for Language {
    type Err = NotALanguage;

    fn from_str(text: &str) -> Result<Self, NotALanguage> {
        let Some((language, region)) = text.split_once('-') else { return Err(NotALanguage) };
        let fits = (2..=3).contains(&language.len())
            && language.bytes().all(|byte| byte.is_ascii_lowercase())
            && region.len() == 2
            && region.bytes().all(|byte| byte.is_ascii_uppercase());
        if fits { Ok(Self(text.into())) } else { Err(NotALanguage) }
    }
}

impl TryFrom<String> for Language {
    type Error = NotALanguage;

    fn try_from(text: String) -> Result<Self, NotALanguage> {
        text.parse()
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.as_str().to_owned()
    }
}

impl fmt::Display for Language {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_its_region_and_nothing_else() {
        for tag in ["en-US", "de-DE", "fil-PH", "zh-HK"] {
            assert_eq!(tag.parse::<Language>().map(|language| language.to_string()).as_deref(), Ok(tag));
        }
        for wrong in
            ["", "en", "en-us", "EN-US", "en_US", "e-US", "engl-US", "en-USA", "en-U1", "../-US", "en-US-x"]
        {
            assert_eq!(wrong.parse::<Language>(), Err(NotALanguage), "{wrong}");
        }
    }
}
