//! The decision: a leg, a table and who is down now -> which trunks, or whether to let in, or why not.
//!
//! The rules D1 to D11 and O1 to O8 are the rows of one decision table, read from the top; see [`Rule::meaning`].
//! D10 (locked or full) is judged by the bridge, which knows the meeting. Nothing here has a clock, a random number
//! or a memory: the same table, request and set of down trunks give the same decision.

mod dial_in;
mod dial_out;

use crate::decision::{Because, Decision, LegRequest, Outcome, Refusal, RefusalKind, Rule};
use crate::ids::{TenantId, TrunkId};
use crate::number::E164;
use crate::service_number::ServiceNumber;
use crate::table::Table;
use std::sync::Arc;

/// Rules D1 to D3, before a call is answered: is this number ours, on this trunk, and in service?
pub fn admit<'t>(
    table: &'t Table,
    called: &E164,
    trunk: &TrunkId,
) -> Result<&'t Arc<ServiceNumber>, Refusal> {
    dial_in::admit(table, called, trunk)
}

/// Decides about one leg. The `because` holds the steps that mattered.
pub fn decide(table: &Table, request: &LegRequest<'_>) -> Decision {
    run(table, request, Trace { because: Vec::with_capacity(4), every_step: false, reader: None })
}

/// The same decision with every step in its `because`, also the routes that did not match: for a person who asks.
pub fn explain(table: &Table, request: &LegRequest<'_>) -> Decision {
    run(table, request, Trace { because: Vec::new(), every_step: true, reader: None })
}

/// The same for somebody of one tenant: what is said names no trunk and no number of another tenant, and such a number is
/// to be dialed like one that no bridge has.
///
/// The candidates themselves still hold their trunks: whoever shows them leaves those out.
pub fn explain_to(table: &Table, request: &LegRequest<'_>, reader: &TenantId) -> Decision {
    run(table, request, Trace { because: Vec::new(), every_step: true, reader: Some(reader) })
}

fn run(table: &Table, request: &LegRequest<'_>, mut trace: Trace<'_>) -> Decision {
    let outcome = match *request {
        LegRequest::DialIn { called, trunk, organizer } => {
            dial_in::decide(table, called, trunk, organizer, &mut trace)
        }
        LegRequest::DialOut { organizer, dialed, initiator, down } => {
            let ask = dial_out::Ask { organizer, dialed, initiator, down };
            dial_out::decide(table, &ask, &mut trace)
        }
    };
    let outcome = outcome.unwrap_or_else(|refusal| {
        trace.step(refusal.rule, refusal.because.clone());
        Outcome::Refuse(refusal)
    });
    Decision { outcome, because: trace.because }
}

/// The steps so far.
struct Trace<'a> {
    because: Vec<Because>,
    every_step: bool,
    /// Whose eyes this is for; `None`: the deployment's.
    reader: Option<&'a TenantId>,
}

impl Trace<'_> {
    /// A step that mattered.
    fn step(&mut self, rule: Rule, text: String) {
        self.because.push(Because { rule, text });
    }

    /// A step that only a person who asks wants to see; not even written otherwise.
    fn detail(&mut self, rule: Rule, text: impl FnOnce() -> String) {
        if self.every_step {
            self.step(rule, text());
        }
    }

    /// The same with names in it that are the deployment's own.
    fn secret(&mut self, rule: Rule, text: impl FnOnce() -> String) {
        if self.reader.is_none() {
            self.detail(rule, text);
        }
    }

    /// Whether the reader may know that this number is a bridge's.
    fn knows(&self, number: &ServiceNumber) -> bool {
        self.reader.is_none_or(|tenant| number.tenancy.serves(tenant))
    }
}

fn refusal(rule: Rule, kind: RefusalKind, because: String) -> Refusal {
    Refusal { rule, kind, status: kind.status(), because }
}
