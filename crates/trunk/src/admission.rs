//! Channel limits, calls per second, drain: whether a trunk may take one more leg, judged before it is answered or dialed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use routing::{LegDirection, TrunkId};
use thiserror::Error;

use crate::profile::Profile;

/// What a drained trunk tells a caller to wait, in seconds.
const DRAIN_RETRY_AFTER: u32 = 30;
/// What a full trunk tells a caller to wait, in seconds: about the time until the next of many calls ends.
const FULL_RETRY_AFTER: u32 = 5;

/// Counts the legs of every trunk and refuses the one too many.
///
/// Call [`Admission::try_take`] once per leg, before it is answered or dialed, and [`Admission::release`] exactly once
/// when that leg is over. A refused leg must not be released.
#[derive(Debug, Default)]
pub struct Admission {
    gates: BTreeMap<TrunkId, Gate>,
}

/// Why a leg may not use a trunk now, and the answer to give a caller.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("trunk {trunk} takes no {direction} leg now: {cause}")]
pub struct Limit {
    /// The trunk that was asked.
    pub trunk: TrunkId,
    /// "dial-in" or "dial-out".
    pub direction: &'static str,
    /// Which limit it was.
    pub cause: LimitCause,
    /// The SIP status for a dial-in leg; a dial-out leg goes to its next candidate instead.
    pub status: u16,
    /// Seconds for the Retry-After header (RFC 3261 section 20.33).
    pub retry_after: u32,
}

/// The limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LimitCause {
    /// All channels are in use.
    #[error("all {0} channels are in use; raise max_concurrent_sessions if the peer allows more")]
    Channels(u32),
    /// Calls come faster than agreed.
    #[error("more than {0} calls per second; raise calls_per_second if the peer allows more")]
    Rate(u32),
    /// The trunk is drained.
    #[error("it is draining; set enabled = true to use it again")]
    Draining,
    /// No profile has this name.
    #[error("no trunk profile has this id; check the [[trunk]] tables")]
    Unknown,
}

#[derive(Debug)]
struct Gate {
    in_use: u32,
    max: Option<u32>,
    rate: Option<Rate>,
    /// `enabled = false` in the profile.
    disabled: bool,
    /// Drained by a command.
    draining: bool,
}

/// A token bucket that holds one second's worth of calls, kept as the time at which it will be full again (the generic
/// cell rate algorithm): one instant instead of a fraction of a token, so that nothing is lost to rounding.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_second: u32,
    full_at: Option<Instant>,
}

impl Admission {
    /// Gates for these profiles, all channels free.
    pub fn new(profiles: &[Profile]) -> Self {
        let mut admission = Self::default();
        admission.handle_profiles(profiles);
        admission
    }

    /// Takes new limits after a configuration change. Legs in use stay counted, also on a trunk that has gone: it
    /// admits nothing more and disappears with its last leg.
    pub fn handle_profiles(&mut self, profiles: &[Profile]) {
        for (id, gate) in &mut self.gates {
            gate.disabled |= !profiles.iter().any(|profile| profile.id == *id);
        }
        for profile in profiles {
            let old = self.gates.remove(&profile.id);
            let full_at = old.as_ref().and_then(|gate| gate.rate).and_then(|rate| rate.full_at);
            self.gates.insert(
                profile.id.clone(),
                Gate {
                    in_use: old.as_ref().map_or(0, |gate| gate.in_use),
                    max: profile.max_concurrent_sessions,
                    rate: profile.calls_per_second.map(|per_second| Rate { per_second, full_at }),
                    disabled: !profile.enabled,
                    draining: old.is_some_and(|gate| gate.draining),
                },
            );
        }
        self.gates.retain(|id, gate| gate.in_use > 0 || profiles.iter().any(|profile| profile.id == *id));
    }

    /// Stops (`true`) or resumes (`false`) new legs on a trunk; running legs stay. Does nothing for an unknown trunk.
    pub fn set_draining(&mut self, trunk: &TrunkId, draining: bool) {
        if let Some(gate) = self.gates.get_mut(trunk) {
            gate.draining = draining;
        }
    }

    /// Takes one channel of the trunk, or says which limit forbids it. A refusal costs nothing: neither a channel nor a
    /// token of the rate.
    pub fn try_take(&mut self, now: Instant, trunk: &TrunkId, direction: LegDirection) -> Result<(), Limit> {
        self.check(now, trunk, direction)?;
        if let Some(gate) = self.gates.get_mut(trunk) {
            if let Some(rate) = gate.rate.as_mut() {
                rate.take(now);
            }
            gate.in_use += 1;
        }
        Ok(())
    }

    /// Whether [`Admission::try_take`] would succeed.
    pub fn check(&self, now: Instant, trunk: &TrunkId, direction: LegDirection) -> Result<(), Limit> {
        let limit = |cause, retry_after| Limit {
            trunk: trunk.clone(),
            direction: match direction {
                LegDirection::DialIn => "dial-in",
                LegDirection::DialOut => "dial-out",
            },
            cause,
            status: 503,
            retry_after,
        };
        let Some(gate) = self.gates.get(trunk) else {
            return Err(limit(LimitCause::Unknown, DRAIN_RETRY_AFTER));
        };
        if gate.disabled || gate.draining {
            return Err(limit(LimitCause::Draining, DRAIN_RETRY_AFTER));
        }
        if let Some(max) = gate.max.filter(|max| gate.in_use >= *max) {
            return Err(limit(LimitCause::Channels(max), FULL_RETRY_AFTER));
        }
        match gate.rate {
            Some(rate) if rate.after_one(now).is_none() => Err(limit(LimitCause::Rate(rate.per_second), 1)),
            _ => Ok(()),
        }
    }

    /// Gives one channel back: the leg is over.
    pub fn release(&mut self, trunk: &TrunkId) {
        let Some(gate) = self.gates.get_mut(trunk) else {
            debug_assert!(
                false,
                "release of trunk {trunk}, which holds no channel: a leg was released twice"
            );
            return;
        };
        debug_assert!(gate.in_use > 0, "trunk {trunk} has no channel in use: a leg was released twice");
        gate.in_use = gate.in_use.saturating_sub(1);
    }

    /// Legs that hold a channel of this trunk.
    pub fn in_use(&self, trunk: &TrunkId) -> u32 {
        self.gates.get(trunk).map_or(0, |gate| gate.in_use)
    }

    /// Every trunk with its legs in use and its limit, for the metric.
    pub fn usage(&self) -> impl Iterator<Item = (&TrunkId, u32, Option<u32>)> {
        self.gates.iter().map(|(id, gate)| (id, gate.in_use, gate.max))
    }
}

impl Rate {
    fn take(&mut self, now: Instant) {
        self.full_at = self.after_one(now).or(self.full_at);
    }

    /// When the bucket is full again after one more; `None` when there is none in it.
    fn after_one(&self, now: Instant) -> Option<Instant> {
        let one = Duration::from_secs(1) / self.per_second.max(1);
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        let after = full_at + one;
        (after.duration_since(now) <= Duration::from_secs(1)).then_some(after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{MICROSOFT, OPERATOR, origin, profile};

    fn acme() -> TrunkId {
        TrunkId::new("acme")
    }

    fn limited(lines: &str) -> Admission {
        Admission::new(&[profile(&format!("{OPERATOR}{lines}")), profile(MICROSOFT)])
    }

    fn take(admission: &mut Admission, now: Instant) -> Result<(), LimitCause> {
        admission.try_take(now, &acme(), LegDirection::DialIn).map_err(|limit| limit.cause)
    }

    #[test]
    fn without_limits_every_leg_is_admitted() {
        let (mut admission, now) = (limited(""), origin());
        for _ in 0..10_000 {
            assert_eq!(take(&mut admission, now), Ok(()));
        }
        assert_eq!(admission.in_use(&acme()), 10_000);
        assert_eq!(admission.in_use(&TrunkId::new("teams")), 0);
    }

    #[test]
    fn the_leg_beyond_max_concurrent_sessions_is_refused_until_one_ends() {
        let (mut admission, now) = (limited("max_concurrent_sessions = 2\n"), origin());
        assert_eq!(take(&mut admission, now), Ok(()));
        assert_eq!(take(&mut admission, now), Ok(()));
        assert_eq!(take(&mut admission, now), Err(LimitCause::Channels(2)));
        admission.release(&acme());
        assert_eq!(take(&mut admission, now), Ok(()));
    }

    #[test]
    fn calls_per_second_admits_one_seconds_worth_at_once_and_then_the_pace() {
        let (mut admission, start) = (limited("calls_per_second = 4\n"), origin());
        for _ in 0..4 {
            assert_eq!(take(&mut admission, start), Ok(()));
        }
        assert_eq!(take(&mut admission, start), Err(LimitCause::Rate(4)));
        assert_eq!(take(&mut admission, start + Duration::from_millis(249)), Err(LimitCause::Rate(4)));
        assert_eq!(take(&mut admission, start + Duration::from_millis(250)), Ok(()));
        assert_eq!(take(&mut admission, start + Duration::from_millis(251)), Err(LimitCause::Rate(4)));
    }

    #[test]
    fn a_refusal_says_503_retry_after_and_which_key_to_change() {
        let (mut admission, now) = (limited("max_concurrent_sessions = 1\n"), origin());
        assert_eq!(take(&mut admission, now), Ok(()));
        let limit = admission.try_take(now, &acme(), LegDirection::DialOut).unwrap_err();
        assert_eq!((limit.status, limit.retry_after), (503, 5));
        assert_eq!(
            limit.to_string(),
            "trunk acme takes no dial-out leg now: all 1 channels are in use; raise max_concurrent_sessions if the peer allows more"
        );
    }

    #[test]
    fn a_drained_trunk_takes_nothing_in_either_direction_and_keeps_its_legs() {
        let (mut admission, now) = (limited(""), origin());
        assert_eq!(take(&mut admission, now), Ok(()));
        admission.set_draining(&acme(), true);
        for direction in [LegDirection::DialIn, LegDirection::DialOut] {
            let limit = admission.try_take(now, &acme(), direction).unwrap_err();
            assert_eq!((limit.cause, limit.status), (LimitCause::Draining, 503));
        }
        assert_eq!(admission.in_use(&acme()), 1);
        admission.set_draining(&acme(), false);
        assert_eq!(take(&mut admission, now), Ok(()));
    }

    #[test]
    fn enabled_false_drains() {
        let mut admission = limited("enabled = false\n");
        assert_eq!(take(&mut admission, origin()), Err(LimitCause::Draining));
    }

    #[test]
    fn an_unknown_trunk_is_refused() {
        let mut admission = Admission::new(&[]);
        assert_eq!(take(&mut admission, origin()), Err(LimitCause::Unknown));
    }

    #[test]
    fn a_new_configuration_keeps_the_legs_in_use_and_the_pace() {
        let (mut admission, now) = (limited("calls_per_second = 1\n"), origin());
        assert_eq!(take(&mut admission, now), Ok(()));
        admission.handle_profiles(&[profile(&format!(
            "{OPERATOR}max_concurrent_sessions = 2\ncalls_per_second = 1\n"
        ))]);
        assert_eq!(take(&mut admission, now), Err(LimitCause::Rate(1)));
        assert_eq!(take(&mut admission, now + Duration::from_secs(1)), Ok(()));
        assert_eq!(take(&mut admission, now + Duration::from_secs(9)), Err(LimitCause::Channels(2)));
    }

    #[test]
    fn a_removed_trunk_admits_nothing_and_goes_with_its_last_leg() {
        let (mut admission, now) = (limited(""), origin());
        assert_eq!(take(&mut admission, now), Ok(()));
        admission.handle_profiles(&[]);
        assert_eq!(take(&mut admission, now), Err(LimitCause::Draining));
        admission.release(&acme());
        admission.handle_profiles(&[]);
        assert_eq!(take(&mut admission, now), Err(LimitCause::Unknown));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_plus_one_bucket_in_any_window(
            per_second in 1u32..50,
            gaps in proptest::collection::vec(0u64..400, 1..200),
        ) {
            let mut admission = limited(&format!("calls_per_second = {per_second}\n"));
            let start = origin();
            let mut now = start;
            let mut admitted: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if take(&mut admission, now).is_ok() {
                    admitted.push(now);
                }
            }
            for (first, from) in admitted.iter().enumerate() {
                for (last, until) in admitted.iter().enumerate().skip(first) {
                    let window = until.duration_since(*from).as_secs_f64();
                    let most = f64::from(per_second) * (1.0 + window) + 1e-6;
                    prop_assert!((last - first + 1) as f64 <= most, "{} in {window} s", last - first + 1);
                }
            }
        }

        #[test]
        fn channels_in_use_never_exceed_the_limit_and_return_to_zero(
            max in 1u32..20,
            takes in proptest::collection::vec(any::<bool>(), 0..300),
        ) {
            let mut admission = limited(&format!("max_concurrent_sessions = {max}\n"));
            let mut held = 0;
            for take_one in takes {
                if take_one {
                    held += u32::from(take(&mut admission, origin()).is_ok());
                } else if held > 0 {
                    admission.release(&acme());
                    held -= 1;
                }
                prop_assert!(held <= max);
                prop_assert_eq!(admission.in_use(&acme()), held);
            }
        }
    }
}
