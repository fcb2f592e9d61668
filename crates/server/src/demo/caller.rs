//! Simulated callers: a peer's side of a trunk, with real SIP and RTP over UDP.
//!
//! An [`Exchange`] is what the bridge sees of an operator's SBC or of the Microsoft gateway: one SIP socket, any number of
//! calls. [`Exchange::dial`] makes one into the bridge; calls that the bridge makes come out of the [`Doorbell`]. Both end in a
//! [`Call`], which speaks, presses keys and records what it hears.
//!
//! Everything runs on the current tokio runtime and stops when the handles are dropped.

use std::{
    borrow::Cow,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sip::{
    Body, End, Failure, InviteId, Message, NameAddr, OutgoingInvite, Uri,
    sdp::{self, Capabilities, Codec, Direction, LocalMedia, Negotiated},
};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    g711::Law,
    media::{Media, MediaPorts, Tape},
    signalling::{self, Command},
    speaker::Stream,
};

/// How long a call may take to be answered, and a hang-up to be confirmed.
const PATIENCE: Duration = Duration::from_secs(40);

/// Who to be on the wire.
#[derive(Clone, Debug)]
pub struct ExchangeConfig {
    /// For `User-Agent` and messages.
    pub name: String,
    /// Address to bind; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The bridge's SIP address.
    pub bridge: SocketAddr,
    /// Codecs, best first.
    pub laws: Vec<Law>,
    /// Keeps every SIP message for the ladder.
    pub trace: bool,
    /// Feeds every tag, branch, SSRC and sequence number.
    pub seed: u64,
}

/// One SIP message as it passed the socket.
#[derive(Clone, Debug)]
pub struct Passed {
    /// When.
    pub at: Instant,
    /// Whether the exchange sent it (else it received it).
    pub sent: bool,
    /// The other side.
    pub peer: SocketAddr,
    /// The message.
    pub bytes: Bytes,
}

/// A peer of the bridge. Clones are the same exchange.
#[derive(Clone)]
pub struct Exchange {
    shared: Arc<Shared>,
}

struct Shared {
    config: ExchangeConfig,
    address: SocketAddr,
    commands: mpsc::UnboundedSender<Command>,
    passed: signalling::Trace,
    dice: Mutex<StdRng>,
}

/// Calls from the bridge.
pub struct Doorbell {
    exchange: Exchange,
    incoming: mpsc::UnboundedReceiver<signalling::Incoming>,
}

/// Why there is no call.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The bridge said no, or nothing.
    #[error("the call was not answered: {0}")]
    Failed(Failure),
    /// The bridge's SDP cannot be used.
    #[error("the media cannot be agreed: {0}")]
    Media(String),
    /// A socket could not be had.
    #[error("no socket for the call: {0}")]
    Socket(#[from] io::Error),
    /// The exchange has been closed, or the bridge never came to an end.
    #[error("the call came to no end within {} s", PATIENCE.as_secs())]
    Lost,
    /// An address cannot be written as a SIP URI.
    #[error("{0} is not an address: use digits with a leading +")]
    Address(String),
}

impl Exchange {
    /// Binds the SIP socket and begins to answer OPTIONS.
    pub async fn open(config: ExchangeConfig) -> io::Result<(Self, Doorbell)> {
        let socket = UdpSocket::bind(config.bind).await?;
        let address = socket.local_addr()?;
        let mut dice = StdRng::seed_from_u64(config.seed);
        let (commands, orders) = mpsc::unbounded_channel();
        let (ring, incoming) = mpsc::unbounded_channel();
        let passed = signalling::Trace::default();
        let endpoint = signalling::endpoint(&config.name, dice.random());
        tokio::spawn(signalling::run(socket, endpoint, orders, ring, config.trace.then(|| passed.clone())));
        let shared = Shared { config, address, commands, passed, dice: Mutex::new(dice) };
        let exchange = Self { shared: Arc::new(shared) };
        Ok((exchange.clone(), Doorbell { exchange, incoming }))
    }

    /// Where SIP is received.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Calls a number of the bridge and waits for the answer.
    pub async fn dial(&self, caller: &str, display: &str, called: &str) -> Result<Call, CallError> {
        let ports = MediaPorts::bind(self.ip()).await?;
        let local = self.local_media(&ports);
        let capabilities = self.capabilities();
        let offer = sdp::offer(&local, &capabilities);
        let bridge = self.shared.config.bridge;
        let uri = |user: &str, at: SocketAddr| {
            let uri = Uri::sip(Some(user), at);
            if user.starts_with('+') { Ok(uri) } else { Err(CallError::Address(user.to_owned())) }
        };
        let request_uri = uri(called, bridge)?;
        let invite = OutgoingInvite {
            flow: self.flow(),
            to: NameAddr::new(request_uri.clone()),
            request_uri,
            from: NameAddr::new(uri(caller, self.address())?).with_display(display),
            contact: NameAddr::new(uri(caller, self.address())?),
            extra: Vec::new(),
            body: Some(Body::sdp(offer.clone())),
            credentials: None,
            first_response_within: Duration::from_secs(5),
            provisional_within: Duration::from_secs(10),
            ring_for: PATIENCE,
            terms: sip::Terms::default(),
        };
        let (taken, id) = oneshot::channel();
        let (news, events) = mpsc::unbounded_channel();
        self.command(Command::Invite { invite: Box::new(invite), taken, news });
        let dialed = Instant::now();
        let id = id.await.map_err(|_| CallError::Lost)?;
        let mut line = Line { exchange: self.clone(), id, events };
        let (answer, response) = line.until_answered().await?;
        let agreed = sdp::accept_answer(&offer, &answer, &capabilities)
            .map_err(|e| CallError::Media(e.to_string()))?;
        Ok(Call::start(line, ports, &agreed, &response, dialed))
    }

    /// Every SIP message so far, in order; empty unless `trace` was asked for.
    pub fn passed(&self) -> Vec<Passed> {
        self.shared.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ip(&self) -> IpAddr {
        self.address().ip()
    }

    fn flow(&self) -> sip::Flow {
        let transport = sip::Transport::Udp;
        sip::Flow { transport, local: self.address(), remote: self.shared.config.bridge, connection: 0 }
    }

    fn capabilities(&self) -> Capabilities {
        let codec = |law: &Law| match law {
            Law::Mu => Codec::Pcmu,
            Law::A => Codec::Pcma,
        };
        let codecs = self.shared.config.laws.iter().map(codec).collect();
        Capabilities { codecs, ..Capabilities::default() }
    }

    fn local_media(&self, ports: &MediaPorts) -> LocalMedia {
        let port = ports.address().port();
        LocalMedia {
            address: self.ip(),
            port,
            rtcp_port: port + 1,
            session_id: u64::from(self.random::<u32>()),
            session_version: 1,
            direction: Direction::SendRecv,
            keys: Vec::new(),
        }
    }

    fn random<T>(&self) -> T
    where
        rand::distr::StandardUniform: rand::distr::Distribution<T>,
    {
        self.shared.dice.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    fn command(&self, command: Command) {
        // A closed exchange shows as `CallError::Lost` where somebody waits for an answer.
        let _ = self.shared.commands.send(command);
    }
}

impl Doorbell {
    /// The next call from the bridge; `None` when the exchange is closed.
    pub async fn ring(&mut self) -> Option<Ringing> {
        let signalling::Incoming { id, request, offer, events } = self.incoming.recv().await?;
        let line = Line { exchange: self.exchange.clone(), id, events };
        Some(Ringing { line, request, offer, came: Instant::now() })
    }
}

/// A call from the bridge that has not been answered.
pub struct Ringing {
    line: Line,
    request: Arc<Message>,
    offer: Option<Bytes>,
    came: Instant,
}

impl Ringing {
    /// The INVITE.
    pub fn request(&self) -> &Message {
        &self.request
    }

    /// The number that is called, as written.
    pub fn called(&self) -> String {
        self.request.uri().and_then(Uri::user).unwrap_or_default().into_owned()
    }

    /// The number that calls, as written.
    pub fn caller(&self) -> String {
        self.request.from().and_then(|from| from.uri().user().map(Cow::into_owned)).unwrap_or_default()
    }

    /// 180 Ringing.
    pub fn alert(&self) {
        self.line.command(|id| Command::Progress { id, status: 180 });
    }

    /// A final refusal, 300 to 699.
    pub fn refuse(self, status: u16) {
        self.line.command(|id| Command::Reject { id, status });
    }

    /// 200 OK; returns when the ACK has come.
    pub async fn answer(mut self) -> Result<Call, CallError> {
        let exchange = self.line.exchange.clone();
        let ports = MediaPorts::bind(exchange.ip()).await?;
        let local = exchange.local_media(&ports);
        let capabilities = exchange.capabilities();
        let (body, offered) = match &self.offer {
            Some(offer) => {
                let (answer, agreed) = sdp::answer(offer, &local, &capabilities)
                    .map_err(|error| CallError::Media(error.to_string()))?;
                (answer, Some(agreed))
            }
            None => (sdp::offer(&local, &capabilities), None),
        };
        self.line.command(|id| Command::Accept { id, body: Body::sdp(body.clone()) });
        let late = self.line.until_established().await?;
        let agreed = match (offered, late) {
            (Some(agreed), _) => agreed,
            (None, Some(answer)) => sdp::accept_answer(&body, &answer, &capabilities)
                .map_err(|error| CallError::Media(error.to_string()))?,
            (None, None) => return Err(CallError::Media("the ACK carried no answer to our offer".into())),
        };
        Ok(Call::start(self.line, ports, &agreed, &self.request, self.came))
    }
}

/// The signalling of one call.
struct Line {
    exchange: Exchange,
    id: InviteId,
    events: mpsc::UnboundedReceiver<sip::Event>,
}

impl Line {
    fn command(&self, command: impl FnOnce(InviteId) -> Command) {
        self.exchange.command(command(self.id));
    }

    async fn next(&mut self) -> Result<sip::Event, CallError> {
        timeout(PATIENCE, self.events.recv()).await.ok().flatten().ok_or(CallError::Lost)
    }

    async fn until_answered(&mut self) -> Result<(Bytes, Arc<Message>), CallError> {
        let mut early = None;
        loop {
            match self.next().await? {
                sip::Event::Progress { body, .. } => early = body.or(early),
                sip::Event::Answered { body, response, .. } => {
                    // An answer in a reliable-enough 18x need not be repeated in the 200.
                    if let Some(answer) = body.or(early) {
                        return Ok((answer, response));
                    }
                    self.command(Command::Hangup);
                    return Err(CallError::Media("the answer carried no SDP".into()));
                }
                sip::Event::Failed { failure, .. } => return Err(CallError::Failed(failure)),
                sip::Event::Ended { .. } => return Err(CallError::Lost),
                _ => {}
            }
        }
    }

    async fn until_established(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            match self.next().await? {
                sip::Event::Established { answer, .. } => return Ok(answer),
                sip::Event::Failed { failure, .. } => return Err(CallError::Failed(failure)),
                sip::Event::Ended { .. } => return Err(CallError::Lost),
                _ => {}
            }
        }
    }

    async fn until_ended(&mut self) -> Result<End, CallError> {
        loop {
            if let sip::Event::Ended { end, .. } = self.next().await? {
                return Ok(end);
            }
        }
    }
}

/// An answered call. Dropping it stops its media; [`Call::hang_up`] ends it properly.
pub struct Call {
    line: Line,
    media: Media,
    law: Law,
    sip_call_id: String,
    dialed: Instant,
    answered: Instant,
}

impl Call {
    fn start(line: Line, ports: MediaPorts, agreed: &Negotiated, message: &Message, dialed: Instant) -> Self {
        let law = match agreed.codec {
            Codec::Pcmu => Law::Mu,
            Codec::Pcma => Law::A,
            Codec::G722 | Codec::Opus => unreachable!("these telephones offer laws alone"),
        };
        let exchange = &line.exchange;
        let stream = Stream {
            law,
            audio: agreed.audio_pt,
            events: agreed.event_pt,
            ssrc: exchange.random(),
            sequence: exchange.random(),
            timestamp: exchange.random(),
        };
        let media = ports.start(stream, agreed.remote_rtp);
        let sip_call_id = message.call_id().unwrap_or_default().to_owned();
        Self { line, media, law, sip_call_id, dialed, answered: Instant::now() }
    }

    /// Speech, keys and ears.
    pub fn media(&self) -> &Media {
        &self.media
    }

    /// The codec that was agreed.
    pub fn law(&self) -> Law {
        self.law
    }

    /// The SIP Call-ID.
    pub fn call_id(&self) -> &str {
        &self.sip_call_id
    }

    /// When the INVITE was sent or came.
    pub fn dialed(&self) -> Instant {
        self.dialed
    }

    /// When it was answered.
    pub fn answered(&self) -> Instant {
        self.answered
    }

    /// BYE. Returns what was said and heard once the bridge has confirmed, or has hung up itself in the same moment.
    pub async fn hang_up(mut self) -> Result<Tape, CallError> {
        self.line.command(Command::Hangup);
        self.line.until_ended().await?;
        Ok(self.media.tape())
    }

    /// Waits for the bridge to hang up.
    pub async fn ended(&mut self) -> Result<End, CallError> {
        self.line.until_ended().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn exchange(name: &str, bridge: SocketAddr, seed: u64, laws: &[Law]) -> (Exchange, Doorbell) {
        let bind = "127.0.0.1:0".parse().unwrap();
        let config = ExchangeConfig { name: name.into(), bind, bridge, laws: laws.into(), trace: true, seed };
        Exchange::open(config).await.unwrap()
    }

    #[tokio::test]
    async fn two_exchanges_call_each_other_talk_and_hang_up() {
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let (far, mut bell) = exchange("far", nowhere, 1, &[Law::A]).await;
        let (near, _) = exchange("near", far.address(), 2, &[Law::Mu, Law::A]).await;
        let answering = tokio::spawn(async move {
            let ringing = bell.ring().await.unwrap();
            assert_eq!(
                (ringing.caller().as_str(), ringing.called().as_str()),
                ("+493023125001", "+496990009100")
            );
            ringing.alert();
            ringing.answer().await.unwrap()
        });
        let call = near.dial("+493023125001", "Alice", "+496990009100").await.unwrap();
        let mut other = answering.await.unwrap();
        assert_eq!(call.law(), Law::A, "the only one both have");
        assert_eq!(call.call_id(), other.call_id());
        call.media().say(vec![8000_i16; 1600].into()).await;
        assert!(other.media().hears(Duration::from_millis(150), Duration::from_secs(5)).await);
        let tape = call.hang_up().await.unwrap();
        assert!(tape.said.contains(&8000));
        assert!(matches!(other.ended().await.unwrap(), End::Bye { .. }));
        let methods: Vec<String> = near
            .passed()
            .iter()
            .filter(|passed| passed.sent)
            .map(|passed| String::from_utf8_lossy(&passed.bytes[..3]).into_owned())
            .collect();
        assert_eq!(methods, ["INV", "PRA", "ACK", "BYE"]);
    }

    #[tokio::test]
    async fn a_refused_call_says_why() {
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let (far, mut bell) = exchange("far", nowhere, 3, &[Law::A]).await;
        let (near, _) = exchange("near", far.address(), 4, &[Law::A]).await;
        tokio::spawn(async move { bell.ring().await.unwrap().refuse(486) });
        let error = near.dial("+493023125001", "Alice", "+496990009100").await.err().unwrap();
        assert!(error.to_string().contains("486"), "{error}");
        assert!(matches!(near.dial("alice", "", "+49").await, Err(CallError::Address(_))));
    }
}
