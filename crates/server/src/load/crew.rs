//! Legs that are taken in one by one, talk when told to, and are measured together: what a [`Fleet`](super::fleet::Fleet) and
//! calls by SIP have in common.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::arrivals::Header;
use super::batch::wall;
use super::cost::{Cpu, Watch};
use super::driver::{Driven, Driver, Order};
use super::ear::{self, Judgement, Roll, Sound};
use super::fleet::{FleetError, FleetLeg};
use super::leg::{Agreed, Leg, Line, Part, Place};
use super::outcome::Outcome;
use super::plan::{Plan, Shape, Talk};
use super::probe::{Clicker, Listener};
use super::report::Report;
use super::speech::Codec;
use super::tones::Repertoire;

/// Windows that may wait for the ear; more are dropped and counted.
const WAITING: usize = 256;
/// Every leg is listened to so many times in a run, where it is long enough.
const WINDOWS_PER_RUN: u32 = 5;
const SHORTEST_ROTATION: Duration = Duration::from_millis(300);
const LONGEST_ROTATION: Duration = Duration::from_secs(10);

/// What is known of a crew before any of its legs.
#[derive(Clone, Debug)]
pub struct CrewPlan {
    /// The rooms, with the legs that they will have.
    pub rooms: Vec<Shape>,
    /// Who talks.
    pub talk: Talk,
    /// What all legs speak.
    pub codec: Codec,
    /// See [`FleetConfig::mixed`].
    pub mixed: usize,
    /// Feeds everything random.
    pub seed: u64,
    /// See [`FleetConfig::threads`].
    pub threads: usize,
}

/// Legs in rooms, and the threads that drive them. Legs are taken in one by one and send at once: a quiet line until [`Crew::talk`].
pub struct Crew {
    plan: CrewPlan,
    sounds: SyncSender<Sound>,
    drivers: Vec<(SyncSender<Order>, JoinHandle<Driven>)>,
    ear: JoinHandle<Judgement>,
    roll: Arc<Roll>,
    dice: StdRng,
    /// Number of each room's first leg.
    first: Vec<usize>,
}

impl Crew {
    /// Prepares all packets and starts the threads.
    pub fn open(plan: CrewPlan) -> Result<Self, FleetError> {
        if let Some(empty) = plan.rooms.iter().position(|room| room.legs == 0) {
            return Err(FleetError::Empty(empty));
        }
        let script = Arc::new(Plan::new(&plan.rooms, plan.talk, plan.mixed, plan.seed)?);
        let repertoire = Arc::new(Repertoire::new(&script.grid, plan.codec, script.amplitude));
        let mut legs = 0;
        let mut first = Vec::new();
        for room in &plan.rooms {
            first.push(legs);
            legs += room.legs;
        }
        let (sounds, windows) = sync_channel(WAITING);
        let roll = Arc::new(Roll::default());
        let (codec, judged, called) = (plan.codec, Arc::clone(&script), Arc::clone(&roll));
        let ear = thread::Builder::new()
            .name("load-ear".into())
            .spawn(move || ear::listen(&judged, codec, legs, &windows, &called))?;
        let epoch = (Instant::now(), wall());
        let mut drivers = Vec::new();
        for number in 0..plan.threads.clamp(1, 64) {
            let (orders, told) = sync_channel(1024);
            let driver = Driver {
                plan: Arc::clone(&script),
                repertoire: Arc::clone(&repertoire),
                orders: told,
                sounds: sounds.clone(),
                epoch,
                packets: ear::packets(&script, codec),
                rooms: plan.rooms.len(),
            };
            let name = format!("load-{number}");
            drivers.push((orders, thread::Builder::new().name(name).spawn(move || driver.run())?));
        }
        let dice = StdRng::seed_from_u64(plan.seed);
        Ok(Self { plan, sounds, drivers, ear, roll, dice, first })
    }

    /// Takes in one leg, which must be [`toward`](FleetLeg::toward) the bridge: the `seat`-th of a room of the plan.
    ///
    /// # Panics
    /// When the plan has no such seat.
    pub fn seat(&mut self, room: usize, seat: usize, leg: FleetLeg) -> Result<(), FleetError> {
        let shape = self.plan.rooms[room];
        assert!(seat < shape.legs, "room {room} was planned with {} legs", shape.legs);
        let FleetLeg { socket, payload_type, keypad, secrets } = leg;
        let (codec, dice) = (self.plan.codec, &mut self.dice);
        let part = match (shape.probe, seat) {
            (false, _) => Part::Talker,
            (true, 0) => Part::Clicker(Box::new(Clicker::new(codec, dice.random()))),
            (true, _) => Part::Listener(Box::new(Listener::new(codec))),
        };
        let payload_type = payload_type.unwrap_or_else(|| codec.payload_type());
        let first = Header { ssrc: dice.random(), sequence: dice.random(), timestamp: dice.random() };
        let place = Place { leg: self.first[room] + seat, room, seat };
        let leg = Leg::new(place, part, codec, Agreed { payload_type, secrets, keypad }, first);
        let (orders, _) = &self.drivers[room % self.drivers.len()];
        orders.send(Order::Seat(Box::new(Line { socket, leg }))).map_err(|_| FleetError::Thread)
    }

    /// From here on everyone plays his part.
    pub fn talk(&self) -> Result<(), FleetError> {
        self.tell(|| Order::Talk)
    }

    /// How many legs have heard at least once whom they should, of how many that could.
    pub fn roll_call(&self) -> (usize, usize) {
        let talkers = self.plan.rooms.iter().filter(|room| !room.probe).map(|room| room.legs).sum();
        (self.roll.right.load(Ordering::Relaxed), talkers)
    }

    fn tell(&self, order: impl Fn() -> Order) -> Result<(), FleetError> {
        self.drivers.iter().try_for_each(|(orders, _)| orders.send(order())).map_err(|_| FleetError::Thread)
    }

    /// Measures for so long, stops and reports. With `server_pid` the bridge's process is watched.
    pub fn measure(self, duration: Duration, server_pid: Option<u32>) -> Result<Report, FleetError> {
        let (_nobody, stopped) = sync_channel(1);
        self.measure_until(duration, server_pid, &stopped)
    }

    /// The same, but for less as soon as somebody says so through the other end of `stopped`.
    pub fn measure_until(
        self,
        duration: Duration,
        server_pid: Option<u32>,
        stopped: &Receiver<()>,
    ) -> Result<Report, FleetError> {
        let mut watch = server_pid.map(Watch::begin).transpose()?;
        let rotation = (duration / WINDOWS_PER_RUN).clamp(SHORTEST_ROTATION, LONGEST_ROTATION);
        self.tell(|| Order::Measure(rotation))?;
        let _ = self.sounds.send(Sound::Clear);
        let own = Cpu::own();
        let began = Instant::now();
        while let Some(left) = duration.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
            if stopped.recv_timeout(left.min(Duration::from_secs(1))).is_ok() {
                break;
            }
            if let Some(watch) = &mut watch {
                watch.sample()?;
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let own = Cpu::own().since(own);
        let legs: usize = self.plan.rooms.iter().map(|shape| shape.legs).sum();
        let server = watch.map(|watch| watch.end(legs as f64 * seconds)).transpose()?;
        let mut driven = Vec::new();
        for (orders, thread) in self.drivers {
            let _ = orders.send(Order::Stop);
            driven.push(thread.join().map_err(|_| FleetError::Thread)?);
        }
        // Without senders the ear comes to its end.
        drop(self.sounds);
        let judgement = self.ear.join().map_err(|_| FleetError::Thread)?;
        Ok(Outcome { driven, judgement, plan: self.plan, seconds, own, server }.report())
    }
}
