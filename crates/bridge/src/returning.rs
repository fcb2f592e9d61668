//! Callers whose line dropped: who calls again within three minutes is who he was. Pure; the caller's number is all that tells
//! him, so what it gives back is no more than what he had, and never a way past a lock.

use crate::meeting::ConferenceCode;
use crate::policy::Role;
use crate::roster::MutedBy;
use crate::stamp::Stamp;
use routing::E164;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a caller is remembered.
pub(crate) const REMEMBERED: Duration = Duration::from_mins(3);
/// The most callers remembered; past it the one who left first is forgotten.
const MOST: usize = 4096;

/// What somebody was when his line dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    pub(crate) role: Role,
    pub(crate) muted: Option<MutedBy>,
    pub(crate) hand: Option<Stamp>,
}

#[derive(Debug)]
struct Dropped {
    until: Instant,
    meeting: ConferenceCode,
    number: E164,
    standing: Standing,
}

/// Everybody who may come back, in the order in which they left.
#[derive(Debug, Default)]
pub(crate) struct Returning(VecDeque<Dropped>);

impl Returning {
    /// Somebody has gone.
    pub(crate) fn remember(
        &mut self,
        now: Instant,
        meeting: &ConferenceCode,
        number: &E164,
        standing: Standing,
    ) {
        self.forget(now, meeting, number);
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        let (meeting, number) = (meeting.clone(), number.clone());
        self.0.push_back(Dropped { until: now + REMEMBERED, meeting, number, standing });
    }

    /// What he was who calls again, if he was here a short while ago.
    pub(crate) fn recall(
        &mut self,
        now: Instant,
        meeting: &ConferenceCode,
        number: &E164,
    ) -> Option<Standing> {
        self.purge(now);
        let found = self.0.iter().find(|dropped| dropped.meeting == *meeting && dropped.number == *number);
        found.map(|dropped| dropped.standing)
    }

    /// He is back, or must not come back.
    pub(crate) fn forget(&mut self, now: Instant, meeting: &ConferenceCode, number: &E164) {
        self.purge(now);
        self.0.retain(|dropped| dropped.meeting != *meeting || dropped.number != *number);
    }

    fn purge(&mut self, now: Instant) {
        while self.0.front().is_some_and(|dropped| dropped.until <= now) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, REMEMBERED, Returning, Standing};
    use crate::bridge::tests::epoch;
    use crate::meeting::ConferenceCode;
    use crate::policy::Role;
    use routing::E164;
    use std::time::Duration;

    #[test]
    fn a_caller_is_remembered_for_three_minutes_in_his_meeting_only() {
        let (mut returning, now) = (Returning::default(), epoch());
        let meeting: ConferenceCode = "123456789".parse().unwrap();
        let other: ConferenceCode = "223456789".parse().unwrap();
        let number: E164 = "+14255550100".parse().unwrap();
        let standing = Standing { role: Role::Organizer, ..Standing::default() };
        returning.remember(now, &meeting, &number, standing);
        assert_eq!(returning.recall(now, &other, &number), None);
        let almost = now + Duration::from_millis(179_999);
        assert_eq!(returning.recall(almost, &meeting, &number), Some(standing));
        assert_eq!(returning.recall(now + REMEMBERED, &meeting, &number), None);
        returning.remember(now, &meeting, &number, standing);
        returning.forget(now, &meeting, &number);
        assert_eq!(returning.recall(now, &meeting, &number), None);
    }

    #[test]
    fn memory_is_bounded_however_many_lines_drop() {
        let mut returning = Returning::default();
        let meeting: ConferenceCode = "123456789".parse().unwrap();
        for index in 0..2 * MOST {
            let number: E164 = format!("+1425{index:07}").parse().unwrap();
            returning.remember(epoch(), &meeting, &number, Standing::default());
        }
        assert_eq!(returning.0.len(), MOST);
    }
}
