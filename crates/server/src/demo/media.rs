//! The media of one simulated call: a UDP socket, a [`Speaker`] paced by the clock and a [`Recording`] of what comes back.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mixer::srtp::{Keys, MAX_OVERHEAD, Srtp};
use tokio::{
    net::UdpSocket,
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    recording::{Meter, Recording},
    rtp::Packet,
    speaker::{Speaker, Stream},
};

const PACE: Duration = Duration::from_millis(20);
/// How often a free pair of ports is looked for before giving up.
const ATTEMPTS: usize = 64;
/// Packets of telephone-events whose key is remembered.
const KEYS: usize = 1000;

/// An even port for RTP and the odd one above it for RTCP (RFC 3550 section 11), not in use yet.
#[derive(Debug)]
pub struct MediaPorts {
    rtp: UdpSocket,
    /// Kept open so that the bridge's reports do not bounce.
    rtcp: UdpSocket,
    address: SocketAddr,
}

impl MediaPorts {
    /// Two neighboring ports of this address.
    pub async fn bind(address: IpAddr) -> io::Result<Self> {
        let mut last = io::Error::other("no port was free");
        for _ in 0..ATTEMPTS {
            let rtp = UdpSocket::bind((address, 0)).await?;
            let local = rtp.local_addr()?;
            if local.port() % 2 == 1 {
                continue;
            }
            match UdpSocket::bind((address, local.port() + 1)).await {
                Ok(rtcp) => return Ok(Self { rtp, rtcp, address: local }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where RTP is received.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to send to, and to record from, this address.
    pub fn start(self, stream: Stream, remote: SocketAddr) -> Media {
        self.start_with(stream, remote, None)
    }

    /// The same, encrypted where there are keys: ours and theirs.
    pub fn start_with(self, stream: Stream, remote: SocketAddr, keys: Option<(Keys, Keys)>) -> Media {
        let state = State {
            speaker: Speaker::new(stream),
            recording: Recording::default(),
            strangers: 0,
            forged: 0,
            keys: Vec::new(),
            event_type: stream.events,
            held: false,
            secrets: keys.map(|(ours, theirs)| Box::new((Srtp::new(ours), Srtp::new(theirs)))),
        };
        let state = Arc::new(Mutex::new(state));
        let (meter_in, meter) = watch::channel(Meter::default());
        let (finished_in, finished) = watch::channel(0);
        let started = Instant::now();
        let task = tokio::spawn(run(self, remote, started, Arc::clone(&state), meter_in, finished_in));
        Media { state, started, meter, finished, task }
    }
}

struct State {
    speaker: Speaker,
    recording: Recording,
    strangers: u64,
    forged: u64,
    /// See [`Tape::keys`].
    keys: Vec<u8>,
    event_type: Option<u8>,
    /// Nothing is sent; time goes on.
    held: bool,
    /// What seals and what opens.
    secrets: Option<Box<(Srtp, Srtp)>>,
}

impl State {
    /// Takes a datagram of the peer; one that cannot be opened is counted.
    fn take(&mut self, now: Instant, datagram: &mut [u8]) {
        let mut length = datagram.len();
        if let Some(secrets) = &mut self.secrets {
            let Ok(opened) = secrets.1.unprotect(datagram) else {
                self.forged += 1;
                return;
            };
            length = opened;
        }
        let plain = &datagram[..length];
        if let Some(packet) = Packet::parse(plain)
            && Some(packet.payload_type) == self.event_type
            && let Some(&code) = packet.payload.first()
            && self.keys.len() < KEYS
        {
            self.keys.push(code);
        }
        self.recording.arrive(now, plain);
    }

    /// The datagrams of the next 20 ms.
    fn tick(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = self.speaker.tick();
        if self.held {
            datagrams.clear();
        }
        if let Some(secrets) = &mut self.secrets {
            datagrams.retain_mut(|datagram| {
                let length = datagram.len();
                datagram.resize(length + MAX_OVERHEAD, 0);
                let sealed = secrets.0.protect(datagram, length);
                datagram.truncate(sealed.unwrap_or(0));
                sealed.is_ok()
            });
        }
        datagrams
    }
}

/// Running media. Dropping it stops it.
pub struct Media {
    state: Arc<Mutex<State>>,
    started: Instant,
    meter: watch::Receiver<Meter>,
    finished: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

/// What is left of a call's media.
#[derive(Clone, Debug)]
pub struct Tape {
    /// When the first sample of `said` was sent.
    pub started: Instant,
    /// Everything said, one sample for each sample time since then.
    pub said: Vec<i16>,
    /// Everything received.
    pub heard: Recording,
    /// Datagrams from somewhere else than agreed; they are not recorded.
    pub strangers: u64,
    /// Datagrams that the keys do not open; they are not recorded.
    pub forged: u64,
    /// Which key each packet of a telephone-event was of (RFC 4733 section 2.3.1), in the order in which they came; the first
    /// thousand.
    pub keys: Vec<u8>,
}

impl Media {
    /// Says these samples after everything that is already queued, and returns when they are out.
    pub async fn say(&self, samples: Arc<[i16]>) {
        let ticket = self.lock().speaker.say(samples);
        self.until_finished(ticket).await;
    }

    /// Says these samples after everything that is already queued, and returns at once.
    pub fn begin_to_say(&self, samples: Arc<[i16]>) {
        self.lock().speaker.say(samples);
    }

    /// Presses a key, with or without the marker bit that begins its event, and returns at once.
    pub fn begin_to_key(&self, keys: &str, marked: bool) {
        self.lock().speaker.press(keys, marked);
    }

    /// Presses these keys after everything that is already queued, and returns when the last is released.
    pub async fn key(&self, keys: &str) {
        let ticket = self.lock().speaker.key(keys);
        self.until_finished(ticket).await;
    }

    /// Goes on with these keys, ours and theirs; the same ones keep their counters. Without encryption nothing changes.
    pub fn rekey(&self, ours: &Keys, theirs: &Keys) {
        if let Some(secrets) = &mut self.lock().secrets {
            secrets.0.rekey(ours);
            secrets.1.rekey(theirs);
        }
    }

    /// Sends nothing for as long as this is so.
    pub fn hold(&self, held: bool) {
        self.lock().held = held;
    }

    /// Where the recording stands.
    pub fn meter(&self) -> Meter {
        *self.meter.borrow()
    }

    /// Waits until this much sound has been heard in all; `false` when it took longer than `within`.
    pub async fn hears(&self, sound: Duration, within: Duration) -> bool {
        let mut meter = self.meter.clone();
        let heard = meter.wait_for(|meter| meter.sounding >= sound);
        timeout(within, heard).await.is_ok_and(|heard| heard.is_ok())
    }

    /// Waits until nothing has been heard for `quiet`; `false` when it took longer than `within`.
    pub async fn falls_quiet(&self, quiet: Duration, within: Duration) -> bool {
        let since = Instant::now();
        let mut meter = self.meter.clone();
        // Silence arrives as packets as well, so the meter ticks on.
        let silent =
            meter.wait_for(|meter| meter.last_sound.map_or(since, |last| last.max(since)).elapsed() >= quiet);
        timeout(within, silent).await.is_ok_and(|silent| silent.is_ok())
    }

    /// What has been said and heard so far.
    pub fn tape(&self) -> Tape {
        let state = self.lock();
        Tape {
            started: self.started,
            said: state.speaker.said().to_vec(),
            heard: state.recording.clone(),
            strangers: state.strangers,
            forged: state.forged,
            keys: state.keys.clone(),
        }
    }

    async fn until_finished(&self, ticket: u64) {
        // An error means that the media task is gone: nothing will be said any more.
        let _ = self.finished.clone().wait_for(|finished| *finished >= ticket).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic elsewhere does not make samples wrong.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(
    ports: MediaPorts,
    remote: SocketAddr,
    started: Instant,
    state: Arc<Mutex<State>>,
    meter: watch::Sender<Meter>,
    finished: watch::Sender<u64>,
) {
    // Absolute deadlines: a late wake-up sends what it owes, so that said and sent never drift apart.
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    pace.reset_at((started + PACE).into());
    let mut datagram = vec![0; 2048];
    let mut report = vec![0; 2048];
    loop {
        tokio::select! {
            received = ports.rtp.recv_from(&mut datagram) => {
                // An ICMP error for something we sent shows up here; the call itself says when it is over.
                let Ok((length, source)) = received else { continue };
                let now = Instant::now();
                let mut state = lock(&state);
                if source == remote {
                    state.take(now, &mut datagram[..length]);
                    meter.send_replace(state.recording.meter());
                } else {
                    state.strangers += 1;
                }
            }
            _ = ports.rtcp.recv_from(&mut report) => {}
            _ = pace.tick() => {
                let (datagrams, done) = {
                    let mut state = lock(&state);
                    (state.tick(), state.speaker.finished())
                };
                for datagram in datagrams {
                    let _ = ports.rtp.send_to(&datagram, remote).await;
                }
                finished.send_if_modified(|finished| std::mem::replace(finished, done) != done);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::g711::Law;
    use super::*;

    #[tokio::test]
    async fn two_telephones_hear_each_other_and_no_stranger() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (one, other) = (MediaPorts::bind(here).await.unwrap(), MediaPorts::bind(here).await.unwrap());
        assert_eq!(one.address().port() % 2, 0);
        let stream =
            |ssrc| Stream { law: Law::Mu, audio: 0, events: Some(101), ssrc, sequence: 1, timestamp: 2 };
        let (one_at, other_at) = (one.address(), other.address());
        let one = one.start(stream(1), other_at);
        let other = other.start(stream(2), one_at);
        let stranger = UdpSocket::bind((here, 0)).await.unwrap();
        stranger.send_to(&[0x80; 172], other_at).await.unwrap();
        let tone: Vec<i16> = (0..1600).map(|n| if n / 10 % 2 == 0 { 9000 } else { -9000 }).collect();
        one.say(tone.into()).await;
        assert!(other.hears(Duration::from_millis(200), Duration::from_secs(5)).await);
        assert_eq!(one.meter().sounding, Duration::ZERO, "nobody hears himself");
        let tape = other.tape();
        assert_eq!(tape.strangers, 1);
        assert!(tape.heard.tally().packets >= 10);
        assert_eq!(one.tape().said.len() % 160, 0);
    }
}
