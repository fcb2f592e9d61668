//! What people do with their keys in a meeting.

use super::{At, Bridge};
use crate::call::{Call, State};
use crate::command::{Command, Word};
use crate::digit::Digit;
use crate::id::{ConferenceId, LegId};
use crate::key_map::{Keyed, KeypadCommand};
use crate::policy::Role;
use crate::prompt::PromptId;
use crate::roster::{MutedBy, Roster, Toggled};
use crate::stamp::Stamp;
use routing::Language;

impl Bridge {
    /// A key in the meeting: it stops what plays to this leg, and may complete a command.
    pub(super) fn keypad(&mut self, at: At, mut call: Call, digit: Digit) -> Call {
        let State::InConference { keypad, .. } = &mut call.state else { return call };
        if keypad.is_spare(at.now, digit, &self.config.keys, self.config.keypad_pause) {
            return call;
        }
        self.stop(&mut call);
        let State::InConference { conference, keypad } = &mut call.state else { return call };
        let conference = *conference;
        let keyed = keypad.digit(at.now, digit, &self.config.keys, self.config.keypad_pause);
        if let Some(keyed) = keyed {
            let words = self.obey(at, &call, conference, keyed);
            if !words.is_empty() {
                self.speak(&mut call, words);
            }
        }
        call
    }

    /// Does what was keyed, and says what to answer. The leg's own call is out of the books meanwhile.
    fn obey(&mut self, at: At, call: &Call, conference: ConferenceId, keyed: Keyed) -> Vec<Word> {
        let Some(roster) = self.conferences.get(&conference) else { return Vec::new() };
        let keys = &self.config.keys;
        let organizer = roster.role(call.leg) == Role::Organizer;
        let prompts = match keyed {
            Keyed::Unknown => keys.say_after(PromptId::UnknownCommand, KeypadCommand::Help),
            Keyed::Command(command) if command.is_organizers() && !organizer => {
                vec![PromptId::OrganizerOnly]
            }
            Keyed::Command(KeypadCommand::Help) => keys.help(organizer),
            Keyed::Command(KeypadCommand::RollCall) => {
                let english = call.language.as_ref().map_or(self.config.english, Language::is_english);
                return roster.roll_call(call.leg, english);
            }
            Keyed::Command(KeypadCommand::Mute) => self.toggle_mute(call.leg, conference),
            Keyed::Command(KeypadCommand::Hand) => self.toggle_hand(at, call.leg, conference),
            Keyed::Command(KeypadCommand::AdmitAll) => {
                let admitted = self.admit_all(at, conference) > 0;
                vec![if admitted { PromptId::LobbyAdmitted } else { PromptId::LobbyEmpty }]
            }
            Keyed::Command(KeypadCommand::MuteAll) => self.toggle_mute_all(call.leg, conference),
            Keyed::Command(KeypadCommand::Announcements) => self.toggle_announcements(conference),
            Keyed::Command(KeypadCommand::Lock) => self.toggle_lock(conference),
        };
        prompts.into_iter().map(Word::Prompt).collect()
    }

    fn toggle_hand(&mut self, at: At, leg: LegId, conference: ConferenceId) -> Vec<PromptId> {
        let Some(roster) = self.conferences.get_mut(&conference) else { return Vec::new() };
        let up = roster.participant(leg).is_some_and(|one| one.hand.is_none());
        roster.set_hand(leg, up.then_some(Stamp(at.wall)));
        self.command(Command::Show { conference });
        if up {
            self.config.keys.say_after(PromptId::HandRaised, KeypadCommand::Hand)
        } else {
            vec![PromptId::HandLowered]
        }
    }

    fn toggle_mute_all(&mut self, leg: LegId, conference: ConferenceId) -> Vec<PromptId> {
        if self.conferences.get(&conference).is_some_and(Roster::is_all_muted) {
            self.unmute_all(conference, Some(leg));
            vec![PromptId::AllUnmuted]
        } else {
            self.mute_all(conference, false);
            vec![PromptId::AllMuted]
        }
    }

    fn toggle_announcements(&mut self, conference: ConferenceId) -> Vec<PromptId> {
        let Some(roster) = self.conferences.get_mut(&conference) else { return Vec::new() };
        let heard = !roster.announces();
        roster.set_announcements(heard);
        self.command(Command::Show { conference });
        vec![if heard { PromptId::AnnouncementsOn } else { PromptId::AnnouncementsOff }]
    }

    fn toggle_lock(&mut self, conference: ConferenceId) -> Vec<PromptId> {
        let Some(roster) = self.conferences.get_mut(&conference) else { return Vec::new() };
        let locked = !roster.is_locked(roster.meeting().locked);
        roster.set_lock(locked);
        self.command(Command::Show { conference });
        vec![if locked { PromptId::ConferenceNowLocked } else { PromptId::ConferenceNowUnlocked }]
    }

    fn toggle_mute(&mut self, leg: LegId, conference: ConferenceId) -> Vec<PromptId> {
        let roster = self.conferences.get_mut(&conference);
        let prompt = match roster.and_then(|roster| roster.toggle_mute(leg)) {
            None => return Vec::new(),
            Some(Toggled::Barred) => return self.muted_words(MutedBy::OrganizerHard),
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
        let words = self.muted_words(if hard { MutedBy::OrganizerHard } else { MutedBy::Organizer });
        self.tell(leg, words);
    }

    /// What a leg hears that is muted, and with which key it can do something about it.
    pub(super) fn muted_words(&self, by: MutedBy) -> Vec<PromptId> {
        let keys = &self.config.keys;
        match by {
            MutedBy::Own => vec![PromptId::Muted],
            MutedBy::Organizer => keys.say_after(PromptId::MutedByOrganizer, KeypadCommand::Mute),
            MutedBy::OrganizerHard => keys.say_after(PromptId::HardMuted, KeypadCommand::Hand),
        }
    }

    /// Says a sentence to a leg whose call is in the books.
    pub(super) fn say(&mut self, leg: LegId, prompt: PromptId) {
        self.tell(leg, vec![prompt]);
    }

    /// Says several to a leg whose call is in the books.
    pub(super) fn tell(&mut self, leg: LegId, prompts: Vec<PromptId>) {
        if self.calls.contains_key(&leg) {
            self.with_call(leg, |bridge, mut call| {
                bridge.play(&mut call, prompts);
                Some(call)
            });
        }
    }
}
