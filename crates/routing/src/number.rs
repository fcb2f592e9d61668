//! E.164 numbers, and the only place where digits are normalized.
//!
//! Inside partyline a number is always [`E164`]: `+` and 1 to 15 digits. What people key and what peers send becomes
//! one here, under a [`DialPlan`]. Which numbers are never dialed ([`E164::never_dialed`]) is also known here.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// ITU-T E.164 section 6.2.1: at most 15 digits, country code included.
pub const MAX_DIGITS: usize = 15;

/// The longest text that is looked at at all; a number with every separator and parameter fits many times.
pub const MAX_KEYED: usize = 128;

/// An international number: `+` and 1 to 15 digits, the first of them not zero. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(Arc<str>);

impl E164 {
    /// Makes an E.164 number of what was keyed or sent: `+…`, `tel:…`, the international prefix, the national prefix.
    /// Visual separators (space and `-.()/`) are dropped, as is the `(0)` of `+49 (0)30 …`; URI parameters are ignored.
    pub fn normalize(keyed: &str, plan: &DialPlan) -> Result<Self, NumberError> {
        let (international, digits) = read(keyed)?;
        if international {
            return Self::from_digits(&digits);
        }
        if let Some(rest) = digits.strip_prefix(&*plan.international_prefix) {
            return Self::from_digits(rest);
        }
        let Some(country_code) = plan.country_code.as_deref() else {
            return Err(if is_short(&digits) { NumberError::Short } else { NumberError::NoCountryCode });
        };
        let national = plan.national(&digits)?;
        Self::from_digits(&format!("{country_code}{national}"))
    }

    /// The number with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits without the `+`.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// The country code and the national significant number. ITU-T E.164 list of assigned country codes: zones 1 and
    /// 7 have one digit, the rest two or three.
    pub fn split(&self) -> (&str, &str) {
        let digits = self.digits();
        let length = match digits.as_bytes() {
            [b'1' | b'7', ..] => 1,
            [b'2', b'0' | b'7', ..]
            | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
            | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
            | [b'5', b'1'..=b'8', ..]
            | [b'6', b'0'..=b'6', ..]
            | [b'8', b'1' | b'2' | b'4' | b'6', ..]
            | [b'9', b'0'..=b'5' | b'8', ..] => 2,
            _ => 3,
        };
        digits.split_at(length.min(digits.len()))
    }

    /// Why this number is never dialed from a conference, if so: emergency numbers need the caller's own place and
    /// line, and short numbers mean something else in every network.
    pub fn never_dialed(&self) -> Option<&'static str> {
        let (country_code, national) = self.split();
        if EMERGENCY.contains(&national) || EMERGENCY.contains(&self.digits()) {
            return Some("it is an emergency number");
        }
        let north_american = country_code == "1";
        if north_american && matches!(national.as_bytes(), [b'2'..=b'9', b'1', b'1', ..]) {
            return Some("its area code is a service code (N11)");
        }
        if CLOSED.contains(&country_code) && national.starts_with("112") {
            return Some("it begins like an emergency number, which no subscriber's number there does");
        }
        if north_american && (national.len() != 10 || national.starts_with(['0', '1'])) {
            return Some("it is no number of North America, which has ten digits and begins with 2 to 9");
        }
        if national.starts_with('0') && !ZERO_BELONGS.contains(&country_code) {
            return Some("it has a trunk prefix (0) behind the country code, which some networks pass over");
        }
        // The island networks whose subscribers have four digits.
        let shortest = match country_code {
            "290" | "683" | "690" => 4,
            _ => 5,
        };
        if national.len() < shortest || self.digits().len() < 7 {
            return Some("it is a short number");
        }
        // Commission Decision 2007/116/EC: 116 and three digits, services of social value.
        if national.len() == 6 && national.starts_with("116") {
            return Some("it is a harmonized short number (116 ...)");
        }
        None
    }

    fn from_digits(digits: &str) -> Result<Self, NumberError> {
        match digits.as_bytes() {
            [] => Err(NumberError::Empty),
            [b'0', ..] => Err(NumberError::LeadingZero),
            more if more.len() > MAX_DIGITS => Err(NumberError::TooLong),
            _ => Ok(Self(format!("+{digits}").into())),
        }
    }
}

/// The numbers every network connects to help first.
const EMERGENCY: [&str; 12] =
    ["112", "911", "999", "000", "110", "111", "113", "117", "118", "119", "108", "122"];

/// Country codes whose national numbers may begin with 0 (ITU-T Operational Bulletin and national numbering plans, November 2026):
/// Italy, San Marino, the Vatican, Ivory Coast, Benin, Gabon, Congo, and services that belong to no country.
const ZERO_BELONGS: [&str; 16] = [
    "39", "378", "379", "225", "229", "241", "242", "800", "808", "870", "878", "881", "882", "883", "888",
    "979",
];

/// Country codes with a closed numbering plan, in which no subscriber's number begins with 112: a gateway that takes the country
/// code off and dials digit by digit must not reach the emergency services.
const CLOSED: [&str; 15] =
    ["30", "34", "45", "47", "48", "351", "352", "354", "356", "357", "371", "372", "376", "377", "420"];

/// Six digits or fewer without a prefix are a short number wherever they are keyed.
fn is_short(digits: &str) -> bool {
    digits.len() <= 6
}

/// Reads keyed text to (has a plus, digits).
fn read(keyed: &str) -> Result<(bool, String), NumberError> {
    if keyed.len() > MAX_KEYED {
        return Err(NumberError::TooLong);
    }
    let text = keyed.trim();
    let text = match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &text[4..],
        _ => text,
    };
    let mut parts = text.split(';');
    let subscriber = parts.next().unwrap_or_default();
    let (international, rest) = match subscriber.trim().strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, subscriber),
    };
    for parameter in parts {
        check_parameter(parameter, international)?;
    }
    let mut digits = String::with_capacity(rest.len());
    let mut rest = rest;
    while let Some(found) = rest.chars().next() {
        if international && rest.starts_with("(0)") && drops_its_zero(&digits) {
            rest = &rest[3..];
            continue;
        }
        rest = &rest[found.len_utf8()..];
        match found {
            '0'..='9' => digits.push(found),
            ' ' | '-' | '.' | '(' | ')' | '/' => {}
            other => return Err(NumberError::Junk(other)),
        }
    }
    if digits.is_empty() { Err(NumberError::Empty) } else { Ok((international, digits)) }
}

/// `+49 (0)30`: after a country code, the zero in parentheses is for callers inside the country. Italy and its
/// neighbors keep theirs.
fn drops_its_zero(country_code: &str) -> bool {
    (1..=3).contains(&country_code.len()) && !["39", "378", "379"].contains(&country_code)
}

/// RFC 3966 section 5: `isub`, `npdi` and the like may be ignored; an extension or a foreign context may not.
fn check_parameter(parameter: &str, international: bool) -> Result<(), NumberError> {
    let name = parameter.split('=').next().unwrap_or_default().trim();
    if name.eq_ignore_ascii_case("ext") {
        return Err(NumberError::Extension);
    }
    if name.eq_ignore_ascii_case("phone-context") && !international {
        return Err(NumberError::LocalContext);
    }
    Ok(())
}

/// How keyed digits without a `+` are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialPlan {
    country_code: Option<Arc<str>>,
    international_prefix: Arc<str>,
    national_prefix: Arc<str>,
}

impl DialPlan {
    /// Only `+`, `tel:+` and `00` forms are understood.
    pub fn international() -> Self {
        Self { country_code: None, international_prefix: "00".into(), national_prefix: "0".into() }
    }

    /// The plan of a country, with the prefixes usual there. `country_code`: 1 to 3 digits, without `+`.
    pub fn of_country(country_code: &str) -> Result<Self, NumberError> {
        let valid = matches!(country_code.as_bytes(), [b'1'..=b'9', rest @ ..]
            if rest.len() <= 2 && rest.iter().all(u8::is_ascii_digit));
        if !valid {
            return Err(NumberError::BadCountryCode);
        }
        let (international, national) = match country_code {
            "1" => ("011", "1"),
            "7" => ("810", "8"),
            code if WITHOUT_NATIONAL_PREFIX.contains(&code) => ("00", ""),
            _ => ("00", "0"),
        };
        Ok(Self {
            country_code: Some(country_code.into()),
            international_prefix: international.into(),
            national_prefix: national.into(),
        })
    }

    /// The same plan with other prefixes; an empty national prefix means that national numbers are keyed bare.
    pub fn with_prefixes(
        mut self,
        international: Option<&str>,
        national: Option<&str>,
    ) -> Result<Self, NumberError> {
        let digits = |text: &str| text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(prefix) = international {
            if prefix.is_empty() || !digits(prefix) {
                return Err(NumberError::BadPrefix);
            }
            self.international_prefix = prefix.into();
        }
        if let Some(prefix) = national {
            if !digits(prefix) {
                return Err(NumberError::BadPrefix);
            }
            self.national_prefix = prefix.into();
        }
        Ok(self)
    }

    /// The country code, if one is configured.
    pub fn country_code(&self) -> Option<&str> {
        self.country_code.as_deref()
    }

    /// Keyed digits without international prefix -> the national significant number.
    fn national<'a>(&self, digits: &'a str) -> Result<&'a str, NumberError> {
        if is_short(digits) {
            return Err(NumberError::Short);
        }
        // North America keys ten digits with or without the 1.
        if self.country_code() == Some("1") && digits.len() == 10 {
            return Ok(digits);
        }
        digits.strip_prefix(&*self.national_prefix).ok_or(NumberError::Local)
    }
}

/// Countries that key national numbers without a prefix (Italy keeps its zero as part of the number).
const WITHOUT_NATIONAL_PREFIX: [&str; 18] = [
    "30", "34", "39", "45", "47", "48", "65", "351", "352", "354", "356", "357", "371", "372", "377", "420",
    "852", "853",
];

/// Why something is no number we can use. The text says what to key instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NumberError {
    /// No digits.
    #[error("there is no digit in it; give a number such as +4930123456")]
    Empty,
    /// More than 15 digits, or more text than any number needs.
    #[error("it is longer than the 15 digits of E.164")]
    TooLong,
    /// A country code never begins with zero.
    #[error("an international number does not begin with 0 after the +; leave the 0 out")]
    LeadingZero,
    /// A character that belongs to no number.
    #[error("{0:?} belongs to no number; use digits, a leading + and the separators space - . ( ) /")]
    Junk(char),
    /// `;ext=` cannot be dialed.
    #[error("an extension cannot be dialed; give the number without ;ext")]
    Extension,
    /// `tel:` with a `phone-context` is only meaningful in that context.
    #[error("a number with a phone-context is local; give it with + and country code")]
    LocalContext,
    /// Six digits or fewer, keyed without a prefix.
    #[error("it is a short number; short and emergency numbers are never dialed")]
    Short,
    /// Digits without prefix where the plan needs one.
    #[error("it has no prefix; begin with + and the country code, or with the national prefix")]
    Local,
    /// A national number where no country code is configured.
    #[error("it is a national number and no country_code is configured; begin with + and the country code")]
    NoCountryCode,
    /// A country code has 1 to 3 digits.
    #[error("a country code is 1 to 3 digits and does not begin with 0, such as \"49\"")]
    BadCountryCode,
    /// A dialing prefix has at most 4 digits.
    #[error("a dialing prefix is 1 to 4 digits, such as \"00\"; only the national one may be empty")]
    BadPrefix,
}

impl FromStr for E164 {
    type Err = NumberError;

    /// Strict: `+` and digits, nothing else. For everything else there is [`E164::normalize`].
    fn from_str(text: &str) -> Result<Self, NumberError> {
        let digits = text.strip_prefix('+').ok_or(NumberError::Local)?;
        match digits.chars().find(|digit| !digit.is_ascii_digit()) {
            Some(junk) => Err(NumberError::Junk(junk)),
            None => Self::from_digits(digits),
        }
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Borrow<str> for E164 {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for E164 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for E164 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(country_code: &str, keyed: &str) -> Result<String, NumberError> {
        let plan = match country_code {
            "" => DialPlan::international(),
            code => DialPlan::of_country(code).expect("a country code"),
        };
        E164::normalize(keyed, &plan).map(|number| number.to_string())
    }

    #[test]
    fn every_usual_way_to_write_a_number_gives_the_same_number() {
        for (country_code, keyed, number) in [
            ("49", "+49 30 123456", "+4930123456"),
            ("49", "+49 (0)30 123456", "+4930123456"),
            ("49", "+49(0)30 (0)123", "+49300123"),
            ("39", "+39 (0)6 1234567", "+39061234567"),
            ("49", "tel:+49-30-123456", "+4930123456"),
            ("49", "TEL:+49.30.123456;npdi;isub=1", "+4930123456"),
            ("49", "0049 30 123456", "+4930123456"),
            ("49", "030/123456", "+4930123456"),
            ("49", "(030) 123456", "+4930123456"),
            ("", "00 49 30 123456", "+4930123456"),
            ("1", "425-555-1234", "+14255551234"),
            ("1", "1 (425) 555-1234", "+14255551234"),
            ("1", "011 49 30 123456", "+4930123456"),
            ("39", "06 1234567", "+39061234567"),
            ("45", "33 12 34 56", "+4533123456"),
            ("49", " +4930123456 ", "+4930123456"),
        ] {
            assert_eq!(key(country_code, keyed).as_deref(), Ok(number), "{keyed} keyed in +{country_code}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_with_the_reason() {
        for (country_code, keyed, error) in [
            ("49", "", NumberError::Empty),
            ("49", "+", NumberError::Empty),
            ("49", "00", NumberError::Empty),
            ("49", "+1234567890123456", NumberError::TooLong),
            ("49", "+0 30 123456", NumberError::LeadingZero),
            ("49", "000", NumberError::LeadingZero),
            ("49", "anna", NumberError::Junk('a')),
            ("49", "+49 30 12*34", NumberError::Junk('*')),
            ("49", "++4930", NumberError::Junk('+')),
            ("49", "+٤٩", NumberError::Junk('٤')),
            ("49", "+4930123456;ext=12", NumberError::Extension),
            ("49", "tel:8631234;phone-context=+1-914-555", NumberError::LocalContext),
            ("49", "112", NumberError::Short),
            ("", "911", NumberError::Short),
            ("49", "30123456", NumberError::Local),
            ("", "030123456", NumberError::NoCountryCode),
        ] {
            assert_eq!(key(country_code, keyed), Err(error), "{keyed} keyed in +{country_code}");
        }
        assert_eq!(key("49", &"1".repeat(MAX_KEYED + 1)), Err(NumberError::TooLong));
        for code in ["", "0", "0049", "1234", "+49"] {
            assert_eq!(DialPlan::of_country(code), Err(NumberError::BadCountryCode), "{code}");
        }
    }

    #[test]
    fn emergency_and_short_numbers_are_known_behind_any_prefix() {
        for number in [
            "+112",
            "+911",
            "+49112",
            "+49110",
            "+1911",
            "+1411",
            "+44999",
            "+3531850",
            "+18005",
            "+19115551234",
            "+49116117",
            "+353112",
            "+61000",
            "+12345678",
            // A carrier may pass over the zero or the one: premium rates and another country in disguise.
            "+4909001234567",
            "+49018051234567",
            "+4900882123456",
            "+44070123456789",
            "+410900123456",
            "+119005551234",
            "+11900555123",
            "+4511212345",
            "+420112112112",
        ] {
            let number: E164 = number.parse().expect("a number");
            assert!(number.never_dialed().is_some(), "{number}");
        }
        for number in [
            "+4930123456",
            "+14255551234",
            "+33112345678",
            "+6834002",
            "+24761234",
            "+41791234567",
            "+390612345678",
            "+2250712345678",
            "+911123456789",
        ] {
            let number: E164 = number.parse().expect("a number");
            assert_eq!(number.never_dialed(), None, "{number}");
        }
    }

    #[test]
    fn the_country_code_is_split_off() {
        for (number, country_code) in [
            ("+14255551234", "1"),
            ("+74951234567", "7"),
            ("+4930123456", "49"),
            ("+35312345678", "353"),
            ("+4", "4"),
        ] {
            let number: E164 = number.parse().expect("a number");
            assert_eq!(number.split().0, country_code, "{number}");
        }
    }
}
