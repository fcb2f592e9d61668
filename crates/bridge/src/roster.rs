//! Who is in one conference, who is being called for it, and who waits in its lobby. Counts seats; knows no media and no timers.

mod member;
mod names;

use crate::announcing::Announcing;
use crate::command::{HangupCause, Tone};
use crate::end_rules::Course;
use crate::id::{ConferenceId, LegId};
use crate::meeting::Meeting;
use crate::naming::SpokenName;
use crate::policy::{Announcements, RecordingNotice, Role};
use crate::returning::Standing;
use crate::stamp::Stamp;
use routing::E164;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use member::{Callee, ConferenceSnapshot, MutedBy, Participant, Waiting};

/// The members of one open conference.
#[derive(Debug)]
pub(crate) struct Roster {
    conference: ConferenceId,
    meeting: Arc<Meeting>,
    opened: Stamp,
    seats: usize,
    participants: BTreeMap<LegId, Participant>,
    callees: BTreeMap<LegId, Callee>,
    lobby: BTreeMap<LegId, Waiting>,
    started: bool,
    /// What somebody in the meeting, or a user, has said about the lock; before that the directory's word counts.
    lock: Option<bool>,
    announcements: bool,
    /// It is being recorded, at this moment.
    pub(crate) recorded: bool,
    /// What those in it, and in its lobby, have said as their names.
    names: BTreeMap<LegId, SpokenName>,
    /// The names of those who have gone, by number, for when they come back.
    absent: VecDeque<(Instant, E164, SpokenName)>,
    /// Who is to be announced.
    announcing: Announcing,
    /// Everybody was muted, and so hard.
    all_muted: Option<bool>,
    /// When each kind of tone was played last.
    tones: [Option<Instant>; 2],
    /// When organizers were told last that somebody waits.
    told_of_lobby: Option<Instant>,
    /// What the end rules go by.
    course: Course,
    /// When an organizer whose line dropped must be back, where the meeting ends with him.
    organizer_due: Option<Instant>,
    /// When it ends and why, once everybody has been told.
    closing: Option<(Instant, HangupCause)>,
    /// The entry in the bridge's timer index.
    pub(crate) scheduled: Option<Instant>,
}

/// A tone stands for everyone who came, or went, within so long after it: a hundred people who join at nine o'clock make a few
/// tones and not a train of them.
const TONES_APART: Duration = Duration::from_secs(2);
/// As it is with organizers who are told of the lobby.
const LOBBY_TOLD_APART: Duration = Duration::from_secs(15);

/// What became of a wish to mute or unmute oneself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Toggled {
    Muted,
    Unmuted,
    /// Muted hard: only an organizer can end it.
    Barred,
}

/// Why a meeting is due to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Who has come and gone is to be said.
    Announce,
    /// Everybody has been told: now it ends.
    Close(HangupCause),
    /// The name of somebody who has gone is to be forgotten.
    Fade,
    /// Everybody is to be told.
    Tell(HangupCause),
}

impl Roster {
    pub(crate) fn new(
        conference: ConferenceId,
        meeting: Arc<Meeting>,
        seats: usize,
        now: Instant,
        wall: SystemTime,
    ) -> Self {
        Self {
            conference,
            opened: Stamp(wall),
            seats,
            participants: BTreeMap::new(),
            callees: BTreeMap::new(),
            lobby: BTreeMap::new(),
            started: false,
            lock: None,
            announcements: meeting.policy.announcements != Announcements::Off,
            recorded: false,
            names: BTreeMap::new(),
            absent: VecDeque::new(),
            announcing: Announcing::default(),
            all_muted: None,
            tones: [None; 2],
            told_of_lobby: None,
            course: Course::new(now),
            organizer_due: None,
            closing: None,
            scheduled: None,
            meeting,
        }
    }

    /// Whether this tone is to be played now; then the next of its kind is not for [`TONES_APART`].
    pub(crate) fn may_play(&mut self, now: Instant, tone: Tone) -> bool {
        let last = match tone {
            Tone::Entry => &mut self.tones[0],
            Tone::Exit => &mut self.tones[1],
            // It has a rhythm of its own.
            Tone::RingBack | Tone::Name => return true,
        };
        if !self.announcements || last.is_some_and(|last| now.saturating_duration_since(last) < TONES_APART) {
            return false;
        }
        *last = Some(now);
        true
    }

    /// Whether organizers are to be told now that somebody waits.
    pub(crate) fn may_tell_of_lobby(&mut self, now: Instant) -> bool {
        let last = self.told_of_lobby;
        if last.is_some_and(|last| now.saturating_duration_since(last) < LOBBY_TOLD_APART) {
            return false;
        }
        self.told_of_lobby = Some(now);
        true
    }

    /// Whether nobody more fits in, under the meeting's present capacity. Who is being called has a seat already, and who waits
    /// in the lobby as well: otherwise nobody could be let in.
    pub(crate) fn is_full(&self, capacity: usize) -> bool {
        self.participants.len() + self.callees.len() + self.lobby.len() >= self.seats.min(capacity)
    }

    pub(crate) fn meeting(&self) -> &Arc<Meeting> {
        &self.meeting
    }

    pub(crate) fn is_deserted(&self) -> bool {
        self.participants.is_empty() && self.callees.is_empty() && self.lobby.is_empty()
    }

    /// Whether somebody who may start it is or was there.
    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    /// It starts; whether it had not before.
    pub(crate) fn start(&mut self) -> bool {
        !std::mem::replace(&mut self.started, true)
    }

    pub(crate) fn participants(&self) -> usize {
        self.participants.len()
    }

    /// Everybody who has a seat, by leg, and everybody who waits for one.
    pub(crate) fn legs(&self) -> Vec<LegId> {
        self.participants.keys().chain(self.callees.keys()).chain(self.lobby.keys()).copied().collect()
    }

    /// Whether the leg is in it, being called for it, or waits in its lobby.
    pub(crate) fn has(&self, leg: LegId) -> bool {
        self.participants.contains_key(&leg)
            || self.callees.contains_key(&leg)
            || self.lobby.contains_key(&leg)
    }

    pub(crate) fn participant(&self, leg: LegId) -> Option<&Participant> {
        self.participants.get(&leg)
    }

    /// Whether who comes in must hear that it is recorded.
    pub(crate) fn tells_of_recording(&self) -> bool {
        self.recorded && self.meeting.policy.recording_notice == RecordingNotice::Spoken
    }

    /// Everybody in it, by leg.
    pub(crate) fn seated(&self) -> Vec<LegId> {
        self.participants.keys().copied().collect()
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

    /// Somebody waits in the lobby.
    pub(crate) fn wait(&mut self, waiting: Waiting) {
        self.lobby.insert(waiting.leg, waiting);
    }

    /// Who waits in the lobby, by leg.
    pub(crate) fn lobby(&self) -> Vec<LegId> {
        self.lobby.keys().copied().collect()
    }

    pub(crate) fn is_waiting(&self, leg: LegId) -> bool {
        self.lobby.contains_key(&leg)
    }

    /// Somebody joins; a reserved seat, or a place in the lobby, becomes a taken one. Where all are muted hard he is too.
    pub(crate) fn join(&mut self, now: Instant, mut participant: Participant) -> Option<MutedBy> {
        let leg = participant.leg;
        self.callees.remove(&leg);
        self.lobby.remove(&leg);
        if self.participants.is_empty() {
            self.course = Course::new(now);
        }
        self.course.changed = now;
        if participant.role == Role::Organizer {
            // Who comes as an organizer has shown his PIN, now or before his line dropped.
            self.course.pin_used = true;
            self.course.abandoned = None;
            self.organizer_due = None;
        } else if self.all_muted == Some(true) {
            participant.muted_by = Some(MutedBy::OrganizerHard);
        }
        participant.muted = participant.muted_by.is_some();
        let muted_by = participant.muted_by;
        self.participants.insert(leg, participant);
        muted_by
    }

    /// Gives the seat back, or the place in the lobby. Who he was, if the seat was taken and not only reserved.
    pub(crate) fn leave(&mut self, now: Instant, leg: LegId) -> Option<Participant> {
        self.callees.remove(&leg);
        self.lobby.remove(&leg);
        let who = self.who(leg);
        let name = self.names.remove(&leg);
        let gone = self.participants.remove(&leg)?;
        self.note_gone(now, &gone, who, name);
        self.course.changed = now;
        if gone.role == Role::Organizer && !self.has_organizer() {
            self.course.abandoned = Some(now);
        }
        if self.participants.is_empty() {
            // Whoever waits in the lobby waits for a new beginning.
            self.started = false;
            self.all_muted = None;
            self.closing = None;
            self.organizer_due = None;
        }
        Some(gone)
    }

    /// Whether an organizer is in it.
    pub(crate) fn has_organizer(&self) -> bool {
        self.participants.values().any(|one| one.role == Role::Organizer)
    }

    /// The organizers in it, by leg.
    pub(crate) fn organizers(&self) -> Vec<LegId> {
        let organizers = self.participants.values().filter(|one| one.role == Role::Organizer);
        organizers.map(|one| one.leg).collect()
    }

    pub(crate) fn role(&self, leg: LegId) -> Role {
        self.participants.get(&leg).map_or(Role::Participant, |one| one.role)
    }

    /// Gives somebody a role; whether it was another one.
    pub(crate) fn set_role(&mut self, now: Instant, leg: LegId, role: Role) -> bool {
        let Some(one) = self.participants.get_mut(&leg) else { return false };
        if one.role == role {
            return false;
        }
        one.role = role;
        if role == Role::Organizer {
            self.course.abandoned = None;
            self.organizer_due = None;
        } else if !self.has_organizer() {
            self.course.abandoned = Some(now);
        }
        true
    }

    /// What somebody is, for the case that he comes back.
    pub(crate) fn standing(&self, leg: LegId) -> Option<Standing> {
        let one = self.participants.get(&leg)?;
        Some(Standing { role: one.role, muted: one.muted_by, hand: one.hand })
    }

    /// Whether somebody else in it shows this number.
    pub(crate) fn shares_number(&self, leg: LegId, number: &E164) -> bool {
        self.participants.values().any(|one| one.leg != leg && one.number.as_ref() == Some(number))
    }

    /// Turns one's own mute over, `None` for a stranger.
    pub(crate) fn toggle_mute(&mut self, leg: LegId) -> Option<Toggled> {
        let one = self.participants.get_mut(&leg)?;
        let toggled = match one.muted_by {
            None => Toggled::Muted,
            Some(MutedBy::OrganizerHard) if one.role != Role::Organizer => Toggled::Barred,
            Some(_) => Toggled::Unmuted,
        };
        match toggled {
            Toggled::Muted => one.mute(Some(MutedBy::Own)),
            Toggled::Unmuted => one.mute(None),
            Toggled::Barred => {}
        }
        Some(toggled)
    }

    /// Mutes somebody; whether that changed anything. Who has muted himself is only muted harder.
    pub(crate) fn mute(&mut self, leg: LegId, hard: bool) -> bool {
        let Some(one) = self.participants.get_mut(&leg) else { return false };
        let wanted = if hard { MutedBy::OrganizerHard } else { MutedBy::Organizer };
        let changes = match one.muted_by {
            None => true,
            Some(MutedBy::Own) => hard,
            Some(by) => by != wanted,
        };
        if changes {
            one.mute(Some(wanted));
        }
        changes
    }

    /// Ends a mute that is not his own; whether there was one.
    pub(crate) fn unmute(&mut self, leg: LegId) -> bool {
        let Some(one) = self.participants.get_mut(&leg) else { return false };
        let muted = matches!(one.muted_by, Some(MutedBy::Organizer | MutedBy::OrganizerHard));
        if muted {
            one.mute(None);
        }
        muted
    }

    /// Mutes everybody but the organizers; those for whom that changed anything.
    pub(crate) fn mute_all(&mut self, hard: bool) -> Vec<LegId> {
        self.all_muted = Some(hard);
        let others = self.participants.values().filter(|one| one.role != Role::Organizer);
        let others: Vec<LegId> = others.map(|one| one.leg).collect();
        others.into_iter().filter(|&leg| self.mute(leg, hard)).collect()
    }

    /// Ends every mute that is not one's own; those for whom that changed anything.
    pub(crate) fn unmute_all(&mut self) -> Vec<LegId> {
        self.all_muted = None;
        let all: Vec<LegId> = self.participants.keys().copied().collect();
        all.into_iter().filter(|&leg| self.unmute(leg)).collect()
    }

    pub(crate) fn is_all_muted(&self) -> bool {
        self.all_muted.is_some()
    }

    /// Raises or lowers a hand; whether that changed anything.
    pub(crate) fn set_hand(&mut self, leg: LegId, hand: Option<Stamp>) -> bool {
        let Some(one) = self.participants.get_mut(&leg) else { return false };
        let changes = one.hand.is_some() != hand.is_some();
        if changes {
            one.hand = hand;
        }
        changes
    }

    /// Whether nobody may come in; `said` is the directory's word, until somebody here says otherwise.
    pub(crate) fn is_locked(&self, said: bool) -> bool {
        self.lock.unwrap_or(said)
    }

    /// Locks or unlocks; whether it was otherwise.
    pub(crate) fn set_lock(&mut self, locked: bool) -> bool {
        let changes = self.is_locked(self.meeting.locked) != locked;
        self.lock = Some(locked);
        changes
    }

    pub(crate) fn announces(&self) -> bool {
        self.announcements
    }

    /// Entry and exit are heard, or not; whether it was otherwise.
    pub(crate) fn set_announcements(&mut self, heard: bool) -> bool {
        if !heard {
            self.announcing.forget();
        }
        std::mem::replace(&mut self.announcements, heard) != heard
    }

    /// The meeting ends with its organizer, whose line has dropped: he has until then to come back.
    pub(crate) fn await_organizer(&mut self, until: Instant) {
        self.organizer_due = Some(until);
    }

    /// Everybody has been told that it ends, then.
    pub(crate) fn close_at(&mut self, at: Instant, cause: HangupCause) {
        self.closing = Some((at, cause));
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// When it ends, or everybody is to be told so. While nobody is in it there is nothing to end: a lobby has its own time.
    pub(crate) fn deadline(&self) -> Option<(Instant, Due)> {
        if let Some((at, cause)) = self.closing {
            return Some((at, Due::Close(cause)));
        }
        if self.participants.is_empty() {
            return None;
        }
        let ends = (self.course.ends(self.meeting.policy), Due::Tell(HangupCause::TimeIsUp));
        let organizer = self.organizer_due.map(|at| (at, Due::Tell(HangupCause::OrganizerLeft)));
        let news = self.announcing.due().map(|at| (at, Due::Announce));
        let fade = self.fades().map(|at| (at, Due::Fade));
        organizer.into_iter().chain(news).chain(fade).chain([ends]).min_by_key(|(at, _)| *at)
    }

    pub(crate) fn snapshot(&self) -> ConferenceSnapshot {
        let raised = |one: &Participant| Some((one.hand?.0, one.leg));
        let mut hands: Vec<_> = self.participants.values().filter_map(raised).collect();
        hands.sort_unstable();
        ConferenceSnapshot {
            conference: self.conference,
            conference_id: self.meeting.conference_id.clone(),
            organizer: self.meeting.organizer.clone(),
            subject: self.meeting.subject.clone(),
            opened: self.opened,
            capacity: self.seats,
            started: self.started,
            locked: self.is_locked(self.meeting.locked),
            announcements: self.announcements,
            participants: self.participants.values().cloned().collect(),
            callees: self.callees.values().cloned().collect(),
            lobby: self.lobby.values().cloned().collect(),
            hands: hands.into_iter().map(|(_, leg)| leg).collect(),
            masking: self.meeting.policy.masking,
        }
    }
}
