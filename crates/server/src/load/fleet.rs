//! A fleet of RTP legs in rooms: the part of the load generator that needs nothing but addresses.
//!
//! ```no_run
//! use std::time::Duration;
//! use server::load::fleet::{Fleet, FleetConfig, FleetLeg, FleetRoom};
//!
//! # fn main() -> Result<(), server::load::fleet::FleetError> {
//! let here = "127.0.0.1:0".parse().unwrap();
//! let leg = |bridge: &str| -> std::io::Result<FleetLeg> {
//!     let leg = FleetLeg::bind(here)?; // now its address can be signalled
//!     leg.toward(bridge.parse().unwrap())
//! };
//! let legs = vec![leg("127.0.0.1:20000")?, leg("127.0.0.1:20002")?];
//! let rooms = vec![FleetRoom { legs, probe: false }];
//! let report = Fleet::new(FleetConfig { seconds: Duration::from_secs(10), ..FleetConfig::new(rooms) })?.run()?;
//! println!("{}", report.mix.right);
//! # Ok(())
//! # }
//! ```

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use thiserror::Error;

use super::arrivals::Header;
use super::batch::{self, wall};
use super::cost::{Cpu, resident};
use super::driver::{Driven, Driver, Order};
use super::ear::{self, Judgement, Roll, Sound};
use super::leg::{Leg, Line, Part, Place};
use super::plan::{Plan, Shape, Talk, Unplannable, Who};
use super::probe::{Clicker, Listener};
use super::report::{Generator, Histograms, LegReport, Mix, Packets, Report, Server};
use super::speech::Codec;
use super::spread::Spread;
use super::tones::Repertoire;

/// Windows that may wait for the ear; more are dropped and counted.
const WAITING: usize = 256;
/// Every leg is listened to so many times in a run, where it is long enough.
const WINDOWS_PER_RUN: u32 = 5;

/// A leg's socket.
#[derive(Debug)]
pub struct FleetLeg {
    socket: UdpSocket,
}

impl FleetLeg {
    /// Binds a socket; port 0 takes a free one.
    pub fn bind(local: SocketAddr) -> io::Result<Self> {
        Self::over(UdpSocket::bind(local)?)
    }

    /// Takes over a socket that is already bound.
    pub fn over(socket: UdpSocket) -> io::Result<Self> {
        batch::prepare(&socket)?;
        Ok(Self { socket })
    }

    /// Where it is bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Says where the bridge receives this leg's RTP, and sends from: anybody else's datagrams are refused by the kernel.
    pub fn toward(self, remote: SocketAddr) -> io::Result<Self> {
        self.socket.connect(remote)?;
        Ok(self)
    }
}

/// Legs that hear each other.
#[derive(Debug)]
pub struct FleetRoom {
    /// Its legs, all of them [`toward`](FleetLeg::toward) the bridge.
    pub legs: Vec<FleetLeg>,
    /// Nobody talks here: the first leg sends bursts and the others time them. Three legs do well.
    pub probe: bool,
}

/// What a fleet does.
#[derive(Debug)]
pub struct FleetConfig {
    /// Who hears whom.
    pub rooms: Vec<FleetRoom>,
    /// Who talks.
    pub talk: Talk,
    /// What all legs speak.
    pub codec: Codec,
    /// How many talkers the bridge mixes at a time (0: all): of more in a room so many must be heard.
    pub mixed: usize,
    /// Packets flow for so long before anything is counted.
    pub warm_up: Duration,
    /// How long is measured.
    pub seconds: Duration,
    /// The bridge's process, to know what it costs.
    pub server_pid: Option<u32>,
    /// Feeds everything random.
    pub seed: u64,
    /// Threads that send and receive; one carries a few thousand legs.
    pub threads: usize,
}

impl FleetConfig {
    /// These rooms, where everyone speaks PCMU all the time for ten seconds after two of warming up, with a bridge that
    /// mixes five.
    pub fn new(rooms: Vec<FleetRoom>) -> Self {
        Self {
            rooms,
            talk: Talk { who: Who::All, spurt: None },
            codec: Codec::Pcmu,
            mixed: 5,
            warm_up: Duration::from_secs(2),
            seconds: Duration::from_secs(10),
            server_pid: None,
            seed: 1,
            threads: 1,
        }
    }
}

/// Why a fleet cannot run.
#[derive(Debug, Error)]
pub enum FleetError {
    /// A room without legs.
    #[error("room {0} has no leg: give every room one at least")]
    Empty(usize),
    /// A socket or a thread.
    #[error("the operating system refused: {0}")]
    Io(#[from] io::Error),
    /// See [`Unplannable`].
    #[error(transparent)]
    Plan(#[from] Unplannable),
    /// The bridge's process cannot be watched.
    #[error("the process {pid} cannot be watched: {error}: is it the bridge, and does it still run?")]
    Server {
        /// Its number.
        pid: u32,
        /// What the kernel says.
        error: io::Error,
    },
    /// A thread has panicked.
    #[error("a thread of the generator has ended early: that is a bug of ours")]
    Thread,
}

/// A fleet whose threads run; its packets flow from here on.
pub struct Fleet {
    warm_up: Duration,
    seconds: Duration,
    talk: Who,
    codec: Codec,
    server_pid: Option<u32>,
    shapes: Vec<Shape>,
    sounds: SyncSender<Sound>,
    drivers: Vec<(SyncSender<Order>, JoinHandle<Driven>)>,
    ear: JoinHandle<Judgement>,
}

impl Fleet {
    /// Prepares all packets and starts the threads. Legs begin to send at once.
    pub fn new(config: FleetConfig) -> Result<Self, FleetError> {
        if let Some(empty) = config.rooms.iter().position(|room| room.legs.is_empty()) {
            return Err(FleetError::Empty(empty));
        }
        let shapes: Vec<Shape> =
            config.rooms.iter().map(|room| Shape { legs: room.legs.len(), probe: room.probe }).collect();
        let plan = Arc::new(Plan::new(&shapes, config.talk, config.mixed, config.seed)?);
        let repertoire = Arc::new(Repertoire::new(&plan.grid, config.codec, plan.amplitude));
        let legs = shapes.iter().map(|shape| shape.legs).sum();
        let (sounds, windows) = sync_channel(WAITING);
        let roll = Arc::new(Roll::default());
        let (codec, judged) = (config.codec, Arc::clone(&plan));
        let ear = thread::Builder::new()
            .name("load-ear".into())
            .spawn(move || ear::listen(&judged, codec, legs, &windows, &roll))?;
        let rotation =
            (config.seconds / WINDOWS_PER_RUN).clamp(Duration::from_millis(300), Duration::from_secs(10));
        let epoch = (Instant::now(), wall());
        let mut drivers = Vec::new();
        for number in 0..config.threads.clamp(1, 64) {
            let (orders, told) = sync_channel(1024);
            let driver = Driver {
                plan: Arc::clone(&plan),
                repertoire: Arc::clone(&repertoire),
                orders: told,
                sounds: sounds.clone(),
                epoch,
                packets: ear::packets(&plan, codec),
                rotation,
                rooms: shapes.len(),
            };
            let name = format!("load-{number}");
            drivers.push((orders, thread::Builder::new().name(name).spawn(move || driver.run())?));
        }
        let fleet = Self {
            warm_up: config.warm_up,
            seconds: config.seconds,
            talk: config.talk.who,
            codec,
            server_pid: config.server_pid,
            shapes,
            sounds,
            drivers,
            ear,
        };
        fleet.seat(config.rooms, config.seed)?;
        Ok(fleet)
    }

    fn seat(&self, rooms: Vec<FleetRoom>, seed: u64) -> Result<(), FleetError> {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut number = 0;
        for (room, FleetRoom { legs, probe }) in rooms.into_iter().enumerate() {
            for (seat, FleetLeg { socket }) in legs.into_iter().enumerate() {
                let part = match (probe, seat) {
                    (false, _) => Part::Talker,
                    (true, 0) => Part::Clicker(Box::new(Clicker::new(self.codec, dice.random()))),
                    (true, _) => Part::Listener(Box::new(Listener::new(self.codec))),
                };
                let first = Header { ssrc: dice.random(), sequence: dice.random(), timestamp: dice.random() };
                let leg = Leg::new(Place { leg: number, room, seat }, part, self.codec, first);
                let (orders, _) = &self.drivers[room % self.drivers.len()];
                orders.send(Order::Seat(Box::new(Line { socket, leg }))).map_err(|_| FleetError::Thread)?;
                number += 1;
            }
        }
        Ok(())
    }

    /// Warms up, measures, stops and reports. Blocks for as long as that takes.
    pub fn run(self) -> Result<Report, FleetError> {
        thread::sleep(self.warm_up);
        let watch = self.server_pid.map(Watch::begin).transpose()?;
        for (orders, _) in &self.drivers {
            orders.send(Order::Measure).map_err(|_| FleetError::Thread)?;
        }
        let _ = self.sounds.send(Sound::Clear);
        let own = Cpu::own();
        let began = Instant::now();
        let mut watch = watch;
        while let Some(left) = self.seconds.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
            thread::sleep(left.min(Duration::from_secs(1)));
            if let Some(watch) = &mut watch {
                watch.sample()?;
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let own = Cpu::own().since(own);
        let legs: usize = self.shapes.iter().map(|shape| shape.legs).sum();
        let server = watch.map(|watch| watch.end(legs as f64 * seconds)).transpose()?;
        let mut driven = Vec::new();
        for (orders, thread) in self.drivers {
            let _ = orders.send(Order::Stop);
            driven.push(thread.join().map_err(|_| FleetError::Thread)?);
        }
        // Without senders the ear comes to its end.
        drop(self.sounds);
        let judgement = self.ear.join().map_err(|_| FleetError::Thread)?;
        Ok(Outcome {
            driven,
            judgement,
            shapes: self.shapes,
            talk: self.talk,
            codec: self.codec,
            seconds,
            own,
            server,
        }
        .report())
    }
}

/// The bridge's process, second by second.
struct Watch {
    pid: u32,
    first: Cpu,
    last: (Instant, Cpu),
    percent: Vec<f64>,
    before: u64,
}

impl Watch {
    fn begin(pid: u32) -> Result<Self, FleetError> {
        let failed = |error| FleetError::Server { pid, error };
        let first = Cpu::of(pid).map_err(failed)?;
        let before = resident(pid).map_err(failed)?;
        Ok(Self { pid, first, last: (Instant::now(), first), percent: Vec::new(), before })
    }

    fn sample(&mut self) -> Result<(), FleetError> {
        let cpu = Cpu::of(self.pid).map_err(|error| FleetError::Server { pid: self.pid, error })?;
        let now = Instant::now();
        let (at, before) = std::mem::replace(&mut self.last, (now, cpu));
        let milliseconds = (now - at).as_secs_f64() * 1000.0;
        self.percent.push(100.0 * cpu.since(before).total() / milliseconds.max(1.0));
        Ok(())
    }

    fn end(self, leg_seconds: f64) -> Result<Server, FleetError> {
        let failed = |error| FleetError::Server { pid: self.pid, error };
        let cpu_ms = Cpu::of(self.pid).map_err(failed)?.since(self.first);
        Ok(Server {
            pid: self.pid,
            cpu_ms,
            cpu_ms_per_leg_second: cpu_ms.total() / leg_seconds,
            cpu_percent: self.percent,
            rss_kib_before: self.before,
            rss_kib_after: resident(self.pid).map_err(failed)?,
        })
    }
}

/// Everything that a run leaves, before it is a report.
struct Outcome {
    driven: Vec<Driven>,
    judgement: Judgement,
    shapes: Vec<Shape>,
    talk: Who,
    codec: Codec,
    seconds: f64,
    own: Cpu,
    server: Option<Server>,
}

impl Outcome {
    fn report(self) -> Report {
        let mut packets = Packets::default();
        let (mut deviation, mut jitter, mut delay, mut lateness) =
            (Spread::default(), Spread::default(), Spread::default(), Spread::default());
        let mut each = Vec::new();
        let (mut missed, mut skipped, mut unjudged, mut deaf) = (0, 0, 0, 0);
        for driven in &self.driven {
            lateness.merge(&driven.lateness);
            skipped += driven.skipped;
            unjudged += driven.unjudged;
            for Line { leg, .. } in &driven.lines {
                let report = leg_report(leg, &self.judgement);
                packets.add(&report.packets);
                deviation.merge(&leg.arrivals.deviation);
                jitter.add((leg.arrivals.jitter_ms() * 1000.0) as u64);
                deaf += usize::from(report.packets.received == 0);
                if let Part::Listener(listener) = &leg.part {
                    delay.merge(&listener.delays);
                    missed += listener.missed(driven.bursts[leg.place.room]);
                }
                each.push(report);
            }
        }
        each.sort_by_key(|leg| leg.leg);
        let legs = each.len();
        let mix = self.mix(&each, deaf);
        Report {
            legs,
            rooms: self.shapes.len(),
            codec: self.codec.name(),
            talk: self.talk,
            seconds: self.seconds,
            packets,
            deviation_ms: deviation.quantiles(),
            jitter_ms: jitter.quantiles(),
            delay_ms: delay.quantiles(),
            impulses_missed: missed,
            mix,
            generator: Generator {
                cpu_ms_per_leg_second: self.own.total() / (legs as f64 * self.seconds),
                lateness_ms: lateness.quantiles(),
                skipped,
                unjudged,
            },
            server: self.server,
            each,
            histograms: Histograms { deviation: deviation.bars(), delay: delay.bars() },
        }
    }

    fn mix(&self, each: &[LegReport], deaf_legs: usize) -> Mix {
        let judged = || each.iter().filter(|leg| !self.shapes[leg.room].probe);
        let sum = |of: fn(&LegReport) -> u32| judged().map(|leg| u64::from(of(leg))).sum::<u64>();
        let (right, wrong) = (sum(|leg| leg.heard.right), sum(|leg| leg.heard.wrong));
        let wrong_legs = judged().filter(|leg| leg.heard.is_wrong()).count();
        let with_windows = || judged().filter(|leg| leg.heard.right + leg.heard.wrong > 0);
        let unjudged_legs = judged().count() - with_windows().count();
        Mix {
            right: wrong_legs == 0 && unjudged_legs == 0 && deaf_legs == 0,
            windows: right + wrong,
            wrong,
            wrong_legs,
            unjudged_legs,
            deaf_legs,
            fewest: with_windows().map(|leg| leg.heard.fewest).min().unwrap_or(0),
            most: with_windows().map(|leg| leg.heard.most).max().unwrap_or(0),
            faults: self.judgement.faults.clone(),
        }
    }
}

fn leg_report(leg: &Leg, judgement: &Judgement) -> LegReport {
    let (counts, tally) = (leg.arrivals.counts, leg.tally);
    LegReport {
        leg: leg.place.leg,
        room: leg.place.room,
        packets: Packets {
            sent: tally.sent,
            received: counts.received,
            lost: counts.lost,
            duplicated: counts.duplicated,
            reordered: counts.reordered,
            gaps: counts.gaps,
            holes: counts.holes,
            restarts: counts.restarts,
            unreadable: tally.unreadable,
            other_payloads: tally.other_payloads,
            send_errors: tally.send_errors,
        },
        deviation_ms: leg.arrivals.deviation.quantiles(),
        longest_gap_ms: counts.longest_gap as f64 / 1000.0,
        jitter_ms: leg.arrivals.jitter_ms(),
        heard: judgement.heard[leg.place.leg],
    }
}
