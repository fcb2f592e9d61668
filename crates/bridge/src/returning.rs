//! Callers whose call ended by itself: who calls again within three minutes is who he was. Pure.
//!
//! The caller's number is all that tells him, and whoever can make a number up can be him. So it counts only where the same
//! provider vouches for it as before ([`Group`]), only within three minutes of the first drop, however often he comes and goes
//! meanwhile, and an organizer's role only where the network lost the call: who hung up himself, or had the line taken from him
//! in another way, is asked for the PIN. What restricts somebody holds for the number alone: another way in is no way out.

use crate::meeting::ConferenceCode;
use crate::policy::Role;
use crate::roster::MutedBy;
use crate::stamp::Stamp;
use routing::{E164, Provider, TrunkId};
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

impl Standing {
    /// What of it holds whoever he is: a mute that others have put on him.
    fn restricted(self) -> Self {
        let muted = self.muted.filter(|by| *by != MutedBy::Own);
        Self { muted, ..Self::default() }
    }
}

/// Who vouches for a number: all trunks of one operator, or of Microsoft, are one way, because a carrier hands the second call
/// to whichever of its SBCs is free. Of an organization's own SBCs each stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Group {
    Provider(Provider),
    Trunk(TrunkId),
}

/// Who calls, and by which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) number: E164,
    pub(crate) group: Group,
}

/// How somebody left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parting {
    /// He hung up.
    HungUp,
    /// The network lost the call.
    Lost,
    /// Somebody else in the meeting shows the same number: anybody could come back as anybody.
    Shared,
    /// He was removed.
    Removed,
}

/// What counts for who calls again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Comeback {
    /// What he gets back. An organizer only where nobody needs to ask.
    pub(crate) standing: Standing,
    /// By his number he passes the lobby, or is the organizer again, until then at most, also when he leaves once more.
    pub(crate) until: Option<Instant>,
    /// He shows the number of an organizer: the PIN tells whether he is.
    pub(crate) asked: bool,
}

#[derive(Debug)]
struct Dropped {
    until: Instant,
    /// Until when he may come back by his number alone.
    by_number: Instant,
    meeting: ConferenceCode,
    origin: Origin,
    standing: Standing,
    parting: Parting,
}

/// Everybody who may come back, in the order in which they left.
#[derive(Debug, Default)]
pub(crate) struct Returning(VecDeque<Dropped>);

impl Returning {
    /// Somebody has gone. `by_number`: he had come back by his number alone, which counts until then.
    pub(crate) fn remember(
        &mut self,
        now: Instant,
        meeting: &ConferenceCode,
        origin: &Origin,
        standing: Standing,
        parting: Parting,
        by_number: Option<Instant>,
    ) {
        self.forget(now, meeting, origin);
        let standing = match parting {
            Parting::HungUp | Parting::Lost => standing,
            Parting::Shared => Standing { role: standing.role, ..Standing::default() },
            Parting::Removed => {
                let number = &origin.number;
                self.0.retain(|one| one.meeting != *meeting || one.origin.number != *number);
                standing.restricted()
            }
        };
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        let until = now + REMEMBERED;
        let by_number = by_number.unwrap_or(until);
        let (meeting, origin) = (meeting.clone(), origin.clone());
        self.0.push_back(Dropped { until, by_number, meeting, origin, standing, parting });
    }

    /// What he was who calls again, if he was here a short while ago.
    pub(crate) fn recall(
        &mut self,
        now: Instant,
        meeting: &ConferenceCode,
        origin: &Origin,
    ) -> Option<Comeback> {
        self.purge(now);
        let same_number = |one: &&Dropped| one.meeting == *meeting && one.origin.number == origin.number;
        let mut back: Option<Comeback> = None;
        for one in self.0.iter().filter(same_number) {
            let was = one.standing;
            let vouched = one.origin == *origin && now < one.by_number;
            let own = vouched && matches!(one.parting, Parting::HungUp | Parting::Lost);
            let standing = if own { was } else { was.restricted() };
            let found = back.get_or_insert_default();
            if was.role == Role::Organizer && !(own && one.parting == Parting::Lost) {
                found.asked = true;
            } else if own {
                found.standing.role = was.role;
                found.until = Some(one.by_number);
            }
            found.standing.muted = standing.muted.or(found.standing.muted);
            found.standing.hand = standing.hand.or(found.standing.hand);
        }
        back
    }

    /// He is back.
    pub(crate) fn forget(&mut self, now: Instant, meeting: &ConferenceCode, origin: &Origin) {
        self.purge(now);
        self.0.retain(|one| one.meeting != *meeting || one.origin != *origin);
    }

    fn purge(&mut self, now: Instant) {
        while self.0.front().is_some_and(|dropped| dropped.until <= now) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Comeback, Group, MOST, Origin, Parting, REMEMBERED, Returning, Standing};
    use crate::bridge::tests::epoch;
    use crate::meeting::ConferenceCode;
    use crate::policy::Role;
    use routing::{Provider, TrunkId};
    use std::time::Duration;

    fn origin(number: &str) -> Origin {
        Origin { number: number.parse().unwrap(), group: Group::Provider(Provider::Microsoft) }
    }

    #[test]
    fn a_caller_is_remembered_for_three_minutes_in_his_meeting_only() {
        let (mut returning, now) = (Returning::default(), epoch());
        let meeting: ConferenceCode = "123456789".parse().unwrap();
        let other: ConferenceCode = "223456789".parse().unwrap();
        let origin = origin("+14255550100");
        let standing = Standing { role: Role::Organizer, ..Standing::default() };
        let back = Comeback { standing, until: Some(now + REMEMBERED), asked: false };
        returning.remember(now, &meeting, &origin, standing, Parting::Lost, None);
        assert_eq!(returning.recall(now, &other, &origin), None);
        let almost = now + Duration::from_millis(179_999);
        assert_eq!(returning.recall(almost, &meeting, &origin), Some(back));
        assert_eq!(returning.recall(now + REMEMBERED, &meeting, &origin), None);
        returning.remember(now, &meeting, &origin, standing, Parting::Lost, None);
        returning.forget(now, &meeting, &origin);
        assert_eq!(returning.recall(now, &meeting, &origin), None);
    }

    #[test]
    fn an_organizer_comes_back_without_a_question_only_by_the_same_way_and_when_the_network_lost_him() {
        let now = epoch();
        let meeting: ConferenceCode = "123456789".parse().unwrap();
        let here = origin("+14255550100");
        let trunk = Group::Trunk(TrunkId::new("own-sbc"));
        let elsewhere = Origin { group: trunk, ..here.clone() };
        let standing = Standing { role: Role::Organizer, ..Standing::default() };
        for (parting, way, role, asked) in [
            (Parting::Lost, &here, Role::Organizer, false),
            (Parting::Lost, &elsewhere, Role::Participant, true),
            (Parting::HungUp, &here, Role::Participant, true),
            (Parting::Shared, &here, Role::Participant, true),
            (Parting::Removed, &here, Role::Participant, false),
        ] {
            let mut returning = Returning::default();
            returning.remember(now, &meeting, &here, standing, parting, None);
            let back = returning.recall(now, &meeting, way).expect("something is remembered");
            assert_eq!((back.standing.role, back.asked), (role, asked), "{parting:?}");
            assert_eq!(back.until.is_some(), role == Role::Organizer, "{parting:?}");
        }
    }

    #[test]
    fn memory_is_bounded_however_many_lines_drop() {
        let mut returning = Returning::default();
        let meeting: ConferenceCode = "123456789".parse().unwrap();
        for index in 0..2 * MOST {
            let origin = origin(&format!("+1425{index:07}"));
            returning.remember(epoch(), &meeting, &origin, Standing::default(), Parting::Lost, None);
        }
        assert_eq!(returning.0.len(), MOST);
    }
}
