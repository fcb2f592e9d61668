//! Where may be dialed: `[dial_out]`, `dial_out_policy` and `usage_location`.

use super::Check;
use crate::Spanned;
use crate::country::Country;
use crate::dial_out_policy::{DialOutPolicy, Reach};
use crate::number::E164;
use crate::source::{BridgeSource, OrganizerSource};

/// What *domestic* is compared with is missing.
const NEEDS_LOCATION: &str =
    "a usage_location here or in the tenant's [[bridge]]: domestic means the organizer's country";

impl Check<'_> {
    pub(super) fn blocked_prefixes(&mut self) {
        for at in &self.source.dial_out.blocked_prefixes {
            match at.get_ref().parse::<E164>() {
                Ok(prefix) => self.table.blocked.push(prefix),
                Err(error) => {
                    let expected =
                        format!("+, a country code and further digits, such as \"+4487\": {error}");
                    self.wrong(at, "dial_out.blocked_prefixes".to_owned(), expected);
                }
            }
        }
    }

    pub(super) fn bridge_dial_out_policy(&mut self, source: &BridgeSource) -> DialOutPolicy {
        let key = || format!("bridge {:?}.dial_out_policy", source.tenant.get_ref());
        self.dial_out_policy(source.dial_out_policy.as_ref(), key).unwrap_or_default()
    }

    pub(super) fn bridge_usage_location(&mut self, source: &BridgeSource) -> Option<Country> {
        let key = || format!("bridge {:?}.usage_location", source.tenant.get_ref());
        self.usage_location(source.usage_location.as_ref(), key)
    }

    /// The organizer's policy and country, each the bridge's where he has none.
    pub(super) fn reach(&mut self, source: &OrganizerSource) -> (DialOutPolicy, Option<Country>) {
        let key = |what: &str| format!("organizer {:?}.{what}", source.id.get_ref());
        let own_policy = self.dial_out_policy(source.dial_out_policy.as_ref(), || key("dial_out_policy"));
        let own_place = self.usage_location(source.usage_location.as_ref(), || key("usage_location"));
        let bridge = self.table.bridges.get(source.tenant.get_ref().as_str());
        let policy = own_policy.or(bridge.map(|bridge| bridge.dial_out_policy)).unwrap_or_default();
        let place = own_place.or(bridge.and_then(|bridge| bridge.usage_location));
        // A location that is written and wrong has been said already.
        let written = source.usage_location.is_some() || self.bridge_names_location(source);
        if policy.conference == Reach::Domestic && place.is_none() && !written {
            match &source.dial_out_policy {
                Some(at) => self.wrong(at, key("dial_out_policy"), NEEDS_LOCATION),
                None => self.wrong(&source.id, key("usage_location"), NEEDS_LOCATION),
            }
        }
        (policy, place)
    }

    fn bridge_names_location(&self, source: &OrganizerSource) -> bool {
        let tenant = source.tenant.get_ref();
        let mut bridges = self.source.bridges.iter().filter(|bridge| bridge.tenant.get_ref() == tenant);
        bridges.any(|bridge| bridge.usage_location.is_some())
    }

    fn dial_out_policy(
        &mut self,
        at: Option<&Spanned<String>>,
        key: impl FnOnce() -> String,
    ) -> Option<DialOutPolicy> {
        let at = at?;
        match at.get_ref().parse() {
            Ok(policy) => Some(policy),
            Err(error) => {
                let error: crate::dial_out_policy::UnknownDialOutPolicy = error;
                self.wrong(at, key(), error.to_string());
                None
            }
        }
    }

    fn usage_location(
        &mut self,
        at: Option<&Spanned<String>>,
        key: impl FnOnce() -> String,
    ) -> Option<Country> {
        let at = at?;
        match at.get_ref().parse() {
            Ok(country) => Some(country),
            Err(error) => {
                let error: crate::country::UnknownCountry = error;
                self.wrong(at, key(), error.to_string());
                None
            }
        }
    }
}
