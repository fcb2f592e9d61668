//! Control: the one owner of signalling, trunks and bridge, without a socket or a clock.
//!
//! It translates: SIP events become bridge events, bridge commands become SIP and media commands. The shell and the
//! simulation drive the same code: [`Control::handle`] with what happened, [`Control::handle_timeout`] when
//! [`Control::poll_timeout`] is due, then [`Control::poll_output`] until it is empty.

mod acting;
mod alarms;
mod api;
mod commands;
mod decisions;
mod dial_in;
mod dial_out;
mod door;
mod explaining;
mod format;
mod gate;
mod happenings;
mod inspect;
mod keys;
mod leg;
mod load;
mod media;
mod naming;
mod parts;
mod people;
mod recordings;
mod registrar;
mod reinvite;
mod seating;
mod signalling;
mod strangers;
mod transfer;
mod trunks;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bridge::{Bridge, ConferenceId, LegId, Masking};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use routing::TrunkId;
use sip::{Challenger, Endpoint, Flow, InviteId, OptionsId, Readiness, Transmit};
use trunk::{Admission, Monitor, Registrations, TlsPeer, Trunks};

pub(crate) use api::masked;
pub use api::{Ask, Explain, Reply, Shown};
pub use door::{Door, Opened, Peer};
pub(crate) use format::keys as srtp_keys;
pub use happenings::Happening;
pub use load::LoadLimits;
pub use parts::Parts;
pub use strangers::Strangers;

use crate::log_budget::LogBudget;
use crate::media::gauges::ShardLoad;
use crate::metrics::Metrics;
use crate::prompts::Prompts;
use leg::Leg;
use load::Load;
use seating::Seating;
use trunks::show_limits;

/// Both clocks, read once per turn of the loop.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For timers.
    pub mono: Instant,
    /// For the records.
    pub wall: SystemTime,
}

/// What happened in the world.
pub enum Input<Io> {
    /// One SIP message.
    Sip {
        /// Where it came from.
        flow: Flow,
        /// The message.
        bytes: Bytes,
        /// Whose certificate was verified on its connection, over TLS.
        peer: Option<Arc<TlsPeer>>,
    },
    /// Something could not be sent, or a connection ended.
    FlowFailed {
        /// Which.
        flow: Flow,
        /// Why.
        why: String,
    },
    /// A media thread reports.
    Report(mixer::Report<Io>),
    /// How much a media thread has to do; told about twice a second.
    Load {
        /// Which thread.
        shard: usize,
        /// What it measured.
        load: ShardLoad,
    },
    /// How much the thread that runs control has to do; told as often.
    Busy {
        /// The share of its time, 0 to 1.
        share: f64,
        /// Messages that wait.
        waiting: usize,
    },
    /// The start record of this leg is durable, or the disk refuses and the call should not wait.
    Settled(LegId),
    /// A PIN has been checked, as [`Output::CheckPin`] asked.
    PinChecked {
        /// The leg.
        leg: LegId,
        /// The token of the output.
        token: u64,
        /// It was the organizer's.
        right: bool,
    },
    /// What was recorded of a caller's name has been looked at, as [`Output::TrimName`] asked.
    Named {
        /// The leg.
        leg: LegId,
        /// The name, if anything was said.
        name: Option<bridge::SpokenName>,
    },
    /// The API asks; answered by [`Output::Reply`] with the same number.
    Ask {
        /// Echoed.
        number: u64,
        /// What.
        ask: Ask,
    },
    /// A recording is over, as asked or because it cannot be written.
    RecordingEnded {
        /// The number of its [`Output::Record`].
        number: u64,
    },
    /// The names of some peers lead elsewhere, or the file says something else of the trunks. There are no others than before.
    Trunks(Arc<Trunks>),
    /// The configuration that is in force from now on, by its hash: what usage records are told.
    Configured(Arc<str>),
    /// The directory has changed: both at once, since meetings have organizers.
    Directory {
        /// Which trunk may carry which leg.
        table: Arc<routing::Table>,
        /// The meetings.
        meetings: Arc<dyn bridge::Directory>,
    },
    /// The file says other things of prices, limits or the defense against guessing. Calls that are up stay.
    Rules {
        /// What legs cost from now on, and may cost.
        tariffs: Arc<bridge::Tariffs>,
        /// The limits on guessing.
        defense: bridge::DefenseConfig,
    },
    /// Stop taking work, let what runs end well.
    Drain,
    /// End everything now.
    DrainNow,
}

/// Why control wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A timer of the signalling engine.
    Sip(sip::TimerReason),
    /// A timer of the bridge.
    Bridge(bridge::Reason),
    /// A timer of a trunk.
    Trunk(trunk::TimerReason),
    /// A registration is to be made or refreshed, or has run out.
    Register,
    /// Conferences have changed since they were shown last.
    Publish,
}

/// What control wants done.
pub enum Output<Io> {
    /// Send a SIP message.
    Sip(Transmit),
    /// Hand a command to a media thread. When its ring is full, keep it and try again.
    Media {
        /// Which thread.
        shard: usize,
        /// The command.
        command: Box<mixer::Command<Io>>,
    },
    /// Write a usage record; with a ticket, report [`Input::Settled`] once it is safe.
    Usage {
        /// One JSON object.
        line: String,
        /// The leg that waits.
        ticket: Option<LegId>,
    },
    /// Find out whether a keyed PIN is the one of this hash, elsewhere: it takes long on purpose. Then [`Input::PinChecked`].
    CheckPin {
        /// The leg.
        leg: LegId,
        /// Echoed.
        token: u64,
        /// The organizer's PIN, hashed.
        hash: bridge::PinHash,
        /// What was keyed.
        pin: bridge::Pin,
    },
    /// Make a name of what a caller said ([`crate::names::spoken`]), elsewhere: it takes some milliseconds. Then [`Input::Named`].
    TrimName {
        /// The leg.
        leg: LegId,
        /// What was tapped; no more comes.
        frames: rtrb::Consumer<mixer::Tapped>,
    },
    /// Write what is tapped in a meeting to a file, until the other end of the ring is gone; then, or when that cannot be
    /// done, report [`Input::RecordingEnded`].
    Record {
        /// A fresh number.
        number: u64,
        /// The file's name.
        file: String,
        /// What it is written as.
        format: crate::recording::Format,
        /// What is tapped.
        frames: rtrb::Consumer<mixer::Tapped>,
    },
    /// Answer the API.
    Reply {
        /// The number of the ask.
        number: u64,
        /// The answer.
        reply: Reply,
    },
    /// A routing decision was made.
    Decided(Box<crate::what_if::Made>),
    /// Something happened that the event stream tells.
    Happened(Happening),
    /// A meeting has changed: replace what the API shows, or with `None` show it no more.
    Publish {
        /// Its conference ID.
        conference_id: String,
        /// What to show.
        shown: Option<serde_json::Value>,
        /// To who is outside without numbers.
        masks: bool,
    },
}

/// Our own SIP addresses.
#[derive(Clone, Debug)]
pub struct Locals {
    /// Every listener.
    pub listeners: Vec<crate::sip_io::Listener>,
    /// The host to say instead.
    pub advertise: Option<sip::Host>,
    /// What to say instead of single listeners.
    pub advertised: Vec<sip::Advertised>,
}

/// A meeting that is open.
#[derive(Default)]
struct Open {
    /// The conference ID under which it was published.
    shown_as: Option<String>,
    /// Who learns no numbers.
    masking: Masking,
    /// Legs in it, and the most there were at once.
    seated: u32,
    most: u32,
}

/// See the module.
pub struct Control<D: Door> {
    endpoint: Endpoint,
    bridge: Bridge,
    trunks: Arc<Trunks>,
    challenger: Challenger,
    gate: gate::Gate,
    strangers: Strangers,
    /// Why the message that is being handled begins no call, if it is one that would: the label of its metric.
    shedding: Option<&'static str>,
    monitor: Monitor,
    registrations: Registrations,
    series: registrar::Series,
    admission: Admission,
    table: Arc<routing::Table>,
    directory: Arc<dyn bridge::Directory>,
    door: D,
    seating: Seating<D::Io>,
    load: Load,
    prompts: Arc<Prompts>,
    metrics: Metrics,
    locals: Locals,
    /// Whose certificate was verified for the message that is being handled.
    speaking: Option<Arc<TlsPeer>>,
    /// Boxed: half of the table is empty.
    legs: HashMap<LegId, Box<Leg<D::Io>>>,
    by_invite: HashMap<InviteId, LegId>,
    /// Ports of legs whose seat is still with a shard.
    retiring: HashMap<LegId, media::Retiring>,
    /// Final records that wait for the figures of their leg's media.
    finals: HashMap<LegId, Box<bridge::Record>>,
    /// Calls that a REFER asked for.
    referrals: HashMap<InviteId, transfer::Referral>,
    /// What the INVITEs of dial-ins said beyond what was believed, until their final records are written.
    claims: HashMap<LegId, Box<trunk::Claims>>,
    pings: HashMap<OptionsId, trunks::Ping>,
    /// How the last ping of each peer came out.
    pinged: HashMap<trunk::PeerKey, trunks::Pinged>,
    asks: HashMap<bridge::RequestId, api::Pending>,
    /// Open meetings.
    meetings: HashMap<ConferenceId, Open>,
    /// Meetings that are being recorded.
    recordings: HashMap<ConferenceId, recordings::Recording>,
    next_recording: u64,
    /// Callers who are saying their names.
    namings: HashMap<LegId, rtrb::Consumer<mixer::Tapped>>,
    /// Legs that are being called, and for which meeting.
    callees: HashMap<LegId, ConferenceId>,
    /// Meetings to publish again.
    changed: BTreeSet<ConferenceId>,
    /// When they may be shown again.
    publish_at: Instant,
    /// What the event stream was told last.
    told: happenings::Told,
    captured: bool,
    /// The hash of the configuration in force.
    configuration: Arc<str>,
    silent_after: Duration,
    confirm_dial_out: bool,
    outputs: VecDeque<Output<D::Io>>,
    quiet: LogBudget,
    /// The bridge's counters as the metrics show them.
    counted: bridge::Counters,
    draining: bool,
    next_leg: u64,
    random: StdRng,
    /// SRTP keys, and nothing else, come from here; see [`keys`].
    key_source: StdRng,
}

impl<D: Door> Control<D> {
    /// Ready to take calls; the first pings leave with the first timeouts.
    pub fn new(now: Now, parts: Parts<D>) -> Self {
        let mut random = StdRng::from_seed(parts.seed);
        let mut endpoint = Endpoint::new(parts.endpoint, random.random());
        endpoint.set_neighbors(parts.trunks.neighbors());
        let mut bridge = Bridge::new(
            parts.bridge,
            Arc::clone(&parts.directory),
            Arc::clone(&parts.table),
            random.random(),
        );
        bridge.set_tariffs(Arc::clone(&parts.tariffs), parts.spent);
        let mut monitor = Monitor::new(now.mono, parts.trunks.profiles(), random.random());
        let key_source = StdRng::from_seed(random.random());
        let challenger = Challenger::new(now.mono, random.random());
        let registrations = Registrations::new(now.mono, parts.trunks.profiles(), random.random());
        let admission = Admission::new(parts.trunks.profiles());
        monitor.handle_timeout(now.mono);
        parts.metrics.ready.set(1);
        for profile in parts.trunks.profiles() {
            show_limits(&parts.metrics, profile);
        }
        Self {
            endpoint,
            bridge,
            challenger,
            gate: gate::Gate::new(now.mono),
            strangers: parts.strangers,
            captured: parts.captured,
            configuration: parts.configuration,
            shedding: None,
            monitor,
            registrations,
            series: registrar::Series::default(),
            admission,
            trunks: parts.trunks,
            table: parts.table,
            directory: parts.directory,
            door: parts.door,
            seating: Seating::new(parts.shards),
            load: Load::new(parts.shards, parts.limits),
            prompts: parts.prompts,
            metrics: parts.metrics,
            locals: parts.locals,
            speaking: None,
            legs: HashMap::new(),
            by_invite: HashMap::new(),
            retiring: HashMap::new(),
            finals: HashMap::new(),
            referrals: HashMap::new(),
            claims: HashMap::new(),
            pings: HashMap::new(),
            pinged: HashMap::new(),
            asks: HashMap::new(),
            meetings: HashMap::new(),
            recordings: HashMap::new(),
            next_recording: 1,
            namings: HashMap::new(),
            callees: HashMap::new(),
            changed: BTreeSet::new(),
            publish_at: now.mono,
            told: happenings::Told::default(),
            silent_after: parts.silent_after,
            confirm_dial_out: parts.confirm_dial_out,
            outputs: VecDeque::new(),
            quiet: LogBudget::new(now.mono),
            counted: bridge::Counters::default(),
            draining: false,
            next_leg: 1,
            random,
            key_source,
        }
    }

    /// Legs that are up or on their way; 0 while draining means that the process may go.
    pub fn legs(&self) -> usize {
        self.legs.len() + self.retiring.len()
    }

    /// The SIP Call-ID of a leg.
    pub fn call_id(&self, leg: LegId) -> Option<String> {
        self.legs.get(&leg).map(|entry| entry.call_id.clone())
    }

    /// What control and its engines still remember, by name; empty when nothing is going on. For the tests that look for
    /// leaks.
    pub fn residue(&self) -> Vec<(&'static str, usize)> {
        let (seats, conferences) = self.seating.sizes();
        let mut kept = vec![
            ("legs", self.legs.len()),
            ("legs whose seat is out", self.retiring.len()),
            ("final records", self.finals.len()),
            ("claims", self.claims.len()),
            ("seats", seats),
            ("conferences", conferences),
            ("INVITEs of legs", self.by_invite.len()),
            ("callees", self.callees.len()),
            ("calls that a REFER asked for", self.referrals.len()),
            ("recordings", self.recordings.len()),
            ("callers who say their names", self.namings.len()),
            ("channels of trunks", self.admission.usage().map(|(_, in_use, _)| in_use as usize).sum()),
            ("asks", self.asks.len()),
            ("meetings on display", self.meetings.len()),
            ("dialogs of the endpoint", self.endpoint.invites()),
            ("calls of the bridge", self.bridge.legs()),
            ("conferences of the bridge", self.bridge.conferences()),
        ];
        kept.retain(|&(_, count)| count > 0);
        kept
    }

    /// How one trunk is doing.
    pub fn trunk_state(&self, trunk: &TrunkId) -> trunk::State {
        self.monitor.state(trunk)
    }

    /// The process ends although not every leg has: final records that wait for media that never came home are written
    /// without its figures.
    pub fn give_up(&mut self) {
        let waiting: Vec<LegId> = self.finals.keys().copied().collect();
        for leg in waiting {
            self.complete_record(leg, None);
        }
    }

    /// Something happened.
    pub fn handle(&mut self, now: Now, input: Input<D::Io>) {
        match input {
            Input::Sip { flow, bytes, peer } => {
                self.speaking = peer;
                self.sip_input(now, flow, bytes);
            }
            Input::FlowFailed { flow, why } => self.endpoint.handle_flow_failed(now.mono, &flow, &why),
            Input::Report(report) => self.handle_report(now, report),
            Input::Load { shard, load } => return self.handle_load(shard, load),
            Input::Busy { share, waiting } => return self.load.handle_signalling(share, waiting),
            Input::Settled(leg) => self.tell_bridge(now, bridge::Event::UsageDurable { leg }),
            Input::PinChecked { leg, token, right } => {
                self.tell_bridge(now, bridge::Event::PinChecked { leg, token, right });
            }
            Input::Named { leg, name } => self.tell_bridge(now, bridge::Event::Named { leg, name }),
            Input::Ask { number, ask } => self.handle_ask(now, number, ask),
            Input::RecordingEnded { number } => self.recording_ended(now, number),
            Input::Trunks(trunks) => self.take_trunks(now, trunks),
            Input::Configured(hash) => self.configuration = hash,
            Input::Directory { table, meetings } => {
                self.table = Arc::clone(&table);
                self.directory = Arc::clone(&meetings);
                self.tell_bridge(now, bridge::Event::TableChanged(table));
                self.tell_bridge(now, bridge::Event::DirectoryChanged(meetings));
            }
            Input::Rules { tariffs, defense } => {
                self.tell_bridge(now, bridge::Event::TariffsChanged(tariffs));
                self.tell_bridge(now, bridge::Event::DefenseChanged(defense));
            }
            Input::Drain => self.drain(now),
            Input::DrainNow => {
                self.drain(now);
                self.tell_bridge(now, bridge::Event::DrainNow);
            }
        }
        self.turn(now);
        self.speaking = None;
    }

    /// The time that [`Control::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.endpoint.handle_timeout(now.mono);
        self.bridge.handle_timeout(now.mono, now.wall);
        self.monitor.handle_timeout(now.mono);
        self.registrations.handle_timeout(now.mono);
        self.turn(now);
    }

    /// When to call [`Control::handle_timeout`], and what for.
    pub fn poll_timeout(&self) -> Option<(Instant, Wake)> {
        let sip = self.endpoint.poll_timeout().map(|(at, why)| (at, Wake::Sip(why)));
        let bridge = self.bridge.poll_timeout().map(|(at, why)| (at, Wake::Bridge(why)));
        let trunk = self.monitor.poll_timeout().map(|(at, why)| (at, Wake::Trunk(why)));
        let register = self.registrations.poll_timeout().map(|at| (at, Wake::Register));
        let show = (!self.changed.is_empty()).then_some((self.publish_at, Wake::Publish));
        [sip, bridge, trunk, register, show].into_iter().flatten().min_by_key(|&(at, _)| at)
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Output<D::Io>> {
        self.outputs.pop_front()
    }

    /// Carries everything that one input set off from engine to engine until all are quiet.
    fn turn(&mut self, now: Now) {
        loop {
            if let Some(event) = self.endpoint.poll_event() {
                self.handle_sip(now, event);
            } else if let Some(command) = self.bridge.poll_command() {
                self.handle_command(now, command);
            } else if let Some(command) = self.monitor.poll_command() {
                self.send_ping(now, command);
            } else if let Some(command) = self.registrations.poll_command() {
                self.send_register(now, &command);
            } else {
                break;
            }
        }
        self.watch_trunks(now);
        self.watch_registrations();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.count_sent(&transmit);
            self.outputs.push_back(Output::Sip(transmit));
        }
        self.metrics.sip_transactions.set(self.endpoint.transactions() as i64);
        self.count_attempts();
        self.publish(now);
    }

    fn tell_bridge(&mut self, now: Now, event: bridge::Event) {
        // A dial-out names its meeting by the digits that callers key, and no log holds those; nor does one tell how many keys a
        // PIN has.
        if !matches!(event, bridge::Event::DialOut(_) | bridge::Event::Digit { .. }) {
            tracing::trace!(?event, "bridge event");
        }
        self.bridge.handle(now.mono, now.wall, event);
    }

    fn drain(&mut self, now: Now) {
        if self.draining {
            return;
        }
        self.draining = true;
        self.metrics.ready.set(0);
        self.metrics.draining.set(1);
        self.endpoint.set_readiness(Readiness::Draining { retry_after: 30 });
        self.registrations.leave(now.mono);
        self.tell_bridge(now, bridge::Event::Drain);
    }

    fn handle_load(&mut self, shard: usize, load: ShardLoad) {
        if self.load.handle_measured(shard, load) {
            match self.load.check(shard) {
                Ok(()) => tracing::info!(shard, busy = load.busy, "the media thread takes new legs again"),
                Err(why) => {
                    tracing::warn!(shard, busy = load.busy, %why, "the media thread takes no new legs");
                }
            }
        }
    }

    fn fresh_leg(&mut self) -> LegId {
        let leg = LegId(self.next_leg);
        self.next_leg += 1;
        leg
    }

    fn media_out(&mut self, sent: impl IntoIterator<Item = (usize, mixer::Command<D::Io>)>) {
        for (shard, command) in sent {
            self.outputs.push_back(Output::Media { shard, command: Box::new(command) });
        }
    }
}
