//! What legs cost while they run: interim records, the warning before a limit ends a call, and the end itself.

use super::{At, Bridge};
use crate::budget::{BudgetKind, RHYTHM, Verdict};
use crate::call::Call;
use crate::command::{Command, HangupCause, Sound};
use crate::id::LegId;
use crate::prompt::PromptId;
use crate::spending::Spending;
use crate::tariff::Tariffs;
use crate::usage::{Bill, CallType, EndingParty};
use std::sync::Arc;

impl Bridge {
    /// From now on these prices and limits hold; `spent` is what an earlier run of this node has spent.
    pub fn set_tariffs(&mut self, tariffs: Arc<Tariffs>, spent: Spending) {
        self.budget.set(tariffs, spent, &self.table);
    }

    /// Other prices and limits, while legs run.
    pub(super) fn change_tariffs(&mut self, at: At, tariffs: Arc<Tariffs>) {
        self.budget.change(tariffs, &self.table);
        self.guard_at = self.budget.must_guard().then_some(at.now);
        // Interim records may be due at other times.
        let legs: Vec<LegId> = self.calls.keys().copied().collect();
        for leg in legs {
            self.with_call(leg, |_, call| Some(call));
        }
    }

    /// Whether dial-outs that run against a limit on money are refused because nobody knows what was spent before.
    pub fn is_spending_unread(&self) -> bool {
        self.budget.is_unread()
    }

    /// What a leg that ends now costs.
    pub(super) fn bill(&mut self, at: At, call: &Call) -> Bill {
        let lasted = call.ledger.lasted(at.now);
        if call.ledger.record().call_type == CallType::ConfIn {
            return self.budget.dial_in(&call.tariffs, call.ledger.record(), lasted);
        }
        let (bill, notices) = self.budget.finish(at.wall, call.leg, lasted);
        for notice in notices {
            self.command(Command::Budget(notice));
        }
        self.guard_at = self.guard_at.filter(|_| self.budget.must_guard());
        bill
    }

    /// Writes an interim record if one is due.
    pub(super) fn interim(&mut self, at: At, call: &mut Call) {
        let due = call.ledger.interim_due(self.budget.tariffs().interim);
        if due.is_none_or(|due| at.now < due) {
            return;
        }
        let lasted = call.ledger.lasted(at.now);
        let bill = match call.ledger.record().call_type {
            CallType::ConfIn => self.budget.dial_in(&call.tariffs, call.ledger.record(), lasted),
            CallType::ConfOut | CallType::CallMe => self.budget.so_far(call.leg, lasted),
        };
        let record = call.ledger.interim(at.now, at.wall, bill, &mut self.rng);
        self.command(Command::Usage(Box::new(record)));
    }

    /// A callee has answered: from now on it is looked at.
    pub(super) fn begin_spending(&mut self, at: At, leg: LegId) {
        self.budget.answered(at.now, leg);
        if self.budget.must_guard() {
            // What is left may be less than what the first look would find gone.
            self.guard_at = Some(at.now);
        }
    }

    /// Looks at what runs, once a second while something does.
    pub(super) fn guard_spending(&mut self, at: At) {
        if self.guard_at.is_none_or(|due| at.now < due) {
            return;
        }
        self.guard_at = None;
        if !self.budget.must_guard() {
            return;
        }
        let Verdict { warn, stop, notices } = self.budget.guard(at.now, at.wall);
        for notice in notices {
            self.command(Command::Budget(notice));
        }
        for leg in warn {
            self.warn(leg);
        }
        for (leg, kind) in stop {
            self.stop_spending(at, leg, kind);
        }
        if self.budget.must_guard() {
            self.guard_at = Some(at.now + RHYTHM);
        }
    }

    /// The meeting hears that the call will end; who was called does not.
    fn warn(&mut self, leg: LegId) {
        let conference = self.calls.get(&leg).and_then(|call| call.conference());
        if let Some(conference) = conference.filter(|conference| self.conferences.contains_key(conference)) {
            let sound = Sound::Prompts(vec![PromptId::SpendingLimitNear]);
            self.command(Command::PlayAll { conference, sound, except: Some(leg) });
        }
    }

    fn stop_spending(&mut self, at: At, leg: LegId, kind: BudgetKind) {
        if self.calls.contains_key(&leg) {
            self.with_call(leg, |bridge, call| {
                bridge.hang_up(at, call, EndingParty::Bridge, HangupCause::Budget(kind));
                None
            });
        }
    }
}
