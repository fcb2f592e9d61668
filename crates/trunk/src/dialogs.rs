//! How dialogs with a peer are kept, as a `[[trunk]]` table says it: session timers (RFC 4028), reliable provisional responses
//! (RFC 3262), and transfers (RFC 3515, RFC 3891).

use schemars::JsonSchema;
use serde::Deserialize;
use sip::{Reliable, SessionTimers, Terms};

use crate::check::Check;
use crate::source::ProfileSource;

/// `session_timer`, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "documented at `sip::SessionTimers`")]
pub enum SessionTimerName {
    Off,
    Accept,
    Ask,
}

/// `reliable_provisionals`, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "documented at `sip::Reliable`")]
pub enum ReliableName {
    Off,
    Supported,
    Required,
}

/// The terms of a trunk.
pub(crate) fn terms(source: &ProfileSource, check: &mut Check<'_>) -> Terms {
    // RFC 4028 section 4: 90 s at least, 1800 s recommended; longer than a day keeps nothing from piling up.
    let range = 90..=86_400;
    let expires =
        check.number("session_expires_seconds", source.session_expires_seconds.as_ref(), range.clone());
    let min_se = check.number("min_se_seconds", source.min_se_seconds.as_ref(), range);
    let (session_expires, min_se) = (expires.unwrap_or(1800), min_se.unwrap_or(90));
    if min_se > session_expires
        && let Some(written) = source.min_se_seconds.as_ref().or(source.session_expires_seconds.as_ref())
    {
        let expected = format!("no more than session_expires_seconds, which is {session_expires}");
        check.refuse(Some(written.span()), "min_se_seconds", min_se.to_string(), expected);
    }
    Terms {
        session_timer: match source.session_timer {
            Some(SessionTimerName::Off) => SessionTimers::Off,
            Some(SessionTimerName::Accept) => SessionTimers::Accept,
            Some(SessionTimerName::Ask) | None => SessionTimers::Ask,
        },
        session_expires,
        min_se,
        reliable: match source.reliable_provisionals {
            Some(ReliableName::Off) => Reliable::Off,
            Some(ReliableName::Supported) | None => Reliable::Supported,
            Some(ReliableName::Required) => Reliable::Required,
        },
        accept_refer: source.accept_refer.unwrap_or(false),
        accept_replaces: source.accept_replaces.unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use sip::{Reliable, SessionTimers, Terms};

    use crate::testing::{MICROSOFT, OPERATOR, profile, syntax_error, trunks};

    #[test]
    fn both_kinds_ask_for_session_timers_and_support_reliable_provisionals() {
        for document in [OPERATOR, MICROSOFT] {
            let expected = Terms { session_timer: SessionTimers::Ask, ..Terms::default() };
            assert_eq!(profile(document).terms, expected);
        }
    }

    #[test]
    fn every_word_of_the_two_switches_is_understood() {
        let terms = |line: &str| profile(&format!("{OPERATOR}{line}\n")).terms;
        assert_eq!(terms("session_timer = \"off\"").session_timer, SessionTimers::Off);
        assert_eq!(terms("session_timer = \"accept\"").session_timer, SessionTimers::Accept);
        assert_eq!(terms("session_timer = \"ask\"").session_timer, SessionTimers::Ask);
        assert_eq!(terms("reliable_provisionals = \"off\"").reliable, Reliable::Off);
        assert_eq!(terms("reliable_provisionals = \"supported\"").reliable, Reliable::Supported);
        assert_eq!(terms("reliable_provisionals = \"required\"").reliable, Reliable::Required);
        for line in ["session_timer = \"on\"", "reliable_provisionals = \"yes\""] {
            assert!(syntax_error(&format!("{OPERATOR}{line}\n")).contains("expected"), "{line}");
        }
        let written = terms("session_expires_seconds = 3600\nmin_se_seconds = 600");
        assert_eq!((written.session_expires, written.min_se), (3600, 600));
    }

    #[test]
    fn an_interval_outside_of_the_rfc_or_below_our_own_least_is_refused() {
        for (lines, key, expected) in [
            ("session_expires_seconds = 89", "session_expires_seconds", "90 to 86400"),
            ("min_se_seconds = 60", "min_se_seconds", "90 to 86400"),
            (
                "min_se_seconds = 1801",
                "min_se_seconds",
                "no more than session_expires_seconds, which is 1800",
            ),
        ] {
            let errors = trunks(&format!("{OPERATOR}{lines}\n")).expect_err(lines);
            assert_eq!(errors[0].key, format!("trunk.acme.{key}"), "{lines}");
            assert!(errors[0].expected.contains(expected) && errors[0].span.is_some(), "{lines}: {errors:?}");
        }
    }
}
