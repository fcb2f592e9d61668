//! Money in whole millionths of a currency's unit. Never a float: sums of these are exact.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Millionths of one unit.
const UNIT: u64 = 1_000_000;
/// The most units that a price or limit may have.
const MOST_UNITS: u64 = 1_000_000_000;

/// An amount of some currency, in millionths of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

/// The text is no amount; the message says what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount with at most 6 decimals and at most 1000000000, such as \"0.0115\"")]
pub struct NotAnAmount;

impl FromStr for Micros {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let (units, decimals) =
            text.split_once('.').map_or((text, "0"), |(units, decimals)| (units, decimals));
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(units, 10) || !digits(decimals, 6) {
            return Err(NotAnAmount);
        }
        let whole: u64 = units.parse().map_err(|_| NotAnAmount)?;
        let part: u64 = format!("{decimals:0<6}").parse().map_err(|_| NotAnAmount)?;
        let micros = whole * UNIT + part;
        if micros > MOST_UNITS * UNIT { Err(NotAnAmount) } else { Ok(Self(micros)) }
    }
}

impl fmt::Display for Micros {
    /// At least two decimals, and no more than there are.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % UNIT);
        let shown = decimals.trim_end_matches('0');
        write!(out, "{}.{shown:0<2}", self.0 / UNIT)
    }
}

/// A currency as ISO 4217 names it: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// The text is no currency; the message says what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency as three capital letters (ISO 4217), such as \"EUR\"")]
pub struct NotACurrency;

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let letters = <[u8; 3]>::try_from(text.as_bytes()).map_err(|_| NotACurrency)?;
        if letters.iter().all(u8::is_ascii_uppercase) { Ok(Self(letters)) } else { Err(NotACurrency) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Capital letters only, by `from_str`.
        out.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An amount with its currency: `100.00 EUR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// How much.
    pub micros: Micros,
    /// Of what.
    pub currency: Currency,
}

impl FromStr for Amount {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let (amount, currency) = text.split_once(' ').ok_or(NotAnAmount)?;
        Ok(Self { micros: amount.parse()?, currency: currency.parse().map_err(|_| NotAnAmount)? })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.micros, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_survive_text_and_back() {
        for (text, micros, shown) in [
            ("0", 0, "0.00"),
            ("12", 12_000_000, "12.00"),
            ("0.0115", 11_500, "0.0115"),
            ("0.000001", 1, "0.000001"),
            ("1.5", 1_500_000, "1.50"),
            ("1000000000", 1_000_000_000_000_000, "1000000000.00"),
        ] {
            let amount: Micros = text.parse().expect("an amount");
            assert_eq!((amount.0, amount.to_string().as_str()), (micros, shown), "{text}");
            assert_eq!(shown.parse(), Ok(amount));
        }
        for text in
            ["", ".", "1.", ".5", "-1", "1,5", "1.0000001", "1000000000.000001", "99999999999", "1e3", " 1"]
        {
            assert_eq!(text.parse::<Micros>(), Err(NotAnAmount), "{text}");
        }
    }

    #[test]
    fn an_amount_names_its_currency() {
        assert_eq!("100.00 EUR".parse::<Amount>().expect("an amount").to_string(), "100.00 EUR");
        for text in ["100", "100EUR", "100 eur", "100 EURO", "EUR 100", "100  EUR", "1 €"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
    }
}
