//! The OPTIONS keep-alive machine: one per peer, Up / Suspect / Down, and Draining for a trunk as a whole.
//!
//! - A peer begins as Suspect: nothing is known, calls may try it. Its first ping is spread over the first seconds.
//! - One miss makes it Suspect, three in a row make it Down, an accepted answer makes it Up.
//! - A miss is: no answer in time, an answer that `options_accepted_codes` does not list, a broken transport. After a
//!   broken transport the peer is asked again at once, once per interval.
//! - A live call is an answer too: a miss within one interval after it does not count.
//! - A peer that goes Down for the third time within fifteen minutes must answer for a while before it is Up again.
//!
//! Drive it: `handle_*` with what happened, then `poll_command` and `poll_event` until empty, then wait for
//! `poll_timeout` at the latest.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt as _, SeedableRng as _};
use routing::TrunkId;

use crate::profile::{Options, Peer, Profile, Transport, Turn};
use crate::turns::in_turn;

/// Misses in a row that make a peer Down.
const MISSES_TO_DOWN: u8 = 3;
/// An answer is awaited so long, or until the next ping is due: four retransmissions of RFC 3261's Timer E.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// First pings are spread over this time, or over one interval when that is shorter.
const FIRST_PING_WITHIN: Duration = Duration::from_secs(5);
/// Downs are counted over this time.
const FLAP_WINDOW: Duration = Duration::from_mins(15);
/// So many of them are flapping.
const FLAPS: usize = 3;
/// How long a flapping peer must answer; doubled with every further Down, up to the window.
const HOLD_DOWN: Duration = Duration::from_mins(1);

/// What is known of a peer, or of a trunk by its best peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It answers.
    Up,
    /// Not heard yet, or missed once or twice: calls still try it.
    Suspect,
    /// It does not answer, or not steadily yet: tried last.
    Down,
    /// Disabled or drained (a trunk only): running legs stay, no new ones.
    Draining,
}

/// Names one peer across configuration changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey {
    /// Its trunk.
    pub trunk: TrunkId,
    /// Its address.
    pub address: SocketAddr,
    /// Its transport.
    pub transport: Transport,
}

impl PeerKey {
    /// The key of a peer of this profile.
    pub fn of(profile: &Profile, peer: &Peer) -> Self {
        Self { trunk: profile.id.clone(), address: peer.address, transport: peer.transport }
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.trunk, self.transport.as_str(), self.address)
    }
}

/// Send an OPTIONS to this peer (see [`crate::shape_options`]) and report its end with the same `ping`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendOptions {
    /// To whom.
    pub peer: PeerKey,
    /// Which ping this is, for [`Monitor::handle_options_result`].
    pub ping: u64,
}

/// How a ping ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PingOutcome {
    /// A final answer with this status.
    Answered(u16),
    /// Nothing came back.
    NoAnswer,
    /// The connection could not be made or broke.
    TransportFailed,
}

/// A peer or a trunk changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The trunk.
    pub trunk: TrunkId,
    /// The peer, or `None` when it is the trunk as a whole.
    pub peer: Option<PeerKey>,
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
    /// Why, and what to look at.
    pub because: String,
}

/// Why the monitor wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerReason {
    /// A ping is due.
    OptionsPing,
    /// A ping has waited long enough for its answer.
    OptionsUnanswered,
    /// A flapping peer has answered long enough.
    HoldDown,
    /// A peer that is never pinged is believed again.
    BelieveAgain,
}

/// Knows which peers are healthy. See the module's text for the rules.
#[derive(Debug)]
pub struct Monitor {
    rng: StdRng,
    peers: BTreeMap<PeerKey, Watch>,
    trunks: BTreeMap<TrunkId, TrunkWatch>,
    commands: VecDeque<SendOptions>,
    events: VecDeque<Change>,
}

/// One trunk: whether it drains, and the state that was reported last.
#[derive(Clone, Copy, Debug)]
struct TrunkWatch {
    disabled: bool,
    draining: bool,
    reported: State,
}

/// One peer.
#[derive(Debug)]
struct Watch {
    options: Options,
    condition: Condition,
    /// `None` when this peer is not pinged.
    next_ping: Option<Instant>,
    pings: u64,
    awaited: Option<Awaited>,
    /// The last sign of life from a call.
    last_call: Option<Instant>,
    /// The extra ping after a broken transport is spent until the next regular one.
    asked_again: bool,
    /// When it went Down, the latest last; no more than matter.
    downs: VecDeque<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Awaited {
    ping: u64,
    until: Instant,
}

/// The state of a peer with what is known in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Up,
    Suspect {
        misses: u8,
    },
    Down {
        /// When to believe it again without an answer: only for a peer that is not pinged.
        believe_at: Option<Instant>,
    },
    /// It answers again after flapping: reported Down until then.
    Held {
        until: Instant,
    },
}

impl Condition {
    fn state(self) -> State {
        match self {
            Self::Up => State::Up,
            Self::Suspect { .. } => State::Suspect,
            Self::Down { .. } | Self::Held { .. } => State::Down,
        }
    }
}

impl Monitor {
    /// Watches the peers of these profiles; `seed` spreads the first pings.
    pub fn new(now: Instant, profiles: &[Profile], seed: u64) -> Self {
        let mut monitor = Self {
            rng: StdRng::seed_from_u64(seed),
            peers: BTreeMap::new(),
            trunks: BTreeMap::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
        };
        monitor.handle_profiles(now, profiles);
        monitor
    }

    // Getters

    /// The state of a trunk: Draining, or that of its best peer. Down for a trunk nobody knows.
    pub fn state(&self, trunk: &TrunkId) -> State {
        self.trunks.get(trunk).map_or(State::Down, |watch| watch.reported)
    }

    /// Whether a trunk is to be tried last: Down or Draining. What `routing` asks of a dial-out's trunks.
    pub fn is_down(&self, trunk: &TrunkId) -> bool {
        matches!(self.state(trunk), State::Down | State::Draining)
    }

    /// The state of one peer, Down for one nobody knows.
    pub fn peer_state(&self, peer: &PeerKey) -> State {
        self.peers.get(peer).map_or(State::Down, |watch| watch.condition.state())
    }

    /// All trunks with their states, for the metric and the API.
    pub fn states(&self) -> impl Iterator<Item = (&TrunkId, State)> {
        self.trunks.iter().map(|(trunk, watch)| (trunk, watch.reported))
    }

    /// The peers of a trunk in the order to try them this time: by state, then by priority, and among equals by a draw from
    /// `random` that follows their weights. The places of one name stay in the order of the DNS.
    pub fn in_order<'a>(&self, profile: &'a Profile, random: &mut impl Rng) -> Vec<&'a Peer> {
        let mut entries: Vec<Turn> = profile.peers.iter().map(|peer| peer.turn).collect();
        entries.dedup_by_key(|turn| turn.entry);
        let entries = in_turn(entries, |turn| (turn.priority, turn.weight), random);
        let place = |peer: &Peer| entries.iter().position(|turn| turn.entry == peer.turn.entry);
        let mut peers: Vec<&Peer> = profile.peers.iter().collect();
        peers.sort_by_key(|peer| (self.peer_state(&PeerKey::of(profile, peer)), place(peer)));
        peers
    }

    // World -> engine

    /// Takes the profiles after a configuration change. A peer that stays keeps what is known of it.
    pub fn handle_profiles(&mut self, now: Instant, profiles: &[Profile]) {
        let mut old = std::mem::take(&mut self.peers);
        for profile in profiles {
            for peer in &profile.peers {
                let key = PeerKey::of(profile, peer);
                let watch = match old.remove(&key) {
                    Some(watch) if watch.options == profile.options => watch,
                    known => self.begin(now, profile.options.clone(), known),
                };
                self.peers.insert(key, watch);
            }
        }
        self.commands.retain(|command| self.peers.contains_key(&command.peer));
        self.trunks.retain(|id, _| profiles.iter().any(|profile| profile.id == *id));
        for profile in profiles {
            let fresh = TrunkWatch { disabled: false, draining: false, reported: State::Suspect };
            self.trunks.entry(profile.id.clone()).or_insert(fresh).disabled = !profile.enabled;
            self.report_trunk(&profile.id, "the configuration says so");
        }
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let keys: Vec<PeerKey> = self.peers.keys().cloned().collect();
        for key in keys {
            let Some(watch) = self.peers.get_mut(&key) else { continue };
            if let Some(awaited) = watch.awaited.filter(|awaited| awaited.until <= now) {
                watch.awaited = None;
                let because = format!("OPTIONS {} had no answer", awaited.ping);
                self.missed(now, &key, &because);
            }
            self.run_down_timers(now, &key);
            self.ping_if_due(now, &key);
        }
    }

    /// A ping ended. The outcome of a ping that was judged already still proves life, but does not count as a miss.
    pub fn handle_options_result(&mut self, now: Instant, peer: &PeerKey, ping: u64, outcome: PingOutcome) {
        let Some(watch) = self.peers.get_mut(peer) else { return };
        let current = watch.awaited.is_some_and(|awaited| awaited.ping == ping);
        if current {
            watch.awaited = None;
        }
        match outcome {
            PingOutcome::Answered(status) if watch.options.accepted.contains(status) => {
                self.alive(now, peer, &format!("it answered OPTIONS with {status}"));
            }
            PingOutcome::Answered(status) if current => {
                let because = format!(
                    "it answered OPTIONS with {status}; if that is its normal answer, add it to options_accepted_codes"
                );
                self.missed(now, peer, &because);
            }
            PingOutcome::NoAnswer if current => self.missed(now, peer, "OPTIONS had no answer"),
            PingOutcome::TransportFailed if current => {
                self.unreachable(now, peer, "OPTIONS found no connection");
            }
            _ => {}
        }
    }

    /// A live call showed that the peer at this source works: an INVITE of it, or its answer to one of ours.
    /// Does nothing when no peer of the trunk has this address.
    pub fn handle_live_call(&mut self, now: Instant, trunk: &TrunkId, source: SocketAddr) {
        for key in self.keys_at(trunk, source) {
            if let Some(watch) = self.peers.get_mut(&key) {
                watch.last_call = Some(now);
            }
            self.alive(now, &key, "a live call went through");
        }
    }

    /// An INVITE of ours met silence or a broken connection at this address: the peer is asked at once.
    pub fn handle_call_unanswered(&mut self, now: Instant, trunk: &TrunkId, target: SocketAddr) {
        for key in self.keys_at(trunk, target).into_iter().filter(|key| key.address == target) {
            if let Some(watch) = self.peers.get_mut(&key) {
                watch.last_call = None;
            }
            self.unreachable(now, &key, "an INVITE had no answer");
        }
    }

    // Commands

    /// Drains a trunk, or ends that. The keep-alive goes on, because running legs still need the path.
    pub fn set_draining(&mut self, trunk: &TrunkId, draining: bool) {
        if let Some(watch) = self.trunks.get_mut(trunk) {
            watch.draining = draining;
            self.report_trunk(trunk, if draining { "it is drained" } else { "it is no longer drained" });
        }
    }

    // Engine -> world

    /// The next OPTIONS to send.
    pub fn poll_command(&mut self) -> Option<SendOptions> {
        self.commands.pop_front()
    }

    /// The next change of state, for the log and the metric.
    pub fn poll_event(&mut self) -> Option<Change> {
        self.events.pop_front()
    }

    /// When to call [`Monitor::handle_timeout`] at the latest, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, TimerReason)> {
        self.peers.values().filter_map(Watch::next_timer).min_by_key(|(at, _)| *at)
    }

    // Inside

    fn begin(&mut self, now: Instant, options: Options, known: Option<Watch>) -> Watch {
        let spread = FIRST_PING_WITHIN.min(options.interval);
        let delay = Duration::from_millis(self.rng.random_range(0..=spread.as_millis() as u64));
        let next_ping = options.send.then(|| now + delay);
        match known {
            Some(watch) => {
                // Without pings nothing would ever lift a Down, so it begins anew.
                let condition = if options.send { watch.condition } else { Condition::Suspect { misses: 0 } };
                Watch { options, condition, next_ping, awaited: None, ..watch }
            }
            None => Watch {
                options,
                condition: Condition::Suspect { misses: 0 },
                next_ping,
                pings: 0,
                awaited: None,
                last_call: None,
                asked_again: false,
                downs: VecDeque::new(),
            },
        }
    }

    /// The peers at exactly this address, else those at this IP: a peer may send from a port of its own.
    fn keys_at(&self, trunk: &TrunkId, address: SocketAddr) -> Vec<PeerKey> {
        let ip = address.ip().to_canonical();
        let of_trunk = || self.peers.keys().filter(|key| key.trunk == *trunk);
        let exact: Vec<PeerKey> = of_trunk().filter(|key| key.address == address).cloned().collect();
        if !exact.is_empty() {
            return exact;
        }
        of_trunk().filter(|key| key.address.ip().to_canonical() == ip).cloned().collect()
    }

    /// The arm "it lives" of every state.
    fn alive(&mut self, now: Instant, key: &PeerKey, because: &str) {
        let Some(watch) = self.peers.get_mut(key) else { return };
        let to = match watch.condition {
            Condition::Up | Condition::Suspect { .. } => Condition::Up,
            Condition::Down { .. } => match watch.hold_down(now) {
                None => Condition::Up,
                Some(hold) => Condition::Held { until: now + hold },
            },
            held @ Condition::Held { .. } => held,
        };
        self.go(key, to, because);
    }

    /// The arm "a sign of life is missing" of every state.
    fn missed(&mut self, now: Instant, key: &PeerKey, because: &str) {
        let Some(watch) = self.peers.get_mut(key) else { return };
        if watch.last_call.is_some_and(|at| now.saturating_duration_since(at) <= watch.options.interval) {
            return;
        }
        let believe_at = (!watch.options.send).then(|| now + watch.options.interval);
        let to = match watch.condition {
            Condition::Up => Condition::Suspect { misses: 1 },
            Condition::Suspect { misses } if misses + 1 < MISSES_TO_DOWN => {
                Condition::Suspect { misses: misses + 1 }
            }
            Condition::Suspect { .. } | Condition::Held { .. } => {
                watch.downs.push_back(now);
                Condition::Down { believe_at }
            }
            Condition::Down { .. } => Condition::Down { believe_at },
        };
        self.go(key, to, because);
    }

    /// A broken transport is a miss, and worth asking again at once: but once per interval, or a port that refuses
    /// would make us ask without end.
    fn unreachable(&mut self, now: Instant, key: &PeerKey, because: &str) {
        self.missed(now, key, because);
        let Some(watch) = self.peers.get_mut(key) else { return };
        if watch.next_ping.is_some() && watch.awaited.is_none() && !watch.asked_again {
            watch.asked_again = true;
            self.send_ping(now, key);
        }
    }

    /// The timers of Held and Down.
    fn run_down_timers(&mut self, now: Instant, key: &PeerKey) {
        match self.peers.get(key).map(|watch| watch.condition) {
            Some(Condition::Held { until }) if until <= now => {
                self.go(key, Condition::Up, "it has answered steadily after flapping");
            }
            Some(Condition::Down { believe_at: Some(at) }) if at <= now => {
                self.go(
                    key,
                    Condition::Suspect { misses: 0 },
                    "it is not pinged, so a call must try it again",
                );
            }
            _ => {}
        }
    }

    fn ping_if_due(&mut self, now: Instant, key: &PeerKey) {
        let Some(watch) = self.peers.get_mut(key) else { return };
        let Some(due) = watch.next_ping.filter(|due| *due <= now) else { return };
        // The pace is kept, unless we were away for longer than one interval.
        let next = due + watch.options.interval;
        watch.next_ping = Some(if next > now { next } else { now + watch.options.interval });
        watch.asked_again = false;
        if watch.awaited.is_none() {
            self.send_ping(now, key);
        }
    }

    fn send_ping(&mut self, now: Instant, key: &PeerKey) {
        let Some(watch) = self.peers.get_mut(key) else { return };
        watch.pings += 1;
        let until = now + ANSWER_WITHIN.min(watch.options.interval);
        watch.awaited = Some(Awaited { ping: watch.pings, until });
        self.commands.push_back(SendOptions { peer: key.clone(), ping: watch.pings });
    }

    /// Changes a peer's condition and reports what others can see of it.
    fn go(&mut self, key: &PeerKey, to: Condition, because: &str) {
        let Some(watch) = self.peers.get_mut(key) else { return };
        let from = watch.condition.state();
        watch.condition = to;
        let to = to.state();
        if from != to {
            let (trunk, peer) = (key.trunk.clone(), Some(key.clone()));
            self.events.push_back(Change { trunk, peer, from, to, because: because.to_owned() });
        }
        self.report_trunk(&key.trunk, because);
    }

    fn report_trunk(&mut self, trunk: &TrunkId, because: &str) {
        let best = self
            .peers
            .iter()
            .filter(|(key, _)| key.trunk == *trunk)
            .map(|(_, watch)| watch.condition.state())
            .min()
            .unwrap_or(State::Down);
        let Some(watch) = self.trunks.get_mut(trunk) else { return };
        let to = if watch.disabled || watch.draining { State::Draining } else { best };
        let from = std::mem::replace(&mut watch.reported, to);
        if from != to {
            let because = because.to_owned();
            self.events.push_back(Change { trunk: trunk.clone(), peer: None, from, to, because });
        }
    }
}

impl Watch {
    /// How long a peer that answers again must be held, if it flaps.
    fn hold_down(&mut self, now: Instant) -> Option<Duration> {
        self.downs.retain(|at| now.saturating_duration_since(*at) <= FLAP_WINDOW);
        let more = self.downs.len().checked_sub(FLAPS)?;
        Some(HOLD_DOWN.saturating_mul(1 << more.min(8)).min(FLAP_WINDOW))
    }

    fn next_timer(&self) -> Option<(Instant, TimerReason)> {
        let ping = self.next_ping.map(|at| (at, TimerReason::OptionsPing));
        let awaited = self.awaited.map(|awaited| (awaited.until, TimerReason::OptionsUnanswered));
        let condition = match self.condition {
            Condition::Held { until } => Some((until, TimerReason::HoldDown)),
            Condition::Down { believe_at } => believe_at.map(|at| (at, TimerReason::BelieveAgain)),
            Condition::Up | Condition::Suspect { .. } => None,
        };
        [ping, awaited, condition].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests;
