//! When a meeting ends by itself, however many are in it. Pure.

use crate::policy::MeetingPolicy;
use std::time::{Duration, Instant};

/// However it goes.
const HARD_LIMIT: Duration = Duration::from_hours(30);
/// With a PIN, from its beginning.
const WITH_PIN: Duration = Duration::from_hours(24);
/// Where a user of the API has begun it: since somebody came or went.
const UNCHANGED: Duration = Duration::from_hours(24);
/// Where anybody may start it and no PIN was used.
const UNVERIFIED: Duration = Duration::from_hours(4);
/// After the last organizer has left, where nobody else could have started it.
const ABANDONED: Duration = Duration::from_mins(90);

/// What of a meeting's course decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    /// When it was opened.
    pub(crate) opened: Instant,
    /// When somebody last came or went.
    pub(crate) changed: Instant,
    /// Somebody has proved by PIN that it is his.
    pub(crate) pin_used: bool,
    /// When the last organizer left; `None` while one is there, and when there never was one.
    pub(crate) abandoned: Option<Instant>,
}

impl Course {
    pub(crate) fn new(now: Instant) -> Self {
        Self { opened: now, changed: now, pin_used: false, abandoned: None }
    }

    /// When the meeting ends at the latest.
    pub(crate) fn ends(&self, policy: MeetingPolicy) -> Instant {
        let by_kind = if self.pin_used {
            self.opened + WITH_PIN
        } else if policy.anyone_starts() {
            self.opened + UNVERIFIED
        } else {
            self.changed + UNCHANGED
        };
        let abandoned = self.abandoned.filter(|_| !policy.anyone_starts()).map(|left| left + ABANDONED);
        let ends = by_kind.min(self.opened + HARD_LIMIT);
        abandoned.map_or(ends, |abandoned| ends.min(abandoned))
    }
}

#[cfg(test)]
mod tests {
    use super::Course;
    use crate::bridge::tests::epoch;
    use crate::policy::MeetingPolicy;
    use std::time::Duration;

    #[test]
    fn a_meeting_ends_when_the_table_says() {
        const NOBODY_ELSE: bool = false;
        const ANYBODY: bool = true;
        const PIN: bool = true;
        const NO_PIN: bool = false;
        let minutes = |hours: u64| hours * 60;
        // who may start it, PIN used, last came or went at, last organizer left at, ends at (minutes from its beginning)
        let table = [
            (ANYBODY, NO_PIN, 0, None, minutes(4), "only telephones, no PIN: 4 hours"),
            (ANYBODY, NO_PIN, 239, None, minutes(4), "however many come and go"),
            (ANYBODY, PIN, 0, None, minutes(24), "only telephones, with a PIN: 24 hours"),
            (ANYBODY, PIN, 60, Some(60), minutes(24), "and the others may stay when the organizer has left"),
            (NOBODY_ELSE, PIN, 0, None, minutes(24), "only telephones, with a PIN: 24 hours"),
            (NOBODY_ELSE, PIN, 60, Some(60), 60 + 90, "90 minutes after the last organizer has left"),
            (NOBODY_ELSE, PIN, 1439, Some(1400), minutes(24), "but never later than the 24 hours"),
            (NOBODY_ELSE, NO_PIN, 0, None, minutes(24), "begun through the API: 24 hours without a change"),
            (NOBODY_ELSE, NO_PIN, 120, None, minutes(26), "counted from the last change"),
            (NOBODY_ELSE, NO_PIN, 1200, None, minutes(30), "and 30 hours whatever happens"),
            (
                NOBODY_ELSE,
                NO_PIN,
                10,
                Some(10),
                10 + 90,
                "an organizer by the API's word counts like one by PIN",
            ),
        ];
        for (anyone, pin_used, changed, left, expected, what) in table {
            let after = |minutes: u64| epoch() + Duration::from_mins(minutes);
            let policy =
                MeetingPolicy { bypass_lobby: true, anonymous_start: anyone, ..MeetingPolicy::default() };
            let abandoned = left.map(after);
            let course = Course { opened: epoch(), changed: after(changed), pin_used, abandoned };
            assert_eq!(course.ends(policy), after(expected), "{what}");
        }
    }
}
