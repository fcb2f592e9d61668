//! A media shard: one OS thread, its sockets, its conferences, its deadline.
//!
//! A phase is: apply commands, read the sockets, tick, send, report; there are four every 20 ms, each with its group of the
//! conferences. Nothing here knows what a conference is for; `mixer::Shard` decides what is sent, control decides who sits
//! where. In none of it memory is freed: what is not needed any more leaves as `Report::Spent`, and control drops it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use mixer::{Command, Ingress, PHASES, Phases, Report, Seat, Shard, guard};
use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::Notify;

use super::arrival::StampClock;
use super::capture::{About, Capture, Captured, capture};
use super::gauges::{Meter, ShardGauges, Turn};
use super::realtime::{self, Scheduling};
use super::sockets::{Arrived, DATAGRAM, LegSockets};

/// How many commands and reports may wait. Reports are few per leg and tick; commands are retried when full.
const RING: usize = 16 * 1024;

/// Ticks made up for after a late wake-up; older ones are skipped.
const CATCH_UP: u32 = 3;

/// The RTCP of a leg is read, and its reports are sent, once in so many ticks; which one its number says, so that they are
/// spread over a second.
const RTCP_EVERY: u64 = 50;

/// Control's end of one shard.
pub struct ShardDoor {
    /// Commands go in here.
    pub commands: Producer<Command<LegSockets>>,
    /// Reports come out here.
    pub reports: Consumer<Report<LegSockets>>,
    /// What the thread publishes.
    pub gauges: Arc<CachePadded<ShardGauges>>,
    /// The packets of its legs, where they are captured.
    pub captured: Option<Captured>,
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
    /// What is asked of the kernel's scheduler.
    pub scheduling: Scheduling,
    /// Ticks later than this are counted as overdue.
    pub late_bound: Duration,
    /// Whether its packets are captured.
    pub capture: bool,
}

impl ShardDoor {
    /// Starts the thread; `wake` is notified whenever reports are waiting.
    pub fn start(options: ThreadOptions, wake: Arc<Notify>) -> std::io::Result<Self> {
        let (command_in, command_out) = RingBuffer::new(RING);
        let (report_in, report_out) = RingBuffer::new(RING);
        let gauges = Arc::new(CachePadded::new(ShardGauges::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (into, captured) = options.capture.then(capture).unzip();
        let work = Loop {
            shard: Shard::new(options.shard),
            commands: command_out,
            reports: report_in,
            kept: None,
            wake,
            gauges: Arc::clone(&gauges),
            capture: RefCell::new(into),
            stop: Arc::clone(&stop),
        };
        let thread =
            std::thread::Builder::new().name(format!("media-{}", options.number)).spawn(move || {
                realtime::prepare(options.number, options.scheduling);
                work.run(options.late_bound);
            })?;
        Ok(Self { commands: command_in, reports: report_out, gauges, captured, stop, thread: Some(thread) })
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
    /// In a cell, because what reads and what sends both write into it, one after the other.
    capture: RefCell<Option<Capture>>,
    stop: Arc<AtomicBool>,
}

impl Loop {
    fn run(mut self, late_bound: Duration) {
        let start = Instant::now();
        let mut phases = Phases::new(start, CATCH_UP);
        let mut meter = Meter::new(start, late_bound);
        let mut beats = [0_u64; PHASES];
        let mut skipped = 0;
        let mut buffer = [0_u8; DATAGRAM];
        while !self.stop.load(Ordering::Relaxed) {
            sleep_until(phases.deadline());
            guard::without_free(|| {
                let stamps = StampClock::now();
                let began = stamps.monotonic();
                let late = began.saturating_duration_since(phases.deadline());
                self.apply_commands(began);
                let mut ticks = 0;
                while let Some((phase, deadline)) = phases.due(began) {
                    let capture = &self.capture;
                    self.shard.phase(
                        phase,
                        deadline,
                        |seat| read(seat, &stamps, &mut buffer, beats[phase], capture.borrow_mut().as_mut()),
                        |seat| send(seat, &stamps, beats[phase], capture.borrow_mut().as_mut()),
                    );
                    beats[phase] = (beats[phase] + 1) % RTCP_EVERY;
                    ticks += 1;
                }
                self.gauges.late.store(phases.late(), Ordering::Relaxed);
                self.report();
                let over = Instant::now();
                let turn = Turn {
                    late,
                    busy: over - began,
                    ticks,
                    skipped: phases.skipped() - skipped,
                    legs: self.shard.len(),
                };
                skipped = phases.skipped();
                meter.count(over, turn, &self.gauges);
            });
        }
    }

    fn apply_commands(&mut self, now: Instant) {
        while let Ok(command) = self.commands.pop() {
            self.shard.apply(now, command);
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
}

/// What a capture says of a packet of this leg.
fn about(seat: &Seat<LegSockets>, at: Instant, ingress: bool) -> About {
    let keys = seat.leg.config().media.event_pt;
    About { leg: seat.leg.id(), at, ingress, ends: seat.io.ends(), keys }
}

/// Takes what has arrived for one leg.
fn read(
    seat: &mut Seat<LegSockets>,
    stamps: &StampClock,
    buffer: &mut [u8; DATAGRAM],
    beat: u64,
    mut capture: Option<&mut Capture>,
) {
    let known = capture.is_some().then(|| about(seat, stamps.monotonic(), true));
    let leg = &mut seat.leg;
    let muxed = seat.io.is_muxed();
    seat.io.read_rtp(stamps, buffer, |Arrived { bytes, at, unproven }| {
        if unproven {
            return leg.is_authentic(bytes);
        }
        if muxed && mixer::rtp::is_rtcp(bytes) {
            leg.ingress_rtcp(at, bytes);
        } else {
            let taken = leg.ingress_rtp(at, bytes);
            if let (Some(capture), Some(known)) = (&mut capture, known)
                && matches!(taken, Ingress::Audio | Ingress::Event | Ingress::ComfortNoise)
            {
                capture.note(About { at, ..known }, leg.opened(bytes));
            }
        }
        true
    });
    if leg.id().0 % RTCP_EVERY != beat {
        return;
    }
    seat.io.watch(stamps.monotonic());
    if !muxed {
        seat.io.read_rtcp(stamps, buffer, |Arrived { bytes, at, .. }| {
            leg.ingress_rtcp(at, bytes);
        });
    }
}

/// Sends what leaves of one leg.
fn send(seat: &mut Seat<LegSockets>, stamps: &StampClock, beat: u64, capture: Option<&mut Capture>) {
    if let Some(packet) = seat.leg.egress() {
        seat.io.send_rtp(packet);
        if let (Some(capture), Some(plain)) = (capture, seat.leg.unsealed()) {
            capture.note(about(seat, stamps.monotonic(), false), plain);
        }
    }
    if seat.leg.id().0 % RTCP_EVERY == beat
        && let Some(packet) = seat.leg.egress_rtcp(stamps.monotonic(), stamps.wall())
    {
        seat.io.send_rtcp(&packet);
    }
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
