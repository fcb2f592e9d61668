//! A caller's way from the INVITE to the door of the meeting.

use super::{At, Bridge};
use crate::attendant::{Attendant, AttendantConfig, Entry, Step, Verdict};
use crate::call::{Call, Pending, State};
use crate::command::{Command, HangupCause, Purpose};
use crate::confirmation::{self, Confirmation};
use crate::defense;
use crate::digit::Digit;
use crate::event::Caller;
use crate::id::{ConferenceId, LegId};
use crate::language_menu::{self, LanguageMenu};
use crate::meeting::{Lookup, Meeting};
use crate::prompt::PromptId;
use crate::usage::{CallResult, CallType, Ending, EndingParty, Ledger};
use routing::{Biller, Decision, E164, LegRequest, Outcome, Refusal, Rule, Tenancy, TrunkId};
use std::sync::Arc;
use std::time::Duration;

/// Where keyed digits lead.
enum Judgment {
    Join { meeting: Arc<Meeting>, decision: Decision, biller: Biller },
    Tell(Verdict),
}

impl Bridge {
    /// An INVITE: refuse it at once, or write its start record and answer when that is safe.
    pub(super) fn offered(
        &mut self,
        at: At,
        leg: LegId,
        trunk: &TrunkId,
        called: &E164,
        caller: &Caller,
        sip_call_id: &str,
    ) {
        if self.calls.contains_key(&leg) {
            self.counters.events_ignored += 1;
            return;
        }
        let mut ledger = Ledger::new(leg, CallType::ConfIn, at.now, at.wall, &mut self.rng);
        ledger.offered(trunk.clone(), called.clone(), caller, sip_call_id);
        let table = Arc::clone(&self.table);
        let refusal = if self.draining {
            Some((503, "node is shutting down", String::new()))
        } else if self.calls.len() >= self.config.legs {
            Some((503, "too many legs", String::new()))
        } else {
            match routing::admit(&table, called, trunk) {
                Ok(number) => {
                    ledger.admitted(&number.owner, number.kind);
                    None
                }
                Err(refusal) => {
                    let because = refusal.to_string();
                    ledger.refused(refusal.rule, refusal.because);
                    Some((refusal.status, "routing rules", because))
                }
            }
        };
        let until = at.now + self.config.record_safe;
        let state = State::Recording { until, pending: Pending::Answer };
        let call = Call::new(leg, ledger, Arc::clone(self.budget.tariffs()), state);
        if let Some((status, cause, because)) = refusal {
            self.refuse(at, call, status, EndingParty::Bridge, cause, &because);
            return;
        }
        let start = call.ledger.start(at.wall, &mut self.rng);
        self.command(Command::Usage(Box::new(start)));
        self.keep(call);
    }

    /// The start record is safe: the 200 may leave, and the leg gets a room of its own.
    pub(super) fn answer(&mut self, at: At, mut call: Call) -> Call {
        call.ledger.answered(at.now, at.wall);
        let leg = call.leg;
        self.command(Command::Answer { leg });
        let room = self.open_room(Purpose::Room, 1);
        self.command(Command::Seat { leg, conference: room });
        call.state = State::Answered { room, until: at.now + self.config.setup, greet_at: None };
        call
    }

    /// The ACK came: without media the greeting starts a little later.
    pub(super) fn established(&self, at: At, mut call: Call) -> Call {
        if let State::Answered { greet_at, .. } = &mut call.state {
            greet_at.get_or_insert(at.now + self.config.greet_after_ack);
        }
        call
    }

    /// The first packet came: whoever waited with his first word speaks now.
    pub(super) fn media_started(&mut self, at: At, mut call: Call) -> Option<Call> {
        match &mut call.state {
            State::Answered { .. } => Some(self.greet(at, call)),
            State::Confirming { confirmation, .. } => match confirmation.media_started(at.now) {
                Some(step) => self.confirmation_step(at, call, &step),
                None => Some(call),
            },
            _ => Some(call),
        }
    }

    /// The attendant begins.
    pub(super) fn greet(&mut self, at: At, mut call: Call) -> Call {
        let State::Answered { room, .. } = call.state else { return call };
        let AttendantConfig { first_digit, longest_prompt, .. } = self.config.attendant;
        let number =
            call.ledger.record().service_number.as_ref().and_then(|number| self.table.number(number));
        let languages = number.map_or(&[][..], |number| &number.languages);
        call.language = languages.first().cloned();
        if let Some((menu, step)) = LanguageMenu::start(at.now, languages, first_digit, longest_prompt) {
            call.state = State::Choosing { room, menu };
            if let language_menu::Step::Say(_, prompts) = step {
                self.play(&mut call, prompts);
            }
            return call;
        }
        self.attend(at, call, room, false)
    }

    /// The caller is asked for the conference ID.
    fn attend(&mut self, at: At, mut call: Call, room: ConferenceId, greeted: bool) -> Call {
        let (attendant, step) = Attendant::start(self.config.attendant, at.now, greeted);
        call.state = State::Attended { room, attendant };
        if let Step::Play(prompts) = step {
            self.play(&mut call, prompts);
        }
        call
    }

    /// Carries out what the language menu wants.
    fn language_step(&mut self, at: At, mut call: Call, step: language_menu::Step) -> Option<Call> {
        match step {
            language_menu::Step::Say(language, prompts) => {
                call.language = Some(language);
                self.play(&mut call, prompts);
                Some(call)
            }
            language_menu::Step::Stop => {
                self.stop(&mut call);
                Some(call)
            }
            language_menu::Step::Chosen(language, digits) => {
                let room = call.room()?;
                call.language = Some(language);
                let mut call = self.attend(at, call, room, true);
                for digit in digits {
                    call = self.attendant_digit(at, call, digit)?;
                }
                Some(call)
            }
        }
    }

    fn attendant_digit(&mut self, at: At, mut call: Call, digit: Digit) -> Option<Call> {
        let State::Attended { attendant, .. } = &mut call.state else { return Some(call) };
        for step in attendant.digit(at.now, digit) {
            call = self.attendant_step(at, call, step)?;
        }
        Some(call)
    }

    /// A key: for the attendant, for the question "press 1", or for the meeting.
    pub(super) fn digit(&mut self, at: At, mut call: Call, digit: Digit) -> Option<Call> {
        if !matches!(call.state, State::Identifying { .. }) {
            // How many keys a PIN has is a part of the secret.
            call.ledger.key();
        }
        if matches!(call.state, State::Answered { .. }) {
            // A key is media too, should its report be the first.
            call = self.greet(at, call);
        }
        match &mut call.state {
            State::Choosing { menu, .. } => {
                let step = menu.digit(at.now, digit);
                self.language_step(at, call, step)
            }
            State::Identifying { identification, .. } => {
                let steps = identification.digit(at.now, digit);
                let mut call = call;
                for step in steps {
                    call = self.identification_step(at, call, step)?;
                }
                Some(call)
            }
            State::Attended { .. } => self.attendant_digit(at, call, digit),
            State::Naming { naming, .. } => {
                let steps = naming.digit(at.now, digit);
                self.naming_steps(at, call, steps)
            }
            State::Confirming { .. } => match Confirmation::digit(digit) {
                Some(step) => self.confirmation_step(at, call, &step),
                None => Some(call),
            },
            State::InConference { .. } => Some(self.keypad(at, call, digit)),
            _ => Some(call),
        }
    }

    /// What was playing to the leg ran to its end.
    pub(super) fn clip_ended(&mut self, at: At, mut call: Call, token: u64) -> Option<Call> {
        if call.notice.is_some_and(|notice| notice.ends_with(token, call.clip)) {
            call.notice = None;
        }
        if call.clip != Some(token) {
            return Some(call);
        }
        call.clip = None;
        match &mut call.state {
            State::Choosing { menu, .. } => match menu.prompt_ended(at.now) {
                Some(step) => self.language_step(at, call, step),
                None => Some(call),
            },
            State::Attended { attendant, .. } => match attendant.prompt_ended(at.now) {
                Some(step) => self.attendant_step(at, call, step),
                None => Some(call),
            },
            State::Identifying { identification, .. } => {
                identification.prompt_ended(at.now);
                Some(call)
            }
            State::Naming { naming, .. } => match naming.prompt_ended(at.now) {
                Some(step) => self.naming_step(at, call, step),
                None => Some(call),
            },
            State::Lobby { .. } => Some(self.lobby_clip_ended(call)),
            State::Confirming { confirmation, .. } => {
                confirmation.prompt_ended(at.now);
                Some(call)
            }
            _ => Some(call),
        }
    }

    /// The leg's deadline may have come.
    pub(super) fn timeout(&mut self, at: At, mut call: Call) -> Option<Call> {
        self.interim(at, &mut call);
        if call.deadline().is_none_or(|(due, _)| at.now < due) {
            return Some(call);
        }
        match &mut call.state {
            State::Recording { .. } => {
                self.give_up_unrecorded(at, call);
                None
            }
            State::Answered { greet_at: Some(greet_at), .. } if at.now >= *greet_at => {
                Some(self.greet(at, call))
            }
            State::Answered { .. } => {
                self.hang_up(at, call, EndingParty::Network, HangupCause::SetupTimeout);
                None
            }
            State::Choosing { menu, .. } => match menu.timeout(at.now) {
                Some(step) => self.language_step(at, call, step),
                None => Some(call),
            },
            State::Attended { attendant, .. } => match attendant.timeout(at.now) {
                Some(step) => self.attendant_step(at, call, step),
                None => Some(call),
            },
            State::Identifying { identification, .. } => {
                let checking = identification.is_checking();
                let step = identification.timeout(at.now);
                if checking && step.is_some() {
                    self.pins.done(at.now, call.leg, defense::Outcome::Wrong);
                }
                match step {
                    Some(step) => self.identification_step(at, call, step),
                    None => Some(call),
                }
            }
            State::Naming { naming, .. } => {
                let steps = naming.timeout(at.now);
                self.naming_steps(at, call, steps)
            }
            State::Lobby { .. } => self.dismiss(at, call, PromptId::LobbyTooLong),
            State::InConference { keypad, .. } => {
                keypad.timeout(at.now);
                Some(call)
            }
            State::Dialing { .. } => self.dialing_timeout(at, call),
            State::Confirming { confirmation, .. } => match confirmation.timeout(at.now) {
                Some(step) => self.confirmation_step(at, call, &step),
                None => Some(call),
            },
            State::Released => None,
        }
    }

    /// Carries out what the attendant wants.
    pub(super) fn attendant_step(&mut self, at: At, mut call: Call, step: Step) -> Option<Call> {
        match step {
            Step::Play(prompts) => {
                self.play(&mut call, prompts);
                Some(call)
            }
            Step::Stop => {
                self.stop(&mut call);
                Some(call)
            }
            Step::Look(entry) => self.hear(at, call, entry),
            Step::LookNow(entry) => self.look(at, call, &entry),
            Step::HangUp => {
                self.hang_up(at, call, EndingParty::Bridge, HangupCause::Farewell);
                None
            }
            Step::GiveUp => {
                self.hang_up(at, call, EndingParty::Bridge, HangupCause::AttendantLimit);
                None
            }
        }
    }

    /// Whether keyed digits are looked up now, later, or not at all: decided before anybody knows whether they are right.
    fn hear(&mut self, at: At, mut call: Call, entry: Entry) -> Option<Call> {
        let verdict = self.keyer(&call).map(|keyer| self.ids.judge(at.now, &keyer));
        // Also of who is refused, or hangs up before the look.
        self.tell_alarms();
        let (entry, delay) = match verdict {
            None | Some(defense::Verdict::Judge(Duration::ZERO)) => return self.look(at, call, &entry),
            Some(defense::Verdict::Judge(delay)) => (Some(entry), delay),
            Some(defense::Verdict::Refuse(delay)) => {
                self.counters.ids_unheard += 1;
                (None, delay)
            }
        };
        self.counters.ids_slowed += 1;
        if let State::Attended { attendant, .. } = &mut call.state {
            attendant.ponder(entry, at.now + delay);
        }
        Some(call)
    }

    /// Who keys, as the defense counts.
    pub(super) fn keyer(&self, call: &Call) -> Option<defense::Keyer> {
        let record = call.ledger.record();
        let number = record.service_number.as_ref().and_then(|number| self.table.number(number));
        let tenant = number.and_then(|number| match &number.tenancy {
            Tenancy::Dedicated(tenant) => Some(tenant.clone()),
            Tenancy::Shared => None,
        });
        Some(defense::Keyer { number: record.caller.clone(), trunk: record.trunk.clone()?, tenant })
    }

    /// Tells what the defense has to tell.
    pub(super) fn tell_alarms(&mut self) {
        for alarm in self.ids.alarms().into_iter().chain(self.pins.alarms()) {
            self.command(Command::Alarm(alarm));
        }
    }

    /// Looks keyed digits up: into the meeting, or back to the attendant with a verdict.
    fn look(&mut self, at: At, mut call: Call, entry: &Entry) -> Option<Call> {
        let judgment = self.judge(at, &mut call, entry.as_str());
        if let Some(keyer) = self.keyer(&call) {
            if matches!(judgment, Judgment::Tell(Verdict::NotRecognized)) {
                self.ids.miss(at.now, &keyer);
                call.missed.push(entry.clone());
            } else {
                let slips =
                    std::mem::take(&mut call.missed).iter().filter(|missed| missed.slips_to(entry)).count();
                self.ids.hit(at.now, &keyer, entry.as_str(), slips.try_into().unwrap_or(0));
            }
            self.tell_alarms();
        }
        match judgment {
            Judgment::Join { meeting, decision, biller } => {
                self.counters.ids_accepted += 1;
                self.note_meeting(&mut call, &meeting, decision);
                call.ledger.billed_by(biller);
                self.arrive(at, call, &meeting)
            }
            Judgment::Tell(verdict) => {
                self.count(&verdict);
                let State::Attended { attendant, .. } = &mut call.state else { return Some(call) };
                let step = attendant.tell(at.now, verdict);
                self.attendant_step(at, call, step)
            }
        }
    }

    /// Rules D5 and D10 are judged here, the license rules between them by `routing`.
    fn judge(&mut self, at: At, call: &mut Call, digits: &str) -> Judgment {
        let record = call.ledger.record();
        let (Some(called), Some(trunk)) = (record.service_number.clone(), record.trunk.clone()) else {
            return Judgment::Tell(Verdict::NotRecognized);
        };
        let (meeting, expired) = match self.directory.find(digits, at.wall) {
            Lookup::Found(meeting) => (meeting, false),
            Lookup::Expired(meeting) => (meeting, true),
            Lookup::Unknown => return Judgment::Tell(Verdict::NotRecognized),
        };
        let request = LegRequest::DialIn { called: &called, trunk: &trunk, organizer: &meeting.organizer };
        let decision = routing::decide(&self.table, &request);
        let verdict = match &decision.outcome {
            Outcome::Refuse(refusal) => self.explain(&meeting, refusal),
            Outcome::Candidates(_) => Verdict::CannotJoin,
            Outcome::Admit { .. } if expired => Verdict::Expired,
            Outcome::Admit { .. } if self.is_locked(&meeting) => Verdict::Locked,
            Outcome::Admit { .. } if self.is_full(&meeting) => Verdict::Full,
            Outcome::Admit { biller, .. } => {
                let biller = biller.clone();
                return Judgment::Join { meeting, decision, biller };
            }
        };
        if verdict != Verdict::NotRecognized {
            self.note_meeting(call, &meeting, decision);
        }
        Judgment::Tell(verdict)
    }

    /// What a caller is told when the rules refuse: another tenant's meeting and one that has no dial-in at all sound
    /// like no meeting; what the caller or the organizer can mend is explained.
    fn explain(&self, meeting: &Meeting, refusal: &Refusal) -> Verdict {
        match refusal.rule {
            Rule::D5 | Rule::D6 => Verdict::NotRecognized,
            Rule::D7 => {
                let number = self.table.reachable_number(&meeting.organizer);
                Verdict::NumberNotIncluded(number.map(|number| number.number.to_string()))
            }
            _ => Verdict::CannotJoin,
        }
    }

    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::NotRecognized => self.counters.ids_wrong += 1,
            Verdict::Expired => self.counters.ids_expired += 1,
            _ => self.counters.ids_refused += 1,
        }
    }

    /// The record learns whose meeting it is and by which rules.
    pub(super) fn note_meeting(&self, call: &mut Call, meeting: &Meeting, decision: Decision) {
        let organizer = self.table.organizer(&meeting.organizer);
        let organizer = organizer.map(|organizer| (organizer.tenant.clone(), organizer.license));
        call.ledger.meeting(meeting, organizer, decision.because);
    }

    /// The start record did not become safe in time: nothing has begun, so nothing begins.
    fn give_up_unrecorded(&mut self, at: At, call: Call) {
        const CAUSE: &str = "usage record could not be written";
        if call.ledger.record().call_type == CallType::ConfIn {
            self.refuse(at, call, 503, EndingParty::Bridge, CAUSE, "");
        } else {
            let ending = Ending {
                result: CallResult::Failed,
                by: EndingParty::Bridge,
                cause: CAUSE,
                sip_status: 0,
                q850: None,
                reason: "",
            };
            let leg = call.leg;
            self.close(at, call, &ending, Command::Release { leg });
        }
    }

    /// Carries out what the question "press 1" wants.
    pub(super) fn confirmation_step(
        &mut self,
        at: At,
        mut call: Call,
        step: &confirmation::Step,
    ) -> Option<Call> {
        match step {
            confirmation::Step::Play(prompt) => {
                self.play(&mut call, vec![*prompt]);
                Some(call)
            }
            confirmation::Step::Join => {
                let conference = call.conference()?;
                self.join(at, &mut call, conference);
                Some(call)
            }
            confirmation::Step::HangUp => {
                self.hang_up(at, call, EndingParty::Bridge, HangupCause::NotConfirmed);
                None
            }
        }
    }
}
