//! What the organizer is entitled to, and which way a leg goes.

use crate::owner::Owner;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The organizer's entitlement; participants need none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum License {
    /// Microsoft numbers and operator numbers; dial-out by policy through an operator, else through Microsoft.
    AudioConferencingStandard,
    /// Operator numbers only; every dial-out through an operator, never through Microsoft.
    OperatorConnectConferencing,
    /// Microsoft numbers only, every minute charged to the tenant's Communications Credits; no on-network routing.
    PayPerMinute,
    /// No conferencing by phone at all.
    None,
}

impl License {
    /// Every license, in the order of the documentation.
    pub const ALL: [Self; 4] =
        [Self::AudioConferencingStandard, Self::OperatorConnectConferencing, Self::PayPerMinute, Self::None];

    /// The form used in configuration and usage records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AudioConferencingStandard => "audio-conferencing-standard",
            Self::OperatorConnectConferencing => "operator-connect-conferencing",
            Self::PayPerMinute => "pay-per-minute",
            Self::None => "none",
        }
    }

    /// The product's name as an administrator knows it.
    pub fn title(self) -> &'static str {
        match self {
            Self::AudioConferencingStandard => "Audio Conferencing Standard",
            Self::OperatorConnectConferencing => "Operator Connect Conferencing",
            Self::PayPerMinute => "Audio Conferencing pay-per-minute",
            Self::None => "no conferencing license",
        }
    }

    /// Whether meetings of this license may be reached by a number of this owner (rules D6 and D7).
    pub fn includes(self, owner: &Owner) -> bool {
        match self {
            Self::AudioConferencingStandard => true,
            Self::OperatorConnectConferencing => matches!(owner, Owner::Operator(_)),
            Self::PayPerMinute => matches!(owner, Owner::Microsoft),
            Self::None => false,
        }
    }
}

impl fmt::Display for License {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The text is no license; the message lists those there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("audio-conferencing-standard, operator-connect-conferencing, pay-per-minute or none")]
pub struct UnknownLicense;

impl FromStr for License {
    type Err = UnknownLicense;

    fn from_str(text: &str) -> Result<Self, UnknownLicense> {
        Self::ALL.into_iter().find(|license| license.as_str() == text).ok_or(UnknownLicense)
    }
}

/// Towards the bridge or from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegDirection {
    /// A caller dialed one of the bridge's service numbers.
    DialIn,
    /// The conference dialed somebody.
    DialOut,
}

impl fmt::Display for LegDirection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::DialIn => "dial-in",
            Self::DialOut => "dial-out",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_license_survives_text_and_back() {
        for license in License::ALL {
            assert_eq!(license.to_string().parse(), Ok(license));
        }
        assert_eq!("E5".parse::<License>(), Err(UnknownLicense));
    }
}
