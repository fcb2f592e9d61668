//! From a right conference ID to the meeting: at once, through the lobby, or with a PIN.

use super::{At, Bridge};
use crate::attendant::Attendant;
use crate::call::{Call, State};
use crate::command::Command;
use crate::defense::{Line, Outcome};
use crate::id::{ConferenceId, LegId};
use crate::identification::{Identification, Step};
use crate::key_map::KeypadCommand;
use crate::lobby::{Door, door};
use crate::meeting::Meeting;
use crate::policy::{Pin, Role};
use crate::prompt::PromptId;
use crate::returning::{Comeback, Standing};
use crate::roster::{Roster, Waiting};
use crate::stamp::Stamp;
use std::sync::Arc;

impl Bridge {
    /// The caller may come in, as far as number, license, lock and capacity go.
    pub(super) fn arrive(&mut self, at: At, mut call: Call, meeting: &Arc<Meeting>) -> Option<Call> {
        let started = self.is_started(meeting);
        let origin = self.origin(&call);
        let back = origin.and_then(|origin| self.returning.recall(at.now, &meeting.conference_id, &origin));
        if let Some(Comeback { standing, until, asked }) = back {
            call.before = Standing { role: Role::Participant, ..standing };
            if asked && meeting.pin.is_some() {
                return self.identify(at, call, meeting);
            }
            if until.is_some() && (started || standing.role == Role::Organizer) {
                call.by_number = until;
                let conference = self.conference_for(at, meeting);
                self.join_as(at, &mut call, conference, standing, Vec::new());
                self.name_again(at, &call, conference);
                return Some(call);
            }
        }
        match door(meeting.policy, started, meeting.pin.is_some()) {
            Door::Ask => self.identify(at, call, meeting),
            _ if meeting.policy.records_names => {
                self.ask_name(at, call, meeting, Role::Participant, Vec::new())
            }
            other => Some(self.enter(at, call, meeting, other, Vec::new())),
        }
    }

    /// Who is back has the name that he said before.
    fn name_again(&mut self, at: At, call: &Call, conference: ConferenceId) {
        let number = call.ledger.record().caller.as_ref();
        if let (Some(roster), Some(number)) = (self.conferences.get_mut(&conference), number) {
            roster.name_again(at.now, call.leg, number);
        }
    }

    fn is_started(&self, meeting: &Meeting) -> bool {
        self.open_roster(meeting).is_some_and(Roster::is_started)
    }

    /// Into the meeting or its lobby, hearing this first.
    fn enter(
        &mut self,
        at: At,
        mut call: Call,
        meeting: &Arc<Meeting>,
        door: Door,
        first: Vec<PromptId>,
    ) -> Call {
        let conference = self.conference_for(at, meeting);
        if door == Door::In {
            let standing = call.before;
            self.join_as(at, &mut call, conference, standing, first);
            return call;
        }
        self.wait(at, call, conference, first)
    }

    /// Into the lobby: a word, and music until somebody says otherwise.
    fn wait(&mut self, at: At, mut call: Call, conference: ConferenceId, first: Vec<PromptId>) -> Call {
        let (Some(room), Some(roster)) = (call.room(), self.conferences.get_mut(&conference)) else {
            return call;
        };
        let record = call.ledger.record();
        let shown = !record.caller_anonymous;
        roster.wait(Waiting {
            leg: call.leg,
            number: record.caller.clone().filter(|_| shown),
            display: record.caller_display.clone().filter(|_| shown),
            since: Stamp(at.wall),
        });
        let mut told = roster.organizers();
        if !told.is_empty() && !roster.may_tell_of_lobby(at.now) {
            told.clear();
        }
        call.ledger.conference(conference);
        call.state = State::Lobby { room, conference, until: at.now + self.config.lobby };
        let mut prompts = first;
        prompts.extend([PromptId::LobbyWait, PromptId::HoldMusic]);
        self.play(&mut call, prompts);
        self.command(Command::Show { conference });
        let words = self.config.keys.say_after(PromptId::LobbyCaller, KeypadCommand::AdmitAll);
        for organizer in told {
            self.tell(organizer, words.clone());
        }
        call
    }

    /// The music has come to its end: once more.
    pub(super) fn lobby_clip_ended(&mut self, mut call: Call) -> Call {
        self.play(&mut call, vec![PromptId::HoldMusic]);
        call
    }

    /// Lets a leg in from the lobby.
    pub(super) fn admit(&mut self, at: At, leg: LegId) {
        self.with_call(leg, |bridge, mut call| {
            if let State::Lobby { conference, .. } = call.state {
                let standing = call.before;
                bridge.join_as(at, &mut call, conference, standing, Vec::new());
            }
            Some(call)
        });
    }

    /// Lets everybody in from the lobby; how many that were.
    pub(super) fn admit_all(&mut self, at: At, conference: ConferenceId) -> usize {
        let waiting = self.conferences.get(&conference).map(Roster::lobby).unwrap_or_default();
        for &leg in &waiting {
            self.admit(at, leg);
        }
        waiting.len()
    }

    /// Sends a leg away that is in the lobby or about to come in: why, and goodbye.
    pub(super) fn dismiss(&mut self, at: At, mut call: Call, why: PromptId) -> Option<Call> {
        let Some(room) = call.room() else { return Some(call) };
        let left = call.conference();
        let (attendant, step) = Attendant::farewell(self.config.attendant, at.now, why);
        call.state = State::Attended { room, attendant };
        if let Some(conference) = left {
            self.give_seat_back(at, call.leg, conference, false);
        }
        self.attendant_step(at, call, step)
    }

    /// "If you are the organizer, press star."
    fn identify(&mut self, at: At, mut call: Call, meeting: &Arc<Meeting>) -> Option<Call> {
        let State::Attended { room, attendant } = &call.state else { return Some(call) };
        let (room, spare_pound) = (*room, attendant.spare_pound());
        let (identification, step) = Identification::start(self.config.attendant, at.now, spare_pound);
        let meeting = Arc::clone(meeting);
        call.state = State::Identifying { room, meeting, identification, check: None };
        self.identification_step(at, call, step)
    }

    /// Carries out what the identification wants.
    pub(super) fn identification_step(&mut self, at: At, mut call: Call, step: Step) -> Option<Call> {
        match step {
            Step::Play(prompts) => self.play(&mut call, prompts),
            Step::Stop => self.stop(&mut call),
            Step::CheckNow(pin) => self.check_pin(&mut call, pin),
            Step::Check(pin) => {
                let State::Identifying { meeting, identification, .. } = &mut call.state else {
                    return Some(call);
                };
                let record = call.ledger.record();
                let Some(trunk) = record.trunk.clone() else { return Some(call) };
                let line = Line { number: record.caller.clone(), trunk };
                if self.pins.ask(at.now, &meeting.organizer, call.leg, line) {
                    self.check_pin(&mut call, pin);
                } else {
                    self.counters.pins_slowed += 1;
                    identification.ponder(pin, at.now + self.config.defense.pin_wait);
                }
            }
            Step::Organizer => return self.identified(at, call, Role::Organizer, Vec::new()),
            Step::Participant(first) => return self.identified(at, call, Role::Participant, first),
        }
        Some(call)
    }

    fn check_pin(&mut self, call: &mut Call, pin: Pin) {
        let State::Identifying { meeting, check, .. } = &mut call.state else { return };
        let Some(hash) = meeting.pin.clone() else { return };
        self.last_token += 1;
        *check = Some(self.last_token);
        self.command(Command::CheckPin { leg: call.leg, token: self.last_token, hash, pin });
    }

    /// Whose turn it is to have his PIN checked.
    pub(super) fn pin_turns(&mut self, at: At) {
        while let Some(leg) = self.pins.due(at.now) {
            self.with_call(leg, |bridge, mut call| {
                let State::Identifying { identification, .. } = &mut call.state else { return Some(call) };
                match identification.turn(at.now) {
                    Some(step) => bridge.identification_step(at, call, step),
                    None => Some(call),
                }
            });
        }
    }

    /// A PIN has been checked; an answer that comes too late is no answer.
    pub(super) fn pin_checked(&mut self, at: At, mut call: Call, token: u64, right: bool) -> Option<Call> {
        let State::Identifying { identification, check, .. } = &mut call.state else {
            return Some(call);
        };
        if *check != Some(token) {
            return Some(call);
        }
        *check = None;
        let Some(step) = identification.checked(at.now, right) else { return Some(call) };
        if right {
            self.counters.pins_accepted += 1;
            self.pins.done(at.now, call.leg, Outcome::Right);
        } else {
            self.counters.pins_wrong += 1;
            self.pins.done(at.now, call.leg, Outcome::Wrong);
            if let Some(keyer) = self.keyer(&call) {
                self.ids.wrong_pin(at.now, &keyer);
            }
            self.tell_alarms();
        }
        self.identification_step(at, call, step)
    }

    /// It is known who he is.
    fn identified(&mut self, at: At, call: Call, role: Role, first: Vec<PromptId>) -> Option<Call> {
        let State::Identifying { meeting, .. } = &call.state else { return Some(call) };
        let meeting = Arc::clone(meeting);
        self.pins.leave(at.now, call.leg);
        if meeting.policy.records_names {
            return self.ask_name(at, call, &meeting, role, first);
        }
        self.come_in(at, call, &meeting, role, first)
    }

    /// All is asked. Meanwhile others have come, and the meeting may be full or locked.
    pub(super) fn come_in(
        &mut self,
        at: At,
        mut call: Call,
        meeting: &Arc<Meeting>,
        role: Role,
        first: Vec<PromptId>,
    ) -> Option<Call> {
        if self.is_locked(meeting) {
            return self.dismiss(at, call, PromptId::ConferenceLocked);
        }
        if self.is_full(meeting) {
            return self.dismiss(at, call, PromptId::ConferenceFull);
        }
        if role == Role::Organizer {
            let conference = self.conference_for(at, meeting);
            let standing = Standing { role, ..call.before };
            self.join_as(at, &mut call, conference, standing, first);
            return Some(call);
        }
        let door = door(meeting.policy, self.is_started(meeting), false);
        Some(self.enter(at, call, meeting, door, first))
    }
}
