//! What people do with their keys in a meeting.

use super::{At, Bridge};
use crate::call::{Call, State};
use crate::command::Command;
use crate::digit::Digit;
use crate::id::{ConferenceId, LegId};
use crate::keypad::KeypadCommand;
use crate::policy::Role;
use crate::prompt::PromptId;
use crate::roster::{Roster, Toggled};
use crate::stamp::Stamp;
use routing::Language;

impl Bridge {
    /// A key in the meeting: it stops what plays to this leg, and may complete a command.
    pub(super) fn keypad(&mut self, at: At, mut call: Call, digit: Digit) -> Call {
        let State::InConference { keypad, .. } = &mut call.state else { return call };
        if keypad.is_spare(at.now, digit) {
            return call;
        }
        self.stop(&mut call);
        let State::InConference { conference, keypad } = &mut call.state else { return call };
        let conference = *conference;
        if let Some(command) = keypad.digit(at.now, digit, self.config.keypad_pause) {
            let english = call.language.as_ref().map_or(self.config.english, Language::is_english);
            if command == KeypadCommand::RollCall {
                if let Some(roster) = self.conferences.get(&conference) {
                    let words = roster.roll_call(call.leg, english);
                    self.speak(&mut call, words);
                }
                return call;
            }
            let prompts = self.obey(at, call.leg, conference, command);
            if !prompts.is_empty() {
                self.play(&mut call, prompts);
            }
        }
        call
    }

    /// Does what was keyed, and says what to answer. The leg's own call is out of the books meanwhile.
    fn obey(
        &mut self,
        at: At,
        leg: LegId,
        conference: ConferenceId,
        command: KeypadCommand,
    ) -> Vec<PromptId> {
        let Some(roster) = self.conferences.get_mut(&conference) else { return Vec::new() };
        let role = roster.role(leg);
        if command.is_organizers() && role != Role::Organizer {
            return vec![PromptId::OrganizerOnly];
        }
        match command {
            KeypadCommand::Help if role == Role::Organizer => {
                vec![PromptId::CommandHelp, PromptId::OrganizerHelp]
            }
            KeypadCommand::Help => vec![PromptId::CommandHelp],
            KeypadCommand::Unknown => vec![PromptId::UnknownCommand],
            // It is answered before: it has names in it.
            KeypadCommand::RollCall => Vec::new(),
            KeypadCommand::ToggleMute => self.toggle_mute(leg, conference),
            KeypadCommand::ToggleHand => {
                let up = roster.participant(leg).is_some_and(|one| one.hand.is_none());
                roster.set_hand(leg, up.then_some(Stamp(at.wall)));
                self.command(Command::Show { conference });
                vec![if up { PromptId::HandRaised } else { PromptId::HandLowered }]
            }
            KeypadCommand::AdmitAll => {
                let admitted = self.admit_all(at, conference) > 0;
                vec![if admitted { PromptId::LobbyAdmitted } else { PromptId::LobbyEmpty }]
            }
            KeypadCommand::MuteAll => {
                if self.conferences.get(&conference).is_some_and(Roster::is_all_muted) {
                    self.unmute_all(conference, Some(leg));
                    vec![PromptId::AllUnmuted]
                } else {
                    self.mute_all(conference, false);
                    vec![PromptId::AllMuted]
                }
            }
            KeypadCommand::ToggleAnnouncements => {
                let heard = !roster.announces();
                roster.set_announcements(heard);
                self.command(Command::Show { conference });
                vec![if heard { PromptId::AnnouncementsOn } else { PromptId::AnnouncementsOff }]
            }
            KeypadCommand::ToggleLock => {
                let locked = !roster.is_locked(roster.meeting().locked);
                roster.set_lock(locked);
                self.command(Command::Show { conference });
                vec![if locked { PromptId::ConferenceNowLocked } else { PromptId::ConferenceNowUnlocked }]
            }
        }
    }

    fn toggle_mute(&mut self, leg: LegId, conference: ConferenceId) -> Vec<PromptId> {
        let roster = self.conferences.get_mut(&conference);
        let prompt = match roster.and_then(|roster| roster.toggle_mute(leg)) {
            None => return Vec::new(),
            Some(Toggled::Barred) => return vec![PromptId::HardMuted],
            Some(Toggled::Muted) => PromptId::Muted,
            Some(Toggled::Unmuted) => PromptId::Unmuted,
        };
        self.command(Command::Mute { leg, muted: prompt == PromptId::Muted });
        vec![prompt]
    }

    /// Mutes everybody but the organizers, and tells them; how many that were.
    pub(super) fn mute_all(&mut self, conference: ConferenceId, hard: bool) -> usize {
        let Some(roster) = self.conferences.get_mut(&conference) else { return 0 };
        let muted = roster.mute_all(hard);
        for &leg in &muted {
            self.tell_muted(leg, hard);
        }
        muted.len()
    }

    /// Ends every mute that is not one's own, and tells those concerned, except one who is told otherwise.
    pub(super) fn unmute_all(&mut self, conference: ConferenceId, except: Option<LegId>) -> usize {
        let Some(roster) = self.conferences.get_mut(&conference) else { return 0 };
        let unmuted = roster.unmute_all();
        for &leg in &unmuted {
            self.command(Command::Mute { leg, muted: false });
            if Some(leg) != except {
                self.say(leg, PromptId::Unmuted);
            }
        }
        unmuted.len()
    }

    /// A leg was muted by somebody else: its voice is kept out, and it hears what it can do.
    pub(super) fn tell_muted(&mut self, leg: LegId, hard: bool) {
        self.command(Command::Mute { leg, muted: true });
        self.say(leg, if hard { PromptId::HardMuted } else { PromptId::MutedByOrganizer });
    }

    /// Says something to a leg whose call is in the books.
    pub(super) fn say(&mut self, leg: LegId, prompt: PromptId) {
        if self.calls.contains_key(&leg) {
            self.with_call(leg, |bridge, mut call| {
                bridge.play(&mut call, vec![prompt]);
                Some(call)
            });
        }
    }
}
