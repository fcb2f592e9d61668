//! The running bridge: carries bytes, records and answers to and from control. How it comes to run is in `start`.

mod names;
mod pins;
mod start;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use bridge::LegId;
use dashmap::DashMap;
use nix::time::{ClockId, clock_gettime};
use tokio::signal::unix::Signal;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep_until;
use trunk::Trunks;

use crate::config::{Config, Sources};
use crate::control::{Ask, Control, Input, Now, Output, Reply, Shown};
use crate::ctl;
use crate::http::{Holders, Ring};
use crate::log_budget::LogBudget;
use crate::media::capture::Captured;
use crate::media::door::SocketDoor;
use crate::media::sockets::LegSockets;
use crate::media::thread::ShardDoor;
use crate::recording::{Ended, Recorder};
use crate::reload::{Answer, InForce, Outcome, Rules, Running, Turns, reload};
use crate::sip_io::{Arrival, SipIo};
use crate::spool::Spool;
use crate::store::{Changed, Delivery};
use crate::trace::{Look, Tap};
use crate::versions::Versions;
use crate::what_if::Decisions;

/// Messages that may wait for control.
const ARRIVALS: usize = 8192;
/// API requests that may wait for control.
const ASKS: usize = 256;
/// How many inputs are taken before timers and media are looked at again.
const BATCH: usize = 64;
/// After the last leg has ended, for the answers to our BYEs.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// After the second signal, for legs to end.
const AT_MOST: Duration = Duration::from_secs(5);
/// For recordings to be closed, when all else is over: a disk that hangs must not keep the node up.
const RECORDINGS_CLOSE: Duration = Duration::from_secs(10);
/// How often control is told how much the media threads have to do.
const LOAD_EVERY: Duration = Duration::from_millis(250);
/// A full media ring is tried again after this.
const RING_RETRY: Duration = Duration::from_millis(5);

type ControlInput = Input<LegSockets>;

/// Runs the bridge until it has been told to stop and its legs have ended.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let mut shell = Shell::start(config).await?;
    shell.run().await;
    let delivery = shell.delivery.take();
    shell.stop();
    // The spool has written what it had.
    if let Some(delivery) = delivery {
        delivery.finish().await;
    }
    Ok(())
}

struct Shell {
    control: Control<SocketDoor>,
    sip: Arc<SipIo>,
    arrivals: mpsc::Receiver<Arrival>,
    settled: mpsc::Receiver<u64>,
    asks: mpsc::Receiver<(Ask, oneshot::Sender<Reply>)>,
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    next_ask: u64,
    tap: Tap,
    /// For what is said of holes in the captures.
    quiet: LogBudget,
    looks: mpsc::Receiver<Look>,
    /// Open as long as we run.
    _ctl: Option<ctl::Control>,
    pins: pins::PinChecks,
    checked: mpsc::UnboundedReceiver<pins::Checked>,
    names: names::Names,
    named: mpsc::UnboundedReceiver<names::Named>,
    spool: Spool,
    recorder: Recorder,
    recorded: mpsc::UnboundedReceiver<Ended>,
    shards: Vec<ShardDoor>,
    /// Commands that found a ring full, by shard.
    held: Vec<VecDeque<mixer::Command<LegSockets>>>,
    reports: Arc<Notify>,
    conferences: Arc<DashMap<String, Shown>>,
    happened: Arc<Ring>,
    decisions: Arc<Decisions>,
    /// The routing table, for whoever shows numbers.
    table: Arc<ArcSwap<routing::Table>>,
    ready: Arc<AtomicBool>,
    /// When control is told the load of the media threads next.
    load_at: Instant,
    /// The processor time that this thread had used when it was told last.
    used: Duration,
    drain_deadline: Option<Duration>,
    /// Who our peers are, at present; and changes of it.
    current: Arc<ArcSwap<Trunks>>,
    located: mpsc::Receiver<Arc<Trunks>>,
    /// The file, and what came of reading it again.
    path: PathBuf,
    reloading: mpsc::Sender<Answer>,
    turns: Turns,
    reloaded: mpsc::Receiver<Answer>,
    /// Who wants it to be read again.
    orders: mpsc::Receiver<oneshot::Sender<Outcome>>,
    /// What the directory is made of besides the rows of the database.
    sources: Arc<ArcSwap<Sources>>,
    /// The text of the file at the start.
    started: Arc<str>,
    versions: Versions,
    in_force: Arc<ArcSwap<InForce>>,
    /// Who may use the API.
    tokens: Arc<Holders>,
    /// Directories that the database has in place of ours.
    directories: mpsc::Receiver<Changed>,
    /// Usage records on their way into it.
    delivery: Option<Delivery>,
    signals: Signals,
}

/// What ops send us.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Shell {
    async fn run(&mut self) {
        let mut signals = 0_u32;
        let mut give_up: Option<Instant> = None;
        self.carry_out();
        loop {
            let draining = signals > 0;
            if draining && self.control.legs() == 0 {
                return self.last_words().await;
            }
            if give_up.is_some_and(|at| Instant::now() >= at) {
                if signals < 2 {
                    tracing::warn!(
                        legs = self.control.legs(),
                        "the drain's deadline has come: ending the legs that are left"
                    );
                    signals = 2;
                    give_up = Some(Instant::now() + AT_MOST);
                    self.feed(Input::DrainNow);
                    continue;
                }
                tracing::error!(legs = self.control.legs(), "stopping with legs that did not end");
                return;
            }
            let timer = self.next_wake(give_up);
            let reports = Arc::clone(&self.reports);
            tokio::select! {
                biased;
                _ = self.signals.terminate.recv() => give_up = self.signaled(&mut signals),
                _ = self.signals.interrupt.recv() => give_up = self.signaled(&mut signals),
                _ = self.signals.hangup.recv() => self.asked_to_reload(None),
                Some(asked) = self.orders.recv() => self.asked_to_reload(Some(asked)),
                () = reports.notified() => {}
                Some(first) = self.arrivals.recv() => self.take_arrivals(first),
                Some(leg) = self.settled.recv() => self.feed(Input::Settled(LegId(leg))),
                Some((ask, answer)) = self.asks.recv() => self.take_ask(ask, answer),
                Some(look) = self.looks.recv() => self.tap.show(look),
                Some(checked) = self.checked.recv() => self.take_checked(&checked),
                Some(named) = self.named.recv() => self.take_named(named),
                Some(trunks) = self.located.recv() => self.take_trunks(trunks),
                Some(answer) = self.reloaded.recv() => self.take_reloaded(answer),
                Some(changed) = self.directories.recv() => self.take_directory(changed),
                () = sleep_until(timer.into()) => {}
            }
            self.take_others();
            self.take_captured();
            self.take_reports();
            self.take_timers();
        }
    }

    /// SIGHUP or an order.
    fn asked_to_reload(&mut self, asked: Option<oneshot::Sender<Outcome>>) {
        if self.turns.ask(asked) {
            self.reload();
        }
    }

    /// Certificates are read again elsewhere, and here the file; calls that are up stay.
    fn reload(&self) {
        tracing::info!(
            "certificates, trunks, directory, prices, limits, the defense and tokens are read again; all else is read at the start only"
        );
        let running = Running {
            path: self.path.clone(),
            trunks: self.current.load_full(),
            sources: self.sources.load_full(),
            started: Arc::clone(&self.started),
            versions: self.versions.clone(),
        };
        tokio::spawn(reload(running, self.reloading.clone()));
    }

    fn take_reloaded(&mut self, outcome: Answer) {
        let outcome = match outcome {
            Ok(reloaded) => {
                let in_force = reloaded.in_force;
                self.located = reloaded.located;
                self.take_trunks(reloaded.trunks);
                self.sources.store(reloaded.sources);
                // What is another in the database is told when it has been read for that.
                self.take_directory(Changed { built: reloaded.built, happened: Vec::new() });
                let Rules { tariffs, defense, tokens } = reloaded.rules;
                self.feed(Input::Rules { tariffs, defense });
                self.tokens.change(&tokens);
                self.feed(Input::Configured(in_force.version.hash.as_str().into()));
                self.in_force.store(Arc::new(in_force.clone()));
                let InForce { version, needs_restart } = &in_force;
                tracing::info!(
                    version = version.number,
                    hash = version.hash,
                    ?needs_restart,
                    "the trunks are as the file says, and so are the directory, prices, limits and tokens"
                );
                Ok(in_force)
            }
            Err(problems) => {
                for problem in &problems {
                    tracing::error!(
                        ?problem,
                        "the trunks stay as they were, and all else: nothing of the file is taken"
                    );
                }
                Err(problems)
            }
        };
        let (askers, next) = self.turns.over();
        for asked in askers {
            // Whoever asked may have gone.
            let _ = asked.send(outcome.clone());
        }
        if next {
            self.reload();
        }
    }

    fn take_trunks(&mut self, trunks: Arc<Trunks>) {
        self.current.store(Arc::clone(&trunks));
        self.feed(Input::Trunks(trunks));
    }

    fn take_directory(&mut self, changed: Changed) {
        let Changed { built, happened } = changed;
        self.table.store(Arc::clone(&built.table));
        self.feed(Input::Directory { table: built.table, meetings: built.meetings });
        for one in happened {
            self.happened.push(one);
        }
    }

    /// SIGTERM or SIGINT: the first drains, the second ends everything now.
    fn signaled(&mut self, signals: &mut u32) -> Option<Instant> {
        *signals += 1;
        self.ready.store(false, Ordering::Relaxed);
        if *signals == 1 {
            tracing::info!(
                legs = self.control.legs(),
                "draining: no new calls; a second signal ends the running ones"
            );
            self.feed(Input::Drain);
            self.drain_deadline.map(|deadline| Instant::now() + deadline)
        } else {
            tracing::info!(legs = self.control.legs(), "second signal: ending all legs now");
            self.feed(Input::DrainNow);
            Some(Instant::now() + AT_MOST)
        }
    }

    /// All legs are over: their BYEs may still need an answer or a retransmission.
    async fn last_words(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        while Instant::now() < until {
            tokio::select! {
                Some(first) = self.arrivals.recv() => self.take_arrivals(first),
                () = sleep_until(until.into()) => {}
                () = sleep_until((Instant::now() + RING_RETRY).into()) => {}
            }
            self.take_timers();
        }
        tracing::info!("stopped");
    }

    fn stop(mut self) {
        self.control.give_up();
        self.carry_out();
        for shard in &mut self.shards {
            shard.stop();
        }
        self.recorder.stop(RECORDINGS_CLOSE);
    }

    fn next_wake(&self, give_up: Option<Instant>) -> Instant {
        let now = Instant::now();
        let mut at = self.control.poll_timeout().map_or(self.load_at, |(at, _)| at.min(self.load_at));
        if self.held.iter().any(|held| !held.is_empty()) {
            at = at.min(now + RING_RETRY);
        }
        give_up.map_or(at, |give_up| at.min(give_up))
    }

    /// At most a batch, so that a flood does not keep timers and media waiting.
    fn take_arrivals(&mut self, first: Arrival) {
        let mut arrival = first;
        for _ in 0..BATCH {
            self.feed(input_of(arrival));
            match self.arrivals.try_recv() {
                Ok(next) => arrival = next,
                Err(_) => return,
            }
        }
        self.feed(input_of(arrival));
    }

    /// What waits behind the arrivals in every turn of the loop, so that a flood of messages starves nobody.
    fn take_others(&mut self) {
        for _ in 0..BATCH {
            let Ok(leg) = self.settled.try_recv() else { break };
            self.feed(Input::Settled(LegId(leg)));
        }
        while let Ok(checked) = self.checked.try_recv() {
            self.take_checked(&checked);
        }
        while let Ok(named) = self.named.try_recv() {
            self.take_named(named);
        }
        while let Ok(ended) = self.recorded.try_recv() {
            self.feed(Input::RecordingEnded { number: ended.number });
        }
        if let Ok((ask, answer)) = self.asks.try_recv() {
            self.take_ask(ask, answer);
        }
        if let Ok(look) = self.looks.try_recv() {
            self.tap.show(look);
        }
    }

    fn take_checked(&mut self, checked: &pins::Checked) {
        let &pins::Checked { leg, token, right } = checked;
        self.feed(Input::PinChecked { leg, token, right });
    }

    fn take_named(&mut self, named: names::Named) {
        let names::Named { leg, name } = named;
        self.feed(Input::Named { leg, name });
    }

    fn take_ask(&mut self, ask: Ask, answer: oneshot::Sender<Reply>) {
        let number = self.next_ask;
        self.next_ask += 1;
        self.waiting.insert(number, answer);
        self.feed(Input::Ask { number, ask });
    }

    /// What the media threads have captured. Before their reports: a report may say that a leg is over.
    fn take_captured(&mut self) {
        let now = (Instant::now(), SystemTime::now());
        for captured in self.shards.iter_mut().filter_map(|shard| shard.captured.as_mut()) {
            while let Some(packet) = captured.poll() {
                let call_id = || self.control.call_id(LegId(packet.leg.0));
                self.tap.note_media(now, &packet, call_id);
            }
        }
        let captured = self.shards.iter().filter_map(|shard| shard.captured.as_ref());
        let dropped = captured.map(Captured::dropped).sum();
        let more = self.tap.note_dropped_media(dropped);
        if more > 0
            && let Some(unsaid) = self.quiet.take(now.0)
        {
            tracing::warn!(more, dropped, unsaid, "captured RTP packets were dropped: captures have holes");
        }
    }

    fn take_reports(&mut self) {
        for shard in 0..self.shards.len() {
            while let Ok(report) = self.shards[shard].reports.pop() {
                self.feed(Input::Report(report));
            }
        }
        self.push_held();
    }

    fn take_timers(&mut self) {
        let now_mono = Instant::now();
        if self.load_at <= now_mono {
            let (used, elapsed) =
                (processor_time(), now_mono.saturating_duration_since(self.load_at) + LOAD_EVERY);
            let share = used.saturating_sub(self.used).as_secs_f64() / elapsed.as_secs_f64();
            self.used = used;
            self.control.handle(now(), Input::Busy { share, waiting: self.arrivals.len() });
            self.load_at = now_mono + LOAD_EVERY;
            for shard in 0..self.shards.len() {
                let load = self.shards[shard].gauges.load();
                self.control.handle(now(), Input::Load { shard, load });
            }
        }
        let due = self.control.poll_timeout().is_some_and(|(at, _)| at <= Instant::now());
        if due {
            self.control.handle_timeout(now());
            self.carry_out();
        }
    }

    fn feed(&mut self, input: ControlInput) {
        let now = now();
        if let Input::Sip { flow, bytes, .. } = &input {
            self.tap.note(now.wall, true, flow, bytes);
        }
        self.control.handle(now, input);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let (mut refused, mut unrecorded) = (Vec::new(), Vec::new());
        while let Some(output) = self.control.poll_output() {
            match output {
                Output::Sip(transmit) => {
                    self.tap.note(SystemTime::now(), false, &transmit.flow, &transmit.bytes);
                    self.sip.send(&transmit.flow, transmit.bytes);
                }
                Output::Media { shard, command } => self.held[shard].push_back(*command),
                Output::Usage { line, ticket } => {
                    if !self.spool.write(line, ticket.map(|leg| leg.0)) {
                        // The spool is overwhelmed and has counted the loss; the call need not wait for it.
                        refused.extend(ticket);
                    }
                }
                Output::CheckPin { leg, token, hash, pin } => self.pins.begin(leg, token, hash, pin),
                Output::TrimName { leg, frames } => self.names.begin(leg, frames),
                Output::Record { number, file, format, frames } => {
                    if !self.recorder.begin(number, file, format, frames) {
                        tracing::error!(number, "the recorder is overwhelmed: this recording has not begun");
                        unrecorded.push(number);
                    }
                }
                Output::Reply { number, reply } => {
                    if let Some(answer) = self.waiting.remove(&number) {
                        // Whoever asked may have gone.
                        let _ = answer.send(reply);
                    }
                }
                Output::Happened(happened) => self.happened.push(happened),
                Output::Decided(made) => self.decisions.push(*made),
                Output::Publish { conference_id, shown: Some(shown), masks } => {
                    self.conferences.insert(conference_id, Shown::of(&shown, masks));
                }
                Output::Publish { conference_id, shown: None, .. } => {
                    self.conferences.remove(&conference_id);
                }
            }
        }
        self.push_held();
        for leg in refused {
            self.feed(Input::Settled(leg));
        }
        for number in unrecorded {
            self.feed(Input::RecordingEnded { number });
        }
    }

    /// Hands commands to the media threads, in order; what finds a ring full stays and is tried again.
    fn push_held(&mut self) {
        for (held, door) in self.held.iter_mut().zip(&mut self.shards) {
            while let Some(command) = held.pop_front() {
                if let Err(rtrb::PushError::Full(command)) = door.commands.push(command) {
                    held.push_front(command);
                    break;
                }
            }
        }
    }
}

fn input_of(arrival: Arrival) -> ControlInput {
    match arrival {
        Arrival::Message { flow, bytes, peer } => Input::Sip { flow, bytes, peer },
        Arrival::Failed { flow, why } => Input::FlowFailed { flow, why },
    }
}

/// What this thread has used of a processor: time that others took from it does not count. Zero where the system does not say.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn now() -> Now {
    Now { mono: Instant::now(), wall: SystemTime::now() }
}
