//! Routing decisions, told to whoever keeps the last of them.

use bridge::{CallResult, CallType, Record};
use routing::{Asked, Came, OrganizerId, Rule, Table, TrunkId};

use super::{Control, Door, Now, Output};
use crate::what_if::Made;

/// A dial-out, decided as the bridge decides it: that is a pure function.
pub(super) fn dial_out(
    table: &Table,
    organizer: &OrganizerId,
    dialed: &str,
    down: &[TrunkId],
) -> (Asked, Came) {
    let asked =
        Asked::DialOut { organizer: organizer.clone(), number: dialed.to_owned(), down: down.to_vec() };
    let came = asked.on(table);
    (asked, came)
}

/// A dial-in, as its final record tells it; `None` for a leg that was never judged.
fn dial_in(record: &Record) -> Option<(Asked, Came)> {
    if record.call_type != CallType::ConfIn {
        return None;
    }
    let (number, trunk) = (record.service_number.clone()?, record.trunk.clone()?);
    let last = record.decision.last();
    let carried = match last {
        Some(step) => step.rule == Rule::D11,
        None => record.end.as_ref()?.result != CallResult::Refused,
    };
    let came = Came {
        carried,
        trunk: carried.then(|| trunk.clone()),
        caller_id: None,
        biller: record.biller.clone().filter(|_| carried),
        rule: last.map(|step| step.rule),
        because: last.map(|step| step.text.clone()).unwrap_or_default(),
    };
    Some((Asked::DialIn { number, trunk, organizer: record.organizer.clone() }, came))
}

impl<D: Door> Control<D> {
    pub(super) fn tell_decision(&mut self, now: Now, (asked, was): (Asked, Came)) {
        self.outputs.push_back(Output::Decided(Box::new(Made { at: now.wall, asked, was })));
    }

    /// What a final record says of the decision about a dial-in.
    pub(super) fn tell_dial_in(&mut self, now: Now, record: &Record) {
        if let Some(decided) = dial_in(record) {
            self.tell_decision(now, decided);
        }
    }
}
