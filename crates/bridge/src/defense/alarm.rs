//! What is told to whoever watches.

use routing::{OrganizerId, TenantId, TrunkId};

/// What is being guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guessed {
    /// Conference IDs.
    Ids,
    /// An organizer's PIN.
    Pins,
}

impl Guessed {
    /// As metrics and events have it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ids => "conference_id",
            Self::Pins => "pin",
        }
    }
}

/// What the bridge does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum AlarmLevel {
    /// Nothing.
    #[default]
    Calm,
    /// Judgments come later.
    Slowed,
    /// Most entries are refused without being looked at.
    Refused,
}

impl AlarmLevel {
    /// As metrics and events have it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Slowed => "slowed",
            Self::Refused => "refused",
        }
    }
}

/// Whose errors were counted together. A caller's number is not told: the usage records have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmScope {
    /// One caller, last on this trunk.
    Caller(TrunkId),
    /// Who hides his number, on this trunk.
    Anonymous(TrunkId),
    /// All of one trunk.
    Trunk(TrunkId),
    /// All of a tenant's dedicated numbers.
    Tenant(TenantId),
    /// All.
    Bridge,
    /// All who tried this organizer's PIN.
    Organizer(OrganizerId),
}

impl AlarmScope {
    /// As metrics and events have it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Caller(_) => "caller",
            Self::Anonymous(_) => "anonymous",
            Self::Trunk(_) => "trunk",
            Self::Tenant(_) => "tenant",
            Self::Bridge => "bridge",
            Self::Organizer(_) => "organizer",
        }
    }
}

/// Somebody seems to guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub guessed: Guessed,
    /// Where.
    pub scope: AlarmScope,
    /// What is done about it.
    pub level: AlarmLevel,
    /// How many entries were wrong within the window; of PINs no more than 128 are counted.
    pub wrong: usize,
    /// How many conference IDs within the window existed, each of them so often at most as one ID counts; 0 where that is not counted.
    pub hits: usize,
}
