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
use std::thread;
use std::time::Duration;

use mixer::srtp::{Keys, Srtp};
use thiserror::Error;

use super::batch;
use super::crew::{Crew, CrewPlan};
use super::keypad::Keypad;
use super::leg::Secrets;
use super::plan::{Shape, Talk, Unplannable, Who};
use super::report::Report;
use super::speech::Codec;

/// A leg's socket.
#[derive(Debug)]
pub struct FleetLeg {
    pub(super) socket: UdpSocket,
    pub(super) payload_type: Option<u8>,
    pub(super) keypad: Option<Keypad>,
    pub(super) secrets: Option<Box<Secrets>>,
}

impl FleetLeg {
    /// Binds a socket; port 0 takes a free one.
    pub fn bind(local: SocketAddr) -> io::Result<Self> {
        Self::over(UdpSocket::bind(local)?)
    }

    /// Takes over a socket that is already bound.
    pub fn over(socket: UdpSocket) -> io::Result<Self> {
        batch::prepare(&socket)?;
        Ok(Self { socket, payload_type: None, keypad: None, secrets: None })
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

    /// The payload type agreed for the codec, where it is not [`Codec::payload_type`].
    #[must_use]
    pub fn with_payload_type(mut self, payload_type: u8) -> Self {
        self.payload_type = Some(payload_type);
        self
    }

    /// Encrypts with our key and decrypts with the bridge's (RFC 3711).
    #[must_use]
    pub fn with_srtp(mut self, ours: Keys, theirs: Keys) -> Self {
        self.secrets = Some(Box::new(Secrets { ours: Srtp::new(ours), theirs: Srtp::new(theirs) }));
        self
    }

    /// Keys (`0-9 * # A-D`) to press once RTP has flowed for `after`, as telephone-events of this payload type and clock
    /// rate (RFC 4733).
    #[must_use]
    pub fn with_keys(mut self, keys: &str, (payload_type, clock_rate): (u8, u32), after: Duration) -> Self {
        let wait = (after.as_millis() / 20) as u32;
        self.keypad = Some(Keypad::new(keys, payload_type, clock_rate / 50, wait));
        self
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

/// A fleet whose packets flow.
pub struct Fleet {
    crew: Crew,
    warm_up: Duration,
    seconds: Duration,
    server_pid: Option<u32>,
}

impl Fleet {
    /// Prepares all packets, starts the threads and lets the legs talk.
    pub fn new(config: FleetConfig) -> Result<Self, FleetError> {
        let shape = |room: &FleetRoom| Shape { legs: room.legs.len(), probe: room.probe };
        let mut crew = Crew::open(CrewPlan {
            rooms: config.rooms.iter().map(shape).collect(),
            talk: config.talk,
            codec: config.codec,
            mixed: config.mixed,
            seed: config.seed,
            threads: config.threads,
        })?;
        for (room, FleetRoom { legs, .. }) in config.rooms.into_iter().enumerate() {
            for (seat, leg) in legs.into_iter().enumerate() {
                crew.seat(room, seat, leg)?;
            }
        }
        crew.talk()?;
        let FleetConfig { warm_up, seconds, server_pid, .. } = config;
        Ok(Self { crew, warm_up, seconds, server_pid })
    }

    /// Warms up, measures, stops and reports. Blocks for as long as that takes.
    pub fn run(self) -> Result<Report, FleetError> {
        thread::sleep(self.warm_up);
        self.crew.measure(self.seconds, self.server_pid)
    }
}
