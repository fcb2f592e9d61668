//! Conferences and the rooms before them: opening, joining, keys, what is heard, closing.

use super::{At, Bridge};
use crate::call::{Call, State};
use crate::command::{Command, Purpose, Sound, Tone};
use crate::digit::Digit;
use crate::id::{ConferenceId, LegId};
use crate::keypad::{Keypad, KeypadCommand};
use crate::meeting::Meeting;
use crate::prompt::PromptId;
use crate::roster::{Participant, Roster};
use crate::stamp::Stamp;
use crate::usage::CallType;
use routing::LegDirection;
use std::sync::Arc;

impl Bridge {
    /// Opens a mixing conference under a fresh name.
    pub(super) fn open_room(&mut self, purpose: Purpose, seats: usize) -> ConferenceId {
        self.last_conference += 1;
        let conference = ConferenceId(self.last_conference);
        self.command(Command::OpenConference { conference, purpose, seats });
        conference
    }

    /// The conference the meeting is held in; opened when this is the first leg for it.
    pub(super) fn conference_for(&mut self, at: At, meeting: &Arc<Meeting>) -> ConferenceId {
        if let Some(conference) = self.open_conference(meeting) {
            return conference;
        }
        let seats = meeting.capacity.min(self.config.seats).max(1);
        let conference = self.open_room(Purpose::Meeting, seats);
        self.counters.conferences_opened += 1;
        self.open.insert(meeting.conference_id.clone(), conference);
        self.conferences.insert(conference, Roster::new(conference, Arc::clone(meeting), seats, at.wall));
        conference
    }

    /// Where the meeting is being held. An ID that was given to another organizer in the meantime is another meeting.
    fn open_conference(&self, meeting: &Meeting) -> Option<ConferenceId> {
        let conference = *self.open.get(&meeting.conference_id)?;
        let held = self.conferences.get(&conference)?.meeting();
        (held.organizer == meeting.organizer).then_some(conference)
    }

    /// Who is in the meeting, when it is being held.
    pub(super) fn open_roster(&self, meeting: &Meeting) -> Option<&Roster> {
        self.conferences.get(&self.open_conference(meeting)?)
    }

    /// Whether nobody more fits into the meeting.
    pub(super) fn is_full(&self, meeting: &Meeting) -> bool {
        let roster = self.open_roster(meeting);
        roster.map_or(meeting.capacity == 0, |roster| roster.is_full(meeting.capacity))
    }

    /// The leg takes its seat: the others hear a tone, it hears where it is.
    pub(super) fn join(&mut self, at: At, call: &mut Call, conference: ConferenceId) {
        let leg = call.leg;
        let room = call.room();
        let participant = participant(at, call);
        let Some(roster) = self.conferences.get_mut(&conference) else { return };
        call.ledger.conference(conference);
        call.ledger.joined(at.now, at.wall);
        roster.join(participant);
        let alone = roster.participants() == 1;
        let heard = !alone && roster.may_play(at.now, Tone::Entry);
        self.command(Command::Seat { leg, conference });
        call.clip = None;
        if let Some(room) = room {
            self.command(Command::CloseConference { conference: room });
        }
        call.state = State::InConference { conference, keypad: Keypad::default() };
        if heard {
            let sound = Sound::Tone(Tone::Entry);
            self.command(Command::PlayAll { conference, sound, except: Some(leg) });
        }
        self.play(call, vec![if alone { PromptId::FirstCaller } else { PromptId::Joining }]);
    }

    /// A key in the meeting: it stops what plays to this leg, and may complete a command.
    pub(super) fn keypad(&mut self, at: At, mut call: Call, digit: Digit) -> Call {
        self.stop(&mut call);
        let State::InConference { conference, keypad } = &mut call.state else { return call };
        let conference = *conference;
        match keypad.digit(at.now, digit, self.config.keypad_pause) {
            None => {}
            Some(KeypadCommand::Help) => self.play(&mut call, vec![PromptId::CommandHelp]),
            Some(KeypadCommand::Unknown) => self.play(&mut call, vec![PromptId::UnknownCommand]),
            Some(KeypadCommand::ToggleMute) => {
                let roster = self.conferences.get_mut(&conference);
                if let Some(muted) = roster.and_then(|roster| roster.toggle_mute(call.leg)) {
                    self.command(Command::Mute { leg: call.leg, muted });
                    let prompt = if muted { PromptId::Muted } else { PromptId::Unmuted };
                    self.play(&mut call, vec![prompt]);
                }
            }
        }
        call
    }

    /// Plays to this leg alone.
    pub(super) fn play(&mut self, call: &mut Call, prompts: Vec<PromptId>) {
        self.last_token += 1;
        call.clip = Some(self.last_token);
        self.command(Command::Play { leg: call.leg, token: self.last_token, prompts });
    }

    /// Stops what plays to this leg alone, if anything does.
    pub(super) fn stop(&mut self, call: &mut Call) {
        if call.clip.take().is_some() {
            self.command(Command::StopPlay { leg: call.leg });
        }
    }

    /// The leg gives its seat back, taken or reserved. The others hear it; when nobody is left, whoever is still being
    /// called for the conference is let go, and it closes.
    pub(super) fn give_seat_back(&mut self, at: At, leg: LegId, conference: ConferenceId) {
        let Some(roster) = self.conferences.get_mut(&conference) else { return };
        let was_seated = roster.leave(leg);
        let left = roster.participants();
        let callees: Vec<LegId> = roster.callees().map(|callee| callee.leg).collect();
        if was_seated && left > 0 && roster.may_play(at.now, Tone::Exit) {
            let sound = Sound::Tone(Tone::Exit);
            self.command(Command::PlayAll { conference, sound, except: None });
        }
        if was_seated && left == 0 {
            for callee in callees {
                self.with_call(callee, |bridge, call| bridge.nobody_left(at, call));
            }
        }
        if self.conferences.get(&conference).is_some_and(Roster::is_deserted) {
            self.close_conference(conference);
        }
    }

    /// Closes a conference that nobody is in.
    pub(super) fn close_conference(&mut self, conference: ConferenceId) {
        if self.forget_conference(conference).is_some() {
            self.command(Command::CloseConference { conference });
        }
    }

    /// Takes a conference out of the books, with whoever has a seat in it.
    pub(super) fn forget_conference(&mut self, conference: ConferenceId) -> Option<Roster> {
        let roster = self.conferences.remove(&conference)?;
        let code = &roster.meeting().conference_id;
        if self.open.get(code) == Some(&conference) {
            self.open.remove(code);
        }
        Some(roster)
    }
}

/// How the leg appears in the roster. Who asked for privacy appears without a name (RFC 3323).
fn participant(at: At, call: &Call) -> Participant {
    let record = call.ledger.record();
    let (direction, number) = match record.call_type {
        CallType::ConfIn => (LegDirection::DialIn, record.caller.clone()),
        CallType::ConfOut => (LegDirection::DialOut, record.destination.clone()),
    };
    let shown = !record.caller_anonymous;
    Participant {
        leg: call.leg,
        direction,
        number: number.filter(|_| shown),
        display: record.caller_display.clone().filter(|_| shown),
        joined: Stamp(at.wall),
        muted: false,
    }
}
