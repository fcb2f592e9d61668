//! What another table would have said: decisions that were made, made again.

use crate::decide::{admit, decide};
use crate::decision::{Initiator, LegRequest, Outcome, Rule};
use crate::ids::{OrganizerId, TrunkId};
use crate::number::E164;
use crate::owner::Biller;
use crate::table::Table;
use serde::Serialize;

/// What was to be decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "direction", rename_all = "kebab-case")]
pub enum Asked {
    /// A caller on this number and trunk, for a meeting of this organizer; without one he has keyed no ID of a meeting.
    DialIn {
        /// The number he dialed.
        number: E164,
        /// The trunk he came on.
        trunk: TrunkId,
        /// Whose meeting it was.
        organizer: Option<OrganizerId>,
    },
    /// A meeting of this organizer called somebody.
    DialOut {
        /// Whose meeting it was.
        organizer: OrganizerId,
        /// The number as it was typed.
        number: String,
        /// The trunks that were down.
        down: Vec<TrunkId>,
    },
}

/// How it was decided, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Came {
    /// The leg is carried.
    pub carried: bool,
    /// The trunk that carries it: of a dial-out the first that is tried.
    pub trunk: Option<TrunkId>,
    /// Of a dial-out the number that is shown.
    pub caller_id: Option<E164>,
    /// Who bills it.
    pub biller: Option<Biller>,
    /// The row that decided, where it is known.
    pub rule: Option<Rule>,
    /// Why.
    pub because: String,
}

/// In what two of them differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It was carried and would be refused.
    Fails,
    /// It was refused and would be carried.
    Succeeds,
    /// Another trunk is tried first.
    Trunk,
    /// Another number is shown.
    CallerId,
    /// Somebody else bills it.
    Biller,
}

impl Asked {
    /// What a table says.
    pub fn on(&self, table: &Table) -> Came {
        match self {
            Self::DialIn { number, trunk, organizer: Some(organizer) } => {
                of(table, Some(trunk), &LegRequest::DialIn { called: number, trunk, organizer })
            }
            Self::DialIn { number, trunk, organizer: None } => match admit(table, number, trunk) {
                Ok(number) => Came {
                    carried: true,
                    trunk: Some(trunk.clone()),
                    caller_id: None,
                    biller: Some(Biller::from(number.owner.clone())),
                    rule: None,
                    because: format!("{} is answered on trunk {trunk}", number.number),
                },
                Err(refusal) => Came::refused(refusal.rule, refusal.because),
            },
            Self::DialOut { organizer, number, down } => {
                let is_down = |trunk: &TrunkId| down.contains(trunk);
                let initiator = Initiator::Member;
                of(table, None, &LegRequest::DialOut { organizer, dialed: number, initiator, down: &is_down })
            }
        }
    }
}

/// A dial-in has come on a trunk.
fn of(table: &Table, came_on: Option<&TrunkId>, request: &LegRequest<'_>) -> Came {
    let decision = decide(table, request);
    let because = decision.because.last().map(|step| step.text.clone()).unwrap_or_default();
    let (rule, carried) = (Some(decision.rule()), true);
    match decision.outcome {
        Outcome::Refuse(refusal) => Came::refused(refusal.rule, refusal.because),
        Outcome::Admit { biller, .. } => {
            Came { carried, trunk: came_on.cloned(), caller_id: None, biller: Some(biller), rule, because }
        }
        Outcome::Candidates(candidates) => {
            let first = candidates.into_iter().next();
            let (trunk, caller_id, biller) = first
                .map(|one| (one.trunk, one.caller_id, one.biller))
                .map_or((None, None, None), |one| (Some(one.0), Some(one.1), Some(one.2)));
            Came { carried, trunk, caller_id, biller, rule, because }
        }
    }
}

impl Came {
    /// It is not carried.
    pub fn refused(rule: Rule, because: String) -> Self {
        Self { carried: false, trunk: None, caller_id: None, biller: None, rule: Some(rule), because }
    }

    /// In what `now` differs; in nothing where it is empty. What is not known of one of them is no difference.
    pub fn against(&self, now: &Self) -> Vec<Difference> {
        match (self.carried, now.carried) {
            (true, false) => return vec![Difference::Fails],
            (false, true) => return vec![Difference::Succeeds],
            _ => {}
        }
        let differs = [
            (differ(self.trunk.as_ref(), now.trunk.as_ref()), Difference::Trunk),
            (differ(self.caller_id.as_ref(), now.caller_id.as_ref()), Difference::CallerId),
            (differ(self.biller.as_ref(), now.biller.as_ref()), Difference::Biller),
        ];
        differs.into_iter().filter_map(|(differs, what)| differs.then_some(what)).collect()
    }
}

fn differ<T: PartialEq>(was: Option<&T>, now: Option<&T>) -> bool {
    was.zip(now).is_some_and(|(was, now)| was != now)
}
