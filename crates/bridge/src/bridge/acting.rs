//! What authenticated users do in a meeting that is being held. Every wish is answered.

use super::{At, Bridge};
use crate::action::{Action, ActionRefusal};
use crate::call::{Call, State};
use crate::command::{Command, HangupCause};
use crate::id::{ConferenceId, RequestId};
use crate::policy::Role;
use crate::prompt::PromptId;
use crate::returning::{Group, Origin, Parting};
use crate::usage::EndingParty;
use routing::{LegDirection, Provider};

impl Bridge {
    /// Does it, and says what came of it.
    pub(super) fn act(&mut self, at: At, request: RequestId, conference: ConferenceId, action: Action) {
        let result = self.try_action(at, conference, action);
        if result.is_ok_and(|changed| changed > 0) && self.conferences.contains_key(&conference) {
            self.command(Command::Show { conference });
            self.schedule_end(conference);
        }
        self.command(Command::Acted { request, result });
    }

    fn try_action(
        &mut self,
        at: At,
        conference: ConferenceId,
        action: Action,
    ) -> Result<usize, ActionRefusal> {
        let roster = self.conferences.get_mut(&conference).ok_or(ActionRefusal::UnknownConference)?;
        match action {
            Action::Admit(leg) | Action::Reject(leg) if !roster.is_waiting(leg) => {
                return Err(if roster.has(leg) {
                    ActionRefusal::NotInLobby(leg)
                } else {
                    ActionRefusal::UnknownLeg(leg)
                });
            }
            Action::Mute { leg, .. }
            | Action::Unmute(leg)
            | Action::LowerHand(leg)
            | Action::SetRole { leg, .. }
            | Action::SendDigits { leg, .. }
                if roster.participant(leg).is_none() =>
            {
                return Err(ActionRefusal::UnknownLeg(leg));
            }
            Action::Mute { leg, hard: true } if roster.role(leg) == Role::Organizer => {
                return Err(ActionRefusal::IsOrganizer(leg));
            }
            Action::SendDigits { leg, .. }
                if roster.participant(leg).is_some_and(|one| one.direction == LegDirection::DialIn) =>
            {
                return Err(ActionRefusal::NotDialedOut(leg));
            }
            Action::Remove(leg) if !roster.has(leg) => return Err(ActionRefusal::UnknownLeg(leg)),
            _ => {}
        }
        Ok(self.do_action(at, conference, action))
    }

    /// Nothing speaks against it.
    fn do_action(&mut self, at: At, conference: ConferenceId, action: Action) -> usize {
        let Some(roster) = self.conferences.get_mut(&conference) else { return 0 };
        let changed = match action {
            Action::Admit(leg) => {
                self.admit(at, leg);
                return 1;
            }
            Action::AdmitAll => return self.admit_all(at, conference),
            Action::Reject(leg) => {
                self.with_call(leg, |bridge, call| bridge.dismiss(at, call, PromptId::LobbyRejected));
                return 1;
            }
            Action::Mute { leg, hard } => {
                let muted = roster.mute(leg, hard);
                if muted {
                    self.tell_muted(leg, hard);
                }
                muted
            }
            Action::Unmute(leg) => {
                let unmuted = roster.unmute(leg);
                if unmuted {
                    self.command(Command::Mute { leg, muted: false });
                    self.say(leg, PromptId::Unmuted);
                }
                unmuted
            }
            Action::MuteAll { hard } => return self.mute_all(conference, hard),
            Action::UnmuteAll => return self.unmute_all(conference, None),
            Action::LowerHand(leg) => {
                let lowered = roster.set_hand(leg, None);
                if lowered {
                    self.say(leg, PromptId::HandLowered);
                }
                lowered
            }
            Action::Lock(locked) => roster.set_lock(locked),
            Action::Announce(heard) => roster.set_announcements(heard),
            Action::SetRole { leg, role } => roster.set_role(at.now, leg, role),
            Action::SendDigits { leg, keys } => {
                self.command(Command::SendDigits { leg, keys });
                return 1;
            }
            Action::Remove(leg) => {
                self.with_call(leg, |bridge, call| bridge.removed(at, call));
                return 1;
            }
            Action::End => {
                let legs = roster.legs().len();
                self.end_conference(at, conference, EndingParty::User, HangupCause::ConferenceEnded);
                return legs.max(1);
            }
        };
        usize::from(changed)
    }

    /// Who calls, and by which way, where he is one who may be known again: not who hides his number, nor who was called.
    pub(super) fn origin(&self, call: &Call) -> Option<Origin> {
        let record = call.ledger.record();
        let number = record.caller.as_ref().filter(|_| !record.caller_anonymous)?.clone();
        let trunk = record.trunk.as_ref()?;
        let group = match self.table.trunk(trunk).map(|trunk| &trunk.provider) {
            Some(provider @ (Provider::Microsoft | Provider::Operator(_))) => {
                Group::Provider(provider.clone())
            }
            Some(Provider::Customer) | None => Group::Trunk(trunk.clone()),
        };
        Some(Origin { number, group })
    }

    /// Remembers a leg that ends, for the case that its caller comes back.
    pub(super) fn remember(&mut self, at: At, call: &Call, by: EndingParty) {
        let State::InConference { conference, .. } = call.state else { return };
        let Some(roster) = self.conferences.get(&conference) else { return };
        let Some(origin) = self.origin(call) else { return };
        let meeting = &roster.meeting().conference_id;
        let parting = match by {
            EndingParty::User => Parting::Removed,
            // Behind a number that several call from anybody could come back as anybody.
            _ if roster.shares_number(call.leg, &origin.number) => Parting::Shared,
            EndingParty::FarEnd => Parting::HungUp,
            EndingParty::Network => Parting::Lost,
            // The meeting is over: nobody comes back from that.
            EndingParty::Bridge => return self.returning.forget(at.now, meeting, &origin),
        };
        if let Some(standing) = roster.standing(call.leg) {
            self.returning.remember(at.now, meeting, &origin, standing, parting, call.by_number);
        }
    }
}
