//! After a failed dial-out attempt: the next peer or trunk, or the end.
//!
//! The rule is Microsoft's (`FailoverResponseCodes`, `FailoverTimeSeconds`) and suits operators as well: silence, a
//! broken transport and the configured codes mean "this way is broken, try another"; every other final answer comes from
//! the far side of the network, and asking again elsewhere would ring the same telephone twice.

use crate::profile::Profile;

/// How an INVITE of ours failed before it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A final response, 300 to 699. `retry_after` is its Retry-After header in seconds.
    Response {
        /// The status code.
        status: u16,
        /// Retry-After in seconds, when the response carried one.
        retry_after: Option<u32>,
    },
    /// No response at all within `first_response_ms`.
    NoResponse,
    /// No provisional answer from 101 to 199 within `failover_time_seconds`.
    ProvisionalTimeout,
    /// It rang for `ring_seconds` and nobody answered.
    RingTimeout,
    /// The connection could not be made or broke (RFC 3261 section 8.1.3.1 treats it as 503).
    Transport,
    /// We gave up ourselves: the caller or the meeting canceled it.
    Canceled,
}

/// What to do after a [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try the next peer of this trunk, then the next trunk, at once.
    TryNext {
        /// Why, for the log and the decision trace.
        because: String,
    },
    /// The attempt is over; `because` is what to tell the one who dialed.
    Stop {
        /// Why, for the log and the decision trace.
        because: String,
    },
}

impl Next {
    /// Whether another peer or trunk may be tried.
    pub fn is_try_next(&self) -> bool {
        matches!(self, Self::TryNext { .. })
    }

    /// Why, for the log and the decision trace.
    pub fn because(&self) -> &str {
        match self {
            Self::TryNext { because } | Self::Stop { because } => because,
        }
    }
}

/// Judges a failed attempt by the trunk's profile.
///
/// A 503 with Retry-After means "the next datacenter, now" and never "wait": the trunk as a whole is not backed off.
/// 6xx codes are never retried, whatever the profile says (RFC 3261 section 21.6: they speak for the callee everywhere).
pub fn judge(profile: &Profile, failure: Failure) -> Next {
    let go = |because: String| Next::TryNext { because };
    let stop = |because: String| Next::Stop { because };
    match failure {
        Failure::Response { status, .. } if status >= 600 => {
            stop(format!("{status} was answered for the callee everywhere: no other trunk is tried"))
        }
        Failure::Response { status, retry_after } if profile.failover_response_codes.contains(&status) => {
            match retry_after {
                Some(seconds) => go(format!(
                    "{status} with Retry-After {seconds}: the next peer is tried now, without waiting"
                )),
                None => go(format!("{status} is one of failover_response_codes of trunk {}", profile.id)),
            }
        }
        Failure::Response { status, .. } => stop(format!(
            "{status} is final: it is not one of failover_response_codes of trunk {}",
            profile.id
        )),
        Failure::NoResponse => {
            go(format!("no response within {} ms", profile.first_response_within.as_millis()))
        }
        Failure::ProvisionalTimeout => go(format!(
            "no ringing and no answer within failover_time_seconds = {}",
            profile.failover_time.as_secs()
        )),
        Failure::RingTimeout => {
            stop(format!("it rang for {} s and nobody answered", profile.ring_for.as_secs()))
        }
        Failure::Transport => go("the peer could not be reached".to_owned()),
        Failure::Canceled => stop("the attempt was canceled on our side".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{MICROSOFT, OPERATOR, profile};

    /// (what happened, whether another peer is tried)
    const TABLE: &[(Failure, bool)] = &[
        (Failure::NoResponse, true),
        (Failure::ProvisionalTimeout, true),
        (Failure::Transport, true),
        (Failure::RingTimeout, false),
        (Failure::Canceled, false),
        (Failure::Response { status: 408, retry_after: None }, true),
        (Failure::Response { status: 503, retry_after: None }, true),
        (Failure::Response { status: 503, retry_after: Some(1) }, true),
        (Failure::Response { status: 503, retry_after: Some(3600) }, true),
        (Failure::Response { status: 504, retry_after: None }, true),
        (Failure::Response { status: 302, retry_after: None }, false),
        (Failure::Response { status: 401, retry_after: None }, false),
        (Failure::Response { status: 403, retry_after: None }, false),
        (Failure::Response { status: 404, retry_after: None }, false),
        (Failure::Response { status: 480, retry_after: None }, false),
        (Failure::Response { status: 486, retry_after: None }, false),
        (Failure::Response { status: 500, retry_after: None }, false),
        (Failure::Response { status: 500, retry_after: Some(5) }, false),
        (Failure::Response { status: 600, retry_after: None }, false),
        (Failure::Response { status: 603, retry_after: None }, false),
    ];

    #[test]
    fn by_default_408_503_504_and_silence_try_the_next_peer_and_nothing_else_does() {
        for kind in [OPERATOR, MICROSOFT] {
            let profile = profile(kind);
            for (failure, expected) in TABLE {
                let next = judge(&profile, *failure);
                assert_eq!(next.is_try_next(), *expected, "{failure:?}: {}", next.because());
            }
        }
    }

    #[test]
    fn the_configured_codes_replace_the_default_ones() {
        let profile = profile(&format!("{OPERATOR}failover_response_codes = [480, 500]\n"));
        let after = |status| judge(&profile, Failure::Response { status, retry_after: None }).is_try_next();
        assert!(after(480) && after(500));
        assert!(!after(408) && !after(503) && !after(504));
    }

    #[test]
    fn a_603_is_never_retried_even_by_a_profile_built_by_hand() {
        let mut profile = profile(OPERATOR);
        profile.failover_response_codes.insert(603);
        assert!(!judge(&profile, Failure::Response { status: 603, retry_after: Some(1) }).is_try_next());
    }

    #[test]
    fn retry_after_on_a_503_means_the_next_one_now() {
        let next = judge(&profile(MICROSOFT), Failure::Response { status: 503, retry_after: Some(1) });
        assert!(next.because().contains("now, without waiting"), "{}", next.because());
    }
}
