//! One thread that moves many legs: what is due is sent, what has come is read, and the time in between is slept away.
//!
//! The 20 ms are cut into slots of a millisecond over which the legs are spread. A socket is read only every third period,
//! since the kernel has stamped what lies there: one call takes three packets.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use super::batch::{Batch, wall};
use super::ear::Sound;
use super::leg::{Line, Part, Window};
use super::plan::Plan;
use super::probe::Burst;
use super::spread::Spread;
use super::tones::Repertoire;

const SLOTS: usize = 20;
const SLOT: Duration = Duration::from_millis(1);
/// Periods from one reading of a socket to the next.
const READ_EVERY: u64 = 3;
/// Batches read of one socket at a time.
const READS: usize = 8;
/// Slots that are made up for in one go after a late wake-up; what is older is skipped, and counted.
const CATCH_UP: u64 = 200;
/// A window must have been recorded by so much after its length, or something is missing in it.
pub(super) const SLACK: Duration = Duration::from_millis(200);

/// Until something is measured every leg is heard so often: to know who has joined.
const ROLL_CALL: Duration = Duration::from_secs(2);

/// What a driver is told.
pub(super) enum Order {
    /// Takes a leg in.
    Seat(Box<Line>),
    /// Everyone plays his part from here on.
    Talk,
    /// Counts from here on; every leg's window comes round so often.
    Measure(Duration),
    /// Gives everything back.
    Stop,
}

/// What a driver is made of.
pub(super) struct Driver {
    pub(super) plan: Arc<Plan>,
    pub(super) repertoire: Arc<Repertoire>,
    pub(super) orders: Receiver<Order>,
    pub(super) sounds: SyncSender<Sound>,
    /// The begin of the first scene, on both clocks.
    pub(super) epoch: (Instant, u64),
    /// Packets of a window.
    pub(super) packets: usize,
    pub(super) rooms: usize,
}

/// What a driver gives back.
pub(super) struct Driven {
    pub(super) lines: Vec<Line>,
    pub(super) bursts: Vec<Burst>,
    /// How late the slots began, in microseconds.
    pub(super) lateness: Spread,
    /// Slots that were skipped.
    pub(super) skipped: u64,
    /// Windows that the ear had no time for.
    pub(super) unjudged: u64,
}

struct State {
    driver: Driver,
    driven: Driven,
    /// The legs that are due in each slot.
    wheel: [Vec<usize>; SLOTS],
    batch: Batch,
    scene: u64,
    talking: bool,
    /// How often each leg's window comes round.
    rotation: Duration,
    /// The next leg whose window begins, and how many are owed.
    next: usize,
    owed: f64,
}

impl Driver {
    /// Runs until told to stop, or until nobody can tell it any more.
    pub(super) fn run(self) -> Driven {
        let driven = Driven {
            lines: Vec::new(),
            bursts: vec![Burst::default(); self.rooms],
            lateness: Spread::default(),
            skipped: 0,
            unjudged: 0,
        };
        let mut state = State {
            driver: self,
            driven,
            wheel: Default::default(),
            batch: Batch::default(),
            scene: 0,
            talking: false,
            rotation: ROLL_CALL,
            next: 0,
            owed: 0.0,
        };
        let begin = state.driver.epoch.0;
        let mut slot = 0_u64;
        while state.obey() {
            let deadline = begin + SLOT * slot as u32;
            sleep_until(deadline);
            let late = deadline.elapsed();
            state.driven.lateness.add(late.as_micros() as u64);
            let behind = late.as_millis() as u64;
            if behind > CATCH_UP {
                // Whole periods, so that every leg keeps its place.
                let skipped = (behind - CATCH_UP) / SLOTS as u64 * SLOTS as u64;
                state.driven.skipped += skipped;
                slot += skipped;
            }
            state.turn(slot);
            slot += 1;
        }
        state.finish()
    }
}

impl State {
    /// False when it is over.
    fn obey(&mut self) -> bool {
        loop {
            match self.driver.orders.try_recv() {
                Ok(Order::Seat(line)) => self.seat(*line),
                Ok(Order::Talk) => self.talk(),
                Ok(Order::Measure(rotation)) => {
                    self.clear();
                    self.rotation = rotation;
                }
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn talk(&mut self) {
        self.talking = true;
        for Line { leg, .. } in &mut self.driven.lines {
            leg.talking = true;
        }
    }

    fn seat(&mut self, mut line: Line) {
        let index = self.driven.lines.len();
        let place = line.leg.place;
        line.leg.talking = self.talking;
        line.leg.tone = self.driver.plan.tone(place.room, place.seat, self.scene);
        self.driven.lines.push(line);
        // Seven has no divisor in common with twenty: neighbors are spread over the period.
        self.wheel[index * 7 % SLOTS].push(index);
    }

    fn clear(&mut self) {
        for index in 0..self.driven.lines.len() {
            // What came before belongs to the time before.
            self.read(index);
            let leg = &mut self.driven.lines[index].leg;
            leg.clear(self.driven.bursts[leg.place.room]);
        }
        self.driven.lateness.clear();
        self.driven.skipped = 0;
        self.driven.unjudged = 0;
    }

    fn turn(&mut self, slot: u64) {
        let at = SLOT * slot as u32;
        let scene = self.driver.plan.scene(at);
        if std::mem::replace(&mut self.scene, scene) != scene {
            for Line { leg, .. } in &mut self.driven.lines {
                leg.tone = self.driver.plan.tone(leg.place.room, leg.place.seat, scene);
            }
        }
        self.begin_windows(at);
        let (period, place) = (slot / SLOTS as u64, slot as usize % SLOTS);
        let due = std::mem::take(&mut self.wheel[place]);
        for &index in &due {
            let Line { socket, leg } = &mut self.driven.lines[index];
            let burst = &mut self.driven.bursts[leg.place.room];
            leg.speak(socket, &self.driver.repertoire, wall, burst);
            if (period + index as u64).is_multiple_of(READ_EVERY) {
                self.read(index);
            }
        }
        self.wheel[place] = due;
    }

    fn read(&mut self, index: usize) {
        let Self { driven, batch, driver, .. } = self;
        let Driven { lines, bursts, unjudged, .. } = driven;
        let Line { socket, leg } = &mut lines[index];
        let burst = bursts[leg.place.room];
        let errors = batch.read(socket, READS, |at, datagram| {
            if let Some(window) = leg.hear(at, datagram, burst)
                && driver.sounds.try_send(Sound::Window(window)).is_err()
            {
                *unjudged += 1;
            }
        });
        leg.tally.send_errors += errors;
    }

    /// Lets as many legs begin a window as are due, where it fits into the scene.
    fn begin_windows(&mut self, at: Duration) {
        let (begin, end) = self.driver.plan.bounds(self.scene);
        let length = Duration::from_millis(20) * self.driver.packets as u32;
        let from = begin + Plan::SETTLING;
        let fits = at >= from && end.is_none_or(|end| at + length + SLACK <= end);
        let open = end.map_or(1.0, |end| {
            let room = end.saturating_sub(from + length + SLACK);
            room.as_secs_f64() / end.saturating_sub(begin).as_secs_f64()
        });
        if !fits || !self.talking || self.driven.lines.is_empty() {
            return;
        }
        let turns = self.rotation.as_secs_f64() / SLOT.as_secs_f64();
        self.owed += self.driven.lines.len() as f64 / turns / open.max(0.01);
        let epoch = self.driver.epoch.1;
        let from = epoch + at.as_nanos() as u64;
        let until = epoch + end.map_or(at + length * 2 + Duration::from_secs(1), |end| end).as_nanos() as u64;
        while self.owed >= 1.0 {
            self.owed -= 1.0;
            self.next = (self.next + 1) % self.driven.lines.len();
            let leg = &mut self.driven.lines[self.next].leg;
            if matches!(leg.part, Part::Talker) && leg.window.is_none() {
                leg.window = Some(Window::new(leg.place, self.scene, from, until, self.driver.packets));
            }
        }
    }

    fn finish(mut self) -> Driven {
        for index in 0..self.driven.lines.len() {
            self.read(index);
        }
        self.driven
    }
}

/// Sleeps to an absolute deadline, so that a wake-up that comes late does not push the next one.
fn sleep_until(deadline: Instant) {
    let now = Instant::now();
    if now < deadline {
        std::thread::sleep(deadline - now);
    }
}
