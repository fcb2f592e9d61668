//! The sans-IO core of a media thread: the conferences that one thread owns.
//!
//! The conferences are spread over [`PHASES`] groups whose ticks are 5 ms apart ([`crate::Phases`]). Each time one is due:
//! [`Shard::apply`] what control asks, [`Shard::phase`] with what reads and writes the sockets of a leg, hand over
//! [`Shard::poll_report`]. The server and the simulation drive the same code.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::clock::PHASES;
use crate::conference::{Conference, MixConfig};
use crate::desk::Desk;
use crate::echo::Change;
use crate::guard;
use crate::leg::LegEvent;
use crate::port::{Command, Report, Seat};
use crate::sound::Clip;
use crate::tap::Tap;
use crate::units::{ConferenceId, LegId};
use crate::waste::Waste;

/// What a shard is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardConfig {
    /// Legs to make room for at the start.
    pub seats: usize,
    /// How its conferences mix.
    pub mix: MixConfig,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self { seats: 256, mix: MixConfig::default() }
    }
}

/// Reports that can wait per leg; what is beyond that waits in the leg itself.
const REPORTS_PER_SEAT: usize = 8;

/// Legs that a new conference has room for at once; for more it grows when they sit down.
const FIRST_SEATS: usize = 16;

/// The conferences of one media thread.
#[derive(Debug)]
pub struct Shard<IO> {
    config: ShardConfig,
    groups: [Group<IO>; PHASES],
    rooms: HashMap<ConferenceId, Room>,
    places: HashMap<LegId, ConferenceId>,
    reports: VecDeque<Report<IO>>,
    /// What is not needed any more, until control fetches it.
    waste: Waste,
    desk: Desk,
    ticks: u64,
    stray_commands: u64,
}

/// The conferences that are ticked together, in one phase.
#[derive(Debug)]
struct Group<IO> {
    #[expect(
        clippy::vec_box,
        reason = "a conference is kilobytes: one more or one less must not move the others"
    )]
    conferences: Vec<Box<Conference<IO>>>,
    /// The taps of those that have one.
    taps: Vec<(ConferenceId, Box<Tap>)>,
    legs: usize,
}

/// Where a conference is; it stays in its group, its place there changes.
#[derive(Clone, Copy, Debug)]
struct Room {
    phase: usize,
    place: usize,
}

impl<IO: Send + 'static> Shard<IO> {
    /// An empty shard.
    pub fn new(config: ShardConfig) -> Self {
        Self {
            config,
            groups: std::array::from_fn(|_| Group {
                conferences: Vec::with_capacity(config.seats / PHASES + 1),
                taps: Vec::new(),
                legs: 0,
            }),
            rooms: HashMap::with_capacity(config.seats),
            places: HashMap::with_capacity(config.seats),
            reports: VecDeque::with_capacity((config.seats + 8) * REPORTS_PER_SEAT),
            waste: Waste::default(),
            desk: Desk::new(),
            ticks: 0,
            stray_commands: 0,
        }
    }

    /// Ticks so far, each of one group of conferences.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Commands that named a leg or a conference which is not here. A few are normal: commands cross hang-ups.
    pub fn stray_commands(&self) -> u64 {
        self.stray_commands
    }

    /// Legs sitting here.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True when no leg sits here.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The conferences, for a look at their state.
    pub fn conferences(&self) -> impl Iterator<Item = &Conference<IO>> {
        self.groups.iter().flat_map(|group| &group.conferences).map(|conference| &**conference)
    }

    /// The phase in which a conference is ticked.
    pub fn phase_of(&self, conference: ConferenceId) -> Option<usize> {
        self.rooms.get(&conference).map(|room| room.phase)
    }

    /// Every leg with its way to the far end.
    pub fn seats_mut(&mut self) -> impl Iterator<Item = &mut Seat<IO>> {
        self.groups.iter_mut().flat_map(Group::seats_mut)
    }

    /// One leg.
    pub fn seat_mut(&mut self, leg: LegId) -> Option<&mut Seat<IO>> {
        let conference = *self.places.get(&leg)?;
        self.conference(conference)?.seat_mut(leg)
    }

    /// Does what control asks at `now`; between ticks, never during one. It may allocate, and frees nothing: see
    /// [`Report::Spent`].
    pub fn apply(&mut self, now: Instant, command: Command<IO>) {
        guard::without_free(|| self.act(now, command));
    }

    fn act(&mut self, now: Instant, command: Command<IO>) {
        match command {
            Command::Open { conference, seats } => self.open(conference, seats),
            Command::Close { conference } => self.close(conference),
            Command::Tap { conference, tap } => self.tap(conference, tap),
            Command::Untap { conference } => self.untap(conference),
            Command::PauseTap { conference, paused } => self.pause_tap(conference, paused),
            Command::Seat { conference, seat } => self.sit(conference, seat),
            Command::Move { leg, to } => {
                if let Some(seat) = self.take(leg) {
                    self.sit(to, seat);
                }
            }
            Command::Remove { leg } => {
                if let Some(seat) = self.take(leg) {
                    self.hand_back(seat);
                }
            }
            Command::Play { leg, clip, interrupt } => self.play(leg, clip, interrupt, false),
            Command::Whisper { leg, clip } => self.play(leg, clip, false, true),
            Command::Audience { leg, audience } => {
                let place = self.places.get(&leg).copied().and_then(|id| self.conference(id));
                let (set, refused) = match place {
                    Some(conference) => {
                        (conference.set_audience(leg, audience), conference.poll_refused_audience())
                    }
                    None => (false, None),
                };
                self.stray_commands += u64::from(!set);
                self.tell(refused.map(|leg| Report::AudienceRefused { leg }));
            }
            Command::Stop { leg } => self.with(leg, |seat| seat.leg.stop_clips()),
            Command::PlayAll { conference, clip, except } => {
                let refused = match find(&self.rooms, &mut self.groups, conference) {
                    Some(place) => place.play(clip, except, &mut self.waste).err(),
                    None => Some(clip),
                };
                if let Some(clip) = refused {
                    self.stray_commands += 1;
                    self.tell([conference_clip_ended(conference, clip, false)]);
                }
            }
            Command::Mute { leg, muted } => self.with(leg, |seat| seat.leg.set_muted(muted)),
            Command::Direction { leg, direction } => {
                self.with(leg, |seat| seat.leg.set_direction(now, direction));
            }
            Command::Secure { leg, srtp } => {
                let retired = if let Some(seat) = self.seat_mut(leg) {
                    seat.leg.secure(now, srtp)
                } else {
                    self.stray_commands += 1;
                    Some(srtp)
                };
                self.tell(retired.map(|srtp| Report::SrtpRetired { leg, srtp }));
            }
            Command::Reconfigure { leg, media } => {
                let id = self.places.get(&leg).copied();
                let place = id.and_then(|id| find(&self.rooms, &mut self.groups, id));
                let done = place.is_some_and(|place| place.reconfigure(leg, media, &mut self.waste));
                self.stray_commands += u64::from(!done);
            }
            Command::SendDigits { leg, digits } => {
                let sent = self.seat_mut(leg).is_some_and(|seat| seat.leg.send_digits(&digits));
                self.stray_commands += u64::from(!sent);
            }
        }
    }

    /// Mixes 20 ms in every conference, whatever its phase: for those who drive a shard without phases.
    pub fn tick(&mut self, now: Instant) {
        for phase in 0..PHASES {
            self.phase(phase, now, |_| {}, |_| {});
        }
    }

    /// One phase, below [`PHASES`]: for each of its conferences `ingress` is called for each leg, to read what has arrived,
    /// then 20 ms are mixed, then `egress` is called for each leg, to send what leaves. One conference after the other, and few
    /// legs at a time, because a leg that was just read is still in the processor's cache when it is mixed and sent.
    ///
    /// `now` is the tick's deadline ([`crate::Phases::due`]), not the moment the thread woke up: timestamps and playout follow it.
    pub fn phase(
        &mut self,
        phase: usize,
        now: Instant,
        mut ingress: impl FnMut(&mut Seat<IO>),
        mut egress: impl FnMut(&mut Seat<IO>),
    ) {
        let Self { groups, reports, waste, desk, .. } = self;
        let Group { conferences, taps, .. } = &mut groups[phase];
        for place in 0..conferences.len() {
            let (served, waiting) = conferences.split_at_mut(place + 1);
            let (conference, next) = (&mut served[place], waiting.first().map(|next| &**next));
            if let Some(next) = next {
                next.fetch();
            }
            conference.period(now, desk, next, &mut ingress, &mut egress);
            if let Some((_, tap)) = taps.iter_mut().find(|(tapped, _)| *tapped == conference.id()) {
                guard::armed(|| tap.take(now, conference.rate(), desk.sum(conference.rate())));
            }
            let id = conference.id();
            while let Some((clip, finished)) = conference.poll_ended_clip() {
                waste.reserve_queue(reports, 1);
                reports.push_back(conference_clip_ended(id, clip, finished));
            }
            for seat in conference.seats_mut() {
                while reports.len() < reports.capacity() {
                    let Some(event) = seat.leg.poll_event() else { break };
                    reports.push_back(report(seat.leg.id(), event));
                }
            }
        }
        self.ticks += 1;
    }

    /// The next thing to tell control; after all else, what it is to free.
    pub fn poll_report(&mut self) -> Option<Report<IO>> {
        self.reports.pop_front().or_else(|| self.waste.take().map(Report::Spent))
    }

    fn tell(&mut self, reports: impl IntoIterator<Item = Report<IO>>) {
        for report in reports {
            self.waste.reserve_queue(&mut self.reports, 1);
            self.reports.push_back(report);
        }
    }

    fn conference(&mut self, id: ConferenceId) -> Option<&mut Conference<IO>> {
        find(&self.rooms, &mut self.groups, id)
    }

    /// A new conference goes to the group with the least to do: the fewest legs and, while nobody sits yet, conferences.
    fn open(&mut self, id: ConferenceId, seats: usize) {
        if self.rooms.contains_key(&id) {
            return;
        }
        let load = |phase: &usize| (self.groups[*phase].legs, self.groups[*phase].conferences.len());
        let phase = (0..PHASES).min_by_key(load).unwrap_or(0);
        let conferences = &mut self.groups[phase].conferences;
        self.waste.reserve_map(&mut self.rooms);
        self.rooms.insert(id, Room { phase, place: conferences.len() });
        self.waste.reserve(conferences, 1);
        // A room for a thousand need not cost the memory of a thousand before they come.
        conferences.push(Box::new(Conference::new(id, seats.min(FIRST_SEATS), self.config.mix)));
    }

    fn tap(&mut self, conference: ConferenceId, tap: Box<Tap>) {
        let Some(&Room { phase, .. }) = self.rooms.get(&conference) else {
            self.stray_commands += 1;
            return self.tell([Report::Untapped { conference, tap }]);
        };
        self.untap(conference);
        let taps = &mut self.groups[phase].taps;
        self.waste.reserve(taps, 1);
        taps.push((conference, tap));
    }

    fn pause_tap(&mut self, conference: ConferenceId, paused: bool) {
        let Some(room) = self.rooms.get(&conference) else {
            self.stray_commands += 1;
            return;
        };
        let taps = &mut self.groups[room.phase].taps;
        if let Some((_, tap)) = taps.iter_mut().find(|(tapped, _)| *tapped == conference) {
            tap.pause(paused);
        }
    }

    fn untap(&mut self, conference: ConferenceId) {
        let Some(room) = self.rooms.get(&conference) else {
            self.stray_commands += 1;
            return;
        };
        let taps = &mut self.groups[room.phase].taps;
        if let Some(place) = taps.iter().position(|(tapped, _)| *tapped == conference) {
            let (_, tap) = taps.swap_remove(place);
            self.tell([Report::Untapped { conference, tap }]);
        }
    }

    fn close(&mut self, id: ConferenceId) {
        if self.rooms.contains_key(&id) {
            self.untap(id);
        }
        let Some(room) = self.rooms.remove(&id) else {
            self.stray_commands += 1;
            return;
        };
        let group = &mut self.groups[room.phase];
        let mut conference = group.conferences.swap_remove(room.place);
        group.legs -= conference.seats().len();
        if let Some(moved) = group.conferences.get(room.place)
            && let Some(place) = self.rooms.get_mut(&moved.id())
        {
            *place = room;
        }
        conference.stop_clips();
        while let Some((clip, finished)) = conference.poll_ended_clip() {
            self.tell([conference_clip_ended(id, clip, finished)]);
        }
        while let Some(seat) = conference.leave_any() {
            self.hand_back(seat);
        }
        self.waste.put(conference);
    }

    fn sit(&mut self, id: ConferenceId, seat: Box<Seat<IO>>) {
        let leg = seat.leg.id();
        let known = self.places.contains_key(&leg);
        let room = self.rooms.get(&id).filter(|_| !known);
        if let Some(&Room { phase, place }) = room {
            let group = &mut self.groups[phase];
            group.conferences[place].join(seat, &mut self.waste);
            let refused = group.conferences[place].poll_refused_audience();
            group.legs += 1;
            self.waste.reserve_map(&mut self.places);
            self.places.insert(leg, id);
            self.tell(refused.map(|leg| Report::AudienceRefused { leg }));
            let room = (self.places.len() + 8) * REPORTS_PER_SEAT;
            let more = room.saturating_sub(self.reports.len());
            self.waste.reserve_queue(&mut self.reports, more);
        } else {
            self.stray_commands += 1;
            self.tell([Report::Returned { leg, seat }]);
        }
    }

    fn take(&mut self, leg: LegId) -> Option<Box<Seat<IO>>> {
        let room = self.places.remove(&leg).and_then(|id| self.rooms.get(&id));
        let seat = room.and_then(|room| {
            let group = &mut self.groups[room.phase];
            let seat = group.conferences[room.place].leave(leg, &mut self.waste);
            group.legs -= usize::from(seat.is_some());
            seat
        });
        self.stray_commands += u64::from(seat.is_none());
        seat
    }

    /// A leg goes home, after everything it still has to tell.
    fn hand_back(&mut self, mut seat: Box<Seat<IO>>) {
        let leg = seat.leg.id();
        self.places.remove(&leg);
        seat.leg.stop_clips();
        while let Some(event) = seat.leg.poll_event() {
            self.tell([report(leg, event)]);
        }
        self.tell([Report::Returned { leg, seat }]);
    }

    fn play(&mut self, leg: LegId, clip: Clip, interrupt: bool, over: bool) {
        let id = self.places.get(&leg).copied();
        let place = id.and_then(|id| find(&self.rooms, &mut self.groups, id));
        let refused = match place.and_then(|place| place.seat_mut(leg)) {
            Some(seat) => {
                if interrupt {
                    seat.leg.stop_clips();
                }
                seat.leg.play(clip, over, &mut self.waste).err()
            }
            None => Some(clip),
        };
        if let Some(clip) = refused {
            self.stray_commands += 1;
            let event = LegEvent::ClipEnded { token: clip.token, finished: false, sound: clip.sound };
            self.tell([report(leg, event)]);
        }
    }

    fn with(&mut self, leg: LegId, act: impl FnOnce(&mut Seat<IO>)) {
        match self.seat_mut(leg) {
            Some(seat) => act(seat),
            None => self.stray_commands += 1,
        }
    }
}

fn find<'a, IO>(
    rooms: &HashMap<ConferenceId, Room>,
    groups: &'a mut [Group<IO>; PHASES],
    id: ConferenceId,
) -> Option<&'a mut Conference<IO>> {
    let room = rooms.get(&id)?;
    groups[room.phase].conferences.get_mut(room.place).map(|conference| &mut **conference)
}

impl<IO: Send + 'static> Group<IO> {
    fn seats_mut(&mut self) -> impl Iterator<Item = &mut Seat<IO>> {
        self.conferences.iter_mut().flat_map(|conference| conference.seats_mut())
    }
}

fn report<IO>(leg: LegId, event: LegEvent) -> Report<IO> {
    match event {
        LegEvent::MediaStarted => Report::MediaStarted { leg },
        LegEvent::MediaSilent(silent_for) => Report::MediaSilent { leg, silent_for },
        LegEvent::MediaResumed => Report::MediaResumed { leg },
        LegEvent::Digit(digit) => Report::Digit { leg, digit },
        LegEvent::DigitsSent => Report::DigitsSent { leg },
        LegEvent::Echo(Change { delay, on }) => Report::Echo { leg, delay, on },
        LegEvent::SrtpRetired(srtp) => Report::SrtpRetired { leg, srtp },
        LegEvent::ClipEnded { token, finished, sound } => Report::ClipEnded { leg, token, finished, sound },
    }
}

fn conference_clip_ended<IO>(conference: ConferenceId, clip: Clip, finished: bool) -> Report<IO> {
    Report::ConferenceClipEnded { conference, token: clip.token, finished, sound: clip.sound }
}
