//! What `decide` is asked and what it answers, as values that explain themselves.

use crate::ids::{OrganizerId, TrunkId};
use crate::number::E164;
use crate::owner::Biller;
use crate::service_number::ServiceNumber;
use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// One leg about which a decision is wanted.
#[derive(Clone, Copy)]
pub enum LegRequest<'a> {
    /// A caller keyed a conference ID: may this number serve that organizer's meeting?
    DialIn {
        /// The number the caller dialed.
        called: &'a E164,
        /// The trunk the INVITE came on.
        trunk: &'a TrunkId,
        /// Whose meeting it is.
        organizer: &'a OrganizerId,
    },
    /// Somebody wants the conference to dial a number.
    DialOut {
        /// Whose meeting it is; its license and policy decide, no matter who dials.
        organizer: &'a OrganizerId,
        /// The number as keyed; normalized here with the tenant's dial plan.
        dialed: &'a str,
        /// Who asked.
        initiator: Initiator,
        /// Whether a trunk is Down at this moment.
        down: &'a dyn Fn(&TrunkId) -> bool,
    },
}

/// Who asked for a dial-out (rule O2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// An authenticated user of the organizer's own organization.
    Member,
    /// An authenticated user of another organization.
    Guest {
        /// Whether an authenticated member of the organizer's organization is in the meeting.
        member_present: bool,
    },
    /// Nobody we can name: a phone caller or an unauthenticated participant.
    Anonymous {
        /// Whether an authenticated member of the organizer's organization is in the meeting.
        member_present: bool,
    },
}

/// The row of the decision table that spoke. D: dial-in, O: dial-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the rows are described in `Rule::meaning`, once
pub enum Rule {
    D1,
    D2,
    D3,
    D4,
    D5,
    D6,
    D7,
    D8,
    D9,
    D10,
    D11,
    O1,
    O2,
    O3,
    O4,
    O5,
    O6,
    O7,
    O8,
}

impl Rule {
    /// The row in one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::D1 => "a number that belongs to no bridge is not answered",
            Self::D2 => "a number is served only on a trunk of its owner",
            Self::D3 => "a suspended number is not answered",
            Self::D4 => "a dedicated number knows its tenant, a shared one learns it from the conference ID",
            Self::D5 => "a conference ID is known only on the numbers of its own tenant's bridge",
            Self::D6 => "an organizer without a conferencing license has no meeting by phone",
            Self::D7 => "the license must include numbers of this owner",
            Self::D8 => "a toll-free number serves only organizers who allow it",
            Self::D9 => "minutes that are charged to credits need credits",
            Self::D10 => "a locked or full meeting takes nobody",
            Self::D11 => "otherwise the caller is let in",
            Self::O1 => {
                "some destinations are never dialed, others only as the organizer's dial-out policy allows"
            }
            Self::O2 => "somebody of the organizer's organization must be there, and strangers need leave",
            Self::O3 => "without a conferencing license the bridge does not dial",
            Self::O4 => "a route with a bridge source number goes through the operator who provides it",
            Self::O5 => "a route with a gateway list goes through these gateways",
            Self::O6 => "where no route matches, Microsoft carries the call",
            Self::O7 => {
                "under Operator Connect Conferencing no matching route means no call, never Microsoft"
            }
            Self::O8 => "a government tenant's unmatched call is not routed",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self:?}")
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One step on the way to a decision, for a person to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Because {
    /// The row that spoke.
    pub rule: Rule,
    /// What it said, with the names and numbers of this leg.
    pub text: String,
}

impl fmt::Display for Because {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.rule, self.text)
    }
}

/// The answer. `because` is never empty and its last entry is the row that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What to do.
    pub outcome: Outcome,
    /// Why, step by step.
    pub because: Vec<Because>,
}

impl Decision {
    /// The row that decided.
    pub fn rule(&self) -> Rule {
        self.because.last().expect("a decision is only made through `Trace`, which ends with a step").rule
    }
}

/// What to do with the leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Dial-in: the number may serve this organizer's meeting.
    Admit {
        /// The number that was dialed.
        number: Arc<ServiceNumber>,
        /// Who bills the leg: the number's owner.
        biller: Biller,
    },
    /// Dial-out: try these in order, the next one on a failover-class answer only. Never empty.
    Candidates(Vec<Candidate>),
    /// Neither.
    Refuse(Refusal),
}

/// One trunk that may carry a dial-out leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The trunk to send the INVITE to.
    pub trunk: TrunkId,
    /// The number to dial.
    pub dialed: E164,
    /// The number to show; it differs between candidates.
    pub caller_id: E164,
    /// Who bills the leg if this candidate carries it.
    pub biller: Biller,
    /// The voice route's name; `None` where no route matched and Microsoft carries the call (O6).
    pub route: Option<String>,
    /// The row that put it on the list.
    pub rule: Rule,
    /// The trunk was Down when the decision was made, so it comes after all that were not.
    pub down: bool,
    /// Why this trunk and this caller ID, in one sentence.
    pub because: String,
}

/// No, with the row, the SIP status and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{rule}: {because}")]
pub struct Refusal {
    /// The row that refused.
    pub rule: Rule,
    /// What kind of no, for counting and for choosing the prompt.
    pub kind: RefusalKind,
    /// The final SIP status where the leg is not answered yet.
    pub status: u16,
    /// Why, and what would change it, in one sentence.
    pub because: String,
}

/// The kinds of no. *No route matches* and *the matched route is down* are different kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// The called number belongs to no bridge (D1), or not to the meeting's tenant (D5).
    UnknownNumber,
    /// The number came on a trunk that is not its owner's (D2).
    WrongTrunk,
    /// The number is suspended (D3).
    Suspended,
    /// The organizer has no license, or the license excludes this number or destination (D6, D7, O3).
    License,
    /// The organizer does not allow toll-free dial-in (D8).
    TollFree,
    /// The tenant's Communications Credits are used up (D9, O6).
    Credits,
    /// What was keyed is no number (O1).
    BadNumber,
    /// Emergency and short numbers are never dialed (O1).
    NeverDialed,
    /// A premium rate or a blocked prefix (O1).
    Blocked,
    /// The organizer's dial-out policy does not reach there (O1).
    DialOutPolicy,
    /// This initiator may not dial out now (O2).
    Initiator,
    /// No route leads there (O6, O7).
    NoRoute,
    /// A route matched, but everything it leads to is down and it names no fallback (O4, O5, O6).
    RouteDown,
}

impl RefusalKind {
    /// The final SIP status that tells a peer the same.
    pub fn status(self) -> u16 {
        match self {
            Self::UnknownNumber | Self::NoRoute => 404,
            Self::Suspended => 480,
            Self::BadNumber => 484,
            Self::RouteDown => 503,
            Self::WrongTrunk
            | Self::License
            | Self::TollFree
            | Self::Credits
            | Self::NeverDialed
            | Self::Blocked
            | Self::DialOutPolicy
            | Self::Initiator => 403,
        }
    }

    /// A word for a metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::UnknownNumber => "unknown-number",
            Self::WrongTrunk => "wrong-trunk",
            Self::Suspended => "suspended",
            Self::License => "license",
            Self::TollFree => "toll-free",
            Self::Credits => "credits",
            Self::BadNumber => "bad-number",
            Self::NeverDialed => "never-dialed",
            Self::Blocked => "blocked",
            Self::DialOutPolicy => "dial-out-policy",
            Self::Initiator => "initiator",
            Self::NoRoute => "no-route",
            Self::RouteDown => "route-down",
        }
    }
}
