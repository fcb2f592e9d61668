//! From a checked configuration to a running shell: binds and starts everything that it owns, or says what stood in the way.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};
use trunk::{MediaAddress, Trunks};

use super::{ARRIVALS, ASKS, Shell, Signals, now, processor_time};
use crate::config::{Config, Sources as DirectorySources};
use crate::control::{Ask, Control, Parts, Reply};
use crate::ctl;
use crate::dns::locate;
use crate::http::{self, Doors, Heartbeat};
use crate::log_budget::LogBudget;
use crate::media::door::SocketDoor;
use crate::media::thread::{ShardDoor, ThreadOptions};
use crate::metrics::{Metrics, Sources};
use crate::prompts::Prompts;
use crate::recording::{Ended, Recorder, RecordingMetrics};
use crate::reload::{InForce, Outcome, Turns};
use crate::sip_io::{Arrival, Limits, Setup, SipIo};
use crate::spool::{Spool, SpoolMetrics};
use crate::store::{self, Changed, Delivery, DeliveryMetrics, DirectoryMetrics, Spooled, Store};
use crate::tls::{self, TlsMetrics};
use crate::trace::{Export, ExportMetrics, Look, Tap};
use crate::usage::SpoolReader;
use crate::versions::Versions;
use crate::what_if::{Decisions, Rehearsal};

impl Shell {
    pub(super) async fn start(config: Config) -> anyhow::Result<Self> {
        // Before anything says that it is ready: from then on a signal must drain and not kill.
        let signals = Signals::new()?;
        let prompts = Arc::new(Prompts::of(&config.media)?);
        let mut metrics = Metrics::new(config.trunks.profiles().iter().map(|profile| profile.id.as_str()));
        let (first, last) = config.media.ports;
        crate::descriptors::raise(u64::from(last.saturating_sub(first)) + 1);
        crate::media::arrival::check_receive_buffer(config.media.address);
        let (trunks, located) = locate(&config).await?;
        let current = Arc::new(ArcSwap::new(Arc::clone(&trunks)));
        let (sip, arrivals) = start_sip(&config, &current).await?;
        let listener = http::bind(config.http.listen).await?;
        watch_certificates(&config, &metrics)?;
        let (settled_in, settled) = mpsc::channel(ARRIVALS);
        let spool = start_spool(&config, &metrics, settled_in)?;
        let (recorder, recorded) = start_recorder(&config, &metrics)?;
        let reports = Arc::new(Notify::new());
        let shards = start_shards(&config, &reports)?;
        metrics.observe(sources(&shards, &sip, &spool));
        let (asks_in, asks) = mpsc::channel(ASKS);
        let (looks_in, looks) = mpsc::channel(ASKS);
        let happened = Arc::new(http::Ring::new(uuid::Uuid::now_v7().simple().to_string()));
        let sources = Arc::new(ArcSwap::new(Arc::clone(&config.sources)));
        let (versions, in_force) = take_version(&config)?;
        let (orders_in, orders) = mpsc::channel(1);
        let (store, directories, delivery) = start_store(&config, &sources, &metrics, &spool).await?;
        let decisions = Decisions::new(config.decisions);
        let rehearsal = Rehearsal::new(Arc::clone(&decisions), store, config.path.clone());
        let doors = doors(
            &config,
            &metrics,
            (&shards, &spool),
            asks_in,
            &happened,
            (rehearsal, Arc::clone(&in_force)),
        );
        let (conferences, ready) = (Arc::clone(&doors.conferences), Arc::clone(&doors.ready));
        let (table, tokens) = (Arc::clone(&doors.table), Arc::clone(&doors.tokens));
        let ctl = start_ctl(&config, &current, &doors, looks_in, (versions.clone(), orders_in)).await?;
        tokio::spawn(http::serve(listener, Arc::new(doors)));
        let export = start_export(&config, &metrics).await?;
        let tap = Tap::new(Arc::clone(&current), config.trace, export).with_media(config.capture);
        let (reloading, reloaded) = mpsc::channel(1);
        let home = MediaAddress { bind: config.media.address, told: config.media.advertise };
        let door = SocketDoor::new(home, config.media.ports);
        let mut parts = Parts::new(&config, trunks, prompts, metrics, door, shards.len(), rand::random());
        parts.spent = crate::usage::spent(&config.spool.folder, SystemTime::now());
        parts.metrics.spending_unread.set(i64::from(parts.spent.is_incomplete()));
        let control = Control::new(now(), parts);
        announce(&config, shards.len());
        let (pins, checked) = super::pins::PinChecks::new();
        let (names, named) = super::names::Names::new();
        Ok(Self {
            pins,
            checked,
            names,
            named,
            control,
            sip,
            arrivals,
            settled,
            asks,
            waiting: HashMap::new(),
            next_ask: 1,
            tap,
            quiet: LogBudget::new(Instant::now()),
            looks,
            _ctl: ctl,
            spool,
            recorder,
            recorded,
            held: shards.iter().map(|_| VecDeque::new()).collect(),
            shards,
            reports,
            conferences,
            happened,
            decisions,
            table,
            ready,
            load_at: Instant::now(),
            used: processor_time(),
            drain_deadline: config.drain_deadline,
            current,
            located,
            started: config.sources.text().into(),
            sources,
            versions,
            in_force,
            tokens,
            orders,
            path: config.path,
            reloading,
            turns: Turns::default(),
            reloaded,
            directories,
            delivery,
            signals,
        })
    }
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn start_sip(
    config: &Config,
    current: &Arc<ArcSwap<Trunks>>,
) -> anyhow::Result<(Arc<SipIo>, mpsc::Receiver<Arrival>)> {
    let (arrivals_in, arrivals) = mpsc::channel(ARRIVALS);
    let listed = Arc::clone(current);
    let limits = Limits {
        per_address: config.tcp_connections_per_address,
        listed: Box::new(move |address| listed.load().lists(address)),
    };
    let setup = Setup { limits, trunks: Arc::clone(current), tls: config.tls.clone() };
    let sip = SipIo::bind(&config.listeners, setup, arrivals_in).await.context("sip.listen")?;
    Ok((Arc::new(sip), arrivals))
}

/// The database, changes of the directory in it from now on, and the way of usage records into it; nothing without one.
async fn start_store(
    config: &Config,
    sources: &Arc<ArcSwap<DirectorySources>>,
    metrics: &Metrics,
    spool: &Spool,
) -> anyhow::Result<(Option<Store>, mpsc::Receiver<Changed>, Option<Delivery>)> {
    let (taker, directories) = mpsc::channel(1);
    let Some(options) = &config.store else { return Ok((None, directories, None)) };
    let store = Store::open(&options.url).await.context("store.url")?;
    let shown = DirectoryMetrics {
        up: metrics.directory_up.clone(),
        version: metrics.directory_version.clone(),
        reloads: metrics.directory_reloads.clone(),
    };
    let (sources, read) = (Arc::clone(sources), (config.directory_version, config.directory_known.clone()));
    tokio::spawn(store::watch(store.clone(), options.poll, sources, read, shown, taker));
    let spooled =
        Spooled { folder: config.spool.folder.clone(), durable: spool.durable(), node: config.node.clone() };
    let counted = DeliveryMetrics {
        waiting: metrics.database_waiting.clone(),
        oldest: metrics.database_oldest.clone(),
        delivered: metrics.database_delivered.clone(),
    };
    let delivery = Delivery::start(store.clone(), spooled, counted);
    Ok((Some(store), directories, Some(delivery)))
}

/// The configuration that the bridge starts with has a version like every other one.
fn take_version(config: &Config) -> anyhow::Result<(Versions, Arc<ArcSwap<InForce>>)> {
    let folder = &config.versions;
    let named = || format!("node.versions {}", folder.display());
    let versions = Versions::open(folder).with_context(named)?;
    let version = versions.take(SystemTime::now(), config.sources.text()).with_context(named)?;
    tracing::info!(version = version.number, hash = version.hash, "the configuration");
    let in_force = InForce { version, needs_restart: BTreeSet::new() };
    Ok((versions, Arc::new(ArcSwap::from_pointee(in_force))))
}

fn watch_certificates(config: &Config, metrics: &Metrics) -> anyhow::Result<()> {
    if let Some(tls) = &config.tls {
        let shown =
            TlsMetrics { expiry: metrics.tls_expiry.clone(), failures: metrics.tls_reload_failures.clone() };
        tokio::spawn(tls::watch(Arc::clone(tls), shown, signal(SignalKind::hangup())?));
    }
    Ok(())
}

fn start_recorder(
    config: &Config,
    metrics: &Metrics,
) -> anyhow::Result<(Recorder, mpsc::UnboundedReceiver<Ended>)> {
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
    Ok((recorder, recorded))
}

fn doors(
    config: &Config,
    metrics: &Metrics,
    (shards, spool): (&[ShardDoor], &Spool),
    asks: mpsc::Sender<(Ask, oneshot::Sender<Reply>)>,
    happened: &Arc<http::Ring>,
    (rehearsal, in_force): (Rehearsal, Arc<ArcSwap<InForce>>),
) -> Doors {
    Doors {
        metrics: metrics.clone(),
        tokens: http::Holders::new(&config.tokens, config.http.requests_per_second),
        asks,
        conferences: Arc::new(DashMap::new()),
        ready: Arc::new(AtomicBool::new(true)),
        shards: shards.iter().map(|shard| Arc::clone(&shard.gauges)).collect(),
        description: http::description(),
        places: http::Places::new(config.http.connections_per_address, metrics.http_shed.clone()),
        stream: http::Stream::new(Arc::clone(happened), config.http.event_readers_per_token),
        answers: http::Answers::default(),
        usage: http::Usage::new(SpoolReader::new(config.spool.folder.clone(), spool.durable())),
        rehearsal,
        table: Arc::new(ArcSwap::new(Arc::clone(&config.table))),
        public_numbers: config.http.public_numbers,
        keys: config.bridge.keys,
        pace: http::Pace::default(),
        in_force,
        heartbeat: Heartbeat::new(shards.len()),
    }
}

async fn start_ctl(
    config: &Config,
    current: &Arc<ArcSwap<Trunks>>,
    doors: &Doors,
    looks: mpsc::Sender<Look>,
    (versions, orders): (Versions, mpsc::Sender<oneshot::Sender<Outcome>>),
) -> anyhow::Result<Option<ctl::Control>> {
    let Some(path) = &config.ctl_socket else { return Ok(None) };
    let answers = ctl::Answers {
        node: config.node.clone(),
        started: SystemTime::now(),
        trunks: Arc::clone(current),
        asks: doors.asks.clone(),
        looks,
        conferences: Arc::clone(&doors.conferences),
        rehearsal: doors.rehearsal.clone(),
        usage: doors.usage.clone(),
        configurations: ctl::Configurations {
            path: std::path::absolute(&config.path).unwrap_or_else(|_| config.path.clone()),
            versions,
            in_force: Arc::clone(&doors.in_force),
            orders,
        },
    };
    Ok(Some(ctl::bind(path, answers).await.context("ctl.socket")?))
}

async fn start_export(config: &Config, metrics: &Metrics) -> anyhow::Result<Option<Export>> {
    let Some(collector) = config.hep.clone() else { return Ok(None) };
    let counted = ExportMetrics { sent: metrics.hep_sent.clone(), dropped: metrics.hep_dropped.clone() };
    Ok(Some(Export::start(collector, counted).await.context("hep.to")?))
}

/// The last lines of a start: whoever waits for `ready` may call.
fn announce(config: &Config, shards: usize) {
    for own in &config.listeners {
        tracing::info!(transport = own.transport.via_token(), address = %own.address, "SIP");
    }
    tracing::info!(address = %config.http.listen, tokens = config.tokens.len(), "HTTP");
    if config.capture.is_some() {
        tracing::warn!(
            "trace.capture_media: the media of all calls is kept in memory, decrypted, for whoever may open ctl.socket"
        );
    }
    tracing::info!(node = config.node, shards, trunks = config.trunks.profiles().len(), "ready");
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
                capture: config.capture.is_some(),
            };
            ShardDoor::start(options, Arc::clone(reports)).context("starting a media thread")
        })
        .collect()
}
