//! `partyline load` from the first INVITE to the last BYE.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rand::{SeedableRng as _, rngs::StdRng};
use sip::{Host, HostPort};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::caller::{Call, CallError, Caller, Wish};
use super::crew::{Crew, CrewPlan};
use super::ending::{Ending, Signal};
use super::fleet::{FleetError, FleetLeg};
use super::options::{Conference, Options, Srtp};
use super::own_bridge::{self, OwnBridge, Wanted};
use super::picture;
use super::report::{Calls, Report};
use super::spread::Spread;
use super::table;

/// Descriptors beside the sockets of the calls.
const OTHERS: u64 = 256;
/// How often it is asked who has joined.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// After the last one has joined, before anything is counted: entry tones, and jitter buffers on their way down.
const CALM: Duration = Duration::from_secs(1);
/// For what is not answered to be cancelled; nobody waits for the bridge's word on it.
const CANCELLING: Duration = Duration::from_millis(200);
/// How long the bridge may take to confirm all hang-ups.
const FAREWELL: Duration = Duration::from_secs(10);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everyone heard exactly whom they should.
    Passed,
    /// Not so.
    Failed,
    /// Somebody ended it before its time; the calls are hung up.
    Interrupted(Signal),
}

/// Exit 0: everyone heard exactly whom they should. Exit 1: not so. Exit 2: it could not be set up. Exit 130 and 143: it was
/// interrupted by SIGINT or SIGTERM, has hung up, and has reported what was measured until then.
pub fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            remark!("cannot start: {error}");
            return ExitCode::from(2);
        }
    };
    let outcome = runtime.block_on(async {
        let ending = Ending::listen()?;
        // Whatever ends the run ends the bridge that it started, which is killed when its handle is dropped.
        tokio::select! {
            outcome = play(options, ending.clone()) => outcome,
            told = async { ending.clone().second().await } => bail!("it was ended by a second {}", told.name()),
        }
    });
    // A measurement in progress is not waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(Outcome::Passed) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Ok(Outcome::Interrupted(by)) => ExitCode::from(by.exit_code()),
        Err(error) => {
            remark!("the load cannot be set up: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Who is called from where.
struct Target {
    bridge: SocketAddr,
    own: IpAddr,
    called: (String, HostPort),
    pid: Option<u32>,
}

async fn play(options: &Options, mut ending: Ending) -> anyhow::Result<Outcome> {
    let ids = if options.own { own_bridge::ids(options.rooms as usize + 1) } else { options.ids()? };
    let conferences = options.conferences(&ids)?;
    let legs: usize = conferences.iter().map(|one| one.shape.legs).sum();
    options.reports_can_be_written()?;
    raise_descriptors(legs)?;
    let own_bridge = tokio::select! {
        own_bridge = start_own(options, &conferences, legs) => own_bridge?,
        by = ending.first() => return Ok(interrupted(by, "before a call was placed")),
    };
    let target = target(options, own_bridge.as_ref()).await?;
    let mut crew = Crew::open(CrewPlan {
        rooms: conferences.iter().map(|one| one.shape).collect(),
        talk: options.talking(),
        codec: options.codec,
        mixed: usize::from(options.mixed),
        seed: options.seed,
        threads: usize::from(options.threads),
    })?;
    // Tags and branches must differ from those of an earlier run, and keys must not be guessed.
    let dice = StdRng::from_seed(rand::random());
    let speech = (options.codec, options.srtp == Srtp::Sdes);
    let caller = Caller::open(target.own, target.bridge, speech, dice).await.with_context(|| {
        format!("cannot call from {}: name an address of this machine with --bind", target.own)
    })?;
    remark!("calling {} with {legs} legs from {}", target.bridge, caller.address());
    let dialed = dial(options, &conferences, &target, &caller, &mut crew, &mut ending).await;
    let Dialed { mut calls, refusals } = match dialed {
        Ok(dialed) => dialed,
        Err((calls, stop)) => {
            hang_up(calls).await;
            return match stop {
                Stop::Told(by) => Ok(interrupted(by, "before all were called")),
                Stop::Failed(error) => Err(error),
            };
        }
    };
    let called = tokio::select! {
        called = roll_call(options, &crew) => called,
        by = ending.first() => {
            hang_up(calls).await;
            return Ok(interrupted(by, "before anything was measured"));
        }
    };
    called?;
    remark!("measuring for {} s", options.seconds);
    let (measured, by) = measure(crew, options, target.pid, &mut ending).await?;
    let dropped = calls.iter_mut().map(Call::has_ended).filter(|ended| *ended).count();
    let mut setup = Spread::default();
    for call in &calls {
        setup.add(call.setup.as_micros() as u64);
    }
    let placed = calls.len();
    hang_up(calls).await;
    let mut report = measured?;
    report.interrupted = by.map(Signal::name);
    report.calls = Some(Calls { placed, refusals, dropped, setup_ms: setup.quantiles() });
    if let Some(own) = own_bridge {
        own.bridge.stop().await?;
    }
    publish(options, &report)?;
    Ok(match by {
        Some(by) => interrupted(by, "while it measured; the report says what there was until then"),
        None if report.passes() => Outcome::Passed,
        None => Outcome::Failed,
    })
}

fn interrupted(by: Signal, when: &str) -> Outcome {
    remark!("the load was interrupted by {} {when}", by.name());
    Outcome::Interrupted(by)
}

/// Measures for as long as was asked for, or until told to end.
async fn measure(
    crew: Crew,
    options: &Options,
    pid: Option<u32>,
    ending: &mut Ending,
) -> anyhow::Result<(Result<Report, FleetError>, Option<Signal>)> {
    let seconds = Duration::from_secs(u64::from(options.seconds));
    let (stop, stopped) = sync_channel(1);
    let mut measuring = tokio::task::spawn_blocking(move || crew.measure_until(seconds, pid, &stopped));
    tokio::select! {
        measured = &mut measuring => Ok((measured?, None)),
        by = ending.first() => {
            // Where it has just come to its end nobody listens any more.
            let _ = stop.try_send(());
            Ok((measuring.await?, Some(by)))
        }
    }
}

async fn start_own(
    options: &Options,
    conferences: &[Conference],
    legs: usize,
) -> anyhow::Result<Option<OwnBridge>> {
    if !options.own {
        return Ok(None);
    }
    let largest = conferences.iter().map(|one| one.shape.legs).max().unwrap_or(0);
    if largest > own_bridge::MOST_IN_ONE {
        bail!("a conference has at most {} seats: name more --rooms", own_bridge::MOST_IN_ONE);
    }
    let wanted = Wanted {
        callers: options.bind.unwrap_or(own_bridge::CALLERS.into()),
        conferences: conferences.len(),
        legs,
        codec: options.codec,
        srtp: options.srtp == Srtp::Sdes,
        sabotage: options.sabotage.clone(),
    };
    OwnBridge::start(&wanted).await.map(Some)
}

async fn target(options: &Options, own: Option<&OwnBridge>) -> anyhow::Result<Target> {
    if let Some(own) = own {
        let bridge = own.bridge.sip;
        return Ok(Target {
            bridge,
            own: options.bind.unwrap_or(own_bridge::CALLERS.into()),
            called: (own_bridge::NUMBER.to_owned(), bridge.into()),
            pid: own.bridge.pid(),
        });
    }
    let (user, host, port) = options.target()?;
    let mut found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port))
        .await
        .with_context(|| format!("--to: {host} has no address"))?;
    let bridge = found.next().with_context(|| format!("--to: {host} has no address"))?;
    let own = match options.bind {
        Some(own) => own,
        None => own_address(bridge)
            .with_context(|| format!("no way leads to {bridge}: name an address with --bind"))?,
    };
    let host = Host::parse(&host).ok().with_context(|| format!("--to: `{host}` is no host"))?;
    Ok(Target { bridge, own, called: (user, HostPort { host, port: Some(port) }), pid: options.server_pid })
}

/// The address from which the kernel would send there.
fn own_address(bridge: SocketAddr) -> std::io::Result<IpAddr> {
    let any: SocketAddr = if bridge.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(bridge)?;
    Ok(socket.local_addr()?.ip())
}

/// Two sockets a leg, or an error that says how many descriptors that takes.
fn raise_descriptors(legs: usize) -> anyhow::Result<()> {
    let needed = 2 * legs as u64 + OTHERS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of open files")?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        bail!(
            "{legs} legs need {needed} open files and {hard} are allowed: raise the limit (ulimit -Hn {needed}, or LimitNOFILE \
             of the service), or take fewer --legs"
        );
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard).context("cannot raise the limit of open files")
}

/// A room, a seat in it, what became of the call, and how often it was refused for a while.
type Answer = ((usize, usize), (Result<(Call, FleetLeg), CallError>, usize));

/// Why not everyone was called.
enum Stop {
    Failed(anyhow::Error),
    Told(Signal),
}

/// The calls that were answered, and how many refusals with a time to come back that took.
#[derive(Default)]
struct Dialed {
    calls: Vec<Call>,
    refusals: usize,
}

/// Calls one after the other at the rate that was asked for; each leg is driven as soon as it is answered. At the first
/// refusal, or when told to end, nobody else calls, and what is not answered yet is cancelled.
async fn dial(
    options: &Options,
    conferences: &[Conference],
    target: &Target,
    caller: &Caller,
    crew: &mut Crew,
    ending: &mut Ending,
) -> Result<Dialed, (Vec<Call>, Stop)> {
    let from_host = match options.from_host.as_deref().map(Host::parse) {
        None => HostPort::from(caller.address()),
        Some(Ok(host)) => HostPort { host, port: None },
        Some(Err(error)) => return Err((Vec::new(), Stop::Failed(anyhow::anyhow!("--from-host: {error}")))),
    };
    // Seat by seat through all rooms: every conference begins early and fills slowly, as they do.
    let most = conferences.iter().map(|one| one.shape.legs).max().unwrap_or(0);
    let seats = (0..most).flat_map(|seat| (0..conferences.len()).map(move |room| (room, seat)));
    let mut seats = seats.filter(|(room, seat)| *seat < conferences[*room].shape.legs).enumerate();
    let all: usize = conferences.iter().map(|one| one.shape.legs).sum();
    let mut pace = interval(Duration::from_secs(1) / options.rate);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way: JoinSet<Answer> = JoinSet::new();
    let (mut dialed, mut told, mut more) = (Dialed::default(), Instant::now(), true);
    let mut stop = None;
    while stop.is_none() && (more || !under_way.is_empty()) {
        tokio::select! {
            _ = pace.tick(), if more => {
                let Some((number, (room, seat))) = seats.next() else {
                    more = false;
                    continue;
                };
                let (caller, keys) = (caller.clone(), conferences[room].keys.clone());
                let wish = Wish {
                    from: (options.caller(number), from_host.clone()),
                    called: target.called.clone(),
                    keys: (keys, Duration::from_secs_f64(options.key_after)),
                    number: number as u64 + 1,
                };
                under_way.spawn(async move { ((room, seat), caller.call_patiently(wish).await) });
            }
            Some(done) = under_way.join_next() => {
                let answered = done.map_err(anyhow::Error::from).and_then(|((room, seat), (outcome, refusals))| {
                    dialed.refusals += refusals;
                    let (call, leg) = outcome?;
                    crew.seat(room, seat, leg)?;
                    Ok(call)
                });
                match answered {
                    Ok(call) => dialed.calls.push(call),
                    Err(error) => {
                        let error = error.context(format!("call {} of {all}", dialed.calls.len() + 1));
                        stop = Some(Stop::Failed(error));
                    }
                }
                if told.elapsed() > Duration::from_secs(2) {
                    told = Instant::now();
                    remark!("{} of {all} calls are answered", dialed.calls.len());
                }
            }
            by = ending.first() => stop = Some(Stop::Told(by)),
        }
    }
    remark!("{} of {all} calls are answered", dialed.calls.len());
    let Some(stop) = stop else { return Ok(dialed) };
    if !under_way.is_empty() {
        under_way.shutdown().await;
        sleep(CANCELLING).await;
    }
    Err((dialed.calls, stop))
}

/// Waits until everyone has keyed his conference's ID and hears whom he should, or for as long as that may take.
async fn roll_call(options: &Options, crew: &Crew) -> anyhow::Result<()> {
    let longest = options.conferences_keys();
    // A key takes 240 ms with its pause.
    sleep(Duration::from_secs_f64(options.key_after) + Duration::from_millis(240) * longest as u32).await;
    crew.talk()?;
    let until = Instant::now() + Duration::from_secs(u64::from(options.join_within));
    loop {
        let (right, all) = crew.roll_call();
        if right >= all {
            remark!("everyone is in and hears the others");
            break;
        }
        if Instant::now() > until {
            remark!(
                "{} of {all} legs have not heard whom they should within {} s: measuring all the same; are the conference IDs \
                 right, and does the bridge mix {} talkers (--mixed)?",
                all - right,
                options.join_within,
                options.mixed
            );
            break;
        }
        sleep(ASK_EVERY).await;
    }
    sleep(CALM).await;
    Ok(())
}

/// BYE to all, fifty at a time.
async fn hang_up(mut calls: Vec<Call>) {
    let (until, all) = (Instant::now() + FAREWELL, calls.len());
    let mut ended = 0;
    for chunk in calls.chunks_mut(50) {
        chunk.iter().for_each(Call::hang_up);
        for call in chunk {
            let left = until.saturating_duration_since(Instant::now());
            ended += usize::from(call.until_ended(left).await);
        }
    }
    remark!("{ended} of {all} calls are ended");
}

fn publish(options: &Options, report: &Report) -> anyhow::Result<()> {
    say!("{}", table::table(report));
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(report)?;
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.plot {
        picture::draw(report).save(path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_legs_than_the_limit_allows_are_refused_with_the_number_needed() {
        let refused = raise_descriptors(usize::MAX / 4).unwrap_err().to_string();
        assert!(refused.contains("open files") && refused.contains("ulimit -Hn"), "{refused}");
    }

    #[test]
    fn loopback_is_called_from_loopback() {
        let own = own_address("127.0.0.1:5060".parse().unwrap()).unwrap();
        assert_eq!(own, IpAddr::from([127, 0, 0, 1]));
    }
}
