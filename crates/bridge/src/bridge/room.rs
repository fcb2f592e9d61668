//! Conferences: who opens one, who comes in, who leaves, when it closes.

use super::{At, Bridge};
use crate::call::{Call, Notice, State};
use crate::command::{Command, HangupCause, Purpose, Sound, Tone};
use crate::id::{ConferenceId, LegId};
use crate::keypad::Keypad;
use crate::meeting::Meeting;
use crate::policy::Role;
use crate::prompt::PromptId;
use crate::returning::{REMEMBERED, Standing};
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
        self.conferences
            .insert(conference, Roster::new(conference, Arc::clone(meeting), seats, at.now, at.wall));
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

    /// Whether nobody may come in: the directory's word, until somebody in the meeting says otherwise.
    pub(super) fn is_locked(&self, meeting: &Meeting) -> bool {
        self.open_roster(meeting).map_or(meeting.locked, |roster| roster.is_locked(meeting.locked))
    }

    /// The leg takes its seat as anybody.
    pub(super) fn join(&mut self, at: At, call: &mut Call, conference: ConferenceId) {
        self.join_as(at, call, conference, Standing::default(), Vec::new());
    }

    /// The leg takes its seat: the others hear a tone, it hears `first` and where it is. With the first one the meeting starts,
    /// and where callers pass the lobby everybody is let in who waits there.
    pub(super) fn join_as(
        &mut self,
        at: At,
        call: &mut Call,
        conference: ConferenceId,
        standing: Standing,
        first: Vec<PromptId>,
    ) {
        let leg = call.leg;
        let room = call.room();
        let participant = participant(at, call, standing);
        if let Some(origin) = self.origin(call)
            && let Some(roster) = self.conferences.get(&conference)
        {
            self.returning.forget(at.now, &roster.meeting().conference_id, &origin);
        }
        let Some(roster) = self.conferences.get_mut(&conference) else { return };
        call.ledger.conference(conference);
        call.ledger.joined(at.now, at.wall);
        let muted_by = roster.join(at.now, participant);
        let starts = roster.start();
        let admits = starts && roster.meeting().policy.bypass_lobby;
        let alone = roster.participants() == 1;
        let heard = !alone && !roster.announces_names() && roster.may_play(at.now, Tone::Entry);
        roster.note_come(at.now, leg);
        let recorded = roster.tells_of_recording();
        self.command(Command::Seat { leg, conference });
        call.clip = None;
        call.notice = recorded.then_some(Notice::Within(PromptId::RecordingOn));
        if let Some(room) = room {
            self.command(Command::CloseConference { conference: room });
        }
        let spare_pound = match &call.state {
            State::Attended { attendant, .. } => attendant.spare_pound(),
            _ => None,
        };
        call.state = State::InConference { conference, keypad: Keypad::new(spare_pound) };
        if heard {
            let sound = Sound::Tone(Tone::Entry);
            self.command(Command::PlayAll { conference, sound, except: Some(leg) });
        }
        let mut prompts = first;
        prompts.push(if alone { PromptId::FirstCaller } else { PromptId::Joining });
        prompts.extend(recorded.then_some(PromptId::RecordingOn));
        if let Some(by) = muted_by {
            self.command(Command::Mute { leg, muted: true });
            prompts.extend(self.muted_words(by));
        }
        self.play(call, prompts);
        self.schedule_end(conference);
        if admits {
            self.admit_all(at, conference);
        }
    }

    /// Plays to this leg alone.
    pub(super) fn play(&mut self, call: &mut Call, prompts: Vec<PromptId>) {
        self.last_token += 1;
        call.clip = Some(self.last_token);
        let language = call.language.clone();
        self.command(Command::Play { leg: call.leg, token: self.last_token, prompts, language });
    }

    /// Stops what plays to this leg alone, if anything does.
    pub(super) fn stop(&mut self, call: &mut Call) {
        if call.clip.take().is_some() {
            self.command(Command::StopPlay { leg: call.leg });
            if let Some(notice) = call.notice {
                self.tell_notice(call, notice.prompt());
            }
        }
    }

    /// The leg gives its seat back, taken or reserved, or its place in the lobby. The others hear it; when nobody is left, whoever
    /// is still being called for the conference is let go, and it closes unless somebody waits in its lobby. `dropped`: nobody
    /// hung up, the line broke.
    pub(super) fn give_seat_back(&mut self, at: At, leg: LegId, conference: ConferenceId, dropped: bool) {
        let Some(roster) = self.conferences.get_mut(&conference) else { return };
        let waited = roster.is_waiting(leg);
        let gone = roster.leave(at.now, leg);
        let was_seated = gone.is_some();
        let left = roster.participants();
        let callees: Vec<LegId> = roster.callees().map(|callee| callee.leg).collect();
        let organizer = gone.is_some_and(|gone| gone.role == Role::Organizer) && !roster.has_organizer();
        let ends = organizer && left > 0 && roster.meeting().policy.end_when_organizer_leaves;
        if was_seated && left > 0 && !roster.announces_names() && roster.may_play(at.now, Tone::Exit) {
            let sound = Sound::Tone(Tone::Exit);
            self.command(Command::PlayAll { conference, sound, except: None });
        }
        if ends {
            self.organizer_left(at, conference, dropped);
        }
        if was_seated && left == 0 {
            for callee in callees {
                self.with_call(callee, |bridge, call| bridge.nobody_left(at, call));
            }
        }
        if self.conferences.get(&conference).is_some_and(Roster::is_deserted) {
            self.close_conference(conference);
            return;
        }
        if waited {
            self.command(Command::Show { conference });
        }
        self.schedule_end(conference);
    }

    /// The meeting ends with its organizer: at once when he has hung up, else unless he comes back in time.
    fn organizer_left(&mut self, at: At, conference: ConferenceId, dropped: bool) {
        if dropped && let Some(roster) = self.conferences.get_mut(&conference) {
            roster.await_organizer(at.now + REMEMBERED);
        } else {
            self.announce_end(at, conference, HangupCause::OrganizerLeft);
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
        if let Some(due) = roster.scheduled {
            self.curfews.remove(&(due, conference));
        }
        let code = &roster.meeting().conference_id;
        if self.open.get(code) == Some(&conference) {
            self.open.remove(code);
        }
        Some(roster)
    }
}

/// How the leg appears in the roster. Who asked for privacy appears without a name (RFC 3323).
fn participant(at: At, call: &Call, standing: Standing) -> Participant {
    let record = call.ledger.record();
    let (direction, number) = match record.call_type {
        CallType::ConfIn => (LegDirection::DialIn, record.caller.clone()),
        CallType::ConfOut | CallType::CallMe => (LegDirection::DialOut, record.destination.clone()),
    };
    let shown = !record.caller_anonymous;
    Participant {
        leg: call.leg,
        direction,
        number: number.filter(|_| shown),
        display: record.caller_display.clone().filter(|_| shown),
        joined: Stamp(at.wall),
        role: standing.role,
        muted: standing.muted.is_some(),
        muted_by: standing.muted,
        hand: standing.hand,
    }
}
