//! The exam's own side of SIP: sockets on free ports and an endpoint, driven by hand.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use sip::{Advertised, Endpoint, EndpointConfig, Event, Flow, Framing, InviteId, Message, Transport};
use tokio::sync::mpsc;
use trunk::Trunks;

use crate::config::Config;
use crate::sip_io::{Arrival, Limits, Listener, Setup, SipIo};

/// Messages that may wait for the exam.
const ARRIVALS: usize = 1024;
/// Messages that are kept for a second look.
const KEPT: usize = 200;
/// How often a free port is looked for.
const ATTEMPTS: usize = 64;

/// A message that came.
pub(super) struct Heard {
    pub(super) at: Instant,
    pub(super) flow: Flow,
    pub(super) message: Message,
}

/// See the module.
pub(super) struct Line {
    sip: SipIo,
    arrivals: mpsc::Receiver<Arrival>,
    endpoint: Endpoint,
    listeners: Vec<Listener>,
    advertise: Option<sip::Host>,
    /// What single listeners are called instead, by our own addresses.
    advertised: Vec<Advertised>,
    /// What came, the last of it.
    heard: VecDeque<Heard>,
}

impl Line {
    /// The listeners of the configuration, each on its address but on a port of our own.
    pub(super) async fn open(
        config: &Config,
        trunks: &Arc<Trunks>,
        port: Option<u16>,
    ) -> Result<Self, String> {
        let (mut listeners, mut advertised) = (Vec::new(), Vec::new());
        for own in &config.listeners {
            let port = port.map_or_else(|| free_port(own.address.ip()), Ok);
            let port = port.map_err(|error| format!("{own}: no port of our own: {error}"))?;
            let named = config
                .advertised
                .iter()
                .find(|one| one.transport == own.transport && one.local == own.address);
            if let Some(named) = named {
                // A port that is mapped to the bridge's is not mapped to ours.
                let name = sip::HostPort { port: None, ..named.name.clone() };
                advertised.push(Advertised {
                    local: SocketAddr::new(own.address.ip(), port),
                    name,
                    ..named.clone()
                });
            }
            listeners.push(Listener { address: SocketAddr::new(own.address.ip(), port), ..*own });
        }
        let listed = Arc::clone(trunks);
        let setup = Setup {
            limits: Limits { per_address: 50, listed: Box::new(move |address| listed.lists(address)) },
            trunks: Arc::new(ArcSwap::new(Arc::clone(trunks))),
            tls: config.tls.clone(),
        };
        let (arrivals_in, arrivals) = mpsc::channel(ARRIVALS);
        let sip = SipIo::bind(&listeners, setup, arrivals_in).await.map_err(|error| error.to_string())?;
        let endpoint = EndpointConfig {
            user_agent: config.user_agent.clone(),
            advertised_host: config.advertise.as_ref().map(ToString::to_string),
            advertised: advertised.clone(),
            ..EndpointConfig::default()
        };
        Ok(Self {
            sip,
            arrivals,
            endpoint: Endpoint::new(endpoint, rand::random()),
            listeners,
            advertise: config.advertise.clone(),
            advertised,
            heard: VecDeque::new(),
        })
    }

    /// The way to a peer. `Err` says which listener is missing.
    pub(super) fn flow_to(&self, transport: Transport, remote: SocketAddr) -> Result<Flow, String> {
        let mut fitting = self.listeners.iter().filter(|own| own.transport == transport);
        let own = fitting.find(|own| own.address.is_ipv4() == remote.is_ipv4());
        let own = own.ok_or_else(|| {
            format!("no {} listener of the address family of {remote}", transport.via_token().to_lowercase())
        })?;
        Ok(Flow { transport, local: own.address, remote, connection: 0 })
    }

    /// Where the peer of a flow reaches us.
    pub(super) fn contact(&self, flow: &Flow) -> trunk::Local {
        let named = self.advertised.iter().find(|one| one.is_of(flow)).map(|one| one.name.host.clone());
        let host =
            named.or_else(|| self.advertise.clone()).unwrap_or_else(|| sip::Host::from(flow.local.ip()));
        trunk::Local { host, port: flow.local.port() }
    }

    /// The endpoint, for a command; then [`Line::next`] carries it out.
    pub(super) fn endpoint(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// What came so far, the latest last.
    pub(super) fn heard(&self) -> impl DoubleEndedIterator<Item = &Heard> {
        self.heard.iter()
    }

    /// The Call-ID of a call of ours.
    pub(super) fn call_id(&self, id: InviteId) -> String {
        self.endpoint.call_id(id).unwrap_or_default().to_owned()
    }

    /// Sends, receives and waits until something has happened or the time is over. A call that comes in is refused.
    pub(super) async fn next(&mut self, until: Instant) -> Option<Event> {
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.sip.send(&transmit.flow, transmit.bytes);
            }
            if let Some(event) = self.endpoint.poll_event() {
                if let Event::InviteReceived { id, .. } = event {
                    // It fails only where the caller has given up.
                    let _ = self.endpoint.reject(Instant::now(), id, 480, Some("an exam, not a bridge"), &[]);
                    continue;
                }
                return Some(event);
            }
            let timer = self.endpoint.poll_timeout().map(|(at, _)| at);
            let wake = timer.map_or(until, |at| at.min(until));
            tokio::select! {
                Some(arrival) = self.arrivals.recv() => self.arrive(arrival),
                () = tokio::time::sleep_until(wake.into()) => {
                    if Instant::now() >= until {
                        return None;
                    }
                    self.endpoint.handle_timeout(Instant::now());
                }
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        let now = Instant::now();
        match arrival {
            Arrival::Message { flow, bytes, .. } => {
                if let Ok(message) = Message::parse(bytes.clone(), Framing::Datagram) {
                    self.heard.push_back(Heard { at: now, flow, message });
                    self.heard.drain(..self.heard.len().saturating_sub(KEPT));
                }
                self.endpoint.handle_input(now, flow, bytes);
            }
            Arrival::Failed { flow, why } => self.endpoint.handle_flow_failed(now, &flow, &why),
        }
    }
}

/// A port that is free over UDP and TCP.
fn free_port(address: IpAddr) -> std::io::Result<u16> {
    let mut last = std::io::Error::other("no port is free");
    for _ in 0..ATTEMPTS {
        let tcp = TcpListener::bind((address, 0))?;
        let port = tcp.local_addr()?.port();
        match UdpSocket::bind((address, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(last)
}
