//! One connection, whatever its encryption: its messages, its keep-alives, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::{setsockopt, sockopt};
use sip::Flow;
use sip::framing::{FramerEvent, StreamFramer, alias_port};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use trunk::TlsPeer;

use super::Arrival;
use super::arrivals::Arrivals;

/// From the first byte of a message to its last.
const MESSAGE_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection stays up for the answer to the message that broke it.
const LAST_ANSWER: Duration = Duration::from_millis(200);
/// What is sent and not acknowledged by the peer's kernel for so long ends the connection (RFC 5482).
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// The kernel asks a silent peer's kernel whether it is still there after so many seconds, and again in between.
const PROBE_AFTER: u32 = 30;
const PROBE_EVERY: u32 = 10;
/// A request of ours to which not a byte came back for so long: later ones try a new connection.
const DISTRUST_AFTER: Duration = Duration::from_secs(3);
/// Silence after which we send a keep-alive on a connection that we opened, and what is added at random so that not all do so
/// at once (RFC 5626 section 4.4.1: 95 to 120 s).
const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(95);
const KEEP_ALIVE_SPREAD_MS: u64 = 25_000;
/// Who has answered a keep-alive before answers the next one within this time (RFC 5626 section 4.4.1).
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// A double CRLF, and what it is answered with.
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// What is known of a connection.
#[derive(Clone)]
pub(super) struct Line {
    /// Its ends.
    pub(super) flow: Flow,
    /// It is closed when it has carried nothing for so long.
    pub(super) idle: Duration,
    /// Who was proven to be at the other end.
    pub(super) peer: Option<Arc<TlsPeer>>,
    /// We opened it.
    pub(super) ours: bool,
}

/// What a connection asks of whoever holds all of them.
pub(super) struct Doors<P, D, A> {
    /// Answer a keep-alive.
    pub(super) pong: P,
    /// Send nothing new here.
    pub(super) distrust: D,
    /// The peer takes requests to this port of its address over this connection.
    pub(super) alias: A,
}

/// What its two halves tell each other; times are milliseconds since its start, plus one, 0 being never.
struct Pulse {
    began: Instant,
    last_read: AtomicU64,
    /// The first request of ours after which nothing was read.
    asked: AtomicU64,
    pinged: AtomicU64,
    has_ponged: AtomicBool,
}

/// A peer that is gone without a word must be noticed, and small messages not be held back.
pub(super) fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(stream, sockopt::TcpUserTimeout, &(UNACKNOWLEDGED.as_millis() as u32));
    let _ = setsockopt(stream, sockopt::KeepAlive, &true);
    let _ = setsockopt(stream, sockopt::TcpKeepIdle, &PROBE_AFTER);
    let _ = setsockopt(stream, sockopt::TcpKeepInterval, &PROBE_EVERY);
}

/// Reads and writes one connection until either side ends it, and says why it ended.
pub(super) async fn serve<S, P, D, A>(
    stream: S,
    line: &Line,
    queue: mpsc::Receiver<Bytes>,
    arrivals: &Arrivals,
    doors: Doors<P, D, A>,
) -> String
where
    S: AsyncRead + AsyncWrite,
    P: Fn(),
    D: Fn(),
    A: Fn(u16),
{
    let (reader, writer) = tokio::io::split(stream);
    let pulse = Pulse {
        began: Instant::now(),
        last_read: AtomicU64::new(1),
        asked: AtomicU64::new(0),
        pinged: AtomicU64::new(0),
        has_ponged: AtomicBool::new(false),
    };
    let write = write(writer, line, queue, &pulse, &doors.distrust);
    let read = read(reader, line, arrivals, &pulse, &doors.pong, &doors.alias);
    tokio::select! { why = write => why, why = read => why }
}

async fn write<S: AsyncWrite>(
    mut writer: WriteHalf<S>,
    line: &Line,
    mut queue: mpsc::Receiver<Bytes>,
    pulse: &Pulse,
    distrust: &impl Fn(),
) -> String {
    let spread = Duration::from_millis(rand::random_range(0..=KEEP_ALIVE_SPREAD_MS));
    let mut last_written = Instant::now();
    loop {
        let keep_alive_at =
            line.ours.then(|| last_written.max(pulse.last_read()) + KEEP_ALIVE_AFTER + spread);
        let next = tokio::select! {
            biased;
            bytes = queue.recv() => bytes,
            () = until([pulse.next_deadline(), keep_alive_at].into_iter().flatten().min()) => {
                if pulse.is_distrusted() {
                    distrust();
                }
                if pulse.is_dead() {
                    return format!("no answer to our keep-alive within {} s", PONG_WITHIN.as_secs());
                }
                if keep_alive_at.is_none_or(|at| Instant::now() < at.max(pulse.last_read() + KEEP_ALIVE_AFTER)) {
                    continue;
                }
                pulse.note_ping();
                Some(Bytes::from_static(PING))
            }
        };
        let Some(bytes) = next else { return "closed".to_owned() };
        match timeout(MESSAGE_WITHIN, writer.write_all(&bytes)).await {
            // What TLS holds back until it is told.
            Ok(Ok(())) => match timeout(MESSAGE_WITHIN, writer.flush()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return format!("write: {error}"),
                Err(_) => return "write: the peer does not read".to_owned(),
            },
            Ok(Err(error)) => return format!("write: {error}"),
            Err(_) => return "write: the peer does not read".to_owned(),
        }
        last_written = Instant::now();
        if wants_an_answer(&bytes) {
            pulse.note_request();
        }
    }
}

/// Waits until then, or for good.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn read<S: AsyncRead>(
    mut reader: ReadHalf<S>,
    line: &Line,
    arrivals: &Arrivals,
    pulse: &Pulse,
    pong: &impl Fn(),
    alias: &impl Fn(u16),
) -> String {
    let (flow, idle) = (line.flow, line.idle);
    let mut framer = StreamFramer::new();
    let mut buffer = vec![0; 16 * 1024];
    // By when the message that has begun must be whole, however slowly its bytes trickle in.
    let mut whole_by: Option<Instant> = None;
    let mut first = true;
    loop {
        let deadline = whole_by.unwrap_or_else(|| Instant::now() + idle);
        let read = match timeout_at(deadline, reader.read(&mut buffer)).await {
            Ok(Ok(0)) => return "the peer closed the connection".to_owned(),
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return format!("read: {error}"),
            Err(_) if whole_by.is_some() => {
                return format!("a message that is not whole within {} s", MESSAGE_WITHIN.as_secs());
            }
            Err(_) => return format!("nothing within {} s", idle.as_secs()),
        };
        let pinged = pulse.note_read();
        let mut fresh = &buffer[..read];
        // The answer to our keep-alive, which the framer would take for half of one of theirs.
        if pinged && framer.pending() == 0 && fresh.starts_with(PONG) && !fresh.starts_with(PING) {
            pulse.has_ponged.store(true, Ordering::Relaxed);
            fresh = &fresh[PONG.len()..];
        }
        framer.push(fresh);
        while let Some(event) = framer.next() {
            whole_by = None;
            match event {
                Ok(FramerEvent::Message(bytes)) => {
                    if std::mem::take(&mut first)
                        && let Some(port) = alias_port(&bytes, flow.transport)
                    {
                        alias(port);
                    }
                    if !arrivals.bring(Arrival::Message { flow, bytes, peer: line.peer.clone() }).await {
                        return "shutting down".to_owned();
                    }
                }
                Ok(FramerEvent::KeepAlive) => pong(),
                Err(error) => {
                    // What can be answered is answered by control, which needs the connection for a moment more.
                    if let Some(bytes) = error.head.clone() {
                        arrivals.bring(Arrival::Message { flow, bytes, peer: line.peer.clone() }).await;
                        tokio::time::sleep(LAST_ANSWER).await;
                    }
                    return format!("not SIP: {error}");
                }
            }
        }
        if framer.pending() > 0 {
            whole_by.get_or_insert_with(|| Instant::now() + MESSAGE_WITHIN);
        }
    }
}

/// A request, and not an ACK.
fn wants_an_answer(bytes: &[u8]) -> bool {
    !bytes.starts_with(b"SIP/2.0 ") && !bytes.starts_with(b"ACK ") && !bytes.starts_with(PONG)
}

impl Pulse {
    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64 + 1
    }

    fn at(&self, stamp: u64) -> Instant {
        self.began + Duration::from_millis(stamp.saturating_sub(1))
    }

    fn last_read(&self) -> Instant {
        self.at(self.last_read.load(Ordering::Relaxed))
    }

    fn note_request(&self) {
        let _ = self.asked.compare_exchange(0, self.now(), Ordering::Relaxed, Ordering::Relaxed);
    }

    fn note_ping(&self) {
        self.pinged.store(self.now(), Ordering::Relaxed);
    }

    /// Whatever comes shows that the peer lives. Whether a keep-alive of ours was waiting for it.
    fn note_read(&self) -> bool {
        self.last_read.store(self.now(), Ordering::Relaxed);
        self.asked.store(0, Ordering::Relaxed);
        self.pinged.swap(0, Ordering::Relaxed) > 0
    }

    /// When distrust or death comes due.
    fn next_deadline(&self) -> Option<Instant> {
        let due = |stamp: &AtomicU64, after: Duration| {
            let stamp = stamp.load(Ordering::Relaxed);
            (stamp > 0).then(|| self.at(stamp) + after)
        };
        let distrust = due(&self.asked, DISTRUST_AFTER);
        let dead = due(&self.pinged, PONG_WITHIN).filter(|_| self.has_ponged.load(Ordering::Relaxed));
        [distrust, dead].into_iter().flatten().min()
    }

    /// Whether a request has waited for too long; said once.
    fn is_distrusted(&self) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        let late = asked > 0 && self.at(asked).elapsed() >= DISTRUST_AFTER;
        if late {
            self.asked.store(0, Ordering::Relaxed);
        }
        late
    }

    /// Whether a peer that answers keep-alives has not answered this one.
    fn is_dead(&self) -> bool {
        let pinged = self.pinged.load(Ordering::Relaxed);
        self.has_ponged.load(Ordering::Relaxed) && pinged > 0 && self.at(pinged).elapsed() >= PONG_WITHIN
    }
}
