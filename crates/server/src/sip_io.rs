//! SIP over UDP and TCP sockets: bytes in, bytes out, no rule of the protocol.
//!
//! What arrives goes to control through one bounded queue. When that is full a UDP datagram is dropped and counted
//! (its sender retransmits), while a TCP reader waits (its sender is slowed down).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::log_budget::LogBudget;
use bytes::Bytes;
use dashmap::DashMap;
use nix::sys::socket::{setsockopt, sockopt};
use sip::framing::{FramerEvent, StreamFramer};
use sip::{Flow, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// A new connection must be up within this time.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// From the first byte of a message to its last.
const MESSAGE_WITHIN: Duration = Duration::from_secs(10);
/// A connection that carries nothing for so long is closed; a keep-alive counts.
const IDLE: Duration = Duration::from_secs(3700);
/// The same for an address that no trunk lists.
const STRANGER_IDLE: Duration = Duration::from_secs(30);
/// Connections of addresses that no trunk lists, all together: they must not use up our descriptors.
const STRANGERS: usize = 200;
/// How long a connection stays up for the answer to the message that broke it.
const LAST_ANSWER: Duration = Duration::from_millis(200);
/// Messages that may wait to be written to one connection.
const WRITE_QUEUE: usize = 256;
/// Bytes that may wait in the kernel for a UDP socket: some thousand messages, or 0.1 s of a bad flood.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// Largest UDP datagram.
const DATAGRAM: usize = 65_535;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// UDP or TCP.
    pub transport: Transport,
    /// The local address.
    pub address: SocketAddr,
}

/// As `sip.listen` has it: `udp://127.0.0.1:5060`.
impl fmt::Display for Listener {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        };
        write!(out, "{scheme}://{}", self.address)
    }
}

/// What the sockets tell control.
#[derive(Debug)]
pub enum Arrival {
    /// One whole message.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The message.
        bytes: Bytes,
    },
    /// Something could not be sent, or a connection ended.
    Failed {
        /// Which.
        flow: Flow,
        /// Why, for the log.
        why: String,
    },
}

/// All SIP sockets of the process.
pub struct SipIo {
    udp: Vec<(SocketAddr, Arc<UdpSocket>)>,
    tcp: Arc<Connections>,
    tasks: Vec<JoinHandle<()>>,
}

/// Who may hold how many TCP connections.
pub struct TcpLimits {
    /// One address.
    pub per_address: usize,
    /// Whether a trunk lists an address. All others share a few connections.
    pub listed: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

struct Connections {
    open: DashMap<u64, Connection>,
    to_peer: DashMap<SocketAddr, u64>,
    per_address: DashMap<IpAddr, usize>,
    strangers: AtomicUsize,
    limits: TcpLimits,
    next: AtomicU64,
    arrivals: mpsc::Sender<Arrival>,
    dropped: AtomicU64,
}

struct Connection {
    writer: mpsc::Sender<Bytes>,
}

impl SipIo {
    /// Binds every listener or none.
    pub async fn bind(
        listeners: &[Listener],
        limits: TcpLimits,
        arrivals: mpsc::Sender<Arrival>,
    ) -> io::Result<Self> {
        let tcp = Arc::new(Connections {
            open: DashMap::new(),
            to_peer: DashMap::new(),
            per_address: DashMap::new(),
            strangers: AtomicUsize::new(0),
            limits,
            next: AtomicU64::new(1),
            arrivals,
            dropped: AtomicU64::new(0),
        });
        let mut io = Self { udp: Vec::new(), tcp, tasks: Vec::new() };
        for listener in listeners {
            let said = |error: io::Error| io::Error::new(error.kind(), format!("{listener}: {error}"));
            match listener.transport {
                Transport::Udp => {
                    let socket = Arc::new(UdpSocket::bind(listener.address).await.map_err(said)?);
                    make_room(&socket);
                    let local = socket.local_addr()?;
                    io.udp.push((local, Arc::clone(&socket)));
                    io.tasks.push(tokio::spawn(read_udp(socket, local, Arc::clone(&io.tcp))));
                }
                Transport::Tcp => {
                    let socket = TcpListener::bind(listener.address).await.map_err(said)?;
                    io.tasks.push(tokio::spawn(accept_tcp(socket, Arc::clone(&io.tcp))));
                }
                Transport::Tls => {
                    return Err(io::Error::new(
                        io::ErrorKind::Unsupported,
                        "SIP over TLS is not supported yet",
                    ));
                }
            }
        }
        Ok(io)
    }

    /// Sends one message. A failure comes back as [`Arrival::Failed`], never as a wait.
    pub fn send(&self, flow: &Flow, bytes: Bytes) {
        match flow.transport {
            Transport::Udp => self.send_udp(flow, &bytes),
            Transport::Tcp => Connections::send(&self.tcp, *flow, bytes),
            Transport::Tls => self.tcp.failed(*flow, "SIP over TLS is not supported yet"),
        }
    }

    /// Messages dropped because control could not keep up, so far.
    pub fn dropped(&self) -> u64 {
        self.tcp.dropped.load(Ordering::Relaxed)
    }

    fn send_udp(&self, flow: &Flow, bytes: &[u8]) {
        let exact = self.udp.iter().find(|(local, _)| *local == flow.local);
        let usable =
            exact.or_else(|| self.udp.iter().find(|(local, _)| local.is_ipv4() == flow.remote.is_ipv4()));
        let Some((_, socket)) = usable else {
            return self.tcp.failed(*flow, "no UDP listener of that address family");
        };
        match socket.try_send_to(bytes, flow.remote) {
            Ok(_) => {}
            // The kernel's buffer is full: the transaction's retransmission is the remedy.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.tcp.failed(*flow, &error.to_string()),
        }
    }
}

impl Drop for SipIo {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Connections {
    fn failed(&self, flow: Flow, why: &str) {
        if self.arrivals.try_send(Arrival::Failed { flow, why: why.to_owned() }).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Over the connection of the flow, else one that is open to the same peer, else a new one.
    fn send(self: &Arc<Self>, flow: Flow, bytes: Bytes) {
        let known = if self.open.contains_key(&flow.connection) {
            Some(flow.connection)
        } else {
            self.to_peer.get(&flow.remote).map(|id| *id)
        };
        if let Some(connection) = known.and_then(|id| self.open.get(&id).map(|one| one.writer.clone())) {
            if connection.try_send(bytes).is_err() {
                self.failed(flow, "the connection's write queue is full or it has just closed");
            }
            return;
        }
        let (writer, queue) = mpsc::channel(WRITE_QUEUE);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // Registered before it is up, so that a burst makes one connection and not many.
        let _ = writer.try_send(bytes);
        self.open.insert(id, Connection { writer });
        self.to_peer.insert(flow.remote, id);
        let all = Arc::clone(self);
        // Its local address stays that of the listener: what we write into Via and Contact must be reachable when this
        // connection is gone, which the port it happens to leave from is not (RFC 3261 section 18.1.1).
        let flow = Flow { connection: id, ..flow };
        tokio::spawn(async move {
            match timeout(CONNECT_WITHIN, TcpStream::connect(flow.remote)).await {
                Ok(Ok(stream)) => {
                    let why = all.serve(stream, flow, IDLE, queue).await;
                    all.failed(flow, &why);
                }
                Ok(Err(error)) => all.failed(flow, &format!("connect: {error}")),
                Err(_) => all.failed(flow, "connect: no answer within 4 s"),
            }
            all.forget(id, flow.remote);
        });
    }

    fn forget(&self, id: u64, remote: SocketAddr) {
        self.open.remove(&id);
        self.to_peer.remove_if(&remote, |_, known| *known == id);
    }

    /// Reads and writes one connection until either side ends it, and says why it ended.
    async fn serve(
        &self,
        stream: TcpStream,
        flow: Flow,
        idle: Duration,
        mut queue: mpsc::Receiver<Bytes>,
    ) -> String {
        let _ = stream.set_nodelay(true);
        let (mut reader, mut writer) = stream.into_split();
        let write = async {
            while let Some(bytes) = queue.recv().await {
                match timeout(MESSAGE_WITHIN, writer.write_all(&bytes)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return format!("write: {error}"),
                    Err(_) => return "write: the peer does not read".to_owned(),
                }
            }
            "closed".to_owned()
        };
        let read = self.read_stream(&mut reader, flow, idle);
        tokio::select! { why = write => why, why = read => why }
    }

    async fn read_stream(
        &self,
        reader: &mut (impl AsyncReadExt + Unpin),
        flow: Flow,
        idle: Duration,
    ) -> String {
        let mut framer = StreamFramer::new();
        let mut buffer = vec![0; 16 * 1024];
        // By when the message that has begun must be whole, however slowly its bytes trickle in.
        let mut whole_by: Option<Instant> = None;
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
            framer.push(&buffer[..read]);
            while let Some(event) = framer.next() {
                whole_by = None;
                match event {
                    Ok(FramerEvent::Message(bytes)) => {
                        if self.arrivals.send(Arrival::Message { flow, bytes }).await.is_err() {
                            return "shutting down".to_owned();
                        }
                    }
                    Ok(FramerEvent::KeepAlive) => {
                        // RFC 5626 section 3.5.1: a double CRLF is answered with one.
                        if let Some(connection) = self.open.get(&flow.connection) {
                            let _ = connection.writer.try_send(Bytes::from_static(b"\r\n"));
                        }
                    }
                    Err(error) => {
                        // What can be answered is answered by control, which needs the connection for a moment more.
                        if let Some(bytes) = error.head.clone() {
                            let _ = self.arrivals.send(Arrival::Message { flow, bytes }).await;
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
}

/// A flood must not push a trunk's messages out of the kernel's queue before we have looked at them. Where the kernel
/// caps what we ask for (`net.core.rmem_max`), less room is no error.
fn make_room(socket: &UdpSocket) {
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
    }
}

async fn read_udp(socket: Arc<UdpSocket>, local: SocketAddr, shared: Arc<Connections>) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        // An error here is an ICMP report about some earlier datagram; the socket itself stays good.
        let Ok((length, remote)) = socket.recv_from(&mut buffer).await else { continue };
        let flow = Flow { transport: Transport::Udp, local, remote, connection: 0 };
        let bytes = Bytes::copy_from_slice(&buffer[..length]);
        if shared.arrivals.try_send(Arrival::Message { flow, bytes }).is_err() {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn accept_tcp(listener: TcpListener, shared: Arc<Connections>) {
    let mut quiet = LogBudget::new(std::time::Instant::now());
    loop {
        let Ok((stream, remote)) = listener.accept().await else {
            // Out of descriptors, most likely: wait for one to come back instead of spinning.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let place = match Place::take(&shared, remote.ip()) {
            Ok(place) => place,
            Err(why) => {
                if let Some(unsaid) = quiet.take(std::time::Instant::now()) {
                    tracing::warn!(peer = %remote, why, unsaid, "connection refused");
                }
                continue;
            }
        };
        let (writer, queue) = mpsc::channel(WRITE_QUEUE);
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        shared.open.insert(id, Connection { writer });
        tokio::spawn(async move {
            let all = &place.all;
            if let Ok(local) = stream.local_addr() {
                let flow = Flow { transport: Transport::Tcp, local, remote, connection: id };
                let idle = if place.stranger { STRANGER_IDLE } else { IDLE };
                let why = all.serve(stream, flow, idle, queue).await;
                // Nothing of a stranger's is kept that could care, and looking for it costs control a walk through all calls.
                if !place.stranger {
                    all.failed(flow, &why);
                }
            }
            all.forget(id, remote);
        });
    }
}

/// One connection's place within the limits, given back when it is dropped.
struct Place {
    all: Arc<Connections>,
    ip: IpAddr,
    stranger: bool,
}

impl Place {
    /// Takes a place, or says which limit forbids it.
    fn take(all: &Arc<Connections>, ip: IpAddr) -> Result<Self, &'static str> {
        let stranger = !(all.limits.listed)(ip);
        let mut count = all.per_address.entry(ip).or_insert(0);
        if *count >= all.limits.per_address {
            return Err("too many from this address (sip.tcp_connections_per_address)");
        }
        if stranger && all.strangers.fetch_add(1, Ordering::Relaxed) >= STRANGERS {
            all.strangers.fetch_sub(1, Ordering::Relaxed);
            let unused = *count == 0;
            drop(count);
            if unused {
                all.per_address.remove_if(&ip, |_, count| *count == 0);
            }
            return Err("too many from addresses that no trunk lists");
        }
        *count += 1;
        Ok(Self { all: Arc::clone(all), ip, stranger })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.stranger {
            self.all.strangers.fetch_sub(1, Ordering::Relaxed);
        }
        self.all.per_address.remove_if_mut(&self.ip, |_, count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
    }
}
