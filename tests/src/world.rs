//! The world: one clock, one network, the bridge in the middle.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use mixer::Report;
use serde_json::Value;
use server::config::Config;
use server::control::{Ask, Control, Input, Now, Output, Parts, Reply};
use server::media::gauges::ShardLoad;
use server::metrics::Metrics;
use server::prompts::Prompts;
use sip::{Flow, Transport};

use crate::calls::{Phone, PhoneId};
use crate::fixture::{BRIDGE, MICROSOFT, SITES, Setup};
use crate::gateway::Pairing;
use crate::media::SimShard;
use crate::network::{Datagram, Lane, Network};
use crate::people::{Received, Site, SiteId, first_line};
use crate::prompts::Voice;
use crate::sockets::{Arrived, SimDoor, SimIo, Sockets};

/// Phones send every 20 ms, a little after the first shard's tick.
const BEAT: Duration = Duration::from_millis(20);
/// The wall clock at the beginning: 2026-11-18.
const EPOCH: Duration = Duration::from_secs(1_795_000_000);
/// So many messages are shown when a scenario fails.
const LADDER: usize = 400;

type Act = Box<dyn FnOnce(&mut World)>;

/// The bridge, its peers and the network between them.
pub struct World {
    /// The bridge.
    pub control: Control<SimDoor>,
    /// What it counts.
    pub metrics: Metrics,
    /// The network.
    pub net: Network,
    /// The peers.
    pub sites: Vec<Site>,
    /// Everybody who called or was called.
    pub phones: Vec<Phone>,
    /// The media threads.
    pub shards: Vec<SimShard>,
    /// The bridge's media sockets.
    pub sockets: Sockets,
    /// The usage records, as they were written.
    pub records: Vec<Value>,
    /// The API's answers by the number of the ask.
    pub replies: HashMap<u64, Reply>,
    /// What the API shows of each open meeting.
    pub shown: HashMap<String, Value>,
    /// What is tapped of each recording, as its writer would get it.
    pub tapped: Vec<rtrb::Consumer<mixer::Tapped>>,
    /// What the event stream would tell, in order.
    pub happened: Vec<server::control::Happening>,
    /// Every SIP message that was sent to the bridge, for those who send it again.
    pub spoken: Vec<(SocketAddr, Bytes)>,
    /// Somebody has set the clock on the wall by so many seconds.
    pub wall_step: i64,
    /// How the world was made; delays may be changed while it runs.
    pub setup: Setup,
    /// What the media threads measure; control is told at every 25th beat.
    loads: [ShardLoad; 2],
    beats: u64,
    pub(crate) by_rtp: HashMap<SocketAddr, PhoneId>,
    /// Addresses to which the bridge sent media although no SDP ever named them.
    pub bleeding: HashSet<SocketAddr>,
    /// Every SDP comes from a phone, so that media to any other address is a mistake; false where SDP is broken on purpose.
    pub strict: bool,
    /// Addresses that a message written by hand named.
    pub named: HashSet<SocketAddr>,
    heard_by_hand: HashMap<SocketAddr, usize>,
    /// How many connections to an address have ended.
    ended_connections: HashMap<SocketAddr, u64>,
    /// The Call-IDs of the bridge's own INVITEs.
    own_calls: HashSet<String>,
    pub(crate) late: HashSet<PhoneId>,
    pub(crate) reports: VecDeque<(Duration, Report<SimIo>)>,
    start: Instant,
    now: Duration,
    next_beat: Duration,
    agenda: BTreeMap<(Duration, u64), Act>,
    appointments: u64,
    asks: u64,
    ladder: VecDeque<String>,
}

impl World {
    /// A world by its setup. The bridge's configuration goes through the server's own parser.
    pub fn new(setup: Setup) -> Self {
        let config = configuration(&setup);
        // The one look at a clock: any fixed point would do, and `Instant` has no other constructor.
        let start = Instant::now();
        let sockets = Sockets::default();
        let metrics = Metrics::new(config.trunks.profiles().iter().map(|profile| profile.id.as_str()));
        let now = Now { mono: start, wall: SystemTime::UNIX_EPOCH + EPOCH };
        let control = Control::new(now, parts(&config, &setup, metrics.clone(), sockets.clone()));
        let shards = (0..2)
            .map(|number| SimShard::new(start + Duration::from_millis(9 * number), setup.sabotage))
            .collect();
        let mut sites: Vec<Site> = SITES.iter().map(|&(name, ip)| Site::new(name, ip, setup.seed)).collect();
        sites[MICROSOFT.0].pairing = Some(setup.pairing());
        let mut world = Self {
            control,
            metrics,
            net: Network::new(setup.seed, setup.sip, setup.media),
            sites,
            phones: Vec::new(),
            shards,
            sockets,
            records: Vec::new(),
            replies: HashMap::new(),
            shown: HashMap::new(),
            tapped: Vec::new(),
            happened: Vec::new(),
            spoken: Vec::new(),
            wall_step: 0,
            setup,
            loads: [ShardLoad::default(); 2],
            beats: 0,
            by_rtp: HashMap::new(),
            bleeding: HashSet::new(),
            strict: true,
            named: HashSet::new(),
            heard_by_hand: HashMap::new(),
            ended_connections: HashMap::new(),
            own_calls: HashSet::new(),
            late: HashSet::new(),
            reports: VecDeque::new(),
            start,
            now: Duration::ZERO,
            next_beat: Duration::from_millis(3),
            agenda: BTreeMap::new(),
            appointments: 0,
            asks: 0,
            ladder: VecDeque::new(),
        };
        world.carry_out();
        world
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now
    }

    /// Time since a moment that [`World::elapsed`] gave.
    pub fn since(&self, begin: Duration) -> Duration {
        self.now.saturating_sub(begin)
    }

    /// The present moment for timers.
    pub fn instant(&self) -> Instant {
        self.start + self.now
    }

    /// The time of day.
    pub fn wall(&self) -> SystemTime {
        let wall = SystemTime::UNIX_EPOCH + EPOCH + self.now;
        match self.wall_step {
            step if step < 0 => wall - Duration::from_secs(step.unsigned_abs()),
            step => wall + Duration::from_secs(step.unsigned_abs()),
        }
    }

    /// The seed of everything random.
    pub fn seed(&self) -> u64 {
        self.setup.seed
    }

    pub(crate) fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    /// Does something later.
    pub fn after(&mut self, time: Duration, act: impl FnOnce(&mut Self) + 'static) {
        self.appointments += 1;
        self.agenda.insert((self.now + time, self.appointments), Box::new(act));
    }

    /// A line in the ladder that is shown when a scenario fails.
    pub fn note(&mut self, text: impl Into<String>) {
        if self.ladder.len() == LADDER {
            self.ladder.pop_front();
        }
        self.ladder.push_back(format!("{:>10.3} {}", self.now.as_secs_f64(), text.into()));
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Lets whole seconds pass.
    pub fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    /// Lets time pass until something holds; panics when it does not within `longest`.
    pub fn until(&mut self, what: &str, longest: Duration, holds: impl Fn(&Self) -> bool) {
        let until = self.now + longest;
        while !holds(self) {
            assert!(self.step(until), "not within {longest:?}: {what}");
        }
    }

    /// Goes on to the next thing that happens, or to `limit`; false when `limit` was reached.
    fn step(&mut self, limit: Duration) -> bool {
        let timer = self.control.poll_timeout().map(|(at, _)| self.since_start(at));
        let sites = self.sites.iter().filter_map(|site| site.endpoint.as_ref()?.poll_timeout());
        let next = [
            timer,
            sites.map(|(at, _)| self.since_start(at)).min(),
            self.net.next_at(),
            self.agenda.first_key_value().map(|(&(at, _), _)| at),
            self.reports.front().map(|&(at, _)| at),
            self.phones.iter().any(|phone| phone.remote.is_some()).then_some(self.next_beat),
            self.next_phase(0),
            self.next_phase(1),
        ];
        let at = next.into_iter().flatten().min().unwrap_or(limit);
        if at > limit {
            self.now = limit;
            return false;
        }
        self.now = at.max(self.now);
        self.happen();
        true
    }

    fn happen(&mut self) {
        while let Some(datagram) = self.net.receive(self.now) {
            self.deliver(datagram);
        }
        while self.agenda.first_key_value().is_some_and(|(&(at, _), _)| at <= self.now) {
            if let Some((_, act)) = self.agenda.pop_first() {
                act(self);
            }
        }
        for shard in 0..self.shards.len() {
            if self.next_phase(shard).is_some_and(|at| at <= self.now) {
                self.phase(shard);
            }
        }
        while self.reports.front().is_some_and(|&(at, _)| at <= self.now) {
            if let Some((_, report)) = self.reports.pop_front() {
                self.feed(Input::Report(report));
            }
        }
        if self.next_beat <= self.now {
            self.beat();
            while self.next_beat <= self.now {
                self.next_beat += BEAT;
            }
        }
        self.timers();
    }

    fn timers(&mut self) {
        let now = self.instant();
        for site in 0..self.sites.len() {
            if let Some(endpoint) = &mut self.sites[site].endpoint
                && endpoint.poll_timeout().is_some_and(|(at, _)| at <= now)
            {
                endpoint.handle_timeout(now);
                self.flush(SiteId(site));
            }
        }
        let mut rounds = 0;
        while let Some((at, why)) = self.control.poll_timeout().filter(|&(at, _)| at <= now) {
            rounds += 1;
            let overdue = now.saturating_duration_since(at);
            assert!(rounds < 1000, "control's timer {why:?} is still due after 1000 rounds, by {overdue:?}");
            self.control.handle_timeout(Now { mono: now, wall: self.wall() });
            self.carry_out();
        }
    }

    /// The trunks are as this setup's file says, as after a SIGHUP.
    pub fn reload(&mut self, setup: &Setup) {
        self.feed(Input::Trunks(configuration(setup).trunks));
    }

    /// From now on a media thread measures this load; control learns of it at once.
    pub fn measure(&mut self, shard: usize, load: ShardLoad) {
        self.loads[shard] = load;
        self.feed(Input::Load { shard, load });
    }

    fn beat(&mut self) {
        self.beats += 1;
        if self.beats.is_multiple_of(25) {
            for (shard, load) in self.loads.into_iter().enumerate() {
                self.feed(Input::Load { shard, load });
            }
        }
        for number in 0..self.phones.len() {
            let phone = &mut self.phones[number];
            let Some(to) = phone.remote else { continue };
            let from = phone.rtp;
            for plain in phone.mouth.beat() {
                let bytes = match &mut phone.keyed {
                    Some(keyed) => keyed.seal(&plain),
                    None => plain,
                };
                self.net.send(self.now, Datagram { from, to, lane: Lane::Media, bytes });
            }
        }
    }

    fn deliver(&mut self, datagram: Datagram) {
        let Datagram { from, to, lane, bytes } = datagram;
        if lane == Lane::Media {
            return self.deliver_media(from, to, bytes);
        }
        self.note(format!("{} -> {}  {}", self.name(from), self.name(to), first_line(&bytes)));
        if to == BRIDGE {
            self.spoken.push((from, bytes.clone()));
            let ended = self.ended_connections.get(&from).copied().unwrap_or_default();
            return self.feed(Input::Sip { flow: flow(lane, to, from, ended), bytes, peer: None });
        }
        let Some(number) = self.sites.iter().position(|site| site.address == to) else {
            assert!(!self.strict, "a SIP message to nobody, {to}: {}", first_line(&bytes));
            return;
        };
        let (now, at) = (self.instant(), self.now);
        let site = &mut self.sites[number];
        site.inbox.push(Received { at, bytes: bytes.clone() });
        if let Some(pairing) = &site.pairing {
            let transport = if lane == Lane::Stream { "tcp" } else { "udp" };
            let wrong = Pairing { transport, ..*pairing }.complaints(&String::from_utf8_lossy(&bytes));
            site.complaints.extend(wrong.iter().map(|wrong| format!("{}: {wrong}", first_line(&bytes))));
        }
        if site.alive
            && bytes.starts_with(b"REGISTER ")
            && let Some(registrar) = &mut site.registrar
        {
            let transport = if lane == Lane::Stream { Transport::Tcp } else { Transport::Udp };
            let answer = registrar.answer(now, at, &bytes);
            return self.send_sip(transport, to, from, answer);
        }
        if site.alive
            && let Some(endpoint) = &mut site.endpoint
        {
            endpoint.handle_input(now, flow(lane, to, from, 0), bytes);
            self.flush(SiteId(number));
        }
    }

    fn deliver_media(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        if to.ip() == BRIDGE.ip() {
            return self.sockets.deliver(to.port(), Arrived { from, at: self.instant(), bytes });
        }
        let rtp = SocketAddr::new(to.ip(), to.port() & !1);
        let Some(&phone) = self.by_rtp.get(&rtp) else {
            *self.heard_by_hand.entry(to).or_default() += 1;
            if self.strict && !self.named.contains(&rtp) {
                self.bleeding.insert(to);
            }
            return;
        };
        let phone = &mut self.phones[phone.0];
        let opened = match &mut phone.keyed {
            None => Some(bytes),
            Some(keyed) if to == rtp => keyed.open(&bytes),
            Some(keyed) => keyed.open_rtcp(&bytes),
        };
        match opened {
            Some(plain) if to == rtp => {
                phone.ear.take_rtp(self.now, &plain);
                if let Some(packet) = phone.ear.packets.last() {
                    phone.mouth.hear(&packet.pcm);
                }
            }
            Some(plain) => phone.ear.take_rtcp(&plain),
            None => {}
        }
    }

    /// Puts a SIP message on the wire.
    pub fn send_sip(&mut self, transport: Transport, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let lane = if transport == Transport::Udp { Lane::Sip } else { Lane::Stream };
        self.net.send(self.now, Datagram { from, to, lane, bytes });
    }

    /// Sends a SIP message to the bridge as it is.
    pub fn send_raw(&mut self, from: SocketAddr, bytes: Bytes) {
        self.send_sip(Transport::Udp, from, BRIDGE, bytes);
    }

    /// Sends a datagram to one of the bridge's media ports, from wherever one likes.
    pub fn send_media(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        self.net.send(self.now, Datagram { from, to, lane: Lane::Media, bytes });
    }

    /// Media datagrams that came to an address which is no phone's.
    pub fn heard_at(&self, address: SocketAddr) -> usize {
        self.heard_by_hand.get(&address).copied().unwrap_or_default()
    }

    /// Tells the bridge something.
    pub fn feed(&mut self, input: Input<SimIo>) {
        if let Input::FlowFailed { flow, .. } = &input
            && flow.connection != 0
        {
            *self.ended_connections.entry(flow.remote).or_default() += 1;
        }
        let now = Now { mono: self.instant(), wall: self.wall() };
        self.control.handle(now, input);
        self.carry_out();
    }

    /// Asks the API to dial a number; the reply is found under the number that is returned.
    pub fn dial_out(&mut self, conference_id: &str, number: &str, confirm: Option<bool>) -> u64 {
        let (conference_id, number) = (conference_id.to_owned(), number.to_owned());
        self.ask(Ask::DialOut { conference_id, number, confirm, call_me: false })
    }

    /// Asks the API; the reply is found under the number that is returned.
    pub fn ask(&mut self, ask: Ask) -> u64 {
        self.asks += 1;
        self.feed(Input::Ask { number: self.asks, ask });
        self.asks
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.control.poll_output() {
            match output {
                Output::Sip(transmit) => {
                    let Flow { transport, local, remote, connection } = transmit.flow;
                    self.watch(&transmit.bytes);
                    let refuses = |site: &Site| site.address == remote && site.refuses_tcp;
                    if transport == Transport::Tcp && self.sites.iter().any(refuses) {
                        self.note(format!("{} refuses TCP", self.name(remote)));
                        let (flow, why) = (transmit.flow, "connect: refused".to_owned());
                        self.after(Duration::from_millis(1), move |world| {
                            world.feed(Input::FlowFailed { flow, why });
                        });
                        continue;
                    }
                    let ended = self.ended_connections.get(&remote).is_some_and(|ended| connection <= *ended);
                    if connection != 0 && ended {
                        let line = first_line(&transmit.bytes);
                        self.note(format!("{line} is lost: connection {connection} has ended"));
                        continue;
                    }
                    self.send_sip(transport, local, remote, transmit.bytes);
                }
                Output::Media { shard, command } => self.command(shard, *command),
                Output::Usage { line, ticket } => {
                    assert!(!line.contains('\n'), "a record is one line: {line}");
                    self.records.push(serde_json::from_str(&line).expect("a record is JSON"));
                    if let (Some(leg), Some(after)) = (ticket, self.setup.settles) {
                        self.after(after, move |world| world.feed(Input::Settled(leg)));
                    }
                }
                Output::CheckPin { leg, token, hash, pin } => {
                    let right = server::pin::verify(hash.as_str(), pin.as_str());
                    self.after(Duration::from_millis(20), move |world| {
                        world.feed(Input::PinChecked { leg, token, right });
                    });
                }
                Output::TrimName { leg, frames } => {
                    let name = server::names::spoken(frames, None);
                    self.after(Duration::from_millis(20), move |world| {
                        world.feed(Input::Named { leg, name });
                    });
                }
                // Nobody writes in the simulation: what is tapped is kept until somebody looks.
                Output::Record { frames, .. } => self.tapped.push(frames),
                Output::Decided(_) => {}
                Output::Reply { number, reply } => {
                    let before = self.replies.insert(number, reply);
                    assert!(before.is_none(), "ask {number} was answered twice");
                }
                Output::Happened(happening) => self.happened.push(happening),
                Output::Publish { conference_id, shown: Some(shown), .. } => {
                    self.shown.insert(conference_id, shown);
                }
                Output::Publish { conference_id, shown: None, .. } => {
                    self.shown.remove(&conference_id);
                }
            }
        }
    }

    /// No caller is answered before the start record of his leg is written.
    fn watch(&mut self, bytes: &Bytes) {
        let answers = bytes.starts_with(b"SIP/2.0 200");
        if !self.strict || !(answers || bytes.starts_with(b"INVITE ")) {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let Some(call_id) = value("Call-ID:") else { panic!("a message without Call-ID: {text}") };
        if !answers {
            self.own_calls.insert(call_id.to_owned());
        } else if value("CSeq:").is_some_and(|cseq| cseq.ends_with("INVITE"))
            && !self.own_calls.contains(call_id)
        {
            let started = |record: &Value| record["kind"] == "start" && record["sip_call_id"] == call_id;
            assert!(self.records.iter().any(started), "a 200 before its start record: {call_id}");
        }
    }

    fn name(&self, address: SocketAddr) -> String {
        let site = self.sites.iter().find(|site| site.address == address).map(|site| site.name);
        site.map_or_else(
            || if address == BRIDGE { "bridge".into() } else { address.to_string() },
            str::to_owned,
        )
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, at {:?}; the last messages:", self.setup.seed, self.now);
            for line in &self.ladder {
                eprintln!("{line}");
            }
        }
    }
}

/// The connections between two are numbered from 1, and one at a time is up.
fn flow(lane: Lane, local: SocketAddr, remote: SocketAddr, ended: u64) -> Flow {
    let (transport, connection) =
        if lane == Lane::Stream { (Transport::Tcp, ended + 1) } else { (Transport::Udp, 0) };
    Flow { transport, local, remote, connection }
}

fn configuration(setup: &Setup) -> Config {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    match Config::parse(&folder.join("sim.toml"), &setup.toml()) {
        Ok(config) => config,
        Err(problems) => panic!("the fixture's configuration: {problems}"),
    }
}

/// As the shell puts them together, with what is not real here.
fn parts(config: &Config, setup: &Setup, metrics: Metrics, sockets: Sockets) -> Parts<SimDoor> {
    let media = &config.media;
    let prompts = match setup.voice {
        Voice::Marked => crate::prompts::marked(),
        Voice::Recorded => Arc::new(Prompts::of(media).expect("the committed prompts load")),
    };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&setup.seed.to_be_bytes());
    let door = SimDoor::new(media.address, media.ports, sockets);
    Parts::new(config, Arc::clone(&config.trunks), prompts, metrics, door, 2, seed)
}
