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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use nix::sys::socket::getsockopt;
    use sip::Transport;
    use tokio::io::{DuplexStream, duplex};
    use tokio::sync::mpsc::{Receiver, Sender, channel};
    use tokio::task::JoinHandle;

    use super::*;

    const MINUTES: Duration = Duration::from_mins(3);

    /// A connection under test, and everything around it.
    struct Bench {
        peer: DuplexStream,
        to_write: Sender<Bytes>,
        arrived: Receiver<Arrival>,
        distrusted: Arc<AtomicUsize>,
        ended: JoinHandle<String>,
    }

    /// Every time here is tokio's own, which jumps to the next timer when nothing else is left to do.
    fn connection(ours: bool) -> Bench {
        let (own, peer) = duplex(64 * 1024);
        let (to_write, queue) = channel(8);
        let (arrivals, arrived) = channel(64);
        let distrusted = Arc::new(AtomicUsize::new(0));
        let (count, pongs) = (Arc::clone(&distrusted), to_write.clone());
        let ended = tokio::spawn(async move {
            let address = "127.0.0.1:5061".parse().expect("an address");
            let flow = Flow { transport: Transport::Tls, local: address, remote: address, connection: 1 };
            let line = Line { flow, idle: Duration::from_hours(1), peer: None, ours };
            let doors = Doors {
                pong: || drop(pongs.try_send(Bytes::from_static(PONG))),
                distrust: || {
                    count.fetch_add(1, Ordering::Relaxed);
                },
                alias: |_| (),
            };
            serve(own, &line, queue, &Arrivals::new(arrivals), doors).await
        });
        Bench { peer, to_write, arrived, distrusted, ended }
    }

    impl Bench {
        /// What the peer reads next, or `None` when nothing comes for so long.
        async fn reads(&mut self, within: Duration) -> Option<Vec<u8>> {
            let mut buffer = vec![0; 4096];
            let length = timeout(within, self.peer.read(&mut buffer)).await.ok()?.ok()?;
            buffer.truncate(length);
            Some(buffer)
        }

        async fn says(&mut self, bytes: &[u8]) {
            self.peer.write_all(bytes).await.expect("a peer that can write");
        }
    }

    #[tokio::test]
    async fn the_kernel_gives_a_connection_up_whose_bytes_nobody_acknowledges_for_20_s() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream =
            TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        tune(&stream);
        assert_eq!(getsockopt(&stream, sockopt::TcpUserTimeout).expect("the option"), 20_000);
        assert_eq!(getsockopt(&stream, sockopt::TcpKeepIdle).expect("the option"), 30);
        assert!(getsockopt(&stream, sockopt::KeepAlive).expect("the option"), "a silent peer is asked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_of_ours_is_kept_alive_and_one_of_theirs_is_not() {
        let began = Instant::now();
        let mut bench = connection(true);
        assert_eq!(bench.reads(MINUTES).await.as_deref(), Some(PING));
        let after = began.elapsed().as_secs();
        assert!((95..=120).contains(&after), "{after} s");
        assert_eq!(connection(false).reads(MINUTES).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_answered_a_keep_alive_must_answer_the_next_one_too() {
        let mut bench = connection(true);
        assert!(bench.reads(MINUTES).await.is_some());
        bench.says(PONG).await;
        assert!(bench.reads(MINUTES).await.is_some(), "the next keep-alive");
        let why = timeout(Duration::from_secs(11), bench.ended).await.expect("its end").expect("no panic");
        assert_eq!(why, "no answer to our keep-alive within 10 s");
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_answers_keep_alives_is_left_alone() {
        let mut bench = connection(true);
        for _ in 0..5 {
            assert_eq!(bench.reads(MINUTES).await.as_deref(), Some(PING));
        }
        assert!(!bench.ended.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn answers_to_our_keep_alives_are_not_taken_for_keep_alives() {
        let mut bench = connection(true);
        for _ in 0..3 {
            assert_eq!(bench.reads(MINUTES).await.as_deref(), Some(PING));
            bench.says(PONG).await;
            assert_eq!(bench.reads(Duration::from_secs(1)).await, None, "an answer to an answer");
        }
        bench.says(PING).await;
        assert_eq!(bench.reads(Duration::from_secs(1)).await.as_deref(), Some(PONG), "theirs is answered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_a_byte_back_within_3_s_makes_the_connection_distrusted_once() {
        let mut bench = connection(true);
        bench.to_write.send(Bytes::from_static(b"ACK sip:a SIP/2.0\r\n\r\n")).await.expect("room");
        assert!(bench.reads(MINUTES).await.is_some());
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(bench.distrusted.load(Ordering::Relaxed), 0, "an ACK has no answer");
        for answered in [true, false] {
            bench.to_write.send(Bytes::from_static(b"OPTIONS sip:a SIP/2.0\r\n\r\n")).await.expect("room");
            assert!(bench.reads(MINUTES).await.is_some());
            if answered {
                bench.says(b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n").await;
                assert!(bench.arrived.recv().await.is_some());
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(bench.distrusted.load(Ordering::Relaxed), usize::from(!answered));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_never_ends_ends_the_connection_after_10_s() {
        let mut bench = connection(false);
        bench.says(b"OPTIONS sip:").await;
        let began = Instant::now();
        while !bench.ended.is_finished() {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let _ = bench.peer.write_all(b"x").await;
            assert!(began.elapsed() < MINUTES, "it is never cut off");
        }
        assert!((9..12).contains(&began.elapsed().as_secs()));
    }
}
