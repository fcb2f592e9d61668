//! How a peer writes telephone numbers, in both directions: `+` form inside, the peer's form on the wire.

use routing::{DialPlan, E164, MAX_DIGITS, NumberError};

/// The form of a number in the user part of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberFormat {
    /// `+493012345678`
    E164,
    /// `493012345678`: E.164 without the plus.
    Plain,
    /// `03012345678` inside the country, `0014255550100` beyond it.
    National,
}

impl NumberFormat {
    /// As it is written in a profile.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::E164 => "e164",
            Self::Plain => "plain",
            Self::National => "national",
        }
    }
}

/// The peer's view of numbers: its format, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberPlan {
    /// How the peer wants (and sends) dialed numbers.
    pub format: NumberFormat,
    /// How the peer wants caller IDs in From and P-Asserted-Identity.
    pub caller_format: NumberFormat,
    /// How the peer's numbers without `+` are read.
    pub dial_plan: DialPlan,
    /// What stands before a national number that is written to the peer: `0` in most of Europe, `1` in North America,
    /// empty where there is none. Only read, and then always configured, with [`NumberFormat::National`].
    pub national_prefix: String,
    /// What stands before a country code that is written: `00`, `011` in North America. As `national_prefix`.
    pub international_prefix: String,
}

impl NumberPlan {
    /// A dialed number as it is written to this peer.
    pub fn write_dialed(&self, number: &E164) -> String {
        self.write(number, self.format)
    }

    /// A caller ID as it is written to this peer.
    pub fn write_caller(&self, number: &E164) -> String {
        self.write(number, self.caller_format)
    }

    fn write(&self, number: &E164, format: NumberFormat) -> String {
        let digits = number.digits();
        match (format, self.dial_plan.country_code()) {
            (NumberFormat::E164, _) => number.as_str().to_owned(),
            (NumberFormat::Plain, _) => digits.to_owned(),
            (NumberFormat::National, country) => {
                match country.and_then(|country| digits.strip_prefix(country)).filter(|rest| !rest.is_empty())
                {
                    Some(national) => format!("{}{national}", self.national_prefix),
                    None => format!("{}{digits}", self.international_prefix),
                }
            }
        }
    }

    /// Reads a number as this peer writes it: the user part of a sip URI or a whole tel URI (RFC 3966). The error says
    /// what the peer or the profile would have to change.
    pub fn read(&self, written: &str) -> Result<E164, String> {
        let bare = !written.is_empty() && written.bytes().all(|b| b.is_ascii_digit());
        let read = if self.format == NumberFormat::Plain && bare && !written.starts_with('0') {
            format!("+{written}").parse()
        } else {
            E164::normalize(written, &self.dial_plan)
        };
        read.map_err(|why| {
            let shown: String = written.chars().take(MAX_DIGITS * 2).collect();
            let advice = match why {
                NumberError::NoCountryCode => "; or set country_code or number_format in the trunk's profile",
                NumberError::Local => "; or set national_prefix or number_format in the trunk's profile",
                _ => "",
            };
            format!("{shown:?} is no number to us: {why}{advice}")
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(format: NumberFormat, country: Option<&str>, national: &str, international: &str) -> NumberPlan {
        let dial_plan = match country {
            None => DialPlan::international(),
            Some(country) => {
                let plan = DialPlan::of_country(country).unwrap();
                plan.with_prefixes(Some(international), Some(national)).unwrap()
            }
        };
        NumberPlan {
            format,
            caller_format: format,
            dial_plan,
            national_prefix: national.to_owned(),
            international_prefix: international.to_owned(),
        }
    }

    #[test]
    fn numbers_are_written_in_the_peers_form() {
        let german = plan(NumberFormat::National, Some("49"), "0", "00");
        let american = plan(NumberFormat::National, Some("1"), "1", "011");
        let danish = plan(NumberFormat::National, Some("45"), "", "00");
        // (plan, format, number, written)
        let table = [
            (&german, NumberFormat::E164, "+493012345678", "+493012345678"),
            (&german, NumberFormat::Plain, "+493012345678", "493012345678"),
            (&german, NumberFormat::National, "+493012345678", "03012345678"),
            (&german, NumberFormat::National, "+14255550100", "0014255550100"),
            (&american, NumberFormat::National, "+14255550100", "14255550100"),
            (&american, NumberFormat::National, "+493012345678", "011493012345678"),
            (&danish, NumberFormat::National, "+4532123456", "32123456"),
        ];
        for (plan, format, number, written) in table {
            assert_eq!(plan.write(&number.parse().unwrap(), format), written);
        }
    }

    #[test]
    fn numbers_are_read_in_the_peers_form() {
        let bare = plan(NumberFormat::E164, None, "0", "00");
        let german = plan(NumberFormat::E164, Some("49"), "0", "00");
        let plain = plan(NumberFormat::Plain, Some("49"), "0", "00");
        let american = plan(NumberFormat::National, Some("1"), "1", "011");
        // (plan, written, number)
        let table = [
            (&bare, "+493012345678", Some("+493012345678")),
            (&bare, "+49-30-123.456(78)", Some("+493012345678")),
            (&bare, "+493012345678;npdi;isub=12", Some("+493012345678")),
            (&bare, "00493012345678", Some("+493012345678")),
            (&bare, "03012345678", None),
            (&bare, "493012345678", None),
            (&german, "03012345678", Some("+493012345678")),
            (&german, "493012345678", None),
            (&plain, "493012345678", Some("+493012345678")),
            (&plain, "03012345678", Some("+493012345678")),
            (&american, "14255550100", Some("+14255550100")),
            (&american, "4255550100", Some("+14255550100")),
            (&american, "011493012345678", Some("+493012345678")),
            (&bare, "", None),
            (&bare, "+", None),
            (&bare, "alice", None),
            (&bare, "anonymous", None),
            (&bare, "+1234567890123456", None),
            (&bare, "+49 30\r\nX: y", None),
        ];
        for (plan, written, number) in table {
            let read = plan.read(written).ok().map(|number| number.as_str().to_owned());
            assert_eq!(read.as_deref(), number, "{written:?}");
        }
    }

    #[test]
    fn an_unreadable_number_says_which_key_would_make_it_readable() {
        let why = plan(NumberFormat::E164, None, "0", "00").read("03012345678").unwrap_err();
        assert!(why.contains("country_code"), "{why}");
    }

    proptest! {
        #[test]
        fn what_is_written_to_a_peer_reads_back_as_the_same_number(
            digits in "[1-9][0-9]{7,13}",
            format in prop_oneof![Just(NumberFormat::E164), Just(NumberFormat::Plain), Just(NumberFormat::National)],
            country in prop_oneof![Just("49"), Just("44"), Just("353")],
        ) {
            let plan = plan(format, Some(country), "0", "00");
            let number: E164 = format!("+{digits}").parse().unwrap();
            // A national number that starts with 0 is no number of that country.
            prop_assume!(!digits.strip_prefix(country).is_some_and(|rest| rest.starts_with('0') || rest.len() < 7));
            prop_assert_eq!(plan.read(&plan.write(&number, format)).unwrap(), number);
        }

        #[test]
        fn reading_never_panics(written in any::<String>(), country in proptest::option::of("[1-9][0-9]{0,2}")) {
            for format in [NumberFormat::E164, NumberFormat::Plain, NumberFormat::National] {
                let _ = plan(format, country.as_deref(), "0", "00").read(&written);
            }
        }
    }
}
