//! Who waits where before he is in: the table of the two lobby switches. Pure.

use crate::policy::MeetingPolicy;

/// Where a caller goes whose conference ID was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Into the meeting; if it has not started, this starts it.
    In,
    /// He is asked whether he is the organizer.
    Ask,
    /// Into the lobby.
    Lobby,
}

/// Where a caller goes. Who has been asked already comes with `has_pin` false.
pub(crate) fn door(policy: MeetingPolicy, started: bool, has_pin: bool) -> Door {
    let at_once = if started { policy.bypass_lobby } else { policy.anyone_starts() };
    if at_once {
        Door::In
    } else if !started && has_pin {
        Door::Ask
    } else {
        Door::Lobby
    }
}

#[cfg(test)]
mod tests {
    use super::Door::{Ask, In, Lobby};
    use super::door;
    use crate::policy::MeetingPolicy;

    #[test]
    fn the_two_switches_decide_as_the_table_says() {
        const OFF: bool = false;
        const ON: bool = true;
        // AllowAnonymousUsersToStartMeeting, AllowPSTNUsersToBypassLobby, caller before the start, caller after it
        let table = [
            (OFF, OFF, Ask, Lobby, "stays in the lobby until he is admitted"),
            (OFF, ON, Ask, In, "lobby until a verified participant joins, then straight in"),
            (ON, ON, In, In, "the first caller starts the meeting, there is no lobby"),
            (ON, OFF, Ask, Lobby, "anonymous start means nothing where callers may not pass the lobby"),
        ];
        for (anonymous_start, bypass_lobby, before, after, what) in table {
            let policy = MeetingPolicy { bypass_lobby, anonymous_start, ..MeetingPolicy::default() };
            assert_eq!(door(policy, false, true), before, "before the start: {what}");
            assert_eq!(door(policy, true, true), after, "after the start: {what}");
            // Without a PIN nobody is asked; the rest is the same.
            let unasked = if before == Ask { Lobby } else { before };
            assert_eq!(door(policy, false, false), unasked, "before the start, without a PIN: {what}");
        }
    }
}
