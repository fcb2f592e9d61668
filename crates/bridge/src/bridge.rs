//! The focus: owns all calls and conferences, turns events into commands.

mod acting;
mod arriving;
mod curfew;
mod dial_in;
mod dialing;
mod ending;
mod keys;
mod names;
mod recorded;
mod room;
mod spending;

use crate::attendant::AttendantConfig;
use crate::bridge::dialing::{note_call_id, note_peer_failed};
use crate::budget::Budget;
use crate::call::{Call, Pending, State};
use crate::command::{Command, HangupCause};
use crate::defense::{DefenseConfig, IdGuard, PinQueue, WrongIds};
use crate::event::Event;
use crate::id::{ConferenceId, LegId};
use crate::key_map::KeyMap;
use crate::meeting::{ConferenceCode, Directory};
use crate::returning::Returning;
use crate::roster::{ConferenceSnapshot, Due, Roster};
use crate::stamp::Stamp;
use crate::tariff::Tariffs;
use crate::usage::{CallType, EndingParty, Rounding};
use rand::SeedableRng;
use rand::rngs::StdRng;
use routing::{Table, TrunkId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The bridge's numbers. The defaults are the product's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgeConfig {
    /// The attendant's dialogue.
    pub attendant: AttendantConfig,
    /// The defense against guessed IDs and PINs.
    pub defense: DefenseConfig,
    /// The rounding where no rate plan has one.
    pub rounding: Rounding,
    /// From the ACK to the greeting when no media comes.
    pub greet_after_ack: Duration,
    /// From the answer to the hangup when neither ACK nor media comes. Longer than 64*T1 (RFC 3261, 32 s), so that the
    /// dialog's own timer speaks first.
    pub setup: Duration,
    /// How long a start record may take to become safe; then the leg is refused.
    pub record_safe: Duration,
    /// What is keyed in a meeting.
    pub keys: KeyMap,
    /// How long a lonely prefix of it is remembered.
    pub keypad_pause: Duration,
    /// The most time for one dial-out attempt, whatever the trunk layer says. Longer than any profile's ringing time.
    pub dial_attempt: Duration,
    /// Who is alone in a meeting hears that a callee's telephone rings.
    pub ring_back: bool,
    /// How long a caller may wait in the lobby.
    pub lobby: Duration,
    /// How long a callee may think before pressing 1, after each time the question is put.
    pub confirm: Duration,
    /// The most legs at once.
    pub legs: usize,
    /// The most seats in one conference, whatever its meeting says.
    pub seats: usize,
    /// The most dial-outs under way for one conference.
    pub dial_outs: usize,
    /// Whether the bridge's own language is English, whose counts are said by rule.
    pub english: bool,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            attendant: AttendantConfig::default(),
            defense: DefenseConfig::default(),
            rounding: Rounding::default(),
            greet_after_ack: Duration::from_secs(1),
            setup: Duration::from_secs(40),
            record_safe: Duration::from_secs(5),
            keys: KeyMap::default(),
            keypad_pause: Duration::from_secs(5),
            dial_attempt: Duration::from_mins(3),
            ring_back: true,
            lobby: Duration::from_mins(30),
            confirm: Duration::from_secs(10),
            legs: 10_000,
            seats: 1000,
            dial_outs: 20,
            english: true,
        }
    }
}

/// Why the bridge wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A start record is not safe yet.
    RecordNotSafe,
    /// No ACK and no media came after an answer.
    NoAck,
    /// The ACK came, media did not: greet all the same.
    NoMediaAfterAck,
    /// The end of a prompt was not reported.
    PromptEnd,
    /// The caller keys nothing.
    FirstDigit,
    /// The caller keys no further digit.
    NextDigit,
    /// A slowed-down verdict.
    SlowDown,
    /// The caller is with the attendant for too long.
    AttendantLimit,
    /// A `*` that no key followed.
    LonelyStar,
    /// A dial-out attempt takes too long.
    DialTooLong,
    /// The one who waits for a callee hears that it rings.
    RingBack,
    /// The callee was asked to press 1.
    Confirmation,
    /// A PIN is being checked.
    PinCheck,
    /// The next PIN may be checked.
    PinTurn,
    /// The longest wait in the lobby.
    LobbyLimit,
    /// The caller says his name.
    NameSaid,
    /// A meeting hears who has come and gone.
    Announcement,
    /// A meeting's time is over.
    MeetingEnd,
    /// An interim usage record.
    InterimRecord,
    /// A look at what dial-outs cost.
    Spending,
}

/// What happened since the start, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// Keyed IDs that led into a meeting.
    pub ids_accepted: u64,
    /// Keyed IDs that led nowhere.
    pub ids_wrong: u64,
    /// Keyed IDs that expired inside their grace window.
    pub ids_expired: u64,
    /// Keyed IDs of meetings this call could not join: license, locked, full.
    pub ids_refused: u64,
    /// Keyed IDs whose judgment was slowed down.
    pub ids_slowed: u64,
    /// Of these, keyed IDs that nobody looked at.
    pub ids_unheard: u64,
    /// Keyed PINs that were the organizer's.
    pub pins_accepted: u64,
    /// Keyed PINs that were not.
    pub pins_wrong: u64,
    /// Keyed PINs whose check had to wait.
    pub pins_slowed: u64,
    /// Conferences opened.
    pub conferences_opened: u64,
    /// Dial-outs accepted.
    pub dial_outs_accepted: u64,
    /// Dial-outs refused before an INVITE was sent.
    pub dial_outs_refused: u64,
    /// Dial-out attempts that led to a further candidate.
    pub dial_out_failovers: u64,
    /// Events about legs the bridge does not know.
    pub events_ignored: u64,
}

/// One leg as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LegSnapshot {
    /// The leg.
    pub leg: LegId,
    /// Which way it goes.
    pub call_type: CallType,
    /// The trunk it uses.
    pub trunk: Option<TrunkId>,
    /// Where it is: `recording`, `answered`, `attended`, `identifying`, `naming`, `lobby`, `in-conference`, `dialing`, `ringing`, `confirming`.
    pub state: &'static str,
    /// The conference it is in, or is called for.
    pub conference: Option<ConferenceId>,
    /// Since when.
    pub since: Stamp,
}

/// The whole bridge as the API and the metrics show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// No new work is taken.
    pub draining: bool,
    /// Every leg.
    pub legs: Vec<LegSnapshot>,
    /// Every open conference.
    pub conferences: Vec<ConferenceSnapshot>,
    /// Wrong IDs per trunk within the defense's window.
    pub wrong_ids: Vec<WrongIds>,
    /// What happened since the start.
    pub counters: Counters,
}

/// One moment on both clocks: timers and durations use `now`, records show `wall`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) now: Instant,
    pub(crate) wall: SystemTime,
}

/// The bridge. Feed it with [`Bridge::handle`] and [`Bridge::handle_timeout`]; after each, carry out what
/// [`Bridge::poll_command`] gives until it gives nothing, then sleep until [`Bridge::poll_timeout`] at most.
#[derive(Debug)]
pub struct Bridge {
    config: BridgeConfig,
    directory: Arc<dyn Directory>,
    table: Arc<Table>,
    rng: StdRng,
    draining: bool,
    /// Boxed: nodes of the tree are half empty, and a call is large.
    calls: BTreeMap<LegId, Box<Call>>,
    conferences: BTreeMap<ConferenceId, Roster>,
    /// Which conference a meeting is held in.
    open: BTreeMap<ConferenceCode, ConferenceId>,
    commands: VecDeque<Command>,
    timers: BTreeSet<(Instant, LegId)>,
    /// When meetings end by themselves.
    curfews: BTreeSet<(Instant, ConferenceId)>,
    returning: Returning,
    ids: IdGuard,
    pins: PinQueue,
    budget: Budget,
    /// When the budget looks at what runs.
    guard_at: Option<Instant>,
    counters: Counters,
    last_conference: u64,
    last_token: u64,
}

impl Bridge {
    /// An empty bridge. The seed makes record ids unpredictable to others and reproducible in tests.
    pub fn new(
        config: BridgeConfig,
        directory: Arc<dyn Directory>,
        table: Arc<Table>,
        seed: [u8; 32],
    ) -> Self {
        let budget = Budget::new(Arc::new(Tariffs::default()), config.rounding, &table);
        Self {
            config,
            directory,
            table,
            rng: StdRng::from_seed(seed),
            draining: false,
            calls: BTreeMap::new(),
            conferences: BTreeMap::new(),
            open: BTreeMap::new(),
            commands: VecDeque::new(),
            timers: BTreeSet::new(),
            curfews: BTreeSet::new(),
            returning: Returning::default(),
            ids: IdGuard::new(config.defense),
            pins: PinQueue::new(config.defense),
            budget,
            guard_at: None,
            counters: Counters::default(),
            last_conference: 0,
            last_token: 0,
        }
    }

    /// Something happened. Never fails: what does not fit is ignored and counted.
    pub fn handle(&mut self, now: Instant, wall: SystemTime, event: Event) {
        let at = At { now, wall };
        match event {
            Event::LegOffered { leg, trunk, called, caller, sip_call_id } => {
                self.offered(at, leg, &trunk, &called, &caller, &sip_call_id);
            }
            Event::UsageDurable { leg } => self.with_call(leg, |bridge, call| bridge.record_safe(at, call)),
            Event::LegEstablished { leg } => {
                self.with_call(leg, |bridge, call| Some(bridge.established(at, call)));
            }
            Event::MediaStarted { leg } => self.with_call(leg, |bridge, call| bridge.media_started(at, call)),
            Event::Digit { leg, digit } => self.with_call(leg, |bridge, call| bridge.digit(at, call, digit)),
            Event::ClipEnded { leg, token } => {
                self.with_call(leg, |bridge, call| bridge.clip_ended(at, call, token));
            }
            Event::MediaSilent { leg } => self.with_call(leg, |bridge, call| bridge.media_silent(at, call)),
            Event::LegEnded { leg, end } => self.with_call(leg, |bridge, call| bridge.ended(at, call, &end)),
            Event::DialOut(request) => self.dial_out(at, &request),
            Event::LegDialed { leg, attempt, sip_call_id } => {
                self.with_call(leg, |_, call| Some(note_call_id(call, attempt, &sip_call_id)));
            }
            Event::PeerFailed { leg, attempt, failure } => {
                self.with_call(leg, |_, call| Some(note_peer_failed(at, call, attempt, &failure)));
            }
            Event::LegProgress { leg, attempt, status } => {
                self.with_call(leg, |bridge, call| Some(bridge.progress(at, call, attempt, status)));
            }
            Event::LegAnswered { leg, attempt } => {
                self.with_call(leg, |bridge, call| Some(bridge.callee_answered(at, call, attempt)));
            }
            Event::LegFailed { leg, attempt, failure } => {
                self.with_call(leg, |bridge, call| bridge.attempt_failed(at, call, attempt, &failure));
            }
            Event::RemoveLeg { leg } => self.with_call(leg, |bridge, call| bridge.removed(at, call)),
            Event::PinChecked { leg, token, right } => {
                self.with_call(leg, |bridge, call| bridge.pin_checked(at, call, token, right));
            }
            Event::Named { leg, name } => self.with_call(leg, |bridge, call| Some(bridge.named(call, name))),
            Event::Act { request, conference, action } => self.act(at, request, conference, action),
            Event::Recording { conference, change } => self.recording_changed(conference, change),
            Event::EndConference { conference } => {
                self.end_conference(at, conference, EndingParty::User, HangupCause::ConferenceEnded);
            }
            Event::Drain => self.drain(at),
            Event::DrainNow => self.drain_now(at),
            Event::TableChanged(table) => {
                self.budget.table_changed(&table);
                self.table = table;
            }
            Event::DirectoryChanged(directory) => self.directory = directory,
            Event::TariffsChanged(tariffs) => self.change_tariffs(at, tariffs),
            Event::DefenseChanged(defense) => {
                self.config.defense = defense;
                self.ids.change(defense);
                self.pins.change(defense);
            }
        }
    }

    /// A deadline of [`Bridge::poll_timeout`] may have come; too early is harmless.
    pub fn handle_timeout(&mut self, now: Instant, wall: SystemTime) {
        let at = At { now, wall };
        let due: Vec<LegId> =
            self.timers.iter().take_while(|(due, _)| *due <= now).map(|(_, leg)| *leg).collect();
        for leg in due {
            // The timeout of one leg may have ended another.
            if !self.calls.contains_key(&leg) {
                continue;
            }
            self.with_call(leg, |bridge, call| bridge.timeout(at, call));
        }
        self.pin_turns(at);
        self.curfew(at);
        self.guard_spending(at);
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When [`Bridge::handle_timeout`] must be called at the latest, and why. `None`: nothing is waited for.
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let leg = self.timers.first().and_then(|(_, leg)| self.due(self.calls.get(leg)?));
        let meeting = self.curfews.first().map(|(due, conference)| {
            let why = self.conferences.get(conference).and_then(Roster::deadline).map(|(_, due)| due);
            (*due, if why == Some(Due::Announce) { Reason::Announcement } else { Reason::MeetingEnd })
        });
        let guard = self.guard_at.map(|due| (due, Reason::Spending));
        let turn = self.pins.poll_timeout().map(|due| (due, Reason::PinTurn));
        leg.into_iter().chain(meeting).chain(guard).chain(turn).min_by_key(|(due, _)| *due)
    }

    /// From now on a dial-out attempt may take so long, if that is longer than before.
    pub fn allow_attempts_of(&mut self, longest: Duration) {
        self.config.dial_attempt = self.config.dial_attempt.max(longest);
    }

    /// Whether new work is refused.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// How many legs the bridge answers for. Zero while draining means: drained.
    pub fn legs(&self) -> usize {
        self.calls.len()
    }

    /// How many conferences are open.
    pub fn conferences(&self) -> usize {
        self.conferences.len()
    }

    /// What happened since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// One conference as the API shows it.
    pub fn conference(&self, conference: ConferenceId) -> Option<ConferenceSnapshot> {
        self.conferences.get(&conference).map(Roster::snapshot)
    }

    /// Everything, as the API and the metrics show it.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let legs = self.calls.values().map(|call| {
            let record = call.ledger.record();
            LegSnapshot {
                leg: call.leg,
                call_type: record.call_type,
                trunk: record.trunk.clone(),
                state: call.state_name(),
                conference: call.conference(),
                since: record.invite_time,
            }
        });
        Snapshot {
            draining: self.draining,
            legs: legs.collect(),
            conferences: self.conferences.values().map(Roster::snapshot).collect(),
            wrong_ids: self.ids.wrong_ids(now),
            counters: self.counters,
        }
    }

    /// Runs one transition: takes the call out, and puts it back unless it is released.
    fn with_call(&mut self, leg: LegId, transition: impl FnOnce(&mut Self, Call) -> Option<Call>) {
        let Some(call) = self.calls.remove(&leg) else {
            self.counters.events_ignored += 1;
            return;
        };
        let mut call = *call;
        if let Some(due) = call.scheduled.take() {
            self.timers.remove(&(due, leg));
        }
        if let Some(call) = transition(self, call) {
            self.keep(call);
        }
    }

    /// Puts a call (back) and sets its timer.
    fn keep(&mut self, mut call: Call) {
        call.scheduled = self.due(&call).map(|(due, _)| due);
        if let Some(due) = call.scheduled {
            self.timers.insert((due, call.leg));
        }
        self.calls.insert(call.leg, Box::new(call));
    }

    /// When something must happen to a call, and why.
    fn due(&self, call: &Call) -> Option<(Instant, Reason)> {
        let interim = call.ledger.interim_due(self.budget.tariffs().interim);
        let interim = interim.map(|due| (due, Reason::InterimRecord));
        call.deadline().into_iter().chain(interim).min_by_key(|(due, _)| *due)
    }

    fn command(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    /// The start record is safe: answer, or dial.
    fn record_safe(&mut self, at: At, mut call: Call) -> Option<Call> {
        match std::mem::replace(&mut call.state, State::Released) {
            State::Recording { pending: Pending::Answer, .. } => Some(self.answer(at, call)),
            State::Recording { pending: Pending::Dial(dial), .. } => self.dial_next(at, call, dial),
            state => {
                call.state = state;
                Some(call)
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
