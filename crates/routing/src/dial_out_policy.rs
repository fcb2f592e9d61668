//! Where an organizer's meetings may dial: Microsoft's `OnlineDialOutPolicy`, a fixed set of twelve.

use crate::country::Country;
use crate::number::E164;
use crate::premium::is_premium;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// What the conference half of a policy allows (`CPC`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Everywhere.
    International,
    /// Countries of Zone A.
    ZoneA,
    /// The organizer's own country.
    Domestic,
    /// Nowhere.
    Disabled,
}

/// One of the twelve policies. The default allows everything, as Microsoft's does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DialOutPolicy {
    /// Where meetings of the organizer may dial.
    pub conference: Reach,
    name: &'static str,
}

/// The names as Microsoft spells them. The PSTN half is about users' own calls, which this bridge does not make: it is
/// kept in the name and decides nothing here.
const NAMES: [(&str, Reach); 12] = [
    ("DialoutCPCandPSTNInternational", Reach::International),
    ("DialoutCPCandPSTNDomestic", Reach::Domestic),
    ("DialoutCPCandPSTNDisabled", Reach::Disabled),
    ("DialoutCPCInternationalPSTNDomestic", Reach::International),
    ("DialoutCPCInternationalPSTNDisabled", Reach::International),
    ("DialoutCPCDomesticPSTNInternational", Reach::Domestic),
    ("DialoutCPCDomesticPSTNDisabled", Reach::Domestic),
    ("DialoutCPCZoneAPSTNInternational", Reach::ZoneA),
    ("DialoutCPCZoneAPSTNDomestic", Reach::ZoneA),
    ("DialoutCPCZoneAPSTNDisabled", Reach::ZoneA),
    ("DialoutCPCDisabledPSTNInternational", Reach::Disabled),
    ("DialoutCPCDisabledPSTNDomestic", Reach::Disabled),
];

impl Default for DialOutPolicy {
    fn default() -> Self {
        Self { conference: NAMES[0].1, name: NAMES[0].0 }
    }
}

impl DialOutPolicy {
    /// Microsoft's name of the instance.
    pub fn name(self) -> &'static str {
        self.name
    }
}

/// The text is none of the twelve; the message lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDialOutPolicy;

impl fmt::Display for UnknownDialOutPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("one of ")?;
        for (at, (name, _)) in NAMES.iter().enumerate() {
            write!(out, "{}{name}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownDialOutPolicy {}

impl FromStr for DialOutPolicy {
    type Err = UnknownDialOutPolicy;

    /// The doubled form with both halves the same (`DialoutCPCDomesticPSTNDomestic`) is understood as the `and` form.
    fn from_str(text: &str) -> Result<Self, UnknownDialOutPolicy> {
        let doubled = ["International", "Domestic", "Disabled"]
            .into_iter()
            .find(|half| text == format!("DialoutCPC{half}PSTN{half}"))
            .map(|half| format!("DialoutCPCandPSTN{half}"));
        let text = doubled.as_deref().unwrap_or(text);
        let found = NAMES.iter().find(|(name, _)| *name == text);
        found.map(|&(name, conference)| Self { conference, name }).ok_or(UnknownDialOutPolicy)
    }
}

impl fmt::Display for DialOutPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

/// How far a dialed number is, for a rate and for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Zone {
    /// In the organizer's own country.
    Domestic,
    /// In another country of Zone A.
    ZoneA,
    /// Anywhere else, also where the country is not known.
    International,
    /// At a premium rate, wherever it is.
    Premium,
}

impl Zone {
    /// The zone of a number, seen from a country.
    pub fn of(number: &E164, home: Option<Country>) -> Self {
        if is_premium(number) {
            return Self::Premium;
        }
        match Country::of(number) {
            Some(country) if Some(country) == home => Self::Domestic,
            Some(country) if country.is_zone_a() => Self::ZoneA,
            _ => Self::International,
        }
    }

    /// The word in usage records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Domestic => "domestic",
            Self::ZoneA => "zone-a",
            Self::International => "international",
            Self::Premium => "premium",
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_twelve_policies_and_their_names_say_what_they_allow() {
        for (name, reach) in NAMES {
            let policy: DialOutPolicy = name.parse().expect("a policy");
            assert_eq!((policy.to_string().as_str(), policy.conference), (name, reach));
            let conference = name.trim_start_matches("DialoutCPC").trim_start_matches("andPSTN");
            let word = match reach {
                Reach::International => "International",
                Reach::ZoneA => "ZoneA",
                Reach::Domestic => "Domestic",
                Reach::Disabled => "Disabled",
            };
            assert!(conference.starts_with(word), "{name}");
        }
        assert_eq!(
            "DialoutCPCDomesticPSTNDomestic".parse::<DialOutPolicy>().map(DialOutPolicy::name),
            Ok("DialoutCPCandPSTNDomestic")
        );
        for text in ["", "Domestic", "DialoutCPCandPSTNZoneA", "dialoutcpcandpstndomestic"] {
            assert_eq!(text.parse::<DialOutPolicy>(), Err(UnknownDialOutPolicy), "{text}");
        }
        assert_eq!(DialOutPolicy::default().conference, Reach::International);
    }

    #[test]
    fn the_zone_of_a_number_depends_on_where_home_is() {
        let home = |text: &str| text.parse().ok();
        for (number, from, zone) in [
            ("+4930123456", "DE", Zone::Domestic),
            ("+4930123456", "US", Zone::ZoneA),
            ("+4930123456", "", Zone::ZoneA),
            ("+37120123456", "DE", Zone::International),
            ("+37120123456", "LV", Zone::Domestic),
            ("+499001234567", "DE", Zone::Premium),
            ("+80012345678", "DE", Zone::International),
            ("+15005551234", "US", Zone::International),
        ] {
            let number = number.parse().expect("a number");
            assert_eq!(Zone::of(&number, home(from)), zone, "{number:?} from {from}");
        }
    }
}
