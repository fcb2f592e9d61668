//! Whose number, whose trunk, whose bill.

use crate::ids::OperatorId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Who provides a service number. Text form: `microsoft` or `operator:<id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Provided by Microsoft.
    Microsoft,
    /// Provided by a third-party operator.
    Operator(OperatorId),
}

/// Who stands behind a trunk. Text form: `microsoft`, `operator:<id>` or `customer`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// The Microsoft PSTN gateway.
    Microsoft,
    /// A third-party operator's SBC.
    Operator(OperatorId),
    /// The organization's own SBC (Direct Routing) with a carrier of its own.
    Customer,
}

/// Who bills a leg: the owner of the number it used, or of the trunk that carried it.
/// Text form: `microsoft`, `operator:<id>` or `customer`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Biller {
    /// Microsoft, from the tenant's minutes and credits.
    Microsoft,
    /// The operator.
    Operator(OperatorId),
    /// The organization's own carrier.
    Customer,
}

/// The text names nobody we know; the message lists the forms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a party: use {0}")]
pub struct UnknownParty(pub(crate) &'static str);

const OWNER_FORMS: &str = "microsoft or operator:<id>";
const PROVIDER_FORMS: &str = "microsoft, operator:<id> or customer";

fn operator(text: &str) -> Option<OperatorId> {
    text.strip_prefix("operator:").filter(|id| !id.is_empty()).map(OperatorId::new)
}

impl FromStr for Owner {
    type Err = UnknownParty;

    fn from_str(text: &str) -> Result<Self, UnknownParty> {
        match text {
            "microsoft" => Ok(Self::Microsoft),
            other => operator(other).map(Self::Operator).ok_or(UnknownParty(OWNER_FORMS)),
        }
    }
}

impl FromStr for Provider {
    type Err = UnknownParty;

    fn from_str(text: &str) -> Result<Self, UnknownParty> {
        match text {
            "microsoft" => Ok(Self::Microsoft),
            "customer" => Ok(Self::Customer),
            other => operator(other).map(Self::Operator).ok_or(UnknownParty(PROVIDER_FORMS)),
        }
    }
}

impl FromStr for Biller {
    type Err = UnknownParty;

    fn from_str(text: &str) -> Result<Self, UnknownParty> {
        text.parse::<Provider>().map(Self::from)
    }
}

impl From<Provider> for Biller {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Microsoft => Self::Microsoft,
            Provider::Operator(id) => Self::Operator(id),
            Provider::Customer => Self::Customer,
        }
    }
}

impl From<Owner> for Biller {
    fn from(owner: Owner) -> Self {
        match owner {
            Owner::Microsoft => Self::Microsoft,
            Owner::Operator(id) => Self::Operator(id),
        }
    }
}

impl Owner {
    /// Whether a trunk of this provider brings this owner's numbers (rule D2).
    pub fn is_behind(&self, provider: &Provider) -> bool {
        match (self, provider) {
            (Self::Microsoft, Provider::Microsoft) => true,
            (Self::Operator(owner), Provider::Operator(provider)) => owner == provider,
            _ => false,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Microsoft => out.write_str("microsoft"),
            Self::Operator(id) => write!(out, "operator:{id}"),
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Microsoft => out.write_str("microsoft"),
            Self::Operator(id) => write!(out, "operator:{id}"),
            Self::Customer => out.write_str("customer"),
        }
    }
}

impl fmt::Display for Biller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Microsoft => out.write_str("microsoft"),
            Self::Operator(id) => write!(out, "operator:{id}"),
            Self::Customer => out.write_str("customer"),
        }
    }
}

/// The three parties are written and read in their text form.
macro_rules! as_text {
    ($($party:ident),*) => {$(
        impl Serialize for $party {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $party {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(Owner, Provider, Biller);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_survive_text_and_back() {
        for text in ["microsoft", "operator:acme"] {
            assert_eq!(text.parse::<Owner>().expect("an owner").to_string(), text);
        }
        for text in ["microsoft", "operator:acme", "customer"] {
            assert_eq!(text.parse::<Provider>().expect("a provider").to_string(), text);
            assert_eq!(text.parse::<Biller>().expect("a biller").to_string(), text);
        }
        for text in ["", "operator:", "Microsoft", "operator"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
            assert!(text.parse::<Provider>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_comes_only_on_its_owners_trunk() {
        let acme: Owner = "operator:acme".parse().expect("an owner");
        assert!(acme.is_behind(&"operator:acme".parse().expect("a provider")));
        assert!(!acme.is_behind(&"operator:zenith".parse().expect("a provider")));
        assert!(!acme.is_behind(&Provider::Microsoft));
        assert!(!acme.is_behind(&Provider::Customer));
        assert!(Owner::Microsoft.is_behind(&Provider::Microsoft));
        assert!(!Owner::Microsoft.is_behind(&Provider::Customer));
    }
}
