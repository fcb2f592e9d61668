//! Who is in one conference, and who is being called for it. Counts seats; knows no media and no timers.

use crate::command::Tone;
use crate::id::{ConferenceId, LegId};
use crate::meeting::{ConferenceCode, Meeting};
use crate::stamp::Stamp;
use routing::{E164, LegDirection, OrganizerId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

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
    /// Not heard by the others.
    pub muted: bool,
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
    /// Who is in it, by leg.
    pub participants: Vec<Participant>,
    /// Who is being called, by leg.
    pub callees: Vec<Callee>,
}

/// The members of one open conference.
#[derive(Debug)]
pub(crate) struct Roster {
    conference: ConferenceId,
    meeting: Arc<Meeting>,
    opened: Stamp,
    seats: usize,
    participants: BTreeMap<LegId, Participant>,
    callees: BTreeMap<LegId, Callee>,
    /// When each kind of tone was played last.
    tones: [Option<Instant>; 2],
}

/// A tone stands for everyone who came, or went, within so long after it: a hundred people who join at nine o'clock make a few
/// tones and not a train of them.
const TONES_APART: Duration = Duration::from_secs(2);

impl Roster {
    pub(crate) fn new(
        conference: ConferenceId,
        meeting: Arc<Meeting>,
        seats: usize,
        wall: SystemTime,
    ) -> Self {
        Self {
            conference,
            meeting,
            opened: Stamp(wall),
            seats,
            participants: BTreeMap::new(),
            callees: BTreeMap::new(),
            tones: [None; 2],
        }
    }

    /// Whether this tone is to be played now; then the next of its kind is not for [`TONES_APART`].
    pub(crate) fn may_play(&mut self, now: Instant, tone: Tone) -> bool {
        let last = match tone {
            Tone::Entry => &mut self.tones[0],
            Tone::Exit => &mut self.tones[1],
            // It has a rhythm of its own.
            Tone::RingBack => return true,
        };
        if last.is_some_and(|last| now.saturating_duration_since(last) < TONES_APART) {
            return false;
        }
        *last = Some(now);
        true
    }

    /// Whether nobody more fits in, under the meeting's present capacity. Who is being called has a seat already.
    pub(crate) fn is_full(&self, capacity: usize) -> bool {
        self.participants.len() + self.callees.len() >= self.seats.min(capacity)
    }

    pub(crate) fn meeting(&self) -> &Arc<Meeting> {
        &self.meeting
    }

    pub(crate) fn is_deserted(&self) -> bool {
        self.participants.is_empty() && self.callees.is_empty()
    }

    pub(crate) fn participants(&self) -> usize {
        self.participants.len()
    }

    /// Everybody who has a seat, by leg.
    pub(crate) fn legs(&self) -> Vec<LegId> {
        self.participants.keys().chain(self.callees.keys()).copied().collect()
    }

    /// Everybody who is being called.
    pub(crate) fn callees(&self) -> impl Iterator<Item = &Callee> {
        self.callees.values()
    }

    pub(crate) fn callee_mut(&mut self, leg: LegId) -> Option<&mut Callee> {
        self.callees.get_mut(&leg)
    }

    /// Reserves a seat for somebody who will be called.
    pub(crate) fn reserve(&mut self, leg: LegId, destination: E164) {
        let callee = Callee { leg, destination, attempt: 0, ringing: false, confirming: false };
        self.callees.insert(leg, callee);
    }

    /// Somebody joins; a reserved seat becomes a taken one.
    pub(crate) fn join(&mut self, participant: Participant) {
        self.callees.remove(&participant.leg);
        self.participants.insert(participant.leg, participant);
    }

    /// Gives the seat back. Whether it was taken, not only reserved.
    pub(crate) fn leave(&mut self, leg: LegId) -> bool {
        self.callees.remove(&leg);
        self.participants.remove(&leg).is_some()
    }

    /// Turns mute over; the new state, or `None` for a stranger.
    pub(crate) fn toggle_mute(&mut self, leg: LegId) -> Option<bool> {
        let participant = self.participants.get_mut(&leg)?;
        participant.muted = !participant.muted;
        Some(participant.muted)
    }

    pub(crate) fn snapshot(&self) -> ConferenceSnapshot {
        ConferenceSnapshot {
            conference: self.conference,
            conference_id: self.meeting.conference_id.clone(),
            organizer: self.meeting.organizer.clone(),
            subject: self.meeting.subject.clone(),
            opened: self.opened,
            capacity: self.seats,
            participants: self.participants.values().cloned().collect(),
            callees: self.callees.values().cloned().collect(),
        }
    }
}
