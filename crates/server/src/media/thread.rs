//! A media shard: one OS thread, its sockets, its conferences, its deadline.
//!
//! A phase is: apply commands, read the sockets, tick, send, report. Nothing here knows what a conference is for;
//! `mixer::Shard` decides what is sent, control decides who sits where.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_utils::CachePadded;
use mixer::{Command, Report, Shard};
use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::Notify;

use super::sockets::{Arrived, DATAGRAM, LegSockets, StampClock};

/// How many commands and reports may wait. Reports are few per leg and tick; commands are retried when full.
const RING: usize = 16 * 1024;

/// Ticks made up for after a late wake-up; older ones are skipped.
const CATCH_UP: u32 = 3;

/// RTCP sockets are read, and reports sent, on this beat.
const RTCP_EVERY: u32 = 50;

/// What a shard's thread publishes: one writer, relaxed readers.
#[derive(Debug, Default)]
pub struct ShardGauges {
    /// Ticks done.
    pub ticks: AtomicU64,
    /// Ticks that were skipped because the thread woke too late.
    pub skipped: AtomicU64,
    /// Ticks that ran a whole tick or more late.
    pub late: AtomicU64,
    /// Nanoseconds spent in phases.
    pub busy_nanos: AtomicU64,
    /// Phases by duration: see [`TICK_BUCKETS`].
    pub tick_buckets: [AtomicU64; TICK_BUCKETS.len() + 1],
    /// Nanoseconds that the thread woke too late for its phases.
    pub late_nanos: AtomicU64,
    /// Phases by how late the thread woke for them: see [`LATE_BUCKETS`].
    pub late_buckets: [AtomicU64; LATE_BUCKETS.len() + 1],
}

/// Upper bounds of the phase-duration histogram, in microseconds.
pub const TICK_BUCKETS: [u64; 8] = [500, 1000, 2000, 5000, 10_000, 15_000, 20_000, 40_000];

/// Upper bounds of the lateness histogram, in microseconds.
pub const LATE_BUCKETS: [u64; 8] = [100, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000];

/// Control's end of one shard.
pub struct ShardDoor {
    /// Commands go in here.
    pub commands: Producer<Command<LegSockets>>,
    /// Reports come out here.
    pub reports: Consumer<Report<LegSockets>>,
    /// What the thread publishes.
    pub gauges: Arc<CachePadded<ShardGauges>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How a shard's thread is run.
#[derive(Clone, Copy, Debug)]
pub struct ThreadOptions {
    /// Shard number, for the thread's name.
    pub number: usize,
    /// The conferences and legs it has room for, and how they are mixed.
    pub shard: mixer::ShardConfig,
    /// SCHED_FIFO priority, 0 for none.
    pub realtime_priority: u8,
}

impl ShardDoor {
    /// Starts the thread; `wake` is notified whenever reports are waiting.
    pub fn start(options: ThreadOptions, wake: Arc<Notify>) -> std::io::Result<Self> {
        let (command_in, command_out) = RingBuffer::new(RING);
        let (report_in, report_out) = RingBuffer::new(RING);
        let gauges = Arc::new(CachePadded::new(ShardGauges::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let work = Loop {
            shard: Shard::new(options.shard),
            commands: command_out,
            reports: report_in,
            kept: None,
            wake,
            gauges: Arc::clone(&gauges),
            stop: Arc::clone(&stop),
        };
        let thread =
            std::thread::Builder::new().name(format!("media-{}", options.number)).spawn(move || {
                super::realtime::raise(options.realtime_priority);
                work.run();
            })?;
        Ok(Self { commands: command_in, reports: report_out, gauges, stop, thread: Some(thread) })
    }

    /// Stops the thread after its current phase and waits for it.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    shard: Shard<LegSockets>,
    commands: Consumer<Command<LegSockets>>,
    reports: Producer<Report<LegSockets>>,
    /// A report that found the ring full.
    kept: Option<Report<LegSockets>>,
    wake: Arc<Notify>,
    gauges: Arc<CachePadded<ShardGauges>>,
    stop: Arc<AtomicBool>,
}

impl Loop {
    fn run(mut self) {
        let mut clock = mixer::Clock::new(Instant::now(), CATCH_UP);
        let mut beat = 0_u32;
        let mut buffer = [0_u8; DATAGRAM];
        while !self.stop.load(Ordering::Relaxed) {
            sleep_until(clock.deadline());
            let began = Instant::now();
            let late = began.saturating_duration_since(clock.deadline());
            self.apply_commands(began);
            self.read(&mut buffer, beat);
            let mut ticks = 0;
            while let Some(deadline) = clock.due(began) {
                self.shard.tick(deadline);
                self.send();
                ticks += 1;
            }
            self.gauges.skipped.store(clock.skipped(), Ordering::Relaxed);
            self.gauges.late.store(clock.late(), Ordering::Relaxed);
            if beat == 0 {
                self.send_rtcp();
            }
            self.report();
            beat = (beat + 1) % RTCP_EVERY;
            self.count(late, began.elapsed(), ticks);
        }
    }

    fn apply_commands(&mut self, now: Instant) {
        while let Ok(command) = self.commands.pop() {
            self.shard.apply(now, command);
        }
    }

    fn read(&mut self, buffer: &mut [u8; DATAGRAM], beat: u32) {
        let stamps = StampClock::now();
        for seat in self.shard.seats_mut() {
            let leg = &mut seat.leg;
            let muxed = seat.io.is_muxed();
            seat.io.read_rtp(&stamps, buffer, |Arrived { bytes, at }| {
                if muxed && mixer::rtp::is_rtcp(bytes) {
                    leg.ingress_rtcp(at, bytes);
                } else {
                    leg.ingress_rtp(at, bytes);
                }
            });
            if beat == 0 && !muxed {
                seat.io.read_rtcp(&stamps, buffer, |Arrived { bytes, at }| {
                    leg.ingress_rtcp(at, bytes);
                });
            }
        }
    }

    fn send(&mut self) {
        for seat in self.shard.seats_mut() {
            if let Some(packet) = seat.leg.egress() {
                seat.io.send_rtp(packet);
            }
        }
    }

    fn send_rtcp(&mut self) {
        let (now, wall) = (Instant::now(), SystemTime::now());
        for seat in self.shard.seats_mut() {
            if let Some(packet) = seat.leg.egress_rtcp(now, wall) {
                seat.io.send_rtcp(&packet);
            }
        }
    }

    fn report(&mut self) {
        let mut any = false;
        while let Some(report) = self.kept.take().or_else(|| self.shard.poll_report()) {
            if let Err(rtrb::PushError::Full(report)) = self.reports.push(report) {
                self.kept = Some(report);
                break;
            }
            any = true;
        }
        if any || self.kept.is_some() {
            self.wake.notify_one();
        }
    }

    fn count(&self, late: Duration, busy: Duration, ticks: u32) {
        let gauges = &self.gauges;
        gauges.ticks.fetch_add(u64::from(ticks), Ordering::Relaxed);
        gauges.late_nanos.fetch_add(late.as_nanos() as u64, Ordering::Relaxed);
        gauges.late_buckets[bucket(late, &LATE_BUCKETS)].fetch_add(1, Ordering::Relaxed);
        gauges.busy_nanos.fetch_add(busy.as_nanos() as u64, Ordering::Relaxed);
        gauges.tick_buckets[bucket(busy, &TICK_BUCKETS)].fetch_add(1, Ordering::Relaxed);
    }
}

/// The place of a time among upper bounds in microseconds.
fn bucket(time: Duration, bounds: &[u64]) -> usize {
    let micros = time.as_nanos().div_ceil(1000) as u64;
    bounds.iter().position(|&bound| micros <= bound).unwrap_or(bounds.len())
}

/// Sleeps to an absolute deadline, so that a wake-up that comes late does not push the next one.
fn sleep_until(deadline: Instant) {
    loop {
        let now = Instant::now();
        if now >= deadline {
            return;
        }
        std::thread::sleep(deadline - now);
    }
}
