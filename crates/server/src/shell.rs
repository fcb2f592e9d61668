//! The running bridge: binds everything, then carries bytes, records and answers to and from control.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use arc_swap::ArcSwap;
use bridge::LegId;
use dashmap::DashMap;
use nix::time::{ClockId, clock_gettime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep_until;
use trunk::{MediaAddress, Names, Trunks};

use crate::config::Config;
use crate::control::{Ask, Control, Input, Locals, Now, Output, Parts, Reply};
use crate::ctl;
use crate::dns::Dns;
use crate::http::{self, Doors, Heartbeat};
use crate::media::door::SocketDoor;
use crate::media::sockets::LegSockets;
use crate::media::thread::{ShardDoor, ThreadOptions};
use crate::metrics::{Metrics, Sources};
use crate::prompts::Prompts;
use crate::recording::{Ended, Recorder, RecordingMetrics};
use crate::reload::{Reloaded, reload};
use crate::sip_io::{Arrival, Limits, Setup, SipIo};
use crate::spool::{Spool, SpoolMetrics};
use crate::tls::{self, TlsMetrics};
use crate::trace::{Export, ExportMetrics, Look, Tap};

/// Messages that may wait for control.
const ARRIVALS: usize = 8192;
/// API requests that may wait for control.
const ASKS: usize = 256;
/// How many inputs are taken before timers and media are looked at again.
const BATCH: usize = 64;
/// How long the start waits for the DNS.
const LOCATED_WITHIN: Duration = Duration::from_secs(6);
/// After the last leg has ended, for the answers to our BYEs.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// After the second signal, for legs to end.
const AT_MOST: Duration = Duration::from_secs(5);
/// How often control is told how much the media threads have to do.
const LOAD_EVERY: Duration = Duration::from_millis(250);
/// A full media ring is tried again after this.
const RING_RETRY: Duration = Duration::from_millis(5);

type ControlInput = Input<LegSockets>;

/// Runs the bridge until it has been told to stop and its legs have ended.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let mut shell = Shell::start(config).await?;
    shell.run().await;
    shell.stop();
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
    looks: mpsc::Receiver<Look>,
    /// Open as long as we run.
    _ctl: Option<ctl::Control>,
    spool: Spool,
    recorder: Recorder,
    recorded: mpsc::UnboundedReceiver<Ended>,
    shards: Vec<ShardDoor>,
    /// Commands that found a ring full, by shard.
    held: Vec<VecDeque<mixer::Command<LegSockets>>>,
    reports: Arc<Notify>,
    conferences: Arc<DashMap<String, Arc<str>>>,
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
    reloading: mpsc::Sender<Result<Reloaded, Vec<String>>>,
    reloaded: mpsc::Receiver<Result<Reloaded, Vec<String>>>,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Shell {
    async fn start(config: Config) -> anyhow::Result<Self> {
        // Before anything says that it is ready: from then on a signal must drain and not kill.
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let hangup = signal(SignalKind::hangup())?;
        let (folder, map) = &config.media.prompts;
        let prompts = Arc::new(Prompts::load(folder, map.as_deref())?);
        let mut metrics = Metrics::new(config.trunks.profiles().iter().map(|profile| profile.id.as_str()));
        let (arrivals_in, arrivals) = mpsc::channel(ARRIVALS);
        let (first, last) = config.media.ports;
        crate::descriptors::raise(u64::from(last.saturating_sub(first)) + 1);
        crate::media::arrival::check_receive_buffer(config.media.address);
        let (trunks, located) = locate(&config).await?;
        let current = Arc::new(ArcSwap::new(Arc::clone(&trunks)));
        let listed = Arc::clone(&current);
        let limits = Limits {
            per_address: config.tcp_connections_per_address,
            listed: Box::new(move |address| listed.load().lists(address)),
        };
        let setup = Setup { limits, trunks: Arc::clone(&current), tls: config.tls.clone() };
        let sip = SipIo::bind(&config.listeners, setup, arrivals_in).await.context("sip.listen")?;
        let sip = Arc::new(sip);
        let listener = http::bind(config.http_listen).await?;
        if let Some(tls) = &config.tls {
            let shown = TlsMetrics {
                expiry: metrics.tls_expiry.clone(),
                failures: metrics.tls_reload_failures.clone(),
            };
            tokio::spawn(tls::watch(Arc::clone(tls), shown, signal(SignalKind::hangup())?));
        }
        let (settled_in, settled) = mpsc::channel(ARRIVALS);
        let spool = start_spool(&config, &metrics, settled_in)?;
        let (recorded_in, recorded) = mpsc::unbounded_channel();
        let gauges = RecordingMetrics {
            running: metrics.recordings.clone(),
            failed: metrics.recordings_failed.clone(),
            dropped: metrics.recording_dropped.clone(),
        };
        let recorder = Recorder::start(config.recordings.clone(), gauges, move |ended| {
            // Fails only when the bridge is stopping.
            let _ = recorded_in.send(ended);
        })
        .context("starting the recorder")?;
        let reports = Arc::new(Notify::new());
        let shards = start_shards(&config, &reports)?;
        metrics.observe(sources(&shards, &sip, &spool));
        let (asks_in, asks) = mpsc::channel(ASKS);
        let conferences = Arc::new(DashMap::new());
        let ready = Arc::new(AtomicBool::new(true));
        let doors = Doors {
            metrics: metrics.clone(),
            token: config.token.clone(),
            asks: asks_in,
            conferences: Arc::clone(&conferences),
            ready: Arc::clone(&ready),
            shards: shards.iter().map(|shard| Arc::clone(&shard.gauges)).collect(),
            heartbeat: Heartbeat::new(shards.len()),
        };
        let (looks_in, looks) = mpsc::channel(ASKS);
        let answers = ctl::Answers {
            node: config.node.clone(),
            started: SystemTime::now(),
            trunks: Arc::clone(&current),
            asks: doors.asks.clone(),
            looks: looks_in,
            conferences: Arc::clone(&conferences),
        };
        let ctl = match &config.ctl_socket {
            Some(path) => Some(ctl::bind(path, answers).await.context("ctl.socket")?),
            None => None,
        };
        tokio::spawn(http::serve(listener, Arc::new(doors)));
        for own in &config.listeners {
            tracing::info!(transport = own.transport.via_token(), address = %own.address, "SIP");
        }
        tracing::info!(address = %config.http_listen, api = config.token.is_some(), "HTTP");
        let export = match config.hep.clone() {
            Some(collector) => {
                let counted =
                    ExportMetrics { sent: metrics.hep_sent.clone(), dropped: metrics.hep_dropped.clone() };
                Some(Export::start(collector, counted).await.context("hep.to")?)
            }
            None => None,
        };
        let tap = Tap::new(Arc::clone(&current), config.trace, export);
        let (reloading, reloaded) = mpsc::channel(1);
        let control = Control::new(now(), parts(&config, trunks, prompts, metrics, shards.len()));
        tracing::info!(
            node = config.node,
            shards = shards.len(),
            trunks = config.trunks.profiles().len(),
            "ready"
        );
        Ok(Self {
            control,
            sip,
            arrivals,
            settled,
            asks,
            waiting: HashMap::new(),
            next_ask: 1,
            tap,
            looks,
            _ctl: ctl,
            spool,
            recorder,
            recorded,
            held: shards.iter().map(|_| VecDeque::new()).collect(),
            shards,
            reports,
            conferences,
            ready,
            load_at: Instant::now(),
            used: processor_time(),
            drain_deadline: config.drain_deadline,
            current,
            located,
            path: config.path,
            reloading,
            reloaded,
            terminate,
            interrupt,
            hangup,
        })
    }

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
                _ = self.terminate.recv() => give_up = self.signaled(&mut signals),
                _ = self.interrupt.recv() => give_up = self.signaled(&mut signals),
                _ = self.hangup.recv() => self.reload(),
                () = reports.notified() => {}
                Some(first) = self.arrivals.recv() => self.take_arrivals(first),
                Some(leg) = self.settled.recv() => self.feed(Input::Settled(LegId(leg))),
                Some((ask, answer)) = self.asks.recv() => self.take_ask(ask, answer),
                Some(look) = self.looks.recv() => self.tap.show(look),
                Some(trunks) = self.located.recv() => self.take_trunks(trunks),
                Some(outcome) = self.reloaded.recv() => self.take_reloaded(outcome),
                () = sleep_until(timer.into()) => {}
            }
            self.take_others();
            self.take_reports();
            self.take_timers();
        }
    }

    /// SIGHUP: certificates are read again elsewhere, and here the trunks; calls that are up stay.
    fn reload(&self) {
        tracing::info!(
            "SIGHUP: the trunks and the certificates are read again; all else is read at the start only"
        );
        let running = self.current.load_full();
        tokio::spawn(reload(self.path.clone(), running, self.reloading.clone()));
    }

    fn take_reloaded(&mut self, outcome: Result<Reloaded, Vec<String>>) {
        match outcome {
            Ok(Reloaded { trunks, located }) => {
                self.located = located;
                self.take_trunks(trunks);
                tracing::info!("the trunks are as the file says");
            }
            Err(problems) => {
                for problem in problems {
                    tracing::error!(?problem, "the trunks stay as they were");
                }
            }
        }
    }

    fn take_trunks(&mut self, trunks: Arc<Trunks>) {
        self.current.store(Arc::clone(&trunks));
        self.feed(Input::Trunks(trunks));
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
        self.recorder.stop();
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

    fn take_ask(&mut self, ask: Ask, answer: oneshot::Sender<Reply>) {
        let number = self.next_ask;
        self.next_ask += 1;
        self.waiting.insert(number, answer);
        self.feed(Input::Ask { number, ask });
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
                Output::Record { number, file, frames } => {
                    if !self.recorder.begin(number, file, frames) {
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
                Output::Publish { conference_id, shown: Some(shown) } => {
                    // As text: a tree of JSON takes several times as much memory for each leg.
                    self.conferences.insert(conference_id, shown.to_string().into());
                }
                Output::Publish { conference_id, shown: None } => {
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

fn start_spool(config: &Config, metrics: &Metrics, settled: mpsc::Sender<u64>) -> anyhow::Result<Spool> {
    let gauges = SpoolMetrics {
        waiting: metrics.spool_waiting.clone(),
        delivered: metrics.spool_delivered.clone(),
        dropped: metrics.spool_dropped.clone(),
    };
    Spool::start(&config.spool, gauges, move |ticket| {
        // Fails only when the bridge is stopping and nobody waits any more.
        let _ = settled.blocking_send(ticket);
    })
    .with_context(|| format!("usage.spool {}", config.spool.folder.display()))
}

/// What other threads count, for the metrics page.
fn sources(shards: &[ShardDoor], sip: &Arc<SipIo>, spool: &Spool) -> Sources {
    let (sip, handshakes, oldest) = (Arc::clone(sip), Arc::clone(sip), spool.oldest());
    Sources {
        shards: shards.iter().map(|shard| Arc::clone(&shard.gauges)).collect(),
        sip_dropped: Box::new(move || sip.dropped()),
        failed_handshakes: Box::new(move || handshakes.failed_handshakes()),
        oldest_record: Box::new(move || oldest.age()),
    }
}

fn start_shards(config: &Config, reports: &Arc<Notify>) -> anyhow::Result<Vec<ShardDoor>> {
    let mix = config.media.mix;
    if let Some(sabotage) = mix.sabotage {
        tracing::warn!(?sabotage, "the mix is broken on purpose");
    }
    (0..config.media.shards)
        .map(|number| {
            let options = ThreadOptions {
                number,
                shard: mixer::ShardConfig { mix, ..mixer::ShardConfig::default() },
                scheduling: config.media.scheduling,
                late_bound: config.media.limits.late,
            };
            ShardDoor::start(options, Arc::clone(reports)).context("starting a media thread")
        })
        .collect()
}

/// The trunks with their names looked up, and where further changes come from. A name server that does not answer holds the start up
/// for a moment and no longer: the trunk is Down then, and comes up when it is found.
pub(crate) async fn locate(config: &Config) -> anyhow::Result<(Arc<Trunks>, mpsc::Receiver<Arc<Trunks>>)> {
    let (settled, mut located) = mpsc::channel(1);
    let names = config.trunks.names();
    if names.is_empty() {
        return Ok((Arc::clone(&config.trunks), located));
    }
    let dns = Dns::new(&config.dns)?;
    let mut supported = vec![trunk::Transport::Tls, trunk::Transport::Tcp, trunk::Transport::Udp];
    supported.retain(|own| {
        config.listeners.iter().any(|listener| crate::config::sip_transport(*own) == listener.transport)
    });
    let names = Names::new(names, supported, std::time::Instant::now(), rand::random());
    tokio::spawn(crate::dns::follow(Arc::clone(&config.trunks), names, dns, settled));
    let first = tokio::time::timeout(LOCATED_WITHIN, located.recv()).await.ok().flatten();
    Ok((first.unwrap_or_else(|| Arc::clone(&config.trunks)), located))
}

fn parts(
    config: &Config,
    trunks: Arc<Trunks>,
    prompts: Arc<Prompts>,
    metrics: Metrics,
    shards: usize,
) -> Parts<SocketDoor> {
    let media = &config.media;
    Parts {
        trunks,
        table: Arc::clone(&config.table),
        directory: Arc::clone(&config.directory) as Arc<dyn bridge::Directory>,
        bridge: config.bridge,
        endpoint: sip::EndpointConfig {
            user_agent: config.user_agent.clone(),
            advertised_host: config.advertise.as_ref().map(ToString::to_string),
            advertised: config.advertised.clone(),
            tcp_listeners: config.tcp_listeners(),
            ..sip::EndpointConfig::default()
        },
        locals: Locals {
            listeners: config.listeners.clone(),
            advertise: config.advertise.clone(),
            advertised: config.advertised.clone(),
        },
        prompts,
        metrics,
        door: SocketDoor::new(MediaAddress { bind: media.address, told: media.advertise }, media.ports),
        shards,
        limits: media.limits,
        strangers: config.strangers,
        silent_after: media.silence_timeout,
        confirm_dial_out: config.confirm_dial_out,
        seed: rand::random(),
    }
}
