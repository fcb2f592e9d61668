//! Every way a leg ends. All of them come through [`Bridge::close`], which consumes the call: one final record, one
//! last command, and the seat is free.

use super::{At, Bridge};
use crate::call::{Call, Pending, State};
use crate::command::{Command, HangupCause};
use crate::event::{EndedBy, LegEnd};
use crate::id::{ConferenceId, LegId};
use crate::usage::{CallResult, Ending, EndingParty};

impl Bridge {
    /// Writes the final record, gives the last command, clears up behind the leg.
    pub(super) fn close(&mut self, at: At, call: Call, ending: &Ending<'_>, last: Command) {
        self.remember(at, &call, ending.by);
        self.pins.leave(at.now, call.leg);
        let (leg, room, conference) = (call.leg, call.room(), call.conference());
        let bill = self.bill(at, &call);
        let record = call.ledger.finish(at.now, at.wall, ending, bill, &mut self.rng);
        self.command(Command::Usage(Box::new(record)));
        self.command(last);
        if let Some(room) = room {
            self.command(Command::CloseConference { conference: room });
        }
        if let Some(conference) = conference {
            self.give_seat_back(at, leg, conference, ending.by == EndingParty::Network);
        }
    }

    /// Refuses an INVITE that was not answered.
    pub(super) fn refuse(
        &mut self,
        at: At,
        call: Call,
        status: u16,
        by: EndingParty,
        cause: &'static str,
        because: &str,
    ) {
        let leg = call.leg;
        let result = CallResult::Refused;
        let ending = Ending { result, by, cause, sip_status: status, q850: None, reason: because };
        let reason = if because.is_empty() { cause.to_owned() } else { because.to_owned() };
        self.close(at, call, &ending, Command::Refuse { leg, status, reason });
    }

    /// Hangs up a leg that was answered or is being dialed.
    pub(super) fn hang_up(&mut self, at: At, call: Call, by: EndingParty, cause: HangupCause) {
        let leg = call.leg;
        let result = if call.ledger.is_answered() { CallResult::Answered } else { CallResult::Cancelled };
        let ending =
            Ending { result, by, cause: cause.text(), sip_status: 0, q850: Some(cause.q850()), reason: "" };
        self.close(at, call, &ending, Command::Hangup { leg, cause });
    }

    /// Ends a leg in whatever state it is.
    fn end(&mut self, at: At, call: Call, by: EndingParty, cause: HangupCause, refusal: u16) {
        match &call.state {
            State::Recording { pending: Pending::Answer, .. } => {
                self.refuse(at, call, refusal, by, cause.text(), "");
            }
            State::Recording { pending: Pending::Dial(_), .. } => {
                let leg = call.leg;
                let ending = Ending {
                    result: CallResult::Cancelled,
                    by,
                    cause: cause.text(),
                    sip_status: 0,
                    q850: None,
                    reason: "",
                };
                self.close(at, call, &ending, Command::Release { leg });
            }
            _ => self.hang_up(at, call, by, cause),
        }
    }

    /// The far end, the network or the shell ended the leg.
    pub(super) fn ended(&mut self, at: At, mut call: Call, end: &LegEnd) -> Option<Call> {
        let answer_failed = matches!(end.by, EndedBy::Cancel | EndedBy::Media);
        if answer_failed && matches!(call.state, State::Answered { .. }) {
            call.ledger.retract_answer();
        }
        let result = match end.by {
            _ if call.ledger.is_answered() => CallResult::Answered,
            EndedBy::Bye | EndedBy::Cancel => CallResult::Cancelled,
            EndedBy::AckTimeout | EndedBy::DialogGone | EndedBy::Transport | EndedBy::Media => {
                CallResult::Failed
            }
        };
        let (by, cause) = match end.by {
            EndedBy::Bye => (EndingParty::FarEnd, "bye"),
            EndedBy::Cancel => (EndingParty::FarEnd, "cancel"),
            EndedBy::AckTimeout => (EndingParty::Network, "no ACK"),
            EndedBy::DialogGone => (EndingParty::Network, "dialog gone"),
            EndedBy::Transport => (EndingParty::Network, "connection failed"),
            EndedBy::Media => (EndingParty::Bridge, "media could not be served"),
        };
        let ending =
            Ending { result, by, cause, sip_status: end.sip_status, q850: end.q850, reason: &end.reason };
        let leg = call.leg;
        self.close(at, call, &ending, Command::Release { leg });
        None
    }

    /// Nothing is heard from the far end any more. Only a leg whose media is seated can fall silent. While neither ACK
    /// nor media has come, that is what is missing: the dialog's timer, or else [`crate::BridgeConfig::setup`], ends it.
    pub(super) fn media_silent(&mut self, at: At, call: Call) -> Option<Call> {
        let greeted = !matches!(call.state, State::Answered { .. });
        if greeted && call.ledger.is_answered() {
            self.hang_up(at, call, EndingParty::Network, HangupCause::MediaSilent);
            None
        } else {
            Some(call)
        }
    }

    /// A user removes the leg.
    pub(super) fn removed(&mut self, at: At, call: Call) -> Option<Call> {
        self.end(at, call, EndingParty::User, HangupCause::Removed, 480);
        None
    }

    /// The conference a callee was called for is empty.
    pub(super) fn nobody_left(&mut self, at: At, call: Call) -> Option<Call> {
        self.end(at, call, EndingParty::Bridge, HangupCause::NobodyLeft, 480);
        None
    }

    /// A conference ends: everybody in it, in its lobby, and being called for it. No tones for those who go.
    pub(super) fn end_conference(
        &mut self,
        at: At,
        conference: ConferenceId,
        by: EndingParty,
        cause: HangupCause,
    ) {
        let Some(roster) = self.forget_conference(conference) else {
            self.counters.events_ignored += 1;
            return;
        };
        for leg in roster.legs() {
            self.with_call(leg, |bridge, call| {
                bridge.end(at, call, by, cause, 480);
                None
            });
        }
        self.command(Command::CloseConference { conference });
    }

    /// No new work. Whoever was not answered or dialed yet is turned away, so that the SBC can go elsewhere at once.
    pub(super) fn drain(&mut self, at: At) {
        self.draining = true;
        let waiting: Vec<LegId> = self
            .calls
            .values()
            .filter(|call| matches!(call.state, State::Recording { .. }))
            .map(|call| call.leg)
            .collect();
        for leg in waiting {
            self.with_call(leg, |bridge, call| {
                bridge.end(at, call, EndingParty::Bridge, HangupCause::Drain, 503);
                None
            });
        }
    }

    /// Everything ends now, with its records.
    pub(super) fn drain_now(&mut self, at: At) {
        self.draining = true;
        // The conferences go first: nobody needs to hear tones of leaving.
        let conferences: Vec<ConferenceId> = self.conferences.keys().copied().collect();
        self.conferences.clear();
        self.open.clear();
        self.curfews.clear();
        let legs: Vec<LegId> = self.calls.keys().copied().collect();
        for leg in legs {
            self.with_call(leg, |bridge, call| {
                bridge.end(at, call, EndingParty::Bridge, HangupCause::Drain, 503);
                None
            });
        }
        for conference in conferences {
            self.command(Command::CloseConference { conference });
        }
    }
}
