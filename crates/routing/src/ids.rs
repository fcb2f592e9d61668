//! Names of the things the table speaks about: cheap to clone, compared as text, never parsed again.

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Writes one newtype over `Arc<str>`; four types need the same twelve lines and must not be mixed up.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the name as it is; an id has no grammar of its own.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            fn from_str(name: &str) -> Result<Self, Infallible> {
                Ok(Self(name.into()))
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A provisioned relationship with one SBC or gateway.
    TrunkId
}
name! {
    /// A third-party operator who owns numbers and the trunks that reach them.
    OperatorId
}
name! {
    /// An organization; it owns one conferencing bridge.
    TenantId
}
name! {
    /// The user whose license and policy decide, no matter who dials.
    OrganizerId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_back() {
        let id: TrunkId = "acme-frankfurt".parse().expect("infallible");
        assert_eq!(id, TrunkId::new("acme-frankfurt"));
        assert_eq!(id.to_string(), "acme-frankfurt");
        assert_eq!(id.as_str(), "acme-frankfurt");
    }
}
