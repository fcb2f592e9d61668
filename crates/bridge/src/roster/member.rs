//! Everybody in one conference as the API shows him: participants, callees, and who waits in the lobby.

use crate::id::{ConferenceId, LegId};
use crate::meeting::ConferenceCode;
use crate::policy::{Masking, Role};
use crate::stamp::Stamp;
use routing::{E164, LegDirection, OrganizerId};
use serde::Serialize;

/// Who has muted somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MutedBy {
    /// He himself.
    #[serde(rename = "self")]
    Own,
    /// An organizer or a user; he can end it.
    Organizer,
    /// An organizer or a user; he cannot end it.
    OrganizerHard,
}

/// One person in the conference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// The leg.
    pub leg: LegId,
    /// Dialed in, or called by the meeting.
    pub direction: LegDirection,
    /// The number, unless the caller asked for privacy.
    pub number: Option<E164>,
    /// The display name, cleaned, unless the caller asked for privacy.
    pub display: Option<String>,
    /// Since when.
    pub joined: Stamp,
    /// What he may do.
    pub role: Role,
    /// Not heard by the others.
    pub muted: bool,
    /// By whom, while he is.
    pub muted_by: Option<MutedBy>,
    /// Since when his hand is raised.
    pub hand: Option<Stamp>,
}

impl Participant {
    pub(super) fn mute(&mut self, by: Option<MutedBy>) {
        self.muted_by = by;
        self.muted = by.is_some();
    }
}

/// One person who is being called, or asked to confirm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Callee {
    /// The leg.
    pub leg: LegId,
    /// The number that is called.
    pub destination: E164,
    /// The attempt under way; 0 before the first INVITE.
    pub attempt: u32,
    /// The telephone rings.
    pub ringing: bool,
    /// Answered, and asked to press 1.
    pub confirming: bool,
}

/// One person who waits in the lobby.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The leg.
    pub leg: LegId,
    /// The number, unless the caller asked for privacy.
    pub number: Option<E164>,
    /// The display name, cleaned, unless the caller asked for privacy.
    pub display: Option<String>,
    /// Since when.
    pub since: Stamp,
}

/// One conference as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConferenceSnapshot {
    /// The mixing conference.
    pub conference: ConferenceId,
    /// What callers key.
    pub conference_id: ConferenceCode,
    /// Whose meeting it is.
    pub organizer: OrganizerId,
    /// Its subject.
    pub subject: String,
    /// Since when.
    pub opened: Stamp,
    /// How many may be in it.
    pub capacity: usize,
    /// Somebody who may start it is or was there.
    pub started: bool,
    /// Nobody may come in.
    pub locked: bool,
    /// Entry and exit are heard.
    pub announcements: bool,
    /// Who is in it, by leg.
    pub participants: Vec<Participant>,
    /// Who is being called, by leg.
    pub callees: Vec<Callee>,
    /// Who waits in the lobby, by leg.
    pub lobby: Vec<Waiting>,
    /// Raised hands, the first to be raised first.
    pub hands: Vec<LegId>,
    /// Who does not learn the numbers that are in it: for whoever shows it.
    #[serde(skip)]
    pub masking: Masking,
}
