//! The SIP half of an [`Exchange`](super::caller::Exchange): one task that owns the socket and the endpoint.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use sip::{Body, Endpoint, EndpointConfig, Event, Flow, InviteId, Message, OutgoingInvite, Transport};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
    time::sleep_until,
};

use super::caller::Passed;

/// Every message that passed, where that is wanted.
pub(crate) type Trace = Arc<Mutex<Vec<Passed>>>;
type News = mpsc::UnboundedSender<Event>;

/// What the calls ask of the task.
pub(crate) enum Command {
    Invite { invite: Box<OutgoingInvite>, taken: oneshot::Sender<InviteId>, news: News },
    Progress { id: InviteId, status: u16 },
    Accept { id: InviteId, body: Body },
    Reject { id: InviteId, status: u16 },
    Hangup(InviteId),
}

/// A call from the bridge.
pub(crate) struct Incoming {
    pub(crate) id: InviteId,
    pub(crate) request: Arc<Message>,
    pub(crate) offer: Option<Bytes>,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
}

/// The engine of one exchange.
pub(crate) fn endpoint(name: &str, seed: [u8; 32]) -> Endpoint {
    Endpoint::new(EndpointConfig { user_agent: name.to_owned(), ..EndpointConfig::default() }, seed)
}

/// Runs until every handle on the exchange is gone.
pub(crate) async fn run(
    socket: UdpSocket,
    endpoint: Endpoint,
    mut orders: mpsc::UnboundedReceiver<Command>,
    ring: mpsc::UnboundedSender<Incoming>,
    trace: Option<Trace>,
) {
    let Ok(local) = socket.local_addr() else { return };
    let mut task = Signalling { socket, endpoint, ring, trace, lines: HashMap::new() };
    let mut datagram = vec![0; 65_536];
    loop {
        task.settle().await;
        // Without a timer nothing is due; any far deadline will do.
        let due =
            task.endpoint.poll_timeout().map_or(Instant::now() + Duration::from_hours(1), |(due, _)| due);
        tokio::select! {
            received = task.socket.recv_from(&mut datagram) => {
                let Ok((length, remote)) = received else { continue };
                let bytes = Bytes::copy_from_slice(&datagram[..length]);
                task.remember(false, remote, &bytes);
                let flow = Flow { transport: Transport::Udp, local, remote, connection: 0 };
                task.endpoint.handle_input(Instant::now(), flow, bytes);
            }
            order = orders.recv() => {
                let Some(order) = order else { return };
                task.obey(order);
            }
            () = sleep_until(due.into()) => task.endpoint.handle_timeout(Instant::now()),
        }
    }
}

struct Signalling {
    socket: UdpSocket,
    endpoint: Endpoint,
    ring: mpsc::UnboundedSender<Incoming>,
    trace: Option<Trace>,
    lines: HashMap<InviteId, News>,
}

impl Signalling {
    /// Sends what the engine wants sent and tells the calls what happened.
    async fn settle(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.remember(true, transmit.flow.remote, &transmit.bytes);
            if let Err(error) = self.socket.send_to(&transmit.bytes, transmit.flow.remote).await {
                self.endpoint.handle_flow_failed(Instant::now(), &transmit.flow, &error.to_string());
            }
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.tell(event);
        }
    }

    fn tell(&mut self, event: Event) {
        let (id, last) = match &event {
            Event::InviteReceived { id, request, offer, .. } => {
                let (news, events) = mpsc::unbounded_channel();
                self.lines.insert(*id, news);
                let incoming =
                    Incoming { id: *id, request: Arc::clone(request), offer: offer.clone(), events };
                if self.ring.send(incoming).is_err() {
                    self.obey(Command::Reject { id: *id, status: 480 });
                }
                return;
            }
            Event::ReinviteReceived { id, .. } => {
                // Simulated telephones keep what they agreed on.
                let _ = self.endpoint.reject_reinvite(Instant::now(), *id, 488, &[]);
                return;
            }
            Event::Failed { id, .. } | Event::Ended { id, .. } => (*id, true),
            Event::Progress { id, .. } | Event::Answered { id, .. } | Event::Established { id, .. } => {
                (*id, false)
            }
            _ => return,
        };
        if let Some(news) = self.lines.get(&id) {
            // Nobody listens any more when the call was dropped; the engine ends it all the same.
            let _ = news.send(event);
        }
        if last {
            self.lines.remove(&id);
        }
    }

    fn obey(&mut self, order: Command) {
        let now = Instant::now();
        // A command that comes too late finds its call gone; the call's last event says so.
        match order {
            Command::Invite { invite, taken, news } => {
                let id = self.endpoint.invite(now, *invite);
                self.lines.insert(id, news);
                let _ = taken.send(id);
            }
            Command::Progress { id, status } => drop(self.endpoint.progress(now, id, status, None)),
            Command::Accept { id, body } => drop(self.endpoint.accept(now, id, body, &[])),
            Command::Reject { id, status } => drop(self.endpoint.reject(now, id, status, None, &[])),
            Command::Hangup(id) => drop(self.endpoint.hangup(now, id, None)),
        }
    }

    fn remember(&self, sent: bool, peer: SocketAddr, bytes: &Bytes) {
        if let Some(trace) = &self.trace {
            let passed = Passed { at: Instant::now(), sent, peer, bytes: bytes.clone() };
            trace.lock().unwrap_or_else(PoisonError::into_inner).push(passed);
        }
    }
}
