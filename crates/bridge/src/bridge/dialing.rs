//! A callee's way from the user's request to the meeting.

use super::{At, Bridge};
use crate::budget::Who;
use crate::call::{Call, Pending, State};
use crate::command::{Command, DialOutRefusal, Purpose, Sound, Tone};
use crate::confirmation::Confirmation;
use crate::dial_out::{DialOut, Next, explanation, failure_word};
use crate::event::{DialFailure, DialFailureKind, DialOutRequest};
use crate::id::ConferenceId;
use crate::meeting::{Lookup, Meeting};
use crate::text::{LONG, clean};
use crate::usage::{CallResult, CallType, Ending, EndingParty, Ledger};
use routing::{Candidate, Decision, Initiator, LegRequest, Outcome};
use std::sync::Arc;

/// The longest number a user may type, with its separators.
const DIALED: usize = 64;

impl Bridge {
    /// A user asks for a dial-out: always answered with accepted or refused.
    pub(super) fn dial_out(&mut self, at: At, request: &DialOutRequest) {
        match self.plan(at, request) {
            Ok((meeting, decision, candidates)) => self.begin(at, request, &meeting, decision, candidates),
            Err(why) => {
                self.counters.dial_outs_refused += 1;
                let (request, leg) = (request.request, request.leg);
                self.command(Command::DialOutRefused { request, leg, why });
            }
        }
    }

    /// Everything that can speak against it, and the candidates if nothing does. Begins nothing.
    fn plan(
        &mut self,
        at: At,
        request: &DialOutRequest,
    ) -> Result<(Arc<Meeting>, Decision, Vec<Candidate>), DialOutRefusal> {
        if self.draining {
            return Err(DialOutRefusal::Draining);
        }
        if self.calls.contains_key(&request.leg) {
            return Err(DialOutRefusal::LegInUse);
        }
        if self.calls.len() >= self.config.legs {
            return Err(DialOutRefusal::TooMany);
        }
        if request.dialed.len() > DIALED {
            return Err(DialOutRefusal::NumberTooLong);
        }
        let Lookup::Found(meeting) = self.directory.find(&request.meeting, at.wall) else {
            return Err(DialOutRefusal::UnknownMeeting);
        };
        if self.is_locked(&meeting) {
            return Err(DialOutRefusal::ConferenceLocked);
        }
        if self.is_full(&meeting) {
            return Err(DialOutRefusal::ConferenceFull);
        }
        let (decision, candidates) = self.route(&meeting, request)?;
        if let Some(roster) = self.open_roster(&meeting) {
            let destination = candidates.first().map(|candidate| &candidate.dialed);
            if roster.callees().any(|callee| Some(&callee.destination) == destination) {
                return Err(DialOutRefusal::AlreadyDialing);
            }
            if roster.callees().count() >= self.config.dial_outs {
                return Err(DialOutRefusal::TooMany);
            }
        }
        let candidates = match self.who(&meeting) {
            Some(who) => self.budget.check(at.now, at.wall, &who, candidates)?,
            None => candidates,
        };
        Ok((meeting, decision, candidates))
    }

    /// For whom the meeting's dial-outs are.
    fn who(&self, meeting: &Meeting) -> Option<Who> {
        Who::of(&self.table, &meeting.organizer, meeting.conference_id.as_str())
    }

    /// The organizer's license and policy decide, whoever asks.
    fn route(
        &self,
        meeting: &Meeting,
        request: &DialOutRequest,
    ) -> Result<(Decision, Vec<Candidate>), DialOutRefusal> {
        let down = |trunk: &routing::TrunkId| request.down.contains(trunk);
        let mut decision = routing::decide(
            &self.table,
            &LegRequest::DialOut {
                organizer: &meeting.organizer,
                dialed: &request.dialed,
                initiator: request.initiator,
                down: &down,
            },
        );
        match &mut decision.outcome {
            Outcome::Candidates(candidates) if !candidates.is_empty() => {
                let candidates = std::mem::take(candidates);
                Ok((decision, candidates))
            }
            Outcome::Refuse(refusal) => Err(DialOutRefusal::Routing {
                status: refusal.status,
                because: clean(&refusal.to_string(), LONG),
                decision: decision.because,
            }),
            Outcome::Candidates(_) | Outcome::Admit { .. } => Err(DialOutRefusal::Routing {
                status: 500,
                because: "the routing rules named no trunk".into(),
                decision: decision.because,
            }),
        }
    }

    /// Reserves the seat and writes the start record; the INVITE leaves when that is safe.
    fn begin(
        &mut self,
        at: At,
        request: &DialOutRequest,
        meeting: &Arc<Meeting>,
        decision: Decision,
        candidates: Vec<Candidate>,
    ) {
        let conference = self.conference_for(at, meeting);
        let Some(dial) = DialOut::new(conference, request.confirm, candidates) else { return };
        let leg = request.leg;
        let call_type = if request.call_me { CallType::CallMe } else { CallType::ConfOut };
        let mut ledger = Ledger::new(leg, call_type, at.now, at.wall, &mut self.rng);
        ledger.asked(&request.dialed, initiator_word(request.initiator));
        ledger.conference(conference);
        if let Some(first) = dial.upcoming() {
            ledger.chosen(first);
        }
        ledger.zone(self.table.zone(&meeting.organizer, dial.destination()));
        if let (Some(who), Some(first)) = (self.who(meeting), dial.upcoming()) {
            self.budget.begin(at.now, leg, who, first);
        }
        if let Some(roster) = self.conferences.get_mut(&conference) {
            roster.reserve(leg, dial.destination().clone());
        }
        let until = at.now + self.config.record_safe;
        let state = State::Recording { until, pending: Pending::Dial(dial) };
        let mut call = Call::new(leg, ledger, Arc::clone(self.budget.tariffs()), state);
        self.note_meeting(&mut call, meeting, decision);
        self.counters.dial_outs_accepted += 1;
        self.command(Command::DialOutAccepted { request: request.request, leg, conference });
        let start = call.ledger.start(at.wall, &mut self.rng);
        self.command(Command::Usage(Box::new(start)));
        self.keep(call);
    }

    /// Sends the INVITE of the next candidate.
    pub(super) fn dial_next(&mut self, at: At, mut call: Call, mut dial: DialOut) -> Option<Call> {
        // Since it was decided, others may have taken what this candidate costs.
        let mut refused = None;
        while let Some(Err(refusal)) =
            dial.upcoming().map(|candidate| self.budget.dialing(at.wall, call.leg, candidate))
        {
            dial.pass_over();
            refused.get_or_insert(refusal);
        }
        let Some((attempt, candidate)) = dial.dial(at.now, self.config.dial_attempt) else {
            call.state = State::Dialing { dial };
            let failure = refused.map(|refusal| DialFailure {
                kind: DialFailureKind::Local,
                status: 0,
                q850: None,
                failover: false,
                reason: refusal.to_string(),
            });
            self.dial_out_over(at, call, CallResult::Unreachable, failure.as_ref());
            return None;
        };
        call.ledger.attempt(attempt, &candidate, at.wall);
        if let Some(callee) = self.callee_mut(&call, &dial) {
            callee.attempt = attempt;
            callee.ringing = false;
        }
        self.command(Command::Dial { leg: call.leg, attempt, candidate });
        call.state = State::Dialing { dial };
        Some(call)
    }

    /// A provisional answer.
    pub(super) fn progress(&mut self, at: At, mut call: Call, attempt: u32, status: u16) -> Call {
        let State::Dialing { dial } = &mut call.state else { return call };
        if dial.attempt() == attempt && dial.progress(at.now, status) {
            call.ledger.ringing(at.wall);
            let (leg, conference) = (call.leg, dial.conference);
            let roster = self.conferences.get_mut(&conference);
            if let Some(callee) = roster.and_then(|roster| roster.callee_mut(leg)) {
                callee.ringing = true;
            }
        }
        call
    }

    /// The callee answered: into the meeting, or first the question whether he wants to.
    pub(super) fn callee_answered(&mut self, at: At, mut call: Call, attempt: u32) -> Call {
        let State::Dialing { dial } = &call.state else { return call };
        if dial.attempt() != attempt {
            return call;
        }
        let (conference, confirm) = (dial.conference, dial.confirm);
        call.ledger.answered(at.now, at.wall);
        self.begin_spending(at, call.leg);
        call.ledger.attempt_over(200, None);
        if !confirm {
            self.join(at, &mut call, conference);
            return call;
        }
        let leg = call.leg;
        let room = self.open_room(Purpose::Room, 1);
        self.command(Command::Seat { leg, conference: room });
        let roster = self.conferences.get_mut(&conference);
        if let Some(callee) = roster.and_then(|roster| roster.callee_mut(leg)) {
            callee.confirming = true;
        }
        let confirmation = Confirmation::start(at.now, self.config.greet_after_ack, self.config.confirm);
        call.state = State::Confirming { room, conference, confirmation };
        call
    }

    /// The attempt failed: the next candidate, or the end, of which the meeting is told.
    pub(super) fn attempt_failed(
        &mut self,
        at: At,
        mut call: Call,
        attempt: u32,
        failure: &DialFailure,
    ) -> Option<Call> {
        match std::mem::replace(&mut call.state, State::Released) {
            State::Dialing { dial } if dial.attempt() == attempt => {
                call.ledger.attempt_over(failure.status, Some(failure_word(failure)));
                match dial.failed(failure, !self.draining) {
                    Next::Dial => {
                        self.counters.dial_out_failovers += 1;
                        self.dial_next(at, call, dial)
                    }
                    Next::Over(result) => {
                        call.state = State::Dialing { dial };
                        self.dial_out_over(at, call, result, Some(failure));
                        None
                    }
                }
            }
            state => {
                call.state = state;
                Some(call)
            }
        }
    }

    /// It rings, or it takes too long.
    pub(super) fn dialing_timeout(&mut self, at: At, mut call: Call) -> Option<Call> {
        let State::Dialing { dial } = &mut call.state else { return Some(call) };
        if dial.is_over_time(at.now) {
            return self.attempt_too_long(at, call);
        }
        if dial.take_ring_back(at.now) && self.config.ring_back {
            let conference = dial.conference;
            self.ring_back(conference);
        }
        Some(call)
    }

    /// Who waits alone for a callee hears that it rings. What the far end plays before the answer is never heard in the meeting,
    /// and gateways send silence there as often as not. Where people talk with each other nobody wants to hear it.
    fn ring_back(&mut self, conference: ConferenceId) {
        let alone = self.conferences.get(&conference).is_some_and(|roster| roster.participants() == 1);
        if alone {
            let sound = Sound::Tone(Tone::RingBack);
            self.command(Command::PlayAll { conference, sound, except: None });
        }
    }

    /// The trunk layer never said how the attempt ended: give it up, and treat it as what it looks like.
    pub(super) fn attempt_too_long(&mut self, at: At, call: Call) -> Option<Call> {
        let State::Dialing { dial } = &call.state else { return Some(call) };
        let (leg, attempt) = (call.leg, dial.attempt());
        let kind = if dial.is_ringing() { DialFailureKind::Timeout } else { DialFailureKind::NoResponse };
        let failure = DialFailure { kind, status: 0, q850: None, failover: false, reason: String::new() };
        self.command(Command::CancelDial { leg, attempt });
        self.attempt_failed(at, call, attempt, &failure)
    }

    /// No candidate is left, or none may be tried: tell the meeting and write the record.
    fn dial_out_over(&mut self, at: At, call: Call, result: CallResult, failure: Option<&DialFailure>) {
        if let Some(conference) = call.conference()
            && self.conferences.get(&conference).is_some_and(|roster| roster.participants() > 0)
        {
            let sound = Sound::Prompts(vec![explanation(result)]);
            self.command(Command::PlayAll { conference, sound, except: None });
        }
        let by_callee = matches!(result, CallResult::Busy | CallResult::NoAnswer | CallResult::Declined);
        let ending = Ending {
            result,
            by: if by_callee { EndingParty::FarEnd } else { EndingParty::Network },
            cause: failure.map_or("no trunk left", failure_word),
            sip_status: failure.map_or(0, |failure| failure.status),
            q850: failure.and_then(|failure| failure.q850),
            reason: failure.map_or("", |failure| &failure.reason),
        };
        let leg = call.leg;
        self.close(at, call, &ending, Command::Release { leg });
    }

    fn callee_mut(&mut self, call: &Call, dial: &DialOut) -> Option<&mut crate::roster::Callee> {
        self.conferences.get_mut(&dial.conference)?.callee_mut(call.leg)
    }
}

/// The SIP Call-ID of the running attempt, for the record.
pub(super) fn note_call_id(mut call: Call, attempt: u32, sip_call_id: &str) -> Call {
    if matches!(&call.state, State::Dialing { dial } if dial.attempt() == attempt) {
        call.ledger.attempt_call_id(sip_call_id);
    }
    call
}

/// One peer of the attempt's trunk failed and the next is tried: a row of its own in the record.
pub(super) fn note_peer_failed(at: At, mut call: Call, attempt: u32, failure: &DialFailure) -> Call {
    if matches!(&call.state, State::Dialing { dial } if dial.attempt() == attempt) {
        call.ledger.attempt_over(failure.status, Some(failure_word(failure)));
        call.ledger.attempt_again(at.wall);
    }
    call
}

fn initiator_word(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::Member => "member",
        Initiator::Guest { .. } => "guest",
        Initiator::Anonymous { .. } => "anonymous",
    }
}
